#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/random_batches.h"
#include "unit/pump/pump_places.h"

/* A process that sends to another one, with the n-th allocation of either failing, on whichever of
 * its threads that is: what cannot be done says so, nothing hangs, and nothing is leaked. */

enum { TRIES_MOST = 3000, SENDER_LEAST = 100, OWNER_LEAST = 20, BATCHES = 4 };

#define SECOND_NS UINT64_C(1000000000)

static struct {
    _Atomic uint64_t requests;
    _Atomic uint64_t live; /* blocks */
    _Atomic uint64_t failures;
    _Atomic uint64_t fail_at;
} memory;

static void *allocate(void *context, size_t bytes, size_t alignment)
{
    (void)context;
    if (atomic_fetch_add(&memory.requests, 1) + 1 == atomic_load(&memory.fail_at)) {
        atomic_fetch_add(&memory.failures, 1);
        return NULL;
    }
    atomic_fetch_add(&memory.live, 1);
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void release(void *context, void *block, size_t bytes, size_t alignment)
{
    (void)context;
    (void)bytes;
    (void)alignment;
    atomic_fetch_sub(&memory.live, 1);
    free(block);
}

static const struct fletch_allocator allocator = {.allocate = allocate, .release = release};

static const struct place_words words = {.places = 1,
                                         .partitions = 2,
                                         .producers = 1,
                                         .grace_ns = SECOND_NS / 5,
                                         .connect_ns = SECOND_NS / 2,
                                         .backoff_most_ns = SECOND_NS / 50,
                                         .allocator = &allocator};

static enum fletch_status write_rows(struct place *place, struct fletch_error *error)
{
    struct fletch_random random = fletch_random_from_seed(3);
    struct fletch_shuffle_writer *writer;
    struct test_pool pool = test_pool_make();
    enum fletch_status status =
        fletch_shuffle_writer_open(place->test.shuffle, 0, NULL, &writer, error);
    for (int i = 0; i < BATCHES && status == FLETCH_OK; i++) {
        struct fletch_batch *batch = random_batch(&random, pool.cache, place->test.schema, 100);
        status = fletch_shuffle_writer_write(writer, batch, SECOND_NS, error);
        fletch_batch_release(pool.cache, batch);
        if (status == FLETCH_OK)
            status = fletch_shuffle_writer_flush(writer, SECOND_NS, error);
        if (status != FLETCH_OK)
            fletch_shuffle_writer_close(writer);
    }
    if (status == FLETCH_OK) {
        status = fletch_shuffle_writer_end(writer, 2 * SECOND_NS, error);
        fletch_shuffle_writer_close(writer);
    }
    test_pool_end(&pool);
    return status;
}

/* True: no allocation failed. Those of the owner count from when it is registered. */
static bool try(uint64_t fail_at, bool is_of_owner)
{
    static struct place owner, writer;
    struct place_words owner_words = words, writer_words = words;
    struct fletch_error error = {.status = FLETCH_OK};
    *(is_of_owner ? &writer_words.allocator : &owner_words.allocator) = NULL;
    atomic_store(&memory.fail_at, 0);
    place_start(&owner, &owner_words);
    const char *address = fletch_flight_server_location(owner.server);
    assert_ok(place_try_register(&owner, &owner_words, 0, &address, &error));
    atomic_store(&memory.requests, 0);
    atomic_store(&memory.failures, 0);
    atomic_store(&memory.fail_at, fail_at);
    enum fletch_status status = place_try_start(&writer, &writer_words, &error);
    if (status == FLETCH_OK)
        status = place_try_register(&writer, &writer_words, FLETCH_NO_PROCESS, &address, &error);
    if (status == FLETCH_OK)
        status = write_rows(&writer, &error);
    if (status != FLETCH_OK && error.message[0] == '\0')
        fail_msg("allocation %llu: a failure without a word", (unsigned long long)fail_at);
    place_end(&writer);
    place_end(&owner);
    if (atomic_load(&memory.live) != 0)
        fail_msg("allocation %llu: %llu blocks are left", (unsigned long long)fail_at,
                 (unsigned long long)atomic_load(&memory.live));
    bool has_failed = atomic_load(&memory.failures) != 0;
    if (!has_failed && status != FLETCH_OK)
        fail_msg("without a failure: %s", error.message);
    return !has_failed;
}

static void fail_each(bool is_of_owner, uint64_t least)
{
    uint64_t fail_at = 1;
    while (fail_at < TRIES_MOST && !try(fail_at, is_of_owner))
        fail_at++;
    assert_true(fail_at > least && fail_at < TRIES_MOST);
}

static void each_allocation_fails_once(void **state)
{
    (void)state;
    fail_each(false, SENDER_LEAST);
}

static void each_allocation_of_the_owner_fails_once(void **state)
{
    (void)state;
    fail_each(true, OWNER_LEAST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails_once),
        cmocka_unit_test(each_allocation_of_the_owner_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
