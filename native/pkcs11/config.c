/* Not a JSON parser: it steps over strings rightly, so that a key is never mistaken, and ignores all else. */
#define _GNU_SOURCE /* O_CLOEXEC */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_BYTES (64 * 1024)

/* The file's beginning in `text`, with a terminator; false where it cannot be read. */
static bool read_file(const char *file, char *text)
{
  int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return false;
  size_t length = 0;
  while (length < CONFIG_BYTES - 1) {
    ssize_t got = read(fd, text + length, CONFIG_BYTES - 1 - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    length += (size_t)got;
  }
  close(fd);
  text[length] = 0;
  return true;
}

static const char *skip_blanks(const char *at)
{
  return at + strspn(at, " \t\r\n");
}

/* Behind a string whose opening quote is at `at`; NULL where it does not end. */
static const char *skip_string(const char *at)
{
  for (at++; *at != 0 && *at != '"'; at++) {
    if (*at == '\\' && at[1] != 0) at++;
  }
  return *at == '"' ? at + 1 : NULL;
}

/* Copies a string; of the escapes only those a path may need: \" \\ \/ . */
static enum config_result copy_string(const char *at, char *path)
{
  size_t length = 0;
  for (at++; *at != 0 && *at != '"'; at++) {
    if (*at == '\\' && strchr("\"\\/", *++at) == NULL) return CONFIG_SILENT;
    if (length == (size_t)SOCKET_PATH_ROOM - 1) return CONFIG_TOO_LONG;
    path[length++] = *at;
  }
  path[length] = 0;
  return *at == '"' && length > 0 ? CONFIG_FOUND : CONFIG_SILENT;
}

static enum config_result find_socket(const char *text, char *path)
{
  static const char key[] = "\"socket\"";
  for (const char *at = strchr(text, '"'); at != NULL; at = strchr(at, '"')) {
    const char *end = skip_string(at);
    if (end == NULL) break;
    const char *colon = skip_blanks(end);
    bool is_key = (size_t)(end - at) == sizeof key - 1 && strncmp(at, key, sizeof key - 1) == 0;
    if (is_key && *colon == ':') {
      const char *value = skip_blanks(colon + 1);
      if (*value == '"') return copy_string(value, path);
    }
    at = end;
  }
  return CONFIG_SILENT;
}

enum config_result config_socket(const char *file, char path[])
{
  char *text = malloc(CONFIG_BYTES);
  if (text == NULL) return CONFIG_SILENT;
  enum config_result result = read_file(file, text) ? find_socket(text, path) : CONFIG_SILENT;
  free(text);
  return result;
}
