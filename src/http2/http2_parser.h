#ifndef FLETCH_HTTP2_HTTP2_PARSER_H
#define FLETCH_HTTP2_HTTP2_PARSER_H

/* Frames out of whatever bytes there are. */

#include "http2/http2_machine.h"

/* Takes what it can of the next chunk. False: it needs more bytes. `out_event` is written where
 * there is one, and its kind is NONE before. */
bool fletch_http2_parse(struct fletch_http2_connection *connection,
                        struct fletch_http2_event *out_event);

/* What a client says before its SETTINGS. */
#define FLETCH_HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define FLETCH_HTTP2_PREFACE_BYTES (sizeof FLETCH_HTTP2_PREFACE - 1)

#endif
