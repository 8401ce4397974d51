#ifndef FLETCHING_SHUFFLE_H
#define FLETCHING_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

#include <fletching/export.h>
#include <fletching/partition.h>
#include <fletching/placement.h>
#include <fletching/status.h>
#include <fletching/transport.h>

FLETCH_BEGIN_DECLS

/** A named redistribution of record batches from producers to partitions. Counted: whoever has a
 *  reference may use it, on any thread. Writers and readers hold references of their own.
 *
 *  What it promises: rows of one producer reach a partition in the order in which they were
 *  written, control between them where it was sent; every row is read once; an end is only an end
 *  when each producer said so and the sums agree. Error messages begin with the name of the answer
 *  (CANCELLED, PRODUCER_LOST, CONSUMED …), since transports merge status codes. */
struct fletch_shuffle;

#define FLETCH_SHUFFLE_NAME_BYTES_MAX 255u
#define FLETCH_PRODUCERS_MAX 65536u

/** What is compared at the end of a partition. */
enum fletch_sum_level {
    FLETCH_SUMS_DEFAULT = 0, /* FLETCH_SUMS_KEYS */
    FLETCH_SUMS_KEYS = 1,    /* batches, rows, bytes and, for hash methods, the sum of the rows'
                                partition hashes, which the reader computes again */
    FLETCH_SUMS_ROWS = 2,    /* also the sum of a hash over all columns of each row */
    FLETCH_SUMS_COUNTS = 3,  /* batches, rows and bytes */
    FLETCH_SUMS_OFF = 4      /* nothing; the end is reported as unverified */
};

/** What becomes of a frame that was read. */
enum fletch_retention {
    FLETCH_RETENTION_NONE = 0,       /* it goes when its reader releases it: a partition is read
                                        once, and CONSUMED after that */
    FLETCH_RETENTION_UNTIL_CLOSE = 1 /* it stays until the shuffle is closed: each new reader of a
                                        partition sees all of it again */
};

/** What is spilled is compressed by. Each writer needs scratch, which the budget is charged for:
 *  640 KiB with LZ4, 1.25 MiB with ZSTD (level 1). */
enum fletch_spill_codec { FLETCH_SPILL_PLAIN = 0, FLETCH_SPILL_LZ4 = 1, FLETCH_SPILL_ZSTD = 2 };

/** Zero means default in every field but name, schema and partitioner. Everything is copied. */
struct fletch_shuffle_options {
    size_t struct_size;
    /** Any bytes, 1 to FLETCH_SHUFFLE_NAME_BYTES_MAX of them; messages show those that are no text
     *  as \xNN. */
    const void *name;
    size_t name_bytes;
    /** Of all batches; acquired. */
    struct fletch_schema *schema;
    /** How rows are distributed, and over how many partitions. Round-robin: producer i begins at
     *  seed + i. */
    const struct fletch_partitioner_options *partitioner;
    /** Producers, 0 … producer_count - 1, each of which must end. 0: 1. */
    uint32_t producer_count;
    /** Above producer_count: the set is open. A producer that has not ended may add others with
     *  fletch_shuffle_writer_add_producer, up to this many in all. 0: producer_count. */
    uint32_t producer_limit;
    /** The most bytes that this shuffle keeps alive, of those of the transport, or what the
     *  transport does not keep for what is delivered, if that is less. 0: all of that. */
    uint64_t budget_bytes;
    /** Bytes that a frame is to have, 4 KiB to 64 MiB. 0: the largest power of two that is not
     *  above 256 KiB and budget / (8 · producers · P), at least 4 KiB. */
    size_t frame_bytes;
    /** How long rows may wait in a writer for more of them; 0: 1 ms, FLETCH_OFF: until the frame is
     *  full or the writer flushes. Looked at in each call of the writer. Rows wait on where that
     *  delays nobody: as long as their partition's reader has not taken what was sent before. */
    uint64_t linger_ns;
    enum fletch_sum_level sums;
    enum fletch_retention retention;
    /** Where frames go that there is no room for; NULL: nowhere, writers wait. Must be there and
     *  writable. */
    const char *spill_directory;
    enum fletch_spill_codec spill_codec;
    /** How long a writer waits without anything moving before it spills, or, without a directory,
     *  is told that nothing can move; a partition without reader is spilled for at once. 0: 100 ms.
     */
    uint64_t spill_after_ns;
    /** Barriers that may be in flight, up to 64. 0: 4. */
    uint32_t barrier_limit;
    /** A producer that has sent no watermark for so long does not hold back the others'. 0: never
     *  idle by time. */
    uint64_t watermark_idle_ns;
    /** 1: metadata of fields must agree too. */
    uint32_t strict_schema;
    /** 1: an open set is held open: producer 0 is nobody's, and others may be added by
     *  fletch_shuffle_add_producer, also when all that came have ended, until
     *  fletch_shuffle_seal. */
    uint32_t hold_open;
    /** FLETCH_SHUFFLE_ID_BYTES that no other shuffle has; NULL: random ones. With name and epoch
     *  the identity, by which the processes of one shuffle know each other's. */
    const unsigned char *id;
    /** How often it was begun anew: who comes with an old one is refused. 0: 1. */
    uint32_t epoch;
    /** Which process owns which partition; NULL: this one owns all. */
    const struct fletch_placement *placement;
};

#define FLETCH_SHUFFLE_ID_BYTES 16

struct fletch_shuffle_id {
    unsigned char id[FLETCH_SHUFFLE_ID_BYTES];
    uint32_t epoch;
};

/** Registers a shuffle; one reference, the caller's. ALREADY_EXISTS: the name is taken;
 *  INVALID_ARGUMENT: an option, named with its value and limit, or a spill directory that cannot be
 *  written; RESOURCE_EXHAUSTED: no memory, or a budget below the minimum of
 *  4 KiB · P · (2 + producers), and, with a spill directory, of what each producer needs to spill,
 *  with the numbers; UNIMPLEMENTED: a spill codec that the build is without;
 *  FAILED_PRECONDITION: partitions of other processes, and the transport can reach none. Any
 *  thread; lock-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_register(struct fletch_transport *transport,
                        const struct fletch_shuffle_options *options,
                        struct fletch_shuffle **out_shuffle, struct fletch_error *error);

/** Any bytes. */
struct fletch_shuffle_name {
    const void *bytes;
    size_t byte_count;
};

/** A hash of a name, the same in every process. Not unique: an index and no more. Any thread. */
FLETCH_EXPORT uint64_t fletch_shuffle_name_hash(struct fletch_shuffle_name name);

/** A reference to the shuffle of this name; waits up to `timeout_ns` until it is registered.
 *  NOT_FOUND (timeout 0) or DEADLINE_EXCEEDED: "UNKNOWN"; RESOURCE_EXHAUSTED: no memory. Any
 *  thread. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_find(struct fletch_transport *transport, struct fletch_shuffle_name name,
                    uint64_t timeout_ns, struct fletch_shuffle **out_shuffle,
                    struct fletch_error *error);

FLETCH_EXPORT struct fletch_shuffle *fletch_shuffle_acquire(struct fletch_shuffle *shuffle);

/** Drops a reference. NULL allowed. The shuffle stays registered. */
FLETCH_EXPORT void fletch_shuffle_release(struct fletch_shuffle *shuffle);

/** Takes the name out of the registry and lets go of everything that was retained; who is still
 *  writing or reading is cancelled. Idempotent. Any thread. */
FLETCH_EXPORT void fletch_shuffle_close(struct fletch_shuffle *shuffle);

/** Ends the shuffle for everybody: waiting calls return, frames that were not read are dropped,
 *  every later call answers CANCELLED with `reason` (NULL: none). Idempotent and final: the first
 *  reason stays. Any thread; lock-free. */
FLETCH_EXPORT void fletch_shuffle_cancel(struct fletch_shuffle *shuffle, const char *reason);

/** Adds a producer to a set that is held open, and writes its number. FAILED_PRECONDITION: the set
 *  is not held open, or sealed; RESOURCE_EXHAUSTED: producer_limit. Any thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_add_producer(struct fletch_shuffle *shuffle, uint32_t *out_producer,
                            struct fletch_error *error);

/** No more producers come to a set that is held open: partitions end when all that came have.
 *  Idempotent. FAILED_PRECONDITION: the set is not held open. Any thread; does not block. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_seal(struct fletch_shuffle *shuffle, struct fletch_error *error);

FLETCH_EXPORT struct fletch_schema *fletch_shuffle_schema(const struct fletch_shuffle *shuffle);
FLETCH_EXPORT uint32_t fletch_shuffle_partition_count(const struct fletch_shuffle *shuffle);
/** Bytes that a frame is to have. */
FLETCH_EXPORT size_t fletch_shuffle_frame_bytes(const struct fletch_shuffle *shuffle);
FLETCH_EXPORT void fletch_shuffle_identity(const struct fletch_shuffle *shuffle,
                                           struct fletch_shuffle_id *out_identity);

/** Where a partition stands. */
enum fletch_partition_state {
    FLETCH_PARTITION_REGISTERED = 0, /* nothing was written yet */
    FLETCH_PARTITION_PRODUCING = 1,  /* something was, and producers have not all ended */
    FLETCH_PARTITION_COMPLETE = 2,   /* they have; there is something to read */
    FLETCH_PARTITION_EMPTY = 3,      /* they have, and there was never a row */
    FLETCH_PARTITION_CONSUMED = 4,   /* read to its end, and nothing was retained */
    FLETCH_PARTITION_CANCELLED = 5,
    FLETCH_PARTITION_LOST = 6 /* a producer aborted */
};

struct fletch_exchange_statistics {
    size_t struct_size;
    uint64_t rows_written; /* taken from producers */
    uint64_t rows_sent;    /* pushed to partitions, in frames, and what came from elsewhere */
    uint64_t rows_read;    /* given to readers */
    uint64_t bytes_written;
    uint64_t bytes_sent;
    uint64_t bytes_read;
    uint64_t frames_sent;
    uint64_t frames_read;
    uint64_t bytes_queued; /* sent, in memory and not read */
    uint64_t frames_spilled;
    uint64_t bytes_spilled; /* so far */
    uint64_t bytes_on_disk; /* now */
    uint64_t bytes_charged; /* the shuffle's account, and a frame beside it that is too large */
    uint64_t bytes_charged_peak;
    uint64_t budget_bytes;
    uint64_t credit_waits;   /* times that a writer waited for credit */
    uint64_t credit_wait_ns; /* how long, in all */
    uint64_t reader_waits;
    uint64_t reader_wait_ns;
    uint64_t watermarks_clamped;
    uint32_t producers_open;
    uint32_t producers_ended;
    uint32_t readers_open;
    uint32_t partitions_ended;     /* whose readers were told the end */
    uint32_t producers_unverified; /* whose rows came from outside without sums */
    uint64_t frames_accepted;      /* of those that were sent, by other processes */
    uint64_t rows_accepted;
    uint64_t bytes_accepted;
};

/** They may lag behind while others work. Any thread; writes the first
 *  `out_statistics->struct_size` bytes. */
FLETCH_EXPORT void fletch_shuffle_statistics(struct fletch_shuffle *shuffle,
                                             struct fletch_exchange_statistics *out_statistics);

struct fletch_partition_statistics {
    size_t struct_size;
    enum fletch_partition_state state;
    uint64_t rows; /* sent to it */
    uint64_t bytes;
    uint64_t frames;
    uint64_t bytes_queued;
    uint64_t rows_read;
    uint32_t has_reader;
    uint32_t waiting_producers; /* that wait for credit of it */
};

/** OUT_OF_RANGE: no such partition. Any thread. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_partition_statistics(struct fletch_shuffle *shuffle, uint32_t partition,
                                    struct fletch_partition_statistics *out_statistics,
                                    struct fletch_error *error);

FLETCH_END_DECLS

#endif
