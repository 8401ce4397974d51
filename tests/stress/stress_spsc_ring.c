#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/team.h"

/* One producer and one consumer thread, every way of moving elements with every way of waiting.
 * Nothing is lost, nothing comes twice, all is in order and whole. */

enum { BATCH_MOST = 32, SIZE_MOST = 256 };

static struct test_arguments arguments;

struct exchange {
    struct fletch_spsc_ring *ring;
    size_t element_bytes;
    uint64_t count;
    struct jitter producer_jitter;
    struct jitter consumer_jitter;
    struct payload_watch watch;
    enum fletch_answer producer_answer; /* the first that was not DONE, or DONE */
    enum fletch_answer consumer_answer;
};

/* ---- producing ---- */

static void fill(const struct exchange *exchange, char *run, size_t stride, uint64_t index,
                 size_t count)
{
    for (size_t i = 0; i < count; i++)
        payload_fill(run + i * stride, exchange->element_bytes, 0, index + i);
}

static size_t batch_of(struct jitter *jitter, uint64_t left)
{
    uint32_t size = 1 + fletch_random_below(&jitter->random, BATCH_MOST);
    return size < left ? size : (size_t)left;
}

static void push_one_by_one(void *context)
{
    struct exchange *exchange = context;
    char element[SIZE_MOST];
    enum fletch_answer answer = FLETCH_DONE;
    for (uint64_t i = 0; i < exchange->count && answer == FLETCH_DONE; i++) {
        jitter_step(&exchange->producer_jitter);
        fill(exchange, element, 0, i, 1);
        answer = fletch_spsc_ring_push(exchange->ring, element, FLETCH_NO_TIMEOUT);
    }
    exchange->producer_answer = answer;
    fletch_spsc_ring_close(exchange->ring);
}

static void push_many(void *context)
{
    struct exchange *exchange = context;
    static _Thread_local char elements[BATCH_MOST * SIZE_MOST];
    enum fletch_answer answer = FLETCH_DONE;
    for (uint64_t i = 0; i < exchange->count && answer == FLETCH_DONE;) {
        size_t count = batch_of(&exchange->producer_jitter, exchange->count - i);
        size_t pushed;
        jitter_step(&exchange->producer_jitter);
        fill(exchange, elements, exchange->element_bytes, i, count);
        answer =
            fletch_spsc_ring_push_many(exchange->ring, elements, count, FLETCH_NO_TIMEOUT, &pushed);
        i += pushed;
    }
    exchange->producer_answer = answer;
    fletch_spsc_ring_close(exchange->ring);
}

static void push_in_place(void *context)
{
    struct exchange *exchange = context;
    struct fletch_ring_spans spans;
    enum fletch_answer answer = FLETCH_DONE;
    for (uint64_t i = 0; i < exchange->count;) {
        size_t count = batch_of(&exchange->producer_jitter, exchange->count - i);
        answer = fletch_spsc_ring_claim(exchange->ring, count, FLETCH_NO_TIMEOUT, &spans);
        if (answer != FLETCH_DONE)
            break;
        fill(exchange, spans.first, spans.stride_bytes, i, spans.first_count);
        jitter_step(&exchange->producer_jitter);
        fill(exchange, spans.second, spans.stride_bytes, i + spans.first_count, spans.second_count);
        /* Now and then less than was claimed. */
        size_t got = spans.first_count + spans.second_count;
        size_t published = got - fletch_random_below(&exchange->producer_jitter.random, 2);
        fletch_spsc_ring_commit(exchange->ring, published);
        i += published;
    }
    exchange->producer_answer = answer;
    fletch_spsc_ring_close(exchange->ring);
}

static void try_to_push(void *context)
{
    struct exchange *exchange = context;
    char element[SIZE_MOST];
    enum fletch_answer answer = FLETCH_DONE;
    for (uint64_t i = 0; i < exchange->count;) {
        fill(exchange, element, 0, i, 1);
        answer = fletch_spsc_ring_try_push(exchange->ring, element);
        if (answer == FLETCH_DONE)
            i++;
        else if (answer == FLETCH_FULL)
            fletch_thread_yield();
        else
            break;
        jitter_step(&exchange->producer_jitter);
    }
    exchange->producer_answer = answer;
    fletch_spsc_ring_close(exchange->ring);
}

/* ---- consuming: to the answer CLOSED ---- */

static void watch_run(struct exchange *exchange, const char *run, size_t stride, size_t count)
{
    for (size_t i = 0; i < count; i++)
        payload_watch_element(&exchange->watch, run + i * stride);
}

static void pop_one_by_one(void *context)
{
    struct exchange *exchange = context;
    char element[SIZE_MOST];
    enum fletch_answer answer;
    while ((answer = fletch_spsc_ring_pop(exchange->ring, element, FLETCH_NO_TIMEOUT)) ==
           FLETCH_DONE) {
        payload_watch_element(&exchange->watch, element);
        jitter_step(&exchange->consumer_jitter);
    }
    exchange->consumer_answer = answer;
}

static void pop_many(void *context)
{
    struct exchange *exchange = context;
    static _Thread_local char elements[BATCH_MOST * SIZE_MOST];
    enum fletch_answer answer;
    size_t popped;
    for (;;) {
        size_t count = batch_of(&exchange->consumer_jitter, BATCH_MOST);
        answer =
            fletch_spsc_ring_pop_many(exchange->ring, elements, count, FLETCH_NO_TIMEOUT, &popped);
        if (answer != FLETCH_DONE)
            break;
        watch_run(exchange, elements, exchange->element_bytes, popped);
        jitter_step(&exchange->consumer_jitter);
    }
    exchange->consumer_answer = answer;
}

static void pop_in_place(void *context)
{
    struct exchange *exchange = context;
    struct fletch_ring_spans spans;
    enum fletch_answer answer;
    for (;;) {
        size_t count = batch_of(&exchange->consumer_jitter, BATCH_MOST);
        answer = fletch_spsc_ring_peek(exchange->ring, count, FLETCH_NO_TIMEOUT, &spans);
        if (answer != FLETCH_DONE)
            break;
        jitter_step(&exchange->consumer_jitter);
        /* Now and then only the first run is taken. */
        bool whole = fletch_random_below(&exchange->consumer_jitter.random, 2) != 0;
        size_t second = whole ? spans.second_count : 0;
        watch_run(exchange, spans.first, spans.stride_bytes, spans.first_count);
        watch_run(exchange, spans.second, spans.stride_bytes, second);
        fletch_spsc_ring_release(exchange->ring, spans.first_count + second);
    }
    exchange->consumer_answer = answer;
}

static void try_to_pop(void *context)
{
    struct exchange *exchange = context;
    char element[SIZE_MOST];
    enum fletch_answer answer;
    do {
        answer = fletch_spsc_ring_try_pop(exchange->ring, element);
        if (answer == FLETCH_DONE)
            payload_watch_element(&exchange->watch, element);
        else
            fletch_thread_yield();
        jitter_step(&exchange->consumer_jitter);
    } while (answer == FLETCH_DONE || answer == FLETCH_EMPTY);
    exchange->consumer_answer = answer;
}

/* ---- runs ---- */

static const struct {
    const char *name;
    void (*produce)(void *context);
    void (*consume)(void *context);
} styles[] = {
    {"one by one", push_one_by_one, pop_one_by_one}, {"many", push_many, pop_many},
    {"in place", push_in_place, pop_in_place},       {"one to many", push_one_by_one, pop_many},
    {"many to one", push_many, pop_one_by_one},      {"trying", try_to_push, try_to_pop},
};

static const size_t element_sizes[] = {8, 24, 100, 256};
static const size_t capacities[] = {5, 64, 33};

static void run(size_t style, const struct fletch_spsc_ring_options *options, uint64_t count)
{
    uint64_t seed = arguments.seed + style + 100 * options->wait_strategy + 10000 * options->form;
    struct exchange exchange = {
        .ring = spsc_new(options),
        .element_bytes = options->element_bytes,
        .count = count,
        .producer_jitter = jitter_from_seed(seed, 64),
        .consumer_jitter = jitter_from_seed(seed + 50, 64),
        .watch = {.element_bytes = options->element_bytes},
    };
    const struct team_role roles[] = {
        {.run = styles[style].produce, .context = &exchange},
        {.run = styles[style].consume, .context = &exchange},
    };
    team_run(roles, 2);
    struct fletch_ring_statistics statistics = spsc_statistics(exchange.ring);
    fletch_spsc_ring_destroy(exchange.ring, NULL, NULL);
    assert_answer(exchange.producer_answer, FLETCH_DONE);
    assert_answer(exchange.consumer_answer, FLETCH_CLOSED);
    assert_true(exchange.watch.seen == count);
    assert_true(exchange.watch.torn == 0);
    assert_true(exchange.watch.misplaced == 0);
    assert_true(statistics.pushed == count && statistics.popped == count);
}

static void exchange_all(enum fletch_ring_form form)
{
    size_t round = 0;
    for (size_t style = 0; style < sizeof styles / sizeof styles[0]; style++)
        for (size_t i = 0; i < WAIT_STRATEGIES; i++, round++) {
            struct fletch_spsc_ring_options options =
                spsc_options(form, element_sizes[round % 4], capacities[round % 3]);
            options.wait_strategy = wait_strategies[i];
            /* Also with full fences and shared futexes. */
            options.sharing = round % 5 == 4 ? FLETCH_SHARING_HOST : FLETCH_SHARING_PROCESS;
            printf("%s, %s, %zu bytes, capacity %zu\n", styles[style].name,
                   strategy_name(options.wait_strategy), options.element_bytes, options.capacity);
            fflush(stdout);
            run(style, &options, 8000 * arguments.scale);
        }
}

static void elements_with_sequences_arrive_whole_and_in_order(void **state)
{
    (void)state;
    exchange_all(FLETCH_RING_SLOT_SEQUENCE);
}

static void elements_behind_a_cursor_arrive_whole_and_in_order(void **state)
{
    (void)state;
    exchange_all(FLETCH_RING_CURSOR);
}

/* One slot: each element waits for the one before to be taken. */
static void a_single_slot_is_enough(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++)
        for (size_t style = 0; style < sizeof styles / sizeof styles[0]; style++) {
            struct fletch_spsc_ring_options options = spsc_options(ring_forms[form], 24, 1);
            options.wait_strategy = style % 2 == 0 ? FLETCH_WAIT_PARK : FLETCH_WAIT_ADAPTIVE;
            run(style, &options, 2000 * arguments.scale);
        }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_with_sequences_arrive_whole_and_in_order),
        cmocka_unit_test(elements_behind_a_cursor_arrive_whole_and_in_order),
        cmocka_unit_test(a_single_slot_is_enough),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
