#ifndef FLETCH_TESTS_SUPPORT_SHUFFLES_H
#define FLETCH_TESTS_SUPPORT_SHUFFLES_H

#include <fletching/fletching.h>

#include "arrow/schema.h"
#include "base/random.h"
#include "memory/batch.h"
#include "support/pools.h"

struct fletch_media;

/* A transport with one shuffle, and what was written to it and read from it. Making one that fails
 * ends the test; so does ending one of which a byte is still charged. */

struct shuffle_words {
    const char *schema; /* in the words of support/schemas.h; NULL: "k=l v=u" */
    enum fletch_partition_method method;
    uint32_t partitions; /* 0: 4 */
    uint32_t producers;  /* 0: 1 */
    uint32_t producer_limit;
    uint64_t budget_bytes;    /* 0: 64 MiB */
    uint64_t transport_bytes; /* its budget; 0: the same */
    uint64_t delivered_bytes;
    size_t frame_bytes;
    uint64_t linger_ns; /* 0: FLETCH_OFF */
    enum fletch_sum_level sums;
    enum fletch_retention retention;
    const char *spill_directory;
    enum fletch_spill_codec spill_codec;
    uint64_t spill_after_ns;
    uint32_t barrier_limit;
    uint32_t strict_schema;
    uint32_t hold_open;
    const unsigned char *id;
    const struct fletch_placement *placement;
    const struct fletch_media *media;
    const struct fletch_allocator *allocator;
};

/* Rows in any order, by what is the same in any order. */
struct row_pile {
    uint64_t rows;
    uint64_t row_sum;
};

struct test_shuffle {
    struct fletch_transport *transport;
    struct fletch_schema *schema;
    struct fletch_shuffle *shuffle;
    struct fletch_buffer_cache *cache; /* for batches; the test's thread */
    struct fletch_partitioner *partitioner;
    struct fletch_random random;
    uint32_t partitions;
    bool is_placed_freely; /* rows need not belong where they were put */
    struct row_pile written;
    struct row_pile read;
};

enum fletch_status test_shuffle_try(const struct shuffle_words *words, struct test_shuffle *test,
                                    struct fletch_error *error);
struct test_shuffle test_shuffle_make(const struct shuffle_words *words);
void test_shuffle_end(struct test_shuffle *test);

struct fletch_shuffle_writer *writer_open(struct test_shuffle *test, uint32_t producer);
struct fletch_shuffle_reader *reader_open(struct test_shuffle *test); /* of all partitions */
struct fletch_shuffle_reader *reader_open_one(struct test_shuffle *test, uint32_t partition);

/* A batch of random rows that nobody is charged for. */
struct fletch_batch *batch_make(struct test_shuffle *test, int64_t rows);

/* Writes, with no time to wait; what was taken is counted in `written`, as often as there are
 * partitions where all get it. The batch stays the caller's. */
enum fletch_status batch_write(struct test_shuffle *test, struct fletch_shuffle_writer *writer,
                               struct fletch_batch *batch, struct fletch_error *error);

/* Makes and writes a batch; what does not go at once ends the test. */
void rows_write(struct test_shuffle *test, struct fletch_shuffle_writer *writer, int64_t rows);

/* Takes an event that is there without waiting; a batch is counted in `read`, compared with the
 * partition function, and released. OUT_OF_RANGE: there will be no more. */
enum fletch_status event_take(struct test_shuffle *test, struct fletch_shuffle_reader *reader,
                              struct fletch_shuffle_event *out_event, struct fletch_error *error);

/* Takes events until there is none; returns how many batches. */
uint64_t events_take(struct test_shuffle *test, struct fletch_shuffle_reader *reader);

/* Takes events until all partitions of the reader have ended, waiting for them. */
void reader_drain(struct test_shuffle *test, struct fletch_shuffle_reader *reader);

void piles_must_agree(const struct test_shuffle *test);

struct fletch_exchange_statistics shuffle_statistics(struct test_shuffle *test);

#endif
