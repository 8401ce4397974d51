#ifndef FLETCH_PUMP_SENDER_CHANNEL_H
#define FLETCH_PUMP_SENDER_CHANNEL_H

/* What a sender keeps for each channel and each producer. For the files of pump_sender.h. */

#include "pump/channel_queue.h"
#include "pump/pump_sender.h"

/* Frames of a producer between two of its controls, and the control behind them. */
struct fletch_sender_group {
    struct fletch_sender_group *next;
    uint32_t unsent; /* frames: the control waits for these */
    uint32_t frames; /* that are not done */
    bool has_control;
    bool is_sent;
    bool was_sent; /* on some connection */
    uint32_t totals_sent;
    struct fletch_pump_item item;
};

struct fletch_sender_frame {
    struct fletch_sender_frame *next;
    struct fletch_sender_group *group;
    void *token;
    struct fletch_envelope_data data;
    uint64_t end; /* offset behind it */
    bool is_sent;
    bool was_sent;
    bool is_eager; /* goes, or has gone, without an offer */
};

struct fletch_sender_producer {
    uint32_t number;
    uint32_t attempt;
    bool is_listed;
    struct fletch_sender_group *first; /* the last one is open: it has no control yet */
    struct fletch_sender_group *last;
    struct fletch_sender_producer *next;
};

/* Frames: accepted ones are gone; then offered ones, then those that are not. Granted are those
 * whose end is not above `grant`; the first `unsent` is the next to go. */
struct fletch_sender_channel {
    struct fletch_envelope_channel key;
    struct fletch_sender_channel *older;
    struct fletch_sender_producer *producer;
    struct fletch_sender_frame *first;
    struct fletch_sender_frame *last;
    struct fletch_sender_frame *unoffered; /* NULL: all are */
    struct fletch_sender_frame *unsent;    /* NULL: all are */
    uint32_t offered;                      /* and not accepted */
    uint64_t end;                          /* offset behind the last one */
    uint64_t accepted;                     /* offset */
    uint64_t mark;
    uint64_t grant;
    uint64_t returned; /* sequence from which on frames were given back; 0: none were */
    bool is_refused;
    bool is_offering, is_sending, is_returning;
    struct fletch_sender_channel *next_offering, *next_sending, *next_returning;
};

/* A frame without bytes takes an offset too, so that it can be granted. */
static inline uint64_t fletch_sender_weight(uint64_t bytes)
{
    return bytes == 0 ? 1 : bytes;
}

/* Whether a channel may send its next frame now. */
bool fletch_sender_may_send(const struct fletch_pump_sender *sender,
                            const struct fletch_sender_channel *channel);

/* Puts a channel, or a producer, on the lists of those that have something to send, where they
 * have. */
void fletch_sender_list_channel(struct fletch_pump_sender *sender,
                                struct fletch_sender_channel *channel);
void fletch_sender_list_control(struct fletch_pump_sender *sender,
                                struct fletch_sender_producer *producer);

#endif
