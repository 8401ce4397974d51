#include "partition/partition_writer.h"

#include "base/allocator.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/options.h"
#include "partition/batch_recoder.h"
#include "partition/dictionary_merger.h"
#include "partition/partitioner.h"
#include "partition/scatter.h"

enum {
    ALIGNMENT = 64,
    FRAME_BYTES_LEAST = 4 << 10,
    FRAME_BYTES_DEFAULT_MOST = 256 << 10,
    FRAME_BYTES_MOST = 1 << 28,
    SHARES = 8, /* of the budget that open frames may take: an eighth of it */
    BLOCK_COLUMN_BYTES = 512 << 10,
    BLOCK_ROWS_LEAST = 4096,
    ROWS_PER_PARTITION_LEAST = 16
};

#define BUDGET_DEFAULT ((uint64_t)1 << 30)

struct fletch_partition_writer {
    struct fletch_schema *schema;
    struct fletch_partitioner *partitioner;
    struct fletch_allocator allocator;
    struct fletch_scatter scatter;
    struct fletch_row_lists lists;
    struct fletch_dictionary_merger *dictionaries;
    struct fletch_frame_parts parts;
    uint16_t *partitions; /* of a block */
    uint64_t *hashes;     /* of a block; only for methods that hash */
    /* What is being taken in. */
    struct fletch_batch *batch; /* NULL: nothing */
    const uint16_t *placed;     /* the partitions of its rows, if the caller found them; or NULL */
    bool is_begun;              /* the batch was looked at, and its rows are being placed */
    struct fletch_scatter_block block;
    bool block_is_sorted;
    uint64_t key_sum;        /* of all rows that were taken in */
    uint32_t block_rows;     /* of this batch, the last one apart */
    uint32_t broadcast_next; /* partition that the batch goes to next */
    bool is_stepwise;        /* rests after blocks, see fletch_partition_writer_go_stepwise */
    void *arrays;
    size_t arrays_bytes;
};

/* ---- making ---- */

static enum fletch_status frame_bytes_of(const struct fletch_partition_writer_options *options,
                                         uint32_t partition_count, size_t *out_bytes,
                                         struct fletch_error *error)
{
    if (options->frame_bytes != 0) {
        if (options->frame_bytes < FRAME_BYTES_LEAST || options->frame_bytes > FRAME_BYTES_MOST)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "frame_bytes is %zu, expected %d to %d", options->frame_bytes,
                                    FRAME_BYTES_LEAST, FRAME_BYTES_MOST);
        *out_bytes = options->frame_bytes;
        return FLETCH_OK;
    }
    uint64_t budget = options->budget_bytes == 0 ? BUDGET_DEFAULT : options->budget_bytes;
    uint64_t writers = options->writer_count == 0 ? 1 : options->writer_count;
    uint64_t target = budget / (SHARES * writers * partition_count);
    if (target < FRAME_BYTES_LEAST)
        target = FRAME_BYTES_LEAST;
    if (target > FRAME_BYTES_DEFAULT_MOST)
        target = FRAME_BYTES_DEFAULT_MOST;
    /* The pool has whole huge pages for such sizes: with small ones each segment waits for the
     * translation of its addresses. */
    *out_bytes = fletch_power_of_two_floor((size_t)target);
    return FLETCH_OK;
}

static void *carve(char *block, size_t *end, size_t bytes)
{
    size_t at = *end;
    *end = (at + bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return block == NULL ? NULL : block + at;
}

static size_t carve_arrays(struct fletch_partition_writer *writer, char *block)
{
    const struct fletch_schema *schema = writer->schema;
    size_t dictionaries = schema->dictionary_count;
    size_t rows = writer->lists.block_rows;
    bool has_hashes = fletch_partitioner_has_hashes(writer->partitioner);
    size_t end = 0;
    writer->partitions = carve(block, &end, rows * sizeof(uint16_t));
    if (has_hashes)
        writer->hashes = carve(block, &end, rows * sizeof(uint64_t));
    writer->dictionaries = carve(block, &end, dictionaries * sizeof writer->dictionaries[0]);
    writer->parts.dictionaries = carve(block, &end, dictionaries * sizeof(struct fletch_batch *));
    writer->parts.nodes = carve(block, &end, schema->field_count * sizeof writer->parts.nodes[0]);
    size_t views = schema->view_count;
    writer->parts.spans =
        carve(block, &end, (schema->span_count + views) * sizeof writer->parts.spans[0]);
    writer->parts.view_spans = carve(block, &end, (views + 1) * sizeof writer->parts.view_spans[0]);
    return end;
}

static enum fletch_status make_dictionaries(struct fletch_partition_writer *writer,
                                            const struct fletch_frame_source *source,
                                            struct fletch_error *error)
{
    for (uint32_t i = 0; i < writer->schema->dictionary_count; i++) {
        writer->dictionaries[i].cache = source->cache;
        writer->dictionaries[i].account = source->account;
        writer->dictionaries[i].allocator = writer->allocator;
        enum fletch_status status =
            fletch_merger_init(&writer->dictionaries[i], writer->schema, i, error);
        if (status != FLETCH_OK)
            return status;
    }
    return FLETCH_OK;
}

/* Everything that can fail but the scatter, which comes last. */
static enum fletch_status make_arrays(struct fletch_partition_writer *writer,
                                      const struct fletch_frame_source *source,
                                      struct fletch_error *error)
{
    if (!fletch_row_lists_init(&writer->lists, writer->partitioner->partition_count,
                               &writer->allocator))
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a partition writer: lists of %u partitions",
                                writer->partitioner->partition_count);
    writer->arrays_bytes = carve_arrays(writer, NULL);
    writer->arrays = fletch_allocate(&writer->allocator, writer->arrays_bytes, ALIGNMENT);
    if (writer->arrays == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a partition writer: %zu bytes",
                                writer->arrays_bytes);
    memset(writer->arrays, 0, writer->arrays_bytes);
    carve_arrays(writer, writer->arrays);
    return make_dictionaries(writer, source, error);
}

static void end_arrays(struct fletch_partition_writer *writer)
{
    if (writer->lists.order != NULL)
        fletch_row_lists_deinit(&writer->lists);
    if (writer->arrays == NULL)
        return;
    for (uint32_t i = 0; i < writer->schema->dictionary_count; i++)
        fletch_merger_deinit(&writer->dictionaries[i]);
    fletch_release(&writer->allocator, writer->arrays, writer->arrays_bytes, ALIGNMENT);
}

enum fletch_status
fletch_partition_writer_create(struct fletch_schema *schema, struct fletch_partitioner *partitioner,
                               const struct fletch_partition_writer_options *options,
                               struct fletch_partition_writer **out_writer,
                               struct fletch_error *error)
{
    struct fletch_partition_writer_options known;
    size_t frame_bytes = 0;
    enum fletch_status status =
        fletch_options_copy(&known, sizeof known, options, sizeof known, error);
    if (status == FLETCH_OK && known.cache == NULL)
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "cache is NULL");
    if (status == FLETCH_OK)
        status = frame_bytes_of(&known, partitioner->partition_count, &frame_bytes, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_partition_writer *writer =
        fletch_block_allocate(&partitioner->allocator, sizeof *writer);
    if (writer == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a partition writer");
    *writer = (struct fletch_partition_writer){
        .schema = schema, .partitioner = partitioner, .allocator = partitioner->allocator};
    struct fletch_scatter_options scatter = {
        .source = {.schema = schema, .cache = known.cache, .account = known.account},
        .allocator = &writer->allocator,
        .partition_count = partitioner->partition_count,
        .target_bytes = frame_bytes,
    };
    status = make_arrays(writer, &scatter.source, error);
    scatter.block_rows = writer->lists.block_rows;
    if (status == FLETCH_OK)
        status = fletch_scatter_init(&writer->scatter, &scatter, error);
    if (status != FLETCH_OK) {
        end_arrays(writer);
        fletch_block_release(writer);
        return status;
    }
    *out_writer = writer;
    return FLETCH_OK;
}

void fletch_partition_writer_destroy(struct fletch_partition_writer *writer)
{
    if (writer == NULL)
        return;
    fletch_batch_release(writer->scatter.source.cache, writer->batch);
    end_arrays(writer);
    fletch_scatter_deinit(&writer->scatter);
    fletch_partitioner_destroy(writer->partitioner);
    fletch_block_release(writer);
}

size_t fletch_partition_writer_frame_bytes(const struct fletch_partition_writer *writer)
{
    return writer->scatter.target_bytes;
}

/* ---- taking in ---- */

static bool is_broadcast(const struct fletch_partition_writer *writer)
{
    return writer->partitioner->method == FLETCH_PARTITION_BROADCAST;
}

/* Brings the writer's dictionaries up to the batch's, and has snapshots of them made before a row
 * is placed: frames can leave without any more memory for them. */
static enum fletch_status merge_dictionaries(struct fletch_partition_writer *writer,
                                             const struct fletch_batch *batch,
                                             struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; i < writer->schema->dictionary_count && status == FLETCH_OK; i++) {
        struct fletch_dictionary_merger *dictionary = &writer->dictionaries[i];
        writer->scatter.remaps[i] = NULL;
        status = fletch_merger_check_indices(batch, writer->schema->dictionaries[i].field, error);
        bool is_own =
            dictionary->snapshot != NULL && batch->dictionaries[i] == dictionary->snapshot;
        if (status != FLETCH_OK || is_own)
            continue;
        status = fletch_merger_merge(dictionary, batch->dictionaries[i], error);
        if (!dictionary->remap_is_identity)
            writer->scatter.remaps[i] = dictionary->remap;
        writer->scatter.remap_counts[i] = (int64_t)dictionary->remap_count;
        if (status == FLETCH_OK)
            status = fletch_merger_take_snapshot(dictionary, error);
    }
    return status;
}

enum fletch_status fletch_partition_writer_recode(struct fletch_partition_writer *writer,
                                                  struct fletch_batch *batch,
                                                  struct fletch_batch **out_batch,
                                                  struct fletch_error *error)
{
    const struct fletch_recoder recoder = {
        .schema = writer->schema,
        .dictionaries = writer->dictionaries,
        .cache = writer->scatter.source.cache,
        .account = writer->scatter.source.account,
        .allocator = writer->allocator,
    };
    if (batch->schema != writer->schema &&
        fletch_schema_compare(writer->schema, batch->schema, FLETCH_COMPARE_FIELDS, NULL) !=
            FLETCH_OK)
        return fletch_recode_batch(&recoder, batch, out_batch, error);
    *out_batch = fletch_batch_acquire(batch);
    return FLETCH_OK;
}

/* Makes the batch one of the writer's schema, if only encodings differ. */
static enum fletch_status recode(struct fletch_partition_writer *writer, struct fletch_error *error)
{
    struct fletch_batch *recoded = NULL;
    enum fletch_status status =
        fletch_partition_writer_recode(writer, writer->batch, &recoded, error);
    if (status != FLETCH_OK)
        return status;
    fletch_batch_release(writer->scatter.source.cache, writer->batch);
    writer->batch = recoded;
    return FLETCH_OK;
}

/* As many rows as the lists take; but of wide columns so few that one of them stays in the
 * second-level cache while its block is gathered, unless each partition would get next to none. */
static uint32_t block_rows_of(const struct fletch_partition_writer *writer)
{
    double widest = fletch_scatter_widest(&writer->scatter);
    uint64_t least = (uint64_t)ROWS_PER_PARTITION_LEAST * writer->partitioner->partition_count;
    uint32_t most = fletch_scatter_rows_most(&writer->scatter);
    uint32_t rows = writer->lists.block_rows;
    rows = rows < most ? rows : most;
    while (rows > BLOCK_ROWS_LEAST && rows / 2 >= least && rows * widest > BLOCK_COLUMN_BYTES)
        rows /= 2;
    return rows;
}

/* Everything that is done before the first row is placed. If there is no memory for it, it is done
 * again later; any other failure lets go of the batch. */
static enum fletch_status begin(struct fletch_partition_writer *writer, struct fletch_error *error)
{
    enum fletch_status status = recode(writer, error);
    struct fletch_row_range all = {.count = (size_t)writer->batch->row_count};
    if (status == FLETCH_OK)
        status = fletch_partitioner_check(writer->partitioner, writer->batch, all, error);
    if (status == FLETCH_OK && !is_broadcast(writer)) {
        status = merge_dictionaries(writer, writer->batch, error);
        if (status == FLETCH_OK)
            status = fletch_scatter_begin(&writer->scatter, writer->batch, error);
        writer->block_rows = block_rows_of(writer);
    }
    writer->is_begun = status == FLETCH_OK;
    if (status != FLETCH_OK && status != FLETCH_RESOURCE_EXHAUSTED) {
        fletch_batch_release(writer->scatter.source.cache, writer->batch);
        writer->batch = NULL;
    }
    return status;
}

static void sort_block(struct fletch_partition_writer *writer)
{
    int64_t left = writer->batch->row_count - writer->block.first_row;
    struct fletch_row_range range = {
        .first = writer->block.first_row,
        .count = left < writer->block_rows ? (size_t)left : writer->block_rows,
    };
    const uint16_t *partitions = writer->partitions;
    if (writer->placed != NULL)
        partitions = writer->placed + range.first;
    else
        fletch_partitioner_assign_checked(writer->partitioner, writer->batch, range,
                                          writer->partitions, writer->hashes);
    fletch_row_lists_sort(&writer->lists, partitions, writer->hashes, range.count);
    for (uint32_t i = 0; writer->hashes != NULL && i < writer->lists.run_count; i++)
        writer->key_sum += writer->lists.runs[i].hash_sum;
    writer->block.lists = &writer->lists;
    writer->block.row_count = (int64_t)range.count;
    writer->block.hashes = writer->hashes;
    writer->block.run = 0;
    writer->block.run_done = 0;
    writer->block_is_sorted = true;
}

enum fletch_status fletch_partition_writer_resume(struct fletch_partition_writer *writer,
                                                  struct fletch_error *error)
{
    if (writer->batch != NULL && !writer->is_begun) {
        enum fletch_status status = begin(writer, error);
        if (status != FLETCH_OK)
            return status;
    }
    if (writer->batch == NULL || is_broadcast(writer))
        return FLETCH_OK;
    while (writer->block.first_row < writer->batch->row_count) {
        if (!writer->block_is_sorted)
            sort_block(writer);
        enum fletch_status status = fletch_scatter_block(&writer->scatter, &writer->block, error);
        if (status != FLETCH_OK)
            return status;
        writer->block.first_row += writer->block.row_count;
        writer->block_is_sorted = false;
        bool has_finished = writer->scatter.closed_first < writer->scatter.closed_count;
        if (writer->is_stepwise && has_finished &&
            writer->block.first_row < writer->batch->row_count)
            return FLETCH_OK;
    }
    fletch_batch_release(writer->scatter.source.cache, writer->batch);
    writer->batch = NULL;
    return FLETCH_OK;
}

static enum fletch_status check_is_free(const struct fletch_partition_writer *writer,
                                        struct fletch_error *error)
{
    if (writer->batch == NULL)
        return FLETCH_OK;
    return fletch_error_set(
        error, FLETCH_FAILED_PRECONDITION,
        is_broadcast(writer) ? "the last batch still goes to partitions %u to %u"
                             : "the last batch has been placed up to row %u at least of %u",
        is_broadcast(writer) ? writer->broadcast_next : (unsigned)writer->block.first_row,
        is_broadcast(writer) ? writer->partitioner->partition_count - 1
                             : (unsigned)writer->batch->row_count);
}

enum fletch_status fletch_partition_writer_push_placed(struct fletch_partition_writer *writer,
                                                       struct fletch_batch *batch,
                                                       const uint16_t *partitions,
                                                       struct fletch_error *error)
{
    FLETCH_ASSERT(partitions == NULL || (writer->hashes == NULL && !is_broadcast(writer)));
    enum fletch_status status = check_is_free(writer, error);
    if (status == FLETCH_OK && batch->schema != writer->schema)
        status =
            fletch_schema_compare(writer->schema, batch->schema, FLETCH_COMPARE_VALUE_TYPES, error);
    if (status != FLETCH_OK)
        return status;
    writer->batch = fletch_batch_acquire(batch);
    writer->placed = partitions;
    writer->is_begun = false;
    writer->block.first_row = 0;
    writer->block_is_sorted = false;
    writer->broadcast_next = 0;
    return fletch_partition_writer_resume(writer, error);
}

enum fletch_status fletch_partition_writer_push(struct fletch_partition_writer *writer,
                                                struct fletch_batch *batch,
                                                struct fletch_error *error)
{
    return fletch_partition_writer_push_placed(writer, batch, NULL, error);
}

enum fletch_status fletch_partition_writer_flush_partition(struct fletch_partition_writer *writer,
                                                           uint32_t partition,
                                                           struct fletch_error *error)
{
    if (partition >= writer->partitioner->partition_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "partition is %u, expected 0 to %u",
                                partition, writer->partitioner->partition_count - 1);
    enum fletch_status status = is_broadcast(writer) ? FLETCH_OK : check_is_free(writer, error);
    return status != FLETCH_OK ? status : fletch_scatter_close(&writer->scatter, partition, error);
}

enum fletch_status fletch_partition_writer_flush(struct fletch_partition_writer *writer,
                                                 struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t p = 0; p < writer->partitioner->partition_count && status == FLETCH_OK; p++)
        status = fletch_partition_writer_flush_partition(writer, p, error);
    return status;
}

/* ---- giving out ---- */

static void next_of_broadcast(struct fletch_partition_writer *writer,
                              struct fletch_partition_frame *out_frame)
{
    *out_frame = (struct fletch_partition_frame){.partition = writer->broadcast_next};
    if (writer->batch == NULL || !writer->is_begun)
        return;
    writer->broadcast_next++;
    if (writer->broadcast_next < writer->partitioner->partition_count) {
        out_frame->batch = fletch_batch_acquire(writer->batch);
        return;
    }
    out_frame->batch = writer->batch; /* the last one gets the writer's own reference */
    writer->batch = NULL;
}

enum fletch_status fletch_partition_writer_next(struct fletch_partition_writer *writer,
                                                struct fletch_partition_frame *out_frame,
                                                struct fletch_error *error)
{
    struct fletch_scatter *scatter = &writer->scatter;
    if (is_broadcast(writer)) {
        next_of_broadcast(writer, out_frame);
        return FLETCH_OK;
    }
    if (scatter->closed_first == scatter->closed_count) {
        *out_frame = (struct fletch_partition_frame){.batch = NULL};
        return FLETCH_OK;
    }
    struct fletch_frame_builder *frame = &scatter->closed[scatter->closed_first];
    struct fletch_partition_frame found = {.partition = frame->partition,
                                           .key_sum = frame->key_sum};
    for (uint32_t i = 0; i < writer->schema->dictionary_count; i++)
        writer->parts.dictionaries[i] = writer->dictionaries[i].snapshot;
    enum fletch_status status =
        fletch_builder_finish(frame, &scatter->source, &writer->parts, &found.batch, error);
    if (status != FLETCH_OK)
        return status;
    scatter->closed_first++;
    *out_frame = found;
    return FLETCH_OK;
}

/* ---- being asked ---- */

bool fletch_partition_writer_has_rest(const struct fletch_partition_writer *writer)
{
    return writer->batch != NULL;
}

bool fletch_partition_writer_has_open(const struct fletch_partition_writer *writer,
                                      uint32_t partition)
{
    return writer->scatter.frames[partition].row_count > 0;
}

uint64_t fletch_partition_writer_key_sum(const struct fletch_partition_writer *writer)
{
    return writer->key_sum;
}

enum fletch_status fletch_partition_writer_finish_open(struct fletch_partition_writer *writer,
                                                       struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t p = 0; p < writer->partitioner->partition_count && status == FLETCH_OK; p++)
        status = fletch_scatter_close(&writer->scatter, p, error);
    return status;
}

enum fletch_status fletch_partition_writer_finish_partition(struct fletch_partition_writer *writer,
                                                            uint32_t partition,
                                                            struct fletch_error *error)
{
    return fletch_scatter_close(&writer->scatter, partition, error);
}

void fletch_partition_writer_go_stepwise(struct fletch_partition_writer *writer)
{
    writer->is_stepwise = true;
}

void fletch_partition_writer_charge(struct fletch_partition_writer *writer,
                                    struct fletch_account *account)
{
    writer->scatter.source.account = account;
}

uint64_t fletch_partition_writer_wanted_bytes(const struct fletch_partition_writer *writer)
{
    return writer->scatter.frame_bytes;
}
