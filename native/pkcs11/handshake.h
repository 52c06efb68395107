/* The first frames on a connection and the answers to them. (src/wire/handshake.ts) */
#ifndef CLOUDHSM_LOCAL_HANDSHAKE_H
#define CLOUDHSM_LOCAL_HANDSHAKE_H

#include "channel.h"

void put_hello(struct message *request, const unsigned char token[TOKEN_BYTES]);
/* False for what is no welcome; otherwise the opening has its status, token and text. */
bool take_welcome(struct message *answer, struct opening *opening);
void put_share(struct message *request);
/* False for what is no offer of memory with our layout; `channels` 0: the engine shares none. */
bool take_offer(struct message *answer, unsigned *channels);

#endif
