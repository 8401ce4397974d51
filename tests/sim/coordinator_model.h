#ifndef FLETCH_TESTS_SIM_COORDINATOR_MODEL_H
#define FLETCH_TESTS_SIM_COORDINATOR_MODEL_H

/* What the coordinator must say, in the plainest way: who has reached which barrier as a set of
 * bits, every question asked anew of all producers. Plain bytes, so that a state can be copied. */

#include "shuffle/coordinator.h"

enum { MODEL_PRODUCERS_MAX = 4, MODEL_BARRIERS_MAX = 7, MODEL_TOLD_MAX = 24 };

/* What somebody does. */
enum model_move_kind {
    MODEL_BARRIER,
    MODEL_ABORT_BARRIER,
    MODEL_WATERMARK,
    MODEL_IDLE,
    MODEL_END,
    MODEL_ABORT,
    MODEL_ADD_PRODUCER,
    MODEL_GIVE_UP,
    MODEL_PASS,  /* a partition passes barrier `value` */
    MODEL_TICK,  /* time goes on, and the coordinator is told */
    MODEL_LATER, /* time goes on */
    MODEL_MOVE_KINDS
};

struct model_move {
    enum model_move_kind kind;
    uint32_t producer;
    uint32_t value; /* a barrier, or a watermark */
};

/* What partitions are told. */
enum model_told_kind {
    MODEL_TOLD_BARRIER,
    MODEL_TOLD_ABORTED,
    MODEL_TOLD_WATERMARK,
    MODEL_TOLD_LOST,
    MODEL_TOLD_END
};

struct model_told {
    int64_t kind;
    int64_t value; /* a barrier, a watermark, or a producer */
};

struct model_log {
    struct model_told told[MODEL_TOLD_MAX];
    uint32_t count;
};

void model_note(struct model_log *log, enum model_told_kind kind, int64_t value);

enum model_barrier_state { MODEL_UNKNOWN, MODEL_FLYING, MODEL_ON_ITS_WAY, MODEL_LANDED };

struct model_producer {
    bool is_open;
    bool was_aborted;
    uint32_t named;
    uint32_t reached; /* bits of the barriers that it holds up no more */
    bool counts;      /* its watermark does */
    int64_t watermark;
    uint64_t word_ns; /* of its last watermark */
    uint32_t waits_for;
    uint64_t waits_since_ns; /* the time that it said */
    uint32_t ticket;         /* of those that wait; small ones are older */
    /* Of its last operation. */
    bool is_answered;
    enum fletch_status status;
    uint32_t added_producer;
};

struct coordinator_model {
    uint32_t producer_count;
    uint32_t producer_limit;
    bool is_fixed;
    uint32_t barrier_limit;
    uint32_t partition_count;
    uint64_t idle_ns;
    uint64_t now_ns;
    struct model_producer producers[MODEL_PRODUCERS_MAX + 1]; /* one that is never there */
    struct {
        enum model_barrier_state state;
        bool is_aborted;
        uint32_t unpassed;
    } barriers[MODEL_BARRIERS_MAX + 1];
    uint32_t tickets;
    bool is_lost;
    bool has_told_end;
    uint64_t clamped;
    int64_t watermark;
};

void coordinator_model_init(struct coordinator_model *model,
                            const struct fletch_coordinator_options *options);

/* Whether somebody can make the move. */
bool coordinator_model_allows(const struct coordinator_model *model, const struct model_move *move);

/* Makes it, and adds to `log` what partitions are told. */
void coordinator_model_move(struct coordinator_model *model, const struct model_move *move,
                            struct model_log *log);

uint32_t coordinator_model_in_flight(const struct coordinator_model *model);

#endif
