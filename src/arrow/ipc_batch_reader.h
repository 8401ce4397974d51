#ifndef FLETCH_ARROW_IPC_BATCH_READER_H
#define FLETCH_ARROW_IPC_BATCH_READER_H

/* A RecordBatch message and its body, as a batch whose spans lie in the body, or, if that is
 * compressed, in a buffer for each. */

#include "arrow/codec.h"
#include "arrow/ipc_message.h"
#include "arrow/schema.h"
#include "memory/batch.h"

/* The body: `bytes` bytes from `offset` on of `buffer` (NULL where there are none). */
struct fletch_ipc_body {
    struct fletch_buffer *buffer;
    size_t offset;
    size_t bytes;
};

/* A message: metadata without prefix, at any address, and its body, of which a batch acquires the
 * buffer. */
struct fletch_ipc_input {
    const void *metadata;
    size_t metadata_bytes;
    struct fletch_ipc_body body;
};

/* Room for what a batch is made of: arrays of at least the schema's nodes, as many spans as were
 * counted, an owner for each of them and one more, and the schema's views and one more. */
struct fletch_ipc_room {
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans;
    struct fletch_buffer **owners;
    uint32_t *view_spans;
};

/* Compares the numbers of nodes, buffers and data buffers of views with the schema, and counts the
 * spans that the batch will have. INVALID_ARGUMENT. */
enum fletch_status fletch_ipc_batch_count(const struct fletch_schema *schema,
                                          const struct fletch_ipc_batch_header *header,
                                          uint32_t *out_span_count, struct fletch_error *error);

struct fletch_ipc_batch_source {
    struct fletch_schema *schema;
    struct fletch_ipc_room room;
    uint32_t span_count;                      /* as counted */
    struct fletch_batch *const *dictionaries; /* as many as the schema has; acquired */
    struct fletch_buffer_cache *cache;
    struct fletch_account *account; /* of copies and the batch's own block; may be NULL */
    struct fletch_decompressor *decompressor;
    uint64_t body_limit_bytes; /* of what the buffers of a compressed body become together */
    bool is_big_endian;        /* the data, which is turned: in a copy, if it lies in the body */
    bool keeps_validity;       /* also of fields that have no nulls, so that it can be compared */
};

/* Makes a batch, with one reference, that holds one to the body's buffer if anything lies there. A
 * buffer that is not 8-byte aligned in memory, or whose numbers are turned, is copied; one that is
 * compressed is made anew. The
 * numbers of nodes and buffers, lengths and null counts have been compared with the schema, and
 * buffers lie inside the body; what is in them has not been looked at. INVALID_ARGUMENT: names
 * field and buffer; RESOURCE_EXHAUSTED: no memory; UNIMPLEMENTED: this build is without the codec.
 */
enum fletch_status fletch_ipc_batch_read(const struct fletch_ipc_batch_source *source,
                                         const struct fletch_ipc_batch_header *header,
                                         const struct fletch_ipc_body *body,
                                         struct fletch_batch **out_batch,
                                         struct fletch_error *error);

/* Makes a batch of what is in the room, with `owner_count` owners, whose references are the batch's
 * on success. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_ipc_batch_make(const struct fletch_ipc_batch_source *source,
                                         int64_t row_count, uint32_t owner_count,
                                         struct fletch_batch **out_batch,
                                         struct fletch_error *error);

#endif
