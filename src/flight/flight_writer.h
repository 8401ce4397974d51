#ifndef FLETCH_FLIGHT_FLIGHT_WRITER_H
#define FLETCH_FLIGHT_FLIGHT_WRITER_H

/* Record batches to FlightData of one direction: schema, dictionaries, and batches, split where the
 * peer's limit wants it. One thread at a time; nothing blocks. */

#include <fletching/flight_stream.h>

#include "flight/flight_message.h"

/* Beside a body of the most that is sent in one message to a peer without a limit. */
enum { FLETCH_FLIGHT_HEAD_ROOM = 1 << 20 };

struct fletch_flight_writer {
    struct fletch_flight_memory memory;
    const struct fletch_allocator *allocator;
    struct fletch_schema *schema;
    struct fletch_ipc_encoder *encoder; /* NULL: not begun */
    size_t message_limit_bytes;
};

/* Messages in their order. */
struct fletch_flight_chain {
    struct fletch_inbox_node *first;
    struct fletch_inbox_node *last;
    size_t bytes; /* and what each costs beside its own */
    size_t count;
};

void fletch_flight_chain_add(struct fletch_flight_chain *chain,
                             struct fletch_flight_outgoing *outgoing);
void fletch_flight_chain_free(struct fletch_buffer_cache *cache, struct fletch_flight_chain *chain);

struct fletch_flight_writing {
    struct fletch_schema *schema;
    const struct fletch_flight_descriptor *descriptor; /* NULL: none */
    enum fletch_codec codec;
    bool forbids_deltas;
    size_t message_limit_bytes; /* of the peer */
};

/* The schema's message. RESOURCE_EXHAUSTED, UNIMPLEMENTED, INVALID_ARGUMENT. */
enum fletch_status fletch_flight_writer_begin(struct fletch_flight_writer *writer,
                                              const struct fletch_flight_writing *writing,
                                              struct fletch_flight_chain *chain,
                                              struct fletch_error *error);

/* The messages of a batch. On failure none, and the next batch begins as if it were the first. */
enum fletch_status fletch_flight_writer_write(struct fletch_flight_writer *writer,
                                              const struct fletch_flight_output *output,
                                              struct fletch_flight_chain *chain,
                                              struct fletch_error *error);

void fletch_flight_writer_end(struct fletch_flight_writer *writer);

#endif
