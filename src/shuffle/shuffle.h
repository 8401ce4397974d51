#ifndef FLETCH_SHUFFLE_SHUFFLE_H
#define FLETCH_SHUFFLE_SHUFFLE_H

/* A shuffle: its specification, and what its writers and readers share.
 *
 * Edges:
 *   E1: fletch_shuffle_cancel store_release(cancel) -> load_acquire(cancel): the reason.
 *   E2: outlet store_release(outcome) -> load_acquire(outcome): who was lost, and why.
 * That every reader and writer hears of it is the partitions' matter (shuffle_partition.h, E1, E2)
 * and that of the seats. */

#include <fletching/shuffle.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "memory/shared.h"
#include "shuffle/coordinator.h"
#include "shuffle/credit.h"
#include "shuffle/placement_plan.h"
#include "shuffle/shuffle_name.h"
#include "shuffle/shuffle_partition.h"
#include "shuffle/transport.h"

#define FLETCH_REASON_BYTES 256

/* The options, copied, with their defaults filled in. */
struct fletch_shuffle_specification {
    size_t name_bytes;
    char name[FLETCH_SHUFFLE_NAME_BYTES_MAX];      /* any bytes */
    struct fletch_name_text shown;                 /* it, for messages and accounts */
    struct fletch_schema *schema;                  /* a reference */
    struct fletch_partitioner_options partitioner; /* what it points to is the shuffle's own */
    uint32_t producer_count;
    uint32_t producer_limit;
    bool hold_open; /* producer 0 is nobody's: shuffle/producer_set.h */
    uint64_t budget_bytes;
    size_t frame_bytes;
    uint64_t linger_ns; /* FLETCH_OFF: never */
    enum fletch_sum_level sums;
    enum fletch_retention retention;
    char *spill_directory; /* own copy; NULL: none */
    enum fletch_spill_codec spill_codec;
    uint64_t scratch_bytes; /* that each writer reserves to spill */
    uint64_t spill_after_ns;
    uint32_t barrier_limit;
    uint64_t watermark_idle_ns;
    bool strict_schema;
    bool has_hashes; /* the partitioner hashes, so there is a key sum */
    struct fletch_shuffle_id identity;
    struct fletch_placement_plan placement;
};

/* Counted by writers; all relaxed, statistics. */
struct fletch_written_counters {
    _Atomic uint64_t rows_written;
    _Atomic uint64_t bytes_written;
    _Atomic uint64_t rows_sent;
    _Atomic uint64_t bytes_sent;
    _Atomic uint64_t frames_sent;
    _Atomic uint64_t frames_spilled;
    _Atomic uint64_t bytes_spilled;
    _Atomic uint64_t credit_waits;
    _Atomic uint64_t credit_wait_ns;
    _Atomic uint32_t writers_holding;      /* that have frames without credit */
    _Atomic uint32_t writers_stuck;        /* of those, asleep or armed */
    _Atomic uint32_t writers_alone;        /* that are making a frame beside the budget just now */
    _Atomic uint32_t producers_unverified; /* whose rows came from outside without sums */
    _Atomic uint32_t writers_opened;
    _Atomic uint64_t frames_outside;  /* that outlets have taken, credit that inlets have, and who
                                        takes some just now */
    _Atomic uint64_t frames_accepted; /* by other processes */
    _Atomic uint64_t rows_accepted;
    _Atomic uint64_t bytes_accepted;
};

/* Counted by readers; all relaxed, statistics. */
struct fletch_read_counters {
    _Atomic uint64_t rows_read;
    _Atomic uint64_t bytes_read;
    _Atomic uint64_t frames_read;
    _Atomic uint64_t reader_waits;
    _Atomic uint64_t reader_wait_ns;
    _Atomic uint32_t readers_open;
    _Atomic uint32_t readers_waiting; /* asleep or armed, with nothing to give */
    _Atomic uint32_t partitions_ended;
};

enum fletch_cancel_state {
    FLETCH_CANCEL_NONE,
    FLETCH_CANCEL_CLAIMED, /* somebody writes the reason */
    FLETCH_CANCEL_DONE
};

/* What became of the producers. */
enum fletch_shuffle_outcome {
    FLETCH_OUTCOME_OPEN,
    FLETCH_OUTCOME_COMPLETE, /* all have ended */
    FLETCH_OUTCOME_LOST      /* one was aborted */
};

/* Whether the name is taken: shuffle/registry.h. */
enum fletch_name_state { FLETCH_NAME_PENDING, FLETCH_NAME_TAKEN, FLETCH_NAME_REFUSED };

struct fletch_outlet_entry;
struct fletch_refusal;
struct fletch_shuffle_seat;

struct fletch_shuffle {
    struct fletch_shared shared; /* first */
    struct fletch_allocator allocator;
    struct fletch_transport *transport;
    uint64_t handle; /* of its partitions in the store */
    uint64_t name_hash;
    uint32_t name_probe;
    _Atomic uint32_t name_state; /* enum fletch_name_state */
    _Atomic uint32_t is_closed;  /* its name and partitions were taken out of the store */
    _Atomic uint32_t is_sealed;  /* of a set that is held open: no more producers may come */
    bool is_attached;            /* to the transport's media: set before it is entered */
    struct fletch_shuffle_specification specification;
    struct fletch_account *account;  /* below the transport's */
    struct fletch_account *alone;    /* beside it: frames that are larger than there is room for */
    uint64_t writer_bytes;           /* the most that a writer keeps before it is sent */
    struct fletch_account *retained; /* below the shuffle's; NULL: nothing is retained */
    struct fletch_shuffle_partition *partitions;
    struct fletch_frame *barriers;          /* those of all partitions */
    struct fletch_epoch_seat *seat;         /* of who runs the coordinator's serial */
    struct fletch_epoch_seat *closing_seat; /* of who closes it, until then */
    struct fletch_coordinator *coordinator;
    struct fletch_credit_pool credit_pool;
    _Atomic(struct fletch_shuffle_seat *) seats; /* of writers and inlets; newest first */
    /* The serial's. */
    struct fletch_outlet_entry *outlets;
    struct fletch_refusal *refusals;
    _Atomic uint32_t outcome; /* enum fletch_shuffle_outcome */
    uint32_t lost_producer;
    const char *lost_reason; /* the coordinator's */
    _Atomic uint32_t cancel; /* enum fletch_cancel_state */
    char cancel_reason[FLETCH_REASON_BYTES];
    struct fletch_serial_task cancel_task; /* runs in the coordinator's serial */
    FLETCH_ISOLATED struct fletch_written_counters written;
    FLETCH_ISOLATED struct fletch_read_counters read;
};

/* Whether the calling process made it: a child forked since leaves it alone, files included, which
 * it shares with its parent. */
static inline bool fletch_shuffle_is_own(const struct fletch_shuffle *shuffle)
{
    return fletch_transport_is_own(shuffle->transport);
}

/* OK, CANCELLED with the reason, or FAILED_PRECONDITION: forked since. Three loads. */
enum fletch_status fletch_shuffle_check(const struct fletch_shuffle *shuffle,
                                        struct fletch_error *error);

/* Of a frame that is sent: statistics. */
static inline void fletch_shuffle_count_sent(struct fletch_shuffle *shuffle, uint64_t rows,
                                             uint64_t bytes)
{
    fetch_add_relaxed(&shuffle->written.rows_sent, rows);   /* relaxed: a statistic */
    fetch_add_relaxed(&shuffle->written.bytes_sent, bytes); /* relaxed: the same */
    fetch_add_relaxed(&shuffle->written.frames_sent, 1);    /* relaxed: the same */
}

static inline void fletch_shuffle_count_outside(struct fletch_shuffle *shuffle, uint64_t frames)
{
    /* relaxed: who looks at it looks twice */
    fetch_add_relaxed(&shuffle->written.frames_outside, frames);
}

static inline bool fletch_shuffle_is_cancelled(const struct fletch_shuffle *shuffle)
{
    return load_acquire(&shuffle->cancel) == FLETCH_CANCEL_DONE; /* E1 acquire */
}

/* Whether a producer was lost, so that all partitions have failed. */
static inline bool fletch_shuffle_has_lost(const struct fletch_shuffle *shuffle)
{
    return load_acquire(&shuffle->outcome) == FLETCH_OUTCOME_LOST; /* E2 acquire */
}

static inline uint64_t fletch_shuffle_now_ns(const struct fletch_shuffle *shuffle)
{
    return fletch_transport_now_ns(shuffle->transport);
}

/* UNAVAILABLE: "PRODUCER_LOST", of a partition of a shuffle whose outcome that is. */
enum fletch_status fletch_shuffle_tell_lost(const struct fletch_shuffle *shuffle,
                                            uint32_t partition, struct fletch_error *error);

#endif
