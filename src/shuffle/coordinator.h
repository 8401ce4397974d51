#ifndef FLETCH_SHUFFLE_COORDINATOR_H
#define FLETCH_SHUFFLE_COORDINATOR_H

/* What producers say to all partitions: barriers, watermarks, idleness, ends, aborts, new
 * producers. A state machine whose steps run in a serial (sync/serial.h), one at a time, so nothing
 * in it is atomic. It knows neither frames nor inboxes: what partitions are to be told goes to a
 * table of functions.
 *
 * An operation lies in its writer, who submits it and waits for its answer on the writer's
 * eventcount. One that must wait (a barrier, when too many are in flight) stays on the
 * coordinator's list; its writer may give it up, and one of both sides wins. */

#include <stdbool.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/eventcount.h>
#include <fletching/status.h>

#include "base/atomic.h"
#include "sync/serial.h"

enum fletch_control_kind {
    FLETCH_CONTROL_BARRIER,
    FLETCH_CONTROL_ABORT_BARRIER,
    FLETCH_CONTROL_WATERMARK,
    FLETCH_CONTROL_IDLE,
    FLETCH_CONTROL_END,
    FLETCH_CONTROL_ABORT,
    FLETCH_CONTROL_ADD_PRODUCER,
    FLETCH_CONTROL_PASSED /* a partition's reader has passed a barrier */
};

enum fletch_control_state {
    FLETCH_CONTROL_STATE_IDLE,
    FLETCH_CONTROL_STATE_SUBMITTED,
    FLETCH_CONTROL_STATE_GIVEN_UP,
    FLETCH_CONTROL_STATE_DONE
};

struct fletch_control_operation {
    struct fletch_serial_task task; /* first */
    _Atomic uint32_t state;         /* enum fletch_control_state */
    enum fletch_control_kind kind;
    uint32_t producer;
    uint64_t barrier;
    int64_t watermark;
    const char *reason; /* of an abort; alive until DONE */
    uint64_t now_ns;
    struct fletch_eventcount *sleeper;
    struct fletch_control_operation *next; /* of those that wait; the coordinator's */
    /* The answer. */
    enum fletch_status status;
    uint32_t added_producer;
    struct fletch_error error;
};

/* What partitions are told; called in the serial, must not block or fail. `slot`: which of the
 * barrier nodes of each partition, below the barrier limit. */
struct fletch_coordinator_outlet {
    void (*barrier)(void *context, uint64_t id, uint32_t slot);
    void (*watermark)(void *context, int64_t watermark);
    void (*lost)(void *context, uint32_t producer, const char *reason);
    void (*end)(void *context);
    void *context;
};

#endif
