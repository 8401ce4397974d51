#include "shuffle/writer_open.h"

#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "partition/partition_writer.h"
#include "shuffle/writer_spill.h"

enum { ALIGNMENT = 64 };

static enum fletch_status refuse_memory(uint32_t producer, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory for the writer of producer %u",
                            producer);
}

static size_t array_bytes(const struct fletch_shuffle_writer *writer)
{
    size_t partitions = writer->shuffle->specification.partitioner.partition_count;
    return partitions * (sizeof writer->channels[0] + sizeof writer->lying_since_ns[0]);
}

static enum fletch_status make_arrays(struct fletch_shuffle_writer *writer,
                                      struct fletch_error *error)
{
    size_t partitions = writer->shuffle->specification.partitioner.partition_count;
    size_t bytes = array_bytes(writer);
    char *arrays = fletch_allocate(&writer->shuffle->allocator, bytes, ALIGNMENT);
    if (arrays == NULL)
        return refuse_memory(writer->producer, error);
    memset(arrays, 0, bytes);
    writer->channels = (struct fletch_channel **)(void *)arrays;
    writer->lying_since_ns = (uint64_t *)(void *)(arrays + partitions * sizeof writer->channels[0]);
    return FLETCH_OK;
}

static enum fletch_status make_account(struct fletch_shuffle_writer *writer,
                                       struct fletch_error *error)
{
    char name[FLETCH_ACCOUNT_NAME_BYTES];
    snprintf(name, sizeof name, "producer %u", writer->producer);
    const struct fletch_account_options options = {
        .struct_size = sizeof options, .name = name, .limit_bytes = writer->shuffle->writer_bytes};
    return fletch_account_open(writer->shuffle->account, &options, &writer->account, error);
}

static enum fletch_status make_partition_writer(struct fletch_shuffle_writer *writer,
                                                struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &writer->shuffle->specification;
    struct fletch_partitioner_options options = specification->partitioner;
    options.seed += writer->producer; /* round-robin: producers begin one behind the other */
    const struct fletch_partition_writer_options frames = {
        .struct_size = sizeof frames,
        .cache = writer->cache,
        .frame_bytes = specification->frame_bytes,
        .account = writer->account,
    };
    enum fletch_status status = fletch_partitioner_create(
        specification->schema, &options, &writer->shuffle->allocator, &writer->partitioner, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_partition_writer_create(specification->schema, writer->partitioner, &frames,
                                            &writer->partition_writer, error);
    if (status == FLETCH_OK)
        fletch_partition_writer_go_stepwise(writer->partition_writer);
    else
        fletch_partitioner_destroy(writer->partitioner);
    return status;
}

static enum fletch_status take_seat(struct fletch_shuffle_writer *writer,
                                    struct fletch_error *error)
{
    if (writer->segment != NULL)
        writer->seat->segment = fletch_spill_segment_acquire(writer->segment);
    if (fletch_shuffle_seat_take(writer->shuffle, writer->seat))
        return FLETCH_OK;
    fletch_shuffle_seat_destroy(writer->seat);
    writer->seat = NULL;
    return fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                            "ALREADY_EXISTS: producer %u has been opened before", writer->producer);
}

enum fletch_status fletch_writer_equip(struct fletch_shuffle_writer *writer,
                                       struct fletch_error *error)
{
    struct fletch_transport *transport = writer->shuffle->transport;
    enum fletch_status status = FLETCH_OK;
    if (writer->cache == NULL) {
        status = fletch_buffer_cache_open(transport->pool, &writer->cache, error);
        writer->owns_cache = status == FLETCH_OK;
    }
    if (status == FLETCH_OK)
        status = fletch_epoch_reader_open(transport->epochs, &writer->epoch_reader, error);
    if (status == FLETCH_OK)
        status = make_arrays(writer, error);
    if (status == FLETCH_OK)
        status = make_account(writer, error);
    if (status == FLETCH_OK)
        status = make_partition_writer(writer, error);
    if (status == FLETCH_OK)
        status = fletch_writer_open_segment(writer, error);
    if (status != FLETCH_OK)
        return status;
    writer->seat = fletch_shuffle_seat_create(writer->shuffle, writer->producer);
    return writer->seat == NULL ? refuse_memory(writer->producer, error) : take_seat(writer, error);
}

void fletch_writer_dismantle(struct fletch_shuffle_writer *writer)
{
    fletch_partition_writer_destroy(writer->partition_writer);
    if (writer->channels != NULL)
        fletch_release(&writer->shuffle->allocator, writer->channels, array_bytes(writer),
                       ALIGNMENT);
    fletch_epoch_reader_close(writer->epoch_reader);
    fletch_spill_segment_close(writer->segment);
    if (writer->owns_cache)
        fletch_buffer_cache_close(writer->cache);
    fletch_account_close(writer->account);
    struct fletch_shuffle *shuffle = writer->shuffle;
    fletch_block_release(writer);
    fletch_shuffle_release(shuffle);
}
