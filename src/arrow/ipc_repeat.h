#ifndef FLETCH_ARROW_IPC_REPEAT_H
#define FLETCH_ARROW_IPC_REPEAT_H

/* Batches whose metadata is that of the one before, byte for byte, as it is where columns of fixed
 * width come in batches of one size. What was read there and checked then is so again: lengths,
 * null counts, where in the body each buffer lies. */

#include "arrow/ipc_batch_reader.h"

struct fletch_ipc_repeat {
    struct fletch_buffer *metadata; /* a copy, whose memory is kept; NULL: none yet */
    size_t metadata_bytes;          /* 0: nothing is known */
    const uint8_t *body_data;       /* to which the spans in the room refer */
    size_t body_bytes;              /* that the metadata tells */
    int64_t row_count;
};

/* Whether structure and offsets of batches of the schema are right if their metadata is: no buffer
 * tells where something else lies. */
bool fletch_ipc_repeat_suits(const struct fletch_schema *schema);

/* Remembers a message of which the batch, that refers to its body alone, was made in the room; or
 * nothing, where there is no memory. */
void fletch_ipc_repeat_keep(struct fletch_ipc_repeat *repeat,
                            const struct fletch_ipc_batch_source *source,
                            const struct fletch_ipc_input *message,
                            const struct fletch_batch *batch);

/* Whether the message is told as the last one was, in a body that lies alike. */
bool fletch_ipc_repeat_knows(const struct fletch_ipc_repeat *repeat,
                             const struct fletch_ipc_input *message);

/* The batch of such a message. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_ipc_repeat_read(struct fletch_ipc_repeat *repeat,
                                          const struct fletch_ipc_batch_source *source,
                                          const struct fletch_ipc_body *body,
                                          struct fletch_batch **out_batch,
                                          struct fletch_error *error);

void fletch_ipc_repeat_end(struct fletch_ipc_repeat *repeat, struct fletch_buffer_cache *cache);

#endif
