#ifndef FLETCH_SHUFFLE_CREDIT_H
#define FLETCH_SHUFFLE_CREDIT_H

/* Who may send how much: two frames for each partition, and a pool of the shuffle for all.
 *
 * A frame is admitted by its partition's own frame; else by the pool, of which a partition holds at
 * most as much as is still free; else, if its writer waits, by the partition's second frame. Nobody
 * takes credit past a request that is older and could use it.
 *
 * Roles: any number of writers, each with one request for a partition at a time; any number of
 * threads that return credit. Progress: try is lock-free, return wait-free while nobody waits;
 * otherwise they submit to a serial (sync/serial.h), in which alone requests are listed and
 * granted, and which may run tasks of others before they come back.
 *
 * Why no grant is lost. What is free and whether somebody waits for it lie in one word: `held` for
 * a partition, `free` for the pool. The serial sets the waiting bit by an atomic operation that
 * reads what is free; who returns credit adds it by one that reads the bit. One of both comes
 * first: either the serial sees the credit, or the one who returns it sees the bit, and submits a
 * look. While the bit is set only the serial takes.
 *
 * Edges (proven in tests/model/credit):
 *   E1: who returns credit exchange_acq_rel(look_queued, sweep_queued) finds 1 -> serial
 *       exchange_acq_rel(look_queued, sweep_queued): the look that is queued sees that credit.
 *   E2: serial cas_weak_release(word), fetch_and_release(word) -> owner load_acquire(word): the
 *       serial is done with the request, whose memory may go.
 * Credit itself is a count: what a frame carries goes through the inbox's edge, and its bytes
 * through the budget's. A request says all that it says in one word.
 *
 * Linearization: credit is taken and returned at the operation on its word; a grant is consumed at
 * the writer's compare-and-swap. Reclamation: requests and their eventcounts stay until
 * fletch_credit_request_is_dropped, or until a task that was submitted to the pool's serial after
 * the last give up is run. A thread that stalls in the serial delays the grants of others. */

#include <stdbool.h>
#include <stdint.h>

#include <fletching/eventcount.h>

#include "base/atomic.h"
#include "shuffle/credit_order.h"
#include "sync/serial.h"

/* Where a frame's credit came from, and goes back to. */
enum fletch_credit_source {
    FLETCH_CREDIT_NONE, /* spilled */
    FLETCH_CREDIT_OWN,  /* the partition's frame */
    FLETCH_CREDIT_LENT, /* the partition's second frame */
    FLETCH_CREDIT_POOL  /* the shuffle's pool */
};

/* The most bytes that one frame or a whole pool may have. */
#define FLETCH_CREDIT_BYTES_MAX ((UINT64_C(1) << 56) - 1)

/* A request's states. WAITING -> GRANTED by the serial, WAITING -> GIVEN_UP by its writer: one of
 * them wins. GRANTED -> IDLE by its writer, who has the credit then. GIVEN_UP -> IDLE by the
 * serial, which takes it off the list; -> WAITING by its writer, who asks again. */
enum fletch_request_state {
    FLETCH_REQUEST_IDLE,
    FLETCH_REQUEST_WAITING,
    FLETCH_REQUEST_GRANTED,
    FLETCH_REQUEST_GIVEN_UP
};

/* One writer's, for one partition. */
struct fletch_credit_request {
    struct fletch_serial_task task;    /* first: how the serial learns of a change */
    _Atomic uint64_t word;             /* state, marks, source and bytes: see credit.c */
    struct fletch_credit *credit;      /* of its partition */
    struct fletch_eventcount *sleeper; /* its writer's, told when it is granted; or NULL */
    /* The serial's. */
    bool listed;
    uint64_t listed_bytes;
    uint64_t ticket;                    /* when it was listed */
    struct fletch_credit_request *next; /* of the partition's, oldest first */
    struct fletch_credit_request *previous;
};

/* A partition's. */
struct fletch_credit {
    struct fletch_serial_task look; /* first: submitted by who returns credit */
    struct fletch_credit_pool *pool;
    _Atomic uint64_t held; /* bytes of the pool, own and second frame, somebody waits */
    _Atomic uint32_t look_queued;
    /* The serial's. */
    _Atomic uint32_t waiting; /* requests on the list; others read it for statistics */
    struct fletch_credit_request *oldest;
    struct fletch_credit_request *newest;
    struct fletch_credit_place place; /* among those that wait for the pool */
    bool placed;
};

/* A shuffle's. */
struct fletch_credit_pool {
    uint64_t total_bytes;
    uint64_t frame_bytes; /* what a partition's frame has: the second one is not larger */
    FLETCH_ISOLATED _Atomic uint64_t free; /* bytes, and whether somebody waits */
    _Atomic uint64_t moves; /* credit taken or given back: what stands still is seen here */
    FLETCH_ISOLATED struct fletch_serial serial;
    struct fletch_serial_task sweep; /* submitted by who gives bytes back */
    _Atomic uint32_t sweep_queued;
    /* The serial's. */
    uint64_t waiting;
    uint64_t tickets;
    struct fletch_credit_order order;
};

/* A pool of `total_bytes` beside the frames of partitions, of `frame_bytes` each. Whoever makes it
 * also submits what runs in the pool's serial, and outlives that. */
void fletch_credit_pool_init(struct fletch_credit_pool *pool, uint64_t total_bytes,
                             uint64_t frame_bytes);
void fletch_credit_init(struct fletch_credit *credit, struct fletch_credit_pool *pool);

/* Takes credit for a frame of `bytes` bytes, or changes nothing. False also where others wait that
 * could use it. Any thread; lock-free. */
bool fletch_credit_try(struct fletch_credit *credit, uint64_t bytes,
                       enum fletch_credit_source *out_source);

/* Gives back what try, or a granted request, took for `bytes` bytes; NONE allowed. Any thread. */
void fletch_credit_return(struct fletch_credit *credit, enum fletch_credit_source source,
                          uint64_t bytes);

/* `sleeper`: notified when the request is granted; NULL: the owner polls. */
void fletch_credit_request_init(struct fletch_credit_request *request, struct fletch_credit *credit,
                                struct fletch_eventcount *sleeper);

/* Asks for credit for `bytes` bytes. The request must be idle or given up. It may be granted before
 * the call returns. Owner's; does not block. */
void fletch_credit_request_submit(struct fletch_credit_request *request, uint64_t bytes);

/* True: the request was granted and is idle now, and the caller has the credit. Owner's. */
bool fletch_credit_request_granted(struct fletch_credit_request *request,
                                   enum fletch_credit_source *out_source);

/* Stops waiting. True: it was granted meanwhile, as for fletch_credit_request_granted. False: the
 * caller has nothing, and its turn goes to the next. Idle: false. Owner's; does not block. */
bool fletch_credit_request_give_up(struct fletch_credit_request *request,
                                   enum fletch_credit_source *out_source);

/* Whether it waits for an answer. Owner's. */
bool fletch_credit_request_is_waiting(struct fletch_credit_request *request);

/* Whether the serial is done with a request that was given up or whose grant was consumed: then it
 * and its eventcount may be freed. Who cannot wait for that submits a task to the pool's serial
 * after the last give up, and frees them there. */
bool fletch_credit_request_is_dropped(struct fletch_credit_request *request);

/* Requests that wait for a partition: a statistic. */
uint32_t fletch_credit_waiting(struct fletch_credit *credit);

/* Whether nothing is taken and nobody waits: at the end. */
bool fletch_credit_is_whole(struct fletch_credit *credit);
bool fletch_credit_pool_is_whole(struct fletch_credit_pool *pool);

/* Counts every change: what stands still is seen by two equal numbers. Any thread. */
uint64_t fletch_credit_pool_moves(struct fletch_credit_pool *pool);

#endif
