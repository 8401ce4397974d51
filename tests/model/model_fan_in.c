/* Fan-in: a few producers with a lane each, one consumer, perhaps somebody who closes.
 *
 * Everything that is pushed is popped once, whole, in the order of each producer's life; a lane has
 * one producer at a time and nothing of the last one's is seen by the next; the end comes when it
 * is closed and all have left, and nothing is lost by it; nobody sleeps for ever.
 *
 * PRODUCERS  and ITEMS of each life          CAPACITY  of each lane
 * LANES      fewer than PRODUCERS: reuse     LIVES     times that a producer registers and leaves;
 * START      first position                            0: registered before the threads start
 * FORM       of the lanes                    LEAVES    lives end with a closed lane
 * CLOSES     1: closed before the threads    CANCELS   the consumer cancels after so many elements
 *            start, 2: by one of them
 * PARK       waiting calls that park         TIMEOUT_NS of waiting calls
 * TRIES      pushes of each producer, POPS of the consumer, whatever they answer, instead of as
 *            many as it takes: what is left is popped at last, by the harness
 * HOLDS      the consumer holds lane 0 at first, and resumes it after its first look */

#include "sync/fan_in.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"

#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef ITEMS
#define ITEMS 1
#endif
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef LANES
#define LANES PRODUCERS
#endif
#ifndef LIVES
#define LIVES 0
#endif
#ifndef START
#define START UINT64_MAX
#endif
#ifndef FORM
#define FORM FLETCH_RING_SLOT_SEQUENCE
#endif
#ifndef LEAVES
#define LEAVES (LIVES > 0 || CLOSES > 0)
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef PARK
#define PARK 0
#endif
#ifndef TIMEOUT_NS
#define TIMEOUT_NS FLETCH_NO_TIMEOUT
#endif
#ifndef TRIES
#define TRIES 0
#endif
#ifndef POPS
#define POPS 0
#endif
#ifndef HOLDS
#define HOLDS 0
#endif

enum { ALL_LIVES = LIVES > 0 ? LIVES : 1, MOST_ITEMS = ALL_LIVES * ITEMS };

struct element {
    uint64_t name; /* (producer * ALL_LIVES + life) * ITEMS + number */
    uint64_t filling;
    uint64_t opposite;
};

static struct fletch_fan_in *fan_in;
static struct fletch_fan_in_lane *lanes[PRODUCERS];
static int pushed[PRODUCERS * ALL_LIVES]; /* by the producers' lives */
static int popped[PRODUCERS * ALL_LIVES];
static int popped_count;
static bool ended; /* the consumer was told that nothing will ever come */

static void make_fan_in(void)
{
    const struct fletch_fan_in_options options = {
        .struct_size = sizeof options,
        .element_bytes = sizeof(struct element),
        .capacity = CAPACITY,
        .lane_count = LANES,
        .run_limit = 1,
        .form = FORM,
        .wait_strategy = PARK ? FLETCH_WAIT_PARK : FLETCH_WAIT_PAUSE,
    };
    size_t bytes;
    harness_assert(fletch_fan_in_bytes(&options, &bytes, NULL) == FLETCH_OK);
    void *memory = aligned_alloc(fletch_fan_in_alignment(), bytes);
    harness_assert(fletch_fan_in_init(memory, bytes, &options, &fan_in, NULL) == FLETCH_OK);
    fletch_fan_in_restart_at(fan_in, START);
    popped_count = 0;
    ended = false;
    for (int i = 0; i < PRODUCERS * ALL_LIVES; i++)
        pushed[i] = popped[i] = 0;
    for (int i = 0; i < PRODUCERS; i++) {
        lanes[i] = NULL;
        if (LIVES == 0)
            harness_assert(fletch_fan_in_register(fan_in, &lanes[i]) == FLETCH_DONE);
    }
    if (CLOSES == 1)
        fletch_fan_in_close(fan_in);
    if (HOLDS)
        fletch_fan_in_hold(fan_in, 0);
}

static enum fletch_answer push(struct fletch_fan_in_lane *lane, int life)
{
    struct element element = {.name = (uint64_t)(life * ITEMS + pushed[life])};
    element.opposite = ~element.name;
    if (PARK)
        return fletch_fan_in_lane_push(lane, &element, TIMEOUT_NS);
    return fletch_fan_in_lane_try_push(lane, &element);
}

/* False: cancelled. */
static bool push_items(struct fletch_fan_in_lane *lane, int life)
{
    for (int tries = 1; pushed[life] < ITEMS; tries++) {
        enum fletch_answer answer = push(lane, life);
        harness_assert(answer != FLETCH_EMPTY && answer != FLETCH_HELD);
        harness_assert(answer != FLETCH_CLOSED || CANCELS > 0);
        if (answer == FLETCH_CLOSED)
            return false;
        pushed[life] += answer == FLETCH_DONE;
        if (tries == TRIES)
            break;
        if (answer == FLETCH_FULL)
            harness_pause();
    }
    return true;
}

static bool enter(int producer)
{
    enum fletch_answer answer;
    while ((answer = fletch_fan_in_register(fan_in, &lanes[producer])) == FLETCH_FULL)
        harness_pause();
    harness_assert(answer == FLETCH_DONE || CLOSES == 2 || CANCELS > 0);
    harness_assert(fletch_fan_in_registered(fan_in) <= LANES);
    return answer == FLETCH_DONE;
}

static void *produce(void *argument)
{
    int producer = (int)(intptr_t)argument;
    for (int life = 0; life < ALL_LIVES; life++) {
        if (LIVES > 0 && !enter(producer))
            break;
        bool goes_on = push_items(lanes[producer], producer * ALL_LIVES + life);
        if (LEAVES)
            fletch_fan_in_lane_close(lanes[producer]);
        if (!goes_on)
            break;
    }
    return NULL;
}

static void *close_fan_in(void *unused)
{
    fletch_fan_in_close(fan_in);
    return unused;
}

static void check(const struct element *element)
{
    harness_assert(element->opposite == ~element->name);
    harness_assert(element->name < PRODUCERS * MOST_ITEMS);
    int life = (int)element->name / ITEMS, number = (int)element->name % ITEMS;
    harness_assert(number == popped[life]);
    harness_assert(LIVES > 0 ||
                   fletch_fan_in_lane_number(lanes[life]) == fletch_fan_in_source(fan_in));
    popped[life]++;
    popped_count++;
}

static enum fletch_answer pop(void)
{
    struct element element;
    enum fletch_answer answer = PARK ? fletch_fan_in_pop(fan_in, &element, TIMEOUT_NS)
                                     : fletch_fan_in_try_pop(fan_in, &element);
    harness_assert(answer == FLETCH_DONE || answer == FLETCH_EMPTY || answer == FLETCH_CLOSED);
    if (answer == FLETCH_DONE)
        check(&element);
    return answer;
}

static bool is_through(enum fletch_answer answer)
{
    if (CANCELS > 0 && popped_count >= CANCELS)
        return true;
    return CLOSES > 0 ? answer == FLETCH_CLOSED : popped_count == PRODUCERS * MOST_ITEMS;
}

static void *consume(void *unused)
{
    enum fletch_answer answer = FLETCH_EMPTY;
    for (int pops = 1; !is_through(answer); pops++) {
        answer = pop();
        harness_assert(answer != FLETCH_CLOSED || CLOSES > 0);
        ended = answer == FLETCH_CLOSED;
        if (HOLDS && pops == 1)
            fletch_fan_in_resume(fan_in, 0);
        if (pops == POPS)
            break;
        if (answer == FLETCH_EMPTY)
            harness_pause();
    }
    if (CANCELS > 0)
        fletch_fan_in_cancel(fan_in);
    return unused;
}

void harness(void)
{
    struct harness_thread consumer, closer, producers[PRODUCERS];
    make_fan_in();
    for (int i = 0; i < PRODUCERS; i++)
        harness_start(&producers[i], produce, (void *)(intptr_t)i);
    harness_start(&consumer, consume, NULL);
    if (CLOSES == 2)
        harness_start(&closer, close_fan_in, NULL);
    for (int i = 0; i < PRODUCERS; i++)
        harness_join(&producers[i]);
    harness_join(&consumer);
    if (CLOSES == 2)
        harness_join(&closer);
    struct element element;
    enum fletch_answer answer;
    while ((answer = fletch_fan_in_try_pop(fan_in, &element)) == FLETCH_DONE) {
        harness_assert(!ended);
        check(&element);
    }
    for (int i = 0; i < PRODUCERS * ALL_LIVES; i++)
        harness_assert(popped[i] == pushed[i]);
    harness_assert((answer == FLETCH_CLOSED) == (LEAVES && (CLOSES > 0 || CANCELS > 0)));
    harness_assert(fletch_fan_in_registered(fan_in) == (LEAVES ? 0 : PRODUCERS));
    fletch_fan_in_deinit(fan_in, NULL, NULL);
    free(fan_in);
}
