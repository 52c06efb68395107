/* Included first by the files that define functions of the standard: those, and no others, are exported. */
#ifndef CLOUDHSM_LOCAL_EXPORT_H
#define CLOUDHSM_LOCAL_EXPORT_H

#define CK_API __attribute__((visibility("default")))
#include "generated/include/cryptoki.h"

#endif
