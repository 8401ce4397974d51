#ifndef FLETCH_SHUFFLE_CREDIT_H
#define FLETCH_SHUFFLE_CREDIT_H

/* Who may send how much: two frames for each partition, and a pool of the shuffle for all.
 *
 * A frame is admitted by its partition's own frame; else by the pool, of which a partition holds at
 * most as much as is still free; else, if its writer waits, by the partition's second frame. Nobody
 * takes credit past a request that is older and could use it.
 *
 * Roles: any number of writers, each with one request for a partition at a time; any number of
 * threads that return credit. Progress: try and give_back are wait-free while nobody waits;
 * otherwise they submit to a serial (sync/serial.h), in which alone requests are listed and
 * granted. */

#include <stdbool.h>
#include <stdint.h>

#include <fletching/eventcount.h>

#include "base/atomic.h"
#include "sync/serial.h"

/* A request's states. WAITING -> GRANTED by the serial, WAITING -> GIVEN_UP by its writer: one of
 * them wins. GRANTED -> IDLE by its writer, who has the credit then. GIVEN_UP -> IDLE by the
 * serial, which takes it off the list; -> WAITING by its writer, who asks again at its old place. */
enum fletch_request_state {
    FLETCH_REQUEST_IDLE,
    FLETCH_REQUEST_WAITING,
    FLETCH_REQUEST_GRANTED,
    FLETCH_REQUEST_GIVEN_UP
};

struct fletch_credit_request {
    struct fletch_serial_task task;     /* how it gets on the list */
    _Atomic uint32_t state;             /* enum fletch_request_state */
    uint32_t source;                    /* enum fletch_credit_source; written by the grant */
    uint64_t bytes;
    struct fletch_credit *partition;
    struct fletch_eventcount *sleeper;  /* its writer's, told when it is granted */
    struct fletch_credit_request *next; /* of the list; the serial's */
    struct fletch_credit_request *previous;
};

/* A partition's. */
struct fletch_credit {
    struct fletch_credit_pool *pool;
    _Atomic uint64_t pooled_bytes; /* of the pool, held by frames of this partition */
    _Atomic uint32_t frames;       /* bits: own frame in use, second one in use */
    _Atomic uint32_t waiting;      /* requests of it on the list: nobody passes them */
};

/* A shuffle's. */
struct fletch_credit_pool {
    uint64_t total_bytes;
    FLETCH_ISOLATED _Atomic uint64_t free_bytes;
    _Atomic uint32_t waiting; /* requests on the list */
    _Atomic uint64_t moves;   /* credit taken or given back: what stands still is seen here */
    FLETCH_ISOLATED struct fletch_serial serial;
    struct fletch_serial_task sweep; /* submitted by who gives credit back */
    _Atomic uint32_t sweep_queued;
    struct fletch_credit_request *oldest; /* the serial's */
    struct fletch_credit_request *newest;
};

#endif
