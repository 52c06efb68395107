#include "complain.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 640

/* One write, so that lines of several threads and processes do not mix. stdio may be gone at exit. */
static void print_line(char *line, int length)
{
  if (length < 0) return;
  if (length > LINE_BYTES - 2) length = LINE_BYTES - 2;
  line[length++] = '\n';
  ssize_t ignored = write(STDERR_FILENO, line, (size_t)length);
  (void)ignored;
}

/* strerror is not safe among threads, and the two strerror_r differ. */
static const char *reason(const struct opening *opening)
{
  switch (opening->error) {
    case 0:
      return "it did not answer";
    case ENOENT:
      return "there is no such socket";
    case ECONNREFUSED:
      return "nobody listens there";
    case EACCES:
    case EPERM:
      return "this user may not open it";
    case EMFILE:
    case ENFILE:
      return "this process has too many open files";
    default:
      return "it cannot be opened";
  }
}

void complain_opening(const char *path, const struct opening *opening)
{
  char line[LINE_BYTES];
  int length;
  if (opening->result == OPENING_REFUSED) {
    length = snprintf(line, sizeof line, "cloudhsm-local: the engine at %s refused this program: %s", path,
                      opening->text);
  } else {
    length = snprintf(line, sizeof line,
                      "cloudhsm-local: no engine at %s (%s); start it with 'cloudhsm-local up' "
                      "(npx cloudhsm-local up, or npm start in the checkout)",
                      path, reason(opening));
  }
  print_line(line, length);
}

void complain_location(const struct location *location)
{
  char line[LINE_BYTES];
  int length = snprintf(line, sizeof line,
                        "cloudhsm-local: the engine's socket path from %s is longer than the %d bytes that "
                        "a Unix socket allows; choose a shorter folder",
                        location->origin, SOCKET_PATH_ROOM - 1);
  print_line(line, length);
}
