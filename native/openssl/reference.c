#include <string.h>

#include "engine.h"

#define MAGIC "cloudhsm key ref"
#define MAGIC_BYTES (sizeof MAGIC - 1)
#define REFERENCE_BYTES (MAGIC_BYTES + 8)

bool reference_read(const BIGNUM *number, CK_OBJECT_HANDLE *key)
{
  unsigned char bytes[REFERENCE_BYTES];
  if (number == NULL || BN_num_bytes(number) != REFERENCE_BYTES) return false;
  BN_bn2bin(number, bytes);
  if (memcmp(bytes, MAGIC, MAGIC_BYTES) != 0) return false;
  *key = 0;
  for (size_t i = MAGIC_BYTES; i < REFERENCE_BYTES; i++) *key = *key << 8 | bytes[i];
  return true;
}

BIGNUM *reference_write(CK_OBJECT_HANDLE key)
{
  unsigned char bytes[REFERENCE_BYTES];
  memcpy(bytes, MAGIC, MAGIC_BYTES);
  for (size_t i = REFERENCE_BYTES; i-- > MAGIC_BYTES; key >>= 8) bytes[i] = (unsigned char)key;
  return BN_bin2bn(bytes, REFERENCE_BYTES, NULL);
}
