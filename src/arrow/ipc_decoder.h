#ifndef FLETCH_ARROW_IPC_DECODER_H
#define FLETCH_ARROW_IPC_DECODER_H

/* A stream of IPC messages as a state machine over bytes. It does no I/O: it says how many bytes
 * come next and where they go, so that a body is received into the memory that its batch will
 * refer to.
 *
 *   for (;;) {
 *       next: an event, or FLETCH_IPC_EVENT_NONE: put bytes where need says, tell fill how many
 *   }
 *
 * Messages that come apart already are given to fletch_ipc_decoder_message instead. After a failure
 * every call fails. One thread at a time. */

#include <fletching/ipc_reader.h>
#include <fletching/ipc_relay.h>

#include "arrow/ipc_batch_reader.h"
#include "arrow/ipc_file.h"
#include "arrow/ipc_message.h"
#include "arrow/ipc_read_options.h"
#include "arrow/schema.h"
#include "memory/batch.h"

struct fletch_ipc_decoder;

enum fletch_ipc_event_kind {
    FLETCH_IPC_EVENT_NONE, /* more bytes are needed */
    FLETCH_IPC_EVENT_SCHEMA,
    FLETCH_IPC_EVENT_DICTIONARY,
    FLETCH_IPC_EVENT_BATCH,
    FLETCH_IPC_EVENT_MESSAGE, /* of a relay, instead of the three above */
    FLETCH_IPC_EVENT_END
};

struct fletch_ipc_event {
    enum fletch_ipc_event_kind kind;
    struct fletch_batch *batch;             /* BATCH: with a reference for the caller */
    struct fletch_metadata custom_metadata; /* BATCH: the decoder's, until the next call */
    size_t body_bytes;                      /* of the message */
    struct fletch_ipc_relayed relayed;      /* MESSAGE: with references for the caller */
};

/* Where the next bytes go. */
struct fletch_ipc_need {
    uint8_t *destination;
    size_t bytes; /* 0: none, there is an event */
};

/* `options` as they were completed. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_ipc_decoder_create(const struct fletch_ipc_read_options *options,
                                             struct fletch_ipc_decoder **out_decoder,
                                             struct fletch_error *error);
void fletch_ipc_decoder_destroy(struct fletch_ipc_decoder *decoder);

struct fletch_ipc_need fletch_ipc_decoder_need(struct fletch_ipc_decoder *decoder);

/* `bytes` bytes, at most as many as are needed, lie where they were needed. */
enum fletch_status fletch_ipc_decoder_fill(struct fletch_ipc_decoder *decoder, size_t bytes,
                                           struct fletch_error *error);

enum fletch_status fletch_ipc_decoder_next(struct fletch_ipc_decoder *decoder,
                                           struct fletch_ipc_event *out_event,
                                           struct fletch_error *error);

/* There are no more bytes. OK between two messages: a stream need not have an end marker.
 * DATA_LOSS: inside a message, or before the schema. */
enum fletch_status fletch_ipc_decoder_end(const struct fletch_ipc_decoder *decoder,
                                          struct fletch_error *error);

/* A message. `body` has at least the bytes that the metadata tells. A relay leaves the buffers of
 * `relayed` to the caller, who knows where they lie. */
enum fletch_status fletch_ipc_decoder_message(struct fletch_ipc_decoder *decoder,
                                              const struct fletch_ipc_input *input,
                                              struct fletch_ipc_event *out_event,
                                              struct fletch_error *error);

/* The schema, not counted; NULL: none yet. */
struct fletch_schema *fletch_ipc_decoder_schema(const struct fletch_ipc_decoder *decoder);

/* Custom metadata of the message or the footer that the schema came in. */
const struct fletch_metadata *
fletch_ipc_decoder_head_metadata(const struct fletch_ipc_decoder *decoder);

/* The dictionaries of the schema, those within others too, in the order of their ids; with custom
 * metadata of the last message that each came in. */
const struct fletch_ipc_dictionaries *
fletch_ipc_decoder_dictionaries(const struct fletch_ipc_decoder *decoder);

/* Begins with a schema that is known otherwise, once: of a message sequence without one. */
enum fletch_status fletch_ipc_decoder_use_schema(struct fletch_ipc_decoder *decoder,
                                                 struct fletch_schema *schema,
                                                 struct fletch_error *error);

/* Begins with a file's footer, once: takes the schema from there. All dictionaries come before the
 * first batch, from wherever they lie, so that none may be replaced. */
enum fletch_status fletch_ipc_decoder_read_footer(struct fletch_ipc_decoder *decoder,
                                                  struct fletch_ipc_footer *footer,
                                                  struct fletch_error *error);

#endif
