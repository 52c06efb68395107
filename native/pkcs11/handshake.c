#define _GNU_SOURCE /* program_invocation_short_name */
#include "handshake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shared/channel-layout.h"
#include "locate.h"

#define PROGRAM_NAME_BYTES 256

static const char *program_name(void)
{
#ifdef __APPLE__
  return getprogname();
#else
  return program_invocation_short_name != NULL ? program_invocation_short_name : "";
#endif
}

void put_hello(struct message *request, const unsigned char token[TOKEN_BYTES])
{
  const char *program = program_name();
  size_t length = strlen(program);
  if (length > PROGRAM_NAME_BYTES) length = PROGRAM_NAME_BYTES;
  put_bytes(request, "CHSMP11", 8);
  put_u64(request, TABLE_HASH);
  put_bytes(request, token, TOKEN_BYTES);
  put_u32(request, (uint32_t)getpid());
  put_u16(request, (uint16_t)length);
  put_bytes(request, program, length);
  const char *config = locate_config();
  length = strlen(config);
  put_u16(request, (uint16_t)length);
  put_bytes(request, config, length);
}

/* The engine's text, made fit for one line on a terminal. */
static void copy_text(char *text, size_t room, const unsigned char *from, size_t length)
{
  if (length > room - 1) length = room - 1;
  for (size_t i = 0; i < length; i++) text[i] = (char)(from[i] >= ' ' && from[i] <= '~' ? from[i] : '?');
  text[length] = 0;
}

bool take_welcome(struct message *answer, struct opening *opening)
{
  message_rewind(answer);
  opening->status = get_u32(answer);
  const unsigned char *token = get_bytes(answer, TOKEN_BYTES);
  size_t length = get_u16(answer);
  const unsigned char *text = get_bytes(answer, length);
  if (token == NULL || text == NULL || !message_ended(answer)) return false;
  memcpy(opening->token, token, TOKEN_BYTES);
  copy_text(opening->text, sizeof opening->text, text, length);
  return true;
}

void put_share(struct message *request)
{
  put_bytes(request, "CHSMMEM", 8);
  put_u32(request, CHANNEL_LAYOUT_VERSION);
}

bool take_offer(struct message *answer, unsigned *channels)
{
  message_rewind(answer);
  uint32_t version = get_u32(answer);
  *channels = get_u32(answer);
  uint32_t bytes = get_u32(answer);
  if (!message_ended(answer)) return false;
  if (*channels == 0) return true;
  return version == CHANNEL_LAYOUT_VERSION && *channels == GROUP_CHANNELS && bytes == CHANNEL_BYTES;
}
