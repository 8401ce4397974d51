#include "shuffle/producer_set.h"

#include "base/status.h"
#include "shuffle/coordinator.h"
#include "shuffle/shuffle_seat.h"

enum { HOLDER = 0 };

/* The serial says by the operation alone that it has let go of the sleeper. */
#define LOOK_AGAIN_NS UINT64_C(1000000)

enum fletch_status fletch_producer_set_check(const struct fletch_shuffle *shuffle,
                                             uint32_t producer, struct fletch_error *error)
{
    if (!shuffle->specification.hold_open || producer != HOLDER)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                            "ALREADY_EXISTS: producer %u of shuffle '%s' holds its set open, and "
                            "is nobody's",
                            producer, shuffle->specification.shown.text);
}

/* Says something as the holder, and waits for the answer, which waits for nobody. */
static enum fletch_status say(struct fletch_shuffle *shuffle, enum fletch_control_kind kind,
                              uint32_t *out_added, struct fletch_error *error)
{
    struct fletch_control_operation operation = {.kind = FLETCH_CONTROL_END};
    struct fletch_eventcount sleeper;
    fletch_eventcount_start(&sleeper, FLETCH_SHARING_PROCESS);
    fletch_control_init(&operation, shuffle->coordinator, HOLDER, &sleeper);
    operation.kind = kind;
    operation.producer = HOLDER;
    operation.now_ns = fletch_shuffle_now_ns(shuffle);
    fletch_control_submit(&operation);
    while (!fletch_control_is_done(&operation) || !fletch_control_is_dropped(&operation)) {
        uint32_t key = fletch_eventcount_prepare(&sleeper);
        if (fletch_control_is_dropped(&operation))
            fletch_eventcount_cancel(&sleeper);
        else
            (void)fletch_eventcount_wait(&sleeper, key, LOOK_AGAIN_NS);
    }
    fletch_eventcount_deinit(&sleeper);
    if (operation.status != FLETCH_OK)
        return fletch_error_set(error, operation.status, "%s", operation.error.message);
    *out_added = operation.added_producer;
    return FLETCH_OK;
}

static enum fletch_status check_held(const struct fletch_shuffle *shuffle,
                                     struct fletch_error *error)
{
    enum fletch_status status = fletch_shuffle_check(shuffle, error);
    if (status != FLETCH_OK || shuffle->specification.hold_open)
        return status;
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                            "FAILED_PRECONDITION: the producers of shuffle '%s' are not held open",
                            shuffle->specification.shown.text);
}

enum fletch_status fletch_shuffle_add_producer(struct fletch_shuffle *shuffle,
                                               uint32_t *out_producer, struct fletch_error *error)
{
    enum fletch_status status = check_held(shuffle, error);
    if (status != FLETCH_OK)
        return status;
    /* relaxed: words the refusal; the coordinator decides who comes too late */
    if (load_relaxed(&shuffle->is_sealed) != 0)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "FAILED_PRECONDITION: the producers of shuffle '%s' are sealed: no "
                                "more may come",
                                shuffle->specification.shown.text);
    return say(shuffle, FLETCH_CONTROL_ADD_PRODUCER, out_producer, error);
}

enum fletch_status fletch_shuffle_seal(struct fletch_shuffle *shuffle, struct fletch_error *error)
{
    uint32_t ignored = 0;
    enum fletch_status status = check_held(shuffle, error);
    /* relaxed: says who asks the coordinator, and publishes nothing */
    if (status != FLETCH_OK || exchange_relaxed(&shuffle->is_sealed, 1) != 0)
        return status;
    return say(shuffle, FLETCH_CONTROL_END, &ignored, error);
}

uint32_t fletch_producer_set_find_free(struct fletch_shuffle *shuffle, uint32_t first)
{
    struct fletch_coordinator_statistics control;
    fletch_coordinator_statistics(shuffle->coordinator, &control);
    if (shuffle->specification.hold_open && first == HOLDER)
        first++;
    for (; first < control.producers; first++)
        if (!fletch_shuffle_seat_is_taken(shuffle, first))
            return first;
    return UINT32_MAX;
}

void fletch_producer_set_correct(const struct fletch_shuffle *shuffle,
                                 struct fletch_exchange_statistics *statistics)
{
    if (!shuffle->specification.hold_open)
        return;
    if (load_relaxed(&shuffle->is_sealed) == 0) /* relaxed: a statistic */
        statistics->producers_open -= statistics->producers_open > 0;
    else
        statistics->producers_ended -= statistics->producers_ended > 0;
}
