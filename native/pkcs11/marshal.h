/* Between a program's memory and a message. Every put_ function answers CKR_OK or what the call answers
 * without a round trip; what does not fit the frame is noted in the message. Every take_ function runs twice
 * over an answer: first with CHECK, which writes nothing, then with DELIVER, so that a program never sees
 * half of it. */
#ifndef CLOUDHSM_LOCAL_MARSHAL_H
#define CLOUDHSM_LOCAL_MARSHAL_H

#include "message.h"
#include "table.h"

enum pass { CHECK, DELIVER };

/* pack.c */
CK_RV put_request(struct message *request, enum call_number number, const union value *values);
void put_room(struct message *request, const void *buffer, CK_ULONG capacity);

/* unpack.c: false for an answer that does not follow the table; nothing was written then. */
bool take_answer(struct message *answer, enum call_number number, const union value *values, CK_RV *rv);
/* Whether `given` of `full` bytes or entries answer a program that offered `capacity` of them at `buffer`. */
bool fits_offer(CK_RV rv, const void *buffer, CK_ULONG capacity, uint64_t full, uint64_t given);

/* template.c */
CK_RV put_template(struct message *request, const CK_ATTRIBUTE *attributes, CK_ULONG count);
CK_RV put_query(struct message *request, const CK_ATTRIBUTE *attributes, CK_ULONG count);
void take_query(struct message *answer, CK_ATTRIBUTE *attributes, CK_ULONG count, CK_RV rv, enum pass pass);

/* mechanism.c */
void put_mechanism(struct message *request, const CK_MECHANISM *mechanism);
void take_returned(struct message *answer, const CK_MECHANISM *mechanism, enum pass pass);

#endif
