#include <fletching/fletching.h>

#include <string.h>

#include "support/cmocka_tests.h"
#include "support/flow_puppets.h"

/* Inputs that are read one after the other: barriers cut the first of them as well, sources of
 * later ones do not begin, and circles of such waits are refused. */

static struct puppet_theatre theatre;

struct join {
    uint32_t build;
    uint32_t probe;
    uint32_t relay; /* between probe and join */
    uint32_t join;
};

static struct join begin_join(enum fletch_flow_edge_kind kind, uint32_t instances)
{
    struct join join;
    theatre_open(&theatre, NULL);
    join.probe = theatre_add(&theatre, &(struct puppet_words){.name = "probe", .is_source = true});
    join.relay = theatre_add(&theatre, &(struct puppet_words){.name = "relay"});
    join.build = theatre_add(&theatre, &(struct puppet_words){.name = "build", .is_source = true});
    join.join = theatre_add(
        &theatre,
        &(struct puppet_words){.name = "join", .instances = instances, .reads_in_order = true});
    theatre_puppet(&theatre, join.relay, 0)->passes_on = true;
    theatre_join(&theatre, join.probe, join.relay, 0, FLETCH_FLOW_FORWARD);
    theatre_join(&theatre, join.relay, join.join, 1, kind);
    theatre_join(&theatre, join.build, join.join, 0,
                 kind == FLETCH_FLOW_FORWARD ? kind : FLETCH_FLOW_BROADCAST);
    assert_ok(theatre_begin(&theatre, NULL));
    return join;
}

static void cut_the_build(enum fletch_flow_edge_kind kind, uint32_t instances)
{
    struct join join = begin_join(kind, instances);
    const struct puppet *first = theatre_puppet(&theatre, join.join, 0);
    const struct puppet *probe = theatre_puppet(&theatre, join.probe, 0);
    theatre_puppet(&theatre, join.probe, 0)->move = PUPPET_ROWS;
    theatre_puppet(&theatre, join.probe, 0)->number = 70;
    theatre_move(&theatre, join.build, 0, PUPPET_ROWS, 30);
    for (uint64_t id = 1; id <= 10; id++) {
        assert_ok(fletch_flow_barrier(theatre.flow, id, NULL));
        theatre_move(&theatre, join.build, 0, PUPPET_ROWS, 30);
        assert_ok(fletch_flow_wait_barrier(theatre.flow, id, 0, NULL));
        assert_int_equal(first->last_barrier, id);
        assert_int_equal(first->rows_at_barrier, id * 30); /* all before it, none after it */
        assert_int_equal(first->rows[0], (id + 1) * 30);
    }
    assert_int_equal(probe->produced, 0);
    assert_int_equal(probe->barriers, 10);
    theatre_move(&theatre, join.build, 0, PUPPET_END, 0);
    theatre_settle(&theatre);
    assert_true(probe->produced > 0);
    theatre_move(&theatre, join.probe, 0, PUPPET_END, 0);
    assert_ok(fletch_flow_wait(theatre.flow, 0, NULL));
    uint64_t rows = 0;
    for (uint32_t i = 0; i < instances; i++) {
        assert_int_equal(theatre_puppet(&theatre, join.join, i)->rows[0], 330);
        rows += theatre_puppet(&theatre, join.join, i)->rows[1];
    }
    assert_int_equal(rows, kind == FLETCH_FLOW_BROADCAST ? 70 * instances : 70);
    theatre_close(&theatre);
}

static void test_a_barrier_cuts_the_table_that_is_built(void **state)
{
    (void)state;
    for (int kind = FLETCH_FLOW_FORWARD; kind <= FLETCH_FLOW_BROADCAST; kind++)
        cut_the_build((enum fletch_flow_edge_kind)kind, kind == FLETCH_FLOW_FORWARD ? 1 : 2);
}

static void test_a_flow_is_stopped_while_it_builds(void **state)
{
    (void)state;
    struct join join = begin_join(FLETCH_FLOW_HASH, 2);
    theatre_move(&theatre, join.build, 0, PUPPET_ROWS, 30);
    assert_ok(fletch_flow_barrier(theatre.flow, 1, NULL));
    store_relaxed(&theatre.flow->is_draining, 1); /* relaxed: as fletch_flow_stop does */
    fletch_flow_waker_wake(theatre_puppet(&theatre, join.build, 0)->waker);
    theatre_settle(&theatre);
    assert_ok(fletch_flow_wait(theatre.flow, 0, NULL));
    assert_int_equal(theatre_puppet(&theatre, join.probe, 0)->produced, 0);
    assert_int_equal(theatre_puppet(&theatre, join.probe, 0)->finishes, 1);
    assert_int_equal(theatre_puppet(&theatre, join.join, 1)->rows[0], 30);
    theatre_close(&theatre);
}

static void test_what_is_emitted_too_early_fails_with_both_names(void **state)
{
    struct fletch_error error;
    (void)state;
    struct join join = begin_join(FLETCH_FLOW_HASH, 2);
    theatre_puppet(&theatre, join.relay, 0)->emits_at_barrier = 1;
    theatre_move(&theatre, join.build, 0, PUPPET_ROWS, 30);
    assert_ok(fletch_flow_barrier(theatre.flow, 1, NULL));
    theatre_settle(&theatre);
    assert_int_equal(fletch_flow_wait(theatre.flow, 0, &error), FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "stage 'join', instance ");
    assert_contains(error.message, "'relay' has sent a batch to input 1, which is read after input "
                                   "0 has ended");
    theatre_close(&theatre);
}

/* A barrier that is given up while the table is built. */
static void test_a_barrier_is_given_up_while_the_table_is_built(void **state)
{
    (void)state;
    struct join join = begin_join(FLETCH_FLOW_HASH, 2);
    const struct puppet *first = theatre_puppet(&theatre, join.join, 0);
    theatre_settle(&theatre);
    theatre_set_stuck(&theatre, join.probe, true);
    assert_ok(fletch_flow_barrier(theatre.flow, 1, NULL));
    theatre_move(&theatre, join.build, 0, PUPPET_ROWS, 30);
    assert_int_equal(first->rows[0], 0);
    assert_ok(fletch_flow_abort_barrier(theatre.flow, 1, NULL));
    theatre_settle(&theatre);
    assert_int_equal(first->rows[0], 30);
    assert_int_equal(first->aborts, 1);
    theatre_close(&theatre);
}

/* Sources s0 and s1, and two stages that read them in opposite orders. */
static void test_sources_that_would_wait_for_each_other_are_refused(void **state)
{
    struct fletch_error error;
    (void)state;
    theatre_open(&theatre, NULL);
    uint32_t s0 = theatre_add(&theatre, &(struct puppet_words){.name = "s0", .is_source = true});
    uint32_t s1 = theatre_add(&theatre, &(struct puppet_words){.name = "s1", .is_source = true});
    uint32_t relay = theatre_add(&theatre, &(struct puppet_words){.name = "relay"});
    uint32_t j0 =
        theatre_add(&theatre, &(struct puppet_words){.name = "j0", .reads_in_order = true});
    uint32_t j1 =
        theatre_add(&theatre, &(struct puppet_words){.name = "j1", .reads_in_order = true});
    theatre_join(&theatre, s0, j0, 0, FLETCH_FLOW_FORWARD);
    theatre_join(&theatre, s1, j0, 1, FLETCH_FLOW_FORWARD);
    theatre_join(&theatre, s1, j1, 0, FLETCH_FLOW_HASH);
    theatre_join(&theatre, s0, relay, 0, FLETCH_FLOW_HASH);
    theatre_join(&theatre, relay, j1, 1, FLETCH_FLOW_REBALANCE);
    assert_int_equal(theatre_begin(&theatre, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "'s1' until 'j0' has read 's0', 's0' until 'j1' has read 's1'");
    theatre_close(&theatre);
}

/* Joins in a chain: the last one's table first. None of that is a circle. */
static void test_joins_in_a_chain_build_one_after_the_other(void **state)
{
    enum { JOINS = 4 };
    static const char *const tables[] = {"t0", "t1", "t2", "t3"};
    static const char *const joins[] = {"j0", "j1", "j2", "j3"};
    uint32_t table[JOINS], join[JOINS];
    (void)state;
    theatre_open(&theatre, NULL);
    for (uint32_t i = 0; i < JOINS; i++)
        table[i] =
            theatre_add(&theatre, &(struct puppet_words){.name = tables[i], .is_source = true});
    for (uint32_t i = 1; i < JOINS; i++) {
        join[i] =
            theatre_add(&theatre, &(struct puppet_words){.name = joins[i], .reads_in_order = true});
        theatre_puppet(&theatre, join[i], 0)->passes_on = i + 1 < JOINS;
        theatre_join(&theatre, table[i], join[i], 0, FLETCH_FLOW_BROADCAST);
        theatre_join(&theatre, i == 1 ? table[0] : join[i - 1], join[i], 1, FLETCH_FLOW_HASH);
    }
    assert_ok(theatre_begin(&theatre, NULL));
    for (uint32_t i = JOINS; i > 0; i--) {
        struct puppet *puppet = theatre_puppet(&theatre, table[i - 1], 0);
        theatre_settle(&theatre);
        for (uint32_t k = 0; k < JOINS; k++)
            assert_int_equal(theatre_puppet(&theatre, table[k], 0)->produced > 0, k + 1 >= i);
        assert_ok(fletch_flow_barrier(theatre.flow, JOINS + 1 - i, NULL));
        theatre_move(&theatre, table[i - 1], 0, PUPPET_ROWS, 10);
        assert_ok(fletch_flow_wait_barrier(theatre.flow, JOINS + 1 - i, 0, NULL));
        assert_true(puppet->barriers == JOINS + 1 - i);
        theatre_move(&theatre, table[i - 1], 0, PUPPET_END, 0);
    }
    assert_ok(fletch_flow_wait(theatre.flow, 0, NULL));
    assert_int_equal(theatre_puppet(&theatre, join[3], 0)->rows[0], 10);
    assert_int_equal(theatre_puppet(&theatre, join[3], 0)->rows[1], 30);
    theatre_close(&theatre);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_barrier_cuts_the_table_that_is_built),
        cmocka_unit_test(test_a_flow_is_stopped_while_it_builds),
        cmocka_unit_test(test_what_is_emitted_too_early_fails_with_both_names),
        cmocka_unit_test(test_a_barrier_is_given_up_while_the_table_is_built),
        cmocka_unit_test(test_sources_that_would_wait_for_each_other_are_refused),
        cmocka_unit_test(test_joins_in_a_chain_build_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
