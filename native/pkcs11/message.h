/* One frame being written or read. Only these functions, and the transport, touch its bytes: a write that
 * does not fit and a read beyond the end do nothing but set `trouble`, which is looked at once at the end. */
#ifndef CLOUDHSM_LOCAL_MESSAGE_H
#define CLOUDHSM_LOCAL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum message_trouble {
  MESSAGE_FINE,
  MESSAGE_TOO_LARGE, /* beyond LIMIT_FRAME_BYTES */
  MESSAGE_NO_MEMORY,
  MESSAGE_MALFORMED, /* ended too early, or a reader said so */
};

struct message {
  unsigned char *bytes;
  size_t length;   /* written so far, or received */
  size_t capacity; /* allocated */
  size_t at;       /* read so far */
  enum message_trouble trouble;
};

/* Empties the message and keeps its memory. */
void message_start(struct message *message);
/* Makes room for `capacity` bytes. What was written stays; the memory it moves out of is cleansed. */
bool message_reserve(struct message *message, size_t capacity);
/* Overwrites what the message holds. */
void message_cleanse(struct message *message);
/* Gives back memory that only a large frame needed. */
void message_trim(struct message *message);
void message_free(struct message *message);

void put_u8(struct message *message, uint8_t value);
void put_u16(struct message *message, uint16_t value);
void put_u32(struct message *message, uint32_t value);
void put_u64(struct message *message, uint64_t value);
void put_bytes(struct message *message, const void *bytes, size_t length);
/* u32 length, then the bytes. */
void put_counted(struct message *message, const void *bytes, size_t length);

void message_rewind(struct message *message);
uint8_t get_u8(struct message *message);
uint16_t get_u16(struct message *message);
uint32_t get_u32(struct message *message);
uint64_t get_u64(struct message *message);
/* The next `length` bytes, still in the message; NULL where it has fewer. */
const unsigned char *get_bytes(struct message *message, size_t length);
void message_malformed(struct message *message);
/* Everything was read and nothing was wrong. */
bool message_ended(const struct message *message);

/* memset that no compiler leaves out. */
void cleanse(void *bytes, size_t length);

#endif
