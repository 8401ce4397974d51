#ifndef FLETCH_FLIGHT_FLIGHT_FIELDS_H
#define FLETCH_FLIGHT_FLIGHT_FIELDS_H

/* What Flight's messages are made of, as tables that encoding and decoding walk. Messages lie
 * within each other as deep as the tables say, and no deeper. */

#include <fletching/flight_types.h>

/* What a field is in C, at its offset, and on the wire. */
enum fletch_flight_field_kind {
    FLETCH_FLIGHT_FIELD_BYTES,    /* struct fletch_flight_bytes */
    FLETCH_FLIGHT_FIELD_STRING,   /* const char *, NULL is "" */
    FLETCH_FLIGHT_FIELD_STRINGS,  /* const char *const *, repeated */
    FLETCH_FLIGHT_FIELD_WRAPPED,  /* the same; each is field 1 of a message of its own */
    FLETCH_FLIGHT_FIELD_INT32,    /* int32_t, or an enum */
    FLETCH_FLIGHT_FIELD_INT64,    /* int64_t or uint64_t */
    FLETCH_FLIGHT_FIELD_FIXED64,  /* int64_t; 8 bytes on the wire */
    FLETCH_FLIGHT_FIELD_BOOL,     /* bool */
    FLETCH_FLIGHT_FIELD_DOUBLE,   /* double */
    FLETCH_FLIGHT_FIELD_SCHEMA,   /* struct fletch_schema *; its message's bytes where counts are */
    FLETCH_FLIGHT_FIELD_MESSAGE,  /* a struct of its own, at the offset */
    FLETCH_FLIGHT_FIELD_POINTER,  /* a pointer to one, NULL: absent */
    FLETCH_FLIGHT_FIELD_MESSAGES, /* a pointer to an array of them, repeated */
    FLETCH_FLIGHT_FIELD_INLINE    /* a message on the wire, whose fields are the struct's own */
};

/* When it is there, beside by not being zero. */
enum fletch_flight_field_when {
    FLETCH_FLIGHT_WHEN_VALUE,  /* not zero, nor empty */
    FLETCH_FLIGHT_WHEN_ALWAYS, /* also if it is */
    FLETCH_FLIGHT_WHEN_FLAG,   /* the bool at `when_offset` is true */
    FLETCH_FLIGHT_WHEN_SET,    /* the int32_t there is not 0 */
    FLETCH_FLIGHT_WHEN_TYPE    /* the int32_t there is `when_value` */
};

struct fletch_flight_field {
    uint8_t number;
    uint8_t kind; /* enum fletch_flight_field_kind */
    uint8_t when; /* enum fletch_flight_field_when */
    uint8_t when_value;
    uint16_t offset;
    uint16_t count_offset; /* of what is repeated: a size_t */
    uint16_t when_offset;
    const struct fletch_flight_shape *shape; /* of messages */
};

struct fletch_flight_shape {
    const struct fletch_flight_field *fields;
    uint16_t field_count;
    uint16_t struct_bytes;
};

/* More than any field's number. */
enum { FLETCH_FLIGHT_FIELD_NUMBERS = 16 };

/* NULL: no such kind. */
const struct fletch_flight_shape *fletch_flight_shape_of(enum fletch_flight_message kind);

/* The memory of what was made: in front of it. */
struct fletch_flight_made {
    struct fletch_schema *schema; /* of the message; or NULL */
    struct fletch_schema *unused; /* keeps what follows aligned */
};

/* Bytes of a message. INVALID_ARGUMENT; RESOURCE_EXHAUSTED: more than 2^31 - 1. */
enum fletch_status fletch_flight_message_measure(const struct fletch_flight_shape *shape,
                                                 const void *message, size_t *out_bytes,
                                                 struct fletch_error *error);

/* Writes it where so many bytes are; returns the end of it. */
uint8_t *fletch_flight_message_write(const struct fletch_flight_shape *shape, const void *message,
                                     uint8_t *to);

#endif
