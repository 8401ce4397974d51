#ifndef FLETCH_NET_BACKOFF_H
#define FLETCH_NET_BACKOFF_H

/* How long to wait before trying again: longer each time, by a factor, up to a limit; and moved at
 * random, so that those who lost the same server do not come back together. The numbers, but the
 * first pause, are those of gRPC's connection backoff protocol. */

#include "base/random.h"

#define FLETCH_BACKOFF_FIRST_NS UINT64_C(100000000)
#define FLETCH_BACKOFF_MOST_NS UINT64_C(120000000000)

/* The caller's; one thread. */
struct fletch_backoff {
    uint64_t first_ns;
    uint64_t most_ns;
    uint64_t pause_ns; /* the next one, before it is moved */
    struct fletch_random random;
};

/* 0 for `first_ns` or `most_ns`: the defaults. */
void fletch_backoff_start(struct fletch_backoff *backoff, uint64_t first_ns, uint64_t most_ns,
                          uint64_t seed);

/* After a success: the next pause is a first one. */
void fletch_backoff_reset(struct fletch_backoff *backoff);

/* The next pause: between 0.8 and 1.2 times the planned one, which grows to its 1.6-fold. */
uint64_t fletch_backoff_next_ns(struct fletch_backoff *backoff);

#endif
