#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arrow/schema.h"
#include "memory/batch.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Streams that pass through a relay come out byte for byte, whatever is in them. */

struct bytes {
    uint8_t *data;
    size_t count;
};

static struct fletch_ipc_read_options read_options(const struct test_pool *pool)
{
    return (struct fletch_ipc_read_options){
        .struct_size = sizeof(struct fletch_ipc_read_options),
        .cache = pool->cache,
        .account = pool->account,
        .is_relay = true,
    };
}

static struct fletch_ipc_write_options write_options(const struct test_pool *pool)
{
    return (struct fletch_ipc_write_options){
        .struct_size = sizeof(struct fletch_ipc_write_options),
        .cache = pool->cache,
        .account = pool->account,
    };
}

static struct bytes bytes_of(struct fletch_ipc_writer *writer)
{
    struct fletch_buffer *buffer = NULL;
    assert_ok(fletch_ipc_writer_finish(writer, NULL));
    assert_ok(fletch_ipc_writer_take(writer, &buffer, NULL));
    struct bytes bytes = {malloc(fletch_buffer_bytes(buffer)), fletch_buffer_bytes(buffer)};
    memcpy(bytes.data, fletch_buffer_data(buffer), bytes.count);
    fletch_buffer_release(NULL, buffer);
    fletch_ipc_writer_close(writer);
    return bytes;
}

/* A stream of batches whose dictionaries change, one of them without rows. */
static struct bytes stream_made(struct test_pool *pool)
{
    struct fletch_schema *schema = schema_new("a=l b=u d=s<u> e=+l(item=i<U>)");
    struct fletch_random random = fletch_random_from_seed(3);
    const struct fletch_ipc_write_options options = write_options(pool);
    struct fletch_ipc_writer *writer = NULL;
    assert_ok(fletch_ipc_writer_open_memory(schema, &options, &writer, NULL));
    for (int64_t i = 0; i < 5; i++) {
        struct fletch_batch *batch = random_batch(&random, pool->cache, schema, 40 * i);
        assert_ok(fletch_ipc_writer_write(writer, batch, NULL, NULL));
        fletch_batch_release(pool->cache, batch);
    }
    fletch_schema_release(schema);
    return bytes_of(writer);
}

/* Everything that a reader gives goes to a writer, until the end or a failure. */
static enum fletch_status relay_all(struct test_pool *pool, struct fletch_ipc_reader *reader,
                                    struct fletch_ipc_writer *writer, int counts[4],
                                    struct fletch_error *error)
{
    for (;;) {
        struct fletch_ipc_relayed message;
        enum fletch_status status = fletch_ipc_reader_relay(reader, &message, error);
        if (status != FLETCH_OK)
            return status;
        counts[message.kind]++;
        if (message.kind == FLETCH_IPC_RELAYED_END)
            return FLETCH_OK;
        status = fletch_ipc_writer_relay(writer, &message, error);
        fletch_ipc_relayed_release(pool->cache, &message);
        if (status != FLETCH_OK)
            return status;
    }
}

static struct fletch_ipc_writer *writer_new(struct test_pool *pool)
{
    const struct fletch_ipc_write_options options = write_options(pool);
    struct fletch_ipc_writer *writer = NULL;
    assert_ok(fletch_ipc_writer_open_memory(NULL, &options, &writer, NULL));
    return writer;
}

static enum fletch_status relay_memory(struct test_pool *pool, struct bytes stream,
                                       struct bytes *out_bytes, int counts[4],
                                       struct fletch_error *error)
{
    const struct fletch_ipc_read_options options = read_options(pool);
    const struct fletch_foreign_memory memory = {.data = stream.data, .bytes = stream.count};
    struct fletch_ipc_reader *reader = NULL;
    enum fletch_status status = fletch_ipc_reader_open_memory(&memory, &options, &reader, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_ipc_writer *writer = writer_new(pool);
    status = relay_all(pool, reader, writer, counts, error);
    fletch_ipc_reader_close(reader);
    if (status == FLETCH_OK)
        *out_bytes = bytes_of(writer);
    else
        fletch_ipc_writer_close(writer);
    return status;
}

static void expect_same(struct bytes found, struct bytes expected)
{
    assert_int_equal(found.count, expected.count);
    assert_memory_equal(found.data, expected.data, expected.count);
    free(found.data);
}

static void a_stream_in_memory_passes_untouched(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct bytes stream = stream_made(&pool);
    struct bytes found;
    struct fletch_error error = {.message = ""};
    int counts[4] = {0};
    if (relay_memory(&pool, stream, &found, counts, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_int_equal(counts[FLETCH_IPC_RELAYED_SCHEMA], 1);
    assert_true(counts[FLETCH_IPC_RELAYED_DICTIONARY] >= 2);
    assert_int_equal(counts[FLETCH_IPC_RELAYED_BATCH], 5);
    expect_same(found, stream);
    free(stream.data);
    test_pool_end(&pool);
}

/* Relays the bytes of a file, and expects them to come out as they are. */
static void expect_untouched_by_file(struct test_pool *pool, struct bytes stream)
{
    const struct fletch_ipc_read_options options = read_options(pool);
    struct fletch_ipc_reader *reader = NULL;
    int counts[4] = {0};
    FILE *file = tmpfile();
    assert_non_null(file);
    int fd = fileno(file);
    assert_int_equal(write(fd, stream.data, stream.count), stream.count);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_ok(fletch_ipc_reader_open_fd(fd, &options, &reader, NULL));
    assert_null(fletch_ipc_reader_schema(reader));
    struct fletch_ipc_writer *writer = writer_new(pool);
    assert_ok(relay_all(pool, reader, writer, counts, NULL));
    fletch_ipc_reader_close(reader);
    expect_same(bytes_of(writer), stream);
    fclose(file);
}

static void a_stream_of_a_descriptor_passes_untouched(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct bytes stream = stream_made(&pool);
    expect_untouched_by_file(&pool, stream);
    free(stream.data);
    test_pool_end(&pool);
}

static uint32_t word_at(struct bytes bytes, size_t at)
{
    uint32_t word;
    memcpy(&word, bytes.data + at, sizeof word);
    return word;
}

/* The same stream as it was before the continuation marker; bodies lie 4 bytes off. */
static struct bytes without_markers(struct test_pool *pool, struct bytes stream)
{
    const struct fletch_ipc_read_options options = read_options(pool);
    const struct fletch_foreign_memory memory = {.data = stream.data, .bytes = stream.count};
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_ipc_relayed message;
    struct bytes old = {malloc(stream.count), 0};
    assert_ok(fletch_ipc_reader_open_memory(&memory, &options, &reader, NULL));
    for (size_t at = 0;;) {
        assert_ok(fletch_ipc_reader_relay(reader, &message, NULL));
        if (message.kind == FLETCH_IPC_RELAYED_END)
            break;
        size_t body = message.body == NULL ? 0 : fletch_buffer_bytes(message.body);
        size_t bytes = 4 + word_at(stream, at + 4) + body;
        memcpy(old.data + old.count, stream.data + at + 4, bytes);
        old.count += bytes;
        at += 4 + bytes;
        fletch_ipc_relayed_release(pool->cache, &message);
    }
    memset(old.data + old.count, 0, 4);
    old.count += 4;
    fletch_ipc_reader_close(reader);
    return old;
}

static void a_stream_without_markers_stays_one(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct bytes stream = stream_made(&pool);
    struct bytes old = without_markers(&pool, stream);
    struct bytes found;
    int counts[4] = {0};
    assert_ok(relay_memory(&pool, old, &found, counts, NULL));
    expect_same(found, old);
    free(old.data);
    free(stream.data);
    test_pool_end(&pool);
}

static void messages_with_and_without_marker_may_follow_each_other(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct bytes stream = stream_made(&pool);
    struct bytes old = without_markers(&pool, stream);
    size_t schema_bytes = 8 + word_at(stream, 4);
    struct bytes mixed = {malloc(stream.count), old.count + 4};
    memcpy(mixed.data, stream.data, schema_bytes);
    memcpy(mixed.data + schema_bytes, old.data + schema_bytes - 4, old.count + 4 - schema_bytes);
    expect_untouched_by_file(&pool, mixed);
    free(mixed.data);
    free(old.data);
    free(stream.data);
    test_pool_end(&pool);
}

static void what_is_cut_short_is_told_wherever_that_is(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct bytes stream = stream_made(&pool);
    int whole = 0;
    for (size_t count = 1; count + 8 < stream.count; count++) {
        struct bytes found = {NULL, 0};
        struct fletch_error error = {.message = ""};
        int counts[4] = {0};
        struct bytes part = {malloc(count), count};
        memcpy(part.data, stream.data, count);
        enum fletch_status status = relay_memory(&pool, part, &found, counts, &error);
        if (status == FLETCH_OK) {
            whole++; /* between two messages: the end marker may be missing */
            assert_memory_equal(found.data, stream.data, count);
            free(found.data);
        } else {
            assert_true(status == FLETCH_DATA_LOSS || status == FLETCH_INVALID_ARGUMENT);
            assert_true(error.message[0] != '\0');
        }
        free(part.data);
    }
    assert_true(whole > 0 && whole < 30);
    free(stream.data);
    test_pool_end(&pool);
}

static void messages_out_of_order_are_refused(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct bytes stream = stream_made(&pool);
    size_t schema_bytes = 8 + word_at(stream, 4);
    struct bytes found;
    struct fletch_error error;
    int counts[4] = {0};
    struct bytes tail = {stream.data + schema_bytes, stream.count - schema_bytes};
    assert_int_equal(relay_memory(&pool, tail, &found, counts, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "before the schema");
    struct bytes twice = {malloc(2 * schema_bytes), 2 * schema_bytes};
    memcpy(twice.data, stream.data, schema_bytes);
    memcpy(twice.data + schema_bytes, stream.data, schema_bytes);
    assert_int_equal(relay_memory(&pool, twice, &found, counts, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "a second schema");
    twice.count = 4;
    assert_int_equal(relay_memory(&pool, twice, &found, counts, &error), FLETCH_DATA_LOSS);
    free(twice.data);
    free(stream.data);
    test_pool_end(&pool);
}

/* Rows that are all null, with a dictionary of the first `count` of the values. */
static struct fletch_batch *nulls_made(struct test_pool *pool, struct fletch_schema *schema,
                                       struct fletch_batch *values, int64_t count)
{
    struct fletch_buffer *zeros = buffer_filled(pool, 64, 0);
    struct fletch_batch *dictionary = batch_slice(pool->cache, values, 0, count);
    struct fletch_batch_node node = {.length = 8, .null_count = 8};
    struct fletch_batch_span spans[2] = {{zeros->data, 1}, {zeros->data, 8}};
    const struct fletch_batch_parts parts = {.schema = fletch_schema_acquire(schema),
                                             .row_count = 8,
                                             .nodes = &node,
                                             .node_count = 1,
                                             .spans = spans,
                                             .span_count = 2,
                                             .owners = &zeros,
                                             .owner_count = 1,
                                             .dictionaries = &dictionary,
                                             .dictionary_count = 1};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(pool->cache, NULL, &parts, &batch, NULL));
    return batch;
}

/* The stream without its first dictionary, which is followed by nulls and by a delta. */
static void a_delta_cannot_come_first_even_behind_nulls(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new("d=c<l>");
    struct fletch_random random = fletch_random_from_seed(8);
    struct fletch_batch *values =
        random_batch(&random, pool.cache, schema->dictionaries[0].values, 5);
    const struct fletch_ipc_write_options written = write_options(&pool);
    struct fletch_ipc_read_options options = read_options(&pool);
    struct fletch_ipc_writer *writer = NULL;
    assert_ok(fletch_ipc_writer_open_memory(schema, &written, &writer, NULL));
    for (int64_t count = 3; count <= 5; count += 2) {
        struct fletch_batch *batch = nulls_made(&pool, schema, values, count);
        assert_ok(fletch_ipc_writer_write(writer, batch, NULL, NULL));
        fletch_batch_release(pool.cache, batch);
    }
    struct bytes stream = bytes_of(writer);
    struct fletch_foreign_memory memory = {.data = stream.data, .bytes = stream.count};
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_ipc_relayed message = {.kind = FLETCH_IPC_RELAYED_SCHEMA};
    assert_ok(fletch_ipc_reader_open_memory(&memory, &options, &reader, NULL));
    writer = writer_new(&pool);
    for (int dictionaries = 0; message.kind != FLETCH_IPC_RELAYED_END;) {
        assert_ok(fletch_ipc_reader_relay(reader, &message, NULL));
        bool is_first = message.kind == FLETCH_IPC_RELAYED_DICTIONARY && dictionaries++ == 0;
        if (message.kind != FLETCH_IPC_RELAYED_END && !is_first)
            assert_ok(fletch_ipc_writer_relay(writer, &message, NULL));
        fletch_ipc_relayed_release(pool.cache, &message);
    }
    fletch_ipc_reader_close(reader);
    struct bytes rest = bytes_of(writer);
    memory = (struct fletch_foreign_memory){.data = rest.data, .bytes = rest.count};
    options.is_relay = false;
    struct fletch_batch *batch = NULL;
    struct fletch_error error;
    assert_ok(fletch_ipc_reader_open_memory(&memory, &options, &reader, NULL));
    assert_ok(fletch_ipc_reader_next(reader, &batch, NULL));
    fletch_batch_release(pool.cache, batch);
    assert_int_equal(fletch_ipc_reader_next(reader, &batch, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "which has not come yet");
    fletch_ipc_reader_close(reader);
    fletch_batch_release(pool.cache, values);
    fletch_schema_release(schema);
    free(stream.data);
    free(rest.data);
    test_pool_end(&pool);
}

static void wrong_use_is_refused(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct bytes stream = stream_made(&pool);
    struct fletch_schema *schema = schema_new("a=l");
    struct fletch_random random = fletch_random_from_seed(1);
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, 3);
    struct fletch_ipc_read_options options = read_options(&pool);
    struct fletch_ipc_write_options written = write_options(&pool);
    const struct fletch_foreign_memory memory = {.data = stream.data, .bytes = stream.count};
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_ipc_relayed message;
    struct fletch_batch *none = NULL;
    struct fletch_error error;
    assert_ok(fletch_ipc_reader_open_memory(&memory, &options, &reader, NULL));
    assert_int_equal(fletch_ipc_reader_next(reader, &none, &error), FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "relays messages");
    assert_ok(fletch_ipc_reader_relay(reader, &message, NULL));
    struct fletch_ipc_writer *relay = writer_new(&pool);
    struct fletch_ipc_writer *writer = NULL;
    assert_int_equal(fletch_ipc_writer_write(relay, batch, NULL, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_ok(fletch_ipc_writer_open_memory(schema, &written, &writer, NULL));
    assert_int_equal(fletch_ipc_writer_relay(writer, &message, &error), FLETCH_FAILED_PRECONDITION);
    assert_ok(fletch_ipc_writer_relay(relay, &message, NULL));
    assert_int_equal(fletch_ipc_writer_relay(relay, &message, &error), FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "behind the schema");
    fletch_ipc_writer_close(relay);
    fletch_ipc_writer_close(writer);
    fletch_ipc_relayed_release(pool.cache, &message);
    fletch_ipc_reader_close(reader);

    options.is_relay = false;
    assert_ok(fletch_ipc_reader_open_memory(&memory, &options, &reader, NULL));
    assert_int_equal(fletch_ipc_reader_relay(reader, &message, &error), FLETCH_FAILED_PRECONDITION);
    fletch_ipc_reader_close(reader);
    written.format = FLETCH_IPC_FILE;
    assert_int_equal(fletch_ipc_writer_open_memory(NULL, &written, &writer, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "only a stream can be relayed");
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    free(stream.data);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_in_memory_passes_untouched),
        cmocka_unit_test(a_stream_of_a_descriptor_passes_untouched),
        cmocka_unit_test(a_stream_without_markers_stays_one),
        cmocka_unit_test(messages_with_and_without_marker_may_follow_each_other),
        cmocka_unit_test(what_is_cut_short_is_told_wherever_that_is),
        cmocka_unit_test(messages_out_of_order_are_refused),
        cmocka_unit_test(a_delta_cannot_come_first_even_behind_nulls),
        cmocka_unit_test(wrong_use_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
