/* MPSC queue: a few producers, one consumer, perhaps somebody who closes.
 *
 * Everything that is pushed is popped once, whole, in each producer's order, batches without
 * anything between them; after the closing nothing is lost and nothing added; nobody sleeps for
 * ever.
 *
 * PRODUCERS  and ITEMS of each               CAPACITY  of the queue
 * START      first position, even            BATCH     elements for each push; divides ITEMS
 * POP_MANY   elements for each pop           PARK      waiting calls that park
 * TIMEOUT_NS of waiting calls                CLOSES    another thread closes the queue
 * SINGLE     pushes by try_push although pops park: room must be enough
 * WORDS      of an element: 3 have code of their own, 4 have not
 * TRIES      calls of each producer, POPS of the consumer, whatever they answer, instead of as many
 *            as it takes: what is left is popped at last, by the harness */

#include "sync/mpsc_queue.h"

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
#ifndef START
#define START (UINT64_MAX - 1)
#endif
#ifndef BATCH
#define BATCH 1
#endif
#ifndef POP_MANY
#define POP_MANY 1
#endif
#ifndef PARK
#define PARK 0
#endif
#ifndef TIMEOUT_NS
#define TIMEOUT_NS FLETCH_NO_TIMEOUT
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef SINGLE
#define SINGLE 0
#endif
#ifndef TRIES
#define TRIES 0
#endif
#ifndef POPS
#define POPS 0
#endif

#ifndef WORDS
#define WORDS 3
#endif

struct element {
    uint64_t name; /* producer * ITEMS + number */
    uint64_t filling[WORDS - 2];
    uint64_t opposite;
};

static struct fletch_mpsc_queue *queue;
static int pushed[PRODUCERS];
static int popped[PRODUCERS];
static int popped_count;

static void make_queue(void)
{
    const struct fletch_mpsc_queue_options options = {
        .struct_size = sizeof options,
        .element_bytes = sizeof(struct element),
        .capacity = CAPACITY,
        .wait_strategy = PARK ? FLETCH_WAIT_PARK : FLETCH_WAIT_PAUSE,
    };
    size_t bytes;
    harness_assert(fletch_mpsc_queue_bytes(&options, &bytes, NULL) == FLETCH_OK);
    void *memory = aligned_alloc(fletch_mpsc_queue_alignment(), bytes);
    enum fletch_status status = fletch_mpsc_queue_init(memory, bytes, &options, &queue, NULL);
    harness_assert(status == FLETCH_OK);
    fletch_mpsc_queue_restart_at(queue, START);
    harness_ignore(&queue->producers.fulls, sizeof queue->producers.fulls);
    harness_ignore(&queue->producers.waits, sizeof queue->producers.waits);
    for (int i = 0; i < PRODUCERS; i++)
        pushed[i] = popped[i] = 0;
    popped_count = 0;
}

static enum fletch_answer push(int producer)
{
    struct element elements[BATCH];
    for (int i = 0; i < BATCH; i++) {
        elements[i].name = (uint64_t)(producer * ITEMS + pushed[producer] + i);
        memset(elements[i].filling, 0, sizeof elements[i].filling);
        elements[i].opposite = ~elements[i].name;
    }
    if (PARK && !SINGLE)
        return fletch_mpsc_queue_push_many(queue, elements, BATCH, TIMEOUT_NS);
    if (BATCH > 1)
        return fletch_mpsc_queue_try_push_many(queue, elements, BATCH);
    return fletch_mpsc_queue_try_push(queue, elements);
}

static void *produce(void *argument)
{
    int producer = (int)(intptr_t)argument;
    for (int tries = 1; pushed[producer] < ITEMS; tries++) {
        enum fletch_answer answer = push(producer);
        harness_assert(answer != FLETCH_EMPTY && answer != FLETCH_HELD);
        harness_assert(answer != FLETCH_CLOSED || CLOSES);
        if (answer == FLETCH_CLOSED)
            break;
        if (answer == FLETCH_DONE)
            pushed[producer] += BATCH;
        if (tries == TRIES)
            break;
        if (answer == FLETCH_FULL)
            harness_pause();
    }
    return NULL;
}

static void *close_queue(void *unused)
{
    fletch_mpsc_queue_close(queue);
    return unused;
}

static void check(const struct element *element)
{
    static int last;
    harness_assert(element->opposite == ~element->name);
    harness_assert(element->name < PRODUCERS * ITEMS);
    int producer = (int)element->name / ITEMS, number = (int)element->name % ITEMS;
    harness_assert(number == popped[producer]);
    harness_assert(number % BATCH == 0 || producer == last);
    popped[producer]++;
    popped_count++;
    last = producer;
}

static enum fletch_answer pop(void)
{
    struct element elements[POP_MANY];
    size_t count = 0;
    enum fletch_answer answer =
        PARK ? fletch_mpsc_queue_pop_many(queue, elements, POP_MANY, TIMEOUT_NS, &count)
             : fletch_mpsc_queue_try_pop_many(queue, elements, POP_MANY, &count);
    harness_assert((answer == FLETCH_DONE) == (count > 0) && count <= POP_MANY);
    for (size_t i = 0; i < count; i++)
        check(&elements[i]);
    return answer;
}

static void *consume(void *unused)
{
    enum fletch_answer answer = FLETCH_DONE;
    for (int pops = 1; CLOSES ? answer != FLETCH_CLOSED : popped_count < PRODUCERS * ITEMS;
         pops++) {
        answer = pop();
        harness_assert(answer != FLETCH_FULL);
        harness_assert(answer != FLETCH_CLOSED || CLOSES);
        if (pops == POPS)
            break;
        if (answer == FLETCH_EMPTY || answer == FLETCH_HELD)
            harness_pause();
    }
    return unused;
}

void harness(void)
{
    struct harness_thread consumer, closer, producers[PRODUCERS];
    make_queue();
    for (int i = 0; i < PRODUCERS; i++)
        harness_start(&producers[i], produce, (void *)(intptr_t)i);
    harness_start(&consumer, consume, NULL);
    if (CLOSES)
        harness_start(&closer, close_queue, NULL);
    for (int i = 0; i < PRODUCERS; i++)
        harness_join(&producers[i]);
    harness_join(&consumer);
    if (CLOSES)
        harness_join(&closer);
    while (POPS > 0 && pop() == FLETCH_DONE)
        continue;
    for (int i = 0; i < PRODUCERS; i++)
        harness_assert(popped[i] == pushed[i]);
    fletch_mpsc_queue_deinit(queue, NULL, NULL);
    free(queue);
}
