#ifndef FLETCH_HTTP2_HTTP2_CONTROL_H
#define FLETCH_HTTP2_HTTP2_CONTROL_H

/* Frames that carry neither data nor headers. */

#include "http2/http2_machine.h"

/* The parser has the payload of one, of a type up to WINDOW_UPDATE, in `control`. */
void fletch_http2_control_frame(struct fletch_http2_connection *connection);

/* Our SETTINGS, and the connection's window. */
void fletch_http2_queue_settings(struct fletch_http2_connection *connection);

/* A PING to a peer that has been silent. */
void fletch_http2_queue_keepalive(struct fletch_http2_connection *connection);

/* GOAWAY of the largest id, and a PING: its answer brings the second step. At a server that has
 * not seen its client's preface they go with the first SETTINGS, by the second function. */
void fletch_http2_begin_shutdown(struct fletch_http2_connection *connection);
void fletch_http2_say_shutdown(struct fletch_http2_connection *connection);

/* GOAWAY of the last id that was accepted: the second step of a shutdown. */
void fletch_http2_finish_shutdown(struct fletch_http2_connection *connection);

#endif
