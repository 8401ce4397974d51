#include "sync/spsc_ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"

/* Random calls on one thread against a model of the queue: two numbers, since the payload of an
 * element follows from its index. After each call: the order and the bytes are right, FULL came
 * with at least `capacity` unread elements, and never are more unread than an eighth above that. */

static const size_t element_sizes[] = {8, 9, 12, 16, 24, 31, 57, 64, 100, 256, 4095, 4096};
static const size_t capacities[] = {1, 2, 3, 7, 8, 1000, 1024};
static struct test_arguments arguments;

struct trial {
    struct fletch_spsc_ring *ring;
    struct fletch_random random;
    size_t element_bytes;
    size_t capacity;
    uint64_t pushed;
    uint64_t popped;
    char *buffer; /* of batch_most elements */
    size_t batch_most;
};

static uint64_t unread(const struct trial *trial)
{
    return trial->pushed - trial->popped;
}

static void check_bounds(const struct trial *trial)
{
    assert_true(unread(trial) <= ring_most(trial->capacity));
    struct fletch_ring_statistics statistics = spsc_statistics(trial->ring);
    assert_true(statistics.pushed == trial->pushed);
    assert_true(statistics.popped == trial->popped);
}

/* What a call that wanted to add `wanted` elements and added `added` says about the room. */
static void check_added(struct trial *trial, enum fletch_answer answer, uint64_t wanted,
                        uint64_t added)
{
    assert_answer(answer, added > 0 ? FLETCH_DONE : FLETCH_FULL);
    assert_true(added <= wanted);
    trial->pushed += added;
    if (added < wanted)
        assert_true(unread(trial) >= trial->capacity);
}

static void fill(const struct trial *trial, char *run, size_t stride, uint64_t index, size_t count)
{
    for (size_t i = 0; i < count; i++)
        payload_fill(run + i * stride, trial->element_bytes, 0, index + i);
}

static void verify(const struct trial *trial, const char *run, size_t stride, uint64_t index,
                   size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(payload_is(run + i * stride, trial->element_bytes, 0, index + i));
}

static size_t some(struct trial *trial)
{
    /* Mostly a few, sometimes more than fit. */
    size_t most = trial->batch_most;
    if (most > 4 && fletch_random_below(&trial->random, 4) != 0)
        most = 4;
    return 1 + fletch_random_below(&trial->random, (uint32_t)most);
}

static void push_one(struct trial *trial)
{
    fill(trial, trial->buffer, trial->element_bytes, trial->pushed, 1);
    enum fletch_answer answer = fletch_spsc_ring_try_push(trial->ring, trial->buffer);
    check_added(trial, answer, 1, answer == FLETCH_DONE);
}

static void push_some(struct trial *trial)
{
    size_t wanted = some(trial);
    size_t added;
    fill(trial, trial->buffer, trial->element_bytes, trial->pushed, wanted);
    enum fletch_answer answer =
        fletch_spsc_ring_try_push_many(trial->ring, trial->buffer, wanted, &added);
    check_added(trial, answer, wanted, added);
}

static void fill_in_place(struct trial *trial)
{
    struct fletch_ring_spans spans;
    size_t wanted = some(trial);
    enum fletch_answer answer = fletch_spsc_ring_try_claim(trial->ring, wanted, &spans);
    size_t got = answer == FLETCH_DONE ? spans.first_count + spans.second_count : 0;
    if (got < wanted)
        assert_true(unread(trial) + got >= trial->capacity);
    assert_true(unread(trial) + got <= ring_most(trial->capacity));
    if (got == 0) {
        assert_answer(answer, FLETCH_FULL);
        return;
    }
    fill(trial, spans.first, spans.stride_bytes, trial->pushed, spans.first_count);
    fill(trial, spans.second, spans.stride_bytes, trial->pushed + spans.first_count,
         spans.second_count);
    size_t published = fletch_random_below(&trial->random, (uint32_t)got + 1);
    fletch_spsc_ring_commit(trial->ring, published);
    trial->pushed += published;
}

static void pop_one(struct trial *trial)
{
    enum fletch_answer answer = fletch_spsc_ring_try_pop(trial->ring, trial->buffer);
    assert_answer(answer, unread(trial) > 0 ? FLETCH_DONE : FLETCH_EMPTY);
    if (answer != FLETCH_DONE)
        return;
    verify(trial, trial->buffer, trial->element_bytes, trial->popped, 1);
    trial->popped++;
}

static void pop_some(struct trial *trial)
{
    size_t wanted = some(trial);
    size_t got;
    enum fletch_answer answer =
        fletch_spsc_ring_try_pop_many(trial->ring, trial->buffer, wanted, &got);
    assert_answer(answer, unread(trial) > 0 ? FLETCH_DONE : FLETCH_EMPTY);
    assert_true(got == (wanted < unread(trial) ? wanted : unread(trial)));
    verify(trial, trial->buffer, trial->element_bytes, trial->popped, got);
    trial->popped += got;
}

static void read_in_place(struct trial *trial)
{
    struct fletch_ring_spans spans;
    size_t wanted = some(trial);
    enum fletch_answer answer = fletch_spsc_ring_try_peek(trial->ring, wanted, &spans);
    assert_answer(answer, unread(trial) > 0 ? FLETCH_DONE : FLETCH_EMPTY);
    if (answer != FLETCH_DONE)
        return;
    size_t got = spans.first_count + spans.second_count;
    assert_true(got == (wanted < unread(trial) ? wanted : unread(trial)));
    verify(trial, spans.first, spans.stride_bytes, trial->popped, spans.first_count);
    verify(trial, spans.second, spans.stride_bytes, trial->popped + spans.first_count,
           spans.second_count);
    size_t taken = fletch_random_below(&trial->random, (uint32_t)got + 1);
    fletch_spsc_ring_release(trial->ring, taken);
    trial->popped += taken;
}

static void (*const producing[])(struct trial *) = {push_one, push_some, fill_in_place};
static void (*const consuming[])(struct trial *) = {pop_one, pop_some, read_in_place};

static void run(struct trial *trial, uint64_t calls)
{
    /* The bias moves, so that the ring is found empty, full and between. */
    uint32_t bias = 50;
    trial->batch_most = ring_most(trial->capacity) + 3;
    trial->buffer = malloc(trial->batch_most * trial->element_bytes);
    assert_non_null(trial->buffer);
    for (uint64_t i = 0; i < calls; i++) {
        if (i % 64 == 0)
            bias = 10 + fletch_random_below(&trial->random, 81);
        uint32_t which = fletch_random_below(&trial->random, 3);
        if (fletch_random_below(&trial->random, 100) < bias)
            producing[which](trial);
        else
            consuming[which](trial);
        check_bounds(trial);
    }
    while (unread(trial) > 0)
        pop_one(trial);
    pop_one(trial);
    free(trial->buffer);
}

static void try_ring(enum fletch_ring_form form, size_t element_bytes, size_t capacity,
                     uint64_t start)
{
    const struct fletch_spsc_ring_options options = spsc_options(form, element_bytes, capacity);
    struct trial trial = {
        .ring = spsc_new(&options),
        .random = fletch_random_from_seed(arguments.seed ^ element_bytes << 20 ^ capacity),
        .element_bytes = element_bytes,
        .capacity = capacity,
    };
    fletch_spsc_ring_restart_at(trial.ring, start);
    run(&trial, 1500 * arguments.scale);
    fletch_spsc_ring_destroy(trial.ring, NULL, NULL);
}

static void random_calls_agree_with_the_model(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++)
        for (size_t size = 0; size < sizeof element_sizes / sizeof element_sizes[0]; size++)
            for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++)
                try_ring(ring_forms[form], element_sizes[size], capacities[i], 0);
}

static void they_do_for_every_small_capacity(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++)
        for (size_t capacity = 1; capacity <= 80; capacity++)
            try_ring(ring_forms[form], 8, capacity, 0);
}

static void positions_wrap_without_a_trace(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++)
        for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++)
            for (uint64_t k = 0; k <= 20; k++)
                try_ring(ring_forms[form], 8 + k % 3 * 8, capacities[i], UINT64_MAX - k);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_calls_agree_with_the_model),
        cmocka_unit_test(they_do_for_every_small_capacity),
        cmocka_unit_test(positions_wrap_without_a_trace),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
