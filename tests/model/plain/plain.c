/* The harnesses' functions on real threads: main runs `harness` again and again. What the library
 * leaves to a model checker (base/cpu.h, futex.h, asymmetric_fence.h, clock.h, thread.h) is here
 * plain C11 and pthreads, without assembler or system calls of our own, so that the same objects
 * could be given to any checker that reads such programs. */

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "../harness.h"
#include "base/asymmetric_fence.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/futex.h"
#include "base/thread.h"

/* ---- the harness's functions ---- */

void harness_start(struct harness_thread *thread, void *(*run)(void *), void *argument)
{
    pthread_t id;
    thread->run = run;
    thread->argument = argument;
    if (pthread_create(&id, NULL, run, argument) != 0)
        harness_fail("pthread_create", __FILE__, __LINE__);
    thread->id = (uint64_t)id;
}

void harness_join(struct harness_thread *thread)
{
    pthread_join((pthread_t)thread->id, NULL);
}

void harness_fail(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: '%s' does not hold\n", file, line, condition);
    abort();
}

void harness_pause(void)
{
    sched_yield();
}

void harness_ignore(const void *address, size_t bytes)
{
    (void)address;
    (void)bytes;
}

void harness_outcome(uint64_t outcome)
{
    (void)outcome;
}

/* ---- what the library leaves to a model checker ---- */

void fletch_cpu_relax(void)
{
    sched_yield();
}

uint32_t fletch_cpu_current(void)
{
    return 0;
}

void fletch_thread_yield(void)
{
    sched_yield();
}

enum fletch_fence_kind fletch_fence_kind_of_process(void)
{
    return FLETCH_FENCE_ASYMMETRIC;
}

void fletch_fence_light(void)
{
    fence_seq_cst();
}

bool fletch_fence_heavy(void)
{
    fence_seq_cst();
    return true;
}

uint64_t fletch_clock_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* A futex for all words together: whoever wakes one wakes all, which a futex may do. */
static pthread_mutex_t futex_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t futex_woken;

bool fletch_futex_wait(_Atomic uint32_t *address, uint32_t expected, uint64_t deadline_ns,
                       bool shared)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / UINT64_C(1000000000)),
                                .tv_nsec = (long)(deadline_ns % UINT64_C(1000000000))};
    int failure = 0;
    (void)shared;
    pthread_mutex_lock(&futex_mutex);
    if (load_relaxed(address) == expected) { /* relaxed: the mutex orders it */
        if (deadline_ns == FLETCH_NO_DEADLINE)
            pthread_cond_wait(&futex_woken, &futex_mutex);
        else
            failure = pthread_cond_timedwait(&futex_woken, &futex_mutex, &deadline);
    }
    pthread_mutex_unlock(&futex_mutex);
    return failure == 0;
}

void fletch_futex_wake(_Atomic uint32_t *address, uint32_t count, bool shared)
{
    (void)address;
    (void)count;
    (void)shared;
    pthread_mutex_lock(&futex_mutex);
    pthread_cond_broadcast(&futex_woken);
    pthread_mutex_unlock(&futex_mutex);
}

static void make_futex(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&futex_woken, &attributes);
    pthread_condattr_destroy(&attributes);
}

int main(int argument_count, char **arguments)
{
    unsigned long times = argument_count > 1 ? strtoul(arguments[1], NULL, 10) : 2000;
    make_futex();
    for (unsigned long i = 0; i < times; i++)
        harness();
    printf("%lu executions\n", times);
    return times == 0;
}
