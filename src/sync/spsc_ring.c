#include "sync/spsc_ring.h"

#include <stddef.h>

#include "base/allocator.h"
#include "base/clock.h"
#include "base/options.h"

#define SPSC_RING_MAGIC UINT64_C(0x676e69726370736c) /* "lspcring" */

#ifndef FLETCH_MODEL_CHECK
#define GROUP_OF(field) (offsetof(struct fletch_spsc_ring, field) / FLETCH_INTERFERENCE_BYTES)
_Static_assert(GROUP_OF(producer) > GROUP_OF(start), "the producer's fields share no line");
_Static_assert(GROUP_OF(consumer) > GROUP_OF(producer), "the consumer's fields share no line");
_Static_assert(GROUP_OF(head_published) > GROUP_OF(consumer), "published by the consumer");
_Static_assert(GROUP_OF(tail_published) > GROUP_OF(head_published), "published by the producer");
_Static_assert(sizeof(struct fletch_spsc_producer) <= FLETCH_INTERFERENCE_BYTES, "one group");
_Static_assert(sizeof(struct fletch_spsc_consumer) <= FLETCH_INTERFERENCE_BYTES, "one group");
#endif

/* ---- layout ---- */

static char *slot_at(struct fletch_spsc_ring *ring, uint64_t offset)
{
    return (char *)ring + offset;
}

static bool has_slot_sequence(const struct fletch_spsc_ring *ring)
{
    return ring->header.layout.payload_offset != 0;
}

/* The slot behind the one at `offset`. */
static uint64_t next_to(const struct fletch_spsc_ring *ring, uint64_t offset)
{
    const struct fletch_ring_layout *layout = &ring->header.layout;
    uint64_t next = offset + layout->stride_bytes;
    return next == layout->slots_end ? layout->slots_offset : next;
}

static uint64_t tail_offset(const struct fletch_spsc_ring *ring, uint64_t tail)
{
    const struct fletch_ring_layout *layout = &ring->header.layout;
    return fletch_lap_slot_offset(&ring->producer.lap, layout, tail, layout->stride_bytes);
}

static uint64_t head_offset(const struct fletch_spsc_ring *ring, uint64_t head)
{
    const struct fletch_ring_layout *layout = &ring->header.layout;
    return fletch_lap_slot_offset(&ring->consumer.lap, layout, head, layout->stride_bytes);
}

static void show_spans(struct fletch_spsc_ring *ring, uint64_t offset, uint64_t count,
                       struct fletch_ring_spans *out_spans)
{
    const struct fletch_ring_layout *layout = &ring->header.layout;
    uint64_t to_end = (layout->slots_end - offset) / layout->stride_bytes;
    uint64_t first = count < to_end ? count : to_end;
    out_spans->first = slot_at(ring, offset) + layout->payload_offset;
    out_spans->first_count = first;
    out_spans->second = NULL;
    if (count > first)
        out_spans->second = slot_at(ring, layout->slots_offset) + layout->payload_offset;
    out_spans->second_count = count - first;
    out_spans->stride_bytes = layout->stride_bytes;
}

/* ---- making and ending ---- */

static struct fletch_ring_shape shape_of(enum fletch_ring_form form)
{
    return (struct fletch_ring_shape){
        .magic = SPSC_RING_MAGIC,
        .slot_sequence = form != FLETCH_RING_CURSOR,
        .structure_bytes = sizeof(struct fletch_spsc_ring),
    };
}

static enum fletch_status choose(const struct fletch_spsc_ring_options *options,
                                 struct fletch_ring_choice *out_choice,
                                 struct fletch_ring_shape *out_shape, struct fletch_error *error)
{
    struct fletch_spsc_ring_options known;
    enum fletch_status status =
        fletch_options_copy(&known, sizeof known, options, sizeof known, error);
    if (status != FLETCH_OK)
        return status;
    if ((unsigned)known.form > FLETCH_RING_CURSOR)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "ring form %d is not one of 0 to %d", (int)known.form,
                                (int)FLETCH_RING_CURSOR);
    *out_choice = (struct fletch_ring_choice){
        .element_bytes = known.element_bytes,
        .capacity = known.capacity,
        .sharing = known.sharing,
        .wait_strategy = known.wait_strategy,
        .spin_budget_ns = known.spin_budget_ns,
    };
    *out_shape = shape_of(known.form);
    return FLETCH_OK;
}

enum fletch_status fletch_spsc_ring_bytes(const struct fletch_spsc_ring_options *options,
                                          size_t *out_bytes, struct fletch_error *error)
{
    struct fletch_ring_choice choice;
    struct fletch_ring_shape shape;
    struct fletch_ring_layout layout;
    enum fletch_status status = choose(options, &choice, &shape, error);
    if (status == FLETCH_OK)
        status = fletch_ring_plan(&choice, &shape, &layout, error);
    if (status == FLETCH_OK)
        *out_bytes = layout.total_bytes;
    return status;
}

size_t fletch_spsc_ring_alignment(void)
{
    return FLETCH_INTERFERENCE_BYTES;
}

/* relaxed throughout: nobody else knows the ring yet, and who tells them orders this before */
static void start_positions(struct fletch_spsc_ring *ring, uint64_t start)
{
    const struct fletch_ring_layout *layout = &ring->header.layout;
    ring->start = start;
    store_relaxed(&ring->producer.tail, start); /* relaxed: see above */
    ring->producer.head_seen = start;
    ring->producer.lap = fletch_lap_first(layout, start, layout->element_limit);
    ring->producer.claimed = 0;
    store_relaxed(&ring->producer.fulls, 0);         /* relaxed: see above */
    store_relaxed(&ring->producer.guard.entered, 0); /* relaxed: see above */
    fletch_wait_history_start(&ring->producer.waits, &ring->header.policy);
    store_relaxed(&ring->consumer.head, start); /* relaxed: see above */
    ring->consumer.tail_seen = start;
    ring->consumer.head_returned = start;
    ring->consumer.lap = fletch_lap_first(layout, start, layout->return_threshold - 1);
    store_relaxed(&ring->consumer.emptys, 0);        /* relaxed: see above */
    store_relaxed(&ring->consumer.guard.entered, 0); /* relaxed: see above */
    fletch_wait_history_start(&ring->consumer.waits, &ring->header.policy);
    store_relaxed(&ring->head_published, start); /* relaxed: see above */
    store_relaxed(&ring->tail_published, start); /* relaxed: see above */
}

/* Each slot gets the number that it would have from the lap before. */
static void start_sequences(struct fletch_spsc_ring *ring, uint64_t start)
{
    const struct fletch_ring_layout *layout = &ring->header.layout;
    for (uint64_t i = 0; i < layout->slot_count; i++) {
        char *slot = slot_at(ring, layout->slots_offset + i * layout->stride_bytes);
        /* relaxed: not shared yet */
        store_relaxed(fletch_spsc_sequence_of(slot), start + i + 1 - layout->slot_count);
    }
}

void fletch_spsc_ring_restart_at(struct fletch_spsc_ring *ring, uint64_t start)
{
    start_positions(ring, start);
    if (has_slot_sequence(ring))
        start_sequences(ring, start);
}

enum fletch_status fletch_spsc_ring_init(void *memory, size_t memory_bytes,
                                         const struct fletch_spsc_ring_options *options,
                                         struct fletch_spsc_ring **out_ring,
                                         struct fletch_error *error)
{
    struct fletch_ring_choice choice;
    struct fletch_ring_shape shape;
    enum fletch_status status = choose(options, &choice, &shape, error);
    if (status == FLETCH_OK)
        status = fletch_ring_start(memory, memory_bytes, &choice, &shape, error);
    if (status != FLETCH_OK)
        return status;
    *out_ring = memory;
    fletch_spsc_ring_restart_at(*out_ring, 0);
    return FLETCH_OK;
}

enum fletch_status fletch_spsc_ring_attach(void *memory, size_t memory_bytes,
                                           struct fletch_spsc_ring **out_ring,
                                           struct fletch_error *error)
{
    const struct fletch_ring_shape slot = shape_of(FLETCH_RING_SLOT_SEQUENCE);
    const struct fletch_ring_shape cursor = shape_of(FLETCH_RING_CURSOR);
    enum fletch_status status = fletch_ring_attach(memory, memory_bytes, &slot, NULL);
    if (status != FLETCH_OK)
        status = fletch_ring_attach(memory, memory_bytes, &cursor, error);
    if (status == FLETCH_OK)
        *out_ring = memory;
    return status;
}

enum fletch_status fletch_spsc_ring_create(const struct fletch_spsc_ring_options *options,
                                           const struct fletch_allocator *allocator,
                                           struct fletch_spsc_ring **out_ring,
                                           struct fletch_error *error)
{
    size_t bytes;
    enum fletch_status status = fletch_spsc_ring_bytes(options, &bytes, error);
    if (status != FLETCH_OK)
        return status;
    void *memory = fletch_block_allocate(allocator, bytes);
    if (memory == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a ring of %zu bytes", bytes);
    status = fletch_spsc_ring_init(memory, bytes, options, out_ring, error);
    if (status != FLETCH_OK)
        fletch_block_release(memory);
    return status;
}

void fletch_spsc_ring_deinit(struct fletch_spsc_ring *ring, fletch_drop_function *drop,
                             void *drop_context)
{
    if (ring == NULL)
        return;
    struct fletch_ring_spans spans;
    while (drop != NULL && fletch_spsc_ring_try_peek(ring, 1, &spans) == FLETCH_DONE) {
        drop(drop_context, spans.first);
        fletch_spsc_ring_release(ring, 1);
    }
    fletch_ring_end(&ring->header);
}

void fletch_spsc_ring_destroy(struct fletch_spsc_ring *ring, fletch_drop_function *drop,
                              void *drop_context)
{
    if (ring == NULL)
        return;
    fletch_spsc_ring_deinit(ring, drop, drop_context);
    fletch_block_release(ring);
}

/* ---- the producer's end ---- */

/* Free slots, exactly known only if there are fewer than `wanted`. Settles the lap. */
static FLETCH_ALWAYS_INLINE uint64_t room_for(struct fletch_spsc_ring *ring, uint64_t wanted)
{
    struct fletch_spsc_producer *producer = &ring->producer;
    uint64_t tail = load_relaxed(&producer->tail); /* relaxed: written by this end only */
    uint64_t limit = ring->header.layout.element_limit;
    if (limit - (tail - producer->head_seen) < wanted)
        producer->head_seen = load_acquire(&ring->head_published); /* E2 acquire */
    fletch_lap_settle(&producer->lap, &ring->header.layout, tail, producer->head_seen + limit);
    return limit - (tail - producer->head_seen);
}

/* Publishes the `count` elements that were written from `tail` on. */
static FLETCH_ALWAYS_INLINE void publish(struct fletch_spsc_ring *ring, uint64_t tail,
                                         uint64_t count)
{
    struct fletch_spsc_producer *producer = &ring->producer;
    if (has_slot_sequence(ring)) {
        uint64_t offset = tail_offset(ring, tail);
        for (uint64_t i = 1; i <= count; i++) {
            store_release(fletch_spsc_sequence_of(slot_at(ring, offset)),
                          tail + i); /* E1 release */
            offset = next_to(ring, offset);
        }
    } else {
        store_release(&ring->tail_published, tail + count); /* E3 release */
    }
    store_relaxed(&producer->tail, tail + count); /* relaxed: read by statistics only */
    fletch_lap_settle(&producer->lap, &ring->header.layout, tail + count,
                      producer->head_seen + ring->header.layout.element_limit);
    fletch_ring_notify(&ring->header, FLETCH_END_CONSUMER);
}

static FLETCH_ALWAYS_INLINE enum fletch_answer push_one(struct fletch_spsc_ring *ring,
                                                        const void *element)
{
    if (fletch_spsc_ring_is_shut(ring))
        return FLETCH_CLOSED;
    if (room_for(ring, 1) == 0)
        return FLETCH_FULL;
    const struct fletch_ring_layout *layout = &ring->header.layout;
    uint64_t tail = load_relaxed(&ring->producer.tail); /* relaxed: written by this end only */
    char *slot = slot_at(ring, tail_offset(ring, tail));
    fletch_element_copy(slot + layout->payload_offset, element, layout->element_bytes);
    publish(ring, tail, 1);
    return FLETCH_DONE;
}

static FLETCH_ALWAYS_INLINE enum fletch_answer push_guarded(struct fletch_spsc_ring *ring,
                                                            const void *element)
{
    fletch_end_guard_enter(&ring->producer.guard);
    enum fletch_answer answer = push_one(ring, element);
    fletch_end_guard_leave(&ring->producer.guard);
    return answer;
}

/* Apart, so that the fast way saves no registers: a store there costs throughput. */
static FLETCH_NEVER_INLINE enum fletch_answer push_slowly(struct fletch_spsc_ring *ring,
                                                          const void *element)
{
    enum fletch_answer answer = push_guarded(ring, element);
    if (answer == FLETCH_FULL)
        count_one(&ring->producer.fulls);
    return answer;
}

static FLETCH_NEVER_INLINE enum fletch_answer wake_consumer(struct fletch_spsc_ring *ring)
{
    fletch_ring_wake(&ring->header, FLETCH_END_CONSUMER);
    return FLETCH_DONE;
}

enum fletch_answer fletch_spsc_ring_try_push(struct fletch_spsc_ring *ring, const void *element)
{
    if (__builtin_expect(!fletch_spsc_ring_push_fast(ring, element), 0))
        return push_slowly(ring, element);
    if (__builtin_expect(fletch_ring_is_awaited(&ring->header, FLETCH_END_CONSUMER), 0))
        return wake_consumer(ring);
    return FLETCH_DONE;
}

/* A waiting call, packed for sync/wait.h. */
struct spsc_call {
    struct fletch_spsc_ring *ring;
    const void *element;
    void *out_element;
    size_t max_count;
    size_t *out_count;
    struct fletch_ring_spans *out_spans;
};

static enum fletch_answer wait_at(enum fletch_ring_end end, fletch_wait_attempt *attempt,
                                  struct spsc_call *call, uint64_t timeout_ns)
{
    struct fletch_spsc_ring *ring = call->ring;
    const struct fletch_wait wait = {
        .policy = &ring->header.policy,
        .history = end == FLETCH_END_PRODUCER ? &ring->producer.waits : &ring->consumer.waits,
        .eventcount = fletch_ring_eventcount(&ring->header, end),
        .attempt = attempt,
        .call = call,
    };
    return fletch_wait_for(&wait, timeout_ns);
}

static enum fletch_answer attempt_push(void *call)
{
    struct spsc_call *push = call;
    return push_guarded(push->ring, push->element);
}

enum fletch_answer fletch_spsc_ring_push(struct fletch_spsc_ring *ring, const void *element,
                                         uint64_t timeout_ns)
{
    enum fletch_answer answer = fletch_spsc_ring_try_push(ring, element);
    if (__builtin_expect(answer != FLETCH_FULL, 1))
        return answer;
    struct spsc_call call = {.ring = ring, .element = element};
    return wait_at(FLETCH_END_PRODUCER, attempt_push, &call, timeout_ns);
}

/* A claim that is granted stays within the guard until its commit. */
static enum fletch_answer claim_guarded(struct fletch_spsc_ring *ring, size_t max_count,
                                        struct fletch_ring_spans *out_spans)
{
    FLETCH_ASSERT(max_count > 0 && "a claim of nothing");
    if (fletch_spsc_ring_is_shut(ring))
        return FLETCH_CLOSED;
    fletch_end_guard_enter(&ring->producer.guard);
    uint64_t room = room_for(ring, max_count);
    if (room == 0) {
        fletch_end_guard_leave(&ring->producer.guard);
        return FLETCH_FULL;
    }
    uint64_t count = room < max_count ? room : max_count;
    uint64_t tail = load_relaxed(&ring->producer.tail); /* relaxed: written by this end only */
    show_spans(ring, tail_offset(ring, tail), count, out_spans);
    ring->producer.claimed = count;
    return FLETCH_DONE;
}

enum fletch_answer fletch_spsc_ring_try_claim(struct fletch_spsc_ring *ring, size_t max_count,
                                              struct fletch_ring_spans *out_spans)
{
    enum fletch_answer answer = claim_guarded(ring, max_count, out_spans);
    if (answer == FLETCH_FULL)
        count_one(&ring->producer.fulls);
    return answer;
}

static enum fletch_answer attempt_claim(void *call)
{
    struct spsc_call *claim = call;
    return claim_guarded(claim->ring, claim->max_count, claim->out_spans);
}

enum fletch_answer fletch_spsc_ring_claim(struct fletch_spsc_ring *ring, size_t max_count,
                                          uint64_t timeout_ns, struct fletch_ring_spans *out_spans)
{
    enum fletch_answer answer = fletch_spsc_ring_try_claim(ring, max_count, out_spans);
    if (answer != FLETCH_FULL)
        return answer;
    struct spsc_call call = {.ring = ring, .max_count = max_count, .out_spans = out_spans};
    return wait_at(FLETCH_END_PRODUCER, attempt_claim, &call, timeout_ns);
}

void fletch_spsc_ring_commit(struct fletch_spsc_ring *ring, size_t count)
{
    FLETCH_ASSERT(count <= ring->producer.claimed && "more is committed than was claimed");
    ring->producer.claimed = 0;
    if (count > 0)
        publish(ring, load_relaxed(&ring->producer.tail), count); /* relaxed: this end's own */
    fletch_end_guard_leave(&ring->producer.guard);
}

/* Pushes what there is room for, of at least one element. */
static FLETCH_ALWAYS_INLINE enum fletch_answer
push_run(struct fletch_spsc_ring *ring, const void *elements, uint64_t count, size_t *out_pushed)
{
    if (fletch_spsc_ring_is_shut(ring))
        return FLETCH_CLOSED;
    uint64_t room = room_for(ring, count);
    if (room == 0)
        return FLETCH_FULL;
    const struct fletch_ring_layout *layout = &ring->header.layout;
    uint64_t tail = load_relaxed(&ring->producer.tail); /* relaxed: written by this end only */
    uint64_t offset = tail_offset(ring, tail);
    count = room < count ? room : count;
    if (fletch_slots_are_one_run(layout, offset, count))
        memcpy(slot_at(ring, offset), elements, count * layout->element_bytes);
    else
        fletch_slots_fill((char *)ring, layout, offset, elements, count);
    publish(ring, tail, count);
    *out_pushed = count;
    return FLETCH_DONE;
}

enum fletch_answer fletch_spsc_ring_try_push_many(struct fletch_spsc_ring *ring,
                                                  const void *elements, size_t count,
                                                  size_t *out_pushed)
{
    *out_pushed = 0;
    if (count == 0)
        return FLETCH_DONE;
    fletch_end_guard_enter(&ring->producer.guard);
    enum fletch_answer answer = push_run(ring, elements, count, out_pushed);
    fletch_end_guard_leave(&ring->producer.guard);
    if (answer == FLETCH_FULL)
        count_one(&ring->producer.fulls);
    return answer;
}

enum fletch_answer fletch_spsc_ring_push_many(struct fletch_spsc_ring *ring, const void *elements,
                                              size_t count, uint64_t timeout_ns, size_t *out_pushed)
{
    struct fletch_ring_spans spans;
    const char *next = elements;
    uint64_t deadline_ns = fletch_clock_deadline_ns(timeout_ns);
    *out_pushed = 0;
    while (*out_pushed < count) {
        enum fletch_answer answer = fletch_spsc_ring_claim(
            ring, count - *out_pushed, fletch_clock_remaining_ns(deadline_ns), &spans);
        if (answer != FLETCH_DONE)
            return answer;
        size_t filled = fletch_spans_fill(&spans, next, ring->header.layout.element_bytes);
        fletch_spsc_ring_commit(ring, filled);
        next += filled * ring->header.layout.element_bytes;
        *out_pushed += filled;
    }
    return FLETCH_DONE;
}

void fletch_spsc_ring_close(struct fletch_spsc_ring *ring)
{
    fetch_or_release(&ring->header.shut, FLETCH_RING_CLOSED); /* E4 release */
    fletch_ring_notify(&ring->header, FLETCH_END_CONSUMER);
}

/* ---- the consumer's end ---- */

static FLETCH_ALWAYS_INLINE bool element_is_there(struct fletch_spsc_ring *ring)
{
    struct fletch_spsc_consumer *consumer = &ring->consumer;
    uint64_t head = load_relaxed(&consumer->head); /* relaxed: written by this end only */
    fletch_lap_reach(&consumer->lap, &ring->header.layout, head);
    if (has_slot_sequence(ring))
        return fletch_spsc_has_number_of(slot_at(ring, head_offset(ring, head)), head);
    if (consumer->tail_seen == head)
        consumer->tail_seen = load_acquire(&ring->tail_published); /* E3 acquire */
    return consumer->tail_seen != head;
}

/* How many elements are there, at most `wanted`; an element is known to be there. */
static uint64_t elements_there(struct fletch_spsc_ring *ring, uint64_t wanted)
{
    struct fletch_spsc_consumer *consumer = &ring->consumer;
    uint64_t head = load_relaxed(&consumer->head); /* relaxed: written by this end only */
    if (!has_slot_sequence(ring)) {
        if (consumer->tail_seen - head < wanted)
            consumer->tail_seen = load_acquire(&ring->tail_published); /* E3 acquire */
        uint64_t there = consumer->tail_seen - head;
        return there < wanted ? there : wanted;
    }
    uint64_t offset = head_offset(ring, head);
    uint64_t there = 1;
    while (there < wanted) {
        offset = next_to(ring, offset);
        /* A slot that is one lap behind ends the run, so this stops after a lap at the latest. */
        if (load_acquire(fletch_spsc_sequence_of(slot_at(ring, offset))) !=
            head + there + 1) /* E1 acquire */
            break;
        there++;
    }
    return there;
}

/* Lets the producer have the slots of all that was taken. Noted behind that: who dies in between
 * returns the same once more; the other way round it would never be returned. */
static void return_room(struct fletch_spsc_ring *ring)
{
    struct fletch_spsc_consumer *consumer = &ring->consumer;
    uint64_t head = load_relaxed(&consumer->head); /* relaxed: written by this end only */
    if (head == consumer->head_returned)
        return;
    store_release(&ring->head_published, head); /* E2 release */
    consumer->head_returned = head;
    fletch_ring_notify(&ring->header, FLETCH_END_PRODUCER);
}

/* Takes over the lines of the `count` slots from `offset` on, which may go round the end. */
static FLETCH_ALWAYS_INLINE void take_lines_over(struct fletch_spsc_ring *ring, uint64_t offset,
                                                 uint64_t count)
{
    const struct fletch_ring_layout *layout = &ring->header.layout;
    uint64_t bytes = count * layout->stride_bytes;
    uint64_t to_end = layout->slots_end - offset;
    if (bytes > to_end) {
        fletch_lines_take_over(slot_at(ring, layout->slots_offset), bytes - to_end);
        bytes = to_end;
    }
    fletch_lines_take_over(slot_at(ring, offset), bytes);
}

/* The border is one element before room is due: the call that moves this one returns the room. */
static FLETCH_ALWAYS_INLINE void take(struct fletch_spsc_ring *ring, uint64_t count)
{
    struct fletch_spsc_consumer *consumer = &ring->consumer;
    uint64_t threshold = ring->header.layout.return_threshold;
    uint64_t head = load_relaxed(&consumer->head); /* relaxed: written by this end only */
    if (fletch_lines_stay(&ring->header.layout))
        take_lines_over(ring, head_offset(ring, head), count);
    head += count;
    store_relaxed(&consumer->head, head); /* relaxed: read by statistics only */
    if (head - consumer->head_returned >= threshold)
        return_room(ring);
    fletch_lap_settle(&consumer->lap, &ring->header.layout, head,
                      consumer->head_returned + threshold - 1);
}

/* What to answer when no element was found. DONE: there is one after all. */
static enum fletch_answer look_again(struct fletch_spsc_ring *ring)
{
    return_room(ring);
    if ((load_acquire(&ring->header.shut) & FLETCH_RING_CLOSED) != 0) /* E4 acquire */
        return element_is_there(ring) ? FLETCH_DONE : FLETCH_CLOSED;
    return FLETCH_EMPTY;
}

static FLETCH_ALWAYS_INLINE enum fletch_answer pop_one(struct fletch_spsc_ring *ring,
                                                       void *out_element)
{
    if (!element_is_there(ring)) {
        enum fletch_answer answer = look_again(ring);
        if (answer != FLETCH_DONE)
            return answer;
    }
    const struct fletch_ring_layout *layout = &ring->header.layout;
    uint64_t head = load_relaxed(&ring->consumer.head); /* relaxed: written by this end only */
    const char *slot = slot_at(ring, head_offset(ring, head));
    fletch_element_copy(out_element, slot + layout->payload_offset, layout->element_bytes);
    take(ring, 1);
    return FLETCH_DONE;
}

static FLETCH_ALWAYS_INLINE enum fletch_answer pop_guarded(struct fletch_spsc_ring *ring,
                                                           void *out_element)
{
    fletch_end_guard_enter(&ring->consumer.guard);
    enum fletch_answer answer = pop_one(ring, out_element);
    fletch_end_guard_leave(&ring->consumer.guard);
    return answer;
}

/* Apart, as push_slowly. */
static FLETCH_NEVER_INLINE enum fletch_answer pop_slowly(struct fletch_spsc_ring *ring,
                                                         void *out_element)
{
    enum fletch_answer answer = pop_guarded(ring, out_element);
    if (answer == FLETCH_EMPTY)
        count_one(&ring->consumer.emptys);
    return answer;
}

enum fletch_answer fletch_spsc_ring_try_pop(struct fletch_spsc_ring *ring, void *out_element)
{
    return fletch_spsc_ring_pop_fast(ring, out_element) ? FLETCH_DONE
                                                        : pop_slowly(ring, out_element);
}

static enum fletch_answer attempt_pop(void *call)
{
    struct spsc_call *pop = call;
    return pop_guarded(pop->ring, pop->out_element);
}

enum fletch_answer fletch_spsc_ring_pop(struct fletch_spsc_ring *ring, void *out_element,
                                        uint64_t timeout_ns)
{
    enum fletch_answer answer = fletch_spsc_ring_try_pop(ring, out_element);
    if (__builtin_expect(answer != FLETCH_EMPTY, 1))
        return answer;
    struct spsc_call call = {.ring = ring, .out_element = out_element};
    return wait_at(FLETCH_END_CONSUMER, attempt_pop, &call, timeout_ns);
}

enum fletch_answer fletch_spsc_ring_look(struct fletch_spsc_ring *ring)
{
    fletch_end_guard_enter(&ring->consumer.guard);
    enum fletch_answer answer = element_is_there(ring) ? FLETCH_DONE : look_again(ring);
    fletch_end_guard_leave(&ring->consumer.guard);
    if (answer == FLETCH_EMPTY)
        count_one(&ring->consumer.emptys);
    return answer;
}

static enum fletch_answer peek_guarded(struct fletch_spsc_ring *ring, size_t max_count,
                                       struct fletch_ring_spans *out_spans)
{
    FLETCH_ASSERT(max_count > 0 && "a look at nothing");
    fletch_end_guard_enter(&ring->consumer.guard);
    enum fletch_answer answer = element_is_there(ring) ? FLETCH_DONE : look_again(ring);
    if (answer == FLETCH_DONE) {
        uint64_t head = load_relaxed(&ring->consumer.head); /* relaxed: written by this end only */
        show_spans(ring, head_offset(ring, head), elements_there(ring, max_count), out_spans);
    }
    fletch_end_guard_leave(&ring->consumer.guard);
    return answer;
}

enum fletch_answer fletch_spsc_ring_try_peek(struct fletch_spsc_ring *ring, size_t max_count,
                                             struct fletch_ring_spans *out_spans)
{
    enum fletch_answer answer = peek_guarded(ring, max_count, out_spans);
    if (answer == FLETCH_EMPTY)
        count_one(&ring->consumer.emptys);
    return answer;
}

static enum fletch_answer attempt_peek(void *call)
{
    struct spsc_call *look = call;
    return peek_guarded(look->ring, look->max_count, look->out_spans);
}

enum fletch_answer fletch_spsc_ring_peek(struct fletch_spsc_ring *ring, size_t max_count,
                                         uint64_t timeout_ns, struct fletch_ring_spans *out_spans)
{
    enum fletch_answer answer = fletch_spsc_ring_try_peek(ring, max_count, out_spans);
    if (answer != FLETCH_EMPTY)
        return answer;
    struct spsc_call call = {.ring = ring, .max_count = max_count, .out_spans = out_spans};
    return wait_at(FLETCH_END_CONSUMER, attempt_peek, &call, timeout_ns);
}

void fletch_spsc_ring_release(struct fletch_spsc_ring *ring, size_t count)
{
    fletch_end_guard_enter(&ring->consumer.guard);
    FLETCH_ASSERT(
        (count == 0 || (element_is_there(ring) && elements_there(ring, count) == count)) &&
        "more is released than is there");
    take(ring, count);
    fletch_end_guard_leave(&ring->consumer.guard);
}

/* Pops what is there, of at least one element. */
static FLETCH_ALWAYS_INLINE enum fletch_answer
pop_run(struct fletch_spsc_ring *ring, void *out_elements, uint64_t max_count, size_t *out_popped)
{
    if (!element_is_there(ring)) {
        enum fletch_answer answer = look_again(ring);
        if (answer != FLETCH_DONE)
            return answer;
    }
    const struct fletch_ring_layout *layout = &ring->header.layout;
    uint64_t head = load_relaxed(&ring->consumer.head); /* relaxed: written by this end only */
    uint64_t offset = head_offset(ring, head);
    uint64_t count = elements_there(ring, max_count);
    if (fletch_slots_are_one_run(layout, offset, count))
        memcpy(out_elements, slot_at(ring, offset), count * layout->element_bytes);
    else
        fletch_slots_empty((char *)ring, layout, offset, out_elements, count);
    take(ring, count);
    *out_popped = count;
    return FLETCH_DONE;
}

static enum fletch_answer pop_run_guarded(struct fletch_spsc_ring *ring, void *out_elements,
                                          uint64_t max_count, size_t *out_popped)
{
    fletch_end_guard_enter(&ring->consumer.guard);
    enum fletch_answer answer = pop_run(ring, out_elements, max_count, out_popped);
    fletch_end_guard_leave(&ring->consumer.guard);
    return answer;
}

enum fletch_answer fletch_spsc_ring_try_pop_many(struct fletch_spsc_ring *ring, void *out_elements,
                                                 size_t max_count, size_t *out_popped)
{
    *out_popped = 0;
    if (max_count == 0)
        return FLETCH_DONE;
    enum fletch_answer answer = pop_run_guarded(ring, out_elements, max_count, out_popped);
    if (answer == FLETCH_EMPTY)
        count_one(&ring->consumer.emptys);
    return answer;
}

static enum fletch_answer attempt_pop_many(void *call)
{
    struct spsc_call *pop = call;
    return pop_run_guarded(pop->ring, pop->out_element, pop->max_count, pop->out_count);
}

enum fletch_answer fletch_spsc_ring_pop_many(struct fletch_spsc_ring *ring, void *out_elements,
                                             size_t max_count, uint64_t timeout_ns,
                                             size_t *out_popped)
{
    enum fletch_answer answer =
        fletch_spsc_ring_try_pop_many(ring, out_elements, max_count, out_popped);
    if (answer != FLETCH_EMPTY)
        return answer;
    struct spsc_call call = {
        .ring = ring, .out_element = out_elements, .max_count = max_count, .out_count = out_popped};
    return wait_at(FLETCH_END_CONSUMER, attempt_pop_many, &call, timeout_ns);
}

void fletch_spsc_ring_cancel(struct fletch_spsc_ring *ring)
{
    /* relaxed: nothing is handed over; the producer may see it later */
    fetch_or_relaxed(&ring->header.shut, FLETCH_RING_CANCELLED);
    fletch_ring_notify(&ring->header, FLETCH_END_PRODUCER);
}

/* ---- descriptors and statistics ---- */

enum fletch_status fletch_spsc_ring_open_fd(struct fletch_spsc_ring *ring, enum fletch_ring_end end,
                                            int *out_fd, struct fletch_error *error)
{
    return fletch_ring_open_fd(&ring->header, end, out_fd, error);
}

static bool producer_has_nothing_to_do(void *ring)
{
    return !fletch_spsc_ring_is_shut(ring) && room_for(ring, 1) == 0;
}

static bool consumer_has_nothing_to_do(void *ring)
{
    return !element_is_there(ring) && look_again(ring) == FLETCH_EMPTY;
}

bool fletch_spsc_ring_arm(struct fletch_spsc_ring *ring, enum fletch_ring_end end,
                          uint32_t *out_key)
{
    return fletch_ring_arm(fletch_ring_eventcount(&ring->header, end),
                           end == FLETCH_END_PRODUCER ? producer_has_nothing_to_do
                                                      : consumer_has_nothing_to_do,
                           ring, out_key);
}

void fletch_spsc_ring_disarm(struct fletch_spsc_ring *ring, enum fletch_ring_end end, uint32_t key)
{
    fletch_eventcount_disarm(fletch_ring_eventcount(&ring->header, end), key);
}

void fletch_spsc_ring_statistics(const struct fletch_spsc_ring *ring,
                                 struct fletch_ring_statistics *out_statistics)
{
    /* relaxed: each number may be as old as it likes */
    struct fletch_ring_statistics statistics = {
        .pushed = load_relaxed(&ring->producer.tail) - ring->start,  /* relaxed: see above */
        .popped = load_relaxed(&ring->consumer.head) - ring->start,  /* relaxed: see above */
        .full = load_relaxed(&ring->producer.fulls),                 /* relaxed: see above */
        .empty = load_relaxed(&ring->consumer.emptys),               /* relaxed: see above */
        .producer_parks = load_relaxed(&ring->producer.waits.parks), /* relaxed: see above */
        .consumer_parks = load_relaxed(&ring->consumer.waits.parks), /* relaxed: see above */
    };
    fletch_ring_statistics_write(out_statistics, &statistics);
}
