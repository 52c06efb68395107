#include "following.h"

#ifdef __linux__
#include <sched.h>
#endif

namespace transport {

#ifdef __linux__

namespace {

// Who is moved costs 10 us, and the program's thread may be moved as well.
constexpr unsigned MOST_ELSEWHERE = 3;

// Moves this thread to a processor that it may use; the kernel may move it on from there.
void moveTo(unsigned processor) {
  cpu_set_t usable, there;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return;
  if (processor >= CPU_SETSIZE || !CPU_ISSET(processor, &usable)) return;
  CPU_ZERO(&there);
  CPU_SET(processor, &there);
  if (sched_setaffinity(0, sizeof there, &there) == 0) sched_setaffinity(0, sizeof usable, &usable);
}

}  // namespace

void Following::sawAt(unsigned processor) {
  if (static_cast<int>(processor) == sched_getcpu()) {
    elsewhere_ = 0;
  } else if (++elsewhere_ == MOST_ELSEWHERE) {
    elsewhere_ = 0;
    moveTo(processor);
  }
}

#else

void Following::sawAt(unsigned) {}

#endif

}  // namespace transport
