#include "table.h"

#include "generated/rows.h"

/* Numbers, structures and attribute values travel as an LP64 machine has them (src/pkcs11/template.ts). */
_Static_assert(sizeof(CK_ULONG) == 8, "cloudhsm-local needs a 64-bit machine");
_Static_assert(sizeof(CK_VOID_PTR) == 8, "cloudhsm-local needs a 64-bit machine");

unsigned values_of_kind(enum argument_kind kind)
{
  switch (kind) {
    case KIND_UP_TO:
      return 3;
    case KIND_BYTES:
    case KIND_TEMPLATE:
    case KIND_QUERY:
    case KIND_ROOM:
    case KIND_LIST:
    case KIND_SLOTS:
    case KIND_FILL:
      return 2;
    default:
      return 1;
  }
}
