/* The functions of the standard that the engine answers, each one line from its row in src/wire/calls.ts. */
#include "export.h"

#include <stddef.h>

#include "call.h"
#include "generated/functions.h"

/* Works before C_Initialize and without an engine. (v2.40 base, section 5.4) */
CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR ppFunctionList)
{
  if (ppFunctionList == NULL) return CKR_ARGUMENTS_BAD;
  *ppFunctionList = &function_list;
  return CKR_OK;
}
