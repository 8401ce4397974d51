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
    bool is_cleared;           /* of a cancelled shuffle: its partitions are empty */
    bool never_waits_for_room; /* what *delivered* has no room for stays the shuffle's */
    bool is_armed;
    uint32_t armed_key;
    struct fletch_partitioner *partitioner; /* for sums of keys; NULL: none are wanted */
    struct fletch_shuffle_partition **partitions;
    uint32_t partition_count;
    uint32_t ended_count; /* of those, that have told their end */
    /* Partitions that have something to give, each after the others. */
    struct fletch_partition_queue pending;

    struct fletch_spill_segment *segment; /* for frames that are retained; or NULL */
    /* What there was no room for, the last time, and where. */
    struct fletch_account *blocked_account;
    uint64_t blocked_bytes;
    struct fletch_reader_source source;
};

/* For owners that wait for other things too: from now on `eventcount` is told of what comes; it
 * outlives all calls of the shuffle. Before anything is written to it. Such a reader is also
 * given what *delivered* has no room for: it passes on what it is given, and the others, that it
 * would wait for, may wait for it. */
void fletch_shuffle_reader_sleep_on(struct fletch_shuffle_reader *reader,
                                    struct fletch_eventcount *eventcount);

/* What there is now, as fletch_shuffle_reader_next; neither waits nor words an error for having
 * found nothing. OK, no event, `*out_is_over`: nothing will come. */
enum fletch_status fletch_shuffle_reader_look(struct fletch_shuffle_reader *reader,
                                              struct fletch_shuffle_event *out_event,
                                              bool *out_has_event, bool *out_is_over,
                                              struct fletch_error *error);

/* Whether a look could find something: a few loads. */
bool fletch_shuffle_reader_may_have_any(const struct fletch_shuffle_reader *reader);

/* Whether nothing that was sent before the call is still to be given, held behind barriers
 * included. */
bool fletch_shuffle_reader_is_empty(const struct fletch_shuffle_reader *reader);

#endif
