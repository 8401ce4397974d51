#include "net/event_loop.h"

#include <fletching/wait.h>

#include <errno.h>
#include <limits.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/thread.h"
#include "sync/eventcount.h"

enum { EVENTS_MOST = 128 };

#define NS_PER_MS UINT64_C(1000000)

struct fletch_event_loop {
    const struct fletch_net_io *io;
    const struct fletch_allocator *allocator;
    int poll_fd;
    uint64_t spin_ns;
    uint64_t now_ns;
    struct fletch_timer_wheel wheel;
    struct fletch_event_source waker; /* the eventcount's descriptor: wakes up, and no more */
    struct fletch_event_loop_statistics statistics;
    int event_count;                       /* of the turn */
    bool ended_with_timers;                /* the last turn */
    bool has_handed_over;                  /* since it last gave its processor away */
    struct fletch_event_source *looked_at; /* while spinning; NULL: none */
    struct epoll_event events[EVENTS_MOST];
    FLETCH_ISOLATED struct fletch_inbox inbox; /* what other threads write */
    struct fletch_eventcount eventcount;
    _Atomic uint32_t stops;
};

/* ---- beginning and end ---- */

static void wake(void *context, uint32_t events)
{
    (void)context; /* disarming has drained the descriptor */
    (void)events;
}

static enum fletch_status open_loop(struct fletch_event_loop *loop, struct fletch_error *error)
{
    loop->poll_fd = loop->io->poll_open(loop->io->context);
    if (loop->poll_fd < 0)
        return fletch_net_failure(error, errno, "opening", "epoll");
    loop->waker = (struct fletch_event_source){.ready = wake};
    enum fletch_status status =
        fletch_eventcount_open_fd(&loop->eventcount, &loop->waker.fd, error);
    if (status == FLETCH_OK)
        status = fletch_event_loop_watch(loop, &loop->waker, EPOLLIN, error);
    if (status != FLETCH_OK)
        loop->io->close(loop->io->context, loop->poll_fd);
    return status;
}

enum fletch_status fletch_event_loop_create(const struct fletch_event_loop_options *options,
                                            struct fletch_event_loop **out_loop,
                                            struct fletch_error *error)
{
    static const struct fletch_event_loop_options defaults = {.spin_ns = 0};
    if (options == NULL)
        options = &defaults;
    struct fletch_event_loop *loop = fletch_block_allocate(options->allocator, sizeof *loop);
    if (loop == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for an event loop of %zu bytes", sizeof *loop);
    loop->io = options->io == NULL ? &fletch_net_system_io : options->io;
    loop->allocator = options->allocator;
    loop->spin_ns = options->spin_ns == 0 ? FLETCH_SPIN_BUDGET_NS_DEFAULT : options->spin_ns;
    if (options->spin_ns == FLETCH_OFF)
        loop->spin_ns = 0;
    loop->now_ns = loop->io->now_ns(loop->io->context);
    loop->statistics = (struct fletch_event_loop_statistics){.turns = 0};
    loop->event_count = 0;
    loop->ended_with_timers = false;
    loop->has_handed_over = false;
    loop->looked_at = NULL;
    fletch_timer_wheel_start(&loop->wheel, loop->now_ns);
    /* relaxed: whoever hands the loop to other threads orders this before their use */
    store_relaxed(&loop->inbox.head, NULL);
    store_relaxed(&loop->stops, 0); /* relaxed: as above */
    /* A loop sleeps far more often than it is woken by a post. */
    fletch_eventcount_start_full(&loop->eventcount);
    enum fletch_status status = open_loop(loop, error);
    if (status != FLETCH_OK) {
        fletch_eventcount_deinit(&loop->eventcount);
        fletch_block_release(loop);
        return status;
    }
    *out_loop = loop;
    return FLETCH_OK;
}

static void run_list(struct fletch_event_loop *loop, const struct fletch_inbox_list *list)
{
    struct fletch_inbox_node *node = list->first;
    while (node != NULL) {
        struct fletch_loop_task *task = (struct fletch_loop_task *)(void *)node;
        node = node->next; /* the task is its owner's again once it runs */
        task->run(task->context);
    }
    loop->statistics.tasks += list->count;
}

static void run_tasks(struct fletch_event_loop *loop)
{
    struct fletch_inbox_list list;
    if (fletch_inbox_try_take(&loop->inbox, &list) == FLETCH_DONE)
        run_list(loop, &list);
}

static bool has_tasks(struct fletch_event_loop *loop)
{
    /* relaxed: run_tasks takes with the acquire; before a sleep, the fence of arming orders it */
    return load_relaxed(&loop->inbox.head) != NULL;
}

void fletch_event_loop_destroy(struct fletch_event_loop *loop)
{
    if (loop == NULL)
        return;
    while (has_tasks(loop)) /* a task may post another one */
        run_tasks(loop);
    fletch_event_loop_unwatch(loop, &loop->waker);
    loop->io->close(loop->io->context, loop->poll_fd);
    fletch_eventcount_deinit(&loop->eventcount);
    fletch_block_release(loop);
}

/* ---- any thread ---- */

void fletch_event_loop_post(struct fletch_event_loop *loop, struct fletch_loop_task *task)
{
    bool was_empty = false;
    enum fletch_answer answer = fletch_inbox_push(&loop->inbox, &task->node, &was_empty);
    FLETCH_ASSERT(answer == FLETCH_DONE && "nobody closes the inbox of a loop");
    (void)answer;
    if (was_empty)
        fletch_eventcount_notify(&loop->eventcount, 1);
}

void fletch_event_loop_stop(struct fletch_event_loop *loop)
{
    store_release(&loop->stops, 1); /* E1 release */
    fletch_eventcount_notify(&loop->eventcount, 1);
}

/* ---- turns ---- */

static bool is_stopped(struct fletch_event_loop *loop)
{
    return load_acquire(&loop->stops) != 0; /* E1 acquire */
}

static bool has_work(struct fletch_event_loop *loop)
{
    return has_tasks(loop) || is_stopped(loop);
}

/* Fetches events; whether there are any. */
static bool poll_events(struct fletch_event_loop *loop, int timeout_ms)
{
    int count = loop->io->poll_wait(loop->io->context, loop->poll_fd, loop->events, EVENTS_MOST,
                                    timeout_ms);
    if (count < 0 && errno != EINTR)
        loop->statistics.poll_failures++;
    loop->event_count = count < 0 ? 0 : count;
    loop->now_ns = loop->io->now_ns(loop->io->context);
    return count > 0;
}

/* Rounded up, so that a timer is due when its sleep ends. */
static int timeout_until(const struct fletch_event_loop *loop, uint64_t deadline_ns)
{
    if (deadline_ns == FLETCH_NO_DEADLINE)
        return -1;
    if (deadline_ns <= loop->now_ns)
        return 0;
    uint64_t left_ms = (deadline_ns - loop->now_ns - 1) / NS_PER_MS + 1;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static void sleep_until(struct fletch_event_loop *loop, uint64_t deadline_ns)
{
    uint32_t key = fletch_eventcount_arm(&loop->eventcount);
    bool sleeps = !has_work(loop);
    loop->statistics.sleeps += sleeps;
    poll_events(loop, sleeps ? timeout_until(loop, deadline_ns) : 0);
    fletch_eventcount_disarm(&loop->eventcount, key);
}

static bool look(struct fletch_event_loop *loop)
{
    const struct fletch_event_source *source = loop->looked_at;
    return source != NULL && source->look(source->context);
}

/* Looks again and again; whether anything has come by the end of the budget, or of the wait. */
static bool spin(struct fletch_event_loop *loop, uint64_t deadline_ns)
{
    uint64_t end_ns = fletch_saturating_add_u64(loop->now_ns, loop->spin_ns);
    if (end_ns > deadline_ns)
        end_ns = deadline_ns;
    if (loop->has_handed_over)
        fletch_thread_yield();
    loop->has_handed_over = false;
    while (loop->now_ns < end_ns) {
        /* Events first: a source that always has something must not keep others waiting. A look
         * may have set a timer. */
        if (poll_events(loop, 0) || has_work(loop))
            return true;
        if (look(loop) || fletch_timer_wheel_next_ns(&loop->wheel) < deadline_ns)
            return true;
        fletch_cpu_relax();
    }
    return deadline_ns <= loop->now_ns;
}

static void await(struct fletch_event_loop *loop, uint64_t timeout_ns)
{
    loop->now_ns = loop->io->now_ns(loop->io->context);
    uint64_t deadline_ns = fletch_saturating_add_u64(loop->now_ns, timeout_ns);
    uint64_t timer_ns = fletch_timer_wheel_next_ns(&loop->wheel);
    if (timer_ns < deadline_ns)
        deadline_ns = timer_ns;
    if (deadline_ns <= loop->now_ns || has_work(loop))
        poll_events(loop, 0);
    else if (loop->spin_ns == 0 || !spin(loop, deadline_ns))
        sleep_until(loop, deadline_ns);
}

static void dispatch(struct fletch_event_loop *loop)
{
    for (int i = 0; i < loop->event_count; i++) {
        const struct fletch_event_source *source = loop->events[i].data.ptr;
        if (source == NULL)
            continue; /* unwatched by one before it */
        loop->statistics.events++;
        source->ready(source->context, loop->events[i].events);
    }
    loop->event_count = 0;
}

static size_t run_timers(struct fletch_event_loop *loop)
{
    size_t count = fletch_timer_wheel_run(&loop->wheel, loop->now_ns);
    loop->statistics.timers += count;
    return count;
}

/* What was asked for since the last turn, by the thread itself, need not wait for a look at the
 * system. A turn that ended with timers may have set more: then sources come first. Whether
 * anything was done. */
static bool begin_turn(struct fletch_event_loop *loop)
{
    if (loop->ended_with_timers || fletch_timer_wheel_next_ns(&loop->wheel) != 0)
        return false;
    loop->now_ns = loop->io->now_ns(loop->io->context);
    return run_timers(loop) != 0;
}

bool fletch_event_loop_turn(struct fletch_event_loop *loop, uint64_t timeout_ns)
{
    await(loop, begin_turn(loop) ? 0 : timeout_ns);
    loop->statistics.turns++;
    dispatch(loop);
    run_tasks(loop);
    loop->ended_with_timers = run_timers(loop) != 0;
    return !is_stopped(loop);
}

void fletch_event_loop_run(struct fletch_event_loop *loop)
{
    while (fletch_event_loop_turn(loop, UINT64_MAX))
        continue;
}

/* ---- the loop's thread ---- */

uint64_t fletch_event_loop_now_ns(const struct fletch_event_loop *loop)
{
    return loop->now_ns;
}

const struct fletch_net_io *fletch_event_loop_io(const struct fletch_event_loop *loop)
{
    return loop->io;
}

const struct fletch_allocator *fletch_event_loop_allocator(const struct fletch_event_loop *loop)
{
    return loop->allocator;
}

struct fletch_timer_wheel *fletch_event_loop_wheel(struct fletch_event_loop *loop)
{
    return &loop->wheel;
}

enum fletch_status fletch_event_loop_watch(struct fletch_event_loop *loop,
                                           struct fletch_event_source *source, uint32_t events,
                                           struct fletch_error *error)
{
    struct epoll_event event = {.events = events | EPOLLET, .data = {.ptr = source}};
    if (loop->io->poll_add(loop->io->context, loop->poll_fd, source->fd, &event) == 0)
        return FLETCH_OK;
    int number = errno;
    enum fletch_status status = fletch_net_failure(error, number, "watching", "descriptor");
    errno = number;
    return status;
}

void fletch_event_loop_handed_over(struct fletch_event_loop *loop)
{
    loop->has_handed_over = true;
}

void fletch_event_loop_look_at(struct fletch_event_loop *loop, struct fletch_event_source *source)
{
    loop->looked_at = source;
}

void fletch_event_loop_look_away(struct fletch_event_loop *loop,
                                 const struct fletch_event_source *source)
{
    if (loop->looked_at == source)
        loop->looked_at = NULL;
}

void fletch_event_loop_unwatch(struct fletch_event_loop *loop, struct fletch_event_source *source)
{
    fletch_event_loop_look_away(loop, source);
    loop->io->poll_remove(loop->io->context, loop->poll_fd, source->fd);
    for (int i = 0; i < loop->event_count; i++)
        if (loop->events[i].data.ptr == source)
            loop->events[i].data.ptr = NULL;
}

void fletch_event_loop_statistics(const struct fletch_event_loop *loop,
                                  struct fletch_event_loop_statistics *out_statistics)
{
    *out_statistics = loop->statistics;
}
