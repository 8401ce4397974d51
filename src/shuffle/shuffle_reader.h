#ifndef FLETCH_SHUFFLE_SHUFFLE_READER_H
#define FLETCH_SHUFFLE_SHUFFLE_READER_H

/* A reader: the set of partitions that it owns, and those of them that have something to give.
 * Belongs to one thread at a time; others come to its ready list alone. shuffle_reader.c opens,
 * closes and waits; shuffle/reader_give.h makes events of frames, shuffle/reader_fetch.h gets their
 * batches. */

#include <fletching/shuffle_reader.h>

#include <stdbool.h>
#include <stdint.h>

#include "shuffle/reader_source.h"
#include "shuffle/shuffle.h"
#include "spill/spill_segment.h"

struct fletch_shuffle_reader {
    struct fletch_shuffle *shuffle; /* a reference */
    struct fletch_ready_list *list; /* a block of its own, retired by epoch */
    struct fletch_epoch_seat *seat;
    struct fletch_buffer_cache *cache;
    bool owns_cache;
    bool is_cleared; /* of a cancelled shuffle: its partitions are empty */
    bool is_armed;
    uint32_t armed_key;
    struct fletch_partitioner *partitioner; /* for sums of keys; NULL: none are wanted */
    struct fletch_shuffle_partition **partitions;
    uint32_t partition_count;
    uint32_t ended_count; /* of those, that have told their end */
    /* Partitions that have something to give, each after the others. */
    struct fletch_shuffle_partition *first_pending;
    struct fletch_shuffle_partition *last_pending;

    struct fletch_spill_segment *segment; /* for frames that are retained; or NULL */
    /* What there was no room for, the last time, and where. */
    struct fletch_account *blocked_account;
    uint64_t blocked_bytes;
    struct fletch_reader_source source;
};

#endif
