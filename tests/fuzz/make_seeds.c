/* Writes small inputs for the fuzzers to begin with: random batches of every layout, as streams and
 * files, plain and compressed, some turned big-endian, and compressed bytes alone.
 *
 *   make_seeds FOLDER        which has the folders stream, file and codec */

#include "fuzz/fuzz_target.h"

#include <fletching/fletching.h>

#include <string.h>

#include "arrow/codec.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/turned_ipc.h"

enum { ROUNDS = 60, ROWS_MOST = 12, BATCHES_MOST = 3, PATH_BYTES = 4096, PLAIN_MOST = 3000 };

static const char *folder;

static void store(const char *kind, int number, const void *bytes, size_t size)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s/%03d", folder, kind, number);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        fuzz_stop(path, "cannot be written");
}

static void write_batches(struct test_pool *pool, struct fletch_random *random,
                          struct fletch_ipc_writer *writer, struct fletch_schema *schema)
{
    for (uint32_t i = fletch_random_below(random, BATCHES_MOST) + 1; i > 0; i--) {
        struct fletch_batch *batch =
            random_batch(random, pool->cache, schema, fletch_random_below(random, ROWS_MOST));
        struct fletch_error error;
        const enum fletch_status status = fletch_ipc_writer_write(writer, batch, NULL, &error);
        fletch_batch_release(pool->cache, batch);
        /* A file whose dictionary changes ends before. */
        if (status == FLETCH_FAILED_PRECONDITION)
            return;
        if (status != FLETCH_OK)
            fuzz_stop("write", error.message);
    }
}

static void make_ipc(struct test_pool *pool, struct fletch_random *random, int number)
{
    const struct random_schema_options layouts = {
        .columns_max = 4, .depth_max = 4, .has_all_layouts = true};
    const struct fletch_ipc_write_options options = {
        .struct_size = sizeof options,
        .cache = pool->cache,
        .format = number % 2 == 0 ? FLETCH_IPC_STREAM : FLETCH_IPC_FILE,
        .alignment_bytes = 8,
        .compression = (enum fletch_ipc_compression)(number / 2 % 3),
    };
    struct fletch_schema *schema =
        number < 6 ? schema_of_every_layout() : random_schema(random, &layouts);
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_buffer *buffer = NULL;
    struct fletch_error error;
    if (fletch_ipc_writer_open_memory(schema, &options, &writer, &error) != FLETCH_OK)
        fuzz_stop("open", error.message);
    write_batches(pool, random, writer, schema);
    if (fletch_ipc_writer_finish(writer, &error) == FLETCH_OK &&
        fletch_ipc_writer_take(writer, &buffer, &error) == FLETCH_OK) {
        const size_t bytes = fletch_buffer_bytes(buffer);
        store(number % 2 == 0 ? "stream" : "file", number, fletch_buffer_data(buffer), bytes);
        if (number % 6 == 0) {
            turn_stream(schema, fletch_buffer_mutable_data(buffer), bytes);
            store("stream", number + ROUNDS, fletch_buffer_data(buffer), bytes);
        }
    }
    fletch_buffer_release(pool->cache, buffer);
    fletch_ipc_writer_close(writer);
    fletch_schema_release(schema);
}

/* What fuzz_codec.c takes. */
static void make_codec(struct test_pool *pool, struct fletch_random *random, int number)
{
    const enum fletch_codec codec = number % 2 == 0 ? FLETCH_CODEC_LZ4_FRAME : FLETCH_CODEC_ZSTD;
    struct fletch_compressor compressor = {.codec = codec, .cache = pool->cache};
    uint8_t plain[PLAIN_MOST];
    const size_t bytes = fletch_random_below(random, PLAIN_MOST);
    const uint32_t values = 1 + fletch_random_below(random, 256);
    for (size_t i = 0; i < bytes; i++)
        plain[i] = (uint8_t)fletch_random_below(random, values);
    if (fletch_codec_check(codec, NULL) != FLETCH_OK)
        return;
    uint8_t *stored = malloc(4 + fletch_codec_bound(codec, bytes));
    if (stored == NULL || fletch_compressor_init(&compressor, NULL) != FLETCH_OK)
        fuzz_stop("codec", "no memory");
    stored[0] = (uint8_t)(number % 2);
    for (int i = 0; i < 3; i++)
        stored[1 + i] = (uint8_t)(bytes >> 8 * i);
    store("codec", number, stored,
          4 + fletch_compressor_run(&compressor, stored + 4, plain, bytes));
    fletch_compressor_deinit(&compressor);
    free(stored);
}

int main(int argc, char **argv)
{
    struct fletch_random random = fletch_random_from_seed(7);
    if (argc != 2) {
        fprintf(stderr, "usage: make_seeds FOLDER\n");
        return 2;
    }
    folder = argv[1];
    struct test_pool pool = test_pool_make();
    for (int i = 0; i < ROUNDS; i++) {
        make_ipc(&pool, &random, i);
        make_codec(&pool, &random, i);
    }
    test_pool_end(&pool);
    return 0;
}
