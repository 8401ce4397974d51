#include "sync/broadcast_ring.h"

#include <stddef.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/inlining.h"
#include "base/options.h"
#include "base/thread.h"

#define BROADCAST_RING_MAGIC UINT64_C(0x7473616364616f62) /* "boadcast" */

#ifndef FLETCH_MODEL_CHECK
#define GROUP_OF(field) (offsetof(struct fletch_broadcast_ring, field) / FLETCH_INTERFERENCE_BYTES)
_Static_assert(GROUP_OF(claims) > GROUP_OF(context), "what producers write shares no line");
_Static_assert(GROUP_OF(published) > GROUP_OF(claims), "published by the producer");
_Static_assert(GROUP_OF(kept) > GROUP_OF(published), "published by the keeper");
_Static_assert(GROUP_OF(keeper) > GROUP_OF(kept), "the keeper's own");
_Static_assert(GROUP_OF(producers) > GROUP_OF(keeper), "written by waiting producers");
_Static_assert(GROUP_OF(joined) > GROUP_OF(producers), "written by who joins");
_Static_assert(GROUP_OF(seats) > GROUP_OF(joined), "the consumers' fields");
#endif

#define STEP FLETCH_BROADCAST_STEP
#define CLOSED FLETCH_BROADCAST_CLOSED

/* PAUSEs after a failed compare-and-swap, as in sync/mpsc_queue.c. */
enum { BACKOFF_PAUSES_MAX = 64 };

/* ---- layout ---- */

static uint64_t limit_of(const struct fletch_broadcast_ring *ring)
{
    return ring->header.layout.element_limit * STEP;
}

/* ---- making and ending ---- */

static enum fletch_status check(const struct fletch_broadcast_ring_options *options,
                                struct fletch_error *error)
{
    if (options->consumers_max < 1 || options->consumers_max > FLETCH_BROADCAST_CONSUMERS_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "consumers_max %zu is not between 1 and %d", options->consumers_max,
                                FLETCH_BROADCAST_CONSUMERS_MAX);
    if ((unsigned)options->form > FLETCH_RING_CURSOR)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "ring form %d is not one of 0 to %d", (int)options->form,
                                (int)FLETCH_RING_CURSOR);
    if ((unsigned)options->producers > FLETCH_PRODUCERS_MANY)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "producers %d is not one of 0 to %d", (int)options->producers,
                                (int)FLETCH_PRODUCERS_MANY);
    if (options->form == FLETCH_RING_CURSOR && options->producers == FLETCH_PRODUCERS_MANY)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "the cursor form is for one producer");
    return FLETCH_OK;
}

struct choice {
    struct fletch_broadcast_ring_options options;
    struct fletch_ring_choice elements;
    struct fletch_ring_shape shape;
};

static enum fletch_status choose(const struct fletch_broadcast_ring_options *options,
                                 struct choice *out_choice, struct fletch_error *error)
{
    struct fletch_broadcast_ring_options *known = &out_choice->options;
    enum fletch_status status =
        fletch_options_copy(known, sizeof *known, options, sizeof *known, error);
    if (status == FLETCH_OK)
        status = check(known, error);
    if (status != FLETCH_OK)
        return status;
    out_choice->elements = (struct fletch_ring_choice){
        .element_bytes = known->element_bytes,
        .capacity = known->capacity,
        .sharing = FLETCH_SHARING_PROCESS,
        .wait_strategy = known->wait_strategy,
        .spin_budget_ns = known->spin_budget_ns,
    };
    out_choice->shape = (struct fletch_ring_shape){
        .magic = BROADCAST_RING_MAGIC,
        .slot_sequence = known->form != FLETCH_RING_CURSOR,
        .power_of_two = true,
        .structure_bytes = sizeof(struct fletch_broadcast_ring) +
                           known->consumers_max * sizeof(struct fletch_broadcast_consumer),
    };
    return FLETCH_OK;
}

enum fletch_status fletch_broadcast_ring_bytes(const struct fletch_broadcast_ring_options *options,
                                               size_t *out_bytes, struct fletch_error *error)
{
    struct choice choice;
    struct fletch_ring_layout layout;
    enum fletch_status status = choose(options, &choice, error);
    if (status == FLETCH_OK)
        status = fletch_ring_plan(&choice.elements, &choice.shape, &layout, error);
    if (status == FLETCH_OK)
        *out_bytes = layout.total_bytes;
    return status;
}

size_t fletch_broadcast_ring_alignment(void)
{
    return FLETCH_INTERFERENCE_BYTES;
}

/* relaxed throughout: nobody else knows the ring yet, and who tells them orders this before */
void fletch_broadcast_ring_restart_at(struct fletch_broadcast_ring *ring, uint64_t start)
{
    ring->start = start;
    store_relaxed(&ring->claims.tail, start); /* relaxed: see above */
    ring->claims.room_end = start + limit_of(ring);
    ring->claims.claimed = 0;
    store_relaxed(&ring->claims.guard.entered, 0); /* relaxed: see above */
    store_relaxed(&ring->published, start);        /* relaxed: see above */
    store_relaxed(&ring->kept, start);             /* relaxed: see above */
    store_relaxed(&ring->keeper.keepers, 0);       /* relaxed: see above */
    ring->keeper.run_end = start;
    ring->keeper.passed = start;
    store_relaxed(&ring->producers.fulls, 0); /* relaxed: see above */
    fletch_wait_history_start(&ring->producers.waits, &ring->header.policy);
    store_relaxed(&ring->joined, 0);    /* relaxed: see above */
    store_relaxed(&ring->consumers, 0); /* relaxed: see above */
    store_relaxed(&ring->removed, 0);   /* relaxed: see above */
    if (!fletch_broadcast_has_sequences(ring))
        return;
    /* Each slot gets the number that it would have from the lap before. */
    uint64_t lap = ring->header.layout.slot_count * STEP;
    for (uint64_t p = start; p != start + lap; p += STEP)
        store_relaxed(fletch_broadcast_sequence(fletch_broadcast_slot(ring, p, 0)),
                      p + STEP - lap); /* relaxed: see above */
}

enum fletch_status fletch_broadcast_ring_init(void *memory, size_t memory_bytes,
                                              const struct fletch_broadcast_ring_options *options,
                                              struct fletch_broadcast_ring **out_ring,
                                              struct fletch_error *error)
{
    struct choice choice;
    enum fletch_status status = choose(options, &choice, error);
    if (status == FLETCH_OK)
        status = fletch_ring_start(memory, memory_bytes, &choice.elements, &choice.shape, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_broadcast_ring *ring = memory;
    ring->consumers_max = choice.options.consumers_max;
    ring->fence_kind = fletch_fence_kind_of_process();
    ring->many = choice.options.producers == FLETCH_PRODUCERS_MANY;
    ring->drop = choice.options.drop;
    ring->hold = choice.options.hold;
    ring->context = choice.options.context;
    ring->kept_by_keeper = ring->many || ring->drop != NULL;
    const struct fletch_seats seats = fletch_broadcast_seats(ring);
    fletch_seats_start(&seats, ring);
    fletch_broadcast_ring_restart_at(ring, 0);
    *out_ring = ring;
    return FLETCH_OK;
}

enum fletch_status fletch_broadcast_ring_create(const struct fletch_broadcast_ring_options *options,
                                                const struct fletch_allocator *allocator,
                                                struct fletch_broadcast_ring **out_ring,
                                                struct fletch_error *error)
{
    size_t bytes;
    enum fletch_status status = fletch_broadcast_ring_bytes(options, &bytes, error);
    if (status != FLETCH_OK)
        return status;
    void *memory = fletch_block_allocate(allocator, bytes);
    if (memory == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a ring of %zu bytes", bytes);
    status = fletch_broadcast_ring_init(memory, bytes, options, out_ring, error);
    if (status != FLETCH_OK)
        fletch_block_release(memory);
    return status;
}

static void drop_at(struct fletch_broadcast_ring *ring, uint64_t position)
{
    ring->drop(ring->context,
               fletch_broadcast_slot(ring, position, 0) + ring->header.layout.payload_offset);
}

void fletch_broadcast_ring_deinit(struct fletch_broadcast_ring *ring)
{
    if (ring == NULL)
        return;
    /* Positions that were claimed and never published hold nothing that could be dropped. */
    uint64_t tail = load_relaxed(&ring->claims.tail) & ~CLOSED; /* relaxed: all have stopped */
    uint64_t run_end = ring->keeper.run_end;
    for (uint64_t p = ring->keeper.passed; ring->drop != NULL && p != tail; p += STEP) {
        if (!fletch_is_ahead(run_end, p))
            run_end = fletch_broadcast_run(ring, p);
        if (fletch_is_ahead(run_end, p))
            drop_at(ring, p);
    }
    fletch_ring_end(&ring->header);
}

void fletch_broadcast_ring_destroy(struct fletch_broadcast_ring *ring)
{
    if (ring == NULL)
        return;
    fletch_broadcast_ring_deinit(ring);
    fletch_block_release(ring);
}

/* ---- room ---- */

/* The keeper passes what is published and was passed by all. False: nothing. */
static bool keep_up(struct fletch_broadcast_ring *ring)
{
    struct fletch_broadcast_keeper *keeper = &ring->keeper;
    const struct fletch_seats seats = fletch_broadcast_seats(ring);
    uint64_t end = fletch_seats_least(&seats, fletch_broadcast_tail(ring));
    uint64_t before = keeper->passed;
    while (fletch_is_ahead(end, keeper->passed)) {
        if (!fletch_is_ahead(keeper->run_end, keeper->passed))
            keeper->run_end = fletch_broadcast_run(ring, keeper->passed);
        if (!fletch_is_ahead(keeper->run_end, keeper->passed))
            break;
        uint64_t stop = fletch_is_ahead(keeper->run_end, end) ? end : keeper->run_end;
        for (uint64_t p = keeper->passed; ring->drop != NULL && p != stop; p += STEP)
            drop_at(ring, p);
        keeper->passed = stop;
    }
    store_release(&ring->kept, keeper->passed); /* E2 release */
    return keeper->passed != before;
}

/* After a change at the gates, or before an answer that there is no room. Wakes nobody for nothing:
 * a producer that is about to sleep asks too, and would wake itself. */
static FLETCH_NEVER_INLINE void ask_keeper(struct fletch_broadcast_ring *ring)
{
    /* E4 release, E4 acquire */
    if (fetch_add_acq_rel(&ring->keeper.keepers, 1) != 0)
        return;
    uint32_t asked = 1;
    bool moved = false;
    do
        moved |= keep_up(ring);
    while (!cas_strong_acq_rel(&ring->keeper.keepers, &asked, 0)); /* E4 release, E4 acquire */
    if (moved)
        fletch_ring_notify(&ring->header, FLETCH_END_PRODUCER);
}

void fletch_broadcast_gates_changed(struct fletch_broadcast_ring *ring)
{
    if (ring->drop != NULL)
        ask_keeper(ring);
    else
        fletch_ring_notify(&ring->header, FLETCH_END_PRODUCER);
}

/* One producer: free slots behind `tail`, exactly known only if there are fewer than `wanted`. */
static FLETCH_ALWAYS_INLINE uint64_t room_for(struct fletch_broadcast_ring *ring, uint64_t tail,
                                              uint64_t wanted)
{
    struct fletch_broadcast_claims *claims = &ring->claims;
    uint64_t room = fletch_broadcast_between(tail, claims->room_end);
    if (__builtin_expect(room >= wanted, 1))
        return room;
    const struct fletch_seats seats = fletch_broadcast_seats(ring);
    if (ring->kept_by_keeper) {
        ask_keeper(ring);
        claims->room_end = load_acquire(&ring->kept) + limit_of(ring); /* E2 acquire */
    } else {
        claims->room_end = fletch_seats_least(&seats, tail) + limit_of(ring);
    }
    return fletch_broadcast_between(tail, claims->room_end);
}

/* ---- producers ---- */

static void back_off(const struct fletch_broadcast_ring *ring, uint32_t *pauses)
{
    for (uint32_t i = 0; i < *pauses; i++)
        fletch_cpu_relax();
    if (*pauses < BACKOFF_PAUSES_MAX)
        *pauses *= 2;
    else if (ring->header.policy.strategy > FLETCH_WAIT_PAUSE)
        fletch_thread_yield();
}

static uint64_t room_of_many(struct fletch_broadcast_ring *ring, uint64_t tail)
{
    /* A tail that is older than what was kept makes the difference too large: the claim fails. */
    return fletch_broadcast_between(tail,
                                    load_acquire(&ring->kept) + limit_of(ring)); /* E2 acquire */
}

/* Several producers: claims up to `wanted` positions. */
static enum fletch_answer claim_many(struct fletch_broadcast_ring *ring, uint64_t wanted,
                                     uint64_t *out_position, uint64_t *out_count)
{
    uint32_t pauses = 1;
    uint64_t most = ring->header.layout.element_limit;
    /* relaxed: only a compare-and-swap that finds the same value uses it */
    uint64_t tail = load_relaxed(&ring->claims.tail);
    for (;;) {
        if ((tail & CLOSED) != 0)
            return FLETCH_CLOSED;
        uint64_t room = room_of_many(ring, tail);
        if (room < wanted && room < most) {
            ask_keeper(ring);
            room = room_of_many(ring, tail);
        }
        if (room == 0)
            return FLETCH_FULL;
        room = room < wanted ? room : wanted;
        *out_count = room < most ? room : most;
        *out_position = tail;
        /* relaxed: the claim hands nothing over; E1 and E2 do, run by run */
        if (cas_weak_relaxed(&ring->claims.tail, &tail, tail + *out_count * STEP))
            return FLETCH_DONE;
        back_off(ring, &pauses);
    }
}

/* One producer: the same, without moving the tail. A claim stays within the guard until its
 * commit. */
static enum fletch_answer claim_one(struct fletch_broadcast_ring *ring, uint64_t wanted,
                                    uint64_t *out_position, uint64_t *out_count)
{
    fletch_end_guard_enter(&ring->claims.guard);
    uint64_t tail = load_relaxed(&ring->claims.tail); /* relaxed: written by this end only */
    uint64_t room = (tail & CLOSED) != 0 ? 0 : room_for(ring, tail, wanted);
    if (room == 0) {
        fletch_end_guard_leave(&ring->claims.guard);
        return (tail & CLOSED) != 0 ? FLETCH_CLOSED : FLETCH_FULL;
    }
    *out_position = tail;
    *out_count = room < wanted ? room : wanted;
    ring->claims.claimed = *out_count;
    return FLETCH_DONE;
}

static enum fletch_answer claim(struct fletch_broadcast_ring *ring, size_t max_count,
                                struct fletch_broadcast_claim *out_claim)
{
    uint64_t count;
    FLETCH_ASSERT(max_count > 0 && "a claim of nothing");
    enum fletch_answer answer = ring->many
                                    ? claim_many(ring, max_count, &out_claim->position, &count)
                                    : claim_one(ring, max_count, &out_claim->position, &count);
    if (answer == FLETCH_DONE)
        fletch_broadcast_show(ring, out_claim->position, count, &out_claim->spans);
    return answer;
}

/* Publishes the run of elements that were written from `position` to `end`. */
static FLETCH_ALWAYS_INLINE void publish(struct fletch_broadcast_ring *ring, char *slot,
                                         uint64_t end)
{
    if (fletch_broadcast_has_sequences(ring))
        store_release(fletch_broadcast_sequence(slot), end); /* E1 release */
    else
        store_release(&ring->published, end); /* E3 release */
    if (!ring->many)
        /* relaxed: read by statistics, and by who joins or is the keeper, who fences */
        store_relaxed(&ring->claims.tail, end);
}

void fletch_broadcast_ring_commit(struct fletch_broadcast_ring *ring,
                                  const struct fletch_broadcast_claim *claim, size_t count)
{
    if (ring->many) {
        FLETCH_ASSERT(count == claim->spans.first_count + claim->spans.second_count &&
                      "one of several producers commits what it claimed");
    } else {
        FLETCH_ASSERT(count <= ring->claims.claimed && "more is committed than was claimed");
        ring->claims.claimed = 0;
    }
    if (count > 0)
        publish(ring, fletch_broadcast_slot(ring, claim->position, 0),
                claim->position + count * STEP);
    if (!ring->many)
        fletch_end_guard_leave(&ring->claims.guard);
    fletch_ring_notify(&ring->header, FLETCH_END_CONSUMER);
}

/* Apart, so that the fast way has no stack frame. */
static FLETCH_NEVER_INLINE enum fletch_answer claim_slowly(struct fletch_broadcast_ring *ring,
                                                           size_t max_count,
                                                           struct fletch_broadcast_claim *out_claim)
{
    enum fletch_answer answer = claim(ring, max_count, out_claim);
    if (answer == FLETCH_FULL)
        count_one(&ring->producers.fulls);
    return answer;
}

/* One producer: claims `count` positions, if it knows of room for all of them. */
static FLETCH_ALWAYS_INLINE bool claim_fast(struct fletch_broadcast_ring *ring, size_t count,
                                            struct fletch_broadcast_claim *out_claim)
{
    struct fletch_broadcast_claims *claims = &ring->claims;
    uint64_t tail = load_relaxed(&claims->tail); /* relaxed: written by this end only */
    if (ring->many || count == 0 || count > fletch_broadcast_between(tail, claims->room_end))
        return false;
    fletch_end_guard_enter(&claims->guard);
    claims->claimed = count;
    out_claim->position = tail;
    fletch_broadcast_show(ring, tail, count, &out_claim->spans);
    return true;
}

enum fletch_answer fletch_broadcast_ring_try_claim(struct fletch_broadcast_ring *ring,
                                                   size_t max_count,
                                                   struct fletch_broadcast_claim *out_claim)
{
    return __builtin_expect(claim_fast(ring, max_count, out_claim), 1)
               ? FLETCH_DONE
               : claim_slowly(ring, max_count, out_claim);
}

/* A waiting call, packed for sync/wait.h. */
struct claim_call {
    struct fletch_broadcast_ring *ring;
    size_t max_count;
    struct fletch_broadcast_claim *out_claim;
};

static enum fletch_answer attempt_claim(void *call)
{
    struct claim_call *want = call;
    return claim(want->ring, want->max_count, want->out_claim);
}

enum fletch_answer fletch_broadcast_ring_claim(struct fletch_broadcast_ring *ring, size_t max_count,
                                               uint64_t timeout_ns,
                                               struct fletch_broadcast_claim *out_claim)
{
    enum fletch_answer answer = fletch_broadcast_ring_try_claim(ring, max_count, out_claim);
    if (answer != FLETCH_FULL)
        return answer;
    struct claim_call call = {.ring = ring, .max_count = max_count, .out_claim = out_claim};
    const struct fletch_wait wait = {
        .policy = &ring->header.policy,
        .history = &ring->producers.waits,
        .eventcount = &ring->header.room,
        .attempt = attempt_claim,
        .call = &call,
    };
    return fletch_wait_for(&wait, timeout_ns);
}

enum fletch_answer fletch_broadcast_ring_push_many(struct fletch_broadcast_ring *ring,
                                                   const void *elements, size_t count,
                                                   uint64_t timeout_ns, size_t *out_pushed)
{
    struct fletch_broadcast_claim claim;
    const char *next = elements;
    uint64_t deadline_ns = fletch_clock_deadline_ns(timeout_ns);
    *out_pushed = 0;
    while (*out_pushed < count) {
        enum fletch_answer answer = fletch_broadcast_ring_claim(
            ring, count - *out_pushed, fletch_clock_remaining_ns(deadline_ns), &claim);
        if (answer != FLETCH_DONE)
            return answer;
        size_t filled = fletch_spans_fill(&claim.spans, next, ring->header.layout.element_bytes);
        fletch_broadcast_ring_commit(ring, &claim, filled);
        next += filled * ring->header.layout.element_bytes;
        *out_pushed += filled;
    }
    return FLETCH_DONE;
}

enum fletch_answer fletch_broadcast_ring_try_push_many(struct fletch_broadcast_ring *ring,
                                                       const void *elements, size_t count,
                                                       size_t *out_pushed)
{
    struct fletch_broadcast_claim claim;
    *out_pushed = 0;
    if (count == 0)
        return FLETCH_DONE;
    enum fletch_answer answer = fletch_broadcast_ring_try_claim(ring, count, &claim);
    if (answer != FLETCH_DONE)
        return answer;
    *out_pushed = fletch_spans_fill(&claim.spans, elements, ring->header.layout.element_bytes);
    fletch_broadcast_ring_commit(ring, &claim, *out_pushed);
    return FLETCH_DONE;
}

/* One producer, slot form: pushes an element of `words` words if there is room that it knows of. */
static FLETCH_ALWAYS_INLINE bool push_words(struct fletch_broadcast_ring *ring, const void *element,
                                            size_t words)
{
    struct fletch_broadcast_claims *claims = &ring->claims;
    uint64_t tail = load_relaxed(&claims->tail); /* relaxed: written by this end only */
    if (__builtin_expect(!fletch_is_ahead(claims->room_end, tail), 0))
        return false;
    char *slot = fletch_broadcast_slot(ring, tail, words);
    fletch_words_push(slot + sizeof(uint64_t), element, words);
    store_release(fletch_broadcast_sequence(slot), tail + STEP); /* E1 release */
    store_relaxed(&claims->tail, tail + STEP);                   /* relaxed: as in publish */
    return true;
}

static FLETCH_ALWAYS_INLINE bool push_fast(struct fletch_broadcast_ring *ring, const void *element)
{
    uint64_t words = ring->header.layout.fast_words;
    bool pushed = false;
    if (__builtin_expect(ring->many, 0))
        return false;
    fletch_end_guard_enter(&ring->claims.guard);
    if (__builtin_expect(words == 3, 1))
        pushed = push_words(ring, element, 3);
    else if (words == 1)
        pushed = push_words(ring, element, 1);
    fletch_end_guard_leave(&ring->claims.guard);
    return pushed;
}

/* Apart, so that the fast way has no stack frame. */
static FLETCH_NEVER_INLINE enum fletch_answer push_slowly(struct fletch_broadcast_ring *ring,
                                                          const void *element)
{
    size_t pushed;
    return fletch_broadcast_ring_try_push_many(ring, element, 1, &pushed);
}

static FLETCH_NEVER_INLINE enum fletch_answer wake_consumers(struct fletch_broadcast_ring *ring)
{
    fletch_ring_wake(&ring->header, FLETCH_END_CONSUMER);
    return FLETCH_DONE;
}

enum fletch_answer fletch_broadcast_ring_try_push(struct fletch_broadcast_ring *ring,
                                                  const void *element)
{
    if (__builtin_expect(!push_fast(ring, element), 0))
        return push_slowly(ring, element);
    if (__builtin_expect(fletch_ring_is_awaited(&ring->header, FLETCH_END_CONSUMER), 0))
        return wake_consumers(ring);
    return FLETCH_DONE;
}

enum fletch_answer fletch_broadcast_ring_push(struct fletch_broadcast_ring *ring,
                                              const void *element, uint64_t timeout_ns)
{
    size_t pushed;
    enum fletch_answer answer = fletch_broadcast_ring_try_push(ring, element);
    if (__builtin_expect(answer != FLETCH_FULL, 1))
        return answer;
    return fletch_broadcast_ring_push_many(ring, element, 1, timeout_ns, &pushed);
}

void fletch_broadcast_ring_close(struct fletch_broadcast_ring *ring)
{
    /* relaxed: the order of claims and closing is that of this one word */
    uint64_t tail = fetch_or_relaxed(&ring->claims.tail, CLOSED);
    if (!ring->many)
        ring->claims.room_end = tail; /* the short way sees no room */
    /* relaxed: says that the tail is worth a look, which tells the rest */
    fetch_or_relaxed(&ring->header.shut, FLETCH_RING_CLOSED);
    fletch_ring_notify(&ring->header, FLETCH_END_CONSUMER);
    fletch_ring_notify(&ring->header, FLETCH_END_PRODUCER);
}

/* ---- descriptors ---- */

enum fletch_status fletch_broadcast_ring_open_fd(struct fletch_broadcast_ring *ring,
                                                 enum fletch_ring_end end, int *out_fd,
                                                 struct fletch_error *error)
{
    return fletch_ring_open_fd(&ring->header, end, out_fd, error);
}

static bool producer_has_nothing_to_do(void *memory)
{
    struct fletch_broadcast_ring *ring = memory;
    uint64_t tail = load_relaxed(&ring->claims.tail); /* relaxed: a guess, as any answer is */
    if ((tail & CLOSED) != 0)
        return false;
    if (!ring->many)
        return room_for(ring, tail, 1) == 0;
    if (room_of_many(ring, tail) == 0)
        ask_keeper(ring);
    return room_of_many(ring, tail) == 0;
}

bool fletch_broadcast_ring_arm(struct fletch_broadcast_ring *ring, uint32_t *out_key)
{
    return fletch_ring_arm(&ring->header.room, producer_has_nothing_to_do, ring, out_key);
}

void fletch_broadcast_ring_disarm(struct fletch_broadcast_ring *ring, uint32_t key)
{
    fletch_eventcount_disarm(&ring->header.room, key);
}
