#include <fletching/fletching.h>

#include <stdio.h>
#include <string.h>

#include "arrow/metadata.h"
#include "memory/batch.h"

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* What messages say beside what they are: that of the schema, of a file's footer, of dictionaries
 * and of batches, from reader to writer and back. */

static struct test_pool pool;
static struct fletch_schema *schema;
static struct fletch_batch *batches[2]; /* the second has dictionaries that grew */

/* One pair each. */
static const char head[] = "\1\0\0\0\4\0\0\0head\2\0\0\0of";
static const char outer[] = "\1\0\0\0\5\0\0\0outer\0\0\0\0";
static const char inner[] = "\1\0\0\0\5\0\0\0inner\1\0\0\0\0";
static const char delta[] = "\2\0\0\0\1\0\0\0d\0\0\0\0\1\0\0\0d\1\0\0\0x";
static const char row[] = "\1\0\0\0\3\0\0\0row\1\0\0\0s";

/* Of column a, and of the strings in its values. */
enum { DICTIONARIES = 2 };

static struct fletch_batch *with_dictionary(struct fletch_batch *batch, struct fletch_batch *values)
{
    struct fletch_batch_parts parts = fletch_batch_parts_of(batch);
    struct fletch_batch *made = NULL;
    parts.dictionaries = &values;
    fletch_schema_acquire(parts.schema);
    for (uint32_t i = 0; i < parts.owner_count; i++)
        fletch_buffer_acquire(parts.owners[i]);
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &made, NULL));
    return made;
}

static int open_scene(void **state)
{
    (void)state;
    pool = test_pool_make();
    schema = schema_new("{schema:own} a=i<+s(x=i<u> y=l)> b=l");
    struct fletch_random random = fletch_random_from_seed(21);
    do {
        fletch_batch_release(pool.cache, batches[1]);
        batches[1] = random_batch(&random, pool.cache, schema, 20);
    } while (batches[1]->dictionaries[0]->row_count < 4);
    batches[0] =
        with_dictionary(batches[1], batch_slice(pool.cache, batches[1]->dictionaries[0], 0, 2));
    return 0;
}

static int close_scene(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        fletch_batch_release(pool.cache, batches[i]);
        batches[i] = NULL;
    }
    fletch_schema_release(schema);
    test_pool_end(&pool);
    return 0;
}

static struct fletch_ipc_writer *writer_open(enum fletch_ipc_format format, const char *metadata)
{
    const struct fletch_ipc_write_options options = {.struct_size = sizeof options,
                                                     .cache = pool.cache,
                                                     .account = pool.account,
                                                     .format = format,
                                                     .head_metadata = metadata};
    struct fletch_ipc_writer *writer = NULL;
    assert_ok(fletch_ipc_writer_open_memory(schema, &options, &writer, NULL));
    return writer;
}

static struct fletch_buffer *writer_end(struct fletch_ipc_writer *writer)
{
    struct fletch_buffer *written = NULL;
    assert_ok(fletch_ipc_writer_finish(writer, NULL));
    assert_ok(fletch_ipc_writer_take(writer, &written, NULL));
    fletch_ipc_writer_close(writer);
    return written;
}

static void say(struct fletch_ipc_writer *writer, int64_t id, const char *metadata)
{
    assert_ok(fletch_ipc_writer_dictionary_metadata(writer, id, metadata, NULL));
}

/* Two batches, each after its dictionaries; the second's outer one is a delta. */
static struct fletch_buffer *written_as(enum fletch_ipc_format format)
{
    struct fletch_ipc_writer *writer = writer_open(format, head);
    say(writer, schema->dictionaries[0].id, row);
    say(writer, schema->dictionaries[0].id, outer);
    say(writer, schema->dictionaries[0].values->dictionaries[0].id, inner);
    assert_ok(fletch_ipc_writer_write(writer, batches[0], row, NULL));
    say(writer, schema->dictionaries[0].id, delta);
    assert_ok(fletch_ipc_writer_write(writer, batches[1], NULL, NULL));
    return writer_end(writer);
}

static enum fletch_status try_open(const struct fletch_buffer *bytes, size_t limit,
                                   struct fletch_ipc_reader **out_reader,
                                   struct fletch_error *error)
{
    const struct fletch_ipc_read_options options = {.struct_size = sizeof options,
                                                    .cache = pool.cache,
                                                    .account = pool.account,
                                                    .metadata_limit_bytes = limit};
    const struct fletch_foreign_memory memory = {.data = fletch_buffer_data(bytes),
                                                 .bytes = fletch_buffer_bytes(bytes)};
    return fletch_ipc_reader_open_memory(&memory, &options, out_reader, error);
}

static struct fletch_ipc_reader *reader_open(const struct fletch_buffer *bytes)
{
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_error error = {.message = ""};
    if (try_open(bytes, 0, &reader, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return reader;
}

static void expect_metadata(const char *found, const char *expected, size_t bytes)
{
    if (expected == NULL) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_memory_equal(found, expected, bytes - 1);
}

#define EXPECT(found, expected) expect_metadata((found), (expected), sizeof(expected))

static const char *said_of(const struct fletch_ipc_reader *reader, bool is_outer)
{
    const struct fletch_schema_dictionary *first = &schema->dictionaries[0];
    const int64_t wanted = is_outer ? first->id : first->values->dictionaries[0].id;
    assert_int_equal(fletch_ipc_reader_dictionary_count(reader), DICTIONARIES);
    int64_t last = INT64_MIN;
    const char *found = NULL;
    for (size_t i = 0; i < DICTIONARIES; i++) {
        int64_t id;
        const char *metadata = fletch_ipc_reader_dictionary_metadata(reader, i, &id);
        assert_true(id > last);
        last = id;
        if (id == wanted)
            found = metadata;
    }
    return found;
}

static void next(struct fletch_ipc_reader *reader)
{
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_ipc_reader_next(reader, &batch, NULL));
    fletch_batch_release(pool.cache, batch);
}

static void expect_all(const struct fletch_buffer *bytes, enum fletch_ipc_format format)
{
    struct fletch_ipc_reader *reader = reader_open(bytes);
    const bool is_file = format == FLETCH_IPC_FILE;
    EXPECT(fletch_ipc_reader_head_metadata(reader), head);
    assert_int_equal(fletch_ipc_reader_schema(reader)->metadata.count, 1);
    /* All of a file's come at once. */
    if (is_file)
        EXPECT(said_of(reader, true), delta);
    else
        assert_null(said_of(reader, true));
    next(reader);
    EXPECT(fletch_ipc_reader_metadata(reader), row);
    if (!is_file)
        EXPECT(said_of(reader, true), outer);
    EXPECT(said_of(reader, false), inner);
    next(reader);
    assert_null(fletch_ipc_reader_metadata(reader));
    EXPECT(said_of(reader, true), delta);
    EXPECT(said_of(reader, false), inner);
    EXPECT(fletch_ipc_reader_head_metadata(reader), head);
    fletch_ipc_reader_close(reader);
}

static void all_that_messages_say_is_kept(void **state)
{
    (void)state;
    for (int format = FLETCH_IPC_STREAM; format <= FLETCH_IPC_FILE; format++) {
        struct fletch_buffer *bytes = written_as((enum fletch_ipc_format)format);
        expect_all(bytes, (enum fletch_ipc_format)format);
        fletch_buffer_release(pool.cache, bytes);
    }
}

/* A reader's, as it is, to a writer. */
static void what_was_read_is_written_again(void **state)
{
    (void)state;
    struct fletch_buffer *bytes = written_as(FLETCH_IPC_STREAM);
    struct fletch_ipc_reader *reader = reader_open(bytes);
    struct fletch_ipc_writer *writer =
        writer_open(FLETCH_IPC_STREAM, fletch_ipc_reader_head_metadata(reader));
    struct fletch_batch *batch = NULL;
    for (;;) {
        assert_ok(fletch_ipc_reader_next(reader, &batch, NULL));
        if (batch == NULL)
            break;
        for (size_t i = 0; i < DICTIONARIES; i++) {
            int64_t id;
            const char *metadata = fletch_ipc_reader_dictionary_metadata(reader, i, &id);
            say(writer, id, metadata);
        }
        assert_ok(fletch_ipc_writer_write(writer, batch, fletch_ipc_reader_metadata(reader), NULL));
        fletch_batch_release(pool.cache, batch);
    }
    struct fletch_buffer *again = writer_end(writer);
    fletch_ipc_reader_close(reader);
    expect_all(again, FLETCH_IPC_STREAM);
    assert_int_equal(fletch_buffer_bytes(again), fletch_buffer_bytes(bytes));
    assert_memory_equal(fletch_buffer_data(again), fletch_buffer_data(bytes),
                        fletch_buffer_bytes(bytes));
    fletch_buffer_release(pool.cache, again);
    fletch_buffer_release(pool.cache, bytes);
}

static void a_message_without_any_says_nothing(void **state)
{
    (void)state;
    struct fletch_ipc_writer *writer = writer_open(FLETCH_IPC_STREAM, NULL);
    say(writer, schema->dictionaries[0].id, outer);
    assert_ok(fletch_ipc_writer_write(writer, batches[0], NULL, NULL));
    /* It went with the first message. */
    say(writer, schema->dictionaries[0].values->dictionaries[0].id, inner);
    say(writer, schema->dictionaries[0].values->dictionaries[0].id, NULL);
    assert_ok(fletch_ipc_writer_write(writer, batches[1], "\0\0\0\0", NULL));
    struct fletch_buffer *bytes = writer_end(writer);
    struct fletch_ipc_reader *reader = reader_open(bytes);
    assert_null(fletch_ipc_reader_head_metadata(reader));
    next(reader);
    EXPECT(said_of(reader, true), outer);
    next(reader);
    assert_null(said_of(reader, true));
    assert_null(said_of(reader, false));
    assert_null(fletch_ipc_reader_metadata(reader));
    fletch_ipc_reader_close(reader);
    fletch_buffer_release(pool.cache, bytes);
}

/* Many pairs that share their strings are few bytes on the wire. */
static void what_is_kept_has_a_limit(void **state)
{
    (void)state;
    enum { VALUE = 600, LIMIT = 1000 };
    static char large[4 + 4 + 1 + 4 + VALUE] = "\1\0\0\0\1\0\0\0k";
    const int32_t value_bytes = VALUE;
    memcpy(large + 9, &value_bytes, sizeof value_bytes);
    struct fletch_error error;
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_ipc_writer *writer = writer_open(FLETCH_IPC_STREAM, NULL);
    say(writer, schema->dictionaries[0].id, large);
    assert_ok(fletch_ipc_writer_write(writer, batches[0], NULL, NULL));
    struct fletch_buffer *bytes = writer_end(writer);
    assert_ok(try_open(bytes, LIMIT, &reader, NULL));
    next(reader);
    fletch_ipc_reader_close(reader);
    fletch_buffer_release(pool.cache, bytes);
    /* Each by itself would do, both together are too many. */
    writer = writer_open(FLETCH_IPC_STREAM, NULL);
    say(writer, schema->dictionaries[0].id, large);
    say(writer, schema->dictionaries[0].values->dictionaries[0].id, large);
    assert_ok(fletch_ipc_writer_write(writer, batches[0], NULL, NULL));
    bytes = writer_end(writer);
    struct fletch_batch *batch = NULL;
    assert_ok(try_open(bytes, LIMIT, &reader, NULL));
    assert_int_equal(fletch_ipc_reader_next(reader, &batch, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "613 bytes of custom metadata or more, limit 387");
    fletch_ipc_reader_close(reader);
    fletch_buffer_release(pool.cache, bytes);
}

static void what_is_no_metadata_is_refused(void **state)
{
    (void)state;
    static const char negative[] = "\xff\xff\xff\xff";
    struct fletch_error error;
    struct fletch_ipc_write_options options = {
        .struct_size = sizeof options, .cache = pool.cache, .head_metadata = negative};
    struct fletch_ipc_writer *writer = NULL;
    assert_int_equal(fletch_ipc_writer_open_memory(schema, &options, &writer, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "head_metadata");
    options.head_metadata = head;
    assert_int_equal(fletch_ipc_writer_open_memory(NULL, &options, &writer, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "a relay makes none");
    options.head_metadata = NULL;
    assert_ok(fletch_ipc_writer_open_memory(NULL, &options, &writer, NULL));
    assert_int_equal(fletch_ipc_writer_dictionary_metadata(writer, 0, outer, &error),
                     FLETCH_FAILED_PRECONDITION);
    fletch_ipc_writer_close(writer);
    writer = writer_open(FLETCH_IPC_STREAM, NULL);
    assert_int_equal(fletch_ipc_writer_dictionary_metadata(writer, 99, outer, &error),
                     FLETCH_NOT_FOUND);
    assert_contains(error.message, "no field has the dictionary 99");
    assert_int_equal(
        fletch_ipc_writer_dictionary_metadata(writer, schema->dictionaries[0].id, negative, &error),
        FLETCH_INVALID_ARGUMENT);
    assert_ok(fletch_ipc_writer_finish(writer, NULL));
    assert_int_equal(
        fletch_ipc_writer_dictionary_metadata(writer, schema->dictionaries[0].id, outer, &error),
        FLETCH_FAILED_PRECONDITION);
    fletch_ipc_writer_close(writer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_that_messages_say_is_kept),      TEST(what_was_read_is_written_again),
        TEST(a_message_without_any_says_nothing), TEST(what_is_kept_has_a_limit),
        TEST(what_is_no_metadata_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
