/* C_Initialize, C_Finalize, and forks between them. */
#define _POSIX_C_SOURCE 200809L
#include "export.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "call.h"
#include "complain.h"
#include "locate.h"
#include "module.h"
#include "pool.h"
#include "process.h"

enum phase { NOT_INITIALIZED, STARTING, READY, FINISHING };

#define START_LIMIT_MS 15000
#define FINALIZE_ANSWER_MS 1000
#define LEAVE_MS 500
#define INTERRUPTED_LEAVE_MS 2000

/* The phase and the process it holds for: in a forked child it is another's, which means not initialised,
 * without a fork handler and without a lock. */
static atomic_ullong phase_word;
static atomic_uint inside;

static unsigned long long word_of(enum phase phase)
{
  return (unsigned long long)process_id() << 8 | phase;
}

static bool change_phase(enum phase from, enum phase to)
{
  unsigned long long expected = word_of(from);
  return atomic_compare_exchange_strong(&phase_word, &expected, word_of(to));
}

bool module_running(void)
{
  return atomic_load(&phase_word) == word_of(READY);
}

bool module_enter(void)
{
  const unsigned long long ready = word_of(READY);
  if (atomic_load(&phase_word) != ready) return false;
  atomic_fetch_add(&inside, 1);
  /* C_Finalize changes the phase and then looks at `inside`: one of the two sees the other. */
  if (atomic_load(&phase_word) == ready) return true;
  module_leave();
  return false;
}

void module_leave(void)
{
  atomic_fetch_sub(&inside, 1);
}

static void nap(void)
{
  struct timespec millisecond = {0, 1000000};
  nanosleep(&millisecond, NULL);
}

static void wait_until_left(int limit_ms)
{
  for (; limit_ms > 0 && atomic_load(&inside) > 0; limit_ms--) nap();
}

/* The callbacks for mutexes come together or not at all (v2.40 base, section 5.4); pthread's serve anyway. */
static bool arguments_good(const CK_C_INITIALIZE_ARGS *arguments)
{
  if (arguments == NULL) return true;
  int callbacks = (arguments->CreateMutex != NULL) + (arguments->DestroyMutex != NULL) +
                  (arguments->LockMutex != NULL) + (arguments->UnlockMutex != NULL);
  return arguments->pReserved == NULL && (callbacks == 0 || callbacks == 4);
}

/* Makes this thread the one that starts the module, or waits for the one that does. False: answer `*rv`. */
static bool begin_start(CK_RV *rv)
{
  *rv = CKR_CRYPTOKI_ALREADY_INITIALIZED;
  for (int left = START_LIMIT_MS; left > 0; left--) {
    unsigned long long word = atomic_load(&phase_word);
    if (word == word_of(READY)) return false;
    if (word != word_of(STARTING) && word != word_of(FINISHING)) {
      if (!atomic_compare_exchange_strong(&phase_word, &word, word_of(STARTING))) continue;
      if (word != word_of(NOT_INITIALIZED) && word != 0) {
        pool_forget_parent();
        atomic_store(&inside, 0);
      }
      return true;
    }
    nap();
  }
  *rv = CKR_FUNCTION_FAILED;
  return false;
}

static bool start(void)
{
  struct location location;
  struct opening opening;
  if (!locate_socket(&location)) {
    complain_location(&location);
    return false;
  }
  if (!pool_start(location.path, &opening)) {
    complain_opening(location.path, &opening);
    return false;
  }
  locate_remember(location.path);
  return true;
}

CK_RV C_Initialize(CK_VOID_PTR pInitArgs)
{
  CK_RV rv;
  if (!arguments_good(pInitArgs)) return CKR_ARGUMENTS_BAD;
  process_prepare();
  if (!begin_start(&rv)) return rv;
  bool started = start();
  atomic_store(&phase_word, word_of(started ? READY : NOT_INITIALIZED));
  return started ? CKR_OK : CKR_FUNCTION_FAILED;
}

CK_RV C_Finalize(CK_VOID_PTR pReserved)
{
  if (!module_running()) return CKR_CRYPTOKI_NOT_INITIALIZED;
  if (pReserved != NULL) return CKR_ARGUMENTS_BAD;
  if (!change_phase(READY, FINISHING)) return CKR_CRYPTOKI_NOT_INITIALIZED;
  call_finalize(FINALIZE_ANSWER_MS);
  wait_until_left(LEAVE_MS);
  pool_stop();
  wait_until_left(INTERRUPTED_LEAVE_MS);
  atomic_store(&phase_word, word_of(NOT_INITIALIZED));
  return CKR_OK;
}
