#ifndef FLETCH_HTTP2_HTTP2_TIMERS_H
#define FLETCH_HTTP2_HTTP2_TIMERS_H

/* fletch_http2_connection_tick and fletch_http2_connection_deadline: what happens by itself. */

#include "http2/http2_connection.h"

#endif
