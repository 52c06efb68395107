#ifndef CLOUDHSM_LOCAL_TEST_HOSTILE_ANSWERS_H
#define CLOUDHSM_LOCAL_TEST_HOSTILE_ANSWERS_H

#include "../message.h"

/* Answers of every kind, as the engine gives them. */
void good_answers(struct message *answer);
/* One lie each. */
void hostile_answers(struct message *answer);
/* $MUTATIONS random changes to good ones (default 300,000), from a fixed seed. */
void mutated_answers(struct message *answer);

#endif
