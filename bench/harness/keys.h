/* Keys of the rows. The templates say everything, so that every module makes the same key. */
#ifndef BENCH_KEYS_H
#define BENCH_KEYS_H

#include "module.h"

#define LABEL_ROOM 32
#define RSA_MAX_BYTES 1024

CK_OBJECT_HANDLE generate_aes(CK_SESSION_HANDLE session, const char *label, bool token);
CK_OBJECT_HANDLE generate_hmac(CK_SESSION_HANDLE session, bool token);
void generate_rsa(CK_SESSION_HANDLE session, CK_ULONG bits, bool token, CK_OBJECT_HANDLE *public_key,
                  CK_OBJECT_HANDLE *key);
/* `bits` names the NIST curve. */
void generate_ec(CK_SESSION_HANDLE session, CK_ULONG bits, bool token, CK_OBJECT_HANDLE *public_key,
                 CK_OBJECT_HANDLE *key);

/* The label of one of the token keys that `populate` makes. */
void population_label(char label[LABEL_ROOM], unsigned long number);
/* The handle of the one key with this label; ends the program if there is none, or several. */
CK_OBJECT_HANDLE find_key(CK_SESSION_HANDLE session, const char *label);
/* Makes the token keys number `from` to `to` - 1, with progress as JSON lines. */
void populate(unsigned long from, unsigned long to, unsigned threads);

#endif
