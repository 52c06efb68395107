/* The first frame on a connection and the answer to it. (src/wire/handshake.ts) */
#ifndef CLOUDHSM_LOCAL_HANDSHAKE_H
#define CLOUDHSM_LOCAL_HANDSHAKE_H

#include "channel.h"

void put_hello(struct message *request, const unsigned char token[TOKEN_BYTES]);
/* False for what is no welcome; otherwise the opening has its status, token and text. */
bool take_welcome(struct message *answer, struct opening *opening);

#endif
