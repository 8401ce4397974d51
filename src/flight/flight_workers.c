#include "flight/flight_workers.h"

#include <stdio.h>

#include "base/allocator.h"
#include "base/atomic.h"
#include "base/status.h"
#include "base/thread.h"
#include "sync/eventcount.h"

struct worker {
    struct fletch_flight_workers *workers;
    struct fletch_buffer_cache *cache;
    struct fletch_thread thread;
    _Atomic uint32_t is_taken; /* by who starts it; what is below is theirs */
    bool is_running;
};

struct fletch_flight_workers {
    struct fletch_buffer_pool *pool;
    uint32_t limit;
    FLETCH_ISOLATED struct fletch_node_stack jobs;
    struct fletch_eventcount waiting;
    FLETCH_ISOLATED _Atomic int64_t spare;
    _Atomic uint32_t started; /* members that are taken, and tries beyond the limit */
    _Atomic uint32_t submitted;
    _Atomic uint32_t is_over;
    struct worker members[];
};

/* ---- a worker ---- */

static bool is_older(const struct fletch_stack_node *a, const struct fletch_stack_node *b)
{
    return (int32_t)(((const struct fletch_flight_job *)(const void *)a)->number -
                     ((const struct fletch_flight_job *)(const void *)b)->number) < 0;
}

/* The oldest job; the others go back, and somebody else is told of them. NULL: there is none. */
static struct fletch_flight_job *take(struct fletch_flight_workers *workers)
{
    struct fletch_stack_node *first = fletch_node_stack_take(&workers->jobs);
    struct fletch_stack_node **oldest = &first;
    if (first == NULL)
        return NULL;
    for (struct fletch_stack_node **at = &first->next; *at != NULL; at = &(*at)->next)
        if (is_older(*at, *oldest))
            oldest = at;
    struct fletch_stack_node *taken = *oldest;
    *oldest = taken->next;
    if (first != NULL) {
        (void)fletch_node_stack_give_back(&workers->jobs, first);
        fletch_eventcount_notify(&workers->waiting, 1);
    }
    return (struct fletch_flight_job *)(void *)taken;
}

/* Waits for a job. NULL: there will be none. */
static struct fletch_flight_job *wait_for_job(struct fletch_flight_workers *workers)
{
    for (;;) {
        struct fletch_flight_job *job = take(workers);
        if (job != NULL)
            return job;
        uint32_t key = fletch_eventcount_prepare(&workers->waiting);
        job = take(workers);
        /* All that was submitted was so before this was set, which acquires it. */
        bool is_over = load_acquire(&workers->is_over) != 0;
        if (job == NULL && !is_over) {
            (void)fletch_eventcount_wait(&workers->waiting, key, UINT64_MAX);
            continue;
        }
        fletch_eventcount_cancel(&workers->waiting);
        return job != NULL ? job : take(workers);
    }
}

static void work(void *context)
{
    struct worker *worker = context;
    struct fletch_flight_workers *workers = worker->workers;
    struct fletch_flight_job *job;
    while ((job = wait_for_job(workers)) != NULL) {
        job->run(job, worker->cache);
        fetch_add_relaxed(&workers->spare, 1); /* relaxed: a number; jobs go by their stack */
    }
}

/* One of those that are left: who has counted itself finds one. */
static struct worker *take_member(struct fletch_flight_workers *workers)
{
    for (uint32_t i = 0;; i = (i + 1) % workers->limit) {
        uint32_t is_taken = 0;
        /* The acquire half sees what was left of one that could not be started. */
        if (cas_strong_acquire(&workers->members[i].is_taken, &is_taken, 1))
            return &workers->members[i];
    }
}

static enum fletch_status start_member(struct fletch_flight_workers *workers, struct worker *worker,
                                       struct fletch_error *error)
{
    char name[FLETCH_THREAD_NAME_BYTES];
    enum fletch_status status = FLETCH_OK;
    (void)snprintf(name, sizeof name, "fletch-work-%u",
                   (unsigned)((worker - workers->members) % 1000));
    const struct fletch_thread_options options = {
        .name = name, .cpu = FLETCH_ANY_CPU, .run = work, .context = worker};
    if (worker->cache == NULL)
        status = fletch_buffer_cache_open(workers->pool, &worker->cache, error);
    if (status == FLETCH_OK)
        status = fletch_thread_start(&worker->thread, &options, error);
    worker->is_running = status == FLETCH_OK;
    return status;
}

/* Makes one more, unless there are as many as there may be. The jobs that there are wait if none
 * can be made. */
static enum fletch_status start(struct fletch_flight_workers *workers, struct fletch_error *error)
{
    /* relaxed: a number; members are taken by their own words */
    if (fetch_add_relaxed(&workers->started, 1) >= workers->limit) {
        fetch_sub_relaxed(&workers->started, 1); /* relaxed: as above */
        return FLETCH_OK;
    }
    struct worker *worker = take_member(workers);
    enum fletch_status status = start_member(workers, worker, error);
    if (status == FLETCH_OK) {
        fetch_add_relaxed(&workers->spare, 1); /* relaxed: a number */
        return FLETCH_OK;
    }
    store_release(&worker->is_taken, 0);     /* read by take_member */
    fetch_sub_relaxed(&workers->started, 1); /* relaxed: a number */
    return status;
}

/* ---- all of them ---- */

enum fletch_status fletch_flight_workers_create(const struct fletch_flight_workers_options *options,
                                                struct fletch_flight_workers **out_workers,
                                                struct fletch_error *error)
{
    size_t bytes = sizeof(struct fletch_flight_workers) + options->limit * sizeof(struct worker);
    struct fletch_flight_workers *workers = fletch_block_allocate(options->allocator, bytes);
    if (workers == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for %u workers: %zu bytes", options->limit, bytes);
    *workers = (struct fletch_flight_workers){.pool = options->pool, .limit = options->limit};
    for (uint32_t i = 0; i < options->limit; i++)
        workers->members[i] = (struct worker){.workers = workers};
    fletch_node_stack_open(&workers->jobs);
    fletch_eventcount_start(&workers->waiting, FLETCH_SHARING_PROCESS);
    enum fletch_status status = start(workers, error);
    if (status != FLETCH_OK) {
        fletch_flight_workers_destroy(workers);
        return status;
    }
    *out_workers = workers;
    return FLETCH_OK;
}

void fletch_flight_workers_destroy(struct fletch_flight_workers *workers)
{
    if (workers == NULL)
        return;
    store_release(&workers->is_over, 1); /* read by wait_for_job */
    fletch_eventcount_notify(&workers->waiting, UINT32_MAX);
    for (uint32_t i = 0; i < workers->limit; i++) {
        if (workers->members[i].is_running)
            fletch_thread_join(&workers->members[i].thread);
        fletch_buffer_cache_close(workers->members[i].cache);
    }
    fletch_eventcount_deinit(&workers->waiting);
    fletch_block_release(workers);
}

void fletch_flight_workers_submit(struct fletch_flight_workers *workers,
                                  struct fletch_flight_job *job)
{
    /* relaxed: a number; the job goes by the stack */
    if (fetch_sub_relaxed(&workers->spare, 1) <= 0)
        (void)start(workers, NULL);
    job->number = fetch_add_relaxed(&workers->submitted, 1); /* relaxed: as above */
    (void)fletch_node_stack_push(&workers->jobs, &job->node, &job->node);
    fletch_eventcount_notify(&workers->waiting, 1);
}

void fletch_flight_workers_count(const struct fletch_flight_workers *workers, uint64_t *out_threads,
                                 uint64_t *out_waiting)
{
    uint32_t started = load_relaxed(&workers->started); /* relaxed: a number */
    int64_t spare = load_relaxed(&workers->spare);      /* relaxed: a number */
    *out_threads = started < workers->limit ? started : workers->limit;
    *out_waiting = spare < 0 ? (uint64_t)-spare : 0;
}
