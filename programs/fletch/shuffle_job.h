#ifndef FLETCH_PROGRAM_SHUFFLE_JOB_H
#define FLETCH_PROGRAM_SHUFFLE_JOB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <fletching/fletching.h>

#include "command_line.h"
#include "input_reader.h"
#include "key_columns.h"
#include "part_files.h"

/* One run of `fletch shuffle`: producer threads read inputs and write to the shuffle, consumer
 * threads read their partitions from it and write files, the main thread watches. */

struct shuffle_settings {
    const struct command_usage *usage;
    const char *by;
    const char *out;
    const char *order;
    const char *bounds_path;
    const char *save_bounds_path;
    const char *spill_directory;
    const char *sums_word;
    const char *compress_word; /* NULL: parts are not compressed */
    enum fletch_ipc_compression compression;
    const char *compress_spill_word; /* NULL: what is spilled is not compressed */
    enum fletch_spill_codec spill_codec;
    uint64_t partition_count;
    uint64_t producer_count;
    uint64_t thread_count;
    uint64_t memory_bytes;
    bool is_range;
    bool is_round_robin;
    bool replaces;
    bool is_unsynced;
    bool is_quiet;
    bool is_json;
};

/* An input as its producers share it. */
struct shuffle_input {
    const char *path;
    uint64_t bytes;
    size_t batch_count; /* FLETCH_IPC_UNKNOWN: a stream, which one producer takes whole */
    /* A pipe, which can be opened once only: open since it was planned, and handed over. */
    bool is_kept;
    struct input_reader kept;
    struct fletch_buffer_cache *kept_cache;
    _Atomic size_t next_batch; /* to be taken; of a stream: 1 if it was taken */
    _Atomic size_t done_batches;
    _Atomic bool is_done;
};

/* Where a worker's time goes. */
enum shuffle_stage {
    STAGE_READ,      /* producers: batches from inputs */
    STAGE_PARTITION, /* producers: in the writer, waiting for room included */
    STAGE_RECEIVE,   /* consumers: waiting for frames */
    STAGE_WRITE,     /* consumers: to files */
    STAGE_SYNC,      /* consumers: until files are on the disk */
    STAGES
};

struct shuffle_job;

struct shuffle_worker {
    struct shuffle_job *job;
    uint32_t number;
    _Atomic uint64_t stage_ns[STAGES];
    _Atomic uint64_t rows; /* taken in, or written out */
};

struct shuffle_job {
    struct shuffle_settings settings;
    struct inputs paths;
    struct shuffle_input *inputs;
    uint64_t input_bytes;
    bool share_is_known; /* all inputs are files */
    struct key_columns keys;
    struct fletch_range_order orders[KEY_COLUMNS_MAX]; /* of ranges */
    enum fletch_sum_level sums;
    struct fletch_schema *schema;
    struct fletch_batch *bounds;
    struct fletch_transport *transport;
    struct fletch_shuffle *shuffle;
    struct part_folder folder;
    struct input_context context;
    struct shuffle_worker *producers;
    struct shuffle_worker *consumers;
    /* What each partition's end says was verified. */
    enum fletch_sum_level *verified;
    _Atomic uint32_t workers_left;
    int wake_fd; /* an eventfd: a worker has ended */
    /* The first failure: `failed` is claimed by who writes it, `told` says that it is written. */
    _Atomic bool failed;
    _Atomic bool told;
    enum outcome failure;
    char failure_text[768];
    double started; /* seconds of CLOCK_MONOTONIC */
};

double shuffle_clock(void);
uint64_t shuffle_clock_ns(void);

/* Notes why the run fails, if nothing was noted before, and cancels the shuffle. Any thread. */
#ifdef __GNUC__
__attribute__((format(printf, 3, 4)))
#endif
void shuffle_job_fail(struct shuffle_job *job, enum outcome outcome, const char *format, ...);

/* Bodies of threads; their argument is a worker. */
void *shuffle_produce(void *worker);
void *shuffle_consume(void *worker);

/* Adds the time since *then to a stage, and moves *then to now. */
void shuffle_worker_spend(struct shuffle_worker *worker, enum shuffle_stage stage, uint64_t *then);

#endif
