#include "service/service_info.h"

#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "service/service_plain.h"
#include "service/service_report.h"
#include "service/service_scan.h"
#include "shuffle/coordinator.h"

enum { STATE_BYTES = 40, PATH_PARTS = 2, NUMBER_BYTES = 12 };

/* An info in the making, with all that it points to. */
struct draft {
    struct fletch_flight_info info;
    struct fletch_service_plain plain;
    const char *locations[1];
    const char *path[PATH_PARTS];
    char name[FLETCH_SHUFFLE_NAME_BYTES_MAX + 1];
    char number[NUMBER_BYTES];
    char command[FLETCH_SERVICE_TICKET_BYTES];
    char state[FLETCH_SERVICE_STATE_BYTES];
    struct fletch_flight_endpoint *endpoints; /* one block with their texts */
    struct endpoint_text *texts;
};

struct endpoint_text {
    char ticket[FLETCH_SERVICE_TICKET_BYTES];
    char state[STATE_BYTES];
};

/* ---- parts ---- */

/* A path where the name is text, or else a command. */
static void set_descriptor(struct draft *draft, const struct fletch_service_target *target)
{
    const struct fletch_shuffle_specification *specification = &target->shuffle->specification;
    struct fletch_flight_descriptor *descriptor = &draft->info.descriptor;
    /* What messages show as it is has no bytes that no text has. */
    if (strlen(specification->shown.text) == specification->name_bytes &&
        memcmp(specification->shown.text, specification->name, specification->name_bytes) == 0) {
        memcpy(draft->name, specification->name, specification->name_bytes);
        (void)snprintf(draft->number, sizeof draft->number, "%u", target->partition);
        draft->path[0] = draft->name;
        draft->path[1] = draft->number;
        descriptor->type = FLETCH_FLIGHT_DESCRIPTOR_PATH;
        descriptor->path = draft->path;
        descriptor->path_count = target->partition == FLETCH_TICKET_WHOLE ? 1 : PATH_PARTS;
        return;
    }
    descriptor->type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND;
    descriptor->command.data = draft->command;
    descriptor->command.bytes =
        fletch_service_write_ticket(target->shuffle, target->partition, draft->command);
}

static void set_endpoint(struct draft *draft, const struct fletch_service_target *target,
                         uint32_t partition, struct fletch_flight_endpoint *endpoint)
{
    struct endpoint_text *text = &draft->texts[draft->info.endpoint_count++];
    struct fletch_partition_statistics found = {.struct_size = sizeof found};
    /* Partitions below the count are there. */
    enum fletch_status status =
        fletch_shuffle_partition_statistics(target->shuffle, partition, &found, NULL);
    (void)status;
    (void)snprintf(text->state, sizeof text->state, "{\"state\": \"%s\"}",
                   fletch_service_partition_state(found.state));
    *endpoint = (struct fletch_flight_endpoint){
        .ticket = {text->ticket,
                   fletch_service_write_ticket(target->shuffle, partition, text->ticket)},
        .locations = draft->locations,
        .location_count = draft->locations[0] == NULL ? 0 : 1,
        .app_metadata = {text->state, strlen(text->state)},
    };
}

/* How many rows there are, once that is known. */
static void set_totals(struct draft *draft, struct fletch_shuffle *shuffle, uint32_t partition)
{
    struct fletch_exchange_statistics all = {.struct_size = sizeof all};
    struct fletch_partition_statistics one = {.struct_size = sizeof one};
    draft->info.total_records = -1;
    draft->info.total_bytes = -1;
    /* shuffle E2 acquire */
    if (load_acquire(&shuffle->outcome) != FLETCH_OUTCOME_COMPLETE)
        return;
    fletch_shuffle_statistics(shuffle, &all);
    draft->info.total_records = (int64_t)all.rows_sent;
    draft->info.total_bytes = (int64_t)all.bytes_sent;
    if (partition == FLETCH_TICKET_WHOLE ||
        fletch_shuffle_partition_statistics(shuffle, partition, &one, NULL) != FLETCH_OK)
        return;
    draft->info.total_records = (int64_t)one.rows;
    draft->info.total_bytes = (int64_t)one.bytes;
}

/* The word of a state, without its reason. */
static void set_state(struct draft *draft, const struct fletch_shuffle *shuffle)
{
    char state[FLETCH_SERVICE_STATE_BYTES];
    fletch_service_state(shuffle, state);
    (void)snprintf(draft->state, sizeof draft->state, "{\"state\": \"%.*s\"}",
                   (int)strcspn(state, ":"), state);
    draft->info.app_metadata = (struct fletch_flight_bytes){draft->state, strlen(draft->state)};
}

/* ---- drafts ---- */

static void end_draft(struct draft *draft)
{
    fletch_service_plain_end(&draft->plain);
    if (draft->endpoints != NULL)
        fletch_block_release(draft->endpoints);
    fletch_block_release(draft);
}

static enum fletch_status refuse_memory(uint32_t count, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory for an info of %u endpoints", count);
}

static enum fletch_status make_draft(const struct fletch_service *service,
                                     const struct fletch_flight_stream *stream,
                                     const struct fletch_service_target *target,
                                     struct draft **out_draft, struct fletch_error *error)
{
    const bool is_whole = target->partition == FLETCH_TICKET_WHOLE;
    const uint32_t count = is_whole ? fletch_shuffle_partition_count(target->shuffle) : 1;
    struct draft *draft = fletch_block_allocate(&service->allocator, sizeof *draft);
    if (draft == NULL)
        return refuse_memory(count, error);
    memset(draft, 0, sizeof *draft);
    const size_t endpoint_bytes = count * sizeof(struct fletch_flight_endpoint);
    draft->endpoints =
        fletch_block_allocate(&service->allocator, endpoint_bytes + count * sizeof draft->texts[0]);
    draft->texts = (struct endpoint_text *)(void *)((char *)draft->endpoints + endpoint_bytes);
    enum fletch_status status =
        draft->endpoints == NULL
            ? refuse_memory(count, error)
            : fletch_service_plain_start(&draft->plain, stream, target->shuffle, error);
    if (status != FLETCH_OK) {
        end_draft(draft);
        return status;
    }
    draft->locations[0] = service->options.public_location;
    draft->info.schema = draft->plain.schema;
    draft->info.endpoints = draft->endpoints;
    set_descriptor(draft, target);
    set_totals(draft, target->shuffle, target->partition);
    set_state(draft, target->shuffle);
    for (uint32_t i = 0; i < count; i++)
        set_endpoint(draft, target, is_whole ? i : target->partition, &draft->endpoints[i]);
    *out_draft = draft;
    return FLETCH_OK;
}

/* ---- the methods ---- */

static enum fletch_status find(const struct fletch_service *service,
                               const struct fletch_flight_descriptor *descriptor,
                               struct fletch_service_target *out_target, struct fletch_error *error)
{
    struct fletch_shuffle_ticket ticket;
    enum fletch_status status = fletch_service_read_descriptor(service, descriptor, &ticket, error);
    return status == FLETCH_OK ? fletch_service_find(service, &ticket, out_target, error) : status;
}

/* The first message of a call finds room. */
static enum fletch_status send(struct fletch_flight_stream *stream, enum fletch_flight_message kind,
                               const void *message, struct fletch_error *error)
{
    return fletch_flight_stream_send(stream, kind, message, 0, error) == FLETCH_DONE
               ? FLETCH_OK
               : error->status;
}

enum fletch_status fletch_service_info(const struct fletch_service *service,
                                       struct fletch_flight_stream *stream,
                                       const struct fletch_flight_descriptor *descriptor,
                                       struct fletch_error *error)
{
    struct fletch_service_target target;
    struct draft *draft = NULL;
    enum fletch_status status = find(service, descriptor, &target, error);
    if (status != FLETCH_OK)
        return status;
    status = make_draft(service, stream, &target, &draft, error);
    if (status == FLETCH_OK) {
        status = send(stream, FLETCH_FLIGHT_INFO, &draft->info, error);
        end_draft(draft);
    }
    fletch_shuffle_release(target.shuffle);
    return status;
}

/* OK, or what has become of the shuffle, so that it will never be complete. */
static enum fletch_status check(const struct fletch_service_target *target,
                                struct fletch_error *error)
{
    enum fletch_status status = fletch_shuffle_check(target->shuffle, error);
    if (status == FLETCH_OK && fletch_shuffle_has_lost(target->shuffle))
        status = fletch_shuffle_tell_lost(
            target->shuffle, target->partition == FLETCH_TICKET_WHOLE ? 0 : target->partition,
            error);
    return status;
}

static enum fletch_status poll(const struct fletch_service *service,
                               struct fletch_flight_stream *stream,
                               const struct fletch_service_target *target,
                               struct fletch_error *error)
{
    struct fletch_coordinator_statistics producers;
    struct draft *draft = NULL;
    enum fletch_status status = check(target, error);
    if (status == FLETCH_OK)
        status = make_draft(service, stream, target, &draft, error);
    if (status != FLETCH_OK)
        return status;
    fletch_coordinator_statistics(target->shuffle->coordinator, &producers);
    struct fletch_flight_poll_info answer = {
        .info = &draft->info,
        .has_progress = true,
        .progress = (double)producers.producers_ended / producers.producers,
    };
    if (producers.producers_ended < producers.producers)
        answer.descriptor = draft->info.descriptor;
    status = send(stream, FLETCH_FLIGHT_POLL_INFO, &answer, error);
    end_draft(draft);
    return status;
}

enum fletch_status fletch_service_poll(const struct fletch_service *service,
                                       struct fletch_flight_stream *stream,
                                       const struct fletch_flight_descriptor *descriptor,
                                       struct fletch_error *error)
{
    struct fletch_service_target target;
    enum fletch_status status = find(service, descriptor, &target, error);
    if (status != FLETCH_OK)
        return status;
    status = poll(service, stream, &target, error);
    fletch_shuffle_release(target.shuffle);
    return status;
}

enum fletch_status fletch_service_schema(const struct fletch_service *service,
                                         struct fletch_flight_stream *stream,
                                         const struct fletch_flight_descriptor *descriptor,
                                         struct fletch_error *error)
{
    struct fletch_service_target target;
    struct fletch_service_plain plain = {.schema = NULL};
    enum fletch_status status = find(service, descriptor, &target, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_service_plain_start(&plain, stream, target.shuffle, error);
    const struct fletch_flight_schema_result result = {.schema = plain.schema};
    if (status == FLETCH_OK)
        status = send(stream, FLETCH_FLIGHT_SCHEMA_RESULT, &result, error);
    fletch_service_plain_end(&plain);
    fletch_shuffle_release(target.shuffle);
    return status;
}

static enum fletch_answer send_info(const struct fletch_service *service,
                                    struct fletch_flight_stream *stream,
                                    struct fletch_shuffle *shuffle, struct fletch_error *error)
{
    const struct fletch_service_target target = {shuffle, FLETCH_TICKET_WHOLE};
    struct draft *draft = NULL;
    if (make_draft(service, stream, &target, &draft, error) != FLETCH_OK)
        return FLETCH_CLOSED;
    const enum fletch_answer answer =
        fletch_flight_stream_send(stream, FLETCH_FLIGHT_INFO, &draft->info, 0, error);
    end_draft(draft);
    return answer;
}

enum fletch_status fletch_service_list(const struct fletch_service *service,
                                       struct fletch_flight_stream *stream,
                                       const struct fletch_flight_bytes *criteria,
                                       struct fletch_error *error)
{
    const struct fletch_service_scan_options options = {.prefix = *criteria, .send = send_info};
    return fletch_service_scan(service, stream, &options, error);
}
