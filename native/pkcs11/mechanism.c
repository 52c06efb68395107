/* CK_MECHANISM: its parameter is encoded field by field, and its pointers never travel. */
#include <string.h>

#include "marshal.h"

static const struct mechanism_row *find_row(CK_MECHANISM_TYPE type)
{
  for (unsigned i = 0; i < MECHANISM_ROW_COUNT; i++) {
    if (mechanism_rows[i].type == type) return &mechanism_rows[i];
  }
  return NULL;
}

/* A pointer and its length, or the number of structures it points to, within a parameter that need not be aligned. */
struct span {
  unsigned char *bytes;
  CK_ULONG length;
};

static struct span span_of(const void *parameter, const struct field_row *field)
{
  struct span span;
  memcpy(&span.bytes, (const unsigned char *)parameter + field->offset, sizeof span.bytes);
  memcpy(&span.length, (const unsigned char *)parameter + field->length_offset, sizeof span.length);
  return span;
}

static const struct layout *pointed_layout(const struct field_row *field)
{
  return &parameter_layouts[field->layout];
}

/* Whether every pointer within a structure can be followed. A structure only points to those of earlier rows, so
 * this ends. */
static bool followable(const struct layout *layout, const void *structure)
{
  for (unsigned i = 0; i < layout->field_count; i++) {
    const struct field_row *field = &layout->fields[i];
    if (field->kind != FIELD_BYTES && field->kind != FIELD_STRUCT && field->kind != FIELD_STRUCTS) continue;
    struct span span = span_of(structure, field);
    if (field->kind == FIELD_STRUCT) span.length = 1;
    if (span.bytes == NULL && span.length > 0) return false;
    if (field->kind == FIELD_BYTES) continue;
    if (span.length > LIMIT_PARAMETER_ENTRIES) return false;
    for (CK_ULONG at = 0; at < span.length; at++) {
      if (!followable(pointed_layout(field), span.bytes + at * pointed_layout(field)->size)) return false;
    }
  }
  return true;
}

static bool usable(const CK_MECHANISM *mechanism, const struct layout *layout)
{
  return mechanism->ulParameterLen == layout->size && followable(layout, mechanism->pParameter);
}

static void put_structure(struct message *request, const struct layout *layout, const void *structure);

static void put_field(struct message *request, const struct field_row *field, const void *structure)
{
  const unsigned char *member = (const unsigned char *)structure + field->offset;
  struct span span;
  CK_ULONG number;
  switch ((enum field_kind)field->kind) {
    case FIELD_BYTES:
      span = span_of(structure, field);
      put_counted(request, span.bytes, span.length);
      return;
    case FIELD_GIVEN:
      memcpy(&span.bytes, member, sizeof span.bytes);
      put_u8(request, span.bytes != NULL);
      return;
    case FIELD_STRUCT:
      put_structure(request, pointed_layout(field), span_of(structure, field).bytes);
      return;
    case FIELD_STRUCTS:
      span = span_of(structure, field);
      put_u32(request, (uint32_t)span.length);
      for (CK_ULONG at = 0; at < span.length; at++) {
        put_structure(request, pointed_layout(field), span.bytes + at * pointed_layout(field)->size);
      }
      return;
    case FIELD_ARRAY:
      put_bytes(request, member, field->size);
      return;
    case FIELD_FLAG:
      put_u8(request, *member != CK_FALSE);
      return;
    default:
      memcpy(&number, member, sizeof number);
      put_u64(request, number);
  }
}

static void put_structure(struct message *request, const struct layout *layout, const void *structure)
{
  for (unsigned i = 0; i < layout->field_count; i++) put_field(request, &layout->fields[i], structure);
}

static void put_head(struct message *request, enum parameter_form form, CK_MECHANISM_TYPE type)
{
  put_u8(request, (uint8_t)form);
  put_u64(request, type);
}

void put_mechanism(struct message *request, const CK_MECHANISM *mechanism)
{
  if (mechanism == NULL) {
    put_u8(request, FORM_NULL_MECHANISM);
    return;
  }
  const struct mechanism_row *row = find_row(mechanism->mechanism);
  if (mechanism->pParameter == NULL || mechanism->ulParameterLen == 0) {
    put_head(request, FORM_NONE, mechanism->mechanism);
  } else if (row != NULL && row->form == FORM_BYTES) {
    put_head(request, FORM_BYTES, mechanism->mechanism);
    put_counted(request, mechanism->pParameter, mechanism->ulParameterLen);
  } else if (row != NULL && usable(mechanism, &parameter_layouts[row->layout])) {
    const struct layout *layout = &parameter_layouts[row->layout];
    put_head(request, FORM_STRUCT, mechanism->mechanism);
    put_u8(request, row->layout);
    put_structure(request, layout, mechanism->pParameter);
  } else {
    put_head(request, FORM_UNUSABLE, mechanism->mechanism);
    put_u64(request, mechanism->ulParameterLen);
  }
}

/* Where bytes may come back to, such as the IV the HSM made; of length 0 where nothing may. */
static struct span returned_span(const CK_MECHANISM *mechanism)
{
  const struct span nothing = {NULL, 0};
  if (mechanism == NULL || mechanism->pParameter == NULL) return nothing;
  const struct mechanism_row *row = find_row(mechanism->mechanism);
  if (row == NULL || row->form != FORM_STRUCT) return nothing;
  const struct layout *layout = &parameter_layouts[row->layout];
  if (!usable(mechanism, layout)) return nothing;
  for (unsigned i = 0; i < layout->field_count; i++) {
    if (layout->fields[i].returned) return span_of(mechanism->pParameter, &layout->fields[i]);
  }
  return nothing;
}

void take_returned(struct message *answer, const CK_MECHANISM *mechanism, enum pass pass)
{
  uint32_t given = get_u32(answer);
  const unsigned char *bytes = get_bytes(answer, given);
  if (bytes == NULL || given == 0) return;
  struct span room = returned_span(mechanism);
  if (room.bytes == NULL || given > room.length) message_malformed(answer);
  else if (pass == DELIVER) memcpy(room.bytes, bytes, given);
}
