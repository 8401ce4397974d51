#include <fletching/fletching.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/batch.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Readers and writers of memory, descriptors and files. */

enum { BATCHES = 5, ROWS = 200 };

struct sample {
    struct test_pool pool;
    struct fletch_schema *schema;
    struct fletch_batch *batches[BATCHES];
};

static struct sample sample_make(const char *schema)
{
    struct sample sample = {.pool = test_pool_make(), .schema = schema_new(schema)};
    struct fletch_random random = fletch_random_from_seed(40);
    for (int i = 0; i < BATCHES; i++)
        sample.batches[i] = random_batch(&random, sample.pool.cache, sample.schema, ROWS * i);
    return sample;
}

static void sample_end(struct sample *sample)
{
    for (int i = 0; i < BATCHES; i++)
        fletch_batch_release(sample->pool.cache, sample->batches[i]);
    fletch_schema_release(sample->schema);
    test_pool_end(&sample->pool);
}

static struct fletch_ipc_write_options write_options(const struct sample *sample,
                                                     enum fletch_ipc_format format)
{
    return (struct fletch_ipc_write_options){
        .struct_size = sizeof(struct fletch_ipc_write_options),
        .cache = sample->pool.cache,
        .account = sample->pool.account,
        .format = format,
    };
}

static struct fletch_ipc_read_options read_options(const struct sample *sample)
{
    return (struct fletch_ipc_read_options){
        .struct_size = sizeof(struct fletch_ipc_read_options),
        .cache = sample->pool.cache,
        .account = sample->pool.account,
    };
}

static void write_all(const struct sample *sample, struct fletch_ipc_writer *writer)
{
    struct fletch_error error = {0};
    for (int i = 0; i < BATCHES; i++)
        if (fletch_ipc_writer_write(writer, sample->batches[i], NULL, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
    assert_ok(fletch_ipc_writer_finish(writer, NULL));
}

static struct fletch_buffer *written(const struct sample *sample, enum fletch_ipc_format format)
{
    const struct fletch_ipc_write_options options = write_options(sample, format);
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_buffer *buffer = NULL;
    assert_ok(fletch_ipc_writer_open_memory(sample->schema, &options, &writer, NULL));
    write_all(sample, writer);
    assert_ok(fletch_ipc_writer_take(writer, &buffer, NULL));
    assert_int_equal(fletch_ipc_writer_take(writer, &buffer, NULL), FLETCH_FAILED_PRECONDITION);
    assert_int_equal(fletch_ipc_writer_write(writer, sample->batches[0], NULL, NULL),
                     FLETCH_FAILED_PRECONDITION);
    fletch_ipc_writer_close(writer);
    return buffer;
}

static void count_release(void *context)
{
    ++*(int *)context;
}

static struct fletch_ipc_reader *reader_of(const struct sample *sample,
                                           const struct fletch_buffer *buffer, int *released)
{
    const struct fletch_foreign_memory memory = {
        .data = fletch_buffer_data(buffer),
        .bytes = fletch_buffer_bytes(buffer),
        .release = count_release,
        .context = released,
    };
    const struct fletch_ipc_read_options options = read_options(sample);
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_error error = {0};
    if (fletch_ipc_reader_open_memory(&memory, &options, &reader, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return reader;
}

static void expect_all(const struct sample *sample, struct fletch_ipc_reader *reader)
{
    struct fletch_error error = {0};
    assert_ok(fletch_schema_compare(sample->schema, fletch_ipc_reader_schema(reader),
                                    FLETCH_COMPARE_METADATA, &error));
    for (int i = 0; i <= BATCHES; i++) {
        struct fletch_batch *batch = NULL;
        if (fletch_ipc_reader_next(reader, &batch, &error) != FLETCH_OK)
            fail_msg("%s", error.message);
        if (i == BATCHES)
            assert_null(batch);
        else
            assert_true(batches_equal(sample->batches[i], batch));
        fletch_batch_release(sample->pool.cache, batch);
    }
}

static const char sample_schema[] = "a=l b=u c=+l(item=+s(x=i y=U)) d=b";

static void memory_is_read_and_given_back_once(void **state)
{
    (void)state;
    struct sample sample = sample_make(sample_schema);
    for (int format = FLETCH_IPC_STREAM; format <= FLETCH_IPC_FILE; format++) {
        struct fletch_buffer *buffer = written(&sample, (enum fletch_ipc_format)format);
        int released = 0;
        struct fletch_ipc_reader *reader = reader_of(&sample, buffer, &released);
        expect_all(&sample, reader);
        fletch_ipc_reader_close(reader);
        assert_int_equal(released, 1);
        /* A batch outlives its reader, and the memory the batch. */
        struct fletch_batch *batch = NULL;
        reader = reader_of(&sample, buffer, &released);
        for (int i = 0; i < 2; i++) {
            fletch_batch_release(NULL, batch);
            assert_ok(fletch_ipc_reader_next(reader, &batch, NULL));
        }
        fletch_ipc_reader_close(reader);
        assert_int_equal(released, 1);
        assert_true(batches_equal(sample.batches[1], batch));
        fletch_batch_release(NULL, batch);
        assert_int_equal(released, 2);
        fletch_buffer_release(NULL, buffer);
    }
    sample_end(&sample);
}

static void memory_that_cannot_be_read_stays_the_callers(void **state)
{
    (void)state;
    struct sample sample = sample_make("a=l");
    const struct fletch_ipc_read_options options = read_options(&sample);
    static const char *const bad[] = {"ARROW1\0\0ARROW1", "\xff\xff\xff\xff\x08\0\0\0abcdefgh",
                                      "\x10\0\0\0abcd", "ARROW1\0\0\0\0\0\0\0\0\0\0\0\0\0\0ARROW1"};
    static const size_t sizes[] = {14, 16, 8, 26};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int released = 0;
        const struct fletch_foreign_memory memory = {
            .data = bad[i], .bytes = sizes[i], .release = count_release, .context = &released};
        struct fletch_ipc_reader *reader = NULL;
        struct fletch_error error = {0};
        enum fletch_status status =
            fletch_ipc_reader_open_memory(&memory, &options, &reader, &error);
        assert_true(status == FLETCH_INVALID_ARGUMENT || status == FLETCH_DATA_LOSS);
        assert_true(strlen(error.message) > 16);
        assert_null(reader);
        assert_int_equal(released, 0);
    }
    sample_end(&sample);
}

static void a_file_is_read_in_any_order(void **state)
{
    (void)state;
    struct sample sample = sample_make(sample_schema);
    struct fletch_buffer *buffer = written(&sample, FLETCH_IPC_FILE);
    int released = 0;
    struct fletch_ipc_reader *reader = reader_of(&sample, buffer, &released);
    assert_int_equal(fletch_ipc_reader_batch_count(reader), BATCHES);
    struct fletch_batch *batch = NULL;
    for (int i = BATCHES - 1; i >= 0; i--) {
        assert_ok(fletch_ipc_reader_read(reader, (size_t)i, &batch, NULL));
        assert_true(batches_equal(sample.batches[i], batch));
        /* 64-byte aligned in the file, and so in memory that is. */
        for (uint32_t k = 0; k < batch->span_count && i != 0; k++)
            assert_int_equal((uintptr_t)batch->spans[k].data % 64, 0);
        fletch_batch_release(NULL, batch);
    }
    struct fletch_error error = {0};
    assert_int_equal(fletch_ipc_reader_read(reader, BATCHES, &batch, &error), FLETCH_OUT_OF_RANGE);
    assert_contains(error.message, "batch 5 of a file that has 5");
    expect_all(&sample, reader);
    fletch_ipc_reader_close(reader);
    fletch_buffer_release(NULL, buffer);

    buffer = written(&sample, FLETCH_IPC_STREAM);
    reader = reader_of(&sample, buffer, &released);
    assert_int_equal(fletch_ipc_reader_batch_count(reader), FLETCH_IPC_UNKNOWN);
    assert_int_equal(fletch_ipc_reader_read(reader, 0, &batch, NULL), FLETCH_FAILED_PRECONDITION);
    expect_all(&sample, reader);
    fletch_ipc_reader_close(reader);
    fletch_buffer_release(NULL, buffer);
    sample_end(&sample);
}

static void a_path_is_mapped(void **state)
{
    (void)state;
    struct sample sample = sample_make(sample_schema);
    char path[] = "ipc_reader_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    const struct fletch_ipc_write_options options = write_options(&sample, FLETCH_IPC_FILE);
    struct fletch_ipc_writer *writer = NULL;
    assert_ok(fletch_ipc_writer_open_fd(fd, sample.schema, &options, &writer, NULL));
    write_all(&sample, writer);
    assert_int_equal(fletch_ipc_writer_take(writer, NULL, NULL), FLETCH_FAILED_PRECONDITION);
    fletch_ipc_writer_close(writer);
    const struct fletch_ipc_read_options reading = read_options(&sample);
    struct fletch_ipc_reader *reader = NULL;
    assert_ok(fletch_ipc_reader_open_path(path, &reading, &reader, NULL));
    expect_all(&sample, reader);
    fletch_ipc_reader_close(reader);
    assert_int_equal(ftruncate(fd, 100), 0);
    assert_int_equal(fletch_ipc_reader_open_path(path, &reading, &reader, NULL), FLETCH_DATA_LOSS);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(fletch_ipc_reader_open_path(path, &reading, &reader, NULL), FLETCH_DATA_LOSS);
    close(fd);
    unlink(path);
    struct fletch_error error = {0};
    assert_int_equal(fletch_ipc_reader_open_path(path, &reading, &reader, &error),
                     FLETCH_NOT_FOUND);
    assert_contains(error.message, path);
    sample_end(&sample);
}

struct pipe_writer {
    const struct fletch_buffer *buffer;
    int fd;
    size_t end;
};

/* In pieces that fit no border. */
static void *write_pipe(void *context)
{
    const struct pipe_writer *writer = context;
    const uint8_t *data = fletch_buffer_data(writer->buffer);
    size_t at = 0;
    while (at < writer->end) {
        size_t piece = 1 + at % 777;
        if (piece > writer->end - at)
            piece = writer->end - at;
        ssize_t count = write(writer->fd, data + at, piece);
        if (count <= 0)
            break;
        at += (size_t)count;
    }
    close(writer->fd);
    return NULL;
}

static void a_pipe_is_read_to_the_end_marker(void **state)
{
    (void)state;
    struct sample sample = sample_make(sample_schema);
    struct fletch_buffer *buffer = written(&sample, FLETCH_IPC_STREAM);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct pipe_writer writer = {buffer, ends[1], fletch_buffer_bytes(buffer)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_pipe, &writer), 0);
    const struct fletch_ipc_read_options options = read_options(&sample);
    struct fletch_ipc_reader *reader = NULL;
    assert_ok(fletch_ipc_reader_open_fd(ends[0], &options, &reader, NULL));
    expect_all(&sample, reader);
    fletch_ipc_reader_close(reader);
    pthread_join(thread, NULL);
    close(ends[0]);
    fletch_buffer_release(NULL, buffer);
    sample_end(&sample);
}

static void a_pipe_that_ends_early_is_data_loss(void **state)
{
    (void)state;
    struct sample sample = sample_make("a=l b=u");
    struct fletch_buffer *buffer = written(&sample, FLETCH_IPC_STREAM);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct pipe_writer writer = {buffer, ends[1], fletch_buffer_bytes(buffer) - 100};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_pipe, &writer), 0);
    const struct fletch_ipc_read_options options = read_options(&sample);
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_error error = {0};
    assert_ok(fletch_ipc_reader_open_fd(ends[0], &options, &reader, NULL));
    enum fletch_status status = FLETCH_OK;
    int batches = -1;
    while (status == FLETCH_OK && batches < BATCHES) {
        struct fletch_batch *batch = NULL;
        status = fletch_ipc_reader_next(reader, &batch, &error);
        fletch_batch_release(NULL, batch);
        batches++;
    }
    assert_int_equal(status, FLETCH_DATA_LOSS);
    assert_contains(error.message, "ends in the body of the message at byte");
    struct fletch_batch *batch = NULL;
    assert_int_equal(fletch_ipc_reader_next(reader, &batch, &error), FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "failed before: ipc stream ends in the body");
    fletch_ipc_reader_close(reader);
    pthread_join(thread, NULL);
    close(ends[0]);
    fletch_buffer_release(NULL, buffer);
    sample_end(&sample);
}

static void a_reader_is_a_c_stream(void **state)
{
    (void)state;
    struct sample sample = sample_make(sample_schema);
    struct fletch_buffer *buffer = written(&sample, FLETCH_IPC_STREAM);
    int released = 0;
    struct fletch_ipc_reader *reader = reader_of(&sample, buffer, &released);
    struct fletch_batch_source source;
    struct ArrowArrayStream stream;
    fletch_ipc_reader_source(reader, &source);
    assert_ok(fletch_stream_export(&source, sample.pool.cache, NULL, &stream, NULL));
    int batches = -1;
    for (bool is_more = true; is_more; batches++) {
        struct ArrowArray array;
        assert_int_equal(stream.get_next(&stream, &array), 0);
        is_more = array.release != NULL;
        if (!is_more)
            continue;
        assert_true(array.length == sample.batches[batches + 1]->row_count);
        array.release(&array);
    }
    assert_int_equal(batches, BATCHES);
    stream.release(&stream);
    assert_int_equal(released, 1);
    fletch_buffer_release(NULL, buffer);
    sample_end(&sample);
}

static void a_files_dictionary_grows_and_is_not_replaced(void **state)
{
    (void)state;
    struct sample sample = sample_make("a=c<u>");
    struct fletch_ipc_write_options options = write_options(&sample, FLETCH_IPC_FILE);
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_error error = {0};
    assert_ok(fletch_ipc_writer_open_memory(sample.schema, &options, &writer, NULL));
    assert_ok(fletch_ipc_writer_write(writer, sample.batches[1], NULL, NULL));
    assert_int_equal(fletch_ipc_writer_write(writer, sample.batches[2], NULL, &error),
                     FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "field 'a': its dictionary is replaced");
    /* What came before is still written. */
    assert_ok(fletch_ipc_writer_write(writer, sample.batches[1], NULL, NULL));
    assert_ok(fletch_ipc_writer_finish(writer, NULL));
    fletch_ipc_writer_close(writer);
    sample_end(&sample);
}

static void wrong_calls_are_refused(void **state)
{
    (void)state;
    struct sample sample = sample_make("a=l");
    struct sample other = sample_make("a=i");
    struct fletch_ipc_write_options options = write_options(&sample, FLETCH_IPC_STREAM);
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_error error = {0};
    assert_ok(fletch_ipc_writer_open_memory(sample.schema, &options, &writer, NULL));
    assert_int_equal(fletch_ipc_writer_write(writer, other.batches[1], NULL, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "'a'");
    assert_int_equal(fletch_ipc_writer_write(writer, sample.batches[1], "\xff\xff\xff\xff", &error),
                     FLETCH_INVALID_ARGUMENT);
    fletch_ipc_writer_close(writer);
    options.alignment_bytes = 16;
    assert_int_equal(fletch_ipc_writer_open_memory(sample.schema, &options, &writer, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "option alignment_bytes is 16, expected 8 or 64");
    options = write_options(&sample, (enum fletch_ipc_format)2);
    assert_int_equal(fletch_ipc_writer_open_memory(sample.schema, &options, &writer, &error),
                     FLETCH_INVALID_ARGUMENT);
    options = write_options(&sample, FLETCH_IPC_STREAM);
    options.cache = NULL;
    assert_int_equal(fletch_ipc_writer_open_memory(sample.schema, &options, &writer, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_int_equal(fletch_ipc_writer_open_fd(-1, sample.schema, &options, &writer, &error),
                     FLETCH_INVALID_ARGUMENT);
    struct fletch_ipc_read_options reading = read_options(&sample);
    struct fletch_ipc_reader *reader = NULL;
    reading.validation = (enum fletch_validation)4;
    assert_int_equal(fletch_ipc_reader_open_fd(0, &reading, &reader, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "option validation is 4");
    fletch_ipc_reader_close(NULL);
    fletch_ipc_writer_close(NULL);
    sample_end(&other);
    sample_end(&sample);
}

static void a_descriptor_that_cannot_be_written_is_told(void **state)
{
    (void)state;
    struct sample sample = sample_make("a=l");
    const struct fletch_ipc_write_options options = write_options(&sample, FLETCH_IPC_STREAM);
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_error error = {0};
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fletch_ipc_writer_open_fd(fd, sample.schema, &options, &writer, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "system error 28");
    close(fd);
    sample_end(&sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_read_and_given_back_once),
        cmocka_unit_test(memory_that_cannot_be_read_stays_the_callers),
        cmocka_unit_test(a_file_is_read_in_any_order),
        cmocka_unit_test(a_path_is_mapped),
        cmocka_unit_test(a_pipe_is_read_to_the_end_marker),
        cmocka_unit_test(a_pipe_that_ends_early_is_data_loss),
        cmocka_unit_test(a_reader_is_a_c_stream),
        cmocka_unit_test(a_files_dictionary_grows_and_is_not_replaced),
        cmocka_unit_test(wrong_calls_are_refused),
        cmocka_unit_test(a_descriptor_that_cannot_be_written_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
