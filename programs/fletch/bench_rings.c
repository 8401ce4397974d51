/* The rings and queues that `fletch bench` measures, elements of 8 bytes. */

#include <stdio.h>

#include <fletching/fletching.h>

#include "bench_case.h"
#include "bench_stream.h"

enum { CAPACITY = 4096 };

/* ---- SPSC ring ---- */

static enum fletch_status open_spsc(void **out_ring, void **producers, void **consumers,
                                    struct fletch_error *error)
{
    const struct fletch_spsc_ring_options options = {
        .struct_size = sizeof options, .element_bytes = sizeof(uint64_t), .capacity = CAPACITY};
    struct fletch_spsc_ring *ring = NULL;
    enum fletch_status status = fletch_spsc_ring_create(&options, NULL, &ring, error);
    *out_ring = producers[0] = consumers[0] = ring;
    return status;
}

static bool give_spsc(void *producer, uint64_t first)
{
    for (uint64_t i = first; i < first + BENCH_RUN; i++)
        if (fletch_spsc_ring_push(producer, &i, FLETCH_NO_TIMEOUT) != FLETCH_DONE)
            return false;
    return true;
}

static size_t take_spsc(void *consumer, uint64_t *elements)
{
    size_t i = 0;
    while (i < BENCH_RUN &&
           fletch_spsc_ring_pop(consumer, &elements[i], FLETCH_NO_TIMEOUT) == FLETCH_DONE)
        i++;
    return i;
}

static void end_spsc(void *producer)
{
    fletch_spsc_ring_close(producer);
}

static void close_spsc(void *ring)
{
    fletch_spsc_ring_destroy(ring, NULL, NULL);
}

static enum outcome run_spsc(void *state, uint64_t round_ns, double *out_figures)
{
    static const struct bench_ring kind = {"SPSC ring", 1,        1,          open_spsc, give_spsc,
                                           take_spsc,   end_spsc, close_spsc, true};
    (void)state;
    return bench_stream_run(&kind, round_ns, out_figures);
}

const struct bench_case bench_spsc_ring = {
    .measures = {{"spsc_ring", "SPSC ring, 1 producer, 1 consumer", "M elements/s", false}},
    .thread_count = 2,
    .round = run_spsc};

/* ---- MPSC queue ---- */

static enum fletch_status open_mpsc(void **out_ring, void **producers, void **consumers,
                                    struct fletch_error *error)
{
    const struct fletch_mpsc_queue_options options = {
        .struct_size = sizeof options, .element_bytes = sizeof(uint64_t), .capacity = CAPACITY};
    struct fletch_mpsc_queue *queue = NULL;
    enum fletch_status status = fletch_mpsc_queue_create(&options, NULL, &queue, error);
    *out_ring = producers[0] = producers[1] = consumers[0] = queue;
    return status;
}

static bool give_mpsc(void *producer, uint64_t first)
{
    for (uint64_t i = first; i < first + BENCH_RUN; i++)
        if (fletch_mpsc_queue_push(producer, &i, FLETCH_NO_TIMEOUT) != FLETCH_DONE)
            return false;
    return true;
}

static size_t take_mpsc(void *consumer, uint64_t *elements)
{
    size_t i = 0;
    while (i < BENCH_RUN &&
           fletch_mpsc_queue_pop(consumer, &elements[i], FLETCH_NO_TIMEOUT) == FLETCH_DONE)
        i++;
    return i;
}

static void end_mpsc(void *producer)
{
    fletch_mpsc_queue_close(producer);
}

static void close_mpsc(void *ring)
{
    fletch_mpsc_queue_destroy(ring, NULL, NULL);
}

static enum outcome run_mpsc(void *state, uint64_t round_ns, double *out_figures)
{
    static const struct bench_ring kind = {"MPSC queue", 2,        1,          open_mpsc, give_mpsc,
                                           take_mpsc,    end_mpsc, close_mpsc, false};
    (void)state;
    return bench_stream_run(&kind, round_ns, out_figures);
}

const struct bench_case bench_mpsc_queue = {
    .measures = {{"mpsc_queue", "MPSC queue, 2 producers, 1 consumer", "M elements/s", false}},
    .thread_count = 3,
    .round = run_mpsc};

/* ---- fan-in ---- */

static enum fletch_status refuse_lane(struct fletch_fan_in *fan_in, enum fletch_answer answer,
                                      struct fletch_error *error)
{
    fletch_fan_in_destroy(fan_in, NULL, NULL);
    error->status = FLETCH_INTERNAL;
    snprintf(error->message, sizeof error->message, "no lane for a producer: %s",
             fletch_answer_name(answer));
    return error->status;
}

static enum fletch_status open_fan_in(void **out_ring, void **producers, void **consumers,
                                      struct fletch_error *error)
{
    const struct fletch_fan_in_options options = {.struct_size = sizeof options,
                                                  .element_bytes = sizeof(uint64_t),
                                                  .capacity = CAPACITY,
                                                  .lane_count = BENCH_ENDS_MAX};
    struct fletch_fan_in *fan_in = NULL;
    enum fletch_status status = fletch_fan_in_create(&options, NULL, &fan_in, error);
    *out_ring = consumers[0] = fan_in;
    if (status != FLETCH_OK)
        return status;
    for (uint32_t i = 0; i < BENCH_ENDS_MAX; i++) {
        struct fletch_fan_in_lane *lane = NULL;
        enum fletch_answer answer = fletch_fan_in_register(fan_in, &lane);
        if (answer != FLETCH_DONE)
            return refuse_lane(fan_in, answer, error);
        producers[i] = lane;
    }
    fletch_fan_in_close(fan_in);
    return FLETCH_OK;
}

static bool give_fan_in(void *producer, uint64_t first)
{
    for (uint64_t i = first; i < first + BENCH_RUN; i++)
        if (fletch_fan_in_lane_push(producer, &i, FLETCH_NO_TIMEOUT) != FLETCH_DONE)
            return false;
    return true;
}

static size_t take_fan_in(void *consumer, uint64_t *elements)
{
    size_t i = 0;
    while (i < BENCH_RUN &&
           fletch_fan_in_pop(consumer, &elements[i], FLETCH_NO_TIMEOUT) == FLETCH_DONE)
        i++;
    return i;
}

static void end_fan_in(void *producer)
{
    fletch_fan_in_lane_close(producer);
}

static void close_fan_in(void *ring)
{
    fletch_fan_in_destroy(ring, NULL, NULL);
}

static enum outcome run_fan_in(void *state, uint64_t round_ns, double *out_figures)
{
    static const struct bench_ring kind = {
        "fan-in", 2, 1, open_fan_in, give_fan_in, take_fan_in, end_fan_in, close_fan_in, true};
    (void)state;
    return bench_stream_run(&kind, round_ns, out_figures);
}

const struct bench_case bench_fan_in = {
    .measures = {{"fan_in", "fan-in, 2 producers, 1 consumer", "M elements/s", false}},
    .thread_count = 3,
    .round = run_fan_in};

/* ---- broadcast ring ---- */

static enum fletch_status open_broadcast(void **out_ring, void **producers, void **consumers,
                                         struct fletch_error *error)
{
    const struct fletch_broadcast_ring_options options = {.struct_size = sizeof options,
                                                          .element_bytes = sizeof(uint64_t),
                                                          .capacity = CAPACITY,
                                                          .consumers_max = BENCH_ENDS_MAX};
    struct fletch_broadcast_ring *ring = NULL;
    enum fletch_status status = fletch_broadcast_ring_create(&options, NULL, &ring, error);
    for (uint32_t i = 0; i < BENCH_ENDS_MAX && status == FLETCH_OK; i++) {
        struct fletch_broadcast_consumer *consumer = NULL;
        status = fletch_broadcast_ring_join(ring, NULL, &consumer, error);
        consumers[i] = consumer;
    }
    if (status != FLETCH_OK)
        fletch_broadcast_ring_destroy(ring);
    *out_ring = producers[0] = ring;
    return status;
}

static bool give_broadcast(void *producer, uint64_t first)
{
    for (uint64_t i = first; i < first + BENCH_RUN; i++)
        if (fletch_broadcast_ring_push(producer, &i, FLETCH_NO_TIMEOUT) != FLETCH_DONE)
            return false;
    return true;
}

static size_t take_broadcast(void *consumer, uint64_t *elements)
{
    size_t i = 0;
    while (i < BENCH_RUN &&
           fletch_broadcast_consumer_pop(consumer, &elements[i], FLETCH_NO_TIMEOUT) == FLETCH_DONE)
        i++;
    return i;
}

static void end_broadcast(void *producer)
{
    fletch_broadcast_ring_close(producer);
}

static void close_broadcast(void *ring)
{
    fletch_broadcast_ring_destroy(ring);
}

static enum outcome run_broadcast(void *state, uint64_t round_ns, double *out_figures)
{
    static const struct bench_ring kind = {
        "broadcast ring", 1,   2, open_broadcast, give_broadcast, take_broadcast, end_broadcast,
        close_broadcast,  true};
    (void)state;
    return bench_stream_run(&kind, round_ns, out_figures);
}

const struct bench_case bench_broadcast_ring = {
    .measures = {{"broadcast_ring", "broadcast ring, 1 producer, each to 2", "M elements/s",
                  false}},
    .thread_count = 3,
    .round = run_broadcast};
