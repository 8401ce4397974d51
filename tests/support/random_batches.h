#ifndef FLETCH_TESTS_SUPPORT_RANDOM_BATCHES_H
#define FLETCH_TESTS_SUPPORT_RANDOM_BATCHES_H

#include "arrow/schema.h"
#include "base/random.h"
#include "memory/batch.h"

/* Seeded schemas of every type, and batches of any schema: nulls of all kinds, offsets that are no
 * multiple of 8, empty and all-null arrays, garbage where nothing may look. What fails ends the
 * program. */

struct random_schema_options {
    uint32_t columns_max; /* 0 to this many columns */
    uint32_t depth_max;   /* 1: no children */
    bool no_dictionaries;
    bool has_all_layouts; /* views, list views, fixed-size lists, unions, runs, and dictionaries in
                           * dictionaries too; the runs of a column with int16 end at 32767 */
};

struct fletch_schema *random_schema(struct fletch_random *random,
                                    const struct random_schema_options *options);

/* A schema with a column of every type at once, nested ones included. */
struct fletch_schema *schema_of_every_type(void);

/* The same with the layouts that random_schema_options.has_all_layouts adds. */
struct fletch_schema *schema_of_every_layout(void);

/* A batch that passes validation at every level. Its buffers are of `cache`. */
struct fletch_batch *random_batch(struct fletch_random *random, struct fletch_buffer_cache *cache,
                                  struct fletch_schema *schema, int64_t row_count);

/* A batch of `count` rows of `batch` from `first`, on the same buffers. */
struct fletch_batch *batch_slice(struct fletch_buffer_cache *cache, struct fletch_batch *batch,
                                 int64_t first, int64_t count);

/* One value, wherever it lies: element `index` of the array of row `row`. */
struct batch_element {
    const struct fletch_batch *batch;
    uint32_t row;
    int64_t index;
};

/* Whether two elements mean the same: null, or equal bits; lists of any kind, structs and unions by
 * their elements, dictionaries and runs by what they stand for. Both are of the same value type. */
bool batch_elements_equal(struct batch_element a, struct batch_element b);

/* Whether rows first_a … of `a` and first_b … of `b` mean the same; prints the first that does
 * not. */
bool batch_rows_equal(const struct fletch_batch *a, int64_t first_a, const struct fletch_batch *b,
                      int64_t first_b, int64_t count);

/* The same for all rows, of which there must be as many. */
bool batches_equal(const struct fletch_batch *a, const struct fletch_batch *b);

#endif
