#ifndef FLETCH_SERVICE_SERVICE_REPORT_H
#define FLETCH_SERVICE_SERVICE_REPORT_H

/* A shuffle as JSON, as docs/SERVICE.md has it. */

#include <fletching/flight_types.h>

#include "shuffle/shuffle.h"

/* Text that ends with NUL, in a block; NULL: no memory. */
char *fletch_service_report(struct fletch_shuffle *shuffle, bool with_partitions);

/* "OPEN", "COMPLETE", "LOST: …", "CANCELLED: …". */
enum { FLETCH_SERVICE_STATE_BYTES = 320 };
void fletch_service_state(const struct fletch_shuffle *shuffle,
                          char out_state[FLETCH_SERVICE_STATE_BYTES]);

/* "REGISTERED", "PRODUCING" … */
const char *fletch_service_partition_state(enum fletch_partition_state state);

/* The fields of the statistics by name, for who writes and who reads them. */
struct fletch_service_statistic {
    const char *name;
    size_t offset;
    bool is_short; /* 32 bits */
};
extern const struct fletch_service_statistic fletch_service_statistics[];
extern const size_t fletch_service_statistic_count;

/* Words of enum fletch_retention and enum fletch_sum_level. */
extern const char *const fletch_service_retentions[2];
extern const char *const fletch_service_sums[5];

#endif
