#include <fletching/fletching.h>

#include <string.h>

#include "arrow/ipc_decoder.h"
#include "arrow/ipc_file.h"
#include "memory/batch.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/schemas.h"

/* Streams and files that were written well and then say something else: what is in them is told by
 * the reader or refused, and costs no more than its bytes explain. */

enum { VALUES_MOST = 4096, MESSAGES_MOST = 16 };

static struct test_pool pool;

static struct fletch_ipc_write_options write_options(enum fletch_ipc_format format)
{
    return (struct fletch_ipc_write_options){
        .struct_size = sizeof(struct fletch_ipc_write_options),
        .cache = pool.cache,
        .account = pool.account,
        .format = format,
    };
}

static struct fletch_ipc_read_options read_options(void)
{
    return (struct fletch_ipc_read_options){
        .struct_size = sizeof(struct fletch_ipc_read_options),
        .cache = pool.cache,
        .account = pool.account,
    };
}

/* A batch of the schema "a=l": `rows` rows of 0, all null where there is a validity. */
static struct fletch_batch *longs(struct fletch_schema *schema, int64_t rows, bool are_null)
{
    struct fletch_buffer *buffer = buffer_filled(&pool, 8 * VALUES_MOST, 0);
    struct fletch_batch_node node = {.length = rows, .null_count = are_null ? rows : 0};
    struct fletch_batch_span spans[2] = {
        {are_null ? fletch_buffer_data(buffer) : NULL, are_null ? (size_t)(rows + 7) / 8 : 0},
        {fletch_buffer_data(buffer), 8 * (size_t)rows},
    };
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = rows,
        .nodes = &node,
        .spans = spans,
        .owners = &buffer,
        .node_count = 1,
        .span_count = 2,
        .owner_count = 1,
    };
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

/* A batch of the schema "a=i<l>": one row with index 0 into `count` values. */
static struct fletch_batch *encoded(struct fletch_schema *schema, int64_t count)
{
    struct fletch_buffer *buffer = buffer_filled(&pool, 64, 0);
    struct fletch_batch *values = longs(schema->dictionaries[0].values, count, false);
    struct fletch_batch_node node = {.length = 1};
    struct fletch_batch_span spans[2] = {{NULL, 0}, {fletch_buffer_data(buffer), 4}};
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = 1,
        .nodes = &node,
        .spans = spans,
        .owners = &buffer,
        .dictionaries = &values,
        .node_count = 1,
        .span_count = 2,
        .owner_count = 1,
        .dictionary_count = 1,
    };
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    return batch;
}

/* A file whose one dictionary has 1 value, then `counts` values in all, one batch for each. */
static struct fletch_buffer *file_of_deltas(const int64_t *counts, size_t count)
{
    const struct fletch_ipc_write_options options = write_options(FLETCH_IPC_FILE);
    struct fletch_schema *schema = schema_new("a=i<l>");
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_buffer *buffer = NULL;
    assert_ok(fletch_ipc_writer_open_memory(schema, &options, &writer, NULL));
    for (size_t i = 0; i < count; i++) {
        struct fletch_batch *batch = encoded(schema, counts[i]);
        assert_ok(fletch_ipc_writer_write(writer, batch, NULL, NULL));
        fletch_batch_release(NULL, batch);
    }
    assert_ok(fletch_ipc_writer_finish(writer, NULL));
    assert_ok(fletch_ipc_writer_take(writer, &buffer, NULL));
    fletch_ipc_writer_close(writer);
    fletch_schema_release(schema);
    return buffer;
}

/* Lets block `to` of the dictionaries lead where block `from` does. */
static void copy_block(struct fletch_buffer *file, size_t to, size_t from)
{
    struct fletch_ipc_footer footer;
    assert_ok(
        fletch_ipc_footer_open(&footer, fletch_buffer_data(file), fletch_buffer_bytes(file), NULL));
    assert_true(to < footer.dictionaries.count && from < footer.dictionaries.count);
    size_t start = (size_t)(footer.dictionaries.elements - fletch_buffer_data(file));
    uint8_t *blocks = fletch_buffer_mutable_data(file) + start;
    memcpy(blocks + to * FLETCH_IPC_BLOCK_BYTES, blocks + from * FLETCH_IPC_BLOCK_BYTES,
           FLETCH_IPC_BLOCK_BYTES);
}

static enum fletch_status open_memory(struct fletch_buffer *buffer,
                                      const struct fletch_ipc_read_options *options,
                                      struct fletch_ipc_reader **out_reader,
                                      struct fletch_error *error)
{
    const struct fletch_foreign_memory memory = {
        .data = fletch_buffer_data(buffer),
        .bytes = fletch_buffer_bytes(buffer),
    };
    return fletch_ipc_reader_open_memory(&memory, options, out_reader, error);
}

static void expect_refused(struct fletch_buffer *buffer, enum fletch_status expected,
                           const char *message)
{
    const struct fletch_ipc_read_options options = read_options();
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_error error = {.message = ""};
    assert_int_equal(open_memory(buffer, &options, &reader, &error), expected);
    assert_contains(error.message, message);
    assert_null(reader);
}

/* The first batches would get the last values, and nobody would know. */
static void a_replaced_dictionary_of_a_file_is_refused(void **state)
{
    (void)state;
    static const int64_t counts[] = {1, 2, 3};
    pool = test_pool_make();
    struct fletch_buffer *file = file_of_deltas(counts, 3);
    copy_block(file, 2, 0);
    expect_refused(file, FLETCH_INVALID_ARGUMENT,
                   "dictionary 0 comes a second time and is no delta");
    fletch_buffer_release(pool.cache, file);
    test_pool_end(&pool);
}

/* 24 bytes of a footer are not to be worth a dictionary each. */
static void a_delta_is_not_read_again_and_again(void **state)
{
    (void)state;
    int64_t counts[MESSAGES_MOST] = {1, 2000};
    for (int64_t i = 2; i < MESSAGES_MOST; i++)
        counts[i] = counts[i - 1] + 1;
    pool = test_pool_make();
    struct fletch_buffer *file = file_of_deltas(counts, MESSAGES_MOST);
    for (size_t i = 2; i < MESSAGES_MOST; i++)
        copy_block(file, i, 1);
    expect_refused(file, FLETCH_INVALID_ARGUMENT, "footer's dictionaries overlap");
    fletch_buffer_release(pool.cache, file);
    test_pool_end(&pool);
}

/* A stream of one batch of "a=l" or "a=n"; `*out_node` is the node's bytes in it. */
static struct fletch_buffer *stream_of(struct fletch_schema *schema, struct fletch_batch *batch,
                                       uint8_t **out_node)
{
    const struct fletch_ipc_write_options options = write_options(FLETCH_IPC_STREAM);
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_buffer *buffer = NULL;
    assert_ok(fletch_ipc_writer_open_memory(schema, &options, &writer, NULL));
    assert_ok(fletch_ipc_writer_write(writer, batch, NULL, NULL));
    assert_ok(fletch_ipc_writer_finish(writer, NULL));
    assert_ok(fletch_ipc_writer_take(writer, &buffer, NULL));
    fletch_ipc_writer_close(writer);
    uint8_t *data = fletch_buffer_mutable_data(buffer);
    size_t bytes = fletch_buffer_bytes(buffer);
    struct fletch_ipc_place place;
    struct fletch_ipc_message message;
    struct fletch_ipc_batch_header header;
    assert_ok(fletch_ipc_stream_find(data, bytes, 0, &place, NULL));
    assert_ok(fletch_ipc_stream_find(data, bytes, place.body, &place, NULL));
    assert_ok(fletch_ipc_message_open(&message, data + place.metadata, place.metadata_bytes, bytes,
                                      NULL));
    assert_ok(fletch_ipc_batch_header_open(&message, &message.header, &header, NULL));
    *out_node = data + (header.nodes.elements - data);
    return buffer;
}

/* The validity of a field that has no nulls is not used: only level 3 looks whether it agrees. */
static void a_null_count_of_0_is_compared_at_level_3(void **state)
{
    (void)state;
    pool = test_pool_make();
    struct fletch_schema *schema = schema_new("a=l");
    struct fletch_batch *batch = longs(schema, 20, true);
    uint8_t *node;
    struct fletch_buffer *stream = stream_of(schema, batch, &node);
    const int64_t none = 0;
    memcpy(node + sizeof none, &none, sizeof none);
    for (int level = FLETCH_VALIDATION_OFFSETS; level <= FLETCH_VALIDATION_FULL; level++) {
        struct fletch_ipc_read_options options = read_options();
        options.validation = (enum fletch_validation)level;
        struct fletch_ipc_reader *reader = NULL;
        struct fletch_batch *read = NULL;
        struct fletch_error error = {.message = ""};
        assert_ok(open_memory(stream, &options, &reader, NULL));
        enum fletch_status status = fletch_ipc_reader_next(reader, &read, &error);
        if (level == FLETCH_VALIDATION_FULL) {
            assert_int_equal(status, FLETCH_INVALID_ARGUMENT);
            assert_contains(error.message, "field 'a' (int64): null count 0, its validity has 20");
        } else {
            assert_ok(status);
            assert_null(read->spans[0].data);
        }
        fletch_batch_release(pool.cache, read);
        fletch_ipc_reader_close(reader);
    }
    fletch_buffer_release(pool.cache, stream);
    fletch_batch_release(NULL, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* Some writers say that the null type has no nulls. */
static void the_null_type_has_only_nulls(void **state)
{
    (void)state;
    pool = test_pool_make();
    struct fletch_schema *schema = schema_new("a=n");
    struct fletch_batch_node told = {.length = 20, .null_count = 20};
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = 20,
        .nodes = &told,
        .node_count = 1,
    };
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    uint8_t *node;
    struct fletch_buffer *stream = stream_of(schema, batch, &node);
    const int64_t none = 0;
    memcpy(node + sizeof none, &none, sizeof none);
    const struct fletch_ipc_read_options options = read_options();
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_batch *read = NULL;
    assert_ok(open_memory(stream, &options, &reader, NULL));
    assert_ok(fletch_ipc_reader_next(reader, &read, NULL));
    assert_int_equal(read->nodes[0].null_count, 20);
    fletch_batch_release(pool.cache, read);
    fletch_ipc_reader_close(reader);
    fletch_buffer_release(pool.cache, stream);
    fletch_batch_release(NULL, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* Wherever the message lies: in a stream, a file, or apart. */
static void metadata_in_memory_has_its_limit_too(void **state)
{
    (void)state;
    static const int64_t counts[] = {1};
    pool = test_pool_make();
    struct fletch_schema *schema = schema_new("a=l");
    struct fletch_batch *batch = longs(schema, 20, false);
    uint8_t *node;
    struct fletch_buffer *buffers[2] = {stream_of(schema, batch, &node), file_of_deltas(counts, 1)};
    struct fletch_ipc_read_options options = read_options();
    options.metadata_limit_bytes = 64;
    for (int i = 0; i < 2; i++) {
        struct fletch_ipc_reader *reader = NULL;
        struct fletch_error error = {.message = ""};
        assert_int_equal(open_memory(buffers[i], &options, &reader, &error),
                         FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, "bytes of metadata, expected at most 64");
        fletch_buffer_release(pool.cache, buffers[i]);
    }
    fletch_batch_release(NULL, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replaced_dictionary_of_a_file_is_refused),
        cmocka_unit_test(a_delta_is_not_read_again_and_again),
        cmocka_unit_test(a_null_count_of_0_is_compared_at_level_3),
        cmocka_unit_test(the_null_type_has_only_nulls),
        cmocka_unit_test(metadata_in_memory_has_its_limit_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
