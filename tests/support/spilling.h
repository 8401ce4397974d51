#ifndef FLETCH_TESTS_SUPPORT_SPILLING_H
#define FLETCH_TESTS_SUPPORT_SPILLING_H

#include "spill/spill_segment.h"
#include "support/pools.h"
#include "support/test_disk.h"

/* A writer's segment, as tests make it. What fails ends the test. */

/* The codec, or PLAIN where the build is without it. */
enum fletch_spill_codec codec_or_plain(enum fletch_spill_codec codec);

struct fletch_spill_segment *segment_make(struct test_disk *disk, struct test_pool *pool,
                                          struct fletch_schema *schema,
                                          enum fletch_spill_codec codec);

struct fletch_spill_location frame_append(struct fletch_spill_segment *segment,
                                          struct fletch_batch *batch);

/* Reads the frame, compares it with `expected`, and validates it to the highest level. */
void frame_expect(struct test_pool *pool, const struct fletch_spill_location *location,
                  const struct fletch_batch *expected);

struct fletch_spill_statistics segment_statistics(const struct fletch_spill_segment *segment);

/* The batch with the application's metadata. */
struct fletch_batch *batch_with_metadata(struct test_pool *pool, const struct fletch_batch *batch,
                                         const char *metadata);

/* A batch of one column of so many int64, `value` and on. */
struct fletch_batch *batch_of_numbers(struct test_pool *pool, struct fletch_schema *schema,
                                      int64_t rows, int64_t value);

#endif
