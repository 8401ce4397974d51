#ifndef FLETCH_ARROW_IPC_COMPRESS_H
#define FLETCH_ARROW_IPC_COMPRESS_H

/* The body of a message, compressed buffer by buffer as the format has it: the length, then the
 * bytes, compressed or, where that makes them no fewer, as they are behind the length -1. */

#include "arrow/codec.h"
#include "arrow/ipc_slice.h"

/* Lets the pieces of a plan be what they become, direct, in a new buffer with one reference (NULL:
 * all are empty), and ranges and sizes with them. RESOURCE_EXHAUSTED: the plan
 * is as it was. */
enum fletch_status fletch_ipc_plan_compress(struct fletch_ipc_plan *plan,
                                            const struct fletch_compressor *compressor,
                                            struct fletch_buffer **out_body,
                                            struct fletch_error *error);

#endif
