#include "bench_threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum gate { GATE_SHUT, GATE_OPEN, GATE_OFF };

/* A thread on its way to its work. */
struct starter {
    const struct bench_thread *thread;
    _Atomic int *gate;
};

uint64_t bench_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* The processors of the thread that starts the others, which is never pinned itself. Where there
 * are more than a cpu_set_t can name, it counts as one: nothing is pinned then. */
static uint32_t allowed(cpu_set_t *out_set)
{
    CPU_ZERO(out_set);
    if (sched_getaffinity(0, sizeof *out_set, out_set) != 0)
        return 1;
    return (uint32_t)CPU_COUNT(out_set);
}

uint32_t bench_processor_count(void)
{
    cpu_set_t set;
    return allowed(&set);
}

bool bench_is_pinned(uint32_t thread_count)
{
    return thread_count > 1 && bench_processor_count() >= thread_count;
}

uint32_t bench_processor(uint32_t index)
{
    cpu_set_t set;
    uint32_t number = 0;
    (void)allowed(&set);
    for (; number < CPU_SETSIZE; number++)
        if (CPU_ISSET(number, &set) && index-- == 0)
            break;
    return number;
}

static void *start(void *argument)
{
    const struct starter *starter = argument;
    int gate;
    while ((gate = atomic_load(starter->gate)) == GATE_SHUT)
        sched_yield();
    if (gate == GATE_OPEN)
        starter->thread->work(starter->thread->argument);
    return NULL;
}

/* A thread that cannot be pinned runs all the same. */
static void pin(pthread_t thread, uint32_t index)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(bench_processor(index), &set);
    (void)pthread_setaffinity_np(thread, sizeof set, &set);
}

enum outcome bench_threads_run(const struct bench_thread *threads, uint32_t count)
{
    _Atomic int gate = GATE_SHUT;
    struct starter starters[BENCH_THREADS_MAX];
    pthread_t handles[BENCH_THREADS_MAX];
    bool is_pinned = bench_is_pinned(count);
    uint32_t started = 0;
    int failure = 0;
    for (; started < count; started++) {
        starters[started] = (struct starter){.thread = &threads[started], .gate = &gate};
        failure = pthread_create(&handles[started], NULL, start, &starters[started]);
        if (failure != 0)
            break;
        if (is_pinned)
            pin(handles[started], started);
    }
    atomic_store(&gate, failure == 0 ? GATE_OPEN : GATE_OFF);
    for (uint32_t i = 0; i < started; i++)
        pthread_join(handles[i], NULL);
    return failure == 0
               ? OUTCOME_DONE
               : outcome_tell(OUTCOME_SYSTEM, "cannot start a thread: %s", strerror(failure));
}
