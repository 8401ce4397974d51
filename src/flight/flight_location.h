#ifndef FLETCH_FLIGHT_FLIGHT_LOCATION_H
#define FLETCH_FLIGHT_FLIGHT_LOCATION_H

/* Where a client connects to: URIs of locations, and the sockets' addresses behind them. */

#include <fletching/status.h>

#include "flight/connection_pool.h"
#include "net/connector.h"

/* What a location says, in one form for all that mean the same: "host:port", "[ipv6]:port",
 * "unix:/path". */
struct fletch_flight_location {
    char text[FLETCH_POOL_ADDRESS_BYTES];
};

/* Whether it stands for the connection that it was heard on. */
bool fletch_flight_location_is_reuse(const char *uri);

/* "grpc://host:port", "grpc+tcp://host:port", "grpc+unix:/path", "grpc+unix:///path".
 * UNIMPLEMENTED: TLS, HTTP; INVALID_ARGUMENT: none of these, no port, too long. */
enum fletch_status fletch_flight_location_parse(const char *uri,
                                                struct fletch_flight_location *out_location,
                                                struct fletch_error *error);

struct fletch_flight_addresses {
    struct fletch_socket_address addresses[FLETCH_CONNECTOR_ADDRESSES_MOST];
    size_t count;
};

/* Blocks where the host is a name. NOT_FOUND, UNAVAILABLE: as fletch_socket_resolve. */
enum fletch_status fletch_flight_location_resolve(const struct fletch_flight_location *location,
                                                  struct fletch_flight_addresses *out_addresses,
                                                  struct fletch_error *error);

#endif
