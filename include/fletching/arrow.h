#ifndef FLETCHING_ARROW_H
#define FLETCHING_ARROW_H

/** Batches in and out by the Arrow C data and C stream interfaces, without a copy: to and from any
 *  Arrow library in this process.
 *
 *  Lifetimes are those of the interfaces. To import is to take: on success the source's `release` is
 *  NULL and the library releases what was in it once, on whichever thread lets go last; on failure
 *  the source is as it was. What was exported is the consumer's until its release is called, on any
 *  thread; children may be moved out and outlive it. A structure whose `release` is NULL was released
 *  or moved, and is refused. */

#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/export.h>
#include <fletching/schema.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

#endif

/** Takes the schema of record batches: a struct, its children the columns. Memory for it comes from
 *  `allocator` (NULL: the default one). Success: `*out_schema` with one reference. INVALID_ARGUMENT:
 *  released or moved, no struct, or not as the format has it; UNIMPLEMENTED: a type that is not
 *  carried, or a dictionary in a dictionary; RESOURCE_EXHAUSTED. Messages name the field's path.
 *  Any thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_schema_import(struct ArrowSchema *source, const struct fletch_allocator *allocator,
                     struct fletch_schema **out_schema, struct fletch_error *error);

/** Writes `*out_schema`, whose old content is not looked at: a struct of the columns. It holds a
 *  reference to `schema`. RESOURCE_EXHAUSTED. Any thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_schema_export(struct fletch_schema *schema, const struct fletch_allocator *allocator,
                     struct ArrowSchema *out_schema, struct fletch_error *error);

FLETCH_END_DECLS

#endif
