#ifndef FLETCH_TESTS_SUPPORT_TURNED_IPC_H
#define FLETCH_TESTS_SUPPORT_TURNED_IPC_H

#include "arrow/ipc_format.h"
#include "arrow/schema.h"

/* Messages of ours whose numbers are turned round, byte by byte, into what a big-endian machine
 * would have written: those of batches of `schema`, in metadata version V5 and not compressed. */

/* The numbers of a span, as they are on this machine. */
void turn_span(const struct fletch_type *type, enum fletch_span_kind kind, uint8_t *bytes,
               size_t count);

/* The message with this metadata: a schema says that it is big-endian, other messages have their
 * body turned. Returns the bytes of that. */
uint64_t turn_message(const struct fletch_schema *schema, uint8_t *metadata, size_t bytes,
                      uint8_t *body);

/* All messages of a stream. */
void turn_stream(const struct fletch_schema *schema, uint8_t *bytes, size_t size);

#endif
