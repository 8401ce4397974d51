#include "service/service_put.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/clock.h"
#include "base/status.h"
#include "service/service_create.h"
#include "service/service_producer.h"
#include "service/service_wait.h"
#include "shuffle/shuffle_writer.h"

enum { ANSWER_BYTES = 160 };

/* Answers on the way are not for every batch. */
#define ANSWER_EACH_NS UINT64_C(100000000)
/* While it waits for credit: whether it is time to spill, or the wait is over. */
#define LOOK_AGAIN_NS UINT64_C(20000000)
#define LOOK_FOR_MEMORY_NS UINT64_C(2000000)

struct put {
    struct fletch_service *service;
    struct fletch_service_wait wait;
    const struct fletch_flight_descriptor *descriptor;
    struct fletch_shuffle *shuffle; /* NULL: the schema has not come */
    struct fletch_shuffle_writer *writer;
    uint32_t partition;
    struct fletch_service_producer producer;
    struct fletch_batch *batch; /* to be written next; NULL: none */
    bool is_armed;              /* for credit */
    bool is_listening;          /* for a cancel alone */
    uint32_t listening_key;
    bool has_all;    /* the client has half-closed */
    bool is_checked; /* what has come is what was said */
    bool has_ended;
    uint64_t deadline_ns;
    uint64_t waiting_since_ns; /* for credit; 0: it does not */
    uint64_t answered_ns;
    enum fletch_status status;
    struct fletch_error waits_for;
};

static struct fletch_buffer_cache *cache_of(const struct put *put)
{
    return put->wait.stream->options.loop_cache;
}

/* ---- the end ---- */

static void tell(struct put *put, enum fletch_service_notice_kind kind, const char *text)
{
    struct fletch_service_notice notice = {
        .kind = kind,
        .producer = put->producer.producer,
        .partition = put->partition,
        .rows = put->producer.rows,
        .status = put->status,
        .text = text,
    };
    fletch_service_tell(put->service, put->wait.stream, put->shuffle, &notice);
}

static void stop_listening(struct put *put)
{
    if (put->is_listening)
        fletch_eventcount_disarm(put->writer->seat->sleeper, put->listening_key);
    put->is_listening = false;
}

static void dismantle(struct put *put)
{
    stop_listening(put);
    fletch_service_wait_end(&put->wait);
    fletch_batch_release(cache_of(put), put->batch);
    if (put->writer != NULL && !put->has_ended)
        fletch_shuffle_writer_abort(put->writer, put->status == FLETCH_OK ? "its call was cut off"
                                                                          : put->waits_for.message);
    fletch_shuffle_writer_close(put->writer);
    fletch_shuffle_release(put->shuffle);
    fletch_block_release(put);
}

static void ended(void *context)
{
    struct put *put = context;
    if (put->writer != NULL) {
        if (!put->has_ended)
            fletch_service_count(&put->service->counters.puts_lost, 1);
        tell(put, FLETCH_NOTICE_PUT_ENDED, put->has_ended ? "" : put->waits_for.message);
    }
    struct fletch_service *service = put->service;
    dismantle(put);
    fletch_service_uncount(&service->counters.puts_now);
}

/* Ends the call, and with it the producer, if it has not ended. */
static enum fletch_answer fail(struct put *put, const struct fletch_error *cause,
                               struct fletch_error *error)
{
    put->status = cause->status;
    put->waits_for = *cause;
    *error = *cause;
    return FLETCH_CLOSED;
}

/* ---- answers ---- */

/* FULL: there is no room for it just now. */
static enum fletch_answer answer(struct put *put, struct fletch_error *error)
{
    char text[ANSWER_BYTES];
    const int bytes = snprintf(
        text, sizeof text,
        "{\"producer\": %u, \"rows\": %" PRIu64 ", \"batches\": %" PRIu64 ", \"verified\": \"%s\"}",
        put->producer.producer, put->producer.rows, put->producer.batches,
        put->has_ended ? fletch_service_producer_level(&put->producer) : "off");
    const struct fletch_flight_bytes metadata = {text, (size_t)bytes};
    return fletch_flight_stream_send(put->wait.stream, FLETCH_FLIGHT_PUT_RESULT, &metadata, 0,
                                     error);
}

/* One on the way is left out where it finds no room: the next one tells more. */
static void answer_now_and_then(struct put *put, uint64_t now_ns)
{
    if (now_ns - put->answered_ns < ANSWER_EACH_NS)
        return;
    const enum fletch_answer result = answer(put, NULL);
    put->answered_ns = now_ns;
    (void)result;
}

/* ---- waiting for credit ---- */

static enum fletch_answer wait_for_credit(struct put *put, const struct fletch_error *cause,
                                          uint64_t now_ns, struct fletch_error *error)
{
    if (put->waiting_since_ns == 0)
        put->waiting_since_ns = now_ns;
    uint64_t until_ns = put->waiting_since_ns + put->service->options.credit_timeout_ns;
    if (put->deadline_ns < until_ns)
        until_ns = put->deadline_ns;
    if (now_ns >= until_ns)
        return fail(put, cause, error);
    put->is_armed = fletch_shuffle_writer_arm(put->writer);
    if (!put->is_armed && put->writer->first_waiting != NULL)
        return FLETCH_DONE;
    /* Not armed, and no frame waits: for memory, of which nobody tells. */
    const uint64_t look_ns = put->is_armed ? LOOK_AGAIN_NS : LOOK_FOR_MEMORY_NS;
    if (now_ns + look_ns < until_ns)
        until_ns = now_ns + look_ns;
    fletch_service_wait_until(&put->wait, until_ns);
    return FLETCH_EMPTY;
}

/* What a call of the writer says: goes on, waits, or is lost. */
static enum fletch_answer heed(struct put *put, enum fletch_status status,
                               const struct fletch_error *cause, struct fletch_error *error)
{
    /* Or for other processes, to have what is theirs: the same call goes on. */
    if (status == FLETCH_RESOURCE_EXHAUSTED || status == FLETCH_DEADLINE_EXCEEDED)
        return wait_for_credit(put, cause, fletch_clock_now_ns(), error);
    if (status != FLETCH_OK)
        return fail(put, cause, error);
    put->waiting_since_ns = 0;
    return FLETCH_DONE;
}

/* ---- writing ---- */

static enum fletch_answer write_batch(struct put *put, struct fletch_error *error)
{
    struct fletch_error cause;
    const enum fletch_status status =
        put->partition == FLETCH_TICKET_WHOLE
            ? fletch_shuffle_writer_write(put->writer, put->batch, 0, &cause)
            : fletch_shuffle_writer_put(put->writer, put->partition, put->batch, 0, &cause);
    if (status != FLETCH_OK)
        return heed(put, status, &cause, error);
    put->waiting_since_ns = 0;
    fletch_service_producer_count(&put->producer, put->batch);
    fletch_service_count(&put->service->counters.rows_put,
                         (uint64_t)fletch_batch_row_count(put->batch));
    fletch_batch_release(cache_of(put), put->batch);
    put->batch = NULL;
    answer_now_and_then(put, fletch_clock_now_ns());
    return FLETCH_DONE;
}

static enum fletch_answer finish(struct put *put, struct fletch_error *error)
{
    struct fletch_error cause;
    if (!put->has_ended) {
        enum fletch_status status = fletch_shuffle_writer_flush(put->writer, 0, &cause);
        if (status == FLETCH_OK && !put->is_checked) {
            status = fletch_service_producer_check(&put->producer, put->shuffle, &cause);
            put->is_checked = true;
        }
        if (status == FLETCH_OK)
            status = fletch_shuffle_writer_end(put->writer, 0, &cause);
        if (status != FLETCH_OK)
            return heed(put, status, &cause, error);
        put->has_ended = true;
    }
    const enum fletch_answer result = answer(put, &cause);
    if (result == FLETCH_FULL)
        return FLETCH_EMPTY; /* called again when there is room */
    return result == FLETCH_CLOSED ? fail(put, &cause, error) : FLETCH_CLOSED;
}

/* Nothing has come: rows that linger go when they are old enough, and what has no credit when it
 * gets some. */
static enum fletch_answer idle(struct put *put, struct fletch_error *error)
{
    struct fletch_error cause;
    const uint64_t now_ns = fletch_clock_now_ns();
    uint64_t until_ns = put->deadline_ns;
    const enum fletch_status status = fletch_shuffle_writer_poll(put->writer, now_ns, &cause);
    if (status != FLETCH_OK && status != FLETCH_RESOURCE_EXHAUSTED)
        return fail(put, &cause, error);
    if (now_ns >= until_ns)
        return fail(put,
                    &(struct fletch_error){FLETCH_DEADLINE_EXCEEDED,
                                           "DEADLINE_EXCEEDED: the put has not ended in time"},
                    error);
    if (put->writer->first_waiting != NULL) {
        put->is_armed = fletch_shuffle_writer_arm(put->writer);
        if (!put->is_armed)
            return FLETCH_DONE;
        if (now_ns + LOOK_AGAIN_NS < until_ns)
            until_ns = now_ns + LOOK_AGAIN_NS;
    } else {
        put->listening_key = fletch_eventcount_arm(put->writer->seat->sleeper);
        put->is_listening = true;
        if (fletch_shuffle_is_cancelled(put->shuffle))
            return FLETCH_DONE;
    }
    if (put->writer->look_ns != 0 && put->writer->look_ns < until_ns)
        until_ns = put->writer->look_ns;
    fletch_service_wait_until(&put->wait, until_ns);
    return FLETCH_EMPTY;
}

static enum fletch_answer read_next(struct put *put, struct fletch_error *error)
{
    struct fletch_flight_data data;
    struct fletch_error cause = {.status = FLETCH_OK};
    switch (fletch_flight_stream_read(put->wait.stream, 0, &data, &cause)) {
    case FLETCH_DONE:
        put->batch = data.batch; /* NULL: app metadata alone, which nobody looks at */
        return FLETCH_DONE;
    case FLETCH_CLOSED:
        put->has_all = cause.status == FLETCH_OK;
        return put->has_all ? FLETCH_DONE : fail(put, &cause, error);
    default:
        return idle(put, error);
    }
}

/* ---- the beginning ---- */

static enum fletch_status find(struct put *put, struct fletch_schema *schema,
                               struct fletch_error *error)
{
    struct fletch_shuffle_ticket ticket;
    struct fletch_service_target target;
    enum fletch_status status =
        fletch_service_read_descriptor(put->service, put->descriptor, &ticket, error);
    if (status != FLETCH_OK)
        return status;
    put->partition = ticket.partition;
    status = fletch_service_find(put->service, &ticket, &target, error);
    if (status == FLETCH_OK)
        put->shuffle = target.shuffle;
    if (status != FLETCH_NOT_FOUND || ticket.name.byte_count == 0 ||
        !fletch_service_may_create(put->service, put->wait.stream))
        return status;
    const struct fletch_service_first_put first = {put->wait.stream, ticket.name, schema};
    status = fletch_service_create_by_put(put->service, &first, &put->shuffle, error);
    if (status != FLETCH_OK || ticket.partition == FLETCH_TICKET_WHOLE)
        return status;
    /* Once more, for the partition's number. */
    fletch_shuffle_release(put->shuffle);
    put->shuffle = NULL;
    status = fletch_service_find(put->service, &ticket, &target, error);
    if (status == FLETCH_OK)
        put->shuffle = target.shuffle;
    return status;
}

static enum fletch_status compare(const struct put *put, const struct fletch_schema *schema,
                                  struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &put->shuffle->specification;
    struct fletch_error cause;
    const unsigned how =
        FLETCH_COMPARE_VALUE_TYPES | (specification->strict_schema ? FLETCH_COMPARE_METADATA : 0u);
    if (fletch_schema_compare(specification->schema, schema, how, &cause) == FLETCH_OK)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "INVALID_ARGUMENT: not the schema of shuffle '%s': %s",
                            specification->shown.text, cause.message);
}

static enum fletch_status open_writer(struct put *put, struct fletch_schema *schema,
                                      struct fletch_error *error)
{
    int fd = -1;
    enum fletch_status status = find(put, schema, error);
    if (status == FLETCH_OK)
        status = compare(put, schema, error);
    if (status == FLETCH_OK)
        status = fletch_service_producer_open(&put->producer, put->shuffle, cache_of(put),
                                              &put->writer, error);
    if (status == FLETCH_OK)
        status = fletch_shuffle_writer_open_fd(put->writer, &fd, error);
    if (status == FLETCH_OK)
        status = fletch_service_wait_watch(&put->wait, fd, error);
    return status;
}

/* The schema has come, or not yet. */
static enum fletch_answer begin(struct put *put, struct fletch_error *error)
{
    struct fletch_schema *schema = NULL;
    struct fletch_flight_data data;
    struct fletch_error cause = {.status = FLETCH_OK};
    enum fletch_answer result = fletch_flight_stream_schema(put->wait.stream, 0, &schema, &cause);
    /* Nothing is read before its schema is seen: what comes meanwhile may be the first batch. */
    if (result == FLETCH_EMPTY)
        return FLETCH_EMPTY;
    /* App metadata before the schema is passed over. */
    if (result == FLETCH_CLOSED && cause.status == FLETCH_FAILED_PRECONDITION &&
        fletch_flight_stream_read(put->wait.stream, 0, &data, &cause) == FLETCH_DONE)
        return FLETCH_DONE;
    if (result == FLETCH_CLOSED && cause.status == FLETCH_OK)
        (void)fletch_error_set(&cause, FLETCH_INVALID_ARGUMENT,
                               "INVALID_ARGUMENT: a put that ended without a schema");
    if (result == FLETCH_DONE && open_writer(put, schema, &cause) == FLETCH_OK) {
        tell(put, FLETCH_NOTICE_PUT_BEGUN, "");
        return FLETCH_DONE;
    }
    if (put->writer == NULL) {
        put->status = cause.status;
        tell(put, FLETCH_NOTICE_REFUSED, cause.message);
    }
    return fail(put, &cause, error);
}

static enum fletch_answer step(void *context, struct fletch_flight_stream *stream,
                               struct fletch_error *error)
{
    struct put *put = context;
    if (put->is_armed)
        fletch_shuffle_writer_disarm(put->writer);
    put->is_armed = false;
    stop_listening(put);
    if (put->writer == NULL)
        return begin(put, error);
    if (put->batch != NULL)
        return write_batch(put, error);
    if (put->has_all)
        return finish(put, error);
    (void)stream;
    return read_next(put, error);
}

enum fletch_status fletch_service_put(struct fletch_service *service,
                                      struct fletch_flight_stream *stream,
                                      const struct fletch_flight_descriptor *descriptor,
                                      struct fletch_error *error)
{
    struct put *put = fletch_block_allocate(&service->allocator, sizeof *put);
    if (put == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a put");
    *put = (struct put){.service = service,
                        .descriptor = descriptor,
                        .partition = FLETCH_TICKET_WHOLE,
                        .deadline_ns = fletch_service_deadline_ns(stream),
                        .answered_ns = fletch_clock_now_ns()};
    fletch_service_wait_start(&put->wait, stream);
    const struct fletch_flight_source source = {.step = step, .ended = ended, .context = put};
    enum fletch_status status = fletch_service_producer_read(stream, &put->producer, error);
    if (status == FLETCH_OK)
        status = fletch_flight_stream_pull(stream, &source, error);
    if (status != FLETCH_OK) {
        dismantle(put);
        return status;
    }
    fletch_service_count(&service->counters.puts, 1);
    fletch_service_count(&service->counters.puts_now, 1);
    return FLETCH_OK;
}
