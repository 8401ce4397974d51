#include "partition/partitioner.h"

#include "base/allocator.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/options.h"
#include "partition/murmur3.h"

enum { ALIGNMENT = 64, NODES_LEAST = 1024, NODES_PER_PARTITION = 64 };

static const char *const method_names[] = {
    [FLETCH_PARTITION_HASH] = "fletch-hash-1",
    [FLETCH_PARTITION_SPARK_MURMUR3] = "spark-murmur3-42",
    [FLETCH_PARTITION_RANGE] = "range",
    [FLETCH_PARTITION_ROUND_ROBIN] = "round-robin",
    [FLETCH_PARTITION_COLUMN] = "column",
    [FLETCH_PARTITION_BROADCAST] = "broadcast",
};

const char *fletch_partition_method_name(enum fletch_partition_method method)
{
    return method_names[method];
}

const char *fletch_partitioner_name(const struct fletch_partitioner *partitioner)
{
    return method_names[partitioner->method];
}

uint32_t fletch_partitioner_partition_count(const struct fletch_partitioner *partitioner)
{
    return partitioner->partition_count;
}

/* ---- options ---- */

static enum fletch_status refuse(struct fletch_error *error, const char *what, uint64_t found,
                                 uint64_t least, uint64_t most)
{
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "%s is %llu, expected %llu to %llu",
                            what, (unsigned long long)found, (unsigned long long)least,
                            (unsigned long long)most);
}

static bool wants_key(enum fletch_partition_method method)
{
    return method != FLETCH_PARTITION_ROUND_ROBIN && method != FLETCH_PARTITION_BROADCAST;
}

static enum fletch_status check_map(const struct fletch_partitioner_options *options,
                                    struct fletch_error *error)
{
    uint32_t nodes = options->virtual_node_count;
    if (nodes != 0 && (nodes < options->partition_count || nodes > FLETCH_VIRTUAL_NODES_MAX))
        return refuse(error, "virtual_node_count", nodes, options->partition_count,
                      FLETCH_VIRTUAL_NODES_MAX);
    if (options->virtual_node_map == NULL)
        return FLETCH_OK;
    if (nodes == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a virtual_node_map needs its virtual_node_count");
    for (uint32_t i = 0; i < nodes; i++)
        if (options->virtual_node_map[i] >= options->partition_count)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "virtual node %u is mapped to partition %u, there are %u", i,
                                    options->virtual_node_map[i], options->partition_count);
    return FLETCH_OK;
}

enum fletch_status
fletch_partitioner_check_options(const struct fletch_partitioner_options *options,
                                 const struct fletch_schema *schema, struct fletch_error *error)
{
    if ((unsigned)options->method > FLETCH_PARTITION_BROADCAST)
        return refuse(error, "method", (unsigned)options->method, 0, FLETCH_PARTITION_BROADCAST);
    if (options->partition_count == 0 || options->partition_count > FLETCH_PARTITIONS_MAX)
        return refuse(error, "partition_count", options->partition_count, 1, FLETCH_PARTITIONS_MAX);
    uint32_t keys = options->key_column_count;
    if (!wants_key(options->method) && keys != 0)
        return refuse(error, "key_column_count", keys, 0, 0);
    if (options->method == FLETCH_PARTITION_COLUMN && keys != 1)
        return refuse(error, "key_column_count", keys, 1, 1);
    if (wants_key(options->method) && (keys == 0 || keys > schema->column_count))
        return refuse(error, "key_column_count", keys, 1, schema->column_count);
    if (keys > 0 && options->key_columns == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "key_columns is NULL");
    for (uint32_t k = 0; k < keys; k++)
        if (options->key_columns[k] >= schema->column_count)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "key column %u is column %u, the schema has %u", k,
                                    options->key_columns[k], schema->column_count);
    return check_map(options, error);
}

static enum fletch_status check_key_types(const struct fletch_partitioner *partitioner,
                                          struct fletch_error *error)
{
    const struct fletch_schema *schema = partitioner->schema;
    struct fletch_hash_key key = partitioner->key;
    if (partitioner->method == FLETCH_PARTITION_SPARK_MURMUR3)
        return fletch_murmur3_check(schema, key, error);
    if (partitioner->method == FLETCH_PARTITION_RANGE)
        return fletch_range_check(schema, key, error);
    if (partitioner->method != FLETCH_PARTITION_COLUMN)
        return FLETCH_OK;
    const struct fletch_field *field = &schema->fields[key.rows[0]];
    char type[FLETCH_FIELD_TEXT_BYTES];
    if (field->dictionary == FLETCH_NO_INDEX && fletch_type_is_integer(field->type.id))
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                            "field '%s': a partition column has integers, this one is %s",
                            fletch_field_path_of(schema, key.rows[0]).text,
                            fletch_field_describe(schema, field, type, sizeof type));
}

/* ---- making ---- */

static size_t key_bytes(const struct fletch_partitioner *partitioner)
{
    return (partitioner->key.count + 1) * sizeof partitioner->key_rows[0];
}

void fletch_partitioner_destroy(struct fletch_partitioner *partitioner)
{
    if (partitioner == NULL)
        return;
    fletch_range_deinit(&partitioner->range);
    fletch_schema_release(partitioner->schema);
    if (partitioner->key_rows != NULL)
        fletch_release(&partitioner->allocator, partitioner->key_rows, key_bytes(partitioner),
                       ALIGNMENT);
    if (partitioner->node_map != NULL)
        fletch_release(&partitioner->allocator, partitioner->node_map,
                       partitioner->node_count * sizeof partitioner->node_map[0], ALIGNMENT);
    fletch_block_release(partitioner);
}

/* Fills the map with the even spread where the nodes are no power of two and no map was given. */
static void fill_map(struct fletch_partitioner *partitioner, const uint16_t *map)
{
    uint64_t partitions = partitioner->partition_count;
    for (uint32_t v = 0; v < partitioner->node_count; v++)
        partitioner->node_map[v] = (uint16_t)(v * partitions / partitioner->node_count);
    if (map != NULL)
        memcpy(partitioner->node_map, map, partitioner->node_count * sizeof map[0]);
}

static bool make_map(struct fletch_partitioner *partitioner,
                     const struct fletch_partitioner_options *options)
{
    size_t nodes = options->virtual_node_count;
    if (nodes == 0) {
        size_t wanted = (size_t)NODES_PER_PARTITION * options->partition_count;
        nodes = fletch_power_of_two_ceiling(wanted < NODES_LEAST ? NODES_LEAST : wanted);
    }
    partitioner->node_count = (uint32_t)nodes;
    if (options->virtual_node_map != NULL || !fletch_is_power_of_two(nodes)) {
        partitioner->node_map =
            fletch_allocate(&partitioner->allocator, nodes * sizeof(uint16_t), ALIGNMENT);
        if (partitioner->node_map == NULL)
            return false;
        fill_map(partitioner, options->virtual_node_map);
        return true;
    }
    partitioner->spread = (struct fletch_hash_spread){
        .node_mask = (uint32_t)nodes - 1,
        .partition_count = options->partition_count,
        .node_bits = (uint32_t)__builtin_ctzll(nodes),
    };
    return true;
}

static enum fletch_status fill(struct fletch_partitioner *partitioner,
                               const struct fletch_partitioner_options *options,
                               struct fletch_error *error)
{
    partitioner->key.count = options->key_column_count;
    partitioner->key_rows =
        fletch_allocate(&partitioner->allocator, key_bytes(partitioner), ALIGNMENT);
    bool has_memory = partitioner->key_rows != NULL &&
                      (options->method != FLETCH_PARTITION_HASH || make_map(partitioner, options));
    if (!has_memory)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a partitioner of %u partitions",
                                options->partition_count);
    for (uint32_t k = 0; k < options->key_column_count; k++)
        partitioner->key_rows[k] = partitioner->schema->columns[options->key_columns[k]];
    partitioner->key.rows = partitioner->key_rows;
    enum fletch_status status = check_key_types(partitioner, error);
    if (status == FLETCH_OK && options->method == FLETCH_PARTITION_RANGE)
        status = fletch_range_init(&partitioner->range, partitioner->schema, partitioner->key,
                                   options, error);
    return status;
}

enum fletch_status fletch_partitioner_create(struct fletch_schema *schema,
                                             const struct fletch_partitioner_options *options,
                                             const struct fletch_allocator *allocator,
                                             struct fletch_partitioner **out_partitioner,
                                             struct fletch_error *error)
{
    struct fletch_partitioner_options known;
    enum fletch_status status =
        fletch_options_copy(&known, sizeof known, options, sizeof known, error);
    if (status == FLETCH_OK)
        status = fletch_partitioner_check_options(&known, schema, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_allocator memory = fletch_allocator_or_default(allocator);
    struct fletch_partitioner *partitioner = fletch_block_allocate(&memory, sizeof *partitioner);
    if (partitioner == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a partitioner");
    *partitioner = (struct fletch_partitioner){
        .schema = fletch_schema_acquire(schema),
        .allocator = memory,
        .method = known.method,
        .partition_count = known.partition_count,
        .kernels = fletch_hash_kernels_best(),
        .next_partition = (uint32_t)(known.seed % known.partition_count),
        .range = {.allocator = memory},
    };
    status = fill(partitioner, &known, error);
    if (status != FLETCH_OK) {
        fletch_partitioner_destroy(partitioner);
        return status;
    }
    *out_partitioner = partitioner;
    return FLETCH_OK;
}

/* ---- rows ---- */

static void assign_by_hash(const struct fletch_partitioner *partitioner, size_t count,
                           uint16_t *partitions, const uint64_t *hashes)
{
    if (partitioner->node_map == NULL) {
        partitioner->kernels->spread(partitions, hashes, count, &partitioner->spread);
        return;
    }
    for (size_t i = 0; i < count; i++)
        partitions[i] = partitioner->node_map[hashes[i] % partitioner->node_count];
}

/* Spark's remainder has the sign of the hash, and P is added to a negative one. */
static void assign_by_murmur3(const struct fletch_partitioner *partitioner, size_t count,
                              uint16_t *partitions, const uint32_t *hashes)
{
    int64_t partition_count = partitioner->partition_count;
    for (size_t i = 0; i < count; i++) {
        int64_t rest = (int32_t)hashes[i] % partition_count;
        partitions[i] = (uint16_t)(rest < 0 ? rest + partition_count : rest);
    }
}

static void assign_in_turn(struct fletch_partitioner *partitioner, size_t count,
                           uint16_t *partitions)
{
    uint32_t next = partitioner->next_partition;
    for (size_t i = 0; i < count; i++) {
        partitions[i] = (uint16_t)next++;
        if (next == partitioner->partition_count)
            next = 0;
    }
    partitioner->next_partition = next;
}

static void assign_by_column(const struct fletch_partitioner *partitioner,
                             const struct fletch_batch *batch, struct fletch_row_range range,
                             uint16_t *partitions)
{
    struct fletch_node_view column = fletch_node_view_of(batch, partitioner->key.rows[0]);
    for (size_t i = 0; i < range.count; i++)
        partitions[i] = (uint16_t)fletch_view_integer(&column, range.first + (int64_t)i);
}

/* Block by block, so that hashes are still in the cache when partitions are made of them. */
static void assign_hashed(const struct fletch_partitioner *partitioner,
                          const struct fletch_batch *batch, struct fletch_row_range range,
                          uint16_t *partitions, uint64_t *hashes)
{
    uint64_t scratch[FLETCH_HASH_BLOCK];
    uint32_t narrow[FLETCH_HASH_BLOCK];
    bool is_spark = partitioner->method == FLETCH_PARTITION_SPARK_MURMUR3;
    for (size_t at = 0; at < range.count; at += FLETCH_HASH_BLOCK) {
        size_t left = range.count - at;
        struct fletch_row_range block = {
            .first = range.first + (int64_t)at,
            .count = left < FLETCH_HASH_BLOCK ? left : FLETCH_HASH_BLOCK,
        };
        uint64_t *to = hashes == NULL ? scratch : hashes + at;
        if (!is_spark) {
            fletch_hash_rows(partitioner->kernels, batch, partitioner->key, block, to);
            assign_by_hash(partitioner, block.count, partitions + at, to);
            continue;
        }
        fletch_murmur3_rows(batch, partitioner->key, block, narrow);
        assign_by_murmur3(partitioner, block.count, partitions + at, narrow);
        for (size_t i = 0; i < block.count; i++)
            to[i] = narrow[i];
    }
}

void fletch_partitioner_assign_checked(struct fletch_partitioner *partitioner,
                                       const struct fletch_batch *batch,
                                       struct fletch_row_range range, uint16_t *partitions,
                                       uint64_t *hashes)
{
    switch (partitioner->method) {
    case FLETCH_PARTITION_HASH:
    case FLETCH_PARTITION_SPARK_MURMUR3:
        assign_hashed(partitioner, batch, range, partitions, hashes);
        break;
    case FLETCH_PARTITION_RANGE:
        fletch_range_assign(&partitioner->range, batch, range, partitions);
        break;
    case FLETCH_PARTITION_ROUND_ROBIN:
        assign_in_turn(partitioner, range.count, partitions);
        break;
    default:
        assign_by_column(partitioner, batch, range, partitions);
        break;
    }
}

enum fletch_status fletch_partitioner_check(const struct fletch_partitioner *partitioner,
                                            const struct fletch_batch *batch,
                                            struct fletch_row_range range,
                                            struct fletch_error *error)
{
    if (partitioner->method != FLETCH_PARTITION_COLUMN)
        return FLETCH_OK;
    uint32_t row = partitioner->key.rows[0];
    struct fletch_node_view column = fletch_node_view_of(batch, row);
    bool is_unsigned = column.field->type.id == FLETCH_TYPE_UINT64;
    for (size_t i = 0; i < range.count; i++) {
        int64_t index = range.first + (int64_t)i;
        int64_t found = fletch_view_integer(&column, index);
        bool is_null = fletch_view_is_null(&column, index);
        if (!is_null && found >= 0 && found < partitioner->partition_count)
            continue;
        struct fletch_field_path path = fletch_field_path_of(partitioner->schema, row);
        if (is_null)
            return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                    "partition column '%s': row %lld is null, expected 0 to %u",
                                    path.text, (long long)index, partitioner->partition_count - 1);
        return fletch_error_set(
            error, FLETCH_OUT_OF_RANGE,
            is_unsigned ? "partition column '%s': row %lld has %llu, expected 0 to %u"
                        : "partition column '%s': row %lld has %lld, expected 0 to %u",
            path.text, (long long)index, (long long)found, partitioner->partition_count - 1);
    }
    return FLETCH_OK;
}

enum fletch_status fletch_partitioner_assign(struct fletch_partitioner *partitioner,
                                             const struct fletch_batch *batch,
                                             struct fletch_row_range rows, uint16_t *out_partitions,
                                             struct fletch_error *error)
{
    if (partitioner->method == FLETCH_PARTITION_BROADCAST)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "broadcast sends every row to all %u partitions",
                                partitioner->partition_count);
    enum fletch_status status = fletch_partitioner_check(partitioner, batch, rows, error);
    if (status == FLETCH_OK)
        fletch_partitioner_assign_checked(partitioner, batch, rows, out_partitions, NULL);
    return status;
}
