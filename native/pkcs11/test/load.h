/* Loads a PKCS#11 module as programs do. */
#ifndef CLOUDHSM_LOCAL_TEST_LOAD_H
#define CLOUDHSM_LOCAL_TEST_LOAD_H

#include "../generated/include/cloudhsm_pkcs11_vendor_defs.h"

/* Ends the process with a message where it cannot. */
CK_FUNCTION_LIST_PTR load_module(const char *file);

#endif
