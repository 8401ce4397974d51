#include "sync/inbox.h"

#include <fletching/wait.h>

#include <string.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/sleeping.h"
#include "support/team.h"

enum { NODES = 10, TIMEOUT_NS = 2000000 };

static struct fletch_inbox storage;

static struct fletch_inbox *make(void)
{
    struct fletch_inbox *inbox;
    assert_ok(fletch_inbox_init(&storage, sizeof storage, &inbox, NULL));
    return inbox;
}

/* The list is nodes[from], nodes[from + 1], … in memory order, and ends with NULL. */
static void assert_list(const struct fletch_inbox_list *list, const struct fletch_inbox_node *from,
                        size_t count)
{
    const struct fletch_inbox_node *node = list->first;
    assert_int_equal(list->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(node, from + i);
        node = node->next;
    }
    assert_null(node);
}

static void link_nodes(struct fletch_inbox_node *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        nodes[i].next = i + 1 < count ? &nodes[i + 1] : NULL;
}

static void memory_must_suffice_and_be_aligned(void **state)
{
    struct fletch_inbox *inbox = NULL;
    struct fletch_error error;
    (void)state;
    assert_int_equal(fletch_inbox_bytes(), sizeof(void *));
    assert_int_equal(fletch_inbox_alignment(), _Alignof(void *));
    assert_int_equal(fletch_inbox_init(NULL, 8, &inbox, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "NULL");
    assert_int_equal(fletch_inbox_init(&storage, sizeof storage - 1, &inbox, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "memory has 7 bytes, 8 are needed");
    _Alignas(8) char bytes[16];
    assert_int_equal(fletch_inbox_init(bytes + 4, 8, &inbox, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "not aligned to 8");
    assert_null(inbox);
}

static void nodes_come_out_in_the_order_of_their_pushes(void **state)
{
    struct fletch_inbox *inbox = make();
    struct fletch_inbox_node nodes[NODES];
    struct fletch_inbox_list list;
    (void)state;
    assert_answer(fletch_inbox_try_take(inbox, &list), FLETCH_EMPTY);
    for (size_t count = 1; count <= NODES; count++) {
        for (size_t i = 0; i < count; i++)
            assert_answer(fletch_inbox_push(inbox, &nodes[i], NULL), FLETCH_DONE);
        assert_answer(fletch_inbox_try_take(inbox, &list), FLETCH_DONE);
        assert_list(&list, nodes, count);
        assert_answer(fletch_inbox_try_take(inbox, &list), FLETCH_EMPTY);
        assert_list(&list, nodes, count); /* written on DONE only */
    }
}

static void the_first_push_hears_that_it_was_empty(void **state)
{
    struct fletch_inbox *inbox = make();
    struct fletch_inbox_node nodes[4];
    struct fletch_inbox_list list;
    bool was_empty = false;
    (void)state;
    assert_answer(fletch_inbox_push(inbox, &nodes[0], &was_empty), FLETCH_DONE);
    assert_true(was_empty);
    assert_answer(fletch_inbox_push(inbox, &nodes[1], &was_empty), FLETCH_DONE);
    assert_false(was_empty);
    assert_answer(fletch_inbox_try_take(inbox, &list), FLETCH_DONE);
    link_nodes(&nodes[2], 2);
    assert_answer(fletch_inbox_push_list(inbox, &nodes[2], &was_empty), FLETCH_DONE);
    assert_true(was_empty);
    link_nodes(&nodes[0], 2);
    assert_answer(fletch_inbox_push_list(inbox, &nodes[0], &was_empty), FLETCH_DONE);
    assert_false(was_empty);
}

static void lists_keep_their_order_and_stay_together(void **state)
{
    struct fletch_inbox *inbox = make();
    struct fletch_inbox_node nodes[NODES];
    struct fletch_inbox_list list;
    (void)state;
    for (size_t split = 1; split < NODES; split++) {
        link_nodes(nodes, split);
        link_nodes(nodes + split, NODES - split);
        assert_answer(fletch_inbox_push_list(inbox, nodes, NULL), FLETCH_DONE);
        assert_answer(fletch_inbox_push_list(inbox, nodes + split, NULL), FLETCH_DONE);
        assert_answer(fletch_inbox_try_take(inbox, &list), FLETCH_DONE);
        assert_list(&list, nodes, NODES);
    }
    /* A taken list can be pushed as it is. */
    assert_answer(fletch_inbox_push_list(inbox, list.first, NULL), FLETCH_DONE);
    assert_answer(fletch_inbox_try_take(inbox, &list), FLETCH_DONE);
    assert_list(&list, nodes, NODES);
}

static void closing_hands_out_what_was_left_once(void **state)
{
    struct fletch_inbox *inbox = make();
    struct fletch_inbox_node nodes[NODES];
    struct fletch_inbox_list list;
    (void)state;
    for (size_t i = 0; i < NODES; i++)
        assert_answer(fletch_inbox_push(inbox, &nodes[i], NULL), FLETCH_DONE);
    fletch_inbox_close(inbox, &list);
    assert_list(&list, nodes, NODES);
    for (int i = 0; i < 3; i++) {
        memset(&list, 0x44, sizeof list);
        fletch_inbox_close(inbox, &list);
        assert_list(&list, NULL, 0);
        assert_answer(fletch_inbox_try_take(inbox, &list), FLETCH_CLOSED);
    }
}

static void closing_an_empty_inbox_hands_out_nothing(void **state)
{
    struct fletch_inbox *inbox = make();
    struct fletch_inbox_list list;
    (void)state;
    memset(&list, 0x44, sizeof list);
    fletch_inbox_close(inbox, &list);
    assert_list(&list, NULL, 0);
    assert_answer(fletch_inbox_try_take(inbox, &list), FLETCH_CLOSED);
}

static void the_pusher_keeps_what_a_closed_inbox_refuses(void **state)
{
    struct fletch_inbox *inbox = make();
    struct fletch_inbox_node nodes[NODES];
    struct fletch_inbox_list list;
    bool was_empty = true;
    (void)state;
    fletch_inbox_close(inbox, &list);
    nodes[0].next = &nodes[5];
    assert_answer(fletch_inbox_push(inbox, &nodes[0], &was_empty), FLETCH_CLOSED);
    for (size_t count = 1; count <= NODES; count++) {
        link_nodes(nodes, count);
        assert_answer(fletch_inbox_push_list(inbox, nodes, &was_empty), FLETCH_CLOSED);
        list = (struct fletch_inbox_list){.first = nodes, .count = count};
        assert_list(&list, nodes, count); /* as it was */
    }
    assert_answer(fletch_inbox_try_take(inbox, &list), FLETCH_CLOSED);
}

/* ---- waiting ---- */

struct taker {
    struct fletch_inbox *inbox;
    struct fletch_eventcount *eventcount;
    struct fletch_inbox_list list;
    enum fletch_answer answer;
};

static void wait_to_take(void *context)
{
    struct taker *taker = context;
    taker->answer =
        fletch_inbox_take(taker->inbox, taker->eventcount, FLETCH_NO_TIMEOUT, &taker->list);
}

static void a_take_waits_no_less_than_its_timeout(void **state)
{
    struct fletch_eventcount *eventcount;
    struct fletch_inbox *inbox = make();
    struct fletch_inbox_list list;
    (void)state;
    assert_ok(fletch_eventcount_create(NULL, &eventcount, NULL));
    uint64_t deadline = fletch_clock_deadline_ns(TIMEOUT_NS);
    assert_answer(fletch_inbox_take(inbox, eventcount, TIMEOUT_NS, &list), FLETCH_EMPTY);
    assert_true(fletch_clock_now_ns() >= deadline);
    assert_answer(fletch_inbox_take(inbox, eventcount, 0, &list), FLETCH_EMPTY);
    fletch_eventcount_destroy(eventcount);
}

static void a_push_that_notifies_ends_the_wait(void **state)
{
    struct taker taker = {.inbox = make()};
    const struct team_role role = {.run = wait_to_take, .context = &taker};
    struct fletch_inbox_node node;
    struct team team;
    bool was_empty;
    (void)state;
    assert_ok(fletch_eventcount_create(NULL, &taker.eventcount, NULL));
    team_start(&team, &role, 1);
    sleeping_await(taker.eventcount, 1);
    assert_answer(fletch_inbox_push(taker.inbox, &node, &was_empty), FLETCH_DONE);
    assert_true(was_empty);
    fletch_eventcount_notify(taker.eventcount, 1);
    team_join(&team);
    assert_answer(taker.answer, FLETCH_DONE);
    assert_list(&taker.list, &node, 1);
    fletch_eventcount_destroy(taker.eventcount);
}

static void a_close_that_notifies_ends_the_wait(void **state)
{
    struct taker taker = {.inbox = make()};
    const struct team_role role = {.run = wait_to_take, .context = &taker};
    struct fletch_inbox_list list;
    struct team team;
    (void)state;
    assert_ok(fletch_eventcount_create(NULL, &taker.eventcount, NULL));
    team_start(&team, &role, 1);
    sleeping_await(taker.eventcount, 1);
    fletch_inbox_close(taker.inbox, &list);
    fletch_eventcount_notify(taker.eventcount, UINT32_MAX);
    team_join(&team);
    assert_answer(taker.answer, FLETCH_CLOSED);
    assert_int_equal(list.count, 0);
    assert_answer(fletch_inbox_take(taker.inbox, taker.eventcount, FLETCH_NO_TIMEOUT, &list),
                  FLETCH_CLOSED);
    fletch_eventcount_destroy(taker.eventcount);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_must_suffice_and_be_aligned),
        cmocka_unit_test(nodes_come_out_in_the_order_of_their_pushes),
        cmocka_unit_test(the_first_push_hears_that_it_was_empty),
        cmocka_unit_test(lists_keep_their_order_and_stay_together),
        cmocka_unit_test(closing_hands_out_what_was_left_once),
        cmocka_unit_test(closing_an_empty_inbox_hands_out_nothing),
        cmocka_unit_test(the_pusher_keeps_what_a_closed_inbox_refuses),
        cmocka_unit_test(a_take_waits_no_less_than_its_timeout),
        cmocka_unit_test(a_push_that_notifies_ends_the_wait),
        cmocka_unit_test(a_close_that_notifies_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
