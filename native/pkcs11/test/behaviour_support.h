/* What the scenes of behaviour_client share. */
#ifndef CLOUDHSM_LOCAL_TEST_BEHAVIOUR_SUPPORT_H
#define CLOUDHSM_LOCAL_TEST_BEHAVIOUR_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "load.h"

#define SLOT 0x2000000000000001UL
#define OPEN_FLAGS (CKF_SERIAL_SESSION | CKF_RW_SESSION)
#define COUNT(array) (sizeof(array) / sizeof *(array))
/* An entry of a template. */
#define TEXT(type, text) {type, text, sizeof(text) - 1}
#define THE(type, variable) {type, &(variable), sizeof(variable)}
#define YES(type) {type, &yes, sizeof yes}
#define NO(type) {type, &no, sizeof no}
/* No CK_RV: an answer of CKR_OK that is not the right one. */
#define WRONG 0xbadUL
#define RSA_BYTES 256

extern CK_FUNCTION_LIST_PTR p;
extern CK_BBOOL yes, no;
/* 32 bytes, 00 01 02 …: the keys whose results the test computes for itself. */
extern CK_BYTE known_key[32];
extern CK_BYTE prime256v1[10];

/* Lines for the test. */
__attribute__((format(printf, 1, 2))) void tell(const char *format, ...);
void say(const char *what, CK_RV rv);
void say_bytes(const char *what, const CK_BYTE *bytes, CK_ULONG length);
/* Ends the program where a preparation fails. */
void must(const char *what, CK_RV rv);
/* Lets the test do something to the engine meanwhile. */
void pause_at(const char *where);

CK_SESSION_HANDLE open_session(void);
CK_RV login(CK_SESSION_HANDLE session);
/* C_Initialize, C_OpenSession, C_Login. */
CK_SESSION_HANDLE start(void);
CK_RV session_info(CK_SESSION_HANDLE session);
CK_ULONG session_state(CK_SESSION_HANDLE session);

CK_RV generate_rsa(CK_SESSION_HANDLE session, CK_ULONG bits, CK_BBOOL token, const char *label,
                   CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key);
/* A session key of known_key for every use it has. */
CK_OBJECT_HANDLE import_known(CK_SESSION_HANDLE session, CK_KEY_TYPE type);
CK_RV sign(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, CK_BYTE *data,
           CK_ULONG length, CK_BYTE *signature, CK_ULONG *signature_length);
/* What a search finds, in batches of 25; how many there are. At most `room` are written. */
CK_ULONG find(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *found,
              CK_ULONG room);
CK_ULONG count_objects(CK_SESSION_HANDLE session);
CK_OBJECT_HANDLE find_private(CK_SESSION_HANDLE session, const char *label);

/* Runs `act` in as many threads at once and tells how many answered what: "NAME: 1 x 0x0, 15 x 0x100". */
void in_threads(const char *name, int count, CK_RV (*act)(int index));
pid_t thread_id(void);
/* Waits until a thread of this process sleeps in a system call. */
void await_asleep(pid_t thread);

void scene_fork(void);
void scene_cycle(void);
void scene_login_again(void);
void scene_events(void);
void scene_logins(void);
void scene_initialize(void);
void scene_close_login(void);
void scene_close_generation(void);
void scene_before_login(void);
void scene_at_exit(void);
void scene_points(void);
void scene_close(void);
void scene_open(void);
void scene_killed(void);
void scene_attributes(void);
void scene_pairs(void);
void scene_refused_pairs(void);
void scene_flock(void);
void scene_find_null(void);
void scene_gcm(void);
void scene_gcm_refused(void);
void scene_cancel(void);
void scene_sizes(void);
void scene_lengths(void);
void scene_parts(void);
void scene_refused(void);
void scene_mixed(void);
void scene_shared(void);
void scene_large_digests(void);
void scene_digest_often(void);
void scene_digest_forever(void);
void scene_signers(void);
void scene_long_signers(void);
void scene_sign_forever(void);
void scene_uninitialized(void);
void scene_unsupported(void);
void scene_null(void);
void scene_wrap(void);
void scene_nested(void);

#endif
