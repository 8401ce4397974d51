#ifndef FLETCH_HTTP2_HTTP2_OUTPUT_H
#define FLETCH_HTTP2_HTTP2_OUTPUT_H

/* What is sent next: docs/HTTP2.md. */

#include "http2/http2_machine.h"

/* Nothing of the batch will be sent any more: its data is done. */
void fletch_http2_batch_drop(struct fletch_http2_connection *connection);

#endif
