#include "sync/mpsc_queue.h"

#include <stddef.h>

#include "base/allocator.h"
#include "base/cpu.h"
#include "base/inlining.h"
#include "base/options.h"
#include "base/thread.h"

#define MPSC_QUEUE_MAGIC UINT64_C(0x75657571637370d6) /* "\xd6pscqueu" */

#ifndef FLETCH_MODEL_CHECK
#define GROUP_OF(field) (offsetof(struct fletch_mpsc_queue, field) / FLETCH_INTERFERENCE_BYTES)
_Static_assert(GROUP_OF(tail) > GROUP_OF(start), "the tail shares no line");
_Static_assert(GROUP_OF(consumer) > GROUP_OF(tail), "the consumer's fields share no line");
_Static_assert(GROUP_OF(head_published) > GROUP_OF(consumer), "published by the consumer");
_Static_assert(GROUP_OF(producers) > GROUP_OF(head_published), "written by waiting producers");
_Static_assert(sizeof(struct fletch_mpsc_consumer) <= FLETCH_INTERFERENCE_BYTES, "one group");
#endif

/* PAUSEs after a failed compare-and-swap: from one, doubled each time, to this many; then the
 * processor is given away, if the queue's waits may do that. */
enum { BACKOFF_PAUSES_MAX = 64 };

/* PAUSEs of a consumer that has run out of elements after at least so many in a row: about 0.3 us.
 * None under a model checker, to which a pause is a wait for somebody else. */
#ifdef FLETCH_MODEL_CHECK
enum { CATCH_UP_PAUSES = 0, CATCH_UP_RUN = 1 };
#else
enum { CATCH_UP_PAUSES = 8, CATCH_UP_RUN = 8 };
#endif

/* ---- layout ---- */

/* The slots as a loop sees them, read once: what it stores could be anywhere, for all the compiler
 * knows. */
struct slot_array {
    char *first;
    uint64_t mask; /* of an index */
    uint64_t stride_bytes;
    uint64_t element_bytes;
};

/* `words`: of an element of fixed size, for which code of its own is made, or 0. */
static FLETCH_ALWAYS_INLINE struct slot_array slots_of(struct fletch_mpsc_queue *queue,
                                                       size_t words)
{
    const struct fletch_ring_layout *layout = &queue->header.layout;
    return (struct slot_array){
        .first = (char *)queue + layout->slots_offset,
        .mask = layout->slot_count - 1,
        .stride_bytes = words > 0 ? fletch_slot_bytes(words) : layout->stride_bytes,
        .element_bytes = words > 0 ? words * sizeof(uint64_t) : layout->element_bytes,
    };
}

static FLETCH_ALWAYS_INLINE char *slot_in(struct slot_array slots, uint64_t position)
{
    return slots.first + ((position / FLETCH_MPSC_STEP) & slots.mask) * slots.stride_bytes;
}

static char *slot_at(struct fletch_mpsc_queue *queue, uint64_t position)
{
    return slot_in(slots_of(queue, 0), position);
}

static _Atomic uint64_t *sequence_of(char *slot)
{
    return (_Atomic uint64_t *)(void *)slot;
}

static char *payload_of(char *slot)
{
    return slot + sizeof(uint64_t);
}

/* ---- making and ending ---- */

static const struct fletch_ring_shape shape = {
    .magic = MPSC_QUEUE_MAGIC,
    .slot_sequence = true,
    .power_of_two = true,
    .structure_bytes = sizeof(struct fletch_mpsc_queue),
};

static enum fletch_status choose(const struct fletch_mpsc_queue_options *options,
                                 struct fletch_ring_choice *out_choice, struct fletch_error *error)
{
    struct fletch_mpsc_queue_options known;
    enum fletch_status status =
        fletch_options_copy(&known, sizeof known, options, sizeof known, error);
    if (status != FLETCH_OK)
        return status;
    *out_choice = (struct fletch_ring_choice){
        .element_bytes = known.element_bytes,
        .capacity = known.capacity,
        .sharing = known.sharing,
        .wait_strategy = known.wait_strategy,
        .spin_budget_ns = known.spin_budget_ns,
    };
    return FLETCH_OK;
}

enum fletch_status fletch_mpsc_queue_bytes(const struct fletch_mpsc_queue_options *options,
                                           size_t *out_bytes, struct fletch_error *error)
{
    struct fletch_ring_choice choice;
    struct fletch_ring_layout layout;
    enum fletch_status status = choose(options, &choice, error);
    if (status == FLETCH_OK)
        status = fletch_ring_plan(&choice, &shape, &layout, error);
    if (status == FLETCH_OK)
        *out_bytes = layout.total_bytes;
    return status;
}

size_t fletch_mpsc_queue_alignment(void)
{
    return FLETCH_INTERFERENCE_BYTES;
}

/* relaxed throughout: nobody else knows the queue yet, and who tells them orders this before */
void fletch_mpsc_queue_restart_at(struct fletch_mpsc_queue *queue, uint64_t start)
{
    queue->start = start;
    store_relaxed(&queue->tail, start);          /* relaxed: see above */
    store_relaxed(&queue->consumer.head, start); /* relaxed: see above */
    queue->consumer.return_at = start + queue->header.layout.return_threshold * FLETCH_MPSC_STEP;
    queue->consumer.run_end = start;
    queue->consumer.missed_at = start;
    store_relaxed(&queue->consumer.emptys, 0);        /* relaxed: see above */
    store_relaxed(&queue->consumer.guard.entered, 0); /* relaxed: see above */
    fletch_wait_history_start(&queue->consumer.waits, &queue->header.policy);
    store_relaxed(&queue->head_published, start); /* relaxed: see above */
    store_relaxed(&queue->producers.fulls, 0);    /* relaxed: see above */
    fletch_wait_history_start(&queue->producers.waits, &queue->header.policy);
    /* Each slot gets the number that it would have from the lap before. */
    uint64_t lap = queue->header.layout.slot_count * FLETCH_MPSC_STEP;
    for (uint64_t p = start; p != start + lap; p += FLETCH_MPSC_STEP)
        store_relaxed(sequence_of(slot_at(queue, p)), p + FLETCH_MPSC_STEP - lap); /* relaxed: so */
}

enum fletch_status fletch_mpsc_queue_init(void *memory, size_t memory_bytes,
                                          const struct fletch_mpsc_queue_options *options,
                                          struct fletch_mpsc_queue **out_queue,
                                          struct fletch_error *error)
{
    struct fletch_ring_choice choice;
    enum fletch_status status = choose(options, &choice, error);
    if (status == FLETCH_OK)
        status = fletch_ring_start(memory, memory_bytes, &choice, &shape, error);
    if (status != FLETCH_OK)
        return status;
    *out_queue = memory;
    fletch_mpsc_queue_restart_at(*out_queue, 0);
    return FLETCH_OK;
}

enum fletch_status fletch_mpsc_queue_attach(void *memory, size_t memory_bytes,
                                            struct fletch_mpsc_queue **out_queue,
                                            struct fletch_error *error)
{
    enum fletch_status status = fletch_ring_attach(memory, memory_bytes, &shape, error);
    if (status == FLETCH_OK)
        *out_queue = memory;
    return status;
}

enum fletch_status fletch_mpsc_queue_create(const struct fletch_mpsc_queue_options *options,
                                            const struct fletch_allocator *allocator,
                                            struct fletch_mpsc_queue **out_queue,
                                            struct fletch_error *error)
{
    size_t bytes;
    enum fletch_status status = fletch_mpsc_queue_bytes(options, &bytes, error);
    if (status != FLETCH_OK)
        return status;
    void *memory = fletch_block_allocate(allocator, bytes);
    if (memory == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a queue of %zu bytes", bytes);
    status = fletch_mpsc_queue_init(memory, bytes, options, out_queue, error);
    if (status != FLETCH_OK)
        fletch_block_release(memory);
    return status;
}

/* ---- producers ---- */

struct backoff {
    uint32_t pauses;
};

static void back_off(const struct fletch_mpsc_queue *queue, struct backoff *backoff)
{
    for (uint32_t i = 0; i < backoff->pauses; i++)
        fletch_cpu_relax();
    if (backoff->pauses < BACKOFF_PAUSES_MAX)
        backoff->pauses *= 2;
    else if (queue->header.policy.strategy > FLETCH_WAIT_PAUSE)
        fletch_thread_yield();
}

enum fletch_answer fletch_mpsc_queue_claim(struct fletch_mpsc_queue *queue, size_t count,
                                           uint64_t *out_position)
{
    struct backoff backoff = {.pauses = 1};
    uint64_t limit = queue->header.layout.element_limit * FLETCH_MPSC_STEP;
    uint64_t wanted = count * FLETCH_MPSC_STEP;
    /* relaxed: only a compare-and-swap that finds the same value uses it */
    uint64_t tail = load_relaxed(&queue->tail);
    for (;;) {
        if ((tail & FLETCH_MPSC_CLOSED) != 0)
            return FLETCH_CLOSED;
        uint64_t head = load_acquire(&queue->head_published); /* E2 acquire */
        /* A tail that is older than this head makes the difference negative: there is room. */
        if ((int64_t)(tail - head) > (int64_t)(limit - wanted))
            return FLETCH_FULL;
        /* relaxed: the claim hands nothing over; E1 and E2 do, run by run */
        if (cas_weak_relaxed(&queue->tail, &tail, tail + wanted))
            break;
        back_off(queue, &backoff);
    }
    *out_position = tail;
    return FLETCH_DONE;
}

/* Writes a run, upwards: whole lines then come in from the consumer one after the other. */
static FLETCH_ALWAYS_INLINE void write_run(struct slot_array slots, uint64_t position,
                                           const void *elements, size_t count)
{
    uint64_t end = position + count * FLETCH_MPSC_STEP;
    const char *element = elements;
    for (uint64_t at = position; at != end; at += FLETCH_MPSC_STEP, element += slots.element_bytes)
        fletch_element_copy(payload_of(slot_in(slots, at)), element, slots.element_bytes);
    store_release(sequence_of(slot_in(slots, position)), end); /* E1 release */
}

void fletch_mpsc_queue_publish(struct fletch_mpsc_queue *queue, uint64_t position,
                               const void *elements, size_t count)
{
    if (count == 0)
        return;
    if (queue->header.layout.fast_words == 3)
        write_run(slots_of(queue, 3), position, elements, count);
    else if (queue->header.layout.fast_words == 1)
        write_run(slots_of(queue, 1), position, elements, count);
    else
        write_run(slots_of(queue, 0), position, elements, count);
    fletch_ring_notify(&queue->header, FLETCH_END_CONSUMER);
}

static enum fletch_answer push_all(struct fletch_mpsc_queue *queue, const void *elements,
                                   size_t count)
{
    uint64_t position;
    enum fletch_answer answer = fletch_mpsc_queue_claim(queue, count, &position);
    if (__builtin_expect(answer == FLETCH_DONE, 1))
        fletch_mpsc_queue_publish(queue, position, elements, count);
    return answer;
}

enum fletch_answer fletch_mpsc_queue_try_push_many(struct fletch_mpsc_queue *queue,
                                                   const void *elements, size_t count)
{
    enum fletch_answer answer = FLETCH_FULL;
    if (count <= queue->header.layout.capacity)
        answer = push_all(queue, elements, count);
    if (__builtin_expect(answer == FLETCH_FULL, 0))
        count_one(&queue->producers.fulls);
    return answer;
}

/* Pushes one element if the first claim succeeds; does not notify. */
static FLETCH_ALWAYS_INLINE bool push_fast(struct fletch_mpsc_queue *queue, const void *element,
                                           size_t words)
{
    uint64_t limit = (queue->header.layout.element_limit - 1) * FLETCH_MPSC_STEP;
    /* relaxed: only a compare-and-swap that finds the same value uses it */
    uint64_t tail = load_relaxed(&queue->tail);
    uint64_t head = load_acquire(&queue->head_published); /* E2 acquire */
    if (__builtin_expect(
            (tail & FLETCH_MPSC_CLOSED) != 0 || (int64_t)(tail - head) > (int64_t)limit, 0))
        return false;
    /* relaxed: the claim hands nothing over; E1 and E2 do, run by run */
    if (__builtin_expect(!cas_weak_relaxed(&queue->tail, &tail, tail + FLETCH_MPSC_STEP), 0))
        return false;
    write_run(slots_of(queue, words), tail, element, 1);
    return true;
}

/* Apart, so that the fast way has no stack frame. */
static FLETCH_NEVER_INLINE enum fletch_answer push_slowly(struct fletch_mpsc_queue *queue,
                                                          const void *element)
{
    return fletch_mpsc_queue_try_push_many(queue, element, 1);
}

static FLETCH_NEVER_INLINE enum fletch_answer wake_consumer(struct fletch_mpsc_queue *queue)
{
    fletch_ring_wake(&queue->header, FLETCH_END_CONSUMER);
    return FLETCH_DONE;
}

enum fletch_answer fletch_mpsc_queue_try_push(struct fletch_mpsc_queue *queue, const void *element)
{
    uint64_t words = queue->header.layout.fast_words;
    bool pushed = false;
    if (__builtin_expect(words == 3, 1))
        pushed = push_fast(queue, element, 3);
    else if (words == 1)
        pushed = push_fast(queue, element, 1);
    else
        pushed = push_fast(queue, element, 0);
    if (__builtin_expect(!pushed, 0))
        return push_slowly(queue, element);
    if (__builtin_expect(fletch_ring_is_awaited(&queue->header, FLETCH_END_CONSUMER), 0))
        return wake_consumer(queue);
    return FLETCH_DONE;
}

/* A waiting call, packed for sync/wait.h. */
struct mpsc_call {
    struct fletch_mpsc_queue *queue;
    const void *elements;
    void *out_elements;
    size_t count;
    size_t *out_popped;
};

static enum fletch_answer attempt_push(void *call)
{
    struct mpsc_call *push = call;
    return push_all(push->queue, push->elements, push->count);
}

enum fletch_answer fletch_mpsc_queue_push_many(struct fletch_mpsc_queue *queue,
                                               const void *elements, size_t count,
                                               uint64_t timeout_ns)
{
    enum fletch_answer answer = fletch_mpsc_queue_try_push_many(queue, elements, count);
    if (answer != FLETCH_FULL || count > queue->header.layout.capacity)
        return answer;
    struct mpsc_call call = {.queue = queue, .elements = elements, .count = count};
    const struct fletch_wait wait = {
        .policy = &queue->header.policy,
        .history = &queue->producers.waits,
        .eventcount = &queue->header.room,
        .attempt = attempt_push,
        .call = &call,
    };
    return fletch_wait_for(&wait, timeout_ns);
}

enum fletch_answer fletch_mpsc_queue_push(struct fletch_mpsc_queue *queue, const void *element,
                                          uint64_t timeout_ns)
{
    return fletch_mpsc_queue_push_many(queue, element, 1, timeout_ns);
}

void fletch_mpsc_queue_close(struct fletch_mpsc_queue *queue)
{
    /* relaxed: the order of claims and closing is that of this one word */
    fetch_or_relaxed(&queue->tail, FLETCH_MPSC_CLOSED);
    fletch_ring_notify(&queue->header, FLETCH_END_CONSUMER);
    fletch_ring_notify(&queue->header, FLETCH_END_PRODUCER);
}

/* ---- the consumer ---- */

static FLETCH_ALWAYS_INLINE bool is_ahead(uint64_t position, uint64_t of)
{
    return (int64_t)(position - of) > 0;
}

/* Whether the element at `head` is known to be there: in a run that was seen before, or in one that
 * begins here. */
static FLETCH_ALWAYS_INLINE bool element_is_at(struct fletch_mpsc_queue *queue,
                                               struct slot_array slots, uint64_t head)
{
    if (is_ahead(queue->consumer.run_end, head))
        return true;
    uint64_t sequence = load_acquire(sequence_of(slot_in(slots, head))); /* E1 acquire */
    if (__builtin_expect(!is_ahead(sequence, head), 0))
        return false;
    queue->consumer.run_end = sequence;
    return true;
}

static bool consumer_finds(struct fletch_mpsc_queue *queue, uint64_t head)
{
    return element_is_at(queue, slots_of(queue, 0), head);
}

/* Lets producers have the slots of everything that was taken. Noted after it is done, as in
 * sync/spsc_ring.c. */
static FLETCH_NEVER_INLINE void return_room(struct fletch_mpsc_queue *queue)
{
    struct fletch_mpsc_consumer *consumer = &queue->consumer;
    uint64_t head = load_relaxed(&consumer->head); /* relaxed: written by this end only */
    uint64_t threshold = queue->header.layout.return_threshold * FLETCH_MPSC_STEP;
    if (head + threshold == consumer->return_at)
        return;
    store_release(&queue->head_published, head); /* E2 release */
    consumer->return_at = head + threshold;
    fletch_ring_notify(&queue->header, FLETCH_END_PRODUCER);
}

/* A consumer that has just caught up stands on the line that the next producer is about to write,
 * and telling empty from held takes the line that all producers fight for. So at the first miss
 * after several elements in a row it stays away from both for a moment, in which producers that
 * stream get ahead. */
static bool found_after_pause(struct fletch_mpsc_queue *queue, uint64_t head)
{
    uint64_t run = head - queue->consumer.missed_at;
    queue->consumer.missed_at = head;
    if (run < CATCH_UP_RUN * FLETCH_MPSC_STEP)
        return false;
    for (int i = 0; i < CATCH_UP_PAUSES; i++)
        fletch_cpu_relax();
    return consumer_finds(queue, head);
}

/* What to answer when no element was found at `head`. DONE: there is one after all. */
static enum fletch_answer look_again(struct fletch_mpsc_queue *queue, uint64_t head)
{
    return_room(queue);
    if (found_after_pause(queue, head))
        return FLETCH_DONE;
    /* relaxed: the tail tells of claims and of the closing; elements are seen by E1 alone */
    uint64_t tail = load_relaxed(&queue->tail);
    if (tail == (head | FLETCH_MPSC_CLOSED))
        return FLETCH_CLOSED;
    if (tail != head && consumer_finds(queue, head))
        return FLETCH_DONE;
    return tail == head ? FLETCH_EMPTY : FLETCH_HELD;
}

/* Everything up to `head` was taken. A consumer that died before it returned room leaves its
 * successor behind the place where that was due. */
static FLETCH_ALWAYS_INLINE void move_head(struct fletch_mpsc_queue *queue, uint64_t head)
{
    store_relaxed(&queue->consumer.head, head); /* relaxed: read by statistics only */
    if (__builtin_expect(!is_ahead(queue->consumer.return_at, head), 0))
        return_room(queue);
}

/* Copies the element at `head` out and takes its lines over. */
static FLETCH_ALWAYS_INLINE void take(struct slot_array slots, uint64_t head, void *out_element)
{
    char *slot = slot_in(slots, head);
    memcpy(out_element, payload_of(slot), slots.element_bytes);
    fletch_lines_take_over(slot, slots.stride_bytes);
}

static FLETCH_ALWAYS_INLINE bool pop_one(struct fletch_mpsc_queue *queue, void *out_element,
                                         size_t words)
{
    const struct slot_array slots = slots_of(queue, words);
    uint64_t head = load_relaxed(&queue->consumer.head); /* relaxed: written by this end only */
    if (!element_is_at(queue, slots, head))
        return false;
    take(slots, head, out_element);
    move_head(queue, head + FLETCH_MPSC_STEP);
    return true;
}

static uint64_t nearest(uint64_t from, uint64_t a, uint64_t b)
{
    return a - from < b - from ? a : b;
}

/* Pops what is there, run by run, at most a lap. Room is returned where due, in mid-run too. */
static FLETCH_ALWAYS_INLINE size_t pop_runs(struct fletch_mpsc_queue *queue, void *out_elements,
                                            size_t max_count, size_t words)
{
    const struct slot_array slots = slots_of(queue, words);
    uint64_t start = load_relaxed(&queue->consumer.head); /* relaxed: written by this end only */
    uint64_t most = max_count <= slots.mask ? max_count : slots.mask + 1;
    uint64_t end = start + most * FLETCH_MPSC_STEP;
    uint64_t head = start;
    char *to = out_elements;
    while (head != end && element_is_at(queue, slots, head)) {
        uint64_t stop = nearest(head, queue->consumer.run_end, end);
        stop = nearest(head, stop, queue->consumer.return_at);
        for (; head != stop; head += FLETCH_MPSC_STEP, to += slots.element_bytes)
            take(slots, head, to);
        move_head(queue, head);
    }
    return (size_t)(head - start) / FLETCH_MPSC_STEP;
}

static FLETCH_ALWAYS_INLINE bool pop_one_fast(struct fletch_mpsc_queue *queue, void *out_element)
{
    uint64_t words = queue->header.layout.fast_words;
    bool popped;
    fletch_end_guard_enter(&queue->consumer.guard);
    if (__builtin_expect(words == 3, 1))
        popped = pop_one(queue, out_element, 3);
    else if (words == 1)
        popped = pop_one(queue, out_element, 1);
    else
        popped = pop_one(queue, out_element, 0);
    fletch_end_guard_leave(&queue->consumer.guard);
    return popped;
}

static size_t pop_there(struct fletch_mpsc_queue *queue, void *out_elements, size_t max_count)
{
    uint64_t words = queue->header.layout.fast_words;
    if (__builtin_expect(words == 3, 1))
        return pop_runs(queue, out_elements, max_count, 3);
    if (words == 1)
        return pop_runs(queue, out_elements, max_count, 1);
    return pop_runs(queue, out_elements, max_count, 0);
}

static enum fletch_answer pop_guarded(struct fletch_mpsc_queue *queue, void *out_elements,
                                      size_t max_count, size_t *out_popped)
{
    struct fletch_mpsc_consumer *consumer = &queue->consumer;
    fletch_end_guard_enter(&consumer->guard);
    uint64_t head = load_relaxed(&consumer->head); /* relaxed: written by this end only */
    enum fletch_answer answer = FLETCH_DONE;
    if (max_count > 0 && !consumer_finds(queue, head))
        answer = look_again(queue, head);
    *out_popped = answer == FLETCH_DONE ? pop_there(queue, out_elements, max_count) : 0;
    fletch_end_guard_leave(&consumer->guard);
    return answer;
}

/* Apart, as push_slowly is. */
static FLETCH_NEVER_INLINE enum fletch_answer pop_slowly(struct fletch_mpsc_queue *queue,
                                                         void *out_elements, size_t max_count,
                                                         size_t *out_popped)
{
    enum fletch_answer answer = pop_guarded(queue, out_elements, max_count, out_popped);
    if (answer == FLETCH_EMPTY || answer == FLETCH_HELD)
        count_one(&queue->consumer.emptys);
    return answer;
}

enum fletch_answer fletch_mpsc_queue_try_pop_many(struct fletch_mpsc_queue *queue,
                                                  void *out_elements, size_t max_count,
                                                  size_t *out_popped)
{
    fletch_end_guard_enter(&queue->consumer.guard);
    *out_popped = pop_there(queue, out_elements, max_count);
    fletch_end_guard_leave(&queue->consumer.guard);
    if (__builtin_expect(*out_popped > 0, 1))
        return FLETCH_DONE;
    return pop_slowly(queue, out_elements, max_count, out_popped);
}

static FLETCH_NEVER_INLINE enum fletch_answer pop_one_slowly(struct fletch_mpsc_queue *queue,
                                                             void *out_element)
{
    size_t popped;
    return pop_slowly(queue, out_element, 1, &popped);
}

enum fletch_answer fletch_mpsc_queue_try_pop(struct fletch_mpsc_queue *queue, void *out_element)
{
    return pop_one_fast(queue, out_element) ? FLETCH_DONE : pop_one_slowly(queue, out_element);
}

static enum fletch_answer attempt_pop(void *call)
{
    struct mpsc_call *pop = call;
    return pop_guarded(pop->queue, pop->out_elements, pop->count, pop->out_popped);
}

enum fletch_answer fletch_mpsc_queue_pop_many(struct fletch_mpsc_queue *queue, void *out_elements,
                                              size_t max_count, uint64_t timeout_ns,
                                              size_t *out_popped)
{
    enum fletch_answer answer =
        fletch_mpsc_queue_try_pop_many(queue, out_elements, max_count, out_popped);
    if (answer == FLETCH_DONE || answer == FLETCH_CLOSED)
        return answer;
    struct mpsc_call call = {
        .queue = queue, .out_elements = out_elements, .count = max_count, .out_popped = out_popped};
    const struct fletch_wait wait = {
        .policy = &queue->header.policy,
        .history = &queue->consumer.waits,
        .eventcount = &queue->header.elements,
        .attempt = attempt_pop,
        .call = &call,
    };
    return fletch_wait_for(&wait, timeout_ns);
}

enum fletch_answer fletch_mpsc_queue_pop(struct fletch_mpsc_queue *queue, void *out_element,
                                         uint64_t timeout_ns)
{
    size_t popped;
    return fletch_mpsc_queue_pop_many(queue, out_element, 1, timeout_ns, &popped);
}

uint64_t fletch_mpsc_queue_held_position(const struct fletch_mpsc_queue *queue)
{
    /* relaxed: written by this end only */
    return (load_relaxed(&queue->consumer.head) - queue->start) / FLETCH_MPSC_STEP;
}

void fletch_mpsc_queue_deinit(struct fletch_mpsc_queue *queue, fletch_drop_function *drop,
                              void *drop_context)
{
    if (queue == NULL)
        return;
    /* Positions that were claimed and never published hold nothing that could be dropped. */
    uint64_t head = load_relaxed(&queue->consumer.head); /* relaxed: all have stopped */
    uint64_t tail = load_relaxed(&queue->tail) & ~FLETCH_MPSC_CLOSED; /* relaxed: as above */
    for (; drop != NULL && head != tail; head += FLETCH_MPSC_STEP)
        if (consumer_finds(queue, head))
            drop(drop_context, payload_of(slot_at(queue, head)));
    fletch_ring_end(&queue->header);
}

void fletch_mpsc_queue_destroy(struct fletch_mpsc_queue *queue, fletch_drop_function *drop,
                               void *drop_context)
{
    if (queue == NULL)
        return;
    fletch_mpsc_queue_deinit(queue, drop, drop_context);
    fletch_block_release(queue);
}

/* ---- descriptors and statistics ---- */

enum fletch_status fletch_mpsc_queue_open_fd(struct fletch_mpsc_queue *queue,
                                             enum fletch_ring_end end, int *out_fd,
                                             struct fletch_error *error)
{
    return fletch_ring_open_fd(&queue->header, end, out_fd, error);
}

static bool producer_has_nothing_to_do(void *memory)
{
    struct fletch_mpsc_queue *queue = memory;
    uint64_t tail = load_relaxed(&queue->tail);           /* relaxed: a guess, as any answer is */
    uint64_t head = load_acquire(&queue->head_published); /* E2 acquire */
    uint64_t limit = queue->header.layout.element_limit * FLETCH_MPSC_STEP;
    return (tail & FLETCH_MPSC_CLOSED) == 0 && (int64_t)(tail - head) >= (int64_t)limit;
}

static bool consumer_has_nothing_to_do(void *memory)
{
    struct fletch_mpsc_queue *queue = memory;
    uint64_t head = load_relaxed(&queue->consumer.head); /* relaxed: written by this end only */
    if (consumer_finds(queue, head))
        return false;
    enum fletch_answer answer = look_again(queue, head);
    return answer == FLETCH_EMPTY || answer == FLETCH_HELD;
}

bool fletch_mpsc_queue_arm(struct fletch_mpsc_queue *queue, enum fletch_ring_end end,
                           uint32_t *out_key)
{
    return fletch_ring_arm(fletch_ring_eventcount(&queue->header, end),
                           end == FLETCH_END_PRODUCER ? producer_has_nothing_to_do
                                                      : consumer_has_nothing_to_do,
                           queue, out_key);
}

void fletch_mpsc_queue_disarm(struct fletch_mpsc_queue *queue, enum fletch_ring_end end,
                              uint32_t key)
{
    fletch_eventcount_disarm(fletch_ring_eventcount(&queue->header, end), key);
}

void fletch_mpsc_queue_statistics(const struct fletch_mpsc_queue *queue,
                                  struct fletch_ring_statistics *out_statistics)
{
    /* relaxed: each number may be as old as it likes */
    uint64_t tail = load_relaxed(&queue->tail) & ~FLETCH_MPSC_CLOSED; /* relaxed: see above */
    uint64_t head = load_relaxed(&queue->consumer.head);              /* relaxed: see above */
    struct fletch_ring_statistics statistics = {
        .pushed = (tail - queue->start) / FLETCH_MPSC_STEP,
        .popped = (head - queue->start) / FLETCH_MPSC_STEP,
        .full = load_relaxed(&queue->producers.fulls),                 /* relaxed: see above */
        .empty = load_relaxed(&queue->consumer.emptys),                /* relaxed: see above */
        .producer_parks = load_relaxed(&queue->producers.waits.parks), /* relaxed: see above */
        .consumer_parks = load_relaxed(&queue->consumer.waits.parks),  /* relaxed: see above */
    };
    fletch_ring_statistics_write(out_statistics, &statistics);
}
