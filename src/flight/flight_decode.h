#ifndef FLETCH_FLIGHT_FLIGHT_DECODE_H
#define FLETCH_FLIGHT_FLIGHT_DECODE_H

/* Messages of Flight from bytes, and the memory that such things are made in. */

#include "flight/flight_shapes.h"

/* In front of what is given back by fletch_flight_release. */
struct fletch_flight_made {
    struct fletch_schema *schema; /* of the message; or NULL */
    struct fletch_schema *unused; /* keeps what follows aligned */
};

#endif
