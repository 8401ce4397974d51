#ifndef FLETCH_TESTS_SIM_MODEL_H
#define FLETCH_TESTS_SIM_MODEL_H

/* What a shuffle must do, in the plainest way: all rows that it accepted, and how far each
 * partition was told of each producer. Every event is held against that; what does not fit is
 * written to `complaint`, and false returned. */

#include <fletching/shuffle_reader.h>
#include <fletching/shuffle_writer.h>

#include "sim/sim_rows.h"

enum { SIM_PRODUCERS_MAX = 5, SIM_PARTITIONS_MAX = 9, SIM_BARRIERS_MAX = 64 };

struct sim_producer {
    struct sim_row *rows; /* accepted, in order */
    uint64_t row_count;
    uint64_t row_capacity;
    uint64_t barrier; /* the last one that it sent */
    int64_t watermark;
    /* What it has asked for may be told before its call has returned. */
    uint64_t barrier_asked;
    int64_t watermark_asked;
    bool asked_for_end;
    bool was_idle; /* once: what it says of time binds nobody any more */
    bool has_ended;
    bool is_aborted;
};

struct sim_partition {
    uint64_t next[SIM_PRODUCERS_MAX]; /* rows before this one were given, or go elsewhere */
    bool has_some_of[SIM_PRODUCERS_MAX];
    uint64_t barrier;
    int64_t watermark;
    uint64_t rows;
    bool is_replay;  /* given before, to another reader */
    bool has_ended;  /* END was told */
    bool has_failed; /* LOST was told */
};

struct sim_model {
    uint32_t producer_count;
    uint32_t partition_count;
    struct sim_producer producers[SIM_PRODUCERS_MAX];
    struct sim_partition partitions[SIM_PARTITIONS_MAX];
    bool is_barrier_aborted[SIM_BARRIERS_MAX];
    bool may_lose; /* a process was lost, or cut off for too long */
    char complaint[256];
};

void sim_model_init(struct sim_model *model, uint32_t producer_count, uint32_t partition_count);
void sim_model_deinit(struct sim_model *model);

/* The shuffle has accepted rows that follow on those of their producer. */
void sim_model_accept(struct sim_model *model, const struct sim_row *rows, uint32_t row_count);

/* Some producer was aborted, or may be lost: what it had not sent will not come. */
bool sim_model_has_abort(const struct sim_model *model);

/* A new reader begins a partition of which all is retained. */
void sim_model_replay(struct sim_model *model, uint32_t partition);

bool sim_model_check(struct sim_model *model, const struct fletch_shuffle_event *event);

/* A partition answered UNAVAILABLE. */
bool sim_model_check_lost(struct sim_model *model, uint32_t partition);

#endif
