#include "spill/spill_segment.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "spill/spill_sink.h"
#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/random_batches.h"
#include "support/schemas.h"
#include "support/spilling.h"

/* What frames take of disk and memory, how it comes back, and what happens when there is none. */

enum { FRAMES = 20, ROWS = 8192, BLOCK = 64 << 10 };

struct scene {
    struct test_disk disk;
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_batch *batch; /* of 64 KiB */
    struct fletch_spill_location locations[FRAMES];
};

static void make_scene(struct scene *scene)
{
    test_disk_make(&scene->disk);
    scene->pool = test_pool_make();
    scene->schema = schema_new("a=l!");
    scene->batch = batch_of_numbers(&scene->pool, scene->schema, ROWS, 0);
}

static void end_scene(struct scene *scene)
{
    fletch_batch_release(scene->pool.cache, scene->batch);
    fletch_schema_release(scene->schema);
    test_pool_end(&scene->pool);
    test_disk_end(&scene->disk);
}

static void append_all(struct scene *scene, struct fletch_spill_segment *segment)
{
    for (int i = 0; i < FRAMES; i++)
        scene->locations[i] = frame_append(segment, scene->batch);
}

static struct fletch_spill_segment *make_segment(struct scene *scene, uint64_t file_bytes)
{
    const struct fletch_spill_options options = {
        .directory = scene->disk.path,
        .schema = scene->schema,
        .cache = scene->pool.cache,
        .account = scene->pool.account,
        .file_bytes = file_bytes,
        .io = &scene->disk.io,
    };
    struct fletch_spill_segment *segment = NULL;
    assert_ok(fletch_spill_segment_create(&options, &segment, NULL));
    return segment;
}

static uint64_t blocks_of(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    return (uint64_t)status.st_blocks;
}

static uint64_t bytes_of(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    return (uint64_t)status.st_size;
}

static void holes_give_the_space_back(void **state)
{
    (void)state;
    struct scene scene;
    make_scene(&scene);
    struct fletch_spill_segment *segment = make_segment(&scene, 0);
    append_all(&scene, segment);
    const struct fletch_spill_file *file = scene.locations[0].file;
    if (!file->has_holes)
        print_message("this file system has no holes\n");
    uint64_t each = segment_statistics(segment).bytes_on_disk / FRAMES;
    assert_true(each >= scene.locations[0].stored_bytes && each < ROWS * 8 + BLOCK);
    /* Every other one, so that no two neighbours go together. */
    for (int i = 0; i < FRAMES; i++) {
        int chosen = i * 2 % FRAMES + (i * 2 >= FRAMES);
        assert_int_equal(scene.locations[chosen].offset % file->alignment, 0);
        fletch_spill_release(&scene.locations[chosen]);
        uint64_t left = file->has_holes ? (uint64_t)(FRAMES - i - 1) * each : FRAMES * each;
        assert_int_equal(segment_statistics(segment).bytes_on_disk, left);
        for (int other = 0; other < FRAMES && i == FRAMES / 2 - 1; other++)
            if (other % 2 == 1)
                frame_expect(&scene.pool, &scene.locations[other], scene.batch);
    }
    if (file->has_holes) {
        assert_int_equal(blocks_of(file->fd), 0);
        assert_int_equal(scene.disk.punched_bytes, FRAMES * each + file->alignment);
    }
    assert_int_equal(segment_statistics(segment).frames_live, 0);
    fletch_spill_segment_close(segment);
    end_scene(&scene);
}

static void frames_begin_at_blocks(void **state)
{
    (void)state;
    static const struct {
        int64_t told;
        uint32_t used;
    } blocks[] = {{512, 512},  {8192, 8192}, {65536, 65536}, {1 << 20, 4096},
                  {256, 4096}, {5000, 4096}, {-1, 4096}};
    struct scene scene;
    make_scene(&scene);
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        scene.disk.block_bytes = blocks[i].told;
        struct fletch_spill_segment *segment = make_segment(&scene, 0);
        append_all(&scene, segment);
        uint64_t block = scene.locations[0].file->has_holes ? blocks[i].used : 64;
        for (int frame = 0; frame < FRAMES; frame++) {
            assert_int_equal(scene.locations[frame].offset % block, 0);
            frame_expect(&scene.pool, &scene.locations[frame], scene.batch);
            fletch_spill_release(&scene.locations[frame]);
        }
        assert_true(scene.locations[1].offset - scene.locations[0].stored_bytes < block);
        fletch_spill_segment_close(segment);
    }
    end_scene(&scene);
}

static void without_holes_files_follow_each_other(void **state)
{
    (void)state;
    struct scene scene;
    make_scene(&scene);
    scene.disk.has_no_holes = true;
    struct fletch_spill_segment *segment = make_segment(&scene, 4 * ROWS * 8);
    append_all(&scene, segment);
    assert_int_equal(segment_statistics(segment).files_open, FRAMES / 4);
    uint64_t all = segment_statistics(segment).bytes_on_disk;
    for (int i = 0; i < FRAMES; i++) {
        assert_true((scene.locations[i].file == scene.locations[i / 4 * 4].file));
        frame_expect(&scene.pool, &scene.locations[i], scene.batch);
    }
    for (int i = 0; i < FRAMES; i++) {
        fletch_spill_release(&scene.locations[i]);
        /* The last file is the writer's too. */
        uint64_t files = (uint64_t)(FRAMES / 4 - (i + 1) / 4);
        assert_int_equal(segment_statistics(segment).files_open, files == 0 ? 1 : files);
        assert_int_equal(segment_statistics(segment).bytes_on_disk,
                         (files == 0 ? 1 : files) * (all / (FRAMES / 4)));
    }
    fletch_spill_segment_acquire(segment);
    fletch_spill_segment_close(segment);
    assert_int_equal(segment_statistics(segment).files_open, 0);
    assert_int_equal(segment_statistics(segment).bytes_on_disk, 0);
    assert_int_equal(segment_statistics(segment).frames_written, FRAMES);
    assert_int_equal(segment_statistics(segment).frames_read, FRAMES);
    assert_int_equal(segment_statistics(segment).bytes_read,
                     segment_statistics(segment).bytes_written);
    fletch_spill_segment_release(segment);
    end_scene(&scene);
}

static void full_disk_makes_it_read_only(void **state)
{
    (void)state;
    for (enum fletch_spill_codec codec = FLETCH_SPILL_PLAIN; codec <= FLETCH_SPILL_ZSTD; codec++) {
        struct scene scene;
        struct fletch_spill_location location = {0};
        struct fletch_error error = {0};
        make_scene(&scene);
        struct fletch_spill_segment *segment =
            segment_make(&scene.disk, &scene.pool, scene.schema, codec);
        scene.locations[0] = frame_append(segment, scene.batch);
        uint64_t end = scene.locations[0].file->end;
        /* A part of the next one finds room. */
        uint64_t frame_bytes = scene.locations[0].stored_bytes;
        scene.disk.transfer_most = frame_bytes / 8;
        scene.disk.room_bytes = scene.disk.written_bytes + frame_bytes / 2;
        assert_int_equal(fletch_spill_segment_append(segment, scene.batch, &location, &error),
                         FLETCH_RESOURCE_EXHAUSTED);
        assert_contains(error.message, scene.disk.path);
        assert_contains(error.message, "system error 28: No space left on device");
        assert_null(location.file);
        assert_int_equal(fletch_spill_segment_state(segment), FLETCH_SPILL_READ_ONLY);
        assert_int_equal(bytes_of(scene.locations[0].file->fd), end);
        scene.disk.room_bytes = 0;
        assert_int_equal(fletch_spill_segment_append(segment, scene.batch, &location, &error),
                         FLETCH_RESOURCE_EXHAUSTED);
        assert_contains(error.message, "read-only");
        assert_int_equal(segment_statistics(segment).frames_written, 1);
        assert_ok(fletch_batch_validate(scene.batch, FLETCH_VALIDATION_FULL, NULL));
        frame_expect(&scene.pool, &scene.locations[0], scene.batch);
        fletch_spill_release(&scene.locations[0]);
        fletch_spill_segment_close(segment);
        end_scene(&scene);
    }
}

static void failing_disk_is_quarantined(void **state)
{
    (void)state;
    struct scene scene;
    struct fletch_spill_location location = {0};
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {0};
    make_scene(&scene);
    struct fletch_spill_segment *segment = make_segment(&scene, 0);
    scene.locations[0] = frame_append(segment, scene.batch);
    scene.disk.fail_with = EIO;
    scene.disk.fails_once = true;
    scene.disk.fail_at = scene.disk.calls + 1;
    assert_int_equal(fletch_spill_segment_append(segment, scene.batch, &location, &error),
                     FLETCH_UNAVAILABLE);
    assert_contains(error.message, "system error 5: Input/output error");
    assert_int_equal(fletch_spill_segment_state(segment), FLETCH_SPILL_QUARANTINED);
    assert_int_equal(fletch_spill_segment_append(segment, scene.batch, &location, &error),
                     FLETCH_UNAVAILABLE);
    scene.disk.fail_at = scene.disk.calls + 1;
    assert_int_equal(fletch_spill_read(&scene.locations[0], scene.pool.cache, NULL, &batch, &error),
                     FLETCH_UNAVAILABLE);
    assert_contains(error.message, "system error 5: Input/output error");
    assert_contains(error.message, scene.disk.path);
    frame_expect(&scene.pool, &scene.locations[0], scene.batch);
    fletch_spill_release(&scene.locations[0]);
    fletch_spill_segment_close(segment);
    end_scene(&scene);
}

/* ---- a disk that is full ---- */

enum { NOT_ALLOWED = 250 };

static bool mount_small(const char *path)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", path, "tmpfs", 0, "size=1m") == 0;
}

/* On a file system of 1 MiB: fills it, frees a frame, sees the rest unharmed. */
static void fill(struct scene *scene)
{
    struct fletch_spill_segment *segment = make_segment(scene, 0);
    struct fletch_spill_location location;
    struct fletch_error error;
    enum fletch_status status = FLETCH_OK;
    int count = 0;
    while (status == FLETCH_OK && count < FRAMES) {
        status = fletch_spill_segment_append(segment, scene->batch, &location, &error);
        if (status == FLETCH_OK)
            scene->locations[count++] = location;
    }
    assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
    assert_int_equal(fletch_spill_segment_state(segment), FLETCH_SPILL_READ_ONLY);
    assert_in_range(count, 10, 16);
    for (int i = 0; i < count; i++)
        frame_expect(&scene->pool, &scene->locations[i], scene->batch);
    /* Another segment finds the room that the first gives back. */
    fletch_spill_release(&scene->locations[0]);
    fletch_spill_release(&scene->locations[1]);
    struct fletch_spill_segment *next = make_segment(scene, 0);
    scene->locations[0] = frame_append(next, scene->batch);
    frame_expect(&scene->pool, &scene->locations[0], scene->batch);
    fletch_spill_release(&scene->locations[0]);
    for (int i = 2; i < count; i++)
        fletch_spill_release(&scene->locations[i]);
    fletch_spill_segment_close(segment);
    fletch_spill_segment_close(next);
}

/* In a process of its own, whose mounts are its own. */
static int fill_file_system(void *context)
{
    struct scene scene;
    (void)context;
    make_scene(&scene);
    bool is_mounted = mount_small(scene.disk.path);
    if (is_mounted)
        fill(&scene);
    if (is_mounted && umount(scene.disk.path) != 0)
        return 1;
    end_scene(&scene);
    return is_mounted ? 0 : NOT_ALLOWED;
}

static void small_file_system_is_filled(void **state)
{
    (void)state;
    int end = child_run(fill_file_system, NULL, false);
    if (end == NOT_ALLOWED)
        skip(); /* only root may mount */
    assert_int_equal(end, 0);
}

/* ---- memory ---- */

static void full_budget_stops_no_frame(void **state)
{
    (void)state;
    for (enum fletch_spill_codec codec = FLETCH_SPILL_PLAIN; codec <= FLETCH_SPILL_ZSTD; codec++) {
        struct scene scene;
        make_scene(&scene);
        struct fletch_account *account = account_make(scene.pool.account, "shuffle", 4 << 20, 0);
        struct test_pool limited = scene.pool;
        limited.account = account;
        struct fletch_spill_segment *segment =
            segment_make(&scene.disk, &limited, scene.schema, codec);
        uint64_t scratch = account_used_bytes(account);
        assert_true(scratch >= 256 && scratch < (codec == FLETCH_SPILL_PLAIN ? 4096 : 2 << 20));
        assert_ok(fletch_account_reserve(account, (4 << 20) - scratch, 0, NULL));
        append_all(&scene, segment);
        assert_int_equal(account_used_bytes(account), 4 << 20);
        fletch_account_release(account, (4 << 20) - scratch);
        for (int i = 0; i < FRAMES; i++)
            fletch_spill_release(&scene.locations[i]);
        fletch_spill_segment_close(segment);
        assert_int_equal(account_used_bytes(account), 0);
        fletch_account_close(account);
        end_scene(&scene);
    }
}

/* Offsets of a slice are made anew: that needs room, and says so. */
static void slice_needs_scratch_of_its_own(void **state)
{
    (void)state;
    enum { LIMIT = 1 << 20, SLICED = 20000 };
    struct fletch_random random = fletch_random_from_seed(17);
    struct fletch_schema *schema = schema_new("a=u");
    struct test_pool pool = test_pool_make();
    struct test_disk disk;
    test_disk_make(&disk);
    struct fletch_batch *whole = random_batch(&random, pool.cache, schema, SLICED + 1);
    struct fletch_batch *slice = batch_slice(pool.cache, whole, 1, SLICED);
    struct fletch_account *account = account_make(pool.account, "shuffle", LIMIT, 0);
    struct test_pool limited = pool;
    limited.account = account;
    struct fletch_spill_segment *segment = segment_make(&disk, &limited, schema, false);
    uint64_t rest = LIMIT - account_used_bytes(account);
    struct fletch_spill_location location;
    struct fletch_error error = {0};
    assert_ok(fletch_account_reserve(account, rest, 0, NULL));
    assert_int_equal(fletch_spill_segment_append(segment, slice, &location, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "shuffle");
    assert_int_equal(fletch_spill_segment_state(segment), FLETCH_SPILL_OPEN);
    fletch_account_release(account, rest);
    location = frame_append(segment, slice);
    assert_true(account_used_bytes(account) >= SLICED * 4);
    frame_expect(&pool, &location, slice);
    fletch_spill_release(&location);
    fletch_spill_segment_close(segment);
    assert_int_equal(account_used_bytes(account), 0);
    fletch_account_close(account);
    fletch_batch_release(pool.cache, slice);
    fletch_batch_release(pool.cache, whole);
    fletch_schema_release(schema);
    test_disk_end(&disk);
    test_pool_end(&pool);
}

static void reading_is_charged_first(void **state)
{
    (void)state;
    struct scene scene;
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {0};
    make_scene(&scene);
    struct fletch_spill_segment *segment = make_segment(&scene, 0);
    scene.locations[0] = frame_append(segment, scene.batch);
    struct fletch_account *account = account_make(scene.pool.account, "delivered", ROWS, 0);
    uint64_t calls = scene.disk.calls;
    assert_int_equal(
        fletch_spill_read(&scene.locations[0], scene.pool.cache, account, &batch, &error),
        FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "delivered");
    assert_int_equal(scene.disk.calls, calls); /* nothing was read */
    assert_int_equal(fletch_spill_segment_state(segment), FLETCH_SPILL_OPEN);
    frame_expect(&scene.pool, &scene.locations[0], scene.batch);
    fletch_account_close(account);
    fletch_spill_release(&scene.locations[0]);
    fletch_spill_segment_close(segment);
    end_scene(&scene);
}

/* 200 partitions of several frames, read one after the other: never more memory than one frame. */
static void many_partitions_are_read_in_little_memory(void **state)
{
    (void)state;
    enum { PARTITIONS = 200, EACH = 3 };
    static struct fletch_spill_location locations[EACH][PARTITIONS];
    struct scene scene;
    make_scene(&scene);
    struct fletch_spill_segment *segment = make_segment(&scene, 0);
    for (int i = 0; i < EACH; i++)
        for (int p = 0; p < PARTITIONS; p++)
            locations[i][p] = frame_append(segment, scene.batch);
    struct fletch_account *account = account_make(scene.pool.account, "delivered", 2 * ROWS * 8, 0);
    struct test_pool limited = scene.pool;
    limited.account = account;
    for (int p = 0; p < PARTITIONS; p++) {
        for (int i = 0; i < EACH; i++) {
            frame_expect(&limited, &locations[i][p], scene.batch);
            fletch_spill_release(&locations[i][p]);
        }
    }
    assert_int_equal(account_used_bytes(account), 0);
    fletch_account_close(account);
    fletch_spill_segment_close(segment);
    end_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_give_the_space_back),
        cmocka_unit_test(frames_begin_at_blocks),
        cmocka_unit_test(without_holes_files_follow_each_other),
        cmocka_unit_test(full_disk_makes_it_read_only),
        cmocka_unit_test(failing_disk_is_quarantined),
        cmocka_unit_test(small_file_system_is_filled),
        cmocka_unit_test(full_budget_stops_no_frame),
        cmocka_unit_test(slice_needs_scratch_of_its_own),
        cmocka_unit_test(reading_is_charged_first),
        cmocka_unit_test(many_partitions_are_read_in_little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
