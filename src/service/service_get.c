#include "service/service_get.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/clock.h"
#include "base/status.h"
#include "service/service_plain.h"
#include "service/service_wait.h"
#include "shuffle/shuffle_reader.h"

enum { EVENT_TEXT_BYTES = 48 };

/* How soon to look again whether others have released what was delivered. */
#define LOOK_AGAIN_NS UINT64_C(5000000)

struct get {
    struct fletch_service *service;
    struct fletch_service_wait wait;
    struct fletch_shuffle *shuffle;
    struct fletch_shuffle_reader *reader;
    struct fletch_service_plain plain;
    uint32_t partition;
    bool wants_events;
    bool is_armed;
    bool has_ended;
    struct fletch_batch *batch;  /* to be written next; NULL: none */
    char text[EVENT_TEXT_BYTES]; /* that goes with it */
    uint64_t rows;
    uint64_t deadline_ns;
    uint64_t full_since_ns; /* 0: there was room */
    enum fletch_status status;
};

static struct fletch_buffer_cache *cache_of(const struct get *get)
{
    return get->wait.stream->options.loop_cache;
}

/* ---- the end ---- */

static void tell(struct get *get, enum fletch_service_notice_kind kind, const char *text)
{
    struct fletch_service_notice notice = {
        .kind = kind,
        .partition = get->partition,
        .rows = get->rows,
        .status = get->status,
        .text = text,
    };
    fletch_service_tell(get->service, get->wait.stream, get->shuffle, &notice);
}

/* What there is, whether a source was made of it or not. */
static void dismantle(struct get *get)
{
    fletch_service_wait_end(&get->wait);
    fletch_batch_release(cache_of(get), get->batch);
    fletch_shuffle_reader_close(get->reader);
    fletch_service_plain_end(&get->plain);
    fletch_shuffle_release(get->shuffle);
    fletch_block_release(get);
}

static void ended(void *context)
{
    struct get *get = context;
    if (!get->has_ended) {
        fletch_service_count(&get->service->counters.gets_broken, 1);
        if (get->status == FLETCH_OK)
            get->status = FLETCH_CANCELLED;
    }
    tell(get, FLETCH_NOTICE_GET_ENDED, get->has_ended ? "" : "it broke off");
    struct fletch_service *service = get->service;
    dismantle(get);
    fletch_service_uncount(&service->counters.gets_now);
}

static enum fletch_answer fail(struct get *get, enum fletch_status status)
{
    get->status = status;
    return FLETCH_CLOSED;
}

static void add_trailer(struct fletch_flight_stream *stream, const char *name, const char *value)
{
    const struct fletch_flight_header trailer = {name, value, strlen(value)};
    /* Who gets no memory for it hears the end all the same. */
    enum fletch_status status = fletch_flight_stream_add_trailer(stream, &trailer, NULL);
    (void)status;
}

static enum fletch_answer finish(struct get *get, const struct fletch_shuffle_event *event)
{
    static const char *const levels[] = {"keys", "keys", "rows", "counts", "off"};
    char rows[24];
    (void)snprintf(rows, sizeof rows, "%" PRIu64, event->rows);
    add_trailer(get->wait.stream, "fletch-rows", rows);
    add_trailer(get->wait.stream, "fletch-verified", levels[event->verified]);
    get->has_ended = true;
    return FLETCH_CLOSED;
}

/* ---- writing ---- */

static enum fletch_answer wait_for_client(struct get *get, uint64_t now_ns,
                                          struct fletch_error *error)
{
    uint64_t stall_ns = get->service->options.stall_timeout_ns;
    if (get->full_since_ns == 0)
        get->full_since_ns = now_ns;
    uint64_t until_ns = stall_ns == FLETCH_OFF ? FLETCH_NO_DEADLINE : get->full_since_ns + stall_ns;
    if (now_ns >= until_ns) {
        /* Words would wait behind what the client does not take. */
        fletch_flight_stream_cancel(get->wait.stream);
        return fail(get, fletch_error_set(error, FLETCH_CANCELLED,
                                          "CANCELLED: the client took nothing for %" PRIu64 " ms",
                                          stall_ns / 1000000));
    }
    fletch_service_wait_until(&get->wait,
                              until_ns < get->deadline_ns ? until_ns : get->deadline_ns);
    return FLETCH_EMPTY;
}

static enum fletch_answer write(struct get *get, uint64_t now_ns, struct fletch_error *error)
{
    const struct fletch_flight_output output = {.batch = get->batch,
                                                .app_metadata = {get->text, strlen(get->text)}};
    const enum fletch_answer answer =
        fletch_flight_stream_write(get->wait.stream, 0, &output, error);
    if (answer == FLETCH_FULL)
        return wait_for_client(get, now_ns, error);
    if (answer == FLETCH_CLOSED)
        return fail(get, error->status);
    const uint64_t rows = (uint64_t)fletch_batch_row_count(get->batch);
    fletch_batch_release(cache_of(get), get->batch);
    get->batch = NULL;
    get->full_since_ns = 0;
    get->rows += rows;
    fletch_service_count(&get->service->counters.rows_got, rows);
    return FLETCH_DONE;
}

/* ---- reading ---- */

static enum fletch_answer take_batch(struct get *get, struct fletch_batch *batch,
                                     struct fletch_error *error)
{
    enum fletch_status status =
        fletch_service_plain_take(&get->plain, batch, cache_of(get), &get->batch, error);
    get->text[0] = '\0';
    return status == FLETCH_OK ? FLETCH_DONE : fail(get, status);
}

static enum fletch_answer take(struct get *get, const struct fletch_shuffle_event *event,
                               struct fletch_error *error)
{
    switch (event->kind) {
    case FLETCH_EVENT_BATCH:
        return take_batch(get, event->batch, error);
    case FLETCH_EVENT_END:
        return finish(get, event);
    case FLETCH_EVENT_BARRIER:
        (void)snprintf(get->text, sizeof get->text, "{\"barrier\": %" PRIu64 "}", event->barrier);
        break;
    case FLETCH_EVENT_WATERMARK:
        (void)snprintf(get->text, sizeof get->text, "{\"watermark\": %" PRId64 "}",
                       event->watermark);
        break;
    }
    if (!get->wants_events)
        return FLETCH_DONE;
    enum fletch_status status =
        fletch_service_plain_empty(&get->plain, cache_of(get), &get->batch, error);
    return status == FLETCH_OK ? FLETCH_DONE : fail(get, status);
}

/* Nothing is there: sleeps until something may be, or the call's time is over. */
static enum fletch_answer sleep(struct get *get, uint64_t now_ns, bool is_blocked,
                                struct fletch_error *error)
{
    const uint64_t idle_ns = get->shuffle->specification.watermark_idle_ns;
    uint64_t until_ns = get->deadline_ns;
    if (now_ns >= until_ns) {
        struct fletch_shuffle_event event;
        bool has_event = false;
        enum fletch_status status =
            fletch_shuffle_reader_next(get->reader, 0, &event, &has_event, error);
        if (status == FLETCH_OK && has_event)
            return take(get, &event, error);
        return status == FLETCH_OK ? FLETCH_DONE : fail(get, status);
    }
    if (!is_blocked) {
        get->is_armed = fletch_shuffle_reader_arm(get->reader);
        if (!get->is_armed)
            return FLETCH_DONE;
    }
    if (is_blocked && now_ns + LOOK_AGAIN_NS < until_ns)
        until_ns = now_ns + LOOK_AGAIN_NS;
    if (idle_ns != 0 && now_ns + idle_ns < until_ns)
        until_ns = now_ns + idle_ns;
    fletch_service_wait_until(&get->wait, until_ns);
    return FLETCH_EMPTY;
}

static enum fletch_answer step(void *context, struct fletch_flight_stream *stream,
                               struct fletch_error *error)
{
    struct get *get = context;
    struct fletch_shuffle_event event;
    bool has_event = false, is_over = false;
    if (get->is_armed)
        fletch_shuffle_reader_disarm(get->reader);
    get->is_armed = false;
    /* Nothing more is taken for a client that is not there. */
    if (fletch_flight_stream_is_over(stream))
        return FLETCH_CLOSED;
    const uint64_t now_ns = fletch_clock_now_ns();
    if (get->batch != NULL)
        return write(get, now_ns, error);
    enum fletch_status status =
        fletch_shuffle_reader_look(get->reader, &event, &has_event, &is_over, error);
    if (status == FLETCH_OK && has_event)
        return take(get, &event, error);
    if (status == FLETCH_OK && !is_over)
        return sleep(get, now_ns, false, error);
    return status == FLETCH_RESOURCE_EXHAUSTED ? sleep(get, now_ns, true, error)
                                               : fail(get, status);
}

/* ---- the beginning ---- */

static enum fletch_status refuse_rest(const struct get *get, uint64_t rows,
                                      struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                            "CONSUMED: partition %u of shuffle '%s' was read in part, %" PRIu64
                            " rows, by who broke off",
                            get->partition, get->shuffle->specification.shown.text, rows);
}

/* A reader of a partition of which nothing is missing. */
static enum fletch_status open_reader(struct get *get, struct fletch_error *error)
{
    struct fletch_partition_statistics found = {.struct_size = sizeof found};
    const struct fletch_shuffle_reader_options options = {.struct_size = sizeof options,
                                                          .partitions = &get->partition,
                                                          .partition_count = 1,
                                                          .cache = cache_of(get)};
    int fd = -1;
    enum fletch_status status =
        fletch_shuffle_reader_open(get->shuffle, &options, &get->reader, error);
    if (status == FLETCH_OK)
        status = fletch_shuffle_partition_statistics(get->shuffle, get->partition, &found, error);
    if (status == FLETCH_OK && found.rows_read > 0 &&
        get->shuffle->specification.retention == FLETCH_RETENTION_NONE)
        status = refuse_rest(get, found.rows_read, error);
    if (status == FLETCH_OK)
        status = fletch_shuffle_reader_open_fd(get->reader, &fd, error);
    if (status == FLETCH_OK)
        status = fletch_service_wait_watch(&get->wait, fd, error);
    return status;
}

static enum fletch_status begin(struct get *get, struct fletch_error *error)
{
    struct fletch_flight_stream *stream = get->wait.stream;
    const struct fletch_flight_source source = {.step = step, .ended = ended, .context = get};
    uint64_t wants_events = 0;
    bool is_there = false;
    enum fletch_status status =
        fletch_service_header(stream, "fletch-events", &wants_events, &is_there, error);
    get->wants_events = is_there && wants_events != 0;
    if (status == FLETCH_OK)
        status = fletch_service_plain_start(&get->plain, stream, get->shuffle, error);
    if (status == FLETCH_OK)
        status = open_reader(get, error);
    if (status == FLETCH_OK)
        status = fletch_flight_stream_begin(stream, get->plain.schema, NULL, error);
    if (status == FLETCH_OK)
        status = fletch_flight_stream_pull(stream, &source, error);
    return status;
}

enum fletch_status fletch_service_get(struct fletch_service *service,
                                      struct fletch_flight_stream *stream,
                                      const struct fletch_service_target *target,
                                      struct fletch_error *error)
{
    struct get *get = fletch_block_allocate(&service->allocator, sizeof *get);
    if (get == NULL) {
        fletch_shuffle_release(target->shuffle);
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a get");
    }
    *get = (struct get){.service = service,
                        .shuffle = target->shuffle,
                        .partition = target->partition,
                        .deadline_ns = fletch_service_deadline_ns(stream)};
    fletch_service_wait_start(&get->wait, stream);
    enum fletch_status status =
        target->partition == FLETCH_TICKET_WHOLE
            ? fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                               "INVALID_ARGUMENT: a partition was expected: <partition>@%s",
                               get->shuffle->specification.shown.text)
            : begin(get, error);
    if (status != FLETCH_OK) {
        dismantle(get);
        return status;
    }
    fletch_service_count(&service->counters.gets, 1);
    fletch_service_count(&service->counters.gets_now, 1);
    tell(get, FLETCH_NOTICE_GET_BEGUN, "");
    return FLETCH_OK;
}
