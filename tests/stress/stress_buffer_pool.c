#include <fletching/fletching.h>

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "memory/buffer.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/team.h"

/* Threads that allocate, fill, pass on, slice, read and release buffers of all kinds through caches
 * that come and go, while memory is trimmed. No two ever have the same bytes; at the end every
 * block and every byte of the budget is back. */

enum { WORKERS = 4, SHELVES = 32, ROUNDS = 20000 };

static struct test_arguments arguments;

struct market {
    struct test_pool pool;
    struct fletch_account *delivered;
    _Atomic(struct fletch_buffer *) shelves[SHELVES]; /* buffers that wait for anybody */
    _Atomic uint64_t foreign_out;
};

struct worker {
    struct market *market;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
    struct jitter jitter;
    uint64_t torn;
    uint64_t failed;
};

/* Each word of a buffer is made of its address: whoever writes to memory that is not its own
 * breaks one, and so does who reads too early. */
static uint64_t word_at(const uint64_t *address)
{
    return (uint64_t)(uintptr_t)address * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(struct fletch_buffer *buffer)
{
    uint64_t *words = (uint64_t *)(void *)buffer->data;
    for (size_t i = 0; i < buffer->bytes / 8; i += 1 + i / 16)
        words[i] = word_at(&words[i]);
}

/* A slice may begin at any word: only its first ones are looked at. */
static bool is_whole(const struct fletch_buffer *buffer, bool is_slice)
{
    const uint64_t *words = (const uint64_t *)(const void *)buffer->data;
    size_t count = is_slice ? 1 : buffer->bytes / 8;
    for (size_t i = 0; i < count; i += 1 + i / 16)
        if (words[i] != word_at(&words[i]))
            return false;
    return true;
}

static size_t random_bytes(struct worker *worker)
{
    static const size_t most[] = {64, 1000, 20000, 100000, 2500000};
    uint32_t kind = fletch_random_below(&worker->jitter.random, 64);
    size_t at = kind < 30 ? 0 : kind < 50 ? 1 : kind < 60 ? 2 : kind < 63 ? 3 : 4;
    return 8 + fletch_random_below(&worker->jitter.random, (uint32_t)most[at]);
}

static void free_foreign(void *context)
{
    struct market *market = *(struct market **)context;
    fetch_sub_relaxed(&market->foreign_out, 1);
    free(context);
}

static struct fletch_buffer *wrap_foreign(struct worker *worker)
{
    size_t bytes = 8 * (2 + fletch_random_below(&worker->jitter.random, 30));
    char *memory = aligned_alloc(8, bytes);
    struct fletch_buffer *buffer = NULL;
    *(struct market **)(void *)memory = worker->market;
    fetch_add_relaxed(&worker->market->foreign_out, 1);
    const struct fletch_foreign_memory foreign = {
        .data = memory + 8, .bytes = bytes - 8, .release = free_foreign, .context = memory};
    worker->failed +=
        fletch_buffer_wrap(worker->cache, &foreign, worker->account, &buffer, NULL) != FLETCH_OK;
    fill(buffer);
    return buffer;
}

static struct fletch_buffer *make_buffer(struct worker *worker)
{
    struct fletch_buffer *buffer = NULL;
    if (fletch_random_below(&worker->jitter.random, 8) == 0)
        return wrap_foreign(worker);
    worker->failed += fletch_buffer_allocate(worker->cache, random_bytes(worker), worker->account,
                                             &buffer, NULL) != FLETCH_OK;
    fill(buffer);
    return buffer;
}

/* The buffer, or a slice of it instead. */
static struct fletch_buffer *perhaps_slice(struct worker *worker, struct fletch_buffer *buffer)
{
    struct fletch_buffer *slice;
    if (buffer->bytes < 16 || fletch_random_below(&worker->jitter.random, 4) != 0)
        return buffer;
    struct fletch_buffer_range range = {.offset = 8, .bytes = 8};
    if (fletch_buffer_slice(worker->cache, buffer, range, &slice, NULL) != FLETCH_OK) {
        worker->failed++;
        return buffer;
    }
    fletch_buffer_release(worker->cache, buffer);
    return slice;
}

static void put_away(struct worker *worker, struct fletch_buffer *buffer)
{
    uint32_t choice = fletch_random_below(&worker->jitter.random, 8);
    bool is_slice = buffer->kind == FLETCH_BUFFER_SLICE;
    worker->torn += !is_whole(buffer, is_slice);
    if (choice == 0)
        worker->failed +=
            fletch_buffer_transfer(buffer, worker->market->delivered, 0, NULL) != FLETCH_OK;
    if (choice == 1) {
        fletch_buffer_acquire(buffer);
        jitter_step(&worker->jitter);
        fletch_buffer_release(worker->cache, buffer);
    }
    fletch_buffer_release(choice < 4 ? NULL : worker->cache, buffer);
}

/* What a thread does with its cache now and then. */
static void tend(struct worker *worker)
{
    struct fletch_buffer_pool *pool = worker->market->pool.pool;
    switch (fletch_random_below(&worker->jitter.random, 256)) {
    case 0:
        fletch_buffer_cache_close(worker->cache);
        worker->failed += fletch_buffer_cache_open(pool, &worker->cache, NULL) != FLETCH_OK;
        break;
    case 1:
        fletch_buffer_cache_idle(worker->cache);
        break;
    case 2:
        fletch_buffer_pool_trim(pool, worker->cache);
        break;
    case 3:
        fletch_buffer_pool_idle(pool);
        break;
    default:
        break;
    }
}

static void work(void *context)
{
    struct worker *worker = context;
    struct market *market = worker->market;
    worker->failed +=
        fletch_buffer_cache_open(market->pool.pool, &worker->cache, NULL) != FLETCH_OK;
    for (uint64_t i = 0; i < ROUNDS * arguments.scale && worker->failed == 0; i++) {
        struct fletch_buffer *buffer = perhaps_slice(worker, make_buffer(worker));
        size_t shelf = fletch_random_below(&worker->jitter.random, SHELVES);
        jitter_step(&worker->jitter);
        buffer = exchange_acq_rel(&market->shelves[shelf], buffer);
        if (buffer != NULL)
            put_away(worker, buffer);
        tend(worker);
    }
    fletch_buffer_cache_close(worker->cache);
}

static void every_block_and_every_byte_comes_back(void **state)
{
    static struct market market;
    struct worker workers[WORKERS];
    struct team_role roles[WORKERS];
    (void)state;
    market.pool = test_pool_make();
    market.delivered = account_make(market.pool.account, "delivered", 0, 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){
            .market = &market,
            .account = account_make(market.pool.account, "worker", 0, i % 2 == 0 ? 0 : 100000),
            .jitter = jitter_from_seed(arguments.seed + i, 64)};
        roles[i] = (struct team_role){.run = work, .context = &workers[i]};
    }
    team_run(roles, WORKERS);
    for (size_t i = 0; i < SHELVES; i++)
        fletch_buffer_release(NULL, load_acquire(&market.shelves[i]));
    for (size_t i = 0; i < WORKERS; i++) {
        assert_true(workers[i].torn == 0);
        assert_true(workers[i].failed == 0);
        assert_int_equal(account_used_bytes(workers[i].account), 0);
        fletch_account_close(workers[i].account);
    }
    assert_int_equal(account_used_bytes(market.delivered), 0);
    fletch_account_close(market.delivered);
    assert_int_equal(load_relaxed(&market.foreign_out), 0);
    test_pool_end(&market.pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_and_every_byte_comes_back),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
