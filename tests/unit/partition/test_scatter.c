#include "partition/scatter.h"

#include <stdlib.h>

#include <fletching/fletching.h>

#include "partition/hash.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Random schemas, batches, keys and numbers of partitions: each row comes out once, in its
 * partition, in order, in frames that are valid batches; sums are those of the rows. */

static struct test_arguments arguments;

enum { BATCHES_MOST = 6, ROWS_MOST = 700, KEYS_MOST = 4 };

/* The rows that a partition must give out, in order: (batch, row). */
struct origin {
    const struct fletch_batch *batch;
    int64_t row;
};

struct scene {
    struct fletch_random random;
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_batch *batches[BATCHES_MOST];
    size_t batch_count;
    uint32_t partitions;
    uint32_t keys[KEYS_MOST];
    uint32_t key_count;
    size_t frame_bytes;
    struct origin *origins; /* sorted by partition */
    size_t *next;           /* of each partition: the origin expected next */
    size_t *ends;
    uint64_t frames;
};

static struct fletch_partitioner *partitioner_of(struct scene *scene)
{
    struct fletch_partitioner_options options = {
        .struct_size = sizeof options,
        .method = scene->key_count > 0 ? FLETCH_PARTITION_HASH : FLETCH_PARTITION_ROUND_ROBIN,
        .partition_count = scene->partitions,
        .key_columns = scene->keys,
        .key_column_count = scene->key_count,
        .seed = 7,
    };
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_error error;
    assert_ok(fletch_partitioner_create(scene->schema, &options, NULL, &partitioner, &error));
    return partitioner;
}

static struct fletch_partition_writer *writer_of(struct scene *scene)
{
    struct fletch_partition_writer_options options = {
        .struct_size = sizeof options,
        .cache = scene->pool.cache,
        .frame_bytes = scene->frame_bytes,
        .account = scene->pool.account,
    };
    struct fletch_partitioner *partitioner = partitioner_of(scene);
    struct fletch_partition_writer *writer = NULL;
    struct fletch_error error;
    assert_ok(
        fletch_partition_writer_create(scene->schema, partitioner, &options, &writer, &error));
    return writer;
}

static void choose_scene(struct scene *scene, uint64_t seed)
{
    static const uint32_t partitions[] = {1, 2, 3, 16, 200, 3000};
    struct random_schema_options options = {
        .columns_max = 8, .depth_max = 4, .has_all_layouts = true};
    scene->random = fletch_random_from_seed(seed);
    struct fletch_random *random = &scene->random;
    scene->pool = test_pool_make();
    scene->schema = seed % 16 == 0 ? schema_of_every_layout() : random_schema(random, &options);
    scene->partitions = partitions[fletch_random_below(random, 6)];
    scene->frame_bytes = (size_t)4096 << fletch_random_below(random, 6);
    scene->batch_count = 1 + fletch_random_below(random, BATCHES_MOST);
    uint32_t columns = scene->schema->column_count;
    scene->key_count = columns == 0 ? 0 : fletch_random_below(random, KEYS_MOST);
    if (scene->key_count > columns)
        scene->key_count = columns;
    for (uint32_t k = 0; k < scene->key_count; k++)
        scene->keys[k] = fletch_random_below(random, columns);
    for (size_t i = 0; i < scene->batch_count; i++) {
        int64_t rows = fletch_random_below(random, ROWS_MOST);
        struct fletch_batch *batch = random_batch(random, scene->pool.cache, scene->schema, rows);
        int64_t first = rows == 0 ? 0 : fletch_random_below(random, (uint32_t)rows);
        scene->batches[i] = batch_slice(scene->pool.cache, batch, first,
                                        fletch_random_below(random, (uint32_t)(rows - first) + 1));
        fletch_batch_release(scene->pool.cache, batch);
    }
}

static size_t rows_of(const struct scene *scene)
{
    size_t rows = 0;
    for (size_t i = 0; i < scene->batch_count; i++)
        rows += (size_t)fletch_batch_row_count(scene->batches[i]);
    return rows;
}

/* Where each row belongs, by a partitioner of its own. */
static void expect_rows(struct scene *scene)
{
    struct fletch_partitioner *partitioner = partitioner_of(scene);
    size_t rows = rows_of(scene);
    uint16_t *ids = calloc(rows + 1, sizeof *ids);
    scene->origins = calloc(rows + 1, sizeof *scene->origins);
    scene->next = calloc(scene->partitions + 1, sizeof *scene->next);
    scene->ends = calloc(scene->partitions + 1, sizeof *scene->ends);
    uint16_t *at = ids;
    for (size_t i = 0; i < scene->batch_count; i++) {
        size_t count = (size_t)scene->batches[i]->row_count;
        assert_ok(fletch_partitioner_assign(partitioner, scene->batches[i],
                                            (struct fletch_row_range){0, count}, at, NULL));
        at += count;
    }
    for (size_t i = 0; i < rows; i++)
        scene->ends[ids[i]]++;
    for (uint32_t p = 0, sum = 0; p < scene->partitions; p++) {
        scene->next[p] = sum;
        sum += (uint32_t)scene->ends[p];
        scene->ends[p] = scene->next[p];
    }
    at = ids;
    for (size_t i = 0; i < scene->batch_count; i++)
        for (int64_t row = 0; row < scene->batches[i]->row_count; row++)
            scene->origins[scene->ends[*at++]++] = (struct origin){scene->batches[i], row};
    free(ids);
    fletch_partitioner_destroy(partitioner);
}

static void check_sum(const struct scene *scene, const struct fletch_partition_frame *frame)
{
    if (scene->key_count == 0) {
        assert_true(frame->key_sum == 0);
        return;
    }
    size_t rows = (size_t)frame->batch->row_count;
    uint64_t *hashes = calloc(rows, sizeof *hashes);
    uint64_t sum = 0;
    fletch_hash_batch(frame->batch, scene->keys, scene->key_count, hashes);
    for (size_t i = 0; i < rows; i++)
        sum += hashes[i];
    assert_true(sum == frame->key_sum);
    free(hashes);
}

static void check_frame(struct scene *scene, const struct fletch_partition_frame *frame)
{
    struct fletch_error error;
    assert_true(frame->partition < scene->partitions);
    enum fletch_status status = fletch_batch_validate(frame->batch, FLETCH_VALIDATION_FULL, &error);
    if (status != FLETCH_OK)
        fail_msg("a frame is not valid: %s", error.message);
    assert_true(frame->batch->row_count > 0);
    for (int64_t i = 0; i < frame->batch->row_count; i++) {
        assert_true(scene->next[frame->partition] < scene->ends[frame->partition]);
        struct origin origin = scene->origins[scene->next[frame->partition]++];
        assert_true(batch_rows_equal(frame->batch, i, origin.batch, origin.row, 1));
    }
    check_sum(scene, frame);
    scene->frames++;
}

static void take_frames(struct scene *scene, struct fletch_partition_writer *writer)
{
    for (;;) {
        struct fletch_partition_frame frame;
        assert_ok(fletch_partition_writer_next(writer, &frame, NULL));
        if (frame.batch == NULL)
            return;
        check_frame(scene, &frame);
        fletch_batch_release(scene->pool.cache, frame.batch);
    }
}

static void end_scene(struct scene *scene)
{
    for (size_t i = 0; i < scene->batch_count; i++)
        fletch_batch_release(scene->pool.cache, scene->batches[i]);
    fletch_schema_release(scene->schema);
    test_pool_end(&scene->pool);
    free(scene->origins);
    free(scene->next);
    free(scene->ends);
}

/* False: a dictionary has outgrown its indices, which random ones of 8 bits do now and then. */
static bool push_batches(struct scene *scene, struct fletch_partition_writer *writer)
{
    for (size_t i = 0; i < scene->batch_count; i++) {
        struct fletch_error error;
        enum fletch_status status = fletch_partition_writer_push(writer, scene->batches[i], &error);
        if (status == FLETCH_OUT_OF_RANGE) {
            assert_contains(error.message, "a wider type is needed");
            return false;
        }
        if (status != FLETCH_OK)
            fail_msg("%s", error.message);
        if (fletch_random_below(&scene->random, 2) == 0)
            take_frames(scene, writer);
    }
    return true;
}

static bool run_scene(uint64_t seed)
{
    struct scene scene = {.frames = 0};
    choose_scene(&scene, seed);
    struct fletch_partition_writer *writer = writer_of(&scene);
    expect_rows(&scene);
    bool is_whole = push_batches(&scene, writer);
    assert_ok(fletch_partition_writer_flush(writer, NULL));
    take_frames(&scene, writer);
    for (uint32_t p = 0; is_whole && p < scene.partitions; p++)
        assert_int_equal(scene.next[p], scene.ends[p]);
    fletch_partition_writer_destroy(writer);
    end_scene(&scene);
    return is_whole;
}

static void every_row_comes_out_where_it_belongs(void **state)
{
    (void)state;
    uint64_t scenes = 60 * arguments.scale;
    uint64_t run = 0;
    for (uint64_t i = 0; i < scenes; i++)
        run += run_scene(arguments.seed + i);
    print_message("[ INFO     ] %llu of %llu schemas\n", (unsigned long long)run,
                  (unsigned long long)scenes);
    assert_true(run * 4 > scenes);
}

int main(int argc, char **argv)
{
    arguments = test_arguments_read(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_comes_out_where_it_belongs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
