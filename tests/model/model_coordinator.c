/* The coordinator between threads: an operation is answered or given up, never both, and whoever
 * waits for its answer, for its own operation, or for partitions to pass, hears of it. What the
 * state machine answers is another matter, which one thread can look at (tests/sim).
 *
 * PLAN:
 *   ANSWER   two producers say a barrier each; PARK: they sleep until they are answered
 *   GIVE_UP  a barrier that waits for a slot is given up while the slot comes free, and said again
 *   DROP     the same, and its operation is freed as soon as it may be
 *            LATE: it is said by who gives it up, perhaps to a serial that runs something else
 *   PASS     two partitions pass a barrier at a time, and the next one is told at once
 *   TICK     one tells the time from within the serial, another one tells a later time */

#include "shuffle/coordinator.h"

#include <stdlib.h>

#include "base/allocator.h"
#include "harness.h"

enum { ANSWER, GIVE_UP, DROP, PASS, TICK };
#ifndef PLAN
#define PLAN ANSWER
#endif
#ifndef PARK
#define PARK 0
#endif
#ifndef LATE
#define LATE 0
#endif

enum { PRODUCERS = 2, PARTITIONS_MAX = 2 };

static struct fletch_coordinator *coordinator;
static struct fletch_control_operation operations[PRODUCERS];
static struct fletch_eventcount *sleepers[PRODUCERS];
static struct fletch_control_operation *dropped; /* an operation that is freed */
static int nodes[PARTITIONS_MAX]; /* of the slot: each partition's, then the serial's */
static uint32_t partition_count;
static uint64_t told_barrier;
static int64_t told_watermark;
static _Atomic uint32_t is_told_to_tick;
static bool was_given_up, has_ticked;

/* ---- what partitions are told ---- */

static void tell_barrier(void *context, uint64_t id, uint32_t slot, bool aborted)
{
    (void)context;
    harness_assert(!aborted && slot == 0 && id == told_barrier + 1);
    told_barrier = id;
    for (uint32_t p = 0; p < partition_count; p++) {
        harness_assert(nodes[p] == 0);
        nodes[p] = 1;
    }
}

static void tell_watermark(void *context, int64_t watermark)
{
    (void)context;
    harness_assert(watermark > told_watermark);
    told_watermark = watermark;
    if (PLAN != TICK || watermark != 5)
        return;
    fletch_coordinator_tick(coordinator, 13);
    store_release(&is_told_to_tick, 1);
}

static void tell_lost(void *context, uint32_t producer, const char *reason)
{
    (void)context;
    (void)producer;
    (void)reason;
    harness_assert(false);
}

static void tell_end(void *context)
{
    (void)context;
}

/* ---- roles ---- */

static void submit(struct fletch_control_operation *operation, enum fletch_control_kind kind,
                   uint64_t value)
{
    operation->kind = kind;
    operation->barrier = value;
    operation->watermark = (int64_t)value;
    fletch_control_submit(operation);
}

static void await(uint32_t producer)
{
    struct fletch_control_operation *operation = &operations[producer];
    while (PARK && !fletch_control_is_done(operation)) {
        uint32_t key = fletch_eventcount_prepare(sleepers[producer]);
        if (fletch_control_is_done(operation))
            fletch_eventcount_cancel(sleepers[producer]);
        else
            (void)fletch_eventcount_wait(sleepers[producer], key, UINT64_MAX);
    }
    if (fletch_control_is_done(operation))
        harness_assert(operation->status == FLETCH_OK);
}

static void *say(void *argument)
{
    uint32_t producer = (uint32_t)(intptr_t)argument;
    submit(&operations[producer], FLETCH_CONTROL_BARRIER, 1);
    await(producer);
    return NULL;
}

static void *give_up(void *unused)
{
    struct fletch_control_operation *operation = &operations[0];
    if (LATE)
        submit(operation, FLETCH_CONTROL_BARRIER, 2);
    was_given_up = fletch_control_give_up(operation);
    if (!was_given_up) {
        harness_assert(operation->status == FLETCH_OK);
        return unused;
    }
    if (fletch_control_is_free(operation))
        submit(operation, FLETCH_CONTROL_BARRIER, 2);
    return unused;
}

static void *give_up_and_free(void *unused)
{
    if (LATE)
        submit(dropped, FLETCH_CONTROL_BARRIER, 2);
    was_given_up = fletch_control_give_up(dropped);
    if (!was_given_up)
        submit(dropped, FLETCH_CONTROL_BARRIER, 2); /* a repeat, perhaps before it is let go */
    while (!fletch_control_is_dropped(dropped))
        harness_pause();
    free(dropped);
    return unused;
}

static void *pass(void *argument)
{
    uint32_t partition = (uint32_t)(intptr_t)argument;
    if (LATE)
        submit(&operations[1], FLETCH_CONTROL_IDLE, 0);
    nodes[partition] = 0;
    fletch_coordinator_pass(coordinator, 0);
    return NULL;
}

static void *say_watermark(void *unused)
{
    operations[0].now_ns = 12;
    submit(&operations[0], FLETCH_CONTROL_WATERMARK, 10);
    return unused;
}

static void *tick_later(void *unused)
{
    has_ticked = load_acquire(&is_told_to_tick) != 0;
    if (has_ticked)
        fletch_coordinator_tick(coordinator, 20);
    return unused;
}

/* ---- one execution ---- */

static void make(uint32_t partitions, uint64_t idle_ns)
{
    const struct fletch_coordinator_options options = {
        .producer_count = PRODUCERS,
        .producer_limit = PRODUCERS,
        .barrier_limit = 1,
        .partition_count = partitions,
        .watermark_idle_ns = idle_ns,
        .allocator = fletch_allocator_or_default(NULL),
        .outlet = {.barrier = tell_barrier,
                   .watermark = tell_watermark,
                   .lost = tell_lost,
                   .end = tell_end},
    };
    harness_assert(fletch_coordinator_create(&options, &coordinator, NULL) == FLETCH_OK);
    partition_count = partitions;
    told_barrier = 0;
    told_watermark = INT64_MIN;
    was_given_up = false;
    atomic_init(&is_told_to_tick, 0);
    for (uint32_t p = 0; p < PARTITIONS_MAX; p++)
        nodes[p] = 0;
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        if (PARK)
            harness_assert(fletch_eventcount_create(NULL, &sleepers[i], NULL) == FLETCH_OK);
        fletch_control_init(&operations[i], coordinator, i, sleepers[i]);
    }
}

static void run(void *(*first)(void *), intptr_t a, void *(*second)(void *), intptr_t b)
{
    struct harness_thread threads[2];
    harness_start(&threads[0], first, (void *)a);
    harness_start(&threads[1], second, (void *)b);
    harness_join(&threads[0]);
    harness_join(&threads[1]);
}

static void expect_in_flight(uint32_t expected)
{
    struct fletch_coordinator_statistics found;
    fletch_coordinator_statistics(coordinator, &found);
    harness_assert(found.barriers_in_flight == expected);
}

/* Both producers have said barrier 1, which is on its way, and producer 0 barrier 2 after it. */
static void wait_behind_a_barrier(struct fletch_control_operation *waiting)
{
    for (uint32_t i = 0; i < PRODUCERS; i++)
        submit(&operations[i], FLETCH_CONTROL_BARRIER, 1);
    harness_assert(told_barrier == 1);
    if (LATE)
        return;
    submit(waiting, FLETCH_CONTROL_BARRIER, 2);
    harness_assert(!fletch_control_is_done(waiting) && !fletch_control_is_free(waiting));
}

static void plan_answer(void)
{
    make(1, 0);
    run(say, 0, say, 1);
    for (uint32_t i = 0; i < PRODUCERS; i++)
        harness_assert(fletch_control_is_done(&operations[i]) &&
                       fletch_control_is_dropped(&operations[i]));
    harness_assert(told_barrier == 1);
}

static void plan_give_up(void)
{
    make(1, 0);
    wait_behind_a_barrier(&operations[0]);
    run(give_up, 0, pass, 0);
    harness_assert(fletch_control_is_dropped(&operations[0]));
    if (fletch_control_is_done(&operations[0])) {
        expect_in_flight(1);
        submit(&operations[1], FLETCH_CONTROL_BARRIER, 2);
        harness_assert(told_barrier == 2);
    } else {
        harness_assert(was_given_up && told_barrier == 1);
        expect_in_flight(0);
    }
}

static void plan_drop(void)
{
    make(1, 0);
    dropped = malloc(sizeof *dropped);
    harness_assert(dropped != NULL);
    fletch_control_init(dropped, coordinator, 0, NULL);
    wait_behind_a_barrier(dropped);
    run(give_up_and_free, 0, pass, 0);
    expect_in_flight(!was_given_up);
}

static void plan_pass(void)
{
    make(2, 0);
    wait_behind_a_barrier(&operations[0]);
    submit(&operations[1], FLETCH_CONTROL_BARRIER, 2);
    run(pass, 0, pass, 1);
    harness_assert(told_barrier == 2);
}

/* Producer 1 has said nothing since time 5, and holds back the other one until 15. */
static void plan_tick(void)
{
    make(1, 10);
    operations[1].now_ns = 5;
    submit(&operations[1], FLETCH_CONTROL_WATERMARK, 5);
    run(say_watermark, 0, tick_later, 0);
    harness_assert(told_watermark == (has_ticked ? 10 : 5));
}

void harness(void)
{
    static void (*const plans[])(void) = {[ANSWER] = plan_answer,
                                          [GIVE_UP] = plan_give_up,
                                          [DROP] = plan_drop,
                                          [PASS] = plan_pass,
                                          [TICK] = plan_tick};
    plans[PLAN]();
    fletch_coordinator_destroy(coordinator);
    for (uint32_t i = 0; i < PRODUCERS && PARK; i++)
        fletch_eventcount_destroy(sleepers[i]);
}
