/* SPSC ring: one producer, one consumer, a few elements.
 *
 * Everything that is pushed is popped once, in order and whole; a closed ring is drained before the
 * consumer hears so; a cancelled one lets the producer go; nobody sleeps for ever.
 *
 * ITEMS      elements to push                CAPACITY  of the ring
 * FORM       of the ring                     START     first position
 * BATCH      elements for each claim and peek; 0: push and pop
 * PEEK       elements for each peek, if they are others
 * WAIT       PARK: waiting calls that park; else try_ calls in a loop
 * TIMEOUT_NS of waiting calls
 * CLOSES     the producer closes the ring at last   CANCELS  the consumer does after its first */

#include "sync/spsc_ring.h"

#include <stdlib.h>

#include "harness.h"

#ifndef ITEMS
#define ITEMS 3
#endif
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef FORM
#define FORM FLETCH_RING_SLOT_SEQUENCE
#endif
#ifndef START
#define START (UINT64_MAX - 1)
#endif
#ifndef BATCH
#define BATCH 0
#endif
#ifndef PEEK
#define PEEK BATCH
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
#ifndef CANCELS
#define CANCELS 0
#endif

#ifndef WORDS
#define WORDS 3
#endif

struct element {
    uint64_t number;
    uint64_t filling[WORDS - 2];
    uint64_t opposite;
};

static struct fletch_spsc_ring *ring;
static uint64_t pushed, popped;

static void make_ring(void)
{
    const struct fletch_spsc_ring_options options = {
        .struct_size = sizeof options,
        .element_bytes = sizeof(struct element),
        .capacity = CAPACITY,
        .form = FORM,
        .wait_strategy = PARK ? FLETCH_WAIT_PARK : FLETCH_WAIT_PAUSE,
    };
    size_t bytes;
    harness_assert(fletch_spsc_ring_bytes(&options, &bytes, NULL) == FLETCH_OK);
    void *memory = aligned_alloc(fletch_spsc_ring_alignment(), bytes);
    enum fletch_status status = fletch_spsc_ring_init(memory, bytes, &options, &ring, NULL);
    harness_assert(status == FLETCH_OK);
    fletch_spsc_ring_restart_at(ring, START);
    pushed = popped = 0;
}

static void fill(struct element *element)
{
    *element = (struct element){.number = pushed, .opposite = ~pushed};
    pushed++;
}

static void check(const struct element *element)
{
    harness_assert(element->number == popped);
    harness_assert(element->opposite == ~popped);
    popped++;
}

/* ---- one by one ---- */

static enum fletch_answer push_one(const struct element *element)
{
    if (PARK)
        return fletch_spsc_ring_push(ring, element, TIMEOUT_NS);
    return fletch_spsc_ring_try_push(ring, element);
}

static enum fletch_answer push(void)
{
    struct element element = {.number = pushed, .opposite = ~pushed};
    enum fletch_answer answer = push_one(&element);
    pushed += answer == FLETCH_DONE;
    return answer;
}

static enum fletch_answer pop(void)
{
    struct element element;
    enum fletch_answer answer = PARK ? fletch_spsc_ring_pop(ring, &element, TIMEOUT_NS)
                                     : fletch_spsc_ring_try_pop(ring, &element);
    if (answer == FLETCH_DONE)
        check(&element);
    return answer;
}

/* ---- in place ---- */

static struct element *span_element(const struct fletch_ring_spans *spans, size_t i)
{
    char *run = i < spans->first_count ? spans->first : spans->second;
    size_t at = i < spans->first_count ? i : i - spans->first_count;
    return (struct element *)(void *)(run + at * spans->stride_bytes);
}

static enum fletch_answer claim(void)
{
    struct fletch_ring_spans spans;
    uint64_t left = ITEMS - pushed, wanted = left < BATCH ? left : BATCH;
    enum fletch_answer answer = PARK ? fletch_spsc_ring_claim(ring, wanted, TIMEOUT_NS, &spans)
                                     : fletch_spsc_ring_try_claim(ring, wanted, &spans);
    if (answer != FLETCH_DONE)
        return answer;
    size_t count = spans.first_count + spans.second_count;
    for (size_t i = 0; i < count; i++)
        fill(span_element(&spans, i));
    fletch_spsc_ring_commit(ring, count);
    return FLETCH_DONE;
}

static enum fletch_answer peek(void)
{
    struct fletch_ring_spans spans;
    enum fletch_answer answer = PARK ? fletch_spsc_ring_peek(ring, PEEK, TIMEOUT_NS, &spans)
                                     : fletch_spsc_ring_try_peek(ring, PEEK, &spans);
    if (answer != FLETCH_DONE)
        return answer;
    size_t count = spans.first_count + spans.second_count;
    for (size_t i = 0; i < count; i++)
        check(span_element(&spans, i));
    fletch_spsc_ring_release(ring, count);
    return FLETCH_DONE;
}

/* ---- the two ends ---- */

static void *produce(void *unused)
{
    while (pushed < ITEMS) {
        enum fletch_answer answer = BATCH > 0 ? claim() : push();
        harness_assert(answer != FLETCH_EMPTY && answer != FLETCH_HELD);
        if (answer == FLETCH_CLOSED)
            break;
        if (answer == FLETCH_FULL)
            harness_pause();
    }
    harness_assert(CANCELS || pushed == ITEMS);
    if (CLOSES)
        fletch_spsc_ring_close(ring);
    return unused;
}

static bool is_consumed(enum fletch_answer last)
{
    if (CANCELS)
        return popped > 0;
    return CLOSES ? last == FLETCH_CLOSED : popped == ITEMS;
}

static void *consume(void *unused)
{
    enum fletch_answer answer = FLETCH_DONE;
    while (!is_consumed(answer)) {
        answer = BATCH > 0 ? peek() : pop();
        harness_assert(answer != FLETCH_FULL && answer != FLETCH_HELD);
        harness_assert(answer != FLETCH_CLOSED || CLOSES);
        if (answer == FLETCH_EMPTY)
            harness_pause();
    }
    if (CANCELS)
        fletch_spsc_ring_cancel(ring);
    return unused;
}

void harness(void)
{
    struct harness_thread producer, consumer;
    make_ring();
    harness_start(&producer, produce, NULL);
    harness_start(&consumer, consume, NULL);
    harness_join(&producer);
    harness_join(&consumer);
    harness_assert(CANCELS ? popped <= pushed : popped == pushed);
    fletch_spsc_ring_deinit(ring, NULL, NULL);
    free(ring);
}
