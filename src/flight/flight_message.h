#ifndef FLETCH_FLIGHT_FLIGHT_MESSAGE_H
#define FLETCH_FLIGHT_FLIGHT_MESSAGE_H

/* Messages of Flight on their way between a stream's halves, each in one block of the pool, with
 * the link that inboxes want. Whoever has one owns it. */

#include <fletching/flight_types.h>
#include <fletching/inbox.h>

#include "arrow/ipc_encoder.h"
#include "flight/flight_shapes.h"
#include "grpc/grpc_call.h"

/* What a node of an inbox is. */
enum fletch_flight_node_kind {
    FLETCH_FLIGHT_NODE_INCOMING, /* a message that came; on its way back: it was read */
    FLETCH_FLIGHT_NODE_OUTGOING, /* a message to be sent */
    FLETCH_FLIGHT_NODE_HEADERS,  /* client: the first answer is there */
    FLETCH_FLIGHT_NODE_END,      /* there are no more messages */
    FLETCH_FLIGHT_NODE_FINISH,   /* this side has ended: a status, or a half-close */
    FLETCH_FLIGHT_NODE_CANCEL,
    FLETCH_FLIGHT_NODE_WAKE,
    FLETCH_FLIGHT_NODE_LISTEN, /* another eventcount is to be told */
    FLETCH_FLIGHT_NODE_CLOSE   /* the user's half is gone */
};

struct fletch_flight_node {
    struct fletch_inbox_node link; /* first */
    enum fletch_flight_node_kind kind;
};

enum { FLETCH_FLIGHT_HEADS = 3 }; /* descriptor, header, app metadata */

/* A message that was received. Of FlightData: its fields; of others all of it, as `header`. */
struct fletch_flight_incoming {
    struct fletch_flight_node node;                        /* first */
    struct fletch_buffer *block;                           /* in which this lies */
    struct fletch_flight_bytes heads[FLETCH_FLIGHT_HEADS]; /* no data: it did not come */
    struct fletch_buffer
        *head_buffers[FLETCH_FLIGHT_HEADS]; /* of those with no room in the block */
    struct fletch_buffer *body;             /* NULL: empty */
    size_t body_offset;
    size_t body_bytes;
    size_t message_bytes;
};

enum fletch_flight_head {
    FLETCH_FLIGHT_HEAD_DESCRIPTOR,
    FLETCH_FLIGHT_HEAD_HEADER,
    FLETCH_FLIGHT_HEAD_APP_METADATA
};

void fletch_flight_incoming_free(struct fletch_buffer_cache *cache,
                                 struct fletch_flight_incoming *incoming);

/* What a message to be sent takes beside its bytes, about: it is counted, since small ones could be
 * queued without end otherwise. */
enum { FLETCH_FLIGHT_MESSAGE_COST = 512 };

/* Metadata and body of up to so many bytes are copied into the message's block. */
enum { FLETCH_FLIGHT_COPIED_BYTES = 4096 };

/* A message to be sent: slices behind it in its block, which refer to heads there too, and to what
 * `encoded` keeps alive. */
struct fletch_flight_outgoing {
    struct fletch_flight_node node; /* first */
    struct fletch_grpc_message grpc;
    void *owner; /* whose it is while it is sent */
    struct fletch_buffer *block;
    struct fletch_ipc_encoded encoded; /* all zero: none */
    size_t bytes;                      /* of the message */
};

/* Where messages come from. */
struct fletch_flight_memory {
    struct fletch_buffer_cache *cache; /* the thread's */
    struct fletch_account *account;    /* NULL: nobody */
};

/* What goes into a FlightData. */
struct fletch_flight_parts {
    const struct fletch_flight_descriptor *descriptor; /* NULL: none */
    struct fletch_ipc_encoded *encoded;                /* NULL: none; on success the message's */
    struct fletch_flight_bytes app_metadata;
};

/* INVALID_ARGUMENT: the descriptor; RESOURCE_EXHAUSTED: no memory, or more than 2^31 - 1 bytes in
 * one field. */
enum fletch_status fletch_flight_outgoing_data(const struct fletch_flight_memory *memory,
                                               const struct fletch_flight_parts *parts,
                                               struct fletch_flight_outgoing **out_outgoing,
                                               struct fletch_error *error);

/* Bytes that a FlightData of these parts has. */
size_t fletch_flight_data_bytes(const struct fletch_ipc_encoded *encoded,
                                size_t app_metadata_bytes);

/* Any other message. Errors of fletch_flight_message_measure; RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_flight_outgoing_message(const struct fletch_flight_memory *memory,
                                                  const struct fletch_flight_shape *shape,
                                                  const void *message,
                                                  struct fletch_flight_outgoing **out_outgoing,
                                                  struct fletch_error *error);

void fletch_flight_outgoing_free(struct fletch_buffer_cache *cache,
                                 struct fletch_flight_outgoing *outgoing);

#endif
