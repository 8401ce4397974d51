#include "net/backoff.h"

enum { JITTER_PARTS = 1 << 20 };

void fletch_backoff_start(struct fletch_backoff *backoff, uint64_t first_ns, uint64_t most_ns,
                          uint64_t seed)
{
    *backoff = (struct fletch_backoff){
        .first_ns = first_ns == 0 ? FLETCH_BACKOFF_FIRST_NS : first_ns,
        .most_ns = most_ns == 0 ? FLETCH_BACKOFF_MOST_NS : most_ns,
        .random = fletch_random_from_seed(seed),
    };
    fletch_backoff_reset(backoff);
}

void fletch_backoff_reset(struct fletch_backoff *backoff)
{
    backoff->pause_ns = backoff->first_ns < backoff->most_ns ? backoff->first_ns : backoff->most_ns;
}

uint64_t fletch_backoff_next_ns(struct fletch_backoff *backoff)
{
    uint64_t pause_ns = backoff->pause_ns;
    uint64_t growth_ns = pause_ns / 5 * 3;
    backoff->pause_ns =
        growth_ns < backoff->most_ns - pause_ns ? pause_ns + growth_ns : backoff->most_ns;
    uint64_t span_ns = pause_ns / 5 * 2; /* from 0.8 to 1.2 */
    uint64_t part = fletch_random_below(&backoff->random, JITTER_PARTS);
    return pause_ns - span_ns / 2 + span_ns / JITTER_PARTS * part +
           span_ns % JITTER_PARTS * part / JITTER_PARTS;
}
