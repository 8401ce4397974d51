#include "sync/fan_in.h"

#include <inttypes.h>
#include <stddef.h>

#include "base/allocator.h"
#include "base/bits.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/inlining.h"
#include "base/options.h"
#include "sync/placement.h"

#ifndef FLETCH_MODEL_CHECK
#define GROUP_OF(field) (offsetof(struct fletch_fan_in, field) / FLETCH_INTERFERENCE_BYTES)
_Static_assert(GROUP_OF(elements) > GROUP_OF(set), "the eventcount shares no line");
_Static_assert(GROUP_OF(consumer) > GROUP_OF(elements), "the consumer's fields share no line");
_Static_assert(sizeof(struct fletch_fan_in_consumer) <= FLETCH_INTERFERENCE_BYTES, "one group");
#endif

static struct fletch_fan_in_lane *lane_at(const struct fletch_fan_in *fan_in, uint32_t number)
{
    return fletch_lane_at(&fan_in->set, number);
}

/* ---- making and ending ---- */

struct plan {
    struct fletch_fan_in_options options; /* defaults filled in */
    struct fletch_spsc_ring_options ring;
    size_t total_bytes;
};

static enum fletch_status choose(const struct fletch_fan_in_options *options,
                                 struct fletch_fan_in_options *out_known,
                                 struct fletch_error *error)
{
    enum fletch_status status =
        fletch_options_copy(out_known, sizeof *out_known, options, sizeof *out_known, error);
    if (status != FLETCH_OK)
        return status;
    if (out_known->lane_count == 0)
        out_known->lane_count = FLETCH_FAN_IN_LANES_DEFAULT;
    if (out_known->run_limit == 0)
        out_known->run_limit = FLETCH_FAN_IN_RUN_LIMIT_DEFAULT;
    if (out_known->lane_count > FLETCH_FAN_IN_LANES_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "lane_count %zu is above %d",
                                out_known->lane_count, FLETCH_FAN_IN_LANES_MAX);
    if (out_known->run_limit > UINT32_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "run_limit %zu is above %" PRIu32,
                                out_known->run_limit, UINT32_MAX);
    return FLETCH_OK;
}

static size_t lanes_offset(void)
{
    return fletch_round_up(sizeof(struct fletch_fan_in), FLETCH_INTERFERENCE_BYTES);
}

static enum fletch_status plan_block(const struct fletch_fan_in_options *options,
                                     struct plan *out_plan, struct fletch_error *error)
{
    struct fletch_fan_in_options *known = &out_plan->options;
    enum fletch_status status = choose(options, known, error);
    if (status != FLETCH_OK)
        return status;
    out_plan->ring = (struct fletch_spsc_ring_options){
        .struct_size = sizeof out_plan->ring,
        .element_bytes = known->element_bytes,
        .capacity = known->capacity,
        .form = known->form,
        .wait_strategy = known->wait_strategy,
        .spin_budget_ns = known->spin_budget_ns,
    };
    size_t ring_bytes, set_bytes;
    status = fletch_spsc_ring_bytes(&out_plan->ring, &ring_bytes, error);
    if (status != FLETCH_OK)
        return status;
    if (!fletch_lane_set_bytes(known->lane_count, ring_bytes, &set_bytes) ||
        !fletch_checked_add(set_bytes, lanes_offset(), &out_plan->total_bytes))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "%zu lanes of %zu bytes do not fit into memory", known->lane_count,
                                ring_bytes);
    return FLETCH_OK;
}

enum fletch_status fletch_fan_in_bytes(const struct fletch_fan_in_options *options,
                                       size_t *out_bytes, struct fletch_error *error)
{
    struct plan plan;
    enum fletch_status status = plan_block(options, &plan, error);
    if (status == FLETCH_OK)
        *out_bytes = plan.total_bytes;
    return status;
}

size_t fletch_fan_in_alignment(void)
{
    return FLETCH_INTERFERENCE_BYTES;
}

enum fletch_status fletch_fan_in_init(void *memory, size_t memory_bytes,
                                      const struct fletch_fan_in_options *options,
                                      struct fletch_fan_in **out_fan_in, struct fletch_error *error)
{
    struct plan plan;
    struct fletch_wait_policy policy;
    enum fletch_status status = plan_block(options, &plan, error);
    if (status == FLETCH_OK)
        status = fletch_placement_check(memory, memory_bytes, plan.total_bytes,
                                        FLETCH_INTERFERENCE_BYTES, error);
    if (status == FLETCH_OK)
        status = fletch_wait_policy_choose(plan.options.wait_strategy, plan.options.spin_budget_ns,
                                           &policy, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_fan_in *fan_in = memory;
    fan_in->policy = policy;
    fan_in->sleeps = fletch_wait_policy_sleeps(&policy);
    fan_in->run_limit = (uint32_t)plan.options.run_limit;
    fletch_eventcount_start(&fan_in->elements, FLETCH_SHARING_PROCESS);
    if (!fan_in->sleeps)
        fan_in->elements.fence_kind = FLETCH_FENCE_ASYMMETRIC; /* nobody will ever sleep */
    status = fletch_lane_set_start(&fan_in->set, (char *)memory + lanes_offset(),
                                   (uint32_t)plan.options.lane_count, &plan.ring, error);
    if (status != FLETCH_OK)
        return status;
    fan_in->consumer = (struct fletch_fan_in_consumer){.ring = lane_at(fan_in, 0)->ring};
    fletch_wait_history_start(&fan_in->consumer.waits, &policy);
    for (uint32_t i = 0; i < fan_in->set.lane_count; i++)
        lane_at(fan_in, i)->fan_in = fan_in;
    *out_fan_in = fan_in;
    return FLETCH_OK;
}

void fletch_fan_in_restart_at(struct fletch_fan_in *fan_in, uint64_t start)
{
    for (uint32_t i = 0; i < fan_in->set.lane_count; i++)
        fletch_spsc_ring_restart_at(lane_at(fan_in, i)->ring, start);
    fan_in->consumer.turn_end = start;
}

enum fletch_status fletch_fan_in_create(const struct fletch_fan_in_options *options,
                                        const struct fletch_allocator *allocator,
                                        struct fletch_fan_in **out_fan_in,
                                        struct fletch_error *error)
{
    size_t bytes;
    enum fletch_status status = fletch_fan_in_bytes(options, &bytes, error);
    if (status != FLETCH_OK)
        return status;
    void *memory = fletch_block_allocate(allocator, bytes);
    if (memory == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a fan-in of %zu bytes", bytes);
    status = fletch_fan_in_init(memory, bytes, options, out_fan_in, error);
    if (status != FLETCH_OK)
        fletch_block_release(memory);
    return status;
}

void fletch_fan_in_deinit(struct fletch_fan_in *fan_in, fletch_drop_function *drop,
                          void *drop_context)
{
    if (fan_in == NULL)
        return;
    for (uint32_t i = 0; i < fan_in->set.lane_count; i++)
        fletch_spsc_ring_deinit(lane_at(fan_in, i)->ring, drop, drop_context);
    fletch_eventcount_deinit(&fan_in->elements);
}

void fletch_fan_in_destroy(struct fletch_fan_in *fan_in, fletch_drop_function *drop,
                           void *drop_context)
{
    if (fan_in == NULL)
        return;
    fletch_fan_in_deinit(fan_in, drop, drop_context);
    fletch_block_release(fan_in);
}

/* ---- registering ---- */

enum fletch_answer fletch_fan_in_register(struct fletch_fan_in *fan_in,
                                          struct fletch_fan_in_lane **out_lane)
{
    return fletch_lane_set_take(&fan_in->set, out_lane);
}

static void notify_consumer(struct fletch_fan_in *fan_in)
{
    if (__builtin_expect(fletch_eventcount_is_awaited(&fan_in->elements), 0) && fan_in->sleeps)
        fletch_eventcount_wake(&fan_in->elements, UINT32_MAX);
}

void fletch_fan_in_close(struct fletch_fan_in *fan_in)
{
    fletch_lane_set_close(&fan_in->set);
    notify_consumer(fan_in);
}

size_t fletch_fan_in_registered(const struct fletch_fan_in *fan_in)
{
    /* relaxed: a number as old as it likes */
    return (size_t)(load_relaxed(&fan_in->set.gate) / FLETCH_LANE_STEP);
}

/* ---- the producers' ends ---- */

/* The lane, or the consumer, is asleep. */
static FLETCH_NEVER_INLINE enum fletch_answer wake(struct fletch_fan_in_lane *lane)
{
    fletch_lane_rouse(lane);
    notify_consumer(lane->fan_in);
    return FLETCH_DONE;
}

/* After something was published in the lane, or the lane was closed. F2 is the eventcount's fence
 * too; a second one is due only behind a bit that was cleared. */
static FLETCH_ALWAYS_INLINE enum fletch_answer ring_bell(struct fletch_fan_in_lane *lane)
{
    fletch_fence_frequent(lane->fence_kind); /* F2 */
    /* relaxed: F2 orders it after the publication */
    uint64_t sleepers = load_relaxed(&lane->fan_in->elements.sleepers) & FLETCH_SLEEPERS_MASK;
    if (__builtin_expect(fletch_lane_is_asleep(lane) || sleepers != 0, 0))
        return wake(lane);
    return FLETCH_DONE;
}

static FLETCH_NEVER_INLINE enum fletch_answer push_slowly(struct fletch_fan_in_lane *lane,
                                                          const void *element)
{
    enum fletch_answer answer = fletch_spsc_ring_try_push(lane->ring, element);
    return answer == FLETCH_DONE ? ring_bell(lane) : answer;
}

enum fletch_answer fletch_fan_in_lane_try_push(struct fletch_fan_in_lane *lane, const void *element)
{
    if (__builtin_expect(!fletch_spsc_ring_push_fast(lane->ring, element), 0))
        return push_slowly(lane, element);
    return ring_bell(lane);
}

enum fletch_answer fletch_fan_in_lane_push(struct fletch_fan_in_lane *lane, const void *element,
                                           uint64_t timeout_ns)
{
    if (__builtin_expect(fletch_spsc_ring_push_fast(lane->ring, element), 1))
        return ring_bell(lane);
    enum fletch_answer answer = fletch_spsc_ring_push(lane->ring, element, timeout_ns);
    return answer == FLETCH_DONE ? ring_bell(lane) : answer;
}

enum fletch_answer fletch_fan_in_lane_try_claim(struct fletch_fan_in_lane *lane, size_t max_count,
                                                struct fletch_ring_spans *out_spans)
{
    return fletch_spsc_ring_try_claim(lane->ring, max_count, out_spans);
}

enum fletch_answer fletch_fan_in_lane_claim(struct fletch_fan_in_lane *lane, size_t max_count,
                                            uint64_t timeout_ns,
                                            struct fletch_ring_spans *out_spans)
{
    return fletch_spsc_ring_claim(lane->ring, max_count, timeout_ns, out_spans);
}

void fletch_fan_in_lane_commit(struct fletch_fan_in_lane *lane, size_t count)
{
    fletch_spsc_ring_commit(lane->ring, count);
    (void)ring_bell(lane);
}

enum fletch_answer fletch_fan_in_lane_try_push_many(struct fletch_fan_in_lane *lane,
                                                    const void *elements, size_t count,
                                                    size_t *out_pushed)
{
    enum fletch_answer answer =
        fletch_spsc_ring_try_push_many(lane->ring, elements, count, out_pushed);
    return *out_pushed > 0 ? ring_bell(lane) : answer;
}

/* Not the ring's call: the consumer hears of each part before the next one waits for room. */
enum fletch_answer fletch_fan_in_lane_push_many(struct fletch_fan_in_lane *lane,
                                                const void *elements, size_t count,
                                                uint64_t timeout_ns, size_t *out_pushed)
{
    const size_t element_bytes = lane->ring->header.layout.element_bytes;
    const uint64_t deadline_ns = fletch_clock_deadline_ns(timeout_ns);
    const char *next = elements;
    *out_pushed = 0;
    while (*out_pushed < count) {
        struct fletch_ring_spans spans;
        enum fletch_answer answer = fletch_spsc_ring_claim(
            lane->ring, count - *out_pushed, fletch_clock_remaining_ns(deadline_ns), &spans);
        if (answer != FLETCH_DONE)
            return answer;
        size_t filled = fletch_spans_fill(&spans, next, element_bytes);
        fletch_fan_in_lane_commit(lane, filled);
        next += filled * element_bytes;
        *out_pushed += filled;
    }
    return FLETCH_DONE;
}

void fletch_fan_in_lane_close(struct fletch_fan_in_lane *lane)
{
    FLETCH_ASSERT(lane->ring->producer.claimed == 0 && "a lane is closed with a claim open");
    fletch_spsc_ring_close(lane->ring);
    (void)ring_bell(lane);
}

uint32_t fletch_fan_in_lane_number(const struct fletch_fan_in_lane *lane)
{
    return lane->number;
}

enum fletch_status fletch_fan_in_lane_open_fd(struct fletch_fan_in_lane *lane, int *out_fd,
                                              struct fletch_error *error)
{
    return fletch_spsc_ring_open_fd(lane->ring, FLETCH_END_PRODUCER, out_fd, error);
}

bool fletch_fan_in_lane_arm(struct fletch_fan_in_lane *lane, uint32_t *out_key)
{
    return fletch_spsc_ring_arm(lane->ring, FLETCH_END_PRODUCER, out_key);
}

void fletch_fan_in_lane_disarm(struct fletch_fan_in_lane *lane, uint32_t key)
{
    fletch_spsc_ring_disarm(lane->ring, FLETCH_END_PRODUCER, key);
}

/* ---- the consumer's end ---- */

/* Where the lane whose turn it is stands. relaxed: the consumer's own */
static uint64_t head_of(const struct fletch_fan_in_consumer *consumer)
{
    return load_relaxed(&consumer->ring->consumer.head); /* relaxed: so */
}

/* Gives the turn to the next lane that has an element. */
static enum fletch_answer pass_turn(struct fletch_fan_in *fan_in)
{
    struct fletch_fan_in_consumer *consumer = &fan_in->consumer;
    struct fletch_fan_in_lane *lane;
    enum fletch_answer answer = fletch_lane_set_turn(&fan_in->set, &lane);
    consumer->turn_end = head_of(consumer);
    if (answer == FLETCH_DONE) {
        consumer->ring = lane->ring;
        consumer->source = lane->number;
        consumer->turn_end = head_of(consumer) + fan_in->run_limit;
    }
    return answer;
}

/* Of `wanted` elements those that the turn leaves to its lane. */
static uint64_t within_turn(const struct fletch_fan_in_consumer *consumer, uint64_t wanted)
{
    uint64_t left = consumer->turn_end - head_of(consumer);
    return wanted < left ? wanted : left;
}

/* Shows elements of the lane whose turn it is, or of the next one that has any. */
static enum fletch_answer peek_guarded(struct fletch_fan_in *fan_in, size_t max_count,
                                       struct fletch_ring_spans *out_spans)
{
    struct fletch_fan_in_consumer *consumer = &fan_in->consumer;
    FLETCH_ASSERT(max_count > 0 && "a look at nothing");
    fletch_end_guard_enter(&consumer->guard);
    enum fletch_answer answer = FLETCH_EMPTY;
    uint64_t count = within_turn(consumer, max_count);
    if (count > 0)
        answer = fletch_spsc_ring_try_peek(consumer->ring, count, out_spans);
    if (answer != FLETCH_DONE && (answer = pass_turn(fan_in)) == FLETCH_DONE)
        answer =
            fletch_spsc_ring_try_peek(consumer->ring, within_turn(consumer, max_count), out_spans);
    fletch_end_guard_leave(&consumer->guard);
    return answer;
}

static void release_guarded(struct fletch_fan_in *fan_in, size_t count)
{
    struct fletch_fan_in_consumer *consumer = &fan_in->consumer;
    fletch_end_guard_enter(&consumer->guard);
    /* A lane that was held meanwhile has no turn any more. */
    bool has_turn = consumer->turn_end != head_of(consumer);
    fletch_spsc_ring_release(consumer->ring, count);
    if (!has_turn)
        consumer->turn_end = head_of(consumer);
    fletch_end_guard_leave(&consumer->guard);
}

/* Pops elements of the lane whose turn it is, or of the next one that has any. */
static enum fletch_answer pop_run(struct fletch_fan_in *fan_in, void *out_elements,
                                  size_t max_count, size_t *out_popped)
{
    struct fletch_fan_in_consumer *consumer = &fan_in->consumer;
    fletch_end_guard_enter(&consumer->guard);
    enum fletch_answer answer = FLETCH_EMPTY;
    uint64_t count = within_turn(consumer, max_count);
    if (count > 0)
        answer = fletch_spsc_ring_try_pop_many(consumer->ring, out_elements, count, out_popped);
    if (answer != FLETCH_DONE && (answer = pass_turn(fan_in)) == FLETCH_DONE)
        answer = fletch_spsc_ring_try_pop_many(consumer->ring, out_elements,
                                               within_turn(consumer, max_count), out_popped);
    fletch_end_guard_leave(&consumer->guard);
    return answer;
}

static enum fletch_answer pop_some(struct fletch_fan_in *fan_in, void *out_elements,
                                   size_t max_count, size_t *out_popped)
{
    size_t element_bytes = fan_in->consumer.ring->header.layout.element_bytes;
    char *to = out_elements;
    enum fletch_answer answer = FLETCH_DONE;
    size_t popped;
    *out_popped = 0;
    while (*out_popped < max_count) {
        answer = pop_run(fan_in, to, max_count - *out_popped, &popped);
        if (answer != FLETCH_DONE)
            break;
        to += popped * element_bytes;
        *out_popped += popped;
    }
    return *out_popped > 0 ? FLETCH_DONE : answer;
}

/* A waiting call, packed for sync/wait.h. */
struct fan_in_call {
    struct fletch_fan_in *fan_in;
    void *out_elements;
    size_t max_count;
    size_t *out_popped;
    struct fletch_ring_spans *out_spans;
};

static enum fletch_answer wait_for(fletch_wait_attempt *attempt, struct fan_in_call *call,
                                   uint64_t timeout_ns)
{
    struct fletch_fan_in *fan_in = call->fan_in;
    const struct fletch_wait wait = {
        .policy = &fan_in->policy,
        .history = &fan_in->consumer.waits,
        .eventcount = &fan_in->elements,
        .attempt = attempt,
        .call = call,
    };
    return fletch_wait_for(&wait, timeout_ns);
}

static enum fletch_answer counted(struct fletch_fan_in *fan_in, enum fletch_answer answer)
{
    if (answer == FLETCH_EMPTY)
        count_one(&fan_in->consumer.emptys);
    return answer;
}

static FLETCH_NEVER_INLINE enum fletch_answer pop_slowly(struct fletch_fan_in *fan_in,
                                                         void *out_element)
{
    size_t popped;
    return counted(fan_in, pop_some(fan_in, out_element, 1, &popped));
}

enum fletch_answer fletch_fan_in_try_pop(struct fletch_fan_in *fan_in, void *out_element)
{
    struct fletch_fan_in_consumer *consumer = &fan_in->consumer;
    fletch_end_guard_enter(&consumer->guard);
    bool popped = consumer->turn_end != head_of(consumer) &&
                  fletch_spsc_ring_pop_fast(consumer->ring, out_element);
    fletch_end_guard_leave(&consumer->guard);
    return __builtin_expect(popped, 1) ? FLETCH_DONE : pop_slowly(fan_in, out_element);
}

static enum fletch_answer attempt_pop(void *call)
{
    struct fan_in_call *pop = call;
    return pop_some(pop->fan_in, pop->out_elements, pop->max_count, pop->out_popped);
}

enum fletch_answer fletch_fan_in_pop(struct fletch_fan_in *fan_in, void *out_element,
                                     uint64_t timeout_ns)
{
    enum fletch_answer answer = fletch_fan_in_try_pop(fan_in, out_element);
    if (__builtin_expect(answer != FLETCH_EMPTY, 1))
        return answer;
    size_t popped;
    struct fan_in_call call = {
        .fan_in = fan_in, .out_elements = out_element, .max_count = 1, .out_popped = &popped};
    return wait_for(attempt_pop, &call, timeout_ns);
}

enum fletch_answer fletch_fan_in_try_pop_many(struct fletch_fan_in *fan_in, void *out_elements,
                                              size_t max_count, size_t *out_popped)
{
    return counted(fan_in, pop_some(fan_in, out_elements, max_count, out_popped));
}

enum fletch_answer fletch_fan_in_pop_many(struct fletch_fan_in *fan_in, void *out_elements,
                                          size_t max_count, uint64_t timeout_ns, size_t *out_popped)
{
    enum fletch_answer answer =
        fletch_fan_in_try_pop_many(fan_in, out_elements, max_count, out_popped);
    if (answer != FLETCH_EMPTY)
        return answer;
    struct fan_in_call call = {.fan_in = fan_in,
                               .out_elements = out_elements,
                               .max_count = max_count,
                               .out_popped = out_popped};
    return wait_for(attempt_pop, &call, timeout_ns);
}

enum fletch_answer fletch_fan_in_try_peek(struct fletch_fan_in *fan_in, size_t max_count,
                                          struct fletch_ring_spans *out_spans)
{
    return counted(fan_in, peek_guarded(fan_in, max_count, out_spans));
}

static enum fletch_answer attempt_peek(void *call)
{
    struct fan_in_call *look = call;
    return peek_guarded(look->fan_in, look->max_count, look->out_spans);
}

enum fletch_answer fletch_fan_in_peek(struct fletch_fan_in *fan_in, size_t max_count,
                                      uint64_t timeout_ns, struct fletch_ring_spans *out_spans)
{
    enum fletch_answer answer = fletch_fan_in_try_peek(fan_in, max_count, out_spans);
    if (answer != FLETCH_EMPTY)
        return answer;
    struct fan_in_call call = {.fan_in = fan_in, .max_count = max_count, .out_spans = out_spans};
    return wait_for(attempt_peek, &call, timeout_ns);
}

void fletch_fan_in_release(struct fletch_fan_in *fan_in, size_t count)
{
    release_guarded(fan_in, count);
}

uint32_t fletch_fan_in_source(const struct fletch_fan_in *fan_in)
{
    return fan_in->consumer.source;
}

/* ---- holding lanes, and wanting no more ---- */

void fletch_fan_in_hold(struct fletch_fan_in *fan_in, uint32_t lane_number)
{
    FLETCH_ASSERT(lane_number < fan_in->set.lane_count && "no such lane");
    if (fan_in->consumer.source == lane_number)
        fan_in->consumer.turn_end = head_of(&fan_in->consumer);
    fletch_lane_set_hold(&fan_in->set, lane_number);
}

void fletch_fan_in_resume(struct fletch_fan_in *fan_in, uint32_t lane_number)
{
    FLETCH_ASSERT(lane_number < fan_in->set.lane_count && "no such lane");
    fletch_lane_set_resume(&fan_in->set, lane_number);
}

void fletch_fan_in_cancel(struct fletch_fan_in *fan_in)
{
    fletch_fan_in_close(fan_in);
    for (uint32_t i = 0; i < fan_in->set.lane_count; i++)
        fletch_spsc_ring_cancel(lane_at(fan_in, i)->ring);
}

/* ---- the consumer's descriptor ---- */

enum fletch_status fletch_fan_in_open_fd(struct fletch_fan_in *fan_in, int *out_fd,
                                         struct fletch_error *error)
{
    if (!fan_in->sleeps)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "a fan-in with wait strategy %d never sleeps and has no descriptor",
                                (int)fan_in->policy.strategy);
    return fletch_eventcount_open_fd(&fan_in->elements, out_fd, error);
}

static bool has_nothing_to_do(void *fan_in)
{
    struct fletch_ring_spans unused;
    return peek_guarded(fan_in, 1, &unused) == FLETCH_EMPTY;
}

bool fletch_fan_in_arm(struct fletch_fan_in *fan_in, uint32_t *out_key)
{
    return fletch_ring_arm(&fan_in->elements, has_nothing_to_do, fan_in, out_key);
}

void fletch_fan_in_disarm(struct fletch_fan_in *fan_in, uint32_t key)
{
    fletch_eventcount_disarm(&fan_in->elements, key);
}

/* ---- statistics ---- */

void fletch_fan_in_lane_statistics(const struct fletch_fan_in_lane *lane,
                                   struct fletch_ring_statistics *out_statistics)
{
    fletch_spsc_ring_statistics(lane->ring, out_statistics);
}

void fletch_fan_in_statistics(const struct fletch_fan_in *fan_in,
                              struct fletch_ring_statistics *out_statistics)
{
    /* relaxed: each number may be as old as it likes */
    struct fletch_ring_statistics sum = {
        .empty = load_relaxed(&fan_in->consumer.emptys),               /* relaxed: see above */
        .consumer_parks = load_relaxed(&fan_in->consumer.waits.parks), /* relaxed: see above */
    };
    for (uint32_t i = 0; i < fan_in->set.lane_count; i++) {
        struct fletch_ring_statistics one = {.struct_size = sizeof one};
        fletch_spsc_ring_statistics(lane_at(fan_in, i)->ring, &one);
        sum.pushed += one.pushed;
        sum.popped += one.popped;
        sum.full += one.full;
        sum.producer_parks += one.producer_parks;
    }
    fletch_ring_statistics_write(out_statistics, &sum);
}
