#ifndef FLETCH_FLIGHT_FLIGHT_INTAKE_H
#define FLETCH_FLIGHT_FLIGHT_INTAKE_H

/* Puts a message that arrives where it shall lie, piece by piece: the inside of a reader of gRPC's
 * messages (struct fletch_grpc_reader). One message at a time, one thread; nothing blocks.
 *
 * Small messages go into one block whole and are taken apart there. Of a larger FlightData what is
 * next to its beginning is read (a key and a length), then the field goes to its place: heads into
 * the message's block or a buffer, the body into a buffer of its own. Fields come in any order; of
 * a repeated one the last counts; unknown ones are read over. */

#include "flight/flight_message.h"
#include "flight/flight_wire.h"

/* Up to so many bytes a message goes into one block. */
enum { FLETCH_FLIGHT_SMALL_BYTES = 4096 };
/* A body that claims more gets its memory in steps that double. */
#define FLETCH_FLIGHT_STEP_BYTES ((size_t)64 << 20)
/* Of one head. */
#define FLETCH_FLIGHT_HEAD_BYTES_MOST ((size_t)16 << 20)
enum { FLETCH_FLIGHT_KEY_ROOM = 40, FLETCH_FLIGHT_SKIP_ROOM = 512 };

/* Where the next bytes go. */
enum fletch_flight_target {
    FLETCH_FLIGHT_TARGET_WHOLE, /* the block */
    FLETCH_FLIGHT_TARGET_KEY,   /* key and length of a field */
    FLETCH_FLIGHT_TARGET_HEAD,
    FLETCH_FLIGHT_TARGET_BODY,
    FLETCH_FLIGHT_TARGET_SKIP
};

struct fletch_flight_intake {
    struct fletch_flight_memory memory;
    size_t step_bytes;                       /* FLETCH_FLIGHT_STEP_BYTES, smaller in tests */
    struct fletch_flight_incoming *incoming; /* NULL: none is on its way */
    size_t left_bytes;                       /* of the message, that have not come */
    enum fletch_flight_target target;
    uint8_t *to;        /* HEAD, WHOLE: the next byte */
    size_t field_left;  /* of the field */
    size_t body_filled; /* bytes of the body */
    size_t room_used;   /* of the block; WHOLE: up to the message */
    size_t last_body;   /* where in the last small message its body began */
    uint8_t key[FLETCH_FLIGHT_KEY_ROOM];
    size_t key_filled;
    size_t key_left; /* of its place, which is to be filled before it is looked at */
    uint8_t skip[FLETCH_FLIGHT_SKIP_ROOM];
};

/* `is_data`: it is a FlightData; `bytes` may be 0. RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_flight_intake_begin(struct fletch_flight_intake *intake, bool is_data,
                                              size_t bytes, struct fletch_error *error);

/* The place of the next bytes, while some are left: asked for again when it is full. */
struct iovec fletch_flight_intake_place(struct fletch_flight_intake *intake);

/* INVALID_ARGUMENT: it is no FlightData, or a field is too large; RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_flight_intake_filled(struct fletch_flight_intake *intake, size_t bytes,
                                               struct fletch_error *error);

/* All bytes are there: the message, the caller's now. Errors as above: those of a small message
 * show here. */
enum fletch_status fletch_flight_intake_take(struct fletch_flight_intake *intake, bool is_data,
                                             struct fletch_flight_incoming **out_incoming,
                                             struct fletch_error *error);

/* What has come of a message is not needed. */
void fletch_flight_intake_drop(struct fletch_flight_intake *intake);

#endif
