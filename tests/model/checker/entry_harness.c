/* The harness's functions, and those that src/base leaves to a model checker. */

#include <pthread.h>

#include "../harness.h"
#include "actions.h"
#include "base/asymmetric_fence.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/futex.h"
#include "base/thread.h"
#include "checker.h"
#include "run.h"

#define HERE() (mc_self()->code = __builtin_return_address(0))

enum fletch_fence_kind mc_fence_kind = FLETCH_FENCE_ASYMMETRIC;

void harness_start(struct harness_thread *thread, void *(*run)(void *), void *argument)
{
    HERE();
    thread->id = (uint64_t)mc_thread_create(run, argument);
}

void harness_join(struct harness_thread *thread)
{
    HERE();
    mc_thread_join((int)thread->id);
}

void harness_fail(const char *condition, const char *file, int line)
{
    const char *name = file;
    for (const char *at = file; *at != '\0'; at++)
        if (*at == '/')
            name = at + 1;
    mc_fail(MC_ASSERTION, "%s, %s:%d", condition, name, line);
}

void harness_pause(void)
{
    HERE();
    mc_pause();
}

void harness_ignore(const void *address, size_t bytes)
{
    mc_ignore((uintptr_t)address, bytes);
}

void harness_outcome(uint64_t outcome)
{
    mc_outcome(outcome);
}

void fletch_cpu_relax(void)
{
    HERE();
    mc_pause();
}

uint32_t fletch_cpu_current(void)
{
    return 0;
}

void fletch_thread_yield(void)
{
    HERE();
    mc_pause();
}

void fletch_fence_light(void)
{
    HERE();
    mc_fence_light();
}

bool fletch_fence_heavy(void)
{
    HERE();
    mc_fence_heavy();
    return true;
}

enum fletch_fence_kind fletch_fence_kind_of_process(void)
{
    return mc_fence_kind;
}

bool fletch_futex_wait(_Atomic uint32_t *address, uint32_t expected, uint64_t deadline_ns,
                       bool shared)
{
    (void)shared;
    HERE();
    return mc_futex_wait((uintptr_t)address, expected, deadline_ns != FLETCH_NO_DEADLINE);
}

void fletch_futex_wake(_Atomic uint32_t *address, uint32_t count, bool shared)
{
    (void)shared;
    HERE();
    mc_futex_wake((uintptr_t)address, count);
}

uint64_t fletch_clock_now_ns(void)
{
    return mc_clock_ns();
}
