#include "flight/flight_method.h"

#define METHOD(name_) .name = (name_), .path = "/" FLETCH_FLIGHT_SERVICE "/" name_
#define ONE(kind_) \
    { \
        .kind = FLETCH_FLIGHT_##kind_, .is_one = true \
    }
#define MANY(kind_) \
    { \
        .kind = FLETCH_FLIGHT_##kind_ \
    }
#define DATA \
    { \
        .is_data = true \
    }

const struct fletch_flight_method fletch_flight_methods[FLETCH_FLIGHT_METHODS] = {
    [FLETCH_FLIGHT_METHOD_HANDSHAKE] = {METHOD("Handshake"), .client = MANY(HANDSHAKE),
                                        .server = MANY(HANDSHAKE)},
    [FLETCH_FLIGHT_METHOD_LIST_FLIGHTS] = {METHOD("ListFlights"), .client = ONE(CRITERIA),
                                           .server = MANY(INFO)},
    [FLETCH_FLIGHT_METHOD_GET_FLIGHT_INFO] = {METHOD("GetFlightInfo"), .client = ONE(DESCRIPTOR),
                                              .server = ONE(INFO)},
    [FLETCH_FLIGHT_METHOD_POLL_FLIGHT_INFO] = {METHOD("PollFlightInfo"), .client = ONE(DESCRIPTOR),
                                               .server = ONE(POLL_INFO)},
    [FLETCH_FLIGHT_METHOD_GET_SCHEMA] = {METHOD("GetSchema"), .client = ONE(DESCRIPTOR),
                                         .server = ONE(SCHEMA_RESULT)},
    [FLETCH_FLIGHT_METHOD_DO_GET] = {METHOD("DoGet"), .client = ONE(TICKET),
                                     .server = {.is_data = true, .has_schema = true}},
    [FLETCH_FLIGHT_METHOD_DO_PUT] = {METHOD("DoPut"), .client = DATA, .server = MANY(PUT_RESULT)},
    [FLETCH_FLIGHT_METHOD_DO_EXCHANGE] = {METHOD("DoExchange"), .client = DATA, .server = DATA},
    [FLETCH_FLIGHT_METHOD_DO_ACTION] = {METHOD("DoAction"), .client = ONE(ACTION),
                                        .server = MANY(RESULT)},
    [FLETCH_FLIGHT_METHOD_LIST_ACTIONS] = {METHOD("ListActions"), .client = ONE(EMPTY),
                                           .server = MANY(ACTION_TYPE)},
};
