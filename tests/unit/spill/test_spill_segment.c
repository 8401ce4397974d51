#include "spill/spill_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arrow/codec_lz4.h"
#include "arrow/codec_zstd.h"
#include "base/random.h"
#include "support/cmocka_tests.h"
#include "support/random_batches.h"
#include "support/schemas.h"
#include "support/spilling.h"

/* Frames go out and come back: every type, every way to write. */

enum { FRAMES = 6, ROUNDS = 40 };

/* A batch of a random number of rows, every other one a slice. */
static struct fletch_batch *some_batch(struct fletch_random *random, struct test_pool *pool,
                                       struct fletch_schema *schema, bool is_slice)
{
    int64_t rows = fletch_random_below(random, 60);
    struct fletch_batch *whole = random_batch(random, pool->cache, schema, rows);
    if (!is_slice)
        return whole;
    int64_t first = fletch_random_below(random, (uint32_t)rows + 1);
    int64_t count = fletch_random_below(random, (uint32_t)(rows - first) + 1);
    struct fletch_batch *slice = batch_slice(pool->cache, whole, first, count);
    fletch_batch_release(pool->cache, whole);
    return slice;
}

/* Appends some frames, and reads each twice, the last one first; writer and frames end in any
 * order. */
static void round_trip(struct test_disk *disk, struct fletch_random *random,
                       struct fletch_schema *schema, enum fletch_spill_codec codec)
{
    struct test_pool pool = test_pool_make();
    struct fletch_batch *batches[FRAMES];
    struct fletch_spill_location locations[FRAMES];
    struct fletch_spill_segment *segment = segment_make(disk, &pool, schema, codec);
    for (int i = 0; i < FRAMES; i++) {
        batches[i] = some_batch(random, &pool, schema, i % 2 == 1);
        locations[i] = frame_append(segment, batches[i]);
    }
    assert_int_equal(segment_statistics(segment).frames_live, FRAMES);
    if (fletch_random_below(random, 2) == 0) {
        fletch_spill_segment_close(segment);
        segment = NULL;
    }
    for (int i = 2 * FRAMES - 1; i >= 0; i--) {
        frame_expect(&pool, &locations[i % FRAMES], batches[i % FRAMES]);
        if (i >= FRAMES)
            continue;
        fletch_spill_release(&locations[i]);
        fletch_batch_release(pool.cache, batches[i]);
    }
    fletch_spill_segment_close(segment);
    test_pool_end(&pool);
}

static void random_frames_come_back(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(77);
    const struct random_schema_options options = {
        .columns_max = 6, .depth_max = 4, .has_all_layouts = true};
    struct test_disk disk;
    test_disk_make(&disk);
    for (int i = 0; i < ROUNDS; i++) {
        struct fletch_schema *schema = random_schema(&random, &options);
        disk.has_no_holes = i % 3 == 0;
        disk.has_no_tmpfile = i % 5 == 0;
        disk.is_interrupted = i % 7 == 0;
        disk.transfer_most = i % 4 == 0 ? 100 : 0;
        round_trip(&disk, &random, schema, (enum fletch_spill_codec)(i / 3 % 3));
        fletch_schema_release(schema);
    }
    test_disk_end(&disk);
}

static void every_type_comes_back(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(78);
    struct fletch_schema *schema = schema_of_every_layout();
    struct test_disk disk;
    test_disk_make(&disk);
    for (enum fletch_spill_codec codec = FLETCH_SPILL_PLAIN; codec <= FLETCH_SPILL_ZSTD; codec++)
        round_trip(&disk, &random, schema, codec);
    fletch_schema_release(schema);
    test_disk_end(&disk);
}

static void batches_without_rows_or_columns_come_back(void **state)
{
    (void)state;
    static const char *const texts[] = {"a=l b=u c=c<u> d=+l(item=u)", "a=n", ""};
    struct fletch_random random = fletch_random_from_seed(79);
    struct test_pool pool = test_pool_make();
    struct test_disk disk;
    test_disk_make(&disk);
    for (size_t i = 0; i < 9; i++) {
        struct fletch_schema *schema = schema_new(texts[i / 3]);
        enum fletch_spill_codec codec = (enum fletch_spill_codec)(i % 3);
        struct fletch_spill_segment *segment = segment_make(&disk, &pool, schema, codec);
        int64_t rows = i / 3 == 0 ? 0 : 1000;
        struct fletch_batch *batch = random_batch(&random, pool.cache, schema, rows);
        struct fletch_spill_location location = frame_append(segment, batch);
        frame_expect(&pool, &location, batch);
        fletch_spill_release(&location);
        fletch_spill_segment_close(segment);
        fletch_batch_release(pool.cache, batch);
        fletch_schema_release(schema);
    }
    test_disk_end(&disk);
    test_pool_end(&pool);
}

static void metadata_of_the_application_comes_back(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(80);
    struct fletch_schema *schema = schema_new("a=l b=c<u>");
    struct test_pool pool = test_pool_make();
    struct test_disk disk;
    test_disk_make(&disk);
    for (enum fletch_spill_codec codec = FLETCH_SPILL_PLAIN; codec <= FLETCH_SPILL_ZSTD; codec++) {
        struct fletch_spill_segment *segment = segment_make(&disk, &pool, schema, codec);
        struct fletch_batch *plain = random_batch(&random, pool.cache, schema, 7);
        struct fletch_batch *batch = batch_with_metadata(&pool, plain, "who cares");
        struct fletch_spill_location location = frame_append(segment, batch);
        frame_expect(&pool, &location, batch);
        fletch_spill_release(&location);
        fletch_spill_segment_close(segment);
        fletch_batch_release(pool.cache, batch);
        fletch_batch_release(pool.cache, plain);
    }
    fletch_schema_release(schema);
    test_disk_end(&disk);
    test_pool_end(&pool);
}

/* Larger than a file, than many pieces, and than one of a codec's. */
static void frame_of_72_megabytes_comes_back(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new("a=l!");
    struct test_pool pool = test_pool_make();
    struct test_disk disk;
    test_disk_make(&disk);
    disk.has_no_holes = true;
    struct fletch_batch *batch = batch_of_numbers(&pool, schema, 9 << 20, 5);
    struct fletch_batch *small = batch_of_numbers(&pool, schema, 10, 3);
    for (enum fletch_spill_codec codec = FLETCH_SPILL_PLAIN; codec <= FLETCH_SPILL_ZSTD; codec++) {
        struct fletch_spill_segment *segment = segment_make(&disk, &pool, schema, codec);
        struct fletch_spill_location first = frame_append(segment, batch);
        struct fletch_spill_location second = frame_append(segment, small);
        frame_expect(&pool, &first, batch);
        frame_expect(&pool, &second, small);
        assert_true(first.frame_bytes >= (size_t)72 << 20);
        if (codec_or_plain(codec) != FLETCH_SPILL_PLAIN)
            assert_true(first.stored_bytes < first.frame_bytes);
        assert_true((first.file == second.file) == (first.stored_bytes < 64 << 20));
        fletch_spill_release(&first);
        fletch_spill_release(&second);
        fletch_spill_segment_close(segment);
    }
    fletch_batch_release(pool.cache, batch);
    fletch_batch_release(pool.cache, small);
    fletch_schema_release(schema);
    test_disk_end(&disk);
    test_pool_end(&pool);
}

static void batch_of_another_schema_is_refused(void **state)
{
    (void)state;
    struct fletch_schema *schema = schema_new("a=l!");
    struct fletch_schema *other = schema_new("a=l! b=u");
    struct fletch_random random = fletch_random_from_seed(81);
    struct test_pool pool = test_pool_make();
    struct test_disk disk;
    struct fletch_error error = {0};
    struct fletch_spill_location location;
    test_disk_make(&disk);
    struct fletch_spill_segment *segment = segment_make(&disk, &pool, schema, FLETCH_SPILL_PLAIN);
    struct fletch_batch *batch = random_batch(&random, pool.cache, other, 5);
    assert_int_equal(fletch_spill_segment_append(segment, batch, &location, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "batch has 2 fields");
    assert_int_equal(fletch_spill_segment_state(segment), FLETCH_SPILL_OPEN);
    fletch_batch_release(pool.cache, batch);
    fletch_spill_segment_close(segment);
    fletch_schema_release(schema);
    fletch_schema_release(other);
    test_disk_end(&disk);
    test_pool_end(&pool);
}

static void expect_codec(enum fletch_spill_codec codec, bool exists, const char *library)
{
    struct fletch_schema *schema = schema_new("a=l!");
    struct test_pool pool = test_pool_make();
    struct fletch_spill_segment *segment = NULL;
    struct fletch_error error = {0};
    const struct fletch_spill_options options = {
        .directory = ".", .schema = schema, .cache = pool.cache, .codec = codec};
    enum fletch_status status = fletch_spill_segment_create(&options, &segment, &error);
    assert_int_equal(status, exists ? FLETCH_OK : FLETCH_UNIMPLEMENTED);
    if (status != FLETCH_OK)
        assert_contains(error.message, library);
    fletch_spill_segment_close(segment);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void build_without_a_codec_says_so(void **state)
{
    (void)state;
    expect_codec(FLETCH_SPILL_LZ4, fletch_lz4_exists(), "no liblz4");
    expect_codec(FLETCH_SPILL_ZSTD, fletch_zstd_exists(), "no libzstd");
}

/* ---- directories ---- */

static void expect_refused(struct test_disk *disk, const char *directory,
                           enum fletch_status expected, const char *part)
{
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new("a=l");
    const struct fletch_spill_options options = {
        .directory = directory, .schema = schema, .cache = pool.cache, .io = &disk->io};
    struct fletch_spill_segment *segment = NULL;
    struct fletch_error error = {0};
    disk->calls = 0;
    assert_int_equal(fletch_spill_segment_create(&options, &segment, &error), expected);
    assert_contains(error.message, directory);
    assert_contains(error.message, part);
    assert_null(segment);
    memset(&error, 0, sizeof error);
    disk->calls = 0;
    assert_int_equal(fletch_spill_directory_check(directory, &disk->io, &error), expected);
    assert_contains(error.message, directory);
    assert_contains(error.message, part);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void directory_is_looked_at(void **state)
{
    (void)state;
    struct test_disk disk;
    test_disk_make(&disk);
    assert_ok(fletch_spill_directory_check(disk.path, &disk.io, NULL));
    assert_ok(fletch_spill_directory_check(disk.path, NULL, NULL));
    expect_refused(&disk, "spill-nowhere", FLETCH_NOT_FOUND, "system error 2: No such file");
    int fd = open("spill-file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    expect_refused(&disk, "spill-file", FLETCH_INVALID_ARGUMENT,
                   "system error 20: Not a directory");
    unlink("spill-file");
    static const struct {
        int cause;
        enum fletch_status expected;
    } causes[] = {
        {EACCES, FLETCH_PERMISSION_DENIED},  {EROFS, FLETCH_PERMISSION_DENIED},
        {ENOSPC, FLETCH_RESOURCE_EXHAUSTED}, {EDQUOT, FLETCH_RESOURCE_EXHAUSTED},
        {EMFILE, FLETCH_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        disk.fail_at = 2; /* the file in the directory */
        disk.fail_with = causes[i].cause;
        expect_refused(&disk, disk.path, causes[i].expected, "system error");
    }
    disk.fail_at = 0;
    test_disk_end(&disk);
}

/* As an ordinary user would find it; root may write anywhere. */
static void directory_that_may_not_be_written_is_refused(void **state)
{
    (void)state;
    struct test_disk disk;
    if (geteuid() == 0)
        skip();
    test_disk_make(&disk);
    assert_int_equal(chmod(disk.path, 0500), 0);
    expect_refused(&disk, disk.path, FLETCH_PERMISSION_DENIED, "system error 13");
    test_disk_end(&disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_frames_come_back),
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(batches_without_rows_or_columns_come_back),
        cmocka_unit_test(metadata_of_the_application_comes_back),
        cmocka_unit_test(frame_of_72_megabytes_comes_back),
        cmocka_unit_test(batch_of_another_schema_is_refused),
        cmocka_unit_test(build_without_a_codec_says_so),
        cmocka_unit_test(directory_is_looked_at),
        cmocka_unit_test(directory_that_may_not_be_written_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
