/* The interpreter of the call table. */
#ifndef CLOUDHSM_LOCAL_CALL_H
#define CLOUDHSM_LOCAL_CALL_H

#include "table.h"

/* Has the engine do a call. `values`: its C parameters in the order of its prototype. */
CK_RV call(enum call_number number, const union value *values);
/* Tells the engine that this application ends, and waits a bounded time for it to let go of blocked calls. */
void call_finalize(int limit_ms);

#endif
