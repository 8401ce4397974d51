#include "shuffle/shuffle_writer.h"

#include <inttypes.h>
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/status.h"
#include "partition/partition_writer.h"
#include "shuffle/batch_body.h"
#include "shuffle/producer_set.h"
#include "shuffle/writer_alone.h"
#include "shuffle/writer_control.h"
#include "shuffle/writer_linger.h"
#include "shuffle/writer_open.h"
#include "shuffle/writer_put.h"
#include "shuffle/writer_remote.h"
#include "shuffle/writer_send.h"
#include "shuffle/writer_spill.h"
#include "shuffle/writer_sums.h"
#include "shuffle/writer_wait.h"

/* ---- opening ---- */

static enum fletch_status check_producer(const struct fletch_shuffle *shuffle, uint32_t producer,
                                         struct fletch_error *error)
{
    struct fletch_coordinator_statistics control;
    const struct fletch_placement_plan *plan = &shuffle->specification.placement;
    fletch_coordinator_statistics(shuffle->coordinator, &control);
    if (producer >= control.producers)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "OUT_OF_RANGE: producer is %u, expected 0 to %u", producer,
                                control.producers - 1);
    if (fletch_placement_may_write(plan, producer))
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                            "FAILED_PRECONDITION: producer %u of shuffle '%s' writes in the "
                            "process at %s",
                            producer, shuffle->specification.shown.text,
                            plan->addresses[plan->homes[producer]]);
}

enum fletch_status fletch_shuffle_writer_open(struct fletch_shuffle *shuffle, uint32_t producer,
                                              struct fletch_buffer_cache *cache,
                                              struct fletch_shuffle_writer **out_writer,
                                              struct fletch_error *error)
{
    enum fletch_status status = fletch_shuffle_check(shuffle, error);
    if (status == FLETCH_OK)
        status = check_producer(shuffle, producer, error);
    if (status == FLETCH_OK)
        status = fletch_producer_set_check(shuffle, producer, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_shuffle_writer *writer =
        fletch_block_allocate(&shuffle->allocator, sizeof *writer);
    if (writer == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for the writer of producer %u",
                                producer);
    *writer = (struct fletch_shuffle_writer){
        .shuffle = fletch_shuffle_acquire(shuffle), .cache = cache, .producer = producer};
    status = fletch_writer_equip(writer, error);
    if (status != FLETCH_OK) {
        fletch_writer_dismantle(writer);
        return status;
    }
    fetch_add_relaxed(&shuffle->written.writers_opened, 1); /* relaxed: a count, looked at later */
    *out_writer = writer;
    return FLETCH_OK;
}

/* Tells this process of an end that others were told before, and does not wait. */
static void end_here(struct fletch_shuffle_writer *writer)
{
    struct fletch_control_operation *operation =
        fletch_writer_prepare(writer, FLETCH_SEAT_END, FLETCH_CONTROL_END);
    fletch_control_submit(operation);
    writer->state = FLETCH_WRITER_ENDED;
}

void fletch_shuffle_writer_close(struct fletch_shuffle_writer *writer)
{
    if (writer == NULL || !fletch_shuffle_is_own(writer->shuffle))
        return;
    if (writer->is_armed)
        fletch_shuffle_writer_disarm(writer);
    if (writer->state == FLETCH_WRITER_OPEN)
        fletch_shuffle_writer_abort(writer, "closed without end");
    if (writer->state == FLETCH_WRITER_ENDING) /* all that it had is on its way */
        end_here(writer);
    fletch_writer_dismantle(writer);
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
    struct fletch_batch *paid = NULL;
    enum fletch_status status = fletch_writer_pay(writer, batch, &paid, error);
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        status = fletch_writer_pay_alone(writer, batch, &paid, error);
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
    uint64_t deadline_ns = fletch_writer_deadline(now_ns, timeout_ns);
    do {
        status = fletch_writer_settle(writer, deadline_ns, error);
        if (status != FLETCH_OK)
            return status;
        status = take_in(writer, batch, error);
    } while (fletch_writer_waits_for_memory(writer, status, deadline_ns));
    if (status != FLETCH_OK)
        return status;
    fletch_writer_linger_begin(writer, now_ns);
    status = send_on(writer, now_ns, error);
    /* The batch was taken: of a partition that has failed the next call tells. */
    return writer->partition_writer == NULL ? FLETCH_OK : status;
}

static enum fletch_status check_put(const struct fletch_shuffle_writer *writer, uint32_t partition,
                                    const struct fletch_batch *batch, struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &writer->shuffle->specification;
    enum fletch_status status = fletch_writer_check(writer, error);
    if (status != FLETCH_OK)
        return status;
    if (partition >= specification->partitioner.partition_count)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "OUT_OF_RANGE: partition is %u, expected 0 to %u", partition,
                                specification->partitioner.partition_count - 1);
    if (batch->schema == specification->schema)
        return FLETCH_OK;
    return fletch_schema_compare(
        specification->schema, batch->schema,
        specification->strict_schema ? FLETCH_COMPARE_METADATA : FLETCH_COMPARE_VALUE_TYPES, error);
}

enum fletch_status fletch_shuffle_writer_put(struct fletch_shuffle_writer *writer,
                                             uint32_t partition, struct fletch_batch *batch,
                                             uint64_t timeout_ns, struct fletch_error *error)
{
    enum fletch_status status = check_put(writer, partition, batch, error);
    if (status != FLETCH_OK)
        return status;
    uint64_t deadline_ns =
        fletch_writer_deadline(fletch_shuffle_now_ns(writer->shuffle), timeout_ns);
    do {
        status = fletch_writer_settle(writer, deadline_ns, error);
        if (status != FLETCH_OK)
            return status;
        status = fletch_writer_put(writer, partition, batch, error);
    } while (fletch_writer_waits_for_memory(writer, status, deadline_ns));
    return status;
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

/* ---- owners that wait for other things too ---- */

void fletch_shuffle_writer_sleep_on(struct fletch_shuffle_writer *writer,
                                    struct fletch_eventcount *eventcount)
{
    writer->seat->sleeper = eventcount;
    for (uint32_t i = 0; i < FLETCH_SEAT_OPERATIONS; i++)
        writer->seat->operations[i].sleeper = eventcount;
}

/* ---- event loops ---- */

enum fletch_status fletch_shuffle_writer_open_fd(struct fletch_shuffle_writer *writer, int *out_fd,
                                                 struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(writer->shuffle->transport, error);
    return status != FLETCH_OK ? status
                               : fletch_eventcount_open_fd(writer->seat->sleeper, out_fd, error);
}

bool fletch_shuffle_writer_arm(struct fletch_shuffle_writer *writer)
{
    FLETCH_ASSERT(!writer->is_armed);
    if (writer->state != FLETCH_WRITER_OPEN || writer->refusing != NULL ||
        !fletch_shuffle_is_own(writer->shuffle))
        return false;
    fletch_writer_ask(writer);
    writer->armed_key = fletch_eventcount_arm(writer->seat->sleeper);
    writer->is_armed = true;
    /* relaxed: who looks at it looks twice */
    fetch_add_relaxed(&writer->shuffle->written.writers_stuck, 1);
    bool may_sleep = writer->first_waiting != NULL && !fletch_writer_has_grant(writer) &&
                     !fletch_writer_waits_in_vain(writer) &&
                     !fletch_shuffle_is_cancelled(writer->shuffle);
    if (!may_sleep)
        fletch_shuffle_writer_disarm(writer);
    return may_sleep;
}

void fletch_shuffle_writer_disarm(struct fletch_shuffle_writer *writer)
{
    if (!writer->is_armed || !fletch_shuffle_is_own(writer->shuffle))
        return;
    writer->is_armed = false;
    fetch_sub_relaxed(&writer->shuffle->written.writers_stuck, 1); /* relaxed: as in arm */
    fletch_eventcount_disarm(writer->seat->sleeper, writer->armed_key);
    fletch_writer_give_up(writer);
}

/* ---- control ---- */

/* Sends what was written, by `*out_deadline_ns` at the latest. */
static enum fletch_status begin(struct fletch_shuffle_writer *writer, uint64_t timeout_ns,
                                uint64_t *out_deadline_ns, struct fletch_error *error)
{
    enum fletch_status status = fletch_writer_check(writer, error);
    if (status != FLETCH_OK)
        return status;
    *out_deadline_ns = fletch_writer_deadline(fletch_shuffle_now_ns(writer->shuffle), timeout_ns);
    return fletch_writer_flush_all(writer, *out_deadline_ns, error);
}

/* ---- barriers ---- */

static enum fletch_status check_barrier(const struct fletch_shuffle_writer *writer, uint64_t id,
                                        struct fletch_error *error)
{
    if (id == 0 || id < writer->barrier)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: barrier is %" PRIu64
                                ", expected more than %" PRIu64 ", the last one of producer %u",
                                id, writer->barrier, writer->producer);
    return FLETCH_OK;
}

static enum fletch_status refuse_barrier(struct fletch_shuffle_writer *writer, uint64_t id,
                                         struct fletch_error *error)
{
    enum fletch_status status = fletch_shuffle_check(writer->shuffle, error);
    if (status == FLETCH_OK && fletch_shuffle_has_lost(writer->shuffle)) {
        writer->refusing = &writer->shuffle->partitions[0]; /* any: all of them have failed */
        return fletch_writer_check_partitions(writer, error);
    }
    return status != FLETCH_OK
               ? status
               : fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                  "RESOURCE_EXHAUSTED: barrier %" PRIu64 " of producer %u waits "
                                  "for one of %u that are in flight in shuffle '%s'",
                                  id, writer->producer,
                                  writer->shuffle->specification.barrier_limit,
                                  writer->shuffle->specification.shown.text);
}

/* Tells the coordinator of a barrier, and waits for a slot. */
static enum fletch_status tell_barrier(struct fletch_shuffle_writer *writer, uint64_t id,
                                       uint64_t deadline_ns, struct fletch_error *error)
{
    struct fletch_control_operation *operation =
        fletch_writer_prepare(writer, FLETCH_SEAT_BARRIER, FLETCH_CONTROL_BARRIER);
    operation->barrier = id;
    fletch_control_submit(operation);
    if (!fletch_writer_await_answer(writer, operation, deadline_ns) &&
        fletch_control_give_up(operation))
        return refuse_barrier(writer, id, error);
    if (operation->status != FLETCH_OK && error != NULL)
        *error = operation->error;
    return operation->status;
}

static bool aligns_here(const struct fletch_shuffle_writer *writer)
{
    return fletch_placement_aligns(&writer->shuffle->specification.placement);
}

/* What is left to be done of a barrier. Once it is announced, rows that are written are behind it,
 * whatever comes of this call. */
static enum fletch_status finish_barrier(struct fletch_shuffle_writer *writer, uint64_t deadline_ns,
                                         struct fletch_error *error)
{
    const struct fletch_control_record control = {.kind = FLETCH_CONTROL_BARRIER,
                                                  .barrier = writer->barrier};
    struct fletch_writer_pending *pending = &writer->pending_barrier;
    enum fletch_status status = FLETCH_OK;
    if (pending->number == 0)
        status = fletch_writer_announce(writer, &control, &pending->number, error);
    if (status == FLETCH_OK && pending->is_local)
        status = tell_barrier(writer, writer->barrier, deadline_ns, error);
    if (status != FLETCH_OK)
        return status;
    pending->is_local = false;
    return fletch_writer_finish(writer, pending, deadline_ns, error);
}

enum fletch_status fletch_shuffle_writer_barrier(struct fletch_shuffle_writer *writer, uint64_t id,
                                                 uint64_t timeout_ns, struct fletch_error *error)
{
    uint64_t deadline_ns = 0;
    enum fletch_status status = check_barrier(writer, id, error);
    if (status == FLETCH_OK)
        status = fletch_writer_check_push(writer, "a barrier", error);
    if (status == FLETCH_OK)
        status = begin(writer, timeout_ns, &deadline_ns, error);
    if (status != FLETCH_OK)
        return status;
    if (id == writer->barrier && !writer->pending_barrier.is_there)
        return FLETCH_OK;
    if (fletch_writer_reaches_out(writer)) {
        if (id != writer->barrier)
            writer->pending_barrier =
                (struct fletch_writer_pending){.is_there = true, .is_local = aligns_here(writer)};
        writer->barrier = id;
        return finish_barrier(writer, deadline_ns, error);
    }
    status = tell_barrier(writer, id, deadline_ns, error);
    if (status == FLETCH_OK)
        writer->barrier = id;
    return status;
}

/* Tells the coordinator something that never has to wait. */
static enum fletch_status tell_here(struct fletch_shuffle_writer *writer,
                                    const struct fletch_control_record *control,
                                    struct fletch_error *error)
{
    struct fletch_control_operation *operation =
        fletch_writer_prepare(writer, FLETCH_SEAT_EVENT, control->kind);
    operation->barrier = control->barrier;
    operation->watermark = control->watermark;
    return fletch_writer_ask_for(writer, operation, error);
}

static bool is_pending(const struct fletch_writer_pending *pending,
                       const struct fletch_control_record *control)
{
    return pending->is_there && pending->kind == control->kind &&
           pending->watermark == control->watermark && pending->barrier == control->barrier;
}

/* Tells those who have partitions, here and elsewhere; or goes on with a call that did so. */
static enum fletch_status tell_all(struct fletch_shuffle_writer *writer,
                                   const struct fletch_control_record *control,
                                   uint64_t deadline_ns, struct fletch_error *error)
{
    struct fletch_writer_pending *pending = &writer->pending_event;
    enum fletch_status status = FLETCH_OK;
    if (!fletch_writer_reaches_out(writer))
        return tell_here(writer, control, error);
    if (!is_pending(pending, control))
        *pending = (struct fletch_writer_pending){.is_there = true,
                                                  .is_local = aligns_here(writer),
                                                  .kind = control->kind,
                                                  .watermark = control->watermark,
                                                  .barrier = control->barrier};
    if (pending->number == 0)
        status = fletch_writer_announce(writer, control, &pending->number, error);
    if (status == FLETCH_OK && pending->is_local)
        status = tell_here(writer, control, error);
    if (status != FLETCH_OK)
        return status;
    pending->is_local = false;
    return fletch_writer_finish(writer, pending, deadline_ns, error);
}

enum fletch_status fletch_shuffle_writer_abort_barrier(struct fletch_shuffle_writer *writer,
                                                       uint64_t id, struct fletch_error *error)
{
    const struct fletch_control_record control = {.kind = FLETCH_CONTROL_ABORT_BARRIER,
                                                  .barrier = id};
    enum fletch_status status = fletch_writer_check(writer, error);
    if (status == FLETCH_OK)
        status = fletch_writer_check_push(writer, "a barrier", error);
    if (status != FLETCH_OK)
        return status;
    uint64_t deadline_ns =
        fletch_writer_deadline(fletch_shuffle_now_ns(writer->shuffle), FLETCH_DEADLINE_DEFAULT);
    status = tell_all(writer, &control, deadline_ns, error);
    /* Others may not have heard of it, where this process has. */
    bool was_heard = status == FLETCH_NOT_FOUND && fletch_writer_reaches_out(writer) &&
                     aligns_here(writer) && writer->barrier >= id;
    return was_heard ? FLETCH_OK : status;
}

/* ---- event time ---- */

enum fletch_status fletch_shuffle_writer_watermark(struct fletch_shuffle_writer *writer,
                                                   int64_t watermark, uint64_t timeout_ns,
                                                   struct fletch_error *error)
{
    const struct fletch_control_record control = {.kind = FLETCH_CONTROL_WATERMARK,
                                                  .watermark = watermark};
    uint64_t deadline_ns = 0;
    enum fletch_status status = fletch_writer_check_push(writer, "a watermark", error);
    if (status == FLETCH_OK)
        status = begin(writer, timeout_ns, &deadline_ns, error);
    return status == FLETCH_OK ? tell_all(writer, &control, deadline_ns, error) : status;
}

enum fletch_status fletch_shuffle_writer_idle(struct fletch_shuffle_writer *writer,
                                              uint64_t timeout_ns, struct fletch_error *error)
{
    static const struct fletch_control_record control = {.kind = FLETCH_CONTROL_IDLE};
    uint64_t deadline_ns = 0;
    enum fletch_status status = fletch_writer_check_push(writer, "idleness", error);
    if (status == FLETCH_OK)
        status = begin(writer, timeout_ns, &deadline_ns, error);
    return status == FLETCH_OK ? tell_all(writer, &control, deadline_ns, error) : status;
}

/* ---- producers ---- */

/* Adds a producer to the coordinator's set: `wanted`, or with 0 the next one. */
static enum fletch_status add_here(struct fletch_shuffle_writer *writer, uint32_t wanted,
                                   uint32_t *out_producer, struct fletch_error *error)
{
    struct fletch_control_operation *operation =
        fletch_writer_prepare(writer, FLETCH_SEAT_EVENT, FLETCH_CONTROL_ADD_PRODUCER);
    operation->wanted_producer = wanted;
    enum fletch_status status = fletch_writer_ask_for(writer, operation, error);
    if (status == FLETCH_OK)
        *out_producer = operation->added_producer;
    return status;
}

/* Each process adds numbers of its own, so that two that add at a time do not take the same. */
static enum fletch_status add_own(struct fletch_shuffle_writer *writer, uint32_t *out_producer,
                                  struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &writer->shuffle->specification;
    enum fletch_status status = FLETCH_ALREADY_EXISTS;
    for (uint32_t n = specification->producer_count;
         n < specification->producer_limit && status == FLETCH_ALREADY_EXISTS; n++)
        if (fletch_placement_may_add(&specification->placement, n))
            status = add_here(writer, n, out_producer, error);
    if (status != FLETCH_ALREADY_EXISTS)
        return status;
    if (specification->producer_limit == specification->producer_count)
        return add_here(writer, 0, out_producer, error); /* which says why not */
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: of the %u producers of shuffle '%s' this process "
                            "may add no more",
                            specification->producer_limit, specification->shown.text);
}

enum fletch_status fletch_shuffle_writer_add_producer(struct fletch_shuffle_writer *writer,
                                                      uint32_t *out_producer,
                                                      struct fletch_error *error)
{
    struct fletch_control_record control = {.kind = FLETCH_CONTROL_ADD_PRODUCER};
    struct fletch_writer_pending *pending = &writer->pending_producer;
    uint64_t deadline_ns =
        fletch_writer_deadline(fletch_shuffle_now_ns(writer->shuffle), FLETCH_DEADLINE_DEFAULT);
    enum fletch_status status = fletch_writer_check(writer, error);
    if (status != FLETCH_OK)
        return status;
    if (!writer->shuffle->specification.placement.is_there)
        return add_here(writer, 0, out_producer, error);
    if (!pending->is_there) { /* or it was added by an earlier call, which others did not hear */
        status = add_own(writer, &control.added_producer, error);
        *pending = (struct fletch_writer_pending){.is_there = status == FLETCH_OK,
                                                  .producer = control.added_producer};
    }
    control.added_producer = pending->producer;
    if (status == FLETCH_OK && fletch_writer_reaches_out(writer) && pending->number == 0)
        status = fletch_writer_announce(writer, &control, &pending->number, error);
    if (status == FLETCH_OK)
        status = fletch_writer_finish(writer, pending, deadline_ns, error);
    if (status == FLETCH_OK)
        *out_producer = control.added_producer;
    return status;
}

/* ---- the end ---- */

/* Others first: what they refuse is no end here either. */
static enum fletch_status end_elsewhere(struct fletch_shuffle_writer *writer, uint64_t deadline_ns,
                                        struct fletch_error *error)
{
    struct fletch_error cause;
    enum fletch_status status = FLETCH_OK;
    if (writer->end_number == 0)
        status = fletch_writer_announce_end(writer, &writer->end_number, error);
    if (status != FLETCH_OK)
        return status;
    writer->state = FLETCH_WRITER_ENDING;
    status = fletch_writer_await_others(writer, writer->end_number, deadline_ns, &cause);
    if (status == FLETCH_OK)
        return FLETCH_OK;
    if (status == FLETCH_RESOURCE_EXHAUSTED) { /* nobody was told */
        writer->end_number = 0;
        writer->state = FLETCH_WRITER_OPEN;
    } else if (status != FLETCH_DEADLINE_EXCEEDED) {
        fletch_shuffle_writer_abort(writer, cause.message);
    }
    return fletch_error_set(error, status, "%s", cause.message);
}

static enum fletch_status begin_end(struct fletch_shuffle_writer *writer, uint64_t timeout_ns,
                                    uint64_t *out_deadline_ns, struct fletch_error *error)
{
    if (writer->state == FLETCH_WRITER_ENDING) { /* by an earlier call */
        *out_deadline_ns =
            fletch_writer_deadline(fletch_shuffle_now_ns(writer->shuffle), timeout_ns);
        return FLETCH_OK;
    }
    enum fletch_status status = begin(writer, timeout_ns, out_deadline_ns, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_writer_check_sums(writer, error);
    if (status != FLETCH_OK)
        fletch_shuffle_writer_abort(writer, "its sums differ");
    return status;
}

enum fletch_status fletch_shuffle_writer_end(struct fletch_shuffle_writer *writer,
                                             uint64_t timeout_ns, struct fletch_error *error)
{
    uint64_t deadline_ns = 0;
    enum fletch_status status = begin_end(writer, timeout_ns, &deadline_ns, error);
    if (status == FLETCH_OK && fletch_writer_reaches_out(writer))
        status = end_elsewhere(writer, deadline_ns, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_writer_ask_for(
        writer, fletch_writer_prepare(writer, FLETCH_SEAT_END, FLETCH_CONTROL_END), error);
    if (status == FLETCH_OK)
        writer->state = FLETCH_WRITER_ENDED;
    return status;
}

void fletch_shuffle_writer_abort(struct fletch_shuffle_writer *writer, const char *reason)
{
    bool may_abort = writer->state == FLETCH_WRITER_OPEN || writer->state == FLETCH_WRITER_ENDING;
    if (!may_abort || !fletch_shuffle_is_own(writer->shuffle))
        return;
    fletch_shuffle_writer_disarm(writer);
    fletch_writer_drop(writer);
    fletch_partition_writer_destroy(writer->partition_writer);
    writer->partition_writer = NULL;
    writer->state = FLETCH_WRITER_ABORTED;
    struct fletch_control_operation *operation = fletch_shuffle_seat_prepare_abort(
        writer->seat, fletch_shuffle_now_ns(writer->shuffle), reason);
    if (fletch_writer_reaches_out(writer)) {
        const struct fletch_control_record control = {.kind = FLETCH_CONTROL_ABORT,
                                                      .reason = operation->reason};
        uint64_t ignored;
        enum fletch_status status = fletch_writer_announce(writer, &control, &ignored, NULL);
        FLETCH_ASSERT(status == FLETCH_OK && "an abort wants no memory");
        (void)status;
    }
    fletch_control_submit(operation);
}
