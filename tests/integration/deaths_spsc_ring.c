#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"
#include "support/shared_memory.h"
#include "support/stepping.h"

/* A ring in shared memory whose one side dies within a call, after any of its instructions: what
 * the other side then has, and whoever takes the place of the dead one. */

enum { SIZE_MOST = 40, BATCH = 3 };

enum call { CALL_SINGLE, CALL_MANY, CALL_IN_PLACE, CALLS };

struct scene {
    struct stepping_scene at; /* first */
    enum fletch_ring_form form;
    enum call call;
    struct fletch_spsc_ring *ring; /* the one that the child changes */
    void *scratch;                 /* for a copy of it */
};

static void push_index(struct fletch_spsc_ring *ring, size_t element_bytes, uint64_t index)
{
    char element[SIZE_MOST];
    payload_fill(element, element_bytes, 0, index);
    assert_answer(fletch_spsc_ring_try_push(ring, element), FLETCH_DONE);
}

static void pop_index(struct fletch_spsc_ring *ring, size_t element_bytes, uint64_t index)
{
    char element[SIZE_MOST];
    assert_answer(fletch_spsc_ring_try_pop(ring, element), FLETCH_DONE);
    assert_true(payload_is(element, element_bytes, 0, index));
}

static void scene_open(void *context)
{
    struct scene *scene = context;
    struct fletch_spsc_ring_options options =
        spsc_options(scene->form, scene->at.element_bytes, scene->at.capacity);
    struct fletch_error error;
    size_t bytes;
    options.sharing = FLETCH_SHARING_HOST;
    assert_ok(fletch_spsc_ring_bytes(&options, &bytes, &error));
    scene->at.memory = shared_memory_map(bytes);
    scene->scratch = aligned_alloc(fletch_spsc_ring_alignment(), bytes);
    assert_non_null(scene->at.memory.first);
    assert_non_null(scene->scratch);
    assert_ok(fletch_spsc_ring_init(scene->at.memory.first, bytes, &options, &scene->ring, &error));
    for (uint64_t i = 0; i < scene->at.popped; i++) {
        push_index(scene->ring, scene->at.element_bytes, i);
        pop_index(scene->ring, scene->at.element_bytes, i);
    }
    for (uint64_t i = scene->at.popped; i < scene->at.pushed; i++)
        push_index(scene->ring, scene->at.element_bytes, i);
}

static void scene_close(void *context)
{
    struct scene *scene = context;
    fletch_spsc_ring_deinit(scene->ring, NULL, NULL);
    shared_memory_unmap(&scene->at.memory);
    free(scene->scratch);
}

/* The ring that was left, for those who live on. Nobody is at its ends, whatever a guard says. */
static struct fletch_spsc_ring *copy_of(struct scene *scene, const void *image)
{
    struct fletch_spsc_ring *ring;
    struct fletch_error error;
    memcpy(scene->scratch, image, scene->at.memory.bytes);
    assert_ok(fletch_spsc_ring_attach(scene->scratch, scene->at.memory.bytes, &ring, &error));
    store_relaxed(&ring->producer.guard.entered, 0);
    store_relaxed(&ring->consumer.guard.entered, 0);
    return ring;
}

static size_t count_of(enum call call)
{
    return call == CALL_SINGLE ? 1 : BATCH;
}

/* ---- a consumer that dies ---- */

static int child_pops(void *context)
{
    struct scene *scene = context;
    char elements[BATCH * SIZE_MOST];
    struct fletch_ring_spans spans;
    size_t popped;
    if (scene->call == CALL_SINGLE)
        return (int)fletch_spsc_ring_try_pop(scene->ring, elements);
    if (scene->call == CALL_MANY)
        return (int)fletch_spsc_ring_try_pop_many(scene->ring, elements, BATCH, &popped);
    if (fletch_spsc_ring_try_peek(scene->ring, BATCH, &spans) == FLETCH_DONE)
        fletch_spsc_ring_release(scene->ring, spans.first_count + spans.second_count);
    return 0;
}

/* Whatever the dead one was about: its successor goes on with the same element or a later one of
 * the call, in order; and the producer never finds the ring full with less than the capacity in it,
 * where what the dead one was about counts until the first call of its successor, who begins with
 * `first` pops. */
static void succeed_consumer(struct scene *scene, const void *image, uint64_t first)
{
    struct fletch_spsc_ring *ring = copy_of(scene, image);
    char element[SIZE_MOST];
    uint64_t popped = spsc_statistics(ring).popped;
    uint64_t pushed = scene->at.pushed;
    assert_true(popped >= scene->at.popped && popped <= scene->at.popped + count_of(scene->call));
    for (uint64_t i = 0; i < first && popped < pushed; i++)
        pop_index(ring, scene->at.element_bytes, popped++);
    bool returned = first > 0 || popped == pushed;
    if (popped == pushed)
        assert_answer(fletch_spsc_ring_try_pop(ring, element), FLETCH_EMPTY);
    payload_fill(element, scene->at.element_bytes, 0, pushed);
    while (fletch_spsc_ring_try_push(ring, element) == FLETCH_DONE)
        payload_fill(element, scene->at.element_bytes, 0, ++pushed);
    assert_true(pushed - popped <= ring_most(scene->at.capacity));
    assert_true(pushed - (returned ? popped : scene->at.popped) >= scene->at.capacity);
    while (popped < pushed)
        pop_index(ring, scene->at.element_bytes, popped++);
    assert_answer(fletch_spsc_ring_try_pop(ring, element), FLETCH_EMPTY);
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
    struct fletch_ring_spans spans;
    size_t pushed;
    for (size_t i = 0; i < BATCH; i++)
        payload_fill(elements + i * scene->at.element_bytes, scene->at.element_bytes, 0,
                     scene->at.pushed + i);
    if (scene->call == CALL_SINGLE)
        return (int)fletch_spsc_ring_try_push(scene->ring, elements);
    if (scene->call == CALL_MANY)
        return (int)fletch_spsc_ring_try_push_many(scene->ring, elements, BATCH, &pushed);
    if (fletch_spsc_ring_try_claim(scene->ring, 1, &spans) == FLETCH_DONE) {
        payload_fill(spans.first, scene->at.element_bytes, 0, scene->at.pushed);
        fletch_spsc_ring_commit(scene->ring, 1);
    }
    return 0;
}

/* All that was pushed before is there, of the last call as much as was published, whole and in
 * order; and the end can be closed. */
static void look_at_dead_producer(void *context, const void *image)
{
    struct scene *scene = context;
    struct fletch_spsc_ring *ring = copy_of(scene, image);
    char element[SIZE_MOST];
    uint64_t popped = scene->at.popped;
    enum fletch_answer answer;
    for (; (answer = fletch_spsc_ring_try_pop(ring, element)) == FLETCH_DONE; popped++)
        assert_true(payload_is(element, scene->at.element_bytes, 0, popped));
    assert_answer(answer, FLETCH_EMPTY);
    assert_in_range(popped, scene->at.pushed, scene->at.pushed + count_of(scene->call));
    fletch_spsc_ring_close(ring);
    assert_answer(fletch_spsc_ring_try_pop(ring, element), FLETCH_CLOSED);
}

/* ---- all of them ---- */

static const size_t sizes[] = {24, 40};
static const size_t capacities[] = {1, 2, 16};
enum { SIZES = sizeof sizes / sizeof *sizes, CAPACITIES = sizeof capacities / sizeof *capacities };

static void for_all(bool filled, int (*child)(void *context),
                    void (*look)(void *context, const void *image))
{
    const struct stepping_death death = {
        .open = scene_open, .close = scene_close, .child = child, .look = look};
    int looks = 0;
    for (size_t i = 0; i < RING_FORMS * SIZES * CAPACITIES * CALLS; i++) {
        struct scene scene = {
            .form = ring_forms[i % RING_FORMS],
            .at.element_bytes = sizes[i / RING_FORMS % SIZES],
            .at.capacity = capacities[i / RING_FORMS / SIZES % CAPACITIES],
            .call = (enum call)(i / RING_FORMS / SIZES / CAPACITIES),
        };
        looks += stepping_over_a_lap(&scene.at, filled ? scene.at.capacity : scene.at.capacity / 2,
                                     &death);
    }
    printf("%d places to die\n", looks);
    assert_true(looks > 0);
}

static void a_consumer_may_die_anywhere(void **state)
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
        cmocka_unit_test(a_consumer_may_die_anywhere),
        cmocka_unit_test(a_producer_may_die_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
