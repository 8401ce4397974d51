/* Rounds of encoding and decoding, timed here and called from bench_ipc.py: a call of Python costs
 * as much as what is measured. */

#include <fletching/fletching.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arrow/ipc_encoder.h"
#include "arrow/ipc_message.h"
#include "arrow/schema.h"
#include "memory/batch.h"

#define ROUNDS_EXPORT __attribute__((visibility("default")))

struct rounds {
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    struct fletch_foreign_memory memory; /* a stream; the caller's */
    struct fletch_schema *schema;
    struct fletch_batch **batches;
    size_t batch_count;
};

ROUNDS_EXPORT struct rounds *rounds_open(const void *data, size_t bytes);
ROUNDS_EXPORT void rounds_close(struct rounds *rounds);
ROUNDS_EXPORT size_t rounds_batch_count(const struct rounds *rounds);
ROUNDS_EXPORT double rounds_encode(struct rounds *rounds, int repeats);
ROUNDS_EXPORT double rounds_decode(struct rounds *rounds, int validation, int repeats);
ROUNDS_EXPORT double rounds_regions_made(const struct rounds *rounds);
ROUNDS_EXPORT double rounds_read_offsets(const struct rounds *rounds, int repeats);

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static struct fletch_ipc_reader *open_reader(struct rounds *rounds, int validation)
{
    const struct fletch_ipc_read_options options = {
        .struct_size = sizeof options,
        .cache = rounds->cache,
        .validation = (enum fletch_validation)validation,
    };
    struct fletch_ipc_reader *reader = NULL;
    if (fletch_ipc_reader_open_memory(&rounds->memory, &options, &reader, NULL) != FLETCH_OK)
        return NULL;
    return reader;
}

static bool read_batches(struct rounds *rounds)
{
    struct fletch_ipc_reader *reader = open_reader(rounds, FLETCH_VALIDATION_FULL);
    if (reader == NULL)
        return false;
    rounds->schema = fletch_schema_acquire(fletch_ipc_reader_schema(reader));
    bool is_good = true;
    for (;;) {
        struct fletch_batch *batch = NULL;
        is_good = fletch_ipc_reader_next(reader, &batch, NULL) == FLETCH_OK;
        if (!is_good || batch == NULL)
            break;
        rounds->batches =
            realloc(rounds->batches, (rounds->batch_count + 1) * sizeof(struct fletch_batch *));
        rounds->batches[rounds->batch_count++] = batch;
    }
    fletch_ipc_reader_close(reader);
    return is_good;
}

struct rounds *rounds_open(const void *data, size_t bytes)
{
    struct rounds *rounds = calloc(1, sizeof *rounds);
    struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    rounds->memory.data = data;
    rounds->memory.bytes = bytes;
    if (fletch_buffer_pool_create(&options, NULL, &rounds->pool, NULL) != FLETCH_OK ||
        fletch_buffer_cache_open(rounds->pool, &rounds->cache, NULL) != FLETCH_OK ||
        !read_batches(rounds))
        return NULL;
    return rounds;
}

void rounds_close(struct rounds *rounds)
{
    for (size_t i = 0; i < rounds->batch_count; i++)
        fletch_batch_release(rounds->cache, rounds->batches[i]);
    fletch_schema_release(rounds->schema);
    fletch_buffer_cache_close(rounds->cache);
    if (fletch_buffer_pool_destroy(rounds->pool, NULL) != FLETCH_OK)
        abort();
    free(rounds->batches);
    free(rounds);
}

size_t rounds_batch_count(const struct rounds *rounds)
{
    return rounds->batch_count;
}

double rounds_regions_made(const struct rounds *rounds)
{
    struct fletch_pool_statistics statistics = {.struct_size = sizeof statistics};
    fletch_buffer_pool_statistics(rounds->pool, &statistics);
    return (double)statistics.regions_made;
}

/* Seconds for `repeats` times all batches; below 0: failed. */
double rounds_encode(struct rounds *rounds, int repeats)
{
    const struct fletch_ipc_encoder_options options = {
        .schema = rounds->schema,
        .cache = rounds->cache,
        .alignment = FLETCH_IPC_ALIGNMENT_DEFAULT,
    };
    struct fletch_ipc_encoder *encoder = NULL;
    if (fletch_ipc_encoder_create(&options, NULL, &encoder, NULL) != FLETCH_OK)
        return -1;
    double start = now_seconds();
    bool is_good = true;
    for (int i = 0; i < repeats && is_good; i++) {
        for (size_t k = 0; k < rounds->batch_count && is_good; k++) {
            struct fletch_ipc_encoded encoded;
            is_good = fletch_ipc_encoder_batch(encoder, rounds->batches[k], NULL, &encoded, NULL) ==
                      FLETCH_OK;
            if (is_good)
                fletch_ipc_encoded_release(rounds->cache, &encoded);
        }
    }
    double seconds = now_seconds() - start;
    fletch_ipc_encoder_destroy(encoder);
    return is_good ? seconds : -1;
}

/* The same for reading the stream, opening it included. */
double rounds_decode(struct rounds *rounds, int validation, int repeats)
{
    double start = now_seconds();
    for (int i = 0; i < repeats; i++) {
        struct fletch_ipc_reader *reader = open_reader(rounds, validation);
        if (reader == NULL)
            return -1;
        for (;;) {
            struct fletch_batch *batch = NULL;
            if (fletch_ipc_reader_next(reader, &batch, NULL) != FLETCH_OK)
                return -1;
            if (batch == NULL)
                break;
            fletch_batch_release(rounds->cache, batch);
        }
        fletch_ipc_reader_close(reader);
    }
    return now_seconds() - start;
}

static uint32_t sum_of_words(const struct fletch_batch_span *span)
{
    const uint32_t *words = (const uint32_t *)(const void *)span->data;
    uint32_t sum = 0;
    for (size_t i = 0; i < span->bytes / sizeof *words; i++)
        sum += words[i];
    return sum;
}

static uint32_t sum_of_offsets(const struct fletch_batch *batch)
{
    const struct fletch_schema *schema = batch->schema;
    uint32_t sum = 0;
    for (uint32_t row = 0; row < schema->field_count; row++)
        if (schema->fields[row].type.id == FLETCH_TYPE_UTF8)
            sum += sum_of_words(&batch->spans[schema->fields[row].first_span + 1]);
    return sum;
}

/* What memory allows: the 32-bit offsets of all batches are read, and nothing else. */
double rounds_read_offsets(const struct rounds *rounds, int repeats)
{
    volatile uint32_t sum = 0;
    double start = now_seconds();
    for (int i = 0; i < repeats; i++)
        for (size_t k = 0; k < rounds->batch_count; k++)
            sum = sum + sum_of_offsets(rounds->batches[k]);
    return now_seconds() - start;
}

/* ---- nanoarrow ---- */

/* What is needed of nanoarrow_ipc.h 0.9, to call the decoder inside its Python package. */
struct nanoarrow_view {
    const void *data;
    int64_t bytes;
};
struct nanoarrow_calls {
    int (*decoder_init)(void *decoder);
    void (*decoder_reset)(void *decoder);
    int (*decode_header)(void *decoder, struct nanoarrow_view data, void *error);
    int (*decode_schema)(void *decoder, struct ArrowSchema *out, void *error);
    int (*set_schema)(void *decoder, struct ArrowSchema *schema, void *error);
    int (*decode_view)(void *decoder, struct nanoarrow_view body, int64_t field, void **out_view,
                       void *error);
    int (*validate)(void *view, int validation, void *error);
};

enum { NANOARROW_DECODER_BYTES = 4096, NANOARROW_ERROR_BYTES = 1024 };

ROUNDS_EXPORT double rounds_nanoarrow(struct rounds *rounds, const struct nanoarrow_calls *calls,
                                      int validation, int repeats);

/* Decodes the message at `data`; returns its bytes, prefix included; 0: the end, below 0: failed.
 * */
static int64_t decode_one(const struct nanoarrow_calls *calls, void *decoder, const uint8_t *data,
                          int validation, char *error)
{
    const int32_t metadata_bytes = fletch_flatbuffer_load_i32(data + 4);
    struct fletch_ipc_message message;
    if (metadata_bytes == 0)
        return 0;
    struct nanoarrow_view view = {data, 8 + metadata_bytes};
    if (calls->decode_header(decoder, view, error) != 0 ||
        fletch_ipc_message_open(&message, data + 8, (size_t)metadata_bytes, UINT64_MAX, NULL) !=
            FLETCH_OK)
        return -1;
    int64_t body_bytes = (int64_t)message.body_bytes;
    struct nanoarrow_view body = {data + view.bytes, body_bytes};
    void *array_view = NULL;
    if (calls->decode_view(decoder, body, -1, &array_view, error) != 0 ||
        calls->validate(array_view, validation, error) != 0)
        return -1;
    return view.bytes + body_bytes;
}

/* Seconds for `repeats` times all batches, schema left out; below 0: failed. */
double rounds_nanoarrow(struct rounds *rounds, const struct nanoarrow_calls *calls, int validation,
                        int repeats)
{
    static _Alignas(64) char decoder[NANOARROW_DECODER_BYTES];
    char error[NANOARROW_ERROR_BYTES];
    struct ArrowSchema schema;
    const uint8_t *data = rounds->memory.data;
    int64_t schema_bytes = 8 + fletch_flatbuffer_load_i32(data + 4);
    struct nanoarrow_view view = {data, schema_bytes};
    if (calls->decoder_init(decoder) != 0 || calls->decode_header(decoder, view, error) != 0 ||
        calls->decode_schema(decoder, &schema, error) != 0 ||
        calls->set_schema(decoder, &schema, error) != 0)
        return -1;
    double start = now_seconds();
    for (int i = 0; i < repeats; i++) {
        int64_t position = schema_bytes;
        int64_t taken = 1;
        while (taken > 0) {
            taken = decode_one(calls, decoder, data + position, validation, error);
            position += taken;
        }
        if (taken < 0)
            return -1;
    }
    double seconds = now_seconds() - start;
    schema.release(&schema);
    calls->decoder_reset(decoder);
    return seconds;
}
