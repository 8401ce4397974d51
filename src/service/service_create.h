#ifndef FLETCH_SERVICE_SERVICE_CREATE_H
#define FLETCH_SERVICE_SERVICE_CREATE_H

/* Shuffles that are registered from outside: what they are to be, out of the body of an action or
 * the headers of a first put. */

#include "service/json_reader.h"
#include "service/service.h"

/* A name out of a body: `name`, or `name_base64`. */
struct fletch_service_body_name {
    const char *name;
    const char *name_base64;
    unsigned char decoded[FLETCH_SHUFFLE_NAME_BYTES_MAX + 2];
};

/* INVALID_ARGUMENT: none, or both, or no base64, or a length that no name has. */
enum fletch_status fletch_service_body_name(struct fletch_service_body_name *body,
                                            struct fletch_shuffle_name *out_name,
                                            struct fletch_error *error);

/* The action "create": a reference to the shuffle. Errors as fletch_shuffle_register, and
 * PERMISSION_DENIED, RESOURCE_EXHAUSTED: the server's limits. */
enum fletch_status fletch_service_create(const struct fletch_service *service,
                                         struct fletch_flight_bytes body,
                                         struct fletch_shuffle **out_shuffle,
                                         struct fletch_error *error);

/* Whether a put's headers say that it may register its shuffle, and the server allows that. */
bool fletch_service_may_create(const struct fletch_service *service,
                               const struct fletch_flight_stream *stream);

/* The put, with the name that its descriptor has, and its schema. */
struct fletch_service_first_put {
    const struct fletch_flight_stream *stream;
    struct fletch_shuffle_name name;
    struct fletch_schema *schema;
};

/* A reference to the shuffle that they say, which another put may have registered meanwhile. */
enum fletch_status fletch_service_create_by_put(const struct fletch_service *service,
                                                const struct fletch_service_first_put *put,
                                                struct fletch_shuffle **out_shuffle,
                                                struct fletch_error *error);

#endif
