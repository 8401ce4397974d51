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

/** Fields of the top level. */
FLETCH_EXPORT size_t fletch_schema_column_count(const struct fletch_schema *schema);

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
