#include "spill/spill_segment.h"

#include <errno.h>
#include <string.h>

#include "base/random.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/random_batches.h"
#include "support/schemas.h"
#include "support/spilling.h"

/* Frames are written, read and released with the n-th call of the system failing, the n-th
 * allocation, and every limit of the account: a clear status, what was written before is read once
 * the disk works again, and nothing is left behind. */

enum { FRAMES = 5, ROWS = 60, TRIES_MOST = 400, LIMIT_STEP = 64, LIMITS_MOST = 4000 };

struct means {
    struct test_disk *disk;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
    const struct fletch_allocator *allocator;
    struct counting_allocator *counting; /* the same, or NULL */
    struct fletch_schema *schema;
    struct fletch_batch *batches[FRAMES];
    enum fletch_spill_codec codec;
};

/* What came of it. */
struct outcome {
    enum fletch_status status; /* of the call that failed, or OK */
    struct fletch_error error;
    struct fletch_spill_location locations[FRAMES];
    int written;
};

static void write_all(struct fletch_spill_segment *segment, const struct means *means,
                      struct outcome *outcome)
{
    for (int i = 0; i < FRAMES && outcome->status == FLETCH_OK; i++) {
        outcome->status = fletch_spill_segment_append(segment, means->batches[i],
                                                      &outcome->locations[i], &outcome->error);
        outcome->written += outcome->status == FLETCH_OK;
    }
}

static void read_all(const struct means *means, struct outcome *outcome)
{
    for (int i = 0; i < outcome->written && outcome->status == FLETCH_OK; i++) {
        struct fletch_batch *batch = NULL;
        outcome->status = fletch_spill_read(&outcome->locations[i], means->cache, means->account,
                                            &batch, &outcome->error);
        if (outcome->status == FLETCH_OK)
            assert_true(batches_equal(means->batches[i], batch));
        fletch_batch_release(means->cache, batch);
    }
}

/* Then nothing fails any more, and all that was written is read. */
static struct outcome spill(const struct means *means)
{
    const struct fletch_spill_options options = {
        .directory = means->disk->path,
        .schema = means->schema,
        .cache = means->cache,
        .account = means->account,
        .allocator = means->allocator,
        .file_bytes = 4000,
        .codec = codec_or_plain(means->codec),
        .io = &means->disk->io,
    };
    struct outcome outcome = {.status = FLETCH_OK};
    struct fletch_spill_segment *segment = NULL;
    outcome.status = fletch_spill_segment_create(&options, &segment, &outcome.error);
    if (outcome.status == FLETCH_OK)
        write_all(segment, means, &outcome);
    read_all(means, &outcome);
    fletch_spill_segment_close(segment);
    struct outcome again = outcome;
    struct means healed = *means;
    means->disk->fail_at = 0;
    if (means->counting != NULL)
        means->counting->fail_at = 0;
    healed.account = NULL;
    again.status = FLETCH_OK;
    read_all(&healed, &again);
    assert_int_equal(again.status, FLETCH_OK);
    for (int i = 0; i < outcome.written; i++)
        fletch_spill_release(&outcome.locations[i]);
    return outcome;
}

/* ---- means ---- */

static void make_batches(struct means *means, struct test_pool *pool)
{
    struct fletch_random random = fletch_random_from_seed(41);
    means->schema = schema_new("a=l b=+l(item=u) c=c<u> d=S<l> e=b");
    for (int i = 0; i < FRAMES; i++) {
        struct fletch_batch *whole = random_batch(&random, pool->cache, means->schema, ROWS);
        struct fletch_batch *part = batch_slice(pool->cache, whole, i, ROWS - 10 * i);
        means->batches[i] = batch_with_metadata(pool, part, "metadata");
        fletch_batch_release(pool->cache, part);
        fletch_batch_release(pool->cache, whole);
    }
}

static void end_batches(struct means *means, struct test_pool *pool)
{
    for (int i = 0; i < FRAMES; i++)
        fletch_batch_release(pool->cache, means->batches[i]);
    fletch_schema_release(means->schema);
}

static void expect_message(const struct outcome *outcome)
{
    assert_int_equal(outcome->error.status, outcome->status);
    assert_true(strlen(outcome->error.message) > 20);
}

/* ---- the system ---- */

struct failing {
    int number;
    bool once;
    bool has_no_holes;
    bool has_no_tmpfile;
    enum fletch_spill_codec codec;
};

/* Whether the status is one that this failure of the disk may have. */
static bool may_be(const struct failing *failing, enum fletch_status status)
{
    if (failing->number == EACCES && status == FLETCH_PERMISSION_DENIED)
        return true; /* of creation */
    if (failing->number == ENOSPC && status == FLETCH_RESOURCE_EXHAUSTED)
        return true;
    return status == FLETCH_UNAVAILABLE; /* ENOSPC of reading is as strange as any other */
}

static bool try_call(const struct failing *failing, uint64_t n)
{
    struct test_pool pool = test_pool_make();
    struct test_disk disk;
    struct means means = {
        .disk = &disk, .cache = pool.cache, .account = pool.account, .codec = failing->codec};
    test_disk_make(&disk);
    disk.has_no_holes = failing->has_no_holes;
    disk.has_no_tmpfile = failing->has_no_tmpfile;
    disk.transfer_most = 1500;
    disk.fail_at = n;
    disk.fails_once = failing->once;
    disk.fail_with = failing->number;
    make_batches(&means, &pool);
    struct outcome outcome = spill(&means);
    bool is_reached = disk.calls >= n;
    /* Of closing, of holes and of cutting nobody hears; EINTR is tried again. */
    if (outcome.status != FLETCH_OK) {
        if (!may_be(failing, outcome.status))
            fail_msg("call %d: %s: %s", (int)n, fletch_status_name(outcome.status),
                     outcome.error.message);
        expect_message(&outcome);
    } else {
        assert_int_equal(outcome.written, FRAMES);
    }
    end_batches(&means, &pool);
    test_disk_end(&disk);
    test_pool_end(&pool);
    return is_reached;
}

static void each_call_may_fail(void **state)
{
    (void)state;
    static const struct failing failings[] = {
        {.number = EIO},
        {.number = EIO, .once = true, .codec = FLETCH_SPILL_LZ4},
        {.number = EIO, .once = true, .has_no_holes = true},
        {.number = ENOSPC,
         .has_no_holes = true,
         .has_no_tmpfile = true,
         .codec = FLETCH_SPILL_ZSTD},
        {.number = ENOSPC, .once = true},
        {.number = EACCES, .once = true, .has_no_tmpfile = true, .has_no_holes = true},
    };
    for (size_t i = 0; i < sizeof failings / sizeof failings[0]; i++) {
        uint64_t n = 1;
        while (n <= TRIES_MOST && try_call(&failings[i], n))
            n++;
        assert_true(n >= 20 && n <= TRIES_MOST);
    }
}

/* ---- memory ---- */

static enum fletch_status try_request(uint64_t n, enum fletch_spill_codec codec)
{
    struct test_pool pool = test_pool_make();
    struct test_disk disk;
    struct counting_allocator counting;
    struct means means = {
        .disk = &disk, .allocator = &counting.allocator, .counting = &counting, .codec = codec};
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    struct fletch_buffer_pool *counted = NULL;
    struct outcome outcome = {.status = FLETCH_OK};
    test_disk_make(&disk);
    make_batches(&means, &pool);
    counting_allocator_start(&counting, n);
    outcome.status =
        fletch_buffer_pool_create(&options, &counting.allocator, &counted, &outcome.error);
    if (outcome.status == FLETCH_OK)
        outcome.status = fletch_buffer_cache_open(counted, &means.cache, &outcome.error);
    if (outcome.status == FLETCH_OK)
        outcome = spill(&means);
    if (outcome.status != FLETCH_OK) {
        assert_int_equal(outcome.status, FLETCH_RESOURCE_EXHAUSTED);
        expect_message(&outcome);
    }
    fletch_buffer_cache_close(means.cache);
    assert_ok(fletch_buffer_pool_destroy(counted, NULL));
    end_batches(&means, &pool);
    assert_int_equal(counting.live_bytes, 0);
    assert_int_equal(counting.mismatched, 0);
    test_disk_end(&disk);
    test_pool_end(&pool);
    return outcome.status;
}

static void each_request_may_fail(void **state)
{
    (void)state;
    for (enum fletch_spill_codec codec = FLETCH_SPILL_PLAIN; codec <= FLETCH_SPILL_ZSTD; codec++) {
        uint64_t n = 1;
        while (n <= TRIES_MOST && try_request(n, codec) != FLETCH_OK)
            n++;
        assert_true(n >= 15 && n <= TRIES_MOST);
    }
}

static void each_limit_may_be_reached(void **state)
{
    (void)state;
    for (enum fletch_spill_codec codec = FLETCH_SPILL_PLAIN; codec <= FLETCH_SPILL_ZSTD; codec++) {
        struct test_pool pool = test_pool_make();
        struct test_disk disk;
        struct means means = {.disk = &disk, .cache = pool.cache, .codec = codec};
        enum fletch_status status = FLETCH_UNKNOWN;
        /* Blocks need half a megabyte at once, or more. */
        const uint64_t step = codec_or_plain(codec) == FLETCH_SPILL_PLAIN ? LIMIT_STEP : 4096;
        int failures = 0;
        test_disk_make(&disk);
        make_batches(&means, &pool);
        for (uint64_t i = 1; i <= LIMITS_MOST && status != FLETCH_OK; i++) {
            means.account = account_make(pool.account, "spill", i * step, 0);
            struct outcome outcome = spill(&means);
            status = outcome.status;
            if (status != FLETCH_OK) {
                failures++;
                assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
                assert_contains(outcome.error.message, "spill");
            }
            assert_int_equal(account_used_bytes(means.account), 0);
            fletch_account_close(means.account);
        }
        assert_int_equal(status, FLETCH_OK);
        assert_true(failures > 20);
        end_batches(&means, &pool);
        test_disk_end(&disk);
        test_pool_end(&pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_may_fail),
        cmocka_unit_test(each_request_may_fail),
        cmocka_unit_test(each_limit_may_be_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
