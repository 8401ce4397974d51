#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/team.h"

/* Producers and consumers on threads of their own. Each consumer sees all elements from where it
 * joined, whole and in order; those behind others see them after those; references are dropped once
 * each; consumers come, go and are removed all the while. */

enum { PRODUCERS_MOST = 3, CONSUMERS_MOST = 5, BATCH_MOST = 12, SIZE = 24 };

static struct test_arguments arguments;

struct exchange;

struct producer {
    struct exchange *exchange;
    uint32_t number;
    struct fletch_random random;
    struct jitter jitter;
    enum fletch_answer answer;
};

struct consumer {
    struct exchange *exchange;
    struct fletch_broadcast_consumer *place;
    struct fletch_random random;
    struct jitter jitter;
    bool in_place; /* sometimes; with others behind always: a pop passes before it returns */
    bool churns;   /* leaves and joins all the time */
    bool leads;
    struct payload_watch watch;
    bool joined_late;
    uint64_t joins;
    enum fletch_answer answer;
    _Atomic uint64_t next_seen; /* of one producer: all below have been seen */
    struct consumer *behind[2];
    uint64_t too_early;
};

struct exchange {
    struct fletch_broadcast_ring *ring;
    uint64_t count; /* for each producer */
    bool waiting;
    uint32_t batch_most;
    size_t producer_count, consumer_count;
    struct producer producers[PRODUCERS_MOST];
    struct consumer consumers[CONSUMERS_MOST];
    _Atomic size_t producers_left;
    _Atomic uint64_t references; /* that the ring holds */
};

static void drop(void *context, void *element)
{
    struct exchange *exchange = context;
    uint32_t number;
    uint64_t index;
    if (payload_read(element, SIZE, &number, &index))
        atomic_fetch_sub(&exchange->references, 1);
}

/* ---- producers ---- */

static enum fletch_answer push(struct exchange *exchange, const char *elements, size_t count)
{
    size_t pushed = 0;
    if (exchange->waiting)
        return count == 1 ? fletch_broadcast_ring_push(exchange->ring, elements, FLETCH_NO_TIMEOUT)
                          : fletch_broadcast_ring_push_many(exchange->ring, elements, count,
                                                            FLETCH_NO_TIMEOUT, &pushed);
    for (size_t done = 0; done < count; done += pushed) {
        enum fletch_answer answer = fletch_broadcast_ring_try_push_many(
            exchange->ring, elements + done * SIZE, count - done, &pushed);
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
    char elements[BATCH_MOST * SIZE];
    producer->answer = FLETCH_DONE;
    for (uint64_t i = 0; i < exchange->count && producer->answer == FLETCH_DONE;) {
        size_t count = 1 + fletch_random_below(&producer->random, exchange->batch_most);
        if (count > exchange->count - i)
            count = exchange->count - i;
        for (size_t k = 0; k < count; k++)
            payload_fill(elements + k * SIZE, SIZE, producer->number, i + k);
        jitter_step(&producer->jitter);
        atomic_fetch_add(&exchange->references, count);
        producer->answer = push(exchange, elements, count);
        i += count;
    }
    if (atomic_fetch_sub(&exchange->producers_left, 1) == 1)
        fletch_broadcast_ring_close(exchange->ring);
}

/* ---- consumers ---- */

static void check_order(struct consumer *consumer, uint64_t index)
{
    for (size_t i = 0; i < 2; i++)
        if (consumer->behind[i] != NULL && atomic_load(&consumer->behind[i]->next_seen) <= index)
            consumer->too_early++;
    atomic_store(&consumer->next_seen, index + 1);
}

static void check(struct consumer *consumer, const char *element)
{
    uint32_t number;
    uint64_t index;
    if (payload_read(element, SIZE, &number, &index) && number < PRODUCERS_MOST) {
        /* The first of each producer after a join tells where it was. */
        if (consumer->joined_late && index > consumer->watch.next[number])
            consumer->watch.next[number] = index;
        if (consumer->exchange->producer_count == 1) {
            check_order(consumer, index);
            consumer->joined_late = false;
        }
    }
    payload_watch_element(&consumer->watch, element);
}

static enum fletch_answer read_in_place(struct consumer *consumer, size_t most)
{
    struct fletch_ring_spans spans;
    uint64_t timeout = consumer->exchange->waiting ? FLETCH_NO_TIMEOUT : 0;
    enum fletch_answer answer =
        fletch_broadcast_consumer_peek(consumer->place, most, timeout, &spans);
    if (answer != FLETCH_DONE)
        return answer;
    for (size_t i = 0; i < spans.first_count; i++)
        check(consumer, (char *)spans.first + i * spans.stride_bytes);
    for (size_t i = 0; i < spans.second_count; i++)
        check(consumer, (char *)spans.second + i * spans.stride_bytes);
    fletch_broadcast_consumer_release(consumer->place, spans.first_count + spans.second_count);
    return FLETCH_DONE;
}

static enum fletch_answer pop(struct consumer *consumer, size_t most)
{
    char elements[BATCH_MOST * SIZE];
    size_t popped = 1;
    uint64_t timeout = consumer->exchange->waiting ? FLETCH_NO_TIMEOUT : 0;
    enum fletch_answer answer =
        most == 1
            ? fletch_broadcast_consumer_pop(consumer->place, elements, timeout)
            : fletch_broadcast_consumer_pop_many(consumer->place, elements, most, timeout, &popped);
    for (size_t i = 0; answer == FLETCH_DONE && i < popped; i++)
        check(consumer, elements + i * SIZE);
    return answer;
}

static void join_again(struct consumer *consumer)
{
    fletch_broadcast_consumer_leave(consumer->place);
    jitter_step(&consumer->jitter);
    consumer->place = broadcast_join(consumer->exchange->ring, false, NULL, 0);
    consumer->joined_late = true;
    consumer->joins++;
}

static void consume(void *context)
{
    struct consumer *consumer = context;
    enum fletch_answer answer;
    do {
        size_t most = 1 + fletch_random_below(&consumer->random, BATCH_MOST);
        bool in_place = consumer->leads ||
                        (consumer->in_place && fletch_random_below(&consumer->random, 2) == 0);
        answer = in_place ? read_in_place(consumer, most) : pop(consumer, most);
        if (answer == FLETCH_EMPTY || answer == FLETCH_HELD)
            fletch_thread_yield();
        if (consumer->churns && fletch_random_below(&consumer->random, 200) == 0)
            join_again(consumer);
        jitter_step(&consumer->jitter);
    } while (answer != FLETCH_CLOSED);
    consumer->answer = answer;
    fletch_broadcast_consumer_leave(consumer->place);
}

/* ---- rounds ---- */

static void start(struct exchange *exchange, struct fletch_broadcast_ring_options options,
                  struct team_role *roles)
{
    options.drop = drop;
    options.context = exchange;
    exchange->ring = broadcast_new(&options);
    atomic_store(&exchange->producers_left, exchange->producer_count);
    for (uint32_t i = 0; i < exchange->producer_count; i++) {
        uint64_t seed = arguments.seed + 1000 * i + exchange->count;
        exchange->producers[i] = (struct producer){
            .exchange = exchange,
            .number = i,
            .random = fletch_random_from_seed(seed),
            .jitter = jitter_from_seed(seed + 1, 64),
        };
        roles[i] = (struct team_role){.run = produce, .context = &exchange->producers[i]};
    }
    for (uint32_t i = 0; i < exchange->consumer_count; i++) {
        struct consumer *consumer = &exchange->consumers[i];
        uint64_t seed = arguments.seed + 77 * i + exchange->count;
        consumer->exchange = exchange;
        consumer->watch.element_bytes = SIZE;
        consumer->random = fletch_random_from_seed(seed);
        consumer->jitter = jitter_from_seed(seed + 1, 64);
        consumer->in_place = i % 2 == 0;
        roles[exchange->producer_count + i] =
            (struct team_role){.run = consume, .context = consumer};
    }
}

static void check_consumer(const struct exchange *exchange, const struct consumer *consumer)
{
    assert_answer(consumer->answer, FLETCH_CLOSED);
    assert_true(consumer->watch.torn == 0);
    assert_true(consumer->too_early == 0);
    if (exchange->producer_count == 1 || !consumer->churns)
        assert_true(consumer->watch.misplaced == 0);
    for (size_t i = 0; i < exchange->producer_count && !consumer->churns; i++)
        assert_true(consumer->watch.next[i] == exchange->count);
}

static void finish(struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->producer_count; i++)
        assert_answer(exchange->producers[i].answer, FLETCH_DONE);
    for (size_t i = 0; i < exchange->consumer_count; i++)
        check_consumer(exchange, &exchange->consumers[i]);
    assert_true(broadcast_statistics(exchange->ring).pushed ==
                exchange->count * exchange->producer_count);
    fletch_broadcast_ring_destroy(exchange->ring);
    assert_true(atomic_load(&exchange->references) == 0);
}

static struct fletch_broadcast_ring_options options_of(size_t round, size_t producers,
                                                       size_t consumers)
{
    static const size_t capacities[] = {1, 16, 12, 128};
    struct fletch_broadcast_ring_options options =
        broadcast_options(SIZE, capacities[round % 4], consumers);
    options.wait_strategy = wait_strategies[round % WAIT_STRATEGIES];
    /* Who spins without end for each element holds up those that it waits for. */
    if (options.wait_strategy <= FLETCH_WAIT_PAUSE)
        options.capacity = 128;
    options.producers = producers > 1 ? FLETCH_PRODUCERS_MANY : FLETCH_PRODUCERS_ONE;
    if (producers == 1 && round % 3 == 1)
        options.form = FLETCH_RING_CURSOR;
    return options;
}

enum shape { BESIDE, CHURN, CHAIN, DIAMOND };

static void join_all(struct exchange *exchange, enum shape shape)
{
    struct fletch_broadcast_consumer *places[CONSUMERS_MOST];
    for (size_t i = 0; i < exchange->consumer_count; i++) {
        struct consumer *consumer = &exchange->consumers[i];
        size_t count = 0;
        if (shape == CHAIN && i > 0)
            consumer->behind[count++] = &exchange->consumers[i - 1];
        if (shape == DIAMOND && i == 2) {
            consumer->behind[count++] = &exchange->consumers[0];
            consumer->behind[count++] = &exchange->consumers[1];
        }
        struct fletch_broadcast_consumer *const *behind =
            shape == CHAIN && i > 0 ? &places[i - 1] : places;
        places[i] = broadcast_join(exchange->ring, shape >= CHAIN, behind, count);
        consumer->place = places[i];
        consumer->leads = shape >= CHAIN;
        consumer->churns = shape == CHURN && i > 0;
    }
}

static void run(enum shape shape, size_t producers, size_t consumers, size_t round)
{
    struct team_role roles[PRODUCERS_MOST + CONSUMERS_MOST];
    struct exchange *exchange = calloc(1, sizeof *exchange);
    exchange->count = 1200 * arguments.scale / producers;
    exchange->waiting = round % 2 == 0;
    exchange->batch_most = round % 4 < 2 ? 1 : BATCH_MOST;
    exchange->producer_count = producers;
    exchange->consumer_count = consumers;
    start(exchange, options_of(round, producers, consumers), roles);
    join_all(exchange, shape);
    team_run(roles, producers + consumers);
    finish(exchange);
    free(exchange);
}

static void all_see_all_of_one_producer(void **state)
{
    (void)state;
    for (size_t round = 0; round < 12; round++)
        run(BESIDE, 1, 1 + round % 4, round);
}

static void all_see_all_of_several_producers(void **state)
{
    (void)state;
    for (size_t round = 0; round < 12; round++)
        run(BESIDE, 2 + round % 2, 1 + round % 4, round);
}

static void consumers_come_and_go(void **state)
{
    (void)state;
    for (size_t round = 0; round < 12; round++)
        run(CHURN, 1 + round % 3, 3, round);
}

static void a_chain_keeps_its_order(void **state)
{
    (void)state;
    for (size_t round = 0; round < 12; round++)
        run(CHAIN, 1, 2 + round % 3, round);
}

static void a_diamond_keeps_its_order(void **state)
{
    (void)state;
    for (size_t round = 0; round < 12; round++)
        run(DIAMOND, 1, 3, round);
}

/* ---- removing ---- */

struct siege {
    struct fletch_broadcast_ring *ring;
    _Atomic bool over;
    uint64_t count, torn;
};

static void push_all(void *context)
{
    struct siege *siege = context;
    char element[SIZE];
    for (uint64_t i = 0; i < siege->count; i++) {
        payload_fill(element, SIZE, 1, i);
        (void)!fletch_broadcast_ring_push(siege->ring, element, FLETCH_NO_TIMEOUT);
    }
    atomic_store(&siege->over, true);
}

/* Is removed again and again, and joins anew. */
static void come_back(void *context)
{
    struct siege *siege = context;
    char element[SIZE];
    while (!atomic_load(&siege->over)) {
        struct fletch_broadcast_consumer *place = broadcast_join(siege->ring, false, NULL, 0);
        enum fletch_answer answer;
        do {
            answer = fletch_broadcast_consumer_try_pop(place, element);
            uint32_t number;
            uint64_t index;
            if (answer == FLETCH_DONE && !payload_read(element, SIZE, &number, &index))
                siege->torn++;
        } while (answer != FLETCH_CLOSED && !atomic_load(&siege->over));
        fletch_broadcast_consumer_leave(place);
    }
}

static void remove_the_slowest(void *context)
{
    struct siege *siege = context;
    while (!atomic_load(&siege->over)) {
        uint64_t id = broadcast_statistics(siege->ring).slowest_id;
        if (id != 0)
            (void)!fletch_broadcast_ring_remove(siege->ring, id);
        fletch_thread_yield();
    }
}

static void whoever_is_removed_reads_no_torn_element(void **state)
{
    (void)state;
    for (size_t round = 0; round < 4; round++) {
        struct fletch_broadcast_ring_options options = options_of(round, 1, 2);
        struct siege siege = {.ring = broadcast_new(&options), .count = 1500 * arguments.scale};
        const struct team_role roles[] = {
            {push_all, &siege}, {come_back, &siege}, {remove_the_slowest, &siege}};
        team_run(roles, 3);
        assert_true(siege.torn == 0);
        printf("removed %llu times\n",
               (unsigned long long)broadcast_statistics(siege.ring).removed);
        fletch_broadcast_ring_destroy(siege.ring);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_see_all_of_one_producer),
        cmocka_unit_test(all_see_all_of_several_producers),
        cmocka_unit_test(consumers_come_and_go),
        cmocka_unit_test(a_chain_keeps_its_order),
        cmocka_unit_test(a_diamond_keeps_its_order),
        cmocka_unit_test(whoever_is_removed_reads_no_torn_element),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
