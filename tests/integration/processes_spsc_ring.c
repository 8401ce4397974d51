#include <fletching/fletching.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/random.h"
#include "support/arguments.h"
#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/shared_memory.h"
#include "support/team.h"

/* A ring in memory that two processes map at different addresses, and processes that are killed. */

enum { SIZE = 40, BATCH = 8, CAPACITY = 16, EXCHANGED = 5000, KILLS = 40 };

static struct test_arguments arguments;

/* What the processes tell each other beside the ring; each number is written by the child. */
struct notes {
    _Atomic uint64_t pushed;   /* elements whose push has returned */
    _Atomic uint64_t popped;   /* elements whose pop has returned */
    _Atomic uint64_t mistakes; /* torn, lost, repeated or out of order */
};

struct stage {
    struct shared_memory ring_memory;
    struct shared_memory notes_memory;
    struct fletch_spsc_ring *ring; /* the parent's address */
    struct notes *notes;
    uint64_t seed;
    uint64_t count; /* for the child: how many to move, or when to die */
};

static void stage_open(struct stage *stage, enum fletch_ring_form form,
                       enum fletch_wait_strategy strategy)
{
    struct fletch_spsc_ring_options options = spsc_options(form, SIZE, CAPACITY);
    struct fletch_error error;
    size_t bytes;
    options.sharing = FLETCH_SHARING_HOST;
    options.wait_strategy = strategy;
    assert_ok(fletch_spsc_ring_bytes(&options, &bytes, &error));
    *stage = (struct stage){.ring_memory = shared_memory_map(bytes),
                            .notes_memory = shared_memory_map(sizeof(struct notes)),
                            .count = EXCHANGED};
    assert_non_null(stage->ring_memory.first);
    assert_non_null(stage->notes_memory.first);
    assert_ok(
        fletch_spsc_ring_init(stage->ring_memory.first, bytes, &options, &stage->ring, &error));
    stage->notes = stage->notes_memory.first;
}

static void stage_close(struct stage *stage)
{
    fletch_spsc_ring_deinit(stage->ring, NULL, NULL);
    shared_memory_unmap(&stage->ring_memory);
    shared_memory_unmap(&stage->notes_memory);
}

/* The child's address is the other one. */
static struct fletch_spsc_ring *attach(struct stage *stage)
{
    struct fletch_spsc_ring *ring;
    if (fletch_spsc_ring_attach(stage->ring_memory.second, stage->ring_memory.bytes, &ring, NULL) !=
        FLETCH_OK)
        return NULL;
    return ring;
}

/* ---- children ---- */

static enum fletch_answer push_some(struct fletch_spsc_ring *ring, struct jitter *jitter,
                                    uint64_t index, uint64_t most, uint64_t *out_pushed)
{
    char elements[BATCH * SIZE];
    struct fletch_ring_spans spans;
    size_t count = 1 + fletch_random_below(&jitter->random, BATCH);
    size_t pushed = 0;
    enum fletch_answer answer;
    if (count > most)
        count = most;
    if (fletch_random_below(&jitter->random, 2) == 0) {
        for (size_t i = 0; i < count; i++)
            payload_fill(elements + i * SIZE, SIZE, 0, index + i);
        answer = fletch_spsc_ring_push_many(ring, elements, count, FLETCH_NO_TIMEOUT, &pushed);
    } else {
        answer = fletch_spsc_ring_claim(ring, 1, FLETCH_NO_TIMEOUT, &spans);
        if (answer == FLETCH_DONE) {
            payload_fill(spans.first, SIZE, 0, index);
            fletch_spsc_ring_commit(ring, 1);
            pushed = 1;
        }
    }
    *out_pushed = pushed;
    return answer;
}

/* Pushes `count` elements and closes. */
static int child_produces(void *context)
{
    struct stage *stage = context;
    struct fletch_spsc_ring *ring = attach(stage);
    struct notes *notes = stage->notes_memory.second;
    struct jitter jitter = jitter_from_seed(stage->seed, 16);
    if (ring == NULL)
        return 1;
    for (uint64_t i = 0; i < stage->count;) {
        uint64_t pushed;
        if (push_some(ring, &jitter, i, stage->count - i, &pushed) != FLETCH_DONE)
            return 2;
        i += pushed;
        store_release(&notes->pushed, i);
        jitter_step(&jitter);
    }
    fletch_spsc_ring_close(ring);
    return 0;
}

/* Pops until the ring is closed, or dies after `count` elements, between two calls. Begins where
 * the notes say that the last consumer ended. */
static int child_consumes(void *context)
{
    struct stage *stage = context;
    struct fletch_spsc_ring *ring = attach(stage);
    struct notes *notes = stage->notes_memory.second;
    struct jitter jitter = jitter_from_seed(stage->seed, 16);
    char element[SIZE];
    if (ring == NULL)
        return 1;
    while (fletch_spsc_ring_pop(ring, element, FLETCH_NO_TIMEOUT) == FLETCH_DONE) {
        uint64_t index = load_relaxed(&notes->popped);
        if (!payload_is(element, SIZE, 0, index))
            fetch_add_relaxed(&notes->mistakes, 1);
        store_release(&notes->popped, index + 1);
        if (index + 1 == stage->count)
            kill(getpid(), SIGKILL);
        jitter_step(&jitter);
    }
    return 0;
}

/* Pops until it is killed from outside, wherever it then is. */
static int child_consumes_for_ever(void *context)
{
    struct stage *stage = context;
    stage->count = UINT64_MAX;
    return child_consumes(context);
}

/* ---- two processes that live ---- */

static void parent_consumes(struct stage *stage)
{
    struct payload_watch watch = {.element_bytes = SIZE};
    char element[SIZE];
    pid_t child = child_start(child_produces, stage, false);
    assert_true(child > 0);
    enum fletch_answer answer;
    while ((answer = fletch_spsc_ring_pop(stage->ring, element, FLETCH_NO_TIMEOUT)) == FLETCH_DONE)
        payload_watch_element(&watch, element);
    assert_int_equal(child_wait(child), 0);
    assert_answer(answer, FLETCH_CLOSED);
    assert_true(watch.seen == stage->count);
    assert_true(watch.torn == 0 && watch.misplaced == 0);
}

static void parent_produces(struct stage *stage)
{
    struct jitter jitter = jitter_from_seed(arguments.seed, 16);
    uint64_t count = stage->count;
    stage->count = UINT64_MAX;
    pid_t child = child_start(child_consumes, stage, false);
    assert_true(child > 0);
    for (uint64_t i = 0; i < count;) {
        uint64_t pushed;
        assert_answer(push_some(stage->ring, &jitter, i, count - i, &pushed), FLETCH_DONE);
        i += pushed;
    }
    fletch_spsc_ring_close(stage->ring);
    assert_int_equal(child_wait(child), 0);
    assert_true(load_relaxed(&stage->notes->popped) == count);
    assert_true(load_relaxed(&stage->notes->mistakes) == 0);
}

static void for_all(void (*test)(struct stage *stage))
{
    for (size_t form = 0; form < RING_FORMS; form++)
        for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
            struct stage stage;
            stage_open(&stage, ring_forms[form], wait_strategies[i]);
            stage.seed = arguments.seed + i;
            test(&stage);
            stage_close(&stage);
        }
}

static void elements_come_from_another_process(void **state)
{
    (void)state;
    for_all(parent_consumes);
}

static void elements_go_to_another_process(void **state)
{
    (void)state;
    for_all(parent_produces);
}

/* ---- a producer that is killed ---- */

/* Everything that was published before is there, whole and in order; then the survivor closes. */
static void outlive_producer(uint64_t number)
{
    struct fletch_random random = fletch_random_from_seed(arguments.seed + number);
    struct payload_watch watch = {.element_bytes = SIZE};
    struct stage stage;
    char element[SIZE];
    int end = -1;
    stage_open(&stage, ring_forms[number % 2], wait_strategies[number % WAIT_STRATEGIES]);
    stage.seed = fletch_random_u64(&random);
    stage.count = UINT64_C(1) << 39;
    uint64_t kill_at = fletch_random_below(&random, 300);
    pid_t child = child_start(child_produces, &stage, false);
    assert_true(child > 0);
    while (watch.seen < kill_at) {
        assert_answer(fletch_spsc_ring_pop(stage.ring, element, FLETCH_NO_TIMEOUT), FLETCH_DONE);
        payload_watch_element(&watch, element);
    }
    kill(child, SIGKILL);
    bool dead = false;
    for (;;) {
        if (!dead)
            dead = child_has_ended(child, &end);
        enum fletch_answer answer = fletch_spsc_ring_pop(stage.ring, element, 100000);
        if (answer == FLETCH_DONE)
            payload_watch_element(&watch, element);
        else if (dead)
            break;
        assert_answer(answer, answer == FLETCH_DONE ? FLETCH_DONE : FLETCH_EMPTY);
    }
    assert_int_equal(end, CHILD_KILLED + SIGKILL);
    assert_true(watch.seen >= load_acquire(&stage.notes->pushed));
    assert_true(watch.torn == 0 && watch.misplaced == 0);
    fletch_spsc_ring_close(stage.ring); /* in the dead one's place */
    assert_answer(fletch_spsc_ring_pop(stage.ring, element, FLETCH_NO_TIMEOUT), FLETCH_CLOSED);
    assert_true(spsc_statistics(stage.ring).popped == watch.seen);
    stage_close(&stage);
}

static void a_killed_producer_takes_nothing_with_it(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < KILLS * arguments.scale; i++)
        outlive_producer(i);
}

/* ---- a consumer that is killed ---- */

/* Killed anywhere: the producer finds the ring full, and nothing else happens to it. */
static void outlive_consumer(uint64_t number)
{
    struct fletch_random random = fletch_random_from_seed(arguments.seed + number);
    struct jitter jitter = jitter_from_seed(fletch_random_u64(&random), 16);
    struct stage stage;
    uint64_t index = 0;
    stage_open(&stage, ring_forms[number % 2], wait_strategies[number % WAIT_STRATEGIES]);
    stage.seed = fletch_random_u64(&random);
    uint64_t kill_at = fletch_random_below(&random, 300);
    pid_t child = child_start(child_consumes_for_ever, &stage, false);
    assert_true(child > 0);
    while (index < kill_at) {
        uint64_t pushed;
        assert_answer(push_some(stage.ring, &jitter, index, UINT64_MAX, &pushed), FLETCH_DONE);
        index += pushed;
    }
    kill(child, SIGKILL);
    assert_int_equal(child_wait(child), CHILD_KILLED + SIGKILL);
    char element[SIZE];
    uint64_t more = 0;
    payload_fill(element, SIZE, 0, index);
    while (fletch_spsc_ring_try_push(stage.ring, element) == FLETCH_DONE)
        more++;
    assert_true(more <= ring_most(CAPACITY));
    assert_answer(fletch_spsc_ring_push(stage.ring, element, 100000), FLETCH_FULL);
    struct fletch_ring_statistics statistics = spsc_statistics(stage.ring);
    assert_true(statistics.pushed == index + more);
    assert_true(statistics.popped >= load_acquire(&stage.notes->popped));
    assert_true(load_relaxed(&stage.notes->mistakes) == 0);
    stage_close(&stage);
}

static void a_killed_consumer_leaves_a_full_ring(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < KILLS * arguments.scale; i++)
        outlive_consumer(i);
}

/* Killed between two calls: another process takes its end over, and nothing is lost but what the
 * dead one had popped. */
static void replace_consumer(uint64_t number)
{
    struct fletch_random random = fletch_random_from_seed(arguments.seed + number);
    struct jitter jitter = jitter_from_seed(fletch_random_u64(&random), 16);
    struct stage stage;
    stage_open(&stage, ring_forms[number % 2], wait_strategies[number % WAIT_STRATEGIES]);
    stage.seed = fletch_random_u64(&random);
    stage.count = 1 + fletch_random_below(&random, 200);
    uint64_t total = stage.count + fletch_random_below(&random, 200);
    uint64_t index = 0;
    pid_t child = child_start(child_consumes, &stage, false);
    assert_true(child > 0);
    bool replaced = false;
    while (index < total || !replaced) {
        char element[SIZE];
        int end;
        payload_fill(element, SIZE, 0, index);
        if (index < total) {
            enum fletch_answer answer = fletch_spsc_ring_push(stage.ring, element, 100000);
            assert_answer(answer, answer == FLETCH_DONE ? FLETCH_DONE : FLETCH_FULL);
            index += answer == FLETCH_DONE;
        }
        if (!replaced && child_has_ended(child, &end)) {
            assert_int_equal(end, CHILD_KILLED + SIGKILL);
            assert_true(load_acquire(&stage.notes->popped) == stage.count);
            stage.count = UINT64_MAX;
            child = child_start(child_consumes, &stage, false);
            assert_true(child > 0);
            replaced = true;
        }
        jitter_step(&jitter);
    }
    fletch_spsc_ring_close(stage.ring);
    assert_int_equal(child_wait(child), 0);
    assert_true(load_acquire(&stage.notes->popped) == total);
    assert_true(load_relaxed(&stage.notes->mistakes) == 0);
    assert_true(spsc_statistics(stage.ring).popped == total);
    stage_close(&stage);
}

static void a_killed_consumer_can_be_replaced(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < KILLS * arguments.scale; i++)
        replace_consumer(i);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_from_another_process),
        cmocka_unit_test(elements_go_to_another_process),
        cmocka_unit_test(a_killed_producer_takes_nothing_with_it),
        cmocka_unit_test(a_killed_consumer_leaves_a_full_ring),
        cmocka_unit_test(a_killed_consumer_can_be_replaced),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
