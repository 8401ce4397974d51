#ifndef FLETCH_SYNC_RING_H
#define FLETCH_SYNC_RING_H

/* What the bounded rings and queues share: the header at the start of their memory, the arithmetic
 * of their layout, the copy of an element, and waiting on either end. A ring is one block without
 * pointers: header, groups of fields by writer, then the slots at `slots_offset`. */

#include <fletching/allocator.h>
#include <fletching/ring.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/atomic.h"
#include "base/status.h"
#include "sync/eventcount.h"
#include "sync/wait.h"

/* Changes whenever the meaning of a byte of the block does: a process attaches only to its own. */
#define FLETCH_RING_LAYOUT_VERSION 3

/* How many slots of what size, and where. */
struct fletch_ring_layout {
    uint64_t element_bytes;
    uint64_t capacity;         /* that was asked for */
    uint64_t stride_bytes;     /* from a slot to the next */
    uint64_t payload_offset;   /* of the element in its slot: 8 behind a sequence, 0 without one */
    uint64_t slot_count;       /* physical slots */
    uint64_t slots_bytes;      /* of all of them */
    uint64_t element_limit;    /* at most this many elements are in the ring: promise + slack */
    uint64_t return_threshold; /* the consumer returns room once it has taken this many */
    uint64_t slots_offset;     /* of the first slot, from the start of the block */
    uint64_t slots_end;        /* of the end of the last one */
    uint64_t total_bytes;      /* of the block */
    uint64_t fast_words;       /* of an element whose single calls have code of their own, or 0 */
};

/* Fixed after the start, but for the two eventcounts and `shut`, which change when somebody sleeps
 * or the ring ends: this group stays in the caches of both sides. */
struct fletch_ring_header {
    uint64_t magic;
    uint32_t layout_version;
    bool sleeps; /* somebody may sleep on an eventcount: notify */
    struct fletch_ring_layout layout;
    struct fletch_wait_policy policy;
    _Atomic uint32_t shut;             /* bits of enum fletch_ring_shut */
    struct fletch_eventcount elements; /* the consumer sleeps here */
    struct fletch_eventcount room;     /* producers sleep here */
};

enum fletch_ring_shut {
    FLETCH_RING_CLOSED = 1,   /* by the producer's end: nothing more comes */
    FLETCH_RING_CANCELLED = 2 /* by the consumer's end: nothing more is wanted */
};

/* What the options of all rings say alike. */
struct fletch_ring_choice {
    size_t element_bytes;
    size_t capacity;
    enum fletch_sharing sharing;
    enum fletch_wait_strategy wait_strategy;
    uint64_t spin_budget_ns;
};

/* Where a ring differs: a sequence in each slot or none, slots that must be a power of two in
 * number, bytes of its structure before the slots. */
struct fletch_ring_shape {
    uint64_t magic;
    bool slot_sequence;
    bool power_of_two;
    size_t structure_bytes;
};

/* INVALID_ARGUMENT names the option, its value and the limit. */
enum fletch_status fletch_ring_plan(const struct fletch_ring_choice *choice,
                                    const struct fletch_ring_shape *shape,
                                    struct fletch_ring_layout *out_layout,
                                    struct fletch_error *error);

/* Plans, checks the memory, and writes the header at its start. */
enum fletch_status fletch_ring_start(void *memory, size_t memory_bytes,
                                     const struct fletch_ring_choice *choice,
                                     const struct fletch_ring_shape *shape,
                                     struct fletch_error *error);

/* FAILED_PRECONDITION: what lies at `memory` is not a shared ring of this shape, or its layout is
 * not the one that its element size and capacity lead to. */
enum fletch_status fletch_ring_attach(const void *memory, size_t memory_bytes,
                                      const struct fletch_ring_shape *shape,
                                      struct fletch_error *error);

/* Closes descriptors and makes the block no ring any more. */
void fletch_ring_end(struct fletch_ring_header *header);

/* The eventcount that `end` sleeps on. */
static inline struct fletch_eventcount *fletch_ring_eventcount(struct fletch_ring_header *header,
                                                               enum fletch_ring_end end)
{
    return end == FLETCH_END_PRODUCER ? &header->room : &header->elements;
}

/* FAILED_PRECONDITION: shared between processes, or a strategy that never sleeps. */
enum fletch_status fletch_ring_open_fd(struct fletch_ring_header *header, enum fletch_ring_end end,
                                       int *out_fd, struct fletch_error *error);

/* Arms an end's eventcount, unless there is something to do. `*out_key` is written if armed. */
bool fletch_ring_arm(struct fletch_eventcount *eventcount, bool (*nothing_to_do)(void *ring),
                     void *ring, uint32_t *out_key);

/* Copies the first `struct_size` bytes of `statistics` to the caller's. */
void fletch_ring_statistics_write(struct fletch_ring_statistics *out_statistics,
                                  struct fletch_ring_statistics *statistics);

/* Copy contiguous elements into spans, or out of them; return how many. */
size_t fletch_spans_fill(const struct fletch_ring_spans *spans, const void *elements,
                         size_t element_bytes);
size_t fletch_spans_empty(const struct fletch_ring_spans *spans, void *out_elements,
                          size_t element_bytes);

/* The same for the `count` slots from `offset` on, which may go round the end. */
void fletch_slots_fill(char *block, const struct fletch_ring_layout *layout, uint64_t offset,
                       const void *elements, uint64_t count);
void fletch_slots_empty(const char *block, const struct fletch_ring_layout *layout, uint64_t offset,
                        void *out_elements, uint64_t count);

/* Whether the elements of those slots are so many bytes without a gap: one copy. */
static inline bool fletch_slots_are_one_run(const struct fletch_ring_layout *layout,
                                            uint64_t offset, uint64_t count)
{
    return layout->stride_bytes == layout->element_bytes &&
           count * layout->stride_bytes <= layout->slots_end - offset;
}

/* Whether somebody sleeps at `end`: to be asked after what he sleeps for. A ring whose waits never
 * sleep has light fences, so that it need not be told apart here. */
static inline bool fletch_ring_is_awaited(struct fletch_ring_header *header,
                                          enum fletch_ring_end end)
{
    return fletch_eventcount_is_awaited(fletch_ring_eventcount(header, end));
}

/* Wakes all sleepers of `end`. All: of several producers that sleep, the one that would be woken
 * alone might be after more room than there is. */
static inline void fletch_ring_wake(struct fletch_ring_header *header, enum fletch_ring_end end)
{
    if (header->sleeps)
        fletch_eventcount_wake(fletch_ring_eventcount(header, end), UINT32_MAX);
}

static inline void fletch_ring_notify(struct fletch_ring_header *header, enum fletch_ring_end end)
{
    if (__builtin_expect(fletch_ring_is_awaited(header, end), 0))
        fletch_ring_wake(header, end);
}

/* Lines are 64 bytes on the processors that matter. */
#define FLETCH_LINE_BYTES 64

/* From a slot with a sequence and an element of `words` words to the next; at most one line. */
static inline size_t fletch_slot_bytes(size_t words)
{
    return sizeof(uint64_t) * (words == 1 ? 2 : words <= 3 ? 4 : 8);
}

/* Whether a line ends just before `end`. */
static inline bool fletch_ends_line(const char *end)
{
    return (uintptr_t)end % FLETCH_LINE_BYTES == 0;
}

/* As much as the own caches of a core hold, or more. */
#define FLETCH_OWN_CACHES_BYTES (UINT64_C(1) << 20)

/* Whether lines of batches are worth handing back: those of a larger ring have left the caches
 * before their turn comes again. With single pops, which follow the producer closely, they are. */
static inline bool fletch_lines_stay(const struct fletch_ring_layout *layout)
{
    return layout->payload_offset != 0 || layout->slots_bytes <= FLETCH_OWN_CACHES_BYTES;
}

/* Any word of a slot, whatever the caller keeps there. */
typedef _Atomic uint64_t fletch_slot_word __attribute__((may_alias));

/* The consumer stores one word of each line that it has finished, unchanged. A line that two cores
 * have both read is dear to write: every holder must be told, and on some processors every core be
 * asked. The store takes it over while nobody waits for it, and the producer then finds it with one
 * owner. `from` and `bytes` tell what was read: the words are the consumer's until it returns the
 * room, so nobody else looks at them; the first word of what was read in a line is no padding. */
static inline void fletch_lines_take_over(char *from, size_t bytes)
{
    char *end = from + bytes;
    char *line_end = from + FLETCH_LINE_BYTES - (uintptr_t)from % FLETCH_LINE_BYTES;
    for (char *at = from; line_end <= end; at = line_end, line_end += FLETCH_LINE_BYTES) {
        fletch_slot_word *word = (fletch_slot_word *)(void *)at;
        store_relaxed(word, load_relaxed(word)); /* relaxed: changes nothing; E2 comes later */
    }
}

#ifdef FLETCH_MODEL_CHECK
static inline void fletch_words_push(char *to, const char *from, size_t words)
{
    for (size_t i = 0; i < words; i++)
        memcpy(to + 8 * i, from + 8 * i, 8);
}
#else
typedef uint64_t fletch_word_pair __attribute__((vector_size(16)));

/* Copies `words` words of 8 bytes into a slot. They are read one by one: a caller has often just
 * written the element field by field, and a load wider than the stores before it would wait until
 * they have left the core, behind stores that wait for lines from another core. They are written in
 * pairs: a store less in that queue. (The build keeps the compiler from joining the loads.) */
static inline void fletch_words_push(char *to, const char *from, size_t words)
{
    size_t i = 0;
    for (; i + 2 <= words; i += 2) {
        uint64_t first, second;
        memcpy(&first, from + 8 * i, 8);
        memcpy(&second, from + 8 * i + 8, 8);
        fletch_word_pair pair = {first, second};
        memcpy(to + 8 * i, &pair, sizeof pair);
    }
    if (i < words)
        memcpy(to + 8 * i, from + 8 * i, 8);
}
#endif

/* Elements up to this size are copied word by word, larger ones as the C library likes. */
#define FLETCH_WORDWISE_BYTES 256

/* Copies one element. Under a model checker all elements are whole words. */
static inline void fletch_element_copy(void *to, const void *from, size_t element_bytes)
{
    if (element_bytes == 24)
        fletch_words_push(to, from, 3);
    else if (element_bytes == 8)
        fletch_words_push(to, from, 1);
    else if (element_bytes % 8 == 0 && element_bytes <= FLETCH_WORDWISE_BYTES)
        fletch_words_push(to, from, element_bytes / 8);
    else
        memcpy(to, from, element_bytes);
}

#endif
