/* Whether this process has initialised the module, and who is inside it. */
#ifndef CLOUDHSM_LOCAL_MODULE_H
#define CLOUDHSM_LOCAL_MODULE_H

#include <stdbool.h>

/* False: CKR_CRYPTOKI_NOT_INITIALIZED. True: C_Finalize waits (for a while) for module_leave. */
bool module_enter(void);
void module_leave(void);
/* False once C_Finalize has begun. */
bool module_running(void);

#endif
