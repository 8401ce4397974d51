#ifndef FLETCH_ARROW_TYPE_H
#define FLETCH_ARROW_TYPE_H

/* Arrow's types and how arrays of each lie in memory. Whatever depends on a type only by its layout
 * reads the table, so that a type is added by a row. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum fletch_type_id {
    FLETCH_TYPE_NULL,
    FLETCH_TYPE_BOOL,
    FLETCH_TYPE_INT8,
    FLETCH_TYPE_UINT8,
    FLETCH_TYPE_INT16,
    FLETCH_TYPE_UINT16,
    FLETCH_TYPE_INT32,
    FLETCH_TYPE_UINT32,
    FLETCH_TYPE_INT64,
    FLETCH_TYPE_UINT64,
    FLETCH_TYPE_HALF,
    FLETCH_TYPE_FLOAT,
    FLETCH_TYPE_DOUBLE,
    FLETCH_TYPE_DECIMAL32,
    FLETCH_TYPE_DECIMAL64,
    FLETCH_TYPE_DECIMAL128,
    FLETCH_TYPE_DECIMAL256,
    FLETCH_TYPE_UTF8,
    FLETCH_TYPE_LARGE_UTF8,
    FLETCH_TYPE_BINARY,
    FLETCH_TYPE_LARGE_BINARY,
    FLETCH_TYPE_FIXED_SIZE_BINARY,
    FLETCH_TYPE_DATE32,
    FLETCH_TYPE_DATE64,
    FLETCH_TYPE_TIME32,
    FLETCH_TYPE_TIME64,
    FLETCH_TYPE_TIMESTAMP,
    FLETCH_TYPE_DURATION,
    FLETCH_TYPE_INTERVAL_MONTHS,
    FLETCH_TYPE_INTERVAL_DAY_TIME,
    FLETCH_TYPE_INTERVAL_MONTH_DAY_NANO,
    FLETCH_TYPE_LIST,
    FLETCH_TYPE_LARGE_LIST,
    FLETCH_TYPE_STRUCT,
    FLETCH_TYPE_MAP,
    FLETCH_TYPE_UTF8_VIEW,
    FLETCH_TYPE_BINARY_VIEW,
    FLETCH_TYPE_LIST_VIEW,
    FLETCH_TYPE_LARGE_LIST_VIEW,
    FLETCH_TYPE_FIXED_SIZE_LIST,
    FLETCH_TYPE_DENSE_UNION,
    FLETCH_TYPE_SPARSE_UNION,
    FLETCH_TYPE_RUN_END_ENCODED,
    FLETCH_TYPE_COUNT
};

enum fletch_time_unit {
    FLETCH_UNIT_SECOND,
    FLETCH_UNIT_MILLI,
    FLETCH_UNIT_MICRO,
    FLETCH_UNIT_NANO
};

/* What a buffer of a node holds. */
enum fletch_span_kind {
    FLETCH_SPAN_VALIDITY,  /* a bit for each element, 1: not null; may be absent */
    FLETCH_SPAN_BITS,      /* a bit for each element */
    FLETCH_SPAN_VALUES,    /* fletch_type_byte_width(type) bytes for each element */
    FLETCH_SPAN_OFFSETS32, /* an int32 for each element, and one more; absent if empty */
    FLETCH_SPAN_OFFSETS64, /* an int64 for each element, and one more; absent if empty */
    FLETCH_SPAN_BYTES,     /* what the offsets of a string or binary array point into */
    FLETCH_SPAN_VIEWS,     /* 16 bytes for each element: struct fletch_string_view */
    FLETCH_SPAN_STARTS32,  /* an int32 for each element: where it begins in a child */
    FLETCH_SPAN_STARTS64,  /* an int64 for each element */
    FLETCH_SPAN_SIZES32,   /* an int32 for each element: how many elements of the child it has */
    FLETCH_SPAN_SIZES64,   /* an int64 for each element */
    FLETCH_SPAN_TYPE_IDS   /* an int8 for each element: which child of a union has it */
};

enum { FLETCH_SPANS_MAX = 3 };

/* What children a field of the type has. */
enum fletch_child_rule {
    FLETCH_CHILDREN_NONE,
    FLETCH_CHILDREN_ANY,     /* a struct's */
    FLETCH_CHILDREN_ONE,     /* a list's */
    FLETCH_CHILDREN_ENTRIES, /* a map's: one struct of two fields, key and value */
    FLETCH_CHILDREN_MEMBERS, /* a union's: one for each type id */
    FLETCH_CHILDREN_RUNS     /* of run-end encoding: integers that are run ends, and values */
};

/* What stands behind the colon of a C Data format string. */
enum fletch_format_parameters {
    FLETCH_FORMAT_PLAIN,     /* nothing: the format is complete */
    FLETCH_FORMAT_WIDTH,     /* "w:42" */
    FLETCH_FORMAT_PRECISION, /* "d:19,10,64" */
    FLETCH_FORMAT_UNIT,      /* the unit's letter ends the format: "ttm" */
    FLETCH_FORMAT_ZONE,      /* unit's letter, colon, time zone or nothing: "tsn:UTC" */
    FLETCH_FORMAT_SIZE,      /* "+w:3" */
    FLETCH_FORMAT_TYPE_IDS   /* "+ud:0,5" */
};

struct fletch_type_layout {
    const char *name;   /* for messages: "int32" */
    const char *format; /* of the C data interface, up to its parameters */
    enum fletch_format_parameters parameters;
    enum fletch_child_rule children;
    bool has_aligned_children; /* each as long as the array, times fletch_type_child_stride */
    uint8_t span_count;
    uint8_t spans[FLETCH_SPANS_MAX]; /* enum fletch_span_kind, in Arrow's order */
    uint8_t byte_width;        /* of a value; 0: a bit, no values, or a parameter of the type */
    uint8_t alignment;         /* of values and offsets in memory, in bytes */
    uint8_t precision_maximum; /* of a decimal */
    uint8_t unit_first;        /* enum fletch_time_unit: the units that the type may have */
    uint8_t unit_last;
};

/* A type with its parameters; those that a type does not have are zero. */
struct fletch_type {
    enum fletch_type_id id;
    enum fletch_time_unit unit; /* time, timestamp, duration */
    int32_t byte_width;         /* fixed_size_binary */
    int32_t precision;          /* decimals */
    int32_t scale;              /* decimals */
    int32_t list_size;          /* fixed_size_list: elements of each */
    bool keys_are_sorted;       /* map */
    uint8_t type_id_count;      /* unions: as many as children */
    const int8_t *type_ids;     /* unions: one for each child; else NULL. Owned by the schema. */
    const char *time_zone;      /* timestamp: "" without one; else NULL. Owned by the schema. */
};

/* Type ids are 0 to 127, and each child of a union has one of its own. */
enum { FLETCH_TYPE_IDS_MAX = 128 };

/* An element of FLETCH_SPAN_VIEWS. Up to 12 bytes stand in it, followed by zeros; of more, the
 * first 4, and where in the data buffers of the array all of them are. */
enum { FLETCH_VIEW_INLINE_BYTES = 12, FLETCH_VIEW_PREFIX_BYTES = 4 };
struct fletch_string_view {
    int32_t bytes;
    uint8_t prefix[FLETCH_VIEW_PREFIX_BYTES]; /* inline bytes go on behind it */
    int32_t buffer;
    int32_t offset;
};

extern const struct fletch_type_layout fletch_type_layouts[FLETCH_TYPE_COUNT];

static inline const struct fletch_type_layout *fletch_type_layout(const struct fletch_type *type)
{
    return &fletch_type_layouts[type->id];
}

/* Whether arrays have a validity, which then is their first span. Of unions and runs it is the
 * children that have nulls; the null type has nothing else. */
static inline bool fletch_type_has_validity(enum fletch_type_id id)
{
    return id != FLETCH_TYPE_NULL && id < FLETCH_TYPE_DENSE_UNION;
}

/* How many elements of each child belong to an element of an array: element k is elements
 * k * stride and following of the child, whatever either's offset is, and the child is as long as
 * the array times the stride. FLETCH_CHILD_WHOLE: something in the array says which. */
enum { FLETCH_CHILD_WHOLE = -1 };
static inline int64_t fletch_type_child_stride(const struct fletch_type *type)
{
    if (!fletch_type_layouts[type->id].has_aligned_children)
        return FLETCH_CHILD_WHOLE;
    return type->id == FLETCH_TYPE_FIXED_SIZE_LIST ? type->list_size : 1;
}

/* What the address of a span is a multiple of. Bits, type ids and bytes may lie anywhere. */
static inline size_t fletch_type_span_alignment(const struct fletch_type *type, uint32_t span)
{
    const struct fletch_type_layout *layout = &fletch_type_layouts[type->id];
    switch ((enum fletch_span_kind)layout->spans[span]) {
    case FLETCH_SPAN_VALIDITY:
    case FLETCH_SPAN_BITS:
    case FLETCH_SPAN_BYTES:
    case FLETCH_SPAN_TYPE_IDS:
        return 1;
    default:
        return layout->alignment;
    }
}

/* Bytes of a value in the buffer FLETCH_SPAN_VALUES; 0 for types that have none. */
static inline size_t fletch_type_byte_width(const struct fletch_type *type)
{
    return type->id == FLETCH_TYPE_FIXED_SIZE_BINARY ? (size_t)type->byte_width
                                                     : fletch_type_layouts[type->id].byte_width;
}

static inline bool fletch_type_is_decimal(enum fletch_type_id id)
{
    return id >= FLETCH_TYPE_DECIMAL32 && id <= FLETCH_TYPE_DECIMAL256;
}

/* Integers, which alone may be a dictionary's indices. */
static inline bool fletch_type_is_integer(enum fletch_type_id id)
{
    return id >= FLETCH_TYPE_INT8 && id <= FLETCH_TYPE_UINT64;
}

/* Strings and binaries of variable length: their last buffer is FLETCH_SPAN_BYTES. */
static inline bool fletch_type_is_variable(enum fletch_type_id id)
{
    return id >= FLETCH_TYPE_UTF8 && id <= FLETCH_TYPE_LARGE_BINARY;
}

/* List, large list and map: offsets into one child. */
static inline bool fletch_type_is_list(enum fletch_type_id id)
{
    return id == FLETCH_TYPE_LIST || id == FLETCH_TYPE_LARGE_LIST || id == FLETCH_TYPE_MAP;
}

/* utf8_view and binary_view: behind the spans of a batch stand their data buffers. */
static inline bool fletch_type_is_view(enum fletch_type_id id)
{
    return id == FLETCH_TYPE_UTF8_VIEW || id == FLETCH_TYPE_BINARY_VIEW;
}

/* Starts and sizes for one child. */
static inline bool fletch_type_is_list_view(enum fletch_type_id id)
{
    return id == FLETCH_TYPE_LIST_VIEW || id == FLETCH_TYPE_LARGE_LIST_VIEW;
}

static inline bool fletch_type_is_union(enum fletch_type_id id)
{
    return id == FLETCH_TYPE_DENSE_UNION || id == FLETCH_TYPE_SPARSE_UNION;
}

/* Strings and binaries of variable length, views too, that are UTF-8. */
static inline bool fletch_type_is_text(enum fletch_type_id id)
{
    return id == FLETCH_TYPE_UTF8 || id == FLETCH_TYPE_LARGE_UTF8 || id == FLETCH_TYPE_UTF8_VIEW;
}

/* Which child of a union has the elements of type id `type_id`; -1: none. */
int fletch_type_member(const struct fletch_type *type, int8_t type_id);

bool fletch_type_equal(const struct fletch_type *a, const struct fletch_type *b);

/* Whether the parameters are such as the type may have. INVALID_ARGUMENT; the message begins with
 * the field's path, `path`. */
enum fletch_status fletch_type_check(const struct fletch_type *type, const char *path,
                                     struct fletch_error *error);

/* Bytes that are enough for any type's name without its time zone, the NUL included. */
enum { FLETCH_TYPE_TEXT_BYTES = 80 };

/* The type as messages name it, "decimal128(19, 10)"; a long time zone is cut. Returns `text`. */
const char *fletch_type_describe(const struct fletch_type *type, char *text, size_t text_bytes);

/* The C Data format of the type with its NUL, cut to `format_bytes`; returns its length uncut. */
size_t fletch_type_format(const struct fletch_type *type, char *format, size_t format_bytes);

/* Reads a C Data format. The time zone points into `format`, and type ids are written to
 * `type_ids`, which `*out_type` points to. INVALID_ARGUMENT: no such format; the message begins
 * with `path`. */
enum fletch_status fletch_type_parse(const char *format, const char *path,
                                     int8_t type_ids[FLETCH_TYPE_IDS_MAX],
                                     struct fletch_type *out_type, struct fletch_error *error);

#endif
