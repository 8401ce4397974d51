#ifndef FLETCH_SHUFFLE_CONTROL_RECORD_H
#define FLETCH_SHUFFLE_CONTROL_RECORD_H

/* What a producer says to the partitions of another process, as it travels: taken from an outlet
 * (shuffle/outlet.h), given to an inlet (shuffle/inlet.h). */

#include <stdint.h>

#include "shuffle/channel.h"
#include "shuffle/coordinator.h"

/* The attempt of a producer that is never tried again. */
#define FLETCH_FIRST_ATTEMPT 1u

/* Of an end: what the producer has sent to one partition. */
struct fletch_channel_record {
    uint32_t partition;
    struct fletch_channel_totals totals;
};

struct fletch_control_record {
    uint64_t sequence; /* of the producer, for this process: from 1 */
    enum fletch_control_kind kind;
    uint64_t barrier;        /* a barrier, and one that is given up */
    int64_t watermark;       /* a watermark */
    uint32_t added_producer; /* a new producer: its number */
    const char *reason;      /* an abort; NULL: none */
    /* An end: the channels to partitions of this process that have data, by partition; those that
     * are not listed are empty. */
    const struct fletch_channel_record *channels;
    uint32_t channel_count;
};

#endif
