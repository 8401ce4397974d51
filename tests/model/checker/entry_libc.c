/* Functions of the C library that the code under check calls. The linker's --wrap leads most of
 * them here; those that copy have other names for the code under check (-Dmemcpy=mc_memcpy), since
 * the checker itself copies within executions. Copies that the compiler makes are told by it. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "actions.h"
#include "fiber.h"
#include "report.h"
#include "run.h"

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void __real_free(void *memory);

#define HERE() (mc_self()->code = __builtin_return_address(0))

static bool is_checked(void)
{
    return mc_fiber_current() != MC_FIBER_SEARCH;
}

/* ---- memory ---- */

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    if (!is_checked())
        return __real_aligned_alloc(alignment, bytes);
    HERE();
    struct mc_toucher who = mc_run_toucher();
    return mc_heap_allocate(&who, bytes, alignment);
}

void *__wrap_malloc(size_t bytes)
{
    if (!is_checked())
        return __real_malloc(bytes);
    HERE();
    struct mc_toucher who = mc_run_toucher();
    return mc_heap_allocate(&who, bytes, 16);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    if (!is_checked())
        return __real_calloc(count, bytes);
    HERE();
    struct mc_toucher who = mc_run_toucher();
    void *memory = mc_heap_allocate(&who, count * bytes, 16);
    mc_plain((uintptr_t)memory, count * bytes, MC_PLAIN_WRITE);
    return memset(memory, 0, count * bytes);
}

void __wrap_free(void *memory)
{
    if (!is_checked()) {
        __real_free(memory);
        return;
    }
    HERE();
    struct mc_toucher who = mc_run_toucher();
    if (memory != NULL)
        mc_heap_free(&who, memory);
}

static void tell_copy(void *to, const void *from, size_t bytes)
{
    mc_plain((uintptr_t)from, bytes, MC_COPY_READ);
    mc_plain((uintptr_t)to, bytes, MC_PLAIN_WRITE);
    mc_memory_copied((uintptr_t)to, (uintptr_t)from, bytes);
}

void *mc_memcpy(void *to, const void *from, size_t bytes)
{
    HERE();
    tell_copy(to, from, bytes);
    return memcpy(to, from, bytes);
}

void *mc_memmove(void *to, const void *from, size_t bytes)
{
    HERE();
    tell_copy(to, from, bytes);
    return memmove(to, from, bytes);
}

void *mc_memset(void *to, int byte, size_t bytes)
{
    HERE();
    mc_plain((uintptr_t)to, bytes, MC_PLAIN_WRITE);
    return memset(to, byte, bytes);
}

/* Some compilers call these. */
void *__tsan_memcpy(void *to, const void *from, size_t bytes)
{
    return mc_memcpy(to, from, bytes);
}

void *__tsan_memmove(void *to, const void *from, size_t bytes)
{
    return mc_memmove(to, from, bytes);
}

void *__tsan_memset(void *to, int byte, size_t bytes)
{
    return mc_memset(to, byte, bytes);
}

/* ---- threads ---- */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument)
{
    (void)attributes;
    HERE();
    *thread = (pthread_t)mc_thread_create(run, argument);
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **out_result)
{
    HERE();
    void *result = mc_thread_join((int)thread);
    if (out_result != NULL)
        *out_result = result;
    return 0;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    HERE();
    mc_mutex_lock((uintptr_t)mutex);
    return 0;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    HERE();
    mc_mutex_unlock((uintptr_t)mutex);
    return 0;
}

void __wrap___assert_fail(const char *condition, const char *file, unsigned line,
                          const char *function)
{
    const char *name = strrchr(file, '/');
    mc_fail(MC_ASSERTION, "%s, %s, %s:%u", condition, function, name == NULL ? file : name + 1,
            line);
}
