#include "load.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

CK_FUNCTION_LIST_PTR load_module(const char *file)
{
  CK_RV (*get_function_list)(CK_FUNCTION_LIST_PTR_PTR);
  CK_FUNCTION_LIST_PTR list = NULL;
  void *module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  void *symbol = module == NULL ? NULL : dlsym(module, "C_GetFunctionList");
  if (symbol == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(2);
  }
  memcpy(&get_function_list, &symbol, sizeof symbol);
  if (get_function_list(&list) != CKR_OK || list == NULL) exit(2);
  return list;
}
