#ifndef FLETCHING_IPC_READER_H
#define FLETCHING_IPC_READER_H

/** Reads Arrow IPC: record batches as bytes, in streams and files; metadata versions V4 and V5,
 *  with and without the continuation marker, big-endian data converted. Bytes from outside are
 *  checked before they are used; what is wrong, and where, stands in the error.
 *
 *  Threads: a reader belongs to one thread at a time, and so does its cache; batches that it gave
 *  may be used and released anywhere, before and after it is closed. */

#include <stdbool.h>
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
    /** Charged for what is received, copied or made, not for memory that is lent or mapped; NULL:
     *  nobody. */
    struct fletch_account *account;
    /** Of each batch before it is given out. Default: FLETCH_VALIDATION_OFFSETS. Dictionaries are
     *  looked at to that level at least. */
    enum fletch_validation validation;
    /** The most fields that a schema may have, children included. */
    uint32_t field_limit;
    /** The most bytes of one message's metadata, of its custom metadata as it is kept, of that of
     *  all dictionaries, and of a schema's names and metadata in all. */
    size_t metadata_limit_bytes;
    /** The most bytes of one message's body, and of what its buffers become together where they are
     *  compressed. */
    uint64_t body_limit_bytes;
    /** A body from a stream that claims more than this gets its memory as its bytes arrive. */
    size_t body_step_bytes;
    /** For the state of the reader and for schemas; NULL: the default one. */
    const struct fletch_allocator *allocator;
    /** Messages are passed on as they are: fletch_ipc_reader_relay (ipc_relay.h) gives them. There
     *  are no batches then, and no schema: NULL. Streams only. */
    bool is_relay;
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

/** The same for the file `path`, which is mapped and must not be cut short while the reader or one
 *  of its batches is there: who touches a page that is gone gets SIGBUS.
 *  NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE: the system's answer, named. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_reader_open_path(const char *path, const struct fletch_ipc_read_options *options,
                            struct fletch_ipc_reader **out_reader, struct fletch_error *error);

/** Reads a stream from a descriptor (file, pipe, socket) from where it stands; the descriptor stays
 *  the caller's and outlives the reader. Nothing behind the stream's end marker is read. This call
 *  and fletch_ipc_reader_next block where the descriptor does. UNAVAILABLE: the system's answer,
 *  also that a descriptor would block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_reader_open_fd(int fd, const struct fletch_ipc_read_options *options,
                          struct fletch_ipc_reader **out_reader, struct fletch_error *error);

/** Ends a reader; batches stay. NULL allowed. */
FLETCH_EXPORT void fletch_ipc_reader_close(struct fletch_ipc_reader *reader);

/** The schema; alive until close, and longer with a reference of one's own. NULL: a relay. */
FLETCH_EXPORT struct fletch_schema *
fletch_ipc_reader_schema(const struct fletch_ipc_reader *reader);

/** The next batch with a reference for the caller; NULL and OK: there are no more. Errors as for
 *  opening; after one, every further call fails: FAILED_PRECONDITION, with the first one's
 *  message. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_reader_next(struct fletch_ipc_reader *reader, struct fletch_batch **out_batch,
                       struct fletch_error *error);

/** Custom metadata of the message that the last batch came in, as the C data interface lays pairs
 *  out, or NULL. Alive until the next call. */
FLETCH_EXPORT const char *fletch_ipc_reader_metadata(const struct fletch_ipc_reader *reader);

/** Custom metadata of the message that a stream's schema came in, or of a file's footer, in the
 *  same form, or NULL. (The schema has metadata of its own.) Alive until close. */
FLETCH_EXPORT const char *fletch_ipc_reader_head_metadata(const struct fletch_ipc_reader *reader);

/** Dictionaries of the schema, those within others too; fields that share an id share one. */
FLETCH_EXPORT size_t fletch_ipc_reader_dictionary_count(const struct fletch_ipc_reader *reader);

/** Custom metadata of the last message, whole or delta, of dictionary `index`, in the order of
 *  their ids, or NULL; and the id. Alive until the next batch is read. Those of a file have come
 *  when it is open, those of a stream as far as it was read. */
FLETCH_EXPORT const char *
fletch_ipc_reader_dictionary_metadata(const struct fletch_ipc_reader *reader, size_t index,
                                      int64_t *out_id);

/** Batches of a file, or FLETCH_IPC_UNKNOWN for a stream. */
#define FLETCH_IPC_UNKNOWN SIZE_MAX
FLETCH_EXPORT size_t fletch_ipc_reader_batch_count(const struct fletch_ipc_reader *reader);

/** Batch `index` of a file, with a reference for the caller. Takes the same time wherever it is,
 *  and does not change what fletch_ipc_reader_next gives next. OUT_OF_RANGE: there are not so many;
 *  FAILED_PRECONDITION: a stream. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_reader_read(struct fletch_ipc_reader *reader, size_t index,
                       struct fletch_batch **out_batch, struct fletch_error *error);

/** Makes the reader, which it takes, a source: for fletch_stream_export, say. Its close closes the
 *  reader. */
FLETCH_EXPORT void fletch_ipc_reader_source(struct fletch_ipc_reader *reader,
                                            struct fletch_batch_source *out_source);

FLETCH_END_DECLS

#endif
