/* What a person reads on stderr, one line at a time. */
#ifndef CLOUDHSM_LOCAL_COMPLAIN_H
#define CLOUDHSM_LOCAL_COMPLAIN_H

#include "channel.h"
#include "locate.h"

/* Why the engine behind this socket is not used, and what helps. */
void complain_opening(const char *path, const struct opening *opening);
void complain_location(const struct location *location);

#endif
