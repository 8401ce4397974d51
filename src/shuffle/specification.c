#include "shuffle/specification.h"

#include <stddef.h>
#include <string.h>

#include <fletching/batch.h>
#include <fletching/wait.h>

#include "base/allocator.h"
#include "base/bits.h"
#include "base/entropy.h"
#include "base/options.h"
#include "base/status.h"
#include "memory/batch.h"
#include "memory/size_class.h"
#include "partition/partitioner.h"
#include "spill/spill_segment.h"

#define FRAME_BYTES_DEFAULT ((uint64_t)256 << 10)
#define LINGER_NS_DEFAULT UINT64_C(1000000)
#define SPILL_AFTER_NS_DEFAULT UINT64_C(100000000)

enum {
    FRAME_SHARE = 8,
    OWN_FRAMES = 2,
    BARRIER_LIMIT_DEFAULT = 4,
    BARRIER_LIMIT_MOST = 64,
    SPARE_FRAMES = 2, /* of a writer: one more block, one larger row */
    WAITING_SHARE = 4,
    NOBODYS_SHARE = 16
};

static enum fletch_status refuse(struct fletch_error *error, const char *what, uint64_t found,
                                 uint64_t least, uint64_t most)
{
    return fletch_error_set(
        error, FLETCH_INVALID_ARGUMENT, "INVALID_ARGUMENT: %s is %llu, expected %llu to %llu", what,
        (unsigned long long)found, (unsigned long long)least, (unsigned long long)most);
}

/* One number of the options. */
struct rule {
    const char *what;
    uint64_t usual; /* for 0 */
    uint64_t least;
    uint64_t most;
};

static enum fletch_status apply(struct rule rule, uint64_t given, uint64_t *out_number,
                                struct fletch_error *error)
{
    uint64_t number = given == 0 ? rule.usual : given;
    if (number < rule.least || number > rule.most)
        return refuse(error, rule.what, given, rule.least, rule.most);
    *out_number = number;
    return FLETCH_OK;
}

/* ---- copies ---- */

/* `*slot` = a copy of `bytes` bytes; NULL stays NULL. */
static bool copy(const struct fletch_allocator *allocator, const void *source, size_t bytes,
                 const void **slot)
{
    *slot = NULL;
    if (source == NULL || bytes == 0)
        return true;
    void *block = fletch_block_allocate(allocator, bytes);
    if (block == NULL)
        return false;
    memcpy(block, source, bytes);
    *slot = block;
    return true;
}

static void drop(const void *block)
{
    if (block != NULL)
        fletch_block_release((void *)(uintptr_t)block);
}

static enum fletch_status copy_partitioner(struct fletch_shuffle_specification *specification,
                                           const struct fletch_partitioner_options *given,
                                           const struct fletch_allocator *allocator,
                                           struct fletch_error *error)
{
    struct fletch_partitioner_options *own = &specification->partitioner;
    const void *columns = NULL, *map = NULL, *orders = NULL;
    size_t keys = given->key_column_count;
    bool has_memory =
        copy(allocator, given->key_columns, keys * sizeof given->key_columns[0], &columns) &&
        copy(allocator, given->virtual_node_map,
             (size_t)given->virtual_node_count * sizeof given->virtual_node_map[0], &map) &&
        copy(allocator, given->range_orders, keys * sizeof given->range_orders[0], &orders);
    *own = *given;
    own->key_columns = columns;
    own->virtual_node_map = map;
    own->range_orders = orders;
    if (own->range_bounds != NULL)
        fletch_batch_acquire(own->range_bounds);
    if (!has_memory)
        return fletch_error_set(
            error, FLETCH_RESOURCE_EXHAUSTED,
            "RESOURCE_EXHAUSTED: no memory for a shuffle's partitioner of %zu key columns", keys);
    return FLETCH_OK;
}

/* Makes one for a moment: what can be wrong with the options it says. */
static enum fletch_status try_partitioner(struct fletch_shuffle_specification *specification,
                                          const struct fletch_partitioner_options *given,
                                          const struct fletch_allocator *allocator,
                                          struct fletch_error *error)
{
    struct fletch_partitioner *partitioner;
    enum fletch_status status =
        fletch_partitioner_create(specification->schema, given, allocator, &partitioner, error);
    if (status != FLETCH_OK)
        return status;
    specification->has_hashes = fletch_partitioner_has_hashes(partitioner);
    fletch_partitioner_destroy(partitioner);
    return FLETCH_OK;
}

/* ---- the numbers ---- */

static enum fletch_status set_name(struct fletch_shuffle_specification *specification,
                                   const struct fletch_shuffle_options *options,
                                   struct fletch_error *error)
{
    if (options->name == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a shuffle needs a name");
    if (options->name_bytes == 0 || options->name_bytes > FLETCH_SHUFFLE_NAME_BYTES_MAX)
        return refuse(error, "name_bytes", options->name_bytes, 1, FLETCH_SHUFFLE_NAME_BYTES_MAX);
    if (options->schema == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a shuffle needs a schema");
    if (options->partitioner == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a shuffle needs a partitioner");
    memcpy(specification->name, options->name, options->name_bytes);
    specification->name_bytes = options->name_bytes;
    specification->shown = fletch_name_show(options->name, options->name_bytes);
    return FLETCH_OK;
}

static enum fletch_status set_producers(struct fletch_shuffle_specification *specification,
                                        const struct fletch_shuffle_options *options,
                                        struct fletch_error *error)
{
    uint64_t count = 0, limit = 0;
    const struct rule counts = {"producer_count", 1, 1, FLETCH_PRODUCERS_MAX};
    enum fletch_status status = apply(counts, options->producer_count, &count, error);
    if (status == FLETCH_OK) {
        const struct rule limits = {"producer_limit", count, count, FLETCH_PRODUCERS_MAX};
        status = apply(limits, options->producer_limit, &limit, error);
    }
    if (status != FLETCH_OK)
        return status;
    const struct rule holds = {"hold_open", 0, 0, 1};
    uint64_t hold = 0;
    status = apply(holds, options->hold_open, &hold, error);
    if (status != FLETCH_OK)
        return status;
    specification->hold_open = hold == 1;
    specification->producer_count = (uint32_t)count;
    specification->producer_limit = (uint32_t)limit;
    return FLETCH_OK;
}

static enum fletch_status set_choices(struct fletch_shuffle_specification *specification,
                                      const struct fletch_shuffle_options *options,
                                      struct fletch_error *error)
{
    uint64_t sums = 0, retention = 0, codec = 0, barriers = 0, strict = 0;
    const struct rule rules[] = {
        {"sums", FLETCH_SUMS_KEYS, FLETCH_SUMS_KEYS, FLETCH_SUMS_OFF},
        {"retention", FLETCH_RETENTION_NONE, FLETCH_RETENTION_NONE, FLETCH_RETENTION_UNTIL_CLOSE},
        {"spill_codec", FLETCH_SPILL_PLAIN, FLETCH_SPILL_PLAIN, FLETCH_SPILL_ZSTD},
        {"barrier_limit", BARRIER_LIMIT_DEFAULT, 1, BARRIER_LIMIT_MOST},
        {"strict_schema", 0, 0, 1},
    };
    enum fletch_status status = apply(rules[0], options->sums, &sums, error);
    if (status == FLETCH_OK)
        status = apply(rules[1], options->retention, &retention, error);
    if (status == FLETCH_OK)
        status = apply(rules[2], options->spill_codec, &codec, error);
    if (status == FLETCH_OK)
        status = apply(rules[3], options->barrier_limit, &barriers, error);
    if (status == FLETCH_OK)
        status = apply(rules[4], options->strict_schema, &strict, error);
    if (status != FLETCH_OK)
        return status;
    specification->sums = (enum fletch_sum_level)sums;
    specification->retention = (enum fletch_retention)retention;
    specification->spill_codec = (enum fletch_spill_codec)codec;
    specification->barrier_limit = (uint32_t)barriers;
    specification->strict_schema = strict == 1;
    specification->linger_ns = options->linger_ns == 0 ? LINGER_NS_DEFAULT : options->linger_ns;
    specification->spill_after_ns =
        options->spill_after_ns == 0 ? SPILL_AFTER_NS_DEFAULT : options->spill_after_ns;
    specification->watermark_idle_ns = options->watermark_idle_ns;
    return FLETCH_OK;
}

/* ---- who it is, and where ---- */

static enum fletch_status set_identity(struct fletch_shuffle_specification *specification,
                                       const struct fletch_shuffle_options *options,
                                       struct fletch_error *error)
{
    struct fletch_shuffle_id *identity = &specification->identity;
    identity->epoch = options->epoch == 0 ? 1 : options->epoch;
    if (options->id != NULL) {
        memcpy(identity->id, options->id, sizeof identity->id);
        return FLETCH_OK;
    }
    if (fletch_entropy_fill(identity->id, sizeof identity->id))
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_UNAVAILABLE,
                            "UNAVAILABLE: the system has no random bytes for the id of a shuffle");
}

static enum fletch_status set_placement(struct fletch_shuffle_specification *specification,
                                        const struct fletch_transport *transport,
                                        const struct fletch_placement *given,
                                        struct fletch_error *error)
{
    const struct fletch_placement_size size = {
        .partition_count = specification->partitioner.partition_count,
        .producer_count = specification->producer_count,
        .producer_limit = specification->producer_limit,
    };
    return fletch_placement_plan_init(&specification->placement, given, &size,
                                      &transport->allocator, error);
}

/* ---- the budget ---- */

/* Frames that are there in any case: those that writers gather, and those of partitions. */
static uint64_t frames_least(const struct fletch_shuffle_specification *specification)
{
    return (uint64_t)specification->partitioner.partition_count *
           (OWN_FRAMES + (uint64_t)specification->producer_limit);
}

static uint64_t scratch_least(const struct fletch_shuffle_specification *specification)
{
    return specification->scratch_bytes * specification->producer_limit;
}

static uint64_t limit_of(const struct fletch_account *account)
{
    struct fletch_budget_statistics found = {.struct_size = sizeof found};
    fletch_account_statistics(account, &found);
    return found.limit_bytes;
}

static enum fletch_status set_frame(struct fletch_shuffle_specification *specification,
                                    size_t given, struct fletch_error *error)
{
    uint64_t cells = (uint64_t)specification->producer_limit *
                     specification->partitioner.partition_count * FRAME_SHARE;
    uint64_t usual = specification->budget_bytes / cells;
    if (usual > FRAME_BYTES_DEFAULT)
        usual = FRAME_BYTES_DEFAULT;
    if (usual < FLETCH_FRAME_BYTES_LEAST)
        usual = FLETCH_FRAME_BYTES_LEAST;
    usual = fletch_power_of_two_floor((size_t)usual);
    uint64_t frame_bytes = 0;
    const struct rule rule = {"frame_bytes", usual, FLETCH_FRAME_BYTES_LEAST,
                              FLETCH_FRAME_BYTES_MOST};
    enum fletch_status status = apply(rule, given, &frame_bytes, error);
    if (status != FLETCH_OK)
        return status;
    specification->frame_bytes = (size_t)frame_bytes;
    uint64_t least = frames_least(specification) * frame_bytes + scratch_least(specification);
    if (least <= specification->budget_bytes)
        return FLETCH_OK;
    return fletch_error_set(
        error, FLETCH_RESOURCE_EXHAUSTED,
        "RESOURCE_EXHAUSTED: a budget of %llu bytes is below the minimum of %llu: frames of %llu "
        "bytes for %u "
        "partitions, 2 of their own and one for each of %u producers, and %llu bytes for each "
        "producer to spill",
        (unsigned long long)specification->budget_bytes, (unsigned long long)least,
        (unsigned long long)frame_bytes, specification->partitioner.partition_count,
        specification->producer_limit, (unsigned long long)specification->scratch_bytes);
}

static enum fletch_status set_budget(struct fletch_shuffle_specification *specification,
                                     const struct fletch_transport *transport,
                                     const struct fletch_shuffle_options *options,
                                     struct fletch_error *error)
{
    uint64_t most = limit_of(transport->account), share = limit_of(transport->shuffles);
    const struct rule rule = {"budget_bytes", most, 1, most};
    enum fletch_status status =
        apply(rule, options->budget_bytes, &specification->budget_bytes, error);
    if (status != FLETCH_OK)
        return status;
    if (specification->budget_bytes > share)
        specification->budget_bytes = share;
    return set_frame(specification, options->frame_bytes, error);
}

static uint64_t block_bytes(const struct fletch_schema *schema)
{
    size_t bytes =
        sizeof(struct fletch_batch) + schema->field_count * sizeof(struct fletch_batch_node) +
        schema->span_count * sizeof(struct fletch_batch_span) +
        schema->dictionary_count * sizeof(struct fletch_batch *) + sizeof(struct fletch_buffer *);
    return fletch_buffer_block_bytes(fletch_size_class_of(bytes));
}

uint64_t fletch_specification_batch_bytes(const struct fletch_shuffle_specification *specification)
{
    return block_bytes(specification->schema);
}

struct fletch_budget_split
fletch_specification_split(const struct fletch_shuffle_specification *specification)
{
    uint64_t partitions = specification->partitioner.partition_count;
    uint64_t writers = specification->producer_limit;
    uint64_t frame_bytes =
        fletch_buffer_block_bytes(fletch_size_class_of(specification->frame_bytes)) +
        block_bytes(specification->schema);
    uint64_t least = (partitions + SPARE_FRAMES) * frame_bytes;
    struct fletch_budget_split split = {
        .frame_bytes = frame_bytes,
        .owned_bytes = OWN_FRAMES * partitions * frame_bytes,
    };
    uint64_t needed = split.owned_bytes + writers * least;
    uint64_t budget_bytes = specification->budget_bytes - scratch_least(specification);
    if (needed > budget_bytes) { /* as good as it can be so close to the minimum */
        split.writer_bytes = (uint64_t)((double)least * (double)budget_bytes / (double)needed);
        return split;
    }
    uint64_t rest = budget_bytes - needed;
    split.writer_bytes = least + rest / WAITING_SHARE / writers;
    split.pool_bytes = rest - rest / WAITING_SHARE - rest / NOBODYS_SHARE;
    if (specification->retention == FLETCH_RETENTION_UNTIL_CLOSE) {
        split.retained_bytes = split.pool_bytes / 2;
        split.pool_bytes /= 2;
    }
    return split;
}

/* ---- all of it ---- */

static enum fletch_status set_directory(struct fletch_shuffle_specification *specification,
                                        const struct fletch_transport *transport,
                                        const char *directory, struct fletch_error *error)
{
    const void *own;
    if (directory == NULL)
        return FLETCH_OK;
    enum fletch_status status = fletch_spill_directory_check(directory, transport->spill_io, error);
    if (status != FLETCH_OK)
        return status;
    if (!copy(&transport->allocator, directory, strlen(directory) + 1, &own))
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory: %zu bytes", strlen(directory) + 1);
    specification->spill_directory = (char *)(uintptr_t)own;
    return FLETCH_OK;
}

/* A shuffle that is registered can spill. */
static enum fletch_status set_scratch(struct fletch_shuffle_specification *specification,
                                      const struct fletch_transport *transport,
                                      struct fletch_error *error)
{
    struct fletch_spill_options options = {
        .schema = specification->schema,
        .allocator = &transport->allocator,
        .codec = specification->spill_codec,
    };
    if (specification->spill_directory == NULL)
        return FLETCH_OK;
    enum fletch_status status = fletch_buffer_cache_open(transport->pool, &options.cache, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_spill_scratch_bytes(&options, &specification->scratch_bytes, error);
    fletch_buffer_cache_close(options.cache);
    return status;
}

enum fletch_status fletch_specification_init(struct fletch_shuffle_specification *specification,
                                             const struct fletch_transport *transport,
                                             const struct fletch_shuffle_options *options,
                                             struct fletch_error *error)
{
    struct fletch_shuffle_options known;
    struct fletch_partitioner_options partitioner;
    enum fletch_status status = fletch_options_copy(
        &known, sizeof known, options, offsetof(struct fletch_shuffle_options, id), error);
    if (status == FLETCH_OK)
        status = set_name(specification, &known, error);
    if (status == FLETCH_OK)
        status = fletch_options_copy(&partitioner, sizeof partitioner, known.partitioner,
                                     sizeof partitioner, error);
    if (status != FLETCH_OK)
        return status;
    specification->schema = fletch_schema_acquire(known.schema);
    status = try_partitioner(specification, &partitioner, &transport->allocator, error);
    if (status == FLETCH_OK)
        status = copy_partitioner(specification, &partitioner, &transport->allocator, error);
    if (status == FLETCH_OK)
        status = set_producers(specification, &known, error);
    if (status == FLETCH_OK)
        status = set_choices(specification, &known, error);
    if (status == FLETCH_OK)
        status = set_identity(specification, &known, error);
    if (status == FLETCH_OK)
        status = set_placement(specification, transport, known.placement, error);
    if (status == FLETCH_OK)
        status = set_directory(specification, transport, known.spill_directory, error);
    if (status == FLETCH_OK)
        status = set_scratch(specification, transport, error);
    if (status == FLETCH_OK)
        status = set_budget(specification, transport, &known, error);
    return status;
}

void fletch_specification_deinit(struct fletch_shuffle_specification *specification)
{
    fletch_schema_release(specification->schema);
    drop(specification->partitioner.key_columns);
    drop(specification->partitioner.virtual_node_map);
    drop(specification->partitioner.range_orders);
    fletch_batch_release(NULL, specification->partitioner.range_bounds);
    fletch_placement_plan_deinit(&specification->placement);
    drop(specification->spill_directory);
}
