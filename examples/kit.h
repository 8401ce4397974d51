#ifndef EXAMPLES_KIT_H
#define EXAMPLES_KIT_H

/* What the examples have in common: batches whose columns are all int64, and less typing. They come
 * in and out by the Arrow C data interface, as they would from any other Arrow library. */

#include <fletching/fletching.h>

/* Ends the program, with the message, unless `status` is OK. */
void must(enum fletch_status status, const struct fletch_error *error);

/* The same for something that must be true. */
void must_be(bool is_so, const char *what);

/* A schema of int64 columns, named by words that a space divides. */
struct fletch_schema *numbers_schema(const char *names);

/* A batch of that schema: columns[c] has `row_count` values, which are copied. NULL: no memory. */
struct fletch_batch *numbers_batch(struct fletch_schema *schema, struct fletch_buffer_cache *cache,
                                   const int64_t *const *columns, int64_t row_count);

/* A batch of one column, outside of any flow. */
struct fletch_batch *numbers_alone(struct fletch_transport *transport, const char *name,
                                   const int64_t *values, int64_t row_count);

/* The values of a column, where they lie in the batch. */
const int64_t *numbers_column(struct fletch_batch *batch, struct fletch_buffer_cache *cache,
                              int64_t column);

/* Makes such a batch and gives it to an output. */
enum fletch_status numbers_give(struct fletch_flow_context *context, uint32_t output,
                                struct fletch_schema *schema, const int64_t *const *columns,
                                int64_t row_count);

/* A source of "key value" rows: instance i of n makes rows i, i + n, … of `rows`, row r with key
 * r * 7 mod `keys` and value r. Its argument: */
struct counting {
    struct fletch_schema *schema;
    int64_t rows;
    int64_t keys;
};
extern const struct fletch_flow_functions counting_source;

/* Adds a source, stage or sink of so many instances; returns its number. */
uint32_t add_source(struct fletch_flow *flow, const char *name,
                    const struct fletch_flow_functions *functions, void *argument,
                    uint32_t instances);
uint32_t add_stage(struct fletch_flow *flow, const char *name,
                   const struct fletch_flow_functions *functions, void *argument,
                   uint32_t instances);
uint32_t add_sink(struct fletch_flow *flow, const char *name,
                  const struct fletch_flow_functions *functions, void *argument,
                  uint32_t instances);

/* Joins two of them; `edge` says how. */
void join(struct fletch_flow *flow, uint32_t from, uint32_t to, struct fletch_flow_edge edge);

/* A transport and an empty flow; and running it, ending both. */
struct fletch_flow *flow_begin(struct fletch_transport **out_transport);
void flow_run(struct fletch_flow *flow, struct fletch_transport *transport);

#endif
