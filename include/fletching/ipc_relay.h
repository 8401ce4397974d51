#ifndef FLETCHING_IPC_RELAY_H
#define FLETCHING_IPC_RELAY_H

/** Passing an Arrow IPC stream on as it is: of each message only the head is read and checked (that
 *  it is one, its version and kind, the length of its body, the order of schema and the rest), and
 *  prefix, metadata and body go on byte for byte. Neither end needs the schema, nor the types in
 *  it. Threads: as for readers and writers. */

#include <stddef.h>
#include <stdint.h>

#include <fletching/buffer.h>
#include <fletching/export.h>
#include <fletching/ipc_reader.h>
#include <fletching/ipc_writer.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

enum fletch_ipc_relayed_kind {
    FLETCH_IPC_RELAYED_END = 0, /* there are no more */
    FLETCH_IPC_RELAYED_SCHEMA = 1,
    FLETCH_IPC_RELAYED_DICTIONARY = 2,
    FLETCH_IPC_RELAYED_BATCH = 3
};

/** A message as it came. Its buffers may be kept, sent elsewhere and released on any thread. */
struct fletch_ipc_relayed {
    enum fletch_ipc_relayed_kind kind;
    uint8_t prefix[8];
    uint32_t prefix_bytes;          /* 8, or 4 as they were before the continuation marker */
    struct fletch_buffer *metadata; /* the flatbuffer and its padding */
    struct fletch_buffer *body;     /* NULL: there is none */
};

/** The next message of a reader that was opened with `is_relay`, with references for the caller; of
 *  kind END, and without buffers, when there are no more. From memory they are slices of it. Blocks
 *  where the reader does. INVALID_ARGUMENT: no message, or one out of order; DATA_LOSS: the stream
 *  ends inside of it, or before its schema; RESOURCE_EXHAUSTED; FAILED_PRECONDITION: the reader
 *  failed before, or was not opened for this. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_reader_relay(struct fletch_ipc_reader *reader, struct fletch_ipc_relayed *out_message,
                        struct fletch_error *error);

/** Writes a message as it is to a writer that was opened without a schema. The caller keeps it.
 *  FAILED_PRECONDITION: the writer has a schema of its own, is finished or failed before; or the
 *  first message is no schema, or a later one is; UNAVAILABLE, RESOURCE_EXHAUSTED: it could not be
 *  written, and every further call fails. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_writer_relay(struct fletch_ipc_writer *writer, const struct fletch_ipc_relayed *message,
                        struct fletch_error *error);

/** Drops the references, and leaves a message without buffers. */
FLETCH_EXPORT void fletch_ipc_relayed_release(struct fletch_buffer_cache *cache,
                                              struct fletch_ipc_relayed *message);

FLETCH_END_DECLS

#endif
