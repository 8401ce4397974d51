#ifndef FLETCHING_ARROW_H
#define FLETCHING_ARROW_H

/** Batches in and out by the Arrow C data and C stream interfaces, without a copy: to and from any
 *  Arrow library in this process.
 *
 *  Lifetimes are those of the interfaces. To import is to take: on success the source's `release`
 *  is NULL and the library releases what was in it once, on whichever thread lets go last; on
 *  failure the source is as it was. What was exported is the consumer's until its release is
 *  called, on any thread; children may be moved out and outlive it. A structure whose `release` is
 *  NULL was released or moved, and is refused. */

#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/batch.h>
#include <fletching/budget.h>
#include <fletching/buffer_pool.h>
#include <fletching/export.h>
#include <fletching/schema.h>
#include <fletching/status.h>
#include <fletching/validation.h>

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
 *  `allocator` (NULL: the default one). Success: `*out_schema` with one reference.
 *  INVALID_ARGUMENT: released or moved, no struct, not as the format has it, or nested deeper than
 *  64; UNIMPLEMENTED: a dictionary whose values are dictionary-encoded themselves;
 *  RESOURCE_EXHAUSTED. Messages name the field's path. Any thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_schema_import(struct ArrowSchema *source, const struct fletch_allocator *allocator,
                     struct fletch_schema **out_schema, struct fletch_error *error);

/** Writes `*out_schema`, whose old content is not looked at: a struct of the columns. It holds a
 *  reference to `schema`. RESOURCE_EXHAUSTED. Any thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_schema_export(struct fletch_schema *schema, const struct fletch_allocator *allocator,
                     struct ArrowSchema *out_schema, struct fletch_error *error);

/** How batches are taken in. Zero means default in every field but `cache`. */
struct fletch_import_options {
    size_t struct_size;
    /** The calling thread's; what the library itself needs for a batch comes from here. */
    struct fletch_buffer_cache *cache;
    /** Charged for each batch's bytes (offset + length of each of its arrays) as long as anything
     *  of it lives; NULL: charged to nobody. */
    struct fletch_account *account;
    /** Default: FLETCH_VALIDATION_STRUCTURE, since it is data of one's own process. */
    enum fletch_validation validation;
    /** For a stream's schema and state; NULL: the default one. */
    const struct fletch_allocator *allocator;
};

/** Takes a record batch: a struct array whose children are columns of `schema`, to which the batch
 *  holds a reference. Offsets anywhere and null counts of -1 are fine; buffers whose address is not
 *  a multiple of their elements' size are copied, all others stay where they are. The array is
 *  released as a whole when the batch, and the batches of its dictionaries, are. INVALID_ARGUMENT:
 *  released or moved, not an array of this schema, rows that are null, or found by validation;
 *  RESOURCE_EXHAUSTED: the account or memory. Does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_batch_import(struct ArrowArray *source, struct fletch_schema *schema,
                    const struct fletch_import_options *options, struct fletch_batch **out_batch,
                    struct fletch_error *error);

/** Writes `*out_array`, whose old content is not looked at: a struct array of the batch's columns
 *  where they lie. It holds a reference to the batch. The memory for it comes from `cache`, the
 *  calling thread's. INVALID_ARGUMENT: a batch without schema, or no cache;
 *  RESOURCE_EXHAUSTED. Does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_batch_export(struct fletch_batch *batch, struct fletch_buffer_cache *cache,
                    struct ArrowArray *out_array, struct fletch_error *error);

/** Batches of one schema, one after the other. Belongs to one thread at a time. */
struct fletch_batch_source {
    /** Alive until close. */
    struct fletch_schema *schema;
    /** The next batch, with a reference for the caller; NULL and OK: there are no more, now and
     *  later. Whether it blocks is the source's to say. */
    enum fletch_status (*next)(void *context, struct fletch_batch **out_batch,
                               struct fletch_error *error);
    /** Ends the source, once; not NULL. Batches stay. */
    void (*close)(void *context);
    void *context;
};

/** Takes a stream: writes a source that imports what it yields as fletch_batch_import does, from
 *  the thread that options->cache belongs to at that time; options->account and ->cache must
 *  outlive it. A failure of the stream is told with its own message; from then on `next` repeats
 *  it. Errors: INVALID_ARGUMENT: released or moved, or without get_schema or get_next; those of the
 *  stream, and of fletch_schema_import. Blocks where the stream does. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_stream_import(struct ArrowArrayStream *source, const struct fletch_import_options *options,
                     struct fletch_batch_source *out_source, struct fletch_error *error);

/** Takes a source and writes `*out_stream`, whose old content is not looked at; the stream's
 *  release closes the source. On failure the source stays the caller's. `cache` belongs to
 *  whichever thread calls the stream's functions, and outlives it. Errors of the source reach the
 *  consumer as errno and message; after one, get_next repeats it and the source is not asked again.
 *  INVALID_ARGUMENT: no cache; RESOURCE_EXHAUSTED. Does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_stream_export(const struct fletch_batch_source *source, struct fletch_buffer_cache *cache,
                     const struct fletch_allocator *allocator, struct ArrowArrayStream *out_stream,
                     struct fletch_error *error);

FLETCH_END_DECLS

#endif
