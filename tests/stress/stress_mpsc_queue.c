#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/team.h"

/* Several producer threads and one consumer thread. Nothing is lost, nothing comes twice, the
 * elements of each producer are whole and in order, and batches stay together. */

enum { PRODUCERS_MOST = 8, BATCH_MOST = 12, SIZE_MOST = 100 };

static struct test_arguments arguments;

/* The sizes of a producer's batches follow from its seed, so the consumer knows them too. */
struct batches {
    struct fletch_random random;
    uint32_t most;
    uint64_t left; /* of the current batch, for the consumer */
};

static uint64_t next_batch(struct batches *batches, uint64_t elements_left)
{
    uint64_t size = 1 + fletch_random_below(&batches->random, batches->most);
    return size < elements_left ? size : elements_left;
}

struct exchange;

struct producer {
    struct exchange *exchange;
    uint32_t number;
    struct batches batches;
    struct jitter jitter;
    enum fletch_answer answer;
};

struct exchange {
    struct fletch_mpsc_queue *queue;
    size_t element_bytes;
    uint64_t count; /* for each producer */
    bool waiting;   /* or trying */
    bool pop_many;
    size_t producer_count;
    struct producer producers[PRODUCERS_MOST];
    _Atomic size_t producers_left;

    struct jitter consumer_jitter;
    struct payload_watch watch;
    struct batches expected[PRODUCERS_MOST];
    uint64_t separated; /* elements that came inside another producer's batch */
    uint32_t inside;    /* the producer whose batch is not complete */
    enum fletch_answer consumer_answer;
};

static enum fletch_answer push_batch(struct exchange *exchange, const char *elements, size_t count)
{
    if (exchange->waiting && count == 1)
        return fletch_mpsc_queue_push(exchange->queue, elements, FLETCH_NO_TIMEOUT);
    if (exchange->waiting)
        return fletch_mpsc_queue_push_many(exchange->queue, elements, count, FLETCH_NO_TIMEOUT);
    enum fletch_answer answer;
    do {
        answer = count == 1 ? fletch_mpsc_queue_try_push(exchange->queue, elements)
                            : fletch_mpsc_queue_try_push_many(exchange->queue, elements, count);
        if (answer == FLETCH_FULL)
            fletch_thread_yield();
    } while (answer == FLETCH_FULL);
    return answer;
}

static void produce(void *context)
{
    struct producer *producer = context;
    struct exchange *exchange = producer->exchange;
    char elements[BATCH_MOST * SIZE_MOST];
    producer->answer = FLETCH_DONE;
    for (uint64_t i = 0; i < exchange->count && producer->answer == FLETCH_DONE;) {
        size_t count = (size_t)next_batch(&producer->batches, exchange->count - i);
        for (size_t k = 0; k < count; k++)
            payload_fill(elements + k * exchange->element_bytes, exchange->element_bytes,
                         producer->number, i + k);
        jitter_step(&producer->jitter);
        producer->answer = push_batch(exchange, elements, count);
        i += count;
    }
    /* The last one closes. */
    if (atomic_fetch_sub(&exchange->producers_left, 1) == 1)
        fletch_mpsc_queue_close(exchange->queue);
}

static void check_element(struct exchange *exchange, const char *element)
{
    uint32_t number;
    uint64_t index;
    payload_watch_element(&exchange->watch, element);
    if (!payload_read(element, exchange->element_bytes, &number, &index) ||
        number >= exchange->producer_count)
        return;
    if (exchange->inside != UINT32_MAX && exchange->inside != number)
        exchange->separated++;
    struct batches *batches = &exchange->expected[number];
    if (batches->left == 0)
        batches->left = next_batch(batches, exchange->count - index);
    batches->left--;
    exchange->inside = batches->left > 0 ? number : UINT32_MAX;
}

static void consume(void *context)
{
    struct exchange *exchange = context;
    char elements[BATCH_MOST * SIZE_MOST];
    enum fletch_answer answer;
    exchange->inside = UINT32_MAX;
    do {
        size_t popped = 1;
        uint64_t timeout = exchange->waiting ? FLETCH_NO_TIMEOUT : 0;
        if (exchange->pop_many)
            answer =
                fletch_mpsc_queue_pop_many(exchange->queue, elements, BATCH_MOST, timeout, &popped);
        else
            answer = fletch_mpsc_queue_pop(exchange->queue, elements, timeout);
        for (size_t i = 0; answer == FLETCH_DONE && i < popped; i++)
            check_element(exchange, elements + i * exchange->element_bytes);
        if (answer == FLETCH_EMPTY || answer == FLETCH_HELD)
            fletch_thread_yield();
        jitter_step(&exchange->consumer_jitter);
    } while (answer != FLETCH_CLOSED);
    exchange->consumer_answer = answer;
}

static void start_producers(struct exchange *exchange, struct team_role *roles, uint32_t batch_most)
{
    for (uint32_t i = 0; i < exchange->producer_count; i++) {
        uint64_t seed = arguments.seed + 1000 * i + exchange->count;
        const struct batches batches = {.random = fletch_random_from_seed(seed),
                                        .most = batch_most};
        exchange->producers[i] = (struct producer){
            .exchange = exchange,
            .number = i,
            .batches = batches,
            .jitter = jitter_from_seed(seed + 1, 64),
        };
        exchange->expected[i] = batches;
        roles[i] = (struct team_role){.run = produce, .context = &exchange->producers[i]};
    }
}

static void check(const struct exchange *exchange)
{
    uint64_t total = exchange->count * exchange->producer_count;
    struct fletch_ring_statistics statistics = mpsc_statistics(exchange->queue);
    for (size_t i = 0; i < exchange->producer_count; i++) {
        assert_answer(exchange->producers[i].answer, FLETCH_DONE);
        assert_true(exchange->watch.next[i] == exchange->count);
    }
    assert_answer(exchange->consumer_answer, FLETCH_CLOSED);
    assert_true(exchange->watch.seen == total);
    assert_true(exchange->watch.torn == 0);
    assert_true(exchange->watch.misplaced == 0);
    assert_true(exchange->separated == 0);
    assert_true(statistics.pushed == total && statistics.popped == total);
}

static void run(struct exchange *exchange, const struct fletch_mpsc_queue_options *options,
                uint32_t batch_most)
{
    struct team_role roles[PRODUCERS_MOST + 1];
    exchange->queue = mpsc_new(options);
    exchange->element_bytes = options->element_bytes;
    exchange->watch.element_bytes = options->element_bytes;
    exchange->consumer_jitter = jitter_from_seed(arguments.seed, 64);
    atomic_store(&exchange->producers_left, exchange->producer_count);
    start_producers(exchange, roles, batch_most);
    roles[exchange->producer_count] = (struct team_role){.run = consume, .context = exchange};
    team_run(roles, exchange->producer_count + 1);
    check(exchange);
    fletch_mpsc_queue_destroy(exchange->queue, NULL, NULL);
}

static const size_t producer_counts[] = {2, 4, 8};
static const size_t element_sizes[] = {24, 8, 100, 16};
static const size_t capacities[] = {16, 12, 128};

static void exchange_all(uint32_t batch_most)
{
    size_t round = 0;
    for (size_t p = 0; p < 3; p++)
        for (size_t i = 0; i < WAIT_STRATEGIES; i++)
            for (int waiting = 0; waiting < 2; waiting++, round++) {
                struct fletch_mpsc_queue_options options =
                    mpsc_options(element_sizes[round % 4], capacities[round % 3]);
                options.wait_strategy = wait_strategies[i];
                options.sharing = round % 5 == 4 ? FLETCH_SHARING_HOST : FLETCH_SHARING_PROCESS;
                struct exchange exchange = {
                    .count = 3500 * arguments.scale / producer_counts[p],
                    .waiting = waiting != 0,
                    .pop_many = round % 2 == 0,
                    .producer_count = producer_counts[p],
                };
                printf("%zu producers, %s, %s, %zu bytes, capacity %zu\n", producer_counts[p],
                       strategy_name(options.wait_strategy), waiting ? "waiting" : "trying",
                       options.element_bytes, options.capacity);
                fflush(stdout);
                run(&exchange, &options, batch_most);
            }
}

static void elements_arrive_whole_and_in_order(void **state)
{
    (void)state;
    exchange_all(1);
}

static void batches_arrive_whole_in_order_and_together(void **state)
{
    (void)state;
    exchange_all(BATCH_MOST);
}

static void a_single_slot_is_enough(void **state)
{
    (void)state;
    for (size_t p = 0; p < 3; p++) {
        struct fletch_mpsc_queue_options options = mpsc_options(24, 1);
        struct exchange exchange = {
            .count = 1000 * arguments.scale / producer_counts[p],
            .waiting = true,
            .producer_count = producer_counts[p],
        };
        options.wait_strategy = p % 2 == 0 ? FLETCH_WAIT_PARK : FLETCH_WAIT_ADAPTIVE;
        run(&exchange, &options, 1);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_arrive_whole_and_in_order),
        cmocka_unit_test(batches_arrive_whole_in_order_and_together),
        cmocka_unit_test(a_single_slot_is_enough),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
