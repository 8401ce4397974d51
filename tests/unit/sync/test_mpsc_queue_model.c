#include "sync/mpsc_queue.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/rings.h"

/* Random calls on one thread against a model: what was claimed, what of it is published, and
 * what was popped. Claims stay open for a while and are published in random order, as if other
 * producers were slow. */

static const size_t element_sizes[] = {8, 9, 12, 16, 24, 31, 57, 64, 100, 256, 4095, 4096};
static const size_t capacities[] = {1, 2, 3, 7, 8, 1000, 1024};
static struct test_arguments arguments;

enum { OPEN_MAX = 4, ELEMENTS_MAX = 64 };

struct open_claim {
    uint64_t position;
    uint64_t index;
    size_t count;
};

struct trial {
    struct fletch_mpsc_queue *queue;
    struct fletch_random random;
    size_t element_bytes;
    size_t capacity;
    uint64_t claimed;
    uint64_t popped;
    struct open_claim open[OPEN_MAX];
    size_t open_count;
    char *buffer; /* of ELEMENTS_MAX elements */
};

static uint64_t unread(const struct trial *trial)
{
    return trial->claimed - trial->popped;
}

/* The first index that is claimed and not published. */
static uint64_t held_at(const struct trial *trial)
{
    uint64_t first = trial->claimed;
    for (size_t i = 0; i < trial->open_count; i++)
        if (trial->open[i].index < first)
            first = trial->open[i].index;
    return first;
}

static void fill(const struct trial *trial, uint64_t index, size_t count)
{
    for (size_t i = 0; i < count; i++)
        payload_fill(trial->buffer + i * trial->element_bytes, trial->element_bytes, 0, index + i);
}

static size_t some(struct trial *trial)
{
    uint32_t most = fletch_random_below(&trial->random, 4) == 0 ? ELEMENTS_MAX : 4;
    return 1 + fletch_random_below(&trial->random, most);
}

static void check_pushed(struct trial *trial, enum fletch_answer answer, size_t count)
{
    bool fits = unread(trial) + count <= trial->capacity;
    bool never_fits = count > ring_most(trial->capacity) - unread(trial);
    if (answer != FLETCH_DONE)
        assert_answer(answer, FLETCH_FULL);
    assert_false(fits && answer != FLETCH_DONE);
    assert_false(never_fits && answer == FLETCH_DONE);
    if (answer == FLETCH_DONE)
        trial->claimed += count;
}

static void push_one(struct trial *trial)
{
    fill(trial, trial->claimed, 1);
    check_pushed(trial, fletch_mpsc_queue_try_push(trial->queue, trial->buffer), 1);
}

static void push_batch(struct trial *trial)
{
    size_t count = some(trial);
    fill(trial, trial->claimed, count);
    check_pushed(trial, fletch_mpsc_queue_try_push_many(trial->queue, trial->buffer, count), count);
}

static void open_claim(struct trial *trial)
{
    struct open_claim claim = {.index = trial->claimed, .count = some(trial)};
    if (trial->open_count == OPEN_MAX || claim.count > trial->capacity)
        return;
    enum fletch_answer answer = fletch_mpsc_queue_claim(trial->queue, claim.count, &claim.position);
    check_pushed(trial, answer, claim.count);
    if (answer == FLETCH_DONE)
        trial->open[trial->open_count++] = claim;
}

static void publish_claim(struct trial *trial)
{
    if (trial->open_count == 0)
        return;
    size_t which = fletch_random_below(&trial->random, (uint32_t)trial->open_count);
    struct open_claim claim = trial->open[which];
    trial->open[which] = trial->open[--trial->open_count];
    fill(trial, claim.index, claim.count);
    fletch_mpsc_queue_publish(trial->queue, claim.position, trial->buffer, claim.count);
}

static void pop(struct trial *trial)
{
    size_t wanted = some(trial);
    size_t got;
    uint64_t ready = held_at(trial) - trial->popped;
    enum fletch_answer answer =
        fletch_mpsc_queue_try_pop_many(trial->queue, trial->buffer, wanted, &got);
    assert_true(got == (wanted < ready ? wanted : ready));
    if (ready > 0)
        assert_answer(answer, FLETCH_DONE);
    else
        assert_answer(answer, unread(trial) > 0 ? FLETCH_HELD : FLETCH_EMPTY);
    for (size_t i = 0; i < got; i++)
        assert_true(payload_is(trial->buffer + i * trial->element_bytes, trial->element_bytes, 0,
                               trial->popped + i));
    trial->popped += got;
    if (answer == FLETCH_HELD)
        assert_true(fletch_mpsc_queue_held_position(trial->queue) == trial->popped);
    assert_true(mpsc_statistics(trial->queue).popped == trial->popped);
}

static void (*const producing[])(struct trial *) = {push_one, push_batch, open_claim};
static void (*const finishing[])(struct trial *) = {pop, pop, publish_claim};

static void run(struct trial *trial, uint64_t calls)
{
    uint32_t bias = 50;
    trial->buffer = malloc(ELEMENTS_MAX * trial->element_bytes);
    assert_non_null(trial->buffer);
    for (uint64_t i = 0; i < calls; i++) {
        if (i % 64 == 0)
            bias = 10 + fletch_random_below(&trial->random, 81);
        uint32_t which = fletch_random_below(&trial->random, 3);
        if (fletch_random_below(&trial->random, 100) < bias)
            producing[which](trial);
        else
            finishing[which](trial);
        assert_true(unread(trial) <= ring_most(trial->capacity));
    }
    while (trial->open_count > 0)
        publish_claim(trial);
    while (unread(trial) > 0)
        pop(trial);
    pop(trial);
    free(trial->buffer);
}

static void try_queue(size_t element_bytes, size_t capacity, uint64_t start)
{
    const struct fletch_mpsc_queue_options options = mpsc_options(element_bytes, capacity);
    struct trial trial = {
        .queue = mpsc_new(&options),
        .random = fletch_random_from_seed(arguments.seed ^ element_bytes << 20 ^ capacity),
        .element_bytes = element_bytes,
        .capacity = capacity,
    };
    fletch_mpsc_queue_restart_at(trial.queue, start);
    run(&trial, 1500 * arguments.scale);
    fletch_mpsc_queue_destroy(trial.queue, NULL, NULL);
}

static void random_calls_agree_with_the_model(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof element_sizes / sizeof element_sizes[0]; size++)
        for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++)
            try_queue(element_sizes[size], capacities[i], 0);
}

static void they_do_for_every_small_capacity(void **state)
{
    (void)state;
    for (size_t capacity = 1; capacity <= 80; capacity++)
        try_queue(8, capacity, 0);
}

static void positions_wrap_without_a_trace(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++)
        for (uint64_t k = 0; k <= 20; k++)
            try_queue(8 + k % 3 * 8, capacities[i], UINT64_MAX - 1 - 2 * k); /* even */
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
