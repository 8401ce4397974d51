#include "shuffle/specification_bytes.h"

#include <string.h>

#include <fletching/ipc_reader.h>
#include <fletching/ipc_writer.h>
#include <fletching/placement.h>

#include "base/allocator.h"
#include "base/little_endian.h"
#include "base/status.h"
#include "flight/flight_schema.h"
#include "shuffle/shuffle.h"

#define MAGIC UINT32_C(0x31505346) /* "FSP1" */
enum { VERSION = 1, CAPACITY_FIRST = 1024, ARRAYS = 6 };

/* ---- writing ---- */

struct output {
    struct fletch_allocator allocator;
    unsigned char *bytes;
    size_t count;
    size_t capacity;
    bool has_failed;
};

static unsigned char *claim(struct output *output, size_t count)
{
    size_t capacity = output->capacity == 0 ? CAPACITY_FIRST : output->capacity;
    while (capacity - output->count < count)
        capacity *= 2;
    if (!output->has_failed && (capacity != output->capacity)) {
        unsigned char *bytes = fletch_block_allocate(&output->allocator, capacity);
        output->has_failed = bytes == NULL;
        if (bytes != NULL && output->count > 0)
            memcpy(bytes, output->bytes, output->count);
        if (bytes != NULL && output->bytes != NULL)
            fletch_block_release(output->bytes);
        if (bytes != NULL) {
            output->bytes = bytes;
            output->capacity = capacity;
        }
    }
    if (output->has_failed)
        return NULL;
    output->count += count;
    return output->bytes + output->count - count;
}

static void put_bytes(struct output *output, const void *bytes, size_t count)
{
    unsigned char *at = claim(output, count);
    if (at != NULL && count > 0)
        memcpy(at, bytes, count);
}

static void put_number(struct output *output, uint64_t number, size_t width)
{
    unsigned char *at = claim(output, width);
    if (at != NULL)
        fletch_little_endian_write(at, number, width);
}

static void put_u32(struct output *output, uint32_t number)
{
    put_number(output, number, sizeof number);
}

static void put_text(struct output *output, const void *bytes, size_t count)
{
    put_u32(output, (uint32_t)count);
    put_bytes(output, bytes, count);
}

/* `numbers`: NULL: none. */
static void put_u32s(struct output *output, const uint32_t *numbers, uint32_t count)
{
    put_u32(output, numbers == NULL ? 0 : count);
    for (uint32_t i = 0; numbers != NULL && i < count; i++)
        put_u32(output, numbers[i]);
}

static enum fletch_status put_schema(struct output *output, const struct fletch_schema *schema,
                                     struct fletch_error *error)
{
    const size_t bytes = fletch_flight_schema_measure(schema);
    if (bytes == 0 || bytes > UINT32_MAX)
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                "UNIMPLEMENTED: a schema of more than 2 GiB");
    put_u32(output, (uint32_t)bytes);
    unsigned char *at = claim(output, bytes);
    if (at != NULL)
        fletch_flight_schema_write(schema, at, bytes);
    return FLETCH_OK;
}

/* Bounds as an IPC stream of one batch; none: no bytes. */
static enum fletch_status put_bounds(struct output *output, const struct fletch_shuffle *shuffle,
                                     struct fletch_error *error)
{
    struct fletch_batch *bounds = shuffle->specification.partitioner.range_bounds;
    struct fletch_ipc_writer *writer = NULL;
    struct fletch_buffer *buffer = NULL;
    struct fletch_buffer_cache *cache = NULL;
    if (bounds == NULL) {
        put_u32(output, 0);
        return FLETCH_OK;
    }
    enum fletch_status status = fletch_buffer_cache_open(shuffle->transport->pool, &cache, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_ipc_write_options options = {.struct_size = sizeof options, .cache = cache};
    status = fletch_ipc_writer_open_memory(
        (struct fletch_schema *)(uintptr_t)fletch_batch_schema(bounds), &options, &writer, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_writer_write(writer, bounds, NULL, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_writer_finish(writer, error);
    if (status == FLETCH_OK)
        status = fletch_ipc_writer_take(writer, &buffer, error);
    if (status == FLETCH_OK)
        put_text(output, fletch_buffer_data(buffer), fletch_buffer_bytes(buffer));
    fletch_buffer_release(cache, buffer);
    fletch_ipc_writer_close(writer);
    fletch_buffer_cache_close(cache);
    return status;
}

static enum fletch_status put_partitioner(struct output *output,
                                          const struct fletch_shuffle *shuffle,
                                          struct fletch_error *error)
{
    const struct fletch_partitioner_options *partitioner = &shuffle->specification.partitioner;
    const uint32_t keys = partitioner->key_column_count;
    put_u32(output, (uint32_t)partitioner->method);
    put_u32(output, partitioner->partition_count);
    put_u32s(output, partitioner->key_columns, keys);
    put_u32(output, partitioner->virtual_node_count);
    const uint32_t nodes =
        partitioner->virtual_node_map == NULL ? 0 : partitioner->virtual_node_count;
    put_u32(output, nodes);
    for (uint32_t i = 0; i < nodes; i++)
        put_number(output, partitioner->virtual_node_map[i], sizeof(uint16_t));
    put_number(output, partitioner->seed, sizeof(uint64_t));
    put_u32(output, partitioner->range_orders == NULL ? 0 : keys);
    for (uint32_t i = 0; partitioner->range_orders != NULL && i < keys; i++)
        put_number(output,
                   (partitioner->range_orders[i].is_descending ? 1u : 0u) |
                       (partitioner->range_orders[i].nulls_first ? 2u : 0u),
                   1);
    return put_bounds(output, shuffle, error);
}

static void put_placement(struct output *output, const struct fletch_shuffle *shuffle)
{
    const struct fletch_placement_plan *plan = &shuffle->specification.placement;
    put_u32(output, plan->is_there ? 1 : 0);
    if (!plan->is_there)
        return;
    put_u32(output, (uint32_t)plan->mode);
    put_u32(output, plan->address_count);
    for (uint32_t i = 0; i < plan->address_count; i++)
        put_text(output, plan->addresses[i], strlen(plan->addresses[i]));
    put_u32s(output, plan->owners, shuffle->specification.partitioner.partition_count);
    put_u32s(output, plan->homes, shuffle->specification.producer_limit);
}

static enum fletch_status put_all(struct output *output, const struct fletch_shuffle *shuffle,
                                  struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &shuffle->specification;
    struct fletch_shuffle_id identity;
    fletch_shuffle_identity(shuffle, &identity);
    put_u32(output, MAGIC);
    put_u32(output, VERSION);
    put_text(output, specification->name, specification->name_bytes);
    put_bytes(output, identity.id, sizeof identity.id);
    put_u32(output, identity.epoch);
    enum fletch_status status = put_schema(output, specification->schema, error);
    if (status == FLETCH_OK)
        status = put_partitioner(output, shuffle, error);
    put_u32(output, specification->producer_count);
    put_u32(output, specification->producer_limit);
    put_u32(output, specification->hold_open ? 1 : 0);
    put_u32(output, (uint32_t)specification->sums);
    put_u32(output, (uint32_t)specification->retention);
    put_u32(output, specification->barrier_limit);
    put_u32(output, specification->strict_schema ? 1 : 0);
    put_number(output, specification->watermark_idle_ns, sizeof(uint64_t));
    put_placement(output, shuffle);
    return status;
}

enum fletch_status fletch_specification_write(const struct fletch_shuffle *shuffle,
                                              struct fletch_specification_bytes *out_bytes,
                                              struct fletch_error *error)
{
    struct output output = {.allocator = shuffle->allocator};
    enum fletch_status status = put_all(&output, shuffle, error);
    if (status == FLETCH_OK && output.has_failed)
        status = fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                  "RESOURCE_EXHAUSTED: no memory for a specification");
    if (status == FLETCH_OK)
        *out_bytes = (struct fletch_specification_bytes){output.bytes, output.count};
    else if (output.bytes != NULL)
        fletch_block_release(output.bytes);
    return status;
}

void fletch_specification_bytes_free(struct fletch_specification_bytes *bytes)
{
    if (bytes->bytes != NULL)
        fletch_block_release(bytes->bytes);
    bytes->bytes = NULL;
}

/* ---- reading ---- */

struct fletch_specification_copy {
    struct fletch_allocator allocator;
    struct fletch_shuffle_options options;
    struct fletch_partitioner_options partitioner;
    struct fletch_placement placement;
    unsigned char id[FLETCH_SHUFFLE_ID_BYTES];
    char name[FLETCH_SHUFFLE_NAME_BYTES_MAX];
    void *arrays[ARRAYS]; /* blocks; NULL: none */
    size_t array_count;
};

/* Everything that fails leaves `failure`, and what is read after that is zero. */
struct input {
    const unsigned char *bytes;
    size_t left;
    struct fletch_specification_copy *copy;
    struct fletch_error failure;
};

static bool has_failed(const struct input *input)
{
    return input->failure.status != FLETCH_OK;
}

static void fail(struct input *input, const char *what)
{
    if (!has_failed(input))
        (void)fletch_error_set(&input->failure, FLETCH_INVALID_ARGUMENT,
                               "INVALID_ARGUMENT: a specification whose %s", what);
}

static const unsigned char *take(struct input *input, size_t count, const char *what)
{
    if (has_failed(input))
        return NULL;
    if (count > input->left) {
        (void)fletch_error_set(&input->failure, FLETCH_INVALID_ARGUMENT,
                               "INVALID_ARGUMENT: a specification that ends within its %s: %zu "
                               "bytes are left, %zu were expected",
                               what, input->left, count);
        return NULL;
    }
    const unsigned char *at = input->bytes;
    input->bytes += count;
    input->left -= count;
    return at;
}

static uint64_t take_number(struct input *input, size_t width, const char *what)
{
    const unsigned char *at = take(input, width, what);
    return at == NULL ? 0 : fletch_little_endian_read(at, width);
}

static uint32_t take_u32(struct input *input, const char *what)
{
    return (uint32_t)take_number(input, sizeof(uint32_t), what);
}

/* A block for `count` elements of which each takes `least` of the bytes that are left. */
static void *make_array(struct input *input, size_t count, size_t least, size_t size)
{
    if (has_failed(input) || count == 0)
        return NULL;
    if (count > input->left / least) {
        fail(input, "array has more elements than there are bytes");
        return NULL;
    }
    void *array = fletch_block_allocate(&input->copy->allocator, count * size);
    if (array == NULL)
        (void)fletch_error_set(&input->failure, FLETCH_RESOURCE_EXHAUSTED,
                               "RESOURCE_EXHAUSTED: no memory for a specification");
    else
        input->copy->arrays[input->copy->array_count++] = array;
    return array;
}

static const uint32_t *take_u32s(struct input *input, uint32_t *out_count, const char *what)
{
    *out_count = take_u32(input, what);
    uint32_t *numbers = make_array(input, *out_count, sizeof *numbers, sizeof *numbers);
    for (uint32_t i = 0; numbers != NULL && i < *out_count; i++)
        numbers[i] = take_u32(input, what);
    return numbers;
}

static void take_name(struct input *input)
{
    struct fletch_specification_copy *copy = input->copy;
    const uint32_t bytes = take_u32(input, "name");
    if (bytes == 0 || bytes > FLETCH_SHUFFLE_NAME_BYTES_MAX)
        fail(input, "name is empty or too long");
    const unsigned char *name = take(input, bytes, "name");
    const unsigned char *id = take(input, sizeof copy->id, "id");
    if (id == NULL)
        return;
    memcpy(copy->name, name, bytes);
    memcpy(copy->id, id, sizeof copy->id);
    copy->options.name = copy->name;
    copy->options.name_bytes = bytes;
    copy->options.id = copy->id;
    copy->options.epoch = take_u32(input, "epoch");
}

static void take_schema(struct input *input)
{
    const uint32_t bytes = take_u32(input, "schema");
    const unsigned char *message = take(input, bytes, "schema");
    if (message != NULL)
        input->failure.status = fletch_flight_schema_read(
            (struct fletch_flight_bytes){message, bytes}, &input->copy->allocator,
            &input->copy->options.schema, &input->failure);
}

static void take_nodes(struct input *input)
{
    struct fletch_partitioner_options *partitioner = &input->copy->partitioner;
    partitioner->virtual_node_count = take_u32(input, "virtual nodes");
    const uint32_t count = take_u32(input, "virtual nodes");
    if (count != 0 && count != partitioner->virtual_node_count)
        fail(input, "map has another number of virtual nodes");
    uint16_t *map = make_array(input, count, sizeof *map, sizeof *map);
    for (uint32_t i = 0; map != NULL && i < count; i++)
        map[i] = (uint16_t)take_number(input, sizeof *map, "virtual nodes");
    partitioner->virtual_node_map = map;
}

static void take_orders(struct input *input)
{
    struct fletch_partitioner_options *partitioner = &input->copy->partitioner;
    const uint32_t count = take_u32(input, "orders");
    if (count != 0 && count != partitioner->key_column_count)
        fail(input, "orders are not as many as its keys");
    struct fletch_range_order *orders = make_array(input, count, 1, sizeof *orders);
    for (uint32_t i = 0; orders != NULL && i < count; i++) {
        const uint64_t flags = take_number(input, 1, "orders");
        orders[i] = (struct fletch_range_order){(flags & 1) != 0, (flags & 2) != 0};
    }
    partitioner->range_orders = orders;
}

static void release_copy(void *context)
{
    fletch_block_release(context);
}

/* Takes the memory in any case. */
static enum fletch_status read_bounds(struct fletch_transport *transport,
                                      const struct fletch_foreign_memory *memory,
                                      struct fletch_batch **out_bounds, struct fletch_error *error)
{
    struct fletch_buffer_cache *cache = NULL;
    struct fletch_ipc_reader *reader = NULL;
    enum fletch_status status = fletch_buffer_cache_open(transport->pool, &cache, error);
    const struct fletch_ipc_read_options options = {
        .struct_size = sizeof options, .cache = cache, .validation = FLETCH_VALIDATION_FULL};
    if (status == FLETCH_OK)
        status = fletch_ipc_reader_open_memory(memory, &options, &reader, error);
    if (status != FLETCH_OK)
        memory->release(memory->context);
    else
        status = fletch_ipc_reader_next(reader, out_bounds, error);
    fletch_ipc_reader_close(reader);
    if (cache != NULL)
        fletch_buffer_cache_close(cache);
    return status;
}

/* The batch keeps a copy of its bytes, which the caller's need not outlive. */
static void take_bounds(struct input *input, struct fletch_transport *transport)
{
    const uint32_t bytes = take_u32(input, "bounds");
    const unsigned char *stream = take(input, bytes, "bounds");
    if (stream == NULL || bytes == 0)
        return;
    void *block = fletch_block_allocate(&input->copy->allocator, bytes);
    if (block == NULL) {
        (void)fletch_error_set(&input->failure, FLETCH_RESOURCE_EXHAUSTED,
                               "RESOURCE_EXHAUSTED: no memory for bounds of %u bytes", bytes);
        return;
    }
    memcpy(block, stream, bytes);
    const struct fletch_foreign_memory memory = {block, bytes, release_copy, block};
    struct fletch_error error;
    enum fletch_status status =
        read_bounds(transport, &memory, &input->copy->partitioner.range_bounds, &error);
    if (status != FLETCH_OK)
        input->failure = error;
    else if (input->copy->partitioner.range_bounds == NULL)
        fail(input, "bounds have no batch");
}

static void take_partitioner(struct input *input, struct fletch_transport *transport)
{
    struct fletch_partitioner_options *partitioner = &input->copy->partitioner;
    partitioner->struct_size = sizeof *partitioner;
    partitioner->method = (enum fletch_partition_method)take_u32(input, "method");
    partitioner->partition_count = take_u32(input, "partitions");
    partitioner->key_columns = take_u32s(input, &partitioner->key_column_count, "keys");
    take_nodes(input);
    partitioner->seed = take_number(input, sizeof(uint64_t), "seed");
    take_orders(input);
    take_bounds(input, transport);
    input->copy->options.partitioner = partitioner;
}

static void take_choices(struct input *input)
{
    struct fletch_shuffle_options *options = &input->copy->options;
    options->producer_count = take_u32(input, "producers");
    options->producer_limit = take_u32(input, "producer limit");
    options->hold_open = take_u32(input, "hold");
    options->sums = (enum fletch_sum_level)take_u32(input, "sums");
    options->retention = (enum fletch_retention)take_u32(input, "retention");
    options->barrier_limit = take_u32(input, "barriers");
    options->strict_schema = take_u32(input, "strictness");
    options->watermark_idle_ns = take_number(input, sizeof(uint64_t), "idle time");
}

/* Addresses, each with a NUL of its own, in one block behind the pointers to them. */
static void take_addresses(struct input *input)
{
    struct fletch_placement *placement = &input->copy->placement;
    placement->address_count = take_u32(input, "addresses");
    const size_t count = placement->address_count;
    const size_t each = sizeof(char *) + FLETCH_ADDRESS_BYTES_MAX + 1;
    const char **addresses = make_array(input, count, sizeof(uint32_t), each);
    char *text = (char *)(addresses + count);
    for (size_t i = 0; addresses != NULL && i < count; i++, text += FLETCH_ADDRESS_BYTES_MAX + 1) {
        const uint32_t bytes = take_u32(input, "addresses");
        if (bytes > FLETCH_ADDRESS_BYTES_MAX)
            fail(input, "addresses are too long");
        const unsigned char *address = take(input, bytes, "addresses");
        if (address != NULL)
            memcpy(text, address, bytes);
        text[address == NULL ? 0 : bytes] = '\0';
        addresses[i] = text;
    }
    placement->addresses = addresses;
}

static void take_placement(struct input *input)
{
    struct fletch_specification_copy *copy = input->copy;
    struct fletch_placement *placement = &copy->placement;
    uint32_t owners = 0, homes = 0;
    if (take_u32(input, "placement") == 0)
        return;
    placement->struct_size = sizeof *placement;
    placement->self = FLETCH_NO_PROCESS;
    placement->mode = (enum fletch_placement_mode)take_u32(input, "placement");
    take_addresses(input);
    placement->partition_owners = take_u32s(input, &owners, "owners");
    placement->producer_homes = take_u32s(input, &homes, "homes");
    if (owners != 0 && owners != copy->partitioner.partition_count)
        fail(input, "owners are not as many as its partitions");
    if (homes != 0 && homes != copy->options.producer_limit)
        fail(input, "homes are not as many as its producers");
    copy->options.placement = placement;
}

static void take_all(struct input *input, struct fletch_transport *transport)
{
    if (take_u32(input, "beginning") != MAGIC)
        fail(input, "beginning is that of something else");
    const uint32_t version = take_u32(input, "version");
    if (!has_failed(input) && version != VERSION)
        (void)fletch_error_set(&input->failure, FLETCH_UNIMPLEMENTED,
                               "UNIMPLEMENTED: a specification of version %u, this is %d", version,
                               VERSION);
    input->copy->options.struct_size = sizeof input->copy->options;
    take_name(input);
    take_schema(input);
    take_partitioner(input, transport);
    take_choices(input);
    take_placement(input);
    if (input->left != 0)
        fail(input, "end has bytes behind it");
}

enum fletch_status fletch_specification_read(struct fletch_transport *transport, const void *bytes,
                                             size_t count,
                                             struct fletch_specification_copy **out_copy,
                                             struct fletch_error *error)
{
    struct fletch_specification_copy *copy =
        fletch_block_allocate(&transport->allocator, sizeof *copy);
    if (copy == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a specification");
    memset(copy, 0, sizeof *copy);
    copy->allocator = transport->allocator;
    struct input input = {.bytes = bytes, .left = count, .copy = copy};
    take_all(&input, transport);
    if (!has_failed(&input)) {
        *out_copy = copy;
        return FLETCH_OK;
    }
    fletch_specification_copy_destroy(copy);
    return fletch_error_set(error, input.failure.status, "%s", input.failure.message);
}

struct fletch_shuffle_options *fletch_specification_options(struct fletch_specification_copy *copy)
{
    return &copy->options;
}

enum fletch_status fletch_specification_set_self(struct fletch_specification_copy *copy,
                                                 uint32_t self, struct fletch_error *error)
{
    if (copy->options.placement != NULL && self != FLETCH_NO_PROCESS &&
        self >= copy->placement.address_count)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "OUT_OF_RANGE: process %u of a placement over %u", self,
                                copy->placement.address_count);
    copy->placement.self = self;
    return FLETCH_OK;
}

void fletch_specification_copy_destroy(struct fletch_specification_copy *copy)
{
    if (copy == NULL)
        return;
    fletch_schema_release(copy->options.schema);
    fletch_batch_release(NULL, copy->partitioner.range_bounds);
    for (size_t i = 0; i < copy->array_count; i++)
        fletch_block_release(copy->arrays[i]);
    fletch_block_release(copy);
}
