#ifndef EXAMPLES_FLIGHT_KIT_H
#define EXAMPLES_FLIGHT_KIT_H

/* What servers of Flight have in common. */

#include <fletching/flight.h>

/* Serves Flight at a location (NULL: a port of 127.0.0.1), which it prints, until SIGTERM or
 * SIGINT; then lets calls end, for ten seconds at most. The server is to be destroyed when nobody
 * has batches of its any more. */
struct fletch_flight_server *serve_flight(const char *location,
                                          const struct fletch_flight_handlers *handlers);

#endif
