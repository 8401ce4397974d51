#include "shuffle/coordinator.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/status.h"
#include "shuffle/barriers.h"
#include "shuffle/watermarks.h"
#include "sync/eventcount.h"

/* An operation's word: state and marks. */
#define STATE_MASK 3u
#define QUEUED_MARK (1u << 2)    /* the task is with the serial */
#define NOTIFYING_MARK (1u << 3) /* the serial is about to carry it out and notify the sleeper */

enum producer_end { OPEN, ENDED, ABORTED, ABSENT };

struct producer {
    uint64_t named;  /* the largest barrier that it was answered OK, or waited for */
    uint64_t passed; /* no barrier up to this one awaits it */
    enum producer_end end;
};

/* One for each barrier that may be in flight. */
struct slot {
    struct fletch_serial_task task; /* first: all partitions have passed */
    _Atomic uint32_t unpassed;      /* partitions that have not */
    uint32_t number;
};

/* What others read of the coordinator's numbers. */
struct published {
    _Atomic uint32_t producers;
    _Atomic uint32_t open;
    _Atomic uint32_t ended;
    _Atomic uint32_t in_flight;
    _Atomic uint64_t clamped;
    _Atomic int64_t watermark;
};

struct fletch_coordinator {
    FLETCH_ISOLATED struct fletch_serial serial;
    FLETCH_ISOLATED struct fletch_serial_task tick_task;
    _Atomic uint32_t tick_queued;
    _Atomic uint64_t tick_ns; /* the time that a tick brings */
    _Atomic uint64_t due_ns;  /* when the next producer becomes idle */
    struct published published;
    /* The serial's. */
    FLETCH_ISOLATED struct fletch_coordinator_options options;
    struct producer *producers;
    struct slot *slots;
    uint32_t producer_count; /* one more than the highest number */
    uint32_t open_count;
    uint32_t ended_count;
    struct fletch_barriers barriers;
    struct fletch_watermarks watermarks;
    uint64_t clamped;
    int64_t watermark;
    struct fletch_control_operation *first; /* of those that wait, oldest first */
    struct fletch_control_operation *last;
    bool is_lost;
    char reason[FLETCH_CONTROL_REASON_BYTES];
};

/* ---- making ---- */

static void run_slot(void *context, struct fletch_serial_task *task);
static void run_tick(void *context, struct fletch_serial_task *task);

/* Lays an array behind what is there, and says where; with `block` NULL only how long it gets. */
static void *lay(char *block, size_t *bytes, size_t count, size_t size)
{
    size_t start = (*bytes + FLETCH_INTERFERENCE_BYTES - 1) / FLETCH_INTERFERENCE_BYTES *
                   FLETCH_INTERFERENCE_BYTES;
    *bytes = start + count * size;
    return block == NULL ? NULL : block + start;
}

/* All arrays of a coordinator in one block with it. */
static size_t lay_out(const struct fletch_coordinator_options *options, char *block)
{
    struct fletch_coordinator sized;
    struct fletch_coordinator *coordinator = block == NULL ? &sized : (void *)block;
    size_t producers = options->producer_limit;
    size_t barriers = options->barrier_limit;
    size_t bytes = sizeof *coordinator;
    coordinator->producers = lay(block, &bytes, producers, sizeof(struct producer));
    coordinator->slots = lay(block, &bytes, barriers, sizeof(struct slot));
    void *entries = lay(block, &bytes, producers, sizeof(struct fletch_watermark_entry));
    void *heap = lay(block, &bytes, producers, sizeof(uint32_t));
    void *flying = lay(block, &bytes, barriers, sizeof(struct fletch_barrier));
    void *free_slots = lay(block, &bytes, barriers, sizeof(uint32_t));
    if (block != NULL) {
        fletch_watermarks_init(&coordinator->watermarks, entries, heap, options->watermark_idle_ns);
        fletch_barriers_init(&coordinator->barriers, flying, free_slots, options->barrier_limit);
    }
    return bytes;
}

/* Shows the numbers to those who ask for statistics. */
static void publish(struct fletch_coordinator *coordinator)
{
    struct published *published = &coordinator->published;
    store_relaxed(&published->producers, coordinator->producer_count); /* relaxed: a statistic */
    store_relaxed(&published->open, coordinator->open_count);          /* relaxed: a statistic */
    store_relaxed(&published->ended, coordinator->ended_count);        /* relaxed: a statistic */
    store_relaxed(&published->in_flight, coordinator->barriers.count); /* relaxed: a statistic */
    store_relaxed(&published->clamped, coordinator->clamped);          /* relaxed: a statistic */
    store_relaxed(&published->watermark, coordinator->watermark);      /* relaxed: a statistic */
    /* relaxed: a tick early or late */
    store_relaxed(&coordinator->due_ns, fletch_watermarks_due_ns(&coordinator->watermarks));
}

/* Numbers that are passed over are nobody's until they are asked for. */
static void add_producer(struct fletch_coordinator *coordinator, uint32_t producer, uint64_t now_ns)
{
    while (coordinator->producer_count <= producer)
        coordinator->producers[coordinator->producer_count++].end = ABSENT;
    coordinator->open_count++;
    coordinator->producers[producer] =
        (struct producer){.passed = fletch_barriers_latest(&coordinator->barriers)};
    fletch_watermarks_add(&coordinator->watermarks, producer, now_ns);
}

enum fletch_status fletch_coordinator_create(const struct fletch_coordinator_options *options,
                                             struct fletch_coordinator **out_coordinator,
                                             struct fletch_error *error)
{
    size_t bytes = lay_out(options, NULL);
    char *block = fletch_block_allocate(&options->allocator, bytes);
    if (block == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory: %zu bytes for %" PRIu32
                                " producers",
                                bytes, options->producer_limit);
    struct fletch_coordinator *coordinator = (void *)block;
    *coordinator = (struct fletch_coordinator){
        .options = *options, .watermark = INT64_MIN, .tick_task = {.run = run_tick}};
    (void)lay_out(options, block);
    fletch_serial_init(&coordinator->serial, coordinator);
    for (uint32_t i = 0; i < options->barrier_limit; i++)
        coordinator->slots[i] = (struct slot){.task = {.run = run_slot}, .number = i};
    for (uint32_t i = 0; i < options->producer_count; i++)
        add_producer(coordinator, i, options->now_ns);
    publish(coordinator);
    *out_coordinator = coordinator;
    return FLETCH_OK;
}

void fletch_coordinator_destroy(struct fletch_coordinator *coordinator)
{
    if (coordinator != NULL)
        fletch_block_release(coordinator);
}

struct fletch_serial *fletch_coordinator_serial(struct fletch_coordinator *coordinator)
{
    return &coordinator->serial;
}

/* ---- what an operation is answered ---- */

static const char *const end_names[] = {"is open", "has ended", "was aborted", "was not added"};

/* OK, or why the producer may not say anything. */
static enum fletch_status check_producer(const struct fletch_coordinator *coordinator,
                                         const struct fletch_control_operation *operation,
                                         struct fletch_error *error)
{
    if (operation->producer >= coordinator->producer_count)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "OUT_OF_RANGE: producer %" PRIu32 " of %" PRIu32 " producers",
                                operation->producer, coordinator->producer_count);
    const enum producer_end end = coordinator->producers[operation->producer].end;
    if (end != OPEN && !(end == ABORTED && operation->kind == FLETCH_CONTROL_ABORT))
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "FAILED_PRECONDITION: producer %" PRIu32 " %s", operation->producer,
                                end_names[end]);
    return FLETCH_OK;
}

/* Whether nobody needs to hear of the barrier any more: others are past it, or this producer does
 * not take part in it. */
static bool is_past(const struct fletch_coordinator *coordinator, const struct producer *producer,
                    uint64_t id)
{
    return id <= coordinator->barriers.told || id <= producer->passed;
}

static enum fletch_status answer_barrier(struct fletch_coordinator *coordinator,
                                         struct fletch_control_operation *operation,
                                         bool *out_waits)
{
    const struct producer *producer = &coordinator->producers[operation->producer];
    const struct fletch_barriers *barriers = &coordinator->barriers;
    uint64_t id = operation->barrier;
    if (id < producer->named || id == 0)
        return fletch_error_set(&operation->error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: barrier %" PRIu64 " of producer %" PRIu32
                                " comes after its barrier %" PRIu64 ": ids increase from 1",
                                id, operation->producer, producer->named);
    /* One that is past, in flight, or goes up in a larger one needs no slot. */
    *out_waits = barriers->count == barriers->limit && fletch_barriers_latest(barriers) < id;
    return FLETCH_OK;
}

static enum fletch_status answer_abort_barrier(struct fletch_coordinator *coordinator,
                                               struct fletch_control_operation *operation)
{
    const struct fletch_barrier *barrier =
        fletch_barriers_find(&coordinator->barriers, operation->barrier);
    if (barrier == NULL || barrier->told || barrier->aborted)
        return fletch_error_set(&operation->error, FLETCH_NOT_FOUND,
                                "NOT_FOUND: barrier %" PRIu64 " is not in flight",
                                operation->barrier);
    return FLETCH_OK;
}

static enum fletch_status answer_add_producer(struct fletch_coordinator *coordinator,
                                              struct fletch_control_operation *operation)
{
    const struct fletch_coordinator_options *options = &coordinator->options;
    if (options->producer_limit == options->producer_count)
        return fletch_error_set(&operation->error, FLETCH_FAILED_PRECONDITION,
                                "FAILED_PRECONDITION: the set of %" PRIu32 " producers is fixed",
                                options->producer_count);
    uint32_t wanted = operation->wanted_producer;
    if (wanted == 0)
        wanted = coordinator->producer_count;
    if (wanted >= options->producer_limit)
        return fletch_error_set(&operation->error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: there are %" PRIu32 " producers, the limit",
                                options->producer_limit);
    if (wanted < coordinator->producer_count && coordinator->producers[wanted].end != ABSENT)
        return fletch_error_set(&operation->error, FLETCH_ALREADY_EXISTS,
                                "ALREADY_EXISTS: producer %" PRIu32 " was added before", wanted);
    operation->added_producer = wanted;
    return FLETCH_OK;
}

/* Writes the answer, and changes nothing else. `*out_waits`: there is none yet. */
static enum fletch_status answer(struct fletch_coordinator *coordinator,
                                 struct fletch_control_operation *operation, bool *out_waits)
{
    *out_waits = false;
    enum fletch_status status = check_producer(coordinator, operation, &operation->error);
    if (status != FLETCH_OK)
        return status;
    if (operation->kind == FLETCH_CONTROL_BARRIER)
        return answer_barrier(coordinator, operation, out_waits);
    if (operation->kind == FLETCH_CONTROL_ABORT_BARRIER)
        return answer_abort_barrier(coordinator, operation);
    if (operation->kind == FLETCH_CONTROL_ADD_PRODUCER)
        return answer_add_producer(coordinator, operation);
    return FLETCH_OK;
}

/* ---- what it does ---- */

/* What partitions are to be told of barriers by now. */
static void tell_barriers(struct fletch_coordinator *coordinator)
{
    const struct fletch_coordinator_outlet *outlet = &coordinator->options.outlet;
    const struct fletch_barrier *barrier;
    while ((barrier = fletch_barriers_tell(&coordinator->barriers)) != NULL) {
        /* relaxed: whoever decrements it got the slot by what is told below */
        store_relaxed(&coordinator->slots[barrier->slot].unpassed,
                      coordinator->options.partition_count);
        outlet->barrier(outlet->context, barrier->id, barrier->slot, barrier->aborted);
    }
}

static void tell_watermark(struct fletch_coordinator *coordinator)
{
    const struct fletch_coordinator_outlet *outlet = &coordinator->options.outlet;
    int64_t least = INT64_MAX;
    if (!fletch_watermarks_least(&coordinator->watermarks, &least) &&
        (coordinator->open_count != 0 || coordinator->is_lost))
        return;
    if (least <= coordinator->watermark)
        return;
    coordinator->watermark = least;
    outlet->watermark(outlet->context, least);
}

static void pass_barriers(struct fletch_coordinator *coordinator, struct producer *producer,
                          uint64_t id)
{
    producer->passed = fletch_barriers_advance(&coordinator->barriers, producer->passed, id);
    tell_barriers(coordinator);
}

/* How many producers have not passed a barrier that is about to start. */
static uint32_t count_awaited(const struct fletch_coordinator *coordinator, uint64_t id)
{
    uint32_t awaited = 0;
    for (uint32_t i = 0; i < coordinator->producer_count; i++)
        awaited += coordinator->producers[i].end == OPEN && coordinator->producers[i].passed < id;
    return awaited;
}

static void do_barrier(struct fletch_coordinator *coordinator,
                       const struct fletch_control_operation *question)
{
    struct producer *producer = &coordinator->producers[question->producer];
    struct fletch_barriers *barriers = &coordinator->barriers;
    uint64_t id = question->barrier;
    producer->named = id;
    if (!is_past(coordinator, producer, id) && barriers->count < barriers->limit &&
        fletch_barriers_find(barriers, id) == NULL)
        fletch_barriers_start(barriers, id, count_awaited(coordinator, id));
    pass_barriers(coordinator, producer, id);
    if (producer->passed < id)
        producer->passed = id; /* one without a slot, which goes up in a larger one */
}

static void do_abort_barrier(struct fletch_coordinator *coordinator,
                             const struct fletch_control_operation *question)
{
    fletch_barriers_find(&coordinator->barriers, question->barrier)->aborted = true;
    tell_barriers(coordinator);
}

static void do_watermark(struct fletch_coordinator *coordinator,
                         const struct fletch_control_operation *question)
{
    if (!fletch_watermarks_set(&coordinator->watermarks, question->producer, question->watermark,
                               question->now_ns))
        coordinator->clamped++;
}

static void do_idle(struct fletch_coordinator *coordinator,
                    const struct fletch_control_operation *question)
{
    fletch_watermarks_drop(&coordinator->watermarks, question->producer);
}

static void leave(struct fletch_coordinator *coordinator, uint32_t producer)
{
    coordinator->open_count--;
    fletch_watermarks_drop(&coordinator->watermarks, producer);
    pass_barriers(coordinator, &coordinator->producers[producer], UINT64_MAX);
    tell_watermark(coordinator);
    if (coordinator->open_count == 0 && !coordinator->is_lost)
        coordinator->options.outlet.end(coordinator->options.outlet.context);
}

static void do_end(struct fletch_coordinator *coordinator,
                   const struct fletch_control_operation *question)
{
    coordinator->producers[question->producer].end = ENDED;
    coordinator->ended_count++;
    leave(coordinator, question->producer);
}

static void do_abort(struct fletch_coordinator *coordinator,
                     const struct fletch_control_operation *question)
{
    const struct fletch_coordinator_outlet *outlet = &coordinator->options.outlet;
    struct producer *producer = &coordinator->producers[question->producer];
    if (producer->end == ABORTED)
        return;
    producer->end = ABORTED;
    /* First, since the barriers that it holds up will be told without its rows. */
    if (!coordinator->is_lost) {
        coordinator->is_lost = true;
        outlet->lost(outlet->context, question->producer, coordinator->reason);
    }
    leave(coordinator, question->producer);
}

static void do_add_producer(struct fletch_coordinator *coordinator,
                            const struct fletch_control_operation *question)
{
    add_producer(coordinator, question->added_producer, question->now_ns);
}

static void (*const steps[])(struct fletch_coordinator *coordinator,
                             const struct fletch_control_operation *question) = {
    [FLETCH_CONTROL_BARRIER] = do_barrier,
    [FLETCH_CONTROL_ABORT_BARRIER] = do_abort_barrier,
    [FLETCH_CONTROL_WATERMARK] = do_watermark,
    [FLETCH_CONTROL_IDLE] = do_idle,
    [FLETCH_CONTROL_END] = do_end,
    [FLETCH_CONTROL_ABORT] = do_abort,
    [FLETCH_CONTROL_ADD_PRODUCER] = do_add_producer,
};

/* ---- in the serial ---- */

static void enlist(struct fletch_coordinator *coordinator,
                   struct fletch_control_operation *operation)
{
    if (operation->listed)
        return;
    operation->listed = true;
    operation->next = NULL;
    operation->previous = coordinator->last;
    *(coordinator->last == NULL ? &coordinator->first : &coordinator->last->next) = operation;
    coordinator->last = operation;
}

static void unlist(struct fletch_coordinator *coordinator,
                   struct fletch_control_operation *operation)
{
    struct fletch_control_operation *next = operation->next;
    struct fletch_control_operation *previous = operation->previous;
    if (!operation->listed)
        return;
    operation->listed = false;
    *(previous == NULL ? &coordinator->first : &previous->next) = next;
    *(next == NULL ? &coordinator->last : &next->previous) = previous;
}

static void pass_time(struct fletch_coordinator *coordinator, uint64_t now_ns)
{
    fletch_watermarks_pass_time(&coordinator->watermarks, now_ns);
    tell_watermark(coordinator);
}

/* The serial's last words on an operation, which its owner may fill anew or free then. */
static void let_go(struct fletch_control_operation *operation)
{
    if (operation->sleeper != NULL)
        fletch_eventcount_notify_inline(operation->sleeper, UINT32_MAX);
    fetch_and_release(&operation->word, ~NOTIFYING_MARK); /* E2 release */
}

/* A producer that waits for a barrier to start has passed the smaller ones all the same: others may
 * wait for it there. It cannot go back behind it, even if it gives it up: its rows would. */
static void wait_for_slot(struct fletch_coordinator *coordinator,
                          struct fletch_control_operation *operation)
{
    struct producer *producer = &coordinator->producers[operation->producer];
    enlist(coordinator, operation);
    producer->named = operation->barrier;
    pass_barriers(coordinator, producer, operation->barrier);
}

enum outcome { ANSWERED, MUST_WAIT, GIVEN_UP };

/* Answers the operation and carries it out, if that can be. */
static enum outcome try_answer(struct fletch_coordinator *coordinator,
                               struct fletch_control_operation *operation)
{
    /* The owner may fill it anew as soon as it is answered. */
    struct fletch_control_operation question = {
        .kind = operation->kind,
        .producer = operation->producer,
        .barrier = operation->barrier,
        .watermark = operation->watermark,
        .now_ns = operation->now_ns,
    };
    bool waits;
    operation->status = answer(coordinator, operation, &waits);
    question.added_producer = operation->added_producer;
    enum fletch_status status = operation->status;
    if (waits)
        return MUST_WAIT;
    if (question.kind == FLETCH_CONTROL_ABORT && !coordinator->is_lost)
        (void)snprintf(coordinator->reason, sizeof coordinator->reason, "%s",
                       operation->reason == NULL ? "" : operation->reason);
    uint32_t word = load_relaxed(&operation->word); /* relaxed: compared, and written below */
    do {
        if ((word & STATE_MASK) != FLETCH_CONTROL_STATE_SUBMITTED)
            return GIVEN_UP;
    } while (!cas_weak_acq_rel(&operation->word, &word,
                               FLETCH_CONTROL_STATE_DONE | NOTIFYING_MARK)); /* E1 release */
    unlist(coordinator, operation);
    if (status == FLETCH_OK) {
        steps[question.kind](coordinator, &question);
        pass_time(coordinator, question.now_ns);
    }
    let_go(operation);
    return ANSWERED;
}

static void run_operation(void *context, struct fletch_serial_task *task)
{
    struct fletch_coordinator *coordinator = context;
    struct fletch_control_operation *operation = (struct fletch_control_operation *)(void *)task;
    uint32_t word = load_relaxed(&operation->word); /* relaxed: the serial's edge covers it */
    enum outcome outcome = GIVEN_UP;
    if ((word & STATE_MASK) == FLETCH_CONTROL_STATE_SUBMITTED)
        outcome = try_answer(coordinator, operation);
    if (outcome == MUST_WAIT)
        wait_for_slot(coordinator, operation);
    publish(coordinator);
    word = FLETCH_CONTROL_STATE_SUBMITTED | QUEUED_MARK;
    if (outcome == ANSWERED ||
        (outcome == MUST_WAIT &&
         cas_strong_release(&operation->word, &word,
                            /* E2 release */ FLETCH_CONTROL_STATE_SUBMITTED)))
        return;
    unlist(coordinator, operation);
    store_release(&operation->word, /* E2 release */
                  FLETCH_CONTROL_STATE_IDLE | NOTIFYING_MARK);
    let_go(operation);
}

/* All partitions have passed a barrier: others may start. */
static void run_slot(void *context, struct fletch_serial_task *task)
{
    struct fletch_coordinator *coordinator = context;
    struct fletch_control_operation *next;
    fletch_barriers_land(&coordinator->barriers, ((struct slot *)(void *)task)->number);
    for (struct fletch_control_operation *waiting = coordinator->first; waiting != NULL;
         waiting = next) {
        next = waiting->next;
        if (try_answer(coordinator, waiting) == MUST_WAIT)
            wait_for_slot(coordinator, waiting);
    }
    publish(coordinator);
}

static void run_tick(void *context, struct fletch_serial_task *task)
{
    struct fletch_coordinator *coordinator = context;
    (void)task;
    (void)exchange_acq_rel(&coordinator->tick_queued, 0); /* E4 acquire, E5 release */
    /* relaxed: E4 has ordered it */
    pass_time(coordinator, load_relaxed(&coordinator->tick_ns));
    publish(coordinator);
}

/* ---- anywhere ---- */

void fletch_control_init(struct fletch_control_operation *operation,
                         struct fletch_coordinator *coordinator, uint32_t producer,
                         struct fletch_eventcount *sleeper)
{
    *operation = (struct fletch_control_operation){.task = {.run = run_operation},
                                                   .coordinator = coordinator,
                                                   .sleeper = sleeper,
                                                   .producer = producer};
}

bool fletch_control_is_free(struct fletch_control_operation *operation)
{
    uint32_t word = load_acquire(&operation->word); /* E2 acquire, E1 acquire */
    uint32_t state = word & STATE_MASK;
    return (word & QUEUED_MARK) == 0 &&
           (state == FLETCH_CONTROL_STATE_IDLE || state == FLETCH_CONTROL_STATE_DONE);
}

bool fletch_control_is_dropped(struct fletch_control_operation *operation)
{
    uint32_t word = load_acquire(&operation->word); /* E2 acquire */
    return word == FLETCH_CONTROL_STATE_IDLE || word == FLETCH_CONTROL_STATE_DONE;
}

void fletch_control_submit(struct fletch_control_operation *operation)
{
    FLETCH_ASSERT(fletch_control_is_free(operation));
    /* relaxed: the serial's edge covers it. Who still notifies takes off a mark that has gone, and
     * answers only then. */
    store_relaxed(&operation->word, FLETCH_CONTROL_STATE_SUBMITTED | QUEUED_MARK);
    fletch_serial_submit(&operation->coordinator->serial, &operation->task);
}

bool fletch_control_is_done(struct fletch_control_operation *operation)
{
    uint32_t word = load_acquire(&operation->word); /* E1 acquire */
    return (word & STATE_MASK) == FLETCH_CONTROL_STATE_DONE;
}

bool fletch_control_give_up(struct fletch_control_operation *operation)
{
    uint32_t word = load_acquire(&operation->word); /* E1 acquire: who is refused has the answer */
    do {
        if ((word & STATE_MASK) != FLETCH_CONTROL_STATE_SUBMITTED)
            return false;
    } while (!cas_weak_acquire_both(&operation->word, &word, /* E2 acquire, E1 acquire */
                                    FLETCH_CONTROL_STATE_GIVEN_UP | QUEUED_MARK));
    if ((word & QUEUED_MARK) == 0)
        fletch_serial_submit(&operation->coordinator->serial, &operation->task);
    return true;
}

void fletch_coordinator_pass(struct fletch_coordinator *coordinator, uint32_t number)
{
    struct slot *slot = &coordinator->slots[number];
    if (fetch_sub_acq_rel(&slot->unpassed, 1) == 1) /* E3 release, and acquire for the last one */
        fletch_serial_submit(&coordinator->serial, &slot->task);
}

void fletch_coordinator_tick(struct fletch_coordinator *coordinator, uint64_t now_ns)
{
    if (now_ns < load_relaxed(&coordinator->due_ns)) /* relaxed: a tick early or late */
        return;
    store_relaxed(&coordinator->tick_ns, now_ns);            /* relaxed: the exchange orders it */
    if (exchange_acq_rel(&coordinator->tick_queued, 1) == 0) /* E4 release, E5 acquire */
        fletch_serial_submit(&coordinator->serial, &coordinator->tick_task);
}

void fletch_coordinator_statistics(struct fletch_coordinator *coordinator,
                                   struct fletch_coordinator_statistics *out_statistics)
{
    struct published *published = &coordinator->published;
    *out_statistics = (struct fletch_coordinator_statistics){
        .producers = load_relaxed(&published->producers),          /* relaxed: a statistic */
        .producers_open = load_relaxed(&published->open),          /* relaxed: a statistic */
        .producers_ended = load_relaxed(&published->ended),        /* relaxed: a statistic */
        .barriers_in_flight = load_relaxed(&published->in_flight), /* relaxed: a statistic */
        .watermarks_clamped = load_relaxed(&published->clamped),   /* relaxed: a statistic */
        .watermark = load_relaxed(&published->watermark),          /* relaxed: a statistic */
    };
}
