#include "fuzz/ipc_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arrow/ipc_decoder.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/ipc_rewrite.h"
#include "memory/batch.h"

/* Of memory: at most this many bytes for each byte of input, and these on top. */
enum { BYTES_EACH = 64, BYTES_MORE = 1 << 20, METADATA_MOST = 1 << 16, STEP = 1000 };

/* What liblz4 takes to read a frame that says its blocks have 4 MiB. */
enum { CODEC_MOST = 9 << 20 };

enum { COMPRESSIONS = 3 };

/* ---- memory that is counted ---- */

struct counted {
    size_t live_bytes;
    size_t limit_bytes;
    uint64_t requests;
    uint64_t fail_at; /* refuse this request, counted from 1; 0: none */
};

static void *counted_allocate(void *context, size_t bytes, size_t alignment)
{
    struct counted *counted = context;
    if (++counted->requests == counted->fail_at)
        return NULL;
    counted->live_bytes += bytes;
    if (counted->live_bytes > counted->limit_bytes)
        fuzz_stop("memory", "more than the input explains");
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void counted_release(void *context, void *memory, size_t bytes, size_t alignment)
{
    struct counted *counted = context;
    (void)alignment;
    counted->live_bytes -= bytes;
    free(memory);
}

void ipc_input_start(struct ipc_input *input)
{
    struct fletch_buffer_pool_options pool = {.struct_size = sizeof pool};
    struct fletch_account_options account = {.struct_size = sizeof account};
    if (fletch_buffer_pool_create(&pool, NULL, &input->pool, NULL) != FLETCH_OK ||
        fletch_buffer_cache_open(input->pool, &input->cache, NULL) != FLETCH_OK ||
        fletch_budget_create(&account, NULL, &input->budget, NULL) != FLETCH_OK)
        fuzz_stop("start", "no memory");
    input->file = memfd_create("input", MFD_CLOEXEC);
    if (input->file < 0)
        fuzz_stop("start", "no file in memory");
}

void ipc_input_end(struct ipc_input *input)
{
    struct fletch_error error;
    close(input->file);
    fletch_buffer_cache_close(input->cache);
    if (fletch_budget_destroy(input->budget, &error) != FLETCH_OK ||
        fletch_buffer_pool_destroy(input->pool, &error) != FLETCH_OK)
        fuzz_stop("end", error.message);
}

struct fletch_account *ipc_input_account(struct ipc_input *input, uint64_t limit_bytes)
{
    const struct fletch_account_options options = {
        .struct_size = sizeof options, .name = "input", .limit_bytes = limit_bytes};
    struct fletch_account *account = NULL;
    struct fletch_error error;
    if (fletch_account_open(fletch_budget_account(input->budget), &options, &account, &error) !=
        FLETCH_OK)
        fuzz_stop("account", error.message);
    return account;
}

uint64_t ipc_input_account_end(struct fletch_account *account, const char *what)
{
    struct fletch_budget_statistics statistics = {.struct_size = sizeof statistics};
    fletch_account_statistics(account, &statistics);
    if (statistics.used_bytes != 0)
        fuzz_stop(what, "the account is charged for what nobody has");
    fletch_account_close(account);
    return statistics.peak_bytes;
}

/* ---- what was read ---- */

static void look_at(const struct fletch_batch *batch)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < batch->span_count; i++)
        for (size_t k = 0; k < batch->spans[i].bytes; k++)
            sum += batch->spans[i].data[k];
    for (uint32_t i = 0; i < batch->dictionary_count; i++)
        look_at(batch->dictionaries[i]);
    if (sum == UINT64_MAX)
        fuzz_stop("sum", "out of range");
}

static void check_failure(const char *what, enum fletch_status status,
                          const struct fletch_error *error)
{
    if (status == FLETCH_OK)
        return;
    if (status != FLETCH_INVALID_ARGUMENT && status != FLETCH_UNIMPLEMENTED &&
        status != FLETCH_DATA_LOSS)
        fuzz_stop(what, error->message);
    if (error->status != status || strlen(error->message) < 16)
        fuzz_stop(what, "an error that says nothing");
}

static struct fletch_ipc_read_options options_of(struct ipc_input *input,
                                                 const struct fletch_allocator *allocator)
{
    return (struct fletch_ipc_read_options){
        .struct_size = sizeof(struct fletch_ipc_read_options),
        .cache = input->cache,
        .metadata_limit_bytes = METADATA_MOST,
        .body_step_bytes = STEP,
        .allocator = allocator,
    };
}

/* A relay's: it has no schema. */
static struct fletch_ipc_writer *writer_of(struct ipc_input *input)
{
    const struct fletch_ipc_write_options options = {
        .struct_size = sizeof options,
        .cache = input->cache,
    };
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_error error;
    if (fletch_ipc_writer_open_memory(NULL, &options, &writer, &error) != FLETCH_OK)
        fuzz_stop("relaying", error.message);
    return writer;
}

/* ---- ways to read ---- */

/* Batches are written again, in one of three ways, if level 2 is what they have passed. */
static enum fletch_status read_memory(struct ipc_input *input,
                                      const struct fletch_ipc_read_options *options,
                                      const struct fletch_foreign_memory *memory,
                                      struct fletch_error *error)
{
    const bool is_written = options->validation == FLETCH_VALIDATION_DEFAULT;
    struct fletch_ipc_reader *reader = NULL;
    struct ipc_rewrite rewrite;
    enum fletch_status status = fletch_ipc_reader_open_memory(memory, options, &reader, error);
    if (status != FLETCH_OK)
        return status;
    if (is_written)
        ipc_rewrite_begin(&rewrite, fletch_ipc_reader_schema(reader), input->cache,
                          (enum fletch_ipc_compression)(memory->bytes / 8 % COMPRESSIONS));
    for (;;) {
        struct fletch_batch *batch = NULL;
        status = fletch_ipc_reader_next(reader, &batch, error);
        if (status != FLETCH_OK || batch == NULL)
            break;
        look_at(batch);
        if (is_written)
            ipc_rewrite_write(&rewrite, batch, fletch_ipc_reader_metadata(reader));
        fletch_batch_release(input->cache, batch);
    }
    if (is_written)
        ipc_rewrite_end(&rewrite, status == FLETCH_OK);
    fletch_ipc_reader_close(reader);
    return status;
}

static enum fletch_status feed(struct ipc_input *input, struct fletch_ipc_decoder *decoder,
                               const struct fletch_foreign_memory *memory,
                               struct fletch_error *error)
{
    const uint8_t *bytes = memory->data;
    size_t left = memory->bytes;
    for (;;) {
        struct fletch_ipc_event event;
        enum fletch_status status = fletch_ipc_decoder_next(decoder, &event, error);
        if (status != FLETCH_OK || event.kind == FLETCH_IPC_EVENT_END)
            return status;
        if (event.kind == FLETCH_IPC_EVENT_BATCH) {
            look_at(event.batch);
            fletch_batch_release(input->cache, event.batch);
        }
        if (event.kind != FLETCH_IPC_EVENT_NONE)
            continue;
        struct fletch_ipc_need need = fletch_ipc_decoder_need(decoder);
        size_t given = need.bytes < left ? need.bytes : left;
        if (left == 0)
            return fletch_ipc_decoder_end(decoder, error);
        memcpy(need.destination, bytes, given);
        bytes += given;
        left -= given;
        status = fletch_ipc_decoder_fill(decoder, given, error);
        if (status != FLETCH_OK)
            return status;
    }
}

static enum fletch_status read_stream(struct ipc_input *input,
                                      const struct fletch_ipc_read_options *options,
                                      const struct fletch_foreign_memory *memory,
                                      struct fletch_error *error)
{
    struct fletch_ipc_read_options known;
    struct fletch_ipc_decoder *decoder = NULL;
    enum fletch_status status = fletch_ipc_read_options_copy(&known, options, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_decoder_create(&known, &decoder, error);
    if (status == FLETCH_OK)
        status = feed(input, decoder, memory, error);
    fletch_ipc_decoder_destroy(decoder);
    return status;
}

/* Compares a part of a message with the bytes that are next, and goes on behind them. */
static size_t compare(const struct fletch_foreign_memory *memory, size_t at, const void *part,
                      size_t bytes)
{
    if (bytes > memory->bytes - at ||
        (bytes != 0 && memcmp((const uint8_t *)memory->data + at, part, bytes) != 0))
        fuzz_stop("relay", "a message is not as it came");
    return at + bytes;
}

static size_t compare_buffer(const struct fletch_foreign_memory *memory, size_t at,
                             const struct fletch_buffer *part)
{
    return part == NULL ? at
                        : compare(memory, at, fletch_buffer_data(part), fletch_buffer_bytes(part));
}

/* Each message that a reader relays is what lies in the input behind the one before it. */
static enum fletch_status relay_all(struct ipc_input *input, struct fletch_ipc_reader *reader,
                                    const struct fletch_foreign_memory *memory,
                                    struct fletch_error *error)
{
    struct fletch_ipc_writer *writer = writer_of(input);
    struct fletch_ipc_relayed message;
    struct fletch_error other;
    enum fletch_status status;
    size_t at = 0;
    while ((status = fletch_ipc_reader_relay(reader, &message, error)) == FLETCH_OK &&
           message.kind != FLETCH_IPC_RELAYED_END) {
        at = compare(memory, at, message.prefix, message.prefix_bytes);
        at = compare_buffer(memory, at, message.metadata);
        at = compare_buffer(memory, at, message.body);
        if (fletch_ipc_writer_relay(writer, &message, &other) != FLETCH_OK)
            fuzz_stop("relaying", other.message);
        fletch_ipc_relayed_release(input->cache, &message);
    }
    fletch_ipc_writer_close(writer);
    fletch_ipc_reader_close(reader);
    return status;
}

static enum fletch_status relay_memory(struct ipc_input *input,
                                       const struct fletch_ipc_read_options *options,
                                       const struct fletch_foreign_memory *memory,
                                       struct fletch_error *error)
{
    struct fletch_ipc_reader *reader = NULL;
    enum fletch_status status = fletch_ipc_reader_open_memory(memory, options, &reader, error);
    return status != FLETCH_OK ? status : relay_all(input, reader, memory, error);
}

static enum fletch_status relay_file(struct ipc_input *input,
                                     const struct fletch_ipc_read_options *options,
                                     const struct fletch_foreign_memory *memory,
                                     struct fletch_error *error)
{
    struct fletch_ipc_reader *reader = NULL;
    int fd = input->file;
    if (ftruncate(fd, 0) != 0 ||
        pwrite(fd, memory->data, memory->bytes, 0) != (ssize_t)memory->bytes ||
        lseek(fd, 0, SEEK_SET) != 0)
        fuzz_stop("file", "cannot be written");
    enum fletch_status status = fletch_ipc_reader_open_fd(fd, options, &reader, error);
    return status != FLETCH_OK ? status : relay_all(input, reader, memory, error);
}

/* ---- all ways ---- */

static void check_poor(enum fletch_status status, const struct fletch_error *error)
{
    if (status != FLETCH_RESOURCE_EXHAUSTED)
        check_failure("with little memory", status, error);
}

/* One request for memory of other things than buffers fails; the reading before made `requests`. */
static void read_unlucky(struct ipc_input *input, const struct fletch_ipc_read_options *options,
                         const struct fletch_foreign_memory *memory, uint64_t requests)
{
    struct counted *counted = options->allocator->context;
    struct fletch_error error;
    counted->fail_at = counted->requests + 1 + fuzz_number(memory->data, memory->bytes) % requests;
    check_poor(read_stream(input, options, memory, &error), &error);
    counted->fail_at = 0;
}

/* With a part of the memory that it takes: it is refused for that, or for what is wrong with it,
 * wherever that happens. */
static void read_poor(struct ipc_input *input, struct fletch_ipc_read_options options,
                      const struct fletch_foreign_memory *memory, uint64_t most)
{
    struct fletch_error error;
    const uint64_t part = most == 0 ? 0 : fuzz_number(memory->data, memory->bytes) % most;
    if (part == 0)
        return;
    options.account = ipc_input_account(input, part);
    enum fletch_status status = memory->bytes % 2 == 0
                                    ? read_memory(input, &options, memory, &error)
                                    : read_stream(input, &options, memory, &error);
    check_poor(status, &error);
    ipc_input_account_end(options.account, "with little memory");
}

/* Levels 3 and 2: what the former takes the latter takes. */
static enum fletch_status read_levels(struct ipc_input *input,
                                      struct fletch_ipc_read_options options,
                                      const struct fletch_foreign_memory *memory,
                                      struct fletch_error *error)
{
    options.validation = FLETCH_VALIDATION_FULL;
    const enum fletch_status full = read_memory(input, &options, memory, error);
    check_failure("to level 3", full, error);
    options.validation = FLETCH_VALIDATION_DEFAULT;
    const enum fletch_status status = read_memory(input, &options, memory, error);
    check_failure("from memory", status, error);
    if (full == FLETCH_OK && status != FLETCH_OK)
        fuzz_stop("levels", "the higher one takes what the lower one refuses");
    return status;
}

static void relay_ways(struct ipc_input *input, struct fletch_ipc_read_options options,
                       const struct fletch_foreign_memory *memory, enum fletch_status as_stream)
{
    struct fletch_error error;
    options.is_relay = true;
    const enum fletch_status relayed = relay_memory(input, &options, memory, &error);
    check_failure("relay", relayed, &error);
    if (as_stream == FLETCH_OK && relayed != FLETCH_OK)
        fuzz_stop("relay", "refuses what is read as a stream");
    const enum fletch_status of_file = relay_file(input, &options, memory, &error);
    check_failure("relay of a file", of_file, &error);
    if ((of_file == FLETCH_OK) != (relayed == FLETCH_OK))
        fuzz_stop("relay", "takes from memory what it refuses from a file, or the other way round");
}

enum fletch_status ipc_input_try(struct ipc_input *input, const uint8_t *bytes, size_t size,
                                 struct fletch_error *error)
{
    struct counted counted = {.limit_bytes = size * BYTES_EACH + BYTES_MORE};
    const struct fletch_allocator allocator = {counted_allocate, counted_release, &counted};
    struct fletch_ipc_read_options options = options_of(input, &allocator);
    options.account = ipc_input_account(input, counted.limit_bytes + CODEC_MOST);
    /* A few compressed bytes may stand for many. */
    options.body_limit_bytes = counted.limit_bytes / 4;
    /* A block that ends where the bytes end, so that a sanitizer sees who reads on. */
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL)
        fuzz_stop("copy", "no memory");
    if (size != 0)
        memcpy(copy, bytes, size);
    const struct fletch_foreign_memory memory = {.data = copy, .bytes = size};
    struct fletch_error other;
    const enum fletch_status status = read_levels(input, options, &memory, error);
    const uint64_t requests = counted.requests;
    const enum fletch_status as_stream = read_stream(input, &options, &memory, &other);
    check_failure("as a stream", as_stream, &other);
    read_unlucky(input, &options, &memory, counted.requests - requests);
    relay_ways(input, options, &memory, as_stream);
    read_poor(input, options, &memory, ipc_input_account_end(options.account, "account"));
    free(copy);
    if (counted.live_bytes != 0)
        fuzz_stop("memory", "not given back");
    return status;
}

/* A file whose batches are wrong each in its own way still has the others. */
static void read_backwards(struct ipc_input *input, struct fletch_ipc_reader *reader)
{
    struct fletch_error error;
    const size_t count = fletch_ipc_reader_batch_count(reader);
    if (count == FLETCH_IPC_UNKNOWN)
        fuzz_stop("backwards", "a file that does not know its batches");
    for (size_t i = count; i-- > 0;) {
        struct fletch_batch *batch = NULL;
        const enum fletch_status status = fletch_ipc_reader_read(reader, i, &batch, &error);
        if (status == FLETCH_FAILED_PRECONDITION)
            return;
        check_failure("backwards", status, &error);
        if (batch == NULL)
            continue;
        look_at(batch);
        fletch_batch_release(input->cache, batch);
    }
}

void ipc_input_try_backwards(struct ipc_input *input, const uint8_t *bytes, size_t size)
{
    const struct fletch_foreign_memory memory = {.data = bytes, .bytes = size};
    struct fletch_ipc_read_options options = options_of(input, NULL);
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_error error;
    options.account = ipc_input_account(input, 0);
    options.body_limit_bytes = size * BYTES_EACH / 4 + BYTES_MORE / 4;
    const enum fletch_status status =
        fletch_ipc_reader_open_memory(&memory, &options, &reader, &error);
    check_failure("opening a file", status, &error);
    if (status == FLETCH_OK)
        read_backwards(input, reader);
    fletch_ipc_reader_close(reader);
    ipc_input_account_end(options.account, "backwards");
}
