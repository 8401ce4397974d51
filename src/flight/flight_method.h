#ifndef FLETCH_FLIGHT_FLIGHT_METHOD_H
#define FLETCH_FLIGHT_FLIGHT_METHOD_H

/* The ten methods of Flight, and what each side of them sends. */

#include <fletching/flight_types.h>

#include <stdbool.h>

enum fletch_flight_method_id {
    FLETCH_FLIGHT_METHOD_HANDSHAKE,
    FLETCH_FLIGHT_METHOD_LIST_FLIGHTS,
    FLETCH_FLIGHT_METHOD_GET_FLIGHT_INFO,
    FLETCH_FLIGHT_METHOD_POLL_FLIGHT_INFO,
    FLETCH_FLIGHT_METHOD_GET_SCHEMA,
    FLETCH_FLIGHT_METHOD_DO_GET,
    FLETCH_FLIGHT_METHOD_DO_PUT,
    FLETCH_FLIGHT_METHOD_DO_EXCHANGE,
    FLETCH_FLIGHT_METHOD_DO_ACTION,
    FLETCH_FLIGHT_METHOD_LIST_ACTIONS
};

enum { FLETCH_FLIGHT_METHODS = 10 };

/* What one side sends: messages of a kind, or FlightData. */
struct fletch_flight_side {
    enum fletch_flight_message kind; /* where it is not data */
    bool is_data;
    bool is_one;     /* exactly one */
    bool has_schema; /* data, and never without a schema */
};

struct fletch_flight_method {
    const char *name; /* "DoGet" */
    const char *path; /* "/arrow.flight.protocol.FlightService/DoGet" */
    struct fletch_flight_side client;
    struct fletch_flight_side server;
};

#define FLETCH_FLIGHT_SERVICE "arrow.flight.protocol.FlightService"

/* By enum fletch_flight_method_id. */
extern const struct fletch_flight_method fletch_flight_methods[FLETCH_FLIGHT_METHODS];

#endif
