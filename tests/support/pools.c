#include "support/pools.h"

#include <string.h>

#include "support/cmocka_tests.h"

struct test_pool test_pool_make(void)
{
    struct test_pool made;
    struct fletch_buffer_pool_options pool_options = {.struct_size = sizeof pool_options};
    struct fletch_account_options account_options = {.struct_size = sizeof account_options,
                                                     .name = "process"};
    assert_ok(fletch_buffer_pool_create(&pool_options, NULL, &made.pool, NULL));
    assert_ok(fletch_buffer_cache_open(made.pool, &made.cache, NULL));
    assert_ok(fletch_budget_create(&account_options, NULL, &made.budget, NULL));
    made.account = fletch_budget_account(made.budget);
    return made;
}

void test_pool_end(struct test_pool *pool)
{
    struct fletch_error error;
    if (fletch_budget_destroy(pool->budget, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    fletch_buffer_cache_close(pool->cache);
    if (fletch_buffer_pool_destroy(pool->pool, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
}

uint64_t account_used_bytes(const struct fletch_account *account)
{
    struct fletch_budget_statistics statistics = {.struct_size = sizeof statistics};
    fletch_account_statistics(account, &statistics);
    return statistics.used_bytes;
}

struct fletch_account *account_make(struct fletch_account *parent, const char *name,
                                    uint64_t limit_bytes, uint64_t step_bytes)
{
    struct fletch_account *account;
    struct fletch_account_options options = {.struct_size = sizeof options,
                                             .name = name,
                                             .limit_bytes = limit_bytes,
                                             .step_bytes = step_bytes};
    assert_ok(fletch_account_open(parent, &options, &account, NULL));
    return account;
}

struct fletch_buffer *buffer_filled(struct test_pool *pool, size_t bytes, uint8_t value)
{
    struct fletch_buffer *buffer;
    assert_ok(fletch_buffer_allocate(pool->cache, bytes, pool->account, &buffer, NULL));
    memset(fletch_buffer_mutable_data(buffer), value, bytes);
    return buffer;
}

struct fletch_pool_statistics pool_statistics(const struct fletch_buffer_pool *pool)
{
    struct fletch_pool_statistics statistics = {.struct_size = sizeof statistics};
    fletch_buffer_pool_statistics(pool, &statistics);
    return statistics;
}
