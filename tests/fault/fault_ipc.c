#include <fletching/fletching.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arrow/codec.h"
#include "memory/batch.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* A stream with dictionaries that grow is read and written again with the n-th allocation failing,
 * for n = 1, 2, … until none fails, and with every limit of the account; so is a relay of it: a
 * clear status, nothing leaked. */

enum { TRIES_MOST = 400, ROWS = 40, LIMIT_STEP = 64, CODEC_STEP = 1000, LIMITS_MOST = 4000 };

static const char schema_text[] =
    "{who:me} a=l{k:v} b=+l(item=+s(x=u y=b)) c=c<u> d=S<l> e=U g=n h=+vl(item=vu)"
    " i=+ud:0,1(x=l y=u) j=+r(run_ends=i! values=u) k=+w:2(item=vz) l=c<+s(x=s<u>)> m=i<vu>";
enum { DICTIONARIES = 4 };

/* One byte before the stream, so that what is read lies misaligned and is copied. */
struct sample {
    uint8_t bytes[1 << 16];
    size_t size;
    enum fletch_ipc_compression compression;
};

static struct fletch_batch *longer_dictionaries(struct test_pool *pool,
                                                const struct fletch_batch *batch,
                                                struct fletch_batch **dictionaries)
{
    struct fletch_batch *grown[DICTIONARIES];
    for (uint32_t i = 0; i < batch->dictionary_count; i++)
        grown[i] = fletch_batch_acquire(dictionaries[i]);
    struct fletch_batch_parts parts = fletch_batch_parts_of(batch);
    parts.dictionaries = grown;
    fletch_schema_acquire(batch->schema);
    for (uint32_t i = 0; i < batch->owner_count; i++)
        fletch_buffer_acquire(batch->owners[i]);
    struct fletch_batch *made = NULL;
    assert_ok(fletch_batch_create(pool->cache, NULL, &parts, &made, NULL));
    return made;
}

/* The values of dictionary `index`, whose first `count` are those of the batch. */
static struct fletch_batch *first_values(struct test_pool *pool, struct fletch_batch *values,
                                         int64_t count)
{
    return batch_slice(pool->cache, values, 0, count < values->row_count ? count : 1);
}

static void make_sample(struct sample *sample, enum fletch_ipc_compression compression)
{
    struct test_pool pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(31);
    struct fletch_schema *schema = schema_new(schema_text);
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, ROWS);
    const struct fletch_ipc_write_options options = {
        .struct_size = sizeof options,
        .cache = pool.cache,
        .compression = compression,
        .head_metadata = "\1\0\0\0\1\0\0\0h\0\0\0\0",
    };
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_buffer *written = NULL;
    assert_ok(fletch_ipc_writer_open_memory(schema, &options, &writer, NULL));
    for (int64_t count = 2; count <= 4; count++) {
        /* Indices may then stand for nothing: that is looked at by level 3 alone. */
        struct fletch_batch *dictionaries[DICTIONARIES];
        for (uint32_t i = 0; i < batch->dictionary_count; i++)
            dictionaries[i] = first_values(&pool, batch->dictionaries[i], count);
        assert_ok(fletch_ipc_writer_dictionary_metadata(writer, schema->dictionaries[0].id,
                                                        "\1\0\0\0\0\0\0\0\1\0\0\0d", NULL));
        struct fletch_batch *with = longer_dictionaries(&pool, batch, dictionaries);
        assert_ok(fletch_ipc_writer_write(writer, with, "\1\0\0\0\1\0\0\0k\1\0\0\0v", NULL));
        fletch_batch_release(pool.cache, with);
        for (uint32_t i = 0; i < batch->dictionary_count; i++)
            fletch_batch_release(pool.cache, dictionaries[i]);
    }
    assert_ok(fletch_ipc_writer_finish(writer, NULL));
    assert_ok(fletch_ipc_writer_take(writer, &written, NULL));
    sample->compression = compression;
    sample->size = fletch_buffer_bytes(written);
    assert_true(sample->size + 1 < sizeof sample->bytes);
    memcpy(sample->bytes + 1, fletch_buffer_data(written), sample->size);
    fletch_buffer_release(pool.cache, written);
    fletch_ipc_writer_close(writer);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

struct means {
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
    const struct fletch_allocator *allocator;
};

static enum fletch_status copy_batches(struct fletch_ipc_reader *reader,
                                       struct fletch_ipc_writer *writer, const struct means *means,
                                       struct fletch_error *error)
{
    for (;;) {
        struct fletch_batch *batch = NULL;
        enum fletch_status status = fletch_ipc_reader_next(reader, &batch, error);
        if (status != FLETCH_OK)
            return status;
        if (batch == NULL)
            return fletch_ipc_writer_finish(writer, error);
        for (size_t i = 0; i < fletch_ipc_reader_dictionary_count(reader) && status == FLETCH_OK;
             i++) {
            int64_t id;
            const char *metadata = fletch_ipc_reader_dictionary_metadata(reader, i, &id);
            status = fletch_ipc_writer_dictionary_metadata(writer, id, metadata, error);
        }
        if (status == FLETCH_OK)
            status =
                fletch_ipc_writer_write(writer, batch, fletch_ipc_reader_metadata(reader), error);
        fletch_batch_release(means->cache, batch);
        if (status != FLETCH_OK)
            return status;
    }
}

/* Reads the sample and writes it as a file. */
static enum fletch_status read_and_write(const struct sample *sample, const struct means *means,
                                         struct fletch_error *error)
{
    const struct fletch_ipc_read_options read_options = {
        .struct_size = sizeof read_options,
        .cache = means->cache,
        .account = means->account,
        .allocator = means->allocator,
    };
    struct fletch_ipc_write_options write_options = {
        .struct_size = sizeof write_options,
        .cache = means->cache,
        .account = means->account,
        .format = FLETCH_IPC_FILE,
        .compression = sample->compression,
        .allocator = means->allocator,
    };
    const struct fletch_foreign_memory memory = {.data = sample->bytes + 1, .bytes = sample->size};
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_buffer *written = NULL;
    enum fletch_status status =
        fletch_ipc_reader_open_memory(&memory, &read_options, &reader, error);
    if (status == FLETCH_OK) {
        write_options.head_metadata = fletch_ipc_reader_head_metadata(reader);
        status = fletch_ipc_writer_open_memory(fletch_ipc_reader_schema(reader), &write_options,
                                               &writer, error);
    }
    if (status == FLETCH_OK)
        status = copy_batches(reader, writer, means, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_writer_take(writer, &written, error);
    fletch_buffer_release(means->cache, written);
    fletch_ipc_writer_close(writer);
    fletch_ipc_reader_close(reader);
    return status;
}

static enum fletch_status relay_messages(struct fletch_ipc_reader *reader,
                                         struct fletch_ipc_writer *writer,
                                         const struct means *means, struct fletch_error *error)
{
    for (;;) {
        struct fletch_ipc_relayed message;
        enum fletch_status status = fletch_ipc_reader_relay(reader, &message, error);
        if (status != FLETCH_OK)
            return status;
        if (message.kind == FLETCH_IPC_RELAYED_END)
            return fletch_ipc_writer_finish(writer, error);
        status = fletch_ipc_writer_relay(writer, &message, error);
        fletch_ipc_relayed_release(means->cache, &message);
        if (status != FLETCH_OK)
            return status;
    }
}

/* Passes the sample, as a file that is read, on to memory. */
static enum fletch_status relay(const struct sample *sample, const struct means *means,
                                struct fletch_error *error)
{
    const struct fletch_ipc_read_options read_options = {
        .struct_size = sizeof read_options,
        .cache = means->cache,
        .account = means->account,
        .is_relay = true,
        .allocator = means->allocator,
    };
    const struct fletch_ipc_write_options write_options = {
        .struct_size = sizeof write_options,
        .cache = means->cache,
        .account = means->account,
        .allocator = means->allocator,
    };
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_buffer *written = NULL;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(pwrite(fileno(file), sample->bytes + 1, sample->size, 0), sample->size);
    enum fletch_status status =
        fletch_ipc_reader_open_fd(fileno(file), &read_options, &reader, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_writer_open_memory(NULL, &write_options, &writer, error);
    if (status == FLETCH_OK)
        status = relay_messages(reader, writer, means, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_writer_take(writer, &written, error);
    if (status == FLETCH_OK) {
        assert_int_equal(fletch_buffer_bytes(written), sample->size);
        assert_memory_equal(fletch_buffer_data(written), sample->bytes + 1, sample->size);
    }
    fletch_buffer_release(means->cache, written);
    fletch_ipc_writer_close(writer);
    fletch_ipc_reader_close(reader);
    fclose(file);
    return status;
}

typedef enum fletch_status task(const struct sample *sample, const struct means *means,
                                struct fletch_error *error);

static void check_refused(enum fletch_status status, const struct fletch_error *error)
{
    if (status != FLETCH_RESOURCE_EXHAUSTED)
        fail_msg("%s: %s", fletch_status_name(status), error->message);
    assert_true(strlen(error->message) > 10);
}

/* With a pool whose memory comes from the counting allocator too. */
static enum fletch_status try_request(task *work, const struct sample *sample, uint64_t n)
{
    struct counting_allocator counting;
    counting_allocator_start(&counting, n);
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    struct fletch_buffer_pool *pool = NULL;
    struct means means = {.allocator = &counting.allocator};
    struct fletch_error error = {.message = ""};
    enum fletch_status status =
        fletch_buffer_pool_create(&options, &counting.allocator, &pool, &error);
    if (status == FLETCH_OK)
        status = fletch_buffer_cache_open(pool, &means.cache, &error);
    if (status == FLETCH_OK)
        status = work(sample, &means, &error);
    if (status != FLETCH_OK)
        check_refused(status, &error);
    fletch_buffer_cache_close(means.cache);
    assert_ok(fletch_buffer_pool_destroy(pool, NULL));
    assert_int_equal(counting.live_bytes, 0);
    assert_int_equal(counting.mismatched, 0);
    return status;
}

/* How many requests had to fail until none was left to. */
static uint64_t fail_each_request(task *work, enum fletch_ipc_compression compression)
{
    static struct sample sample;
    make_sample(&sample, compression);
    uint64_t n = 1;
    while (n <= TRIES_MOST && try_request(work, &sample, n) != FLETCH_OK)
        n++;
    assert_true(n <= TRIES_MOST);
    return n - 1;
}

/* How many limits, each a step above the one before, were too low. */
static uint64_t reach_each_limit(task *work, enum fletch_ipc_compression compression)
{
    static struct sample sample;
    make_sample(&sample, compression);
    enum fletch_status status = FLETCH_UNKNOWN;
    uint64_t failures = 0;
    const uint64_t step = compression == FLETCH_IPC_COMPRESSION_OFF ? LIMIT_STEP : CODEC_STEP;
    for (uint64_t i = 1; i <= LIMITS_MOST && status != FLETCH_OK; i++) {
        struct test_pool pool = test_pool_make();
        struct fletch_account *account = account_make(pool.account, "copy", i * step, 0);
        const struct means means = {.cache = pool.cache, .account = account};
        struct fletch_error error = {.message = ""};
        status = work(&sample, &means, &error);
        if (status != FLETCH_OK) {
            failures++;
            check_refused(status, &error);
        }
        assert_int_equal(account_used_bytes(account), 0);
        fletch_account_close(account);
        test_pool_end(&pool);
    }
    assert_int_equal(status, FLETCH_OK);
    return failures;
}

static void each_request_may_fail(void **state)
{
    (void)state;
    assert_true(fail_each_request(read_and_write, FLETCH_IPC_COMPRESSION_OFF) >= 20);
}

static void each_limit_may_be_reached(void **state)
{
    (void)state;
    assert_true(reach_each_limit(read_and_write, FLETCH_IPC_COMPRESSION_OFF) > 20);
}

static void each_request_of_a_relay_may_fail(void **state)
{
    (void)state;
    assert_true(fail_each_request(relay, FLETCH_IPC_COMPRESSION_OFF) >= 10);
}

static void each_limit_of_a_relay_may_be_reached(void **state)
{
    (void)state;
    assert_true(reach_each_limit(relay, FLETCH_IPC_COMPRESSION_OFF) > 10);
}

static void compressed_bodies_may_fail_anywhere(void **state)
{
    (void)state;
    static const enum fletch_ipc_compression compressions[] = {FLETCH_IPC_COMPRESSION_LZ4,
                                                               FLETCH_IPC_COMPRESSION_ZSTD};
    if (fletch_codec_check(FLETCH_CODEC_LZ4_FRAME, NULL) != FLETCH_OK ||
        fletch_codec_check(FLETCH_CODEC_ZSTD, NULL) != FLETCH_OK)
        skip();
    for (int i = 0; i < 2; i++) {
        assert_true(fail_each_request(read_and_write, compressions[i]) >= 20);
        assert_true(reach_each_limit(read_and_write, compressions[i]) > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_may_fail),
        cmocka_unit_test(each_limit_may_be_reached),
        cmocka_unit_test(each_request_of_a_relay_may_fail),
        cmocka_unit_test(each_limit_of_a_relay_may_be_reached),
        cmocka_unit_test(compressed_bodies_may_fail_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
