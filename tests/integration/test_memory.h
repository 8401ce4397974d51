#ifndef FLETCH_TESTS_INTEGRATION_TEST_MEMORY_H
#define FLETCH_TESTS_INTEGRATION_TEST_MEMORY_H

/* Memory of a program that tests run, which says by its status whether all of it has come back. */

#include <fletching/budget.h>
#include <fletching/buffer_pool.h>

struct test_memory {
    struct fletch_budget *budget;
    struct fletch_account *account;
    struct fletch_buffer_pool *pool;
};

struct test_memory test_memory_begin(const char *name);

/* Ends the program where something is left. */
void test_memory_end(struct test_memory *memory);

/* Ends the program, with "error STATUS: text", unless `status` is OK. */
void test_memory_check(enum fletch_status status, const struct fletch_error *error);

#endif
