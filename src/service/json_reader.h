#ifndef FLETCH_SERVICE_JSON_READER_H
#define FLETCH_SERVICE_JSON_READER_H

/* The door to Jansson. Bodies of actions: one JSON object whose members a table names. Unknown
 * members, members that come twice, other types and what follows the object are refused, by
 * name. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/flight_types.h>
#include <fletching/status.h>

struct json_t;

enum fletch_json_kind {
    FLETCH_JSON_TEXT,   /* const char *: UTF-8 without NUL, as long as the document */
    FLETCH_JSON_NUMBER, /* uint64_t */
    FLETCH_JSON_FLAG,   /* bool */
    FLETCH_JSON_TEXTS   /* struct fletch_json_texts */
};

struct fletch_json_texts {
    const struct json_t *array; /* NULL: it was not there */
    size_t count;
};

struct fletch_json_member {
    const char *name;
    enum fletch_json_kind kind;
    size_t offset; /* of the field */
    uint64_t most; /* of a number; 0: any */
};

struct fletch_json_shape {
    const struct fletch_json_member *members;
    size_t count;
};

/* Reads an object into a struct, whose fields stay as they are where there is no such
 * member. No bytes are an object without members. `*out_document` keeps what the fields point to,
 * until fletch_json_release. INVALID_ARGUMENT. */
enum fletch_status fletch_json_read(struct fletch_flight_bytes body,
                                    const struct fletch_json_shape *shape, void *out_fields,
                                    struct json_t **out_document, struct fletch_error *error);

/* NULL allowed. */
void fletch_json_release(struct json_t *document);

/* A value as text that ends with NUL, in a block; NULL: no memory, or no value. */
char *fletch_json_write(const struct json_t *value);

const char *fletch_json_text_at(const struct fletch_json_texts *texts, size_t index);

#endif
