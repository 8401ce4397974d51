#ifndef FLETCHING_IPC_WRITER_H
#define FLETCHING_IPC_WRITER_H

/** Writes Arrow IPC, metadata version V5: record batches as streams and files.
 *
 *  Threads: a writer belongs to one thread at a time, and so does its cache. */

#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/batch.h>
#include <fletching/budget.h>
#include <fletching/buffer.h>
#include <fletching/buffer_pool.h>
#include <fletching/export.h>
#include <fletching/schema.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

enum fletch_ipc_format {
    FLETCH_IPC_STREAM = 0,
    FLETCH_IPC_FILE = 1 /* with a footer, for random access */
};

/** Whether a dictionary that grew travels as what was added. */
enum fletch_ipc_deltas {
    FLETCH_IPC_DELTAS_AUTO = 0,
    FLETCH_IPC_DELTAS_OFF = 1 /* replaced whole: for readers that know no deltas */
};

/** Whether and how the buffers of record batches and dictionaries are compressed, each for itself;
 *  one that would not become smaller stays as it is. LZ4 is made of independent blocks of 64 KiB,
 *  ZSTD of level 1. */
enum fletch_ipc_compression {
    FLETCH_IPC_COMPRESSION_OFF = 0,
    FLETCH_IPC_COMPRESSION_LZ4 = 1, /* frames: LZ4_FRAME */
    FLETCH_IPC_COMPRESSION_ZSTD = 2
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
    enum fletch_ipc_compression compression;
    /** Custom metadata of the message that the schema goes out in, and of a file's footer, as the C
     *  data interface lays pairs out, or NULL. It is copied. */
    const char *head_metadata;
};

struct fletch_ipc_writer;

/** Writes to a descriptor, which stays the caller's and outlives the writer; for a file from where
 *  it stands, which counts as its beginning. Writes the schema at once; without one, nothing:
 *  then the writer takes messages of a relay (ipc_relay.h), as a stream. This call and the next
 *  ones block where the descriptor does. INVALID_ARGUMENT: options; UNIMPLEMENTED: this build is
 *  without that codec; RESOURCE_EXHAUSTED: no memory, or no space on the device; UNAVAILABLE: the
 *  system's answer, also that a descriptor would block. A pipe or socket without a reader raises
 *  SIGPIPE, and is UNAVAILABLE where that is ignored. */
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

/** Custom metadata for the next message, whole or delta, of the dictionary `id` (as
 *  fletch_ipc_reader_dictionary_metadata tells it); it takes the place of what waits for that, and
 *  NULL is none. It is copied. NOT_FOUND: the schema has no such dictionary; INVALID_ARGUMENT:
 *  metadata that is none; FAILED_PRECONDITION: a relay, or the writer is finished or failed before;
 *  RESOURCE_EXHAUSTED. Does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_ipc_writer_dictionary_metadata(struct fletch_ipc_writer *writer, int64_t id,
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
