#include <fletching/fletching.h>

#include "base/atomic.h"
#include "base/thread.h"
#include "support/cmocka_tests.h"
#include "support/flow_puppets.h"
#include "support/team.h"

/* Sources that have nothing now: they sleep until somebody wakes them, and hold back nobody's
 * watermark when they say so. */

static struct puppet_theatre theatre;

/* Two sources, a and b, as two inputs of a sink, with a relay between a and the sink or none. */
struct pair {
    uint32_t a;
    uint32_t b;
    uint32_t sink;
};

static struct pair begin_pair(enum fletch_flow_edge_kind kind, uint32_t instances, bool has_relay)
{
    struct pair pair;
    theatre_open(&theatre, NULL);
    pair.a = theatre_add(&theatre, &(struct puppet_words){.name = "a", .is_source = true});
    pair.b = theatre_add(&theatre, &(struct puppet_words){.name = "b", .is_source = true});
    pair.sink =
        theatre_add(&theatre, &(struct puppet_words){.name = "sink", .instances = instances});
    uint32_t sender = pair.a;
    if (has_relay) {
        sender = theatre_add(&theatre, &(struct puppet_words){.name = "relay"});
        theatre_puppet(&theatre, sender, 0)->passes_on = true;
        theatre_join(&theatre, pair.a, sender, 0, kind);
    }
    theatre_join(&theatre, sender, pair.sink, 0, kind);
    theatre_join(&theatre, pair.b, pair.sink, 1, kind);
    assert_ok(theatre_begin(&theatre, NULL));
    return pair;
}

static int64_t watermark(const struct pair *pair)
{
    int64_t found = theatre_puppet(&theatre, pair->sink, 0)->watermark;
    for (uint32_t i = 1; i < theatre.flow->nodes[pair->sink]->instance_count; i++)
        assert_int_equal(theatre_puppet(&theatre, pair->sink, i)->watermark, found);
    return found;
}

static void end_pair(const struct pair *pair)
{
    struct fletch_error error;
    theatre_move(&theatre, pair->a, 0, PUPPET_END, 0);
    theatre_move(&theatre, pair->b, 0, PUPPET_END, 0);
    if (fletch_flow_wait(theatre.flow, 0, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_true(watermark(pair) == INT64_MAX);
    theatre_close(&theatre);
}

static void hold_back_nobody(enum fletch_flow_edge_kind kind, uint32_t instances, bool has_relay)
{
    struct pair pair = begin_pair(kind, instances, has_relay);
    theatre_move(&theatre, pair.a, 0, PUPPET_ROWS, 100);
    theatre_move(&theatre, pair.a, 0, PUPPET_WATERMARK, 5);
    theatre_move(&theatre, pair.b, 0, PUPPET_WATERMARK, 20);
    assert_int_equal(watermark(&pair), 5);
    theatre_move(&theatre, pair.a, 0, PUPPET_IDLE, 0);
    assert_int_equal(watermark(&pair), 20);
    assert_int_equal(theatre_statistics(&theatre, pair.a).instances_idle, 1);
    assert_int_equal(theatre_statistics(&theatre, pair.sink).instances_idle, 0);
    theatre_move(&theatre, pair.b, 0, PUPPET_WATERMARK, 30);
    assert_int_equal(watermark(&pair), 30);
    /* It emits, and counts again; it was behind all that time. */
    theatre_move(&theatre, pair.a, 0, PUPPET_ROWS, 100);
    assert_int_equal(theatre_statistics(&theatre, pair.a).instances_idle, 0);
    theatre_move(&theatre, pair.b, 0, PUPPET_WATERMARK, 40);
    assert_int_equal(watermark(&pair), 30);
    theatre_move(&theatre, pair.a, 0, PUPPET_WATERMARK, 35);
    assert_int_equal(watermark(&pair), 35);
    /* All are idle: nothing comes, and nothing goes back. */
    theatre_move(&theatre, pair.a, 0, PUPPET_IDLE, 0);
    theatre_move(&theatre, pair.b, 0, PUPPET_IDLE, 0);
    assert_int_equal(watermark(&pair), 40);
    assert_int_equal(theatre_statistics(&theatre, pair.sink).instances_idle, instances);
    /* A watermark alone counts as well, though it is no greater one. */
    theatre_move(&theatre, pair.a, 0, PUPPET_WATERMARK, 35);
    assert_int_equal(theatre_statistics(&theatre, pair.sink).instances_idle, 0);
    theatre_move(&theatre, pair.b, 0, PUPPET_WATERMARK, 50);
    assert_int_equal(watermark(&pair), 40);
    end_pair(&pair);
}

static void test_idle_sources_hold_back_nobody(void **state)
{
    (void)state;
    for (int kind = FLETCH_FLOW_FORWARD; kind <= FLETCH_FLOW_BROADCAST; kind++)
        for (int has_relay = 0; has_relay < 2; has_relay++)
            hold_back_nobody((enum fletch_flow_edge_kind)kind, kind == FLETCH_FLOW_FORWARD ? 1 : 2,
                             has_relay != 0);
}

/* Two instances of one stage: their shuffle leaves one of them out. */
static void test_one_of_several_producers_may_be_idle(void **state)
{
    (void)state;
    theatre_open(&theatre, NULL);
    uint32_t source = theatre_add(
        &theatre, &(struct puppet_words){.name = "source", .is_source = true, .instances = 2});
    uint32_t sink = theatre_add(&theatre, &(struct puppet_words){.name = "sink"});
    theatre_join(&theatre, source, sink, 0, FLETCH_FLOW_HASH);
    assert_ok(theatre_begin(&theatre, NULL));
    theatre_move(&theatre, source, 0, PUPPET_IDLE, 0); /* that has never said anything */
    theatre_move(&theatre, source, 1, PUPPET_WATERMARK, 7);
    assert_int_equal(theatre_puppet(&theatre, sink, 0)->watermark, 7);
    theatre_move(&theatre, source, 1, PUPPET_END, 0);
    assert_int_equal(theatre_statistics(&theatre, sink).instances_idle, 1);
    theatre_move(&theatre, source, 0, PUPPET_ROWS, 10);
    assert_int_equal(theatre_statistics(&theatre, sink).instances_idle, 0);
    theatre_move(&theatre, source, 0, PUPPET_END, 0);
    assert_ok(fletch_flow_wait(theatre.flow, 0, NULL));
    assert_int_equal(theatre_puppet(&theatre, sink, 0)->rows[0], 10);
    theatre_close(&theatre);
}

/* What it had sent is held behind a barrier that another has not sent: it is not overtaken. */
static void test_idleness_waits_for_what_is_held(void **state)
{
    (void)state;
    theatre_open(&theatre, NULL);
    uint32_t a = theatre_add(
        &theatre, &(struct puppet_words){.name = "a", .is_source = true, .instances = 2});
    uint32_t b = theatre_add(&theatre, &(struct puppet_words){.name = "b", .is_source = true});
    uint32_t sink = theatre_add(&theatre, &(struct puppet_words){.name = "sink"});
    struct puppet *seen = theatre_puppet(&theatre, sink, 0);
    theatre_join(&theatre, a, sink, 0, FLETCH_FLOW_HASH);
    theatre_join(&theatre, b, sink, 1, FLETCH_FLOW_HASH);
    assert_ok(theatre_begin(&theatre, NULL));
    theatre_move(&theatre, a, 1, PUPPET_IDLE, 0);
    theatre_set_stuck(&theatre, a, true);
    /* Instance 0 of a goes on alone. */
    for (uint32_t i = 0; i < theatre.flow->task_count; i++)
        theatre.is_stuck[i] = i == 1;
    assert_ok(fletch_flow_barrier(theatre.flow, 1, NULL));
    theatre_move(&theatre, a, 0, PUPPET_ROWS, 50);
    theatre_move(&theatre, a, 0, PUPPET_IDLE, 0);
    theatre_move(&theatre, b, 0, PUPPET_WATERMARK, 9);
    assert_int_equal(seen->watermark, INT64_MIN);
    theatre_set_stuck(&theatre, a, false);
    theatre_settle(&theatre);
    assert_int_equal(seen->barriers, 1);
    assert_int_equal(seen->rows_at_barrier, 0);
    assert_int_equal(seen->watermark, 9);
    assert_int_equal(seen->rows_at_watermark, 50);
    theatre_close(&theatre);
}

static void test_the_greatest_watermark_is_no_end(void **state)
{
    (void)state;
    struct pair pair = begin_pair(FLETCH_FLOW_FORWARD, 1, false);
    theatre_move(&theatre, pair.a, 0, PUPPET_WATERMARK, INT64_MAX);
    theatre_move(&theatre, pair.b, 0, PUPPET_WATERMARK, 12);
    assert_int_equal(watermark(&pair), 12);
    theatre_move(&theatre, pair.b, 0, PUPPET_WATERMARK, INT64_MAX);
    assert_true(watermark(&pair) == INT64_MAX - 1);
    end_pair(&pair);
}

/* ---- wakers ---- */

/* What some thread has and a source emits: a count of rows, and how often it was looked at. */
struct box {
    struct fletch_schema *schema;
    _Atomic(struct fletch_flow_waker *) waker;
    _Atomic uint32_t filled;
    _Atomic uint32_t is_closed;
    uint32_t emitted;
    uint32_t looks;
};

enum { BOXES = 2, FILLINGS = 2000 };

static enum fletch_status find_box(struct fletch_flow_context *context, void *argument,
                                   void **out_state, struct fletch_error *error)
{
    struct box *box = (struct box *)argument + fletch_flow_context_instance(context);
    (void)error;
    store_release(&box->waker, fletch_flow_context_waker(context));
    *out_state = box;
    return FLETCH_OK;
}

static enum fletch_status empty_box(struct fletch_flow_context *context, void *state,
                                    bool *out_has_more, struct fletch_error *error)
{
    struct box *box = state;
    int64_t *words;
    box->looks++;
    bool is_closed = load_acquire(&box->is_closed) != 0;
    if (box->emitted == load_acquire(&box->filled)) {
        *out_has_more = !is_closed;
        fletch_flow_pause(context, FLETCH_NO_TIMEOUT); /* "not yet" */
        return FLETCH_OK;
    }
    struct fletch_batch *batch =
        flow_rows_make(box->schema, fletch_flow_context_cache(context), 1, &words);
    for (int i = 0; i < FLOW_COLUMNS; i++)
        words[i] = 0;
    box->emitted++;
    return fletch_flow_give(context, 0, batch, error);
}

static enum fletch_status count_rows(struct fletch_flow_context *context, void *state,
                                     uint32_t input, struct fletch_batch *batch,
                                     struct fletch_error *error)
{
    (void)context, (void)input, (void)error;
    *(uint64_t *)state += (uint64_t)fletch_batch_row_count(batch);
    return FLETCH_OK;
}

static void fill_box(void *context)
{
    struct box *box = context;
    struct fletch_flow_waker *waker;
    while ((waker = load_acquire(&box->waker)) == NULL)
        fletch_thread_yield();
    for (uint32_t i = 0; i < FILLINGS; i++) {
        fetch_add_release(&box->filled, 1);
        fletch_flow_waker_wake(waker);
        if (i % 16 == 0)
            fletch_thread_yield();
    }
    store_release(&box->is_closed, 1);
    fletch_flow_waker_wake(waker);
}

static void test_a_source_is_woken_from_any_thread_and_looks_no_oftener(void **state)
{
    const struct fletch_flow_functions sends = {
        .struct_size = sizeof sends, .init = find_box, .produce = empty_box};
    const struct fletch_flow_functions counts = {.struct_size = sizeof counts,
                                                 .process = count_rows};
    struct fletch_schema *schema = flow_rows_schema();
    static struct box boxes[BOXES];
    uint64_t rows = 0;
    const struct fletch_flow_stage source = {.struct_size = sizeof source,
                                             .name = "box",
                                             .functions = &sends,
                                             .argument = boxes,
                                             .instance_count = BOXES};
    const struct fletch_flow_stage sink = {
        .struct_size = sizeof sink, .name = "sink", .functions = &counts, .argument = &rows};
    struct fletch_flow_edge edge = {
        .struct_size = sizeof edge, .kind = FLETCH_FLOW_REBALANCE, .schema = schema};
    struct fletch_transport *transport;
    struct fletch_flow *flow;
    struct team team;
    struct team_role roles[BOXES];
    (void)state;
    for (uint32_t i = 0; i < BOXES; i++) {
        boxes[i] = (struct box){.schema = schema};
        roles[i] = (struct team_role){fill_box, &boxes[i]};
    }
    assert_ok(fletch_transport_create(NULL, NULL, &transport, NULL));
    assert_ok(fletch_flow_create(transport, NULL, &flow, NULL));
    assert_ok(fletch_flow_add_source(flow, &source, &edge.from_stage, NULL));
    assert_ok(fletch_flow_add_sink(flow, &sink, &edge.to_stage, NULL));
    assert_ok(fletch_flow_connect(flow, &edge, NULL, NULL));
    assert_ok(fletch_flow_start(flow, NULL));
    team_start(&team, roles, BOXES);
    assert_ok(fletch_flow_wait(flow, UINT64_C(30000000000), NULL));
    team_join(&team);
    assert_int_equal(rows, BOXES * FILLINGS);
    for (uint32_t i = 0; i < BOXES; i++) {
        assert_int_equal(boxes[i].emitted, FILLINGS);
        /* Each call emits, or is the one after a wake or the first. */
        assert_true(boxes[i].looks <= FILLINGS + FILLINGS + 2);
        fletch_flow_waker_wake(load_acquire(&boxes[i].waker)); /* too late, and harmless */
    }
    assert_ok(fletch_flow_destroy(flow, 0, NULL));
    assert_ok(fletch_transport_destroy(transport, NULL));
    fletch_schema_release(schema);
}

static void test_who_is_not_woken_is_not_called(void **state)
{
    (void)state;
    struct pair pair = begin_pair(FLETCH_FLOW_FORWARD, 1, false);
    theatre_settle(&theatre);
    for (int i = 0; i < 100; i++)
        theatre_move(&theatre, pair.b, 0, PUPPET_ROWS, 1);
    assert_int_equal(theatre_puppet(&theatre, pair.a, 0)->produced, 1);
    assert_int_equal(theatre_puppet(&theatre, pair.b, 0)->produced, 101);
    end_pair(&pair);
}

/* b ends its idleness with a batch, which brings its watermark with it. */
static struct puppet *idle_until_rows(const struct pair *pair)
{
    struct puppet *sink = theatre_puppet(&theatre, pair->sink, 0);
    theatre_move(&theatre, pair->b, 0, PUPPET_WATERMARK, 100);
    theatre_move(&theatre, pair->a, 0, PUPPET_WATERMARK, 10);
    theatre_move(&theatre, pair->b, 0, PUPPET_IDLE, 0);
    theatre_move(&theatre, pair->a, 0, PUPPET_IDLE, 0);
    assert_int_equal(watermark(pair), 10);
    return sink;
}

static void wait_with_a_batch_behind(enum fletch_flow_edge_kind kind)
{
    struct pair pair = begin_pair(kind, 1, false);
    struct puppet *sink = idle_until_rows(&pair);
    sink->lacks_memory = 2;
    sink->watermark_calls = 0;
    theatre_move(&theatre, pair.b, 0, PUPPET_ROWS, 100);
    for (int i = 0; i < 3; i++) {
        theatre.now_ns += UINT64_C(2000000);
        theatre_settle(&theatre);
    }
    assert_int_equal(sink->watermark_calls, 3);
    assert_int_equal(watermark(&pair), 100);
    assert_int_equal(sink->rows_at_watermark, 0);
    assert_int_equal(sink->rows[1], theatre_puppet(&theatre, pair.b, 0)->number);
    assert_int_equal(theatre_statistics(&theatre, pair.sink).batches_in, 1);
    end_pair(&pair);
}

static void test_a_batch_waits_for_the_watermark_that_it_brings(void **state)
{
    (void)state;
    wait_with_a_batch_behind(FLETCH_FLOW_FORWARD);
    wait_with_a_batch_behind(FLETCH_FLOW_REBALANCE);
}

static void test_a_batch_behind_the_last_watermark_wanted_is_unread(void **state)
{
    (void)state;
    struct pair pair = begin_pair(FLETCH_FLOW_REBALANCE, 1, false);
    struct puppet *sink = idle_until_rows(&pair);
    sink->wants_no_more = true;
    theatre_move(&theatre, pair.b, 0, PUPPET_ROWS, 100);
    assert_int_equal(watermark(&pair), 100);
    assert_int_equal(sink->rows[1], 0);
    assert_int_equal(sink->finishes, 1);
    assert_int_equal(theatre_statistics(&theatre, pair.sink).rows_unread,
                     theatre_puppet(&theatre, pair.b, 0)->number);
    theatre_close(&theatre);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_idle_sources_hold_back_nobody),
        cmocka_unit_test(test_one_of_several_producers_may_be_idle),
        cmocka_unit_test(test_idleness_waits_for_what_is_held),
        cmocka_unit_test(test_a_batch_waits_for_the_watermark_that_it_brings),
        cmocka_unit_test(test_a_batch_behind_the_last_watermark_wanted_is_unread),
        cmocka_unit_test(test_the_greatest_watermark_is_no_end),
        cmocka_unit_test(test_a_source_is_woken_from_any_thread_and_looks_no_oftener),
        cmocka_unit_test(test_who_is_not_woken_is_not_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
