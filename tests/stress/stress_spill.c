#include "spill/spill_segment.h"

#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/schemas.h"
#include "support/spilling.h"
#include "support/team.h"

/* A writer appends while readers read, check and release what it has written, beside somebody who
 * looks at the statistics. Each frame comes back as it was, whoever reads it, and when all are done
 * no byte is left on disk or in memory. */

enum { READERS = 3, FRAMES = 5000, ROWS_MOST = 3000, KEPT = 16 };

static struct test_arguments arguments;

struct scene {
    struct test_disk *disk;
    struct test_pool *pool;
    struct fletch_schema *schema;
    struct fletch_spill_location *locations;
    uint64_t frames;
    enum fletch_spill_codec codec;
    _Atomic uint64_t written; /* frames that readers may take */
    _Atomic uint64_t taken;
    _Atomic uint64_t failures;
    struct fletch_spill_segment *segment; /* the watcher's reference */
};

struct member {
    struct scene *scene;
    struct jitter jitter;
    struct fletch_spill_segment *segment; /* the writer's */
};

static void count_failure(struct scene *scene)
{
    fetch_add_relaxed(&scene->failures, 1); /* relaxed: a counter */
}

static void run_writer(void *context)
{
    struct member *member = context;
    struct scene *scene = member->scene;
    for (uint64_t i = 0; i < scene->frames; i++) {
        int64_t rows = 1 + fletch_random_below(&member->jitter.random, ROWS_MOST);
        struct fletch_batch *batch = batch_of_numbers(scene->pool, scene->schema, rows, (int64_t)i);
        if (fletch_spill_segment_append(member->segment, batch, &scene->locations[i], NULL) !=
            FLETCH_OK)
            count_failure(scene);
        fletch_batch_release(scene->pool->cache, batch);
        /* release: the readers' acquire finds the location */
        store_release(&scene->written, i + 1);
        jitter_step(&member->jitter);
    }
    fletch_spill_segment_close(member->segment);
}

static bool is_right(const struct fletch_batch *batch, uint64_t frame)
{
    int64_t first = 0;
    memcpy(&first, batch->spans[1].data, sizeof first);
    int64_t last = 0;
    memcpy(&last, batch->spans[1].data + (size_t)(batch->row_count - 1) * sizeof last, sizeof last);
    return first == (int64_t)frame && last == (int64_t)frame + batch->row_count - 1;
}

static void read_frame(struct member *member, struct fletch_buffer_cache *cache, uint64_t frame)
{
    struct scene *scene = member->scene;
    const struct fletch_spill_location *location = &scene->locations[frame];
    struct fletch_batch *batch = NULL;
    enum fletch_status status =
        fletch_spill_read(location, cache, scene->pool->account, &batch, NULL);
    if (status != FLETCH_OK || !is_right(batch, frame))
        count_failure(scene);
    fletch_spill_release(location);
    jitter_step(&member->jitter);
    fletch_batch_release(cache, batch);
}

static void run_reader(void *context)
{
    struct member *member = context;
    struct scene *scene = member->scene;
    struct fletch_buffer_cache *cache = NULL;
    if (fletch_buffer_cache_open(scene->pool->pool, &cache, NULL) != FLETCH_OK) {
        count_failure(scene);
        return;
    }
    for (;;) {
        /* relaxed: only who takes the number matters */
        uint64_t frame = fetch_add_relaxed(&scene->taken, 1);
        if (frame >= scene->frames)
            break;
        /* acquire: the writer's release comes after the location */
        while (load_acquire(&scene->written) <= frame)
            jitter_step(&member->jitter);
        read_frame(member, cache, frame);
    }
    fletch_buffer_cache_close(cache);
}

static void run_watcher(void *context)
{
    struct member *member = context;
    struct scene *scene = member->scene;
    struct fletch_spill_statistics statistics;
    do {
        fletch_spill_segment_statistics(scene->segment, &statistics);
        if (statistics.frames_live > scene->frames || statistics.state != FLETCH_SPILL_OPEN)
            count_failure(scene);
        jitter_step(&member->jitter);
    } while (statistics.frames_written < scene->frames || statistics.frames_live > 0);
}

static void run_scene(enum fletch_spill_codec codec, bool has_no_holes)
{
    struct test_disk disk;
    struct test_pool pool = test_pool_make();
    struct scene scene = {
        .disk = &disk,
        .pool = &pool,
        .schema = schema_new("a=l!"),
        .frames = FRAMES * arguments.scale,
        .codec = codec,
    };
    test_disk_make(&disk);
    disk.has_no_holes = has_no_holes;
    scene.locations = calloc(scene.frames, sizeof *scene.locations);
    assert_non_null(scene.locations);
    const struct fletch_spill_options options = {
        .directory = disk.path,
        .schema = scene.schema,
        .cache = pool.cache,
        .account = pool.account,
        .file_bytes = (uint64_t)KEPT * ROWS_MOST * 8,
        .codec = codec_or_plain(codec),
        .io = &disk.io,
    };
    struct member members[READERS + 2];
    struct team_role roles[READERS + 2];
    for (size_t i = 0; i < READERS + 2; i++) {
        members[i] =
            (struct member){.scene = &scene, .jitter = jitter_from_seed(arguments.seed + i, 20)};
        roles[i] = (struct team_role){i == 0   ? run_writer
                                      : i == 1 ? run_watcher
                                               : run_reader,
                                      &members[i]};
    }
    assert_ok(fletch_spill_segment_create(&options, &members[0].segment, NULL));
    scene.segment = fletch_spill_segment_acquire(members[0].segment);
    team_run(roles, READERS + 2);
    assert_int_equal(scene.failures, 0);
    assert_int_equal(segment_statistics(scene.segment).frames_read, scene.frames);
    assert_int_equal(segment_statistics(scene.segment).bytes_on_disk, 0);
    assert_int_equal(segment_statistics(scene.segment).files_open, 0);
    fletch_spill_segment_release(scene.segment);
    free(scene.locations);
    fletch_schema_release(scene.schema);
    test_disk_end(&disk);
    test_pool_end(&pool);
}

static void readers_follow_the_writer(void **state)
{
    (void)state;
    run_scene(FLETCH_SPILL_PLAIN, false);
}

static void readers_follow_the_writer_who_compresses(void **state)
{
    (void)state;
    run_scene(FLETCH_SPILL_LZ4, false);
    run_scene(FLETCH_SPILL_ZSTD, false);
}

static void readers_follow_the_writer_without_holes(void **state)
{
    (void)state;
    run_scene(FLETCH_SPILL_PLAIN, true);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_follow_the_writer),
        cmocka_unit_test(readers_follow_the_writer_who_compresses),
        cmocka_unit_test(readers_follow_the_writer_without_holes),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
