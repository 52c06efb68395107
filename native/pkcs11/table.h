/* The call table as the interpreter sees it: what the generated rows are made of. */
#ifndef CLOUDHSM_LOCAL_TABLE_H
#define CLOUDHSM_LOCAL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generated/calls.h"
#include "generated/include/cloudhsm_pkcs11_vendor_defs.h"

/* src/wire/calls.ts says what each kind is in C, in a request and in an answer. */
enum argument_kind {
  KIND_SESSION,
  KIND_SLOT,
  KIND_ULONG,
  KIND_FLAG,
  KIND_BYTES,
  KIND_TEXT,
  KIND_POINTER,
  KIND_MECHANISM,
  KIND_TEMPLATE,
  KIND_QUERY,
  KIND_ROOM,
  KIND_LIST,
  KIND_SLOTS,
  KIND_UP_TO,
  KIND_FILL,
  KIND_OUT_ULONG,
  KIND_OUT_SLOT,
  KIND_OUT_STRUCT,
};

struct argument_row {
  uint8_t kind;
  uint8_t detail; /* KIND_TEXT: its bytes; KIND_OUT_STRUCT: its info_layout */
};

struct call_row {
  const char *name;
  const struct argument_row *arguments;
  uint8_t argument_count;
  bool secret; /* the buffers are cleansed after use */
  bool absent; /* CloudHSM has no such function */
  /* Where data goes that no frame holds; 0, C_Initialize's number, is none. */
  uint8_t update;
  uint8_t final;
  uint8_t init; /* without a mechanism it ends the operation that the call is about; 0 where there is none */
  CK_RV too_long; /* what it answers where no frame holds its input */
};

enum field_kind {
  FIELD_ULONG,
  FIELD_FLAG,
  FIELD_SLOT,
  FIELD_BYTES,
  FIELD_GIVEN,
  FIELD_STRUCT,
  FIELD_STRUCTS,
  FIELD_ARRAY,
  FIELD_TEXT,
  FIELD_VERSION,
};

struct field_row {
  uint8_t kind;
  uint16_t offset;
  uint16_t length_offset; /* FIELD_BYTES, FIELD_STRUCTS: where the length is, or how many there are */
  uint16_t size;          /* FIELD_ARRAY, FIELD_TEXT */
  bool returned;          /* the answer may write through this pointer */
  uint8_t layout;         /* FIELD_STRUCT, FIELD_STRUCTS: the parameter_layout it points to, an earlier row */
};

struct layout {
  const struct field_row *fields;
  uint8_t field_count;
  uint16_t size;
};

struct mechanism_row {
  CK_MECHANISM_TYPE type;
  uint8_t form;   /* FORM_BYTES or FORM_STRUCT */
  uint8_t layout; /* FORM_STRUCT: its parameter_layout */
};

extern const struct call_row call_rows[CALL_COUNT];
extern const struct layout parameter_layouts[PARAMETER_LAYOUT_COUNT];
extern const struct layout info_layouts[INFO_LAYOUT_COUNT];
extern const struct mechanism_row mechanism_rows[MECHANISM_ROW_COUNT];
extern const CK_ATTRIBUTE_TYPE template_attributes[TEMPLATE_ATTRIBUTE_COUNT];

/* One C parameter of a call, in the order of its prototype. */
union value {
  CK_ULONG number;
  void *pointer;
};

/* How many C parameters an argument of this kind stands for. */
unsigned values_of_kind(enum argument_kind kind);

#endif
