#ifndef FLETCH_TESTS_SIM_WORLD_H
#define FLETCH_TESTS_SIM_WORLD_H

/* One simulated run: a shuffle, its writers and readers, all on one thread. Which of them makes the
 * next step, and what it does, follows from the seed; every call has a timeout of 0, and time is a
 * number that the run advances. */

#include <fletching/fletching.h>

#include "base/random.h"

#include "sim/sim_model.h"
#include "support/test_disk.h"

enum { SIM_READERS_MAX = 8, SIM_ROWS_MAX = 48, SIM_KEPT_MAX = 6 };

/* What a writer is about to do, and does again until it is done. */
enum sim_action {
    SIM_ACTION_NONE,
    SIM_ACTION_WRITE,
    SIM_ACTION_PUT,
    SIM_ACTION_FLUSH,
    SIM_ACTION_BARRIER,
    SIM_ACTION_WATERMARK,
    SIM_ACTION_IDLE,
    SIM_ACTION_END
};

struct sim_writer {
    struct fletch_transport *transport;   /* it writes in this one, */
    struct fletch_shuffle *shuffle;       /* to this replica */
    struct fletch_shuffle_writer *writer; /* NULL: not opened yet, or closed */
    struct fletch_buffer_cache *cache;
    uint64_t rows_left;
    enum sim_action action;
    struct fletch_batch *batch; /* of a write or a put that waits */
    struct sim_row rows[SIM_ROWS_MAX];
    uint32_t row_count;
    int64_t watermark;                       /* of one that waits */
    char answer[FLETCH_ERROR_MESSAGE_BYTES]; /* the last call's, if it had to wait */
    bool is_done;
};

struct sim_reader {
    struct fletch_shuffle *shuffle;
    struct fletch_shuffle_reader *reader; /* NULL: not opened yet, or closed */
    struct fletch_buffer_cache *cache;
    uint32_t partitions[SIM_PARTITIONS_MAX];
    uint32_t partition_count;
    struct fletch_batch *kept[SIM_KEPT_MAX]; /* given, and not released yet */
    uint32_t kept_count;
    char answer[FLETCH_ERROR_MESSAGE_BYTES]; /* the last call's, if it had to wait */
    uint32_t rounds;                         /* times that it is still to read everything */
    bool is_done;
};

/* What the disk does, from some call on. */
enum sim_disk { SIM_DISK_WORKS, SIM_DISK_FILLS, SIM_DISK_BREAKS };

struct sim_plan {
    uint32_t producer_count;
    uint32_t partition_count;
    uint32_t reader_count;
    uint64_t rows_each;
    uint64_t budget_bytes;
    uint32_t filling_most;
    uint32_t reader_pace; /* of 100 steps of a reader, how many it reads in */
    bool has_barriers;
    bool has_watermarks;
    bool has_puts;
    bool spills;
    enum sim_disk disk;
    bool retains;
    bool reads_late;    /* readers open when all has been written; only where it can be spilled */
    uint32_t reopens;   /* times that a reader closes in the middle, and another one goes on */
    uint32_t abort_at;  /* step; 0: never */
    uint32_t cancel_at; /* step; 0: never */
    enum fletch_sum_level sums;
};

struct sim_world {
    struct sim_plan plan;
    struct fletch_random random;
    struct fletch_transport *transport;
    struct fletch_shuffle *shuffle;
    struct fletch_schema *schema;
    struct fletch_partitioner *partitioner; /* tells the model where rows belong */
    struct sim_writer writers[SIM_PRODUCERS_MAX];
    struct sim_reader readers[SIM_READERS_MAX];
    struct sim_model model;
    struct test_disk disk;
    uint64_t now_ns;
    uint64_t step;
    uint64_t progress; /* counts what was taken and given */
    bool is_cancelled;
};

/* A step of one of them. False: it broke a promise, told in model.complaint. */
bool sim_writer_step(struct sim_world *world, uint32_t number);
bool sim_reader_step(struct sim_world *world, uint32_t number);

void sim_writer_end(struct sim_world *world, struct sim_writer *writer);
void sim_reader_end(struct sim_world *world, struct sim_reader *reader);

/* True, `percent` times of 100. */
bool sim_chance(struct sim_world *world, uint32_t percent);

/* Writes what a call answered to model.complaint; returns false. */
bool sim_refuse(struct sim_world *world, const char *call, enum fletch_status status,
                const struct fletch_error *error);

#endif
