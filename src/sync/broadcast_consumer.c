#include <fletching/broadcast_consumer.h>

#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/inlining.h"
#include "base/options.h"
#include "sync/broadcast_ring.h"

#define STEP FLETCH_BROADCAST_STEP
#define CLOSED FLETCH_BROADCAST_CLOSED

/* ---- elements ---- */

/* Single pops are short up to the element before the gate is moved next, and as far as leaders have
 * passed. */
static void set_short_end(struct fletch_broadcast_own *own)
{
    own->short_end = own->return_at - STEP;
    if (own->follows && fletch_is_ahead(own->short_end, own->led_to))
        own->short_end = own->led_to;
}

/* Asks those that it is behind how far they have come. */
static FLETCH_NEVER_INLINE void ask_leaders(struct fletch_broadcast_consumer *consumer)
{
    struct fletch_broadcast_own *own = &consumer->own;
    const struct fletch_seats seats = fletch_broadcast_seats(consumer->ring);
    own->follows = fletch_seat_led_to(&seats, consumer, &own->led_to);
    if (own->follows && fletch_is_ahead(own->seen, own->led_to))
        own->seen = own->led_to;
    set_short_end(own);
}

/* Looks for elements from `head` to `end`: how many there are. */
static FLETCH_NEVER_INLINE uint64_t look_for(struct fletch_broadcast_consumer *consumer,
                                             uint64_t head, uint64_t end)
{
    struct fletch_broadcast_own *own = &consumer->own;
    if (!fletch_is_ahead(own->run_end, head))
        own->run_end = head;
    while (fletch_is_ahead(end, own->run_end)) {
        uint64_t run_end = fletch_broadcast_run(consumer->ring, own->run_end);
        if (!fletch_is_ahead(run_end, own->run_end))
            break;
        own->run_end = run_end;
    }
    own->seen = own->run_end;
    if (own->follows)
        ask_leaders(consumer);
    return fletch_broadcast_between(head, fletch_is_ahead(own->seen, end) ? end : own->seen);
}

/* How many elements at `head` may be taken, at most `wanted`. */
static FLETCH_ALWAYS_INLINE uint64_t elements_at(struct fletch_broadcast_consumer *consumer,
                                                 uint64_t head, uint64_t wanted)
{
    uint64_t slots = consumer->ring->header.layout.slot_count;
    uint64_t count = wanted < slots ? wanted : slots;
    uint64_t end = head + count * STEP;
    return fletch_is_ahead(end, consumer->own.seen) ? look_for(consumer, head, end) : count;
}

/* Finds out how far this consumer may hand lines back: for a lap, while it is alone. A newcomer may
 * come to read what lies before it in that lap: its sequences, of which a store of what was there
 * takes nothing away, and not in the cursor form, unless there is one seat. */
static void look_around(struct fletch_broadcast_consumer *consumer, uint64_t head)
{
    struct fletch_broadcast_ring *ring = consumer->ring;
    const struct fletch_seats seats = fletch_broadcast_seats(ring);
    if (!fletch_lines_stay(&ring->header.layout))
        return;
    if (ring->consumers_max == 1 ||
        (fletch_broadcast_has_sequences(ring) && fletch_seat_is_alone(&seats, consumer)))
        consumer->own.sole_below = head + ring->header.layout.slot_count * STEP;
}

/* A gate has moved that others may be behind. */
static enum fletch_answer wake_followers(struct fletch_broadcast_consumer *consumer)
{
    fletch_ring_notify(&consumer->ring->header, FLETCH_END_CONSUMER);
    return FLETCH_DONE;
}

/* Lets consumers behind this one have what was passed. */
static FLETCH_ALWAYS_INLINE void lead_to(struct fletch_broadcast_consumer *consumer, uint64_t head)
{
    fletch_seat_pass(consumer, head);
    if (consumer->own.leads)
        (void)wake_followers(consumer);
}

/* Lets producers, and consumers behind this one, have all that was passed. */
static FLETCH_NEVER_INLINE void return_room(struct fletch_broadcast_consumer *consumer,
                                            uint64_t head)
{
    struct fletch_broadcast_ring *ring = consumer->ring;
    struct fletch_broadcast_own *own = &consumer->own;
    uint64_t step = ring->header.layout.return_threshold * STEP;
    if (own->return_at == head + step)
        return;
    look_around(consumer, head);
    own->return_at = head + step;
    set_short_end(own);
    lead_to(consumer, head);
    fletch_broadcast_gates_changed(ring);
}

/* Hands lines back: of elements that nobody else reads, any word of theirs. */
static void take_lines_over(struct fletch_broadcast_ring *ring, uint64_t head, uint64_t count)
{
    struct fletch_ring_spans spans;
    fletch_broadcast_show(ring, head, count, &spans);
    fletch_lines_take_over(spans.first, spans.first_count * spans.stride_bytes);
    if (spans.second_count > 0)
        fletch_lines_take_over(spans.second, spans.second_count * spans.stride_bytes);
}

/* The same where newcomers may still look at the sequences. */
static void give_sequences_back(struct fletch_broadcast_ring *ring, uint64_t head, uint64_t end)
{
    uint64_t stride_bytes = ring->header.layout.stride_bytes;
    for (uint64_t p = head; p != end; p += STEP) {
        char *slot = fletch_broadcast_slot(ring, p, 0);
        if (fletch_ends_line(slot + stride_bytes))
            fletch_broadcast_give_back(slot);
    }
}

/* Passes the elements up to `end`. */
static FLETCH_ALWAYS_INLINE void pass(struct fletch_broadcast_consumer *consumer, uint64_t head,
                                      uint64_t end)
{
    struct fletch_broadcast_ring *ring = consumer->ring;
    if (!fletch_is_ahead(end, consumer->own.sole_below)) {
        if (fletch_broadcast_has_sequences(ring))
            give_sequences_back(ring, head, end);
        else
            take_lines_over(ring, head, (end - head) / STEP);
    }
    if (!fletch_is_ahead(consumer->own.return_at, end))
        return_room(consumer, end);
    else if (consumer->own.leads && end != head)
        lead_to(consumer, end);
}

/* What to answer when no element was found at `head`. DONE: there is one after all. */
static enum fletch_answer look_again(struct fletch_broadcast_consumer *consumer, uint64_t head)
{
    struct fletch_broadcast_ring *ring = consumer->ring;
    return_room(consumer, head);
    /* One producer: until it has closed, its line is left to it. */
    /* relaxed: the tail tells the rest */
    if (!ring->many && load_relaxed(&ring->header.shut) == 0)
        return FLETCH_EMPTY;
    /* relaxed: it tells of claims and of the closing; elements are seen by their sequences */
    uint64_t tail = load_relaxed(&ring->claims.tail);
    if (tail == (head | CLOSED))
        return FLETCH_CLOSED;
    if (tail == head)
        return FLETCH_EMPTY;
    if (elements_at(consumer, head, 1) > 0)
        return FLETCH_DONE;
    return ring->many && !fletch_is_ahead(consumer->own.run_end, head) ? FLETCH_HELD : FLETCH_EMPTY;
}

/* Somebody holds nobody up any more. */
static void one_is_gone(struct fletch_broadcast_ring *ring)
{
    fetch_sub_relaxed(&ring->consumers, 1); /* relaxed: a guess for who reads it */
    fletch_ring_notify(&ring->header, FLETCH_END_CONSUMER);
    fletch_broadcast_gates_changed(ring);
}

/* It came in and was told to go. */
static FLETCH_NEVER_INLINE enum fletch_answer turn_round(struct fletch_broadcast_consumer *consumer,
                                                         uint64_t head)
{
    struct fletch_broadcast_ring *ring = consumer->ring;
    const struct fletch_seats seats = fletch_broadcast_seats(ring);
    bool vacated = fletch_seat_obey(&seats, consumer);
    fletch_seat_exit(consumer, head);
    fletch_end_guard_leave(&consumer->own.guard);
    if (vacated) {
        fetch_add_relaxed(&ring->removed, 1); /* relaxed: a statistic */
        one_is_gone(ring);
    }
    return FLETCH_CLOSED;
}

/* Goes in; out again, and CLOSED, if it was told to go. */
static FLETCH_ALWAYS_INLINE enum fletch_answer enter(struct fletch_broadcast_consumer *consumer,
                                                     uint64_t head)
{
    fletch_end_guard_enter(&consumer->own.guard);
    if (__builtin_expect(fletch_seat_enter(consumer, head, consumer->ring->fence_kind), 1))
        return FLETCH_DONE;
    return turn_round(consumer, head);
}

static void go_out(struct fletch_broadcast_consumer *consumer, uint64_t head)
{
    fletch_seat_exit(consumer, head);
    fletch_end_guard_leave(&consumer->own.guard);
}

/* Stays inside if it shows something. */
static enum fletch_answer peek_guarded(struct fletch_broadcast_consumer *consumer, size_t max_count,
                                       struct fletch_ring_spans *out_spans)
{
    uint64_t head = fletch_seat_head(consumer);
    enum fletch_answer answer = enter(consumer, head);
    if (answer != FLETCH_DONE)
        return answer;
    FLETCH_ASSERT(max_count > 0 && "a look at nothing");
    uint64_t count = elements_at(consumer, head, max_count);
    if (count == 0)
        answer = look_again(consumer, head);
    if (answer != FLETCH_DONE) {
        go_out(consumer, head);
        return answer;
    }
    if (count == 0)
        count = elements_at(consumer, head, max_count);
    fletch_broadcast_show(consumer->ring, head, count, out_spans);
    fletch_end_guard_leave(&consumer->own.guard);
    return FLETCH_DONE;
}

static FLETCH_NEVER_INLINE enum fletch_answer
peek_slowly(struct fletch_broadcast_consumer *consumer, size_t max_count,
            struct fletch_ring_spans *out_spans)
{
    enum fletch_answer answer = peek_guarded(consumer, max_count, out_spans);
    if (answer == FLETCH_EMPTY || answer == FLETCH_HELD)
        count_one(&consumer->own.emptys);
    return answer;
}

/* Shows `count` elements, if that many may be taken without a look and nobody told it to go. */
static FLETCH_ALWAYS_INLINE bool peek_fast(struct fletch_broadcast_consumer *consumer, size_t count,
                                           struct fletch_ring_spans *out_spans)
{
    uint64_t head = fletch_seat_head(consumer);
    if (count == 0 || count > fletch_broadcast_between(head, consumer->own.seen))
        return false;
    fletch_end_guard_enter(&consumer->own.guard);
    bool is_inside = fletch_seat_enter(consumer, head, consumer->ring->fence_kind);
    if (is_inside)
        fletch_broadcast_show(consumer->ring, head, count, out_spans);
    fletch_end_guard_leave(&consumer->own.guard);
    return is_inside;
}

enum fletch_answer fletch_broadcast_consumer_try_peek(struct fletch_broadcast_consumer *consumer,
                                                      size_t max_count,
                                                      struct fletch_ring_spans *out_spans)
{
    return __builtin_expect(peek_fast(consumer, max_count, out_spans), 1)
               ? FLETCH_DONE
               : peek_slowly(consumer, max_count, out_spans);
}

static FLETCH_NEVER_INLINE void release_slowly(struct fletch_broadcast_consumer *consumer,
                                               uint64_t head, uint64_t end)
{
    pass(consumer, head, end);
    go_out(consumer, end);
}

void fletch_broadcast_consumer_release(struct fletch_broadcast_consumer *consumer, size_t count)
{
    struct fletch_broadcast_own *own = &consumer->own;
    uint64_t head = fletch_seat_head(consumer), end = head + count * STEP;
    fletch_end_guard_enter(&own->guard);
    FLETCH_ASSERT(!fletch_is_ahead(end, own->seen) && "more is released than was shown");
    if (own->leads || !fletch_is_ahead(end, own->sole_below) ||
        !fletch_is_ahead(own->return_at, end))
        release_slowly(consumer, head, end);
    else
        go_out(consumer, end);
}

static enum fletch_answer pop_guarded(struct fletch_broadcast_consumer *consumer,
                                      void *out_elements, size_t max_count, size_t *out_popped)
{
    struct fletch_ring_spans spans;
    struct fletch_broadcast_ring *ring = consumer->ring;
    size_t element_bytes = ring->header.layout.element_bytes;
    *out_popped = 0;
    enum fletch_answer answer = peek_guarded(consumer, max_count, &spans);
    if (answer != FLETCH_DONE)
        return answer;
    *out_popped = fletch_spans_empty(&spans, out_elements, element_bytes);
    for (size_t i = 0; ring->hold != NULL && i < *out_popped; i++)
        ring->hold(ring->context, (char *)out_elements + i * element_bytes);
    fletch_broadcast_consumer_release(consumer, *out_popped);
    return FLETCH_DONE;
}

/* Pops one element of `words` words in the slot form, if that is a matter of a few instructions. */
static FLETCH_ALWAYS_INLINE bool pop_words(struct fletch_broadcast_consumer *consumer,
                                           void *out_element, size_t words)
{
    struct fletch_broadcast_own *own = &consumer->own;
    uint64_t head = fletch_seat_head(consumer);
    if (__builtin_expect(!fletch_is_ahead(own->short_end, head), 0))
        return false;
    if (__builtin_expect(!fletch_seat_enter(consumer, head, FLETCH_FENCE_ASYMMETRIC), 0))
        return false;
    char *slot = fletch_broadcast_slot(consumer->ring, head, words);
    if (!fletch_broadcast_is_single(slot, head) && !fletch_is_ahead(own->seen, head))
        return false;
    memcpy(out_element, slot + sizeof(uint64_t), words * sizeof(uint64_t));
    if (fletch_ends_line(slot + fletch_slot_bytes(words)) && fletch_is_ahead(own->sole_below, head))
        fletch_broadcast_give_back(slot);
    if (__builtin_expect(own->leads, 0))
        fletch_seat_pass(consumer, head + STEP);
    fletch_seat_exit(consumer, head + STEP);
    return true;
}

static FLETCH_ALWAYS_INLINE bool pop_fast(struct fletch_broadcast_consumer *consumer,
                                          void *out_element)
{
    bool popped = false;
    fletch_end_guard_enter(&consumer->own.guard);
    if (__builtin_expect(consumer->own.short_words == 3, 1))
        popped = pop_words(consumer, out_element, 3);
    else if (consumer->own.short_words == 1)
        popped = pop_words(consumer, out_element, 1);
    fletch_end_guard_leave(&consumer->own.guard);
    return popped;
}

static FLETCH_ALWAYS_INLINE enum fletch_answer
popped_fast(struct fletch_broadcast_consumer *consumer)
{
    return __builtin_expect(consumer->own.leads, 0) ? wake_followers(consumer) : FLETCH_DONE;
}

/* Apart, so that the fast way has no stack frame. */
static FLETCH_NEVER_INLINE enum fletch_answer pop_slowly(struct fletch_broadcast_consumer *consumer,
                                                         void *out_elements, size_t max_count,
                                                         size_t *out_popped)
{
    enum fletch_answer answer = pop_guarded(consumer, out_elements, max_count, out_popped);
    if (answer == FLETCH_EMPTY || answer == FLETCH_HELD)
        count_one(&consumer->own.emptys);
    return answer;
}

static FLETCH_NEVER_INLINE enum fletch_answer
pop_one_slowly(struct fletch_broadcast_consumer *consumer, void *out_element)
{
    size_t popped;
    return pop_slowly(consumer, out_element, 1, &popped);
}

enum fletch_answer fletch_broadcast_consumer_try_pop(struct fletch_broadcast_consumer *consumer,
                                                     void *out_element)
{
    return __builtin_expect(pop_fast(consumer, out_element), 1)
               ? popped_fast(consumer)
               : pop_one_slowly(consumer, out_element);
}

enum fletch_answer
fletch_broadcast_consumer_try_pop_many(struct fletch_broadcast_consumer *consumer,
                                       void *out_elements, size_t max_count, size_t *out_popped)
{
    *out_popped = 0;
    return max_count == 0 ? FLETCH_DONE : pop_slowly(consumer, out_elements, max_count, out_popped);
}

/* ---- waiting ---- */

struct consumer_call {
    struct fletch_broadcast_consumer *consumer;
    void *out_elements;
    size_t max_count;
    size_t *out_popped;
    struct fletch_ring_spans *out_spans;
};

static enum fletch_answer wait_for(fletch_wait_attempt *attempt, struct consumer_call *call,
                                   uint64_t timeout_ns)
{
    struct fletch_broadcast_ring *ring = call->consumer->ring;
    const struct fletch_wait wait = {
        .policy = &ring->header.policy,
        .history = &call->consumer->own.waits,
        .eventcount = &ring->header.elements,
        .attempt = attempt,
        .call = call,
    };
    return fletch_wait_for(&wait, timeout_ns);
}

static enum fletch_answer attempt_pop(void *call)
{
    struct consumer_call *pop = call;
    return pop_guarded(pop->consumer, pop->out_elements, pop->max_count, pop->out_popped);
}

static enum fletch_answer attempt_peek(void *call)
{
    struct consumer_call *look = call;
    return peek_guarded(look->consumer, look->max_count, look->out_spans);
}

enum fletch_answer fletch_broadcast_consumer_pop_many(struct fletch_broadcast_consumer *consumer,
                                                      void *out_elements, size_t max_count,
                                                      uint64_t timeout_ns, size_t *out_popped)
{
    enum fletch_answer answer =
        fletch_broadcast_consumer_try_pop_many(consumer, out_elements, max_count, out_popped);
    if (answer == FLETCH_DONE || answer == FLETCH_CLOSED)
        return answer;
    struct consumer_call call = {.consumer = consumer,
                                 .out_elements = out_elements,
                                 .max_count = max_count,
                                 .out_popped = out_popped};
    return wait_for(attempt_pop, &call, timeout_ns);
}

enum fletch_answer fletch_broadcast_consumer_pop(struct fletch_broadcast_consumer *consumer,
                                                 void *out_element, uint64_t timeout_ns)
{
    size_t popped;
    if (__builtin_expect(pop_fast(consumer, out_element), 1))
        return popped_fast(consumer);
    return fletch_broadcast_consumer_pop_many(consumer, out_element, 1, timeout_ns, &popped);
}

enum fletch_answer fletch_broadcast_consumer_peek(struct fletch_broadcast_consumer *consumer,
                                                  size_t max_count, uint64_t timeout_ns,
                                                  struct fletch_ring_spans *out_spans)
{
    enum fletch_answer answer = fletch_broadcast_consumer_try_peek(consumer, max_count, out_spans);
    if (answer == FLETCH_DONE || answer == FLETCH_CLOSED)
        return answer;
    struct consumer_call call = {
        .consumer = consumer, .max_count = max_count, .out_spans = out_spans};
    return wait_for(attempt_peek, &call, timeout_ns);
}

static bool has_nothing_to_do(void *memory)
{
    struct fletch_ring_spans spans;
    enum fletch_answer answer = peek_guarded(memory, 1, &spans);
    if (answer == FLETCH_DONE)
        fletch_broadcast_consumer_release(memory, 0);
    return answer == FLETCH_EMPTY || answer == FLETCH_HELD;
}

bool fletch_broadcast_consumer_arm(struct fletch_broadcast_consumer *consumer, uint32_t *out_key)
{
    return fletch_ring_arm(&consumer->ring->header.elements, has_nothing_to_do, consumer, out_key);
}

void fletch_broadcast_consumer_disarm(struct fletch_broadcast_consumer *consumer, uint32_t key)
{
    fletch_eventcount_disarm(&consumer->ring->header.elements, key);
}

/* ---- joining and leaving ---- */

/* The seats that `options` wants to be behind, and those that these are behind. */
static enum fletch_status leaders_of(const struct fletch_broadcast_ring *ring,
                                     const struct fletch_broadcast_join_options *options,
                                     uint64_t *out_named, uint64_t *out_all,
                                     struct fletch_error *error)
{
    *out_named = *out_all = 0;
    for (size_t i = 0; i < options->behind_count; i++) {
        const struct fletch_broadcast_consumer *leader = options->behind[i];
        if (leader->ring != ring || !leader->own.leads)
            return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                    "consumer %" PRIu64 " is of another ring, or joined without "
                                    "leads",
                                    fletch_broadcast_consumer_id(leader));
        *out_named |= leader->bit;
        /* relaxed: what is left out of date is put right after the fence */
        *out_all |= leader->bit | load_relaxed(&leader->behind);
    }
    return FLETCH_OK;
}

/* Behind those that are still there; all that were named must be. */
static enum fletch_status settle_behind(const struct fletch_seats *seats,
                                        struct fletch_broadcast_consumer *seat, uint64_t named,
                                        uint64_t all, struct fletch_error *error)
{
    uint64_t there = fletch_seats_at_work(seats, all);
    if ((named & ~there) != 0)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "a consumer to be behind has left or was removed");
    /* relaxed: only this thread and those that leave change it */
    fetch_and_relaxed(&seat->behind, there);
    seat->own.follows = there != 0;
    return FLETCH_OK;
}

static enum fletch_status join(struct fletch_broadcast_ring *ring,
                               const struct fletch_broadcast_join_options *options,
                               struct fletch_broadcast_consumer *seat, struct fletch_error *error)
{
    uint64_t named, all;
    const struct fletch_seats seats = fletch_broadcast_seats(ring);
    enum fletch_status status = leaders_of(ring, options, &named, &all, error);
    if (status != FLETCH_OK) {
        fletch_seat_give_back(&seats, seat);
        return status;
    }
    if (!fletch_seat_announce(&seats, seat, fletch_broadcast_tail(ring), all))
        return fletch_error_set(error, FLETCH_UNAVAILABLE,
                                "the kernel refuses membarrier, without which nobody can join");
    status = settle_behind(&seats, seat, named, all, error);
    if (status != FLETCH_OK) {
        fletch_seat_give_back(&seats, seat);
        fletch_broadcast_gates_changed(ring);
        return status;
    }
    uint64_t position = fletch_broadcast_tail(ring);
    seat->own.leads = options->leads;
    seat->own.return_at = position + ring->header.layout.return_threshold * STEP;
    seat->own.led_to = position; /* until leaders are asked */
    set_short_end(&seat->own);
    bool is_short = ring->hold == NULL && ring->fence_kind == FLETCH_FENCE_ASYMMETRIC;
    seat->own.short_words = is_short ? (uint32_t)ring->header.layout.fast_words : 0;
    fletch_wait_history_start(&seat->own.waits, &ring->header.policy);
    fetch_add_relaxed(&ring->consumers, 1); /* relaxed: a guess for who reads it */
    fletch_seat_begin(seat, position);
    return FLETCH_OK;
}

enum fletch_status fletch_broadcast_ring_join(struct fletch_broadcast_ring *ring,
                                              const struct fletch_broadcast_join_options *options,
                                              struct fletch_broadcast_consumer **out_consumer,
                                              struct fletch_error *error)
{
    struct fletch_broadcast_join_options known = {.struct_size = sizeof known};
    enum fletch_status status = FLETCH_OK;
    if (options != NULL)
        status = fletch_options_copy(&known, sizeof known, options, sizeof known, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_seats seats = fletch_broadcast_seats(ring);
    uint64_t id = fetch_add_relaxed(&ring->joined, 1) + 1; /* relaxed: a number, no more */
    struct fletch_broadcast_consumer *seat = fletch_seats_take(&seats, id);
    if (seat == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "all of consumers_max %" PRIu64 " seats are taken",
                                ring->consumers_max);
    status = join(ring, &known, seat, error);
    if (status == FLETCH_OK)
        *out_consumer = seat;
    return status;
}

void fletch_broadcast_consumer_leave(struct fletch_broadcast_consumer *consumer)
{
    struct fletch_broadcast_ring *ring = consumer->ring;
    const struct fletch_seats seats = fletch_broadcast_seats(ring);
    if (fletch_seat_leave(&seats, consumer))
        one_is_gone(ring);
}

uint64_t fletch_broadcast_consumer_id(const struct fletch_broadcast_consumer *consumer)
{
    return consumer->own.working / 8;
}

enum fletch_answer fletch_broadcast_ring_remove(struct fletch_broadcast_ring *ring,
                                                uint64_t consumer_id)
{
    bool vacated;
    const struct fletch_seats seats = fletch_broadcast_seats(ring);
    enum fletch_answer answer = fletch_seats_remove(&seats, consumer_id, &vacated);
    if (vacated) {
        fetch_add_relaxed(&ring->removed, 1); /* relaxed: a statistic */
        one_is_gone(ring);
    }
    return answer;
}

/* ---- statistics ---- */

static bool is_gating(const struct fletch_broadcast_consumer *seat)
{
    uint64_t state = load_relaxed(&seat->state) % 8; /* relaxed: as old as it likes */
    return state == FLETCH_SEAT_ACTIVE || state == FLETCH_SEAT_REMOVING;
}

static void note_slowest(const struct fletch_broadcast_consumer *seat, uint64_t tail,
                         struct fletch_broadcast_statistics *statistics)
{
    uint64_t head = fletch_seat_head(seat);
    uint64_t unread = fletch_broadcast_between(head, tail);
    if (statistics->slowest_id != 0 && unread <= statistics->slowest_unread)
        return;
    /* relaxed: each number may be as old as it likes */
    statistics->slowest_id = load_relaxed(&seat->state) / 8; /* relaxed: see above */
    statistics->slowest_unread = unread;
    /* relaxed: see above */
    statistics->slowest_popped =
        fletch_broadcast_between(load_relaxed(&seat->own.joined_at), head); /* relaxed: as above */
    statistics->slowest_parks = load_relaxed(&seat->own.waits.parks);       /* relaxed: see above */
}

void fletch_broadcast_ring_statistics(const struct fletch_broadcast_ring *ring,
                                      struct fletch_broadcast_statistics *out_statistics)
{
    /* relaxed: each number may be as old as it likes */
    uint64_t tail = load_relaxed(&ring->claims.tail) & ~CLOSED; /* relaxed: see above */
    size_t wanted = out_statistics->struct_size;
    struct fletch_broadcast_statistics statistics = {
        .struct_size = wanted,
        .pushed = (tail - ring->start) / STEP,
        .full = load_relaxed(&ring->producers.fulls),                 /* relaxed: see above */
        .producer_parks = load_relaxed(&ring->producers.waits.parks), /* relaxed: see above */
        .removed = load_relaxed(&ring->removed),                      /* relaxed: see above */
    };
    for (uint64_t i = 0; i < ring->consumers_max; i++) {
        if (!is_gating(&ring->seats[i]))
            continue;
        statistics.consumers++;
        note_slowest(&ring->seats[i], tail, &statistics);
    }
    memcpy(out_statistics, &statistics, wanted < sizeof statistics ? wanted : sizeof statistics);
}
