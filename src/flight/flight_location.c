#include "flight/flight_location.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

enum { HOST_BYTES = 256 };

static const char *after(const char *text, const char *prefix)
{
    size_t bytes = strlen(prefix);
    return strncmp(text, prefix, bytes) == 0 ? text + bytes : NULL;
}

bool fletch_flight_location_is_reuse(const char *uri)
{
    return after(uri, "arrow-flight-reuse-connection:") != NULL;
}

/* The 0 behind the host; the port begins after it. NULL: there is no port. */
static const char *port_of(const char *text)
{
    const char *colon = strrchr(text, ':');
    const char *bracket = strrchr(text, ']');
    if (colon == NULL || colon == text || colon < bracket)
        return NULL;
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    bool is_port = colon[1] >= '0' && colon[1] <= '9' && *end == '\0' && port > 0 && port <= 65535;
    return is_port ? colon : NULL;
}

static enum fletch_status refuse(const char *uri, struct fletch_error *error)
{
    if (after(uri, "grpc+tls:") != NULL)
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                "location '%.200s': connections with TLS are not supported", uri);
    if (after(uri, "http:") != NULL || after(uri, "https:") != NULL)
        return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                "location '%.200s': data is not fetched by HTTP", uri);
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "location '%.200s': grpc://host:port, grpc+tcp://host:port or "
                            "grpc+unix:///path was expected",
                            uri);
}

/* Without what nobody needs: a '/' behind the port. */
static enum fletch_status copy_host(const char *host, const char *uri,
                                    struct fletch_flight_location *out_location,
                                    struct fletch_error *error)
{
    struct fletch_flight_location location;
    size_t bytes = strlen(host);
    if (bytes > 0 && host[bytes - 1] == '/')
        bytes--;
    if (bytes >= sizeof location.text)
        return refuse(uri, error);
    memcpy(location.text, host, bytes);
    location.text[bytes] = '\0';
    if (port_of(location.text) == NULL || strpbrk(location.text, "/?#@ ") != NULL)
        return refuse(uri, error);
    *out_location = location;
    return FLETCH_OK;
}

enum fletch_status fletch_flight_location_parse(const char *uri,
                                                struct fletch_flight_location *out_location,
                                                struct fletch_error *error)
{
    const char *path = after(uri, "grpc+unix:");
    const char *host = after(uri, "grpc://");
    if (host == NULL)
        host = after(uri, "grpc+tcp://");
    if (host != NULL)
        return copy_host(host, uri, out_location, error);
    if (path == NULL)
        return refuse(uri, error);
    if (after(path, "//") != NULL)
        path += 2;
    struct fletch_socket_address address;
    struct fletch_flight_location location;
    int written = snprintf(location.text, sizeof location.text, "unix:%s", path);
    if (path[0] == '\0' || (size_t)written >= sizeof location.text)
        return refuse(uri, error);
    enum fletch_status status = fletch_socket_address_parse(location.text, &address, error);
    if (status == FLETCH_OK)
        *out_location = location;
    return status;
}

enum fletch_status fletch_flight_location_resolve(const struct fletch_flight_location *location,
                                                  struct fletch_flight_addresses *out_addresses,
                                                  struct fletch_error *error)
{
    const char *text = location->text;
    char host[HOST_BYTES];
    out_addresses->count = 1;
    if (fletch_socket_address_parse(text, &out_addresses->addresses[0], NULL) == FLETCH_OK)
        return FLETCH_OK;
    const char *colon = port_of(text);
    size_t bytes = colon == NULL ? sizeof host : (size_t)(colon - text);
    if (bytes >= sizeof host)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a host's name of at most %d bytes was expected, not '%.200s'",
                                HOST_BYTES - 1, text);
    memcpy(host, text, bytes);
    host[bytes] = '\0';
    struct fletch_socket_addresses into = {.addresses = out_addresses->addresses,
                                           .capacity = FLETCH_CONNECTOR_ADDRESSES_MOST};
    enum fletch_status status =
        fletch_socket_resolve(host, (uint16_t)strtoul(colon + 1, NULL, 10), &into, error);
    out_addresses->count = into.count;
    return status;
}
