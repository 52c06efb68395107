/* What the way to the engine has to bear. Prints what happened for the tests to judge.
 *   transport_client MODULE sizes     frames of all sizes that matter, both ways
 *   transport_client MODULE interrupted   a call that waits, with signals all the time
 *   transport_client MODULE forever   threads that work until they are killed */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "../../shared/channel-layout.h"
#include "load.h"

#define OPEN_FLAGS (CKF_SERIAL_SESSION | CKF_RW_SESSION)
#define MEBIBYTE (1UL << 20)

static CK_FUNCTION_LIST_PTR p;
static CK_SLOT_ID slot;

static CK_SESSION_HANDLE open_session(void)
{
  CK_SESSION_HANDLE session = 0;
  if (p->C_OpenSession(slot, OPEN_FLAGS, NULL, NULL, &session) != CKR_OK) exit(3);
  return session;
}

/* The engine of this scene encrypts by turning each byte's bits over. */
static unsigned travels(CK_SESSION_HANDLE session, CK_BYTE *bytes, CK_BYTE *back, CK_ULONG size)
{
  CK_ULONG length = size;
  for (CK_ULONG i = 0; i < size; i++) bytes[i] = (CK_BYTE)(i * 31 + i / 256 + size);
  memset(back, 0, size);
  CK_RV rv = p->C_Encrypt(session, bytes, size, back, &length);
  CK_ULONG wrong = 0;
  for (CK_ULONG i = 0; i < size; i++) wrong += (back[i] ^ bytes[i]) != 0xff;
  if (rv == CKR_OK && length == size && wrong == 0) return 1;
  printf("%lu bytes: 0x%lx, %lu came back, %lu wrong\n", size, rv, length, wrong);
  return 0;
}

static void scene_sizes(void)
{
  CK_BYTE *bytes = malloc(48 * MEBIBYTE), *back = malloc(48 * MEBIBYTE);
  CK_SESSION_HANDLE session = open_session();
  unsigned good = 0;
  if (bytes == NULL || back == NULL) exit(3);
  /* The frames around the data have less than 64 bytes: each boundary is crossed byte by byte. */
  for (unsigned parts = 1; parts <= 3; parts++) {
    CK_ULONG boundary = (CK_ULONG)parts * CHANNEL_DATA_BYTES;
    for (CK_ULONG size = boundary - 64; size <= boundary + 1; size++) good += travels(session, bytes, back, size);
  }
  for (CK_ULONG size = 1; size <= 33; size++) good += travels(session, bytes, back, size);
  good += travels(session, bytes, back, MEBIBYTE);
  good += travels(session, bytes, back, 48 * MEBIBYTE);
  free(bytes);
  free(back);
  printf("%u sizes travel\n", good);
}

static void *work_forever(void *unused)
{
  CK_BYTE random[32], digest[32];
  static CK_BYTE large[200000];
  CK_MECHANISM sha256 = {CKM_SHA256, NULL, 0};
  for (;;) {
    CK_ULONG length = sizeof digest;
    CK_SESSION_HANDLE session = open_session();
    for (int i = 0; i < 20; i++) p->C_GenerateRandom(session, random, sizeof random);
    p->C_DigestInit(session, &sha256);
    p->C_Digest(session, large, sizeof large, digest, &length);
    p->C_GenerateRandom(session, large, sizeof large);
    p->C_CloseSession(session);
  }
  return unused;
}

static void scene_forever(void)
{
  for (int i = 0; i < 3; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work_forever, NULL) != 0) exit(3);
  }
  printf("working\n");
  fflush(stdout);
  work_forever(NULL);
}

static void interrupt(int signal)
{
  (void)signal;
}

static void scene_interrupted(void)
{
  struct sigaction action = {.sa_handler = interrupt}; /* without SA_RESTART */
  const struct itimerval often = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
  CK_SLOT_ID which;
  printf("waiting\n");
  fflush(stdout);
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
  CK_RV rv = p->C_WaitForSlotEvent(0, &which, NULL);
  setitimer(ITIMER_REAL, &never, NULL);
  printf("0x%lx\n", rv);
}

int main(int argc, char **argv)
{
  CK_ULONG slots = 1;
  if (argc < 3) return 2;
  p = load_module(argv[1]);
  if (p->C_Initialize(NULL) != CKR_OK || p->C_GetSlotList(CK_TRUE, &slot, &slots) != CKR_OK) return 3;
  if (strcmp(argv[2], "sizes") == 0) scene_sizes();
  else if (strcmp(argv[2], "interrupted") == 0) scene_interrupted();
  else scene_forever();
  return p->C_Finalize(NULL) == CKR_OK ? 0 : 3;
}
