#include "shuffle/shuffle_writer.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "partition/partition_writer.h"

/* ---- operations ---- */

/* Sleeps until `is_so` says so of the operation. False: the deadline came first, or the shuffle was
 * cancelled. */
static bool await(struct fletch_shuffle_writer *writer, struct fletch_control_operation *operation,
                  bool (*is_so)(struct fletch_control_operation *operation), uint64_t deadline_ns)
{
    struct fletch_eventcount *sleeper = &writer->seat->sleeper;
    while (!is_so(operation)) {
        uint64_t left_ns = fletch_transport_remaining_ns(writer->shuffle->transport, deadline_ns);
        uint32_t key = fletch_eventcount_prepare(sleeper);
        bool is_over = left_ns == 0 || (deadline_ns != FLETCH_NO_DEADLINE &&
                                        fletch_shuffle_is_cancelled(writer->shuffle));
        if (is_so(operation) || is_over)
            fletch_eventcount_cancel(sleeper);
        else
            fletch_eventcount_wait(sleeper, key, left_ns);
        if (is_over)
            return is_so(operation);
    }
    return true;
}

/* The operation, ready to be filled. Whoever still has it is about to let go of it. */
static struct fletch_control_operation *prepare(struct fletch_shuffle_writer *writer,
                                                enum fletch_seat_operation which,
                                                enum fletch_control_kind kind)
{
    struct fletch_control_operation *operation = &writer->seat->operations[which];
    await(writer, operation, fletch_control_is_free, FLETCH_NO_DEADLINE);
    operation->kind = kind;
    operation->producer = writer->producer;
    operation->now_ns = fletch_shuffle_now_ns(writer->shuffle);
    return operation;
}

/* The answer to one that never has to wait. */
static enum fletch_status ask(struct fletch_shuffle_writer *writer,
                              struct fletch_control_operation *operation,
                              struct fletch_error *error)
{
    fletch_control_submit(operation);
    await(writer, operation, fletch_control_is_done, FLETCH_NO_DEADLINE);
    if (operation->status != FLETCH_OK && error != NULL)
        *error = operation->error;
    return operation->status;
}

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
    return status != FLETCH_OK
               ? status
               : fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                  "RESOURCE_EXHAUSTED: barrier %" PRIu64 " of producer %u waits "
                                  "for one of %u that are in flight in shuffle \"%s\"",
                                  id, writer->producer,
                                  writer->shuffle->specification.barrier_limit,
                                  writer->shuffle->specification.name);
}

enum fletch_status fletch_shuffle_writer_barrier(struct fletch_shuffle_writer *writer, uint64_t id,
                                                 uint64_t timeout_ns, struct fletch_error *error)
{
    uint64_t deadline_ns = 0;
    enum fletch_status status = check_barrier(writer, id, error);
    if (status == FLETCH_OK)
        status = begin(writer, timeout_ns, &deadline_ns, error);
    if (status != FLETCH_OK || id == writer->barrier)
        return status;
    struct fletch_control_operation *operation =
        prepare(writer, FLETCH_SEAT_BARRIER, FLETCH_CONTROL_BARRIER);
    operation->barrier = id;
    fletch_control_submit(operation);
    if (!await(writer, operation, fletch_control_is_done, deadline_ns) &&
        fletch_control_give_up(operation))
        return refuse_barrier(writer, id, error);
    if (operation->status == FLETCH_OK)
        writer->barrier = id;
    else if (error != NULL)
        *error = operation->error;
    return operation->status;
}

enum fletch_status fletch_shuffle_writer_abort_barrier(struct fletch_shuffle_writer *writer,
                                                       uint64_t id, struct fletch_error *error)
{
    enum fletch_status status = fletch_writer_check(writer, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_control_operation *operation =
        prepare(writer, FLETCH_SEAT_EVENT, FLETCH_CONTROL_ABORT_BARRIER);
    operation->barrier = id;
    return ask(writer, operation, error);
}

/* ---- event time ---- */

enum fletch_status fletch_shuffle_writer_watermark(struct fletch_shuffle_writer *writer,
                                                   int64_t watermark, uint64_t timeout_ns,
                                                   struct fletch_error *error)
{
    uint64_t deadline_ns = 0;
    enum fletch_status status = begin(writer, timeout_ns, &deadline_ns, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_control_operation *operation =
        prepare(writer, FLETCH_SEAT_EVENT, FLETCH_CONTROL_WATERMARK);
    operation->watermark = watermark;
    return ask(writer, operation, error);
}

enum fletch_status fletch_shuffle_writer_idle(struct fletch_shuffle_writer *writer,
                                              uint64_t timeout_ns, struct fletch_error *error)
{
    uint64_t deadline_ns = 0;
    enum fletch_status status = begin(writer, timeout_ns, &deadline_ns, error);
    if (status != FLETCH_OK)
        return status;
    return ask(writer, prepare(writer, FLETCH_SEAT_EVENT, FLETCH_CONTROL_IDLE), error);
}

/* ---- producers ---- */

enum fletch_status fletch_shuffle_writer_add_producer(struct fletch_shuffle_writer *writer,
                                                      uint32_t *out_producer,
                                                      struct fletch_error *error)
{
    enum fletch_status status = fletch_writer_check(writer, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_control_operation *operation =
        prepare(writer, FLETCH_SEAT_EVENT, FLETCH_CONTROL_ADD_PRODUCER);
    status = ask(writer, operation, error);
    if (status == FLETCH_OK)
        *out_producer = operation->added_producer;
    return status;
}

/* What went out, over all channels. */
static struct fletch_channel_totals sum_channels(const struct fletch_shuffle_writer *writer)
{
    struct fletch_channel_totals gone = {0};
    for (uint32_t p = 0; p < writer->shuffle->specification.partitioner.partition_count; p++) {
        const struct fletch_channel *channel = writer->channels[p];
        if (channel == NULL)
            continue;
        gone.rows += channel->sent.rows;
        gone.key_sum += channel->sent.key_sum;
        gone.row_sum += channel->sent.row_sum;
    }
    return gone;
}

/* Whether the rows that went out are those that came in, as far as the level of sums tells. */
static enum fletch_status check_sums(struct fletch_shuffle_writer *writer,
                                     struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &writer->shuffle->specification;
    const struct fletch_channel_totals gone = sum_channels(writer);
    struct fletch_channel_totals taken = writer->taken;
    taken.key_sum += fletch_partition_writer_key_sum(writer->partition_writer);
    const char *what = NULL;
    if (specification->sums == FLETCH_SUMS_OFF)
        return FLETCH_OK;
    if (gone.rows != taken.rows)
        what = "rows";
    else if (specification->sums != FLETCH_SUMS_COUNTS && gone.key_sum != taken.key_sum)
        what = "sums of key hashes";
    else if (specification->sums == FLETCH_SUMS_ROWS && gone.row_sum != taken.row_sum)
        what = "sums of row hashes";
    if (what == NULL)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_DATA_LOSS,
                            "DATA_LOSS: %s of producer %u differ: %" PRIu64
                            " rows came in, %" PRIu64 " went out; key sums %016" PRIx64
                            " and %016" PRIx64 ", row sums %016" PRIx64 " and %016" PRIx64,
                            what, writer->producer, taken.rows, gone.rows, taken.key_sum,
                            gone.key_sum, taken.row_sum, gone.row_sum);
}

enum fletch_status fletch_shuffle_writer_end(struct fletch_shuffle_writer *writer,
                                             uint64_t timeout_ns, struct fletch_error *error)
{
    uint64_t deadline_ns = 0;
    enum fletch_status status = begin(writer, timeout_ns, &deadline_ns, error);
    if (status != FLETCH_OK)
        return status;
    status = check_sums(writer, error);
    if (status != FLETCH_OK) {
        fletch_shuffle_writer_abort(writer, "its sums differ");
        return status;
    }
    status = ask(writer, prepare(writer, FLETCH_SEAT_END, FLETCH_CONTROL_END), error);
    if (status == FLETCH_OK)
        writer->state = FLETCH_WRITER_ENDED;
    return status;
}

void fletch_shuffle_writer_abort(struct fletch_shuffle_writer *writer, const char *reason)
{
    if (writer->state != FLETCH_WRITER_OPEN)
        return;
    fletch_shuffle_writer_disarm(writer);
    fletch_writer_drop(writer);
    fletch_partition_writer_destroy(writer->partition_writer);
    writer->partition_writer = NULL;
    writer->state = FLETCH_WRITER_ABORTED;
    /* Its operation is used once, and so free. */
    struct fletch_control_operation *operation = &writer->seat->operations[FLETCH_SEAT_ABORT];
    operation->kind = FLETCH_CONTROL_ABORT;
    operation->now_ns = fletch_shuffle_now_ns(writer->shuffle);
    if (reason != NULL) {
        strncpy(writer->seat->abort_reason, reason, sizeof writer->seat->abort_reason - 1);
        operation->reason = writer->seat->abort_reason;
    }
    fletch_control_submit(operation);
}
