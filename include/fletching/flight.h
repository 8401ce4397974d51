#ifndef FLETCHING_FLIGHT_H
#define FLETCHING_FLIGHT_H

/** Arrow Flight: servers and clients. */

#include <fletching/flight_auth.h>
#include <fletching/flight_batches.h>
#include <fletching/flight_client.h>
#include <fletching/flight_server.h>
#include <fletching/flight_stream.h>
#include <fletching/flight_types.h>

#endif
