#ifndef FLETCH_TESTS_SUPPORT_FLOW_PUPPETS_H
#define FLETCH_TESTS_SUPPORT_FLOW_PUPPETS_H

/* Small flows that a test moves by hand, on one thread under virtual time: sources do what they are
 * told and then pause until they are told something else; stages and sinks note what came. What
 * fails ends the test, but for calls of the flow that are given their expected status. */

#include <fletching/fletching.h>

#include "flow/flow.h"
#include "support/flow_rows.h"

enum { PUPPETS_MAX = 8, PUPPET_INSTANCES_MAX = 2, PUPPET_INPUTS_MAX = 4, PUPPET_TASKS_MAX = 16 };

enum puppet_move {
    PUPPET_REST,
    PUPPET_ROWS,      /* emits a batch of `number` rows of time `time` */
    PUPPET_WATERMARK, /* `time` */
    PUPPET_IDLE,
    PUPPET_END
};

struct puppet_theatre;

/* One instance of a stage, and what it has seen. */
struct puppet {
    struct puppet_theatre *theatre;
    struct fletch_flow_waker *waker;
    enum puppet_move move;
    uint32_t number;
    int64_t time;
    uint32_t produced; /* calls of produce */
    uint64_t rows[PUPPET_INPUTS_MAX];
    int64_t watermark;
    uint64_t rows_at_watermark;
    uint64_t barriers;
    uint64_t last_barrier;
    uint64_t rows_at_barrier; /* of all inputs, at the last one */
    uint64_t aborts;
    uint64_t last_abort;
    uint32_t finishes;
    uint32_t lacks_memory; /* so many calls of on_watermark find none */
    uint32_t watermark_calls;
    bool passes_on;            /* what comes goes to output 0 */
    uint32_t emits_at_barrier; /* so many rows to output 0 */
    bool wants_no_more;        /* says so in the next call */
    bool fails_at_abort;
};

struct puppet_theatre {
    struct fletch_transport *transport;
    struct fletch_schema *schema;
    struct fletch_flow *flow;
    struct puppet puppets[PUPPETS_MAX][PUPPET_INSTANCES_MAX];
    uint64_t edge_budget_bytes; /* of what is joined from now on; 0: its share */
    uint64_t now_ns;
    bool has_left[PUPPET_TASKS_MAX];
    bool is_stuck[PUPPET_TASKS_MAX]; /* is not stepped */
};

/* `options`: of the flow; NULL: all defaults. */
void theatre_open(struct puppet_theatre *theatre, const struct fletch_flow_options *options);

/* Ends everything: no byte may be left. */
void theatre_close(struct puppet_theatre *theatre);

/* Adds a stage; its number. Sources are told apart from others by `is_source`. */
struct puppet_words {
    const char *name;
    bool is_source;
    uint32_t instances; /* 0: 1 */
    bool reads_in_order;
    bool reads_to_end;
};
uint32_t theatre_add(struct puppet_theatre *theatre, const struct puppet_words *words);

void theatre_join(struct puppet_theatre *theatre, uint32_t from, uint32_t to, uint32_t input,
                  enum fletch_flow_edge_kind kind);

/* Plans and builds; makes no step. The answer is the flow's. */
enum fletch_status theatre_begin(struct puppet_theatre *theatre, struct fletch_error *error);

/* Tells an instance of a source its next move, and lets all tasks but the stuck ones step until
 * none has anything to do. */
void theatre_move(struct puppet_theatre *theatre, uint32_t stage, uint32_t instance,
                  enum puppet_move move, int64_t value);
void theatre_settle(struct puppet_theatre *theatre);

/* The tasks of a stage are not stepped any more, or are again. */
void theatre_set_stuck(struct puppet_theatre *theatre, uint32_t stage, bool is_stuck);

static inline struct puppet *theatre_puppet(struct puppet_theatre *theatre, uint32_t stage,
                                            uint32_t instance)
{
    return &theatre->puppets[stage][instance];
}

struct fletch_stage_statistics theatre_statistics(struct puppet_theatre *theatre, uint32_t stage);

#endif
