/* What programs do to a module besides calling it. Prints what happened for test/native to judge.
 *   lifecycle_client MODULE SCENE */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define SLOT 0x2000000000000001UL
#define OPEN_FLAGS (CKF_SERIAL_SESSION | CKF_RW_SESSION)

static CK_FUNCTION_LIST_PTR p;

static void say(const char *what, CK_RV rv)
{
  printf("%s 0x%lx\n", what, rv);
  fflush(stdout);
}

/* Lets the test do something to the engine meanwhile. */
static void pause_at(const char *where)
{
  char line[16];
  printf("%s\n", where);
  fflush(stdout);
  if (fgets(line, sizeof line, stdin) == NULL) exit(3);
}

static long long now_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static CK_SESSION_HANDLE open_session(const char *what)
{
  CK_SESSION_HANDLE session = 0;
  say(what, p->C_OpenSession(SLOT, OPEN_FLAGS, NULL, NULL, &session));
  return session;
}

static CK_RV session_info(CK_SESSION_HANDLE session)
{
  CK_SESSION_INFO info;
  return p->C_GetSessionInfo(session, &info);
}

static int count_descriptors(void)
{
  int count = 0;
  DIR *folder = opendir("/proc/self/fd");
  if (folder == NULL) return -1;
  while (readdir(folder) != NULL) count++;
  closedir(folder);
  return count;
}

/* Runs `count` threads of one kind; how many answered 0, and how many `other`. */
struct crowd {
  CK_RV (*act)(void);
  CK_RV other;
  atomic_int ready, go, ok, others;
};

static void *crowd_member(void *argument)
{
  struct crowd *crowd = argument;
  atomic_fetch_add(&crowd->ready, 1);
  while (!atomic_load(&crowd->go)) sched_yield();
  CK_RV rv = crowd->act();
  if (rv == CKR_OK) atomic_fetch_add(&crowd->ok, 1);
  else if (rv == crowd->other) atomic_fetch_add(&crowd->others, 1);
  else printf("unexpected 0x%lx\n", rv);
  return NULL;
}

static void run_crowd(const char *name, int count, CK_RV (*act)(void), CK_RV other)
{
  struct crowd crowd = {.act = act, .other = other};
  pthread_t *threads = calloc((size_t)count, sizeof *threads);
  if (threads == NULL) exit(3);
  for (int i = 0; i < count; i++) {
    if (pthread_create(&threads[i], NULL, crowd_member, &crowd) != 0) exit(3);
  }
  while (atomic_load(&crowd.ready) < count) usleep(1000);
  atomic_store(&crowd.go, 1);
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
  free(threads);
  printf("%s %d ok, %d 0x%lx\n", name, crowd.ok, crowd.others, other);
  fflush(stdout);
}

static CK_RV initialize(void)
{
  return p->C_Initialize(NULL);
}

static CK_RV use_a_session(void)
{
  CK_SESSION_HANDLE session;
  CK_BYTE random[32];
  CK_RV rv = p->C_OpenSession(SLOT, OPEN_FLAGS, NULL, NULL, &session);
  for (int i = 0; rv == CKR_OK && i < 20; i++) rv = p->C_GenerateRandom(session, random, sizeof random);
  return rv == CKR_OK ? p->C_CloseSession(session) : rv;
}

static void scene_functions(void)
{
  void *entries[(sizeof *p - sizeof(void *)) / sizeof(void *)];
  unsigned present = 0;
  memcpy(entries, (char *)p + sizeof(void *), sizeof entries);
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) present += entries[i] != NULL;
  printf("version %d.%d, %u functions\n", p->version.major, p->version.minor, present);
}

static CK_RV no_mutex(CK_VOID_PTR mutex)
{
  (void)mutex;
  return CKR_OK;
}

static void scene_arguments(void)
{
  CK_C_INITIALIZE_ARGS some = {.LockMutex = no_mutex, .UnlockMutex = no_mutex, .flags = CKF_OS_LOCKING_OK};
  CK_C_INITIALIZE_ARGS reserved = {.pReserved = &some};
  CK_C_INITIALIZE_ARGS good = {.flags = CKF_OS_LOCKING_OK};
  say("C_GetFunctionList(NULL)", p->C_GetFunctionList(NULL));
  say("C_GetInfo before", p->C_GetInfo(NULL));
  say("C_Finalize before", p->C_Finalize(&some));
  say("C_Initialize(some mutexes)", p->C_Initialize(&some));
  say("C_Initialize(reserved)", p->C_Initialize(&reserved));
  say("C_Initialize", p->C_Initialize(&good));
  say("C_Initialize again", p->C_Initialize(&good));
  say("C_GetInfo(NULL)", p->C_GetInfo(NULL));
  say("C_Finalize(reserved)", p->C_Finalize(&some));
  say("C_Finalize", p->C_Finalize(NULL));
  say("C_Finalize again", p->C_Finalize(NULL));
}

static void scene_initialize(void)
{
  say("C_Initialize", p->C_Initialize(NULL));
}

static void scene_crowd(void)
{
  run_crowd("C_Initialize", 50, initialize, CKR_CRYPTOKI_ALREADY_INITIALIZED);
  run_crowd("sessions", 300, use_a_session, CKR_DEVICE_ERROR);
  say("C_Finalize", p->C_Finalize(NULL));
}

static int child_scene(CK_SESSION_HANDLE session)
{
  int before = count_descriptors();
  say("child C_GetSessionInfo", session_info(session));
  say("child C_Finalize", p->C_Finalize(NULL));
  unsetenv("CLOUDHSM_LOCAL_SOCKET"); /* as nginx does to its workers */
  say("child C_Initialize", p->C_Initialize(NULL));
  printf("child descriptors %+d\n", count_descriptors() - before);
  say("child, the parent's session", session_info(session));
  run_crowd("child sessions", 32, use_a_session, CKR_DEVICE_ERROR);
  say("child C_Finalize after", p->C_Finalize(NULL));
  return 0;
}

static atomic_int calls_made, child_ended;

static void *parent_works(void *unused)
{
  (void)unused;
  CK_RV rv = CKR_OK;
  for (; rv == CKR_OK && !atomic_load(&child_ended); atomic_fetch_add(&calls_made, 1)) rv = use_a_session();
  say("parent's thread", rv);
  return NULL;
}

static void scene_fork(void)
{
  pthread_t worker;
  int status = 0;
  say("C_Initialize", p->C_Initialize(NULL));
  CK_SESSION_HANDLE session = open_session("C_OpenSession");
  if (pthread_create(&worker, NULL, parent_works, NULL) != 0) exit(3);
  fflush(stdout);
  /* While a thread starts, it may hold the lock of ASan's allocator, which a child of that moment would never get. */
  while (atomic_load(&calls_made) == 0) usleep(100);
  pid_t child = fork();
  if (child == 0) _exit((child_scene(session), fflush(stdout), 0));
  waitpid(child, &status, 0);
  atomic_store(&child_ended, 1);
  pthread_join(worker, NULL);
  printf("child ended %d\n", status);
  say("parent's session", session_info(session));
  say("C_Finalize", p->C_Finalize(NULL));
}

static void scene_killed(void)
{
  CK_SLOT_ID slot;
  CK_ULONG count = 0;
  say("C_Initialize", p->C_Initialize(NULL));
  CK_SESSION_HANDLE session = open_session("C_OpenSession");
  printf("waiting\n");
  fflush(stdout);
  say("call under way", p->C_WaitForSlotEvent(0, &slot, NULL)); /* the test kills the engine now */
  pause_at("killed");
  say("its session", session_info(session));
  say("C_CloseSession", p->C_CloseSession(session));
  say("C_GetSlotList", p->C_GetSlotList(CK_TRUE, NULL, &count));
  pause_at("start it again");
  run_crowd("fresh sessions", 16, use_a_session, CKR_DEVICE_ERROR);
  say("old session", session_info(session));
  session = open_session("C_OpenSession");
  pause_at("kill it while idle, and start it again");
  run_crowd("fresh sessions", 16, use_a_session, CKR_DEVICE_ERROR);
  say("C_Finalize", p->C_Finalize(NULL));
}

static void scene_cycle(void)
{
  int before = count_descriptors(), failures = 0;
  for (int i = 0; i < 100; i++) {
    CK_SESSION_HANDLE session;
    failures += p->C_Initialize(NULL) != CKR_OK;
    failures += p->C_OpenSession(SLOT, OPEN_FLAGS, NULL, NULL, &session) != CKR_OK;
    failures += p->C_Finalize(NULL) != CKR_OK;
  }
  printf("100 cycles, %d failures, descriptors %+d\n", failures, count_descriptors() - before);
}

static CK_SESSION_HANDLE left_open;

static void at_exit(void)
{
  long long begun = now_ms();
  say("C_CloseSession", p->C_CloseSession(left_open));
  say("C_CloseAllSessions", p->C_CloseAllSessions(SLOT));
  say("C_Finalize", p->C_Finalize(NULL));
  printf("%s\n", now_ms() - begun < 1000 ? "in time" : "too late");
}

static void scene_atexit(void)
{
  atexit(at_exit);
  say("C_Initialize", p->C_Initialize(NULL));
  left_open = open_session("C_OpenSession");
  pause_at("kill it");
}

static void *wait_for_event(void *unused)
{
  CK_SLOT_ID slot;
  (void)unused;
  say("C_WaitForSlotEvent", p->C_WaitForSlotEvent(0, &slot, NULL));
  return NULL;
}

static void scene_blocked(void)
{
  pthread_t waiter;
  say("C_Initialize", p->C_Initialize(NULL));
  if (pthread_create(&waiter, NULL, wait_for_event, NULL) != 0) exit(3);
  pause_at("blocked");
  CK_RV rv = p->C_Finalize(NULL);
  pthread_join(waiter, NULL);
  say("C_Finalize", rv);
  say("C_Initialize again", p->C_Initialize(NULL));
  say("C_Finalize again", p->C_Finalize(NULL));
}

static void scene_garbled(void)
{
  CK_INFO info;
  say("C_Initialize", p->C_Initialize(NULL));
  CK_SESSION_HANDLE session = open_session("C_OpenSession");
  for (int i = 0; i < 4; i++) say("C_GetInfo", p->C_GetInfo(&info));
  say("session", session_info(session));
  say("C_Finalize", p->C_Finalize(NULL));
}

static void scene_large(void)
{
  CK_ULONG size = 48UL << 20, length = 64;
  CK_BYTE *data = calloc(2, size), digest[64];
  if (data == NULL) exit(3);
  say("C_Initialize", p->C_Initialize(NULL));
  CK_SESSION_HANDLE session = open_session("C_OpenSession");
  say("48 MiB", p->C_Digest(session, data, size, digest, &length));
  say("96 MiB", p->C_SeedRandom(session, data, 2 * size));
  memset(data, 0, size);
  say("random", p->C_GenerateRandom(session, data, 16UL << 20));
  printf("last byte 0x%x\n", data[(16UL << 20) - 1]);
  say("C_Finalize", p->C_Finalize(NULL));
  free(data);
}

static void interrupt(int signal)
{
  (void)signal;
}

static atomic_int chaos_over;
static atomic_long chaos_good;

static void *chaos_thread(void *unused)
{
  while (!atomic_load(&chaos_over)) {
    if (use_a_session() == CKR_OK) atomic_fetch_add(&chaos_good, 1);
    else usleep(1000);
  }
  return unused;
}

#define CHAOS_MS 3000
#define CHAOS_GOOD 100
/* Where a machine is too slow for that much work it gets more time: engines take as long to start as they live. */
#define CHAOS_MOST_MS 30000

/* Eight threads work while this one ends and begins, signals interrupt everything, and engines are killed. */
static void scene_chaos(void)
{
  pthread_t threads[8];
  struct sigaction action = {.sa_handler = interrupt}; /* without SA_RESTART */
  struct itimerval often = {{0, 2000}, {0, 2000}};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
  for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, chaos_thread, NULL);
  for (long long began = now_ms(), now = began; now < began + CHAOS_MOST_MS; now = now_ms()) {
    if (now >= began + CHAOS_MS && atomic_load(&chaos_good) > CHAOS_GOOD) break;
    p->C_Initialize(NULL);
    for (long long until = now_ms() + 30; now_ms() < until;) usleep(5000); /* signals cut it short */
    p->C_Finalize(NULL);
  }
  atomic_store(&chaos_over, 1);
  for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
  printf("chaos over, %s\n", chaos_good > CHAOS_GOOD ? "work done" : "nothing done");
  fprintf(stderr, "%ld sessions\n", chaos_good);
}

int main(int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*play)(void);
  } scenes[] = {
      {"functions", scene_functions}, {"arguments", scene_arguments}, {"initialize", scene_initialize},
      {"crowd", scene_crowd},         {"fork", scene_fork},           {"killed", scene_killed},
      {"cycle", scene_cycle},         {"atexit", scene_atexit},       {"blocked", scene_blocked},
      {"garbled", scene_garbled},     {"large", scene_large},         {"chaos", scene_chaos},
  };
  if (argc < 3) return 2;
  p = load_module(argv[1]);
  for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
    if (strcmp(argv[2], scenes[i].name) != 0) continue;
    scenes[i].play();
    return 0;
  }
  return 2;
}
