#include "shuffle/coordinator.h"

#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"

/* Barriers, watermarks and ends as SEMANTICS has them, one test for each sentence. What partitions
 * are told is written down as text. */

enum { LOG_BYTES = 4096, WRITERS = 8, PARTITIONS = 3 };

static struct fletch_coordinator *coordinator;
static struct fletch_control_operation writers[WRITERS];
static char told[LOG_BYTES];
static uint32_t slot_of[100];   /* by barrier id */
static const char *lost_reason; /* as it was told; the coordinator keeps it */

static void note(const char *text)
{
    assert_true(strlen(told) + strlen(text) + 2 < LOG_BYTES);
    if (told[0] != 0)
        strcat(told, " ");
    strcat(told, text);
}

static void note_barrier(void *context, uint64_t id, uint32_t slot, bool aborted)
{
    char text[40];
    (void)context;
    slot_of[id] = slot;
    (void)snprintf(text, sizeof text, "%s%d", aborted ? "aborted" : "barrier", (int)id);
    note(text);
}

static void note_watermark(void *context, int64_t watermark)
{
    char text[40];
    (void)context;
    if (watermark == INT64_MAX)
        (void)snprintf(text, sizeof text, "watermark-max");
    else
        (void)snprintf(text, sizeof text, "watermark%d", (int)watermark);
    note(text);
}

static void note_lost(void *context, uint32_t producer, const char *reason)
{
    char text[40];
    (void)context;
    lost_reason = reason;
    (void)snprintf(text, sizeof text, "lost%d(%s)", (int)producer, reason);
    note(text);
}

static void note_end(void *context)
{
    (void)context;
    note("end");
}

/* Asserts what was told since the last time. */
static void assert_told(const char *expected)
{
    assert_string_equal(told, expected);
    told[0] = 0;
}

static struct fletch_coordinator_options options_of(uint32_t producer_count)
{
    return (struct fletch_coordinator_options){
        .producer_count = producer_count,
        .producer_limit = producer_count,
        .barrier_limit = 4,
        .partition_count = PARTITIONS,
        .allocator = fletch_allocator_or_default(NULL),
        .outlet = {.barrier = note_barrier,
                   .watermark = note_watermark,
                   .lost = note_lost,
                   .end = note_end},
    };
}

static void start_with(const struct fletch_coordinator_options *options)
{
    told[0] = 0;
    assert_int_equal(fletch_coordinator_create(options, &coordinator, NULL), FLETCH_OK);
    for (uint32_t i = 0; i < WRITERS; i++)
        fletch_control_init(&writers[i], coordinator, i, NULL);
}

static void start(uint32_t producer_count)
{
    const struct fletch_coordinator_options options = options_of(producer_count);
    start_with(&options);
}

static int stop(void **state)
{
    (void)state;
    fletch_coordinator_destroy(coordinator);
    coordinator = NULL;
    return 0;
}

static enum fletch_status answer_of(uint32_t producer)
{
    assert_true(fletch_control_is_done(&writers[producer]));
    assert_true(fletch_control_is_free(&writers[producer]));
    return writers[producer].status;
}

static void submit_barrier(uint32_t producer, uint64_t id)
{
    writers[producer].kind = FLETCH_CONTROL_BARRIER;
    writers[producer].barrier = id;
    fletch_control_submit(&writers[producer]);
}

static enum fletch_status barrier(uint32_t producer, uint64_t id)
{
    submit_barrier(producer, id);
    return answer_of(producer);
}

static enum fletch_status abort_barrier(uint32_t producer, uint64_t id)
{
    writers[producer].kind = FLETCH_CONTROL_ABORT_BARRIER;
    writers[producer].barrier = id;
    fletch_control_submit(&writers[producer]);
    return answer_of(producer);
}

static enum fletch_status watermark_at(uint32_t producer, int64_t value, uint64_t now_ns)
{
    writers[producer].kind = FLETCH_CONTROL_WATERMARK;
    writers[producer].watermark = value;
    writers[producer].now_ns = now_ns;
    fletch_control_submit(&writers[producer]);
    return answer_of(producer);
}

static enum fletch_status watermark(uint32_t producer, int64_t value)
{
    return watermark_at(producer, value, 0);
}

static enum fletch_status say(uint32_t producer, enum fletch_control_kind kind)
{
    writers[producer].kind = kind;
    writers[producer].reason = NULL;
    fletch_control_submit(&writers[producer]);
    return answer_of(producer);
}

static enum fletch_status end(uint32_t producer)
{
    return say(producer, FLETCH_CONTROL_END);
}

static enum fletch_status idle(uint32_t producer)
{
    return say(producer, FLETCH_CONTROL_IDLE);
}

static enum fletch_status abort_with(uint32_t producer, const char *reason)
{
    writers[producer].kind = FLETCH_CONTROL_ABORT;
    writers[producer].reason = reason;
    fletch_control_submit(&writers[producer]);
    return answer_of(producer);
}

/* All partitions pass the barrier. */
static void pass(uint64_t id)
{
    for (int i = 0; i < PARTITIONS; i++)
        fletch_coordinator_pass(coordinator, slot_of[id]);
}

static struct fletch_coordinator_statistics numbers(void)
{
    struct fletch_coordinator_statistics statistics;
    fletch_coordinator_statistics(coordinator, &statistics);
    return statistics;
}

/* ---- barriers ---- */

static void a_barrier_is_told_when_all_producers_have_reached_it(void **state)
{
    (void)state;
    start(3);
    assert_ok(barrier(1, 1));
    assert_ok(barrier(0, 1));
    assert_told("");
    assert_int_equal(numbers().barriers_in_flight, 1);
    assert_ok(barrier(2, 1));
    assert_told("barrier1");
    pass(1);
    assert_int_equal(numbers().barriers_in_flight, 0);
}

static void ids_increase(void **state)
{
    (void)state;
    start(1);
    assert_int_equal(barrier(0, 0), FLETCH_INVALID_ARGUMENT);
    assert_ok(barrier(0, 5));
    assert_ok(barrier(0, 9));
    assert_told("barrier5 barrier9");
}

static void a_repeat_is_ignored(void **state)
{
    (void)state;
    start(2);
    for (int i = 0; i < 3; i++)
        assert_ok(barrier(0, 1));
    assert_told("");
    assert_ok(barrier(1, 1));
    assert_told("barrier1");
    assert_ok(barrier(0, 1));
    pass(1);
    assert_ok(barrier(1, 1));
    assert_told("");
}

static void an_older_id_after_a_newer_one_is_an_error(void **state)
{
    (void)state;
    start(2);
    assert_ok(barrier(0, 7));
    assert_int_equal(barrier(0, 6), FLETCH_INVALID_ARGUMENT);
    assert_contains(writers[0].error.message, "barrier 6 of producer 0 comes after its barrier 7");
    assert_ok(barrier(0, 7));
    assert_ok(barrier(1, 7));
    assert_told("barrier7");
}

static void who_reaches_a_larger_id_has_passed_the_smaller(void **state)
{
    (void)state;
    start(2);
    assert_ok(barrier(0, 1));
    assert_ok(barrier(0, 2));
    assert_ok(barrier(1, 3));
    assert_told("barrier1 barrier2");
    assert_ok(barrier(0, 3));
    assert_told("barrier3");
}

static void a_smaller_id_that_others_have_skipped_is_told_in_its_place(void **state)
{
    (void)state;
    start(3);
    assert_ok(barrier(0, 9));
    assert_ok(barrier(1, 4));
    assert_ok(barrier(1, 9));
    assert_told("");
    assert_ok(barrier(2, 4));
    assert_told("barrier4");
    assert_ok(barrier(2, 9));
    assert_told("barrier9");
}

static void a_skipped_id_without_a_slot_goes_up_in_the_next(void **state)
{
    (void)state;
    start(2);
    for (uint64_t id = 10; id < 14; id++)
        assert_ok(barrier(0, id));
    assert_ok(barrier(1, 3)); /* no slot, and who would free one waits for this producer */
    assert_told("");
    assert_ok(barrier(1, 13));
    assert_told("barrier10 barrier11 barrier12 barrier13");
}

static void a_skipped_id_that_starts_late_awaits_nobody_who_has_named_it(void **state)
{
    (void)state;
    start(3);
    assert_ok(barrier(0, 10));
    for (uint64_t id = 12; id < 15; id++)
        assert_ok(barrier(0, id));
    assert_ok(barrier(1, 11)); /* without a slot */
    assert_ok(barrier(2, 10));
    assert_told("barrier10");
    pass(10);
    assert_ok(barrier(2, 11)); /* in the slot that is free now */
    assert_told("barrier11");
    assert_ok(end(1));
    assert_ok(end(2));
    assert_told("barrier12 barrier13 barrier14");
}

static void several_may_be_in_flight_and_more_wait(void **state)
{
    (void)state;
    start(2);
    for (uint64_t id = 1; id <= 4; id++)
        assert_ok(barrier(0, id));
    submit_barrier(0, 5);
    assert_false(fletch_control_is_done(&writers[0]));
    assert_false(fletch_control_is_free(&writers[0]));
    assert_ok(barrier(1, 4));
    assert_told("barrier1 barrier2 barrier3 barrier4");
    for (int i = 0; i + 1 < PARTITIONS; i++)
        fletch_coordinator_pass(coordinator, slot_of[1]);
    assert_false(fletch_control_is_done(&writers[0]));
    fletch_coordinator_pass(coordinator, slot_of[1]); /* the last partition */
    assert_ok(answer_of(0));
    assert_ok(barrier(1, 5));
    assert_told("barrier5");
}

static void who_waits_for_a_slot_holds_up_no_smaller_barrier(void **state)
{
    (void)state;
    start(2);
    for (uint64_t id = 1; id <= 4; id++)
        assert_ok(barrier(0, id));
    submit_barrier(1, 8); /* waits for a slot, and all that are there wait for this producer */
    assert_told("barrier1 barrier2 barrier3 barrier4");
    pass(2); /* of any of them */
    assert_ok(answer_of(1));
    assert_ok(barrier(0, 8));
    assert_told("barrier8");
}

static void a_barrier_that_waits_can_be_given_up(void **state)
{
    (void)state;
    start(1);
    for (uint64_t id = 1; id <= 4; id++)
        assert_ok(barrier(0, id));
    submit_barrier(0, 5);
    assert_true(fletch_control_give_up(&writers[0]));
    assert_false(fletch_control_give_up(&writers[0]));
    assert_true(fletch_control_is_free(&writers[0]));
    assert_false(fletch_control_is_done(&writers[0]));
    pass(1);
    assert_told("barrier1 barrier2 barrier3 barrier4"); /* and not 5 */
    assert_ok(barrier(0, 5));
    assert_told("barrier5");
}

/* While it waited it has passed the smaller ones: rows that it sends now are behind them. */
static void who_gives_up_a_barrier_cannot_go_back_behind_it(void **state)
{
    struct fletch_coordinator_options options = options_of(2);
    (void)state;
    options.barrier_limit = 1;
    start_with(&options);
    assert_ok(barrier(0, 3));
    submit_barrier(1, 5);
    assert_told("barrier3");
    assert_true(fletch_control_give_up(&writers[1]));
    assert_int_equal(barrier(1, 3), FLETCH_INVALID_ARGUMENT);
    assert_int_equal(barrier(1, 4), FLETCH_INVALID_ARGUMENT);
    pass(3);
    assert_ok(barrier(1, 5));
    assert_ok(barrier(0, 5));
    assert_told("barrier5");
}

static void what_was_answered_cannot_be_given_up(void **state)
{
    (void)state;
    start(1);
    assert_ok(barrier(0, 1));
    assert_false(fletch_control_give_up(&writers[0]));
    assert_told("barrier1");
}

static void those_that_wait_are_served_oldest_first(void **state)
{
    (void)state;
    start(3);
    for (uint64_t id = 1; id <= 4; id++)
        for (uint32_t i = 0; i < 3; i++)
            assert_ok(barrier(i, id));
    assert_told("barrier1 barrier2 barrier3 barrier4");
    submit_barrier(2, 5);
    submit_barrier(0, 6);
    submit_barrier(1, 5);
    pass(1);
    assert_ok(answer_of(2));
    assert_ok(answer_of(1)); /* which joins it */
    assert_false(fletch_control_is_done(&writers[0]));
    assert_told("barrier5"); /* who waits for 6 has passed 5 */
    pass(2);
    assert_ok(answer_of(0));
}

static void an_ended_producer_counts_as_aligned(void **state)
{
    (void)state;
    start(3);
    assert_ok(barrier(0, 1));
    assert_ok(barrier(1, 1));
    assert_ok(end(2));
    assert_told("barrier1");
    assert_ok(barrier(0, 2)); /* and for later ones */
    assert_ok(barrier(1, 2));
    assert_told("barrier2");
}

static void an_aborted_producer_counts_as_aligned_once_its_loss_was_told(void **state)
{
    (void)state;
    start(2);
    assert_ok(barrier(0, 1));
    assert_ok(abort_with(1, "disk"));
    assert_told("lost1(disk) barrier1");
    assert_ok(barrier(0, 2));
    assert_told("barrier2");
}

static void a_late_producer_takes_part_from_the_first_barrier_after_its_registration(void **state)
{
    struct fletch_coordinator_options options = options_of(2);
    (void)state;
    options.producer_limit = 3;
    start_with(&options);
    assert_ok(barrier(0, 1));
    assert_ok(say(0, FLETCH_CONTROL_ADD_PRODUCER));
    assert_int_equal(writers[0].added_producer, 2);
    assert_ok(barrier(1, 1));
    assert_told("barrier1");  /* without the new one */
    assert_ok(barrier(2, 1)); /* which may say so all the same */
    assert_told("");
    assert_ok(barrier(0, 2));
    assert_ok(barrier(1, 2));
    assert_told("");
    assert_ok(barrier(2, 2));
    assert_told("barrier2");
}

static void an_aborted_barrier_is_waited_for_no_more(void **state)
{
    (void)state;
    start(2);
    assert_ok(barrier(0, 1));
    assert_ok(abort_barrier(1, 1));
    assert_told("aborted1");
    assert_ok(barrier(1, 1)); /* too late, and no error */
    assert_ok(barrier(1, 2));
    assert_ok(barrier(0, 2));
    assert_told("barrier2");
    pass(1);
    pass(2);
    assert_int_equal(numbers().barriers_in_flight, 0);
}

static void an_aborted_barrier_is_told_in_its_place(void **state)
{
    (void)state;
    start(2);
    for (uint64_t id = 1; id <= 3; id++)
        assert_ok(barrier(0, id));
    assert_ok(abort_barrier(0, 2));
    assert_told("");
    assert_ok(barrier(1, 3));
    assert_told("barrier1 aborted2 barrier3");
}

static void a_barrier_that_is_not_in_flight_cannot_be_aborted(void **state)
{
    (void)state;
    start(1);
    assert_int_equal(abort_barrier(0, 1), FLETCH_NOT_FOUND);
    assert_contains(writers[0].error.message, "barrier 1 is not in flight");
    assert_ok(barrier(0, 1));
    assert_int_equal(abort_barrier(0, 1), FLETCH_NOT_FOUND); /* it was told */
    assert_told("barrier1");
}

static void a_barrier_cannot_be_aborted_twice(void **state)
{
    (void)state;
    start(2);
    assert_ok(barrier(0, 1));
    assert_ok(barrier(0, 2));
    assert_ok(abort_barrier(0, 2));
    assert_int_equal(abort_barrier(0, 2), FLETCH_NOT_FOUND);
}

static void a_slot_is_used_again_when_all_partitions_have_passed(void **state)
{
    struct fletch_coordinator_options options = options_of(1);
    (void)state;
    options.barrier_limit = 1;
    start_with(&options);
    for (uint64_t id = 1; id < 50; id++) {
        assert_ok(barrier(0, id));
        assert_int_equal(slot_of[id], 0);
        pass(id);
    }
    assert_ok(barrier(0, 50));
    submit_barrier(0, 51);
    assert_false(fletch_control_is_done(&writers[0]));
    pass(50);
    assert_ok(answer_of(0));
}

static void barriers_in_flight_have_slots_of_their_own(void **state)
{
    bool used[4] = {false};
    (void)state;
    start(1);
    for (uint64_t id = 1; id <= 4; id++) {
        assert_ok(barrier(0, id));
        assert_true(slot_of[id] < 4 && !used[slot_of[id]]);
        used[slot_of[id]] = true;
    }
}

/* ---- watermarks ---- */

static void the_watermark_is_the_least_of_all_producers(void **state)
{
    (void)state;
    start(3);
    assert_ok(watermark(0, 10));
    assert_ok(watermark(1, 20));
    assert_told(""); /* the third has said nothing */
    assert_ok(watermark(2, 30));
    assert_told("watermark10");
    assert_ok(watermark(0, 25));
    assert_told("watermark20");
    assert_int_equal(numbers().watermark, 20);
}

static void a_regression_is_clamped_and_counted(void **state)
{
    (void)state;
    start(1);
    assert_ok(watermark(0, 10));
    assert_ok(watermark(0, 9));
    assert_ok(watermark(0, 10));
    assert_told("watermark10");
    assert_int_equal(numbers().watermarks_clamped, 1);
}

static void an_idle_producer_holds_back_nobody(void **state)
{
    (void)state;
    start(2);
    assert_ok(watermark(0, 10));
    assert_ok(idle(1));
    assert_told("watermark10");
    assert_ok(watermark(1, 5)); /* back, and behind: what was told stays */
    assert_ok(watermark(0, 20));
    assert_told("");
    assert_ok(watermark(1, 15));
    assert_told("watermark15");
}

static void where_all_are_idle_the_watermark_stays(void **state)
{
    (void)state;
    start(2);
    assert_ok(watermark(0, 10));
    assert_ok(watermark(1, 10));
    assert_ok(idle(0));
    assert_ok(idle(1));
    assert_ok(idle(1));
    assert_told("watermark10");
}

static void idle_by_time_only_where_it_is_configured(void **state)
{
    struct fletch_coordinator_options options = options_of(2);
    (void)state;
    start(2);
    assert_ok(watermark_at(0, 10, 1));
    fletch_coordinator_tick(coordinator, UINT64_MAX);
    assert_told("");
    fletch_coordinator_destroy(coordinator);
    options.watermark_idle_ns = 100;
    options.now_ns = 1000;
    start_with(&options);
    assert_ok(watermark_at(0, 10, 1001));
    fletch_coordinator_tick(coordinator, 1099);
    assert_told("");
    fletch_coordinator_tick(coordinator, 1100); /* the other one has said nothing since 1000 */
    assert_told("watermark10");
    assert_ok(watermark_at(1, 20, 1100));
    assert_told("");
    assert_ok(watermark_at(1, 21, 1101)); /* any word brings the time */
    assert_told("watermark21");
}

static void the_end_of_a_producer_takes_its_watermark_away(void **state)
{
    (void)state;
    start(2);
    assert_ok(watermark(0, 10));
    assert_ok(watermark(1, 20));
    assert_ok(end(0));
    assert_told("watermark10 watermark20");
}

static void the_end_is_plus_infinity(void **state)
{
    (void)state;
    start(2);
    assert_ok(end(0));
    assert_told("");
    assert_ok(end(1));
    assert_told("watermark-max end");
}

static void a_new_producer_holds_the_watermark_where_it_is(void **state)
{
    struct fletch_coordinator_options options = options_of(1);
    (void)state;
    options.producer_limit = 2;
    start_with(&options);
    assert_ok(watermark(0, 10));
    assert_ok(say(0, FLETCH_CONTROL_ADD_PRODUCER));
    assert_ok(watermark(0, 20));
    assert_told("watermark10");
    assert_ok(watermark(1, 15));
    assert_told("watermark15");
}

/* ---- ends, losses, producers ---- */

static void a_partition_ends_when_every_producer_of_the_set_has_ended(void **state)
{
    (void)state;
    start(3);
    assert_ok(end(2));
    assert_ok(end(0));
    assert_int_equal(numbers().producers_ended, 2);
    assert_int_equal(numbers().producers_open, 1);
    assert_told("");
    assert_ok(barrier(1, 1));
    assert_ok(end(1));
    assert_told("barrier1 watermark-max end");
}

static void a_lost_producer_is_told_once_and_there_is_no_end(void **state)
{
    (void)state;
    start(3);
    assert_ok(abort_with(0, "first"));
    assert_ok(abort_with(1, "second"));
    assert_ok(end(2));
    assert_told("lost0(first)");
    assert_string_equal(lost_reason, "first");
    assert_int_equal(numbers().producers_ended, 1);
    assert_int_equal(numbers().producers_open, 0);
}

static void a_long_reason_is_cut(void **state)
{
    char reason[400];
    (void)state;
    start(1);
    memset(reason, 'x', sizeof reason);
    reason[sizeof reason - 1] = 0;
    assert_ok(abort_with(0, "short"));
    assert_told("lost0(short)");
    fletch_coordinator_destroy(coordinator);
    start(1);
    assert_ok(abort_with(0, reason));
    told[39] = 0;
    assert_told("lost0(xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
}

static void an_abort_is_idempotent(void **state)
{
    (void)state;
    start(2);
    assert_ok(abort_with(0, NULL));
    assert_ok(abort_with(0, "again"));
    assert_told("lost0()");
    assert_int_equal(numbers().producers_open, 1);
}

static void who_has_ended_or_was_aborted_says_nothing_more(void **state)
{
    (void)state;
    start(2);
    assert_ok(end(0));
    assert_ok(abort_with(1, NULL));
    told[0] = 0;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(barrier(i, 1), FLETCH_FAILED_PRECONDITION);
        assert_int_equal(abort_barrier(i, 1), FLETCH_FAILED_PRECONDITION);
        assert_int_equal(watermark(i, 1), FLETCH_FAILED_PRECONDITION);
        assert_int_equal(idle(i), FLETCH_FAILED_PRECONDITION);
        assert_int_equal(end(i), FLETCH_FAILED_PRECONDITION);
        assert_int_equal(say(i, FLETCH_CONTROL_ADD_PRODUCER), FLETCH_FAILED_PRECONDITION);
        assert_contains(writers[i].error.message,
                        i == 0 ? "producer 0 has ended" : "producer 1 was aborted");
    }
    assert_int_equal(abort_with(0, NULL), FLETCH_FAILED_PRECONDITION);
    assert_told("");
}

static void a_producer_that_does_not_exist_is_out_of_range(void **state)
{
    (void)state;
    start(2);
    assert_int_equal(end(2), FLETCH_OUT_OF_RANGE);
    assert_contains(writers[2].error.message, "producer 2 of 2 producers");
}

/* Processes that share a set add numbers of their own, in any order. */
static void producers_are_added_by_number(void **state)
{
    struct fletch_coordinator_options options = options_of(1);
    (void)state;
    options.producer_limit = 4;
    start_with(&options);
    writers[0].wanted_producer = 3;
    assert_ok(say(0, FLETCH_CONTROL_ADD_PRODUCER));
    assert_int_equal(writers[0].added_producer, 3);
    assert_int_equal(say(0, FLETCH_CONTROL_ADD_PRODUCER), FLETCH_ALREADY_EXISTS);
    assert_contains(writers[0].error.message, "producer 3 was added before");
    assert_int_equal(say(2, FLETCH_CONTROL_IDLE), FLETCH_FAILED_PRECONDITION);
    assert_contains(writers[2].error.message, "producer 2 was not added");
    assert_ok(barrier(0, 1));
    assert_ok(barrier(3, 1));
    assert_told("barrier1"); /* 1 and 2 are nobody's */
    writers[3].wanted_producer = 2;
    assert_ok(say(3, FLETCH_CONTROL_ADD_PRODUCER));
    writers[0].wanted_producer = 0;
    assert_int_equal(say(0, FLETCH_CONTROL_ADD_PRODUCER), FLETCH_RESOURCE_EXHAUSTED);
    writers[0].wanted_producer = 4;
    assert_int_equal(say(0, FLETCH_CONTROL_ADD_PRODUCER), FLETCH_RESOURCE_EXHAUSTED);
    assert_ok(end(0));
    assert_ok(end(3));
    assert_told("");
    assert_ok(end(2));
    assert_told("watermark-max end");
}

static void only_an_unfinished_producer_of_an_open_set_may_add_one(void **state)
{
    struct fletch_coordinator_options options = options_of(1);
    (void)state;
    start(1);
    assert_int_equal(say(0, FLETCH_CONTROL_ADD_PRODUCER), FLETCH_FAILED_PRECONDITION);
    assert_contains(writers[0].error.message, "the set of 1 producers is fixed");
    fletch_coordinator_destroy(coordinator);
    options.producer_limit = 3;
    start_with(&options);
    assert_ok(say(0, FLETCH_CONTROL_ADD_PRODUCER));
    assert_ok(end(0));
    assert_int_equal(say(0, FLETCH_CONTROL_ADD_PRODUCER), FLETCH_FAILED_PRECONDITION);
    assert_ok(say(1, FLETCH_CONTROL_ADD_PRODUCER));
    assert_int_equal(writers[1].added_producer, 2);
    assert_int_equal(say(2, FLETCH_CONTROL_ADD_PRODUCER), FLETCH_RESOURCE_EXHAUSTED);
    assert_int_equal(numbers().producers, 3);
    assert_ok(end(1));
    assert_told("");
    assert_ok(end(2));
    assert_told("watermark-max end");
}

static void answers_wake_the_sleeper(void **state)
{
    struct fletch_eventcount *sleeper;
    (void)state;
    start(1);
    assert_ok(fletch_eventcount_create(NULL, &sleeper, NULL));
    fletch_control_init(&writers[0], coordinator, 0, sleeper);
    for (uint64_t id = 1; id <= 4; id++)
        assert_ok(barrier(0, id));
    submit_barrier(0, 5);
    uint32_t key = fletch_eventcount_prepare(sleeper);
    assert_false(fletch_eventcount_wait(sleeper, key, 0));
    key = fletch_eventcount_prepare(sleeper);
    pass(1);
    assert_true(fletch_eventcount_wait(sleeper, key, 0));
    assert_ok(answer_of(0));
    fletch_eventcount_destroy(sleeper);
}

static void many_producers(void **state)
{
    enum { MANY = 65536 };
    struct fletch_control_operation operation;
    (void)state;
    start(MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        fletch_control_init(&operation, coordinator, i, NULL);
        operation.kind = FLETCH_CONTROL_WATERMARK;
        operation.watermark = (int64_t)(MANY - i);
        fletch_control_submit(&operation);
        operation.kind = FLETCH_CONTROL_BARRIER;
        operation.barrier = 1;
        fletch_control_submit(&operation);
    }
    assert_told("watermark1 barrier1");
    for (uint32_t i = 0; i < MANY; i++) {
        fletch_control_init(&operation, coordinator, MANY - 1 - i, NULL);
        operation.kind = i + 3 < MANY ? FLETCH_CONTROL_IDLE : FLETCH_CONTROL_END;
        fletch_control_submit(&operation);
        if (i + 6 < MANY)
            told[0] = 0;
    }
    assert_told("watermark65532 watermark65533 watermark65534 watermark65535 watermark65536");
}

static void no_memory(void **state)
{
    static struct counting_allocator counting;
    struct fletch_coordinator_options options = options_of(3);
    enum fletch_status status = FLETCH_RESOURCE_EXHAUSTED;
    (void)state;
    for (uint64_t n = 1; status != FLETCH_OK; n++) {
        struct fletch_error error;
        counting_allocator_start(&counting, n);
        options.allocator = counting.allocator;
        status = fletch_coordinator_create(&options, &coordinator, &error);
        if (status != FLETCH_OK) {
            assert_int_equal(status, FLETCH_RESOURCE_EXHAUSTED);
            assert_contains(error.message, "for 3 producers");
            assert_true(counting.live_bytes == 0);
        }
    }
    fletch_coordinator_destroy(coordinator);
    fletch_coordinator_destroy(NULL);
    coordinator = NULL;
    assert_true(counting.live_bytes == 0);
    assert_true(counting.mismatched == 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_barrier_is_told_when_all_producers_have_reached_it),
        TEST(ids_increase),
        TEST(a_repeat_is_ignored),
        TEST(an_older_id_after_a_newer_one_is_an_error),
        TEST(who_reaches_a_larger_id_has_passed_the_smaller),
        TEST(a_smaller_id_that_others_have_skipped_is_told_in_its_place),
        TEST(a_skipped_id_without_a_slot_goes_up_in_the_next),
        TEST(a_skipped_id_that_starts_late_awaits_nobody_who_has_named_it),
        TEST(several_may_be_in_flight_and_more_wait),
        TEST(who_waits_for_a_slot_holds_up_no_smaller_barrier),
        TEST(a_barrier_that_waits_can_be_given_up),
        TEST(who_gives_up_a_barrier_cannot_go_back_behind_it),
        TEST(what_was_answered_cannot_be_given_up),
        TEST(those_that_wait_are_served_oldest_first),
        TEST(an_ended_producer_counts_as_aligned),
        TEST(an_aborted_producer_counts_as_aligned_once_its_loss_was_told),
        TEST(a_late_producer_takes_part_from_the_first_barrier_after_its_registration),
        TEST(an_aborted_barrier_is_waited_for_no_more),
        TEST(an_aborted_barrier_is_told_in_its_place),
        TEST(a_barrier_that_is_not_in_flight_cannot_be_aborted),
        TEST(a_barrier_cannot_be_aborted_twice),
        TEST(a_slot_is_used_again_when_all_partitions_have_passed),
        TEST(barriers_in_flight_have_slots_of_their_own),
        TEST(the_watermark_is_the_least_of_all_producers),
        TEST(a_regression_is_clamped_and_counted),
        TEST(an_idle_producer_holds_back_nobody),
        TEST(where_all_are_idle_the_watermark_stays),
        TEST(idle_by_time_only_where_it_is_configured),
        TEST(the_end_of_a_producer_takes_its_watermark_away),
        TEST(the_end_is_plus_infinity),
        TEST(a_new_producer_holds_the_watermark_where_it_is),
        TEST(a_partition_ends_when_every_producer_of_the_set_has_ended),
        TEST(a_lost_producer_is_told_once_and_there_is_no_end),
        TEST(a_long_reason_is_cut),
        TEST(an_abort_is_idempotent),
        TEST(who_has_ended_or_was_aborted_says_nothing_more),
        TEST(a_producer_that_does_not_exist_is_out_of_range),
        TEST(producers_are_added_by_number),
        TEST(only_an_unfinished_producer_of_an_open_set_may_add_one),
        TEST(answers_wake_the_sleeper),
        TEST(many_producers),
        TEST(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
