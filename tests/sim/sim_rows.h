#ifndef FLETCH_TESTS_SIM_ROWS_H
#define FLETCH_TESTS_SIM_ROWS_H

/* Rows of the simulation, each of which tells who wrote it, as which, and what else must be in it:
 * a key (or null), an event time, and a filling of any length. */

#include <fletching/fletching.h>

#include <stdbool.h>
#include <stdint.h>

struct sim_row {
    uint32_t producer;
    uint32_t partition;
    uint64_t number;  /* of the producer's rows, from 0 */
    uint64_t barrier; /* the producer's last one before the row */
    int64_t time;
    uint32_t filling_bytes;
    bool is_late; /* may come behind a watermark: its producer was idle */
};

/* "key=l stamp=l! time=l! filling=u!" */
struct fletch_schema *sim_schema(void);

/* A batch of these rows, charged to `account` (NULL: nobody). NULL: there was no room. */
struct fletch_batch *sim_batch(struct fletch_schema *schema, struct fletch_buffer_cache *cache,
                               struct fletch_account *account, const struct sim_row *rows,
                               uint32_t row_count);

/* Which row of the simulation row `index` of a batch is: its producer and number. */
struct sim_stamp {
    uint32_t producer;
    uint64_t number;
};
struct sim_stamp sim_stamp_at(const struct fletch_batch *batch, int64_t index);

/* Whether row `index` has the content of `row`. */
bool sim_row_matches(const struct fletch_batch *batch, int64_t index, const struct sim_row *row);

#endif
