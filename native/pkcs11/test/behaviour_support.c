#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "behaviour_support.h"

CK_FUNCTION_LIST_PTR p;
CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
CK_BYTE known_key[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                         16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
CK_BYTE prime256v1[10] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};

void tell(const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  putchar('\n');
  fflush(stdout);
}

void say(const char *what, CK_RV rv)
{
  tell("%s 0x%lx", what, rv);
}

void say_bytes(const char *what, const CK_BYTE *bytes, CK_ULONG length)
{
  printf("%s ", what);
  for (CK_ULONG i = 0; i < length; i++) printf("%02x", bytes[i]);
  tell("%s", "");
}

void must(const char *what, CK_RV rv)
{
  if (rv == CKR_OK) return;
  tell("preparation failed: %s 0x%lx", what, rv);
  exit(3);
}

void pause_at(const char *where)
{
  char line[16];
  tell("%s", where);
  if (fgets(line, sizeof line, stdin) == NULL) exit(3);
}

CK_SESSION_HANDLE open_session(void)
{
  CK_SESSION_HANDLE session = 0;
  must("C_OpenSession", p->C_OpenSession(SLOT, OPEN_FLAGS, NULL, NULL, &session));
  return session;
}

CK_RV login(CK_SESSION_HANDLE session)
{
  char *pin = getenv("CLOUDHSM_PIN");
  return p->C_Login(session, CKU_USER, (CK_BYTE *)pin, strlen(pin));
}

CK_SESSION_HANDLE start(void)
{
  must("C_Initialize", p->C_Initialize(NULL));
  CK_SESSION_HANDLE session = open_session();
  must("C_Login", login(session));
  return session;
}

CK_RV session_info(CK_SESSION_HANDLE session)
{
  CK_SESSION_INFO info;
  return p->C_GetSessionInfo(session, &info);
}

CK_ULONG session_state(CK_SESSION_HANDLE session)
{
  CK_SESSION_INFO info = {0};
  must("C_GetSessionInfo", p->C_GetSessionInfo(session, &info));
  return info.state;
}

CK_RV generate_rsa(CK_SESSION_HANDLE session, CK_ULONG bits, CK_BBOOL token, const char *label,
                   CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
  CK_BYTE exponent[] = {1, 0, 1};
  CK_MECHANISM mechanism = {CKM_RSA_X9_31_KEY_PAIR_GEN, NULL, 0};
  CK_ATTRIBUTE name = {CKA_LABEL, (void *)label, strlen(label)};
  CK_ATTRIBUTE public_half[] = {name, THE(CKA_TOKEN, token), YES(CKA_VERIFY), THE(CKA_MODULUS_BITS, bits),
                                THE(CKA_PUBLIC_EXPONENT, exponent)};
  CK_ATTRIBUTE private_half[] = {name, THE(CKA_TOKEN, token), YES(CKA_SIGN)};
  return p->C_GenerateKeyPair(session, &mechanism, public_half, COUNT(public_half), private_half,
                              COUNT(private_half), public_key, private_key);
}

CK_OBJECT_HANDLE import_known(CK_SESSION_HANDLE session, CK_KEY_TYPE type)
{
  CK_OBJECT_HANDLE key = 0;
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_ATTRIBUTE template[] = {THE(CKA_CLASS, class), THE(CKA_KEY_TYPE, type), THE(CKA_VALUE, known_key),
                             YES(CKA_SIGN), YES(CKA_VERIFY), YES(CKA_ENCRYPT), YES(CKA_DECRYPT)};
  CK_ULONG count = type == CKK_AES ? COUNT(template) : COUNT(template) - 2;
  must("C_CreateObject", p->C_CreateObject(session, template, count, &key));
  return key;
}

CK_RV sign(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, CK_BYTE *data,
           CK_ULONG length, CK_BYTE *signature, CK_ULONG *signature_length)
{
  CK_MECHANISM mechanism = {type, NULL, 0};
  CK_RV rv = p->C_SignInit(session, &mechanism, key);
  return rv == CKR_OK ? p->C_Sign(session, data, length, signature, signature_length) : rv;
}

CK_ULONG find(CK_SESSION_HANDLE session, CK_ATTRIBUTE *template, CK_ULONG count, CK_OBJECT_HANDLE *found,
              CK_ULONG room)
{
  CK_OBJECT_HANDLE batch[25];
  CK_ULONG total = 0, given = 0;
  must("C_FindObjectsInit", p->C_FindObjectsInit(session, template, count));
  do {
    must("C_FindObjects", p->C_FindObjects(session, batch, COUNT(batch), &given));
    for (CK_ULONG i = 0; i < given; i++, total++) {
      if (total < room) found[total] = batch[i];
    }
  } while (given > 0);
  must("C_FindObjectsFinal", p->C_FindObjectsFinal(session));
  return total;
}

CK_ULONG count_objects(CK_SESSION_HANDLE session)
{
  return find(session, NULL, 0, NULL, 0);
}

CK_OBJECT_HANDLE find_private(CK_SESSION_HANDLE session, const char *label)
{
  CK_OBJECT_HANDLE key = 0;
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE template[] = {THE(CKA_CLASS, class), {CKA_LABEL, (void *)label, strlen(label)}};
  if (find(session, template, COUNT(template), &key, 1) != 1) tell("no key, or several, %s", label);
  return key;
}

struct job {
  pthread_t thread;
  pthread_barrier_t *begin;
  CK_RV (*act)(int index);
  int index;
  CK_RV rv;
};

static void *do_job(void *argument)
{
  struct job *job = argument;
  pthread_barrier_wait(job->begin);
  job->rv = job->act(job->index);
  return NULL;
}

static int by_rv(const void *left, const void *right)
{
  CK_RV a = ((const struct job *)left)->rv, b = ((const struct job *)right)->rv;
  return (a > b) - (a < b);
}

void in_threads(const char *name, int count, CK_RV (*act)(int index))
{
  pthread_barrier_t begin;
  struct job *jobs = calloc((size_t)count, sizeof *jobs);
  if (jobs == NULL || pthread_barrier_init(&begin, NULL, (unsigned)count) != 0) exit(3);
  for (int i = 0; i < count; i++) {
    jobs[i] = (struct job){.begin = &begin, .act = act, .index = i};
    if (pthread_create(&jobs[i].thread, NULL, do_job, &jobs[i]) != 0) exit(3);
  }
  for (int i = 0; i < count; i++) pthread_join(jobs[i].thread, NULL);
  qsort(jobs, (size_t)count, sizeof *jobs, by_rv);
  printf("%s:", name);
  for (int from = 0, to = 0; from < count; from = to) {
    while (to < count && jobs[to].rv == jobs[from].rv) to++;
    printf("%s %d x 0x%lx", from == 0 ? "" : ",", to - from, jobs[from].rv);
  }
  tell("%s", "");
  free(jobs);
  pthread_barrier_destroy(&begin);
}

pid_t thread_id(void)
{
  return (pid_t)syscall(SYS_gettid);
}

void await_asleep(pid_t thread)
{
  char path[64], line[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
  for (bool asleep = false; !asleep; usleep(1000)) {
    FILE *file = fopen(path, "r");
    if (file == NULL) exit(3);
    /* proc(5): the state stands behind the name in parentheses. */
    const char *state = fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
    asleep = state != NULL && state[2] == 'S';
    fclose(file);
  }
}
