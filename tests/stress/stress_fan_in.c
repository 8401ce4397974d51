#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/team.h"

/* Producer threads that come and go, and one consumer thread. Nothing is lost, nothing comes twice,
 * elements are whole, and those of each life of a producer, from its registration to its leaving,
 * are in order. (Those of two lives may lie in two lanes.) */

enum { PRODUCERS_MOST = 8, BATCH_MOST = 12, SIZE_MOST = 100 };

/* The index of an element: its producer's life, and its number in that. */
#define LIFE_BITS 20

static struct test_arguments arguments;

struct exchange;

struct producer {
    struct exchange *exchange;
    uint32_t number;
    struct fletch_random random;
    struct jitter jitter;
    enum fletch_answer answer;
    uint64_t pushed; /* in all */
    uint64_t lives;
    uint32_t *next; /* for each life, the consumer's: the number that it expects */
};

/* What the consumer found. */
struct findings {
    uint64_t seen, torn, misplaced;
};

struct exchange {
    struct fletch_fan_in *fan_in;
    size_t element_bytes;
    uint64_t count; /* for each producer */
    uint64_t life;  /* elements of a producer between registering and leaving, about */
    bool waiting;   /* or trying */
    size_t producer_count;
    struct producer producers[PRODUCERS_MOST];
    _Atomic size_t producers_left;

    uint64_t cancel_at; /* elements after which the consumer cancels; 0: never */
    struct jitter consumer_jitter;
    struct fletch_random consumer_random;
    struct findings found;
    enum fletch_answer consumer_answer;
};

static enum fletch_answer enter(struct exchange *exchange, struct fletch_fan_in_lane **out_lane)
{
    enum fletch_answer answer;
    while ((answer = fletch_fan_in_register(exchange->fan_in, out_lane)) == FLETCH_FULL)
        fletch_thread_yield();
    return answer;
}

/* In place, or copied; waiting, or trying. */
static enum fletch_answer push_some(struct producer *producer, struct fletch_fan_in_lane *lane,
                                    const char *elements, size_t count, size_t *out_pushed)
{
    size_t element_bytes = producer->exchange->element_bytes;
    uint64_t timeout_ns = producer->exchange->waiting ? FLETCH_NO_TIMEOUT : 0;
    struct fletch_ring_spans spans;
    enum fletch_answer answer;
    *out_pushed = 0;
    switch (fletch_random_below(&producer->random, 3)) {
    case 0:
        answer = fletch_fan_in_lane_push(lane, elements, timeout_ns);
        *out_pushed = answer == FLETCH_DONE;
        return answer;
    case 1:
        if (timeout_ns == 0)
            return fletch_fan_in_lane_try_push_many(lane, elements, count, out_pushed);
        return fletch_fan_in_lane_push_many(lane, elements, count, timeout_ns, out_pushed);
    default:
        break;
    }
    answer = fletch_fan_in_lane_claim(lane, count, timeout_ns, &spans);
    if (answer != FLETCH_DONE)
        return answer;
    for (size_t i = 0; i < spans.first_count; i++)
        memcpy((char *)spans.first + i * spans.stride_bytes, elements + i * element_bytes,
               element_bytes);
    *out_pushed = spans.first_count; /* the rest of the claim is given up */
    fletch_fan_in_lane_commit(lane, spans.first_count);
    return answer;
}

/* From one registration to the leaving. */
static enum fletch_answer live(struct producer *producer, struct fletch_fan_in_lane *lane)
{
    struct exchange *exchange = producer->exchange;
    char elements[BATCH_MOST * SIZE_MOST];
    uint64_t born = producer->pushed, life = producer->lives++ << LIFE_BITS;
    uint64_t end = born + 1 + fletch_random_below(&producer->random, 2 * (uint32_t)exchange->life);
    if (end > exchange->count)
        end = exchange->count;
    while (producer->pushed < end) {
        size_t count = 1 + fletch_random_below(&producer->random, BATCH_MOST), pushed;
        if (count > end - producer->pushed)
            count = (size_t)(end - producer->pushed);
        for (size_t k = 0; k < count; k++)
            payload_fill(elements + k * exchange->element_bytes, exchange->element_bytes,
                         producer->number, life + producer->pushed - born + k);
        jitter_step(&producer->jitter);
        enum fletch_answer answer = push_some(producer, lane, elements, count, &pushed);
        producer->pushed += pushed; /* a part of a batch may have gone in, whatever the answer */
        if (answer == FLETCH_CLOSED)
            return answer;
        if (answer == FLETCH_FULL)
            fletch_thread_yield();
    }
    return FLETCH_DONE;
}

static void produce(void *context)
{
    struct producer *producer = context;
    struct exchange *exchange = producer->exchange;
    producer->answer = FLETCH_DONE;
    while (producer->pushed < exchange->count && producer->answer == FLETCH_DONE) {
        struct fletch_fan_in_lane *lane = NULL;
        producer->answer = enter(exchange, &lane);
        if (producer->answer != FLETCH_DONE)
            break;
        producer->answer = live(producer, lane);
        fletch_fan_in_lane_close(lane);
    }
    /* The last one closes. */
    if (atomic_fetch_sub(&exchange->producers_left, 1) == 1)
        fletch_fan_in_close(exchange->fan_in);
}

static void see_element(struct exchange *exchange, const char *element)
{
    uint32_t number;
    uint64_t index;
    exchange->found.seen++;
    if (!payload_read(element, exchange->element_bytes, &number, &index) ||
        number >= exchange->producer_count || index >> LIFE_BITS >= exchange->count) {
        exchange->found.torn++;
        return;
    }
    uint32_t *next = &exchange->producers[number].next[index >> LIFE_BITS];
    exchange->found.misplaced += (*next)++ != (index & ((1U << LIFE_BITS) - 1));
}

static void see(struct exchange *exchange, const struct fletch_ring_spans *spans)
{
    for (size_t i = 0; i < spans->first_count; i++)
        see_element(exchange, (char *)spans->first + i * spans->stride_bytes);
    for (size_t i = 0; i < spans->second_count; i++)
        see_element(exchange, (char *)spans->second + i * spans->stride_bytes);
}

static enum fletch_answer take_some(struct exchange *exchange)
{
    char elements[BATCH_MOST * SIZE_MOST];
    uint64_t timeout_ns = exchange->waiting ? FLETCH_NO_TIMEOUT : 0;
    struct fletch_ring_spans spans;
    size_t count = 1;
    enum fletch_answer answer;
    switch (fletch_random_below(&exchange->consumer_random, 3)) {
    case 0:
        answer = fletch_fan_in_peek(exchange->fan_in, BATCH_MOST, timeout_ns, &spans);
        if (answer != FLETCH_DONE)
            return answer;
        see(exchange, &spans);
        fletch_fan_in_release(exchange->fan_in, spans.first_count + spans.second_count);
        return answer;
    case 1:
        answer = fletch_fan_in_pop_many(exchange->fan_in, elements, BATCH_MOST, timeout_ns, &count);
        break;
    default:
        answer = fletch_fan_in_pop(exchange->fan_in, elements, timeout_ns);
        break;
    }
    for (size_t i = 0; answer == FLETCH_DONE && i < count; i++)
        see_element(exchange, elements + i * exchange->element_bytes);
    return answer;
}

static void consume(void *context)
{
    struct exchange *exchange = context;
    enum fletch_answer answer;
    do {
        answer = take_some(exchange);
        if (exchange->cancel_at > 0 && exchange->found.seen >= exchange->cancel_at)
            fletch_fan_in_cancel(exchange->fan_in);
        if (answer == FLETCH_EMPTY)
            fletch_thread_yield();
        jitter_step(&exchange->consumer_jitter);
    } while (answer != FLETCH_CLOSED);
    exchange->consumer_answer = answer;
}

static void start_producers(struct exchange *exchange, struct team_role *roles)
{
    for (uint32_t i = 0; i < exchange->producer_count; i++) {
        uint64_t seed = arguments.seed + 1000 * i + exchange->count;
        exchange->producers[i] = (struct producer){
            .exchange = exchange,
            .number = i,
            .random = fletch_random_from_seed(seed),
            .jitter = jitter_from_seed(seed + 1, 64),
            .next = calloc(exchange->count, sizeof(uint32_t)),
        };
        assert_non_null(exchange->producers[i].next);
        roles[i] = (struct team_role){.run = produce, .context = &exchange->producers[i]};
    }
}

static void check(const struct exchange *exchange)
{
    struct fletch_ring_statistics statistics = fan_in_statistics(exchange->fan_in);
    uint64_t total = 0;
    for (size_t i = 0; i < exchange->producer_count; i++) {
        const struct producer *producer = &exchange->producers[i];
        assert_answer(producer->answer,
                      producer->pushed == exchange->count ? FLETCH_DONE : FLETCH_CLOSED);
        assert_true(exchange->cancel_at > 0 || producer->pushed == exchange->count);
        total += producer->pushed;
    }
    assert_answer(exchange->consumer_answer, FLETCH_CLOSED);
    assert_true(exchange->found.seen == total);
    assert_true(exchange->found.torn == 0);
    assert_true(exchange->found.misplaced == 0);
    assert_true(statistics.pushed == total && statistics.popped == total);
    assert_true(fletch_fan_in_registered(exchange->fan_in) == 0);
}

static void run(struct exchange *exchange, const struct fletch_fan_in_options *options)
{
    struct team_role roles[PRODUCERS_MOST + 1];
    exchange->fan_in = fan_in_new(options);
    exchange->element_bytes = options->element_bytes;
    exchange->consumer_jitter = jitter_from_seed(arguments.seed, 64);
    exchange->consumer_random = fletch_random_from_seed(arguments.seed + exchange->life);
    atomic_store(&exchange->producers_left, exchange->producer_count);
    start_producers(exchange, roles);
    roles[exchange->producer_count] = (struct team_role){.run = consume, .context = exchange};
    team_run(roles, exchange->producer_count + 1);
    check(exchange);
    for (size_t i = 0; i < exchange->producer_count; i++)
        free(exchange->producers[i].next);
    fletch_fan_in_destroy(exchange->fan_in, NULL, NULL);
}

static const size_t producer_counts[] = {2, 4, 8};
static const size_t element_sizes[] = {24, 8, 100, 16};
static const size_t capacities[] = {16, 12, 128, 1};

/* `lanes` of each 8 producers have one at the same time; the others wait for a lane. */
static void exchange_all(uint64_t life, size_t lanes, uint64_t cancel_at)
{
    size_t round = 0;
    for (size_t p = 0; p < 3; p++)
        for (size_t i = 0; i < WAIT_STRATEGIES; i++)
            for (int waiting = 0; waiting < 2; waiting++, round++) {
                struct fletch_fan_in_options options =
                    fan_in_options(element_sizes[round % 4], capacities[round / 2 % 4],
                                   (producer_counts[p] * lanes + 7) / 8);
                options.wait_strategy = wait_strategies[i];
                options.form = ring_forms[round % RING_FORMS];
                options.run_limit = 1 + round % 20;
                struct exchange exchange = {
                    .count = 2000 * arguments.scale / producer_counts[p],
                    .life = life,
                    .waiting = waiting != 0,
                    .producer_count = producer_counts[p],
                    .cancel_at = cancel_at,
                };
                printf("%zu producers, %zu lanes, %s, %s, %zu bytes, capacity %zu\n",
                       producer_counts[p], options.lane_count, strategy_name(options.wait_strategy),
                       waiting ? "waiting" : "trying", options.element_bytes, options.capacity);
                fflush(stdout);
                run(&exchange, &options);
            }
}

static void elements_arrive_whole_and_in_order(void **state)
{
    (void)state;
    exchange_all(1000000, 8, 0);
}

static void nothing_is_lost_where_producers_come_and_go(void **state)
{
    (void)state;
    exchange_all(20, 8, 0);
}

static void nothing_is_lost_where_lanes_are_short(void **state)
{
    (void)state;
    exchange_all(5, 4, 0);
}

static void a_cancelled_one_ends_and_loses_nothing_that_was_pushed(void **state)
{
    (void)state;
    exchange_all(50, 6, 1000);
}

/* Many lanes of which few are busy, those in turns: they fall asleep and wake up all the time. */
/* SPARSE_LANES for each producer. */
enum { SPARSE_LANES = 33, SPARSE_PRODUCERS = 3 };

struct sparse {
    struct fletch_fan_in *fan_in;
    uint64_t count; /* for each producer */
    struct payload_watch watch;
};

struct sparse_producer {
    struct sparse *sparse;
    struct fletch_fan_in_lane *lanes[SPARSE_LANES];
    uint32_t number;
    struct jitter jitter;
};

/* The producer's order is that of one lane as long as it waits before it changes to the next. */
static void await_drained(const struct fletch_fan_in_lane *lane)
{
    struct fletch_ring_statistics seen = {.struct_size = sizeof seen};
    for (;;) {
        fletch_fan_in_lane_statistics(lane, &seen);
        if (seen.popped == seen.pushed)
            return;
        fletch_thread_yield();
    }
}

static void produce_sparsely(void *context)
{
    enum { IN_A_ROW = 100 };
    struct sparse_producer *producer = context;
    char element[24];
    for (uint64_t i = 0; i < producer->sparse->count; i++) {
        struct fletch_fan_in_lane *lane = producer->lanes[i / IN_A_ROW % SPARSE_LANES];
        payload_fill(element, sizeof element, producer->number, i);
        if (fletch_fan_in_lane_push(lane, element, FLETCH_NO_TIMEOUT) != FLETCH_DONE)
            break;
        if (i % IN_A_ROW == IN_A_ROW - 1)
            await_drained(lane);
        jitter_step(&producer->jitter);
    }
    for (uint32_t k = 0; k < SPARSE_LANES; k++)
        fletch_fan_in_lane_close(producer->lanes[k]);
}

static void consume_sparsely(void *context)
{
    struct sparse *sparse = context;
    char element[24];
    while (fletch_fan_in_pop(sparse->fan_in, element, FLETCH_NO_TIMEOUT) == FLETCH_DONE)
        payload_watch_element(&sparse->watch, element);
}

static void be_sparse(enum fletch_wait_strategy strategy)
{
    struct fletch_fan_in_options options = fan_in_options(24, 16, SPARSE_PRODUCERS * SPARSE_LANES);
    struct sparse_producer producers[SPARSE_PRODUCERS];
    struct team_role roles[SPARSE_PRODUCERS + 1];
    options.wait_strategy = strategy;
    struct sparse sparse = {
        .fan_in = fan_in_new(&options), .count = 4000 * arguments.scale, .watch.element_bytes = 24};
    for (uint32_t i = 0; i < SPARSE_PRODUCERS; i++) {
        producers[i] = (struct sparse_producer){
            .sparse = &sparse, .number = i, .jitter = jitter_from_seed(arguments.seed + i, 100)};
        for (uint32_t k = 0; k < SPARSE_LANES; k++)
            producers[i].lanes[k] = fan_in_register(sparse.fan_in);
        roles[i] = (struct team_role){.run = produce_sparsely, .context = &producers[i]};
    }
    fletch_fan_in_close(sparse.fan_in);
    roles[SPARSE_PRODUCERS] = (struct team_role){.run = consume_sparsely, .context = &sparse};
    team_run(roles, SPARSE_PRODUCERS + 1);
    assert_true(sparse.watch.seen == SPARSE_PRODUCERS * sparse.count);
    assert_true(sparse.watch.torn == 0);
    assert_true(sparse.watch.misplaced == 0);
    fletch_fan_in_destroy(sparse.fan_in, NULL, NULL);
}

static void no_element_is_slept_over_in_a_lane_that_falls_asleep(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++)
        be_sparse(wait_strategies[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_arrive_whole_and_in_order),
        cmocka_unit_test(nothing_is_lost_where_producers_come_and_go),
        cmocka_unit_test(nothing_is_lost_where_lanes_are_short),
        cmocka_unit_test(a_cancelled_one_ends_and_loses_nothing_that_was_pushed),
        cmocka_unit_test(no_element_is_slept_over_in_a_lane_that_falls_asleep),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
