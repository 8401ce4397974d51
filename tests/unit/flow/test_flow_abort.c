#include <fletching/fletching.h>

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/flow_puppets.h"

/* Barriers that are given up while they are under way: nobody waits for them any more, everybody is
 * told once, and later ones cut as if they had never been. */

static struct puppet_theatre theatre;

/* Two sources and a sink that aligns them: as two inputs, or as two instances of one stage. */
struct cast {
    uint32_t a;
    uint32_t b; /* the one that is slow */
    uint32_t b_instance;
    uint32_t sink;
};

static struct cast cast_two_inputs(enum fletch_flow_edge_kind kind, uint32_t limit)
{
    const struct fletch_flow_options options = {.struct_size = sizeof options,
                                                .barrier_limit = limit};
    struct cast cast = {.b_instance = 0};
    theatre_open(&theatre, &options);
    cast.a = theatre_add(&theatre, &(struct puppet_words){.name = "a", .is_source = true});
    cast.b = theatre_add(&theatre, &(struct puppet_words){.name = "b", .is_source = true});
    cast.sink = theatre_add(&theatre, &(struct puppet_words){.name = "sink"});
    theatre_join(&theatre, cast.a, cast.sink, 0, kind);
    theatre_join(&theatre, cast.b, cast.sink, 1, kind);
    assert_ok(theatre_begin(&theatre, NULL));
    theatre_settle(&theatre);
    return cast;
}

static struct cast cast_two_instances(enum fletch_flow_edge_kind kind)
{
    struct cast cast = {.b_instance = 1};
    theatre_open(&theatre, NULL);
    cast.a = cast.b = theatre_add(
        &theatre, &(struct puppet_words){.name = "a", .is_source = true, .instances = 2});
    cast.sink = theatre_add(&theatre, &(struct puppet_words){.name = "sink"});
    theatre_join(&theatre, cast.a, cast.sink, 0, kind);
    assert_ok(theatre_begin(&theatre, NULL));
    theatre_settle(&theatre);
    return cast;
}

/* The tasks are those of a (or its instances), b, sink: in this order. */
static void set_b_stuck(bool is_stuck)
{
    theatre.is_stuck[1] = is_stuck;
}

static void give_up_one(struct cast cast)
{
    const struct puppet *a = theatre_puppet(&theatre, cast.a, 0);
    const struct puppet *b = theatre_puppet(&theatre, cast.b, cast.b_instance);
    const struct puppet *sink = theatre_puppet(&theatre, cast.sink, 0);
    struct fletch_error error;
    set_b_stuck(true);
    assert_ok(fletch_flow_barrier(theatre.flow, 10, NULL));
    theatre_move(&theatre, cast.a, 0, PUPPET_ROWS, 100);
    assert_int_equal(a->barriers, 1);
    assert_int_equal(sink->rows[0], 0); /* behind the barrier */
    assert_int_equal(fletch_flow_wait_barrier(theatre.flow, 10, 0, NULL), FLETCH_DEADLINE_EXCEEDED);
    assert_ok(fletch_flow_abort_barrier(theatre.flow, 10, NULL));
    assert_int_equal(fletch_flow_wait_barrier(theatre.flow, 10, 0, &error), FLETCH_ABORTED);
    assert_contains(error.message, "barrier 10 of flow 'flow' was given up");
    assert_int_equal(fletch_flow_abort_barrier(theatre.flow, 10, &error), FLETCH_NOT_FOUND);
    assert_contains(error.message, "barrier 10 is not under way");
    theatre_settle(&theatre);
    assert_int_equal(sink->rows[0], 100);
    assert_int_equal(sink->barriers, 0);
    assert_int_equal(sink->aborts, 1);
    assert_int_equal(a->aborts, 1);
    assert_int_equal(a->last_abort, 10);
    assert_int_equal(b->aborts, 0);
    set_b_stuck(false);
    theatre_settle(&theatre);
    assert_int_equal(b->aborts, 1);
    assert_int_equal(b->barriers, 0);
    /* The next one is an ordinary barrier. */
    assert_ok(fletch_flow_barrier(theatre.flow, 20, NULL));
    theatre_settle(&theatre);
    assert_ok(fletch_flow_wait_barrier(theatre.flow, 20, 0, NULL));
    assert_int_equal(sink->barriers, 1);
    assert_int_equal(sink->last_barrier, 20);
    assert_int_equal(sink->rows_at_barrier, 100);
    assert_int_equal(theatre_statistics(&theatre, cast.sink).barriers_aborted, 1);
    assert_int_equal(fletch_flow_abort_barrier(theatre.flow, 20, NULL), FLETCH_NOT_FOUND);
    assert_int_equal(fletch_flow_abort_barrier(theatre.flow, 30, NULL), FLETCH_NOT_FOUND);
    theatre_close(&theatre);
}

static void test_a_barrier_that_is_given_up_holds_nobody(void **state)
{
    (void)state;
    for (int kind = FLETCH_FLOW_FORWARD; kind <= FLETCH_FLOW_BROADCAST; kind++)
        give_up_one(cast_two_inputs((enum fletch_flow_edge_kind)kind, 0));
    for (int kind = FLETCH_FLOW_HASH; kind <= FLETCH_FLOW_BROADCAST; kind++)
        give_up_one(cast_two_instances((enum fletch_flow_edge_kind)kind));
}

/* Of barriers 1 to 4, 2 and 4 are given up, the later one first, while b has emitted none. */
static void skip_some(struct cast cast)
{
    const struct puppet *sink = theatre_puppet(&theatre, cast.sink, 0);
    const struct puppet *b = theatre_puppet(&theatre, cast.b, cast.b_instance);
    set_b_stuck(true);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_ok(fletch_flow_barrier(theatre.flow, id, NULL));
        theatre_move(&theatre, cast.a, 0, PUPPET_ROWS, 10);
    }
    assert_ok(fletch_flow_abort_barrier(theatre.flow, 4, NULL));
    assert_ok(fletch_flow_abort_barrier(theatre.flow, 2, NULL));
    theatre_settle(&theatre);
    assert_int_equal(sink->rows[0], 0); /* still behind 1 */
    set_b_stuck(false);
    theatre_settle(&theatre);
    assert_int_equal(sink->barriers, 2);
    assert_int_equal(sink->last_barrier, 3);
    assert_int_equal(sink->rows_at_barrier, 20); /* of those behind 1 and 2 */
    assert_int_equal(sink->rows[0], 40);
    assert_int_equal(sink->aborts, 2);
    assert_int_equal(b->barriers, 2);
    assert_int_equal(b->aborts, 2);
    assert_int_equal(theatre_puppet(&theatre, cast.a, 0)->barriers, 4);
    assert_int_equal(theatre_puppet(&theatre, cast.a, 0)->aborts, 2);
    assert_ok(fletch_flow_wait_barrier(theatre.flow, 3, 0, NULL));
    theatre_close(&theatre);
}

static void test_those_between_are_kept(void **state)
{
    (void)state;
    for (int kind = FLETCH_FLOW_FORWARD; kind <= FLETCH_FLOW_BROADCAST; kind++)
        skip_some(cast_two_inputs((enum fletch_flow_edge_kind)kind, 0));
    skip_some(cast_two_instances(FLETCH_FLOW_HASH));
}

/* The one who waits for nobody ends before the other has heard: what it has sent behind the barrier
 * comes all the same. */
static void test_a_producer_that_ends_leaves_no_barrier_behind(void **state)
{
    (void)state;
    struct cast cast = cast_two_instances(FLETCH_FLOW_HASH);
    const struct puppet *sink = theatre_puppet(&theatre, cast.sink, 0);
    set_b_stuck(true);
    assert_ok(fletch_flow_barrier(theatre.flow, 1, NULL));
    theatre_move(&theatre, cast.a, 0, PUPPET_ROWS, 10);
    theatre_move(&theatre, cast.a, 0, PUPPET_END, 0);
    assert_ok(fletch_flow_abort_barrier(theatre.flow, 1, NULL));
    theatre_settle(&theatre);
    assert_int_equal(theatre_puppet(&theatre, cast.a, 0)->aborts, 0); /* it has ended */
    set_b_stuck(false);
    theatre_settle(&theatre);
    assert_int_equal(sink->rows[0], 10);
    assert_int_equal(sink->barriers, 0);
    assert_int_equal(sink->aborts, 1);
    theatre_move(&theatre, cast.b, 1, PUPPET_END, 0);
    assert_ok(fletch_flow_wait(theatre.flow, 0, NULL));
    theatre_close(&theatre);
}

/* A barrier that has not gone, as there is no room for what was emitted before it, never goes. */
static void test_a_barrier_that_waits_for_room_is_forgotten(void **state)
{
    enum { MANY = 20000, BUDGET = 512 * 1024, SINK_TASK = 2 };
    (void)state;
    theatre_open(&theatre, NULL);
    theatre.edge_budget_bytes = BUDGET;
    uint32_t a = theatre_add(
        &theatre, &(struct puppet_words){.name = "a", .is_source = true, .instances = 2});
    uint32_t sink = theatre_add(&theatre, &(struct puppet_words){.name = "sink"});
    const struct puppet *seen = theatre_puppet(&theatre, sink, 0);
    theatre_join(&theatre, a, sink, 0, FLETCH_FLOW_HASH);
    theatre_puppet(&theatre, a, 0)->emits_at_barrier = MANY;
    assert_ok(theatre_begin(&theatre, NULL));
    theatre_settle(&theatre);
    theatre.is_stuck[SINK_TASK] = true;
    set_b_stuck(true);
    assert_ok(fletch_flow_barrier(theatre.flow, 1, NULL));
    theatre_settle(&theatre);
    assert_int_equal(theatre_puppet(&theatre, a, 0)->barriers, 1);
    assert_ok(fletch_flow_abort_barrier(theatre.flow, 1, NULL));
    set_b_stuck(false);
    theatre_settle(&theatre);
    assert_int_equal(theatre_puppet(&theatre, a, 1)->aborts, 1);
    theatre.is_stuck[SINK_TASK] = false;
    theatre_move(&theatre, a, 0, PUPPET_ROWS, 10);
    assert_int_equal(seen->rows[0], MANY + 10); /* though a's other instance sends nothing */
    assert_int_equal(seen->barriers, 0);
    assert_int_equal(seen->aborts, 1);
    theatre_close(&theatre);
}

static void test_who_hears_nothing_is_named(void **state)
{
    (void)state;
    struct cast cast = cast_two_inputs(FLETCH_FLOW_FORWARD, 64);
    struct fletch_error error;
    /* a passes 64 that b does not, then b hears that all are given up and a does not. */
    theatre.is_stuck[1] = true;
    for (uint64_t id = 1; id <= 64; id++)
        assert_ok(fletch_flow_barrier(theatre.flow, id, NULL));
    theatre_settle(&theatre);
    theatre.is_stuck[0] = true;
    theatre.is_stuck[1] = false;
    for (uint64_t id = 1; id <= 64; id++)
        assert_ok(fletch_flow_abort_barrier(theatre.flow, id, NULL));
    theatre_settle(&theatre);
    assert_ok(fletch_flow_barrier(theatre.flow, 65, NULL));
    assert_int_equal(fletch_flow_abort_barrier(theatre.flow, 65, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "stage 'a', instance 0 has not heard");
    theatre.is_stuck[0] = false;
    theatre_settle(&theatre);
    assert_int_equal(theatre_puppet(&theatre, cast.a, 0)->aborts, 64);
    assert_int_equal(theatre_puppet(&theatre, cast.b, 0)->aborts, 64);
    assert_int_equal(theatre_puppet(&theatre, cast.sink, 0)->aborts, 64);
    assert_ok(fletch_flow_wait_barrier(theatre.flow, 65, 0, NULL));
    theatre_close(&theatre);
}

static void test_a_function_that_fails_at_an_abort_stops_the_flow(void **state)
{
    struct fletch_error error;
    (void)state;
    struct cast cast = cast_two_inputs(FLETCH_FLOW_HASH, 0);
    assert_int_equal(fletch_flow_abort_barrier(theatre.flow, 1, NULL), FLETCH_NOT_FOUND);
    theatre_puppet(&theatre, cast.sink, 0)->fails_at_abort = true;
    set_b_stuck(true);
    assert_ok(fletch_flow_barrier(theatre.flow, 1, NULL));
    theatre_settle(&theatre);
    assert_ok(fletch_flow_abort_barrier(theatre.flow, 1, NULL));
    set_b_stuck(false);
    theatre_settle(&theatre);
    assert_int_equal(fletch_flow_wait(theatre.flow, 0, &error), FLETCH_ABORTED);
    assert_contains(error.message, "stage 'sink', instance 0: as planned");
    assert_int_equal(fletch_flow_abort_barrier(theatre.flow, 1, NULL), FLETCH_ABORTED);
    theatre_close(&theatre);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_barrier_that_is_given_up_holds_nobody),
        cmocka_unit_test(test_those_between_are_kept),
        cmocka_unit_test(test_a_producer_that_ends_leaves_no_barrier_behind),
        cmocka_unit_test(test_a_barrier_that_waits_for_room_is_forgotten),
        cmocka_unit_test(test_who_hears_nothing_is_named),
        cmocka_unit_test(test_a_function_that_fails_at_an_abort_stops_the_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
