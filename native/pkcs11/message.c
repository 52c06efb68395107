#include "message.h"

#include <stdlib.h>
#include <string.h>

#include "generated/calls.h"

#define INITIAL_BYTES 4096
/* A channel keeps this much between calls. */
#define KEPT_BYTES (64 * 1024)

/* explicit_bzero is younger than the C libraries we run on; through a volatile pointer memset stays. */
static void *(*const volatile overwrite)(void *, int, size_t) = memset;

void cleanse(void *bytes, size_t length)
{
  if (length > 0) overwrite(bytes, 0, length);
}

void message_start(struct message *message)
{
  message->length = 0;
  message->at = 0;
  message->trouble = MESSAGE_FINE;
}

bool message_reserve(struct message *message, size_t capacity)
{
  if (capacity <= message->capacity) return true;
  size_t larger = message->capacity < INITIAL_BYTES ? INITIAL_BYTES : message->capacity * 2;
  if (larger < capacity) larger = capacity;
  unsigned char *bytes = malloc(larger);
  if (bytes == NULL) {
    message->trouble = MESSAGE_NO_MEMORY;
    return false;
  }
  if (message->length > 0) memcpy(bytes, message->bytes, message->length);
  /* realloc would leave a copy of a PIN or a key in freed memory. */
  cleanse(message->bytes, message->length);
  free(message->bytes);
  message->bytes = bytes;
  message->capacity = larger;
  return true;
}

void message_cleanse(struct message *message)
{
  cleanse(message->bytes, message->length);
}

void message_trim(struct message *message)
{
  if (message->capacity > KEPT_BYTES) message_free(message);
}

void message_free(struct message *message)
{
  free(message->bytes);
  *message = (struct message){0};
}

/* Where the next `length` bytes go, or NULL. */
static unsigned char *extend(struct message *message, size_t length)
{
  if (message->trouble != MESSAGE_FINE) return NULL;
  if (length > LIMIT_FRAME_BYTES - message->length) {
    message->trouble = MESSAGE_TOO_LARGE;
    return NULL;
  }
  if (!message_reserve(message, message->length + length)) return NULL;
  unsigned char *bytes = message->bytes + message->length;
  message->length += length;
  return bytes;
}

/* As numbers travel; of a shorter one the first bytes. */
static inline uint64_t little_endian(uint64_t value)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return __builtin_bswap64(value);
#else
  return value;
#endif
}

static inline void put_little_endian(struct message *message, uint64_t value, size_t width)
{
  unsigned char *bytes = extend(message, width);
  value = little_endian(value);
  if (bytes != NULL) memcpy(bytes, &value, width);
}

void put_u8(struct message *message, uint8_t value)
{
  put_little_endian(message, value, 1);
}

void put_u16(struct message *message, uint16_t value)
{
  put_little_endian(message, value, 2);
}

void put_u32(struct message *message, uint32_t value)
{
  put_little_endian(message, value, 4);
}

void put_u64(struct message *message, uint64_t value)
{
  put_little_endian(message, value, 8);
}

void put_bytes(struct message *message, const void *bytes, size_t length)
{
  unsigned char *room = extend(message, length);
  if (room != NULL && length > 0) memcpy(room, bytes, length);
}

void put_counted(struct message *message, const void *bytes, size_t length)
{
  if (length > LIMIT_FRAME_BYTES) {
    if (message->trouble == MESSAGE_FINE) message->trouble = MESSAGE_TOO_LARGE;
    return;
  }
  put_u32(message, (uint32_t)length);
  put_bytes(message, bytes, length);
}

void message_rewind(struct message *message)
{
  message->at = 0;
}

const unsigned char *get_bytes(struct message *message, size_t length)
{
  if (message->trouble != MESSAGE_FINE) return NULL;
  if (length > message->length - message->at) {
    message->trouble = MESSAGE_MALFORMED;
    return NULL;
  }
  const unsigned char *bytes = message->bytes + message->at;
  message->at += length;
  return bytes;
}

static inline uint64_t get_little_endian(struct message *message, size_t width)
{
  const unsigned char *bytes = get_bytes(message, width);
  uint64_t value = 0;
  if (bytes != NULL) memcpy(&value, bytes, width);
  return little_endian(value);
}

uint8_t get_u8(struct message *message)
{
  return (uint8_t)get_little_endian(message, 1);
}

uint16_t get_u16(struct message *message)
{
  return (uint16_t)get_little_endian(message, 2);
}

uint32_t get_u32(struct message *message)
{
  return (uint32_t)get_little_endian(message, 4);
}

uint64_t get_u64(struct message *message)
{
  return get_little_endian(message, 8);
}

void message_malformed(struct message *message)
{
  if (message->trouble == MESSAGE_FINE) message->trouble = MESSAGE_MALFORMED;
}

bool message_ended(const struct message *message)
{
  return message->trouble == MESSAGE_FINE && message->at == message->length;
}
