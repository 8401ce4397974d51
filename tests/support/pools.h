#ifndef FLETCH_TESTS_SUPPORT_POOLS_H
#define FLETCH_TESTS_SUPPORT_POOLS_H

#include <fletching/fletching.h>

#include <stdint.h>

/* A pool with a cache and a budget, as most tests of buffers need them. Making one that fails, and
 * ending one of which a buffer or a byte is missing, fails the test that does so. */
struct test_pool {
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    struct fletch_budget *budget;
    struct fletch_account *account; /* the topmost one, without a limit */
};

struct test_pool test_pool_make(void);

/* Everything has come back: the budget is at zero and the pool has all its blocks. */
void test_pool_end(struct test_pool *pool);

/* Bytes charged to an account. */
uint64_t account_used_bytes(const struct fletch_account *account);

/* An account below `parent`; limit 0: none. */
struct fletch_account *account_make(struct fletch_account *parent, const char *name,
                                    uint64_t limit_bytes, uint64_t step_bytes);

/* A buffer of `bytes` bytes that are all `value`. */
struct fletch_buffer *buffer_filled(struct test_pool *pool, size_t bytes, uint8_t value);

/* What the pool has from the system. */
struct fletch_pool_statistics pool_statistics(const struct fletch_buffer_pool *pool);

#endif
