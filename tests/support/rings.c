#include "support/rings.h"

#include <stdio.h>
#include <stdlib.h>

const enum fletch_ring_form ring_forms[RING_FORMS] = {FLETCH_RING_SLOT_SEQUENCE,
                                                      FLETCH_RING_CURSOR};
const enum fletch_wait_strategy wait_strategies[WAIT_STRATEGIES] = {
    FLETCH_WAIT_SPIN, FLETCH_WAIT_PAUSE, FLETCH_WAIT_ADAPTIVE, FLETCH_WAIT_YIELD, FLETCH_WAIT_PARK,
};

struct fletch_spsc_ring_options spsc_options(enum fletch_ring_form form, size_t element_bytes,
                                             size_t capacity)
{
    return (struct fletch_spsc_ring_options){
        .struct_size = sizeof(struct fletch_spsc_ring_options),
        .element_bytes = element_bytes,
        .capacity = capacity,
        .form = form,
    };
}

struct fletch_mpsc_queue_options mpsc_options(size_t element_bytes, size_t capacity)
{
    return (struct fletch_mpsc_queue_options){
        .struct_size = sizeof(struct fletch_mpsc_queue_options),
        .element_bytes = element_bytes,
        .capacity = capacity,
    };
}

struct fletch_fan_in_options fan_in_options(size_t element_bytes, size_t capacity,
                                            size_t lane_count)
{
    return (struct fletch_fan_in_options){
        .struct_size = sizeof(struct fletch_fan_in_options),
        .element_bytes = element_bytes,
        .capacity = capacity,
        .lane_count = lane_count,
    };
}

struct fletch_broadcast_ring_options broadcast_options(size_t element_bytes, size_t capacity,
                                                       size_t consumers_max)
{
    return (struct fletch_broadcast_ring_options){
        .struct_size = sizeof(struct fletch_broadcast_ring_options),
        .element_bytes = element_bytes,
        .capacity = capacity,
        .consumers_max = consumers_max,
    };
}

static void must(enum fletch_status status, const struct fletch_error *error)
{
    if (status == FLETCH_OK)
        return;
    fprintf(stderr, "%s: %s\n", fletch_status_name(status), error->message);
    abort();
}

struct fletch_spsc_ring *spsc_new(const struct fletch_spsc_ring_options *options)
{
    struct fletch_spsc_ring *ring = NULL;
    struct fletch_error error;
    must(fletch_spsc_ring_create(options, NULL, &ring, &error), &error);
    return ring;
}

struct fletch_mpsc_queue *mpsc_new(const struct fletch_mpsc_queue_options *options)
{
    struct fletch_mpsc_queue *queue = NULL;
    struct fletch_error error;
    must(fletch_mpsc_queue_create(options, NULL, &queue, &error), &error);
    return queue;
}

struct fletch_fan_in *fan_in_new(const struct fletch_fan_in_options *options)
{
    struct fletch_fan_in *fan_in = NULL;
    struct fletch_error error;
    must(fletch_fan_in_create(options, NULL, &fan_in, &error), &error);
    return fan_in;
}

struct fletch_fan_in_lane *fan_in_register(struct fletch_fan_in *fan_in)
{
    struct fletch_fan_in_lane *lane = NULL;
    if (fletch_fan_in_register(fan_in, &lane) != FLETCH_DONE)
        abort();
    return lane;
}

struct fletch_broadcast_ring *broadcast_new(const struct fletch_broadcast_ring_options *options)
{
    struct fletch_broadcast_ring *ring = NULL;
    struct fletch_error error;
    must(fletch_broadcast_ring_create(options, NULL, &ring, &error), &error);
    return ring;
}

struct fletch_broadcast_consumer *broadcast_join(struct fletch_broadcast_ring *ring, bool leads,
                                                 struct fletch_broadcast_consumer *const *behind,
                                                 size_t count)
{
    struct fletch_broadcast_consumer *consumer = NULL;
    struct fletch_error error;
    const struct fletch_broadcast_join_options options = {
        .struct_size = sizeof options,
        .behind = behind,
        .behind_count = count,
        .leads = leads,
    };
    must(fletch_broadcast_ring_join(ring, &options, &consumer, &error), &error);
    return consumer;
}

struct fletch_ring_statistics spsc_statistics(const struct fletch_spsc_ring *ring)
{
    struct fletch_ring_statistics statistics = {.struct_size = sizeof statistics};
    fletch_spsc_ring_statistics(ring, &statistics);
    return statistics;
}

struct fletch_ring_statistics mpsc_statistics(const struct fletch_mpsc_queue *queue)
{
    struct fletch_ring_statistics statistics = {.struct_size = sizeof statistics};
    fletch_mpsc_queue_statistics(queue, &statistics);
    return statistics;
}

struct fletch_ring_statistics fan_in_statistics(const struct fletch_fan_in *fan_in)
{
    struct fletch_ring_statistics statistics = {.struct_size = sizeof statistics};
    fletch_fan_in_statistics(fan_in, &statistics);
    return statistics;
}

struct fletch_broadcast_statistics broadcast_statistics(const struct fletch_broadcast_ring *ring)
{
    struct fletch_broadcast_statistics statistics = {.struct_size = sizeof statistics};
    fletch_broadcast_ring_statistics(ring, &statistics);
    return statistics;
}

size_t ring_most(size_t capacity)
{
    return capacity + capacity / 8;
}

const char *strategy_name(enum fletch_wait_strategy strategy)
{
    static const char *const names[] = {
        [FLETCH_WAIT_DEFAULT] = "default", [FLETCH_WAIT_SPIN] = "spin",
        [FLETCH_WAIT_PAUSE] = "pause",     [FLETCH_WAIT_ADAPTIVE] = "adaptive",
        [FLETCH_WAIT_YIELD] = "yield",     [FLETCH_WAIT_PARK] = "park",
    };
    return names[strategy];
}
