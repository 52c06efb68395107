/* Requests byte by byte. */
#ifndef CLOUDHSM_LOCAL_TEST_PACKING_H
#define CLOUDHSM_LOCAL_TEST_PACKING_H

#include <string.h>

#include "../marshal.h"
#include "check.h"

/* What `pack` made last. */
extern struct message request;

CK_RV pack(enum call_number number, const union value *values);

/* Whether the request is exactly what these writes make. */
#define REQUEST_IS(...)                                                                     \
  do {                                                                                      \
    struct message wanted = {0}, *m = &wanted;                                              \
    __VA_ARGS__;                                                                            \
    CHECK_THAT(wanted.length == request.length);                                            \
    CHECK_THAT(wanted.length == request.length && memcmp(wanted.bytes, request.bytes, wanted.length) == 0); \
    message_free(&wanted);                                                                  \
  } while (0)

void packed_mechanisms(void);

#endif
