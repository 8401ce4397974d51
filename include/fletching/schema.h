#ifndef FLETCHING_SCHEMA_H
#define FLETCHING_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** The fields of record batches: names, types, nullability, metadata. Counted and immutable:
 *  whoever holds a reference may read, on any thread. */
struct fletch_schema;

/** What counts when two schemas are compared. Names, types with their parameters, nullability and
 *  the order of fields always do. Flags, joined by `|`. */
enum fletch_schema_comparison {
    /** Neither metadata nor dictionary ids. */
    FLETCH_COMPARE_FIELDS = 0,
    /** Metadata of schema and fields too, and so extension types. */
    FLETCH_COMPARE_METADATA = 1,
    /** A dictionary-encoded field equals a plain one of the dictionary's value type. */
    FLETCH_COMPARE_VALUE_TYPES = 2
};

/** 128 bits that are the same, in every process and version, for schemas that are equal by the same
 *  flags, and with all likelihood different for any others that come about by accident. Not for
 *  schemas that somebody forges: compare them. */
struct fletch_fingerprint {
    uint64_t high;
    uint64_t low;
};

/** One more reference, to be released. Any thread; wait-free. Returns `schema`. */
FLETCH_EXPORT struct fletch_schema *fletch_schema_acquire(struct fletch_schema *schema);

/** Gives a reference back; the last one frees the schema. NULL is allowed. Any thread; wait-free
 *  but for the freeing. */
FLETCH_EXPORT void fletch_schema_release(struct fletch_schema *schema);

/** Fields of the top level. The functions below ask for one by its number, 0 to this less 1; all
 *  are for any thread and neither block nor allocate. */
FLETCH_EXPORT size_t fletch_schema_column_count(const struct fletch_schema *schema);

/** The name: UTF-8 of `*out_bytes` bytes (NULL: not asked for) with a NUL behind it, none of it
 *  NUL; alive as long as the schema. May be empty, and need not be unique. */
FLETCH_EXPORT const char *fletch_schema_column_name(const struct fletch_schema *schema,
                                                    size_t column, size_t *out_bytes);

/** Writes the type as text that ends with NUL: "timestamp[us, UTC]", "dictionary<int8, utf8>",
 *  "struct<a: int64 not null, b: list<utf8>>". What does not fit into `text_bytes` is cut, between
 *  characters; 0: nothing is written. Returns the bytes of all of it, without NUL. */
FLETCH_EXPORT size_t fletch_schema_column_type(const struct fletch_schema *schema, size_t column,
                                               char *text, size_t text_bytes);

/** Whether the schema allows nulls. */
FLETCH_EXPORT bool fletch_schema_column_is_nullable(const struct fletch_schema *schema,
                                                    size_t column);

/** Whether values are indices into a dictionary. */
FLETCH_EXPORT bool fletch_schema_column_is_dictionary(const struct fletch_schema *schema,
                                                      size_t column);

/** How many columns have this name, of `name_bytes` bytes; `*out_column` is the first, and is not
 *  written if there is none. Takes time with the number of columns. */
FLETCH_EXPORT size_t fletch_schema_find_column(const struct fletch_schema *schema, const char *name,
                                               size_t name_bytes, size_t *out_column);

/** Whether `found` equals `expected` by `comparison`, flags of enum fletch_schema_comparison. OK,
 *  or INVALID_ARGUMENT with a message that names the first field that differs, and how. Any thread;
 *  does not block or allocate. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_schema_compare(const struct fletch_schema *expected, const struct fletch_schema *found,
                      unsigned comparison, struct fletch_error *error);

/** The fingerprint by `comparison`, flags of enum fletch_schema_comparison. Any thread; takes time
 *  with the number of fields; does not block or allocate. */
FLETCH_EXPORT struct fletch_fingerprint
fletch_schema_fingerprint(const struct fletch_schema *schema, unsigned comparison);

FLETCH_END_DECLS

#endif
