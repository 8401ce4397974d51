#include "spill_rounds.h"

#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spill/spill_segment.h"

#define ROUNDS_EXPORT __attribute__((visibility("default")))

struct spill_rounds {
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    struct fletch_schema *schema;
    struct fletch_batch *batch;
    struct fletch_spill_segment *segment;
    struct fletch_spill_location spilled[SPILL_ROUNDS_DEPTH];
    uint64_t turns;
    int64_t rows;
    int64_t *keys;
    double *values;
};

ROUNDS_EXPORT struct spill_rounds *spill_rounds_open(const char *directory, int64_t rows,
                                                     enum fletch_spill_codec codec);
ROUNDS_EXPORT void spill_rounds_close(struct spill_rounds *rounds);
ROUNDS_EXPORT int spill_rounds_turn(struct spill_rounds *rounds);

static void release_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
    array->release = NULL;
}

static enum fletch_status make_schema(struct spill_rounds *rounds, struct fletch_error *error)
{
    struct ArrowSchema key = {.format = "l", .name = "key", .release = release_schema};
    struct ArrowSchema value = {.format = "g", .name = "value", .release = release_schema};
    struct ArrowSchema *children[] = {&key, &value};
    struct ArrowSchema root = {.format = "+s",
                               .name = "",
                               .n_children = 2,
                               .children = children,
                               .release = release_schema};
    return fletch_schema_import(&root, NULL, &rounds->schema, error);
}

static enum fletch_status make_batch(struct spill_rounds *rounds, struct fletch_error *error)
{
    const void *key_buffers[] = {NULL, rounds->keys}, *value_buffers[] = {NULL, rounds->values};
    const void *none[] = {NULL};
    struct ArrowArray children[2] = {{.buffers = key_buffers}, {.buffers = value_buffers}};
    struct ArrowArray *pointers[] = {&children[0], &children[1]};
    for (int i = 0; i < 2; i++) {
        children[i].length = rounds->rows;
        children[i].n_buffers = 2;
        children[i].release = release_array;
    }
    struct ArrowArray root = {.length = rounds->rows,
                              .n_buffers = 1,
                              .buffers = none,
                              .n_children = 2,
                              .children = pointers,
                              .release = release_array};
    const struct fletch_import_options options = {.struct_size = sizeof options,
                                                  .cache = rounds->cache};
    return fletch_batch_import(&root, rounds->schema, &options, &rounds->batch, error);
}

static bool fill(struct spill_rounds *rounds)
{
    uint64_t state = 1;
    rounds->keys = malloc((size_t)rounds->rows * sizeof *rounds->keys);
    rounds->values = malloc((size_t)rounds->rows * sizeof *rounds->values);
    if (rounds->keys == NULL || rounds->values == NULL)
        return false;
    for (int64_t row = 0; row < rounds->rows; row++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        rounds->keys[row] = row;
        rounds->values[row] = (double)(state >> 12);
    }
    return true;
}

static enum fletch_status make_parts(struct spill_rounds *rounds, const char *directory,
                                     enum fletch_spill_codec codec, struct fletch_error *error)
{
    const struct fletch_buffer_pool_options pool = {.struct_size = sizeof pool};
    enum fletch_status status = fletch_buffer_pool_create(&pool, NULL, &rounds->pool, error);
    if (status == FLETCH_OK)
        status = fletch_buffer_cache_open(rounds->pool, &rounds->cache, error);
    if (status == FLETCH_OK)
        status = make_schema(rounds, error);
    if (status == FLETCH_OK)
        status = make_batch(rounds, error);
    const struct fletch_spill_options options = {
        .directory = directory, .schema = rounds->schema, .cache = rounds->cache, .codec = codec};
    if (status == FLETCH_OK)
        status = fletch_spill_segment_create(&options, &rounds->segment, error);
    return status;
}

struct spill_rounds *spill_rounds_open(const char *directory, int64_t rows,
                                       enum fletch_spill_codec codec)
{
    struct fletch_error error;
    struct spill_rounds *rounds = calloc(1, sizeof *rounds);
    if (rounds == NULL)
        return NULL;
    rounds->rows = rows;
    if (fill(rounds) && make_parts(rounds, directory, codec, &error) == FLETCH_OK)
        return rounds;
    fprintf(stderr, "spilling: %s\n", error.message);
    return NULL;
}

void spill_rounds_close(struct spill_rounds *rounds)
{
    uint64_t live = rounds->turns < SPILL_ROUNDS_DEPTH ? rounds->turns : SPILL_ROUNDS_DEPTH;
    for (uint64_t i = 0; i < live; i++)
        fletch_spill_release(&rounds->spilled[(rounds->turns - 1 - i) % SPILL_ROUNDS_DEPTH]);
    fletch_spill_segment_close(rounds->segment);
    fletch_batch_release(rounds->cache, rounds->batch);
    fletch_schema_release(rounds->schema);
    fletch_buffer_cache_close(rounds->cache);
    if (fletch_buffer_pool_destroy(rounds->pool, NULL) != FLETCH_OK)
        fputs("spilling: buffers are left\n", stderr);
    free(rounds->keys);
    free(rounds->values);
    free(rounds);
}

/* The first and the last key of what was read. */
static bool is_right(const struct spill_rounds *rounds, const struct fletch_batch *batch)
{
    const struct fletch_batch_span *keys = &batch->spans[1];
    int64_t ends[2];
    if (batch->row_count != rounds->rows ||
        keys->bytes < (size_t)rounds->rows * sizeof rounds->keys[0])
        return false;
    memcpy(&ends[0], keys->data, sizeof ends[0]);
    memcpy(&ends[1], (const int64_t *)(const void *)keys->data + rounds->rows - 1, sizeof ends[1]);
    return ends[0] == 0 && ends[1] == rounds->rows - 1;
}

static bool read_back(struct spill_rounds *rounds, const struct fletch_spill_location *location)
{
    struct fletch_batch *batch = NULL;
    if (fletch_spill_read(location, rounds->cache, NULL, &batch, NULL) != FLETCH_OK)
        return false;
    bool right = is_right(rounds, batch);
    fletch_batch_release(rounds->cache, batch);
    fletch_spill_release(location);
    return right;
}

int spill_rounds_turn(struct spill_rounds *rounds)
{
    struct fletch_spill_location *slot = &rounds->spilled[rounds->turns % SPILL_ROUNDS_DEPTH];
    if (rounds->turns >= SPILL_ROUNDS_DEPTH && !read_back(rounds, slot))
        return -1;
    if (fletch_spill_segment_append(rounds->segment, rounds->batch, slot, NULL) != FLETCH_OK)
        return -1;
    rounds->turns++;
    return 0;
}
