#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/shared_memory.h"
#include "support/stepping.h"

/* A queue in shared memory of which a producer or the consumer dies within a call, after any of its
 * instructions: what the others then have, and whoever takes the place of the consumer. */

enum { SIZE_MOST = 40, BATCH = 3 };

/* Producer numbers: who filled the queue, the child, and who comes after it. */
enum { EARLIER, CHILD, LATER };

struct scene {
    struct stepping_scene at;        /* first */
    size_t batch;                    /* elements of the call; 1: the single one */
    struct fletch_mpsc_queue *queue; /* the one that the child changes */
    void *scratch;                   /* for a copy of it */
};

static void fill(char *elements, size_t element_bytes, uint32_t producer, uint64_t index,
                 size_t count)
{
    for (size_t i = 0; i < count; i++)
        payload_fill(elements + i * element_bytes, element_bytes, producer, index + i);
}

static void pop_index(struct fletch_mpsc_queue *queue, size_t element_bytes, uint32_t producer,
                      uint64_t index)
{
    char element[SIZE_MOST];
    assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_DONE);
    assert_true(payload_is(element, element_bytes, producer, index));
}

/* Pushes the elements from `index` to `end` in runs of BATCH, as far as they go. */
static void push_runs(struct scene *scene, uint64_t index, uint64_t end)
{
    char elements[BATCH * SIZE_MOST];
    while (index < end) {
        size_t count = end - index < BATCH ? end - index : BATCH;
        fill(elements, scene->at.element_bytes, EARLIER, index, count);
        assert_answer(fletch_mpsc_queue_try_push_many(scene->queue, elements, count), FLETCH_DONE);
        index += count;
    }
}

static void scene_open(void *context)
{
    struct scene *scene = context;
    struct fletch_mpsc_queue_options options =
        mpsc_options(scene->at.element_bytes, scene->at.capacity);
    struct fletch_error error;
    size_t bytes;
    options.sharing = FLETCH_SHARING_HOST;
    assert_ok(fletch_mpsc_queue_bytes(&options, &bytes, &error));
    scene->at.memory = shared_memory_map(bytes);
    scene->scratch = aligned_alloc(fletch_mpsc_queue_alignment(), bytes);
    assert_non_null(scene->at.memory.first);
    assert_non_null(scene->scratch);
    assert_ok(
        fletch_mpsc_queue_init(scene->at.memory.first, bytes, &options, &scene->queue, &error));
    for (uint64_t i = 0; i < scene->at.popped; i++) {
        push_runs(scene, i, i + 1);
        pop_index(scene->queue, scene->at.element_bytes, EARLIER, i);
    }
    push_runs(scene, scene->at.popped, scene->at.pushed);
}

static void scene_close(void *context)
{
    struct scene *scene = context;
    fletch_mpsc_queue_deinit(scene->queue, NULL, NULL);
    shared_memory_unmap(&scene->at.memory);
    free(scene->scratch);
}

/* The queue that was left, for those who live on. Nobody is at its end, whatever a guard says. */
static struct fletch_mpsc_queue *copy_of(struct scene *scene, const void *image)
{
    struct fletch_mpsc_queue *queue;
    struct fletch_error error;
    memcpy(scene->scratch, image, scene->at.memory.bytes);
    assert_ok(fletch_mpsc_queue_attach(scene->scratch, scene->at.memory.bytes, &queue, &error));
    store_relaxed(&queue->consumer.guard.entered, 0);
    return queue;
}

/* ---- a consumer that dies ---- */

static int child_pops(void *context)
{
    struct scene *scene = context;
    char elements[BATCH * SIZE_MOST];
    size_t popped;
    if (scene->batch == 1)
        return (int)fletch_mpsc_queue_try_pop(scene->queue, elements);
    return (int)fletch_mpsc_queue_try_pop_many(scene->queue, elements, scene->batch, &popped);
}

/* Whatever the dead one was about: its successor goes on with the same element or a later one of
 * the call, in order; and no producer finds the queue full with less than the capacity in it, where
 * what the dead one was about counts until the first call of its successor, who begins with `first`
 * pops. */
static void succeed_consumer(struct scene *scene, const void *image, uint64_t first)
{
    struct fletch_mpsc_queue *queue = copy_of(scene, image);
    char element[SIZE_MOST];
    uint64_t popped = mpsc_statistics(queue).popped;
    uint64_t later = 0;
    assert_in_range(popped, scene->at.popped, scene->at.popped + scene->batch);
    for (uint64_t i = 0; i < first && popped < scene->at.pushed; i++)
        pop_index(queue, scene->at.element_bytes, EARLIER, popped++);
    bool returned = first > 0 || popped == scene->at.pushed;
    if (popped == scene->at.pushed)
        assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_EMPTY);
    payload_fill(element, scene->at.element_bytes, LATER, later);
    while (fletch_mpsc_queue_try_push(queue, element) == FLETCH_DONE)
        payload_fill(element, scene->at.element_bytes, LATER, ++later);
    uint64_t end = scene->at.pushed + later;
    assert_true(end - popped <= ring_most(scene->at.capacity));
    assert_true(end - (returned ? popped : scene->at.popped) >= scene->at.capacity);
    while (popped < scene->at.pushed)
        pop_index(queue, scene->at.element_bytes, EARLIER, popped++);
    for (uint64_t i = 0; i < later; i++)
        pop_index(queue, scene->at.element_bytes, LATER, i);
    assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_EMPTY);
}

static void look_at_dead_consumer(void *context, const void *image)
{
    struct scene *scene = context;
    for (uint64_t first = 0; first <= scene->at.pushed - scene->at.popped; first++)
        succeed_consumer(scene, image, first);
}

/* ---- a producer that dies ---- */

static int child_pushes(void *context)
{
    struct scene *scene = context;
    char elements[BATCH * SIZE_MOST];
    fill(elements, scene->at.element_bytes, CHILD, 0, scene->batch);
    if (scene->batch == 1)
        return (int)fletch_mpsc_queue_try_push(scene->queue, elements);
    return (int)fletch_mpsc_queue_try_push_many(scene->queue, elements, scene->batch);
}

/* All that was pushed before is there; of the last call everything or nothing; and behind a claim
 * that was not published the consumer is held, whatever others push. */
static void look_at_dead_producer(void *context, const void *image)
{
    struct scene *scene = context;
    struct fletch_mpsc_queue *queue = copy_of(scene, image);
    char element[SIZE_MOST];
    for (uint64_t i = scene->at.popped; i < scene->at.pushed; i++)
        pop_index(queue, scene->at.element_bytes, EARLIER, i);
    payload_fill(element, scene->at.element_bytes, LATER, 0);
    enum fletch_answer pushed = fletch_mpsc_queue_try_push(queue, element);
    enum fletch_answer answer = fletch_mpsc_queue_try_pop(queue, element);
    if (answer == FLETCH_HELD) {
        assert_true(fletch_mpsc_queue_held_position(queue) == scene->at.pushed);
        return;
    }
    assert_answer(answer, FLETCH_DONE);
    if (payload_is(element, scene->at.element_bytes, CHILD, 0)) {
        for (size_t i = 1; i < scene->batch; i++)
            pop_index(queue, scene->at.element_bytes, CHILD, i);
        if (pushed == FLETCH_DONE)
            pop_index(queue, scene->at.element_bytes, LATER, 0);
    } else {
        assert_true(payload_is(element, scene->at.element_bytes, LATER, 0));
    }
    assert_answer(fletch_mpsc_queue_try_pop(queue, element), FLETCH_EMPTY);
}

/* ---- all of them ---- */

static const size_t sizes[] = {24, 40};
static const size_t capacities[] = {1, 2, 3, 16};
static const size_t batches[] = {1, 2, BATCH};
enum {
    SIZES = sizeof sizes / sizeof *sizes,
    CAPACITIES = sizeof capacities / sizeof *capacities,
    BATCHES = sizeof batches / sizeof *batches
};

static void for_all(bool filled, int (*child)(void *context),
                    void (*look)(void *context, const void *image))
{
    const struct stepping_death death = {
        .open = scene_open, .close = scene_close, .child = child, .look = look};
    int looks = 0;
    for (size_t i = 0; i < SIZES * CAPACITIES * BATCHES; i++) {
        struct scene scene = {
            .at.element_bytes = sizes[i % SIZES],
            .at.capacity = capacities[i / SIZES % CAPACITIES],
            .batch = batches[i / SIZES / CAPACITIES],
        };
        looks += stepping_over_a_lap(&scene.at, filled ? scene.at.capacity : scene.at.capacity / 2,
                                     &death);
    }
    printf("%d places to die\n", looks);
    assert_true(looks > 0);
}

static void the_consumer_may_die_anywhere(void **state)
{
    (void)state;
    for_all(true, child_pops, look_at_dead_consumer);
}

static void a_producer_may_die_anywhere(void **state)
{
    (void)state;
    for_all(false, child_pushes, look_at_dead_producer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_consumer_may_die_anywhere),
        cmocka_unit_test(a_producer_may_die_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
