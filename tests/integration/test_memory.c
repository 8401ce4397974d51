#include "test_memory.h"

#include <stdio.h>
#include <stdlib.h>

void test_memory_check(enum fletch_status status, const struct fletch_error *error)
{
    if (status == FLETCH_OK)
        return;
    printf("error %s: %s\n", fletch_status_name(status), error->message);
    exit(1);
}

struct test_memory test_memory_begin(const char *name)
{
    const struct fletch_account_options account = {.struct_size = sizeof account, .name = name};
    const struct fletch_buffer_pool_options pool = {.struct_size = sizeof pool};
    struct test_memory memory;
    struct fletch_error error;
    test_memory_check(fletch_budget_create(&account, NULL, &memory.budget, &error), &error);
    test_memory_check(fletch_buffer_pool_create(&pool, NULL, &memory.pool, &error), &error);
    memory.account = fletch_budget_account(memory.budget);
    return memory;
}

void test_memory_end(struct test_memory *memory)
{
    struct fletch_error error;
    test_memory_check(fletch_budget_destroy(memory->budget, &error), &error);
    test_memory_check(fletch_buffer_pool_destroy(memory->pool, &error), &error);
}
