#include "service/service_action.h"

#include <string.h>

#include <fletching/shuffle_writer.h>

#include "base/allocator.h"
#include "base/status.h"
#include "service/json_reader.h"
#include "service/service_create.h"
#include "service/service_report.h"
#include "service/service_scan.h"
#include "shuffle/producer_set.h"
#include "shuffle/specification_bytes.h"

/* What the bodies of actions but "create" may have. */
struct fields {
    struct fletch_service_body_name name;
    const char *reason;
    uint64_t producer;
};

#define NO_PRODUCER UINT64_MAX

enum { NAME_MEMBERS = 2 };
static const struct fletch_json_member members[] = {
    {"name", FLETCH_JSON_TEXT, offsetof(struct fields, name.name), 0},
    {"name_base64", FLETCH_JSON_TEXT, offsetof(struct fields, name.name_base64), 0},
    {"reason", FLETCH_JSON_TEXT, offsetof(struct fields, reason), 0},
    {"producer", FLETCH_JSON_NUMBER, offsetof(struct fields, producer), FLETCH_PRODUCERS_MAX - 1},
};
static const struct fletch_json_shape name_alone = {members, NAME_MEMBERS};
static const struct fletch_json_shape name_and_reason = {members, NAME_MEMBERS + 1};
static const struct fletch_json_member end_members[] = {
    {"name", FLETCH_JSON_TEXT, offsetof(struct fields, name.name), 0},
    {"name_base64", FLETCH_JSON_TEXT, offsetof(struct fields, name.name_base64), 0},
    {"producer", FLETCH_JSON_NUMBER, offsetof(struct fields, producer), FLETCH_PRODUCERS_MAX - 1},
};
static const struct fletch_json_shape name_and_producer = {end_members, sizeof end_members /
                                                                            sizeof end_members[0]};

/* An action of a client, and the shuffle that it is about. */
struct deed {
    struct fletch_service *service;
    struct fletch_flight_stream *stream;
    struct fletch_flight_bytes body;
    struct fields fields;
    struct fletch_shuffle *shuffle; /* NULL: the action finds none */
};

static enum fletch_status send(struct deed *deed, const char *text, struct fletch_error *error)
{
    const struct fletch_flight_bytes result = {text, strlen(text)};
    return fletch_flight_stream_send(deed->stream, FLETCH_FLIGHT_RESULT, &result, 0, error) ==
                   FLETCH_DONE
               ? FLETCH_OK
               : error->status;
}

static void tell(struct deed *deed, enum fletch_service_notice_kind kind, const char *text)
{
    struct fletch_service_notice notice = {
        .kind = kind, .partition = FLETCH_TICKET_WHOLE, .text = text};
    fletch_service_tell(deed->service, deed->stream, deed->shuffle, &notice);
}

static enum fletch_status send_report(struct deed *deed, struct fletch_error *error)
{
    char *report = fletch_service_report(deed->shuffle, true);
    if (report == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a report");
    enum fletch_status status = send(deed, report, error);
    fletch_block_release(report);
    return status;
}

/* ---- what there is ---- */

static enum fletch_status create(struct deed *deed, struct fletch_error *error)
{
    enum fletch_status status =
        fletch_service_create(deed->service, deed->body, &deed->shuffle, error);
    if (status != FLETCH_OK)
        return status;
    tell(deed, FLETCH_NOTICE_CREATED, "");
    return send_report(deed, error);
}

/* A producer that nobody has been ends without a row. */
static enum fletch_status end_producer(struct fletch_shuffle *shuffle, uint32_t producer,
                                       struct fletch_error *error)
{
    struct fletch_shuffle_writer *writer = NULL;
    if (shuffle->specification.placement.has_others)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "FAILED_PRECONDITION: partitions of shuffle '%s' are other "
                                "processes': its producers end where they write",
                                shuffle->specification.shown.text);
    enum fletch_status status = fletch_shuffle_writer_open(shuffle, producer, NULL, &writer, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_shuffle_writer_end(writer, 0, error);
    fletch_shuffle_writer_close(writer);
    return status;
}

static enum fletch_status end_rest(struct fletch_shuffle *shuffle, struct fletch_error *error)
{
    uint32_t producer = 0;
    enum fletch_status status = FLETCH_OK;
    if (shuffle->specification.hold_open)
        return fletch_shuffle_seal(shuffle, error);
    while (status == FLETCH_OK || status == FLETCH_ALREADY_EXISTS) {
        producer = fletch_producer_set_find_free(shuffle, producer);
        if (producer == UINT32_MAX)
            return FLETCH_OK;
        status = end_producer(shuffle, producer, error);
    }
    return status;
}

static enum fletch_status end(struct deed *deed, struct fletch_error *error)
{
    enum fletch_status status =
        deed->fields.producer == NO_PRODUCER
            ? end_rest(deed->shuffle, error)
            : end_producer(deed->shuffle, (uint32_t)deed->fields.producer, error);
    return status == FLETCH_OK ? send(deed, "{}", error) : status;
}

static enum fletch_status cancel(struct deed *deed, struct fletch_error *error)
{
    fletch_shuffle_cancel(deed->shuffle, deed->fields.reason);
    tell(deed, FLETCH_NOTICE_CANCELLED, deed->fields.reason);
    return send(deed, "{}", error);
}

static enum fletch_status drop(struct deed *deed, struct fletch_error *error)
{
    fletch_shuffle_close(deed->shuffle);
    tell(deed, FLETCH_NOTICE_DROPPED, "");
    return send(deed, "{}", error);
}

static enum fletch_answer send_brief(const struct fletch_service *service,
                                     struct fletch_flight_stream *stream,
                                     struct fletch_shuffle *shuffle, struct fletch_error *error)
{
    char *report = fletch_service_report(shuffle, false);
    (void)service;
    if (report == NULL) {
        (void)fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                               "RESOURCE_EXHAUSTED: no memory for a report");
        return FLETCH_CLOSED;
    }
    const struct fletch_flight_bytes result = {report, strlen(report)};
    const enum fletch_answer answer =
        fletch_flight_stream_send(stream, FLETCH_FLIGHT_RESULT, &result, 0, error);
    fletch_block_release(report);
    return answer;
}

static enum fletch_status report(struct deed *deed, struct fletch_error *error)
{
    const struct fletch_service_scan_options options = {.send = send_brief};
    return deed->shuffle != NULL
               ? send_report(deed, error)
               : fletch_service_scan(deed->service, deed->stream, &options, error);
}

static enum fletch_status describe(struct deed *deed, struct fletch_error *error)
{
    struct fletch_specification_bytes bytes;
    enum fletch_status status = fletch_specification_write(deed->shuffle, &bytes, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_flight_bytes result = {bytes.bytes, bytes.count};
    if (fletch_flight_stream_send(deed->stream, FLETCH_FLIGHT_RESULT, &result, 0, error) !=
        FLETCH_DONE)
        status = error->status;
    fletch_specification_bytes_free(&bytes);
    return status;
}

static const struct kind {
    const char *type;
    const char *description;
    const struct fletch_json_shape *shape; /* NULL: the action reads its body itself */
    bool may_name_none;
    enum fletch_status (*run)(struct deed *deed, struct fletch_error *error);
} kinds[] = {
    {"create",
     "registers a shuffle: JSON with name, schema (base64 of an IPC schema message), partitions, "
     "keys, producers or open, and more",
     NULL, false, create},
    {"end",
     "no more producers come, or one that was never opened ends: JSON with name, perhaps producer",
     &name_and_producer, false, end},
    {"cancel", "ends a shuffle for everybody: JSON with name, perhaps reason", &name_and_reason,
     false, cancel},
    {"drop", "lets go of a shuffle and its name: JSON with name", &name_alone, false, drop},
    {"report", "what is known of a shuffle, or in short of all: JSON with name, or none",
     &name_alone, true, report},
    {"describe", "the specification of a shuffle, for processes of this library: JSON with name",
     &name_alone, false, describe},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- the methods ---- */

static enum fletch_status find(struct deed *deed, const struct kind *kind,
                               struct fletch_error *error)
{
    struct fletch_shuffle_name name;
    if (kind->may_name_none && deed->fields.name.name == NULL &&
        deed->fields.name.name_base64 == NULL)
        return FLETCH_OK;
    enum fletch_status status = fletch_service_body_name(&deed->fields.name, &name, error);
    return status == FLETCH_OK
               ? fletch_shuffle_find(deed->service->transport, name, 0, &deed->shuffle, error)
               : status;
}

static enum fletch_status run(struct deed *deed, const struct kind *kind,
                              struct fletch_error *error)
{
    struct json_t *document = NULL;
    enum fletch_status status = FLETCH_OK;
    if (kind->shape != NULL) {
        status = fletch_json_read(deed->body, kind->shape, &deed->fields, &document, error);
        if (status == FLETCH_OK)
            status = find(deed, kind, error);
    }
    if (status == FLETCH_OK)
        status = kind->run(deed, error);
    fletch_json_release(document);
    fletch_shuffle_release(deed->shuffle);
    return status;
}

enum fletch_status fletch_service_act(struct fletch_service *service,
                                      struct fletch_flight_stream *stream,
                                      const struct fletch_flight_action *action,
                                      struct fletch_error *error)
{
    struct deed deed = {.service = service,
                        .stream = stream,
                        .body = action->body,
                        .fields = {.producer = NO_PRODUCER}};
    fletch_service_count(&service->counters.actions, 1);
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(action->type, kinds[i].type) == 0)
            return run(&deed, &kinds[i], error);
    return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                            "UNIMPLEMENTED: there is no action '%.64s'", action->type);
}

enum fletch_status fletch_service_list_actions(struct fletch_flight_stream *stream,
                                               struct fletch_error *error)
{
    for (size_t i = 0; i < KINDS; i++) {
        const struct fletch_flight_action_type type = {kinds[i].type, kinds[i].description};
        if (fletch_flight_stream_send(stream, FLETCH_FLIGHT_ACTION_TYPE, &type, 0, error) !=
            FLETCH_DONE)
            return error->status;
    }
    return FLETCH_OK;
}
