#ifndef TESTS_INTEROP_FLIGHT_SCENARIOS_H
#define TESTS_INTEROP_FLIGHT_SCENARIOS_H

#include <fletching/fletching.h>
#include <fletching/flight_server.h>

/* The integration server's scenarios, of which each is a table of handlers. They run one at a time:
 * the server has one worker. NULL: there is no such scenario. */
const struct fletch_flight_handlers *interop_handlers(const char *scenario);

/* Where the server is, which the base case tells; set before the first call. */
void interop_set_location(const char *location);

#endif
