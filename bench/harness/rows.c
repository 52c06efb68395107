#include "rows.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct row *const chapters[] = {session_rows, signing_rows, cipher_rows, digest_rows, object_rows};

static const struct row *find_family(const char *name, size_t length)
{
  for (size_t i = 0; i < sizeof chapters / sizeof *chapters; i++) {
    for (const struct row *row = chapters[i]; row->family != NULL; row++) {
      if (strlen(row->family) == length && strncmp(row->family, name, length) == 0) return row;
    }
  }
  return NULL;
}

const struct row *find_row(const char *name, CK_ULONG *size, bool *token)
{
  static const char suffix[] = "-token";
  const size_t suffix_length = sizeof suffix - 1;
  const char *dash = strrchr(name, '-');
  bool sized = dash != NULL && isdigit((unsigned char)dash[1]);
  size_t length = sized ? (size_t)(dash - name) : strlen(name);
  *size = sized ? strtoul(dash + 1, NULL, 10) : 0;
  *token = false;
  const struct row *row = find_family(name, length);
  if (row != NULL || length <= suffix_length) return row;
  *token = strncmp(name + length - suffix_length, suffix, suffix_length) == 0;
  return *token ? find_family(name, length - suffix_length) : NULL;
}

void allocate_buffers(struct worker *worker, CK_ULONG input_length, CK_ULONG output_room)
{
  worker->input = malloc(input_length + 1);
  worker->output = malloc(output_room + 1);
  if (worker->input == NULL || worker->output == NULL) fail("no memory");
  memset(worker->input, 'a', input_length);
  worker->input_length = input_length;
  worker->output_room = output_room;
}
