#ifndef FLETCH_SYNC_BROADCAST_RING_H
#define FLETCH_SYNC_BROADCAST_RING_H

/* Bounded ring of one producer or several, and many consumers that see every element each.
 *
 * Origin: the LMAX Disruptor (M. Thompson et al., 2011), with its claims by sequence, gating
 * sequences and sequence barriers; sequences in the slots and runs as in sync/mpsc_queue.h.
 *
 * Roles: one producer, or any number that need not register; consumers with a seat each
 * (sync/broadcast_seat.h). Progress: with one producer push is wait-free, with several lock-free (a
 * failed compare-and-swap means that another claim won); pop is wait-free. Between claim and
 * publication one of several producers holds up all consumers at its position (HELD) and, once the
 * ring is full behind it, the other producers.
 *
 * Positions count elements, doubled as in the MPSC queue, so that the lowest bit of the tail says
 * that the ring is closed. A run of elements that was claimed at once is published by one store: of
 * the sequence of its first slot, which becomes the position behind its last one; in the cursor
 * form, of one word for the ring. Who reads keeps the end of the run that it is in. All begin where
 * a run begins.
 *
 * Room. One producer whose elements are plain values looks at the gates itself, when it has used up
 * what it found the last time. In all other rings the keeper does: a consumer behind all others
 * that is nobody's thread but who needs it to go on. It passes what is published and passed by
 * all, drops the references, and its position is the one gate of the producers. Without consumers
 * it keeps producers from a slot that another has claimed and not published. Whoever wants the
 * keeper to look adds one to a count; who finds 0 there becomes it, until nobody has come
 * meanwhile. One that stalls there holds up producers once the ring is full.
 *
 * A consumer moves its gate after each eighth of the ring and whenever it finds nothing, as in the
 * SPSC ring, and one that leads with every call. While it is alone, it hands lines back dirty
 * (sync/ring.h). One that follows keeps how far its leaders have come, and asks them behind that.
 *
 * Edges:
 *   E1: producer store_release(sequence of the first slot) -> who reads load_acquire(the same): the
 *       elements of the run are in their slots. A consumer that hands a line back stores what it
 *       found there, and passes on what it has acquired.
 *   E2: keeper store_release(kept) -> producer load_acquire(kept): slots below that position have
 *       been read by all and may be written.
 *   E3: producer store_release(published) -> who reads load_acquire(published): all elements below
 *       that position are in their slots.
 *   E4: who has been the keeper cas_acq_rel(keepers) -> the next one fetch_add_acq_rel(keepers):
 *       what it passed and dropped; the same way round, the gates of who asked it to look.
 *
 * Linearization: push at the claim (one producer: at E1 or E3), pop at the load that finds the
 * element or the leader's gate, join at the second look at the tail, full at the look at the gates
 * or at E2, closed at the change of the tail.
 *
 * ABA: a stale tail equals the tail again after 2^63 claims only. Reclamation: none, slots are
 * reused in place. */

#include <fletching/broadcast_ring.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/inlining.h"
#include "sync/broadcast_seat.h"
#include "sync/end_guard.h"
#include "sync/ring.h"

/* Written by the producer, or by producers that claim. */
struct fletch_broadcast_claims {
    _Atomic uint64_t tail; /* position of the next claim, | FLETCH_BROADCAST_CLOSED */
    uint64_t room_end;     /* one producer: positions below may be written without a look */
    uint64_t claimed;      /* one producer: elements of the open claim */
    struct fletch_end_guard guard;
};

/* Written by producers when they find no room. */
struct fletch_broadcast_waiting {
    _Atomic uint64_t fulls; /* statistic; producers may lose each other's counts */
    struct fletch_wait_history waits;
};

/* Written by whoever is the keeper. */
struct fletch_broadcast_keeper {
    _Atomic uint32_t keepers; /* how many have asked it to look, 0: nobody is it */
    uint64_t run_end;         /* elements below this position are known to be published */
    uint64_t passed;          /* what `kept` holds */
};

struct fletch_broadcast_ring {
    FLETCH_ISOLATED struct fletch_ring_header header;
    uint64_t start; /* the first position */
    uint64_t consumers_max;
    enum fletch_fence_kind fence_kind;
    bool many;           /* producers */
    bool kept_by_keeper; /* its position is the producers' gate */
    fletch_drop_function *drop;
    fletch_drop_function *hold;
    void *context;
    FLETCH_ISOLATED struct fletch_broadcast_claims claims;
    FLETCH_ISOLATED _Atomic uint64_t published; /* by the producer, cursor form */
    FLETCH_ISOLATED _Atomic uint64_t kept;      /* by the keeper */
    FLETCH_ISOLATED struct fletch_broadcast_keeper keeper;
    FLETCH_ISOLATED struct fletch_broadcast_waiting producers;
    /* Changed by who joins, leaves or removes. */
    FLETCH_ISOLATED _Atomic uint64_t joined; /* so many so far: the last number */
    _Atomic uint64_t consumers;              /* that hold up producers */
    _Atomic uint64_t removed;                /* statistic */
    FLETCH_ISOLATED struct fletch_broadcast_consumer seats[];
};

static FLETCH_ALWAYS_INLINE char *fletch_broadcast_slot(struct fletch_broadcast_ring *ring,
                                                        uint64_t position, size_t words)
{
    const struct fletch_ring_layout *layout = &ring->header.layout;
    uint64_t stride = words > 0 ? fletch_slot_bytes(words) : layout->stride_bytes;
    return (char *)ring + layout->slots_offset +
           (position / FLETCH_BROADCAST_STEP & (layout->slot_count - 1)) * stride;
}

static inline _Atomic uint64_t *fletch_broadcast_sequence(char *slot)
{
    return (_Atomic uint64_t *)(void *)slot;
}

static FLETCH_ALWAYS_INLINE bool
fletch_broadcast_has_sequences(const struct fletch_broadcast_ring *ring)
{
    return ring->header.layout.payload_offset != 0;
}

static inline struct fletch_seats fletch_broadcast_seats(struct fletch_broadcast_ring *ring)
{
    return (struct fletch_seats){
        .first = ring->seats, .count = ring->consumers_max, .fence_kind = ring->fence_kind};
}

static inline void fletch_broadcast_show(struct fletch_broadcast_ring *ring, uint64_t position,
                                         uint64_t count, struct fletch_ring_spans *out_spans)
{
    const struct fletch_ring_layout *layout = &ring->header.layout;
    uint64_t to_end =
        layout->slot_count - (position / FLETCH_BROADCAST_STEP & (layout->slot_count - 1));
    uint64_t first = count < to_end ? count : to_end;
    *out_spans = (struct fletch_ring_spans){
        .first = fletch_broadcast_slot(ring, position, 0) + layout->payload_offset,
        .first_count = first,
        .second_count = count - first,
        .stride_bytes = layout->stride_bytes,
    };
    if (count > first)
        out_spans->second = (char *)ring + layout->slots_offset + layout->payload_offset;
}

/* The end of the run that begins at `position`, or something that is not ahead of that. */
static FLETCH_ALWAYS_INLINE uint64_t fletch_broadcast_run(struct fletch_broadcast_ring *ring,
                                                          uint64_t position)
{
    if (fletch_broadcast_has_sequences(ring))
        return load_acquire(
            fletch_broadcast_sequence(fletch_broadcast_slot(ring, position, 0))); /* E1 acquire */
    return load_acquire(&ring->published);                                        /* E3 acquire */
}

/* Whether a run of one element lies at `position`, in a slot of the slot form. */
static FLETCH_ALWAYS_INLINE bool fletch_broadcast_is_single(char *slot, uint64_t position)
{
    /* E1 acquire */
    return load_acquire(fletch_broadcast_sequence(slot)) == position + FLETCH_BROADCAST_STEP;
}

/* Hands the line back that ends with this slot. */
static FLETCH_ALWAYS_INLINE void fletch_broadcast_give_back(char *slot)
{
    _Atomic uint64_t *sequence = fletch_broadcast_sequence(slot);
    /* relaxed: what was acquired before */
    store_release(sequence, load_relaxed(sequence)); /* E1 release */
}

/* Where the next run begins, for who joins and for the keeper. */
static inline uint64_t fletch_broadcast_tail(const struct fletch_broadcast_ring *ring)
{
    /* relaxed: a position and no more; the fences order the looks at it and at gates */
    if (!fletch_broadcast_has_sequences(ring))
        return load_relaxed(&ring->published);                          /* relaxed: as above */
    return load_relaxed(&ring->claims.tail) & ~FLETCH_BROADCAST_CLOSED; /* relaxed: as above */
}

/* Positions from `from` to `to` in elements; none where that is behind. */
static inline uint64_t fletch_broadcast_between(uint64_t from, uint64_t to)
{
    return fletch_is_ahead(to, from) ? (to - from) / FLETCH_BROADCAST_STEP : 0;
}

/* Somebody has moved or left a gate: lets go what is due, and wakes producers. */
void fletch_broadcast_gates_changed(struct fletch_broadcast_ring *ring);

/* Lets the positions of a new, empty ring begin at `start`, an even number, so that tests can begin
 * just below the limit. Before anybody joins. */
void fletch_broadcast_ring_restart_at(struct fletch_broadcast_ring *ring, uint64_t start);

#endif
