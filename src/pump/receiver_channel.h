#ifndef FLETCH_PUMP_RECEIVER_CHANNEL_H
#define FLETCH_PUMP_RECEIVER_CHANNEL_H

/* What a receiver keeps for each channel and each producer. For the files of pump_receiver.h. */

#include "pump/channel_queue.h"
#include "pump/pump_receiver.h"

/* What came without an offer, and waits for credit here. */
struct fletch_parked_frame {
    struct fletch_envelope_data data;
    struct fletch_batch *batch;
};

/* A frame that was offered, or is parked. */
struct fletch_receiver_place {
    uint64_t bytes;
    uint64_t barrier;
    struct fletch_inlet_credit credit;  /* once it is granted */
    struct fletch_parked_frame *parked; /* NULL: it was offered */
};

/* `places` is a ring: of its `offered` frames the first `granted` have credit, or the first
 * `parked` are here; not both, since what is parked takes credit and goes at once. */
struct fletch_receiver_channel {
    struct fletch_envelope_channel key;
    struct fletch_receiver_channel *older;
    struct fletch_receiver_producer *producer;
    uint64_t mark;
    uint64_t accepted; /* bytes */
    uint64_t grant;
    uint64_t gap; /* the sequence that was asked for again; 0: none */
    uint32_t first, offered, granted, parked;
    uint64_t parked_bytes;
    bool is_asked; /* credit for the first one without */
    bool is_refused;
    bool tells_gap;
    bool is_asking, is_telling, is_refusing;
    struct fletch_receiver_channel *next_asking, *next_telling, *next_refusing;
    uint32_t capacity; /* of the ring: grows to FLETCH_PUMP_OFFERED_MAX */
    struct fletch_receiver_place *places;
};

struct fletch_receiver_producer {
    uint32_t number;
    uint32_t attempt;
    struct fletch_receiver_producer *older;
    void *inlet; /* NULL: it was refused */
    uint64_t control_mark;
    uint64_t control_waiting; /* the sequence of what has no answer yet; 0: nothing */
    uint32_t parked; /* frames: control that comes behind them is held until they have gone */
    bool is_held;
    struct fletch_control_record held;
    char reason[FLETCH_CONTROL_REASON_BYTES]; /* of what is held */
    bool tells_answer;
    bool tells_refusal;
    bool is_last;               /* what waits is an end or an abort */
    struct fletch_error answer; /* to the last control; or why it is refused */
    /* An end's that has not come whole. */
    struct fletch_channel_record *totals;
    uint32_t totals_count;
    uint32_t totals_limit;
    uint64_t totals_sequence;
};

#endif
