#ifndef FLETCHING_IPC_H
#define FLETCHING_IPC_H

/** Arrow IPC: record batches as bytes, in streams and files. Reads metadata versions V4 and V5, with
 *  and without the continuation marker; writes V5. Bytes from outside are checked before they are
 *  used; what is wrong, and where, stands in the error.
 *
 *  Threads: a reader or writer belongs to one thread at a time, and so does its cache; batches that
 *  it gave may be used and released anywhere, before and after it is closed. */

#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/arrow.h>
#include <fletching/batch.h>
#include <fletching/budget.h>
#include <fletching/buffer.h>
#include <fletching/buffer_pool.h>
#include <fletching/export.h>
#include <fletching/schema.h>
#include <fletching/status.h>
#include <fletching/validation.h>

FLETCH_BEGIN_DECLS

/** Defaults of the limits below. */
#define FLETCH_IPC_METADATA_BYTES_DEFAULT ((size_t)16 << 20)
#define FLETCH_IPC_BODY_BYTES_DEFAULT ((uint64_t)1 << 31)
#define FLETCH_IPC_BODY_STEP_BYTES_DEFAULT ((size_t)64 << 20)
#define FLETCH_IPC_FIELDS_DEFAULT 65536

/** Zero means default in every field but `cache`. */
struct fletch_ipc_read_options {
    size_t struct_size;
    /** Where buffers and batches come from. Must outlive the reader. */
    struct fletch_buffer_cache *cache;
    /** Charged for what is received, copied or made; NULL: nobody. */
    struct fletch_account *account;
    /** Of each batch before it is given out. Default: FLETCH_VALIDATION_OFFSETS. Dictionaries are
     *  looked at to that level at least. */
    enum fletch_validation validation;
    /** The most fields that a schema may have, children included. */
    uint32_t field_limit;
    /** The most bytes of one message's metadata, of its custom metadata as it is kept, and of a
     *  schema's names and metadata in all. */
    size_t metadata_limit_bytes;
    /** The most bytes of one message's body. */
    uint64_t body_limit_bytes;
    /** A body from a stream that claims more than this gets its memory as its bytes arrive. */
    size_t body_step_bytes;
    /** For the state of the reader and for schemas; NULL: the default one. */
    const struct fletch_allocator *allocator;
};

struct fletch_ipc_reader;

/** Reads a stream or file that lies in memory, told apart by how it begins; batches refer to that
 *  memory. On success the library owns it and calls `memory->release` once, when reader and batches
 *  are gone; on failure the caller does. Reads schema or footer at once. INVALID_ARGUMENT: options,
 *  or not as the format has it; DATA_LOSS: it ends too early; UNIMPLEMENTED: what this version does
 *  not read, named; RESOURCE_EXHAUSTED. Does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_reader_open_memory(const struct fletch_foreign_memory *memory,
                              const struct fletch_ipc_read_options *options,
                              struct fletch_ipc_reader **out_reader, struct fletch_error *error);

/** The same for the file `path`, which is mapped and must not be cut short while it is read. NOT_FOUND,
 *  PERMISSION_DENIED, UNAVAILABLE: the system's answer, named. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_reader_open_path(const char *path, const struct fletch_ipc_read_options *options,
                            struct fletch_ipc_reader **out_reader, struct fletch_error *error);

/** Reads a stream from a descriptor (file, pipe, socket) from where it stands; the descriptor stays
 *  the caller's and outlives the reader. Nothing behind the stream's end marker is read. This call
 *  and fletch_ipc_reader_next block where the descriptor does. UNAVAILABLE: the system's answer, also
 *  that a descriptor would block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_reader_open_fd(int fd, const struct fletch_ipc_read_options *options,
                          struct fletch_ipc_reader **out_reader, struct fletch_error *error);

/** Ends a reader; batches stay. NULL allowed. */
FLETCH_EXPORT void fletch_ipc_reader_close(struct fletch_ipc_reader *reader);

/** The schema; alive until close, and longer with a reference of one's own. */
FLETCH_EXPORT struct fletch_schema *
fletch_ipc_reader_schema(const struct fletch_ipc_reader *reader);

/** The next batch with a reference for the caller; NULL and OK: there are no more. Errors as for
 *  opening; after one, every further call fails: FAILED_PRECONDITION, with the first one's message. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_reader_next(struct fletch_ipc_reader *reader, struct fletch_batch **out_batch,
                       struct fletch_error *error);

/** Custom metadata of the message that the last batch came in, as the C data interface lays pairs
 *  out, or NULL. Alive until the next call. */
FLETCH_EXPORT const char *fletch_ipc_reader_metadata(const struct fletch_ipc_reader *reader);

/** Batches of a file, or FLETCH_IPC_UNKNOWN for a stream. */
#define FLETCH_IPC_UNKNOWN SIZE_MAX
FLETCH_EXPORT size_t fletch_ipc_reader_batch_count(const struct fletch_ipc_reader *reader);

/** Batch `index` of a file, with a reference for the caller. Takes the same time wherever it is, and
 *  does not change what fletch_ipc_reader_next gives next. OUT_OF_RANGE: there are not so many;
 *  FAILED_PRECONDITION: a stream. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_reader_read(struct fletch_ipc_reader *reader, size_t index,
                       struct fletch_batch **out_batch, struct fletch_error *error);

/** Makes the reader, which it takes, a source: for fletch_stream_export, say. Its close closes the
 *  reader. */
FLETCH_EXPORT void fletch_ipc_reader_source(struct fletch_ipc_reader *reader,
                                            struct fletch_batch_source *out_source);

enum fletch_ipc_format {
    FLETCH_IPC_STREAM = 0,
    FLETCH_IPC_FILE = 1 /* with a footer, for random access */
};

/** Whether a dictionary that grew travels as what was added. */
enum fletch_ipc_deltas {
    FLETCH_IPC_DELTAS_AUTO = 0,
    FLETCH_IPC_DELTAS_OFF = 1 /* replaced whole: for readers that know no deltas */
};

#define FLETCH_IPC_ALIGNMENT_DEFAULT 64

/** Zero means default in every field but `cache`. */
struct fletch_ipc_write_options {
    size_t struct_size;
    /** Where messages' metadata and scratch come from. Must outlive the writer. */
    struct fletch_buffer_cache *cache;
    /** Charged for them; NULL: nobody. */
    struct fletch_account *account;
    enum fletch_ipc_format format;
    enum fletch_ipc_deltas deltas;
    /** Of metadata and of buffers in a body: 8 or 64. */
    uint32_t alignment_bytes;
    const struct fletch_allocator *allocator;
};

struct fletch_ipc_writer;

/** Writes to a descriptor, which stays the caller's and outlives the writer; for a file from where
 *  it stands, which counts as its beginning. Writes the schema at once. This call and the next ones
 *  block where the descriptor does. INVALID_ARGUMENT: options; UNAVAILABLE: the system's answer, also
 *  that a descriptor would block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_writer_open_fd(int fd, struct fletch_schema *schema,
                          const struct fletch_ipc_write_options *options,
                          struct fletch_ipc_writer **out_writer, struct fletch_error *error);

/** Writes to memory. Does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_writer_open_memory(struct fletch_schema *schema,
                              const struct fletch_ipc_write_options *options,
                              struct fletch_ipc_writer **out_writer, struct fletch_error *error);

/** Writes a batch of the writer's schema, after the dictionaries that it needs. Of a slice, its own
 *  rows and no others. `metadata` is custom metadata of the message as the C data interface lays
 *  pairs out, or NULL. The caller keeps the batch. INVALID_ARGUMENT: another schema, or metadata
 *  that is none; FAILED_PRECONDITION: the writer is finished or failed before, or a file's
 *  dictionary is replaced, which the format does not have; RESOURCE_EXHAUSTED; UNAVAILABLE. After a
 *  failure to write the output ends somewhere, and every further call fails. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_writer_write(struct fletch_ipc_writer *writer, struct fletch_batch *batch,
                        const char *metadata, struct fletch_error *error);

/** Writes the end marker, and for a file the footer. Errors as above. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_writer_finish(struct fletch_ipc_writer *writer, struct fletch_error *error);

/** What was written to memory: a buffer with a reference for the caller, once, after finish.
 *  FAILED_PRECONDITION: not finished, not in memory, or taken already. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_writer_take(struct fletch_ipc_writer *writer, struct fletch_buffer **out_buffer,
                       struct fletch_error *error);

/** Ends a writer, finished or not: unfinished, what was written has no end. NULL allowed. */
FLETCH_EXPORT void fletch_ipc_writer_close(struct fletch_ipc_writer *writer);

FLETCH_END_DECLS

#endif
