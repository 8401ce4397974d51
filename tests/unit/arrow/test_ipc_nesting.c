#include <fletching/fletching.h>

#include <string.h>

#include "arrow/ipc_decoder.h"
#include "arrow/ipc_encoder.h"
#include "arrow/ipc_file.h"
#include "memory/batch.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Dictionaries within dictionaries, whose messages come in any order; and what messages tell of the
 * data buffers of views. */

enum { MESSAGES_MOST = 12, ROWS = 40 };

static struct test_pool pool;

/* Messages as an encoder makes them, schema left out. */
struct messages {
    struct fletch_ipc_encoded encoded[MESSAGES_MOST];
    struct fletch_buffer *bodies[MESSAGES_MOST];
    size_t count;
};

static void add_message(struct messages *messages, const struct fletch_ipc_encoded *encoded)
{
    assert_true(messages->count < MESSAGES_MOST);
    struct fletch_buffer *body = buffer_filled(&pool, encoded->body_bytes + 1, 0);
    uint8_t *to = fletch_buffer_mutable_data(body);
    for (uint32_t i = 1; i < encoded->span_count; i++) {
        memcpy(to, encoded->spans[i].data, encoded->spans[i].bytes);
        to += encoded->spans[i].bytes;
    }
    messages->encoded[messages->count] = *encoded;
    messages->bodies[messages->count++] = body;
}

static void add_batch(struct messages *messages, struct fletch_ipc_encoder *encoder,
                      struct fletch_batch *batch)
{
    struct fletch_ipc_encoded encoded;
    bool is_needed = true;
    while (is_needed) {
        assert_ok(fletch_ipc_encoder_dictionary(encoder, batch, &is_needed, &encoded, NULL));
        if (!is_needed)
            assert_ok(fletch_ipc_encoder_batch(encoder, batch, NULL, &encoded, NULL));
        add_message(messages, &encoded);
    }
}

static struct fletch_ipc_encoder *encoder_of(struct fletch_schema *schema)
{
    const struct fletch_ipc_encoder_options options = {
        .schema = schema, .cache = pool.cache, .account = pool.account, .alignment = 8};
    struct fletch_ipc_encoder *encoder = NULL;
    assert_ok(fletch_ipc_encoder_create(&options, NULL, &encoder, NULL));
    return encoder;
}

static struct messages messages_of(struct fletch_schema *schema, struct fletch_batch *batch)
{
    struct messages messages = {.count = 0};
    struct fletch_ipc_encoder *encoder = encoder_of(schema);
    add_batch(&messages, encoder, batch);
    fletch_ipc_encoder_destroy(encoder);
    return messages;
}

static void messages_end(struct messages *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        fletch_ipc_encoded_release(pool.cache, &messages->encoded[i]);
        fletch_buffer_release(pool.cache, messages->bodies[i]);
    }
}

/* Messages by their numbers. */
struct order {
    const size_t *numbers;
    size_t count;
};
#define ORDER(...) \
    ((struct order){(const size_t[]){__VA_ARGS__}, \
                    sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t)})

/* Reads the messages whose numbers are given, up to the last; that one's batch, if it is one. */
static enum fletch_status read_messages(struct fletch_schema *schema,
                                        const struct messages *messages, struct order order,
                                        struct fletch_batch **out_batch, struct fletch_error *error)
{
    const struct fletch_ipc_read_options options = {.struct_size = sizeof options,
                                                    .cache = pool.cache,
                                                    .account = pool.account,
                                                    .validation = FLETCH_VALIDATION_FULL};
    struct fletch_ipc_read_options known;
    struct fletch_ipc_decoder *decoder = NULL;
    struct fletch_ipc_event event = {0};
    enum fletch_status status = FLETCH_OK;
    assert_ok(fletch_ipc_read_options_copy(&known, &options, NULL));
    assert_ok(fletch_ipc_decoder_create(&known, &decoder, NULL));
    assert_ok(fletch_ipc_decoder_use_schema(decoder, schema, NULL));
    for (size_t i = 0; i < order.count && status == FLETCH_OK; i++) {
        const size_t number = order.numbers[i];
        const struct fletch_ipc_encoded *encoded = &messages->encoded[number];
        const struct fletch_ipc_input input = {
            .metadata = encoded->spans[0].data + 8,
            .metadata_bytes = encoded->metadata_bytes - 8,
            .body = {messages->bodies[number], 0, encoded->body_bytes},
        };
        if (event.kind == FLETCH_IPC_EVENT_BATCH)
            fletch_batch_release(pool.cache, event.batch);
        event.batch = NULL;
        status = fletch_ipc_decoder_message(decoder, &input, &event, error);
    }
    *out_batch = status == FLETCH_OK ? event.batch : NULL;
    fletch_ipc_decoder_destroy(decoder);
    return status;
}

static void expect_read(struct fletch_schema *schema, const struct messages *messages,
                        struct order order, const struct fletch_batch *expected)
{
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {.message = ""};
    if (read_messages(schema, messages, order, &batch, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_true(batches_equal(expected, batch));
    fletch_batch_release(pool.cache, batch);
}

/* ---- orders ---- */

/* Puts the next order into `order`, of those in which the numbers below `count` can stand; false:
 * that was the last. */
static bool next_order(size_t *order, size_t count)
{
    size_t i = count - 1;
    while (i > 0 && order[i - 1] >= order[i])
        i--;
    if (i == 0)
        return false;
    size_t k = count - 1;
    while (order[k] <= order[i - 1])
        k--;
    size_t other = order[k];
    order[k] = order[i - 1];
    order[i - 1] = other;
    for (size_t low = i, high = count - 1; low < high; low++, high--) {
        other = order[low];
        order[low] = order[high];
        order[high] = other;
    }
    return true;
}

static void dictionaries_come_in_any_order(void **state)
{
    (void)state;
    pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(60);
    struct fletch_schema *schema =
        schema_new("a=c<+s(x=s<u> y=+vl(item=i<+l(item=c<vu>)>))> b=s<+r(run_ends=i! values=l)>");
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, ROWS);
    struct messages messages = messages_of(schema, batch);
    size_t order[MESSAGES_MOST];
    int orders = 0;
    assert_int_equal(messages.count, 6);
    for (size_t i = 0; i < messages.count; i++)
        order[i] = i;
    do {
        expect_read(schema, &messages, (struct order){order, messages.count}, batch);
        orders++;
    } while (next_order(order, messages.count - 1));
    assert_int_equal(orders, 120);
    messages_end(&messages);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static struct fletch_buffer *file_of(struct fletch_schema *schema, struct fletch_batch *batch)
{
    const struct fletch_ipc_write_options options = {
        .struct_size = sizeof options, .cache = pool.cache, .format = FLETCH_IPC_FILE};
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_buffer *buffer = NULL;
    assert_ok(fletch_ipc_writer_open_memory(schema, &options, &writer, NULL));
    assert_ok(fletch_ipc_writer_write(writer, batch, NULL, NULL));
    assert_ok(fletch_ipc_writer_finish(writer, NULL));
    assert_ok(fletch_ipc_writer_take(writer, &buffer, NULL));
    fletch_ipc_writer_close(writer);
    return buffer;
}

static void expect_file(struct fletch_buffer *file, const struct fletch_batch *expected)
{
    const struct fletch_ipc_read_options options = {
        .struct_size = sizeof options, .cache = pool.cache, .validation = FLETCH_VALIDATION_FULL};
    const struct fletch_foreign_memory memory = {.data = fletch_buffer_data(file),
                                                 .bytes = fletch_buffer_bytes(file)};
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {.message = ""};
    if (fletch_ipc_reader_open_memory(&memory, &options, &reader, &error) != FLETCH_OK ||
        fletch_ipc_reader_next(reader, &batch, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_true(batches_equal(expected, batch));
    fletch_batch_release(pool.cache, batch);
    fletch_ipc_reader_close(reader);
}

static void a_footer_lists_dictionaries_in_any_order(void **state)
{
    (void)state;
    pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(61);
    struct fletch_schema *schema = schema_new("a=c<+s(x=s<u> y=i<+l(item=c<vu>)>)>");
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, ROWS);
    struct fletch_buffer *file = file_of(schema, batch);
    struct fletch_ipc_footer footer;
    assert_ok(
        fletch_ipc_footer_open(&footer, fletch_buffer_data(file), fletch_buffer_bytes(file), NULL));
    assert_int_equal(footer.dictionaries.count, 4);
    uint8_t *blocks = fletch_buffer_mutable_data(file) +
                      (footer.dictionaries.elements - fletch_buffer_data(file));
    uint8_t kept[4 * FLETCH_IPC_BLOCK_BYTES];
    size_t order[4] = {0, 1, 2, 3};
    memcpy(kept, blocks, sizeof kept);
    do {
        for (size_t i = 0; i < 4; i++)
            memcpy(blocks + i * FLETCH_IPC_BLOCK_BYTES, kept + order[i] * FLETCH_IPC_BLOCK_BYTES,
                   FLETCH_IPC_BLOCK_BYTES);
        expect_file(file, batch);
    } while (next_order(order, 4));
    fletch_buffer_release(pool.cache, file);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* ---- what comes later ---- */

/* The batch with other values in the dictionary of its one dictionary's values. */
static struct fletch_batch *with_inner(struct fletch_batch *batch, struct fletch_batch *inner)
{
    struct fletch_batch *outer = NULL;
    struct fletch_batch *made = NULL;
    struct fletch_batch_parts parts = fletch_batch_parts_of(batch->dictionaries[0]);
    parts.dictionaries = &inner;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &outer, NULL));
    fletch_batch_acquire_shared_parts(outer);
    for (uint32_t i = 0; i < outer->owner_count; i++)
        fletch_buffer_acquire(outer->owners[i]);
    parts = fletch_batch_parts_of(batch);
    parts.dictionaries = &outer;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &made, NULL));
    fletch_batch_acquire_shared_parts(made);
    for (uint32_t i = 0; i < made->owner_count; i++)
        fletch_buffer_acquire(made->owners[i]);
    fletch_batch_release(pool.cache, outer);
    return made;
}

/* Values refer to what a dictionary within them holds now, not to what it held when they came. */
static void a_dictionary_within_is_replaced_and_grows(void **state)
{
    (void)state;
    pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(62);
    struct fletch_schema *schema = schema_new("a=c<+s(x=c<u>)>");
    struct fletch_schema *inner_schema = schema->dictionaries[0].values->dictionaries[0].values;
    struct fletch_batch *all = random_batch(&random, pool.cache, inner_schema, 127);
    struct fletch_batch *some = batch_slice(pool.cache, all, 0, 100);
    struct fletch_batch *others = random_batch(&random, pool.cache, inner_schema, 127);
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, ROWS);
    struct fletch_batch *batches[3] = {with_inner(batch, some), with_inner(batch, all),
                                       with_inner(batch, others)};
    struct messages messages = {.count = 0};
    struct fletch_ipc_encoder *encoder = encoder_of(schema);
    for (int i = 0; i < 3; i++)
        add_batch(&messages, encoder, batches[i]);
    /* First all three; then the delta alone; then what is replaced, and what refers to it. */
    assert_int_equal(messages.count, 3 + 2 + 3);
    expect_read(schema, &messages, ORDER(0, 1, 2), batches[0]);
    expect_read(schema, &messages, ORDER(0, 1, 2, 3, 4), batches[1]);
    expect_read(schema, &messages, ORDER(0, 1, 3, 2, 4), batches[1]);
    expect_read(schema, &messages, ORDER(1, 0, 3, 2), batches[1]);
    expect_read(schema, &messages, ORDER(0, 1, 2, 3, 4, 5, 6, 7), batches[2]);
    expect_read(schema, &messages, ORDER(0, 1, 2, 5, 7), batches[2]);
    fletch_ipc_encoder_destroy(encoder);
    messages_end(&messages);
    for (int i = 0; i < 3; i++)
        fletch_batch_release(pool.cache, batches[i]);
    fletch_batch_release(pool.cache, batch);
    fletch_batch_release(pool.cache, others);
    fletch_batch_release(pool.cache, some);
    fletch_batch_release(pool.cache, all);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void expect_refused(struct fletch_schema *schema, const struct messages *messages,
                           struct order order, const char *text)
{
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {.message = ""};
    assert_int_equal(read_messages(schema, messages, order, &batch, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, text);
}

static void what_has_not_come_is_missed(void **state)
{
    (void)state;
    pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(63);
    struct fletch_schema *schema = schema_new("a=c<+s(x=c<u>)>");
    struct fletch_schema *inner_schema = schema->dictionaries[0].values->dictionaries[0].values;
    struct fletch_batch *batch = random_batch(&random, pool.cache, schema, ROWS);
    struct fletch_batch *one = random_batch(&random, pool.cache, inner_schema, 1);
    struct fletch_batch *shorter = with_inner(batch, one);
    struct messages messages = messages_of(schema, batch);
    struct messages lies = messages_of(schema, shorter);
    expect_refused(schema, &messages, ORDER(1, 2), ", which has not come before the record batch");
    expect_refused(schema, &messages, ORDER(0, 2), "its dictionary ");
    /* Indices beyond what the dictionary within has in the end. */
    expect_refused(schema, &lies, ORDER(1, 0, 2),
                   "expected 0 or more and below the dictionary's 1 values");
    messages_end(&lies);
    messages_end(&messages);
    fletch_batch_release(pool.cache, shorter);
    fletch_batch_release(pool.cache, one);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* ---- what is told of views ---- */

static const uint8_t *header_of(struct messages *messages, struct fletch_ipc_batch_header *header)
{
    struct fletch_ipc_message message;
    const struct fletch_ipc_encoded *encoded = &messages->encoded[messages->count - 1];
    assert_ok(fletch_ipc_message_open(&message, encoded->spans[0].data + 8,
                                      encoded->metadata_bytes - 8, UINT64_MAX, NULL));
    assert_ok(fletch_ipc_batch_header_open(&message, &message.header, header, NULL));
    return message.buffer.bytes;
}

/* Writes to metadata, which the message has in memory of its own. */
static void patch(const uint8_t *at, const void *value, size_t bytes)
{
    memcpy((uint8_t *)(uintptr_t)at, value, bytes);
}

static void numbers_of_data_buffers_that_are_lies_are_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t told;
        const char *text;
    } lies[] = {
        {-1, "a view of -1 data buffers"},
        {INT64_MIN, "a view of -9223372036854775808 data buffers"},
        {INT64_MAX, "a view of 9223372036854775807 data buffers, and 8 buffers in all"},
        {8, "a view of 8 data buffers, and 8 buffers in all"},
        {7, "8 buffers, the schema's types 14"},
        {3, "8 buffers, the schema's types 10"},
        {0, "8 buffers, the schema's types 7"},
    };
    pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(64);
    struct fletch_schema *schema = schema_new("a=vu b=+l(item=vz)");
    struct fletch_batch *batch = NULL;
    struct fletch_ipc_batch_header header;
    struct messages messages;
    for (;;) {
        batch = random_batch(&random, pool.cache, schema, 2 * ROWS);
        messages = messages_of(schema, batch);
        header_of(&messages, &header);
        assert_int_equal(header.variadic.count, 2);
        if (fletch_flatbuffer_load_i64(header.variadic.elements) == 1 &&
            fletch_flatbuffer_load_i64(header.variadic.elements + 8) == 1)
            break;
        messages_end(&messages);
        fletch_batch_release(pool.cache, batch);
    }
    const struct order order = ORDER(0);
    assert_int_equal(header.buffers.count, 8);
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        const int64_t one = 1;
        patch(header.variadic.elements + 8, &lies[i].told, 8);
        expect_refused(schema, &messages, order, lies[i].text);
        patch(header.variadic.elements + 8, &one, 8);
    }
    const uint32_t fewer[] = {1, 7};
    patch(header.variadic.elements - 4, &fewer[0], 4);
    expect_refused(schema, &messages, order, "data buffers 1 fields have, the schema has 2");
    patch(header.variadic.elements - 4, (const uint32_t[]){2}, 4);
    patch(header.buffers.elements - 4, &fewer[1], 4);
    expect_refused(schema, &messages, order, "7 buffers, the schema's types 8");
    messages_end(&messages);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* A list of nulls has the nodes that a union of nulls has, and the buffers that it had in V4. */
static void a_union_with_nulls_of_its_own_is_refused(void **state)
{
    (void)state;
    pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(65);
    struct fletch_schema *lists = schema_new("a=+l(item=n)");
    struct fletch_schema *unions = schema_new("a=+us:0(x=n)");
    struct fletch_batch *batch = random_batch(&random, pool.cache, lists, 2 * ROWS);
    struct messages messages = messages_of(lists, batch);
    struct fletch_ipc_batch_header header;
    struct fletch_ipc_message message;
    struct fletch_batch *none = NULL;
    struct fletch_error error = {.message = ""};
    const int16_t version = FLETCH_IPC_V4;
    const struct fletch_ipc_encoded *encoded = &messages.encoded[0];
    assert_ok(fletch_ipc_message_open(&message, encoded->spans[0].data + 8,
                                      encoded->metadata_bytes - 8, UINT64_MAX, NULL));
    patch(header_of(&messages, &header) + message.table.position +
              fletch_ipc_message_layout.offsets[FLETCH_MESSAGE_VERSION],
          &version, sizeof version);
    assert_true(fletch_flatbuffer_load_i64(header.nodes.elements + 8) > 0);
    assert_int_equal(read_messages(unions, &messages, ORDER(0), &none, &error),
                     FLETCH_UNIMPLEMENTED);
    assert_contains(error.message, "field 'a': sparse_union of metadata V4 with ");
    messages_end(&messages);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(unions);
    fletch_schema_release(lists);
    test_pool_end(&pool);
}

/* ---- views of slices ---- */

/* A slice that uses little of what its views point into brings that along, and no more. */
static void a_slice_of_views_goes_out_alone(void **state)
{
    (void)state;
    pool = test_pool_make();
    struct fletch_random random = fletch_random_from_seed(66);
    struct fletch_schema *schema = schema_new("a=vu b=+l(item=vz)");
    struct fletch_batch *whole = random_batch(&random, pool.cache, schema, 20000);
    struct fletch_batch *slice = batch_slice(pool.cache, whole, 9000, 20);
    struct messages messages = messages_of(schema, slice);
    assert_true(messages.encoded[0].body_bytes < 40000);
    expect_read(schema, &messages, ORDER(0), slice);
    messages_end(&messages);
    fletch_batch_release(pool.cache, slice);
    fletch_batch_release(pool.cache, whole);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dictionaries_come_in_any_order),
        cmocka_unit_test(a_footer_lists_dictionaries_in_any_order),
        cmocka_unit_test(a_dictionary_within_is_replaced_and_grows),
        cmocka_unit_test(what_has_not_come_is_missed),
        cmocka_unit_test(numbers_of_data_buffers_that_are_lies_are_refused),
        cmocka_unit_test(a_union_with_nulls_of_its_own_is_refused),
        cmocka_unit_test(a_slice_of_views_goes_out_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
