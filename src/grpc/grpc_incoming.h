#ifndef FLETCH_GRPC_GRPC_INCOMING_H
#define FLETCH_GRPC_GRPC_INCOMING_H

/* Messages that have begun and not ended: how many bytes of them a connection may claim, and how
 * slowly they may come. */

#include "grpc/grpc_machine.h"

/* A message of `call->message_bytes` > 0 bytes begins. False: the call has failed, since there are
 * too many bytes under way. */
bool fletch_grpc_incoming_begin(struct fletch_grpc_call *call);

/* It is whole, or never will be. Where none has begun: nothing. */
void fletch_grpc_incoming_end(struct fletch_grpc_call *call);

/* The time of its next step has come. */
void fletch_grpc_incoming_check(struct fletch_grpc_call *call);

#endif
