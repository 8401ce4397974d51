#ifndef MC_RUN_H
#define MC_RUN_H

/* One execution: the threads of the code under check, which of them goes on, and the events that
 * they add to the graph. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph.h"
#include "memory.h"

/* How an execution ended. */
enum mc_end { MC_COMPLETE, MC_CUT, MC_FAILED };

enum mc_thread_state {
    MC_UNUSED,
    MC_READY,
    MC_PAUSED,  /* spins, and has seen the same values twice */
    MC_REFUSED, /* waits for a mutex that it found held */
    MC_ASLEEP,  /* on a futex, until an MC_AWAKE can be added */
    MC_PRUNED,  /* on a way that another execution takes as well */
    MC_FINISHED
};

/* A read in one turn of a spin loop. */
struct mc_look {
    uint16_t location;
    bool own; /* reads what the thread itself has written */
    uint64_t value;
};

enum { MC_LOOKS = 256, MC_DIRTY = 32 };

struct mc_turn {
    int count;
    bool any;      /* some event, of whatever kind */
    bool spurious; /* a compare-exchange failed for no reason */
    struct mc_look look[MC_LOOKS];
};

/* The next event of a thread, as the code asks for it. */
struct mc_request {
    uint8_t kind;
    uint8_t order;
    uint8_t orders[2]; /* of a compare-exchange: if it fails, if it succeeds */
    uint8_t flags;
    int location;
    int source;     /* write half of an update: the read half; join and start: the thread's event */
    int target;     /* join: the thread. Choice: how many */
    uint64_t value; /* to write */
    uint64_t expected;
};

struct mc_thread {
    enum mc_thread_state state;
    struct mc_request request;
    void *(*run)(void *);
    void *argument;
    void *result;
    void *code; /* of the operation under way */
    int depth;  /* of calls, for the caller of that code */
    void *call[64];
    bool holding; /* between the halves of an update: nobody else goes on */
    bool newest;  /* has waited long: reads newest values until its next pause */
    bool timed;   /* asleep with a deadline */
    int created;  /* its MC_CREATE */
    int finished; /* its MC_END */
    int queued;   /* asleep: the write that put it into the queue */
    int spurious;
    uint64_t clock_ns;
    uint16_t events;
    struct mc_clock happens, causes;
    struct mc_clock known;    /* happens, and all of the thread itself: see mc_toucher */
    struct mc_clock acquired; /* what an acquire fence would learn */
    struct mc_clock released; /* what a relaxed write publishes: since the last release fence */
    struct mc_turn turn, last_turn;
    int dirty_count;
    int dirty[MC_DIRTY]; /* atomic locations that were written plainly since the last event */
};

struct mc_run {
    struct mc_graph *graph;
    int position; /* events up to here have been run */
    int given;    /* events up to here were there before */
    int current;
    int thread_count;
    enum mc_end end;
    struct mc_thread thread[MC_THREADS];
};

extern struct mc_run mc_run;

static inline struct mc_thread *mc_self(void)
{
    return &mc_run.thread[mc_run.current];
}

/* Runs `harness` once, first through the events of `graph`, then adding to it. */
enum mc_end mc_run_execute(struct mc_graph *graph, void (*harness)(void));

/* ---- for the operations of the code under check ---- */

/* Waits until it is this thread's turn, adds the event and returns its number. */
int mc_step(const struct mc_request *request);

/* The next event, or a blocked thread, of the current thread; returns when it is its turn. */
void mc_run_yield(void);

_Noreturn void mc_run_leave(enum mc_end end);

/* The number of the atomic object (or of the queue or mutex) at an address. */
int mc_location_of(uintptr_t address, int bytes);
int mc_queue_of(uintptr_t address);
/* That of an object which was touched in this execution, or -1. */
int mc_location_known(uintptr_t address);
size_t mc_location_bytes(int location);
uint64_t mc_location_value(const struct mc_graph *graph, int location, int source);
uintptr_t mc_location_address(int location);
bool mc_location_is_queue(int location);

/* A write has been placed at `rank` of up to `newest`: memory holds its value if it is the newest.
 */
void mc_location_update(int location, int rank, int newest, uint64_t value);
void mc_location_begin(void);

/* Adds a thread that begins with MC_START; returns its number. */
int mc_run_add_thread(void *(*run)(void *), void *argument);

/* Runs pending plain writes to atomic objects as events. */
void mc_run_flush(void);

struct mc_toucher mc_run_toucher(void);

/* Whether the sleeper has been taken out of the queue: the write that did it, or -1. */
int mc_run_waker(const struct mc_thread *sleeper, int thread);

#endif
