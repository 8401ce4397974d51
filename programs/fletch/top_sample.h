#ifndef FLETCH_PROGRAM_TOP_SAMPLE_H
#define FLETCH_PROGRAM_TOP_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "service_run.h"
#include "service_text.h"

/* What `fletch top` knows at one moment, and how fast things have gone since the one before. */

struct top_rates {
    double rows_in;  /* a second: put */
    double rows_out; /* read */
    double bytes_in;
    double bytes_out;
};

struct top_shuffle {
    const struct fletch_shuffle_report *report; /* in short, or with partitions */
    struct top_rates rates;
    struct service_waits waits;           /* where the report has partitions */
    struct fletch_shuffle_reports detail; /* of those */
};

struct top_sample {
    double time; /* seconds of some clock; 0: nothing was sampled */
    bool has_rates;
    struct fletch_shuffle_reports reports;
    struct top_shuffle *shuffles; /* the busiest first */
    size_t count;
    /* Of all. */
    struct top_rates rates;
    struct service_waits waits;
    uint64_t bytes_queued;
    uint64_t bytes_charged;
    uint64_t bytes_on_disk;
};

/* Asks for all shuffles, and for the partitions of `detail_limit` of them. `before`: NULL or a
 * sample without time: there are no rates. False: *error says why. */
bool top_sample_take(const struct service_run *run, const struct top_sample *before,
                     size_t detail_limit, struct top_sample *out_sample,
                     struct fletch_error *error);
void top_sample_end(struct top_sample *sample);

/* Seconds of the clock of samples. */
double top_clock(void);

#endif
