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

/* A queue in memory that several processes map, and producers that are killed. */

enum { SIZE = 40, BATCH = 4, CAPACITY = 16, PRODUCERS = 3, EXCHANGED = 2000, KILLS = 40 };

/* Exit status of a producer that found the queue closed. */
enum { CHILD_CLOSED = 33 };

static struct test_arguments arguments;

struct notes {
    _Atomic uint64_t pushed[PRODUCERS]; /* elements whose push has returned, by their producers */
};

struct stage {
    struct shared_memory queue_memory;
    struct shared_memory notes_memory;
    struct fletch_mpsc_queue *queue; /* the parent's address */
    struct notes *notes;
    uint64_t seed;
    uint64_t count;  /* for a child: how many to push */
    uint32_t number; /* for a child: which producer it is */
};

static void stage_open(struct stage *stage, enum fletch_wait_strategy strategy)
{
    struct fletch_mpsc_queue_options options = mpsc_options(SIZE, CAPACITY);
    struct fletch_error error;
    size_t bytes;
    options.sharing = FLETCH_SHARING_HOST;
    options.wait_strategy = strategy;
    assert_ok(fletch_mpsc_queue_bytes(&options, &bytes, &error));
    *stage = (struct stage){.queue_memory = shared_memory_map(bytes),
                            .notes_memory = shared_memory_map(sizeof(struct notes)),
                            .seed = arguments.seed};
    assert_non_null(stage->queue_memory.first);
    assert_non_null(stage->notes_memory.first);
    assert_ok(
        fletch_mpsc_queue_init(stage->queue_memory.first, bytes, &options, &stage->queue, &error));
    stage->notes = stage->notes_memory.first;
}

static void stage_close(struct stage *stage)
{
    fletch_mpsc_queue_deinit(stage->queue, NULL, NULL);
    shared_memory_unmap(&stage->queue_memory);
    shared_memory_unmap(&stage->notes_memory);
}

static struct fletch_mpsc_queue *attach(struct stage *stage)
{
    struct fletch_mpsc_queue *queue;
    if (fletch_mpsc_queue_attach(stage->queue_memory.second, stage->queue_memory.bytes, &queue,
                                 NULL) != FLETCH_OK)
        return NULL;
    return queue;
}

/* ---- children ---- */

static int child_produces(void *context)
{
    struct stage *stage = context;
    struct fletch_mpsc_queue *queue = attach(stage);
    struct notes *notes = stage->notes_memory.second;
    struct jitter jitter = jitter_from_seed(stage->seed + stage->number, 16);
    char elements[BATCH * SIZE];
    if (queue == NULL)
        return 1;
    for (uint64_t i = 0; i < stage->count;) {
        size_t count = 1 + fletch_random_below(&jitter.random, BATCH);
        if (count > stage->count - i)
            count = (size_t)(stage->count - i);
        for (size_t k = 0; k < count; k++)
            payload_fill(elements + k * SIZE, SIZE, stage->number, i + k);
        enum fletch_answer answer =
            fletch_mpsc_queue_push_many(queue, elements, count, FLETCH_NO_TIMEOUT);
        if (answer != FLETCH_DONE)
            return answer == FLETCH_CLOSED ? CHILD_CLOSED : 2;
        i += count;
        store_release(&notes->pushed[stage->number], i);
        jitter_step(&jitter);
    }
    return 0;
}

/* Pushes `count` elements, claims two more, fills one of them, and dies. */
static int child_dies_with_a_claim(void *context)
{
    struct stage *stage = context;
    struct fletch_mpsc_queue *queue = attach(stage);
    char element[SIZE];
    uint64_t position;
    if (queue == NULL)
        return 1;
    for (uint64_t i = 0; i < stage->count; i++) {
        payload_fill(element, SIZE, 0, i);
        if (fletch_mpsc_queue_push(queue, element, FLETCH_NO_TIMEOUT) != FLETCH_DONE)
            return 2;
    }
    if (fletch_mpsc_queue_claim(queue, 2, &position) != FLETCH_DONE)
        return 3;
    payload_fill(element, SIZE, 0, stage->count);
    fletch_mpsc_queue_publish(queue, position, element, 1);
    kill(getpid(), SIGKILL);
    return 4;
}

static void start_producers(struct stage *stage, pid_t children[PRODUCERS])
{
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        stage->number = i;
        children[i] = child_start(child_produces, stage, false);
        assert_true(children[i] > 0);
    }
}

/* ---- processes that live ---- */

static void elements_come_from_several_processes(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
        struct payload_watch watch = {.element_bytes = SIZE};
        struct stage stage;
        pid_t children[PRODUCERS];
        char element[SIZE];
        stage_open(&stage, wait_strategies[i]);
        stage.count = EXCHANGED;
        start_producers(&stage, children);
        while (watch.seen < PRODUCERS * EXCHANGED) {
            assert_answer(fletch_mpsc_queue_pop(stage.queue, element, FLETCH_NO_TIMEOUT),
                          FLETCH_DONE);
            payload_watch_element(&watch, element);
        }
        for (size_t k = 0; k < PRODUCERS; k++) {
            assert_int_equal(child_wait(children[k]), 0);
            assert_true(watch.next[k] == EXCHANGED);
        }
        assert_true(watch.torn == 0 && watch.misplaced == 0);
        fletch_mpsc_queue_close(stage.queue);
        assert_answer(fletch_mpsc_queue_pop(stage.queue, element, FLETCH_NO_TIMEOUT),
                      FLETCH_CLOSED);
        stage_close(&stage);
    }
}

/* ---- a producer that dies between claim and publication ---- */

static void a_claim_of_a_dead_producer_holds_the_queue(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAIT_STRATEGIES; i++) {
        struct stage stage;
        char element[SIZE];
        stage_open(&stage, wait_strategies[i]);
        stage.count = 5;
        assert_int_equal(child_run(child_dies_with_a_claim, &stage, false), CHILD_KILLED + SIGKILL);
        for (uint64_t k = 0; k < 6; k++) {
            assert_answer(fletch_mpsc_queue_pop(stage.queue, element, FLETCH_NO_TIMEOUT),
                          FLETCH_DONE);
            assert_true(payload_is(element, SIZE, 0, k));
        }
        /* Others push behind it until the queue is full. */
        uint64_t behind = 0;
        payload_fill(element, SIZE, 1, 0);
        while (fletch_mpsc_queue_try_push(stage.queue, element) == FLETCH_DONE)
            behind++;
        assert_true(behind + 1 >= CAPACITY && behind + 1 <= ring_most(CAPACITY));
        assert_answer(fletch_mpsc_queue_push(stage.queue, element, 100000), FLETCH_FULL);
        for (int looks = 0; looks < 5; looks++) {
            assert_answer(fletch_mpsc_queue_pop(stage.queue, element, 100000), FLETCH_HELD);
            assert_true(fletch_mpsc_queue_held_position(stage.queue) == 6);
        }
        struct fletch_ring_statistics statistics = mpsc_statistics(stage.queue);
        assert_true(statistics.popped == 6);
        assert_true(statistics.full > 0 && statistics.empty > 0);
        /* Closing changes nothing about it. */
        fletch_mpsc_queue_close(stage.queue);
        assert_answer(fletch_mpsc_queue_try_push(stage.queue, element), FLETCH_CLOSED);
        assert_answer(fletch_mpsc_queue_pop(stage.queue, element, 100000), FLETCH_HELD);
        stage_close(&stage);
    }
}

/* ---- a producer that is killed anywhere ---- */

/* Once the others have ended too, nobody is left who could publish: either the dead one held no
 * claim, and everything arrives; or it did, and all that lies before its claim arrives. */
static void outlive_producer(uint64_t number, uint64_t *held)
{
    struct fletch_random random = fletch_random_from_seed(arguments.seed + number);
    struct payload_watch watch = {.element_bytes = SIZE};
    struct stage stage;
    pid_t children[PRODUCERS];
    char element[SIZE];
    enum fletch_answer answer;
    stage_open(&stage, wait_strategies[number % WAIT_STRATEGIES]);
    stage.seed = fletch_random_u64(&random);
    stage.count = UINT64_C(1) << 39;
    uint64_t kill_at = fletch_random_below(&random, 500);
    start_producers(&stage, children);
    for (; watch.seen < kill_at; payload_watch_element(&watch, element))
        assert_answer(fletch_mpsc_queue_pop(stage.queue, element, FLETCH_NO_TIMEOUT), FLETCH_DONE);
    kill(children[0], SIGKILL);
    assert_int_equal(child_wait(children[0]), CHILD_KILLED + SIGKILL);
    fletch_mpsc_queue_close(stage.queue);
    for (size_t i = 1; i < PRODUCERS; i++)
        assert_int_equal(child_wait(children[i]), CHILD_CLOSED);
    while ((answer = fletch_mpsc_queue_try_pop(stage.queue, element)) == FLETCH_DONE)
        payload_watch_element(&watch, element);
    assert_true(watch.torn == 0 && watch.misplaced == 0);
    if (answer == FLETCH_HELD) {
        (*held)++;
    } else {
        assert_answer(answer, FLETCH_CLOSED);
        for (size_t i = 1; i < PRODUCERS; i++)
            assert_true(watch.next[i] == load_acquire(&stage.notes->pushed[i]));
        assert_true(watch.next[0] >= load_acquire(&stage.notes->pushed[0]));
    }
    stage_close(&stage);
}

static void a_killed_producer_damages_nothing(void **state)
{
    uint64_t held = 0;
    (void)state;
    for (uint64_t i = 0; i < KILLS * arguments.scale; i++)
        outlive_producer(i, &held);
    printf("%llu of %llu died with a claim\n", (unsigned long long)held,
           (unsigned long long)(KILLS * arguments.scale));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_from_several_processes),
        cmocka_unit_test(a_claim_of_a_dead_producer_holds_the_queue),
        cmocka_unit_test(a_killed_producer_damages_nothing),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
