/* Broadcast ring: producers, and consumers that come and go.
 *
 * Who stays sees every element in order and whole; who joins sees a suffix of them without a gap;
 * who follows sees an element after those that it is behind; references are dropped once each, and
 * not before all have passed; nobody sleeps for ever.
 *
 * PRODUCERS  1 or 2, ITEMS of each           CAPACITY  of the ring
 * START      first position, even            BATCH     elements for each push; divides ITEMS
 * FORM       of the ring                     PARK      waiting calls that park
 * STAYS      consumers from the beginning    CHAIN     second is behind the first, 2: and copies
 * JOINS      another thread joins, pops JOINS times at most and leaves
 * LEAVES     the last that stays leaves after so many elements
 * REMOVES    another thread removes the last that stays
 * RESEATS    who joins has no seat before the one that leaves has left
 * DROPS      elements carry references       CLOSES    a producer closes at the end
 * TRIES      pushes of each producer at most, 0: as many as it takes
 * POPS       pops of each consumer at most, 0: as many as it takes */

#include "sync/broadcast_ring.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"

#ifndef PRODUCERS
#define PRODUCERS 1
#endif
#ifndef ITEMS
#define ITEMS 2
#endif
#ifndef CAPACITY
#define CAPACITY 1
#endif
#ifndef START
#define START (UINT64_MAX - 1)
#endif
#ifndef BATCH
#define BATCH 1
#endif
#ifndef FORM
#define FORM FLETCH_RING_SLOT_SEQUENCE
#endif
#ifndef PARK
#define PARK 0
#endif
#ifndef STAYS
#define STAYS 1
#endif
#ifndef CHAIN
#define CHAIN 0
#endif
#ifndef JOINS
#define JOINS 0
#endif
#ifndef LEAVES
#define LEAVES 0
#endif
#ifndef REMOVES
#define REMOVES 0
#endif
#ifndef RESEATS
#define RESEATS 0
#endif
#ifndef DROPS
#define DROPS 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef TRIES
#define TRIES 0
#endif
#ifndef POPS
#define POPS 0
#endif

enum {
    ALL = PRODUCERS * ITEMS,
    CONSUMERS = STAYS + (JOINS > 0),
    SEATS = CONSUMERS > 0 ? CONSUMERS : 1
};

struct element {
    uint64_t name;    /* producer * ITEMS + number */
    uint64_t touched; /* by the first of a chain */
    uint64_t opposite;
};

struct watcher {
    struct fletch_broadcast_consumer *consumer;
    int next[PRODUCERS]; /* -1: has seen none yet */
    int seen;
    bool from_start;
};

static struct fletch_broadcast_ring *ring;
static struct watcher watchers[SEATS];
static int pushed[PRODUCERS];
static int references[ALL];
static uint64_t last_id;

static void drop(void *context, void *element)
{
    struct element *given = element;
    harness_assert(given->opposite == ~given->name);
    harness_assert(references[given->name] == 1);
    references[given->name] = 0;
    (void)context;
}

static struct fletch_broadcast_consumer *join(struct fletch_broadcast_consumer **behind, bool leads)
{
    struct fletch_broadcast_consumer *consumer = NULL;
    const struct fletch_broadcast_join_options options = {
        .struct_size = sizeof options,
        .behind = behind,
        .behind_count = behind != NULL,
        .leads = leads,
    };
    enum fletch_status status = fletch_broadcast_ring_join(ring, &options, &consumer, NULL);
    harness_assert(status == FLETCH_OK || (RESEATS && status == FLETCH_RESOURCE_EXHAUSTED));
    return consumer;
}

static void make_ring(void)
{
    const struct fletch_broadcast_ring_options options = {
        .struct_size = sizeof options,
        .element_bytes = sizeof(struct element),
        .capacity = CAPACITY,
        .consumers_max = RESEATS ? STAYS : SEATS,
        .producers = PRODUCERS > 1 ? FLETCH_PRODUCERS_MANY : FLETCH_PRODUCERS_ONE,
        .form = FORM,
        .wait_strategy = PARK ? FLETCH_WAIT_PARK : FLETCH_WAIT_PAUSE,
        .drop = DROPS ? drop : NULL,
    };
    size_t bytes;
    harness_assert(fletch_broadcast_ring_bytes(&options, &bytes, NULL) == FLETCH_OK);
    void *memory = aligned_alloc(fletch_broadcast_ring_alignment(), bytes);
    harness_assert(fletch_broadcast_ring_init(memory, bytes, &options, &ring, NULL) == FLETCH_OK);
    fletch_broadcast_ring_restart_at(ring, START);
    harness_ignore(&ring->producers.fulls, sizeof ring->producers.fulls);
    harness_ignore(&ring->producers.waits, sizeof ring->producers.waits);
    for (uint64_t i = 0; i < options.consumers_max; i++) {
        harness_ignore(&ring->seats[i].own.emptys, sizeof ring->seats[i].own.emptys);
        harness_ignore(&ring->seats[i].own.waits, sizeof ring->seats[i].own.waits);
    }
    for (int i = 0; i < STAYS; i++) {
        bool follows = CHAIN && i > 0;
        watchers[i].consumer = join(follows ? &watchers[0].consumer : NULL, CHAIN && i == 0);
        watchers[i].from_start = true;
        last_id = fletch_broadcast_consumer_id(watchers[i].consumer);
    }
}

static enum fletch_answer push(int producer, size_t *out_pushed)
{
    struct element elements[BATCH];
    for (int i = 0; i < BATCH; i++) {
        uint64_t name = (uint64_t)(producer * ITEMS + pushed[producer] + i);
        elements[i] = (struct element){.name = name, .opposite = ~name};
        references[name] = 1;
    }
    *out_pushed = 1;
    if (PARK)
        return fletch_broadcast_ring_push_many(ring, elements, BATCH, FLETCH_NO_TIMEOUT,
                                               out_pushed);
    if (BATCH > 1)
        return fletch_broadcast_ring_try_push_many(ring, elements, BATCH, out_pushed);
    return fletch_broadcast_ring_try_push(ring, elements);
}

static void *produce(void *argument)
{
    int producer = (int)(intptr_t)argument;
    for (int tries = 1; pushed[producer] < ITEMS; tries++) {
        size_t count = 0;
        enum fletch_answer answer = push(producer, &count);
        harness_assert(answer == FLETCH_DONE || answer == FLETCH_FULL);
        if (answer == FLETCH_DONE)
            pushed[producer] += (int)count;
        if (tries == TRIES)
            break;
        if (answer == FLETCH_FULL)
            harness_pause();
    }
    if (CLOSES)
        fletch_broadcast_ring_close(ring);
    return NULL;
}

static void check(struct watcher *watcher, struct element *element)
{
    harness_assert(element->opposite == ~element->name && element->name < ALL);
    harness_assert(!DROPS || references[element->name] == 1);
    int producer = (int)element->name / ITEMS, number = (int)element->name % ITEMS;
    if (watcher->seen == 0 && !watcher->from_start)
        watcher->next[producer] = number;
    if (PRODUCERS == 1 || watcher->from_start)
        harness_assert(number == watcher->next[producer]);
    watcher->next[producer] = number + 1;
    watcher->seen++;
    if (CHAIN && watcher == &watchers[0])
        element->touched = 1;
    if (CHAIN && watcher == &watchers[1] && !LEAVES && !REMOVES)
        harness_assert(element->touched == 1);
}

static enum fletch_answer take(struct watcher *watcher)
{
    struct fletch_ring_spans spans;
    enum fletch_answer answer =
        PARK ? fletch_broadcast_consumer_peek(watcher->consumer, BATCH, FLETCH_NO_TIMEOUT, &spans)
             : fletch_broadcast_consumer_try_peek(watcher->consumer, BATCH, &spans);
    if (answer != FLETCH_DONE)
        return answer;
    for (size_t i = 0; i < spans.first_count; i++)
        check(watcher, (struct element *)(void *)((char *)spans.first + i * spans.stride_bytes));
    for (size_t i = 0; i < spans.second_count; i++)
        check(watcher, (struct element *)(void *)((char *)spans.second + i * spans.stride_bytes));
    fletch_broadcast_consumer_release(watcher->consumer, spans.first_count + spans.second_count);
    return answer;
}

static enum fletch_answer pop(struct watcher *watcher)
{
    struct element element;
    enum fletch_answer answer =
        PARK ? fletch_broadcast_consumer_pop(watcher->consumer, &element, FLETCH_NO_TIMEOUT)
             : fletch_broadcast_consumer_try_pop(watcher->consumer, &element);
    if (answer == FLETCH_DONE)
        check(watcher, &element);
    return answer;
}

/* Reads in place where what lies there matters, else by copy. */
static enum fletch_answer next(struct watcher *watcher)
{
    bool in_chain = CHAIN == 1 || (CHAIN == 2 && watcher == &watchers[0]);
    return in_chain || DROPS || BATCH > 1 ? take(watcher) : pop(watcher);
}

static void *stay(void *argument)
{
    struct watcher *watcher = argument;
    bool last = watcher == &watchers[STAYS - 1];
    int most = last && LEAVES ? LEAVES : ALL;
    for (int pops = 1; CLOSES || watcher->seen < most; pops++) {
        enum fletch_answer answer = next(watcher);
        harness_assert(answer != FLETCH_FULL && (answer != FLETCH_HELD || PRODUCERS > 1));
        harness_assert(answer != FLETCH_CLOSED || CLOSES || (REMOVES && last));
        if (answer == FLETCH_CLOSED || pops == POPS)
            break;
        if (answer != FLETCH_DONE)
            harness_pause();
    }
    harness_assert(!CLOSES || watcher->seen == ALL || LEAVES || REMOVES || TRIES || POPS);
    if (last && (LEAVES || REMOVES))
        fletch_broadcast_consumer_leave(watcher->consumer);
    return NULL;
}

static void *come_and_go(void *argument)
{
    struct watcher *watcher = argument;
    watcher->consumer = join(NULL, false);
    if (watcher->consumer == NULL)
        return NULL;
    for (int pops = 0; pops < JOINS; pops++) {
        if (next(watcher) == FLETCH_EMPTY && CLOSES)
            harness_pause();
    }
    fletch_broadcast_consumer_leave(watcher->consumer);
    return NULL;
}

static void *remove_last(void *unused)
{
    enum fletch_answer answer = fletch_broadcast_ring_remove(ring, last_id);
    harness_assert(answer == FLETCH_DONE || answer == FLETCH_HELD || answer == FLETCH_CLOSED);
    return unused;
}

static void begin(void)
{
    memset(watchers, 0, sizeof watchers);
    for (int i = 0; i < PRODUCERS; i++)
        pushed[i] = 0;
    memset(references, 0, sizeof references);
    make_ring();
}

static void end(void)
{
    fletch_broadcast_ring_deinit(ring);
    for (int i = 0; DROPS && i < PRODUCERS; i++)
        for (int k = 0; k < pushed[i]; k++)
            harness_assert(references[i * ITEMS + k] == 0);
    free(ring);
}

void harness(void)
{
    struct harness_thread producers[PRODUCERS], consumers[SEATS], remover;
    begin();
    for (int i = 0; i < PRODUCERS; i++)
        harness_start(&producers[i], produce, (void *)(intptr_t)i);
    for (int i = 0; i < STAYS; i++)
        harness_start(&consumers[i], stay, &watchers[i]);
    if (JOINS)
        harness_start(&consumers[STAYS], come_and_go, &watchers[STAYS]);
    if (REMOVES)
        harness_start(&remover, remove_last, NULL);
    for (int i = 0; i < PRODUCERS; i++)
        harness_join(&producers[i]);
    for (int i = 0; i < CONSUMERS; i++)
        harness_join(&consumers[i]);
    if (REMOVES)
        harness_join(&remover);
    end();
}
