#include "flight/flight_headers.h"

#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "grpc/grpc_fields.h"

static bool is_binary(const char *name, size_t bytes)
{
    return bytes > 4 && memcmp(name + bytes - 4, "-bin", 4) == 0;
}

/* ---- what came ---- */

/* Writes name and value to `to`, with a NUL each. False: it is left out. */
static bool copy_field(const struct fletch_http2_field *field, uint8_t *to,
                       struct fletch_flight_header *out_header)
{
    size_t bytes = field->value_bytes;
    if (field->name_bytes == 0 || field->name[0] == ':')
        return false;
    memcpy(to, field->name, field->name_bytes);
    to[field->name_bytes] = 0;
    uint8_t *value = to + field->name_bytes + 1;
    if (!is_binary(field->name, field->name_bytes))
        memcpy(value, field->value, bytes);
    else if (!fletch_grpc_field_decode(field, value, &bytes))
        return false;
    value[bytes] = 0;
    *out_header = (struct fletch_flight_header){(const char *)to, value, bytes};
    return true;
}

enum fletch_status fletch_flight_headers_copy(const struct fletch_grpc_metadata *metadata,
                                              const struct fletch_allocator *allocator,
                                              struct fletch_flight_headers *out_headers,
                                              struct fletch_error *error)
{
    size_t bytes = metadata->count * sizeof(struct fletch_flight_header);
    *out_headers = (struct fletch_flight_headers){NULL, 0};
    if (metadata->count == 0)
        return FLETCH_OK;
    for (size_t i = 0; i < metadata->count; i++)
        bytes += metadata->fields[i].name_bytes + metadata->fields[i].value_bytes + 2;
    struct fletch_flight_header *items = fletch_block_allocate(allocator, bytes);
    if (items == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for headers of %zu bytes", bytes);
    uint8_t *to = (uint8_t *)(items + metadata->count);
    size_t count = 0;
    for (size_t i = 0; i < metadata->count; i++) {
        const struct fletch_http2_field *field = &metadata->fields[i];
        count += copy_field(field, to, &items[count]);
        to += field->name_bytes + field->value_bytes + 2;
    }
    *out_headers = (struct fletch_flight_headers){items, count};
    return FLETCH_OK;
}

void fletch_flight_headers_free(struct fletch_flight_headers *headers)
{
    if (headers->items != NULL)
        fletch_block_release((void *)(uintptr_t)headers->items);
    *headers = (struct fletch_flight_headers){NULL, 0};
}

const struct fletch_flight_header *
fletch_flight_headers_find(const struct fletch_flight_headers *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++)
        if (strcmp(headers->items[i].name, name) == 0)
            return &headers->items[i];
    return NULL;
}

/* ---- what is to go ---- */

/* As HTTP/2 and gRPC have it. */
static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    static const char *const taken[] = {"te", "content-type", "content-length", "host",
                                        "connection"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcmp(name, taken[i]) == 0)
            return false;
    bool is_kept = strncmp(name, "grpc-", 5) == 0 && strcmp(name, "grpc-status-details-bin") != 0;
    return *name != 0 && name[strspn(name, allowed)] == 0 && !is_kept;
}

static bool is_value(const char *name, const uint8_t *value, size_t bytes)
{
    if (is_binary(name, strlen(name)))
        return true;
    for (size_t i = 0; i < bytes; i++)
        if (value[i] < 0x20 || value[i] > 0x7e)
            return false;
    return bytes == 0 || (value[0] != ' ' && value[bytes - 1] != ' ');
}

enum fletch_status fletch_flight_headers_add(struct fletch_field_list *list,
                                             const struct fletch_flight_header *header,
                                             struct fletch_error *error)
{
    if (header->name == NULL || !is_name(header->name))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "'%.100s' is no name of a header",
                                header->name == NULL ? "" : header->name);
    if (!is_value(header->name, header->value, header->value_bytes))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "header '%.100s': its value is not printable ascii", header->name);
    size_t name_bytes = strlen(header->name);
    if (name_bytes + header->value_bytes + list->bytes > FLETCH_FLIGHT_HEADER_BYTES_MOST)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "header '%.100s' of %zu bytes: all of a call have at most %d",
                                header->name, header->value_bytes, FLETCH_FLIGHT_HEADER_BYTES_MOST);
    const struct fletch_http2_field field = {
        .name = header->name,
        .value = header->value,
        .name_bytes = (uint32_t)name_bytes,
        .value_bytes = (uint32_t)header->value_bytes,
    };
    if (!fletch_field_list_add(list, &field))
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for header '%.100s'",
                                header->name);
    return FLETCH_OK;
}
