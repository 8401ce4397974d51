#ifndef FLETCH_PUMP_PUMP_SENDER_H
#define FLETCH_PUMP_PUMP_SENDER_H

/* The side of a session that has frames: a state machine without I/O, clock or threads of its own.
 * What local producers have for the other process it takes from a source; messages of the other
 * side come in by `take`, what is to be sent goes out by `next`. docs/PUMP.md.
 *
 * Frames stay here from when they were taken until the other side has accepted them, or refused
 * them for good. A frame is offered, granted, sent, accepted. A cut connection makes those that
 * were not accepted wait again; the other side's marks and grants come first on the next one.
 *
 * Control of a producer goes behind all its frames that came before it, one at a time. */

#include <fletching/allocator.h>
#include <fletching/status.h>

#include <stdbool.h>
#include <stdint.h>

#include "pump/channel_map.h"
#include "pump/envelope.h"
#include "shuffle/control_record.h"
#include "shuffle/outlet.h"

enum {
    FLETCH_PUMP_UNGRANTED_MAX = 16, /* frames of a channel that wait for a grant */
    FLETCH_PUMP_EAGER_PART = 8,     /* of the eager window one frame may have a part of so much */
    FLETCH_PUMP_OFFERED_MAX = 32    /* and with those that were granted and not accepted */
};

enum fletch_pump_item_kind { FLETCH_PUMP_NOTHING, FLETCH_PUMP_FRAME, FLETCH_PUMP_CONTROL };

/* What a source has. */
struct fletch_pump_item {
    enum fletch_pump_item_kind kind;
    void *token; /* what the source knows it by, until it is told what became of it */
    struct fletch_envelope_data data; /* a frame: all but crc32c and offset */
    uint32_t producer;                /* control's */
    uint32_t attempt;
    struct fletch_control_record record;
};

/* Who gives frames. None of it blocks or fails. */
struct fletch_pump_source {
    void (*take)(void *context, struct fletch_pump_item *out_item);
    /* The other side has it. */
    void (*frame_done)(void *context, void *token);
    void (*control_done)(void *context, void *token, const struct fletch_envelope_answer *answer);
    /* Frames of a partition go nowhere any more, for good; or, of FLETCH_ALL_PARTITIONS, nothing
     * does. What was taken of those is the source's again, without frame_done or control_done. */
    void (*fail)(void *context, uint32_t partition, const struct fletch_error *cause);
    /* All local producers have ended, and nothing will come any more. */
    bool (*is_done)(void *context);
    void *context;
};

enum fletch_sender_state {
    FLETCH_SENDER_CUT,      /* no connection */
    FLETCH_SENDER_RESUMING, /* what the other side has is not known yet */
    FLETCH_SENDER_OPEN,
    FLETCH_SENDER_LEAVING, /* BYE was sent */
    FLETCH_SENDER_DONE,    /* and answered */
    FLETCH_SENDER_FAILED   /* the whole shuffle was refused */
};

struct fletch_sender_frame;
struct fletch_sender_group;
struct fletch_sender_channel;
struct fletch_sender_producer;

struct fletch_sender_queue {
    struct fletch_sender_channel *first;
    struct fletch_sender_channel *last;
};

struct fletch_pump_sender_counters {
    uint64_t frames_sent;
    uint64_t bytes_sent;
    uint64_t frames_sent_again;
    uint64_t frames_accepted;
    uint64_t offers_sent;
    uint64_t frames_eager;
    uint64_t controls_sent;
};

struct fletch_pump_sender {
    struct fletch_allocator allocator;
    struct fletch_pump_source source;
    enum fletch_sender_state state;
    struct fletch_channel_map channels;
    struct fletch_sender_channel *all; /* newest first */
    struct fletch_sender_queue offering;
    struct fletch_sender_queue sending;
    struct fletch_sender_queue returning;
    struct fletch_sender_producer **producers; /* by number */
    uint32_t producer_limit;
    struct fletch_sender_producer *controlling_first;
    struct fletch_sender_producer *controlling_last;
    struct fletch_sender_frame *free_frames;
    struct fletch_sender_group *free_groups;
    uint64_t eager_bytes; /* that may be on their way without an offer; 0: none */
    uint64_t eager_used;
    uint64_t held; /* frames and controls that are not done */
    struct fletch_error failure;
    struct fletch_error loss; /* of a producer, to be told the other side */
    struct fletch_envelope_channel lost;
    bool tells_loss;
    bool tells_failure;
    struct fletch_pump_sender_counters counters;
};

/* RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_pump_sender_init(struct fletch_pump_sender *sender,
                                           const struct fletch_pump_source *source,
                                           uint32_t producer_limit,
                                           const struct fletch_allocator *allocator,
                                           struct fletch_error *error);

/* What it still has stays with the source. */
void fletch_pump_sender_deinit(struct fletch_pump_sender *sender);

/* There is a connection, and both sides know each other: marks come next. `eager_bytes`: what the
 * other side takes without an offer; 0: nothing. */
void fletch_pump_sender_resume(struct fletch_pump_sender *sender, uint64_t eager_bytes);

/* The connection is gone. */
void fletch_pump_sender_cut(struct fletch_pump_sender *sender);

/* Takes what the source has. Where there is no memory for it, the session fails. */
void fletch_pump_sender_fill(struct fletch_pump_sender *sender);

/* A message of the other side. INVALID_ARGUMENT: one that it may not send, or not now. */
enum fletch_status fletch_pump_sender_take(struct fletch_pump_sender *sender,
                                           const struct fletch_envelope *envelope,
                                           struct fletch_error *error);

/* The next message; it counts as sent. False: there is none now. `*out_token`: the frame of a DATA,
 * which stays the sender's. */
bool fletch_pump_sender_next(struct fletch_pump_sender *sender,
                             struct fletch_envelope *out_envelope, void **out_token);

/* A frame that `next` named cannot be sent, since its rows cannot be had: what its channel was
 * granted is given back, its producer is lost at the other side, and its partition fails here. */
void fletch_pump_sender_lose(struct fletch_pump_sender *sender,
                             const struct fletch_envelope_channel *channel,
                             const struct fletch_error *cause);

/* The frame that `next` named last goes later. */
void fletch_pump_sender_put_back(struct fletch_pump_sender *sender,
                                 const struct fletch_envelope_data *data);

/* The whole session has failed, which the other side is told: nothing goes anywhere any more. */
void fletch_pump_sender_fail(struct fletch_pump_sender *sender, enum fletch_status status,
                             const char *text);

#endif
