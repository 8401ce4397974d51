#ifndef FLETCH_SYNC_BROADCAST_SEAT_H
#define FLETCH_SYNC_BROADCAST_SEAT_H

/* The consumers of a broadcast ring: who is there, how far each has come, and who goes when.
 *
 * Origin: gating sequences and sequence barriers of the LMAX Disruptor (M. Thompson et al., 2011).
 * Different here: who joins needs no help of the producers and no second look of theirs, and a
 * consumer can be removed while its thread is alive.
 *
 * Roles: a consumer owns its seat from join to leave, a thread at a time; anybody joins where a
 * seat is free, and removes. Progress: leaving is wait-free, joining and removing are lock-free;
 * looking at the gates is wait-free. Who stalls while it joins holds up producers where it found
 * them, once the ring has filled up from there; who stalls in a leave or remove keeps one seat.
 *
 * Gates. A seat's gate is the position up to which its consumer has passed elements, or odd while
 * nobody is held up by that seat. Producers may write up to a ring's length behind the least gate.
 *
 * Joining. A producer looks at its tail t, fences (F1), and takes the least of t and all gates. Who
 * joins sets its gate to a tail that it saw before, fences (F2), and looks at the tail again: p,
 * where it begins. At least one of the two sees the other. If the producer sees the gate, it stays
 * within a ring's length of it, and p is not before it. If it does not, then p is not before t, and
 * so not before the least that the producer found: nothing that it then writes without another look
 * is p or behind it in the ring by more than its length. What was found once stays true.
 *
 * Removing. A consumer says that it is inside a call by the lowest bit of its position, fences (F3)
 * and looks at the seat's state. Who removes changes the state, fences (F4) and looks at the
 * position. At least one sees the other: a consumer that is inside is left alone, and one that
 * comes in later turns round. The state carries the consumer's number, so that a late hand changes
 * nothing for who came after.
 *
 *   FREE -> JOINING -> ACTIVE -> REMOVING -> VACATING -> REMOVED -> FREE
 *                          |         |           |
 *                          +---------+-> LEAVING | -> FREE        the owner leaves
 *                                                +-> LEFT -> FREE it leaves while another vacates
 *
 * Whoever gets a seat to VACATING or LEAVING vacates it alone: gate, the marks of those behind.
 *
 * Edges:
 *   E1: consumer store_release(gate) -> producer, and consumer behind it, load_acquire(gate): it
 *       has read what lies before, and done its work on it.
 *   E2: who ends with a seat cas_acq_rel(state) or store_release(state) -> who goes on with it
 *       cas_acq_rel(state): its fields, and that it is on nobody's list.
 *   E3: consumer store_release(head) -> who removes it load_acquire(head): its call is over.
 *
 * The pairs F1 and F2, F3 and F4 are those of base/asymmetric_fence.h: producers and consumers have
 * the light half.
 *
 * Reclamation: none; seats are reused, and numbers are not. */

#include <fletching/broadcast_consumer.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/asymmetric_fence.h"
#include "base/atomic.h"
#include "sync/end_guard.h"
#include "sync/wait.h"

/* Positions are kept doubled: the lowest bit is free for a flag. */
#define FLETCH_BROADCAST_STEP UINT64_C(2)
#define FLETCH_BROADCAST_CLOSED UINT64_C(1) /* of the tail */
#define FLETCH_BROADCAST_VACANT UINT64_C(1) /* of a gate */
#define FLETCH_BROADCAST_INSIDE UINT64_C(1) /* of a head */

enum fletch_seat_state {
    FLETCH_SEAT_FREE = 0,
    FLETCH_SEAT_JOINING = 1,
    FLETCH_SEAT_ACTIVE = 2,
    FLETCH_SEAT_REMOVING = 3,
    FLETCH_SEAT_VACATING = 4,
    FLETCH_SEAT_REMOVED = 5,
    FLETCH_SEAT_LEAVING = 6,
    FLETCH_SEAT_LEFT = 7
};

/* A seat's word: whose it is, and how it stands with it. */
static inline uint64_t fletch_seat_word(uint64_t id, enum fletch_seat_state state)
{
    return id * 8 + (uint64_t)state;
}

/* Written by the consumer only. What single pops need comes first: one line. */
struct fletch_broadcast_own {
    _Atomic uint64_t head; /* position of the next element, | FLETCH_BROADCAST_INSIDE */
    uint64_t seen;         /* elements below this position may be taken without a look */
    uint64_t short_end;    /* single pops up to here move no gate and ask no leader */
    uint64_t sole_below;   /* nobody else reads elements below this position any more */
    uint64_t working;      /* what `state` holds as long as nobody removes this consumer */
    uint32_t short_words;  /* of an element whose single pops have a short way, or 0 */
    bool leads;
    bool follows;               /* it is behind others, or was at the last look */
    uint64_t run_end;           /* elements below this position are known to be published */
    uint64_t return_at;         /* at this position the gate is moved next */
    uint64_t led_to;            /* if it follows: all that it is behind have passed what is below */
    _Atomic uint64_t joined_at; /* statistic */
    _Atomic uint64_t emptys;    /* statistic */
    struct fletch_wait_history waits;
    struct fletch_end_guard guard;
};

struct fletch_broadcast_consumer {
    FLETCH_ISOLATED struct fletch_broadcast_own own;
    FLETCH_ISOLATED _Atomic uint64_t gate;  /* by the consumer; by who vacates the seat */
    FLETCH_ISOLATED _Atomic uint64_t state; /* fletch_seat_word; by everybody, seldom */
    _Atomic uint64_t behind;                /* a bit for each seat that this one is behind */
    struct fletch_broadcast_ring *ring;     /* fixed */
    uint64_t bit;                           /* of this seat in `behind`; fixed */
};

/* All seats of a ring, as their functions want them. */
struct fletch_seats {
    struct fletch_broadcast_consumer *first;
    uint64_t count;
    enum fletch_fence_kind fence_kind;
};

/* Makes the seats free. */
void fletch_seats_start(const struct fletch_seats *seats, struct fletch_broadcast_ring *ring);

/* The least of `tail`, which the caller looked at before, and all gates: everything before it has
 * been passed by all consumers that there are. */
uint64_t fletch_seats_least(const struct fletch_seats *seats, uint64_t tail);

/* Whether no other consumer holds producers up. */
bool fletch_seat_is_alone(const struct fletch_seats *seats,
                          const struct fletch_broadcast_consumer *seat);

/* Takes a free seat for the consumer of number `id`, or NULL. It holds nobody up yet. */
struct fletch_broadcast_consumer *fletch_seats_take(const struct fletch_seats *seats, uint64_t id);

/* Holds producers up from `tail`, which the caller looked at before, and puts it behind the seats
 * of the mask `behind`. After that the caller looks at the tail again. False: the fence is refused,
 * and the seat was given back. */
bool fletch_seat_announce(const struct fletch_seats *seats, struct fletch_broadcast_consumer *seat,
                          uint64_t tail, uint64_t behind);

/* Those seats of the mask whose consumers are at work. */
uint64_t fletch_seats_at_work(const struct fletch_seats *seats, uint64_t mask);

/* Its consumer begins at `position`. */
void fletch_seat_begin(struct fletch_broadcast_consumer *seat, uint64_t position);

/* Ends a join that fails. */
void fletch_seat_give_back(const struct fletch_seats *seats,
                           struct fletch_broadcast_consumer *seat);

/* The owner leaves. True: it is the one who vacated the seat. */
bool fletch_seat_leave(const struct fletch_seats *seats, struct fletch_broadcast_consumer *seat);

/* The owner came in and was told to go. True: it is the one who vacated the seat. */
bool fletch_seat_obey(const struct fletch_seats *seats, struct fletch_broadcast_consumer *seat);

/* As fletch_broadcast_ring_remove. `*out_vacated`: it is done, and by this call. */
enum fletch_answer fletch_seats_remove(const struct fletch_seats *seats, uint64_t id,
                                       bool *out_vacated);

/* The least gate of those that `seat` is behind; false: they are gone. */
bool fletch_seat_led_to(const struct fletch_seats *seats,
                        const struct fletch_broadcast_consumer *seat, uint64_t *out_least);

/* The consumer comes in. False: it was told to go. */
static inline bool fletch_seat_enter(struct fletch_broadcast_consumer *seat, uint64_t head,
                                     enum fletch_fence_kind fence_kind)
{
    /* relaxed: F3 orders it before the look at the state */
    store_relaxed(&seat->own.head, head | FLETCH_BROADCAST_INSIDE);
    fletch_fence_frequent(fence_kind);                      /* F3 */
    return load_relaxed(&seat->state) == seat->own.working; /* relaxed: tells nothing but itself */
}

/* It goes out, at `head`. */
static inline void fletch_seat_exit(struct fletch_broadcast_consumer *seat, uint64_t head)
{
    store_release(&seat->own.head, head); /* E3 release */
}

/* It has passed everything before `head`. */
static inline void fletch_seat_pass(struct fletch_broadcast_consumer *seat, uint64_t head)
{
    store_release(&seat->gate, head); /* E1 release */
}

/* Where it is, outside or inside. */
static inline uint64_t fletch_seat_head(const struct fletch_broadcast_consumer *seat)
{
    /* relaxed: written by its consumer only, or a statistic */
    return load_relaxed(&seat->own.head) & ~FLETCH_BROADCAST_INSIDE;
}

static inline bool fletch_is_ahead(uint64_t position, uint64_t of)
{
    return (int64_t)(position - of) > 0;
}

#endif
