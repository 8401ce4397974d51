#ifndef FLETCH_ARROW_IPC_ENCODER_H
#define FLETCH_ARROW_IPC_ENCODER_H

/* Batches to IPC messages, as lists of spans to be sent by one call: metadata, then for each buffer
 * the batch's own bytes and zeros up to the next border. No I/O. One thread at a time. */

#include "arrow/codec.h"
#include "arrow/metadata.h"
#include "arrow/schema.h"
#include "memory/batch.h"

/* A message that can be sent, also later and in parts, until it is released. The first span is the
 * metadata: 8 bytes of prefix, the flatbuffer, padding. The others are the body. */
struct fletch_ipc_encoded {
    const struct fletch_batch_span *spans;
    uint32_t span_count;
    size_t metadata_bytes;       /* of the first span */
    size_t body_bytes;           /* of the others, padding included */
    struct fletch_buffer *block; /* spans, metadata, scratch */
    struct fletch_buffer *body;  /* compressed, or NULL */
    struct fletch_batch *batch;  /* whose bytes the spans refer to, or NULL */
};

void fletch_ipc_encoded_release(struct fletch_buffer_cache *cache,
                                struct fletch_ipc_encoded *encoded);

struct fletch_ipc_encoder;

struct fletch_ipc_encoder_options {
    struct fletch_schema *schema; /* acquired */
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;       /* of messages' blocks; may be NULL */
    size_t alignment;                     /* of buffers and metadata: 8 or 64 */
    size_t head_bytes;                    /* that lie before the schema message: a multiple of 8 */
    bool forbids_replacement;             /* of dictionaries, as files do */
    bool forbids_deltas;                  /* for peers that cannot read them */
    enum fletch_codec codec;              /* of bodies; what measuring says is without it */
    struct fletch_metadata head_metadata; /* custom metadata of the schema's message; it outlives
                                           * the encoder */
};

/* RESOURCE_EXHAUSTED: no memory; UNIMPLEMENTED: this build is without the codec. */
enum fletch_status fletch_ipc_encoder_create(const struct fletch_ipc_encoder_options *options,
                                             const struct fletch_allocator *allocator,
                                             struct fletch_ipc_encoder **out_encoder,
                                             struct fletch_error *error);
void fletch_ipc_encoder_destroy(struct fletch_ipc_encoder *encoder);

/* Forgets which dictionaries were sent and drops them: the next batch needs all of its own. */
void fletch_ipc_encoder_forget(struct fletch_ipc_encoder *encoder);

/* The bytes of the largest block that a message for the batch, or for a dictionary of it, takes
 * without custom metadata; NULL: for any batch that is no slice. Errors as those two below. */
enum fletch_status fletch_ipc_encoder_measure(struct fletch_ipc_encoder *encoder,
                                              const struct fletch_batch *batch, size_t *out_bytes,
                                              struct fletch_error *error);

/* The schema message. */
enum fletch_status fletch_ipc_encoder_schema(struct fletch_ipc_encoder *encoder,
                                             struct fletch_ipc_encoded *out_encoded,
                                             struct fletch_error *error);

/* Custom metadata for the next message of the dictionary, in place of what waits for it; without
 * pairs: none. NOT_FOUND: no dictionary has the id; RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_ipc_encoder_dictionary_metadata(struct fletch_ipc_encoder *encoder,
                                                          int64_t id,
                                                          const struct fletch_metadata *metadata,
                                                          struct fletch_error *error);

/* The next dictionary message that has to go out before `batch`: true in `*out_is_needed` and the
 * message, which counts as sent from now on; or false. INVALID_ARGUMENT: fields that share an id
 * have different dictionaries. FAILED_PRECONDITION: a replacement, which is forbidden. */
enum fletch_status fletch_ipc_encoder_dictionary(struct fletch_ipc_encoder *encoder,
                                                 struct fletch_batch *batch, bool *out_is_needed,
                                                 struct fletch_ipc_encoded *out_encoded,
                                                 struct fletch_error *error);

/* The batch's message, once no more dictionaries are needed. `custom_metadata` may be NULL.
 * INVALID_ARGUMENT: the batch has not as many fields as the schema. RESOURCE_EXHAUSTED: no
 * memory. */
enum fletch_status fletch_ipc_encoder_batch(struct fletch_ipc_encoder *encoder,
                                            struct fletch_batch *batch,
                                            const struct fletch_metadata *custom_metadata,
                                            struct fletch_ipc_encoded *out_encoded,
                                            struct fletch_error *error);

#endif
