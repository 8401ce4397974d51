#ifndef FLETCH_TESTS_SUPPORT_FLOW_SCENES_H
#define FLETCH_TESTS_SUPPORT_FLOW_SCENES_H

/* Graphs in few words, whose instances watch all that a flow promises: each edge gives what was
 * sent to it, once, in the order of each sender, on its side of each barrier and watermark; every
 * function is called when it should be, and close once, in order. What is wrong fails the flow with
 * a message that begins with "BROKEN". */

#include <fletching/fletching.h>

#include "base/atomic.h"
#include "base/random.h"
#include "support/flow_rows.h"

enum {
    FLOW_NODES_MAX = 10,
    FLOW_LINKS_MAX = 16,
    FLOW_INSTANCES_MAX = 4,
    FLOW_CLOSES_MAX = FLOW_NODES_MAX * FLOW_INSTANCES_MAX,
    FLOW_BARRIERS_MAX = 4096 /* ids below it may be given up */
};

enum flow_kind { FLOW_SOURCE, FLOW_RELAY, FLOW_SINK };

/* Where an instance fails. */
enum flow_fault {
    FAULT_NONE,
    FAULT_INIT,
    FAULT_WORK, /* produce or process */
    FAULT_BARRIER,
    FAULT_WATERMARK,
    FAULT_INPUT_END,
    FAULT_FINISH
};

struct flow_node_words {
    const char *name;
    enum flow_kind kind;
    uint32_t instances; /* 0: 1 */
    uint32_t batches;   /* of each instance of a source; UINT32_MAX: for ever */
    uint32_t rows_most; /* of a batch; 0: 50 */
    bool reads_in_order;
    bool has_watermarks;    /* a source that sends them */
    uint32_t slow_one_in;   /* calls that give the processor away; 0: none */
    uint32_t naps_at;       /* the call of its work in which it sleeps for a while; 0: none */
    uint32_t pauses_one_in; /* calls of a source that pause it; 0: none */
    uint32_t idles_one_in;  /* calls of a source that let it fall idle; 0: none */
    uint32_t enough_after;  /* calls of its work after which it wants no more; 0: never */
    bool reads_to_end;
    enum flow_fault fault;
    uint32_t fault_instance;
    uint32_t fault_after; /* calls of that function that go well before */
    bool fault_is_hang;   /* it does not fail there, but not return until it is let go */
};

struct flow_link_words {
    uint32_t from;
    uint32_t to;
    enum fletch_flow_edge_kind kind;
    bool is_apart;
    uint32_t input;
    uint32_t output;
};

/* Rows in any order. */
struct flow_pile {
    uint64_t rows;
    uint64_t sum; /* of their identities, mixed */
};

struct flow_scene;

/* What one instance has seen. */
struct flow_actor {
    struct flow_scene *scene;
    uint32_t node;
    uint32_t number;
    struct fletch_random random;
    uint64_t batches;
    uint64_t sent;                                     /* rows, numbered from 1 */
    uint64_t last[FLOW_LINKS_MAX][FLOW_INSTANCES_MAX]; /* by input and sender */
    uint64_t barriers;
    uint64_t last_barrier;
    uint64_t aborts;
    uint64_t aborts_told[FLOW_BARRIERS_MAX / 64]; /* by id, a bit each */
    int64_t watermark;
    bool has_enough;
    bool was_idle;
    uint32_t calls[FAULT_FINISH + 1];
    uint32_t inits;
    uint32_t input_ends;
    uint32_t finishes;
    uint32_t closes;
    struct flow_pile in[FLOW_LINKS_MAX]; /* by input */
    struct flow_pile out[2];             /* by output */
};

struct flow_scene {
    struct fletch_transport *transport;
    struct fletch_schema *schema;
    struct fletch_flow *flow;
    const struct flow_node_words *nodes;
    const struct flow_link_words *links;
    uint32_t node_count;
    uint32_t link_count;
    struct flow_actor actors[FLOW_NODES_MAX][FLOW_INSTANCES_MAX];
    _Atomic uint32_t close_count;
    uint32_t closed[FLOW_CLOSES_MAX];             /* node * FLOW_INSTANCES_MAX + instance */
    _Atomic uint32_t given_up[FLOW_BARRIERS_MAX]; /* by id */
    _Atomic uint32_t hangs;                       /* one does not return */
    _Atomic uint32_t is_let_go;                   /* it shall */
    uint64_t seed;
};

struct flow_scene_words {
    uint64_t seed;
    uint64_t budget_bytes; /* of the transport; 0: 64 MiB */
    uint32_t capacity;     /* of rings; 0: 8 */
    uint32_t barrier_limit;
    uint64_t memory_timeout_ns;
    uint64_t edge_budget_bytes; /* of each shuffle; 0: its share */
    const char *spill_directory;
    const struct fletch_allocator *allocator;
    enum fletch_wait_strategy wait_strategy;
};

/* Makes transport and flow, all but started; what fails ends with everything given back. No two
 * links of a stage may share an input. */
enum fletch_status flow_scene_try(struct flow_scene *scene, const struct flow_scene_words *words,
                                  struct fletch_error *error);

/* Gives a barrier up, as fletch_flow_abort_barrier does, whose answer it is. */
enum fletch_status flow_scene_abort_barrier(struct flow_scene *scene, uint64_t id);

/* Ends flow and transport: no byte may be left. */
void flow_scene_end(struct flow_scene *scene);

/* After a flow that went well: each edge has given what was sent to it, or counted it as unread,
 * and all instances have ended and were closed. NULL: all is right; else what is not. */
const char *flow_scene_complaint(const struct flow_scene *scene);

/* After any end: each instance that was begun was closed once, upstream before downstream. */
const char *flow_scene_close_complaint(const struct flow_scene *scene);

uint32_t flow_scene_instances(const struct flow_scene *scene, uint32_t node);

#endif
