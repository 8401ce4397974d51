#ifndef FLETCH_FLIGHT_FLIGHT_STREAM_FACTS_H
#define FLETCH_FLIGHT_FLIGHT_STREAM_FACTS_H

/* What a stream knows of its call: headers, the other end, who calls, how it ended. The user's
 * thread. */

#include "flight/flight_stream.h"

/* The text of a call that has ended, the longest that the peer has told. */
const char *fletch_flight_ended_text(const struct fletch_flight_stream *stream);

#endif
