/* Hash and scatter on what was read of any bytes, all batches through one writer: no row is lost or
 * changed, and every frame is a valid batch. Then again with too little memory for it: rows wait or
 * are dropped with their writer, and nothing stays charged. */

#include "fuzz/fuzz_target.h"

#include <fletching/fletching.h>

#include "arrow/schema.h"
#include "fuzz/ipc_input.h"
#include "fuzz/walk.h"
#include "memory/batch.h"

enum { PARTITIONS_MOST = 5, KEYS_MOST = 4, ELEMENTS_MOST = 1 << 16, FRAME_BYTES = 4096 };

static struct ipc_input input;

/* The rows that went in or came out. */
struct rows {
    int64_t count;
    uint64_t sum;
};

static void add(struct rows *rows, const struct fletch_batch *batch)
{
    rows->count += batch->row_count;
    rows->sum += fletch_hash_row_sum(batch);
}

static struct fletch_partition_writer *open_writer(struct fletch_schema *schema, uint64_t number,
                                                   struct fletch_account *account)
{
    static const uint32_t keys[KEYS_MOST] = {0, 1, 2, 3};
    const uint32_t columns = schema->column_count;
    const bool is_hash = columns != 0 && number % 4 != 0;
    const struct fletch_partitioner_options options = {
        .struct_size = sizeof options,
        .method = is_hash ? FLETCH_PARTITION_HASH : FLETCH_PARTITION_ROUND_ROBIN,
        .partition_count = 1 + (uint32_t)(number / 4 % PARTITIONS_MOST),
        .key_columns = is_hash ? keys : NULL,
        .key_column_count = !is_hash              ? 0
                            : columns < KEYS_MOST ? columns
                                                  : KEYS_MOST,
    };
    const struct fletch_partition_writer_options writer_options = {
        .struct_size = sizeof writer_options,
        .cache = input.cache,
        .frame_bytes = FRAME_BYTES,
        .account = account,
    };
    struct fletch_partitioner *partitioner = NULL;
    struct fletch_partition_writer *writer = NULL;
    struct fletch_error error;
    if (fletch_partitioner_create(schema, &options, NULL, &partitioner, &error) != FLETCH_OK ||
        fletch_partition_writer_create(schema, partitioner, &writer_options, &writer, &error) !=
            FLETCH_OK)
        fuzz_stop("partition writer", error.message);
    return writer;
}

/* Whether none was held back by memory. */
static bool take_frames(struct fletch_partition_writer *writer, struct rows *out)
{
    struct fletch_partition_frame frame;
    struct fletch_error error;
    for (;;) {
        const enum fletch_status status = fletch_partition_writer_next(writer, &frame, &error);
        if (status == FLETCH_RESOURCE_EXHAUSTED)
            return false;
        if (status != FLETCH_OK)
            fuzz_stop("next frame", error.message);
        if (frame.batch == NULL)
            return true;
        if (fletch_batch_validate(frame.batch, FLETCH_VALIDATION_OFFSETS, &error) != FLETCH_OK)
            fuzz_stop("frame", error.message);
        add(out, frame.batch);
        fletch_batch_release(input.cache, frame.batch);
    }
}

/* Takes frames each time that there is no memory, and gives up when that does not help. */
static enum fletch_status push(struct fletch_partition_writer *writer, struct fletch_batch *batch,
                               struct rows *out, struct fletch_error *error)
{
    enum fletch_status status = fletch_partition_writer_push(writer, batch, error);
    int64_t before = -1;
    while (status == FLETCH_RESOURCE_EXHAUSTED && out->count > before) {
        before = out->count;
        take_frames(writer, out);
        status = fletch_partition_writer_resume(writer, error);
    }
    return status;
}

/* Pushes each batch; what is refused leaves nothing behind. False: there is no memory. */
static bool push_all(struct fletch_ipc_reader *reader, struct fletch_partition_writer *writer,
                     struct rows *in, struct rows *out)
{
    struct fletch_error error;
    struct fletch_batch *batch = NULL;
    enum fletch_status status = FLETCH_OK;
    while (status != FLETCH_RESOURCE_EXHAUSTED &&
           fletch_ipc_reader_next(reader, &batch, &error) == FLETCH_OK && batch != NULL) {
        status = FLETCH_OK;
        if (walk_is_short(batch, ELEMENTS_MOST)) {
            status = push(writer, batch, out, &error);
            if (status == FLETCH_OK)
                add(in, batch);
            else if (status != FLETCH_INVALID_ARGUMENT && status != FLETCH_OUT_OF_RANGE &&
                     status != FLETCH_RESOURCE_EXHAUSTED)
                fuzz_stop("scatter", error.message);
        }
        fletch_batch_release(input.cache, batch);
    }
    if (status != FLETCH_RESOURCE_EXHAUSTED)
        status = fletch_partition_writer_flush(writer, &error);
    if (status != FLETCH_OK && status != FLETCH_RESOURCE_EXHAUSTED)
        fuzz_stop("flush", error.message);
    return take_frames(writer, out) && status == FLETCH_OK;
}

/* Through one writer, whose memory is limited (0: not). Returns the most that it took. */
static uint64_t scatter(struct fletch_ipc_reader *reader, uint64_t number, uint64_t limit_bytes)
{
    struct fletch_account *account = ipc_input_account(&input, limit_bytes);
    struct fletch_partition_writer *writer =
        open_writer(fletch_ipc_reader_schema(reader), number, account);
    struct rows in = {0};
    struct rows out = {0};
    const bool is_done = push_all(reader, writer, &in, &out);
    if (!is_done && limit_bytes == 0)
        fuzz_stop("scatter", "no memory, of which there is no limit");
    if (is_done && (in.count != out.count || in.sum != out.sum))
        fuzz_stop("scatter", "other rows come out than went in");
    fletch_partition_writer_destroy(writer);
    return ipc_input_account_end(account, "scatter");
}

static uint64_t read_and_scatter(const uint8_t *bytes, size_t size, uint64_t limit_bytes)
{
    const struct fletch_foreign_memory memory = {.data = bytes, .bytes = size};
    const struct fletch_ipc_read_options options = {
        .struct_size = sizeof options,
        .cache = input.cache,
        .account = ipc_input_account(&input, 0),
        .metadata_limit_bytes = 1 << 16,
        .body_limit_bytes = 1 << 22,
    };
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_error error;
    uint64_t most = 0;
    if (fletch_ipc_reader_open_memory(&memory, &options, &reader, &error) == FLETCH_OK)
        most = scatter(reader, fuzz_number(bytes, size), limit_bytes);
    fletch_ipc_reader_close(reader);
    ipc_input_account_end(options.account, "reading");
    return most;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (input.pool == NULL)
        ipc_input_start(&input);
    const uint64_t most = read_and_scatter(bytes, size, 0);
    if (most > 1)
        read_and_scatter(bytes, size, 1 + fuzz_number(bytes, size) / 7 % (most - 1));
    return 0;
}
