#include "fuzz/ipc_rewrite.h"

#include "fuzz/fuzz_target.h"
#include "fuzz/walk.h"

enum { WALK_MOST = 1 << 14 };

void ipc_rewrite_begin(struct ipc_rewrite *rewrite, struct fletch_schema *schema,
                       struct fletch_buffer_cache *cache, enum fletch_ipc_compression compression)
{
    const struct fletch_ipc_write_options options = {
        .struct_size = sizeof options, .cache = cache, .compression = compression};
    struct fletch_error error;
    *rewrite = (struct ipc_rewrite){.cache = cache, .is_summed = true};
    if (fletch_ipc_writer_open_memory(schema, &options, &rewrite->writer, &error) != FLETCH_OK)
        fuzz_stop("writing again", error.message);
}

void ipc_rewrite_write(struct ipc_rewrite *rewrite, struct fletch_batch *batch,
                       const char *metadata)
{
    struct fletch_error error;
    if (fletch_ipc_writer_write(rewrite->writer, batch, metadata, &error) != FLETCH_OK)
        fuzz_stop("writing again", error.message);
    rewrite->row_count += fletch_batch_row_count(batch);
    rewrite->is_summed = rewrite->is_summed && walk_is_short(batch, WALK_MOST);
    if (rewrite->is_summed)
        rewrite->row_sum += fletch_hash_row_sum(batch);
}

static void compare(const struct ipc_rewrite *rewrite, struct fletch_ipc_reader *reader)
{
    int64_t row_count = 0;
    uint64_t row_sum = 0;
    for (;;) {
        struct fletch_batch *batch = NULL;
        struct fletch_error error;
        if (fletch_ipc_reader_next(reader, &batch, &error) != FLETCH_OK)
            fuzz_stop("reading again", error.message);
        if (batch == NULL)
            break;
        row_count += fletch_batch_row_count(batch);
        if (rewrite->is_summed)
            row_sum += fletch_hash_row_sum(batch);
        fletch_batch_release(rewrite->cache, batch);
    }
    if (row_count != rewrite->row_count || (rewrite->is_summed && row_sum != rewrite->row_sum))
        fuzz_stop("reading again", "other rows than were written");
}

static void read_again(const struct ipc_rewrite *rewrite)
{
    struct fletch_buffer *written = NULL;
    struct fletch_ipc_reader *reader = NULL;
    struct fletch_error error;
    if (fletch_ipc_writer_finish(rewrite->writer, &error) != FLETCH_OK ||
        fletch_ipc_writer_take(rewrite->writer, &written, &error) != FLETCH_OK)
        fuzz_stop("writing again", error.message);
    const struct fletch_foreign_memory memory = {.data = fletch_buffer_data(written),
                                                 .bytes = fletch_buffer_bytes(written)};
    const struct fletch_ipc_read_options options = {.struct_size = sizeof options,
                                                    .cache = rewrite->cache};
    if (fletch_ipc_reader_open_memory(&memory, &options, &reader, &error) != FLETCH_OK)
        fuzz_stop("reading again", error.message);
    compare(rewrite, reader);
    fletch_ipc_reader_close(reader);
    fletch_buffer_release(rewrite->cache, written);
}

void ipc_rewrite_end(struct ipc_rewrite *rewrite, bool is_whole)
{
    if (is_whole)
        read_again(rewrite);
    fletch_ipc_writer_close(rewrite->writer);
}
