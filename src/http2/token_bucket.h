#ifndef FLETCH_HTTP2_TOKEN_BUCKET_H
#define FLETCH_HTTP2_TOKEN_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/checked.h"

/* So many at once, and so many a second after that. Kept as the time at which the bucket would be
 * full again if nothing more was taken (the virtual scheduling algorithm of ATM's leaky bucket), so
 * that there is one number to keep and none to refill. */
struct fletch_token_bucket {
    uint64_t full_at_ns;
    uint64_t token_ns; /* in which one comes back */
    uint64_t burst_ns; /* in which all do */
};

static inline struct fletch_token_bucket fletch_token_bucket_of(uint32_t burst, uint32_t rate)
{
    uint64_t token_ns = UINT64_C(1000000000) / rate;
    return (struct fletch_token_bucket){.token_ns = token_ns, .burst_ns = token_ns * burst};
}

/* False: there was none. */
static inline bool fletch_token_bucket_take(struct fletch_token_bucket *bucket, uint64_t now_ns)
{
    uint64_t from = bucket->full_at_ns > now_ns ? bucket->full_at_ns : now_ns;
    uint64_t full_at = fletch_saturating_add_u64(from, bucket->token_ns);
    if (full_at - now_ns > bucket->burst_ns)
        return false;
    bucket->full_at_ns = full_at;
    return true;
}

/* Puts some back; it gets no fuller than full. */
static inline void fletch_token_bucket_earn(struct fletch_token_bucket *bucket, uint32_t tokens)
{
    uint64_t earned = tokens * bucket->token_ns;
    bucket->full_at_ns = bucket->full_at_ns > earned ? bucket->full_at_ns - earned : 0;
}

#endif
