#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/team.h"

/* Several pushing threads and one taking thread. Each node comes out once, after the ones that its
 * pusher pushed before, and with its payload. */

enum { PUSHERS_MOST = 6, LIST_MOST = 9, PAYLOAD_BYTES = 40 };

static struct test_arguments arguments;

struct letter {
    struct fletch_inbox_node node;
    char payload[PAYLOAD_BYTES];
};

struct exchange {
    struct fletch_inbox *inbox;
    struct fletch_eventcount *eventcount;
    uint64_t count; /* for each pusher */
    bool waiting;
    _Atomic size_t pushers_left;
    struct jitter taker_jitter;
    struct payload_watch watch;
    uint64_t miscounted; /* lists whose count was not that of their nodes */
    _Alignas(8) char inbox_memory[64];
};

struct pusher {
    struct exchange *exchange;
    uint32_t number;
    struct jitter jitter;
    struct letter *letters;
    enum fletch_answer answer;
};

static enum fletch_answer push(struct pusher *pusher, uint64_t index, size_t count,
                               bool *out_was_empty)
{
    struct letter *first = &pusher->letters[index];
    for (size_t i = 0; i < count; i++) {
        payload_fill(first[i].payload, PAYLOAD_BYTES, pusher->number, index + i);
        first[i].node.next = i + 1 < count ? &first[i + 1].node : NULL;
    }
    if (count == 1)
        return fletch_inbox_push(pusher->exchange->inbox, &first->node, out_was_empty);
    return fletch_inbox_push_list(pusher->exchange->inbox, &first->node, out_was_empty);
}

static void push_all(void *context)
{
    struct pusher *pusher = context;
    struct exchange *exchange = pusher->exchange;
    pusher->answer = FLETCH_DONE;
    for (uint64_t i = 0; i < exchange->count && pusher->answer == FLETCH_DONE;) {
        size_t count = 1 + fletch_random_below(&pusher->jitter.random, LIST_MOST);
        if (count > exchange->count - i)
            count = (size_t)(exchange->count - i);
        bool was_empty = false;
        jitter_step(&pusher->jitter);
        pusher->answer = push(pusher, i, count, &was_empty);
        if (was_empty)
            fletch_eventcount_notify(exchange->eventcount, 1);
        i += count;
    }
    atomic_fetch_sub(&exchange->pushers_left, 1);
    fletch_eventcount_notify(exchange->eventcount, 1);
}

static void check_list(struct exchange *exchange, const struct fletch_inbox_list *list)
{
    size_t count = 0;
    for (struct fletch_inbox_node *node = list->first; node != NULL;) {
        struct letter *letter = (struct letter *)(void *)node;
        node = node->next;
        payload_watch_element(&exchange->watch, letter->payload);
        memset(letter, 0x99, sizeof *letter); /* it is ours again */
        count++;
    }
    if (count != list->count)
        exchange->miscounted++;
}

static void take_all(void *context)
{
    struct exchange *exchange = context;
    for (;;) {
        struct fletch_inbox_list list;
        bool last = load_acquire(&exchange->pushers_left) == 0;
        /* Once all have pushed, no notification comes; until then it must not be missed. */
        uint64_t timeout = exchange->waiting && !last ? 1000000 : 0;
        enum fletch_answer answer =
            fletch_inbox_take(exchange->inbox, exchange->eventcount, timeout, &list);
        if (answer == FLETCH_DONE)
            check_list(exchange, &list);
        else if (last)
            break;
        jitter_step(&exchange->taker_jitter);
    }
}

static void run(size_t pusher_count, bool waiting, uint64_t count)
{
    struct exchange exchange = {.count = count, .waiting = waiting};
    struct pusher pushers[PUSHERS_MOST];
    struct team_role roles[PUSHERS_MOST + 1];
    assert_ok(fletch_inbox_init(exchange.inbox_memory, sizeof exchange.inbox_memory,
                                &exchange.inbox, NULL));
    assert_ok(fletch_eventcount_create(NULL, &exchange.eventcount, NULL));
    exchange.watch.element_bytes = PAYLOAD_BYTES;
    exchange.taker_jitter = jitter_from_seed(arguments.seed + 99, 16);
    atomic_store(&exchange.pushers_left, pusher_count);
    for (uint32_t i = 0; i < pusher_count; i++) {
        pushers[i] = (struct pusher){.exchange = &exchange,
                                     .number = i,
                                     .jitter = jitter_from_seed(arguments.seed + i, 32),
                                     .letters = calloc(count, sizeof(struct letter))};
        assert_non_null(pushers[i].letters);
        roles[i] = (struct team_role){.run = push_all, .context = &pushers[i]};
    }
    roles[pusher_count] = (struct team_role){.run = take_all, .context = &exchange};
    team_run(roles, pusher_count + 1);
    for (size_t i = 0; i < pusher_count; i++) {
        assert_answer(pushers[i].answer, FLETCH_DONE);
        assert_true(exchange.watch.next[i] == count);
        free(pushers[i].letters);
    }
    assert_true(exchange.watch.seen == count * pusher_count);
    assert_true(exchange.watch.torn == 0);
    assert_true(exchange.watch.misplaced == 0);
    assert_true(exchange.miscounted == 0);
    fletch_eventcount_destroy(exchange.eventcount);
}

static void every_node_comes_out_once_and_in_order(void **state)
{
    (void)state;
    for (size_t pushers = 1; pushers <= PUSHERS_MOST; pushers++)
        for (int waiting = 0; waiting < 2; waiting++)
            run(pushers, waiting != 0, 100000 * arguments.scale / pushers);
}

/* Without a timeout: a lost wake-up hangs. Each round is one push, told by was_empty, and one
 * take. */
struct hand_over {
    struct fletch_inbox *inbox;
    struct fletch_eventcount *eventcount;
    _Atomic uint64_t taken;
    uint64_t rounds;
    uint64_t wrong;
    struct jitter jitter;
    _Alignas(8) char inbox_memory[64];
};

static void push_when_taken(void *context)
{
    struct hand_over *hand_over = context;
    struct letter letters[2];
    for (uint64_t i = 0; i < hand_over->rounds; i++) {
        bool was_empty = false;
        payload_fill(letters[i % 2].payload, PAYLOAD_BYTES, 0, i);
        jitter_step(&hand_over->jitter);
        if (fletch_inbox_push(hand_over->inbox, &letters[i % 2].node, &was_empty) != FLETCH_DONE)
            return;
        if (was_empty)
            fletch_eventcount_notify(hand_over->eventcount, 1);
        while (load_acquire(&hand_over->taken) + 1 < i + 1)
            fletch_thread_yield();
    }
    while (load_acquire(&hand_over->taken) < hand_over->rounds)
        fletch_thread_yield(); /* the letters are on this stack */
}

static void take_when_pushed(void *context)
{
    struct hand_over *hand_over = context;
    for (uint64_t i = 0; i < hand_over->rounds;) {
        struct fletch_inbox_list list;
        enum fletch_answer answer =
            fletch_inbox_take(hand_over->inbox, hand_over->eventcount, FLETCH_NO_TIMEOUT, &list);
        if (answer != FLETCH_DONE)
            return;
        for (struct fletch_inbox_node *node = list.first; node != NULL; i++) {
            struct letter *letter = (struct letter *)(void *)node;
            node = node->next;
            if (!payload_is(letter->payload, PAYLOAD_BYTES, 0, i))
                hand_over->wrong++;
        }
        store_release(&hand_over->taken, i);
    }
}

static void no_wake_up_is_lost(void **state)
{
    struct hand_over hand_over = {.rounds = 30000 * arguments.scale,
                                  .jitter = jitter_from_seed(arguments.seed, 4)};
    const struct team_role roles[] = {
        {.run = push_when_taken, .context = &hand_over},
        {.run = take_when_pushed, .context = &hand_over},
    };
    (void)state;
    assert_ok(fletch_inbox_init(hand_over.inbox_memory, sizeof hand_over.inbox_memory,
                                &hand_over.inbox, NULL));
    assert_ok(fletch_eventcount_create(NULL, &hand_over.eventcount, NULL));
    team_run(roles, 2);
    assert_true(load_relaxed(&hand_over.taken) == hand_over.rounds);
    assert_true(hand_over.wrong == 0);
    fletch_eventcount_destroy(hand_over.eventcount);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_comes_out_once_and_in_order),
        cmocka_unit_test(no_wake_up_is_lost),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
