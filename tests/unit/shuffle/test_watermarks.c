#include "shuffle/watermarks.h"

#include "base/random.h"
#include "support/cmocka_tests.h"

/* The least watermark and who becomes idle next, against a look at all of them. */

enum { PRODUCERS = 40, STEPS = 200000, IDLE_NS = 50 };

struct plain {
    bool counts;
    int64_t watermark;
    uint64_t told_ns;
};

static struct fletch_watermark_entry entries[PRODUCERS];
static uint32_t heap[PRODUCERS];
static struct plain plain[PRODUCERS];
static struct fletch_watermarks watermarks;

static void start(uint64_t idle_ns, uint32_t producers)
{
    fletch_watermarks_init(&watermarks, entries, heap, idle_ns);
    for (uint32_t i = 0; i < producers; i++) {
        fletch_watermarks_add(&watermarks, i, 0);
        plain[i] = (struct plain){.counts = true, .watermark = INT64_MIN};
    }
}

static void assert_same(uint64_t idle_ns)
{
    int64_t least = INT64_MAX, found = INT64_MAX;
    uint64_t due_ns = UINT64_MAX;
    bool is_any = false;
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        if (!plain[i].counts)
            continue;
        is_any = true;
        least = plain[i].watermark < least ? plain[i].watermark : least;
        if (idle_ns != 0 && plain[i].told_ns + idle_ns < due_ns)
            due_ns = plain[i].told_ns + idle_ns;
    }
    assert_int_equal(fletch_watermarks_least(&watermarks, &found), is_any);
    assert_true(found == least);
    assert_true(fletch_watermarks_due_ns(&watermarks) == due_ns);
}

static void pass_time(uint64_t now_ns)
{
    fletch_watermarks_pass_time(&watermarks, now_ns);
    for (uint32_t i = 0; i < PRODUCERS; i++)
        if (plain[i].told_ns + IDLE_NS <= now_ns)
            plain[i].counts = false;
}

static void say(uint32_t producer, int64_t watermark, uint64_t now_ns)
{
    bool grows = watermark >= plain[producer].watermark;
    assert_int_equal(fletch_watermarks_set(&watermarks, producer, watermark, now_ns), grows);
    plain[producer].counts = true;
    plain[producer].told_ns = now_ns;
    if (grows)
        plain[producer].watermark = watermark;
}

static void the_least_is_that_of_a_look_at_all(void **state)
{
    struct fletch_random random = fletch_random_from_seed(3);
    uint64_t now_ns = 0;
    (void)state;
    start(IDLE_NS, PRODUCERS);
    for (int step = 0; step < STEPS; step++) {
        uint32_t producer = fletch_random_below(&random, PRODUCERS);
        uint32_t dice = fletch_random_below(&random, 8);
        int64_t base = plain[producer].watermark == INT64_MIN ? 0 : plain[producer].watermark;
        if (dice == 0) {
            fletch_watermarks_drop(&watermarks, producer);
            plain[producer].counts = false;
        } else if (dice == 1) {
            pass_time(now_ns += fletch_random_below(&random, 10));
        } else {
            say(producer, base - 5 + fletch_random_below(&random, 100), now_ns);
        }
        assert_same(IDLE_NS);
    }
}

/* The oldest word is looked at first, whoever was idle meanwhile. */
static void who_is_due_next_is_known(void **state)
{
    (void)state;
    start(10, 3);
    assert_true(fletch_watermarks_due_ns(&watermarks) == 10);
    assert_true(fletch_watermarks_set(&watermarks, 0, 1, 4));
    assert_true(fletch_watermarks_set(&watermarks, 1, 1, 6));
    fletch_watermarks_drop(&watermarks, 2);
    assert_true(fletch_watermarks_due_ns(&watermarks) == 14);
    fletch_watermarks_drop(&watermarks, 0);
    assert_true(fletch_watermarks_due_ns(&watermarks) == 16);
    assert_true(fletch_watermarks_set(&watermarks, 0, 1, 7));
    fletch_watermarks_pass_time(&watermarks, 15);
    assert_true(fletch_watermarks_due_ns(&watermarks) == 16);
    fletch_watermarks_pass_time(&watermarks, 16);
    assert_true(fletch_watermarks_due_ns(&watermarks) == 17);
    fletch_watermarks_pass_time(&watermarks, 17);
    assert_true(fletch_watermarks_due_ns(&watermarks) == UINT64_MAX);
}

static void time_does_not_wrap(void **state)
{
    (void)state;
    start(UINT64_MAX - 5, 1);
    assert_true(fletch_watermarks_due_ns(&watermarks) == UINT64_MAX - 5);
    assert_true(fletch_watermarks_set(&watermarks, 0, 1, 6));
    assert_true(fletch_watermarks_due_ns(&watermarks) == UINT64_MAX);
    fletch_watermarks_pass_time(&watermarks, UINT64_MAX);
    assert_int_equal(watermarks.count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_is_that_of_a_look_at_all),
        cmocka_unit_test(who_is_due_next_is_known),
        cmocka_unit_test(time_does_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
