#ifndef FLETCH_SYNC_SPSC_RING_H
#define FLETCH_SYNC_SPSC_RING_H

/* Bounded ring of one producer and one consumer.
 *
 * Origin: L. Lamport's ring of two indices (1977); positions of the other side cached as in
 * MCRingBuffer (P. Lee et al., 2009) and rigtorp's SPSCQueue; the sequence in the slot as in
 * FastForward (J. Giacomoni et al., 2008) and D. Vyukov's bounded queue, with numbers that only
 * grow.
 *
 * Roles: one producer, one consumer, each a thread at a time. Progress: every try_ call, commit and
 * release is wait-free: no loop but over the elements it moves, no locked instruction. What a
 * stalled or dead side does to the other: the ring runs full or empty, and stays correct.
 *
 * Positions count elements since the start and wrap at 2^64; only differences are used. The number
 * of slots can be anything (sync/lap.h). A call that moves one element compares its position with
 * the border of the lap and stores it, and writes nothing else of its own: each store takes a place
 * in the queue of stores that wait for lines from the other core, and how many lines can be on
 * their way at a time is how many of them that queue reaches.
 *
 * Two forms. In the slot form each slot carries the number of the element in it: position + 1. A
 * reader of the slot learns from the line that it needs anyway whether the element is there. In the
 * cursor form the producer publishes one position for any number of elements, which lie side by
 * side.
 *
 * Room is returned lazily: the consumer publishes its position once for every eighth of the ring,
 * and whenever it finds the ring empty. The ring has that much slack above the capacity that was
 * asked for, so a producer that finds it full knows of `capacity` unread elements (sync/ring.c).
 *
 * Edges:
 *   E1: producer store_release(slot sequence) -> consumer load_acquire(slot sequence): the element
 *       is in the slot.
 *   E2: consumer store_release(head_published) -> producer load_acquire(head_published): slots
 *       below that position have been read and may be written.
 *   E3: producer store_release(tail_published) -> consumer load_acquire(tail_published): all
 *       elements below that position are in their slots.
 *   E4: producer fetch_or_release(shut) -> consumer load_acquire(shut): everything that was
 *       published before the ring was closed is seen by one more look.
 *
 * Linearization: push at the store of E1 or E3, pop at the load that finds the element, full at the
 * load of E2, empty at the load of E1 or E3 that finds none, close at the fetch_or.
 *
 * ABA: none, since a number comes back after 2^64 elements only. Reclamation: none, slots are
 * reused in place. */

#include <fletching/spsc_ring.h>

#include <stdint.h>

#include "base/atomic.h"
#include "base/inlining.h"
#include "sync/end_guard.h"
#include "sync/lap.h"
#include "sync/ring.h"

/* Written by the producer only. */
struct fletch_spsc_producer {
    _Atomic uint64_t tail; /* position of the next element to push */
    struct fletch_lap lap;
    uint64_t head_seen;     /* the last head_published that was read */
    uint64_t claimed;       /* elements of the open claim */
    _Atomic uint64_t fulls; /* statistic */
    struct fletch_wait_history waits;
    struct fletch_end_guard guard;
};

/* Written by the consumer only. */
struct fletch_spsc_consumer {
    _Atomic uint64_t head; /* position of the next element to pop */
    struct fletch_lap lap;
    uint64_t tail_seen;      /* cursor form: the last tail_published that was read */
    uint64_t head_returned;  /* what head_published holds */
    _Atomic uint64_t emptys; /* statistic */
    struct fletch_wait_history waits;
    struct fletch_end_guard guard;
};

struct fletch_spsc_ring {
    FLETCH_ISOLATED struct fletch_ring_header header;
    uint64_t start; /* the first position */
    FLETCH_ISOLATED struct fletch_spsc_producer producer;
    FLETCH_ISOLATED struct fletch_spsc_consumer consumer;
    FLETCH_ISOLATED _Atomic uint64_t head_published; /* by the consumer */
    FLETCH_ISOLATED _Atomic uint64_t tail_published; /* by the producer, cursor form */
};

/* Lets the positions of a new, empty ring begin at `start`, so that tests can begin just below the
 * limit. */
void fletch_spsc_ring_restart_at(struct fletch_spsc_ring *ring, uint64_t start);

/* Consumer: whether an element is there; as fletch_spsc_ring_try_peek, and shows none. */
enum fletch_answer fletch_spsc_ring_look(struct fletch_spsc_ring *ring);

/* ---- single calls where they are a matter of a few instructions ---- */

static inline _Atomic uint64_t *fletch_spsc_sequence_of(char *slot)
{
    return (_Atomic uint64_t *)(void *)slot;
}

static inline bool fletch_spsc_ring_is_shut(const struct fletch_spsc_ring *ring)
{
    /* relaxed: only this end closes, and cancelling hands nothing over */
    return load_relaxed(&ring->header.shut) != 0;
}

/* Pushes an element of `words` words in the slot form, short of the border; does not notify. */
static FLETCH_ALWAYS_INLINE bool fletch_spsc_ring_push_words(struct fletch_spsc_ring *ring,
                                                             const void *element, size_t words)
{
    struct fletch_spsc_producer *producer = &ring->producer;
    uint64_t tail = load_relaxed(&producer->tail); /* relaxed: written by this end only */
    if (__builtin_expect(
            fletch_spsc_ring_is_shut(ring) || fletch_lap_border_is_at(&producer->lap, tail), 0))
        return false;
    char *slot = (char *)ring + fletch_lap_slot_offset(&producer->lap, &ring->header.layout, tail,
                                                       fletch_slot_bytes(words));
    fletch_words_push(slot + sizeof(uint64_t), element, words);
    store_release(fletch_spsc_sequence_of(slot), tail + 1); /* E1 release */
    store_relaxed(&producer->tail, tail + 1);               /* relaxed: read by statistics only */
    return true;
}

/* False: the general way must be gone. Notifies nobody. */
static FLETCH_ALWAYS_INLINE bool fletch_spsc_ring_push_fast(struct fletch_spsc_ring *ring,
                                                            const void *element)
{
    uint64_t words = ring->header.layout.fast_words;
    bool pushed = false;
    fletch_end_guard_enter(&ring->producer.guard);
    if (__builtin_expect(words == 3, 1))
        pushed = fletch_spsc_ring_push_words(ring, element, 3);
    else if (words == 1)
        pushed = fletch_spsc_ring_push_words(ring, element, 1);
    fletch_end_guard_leave(&ring->producer.guard);
    return pushed;
}

static inline bool fletch_spsc_has_number_of(char *slot, uint64_t position)
{
    return load_acquire(fletch_spsc_sequence_of(slot)) == position + 1; /* E1 acquire */
}

/* Pops an element of `words` words in the slot form, if one is there, short of the border. */
static FLETCH_ALWAYS_INLINE bool fletch_spsc_ring_pop_words(struct fletch_spsc_ring *ring,
                                                            void *out_element, size_t words)
{
    struct fletch_spsc_consumer *consumer = &ring->consumer;
    uint64_t head = load_relaxed(&consumer->head); /* relaxed: written by this end only */
    char *slot = (char *)ring + fletch_lap_slot_offset(&consumer->lap, &ring->header.layout, head,
                                                       fletch_slot_bytes(words));
    if (__builtin_expect(fletch_lap_border_is_at(&consumer->lap, head) ||
                             !fletch_spsc_has_number_of(slot, head),
                         0))
        return false;
    memcpy(out_element, slot + sizeof(uint64_t), words * sizeof(uint64_t));
    if (__builtin_expect(fletch_ends_line(slot + fletch_slot_bytes(words)), words > 1))
        /* relaxed: changes nothing, as in fletch_lines_take_over; E2 comes later */
        store_relaxed(fletch_spsc_sequence_of(slot), head + 1);
    store_relaxed(&consumer->head, head + 1); /* relaxed: read by statistics only */
    return true;
}

/* False: the general way must be gone. */
static FLETCH_ALWAYS_INLINE bool fletch_spsc_ring_pop_fast(struct fletch_spsc_ring *ring,
                                                           void *out_element)
{
    uint64_t words = ring->header.layout.fast_words;
    bool popped = false;
    fletch_end_guard_enter(&ring->consumer.guard);
    if (__builtin_expect(words == 3, 1))
        popped = fletch_spsc_ring_pop_words(ring, out_element, 3);
    else if (words == 1)
        popped = fletch_spsc_ring_pop_words(ring, out_element, 1);
    fletch_end_guard_leave(&ring->consumer.guard);
    return popped;
}

#endif
