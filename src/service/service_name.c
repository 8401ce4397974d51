#include "service/service_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "shuffle/registry.h"

/* ---- tickets ---- */

static bool is_name(size_t bytes)
{
    return bytes > 0 && bytes <= FLETCH_SHUFFLE_NAME_BYTES_MAX;
}

/* `<partition>@<name>` or `@<name>`. */
static bool read_own(const struct fletch_flight_bytes *bytes,
                     struct fletch_shuffle_ticket *out_ticket)
{
    const char *text = bytes->data;
    uint64_t partition = FLETCH_TICKET_WHOLE;
    const char *at = bytes->bytes == 0 ? NULL : memchr(text, '@', bytes->bytes);
    if (at == NULL || !is_name(bytes->bytes - (size_t)(at - text) - 1))
        return false;
    if (at != text &&
        !fletch_service_number(text, (size_t)(at - text), FLETCH_TICKET_WHOLE - 1, &partition))
        return false;
    *out_ticket = (struct fletch_shuffle_ticket){
        .name = {at + 1, bytes->bytes - (size_t)(at - text) - 1},
        .partition = (uint32_t)partition,
    };
    return true;
}

bool fletch_ticket_read_hash(void *context, const struct fletch_flight_bytes *ticket,
                             struct fletch_shuffle_ticket *out_ticket)
{
    const char *text = ticket->data;
    const char *at = ticket->bytes == 0 ? NULL : memchr(text, ':', ticket->bytes);
    uint64_t hash, partition;
    (void)context;
    if (at == NULL || !fletch_service_number(text, (size_t)(at - text), UINT64_MAX, &hash) ||
        !fletch_service_number(at + 1, ticket->bytes - (size_t)(at - text) - 1,
                               FLETCH_TICKET_WHOLE - 1, &partition))
        return false;
    *out_ticket = (struct fletch_shuffle_ticket){.hash = hash, .partition = (uint32_t)partition};
    return true;
}

enum fletch_status fletch_service_read_ticket(const struct fletch_service *service,
                                              const struct fletch_flight_bytes *bytes,
                                              struct fletch_shuffle_ticket *out_ticket,
                                              struct fletch_error *error)
{
    if (read_own(bytes, out_ticket))
        return FLETCH_OK;
    for (size_t i = 0; i < service->options.dialect_count; i++) {
        const struct fletch_ticket_dialect *dialect = &service->options.dialects[i];
        if (dialect->read(dialect->context, bytes, out_ticket))
            return FLETCH_OK;
    }
    struct fletch_name_text shown = fletch_name_show(
        bytes->data, bytes->bytes < FLETCH_SHUFFLE_NAME_BYTES_MAX ? bytes->bytes
                                                                  : FLETCH_SHUFFLE_NAME_BYTES_MAX);
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "INVALID_ARGUMENT: '%s' names no shuffle: <partition>@<name> was "
                            "expected",
                            shown.text);
}

static enum fletch_status read_path(const struct fletch_flight_descriptor *descriptor,
                                    struct fletch_shuffle_ticket *out_ticket,
                                    struct fletch_error *error)
{
    const char *const *path = descriptor->path;
    uint64_t partition = FLETCH_TICKET_WHOLE;
    if (descriptor->path_count == 0 || descriptor->path_count > 2)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a path of %zu parts, expected [shuffle] or "
                                "[shuffle, partition]",
                                descriptor->path_count);
    if (!is_name(strlen(path[0])))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: a name of %zu bytes, expected 1 to %u",
                                strlen(path[0]), FLETCH_SHUFFLE_NAME_BYTES_MAX);
    if (descriptor->path_count == 2 &&
        !fletch_service_number(path[1], strlen(path[1]), FLETCH_TICKET_WHOLE - 1, &partition))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: partition is '%.64s', expected a number",
                                path[1]);
    *out_ticket = (struct fletch_shuffle_ticket){.name = {path[0], strlen(path[0])},
                                                 .partition = (uint32_t)partition};
    return FLETCH_OK;
}

enum fletch_status fletch_service_read_descriptor(const struct fletch_service *service,
                                                  const struct fletch_flight_descriptor *descriptor,
                                                  struct fletch_shuffle_ticket *out_ticket,
                                                  struct fletch_error *error)
{
    if (descriptor->type == FLETCH_FLIGHT_DESCRIPTOR_PATH)
        return read_path(descriptor, out_ticket, error);
    return fletch_service_read_ticket(service, &descriptor->command, out_ticket, error);
}

/* ---- shuffles ---- */

static enum fletch_status find_hash(const struct fletch_service *service, uint64_t hash,
                                    struct fletch_shuffle **out_shuffle, struct fletch_error *error)
{
    uint32_t count = 0;
    struct fletch_epoch_seat *seat = fletch_transport_borrow_seat(service->transport, error);
    if (seat == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    struct fletch_shuffle *found =
        fletch_registry_find_hash(service->transport, seat->reader, hash, &count);
    fletch_transport_return_seat(service->transport, seat);
    if (count == 1) {
        *out_shuffle = found;
        return FLETCH_OK;
    }
    fletch_shuffle_release(found);
    return count == 0 ? fletch_error_set(error, FLETCH_NOT_FOUND,
                                         "UNKNOWN: no shuffle has the hash %" PRIu64, hash)
                      : fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                         "INVALID_ARGUMENT: ambiguous: %u shuffles have the hash "
                                         "%" PRIu64,
                                         count, hash);
}

enum fletch_status fletch_service_find(const struct fletch_service *service,
                                       const struct fletch_shuffle_ticket *ticket,
                                       struct fletch_service_target *out_target,
                                       struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = NULL;
    enum fletch_status status =
        ticket->name.byte_count == 0
            ? find_hash(service, ticket->hash, &shuffle, error)
            : fletch_shuffle_find(service->transport, ticket->name, 0, &shuffle, error);
    if (status != FLETCH_OK)
        return status;
    uint32_t count = fletch_shuffle_partition_count(shuffle);
    if (ticket->partition != FLETCH_TICKET_WHOLE && ticket->partition >= count) {
        status = fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                  "OUT_OF_RANGE: partition %u of shuffle '%s' was asked for, it "
                                  "has %u",
                                  ticket->partition, shuffle->specification.shown.text, count);
        fletch_shuffle_release(shuffle);
        return status;
    }
    *out_target = (struct fletch_service_target){shuffle, ticket->partition};
    return FLETCH_OK;
}

size_t fletch_service_write_ticket(const struct fletch_shuffle *shuffle, uint32_t partition,
                                   char out_ticket[FLETCH_SERVICE_TICKET_BYTES])
{
    const struct fletch_shuffle_specification *specification = &shuffle->specification;
    size_t bytes = 0;
    if (partition != FLETCH_TICKET_WHOLE)
        bytes = (size_t)snprintf(out_ticket, FLETCH_SERVICE_TICKET_BYTES, "%u", partition);
    out_ticket[bytes++] = '@';
    memcpy(out_ticket + bytes, specification->name, specification->name_bytes);
    return bytes + specification->name_bytes;
}
