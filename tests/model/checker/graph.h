#ifndef MC_GRAPH_H
#define MC_GRAPH_H

/* An execution as a graph: the events of each thread in program order, from which write each read
 * reads, and the order of the writes to each location. Everything else (clocks, values) follows
 * from these and is computed anew whenever the execution is run. */

#include <stdbool.h>
#include <stdint.h>

enum { MC_THREADS = 8, MC_EVENTS = 1024, MC_LOCATIONS = 512, MC_WRITES = 320 };

/* The source of a read that reads what was there before all writes. */
enum { MC_INITIAL = -1 };

/* For each thread, how many of its events are in a set that is closed under program order. */
struct mc_clock {
    uint16_t at[MC_THREADS];
};

enum mc_kind {
    MC_START,  /* first event of a thread; source: the MC_CREATE */
    MC_END,    /* last event of a thread */
    MC_CREATE, /* value: the thread */
    MC_JOIN,   /* source: the MC_END */
    MC_READ,
    MC_WRITE, /* source of the write half of a read-modify-write: its read half */
    MC_FENCE,
    MC_CHOICE, /* value: what was chosen, 0 being the usual */
    MC_AWAKE   /* source: the write to the futex queue that took the sleeper out */
};

/* The numbers that the compiler passes. */
enum mc_order { MC_RELAXED, MC_CONSUME, MC_ACQUIRE, MC_RELEASE, MC_ACQ_REL, MC_SEQ_CST };

enum mc_flag {
    MC_UPDATE = 1,   /* half of a read-modify-write */
    MC_COMPARE = 2,  /* read of a compare-exchange: `expected` counts */
    MC_WEAK = 4,     /* of a weak one */
    MC_SPURIOUS = 8, /* that failed although the value was the expected one */
    MC_LIGHT = 16,   /* fence: the light half of an asymmetric pair */
    MC_HEAVY = 32    /* fence: the heavy half, a full fence too */
};

struct mc_event {
    uint8_t thread;
    uint8_t kind;
    uint8_t order;
    uint8_t orders[2]; /* of a compare-exchange: if it fails, if it succeeds */
    uint8_t flags;
    uint16_t index;    /* in its thread, from 1 */
    uint16_t location; /* of reads and writes */
    int16_t source;    /* an event's number, or MC_INITIAL */
    uint16_t rank;     /* of a write among those to its location, from 1 */
    uint32_t stamp;    /* grows in the order in which events were added, for ever */
    uint64_t value;    /* read, written or chosen */
    uint64_t expected;
    void *code;                /* where in the program */
    void *caller;              /* and from where that was called */
    struct mc_clock happens;   /* events that happen before it, itself included */
    struct mc_clock causes;    /* events before it by program order and reads-from */
    struct mc_clock published; /* write: what an acquiring reader learns */
};

/* Writes to one location, oldest first: modification order. */
struct mc_writes {
    uint16_t count;
    int16_t event[MC_WRITES];
};

/* Events stand in an order in which the execution can be run: no event before what it depends on.
 */
struct mc_graph {
    int count;
    int location_count;
    uint32_t next_stamp;
    struct mc_event event[MC_EVENTS];
    struct mc_writes writes[MC_LOCATIONS];
};

static inline bool mc_order_acquires(int order)
{
    return order == MC_CONSUME || order == MC_ACQUIRE || order >= MC_ACQ_REL;
}

static inline bool mc_order_releases(int order)
{
    return order >= MC_RELEASE;
}

static inline bool mc_clock_has(const struct mc_clock *clock, const struct mc_event *event)
{
    return clock->at[event->thread] >= event->index;
}

static inline void mc_clock_join(struct mc_clock *clock, const struct mc_clock *other)
{
    for (int i = 0; i < MC_THREADS; i++)
        if (other->at[i] > clock->at[i])
            clock->at[i] = other->at[i];
}

/* Rank of the write that a read reads from; 0: the initial value. */
static inline int mc_source_rank(const struct mc_graph *graph, const struct mc_event *read)
{
    return read->source == MC_INITIAL ? 0 : graph->event[read->source].rank;
}

void mc_graph_clear(struct mc_graph *graph);

/* Puts write `number` at `rank` in the order of its location. */
void mc_graph_place(struct mc_graph *graph, int number, int rank);
void mc_graph_displace(struct mc_graph *graph, int number);

/* Keeps the first `count` events. */
void mc_graph_cut(struct mc_graph *graph, int count);

/* Copies to `to` the events of `from` that are marked in `kept`, then `write`, which loses its
 * place in the order, then `read`, which now reads from it. */
void mc_graph_revisit(struct mc_graph *to, const struct mc_graph *from, const bool *kept, int write,
                      int read);

/* A number that is the same for two graphs exactly (but for collisions) if they are the same
 * execution, in whatever order events were added. */
uint64_t mc_graph_hash(const struct mc_graph *graph);

#endif
