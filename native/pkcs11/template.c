/* CK_ATTRIBUTE arrays: templates that are sent, and those C_GetAttributeValue fills in. */
#include <string.h>

#include "marshal.h"

static bool is_template(CK_ATTRIBUTE_TYPE type)
{
  for (unsigned i = 0; i < TEMPLATE_ATTRIBUTE_COUNT; i++) {
    if (template_attributes[i] == type) return true;
  }
  return false;
}

static CK_RV put_entries(struct message *request, const void *attributes, CK_ULONG count, unsigned depth);

/* The value of CKA_WRAP_TEMPLATE and its like holds pointers: its entries travel one by one. */
static CK_RV put_attribute(struct message *request, const CK_ATTRIBUTE *attribute, unsigned depth)
{
  CK_ULONG length = attribute->ulValueLen;
  if (attribute->pValue == NULL && length > 0) return CKR_ARGUMENTS_BAD;
  put_u64(request, attribute->type);
  if (is_template(attribute->type) && length % sizeof(CK_ATTRIBUTE) == 0) {
    put_u8(request, 1);
    return put_entries(request, attribute->pValue, length / sizeof(CK_ATTRIBUTE), depth + 1);
  }
  if (length > LIMIT_ATTRIBUTE_BYTES) return CKR_ATTRIBUTE_VALUE_INVALID;
  put_u8(request, 0);
  put_counted(request, attribute->pValue, length);
  return CKR_OK;
}

/* `attributes` may be any address: the value of an attribute need not be aligned. */
static CK_RV put_entries(struct message *request, const void *attributes, CK_ULONG count, unsigned depth)
{
  if (depth > LIMIT_TEMPLATE_DEPTH || count > LIMIT_TEMPLATE_ATTRIBUTES) return CKR_TEMPLATE_INCONSISTENT;
  const unsigned char *next = attributes;
  put_u32(request, (uint32_t)count);
  for (CK_ULONG i = 0; i < count && request->trouble == MESSAGE_FINE; i++, next += sizeof(CK_ATTRIBUTE)) {
    CK_ATTRIBUTE attribute;
    memcpy(&attribute, next, sizeof attribute);
    CK_RV rv = put_attribute(request, &attribute, depth);
    if (rv != CKR_OK) return rv;
  }
  return CKR_OK;
}

CK_RV put_template(struct message *request, const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
  if (attributes == NULL && count > 0) return CKR_ARGUMENTS_BAD;
  return put_entries(request, attributes, count, 0);
}

/* How many attributes an array has room for, as far as they can be asked for. */
static uint32_t entries_of(const CK_ATTRIBUTE *attribute)
{
  CK_ULONG count = attribute->ulValueLen / sizeof(CK_ATTRIBUTE);
  return (uint32_t)(count < LIMIT_TEMPLATE_ATTRIBUTES ? count : LIMIT_TEMPLATE_ATTRIBUTES);
}

/* The array need not be aligned. */
static CK_ATTRIBUTE entry_of(const CK_ATTRIBUTE *attribute, uint32_t at)
{
  CK_ATTRIBUTE entry;
  memcpy(&entry, (const unsigned char *)attribute->pValue + at * sizeof entry, sizeof entry);
  return entry;
}

static void put_entries_query(struct message *request, const CK_ATTRIBUTE *attribute)
{
  uint32_t count = entries_of(attribute);
  put_u32(request, count);
  for (uint32_t i = 0; i < count; i++) {
    CK_ATTRIBUTE entry = entry_of(attribute, i);
    put_u64(request, entry.type);
    put_room(request, entry.pValue, entry.ulValueLen);
  }
}

CK_RV put_query(struct message *request, const CK_ATTRIBUTE *attributes, CK_ULONG count)
{
  if (attributes == NULL && count > 0) return CKR_ARGUMENTS_BAD;
  if (count > LIMIT_TEMPLATE_ATTRIBUTES) return CKR_TEMPLATE_INCONSISTENT;
  put_u32(request, (uint32_t)count);
  for (CK_ULONG i = 0; i < count; i++) {
    put_u64(request, attributes[i].type);
    put_room(request, attributes[i].pValue, attributes[i].ulValueLen);
    if (attributes[i].pValue != NULL && is_template(attributes[i].type)) put_entries_query(request, &attributes[i]);
  }
  return CKR_OK;
}

/* A value, its length, or the absence of one, into an attribute of the program's. */
static void take_value(struct message *answer, CK_ATTRIBUTE *attribute, CK_RV rv, enum pass pass)
{
  uint64_t full = get_u64(answer);
  uint32_t given = get_u32(answer);
  const unsigned char *bytes = get_bytes(answer, given);
  bool fits = full == CK_UNAVAILABLE_INFORMATION
                  ? given == 0
                  : fits_offer(rv, attribute->pValue, attribute->ulValueLen, full, given);
  if (!fits) message_malformed(answer);
  if (pass == CHECK || answer->trouble != MESSAGE_FINE) return;
  if (given > 0) memcpy(attribute->pValue, bytes, given);
  attribute->ulValueLen = full;
}

/* The program's array of attributes is filled in entry by entry: nothing is written over its pointers. */
static void take_template(struct message *answer, CK_ATTRIBUTE *attribute, CK_RV rv, enum pass pass)
{
  uint64_t full = get_u64(answer);
  uint32_t given = get_u32(answer);
  bool offered = attribute->pValue != NULL;
  bool whole = full != CK_UNAVAILABLE_INFORMATION && offered;
  if (given > (offered ? entries_of(attribute) : 0) || (whole && full != given * sizeof(CK_ATTRIBUTE)) ||
      (!whole && given > 0)) {
    message_malformed(answer);
  }
  for (uint32_t i = 0; i < given && answer->trouble == MESSAGE_FINE; i++) {
    CK_ATTRIBUTE entry = entry_of(attribute, i);
    CK_ATTRIBUTE_TYPE type = get_u64(answer);
    /* Where the program has another type the array is not initialised: its pointer leads nowhere. */
    CK_ATTRIBUTE filled = {type, entry.type == type ? entry.pValue : NULL, entry.ulValueLen};
    take_value(answer, &filled, rv, pass);
    entry.type = type;
    entry.ulValueLen = filled.ulValueLen;
    if (pass == DELIVER) memcpy((unsigned char *)attribute->pValue + i * sizeof entry, &entry, sizeof entry);
  }
  if (pass == DELIVER && answer->trouble == MESSAGE_FINE) attribute->ulValueLen = full;
}

void take_query(struct message *answer, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_RV rv, enum pass pass)
{
  for (CK_ULONG i = 0; i < count && answer->trouble == MESSAGE_FINE; i++) {
    if (is_template(attributes[i].type)) take_template(answer, &attributes[i], rv, pass);
    else take_value(answer, &attributes[i], rv, pass);
  }
}
