/* Which process this is, without a system call for each call of the program. */
#ifndef CLOUDHSM_LOCAL_PROCESS_H
#define CLOUDHSM_LOCAL_PROCESS_H

#include <sys/types.h>

/* From now on process_id() need not ask the system; where it has to nevertheless, nothing else differs. */
void process_prepare(void);
/* getpid(), also in a child that was forked without fork handlers. */
pid_t process_id(void);

#endif
