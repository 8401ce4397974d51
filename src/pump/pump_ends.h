#ifndef FLETCH_PUMP_PUMP_ENDS_H
#define FLETCH_PUMP_PUMP_ENDS_H

/* Where the frames of a session come from and go to: a replica's outlet as a source, its inlets as
 * a sink. One thread. */

#include <fletching/shuffle.h>

#include "pump/pump_receiver.h"
#include "pump/pump_sender.h"
#include "shuffle/inlet.h"
#include "shuffle/outlet.h"

struct fletch_pump_ends {
    struct fletch_shuffle *shuffle;
    struct fletch_sleeper *sleeper;
    struct fletch_buffer_cache *cache; /* of the thread */
    struct fletch_outlet *outlet;      /* a sender's; NULL: none yet */
    const uint32_t *partitions;        /* a receiver's, pull: what was asked for */
    uint32_t partition_count;
};

/* Their context is the ends. */
struct fletch_pump_source fletch_pump_ends_source(struct fletch_pump_ends *ends);
struct fletch_pump_sink fletch_pump_ends_sink(struct fletch_pump_ends *ends);

#endif
