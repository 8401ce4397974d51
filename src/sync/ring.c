#include "sync/ring.h"

#include <inttypes.h>

#include "base/bits.h"
#include "base/checked.h"
#include "sync/placement.h"

/* Room goes back to the producer an eighth of the ring at a time: then the line with the consumer's
 * position travels eight times a lap and not once an element. */
#ifdef FLETCH_MODEL_CHECK
enum { RETURNS_PER_LAP = 2 }; /* so that tiny rings have elements after which none is due */
#else
enum { RETURNS_PER_LAP = 8 };
#endif

static enum fletch_status check_choice(const struct fletch_ring_choice *choice,
                                       struct fletch_error *error)
{
    if (choice->element_bytes < FLETCH_ELEMENT_BYTES_MIN ||
        choice->element_bytes > FLETCH_ELEMENT_BYTES_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "element_bytes %zu is not between %d and %d", choice->element_bytes,
                                FLETCH_ELEMENT_BYTES_MIN, FLETCH_ELEMENT_BYTES_MAX);
    if (choice->capacity < 1 || choice->capacity > FLETCH_CAPACITY_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "capacity %zu is not between 1 and %zu", choice->capacity,
                                FLETCH_CAPACITY_MAX);
    return FLETCH_OK;
}

static size_t stride_of(size_t element_bytes, bool slot_sequence)
{
    if (!slot_sequence)
        return fletch_round_up(element_bytes, sizeof(uint64_t));
    size_t slot_bytes = fletch_round_up(sizeof(uint64_t) + element_bytes, sizeof(uint64_t));
    /* A slot straddles no line if it need not, and wastes none of a line if it must. */
    if (slot_bytes <= FLETCH_LINE_BYTES)
        return fletch_power_of_two_ceiling(slot_bytes);
    return slot_bytes;
}

/* The element sizes that single calls are compiled for: a word, and the three of which two slots
 * fill a line. */
static uint64_t fast_words_of(size_t element_bytes)
{
    return element_bytes == 8 || element_bytes == 24 ? element_bytes / 8 : 0;
}

enum fletch_status fletch_ring_plan(const struct fletch_ring_choice *choice,
                                    const struct fletch_ring_shape *shape,
                                    struct fletch_ring_layout *out_layout,
                                    struct fletch_error *error)
{
    enum fletch_status status = check_choice(choice, error);
    if (status != FLETCH_OK)
        return status;
    /* The consumer keeps back less than return_threshold elements' room, so with that much slack
     * the producer still finds all of `capacity`. */
    size_t threshold = choice->capacity / RETURNS_PER_LAP;
    if (threshold == 0)
        threshold = 1;
    size_t limit = choice->capacity + threshold - 1;
    size_t slots = shape->power_of_two ? fletch_power_of_two_ceiling(limit) : limit;
    size_t stride = stride_of(choice->element_bytes, shape->slot_sequence);
    size_t offset = fletch_round_up(shape->structure_bytes, FLETCH_INTERFERENCE_BYTES);
    size_t bytes;
    if (!fletch_checked_multiply(slots, stride, &bytes) ||
        !fletch_checked_add(bytes, offset + FLETCH_INTERFERENCE_BYTES, &bytes))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "capacity %zu of element_bytes %zu does not fit into memory",
                                choice->capacity, choice->element_bytes);
    *out_layout = (struct fletch_ring_layout){
        .element_bytes = choice->element_bytes,
        .capacity = choice->capacity,
        .stride_bytes = stride,
        .payload_offset = shape->slot_sequence ? sizeof(uint64_t) : 0,
        .slot_count = slots,
        .slots_bytes = slots * stride,
        .element_limit = limit,
        .return_threshold = threshold,
        .slots_offset = offset,
        .slots_end = offset + slots * stride,
        .total_bytes = fletch_round_up(offset + slots * stride, FLETCH_INTERFERENCE_BYTES),
        .fast_words = shape->slot_sequence ? fast_words_of(choice->element_bytes) : 0,
    };
    return FLETCH_OK;
}

enum fletch_status fletch_ring_start(void *memory, size_t memory_bytes,
                                     const struct fletch_ring_choice *choice,
                                     const struct fletch_ring_shape *shape,
                                     struct fletch_error *error)
{
    struct fletch_ring_layout layout;
    struct fletch_wait_policy policy;
    enum fletch_status status = fletch_ring_plan(choice, shape, &layout, error);
    if (status == FLETCH_OK)
        status = fletch_placement_check(memory, memory_bytes, layout.total_bytes,
                                        FLETCH_INTERFERENCE_BYTES, error);
    if (status == FLETCH_OK)
        status = fletch_sharing_check(choice->sharing, error);
    if (status == FLETCH_OK)
        status = fletch_wait_policy_choose(choice->wait_strategy, choice->spin_budget_ns, &policy,
                                           error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_ring_header *header = memory;
    header->magic = shape->magic;
    header->layout_version = FLETCH_RING_LAYOUT_VERSION;
    header->sleeps = fletch_wait_policy_sleeps(&policy);
    header->layout = layout;
    header->policy = policy;
    store_relaxed(&header->shut, 0); /* relaxed: nobody else knows the ring yet */
    fletch_eventcount_start(&header->elements, choice->sharing);
    fletch_eventcount_start(&header->room, choice->sharing);
    if (!header->sleeps) {
        header->elements.fence_kind = FLETCH_FENCE_ASYMMETRIC;
        header->room.fence_kind = FLETCH_FENCE_ASYMMETRIC;
    }
    return FLETCH_OK;
}

/* That every number of the layout is the one that its element size and capacity lead to: then the
 * slots of all positions lie in the block. The positions themselves are the live ends' and cannot
 * be checked beside them: who maps the memory is trusted with it. */
static enum fletch_status check_layout(const struct fletch_ring_header *header,
                                       const struct fletch_ring_shape *shape,
                                       struct fletch_error *error)
{
    const struct fletch_ring_choice choice = {.element_bytes = header->layout.element_bytes,
                                              .capacity = header->layout.capacity};
    struct fletch_ring_layout planned;
    struct fletch_wait_policy policy;
    if (fletch_ring_plan(&choice, shape, &planned, NULL) != FLETCH_OK ||
        memcmp(&planned, &header->layout, sizeof planned) != 0)
        return fletch_error_set(
            error, FLETCH_FAILED_PRECONDITION,
            "the ring's layout does not follow from its form, element_bytes %zu "
            "and capacity %zu",
            choice.element_bytes, choice.capacity);
    return fletch_wait_policy_choose(header->policy.strategy, header->policy.spin_budget_ns,
                                     &policy, error);
}

enum fletch_status fletch_ring_attach(const void *memory, size_t memory_bytes,
                                      const struct fletch_ring_shape *shape,
                                      struct fletch_error *error)
{
    enum fletch_status status = fletch_placement_check(
        memory, memory_bytes, sizeof(struct fletch_ring_header), FLETCH_INTERFERENCE_BYTES, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_ring_header *header = memory;
    if (header->magic != shape->magic)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "no such ring: the memory begins with 0x%016" PRIx64
                                ", expected 0x%016" PRIx64,
                                header->magic, shape->magic);
    if (header->layout_version != FLETCH_RING_LAYOUT_VERSION)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the ring has layout version %u, expected %u",
                                header->layout_version, FLETCH_RING_LAYOUT_VERSION);
    if (header->elements.sharing != FLETCH_SHARING_HOST)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the ring was made with sharing %u, expected %d (host)",
                                header->elements.sharing, (int)FLETCH_SHARING_HOST);
    if (header->layout.total_bytes > memory_bytes)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the ring has %" PRIu64 " bytes, the memory %zu",
                                header->layout.total_bytes, memory_bytes);
    return check_layout(header, shape, error);
}

void fletch_ring_end(struct fletch_ring_header *header)
{
    fletch_eventcount_deinit(&header->elements);
    fletch_eventcount_deinit(&header->room);
    header->magic = 0;
}

enum fletch_status fletch_ring_open_fd(struct fletch_ring_header *header, enum fletch_ring_end end,
                                       int *out_fd, struct fletch_error *error)
{
    if (!header->sleeps)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "a ring with wait strategy %d never sleeps and has no descriptor",
                                (int)header->policy.strategy);
    return fletch_eventcount_open_fd(fletch_ring_eventcount(header, end), out_fd, error);
}

bool fletch_ring_arm(struct fletch_eventcount *eventcount, bool (*nothing_to_do)(void *ring),
                     void *ring, uint32_t *out_key)
{
    uint32_t key = fletch_eventcount_arm(eventcount);
    if (!nothing_to_do(ring)) {
        fletch_eventcount_disarm(eventcount, key);
        return false;
    }
    *out_key = key;
    return true;
}

void fletch_ring_statistics_write(struct fletch_ring_statistics *out_statistics,
                                  struct fletch_ring_statistics *statistics)
{
    size_t wanted = out_statistics->struct_size;
    statistics->struct_size = wanted;
    memcpy(out_statistics, statistics, wanted < sizeof *statistics ? wanted : sizeof *statistics);
}

/* Elements side by side in memory, or a stride apart in a ring. */
struct run {
    char *memory;
    size_t stride_bytes;
};

static void copy_run(struct run to, struct run from, size_t element_bytes, size_t count)
{
    if (count == 0)
        return;
    if (to.stride_bytes == element_bytes && from.stride_bytes == element_bytes) {
        memcpy(to.memory, from.memory, element_bytes * count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        fletch_element_copy(to.memory + i * to.stride_bytes, from.memory + i * from.stride_bytes,
                            element_bytes);
}

size_t fletch_spans_fill(const struct fletch_ring_spans *spans, const void *elements,
                         size_t element_bytes)
{
    struct run from = {.memory = (char *)elements, .stride_bytes = element_bytes};
    struct run to = {.memory = spans->first, .stride_bytes = spans->stride_bytes};
    copy_run(to, from, element_bytes, spans->first_count);
    from.memory += spans->first_count * element_bytes;
    to.memory = spans->second;
    copy_run(to, from, element_bytes, spans->second_count);
    return spans->first_count + spans->second_count;
}

size_t fletch_spans_empty(const struct fletch_ring_spans *spans, void *out_elements,
                          size_t element_bytes)
{
    struct run to = {.memory = out_elements, .stride_bytes = element_bytes};
    struct run from = {.memory = spans->first, .stride_bytes = spans->stride_bytes};
    copy_run(to, from, element_bytes, spans->first_count);
    to.memory += spans->first_count * element_bytes;
    from.memory = spans->second;
    copy_run(to, from, element_bytes, spans->second_count);
    return spans->first_count + spans->second_count;
}

/* How many of `count` slots from `offset` on lie before the end. */
static uint64_t slots_to_end(const struct fletch_ring_layout *layout, uint64_t offset,
                             uint64_t count)
{
    uint64_t to_end = layout->slots_end - offset;
    return count * layout->stride_bytes <= to_end ? count : to_end / layout->stride_bytes;
}

void fletch_slots_fill(char *block, const struct fletch_ring_layout *layout, uint64_t offset,
                       const void *elements, uint64_t count)
{
    uint64_t first = slots_to_end(layout, offset, count);
    char *slots = block + layout->payload_offset;
    struct run from = {.memory = (char *)elements, .stride_bytes = layout->element_bytes};
    struct run to = {.memory = slots + offset, .stride_bytes = layout->stride_bytes};
    copy_run(to, from, layout->element_bytes, first);
    from.memory += first * layout->element_bytes;
    to.memory = slots + layout->slots_offset;
    copy_run(to, from, layout->element_bytes, count - first);
}

void fletch_slots_empty(const char *block, const struct fletch_ring_layout *layout, uint64_t offset,
                        void *out_elements, uint64_t count)
{
    uint64_t first = slots_to_end(layout, offset, count);
    char *slots = (char *)block + layout->payload_offset;
    struct run to = {.memory = out_elements, .stride_bytes = layout->element_bytes};
    struct run from = {.memory = slots + offset, .stride_bytes = layout->stride_bytes};
    copy_run(to, from, layout->element_bytes, first);
    to.memory += first * layout->element_bytes;
    from.memory = slots + layout->slots_offset;
    copy_run(to, from, layout->element_bytes, count - first);
}
