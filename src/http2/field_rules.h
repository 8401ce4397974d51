#ifndef FLETCH_HTTP2_FIELD_RULES_H
#define FLETCH_HTTP2_FIELD_RULES_H

/* What makes a list of fields a request, a response or trailers (RFC 9113, 8.2 and 8.3). HPACK
 * checks none of this. */

#include "http2/field_list.h"

enum fletch_http2_part { FLETCH_HTTP2_REQUEST, FLETCH_HTTP2_RESPONSE, FLETCH_HTTP2_TRAILERS };

/* What is read on the way. */
struct fletch_http2_facts {
    int64_t content_length; /* -1: not told */
    uint32_t status;        /* of a response */
};

/* NULL: well formed. Otherwise what is wrong, and the list is malformed. */
const char *fletch_http2_fields_check(const struct fletch_http2_field *fields, size_t count,
                                      enum fletch_http2_part part,
                                      struct fletch_http2_facts *out_facts);

#endif
