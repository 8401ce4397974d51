#ifndef FLETCH_SHUFFLE_CREDIT_H
#define FLETCH_SHUFFLE_CREDIT_H

/* Who may send how much: two frames for each partition, and a pool of the shuffle for all.
 *
 * A frame is admitted by its partition's own frame; else by the pool, of which a partition holds at
 * most as much as is still free; if its writer waits, also by the partition's second frame. Nobody
 * takes credit past a request that is older and could use it.
 *
 * A frame behind a barrier that some producer has not reached is held in its partition until then,
 * and its credit with it. So it is admitted by the pool alone: the partition's frames are there for
 * those whom everybody waits for.
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
 * ABA: a request's word counts how often it was asked, so a grant is never for what was asked
 * before; it wraps after 2^18 times between two steps of the serial.
 *
 * Edges (proven in tests/model/credit):
 *   E1: who returns credit exchange_acq_rel(look_queued, sweep_queued) finds 1 -> serial
 *       exchange_acq_rel(look_queued, sweep_queued): the look that is queued sees that credit.
 *   E2: serial cas_strong_release(word), fetch_and_release(word) -> owner load_acquire(word),
 *       cas_weak_acq_rel(word), cas_weak_acquire(word): the serial is done with the request, which
 *       may be submitted again, or its memory go.
 *   E3: writer cas_weak_acq_rel(word), store_release(barrier) -> serial load_acquire(word),
 *       load_acquire(barrier): the barrier of what is asked; and who reads that of a later asking
 *       sees, at its compare-and-swap of the word, that the earlier one was given up.
 *   E4: serial exchange_acq_rel(look_queued, sweep_queued) to 0 -> who returns credit
 *       exchange_acq_rel(look_queued, sweep_queued) finds 0: the look may be submitted again.
 *
 * Credit itself is a count: what a frame carries goes through the inbox's edge, and its bytes
 * through the budget's. What is granted stands in the request's word itself.
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

/* The most bytes that a frame may have, and a pool. */
#define FLETCH_CREDIT_FRAME_BYTES_MAX ((UINT64_C(1) << 40) - 1)
#define FLETCH_CREDIT_POOL_BYTES_MAX ((UINT64_C(1) << 56) - 1)

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
    _Atomic uint64_t word;             /* state, marks, source, count and bytes: see credit.c */
    _Atomic uint64_t barrier;          /* the last one before the frame */
    struct fletch_credit *credit;      /* of its partition */
    struct fletch_eventcount *sleeper; /* its writer's, told when it is granted; or NULL */
    /* The serial's. */
    bool listed;
    uint64_t listed_ask; /* of the word: what it asked for when it was listed */
    uint64_t listed_barrier;
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
    struct fletch_credit *chain; /* of those that are looked at one after the other */
};

/* A shuffle's. */
struct fletch_credit_pool {
    uint64_t total_bytes;
    uint64_t frame_bytes;     /* what a partition's frame has: the second one is not larger */
    _Atomic uint64_t barrier; /* the last one that all producers have reached */
    FLETCH_ISOLATED _Atomic uint64_t free; /* bytes, and whether somebody waits */
    _Atomic uint64_t moves; /* credit taken or given back: what stands still is seen here */
    FLETCH_ISOLATED struct fletch_serial serial;
    struct fletch_serial_task sweep; /* submitted by who gives bytes back */
    _Atomic uint32_t sweep_queued;
    /* The serial's. */
    uint64_t waiting;
    uint64_t tickets;
    uint64_t served_barrier; /* the one that requests were last looked at with */
    struct fletch_credit_order order;
};

/* A pool of `total_bytes` beside the frames of partitions, of `frame_bytes` each. Whoever makes it
 * also submits what runs in the pool's serial, and outlives that. */
void fletch_credit_pool_init(struct fletch_credit_pool *pool, uint64_t total_bytes,
                             uint64_t frame_bytes);
void fletch_credit_init(struct fletch_credit *credit, struct fletch_credit_pool *pool);

/* All partitions have been told of `barrier`: frames behind it are held no longer. Barriers
 * increase; one thread at a time; does not block. */
void fletch_credit_pool_pass(struct fletch_credit_pool *pool, uint64_t barrier);

/* Whether they have, as far as the caller sees: frames behind `barrier` are not held. */
bool fletch_credit_pool_has_passed(struct fletch_credit_pool *pool, uint64_t barrier);

/* Takes credit for a frame of `bytes` bytes, behind `barrier` of its producer (0: none), or changes
 * nothing. False also where others wait that could use it. Any thread; lock-free. */
bool fletch_credit_try(struct fletch_credit *credit, uint64_t bytes, uint64_t barrier,
                       enum fletch_credit_source *out_source);

/* Gives back what try, or a granted request, took for `bytes` bytes; NONE allowed. Any thread. */
void fletch_credit_return(struct fletch_credit *credit, enum fletch_credit_source source,
                          uint64_t bytes);

/* `sleeper`: notified when the request is granted; NULL: the owner polls. */
void fletch_credit_request_init(struct fletch_credit_request *request, struct fletch_credit *credit,
                                struct fletch_eventcount *sleeper);

/* Asks for credit as fletch_credit_try does. The request must be idle or given up. It may be
 * granted before the call returns. Owner's; does not block. */
void fletch_credit_request_submit(struct fletch_credit_request *request, uint64_t bytes,
                                  uint64_t barrier);

/* True: the request was granted and is idle now, and the caller has the credit. Owner's. */
bool fletch_credit_request_granted(struct fletch_credit_request *request,
                                   enum fletch_credit_source *out_source);

/* Credit for a frame of `bytes` bytes behind `barrier`, for which the request may have asked before
 * with the same numbers: what was granted, or by fletch_credit_try; failing that, asks if `asks`.
 * False: none yet. Owner's; does not block. */
bool fletch_credit_request_obtain(struct fletch_credit_request *request, uint64_t bytes,
                                  uint64_t barrier, bool asks,
                                  enum fletch_credit_source *out_source);

/* What was asked for last. Owner's. */
uint64_t fletch_credit_request_bytes(struct fletch_credit_request *request);

/* Stops waiting. True: it was granted meanwhile, as for fletch_credit_request_granted. False: the
 * caller has nothing, and its turn goes to the next. Idle: false. Owner's; does not block. */
bool fletch_credit_request_give_up(struct fletch_credit_request *request,
                                   enum fletch_credit_source *out_source);

/* Whether it waits for an answer, and whether it has one that its owner has not taken. Looks for
 * any thread. */
bool fletch_credit_request_is_waiting(struct fletch_credit_request *request);
bool fletch_credit_request_has_grant(struct fletch_credit_request *request);

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
