#include "shuffle/shuffle_writer.h"

#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/status.h"
#include "partition/partition_writer.h"
#include "shuffle/batch_body.h"

enum { ALIGNMENT = 64 };

/* ---- opening ---- */

static enum fletch_status refuse_memory(uint32_t producer, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory for the writer of producer %u",
                            producer);
}

static enum fletch_status check_producer(const struct fletch_shuffle *shuffle, uint32_t producer,
                                         struct fletch_error *error)
{
    struct fletch_coordinator_statistics control;
    fletch_coordinator_statistics(shuffle->coordinator, &control);
    if (producer < control.producers)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                            "OUT_OF_RANGE: producer is %u, expected 0 to %u", producer,
                            control.producers - 1);
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
        .account = writer->shuffle->account,
    };
    enum fletch_status status = fletch_partitioner_create(
        specification->schema, &options, &writer->shuffle->allocator, &writer->partitioner, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_partition_writer_create(specification->schema, writer->partitioner, &frames,
                                            &writer->partition_writer, error);
    if (status != FLETCH_OK)
        fletch_partitioner_destroy(writer->partitioner);
    return status;
}

static enum fletch_status take_seat(struct fletch_shuffle_writer *writer,
                                    struct fletch_error *error)
{
    if (fletch_shuffle_seat_take(writer->shuffle, writer->seat))
        return FLETCH_OK;
    fletch_shuffle_seat_destroy(writer->seat);
    writer->seat = NULL;
    return fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                            "ALREADY_EXISTS: producer %u has been opened before", writer->producer);
}

/* Everything that a writer needs. The seat comes last: it cannot be given back. */
static enum fletch_status equip(struct fletch_shuffle_writer *writer, struct fletch_error *error)
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
        status = make_partition_writer(writer, error);
    if (status == FLETCH_OK)
        status = fletch_writer_open_segment(writer, error);
    if (status != FLETCH_OK)
        return status;
    writer->seat = fletch_shuffle_seat_create(writer->shuffle, writer->producer);
    return writer->seat == NULL ? refuse_memory(writer->producer, error) : take_seat(writer, error);
}

/* Gives back what there is of it; the seat stays with the shuffle. */
static void dismantle(struct fletch_shuffle_writer *writer)
{
    fletch_partition_writer_destroy(writer->partition_writer);
    if (writer->channels != NULL)
        fletch_release(&writer->shuffle->allocator, writer->channels, array_bytes(writer),
                       ALIGNMENT);
    fletch_epoch_reader_close(writer->epoch_reader);
    fletch_spill_segment_close(writer->segment);
    if (writer->owns_cache)
        fletch_buffer_cache_close(writer->cache);
    struct fletch_shuffle *shuffle = writer->shuffle;
    fletch_block_release(writer);
    fletch_shuffle_release(shuffle);
}

enum fletch_status fletch_shuffle_writer_open(struct fletch_shuffle *shuffle, uint32_t producer,
                                              struct fletch_buffer_cache *cache,
                                              struct fletch_shuffle_writer **out_writer,
                                              struct fletch_error *error)
{
    enum fletch_status status = fletch_shuffle_check(shuffle, error);
    if (status == FLETCH_OK)
        status = check_producer(shuffle, producer, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_shuffle_writer *writer =
        fletch_block_allocate(&shuffle->allocator, sizeof *writer);
    if (writer == NULL)
        return refuse_memory(producer, error);
    *writer = (struct fletch_shuffle_writer){
        .shuffle = fletch_shuffle_acquire(shuffle), .cache = cache, .producer = producer};
    status = equip(writer, error);
    if (status != FLETCH_OK) {
        dismantle(writer);
        return status;
    }
    *out_writer = writer;
    return FLETCH_OK;
}

void fletch_shuffle_writer_close(struct fletch_shuffle_writer *writer)
{
    if (writer == NULL)
        return;
    if (writer->is_armed)
        fletch_shuffle_writer_disarm(writer);
    if (writer->state == FLETCH_WRITER_OPEN)
        fletch_shuffle_writer_abort(writer, "closed without end");
    dismantle(writer);
}

/* ---- writing ---- */

static bool is_broadcast(const struct fletch_shuffle_writer *writer)
{
    return writer->shuffle->specification.partitioner.method == FLETCH_PARTITION_BROADCAST;
}

static void count_taken(struct fletch_shuffle_writer *writer, const struct fletch_batch *batch)
{
    const struct fletch_shuffle_specification *specification = &writer->shuffle->specification;
    uint64_t copies = is_broadcast(writer) ? specification->partitioner.partition_count : 1;
    struct fletch_written_counters *counters = &writer->shuffle->written;
    uint64_t bytes = fletch_batch_body_bytes(batch);
    writer->taken.rows += (uint64_t)batch->row_count * copies;
    if (specification->sums == FLETCH_SUMS_ROWS)
        writer->taken.row_sum += fletch_hash_row_sum(batch) * copies;
    /* relaxed: statistics */
    fetch_add_relaxed(&counters->rows_written, (uint64_t)batch->row_count);
    fetch_add_relaxed(&counters->bytes_written, bytes); /* relaxed: the same */
}

/* Hands a batch over to the partition writer. `*out_is_taken`: it is there, all of it. */
static enum fletch_status push(struct fletch_shuffle_writer *writer, struct fletch_batch *batch,
                               bool *out_is_taken, struct fletch_error *error)
{
    enum fletch_status status =
        fletch_partition_writer_push(writer->partition_writer, batch, error);
    *out_is_taken =
        status == FLETCH_OK || (status == FLETCH_RESOURCE_EXHAUSTED &&
                                fletch_partition_writer_has_rest(writer->partition_writer));
    return status;
}

/* The same for a batch that goes to all partitions as it is: somebody pays for it. */
static enum fletch_status push_broadcast(struct fletch_shuffle_writer *writer,
                                         struct fletch_batch *batch, bool *out_is_taken,
                                         struct fletch_error *error)
{
    uint64_t bytes = fletch_batch_unpaid_bytes(batch);
    struct fletch_batch *paid = NULL;
    if (bytes == 0)
        return push(writer, batch, out_is_taken, error);
    enum fletch_status status =
        fletch_batch_pay(writer->cache, batch, writer->shuffle->account, bytes, &paid, error);
    if (status != FLETCH_OK)
        return status;
    status = push(writer, paid, out_is_taken, error);
    fletch_batch_release(writer->cache, paid);
    return status;
}

static enum fletch_status take_in(struct fletch_shuffle_writer *writer, struct fletch_batch *batch,
                                  struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &writer->shuffle->specification;
    enum fletch_status status = FLETCH_OK;
    bool is_taken = false;
    if (specification->strict_schema && batch->schema != specification->schema)
        status = fletch_schema_compare(specification->schema, batch->schema,
                                       FLETCH_COMPARE_METADATA, error);
    if (status != FLETCH_OK)
        return status;
    status = is_broadcast(writer) ? push_broadcast(writer, batch, &is_taken, error)
                                  : push(writer, batch, &is_taken, error);
    if (!is_taken)
        return status;
    count_taken(writer, batch);
    return FLETCH_OK;
}

/* Sends what there is, and finishes what has lain long enough; what finds no memory or credit now
 * goes in a later call. */
static enum fletch_status send_on(struct fletch_shuffle_writer *writer, uint64_t now_ns,
                                  struct fletch_error *error)
{
    enum fletch_status status = fletch_writer_advance(writer, error);
    if (status == FLETCH_OK) {
        status = fletch_writer_linger_flush(writer, now_ns, error);
        if (status == FLETCH_OK)
            status = fletch_writer_advance(writer, error);
    }
    return status == FLETCH_RESOURCE_EXHAUSTED ? FLETCH_OK : status;
}

enum fletch_status fletch_shuffle_writer_write(struct fletch_shuffle_writer *writer,
                                               struct fletch_batch *batch, uint64_t timeout_ns,
                                               struct fletch_error *error)
{
    enum fletch_status status = fletch_writer_check(writer, error);
    if (status != FLETCH_OK)
        return status;
    uint64_t now_ns = fletch_shuffle_now_ns(writer->shuffle);
    status = fletch_writer_settle(writer, fletch_writer_deadline(now_ns, timeout_ns), error);
    if (status == FLETCH_OK)
        status = take_in(writer, batch, error);
    if (status != FLETCH_OK)
        return status;
    fletch_writer_linger_begin(writer, now_ns);
    return send_on(writer, now_ns, error);
}

enum fletch_status fletch_shuffle_writer_flush(struct fletch_shuffle_writer *writer,
                                               uint64_t timeout_ns, struct fletch_error *error)
{
    enum fletch_status status = fletch_writer_check(writer, error);
    if (status != FLETCH_OK)
        return status;
    uint64_t now_ns = fletch_shuffle_now_ns(writer->shuffle);
    return fletch_writer_flush_all(writer, fletch_writer_deadline(now_ns, timeout_ns), error);
}

enum fletch_status fletch_shuffle_writer_poll(struct fletch_shuffle_writer *writer, uint64_t now_ns,
                                              struct fletch_error *error)
{
    enum fletch_status status = fletch_writer_check(writer, error);
    if (status != FLETCH_OK)
        return status;
    if (writer->shuffle->specification.watermark_idle_ns != 0)
        fletch_coordinator_tick(writer->shuffle->coordinator, now_ns);
    status = send_on(writer, now_ns, error);
    if (status == FLETCH_OK && writer->first_waiting != NULL &&
        !fletch_writer_spill(writer, now_ns) && !fletch_writer_can_spill(writer) &&
        fletch_writer_is_stalled(writer, now_ns))
        return fletch_writer_refuse(writer, "nothing can move", error);
    return status;
}

/* ---- event loops ---- */

enum fletch_status fletch_shuffle_writer_open_fd(struct fletch_shuffle_writer *writer, int *out_fd,
                                                 struct fletch_error *error)
{
    return fletch_eventcount_open_fd(&writer->seat->sleeper, out_fd, error);
}

bool fletch_shuffle_writer_arm(struct fletch_shuffle_writer *writer)
{
    FLETCH_ASSERT(!writer->is_armed);
    if (writer->state != FLETCH_WRITER_OPEN)
        return false;
    fletch_writer_ask(writer);
    writer->armed_key = fletch_eventcount_arm(&writer->seat->sleeper);
    writer->is_armed = true;
    /* relaxed: who looks at it looks twice */
    fetch_add_relaxed(&writer->shuffle->written.writers_stuck, 1);
    bool may_sleep = writer->first_waiting != NULL && !fletch_writer_has_grant(writer) &&
                     !fletch_shuffle_is_cancelled(writer->shuffle);
    if (!may_sleep)
        fletch_shuffle_writer_disarm(writer);
    return may_sleep;
}

void fletch_shuffle_writer_disarm(struct fletch_shuffle_writer *writer)
{
    if (!writer->is_armed)
        return;
    writer->is_armed = false;
    fetch_sub_relaxed(&writer->shuffle->written.writers_stuck, 1); /* relaxed: as in arm */
    fletch_eventcount_disarm(&writer->seat->sleeper, writer->armed_key);
    fletch_writer_give_up(writer);
}
