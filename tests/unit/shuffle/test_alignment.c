#include "shuffle/alignment.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "support/cmocka_tests.h"

/* The order in which frames are given, told in letters: what comes in and what may be given.
 *
 *   a1    rows of producer a (a to d) that has passed barrier 1
 *   |2    barrier 2       w   a watermark       E   the end       L   a loss */

enum { FRAMES_MAX = 64 };

static struct fletch_shuffle_partition partition;
static struct fletch_frame frames[FRAMES_MAX];
static char words[FRAMES_MAX][4];
static size_t frame_count;

static void start(void)
{
    memset(&partition, 0, sizeof partition);
    memset(frames, 0, sizeof frames);
    frame_count = 0;
}

static enum fletch_frame_kind kind_of(char letter)
{
    switch (letter) {
    case '|':
        return FLETCH_FRAME_BARRIER;
    case 'w':
        return FLETCH_FRAME_WATERMARK;
    case 'E':
        return FLETCH_FRAME_END;
    case 'L':
        return FLETCH_FRAME_LOST;
    default:
        return FLETCH_FRAME_DATA;
    }
}

/* Takes in the frames of a text, all at once. */
static void take(const char *text)
{
    struct fletch_inbox_list list = {.first = NULL};
    struct fletch_inbox_node **link = &list.first;
    while (*text != '\0') {
        struct fletch_frame *frame = &frames[frame_count];
        size_t length = strcspn(text, " ");
        snprintf(words[frame_count++], sizeof words[0], "%.*s", (int)length, text);
        frame->kind = kind_of(text[0]);
        frame->barrier = length > 1 ? (uint64_t)(text[1] - '0') : 0;
        *link = &frame->node;
        link = &frame->node.next;
        text += length;
        text += strspn(text, " ");
        list.count++;
    }
    *link = NULL;
    fletch_alignment_take(&partition, &list);
}

static void expect_given(const char *expected)
{
    char given[FRAMES_MAX * 4] = "";
    struct fletch_frame *frame;
    while ((frame = fletch_frame_list_pop(&partition.taken)) != NULL) {
        if (given[0] != '\0')
            strcat(given, " ");
        strcat(given, words[frame - frames]);
    }
    assert_string_equal(given, expected);
}

static void rows_come_as_they_came(void **state)
{
    (void)state;
    start();
    take("a0 b0 a0");
    expect_given("a0 b0 a0");
    take("b0");
    expect_given("b0");
}

static void rows_behind_a_barrier_are_held_until_it_comes(void **state)
{
    (void)state;
    start();
    take("a0 a1 b0 a1");
    expect_given("a0 b0");
    take("b0 |1");
    expect_given("b0 |1 a1 a1");
    take("a1 b1");
    expect_given("a1 b1");
    assert_null(partition.held.first);
}

static void several_barriers_may_be_in_flight(void **state)
{
    (void)state;
    start();
    take("a1 a2 a3 b0 b1");
    expect_given("b0");
    take("|1 b2");
    expect_given("|1 a1 b1");
    take("|2");
    expect_given("|2 a2 b2");
    take("|3 b3");
    expect_given("|3 a3 b3");
}

static void rows_behind_a_barrier_that_is_passed_over_come_before_the_next(void **state)
{
    (void)state;
    start();
    take("a1 a2 |2");
    expect_given("a1 |2 a2");
}

static void a_watermark_never_overtakes_rows(void **state)
{
    (void)state;
    start();
    take("a0 w");
    expect_given("a0 w");
    take("b2 a1 w a0");
    expect_given("a0");
    take("|1");
    expect_given("|1 a1");
    take("|2");
    expect_given("|2 b2 w");
}

static void the_end_comes_last(void **state)
{
    (void)state;
    start();
    take("a1 w a2 E");
    expect_given("a1 w a2 E");
}

/* Rows behind a barrier that has not come are not good: it never will. */
static void a_loss_comes_after_the_last_good_frame(void **state)
{
    (void)state;
    start();
    take("a1 b0 L");
    expect_given("b0 L");
    assert_non_null(partition.held.first);
}

/* What producers do, in any order that keeps each one's: rows of each stay in order, and lie on the
 * right side of each barrier. */
static void rows_stay_on_their_side_of_each_barrier(void **state)
{
    enum { PRODUCERS = 4, BARRIERS = 5, ROUNDS = 2000 };
    struct fletch_random random = fletch_random_from_seed(11);
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        char text[FRAMES_MAX * 4] = "", word[16];
        int at[PRODUCERS] = {0}, told = 0;
        start();
        for (int step = 0; step < FRAMES_MAX - BARRIERS; step++) {
            int producer = (int)fletch_random_below(&random, PRODUCERS);
            int least = BARRIERS;
            if (at[producer] < BARRIERS && fletch_random_below(&random, 3) == 0)
                at[producer]++;
            snprintf(word, sizeof word, "%c%d", 'a' + producer, at[producer]);
            strcat(strcat(text, word), " ");
            for (int i = 0; i < PRODUCERS; i++)
                least = at[i] < least ? at[i] : least;
            for (; told < least; told++) {
                snprintf(word, sizeof word, "|%d", told + 1);
                strcat(strcat(text, word), " ");
            }
        }
        take(text);
        int barrier = 0;
        size_t last[PRODUCERS] = {0};
        struct fletch_frame *frame;
        while ((frame = fletch_frame_list_pop(&partition.taken)) != NULL) {
            const char *given = words[frame - frames];
            if (given[0] == '|') {
                assert_int_equal(given[1] - '0', ++barrier);
                continue;
            }
            assert_int_equal(given[1] - '0', barrier);
            size_t number = (size_t)(frame - frames) + 1;
            assert_true(number > last[given[0] - 'a']);
            last[given[0] - 'a'] = number;
        }
        assert_int_equal(barrier, told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_as_they_came),
        cmocka_unit_test(rows_behind_a_barrier_are_held_until_it_comes),
        cmocka_unit_test(several_barriers_may_be_in_flight),
        cmocka_unit_test(rows_behind_a_barrier_that_is_passed_over_come_before_the_next),
        cmocka_unit_test(a_watermark_never_overtakes_rows),
        cmocka_unit_test(the_end_comes_last),
        cmocka_unit_test(a_loss_comes_after_the_last_good_frame),
        cmocka_unit_test(rows_stay_on_their_side_of_each_barrier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
