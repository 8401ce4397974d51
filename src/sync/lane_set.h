#ifndef FLETCH_SYNC_LANE_SET_H
#define FLETCH_SYNC_LANE_SET_H

/* The lanes of a fan-in: who owns one, and which ones the consumer looks at.
 *
 * Origin: a ring for each producer and a consumer that goes round, as in the message channels of
 * Barrelfish and of thread-per-core servers; lanes that fall asleep are the idea of an eventcount
 * (sync/eventcount.h), between a lane and the round.
 *
 * A lane is a ring of sync/spsc_ring.h, with its edges and its argument. The consumer keeps a list
 * of the lanes that are awake, and goes round in it.
 *
 * Idle lanes cost nothing. A lane that was found empty DOZE_AFTER times in a row is tired; when
 * half of more than AWAKE_FEW awake lanes are, all tired ones fall asleep together: the consumer
 * sets their bits in `asleep`, executes a fence (F1), looks at each once more, and goes round
 * without those that are still empty. A producer publishes, executes a fence (F2), looks at its
 * bit, and clears it if it is set; the consumer finds that at the end of its round and takes the
 * lane back. Of F1 and F2 at least one sees the other's store, as in the eventcount: no element is
 * slept over. Within the process F2 is a compiler barrier and F1 a membarrier call, one for many
 * lanes that were idle for long. A bit is only changed by read-modify-writes, so its changes have
 * one order; nothing is handed over by it, as what is in a lane is seen by the lane's own edges.
 * Lanes are asleep at the start, so neither a registration nor the closing of a lane that was never
 * used takes any other coordination with the consumer.
 *
 * Lives of a lane: free, in a producer's hand, closed by it, drained; then the consumer sets its
 * bits back and frees it. Positions go on from where they were. `gate` counts the lanes that are
 * not free, in steps of FLETCH_LANE_STEP, and carries the closed flag: whether a registration
 * comes before the closing, and whether all have left, are questions to one word.
 *
 * Roles: any thread takes a lane, closes the set, asks; each lane has one producer; one consumer, a
 * thread at a time, does the rest. Progress: taking a lane is lock-free (a failed compare-and-swap
 * means that another one succeeded or that the consumer freed a lane); everything else is
 * wait-free. Finding the next turn looks at each awake lane a few times at most. A producer that
 * stalls or dies, wherever: its lane runs empty and falls asleep. What it had published when it
 * stalled before its look at the bit is found when it goes on.
 *
 * Edges, besides those of the lanes (sync/spsc_ring.h: its E4 is the closing of a lane):
 *   E1: consumer fetch_or_release(free) -> registrar cas_weak_acquire(free): the lane is drained
 *       and set back; who had it before had closed it, which the consumer saw by the lane's E4.
 *
 * Linearization: take and close at their operation on `gate`. ABA: a lane's number comes again with
 * another producer; nothing is compared by it. Reclamation: none, lanes are reused in place. A
 * producer's last look at its bit may come after the lane's reuse: it then clears a bit that stands
 * for another producer, and the consumer looks once for nothing. */

#include <fletching/fan_in.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/asymmetric_fence.h"
#include "base/atomic.h"
#include "sync/spsc_ring.h"

/* One lane that is not free in `gate`, and the flag below it. */
#define FLETCH_LANE_STEP UINT64_C(2)
#define FLETCH_LANES_CLOSED UINT64_C(1)

#ifdef FLETCH_MODEL_CHECK
enum { FLETCH_LANE_DOZE_AFTER = 1, FLETCH_LANES_AWAKE_FEW = 0 };
#else
enum { FLETCH_LANE_DOZE_AFTER = 64, FLETCH_LANES_AWAKE_FEW = 8 };
#endif

/* Constant, but for what it points to. */
struct fletch_fan_in_lane {
    struct fletch_fan_in *fan_in;
    struct fletch_spsc_ring *ring;
    _Atomic uint64_t *asleep; /* the word, and the bit in it */
    uint64_t bit;
    enum fletch_fence_kind fence_kind; /* of F2 */
    uint32_t number;
};

/* What the consumer knows of a lane. */
struct fletch_lane_watch {
    uint32_t misses; /* times in a row that it was found empty, up to DOZE_AFTER */
    bool held;
};

/* Written by the consumer only. */
struct fletch_lane_round {
    uint32_t awake_count; /* of the list of awake lanes */
    uint32_t next;        /* the index in that list of who comes next */
    uint32_t tired_count; /* awake lanes with DOZE_AFTER misses */
    bool may_doze;        /* the kernel gives the fence */
};

struct fletch_lane_set {
    enum fletch_fence_kind fence_kind; /* of F1, and of F2 */
    uint32_t lane_count;
    uint32_t word_count; /* of a bitmap */
    size_t lane_stride;
    char *lanes;
    _Atomic uint64_t *asleep;        /* bitmap: the consumer sets, the producer clears */
    _Atomic uint64_t *free;          /* bitmap: the consumer sets, who registers clears */
    uint64_t *put_to_sleep;          /* bitmap, the consumer's: set and not found cleared yet */
    uint32_t *awake;                 /* numbers of lanes, the consumer's */
    uint32_t *dozing;                /* the same, of those that are falling asleep */
    struct fletch_lane_watch *watch; /* one for each lane, the consumer's */
    FLETCH_ISOLATED _Atomic uint64_t gate; /* lanes not free, | FLETCH_LANES_CLOSED */
    FLETCH_ISOLATED struct fletch_lane_round round;
};

/* Bytes of the memory of a set with so many lanes, each a ring of `ring_bytes`; false: they do not
 * fit into memory. The memory begins at a multiple of FLETCH_INTERFERENCE_BYTES. */
bool fletch_lane_set_bytes(size_t lane_count, size_t ring_bytes, size_t *out_bytes);

/* All lanes free, each with a ring as `options` say, of which fletch_spsc_ring_bytes was asked. */
enum fletch_status fletch_lane_set_start(struct fletch_lane_set *set, void *memory,
                                         uint32_t lane_count,
                                         const struct fletch_spsc_ring_options *options,
                                         struct fletch_error *error);

static inline struct fletch_fan_in_lane *fletch_lane_at(const struct fletch_lane_set *set,
                                                        uint32_t number)
{
    return (struct fletch_fan_in_lane *)(void *)(set->lanes + number * set->lane_stride);
}

/* Any thread: a free lane. DONE, FULL or CLOSED. */
enum fletch_answer fletch_lane_set_take(struct fletch_lane_set *set,
                                        struct fletch_fan_in_lane **out_lane);

/* Any thread: no lane is taken any more. */
void fletch_lane_set_close(struct fletch_lane_set *set);

/* A lane's producer, after it has published something or closed the lane, and F2. */
static inline bool fletch_lane_is_asleep(const struct fletch_fan_in_lane *lane)
{
    /* relaxed: F2 orders it after the publication; nothing is handed over by the bit */
    return (load_relaxed(lane->asleep) & lane->bit) != 0;
}

/* Then, if it is. */
static inline void fletch_lane_rouse(struct fletch_fan_in_lane *lane)
{
    fetch_and_relaxed(lane->asleep, ~lane->bit); /* relaxed: as above */
}

/* Consumer: the next lane that has an element. DONE, EMPTY, or CLOSED: closed, and all lanes are
 * free. Frees lanes that are closed and drained. */
enum fletch_answer fletch_lane_set_turn(struct fletch_lane_set *set,
                                        struct fletch_fan_in_lane **out_lane);

/* Consumer: leaves a lane out, and takes it in again. */
void fletch_lane_set_hold(struct fletch_lane_set *set, uint32_t number);
void fletch_lane_set_resume(struct fletch_lane_set *set, uint32_t number);

#endif
