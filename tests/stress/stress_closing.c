#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/team.h"

/* Ends at random moments. Every element whose push answered DONE is popped, taken or dropped
 * exactly once; every one that was refused stays with its owner. */

enum { SIZE = 24, PRODUCERS = 3, NODES = 200 };

static struct test_arguments arguments;

static void pause_at_random(struct jitter *jitter, uint32_t most)
{
    for (uint32_t i = fletch_random_below(&jitter->random, most); i > 0; i--)
        jitter_step(jitter);
}

static void drop(void *context, void *element)
{
    payload_watch_element(context, element);
}

/* ---- the SPSC ring: closed by its producer, cancelled by its consumer ---- */

struct spsc_round {
    struct fletch_spsc_ring *ring;
    struct jitter producer_jitter;
    struct jitter consumer_jitter;
    uint64_t push_most;
    uint64_t pop_most;
    bool in_place;
    uint64_t pushed; /* answered DONE */
    struct payload_watch watch;
    enum fletch_answer producer_answer;
    enum fletch_answer consumer_answer;
};

static enum fletch_answer push_one(struct spsc_round *round)
{
    char element[SIZE];
    payload_fill(element, SIZE, 0, round->pushed);
    enum fletch_answer answer = fletch_spsc_ring_push(round->ring, element, FLETCH_NO_TIMEOUT);
    round->pushed += answer == FLETCH_DONE;
    return answer;
}

static enum fletch_answer fill_one(struct spsc_round *round)
{
    struct fletch_ring_spans spans;
    enum fletch_answer answer = fletch_spsc_ring_claim(round->ring, 1, FLETCH_NO_TIMEOUT, &spans);
    if (answer != FLETCH_DONE)
        return answer;
    jitter_step(&round->producer_jitter);
    payload_fill(spans.first, SIZE, 0, round->pushed);
    fletch_spsc_ring_commit(round->ring, 1); /* whatever was cancelled meanwhile */
    round->pushed++;
    return answer;
}

static void push_then_close(void *context)
{
    struct spsc_round *round = context;
    round->producer_answer = FLETCH_DONE;
    while (round->pushed < round->push_most && round->producer_answer == FLETCH_DONE) {
        round->producer_answer = round->in_place ? fill_one(round) : push_one(round);
        jitter_step(&round->producer_jitter);
    }
    fletch_spsc_ring_close(round->ring);
}

static void pop_then_cancel(void *context)
{
    struct spsc_round *round = context;
    char element[SIZE];
    round->consumer_answer = FLETCH_DONE;
    while (round->watch.seen < round->pop_most && round->consumer_answer == FLETCH_DONE) {
        round->consumer_answer = fletch_spsc_ring_pop(round->ring, element, FLETCH_NO_TIMEOUT);
        if (round->consumer_answer == FLETCH_DONE)
            payload_watch_element(&round->watch, element);
        jitter_step(&round->consumer_jitter);
    }
    fletch_spsc_ring_cancel(round->ring);
}

static void close_spsc(uint64_t number)
{
    struct fletch_random random = fletch_random_from_seed(arguments.seed + number);
    struct fletch_spsc_ring_options options =
        spsc_options(ring_forms[number % 2], SIZE, 1 + fletch_random_below(&random, 16));
    options.wait_strategy = wait_strategies[number % WAIT_STRATEGIES];
    struct spsc_round round = {
        .ring = spsc_new(&options),
        .producer_jitter = jitter_from_seed(fletch_random_u64(&random), 8),
        .consumer_jitter = jitter_from_seed(fletch_random_u64(&random), 8),
        .push_most = fletch_random_below(&random, 60),
        .pop_most = fletch_random_below(&random, 60),
        .in_place = fletch_random_below(&random, 2) != 0,
        .watch = {.element_bytes = SIZE},
    };
    const struct team_role roles[] = {
        {.run = push_then_close, .context = &round},
        {.run = pop_then_cancel, .context = &round},
    };
    team_run(roles, 2);
    uint64_t popped = round.watch.seen;
    fletch_spsc_ring_destroy(round.ring, drop, &round.watch);
    assert_true(round.watch.seen == round.pushed);
    assert_true(round.watch.torn == 0 && round.watch.misplaced == 0);
    /* Each side was stopped by its own count or by the other's end. */
    if (round.producer_answer == FLETCH_DONE)
        assert_true(round.pushed == round.push_most);
    else
        assert_answer(round.producer_answer, FLETCH_CLOSED);
    if (round.consumer_answer != FLETCH_DONE) {
        assert_answer(round.consumer_answer, FLETCH_CLOSED);
        assert_true(popped == round.pushed);
    }
}

static void a_ring_that_ends_loses_nothing(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 600 * arguments.scale; i++)
        close_spsc(i);
}

/* ---- the MPSC queue: closed by anybody ---- */

struct mpsc_round;

struct mpsc_producer {
    struct mpsc_round *round;
    uint32_t number;
    struct jitter jitter;
    uint64_t pushed; /* answered DONE */
    enum fletch_answer answer;
};

struct mpsc_round {
    struct fletch_mpsc_queue *queue;
    struct mpsc_producer producers[PRODUCERS];
    struct jitter closer_jitter;
    struct jitter consumer_jitter;
    uint64_t pop_most;
    struct payload_watch watch;
    enum fletch_answer consumer_answer;
};

static void push_until_closed(void *context)
{
    struct mpsc_producer *producer = context;
    char elements[3 * SIZE];
    do {
        size_t count = 1 + fletch_random_below(&producer->jitter.random, 3);
        for (size_t i = 0; i < count; i++)
            payload_fill(elements + i * SIZE, SIZE, producer->number, producer->pushed + i);
        producer->answer =
            fletch_mpsc_queue_push_many(producer->round->queue, elements, count, FLETCH_NO_TIMEOUT);
        if (producer->answer == FLETCH_DONE)
            producer->pushed += count;
        jitter_step(&producer->jitter);
    } while (producer->answer == FLETCH_DONE);
}

static void close_queue(void *context)
{
    struct mpsc_round *round = context;
    pause_at_random(&round->closer_jitter, 200);
    fletch_mpsc_queue_close(round->queue);
}

/* To the end, or until it has had enough: then it closes too, and the rest is dropped. */
static void pop_until_closed(void *context)
{
    struct mpsc_round *round = context;
    char element[SIZE];
    round->consumer_answer = FLETCH_DONE;
    while (round->watch.seen < round->pop_most && round->consumer_answer == FLETCH_DONE) {
        round->consumer_answer = fletch_mpsc_queue_pop(round->queue, element, FLETCH_NO_TIMEOUT);
        if (round->consumer_answer == FLETCH_DONE)
            payload_watch_element(&round->watch, element);
        jitter_step(&round->consumer_jitter);
    }
    fletch_mpsc_queue_close(round->queue);
}

static void close_mpsc(uint64_t number)
{
    struct fletch_random random = fletch_random_from_seed(arguments.seed + number);
    struct fletch_mpsc_queue_options options =
        mpsc_options(SIZE, 3 + fletch_random_below(&random, 16));
    struct team_role roles[PRODUCERS + 2];
    uint64_t pushed = 0;
    options.wait_strategy = wait_strategies[number % WAIT_STRATEGIES];
    struct mpsc_round round = {
        .queue = mpsc_new(&options),
        .closer_jitter = jitter_from_seed(fletch_random_u64(&random), 8),
        .consumer_jitter = jitter_from_seed(fletch_random_u64(&random), 8),
        .pop_most = number % 2 == 0 ? UINT64_MAX : fletch_random_below(&random, 60),
        .watch = {.element_bytes = SIZE},
    };
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        round.producers[i] = (struct mpsc_producer){
            .round = &round,
            .number = i,
            .jitter = jitter_from_seed(fletch_random_u64(&random), 8),
        };
        roles[i] = (struct team_role){.run = push_until_closed, .context = &round.producers[i]};
    }
    roles[PRODUCERS] = (struct team_role){.run = close_queue, .context = &round};
    roles[PRODUCERS + 1] = (struct team_role){.run = pop_until_closed, .context = &round};
    team_run(roles, PRODUCERS + 2);
    if (round.consumer_answer != FLETCH_DONE)
        assert_true(mpsc_statistics(round.queue).pushed == round.watch.seen);
    fletch_mpsc_queue_destroy(round.queue, drop, &round.watch);
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        assert_answer(round.producers[i].answer, FLETCH_CLOSED);
        assert_true(round.watch.next[i] == round.producers[i].pushed);
        pushed += round.producers[i].pushed;
    }
    assert_true(round.watch.seen == pushed);
    assert_true(round.watch.torn == 0 && round.watch.misplaced == 0);
}

static void a_queue_that_ends_loses_nothing(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 300 * arguments.scale; i++)
        close_mpsc(i);
}

/* ---- the inbox: closed by anybody ---- */

struct inbox_round;

struct letter {
    struct fletch_inbox_node node;
    uint32_t handed_out;
    enum fletch_answer answer;
};

struct inbox_pusher {
    struct inbox_round *round;
    struct jitter jitter;
    struct letter letters[NODES];
    uint64_t broken_lists; /* refused, and not as they were */
};

struct inbox_round {
    struct fletch_inbox *inbox;
    struct inbox_pusher pushers[PRODUCERS];
    struct jitter closer_jitter;
    struct jitter taker_jitter;
    struct fletch_inbox_list left[2]; /* what two closers got */
    _Atomic uint32_t closers;
    _Alignas(8) char memory[64];
};

static void push_letters(void *context)
{
    struct inbox_pusher *pusher = context;
    for (size_t i = 0; i < NODES;) {
        size_t count = 1 + fletch_random_below(&pusher->jitter.random, 4);
        if (count > NODES - i)
            count = NODES - i;
        struct letter *first = &pusher->letters[i];
        for (size_t k = 0; k < count; k++)
            first[k].node.next = k + 1 < count ? &first[k + 1].node : NULL;
        enum fletch_answer answer =
            fletch_inbox_push_list(pusher->round->inbox, &first->node, NULL);
        for (size_t k = 0; k < count; k++) {
            first[k].answer = answer;
            const struct fletch_inbox_node *next = k + 1 < count ? &first[k + 1].node : NULL;
            if (answer == FLETCH_CLOSED && first[k].node.next != next)
                pusher->broken_lists++;
        }
        i += count;
        jitter_step(&pusher->jitter);
    }
}

static void count_letters(const struct fletch_inbox_list *list)
{
    for (struct fletch_inbox_node *node = list->first; node != NULL; node = node->next)
        ((struct letter *)(void *)node)->handed_out++;
}

static void close_inbox(void *context)
{
    struct inbox_round *round = context;
    pause_at_random(&round->closer_jitter, 300);
    fletch_inbox_close(round->inbox, &round->left[fetch_add_relaxed(&round->closers, 1)]);
}

/* Takes until closed; now and then it is itself the second one to close. */
static void take_letters(void *context)
{
    struct inbox_round *round = context;
    struct fletch_inbox_list list;
    enum fletch_answer answer;
    do {
        answer = fletch_inbox_try_take(round->inbox, &list);
        if (answer == FLETCH_DONE)
            count_letters(&list);
        jitter_step(&round->taker_jitter);
        if (fletch_random_below(&round->taker_jitter.random, 100) == 0)
            break;
    } while (answer != FLETCH_CLOSED);
    fletch_inbox_close(round->inbox, &round->left[fetch_add_relaxed(&round->closers, 1)]);
}

static void close_letterbox(struct inbox_round *round, uint64_t number)
{
    struct fletch_random random = fletch_random_from_seed(arguments.seed + number);
    struct team_role roles[PRODUCERS + 2];
    memset(round, 0, sizeof *round);
    assert_ok(fletch_inbox_init(round->memory, sizeof round->memory, &round->inbox, NULL));
    round->closer_jitter = jitter_from_seed(fletch_random_u64(&random), 8);
    round->taker_jitter = jitter_from_seed(fletch_random_u64(&random), 8);
    for (size_t i = 0; i < PRODUCERS; i++) {
        round->pushers[i].round = round;
        round->pushers[i].jitter = jitter_from_seed(fletch_random_u64(&random), 8);
        roles[i] = (struct team_role){.run = push_letters, .context = &round->pushers[i]};
    }
    roles[PRODUCERS] = (struct team_role){.run = close_inbox, .context = round};
    roles[PRODUCERS + 1] = (struct team_role){.run = take_letters, .context = round};
    team_run(roles, PRODUCERS + 2);
    count_letters(&round->left[0]);
    count_letters(&round->left[1]);
    assert_true(round->left[0].count == 0 || round->left[1].count == 0);
    for (size_t i = 0; i < PRODUCERS; i++) {
        assert_true(round->pushers[i].broken_lists == 0);
        for (size_t k = 0; k < NODES; k++) {
            const struct letter *letter = &round->pushers[i].letters[k];
            assert_int_equal(letter->handed_out, letter->answer == FLETCH_DONE);
        }
    }
}

static void an_inbox_that_ends_loses_nothing(void **state)
{
    struct inbox_round *round = malloc(sizeof *round);
    (void)state;
    assert_non_null(round);
    for (uint64_t i = 0; i < 250 * arguments.scale; i++)
        close_letterbox(round, i);
    free(round);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_that_ends_loses_nothing),
        cmocka_unit_test(a_queue_that_ends_loses_nothing),
        cmocka_unit_test(an_inbox_that_ends_loses_nothing),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
