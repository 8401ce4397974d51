#ifndef FLETCHING_FLIGHT_AUTH_H
#define FLETCHING_FLIGHT_AUTH_H

/** For the hooks `authenticate` and `handshake` of a server: credentials as stock clients of Flight
 *  send them. The library knows no users. */

#include <stdbool.h>

#include <fletching/flight_stream.h>

FLETCH_BEGIN_DECLS

/** Name and password of a header `authorization: Basic ...`, whose base64 may be padded or not; to
 *  be given back by fletch_flight_release. UNAUTHENTICATED: there is none, or it is not like that.
 *  Compare them with fletch_flight_is_equal, which takes the same time wherever they differ. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_flight_basic_credentials(const struct fletch_flight_stream *stream,
                                const struct fletch_flight_basic_auth **out_credentials,
                                struct fletch_error *error);

/** The token of a header `authorization: Bearer ...`, as long as the stream, or NULL. */
FLETCH_EXPORT const char *fletch_flight_bearer_token(const struct fletch_flight_stream *stream);

/** Whether `found` is the text `expected`; takes time with the length of `found` alone. */
FLETCH_EXPORT bool fletch_flight_is_equal(const char *expected, const char *found);

FLETCH_END_DECLS

#endif
