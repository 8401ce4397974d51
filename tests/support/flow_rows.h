#ifndef FLETCH_TESTS_SUPPORT_FLOW_ROWS_H
#define FLETCH_TESTS_SUPPORT_FLOW_ROWS_H

/* Rows that tell where they come from, for tests of flows. */

#include <fletching/fletching.h>

#include <stdint.h>

/* Each a column of int64 without nulls. */
enum flow_column {
    FLOW_KEY,      /* 0 to FLOW_KEYS - 1; follows from the identity */
    FLOW_IDENTITY, /* of the row, for ever */
    FLOW_SENDER,   /* the instance that sent it last */
    FLOW_NUMBER,   /* which of its rows it was */
    FLOW_BARRIER,  /* the last one that its source had passed */
    FLOW_TIME,     /* of the event */
    FLOW_COLUMNS
};

enum { FLOW_KEYS = 1000 };

struct fletch_schema *flow_rows_schema(void);

/* A batch of `row_count` rows; column c of row i is at (*out_words)[c * row_count + i], to be
 * filled by the caller, who alone has it. NULL: no memory. */
struct fletch_batch *flow_rows_make(struct fletch_schema *schema, struct fletch_buffer_cache *cache,
                                    uint32_t row_count, int64_t **out_words);

/* The values of a column. */
const int64_t *flow_rows_column(const struct fletch_batch *batch, enum flow_column column);

/* The key of a row with that identity. */
int64_t flow_rows_key(int64_t identity);

/* Bounds that divide the keys into `partitions` ranges; NULL for one partition. */
struct fletch_batch *flow_rows_bounds(struct fletch_buffer_cache *cache, uint32_t partitions);

#endif
