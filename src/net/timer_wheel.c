#include "net/timer_wheel.h"

#include "base/assert.h"
#include "base/clock.h"

enum { TICK_SHIFT = 20, DIGIT_BITS = 6, DUE = FLETCH_TIMER_LEVELS * FLETCH_TIMER_SLOTS };

_Static_assert(FLETCH_TIMER_SLOTS == 1 << DIGIT_BITS, "a slot for each value of a digit");
_Static_assert(offsetof(struct fletch_timer, link) == 0, "a link is its timer");

/* ---- lists: circles through a head ---- */

static void list_start(struct fletch_timer_link *head)
{
    head->next = head;
    head->previous = head;
}

static bool list_is_empty(const struct fletch_timer_link *head)
{
    return head->next == head;
}

static void list_append(struct fletch_timer_link *head, struct fletch_timer_link *link)
{
    link->next = head;
    link->previous = head->previous;
    head->previous->next = link;
    head->previous = link;
}

static void list_remove(struct fletch_timer_link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->next = NULL;
}

/* Moves all of a list into an empty one. */
static void list_move(struct fletch_timer_link *from, struct fletch_timer_link *to)
{
    list_start(to);
    if (list_is_empty(from))
        return;
    *to = *from;
    to->next->previous = to;
    to->previous->next = to;
    list_start(from);
}

static struct fletch_timer *timer_of(struct fletch_timer_link *link)
{
    return (struct fletch_timer *)(void *)link;
}

/* ---- the wheel ---- */

void fletch_timer_wheel_start(struct fletch_timer_wheel *wheel, uint64_t now_ns)
{
    wheel->tick = now_ns >> TICK_SHIFT;
    for (size_t i = 0; i < FLETCH_TIMER_LEVELS; i++)
        wheel->in_use[i] = 0;
    for (size_t i = 0; i < DUE; i++)
        list_start(&wheel->slots[i]);
    list_start(&wheel->due);
}

void fletch_timer_start(struct fletch_timer *timer, void (*expired)(void *context), void *context)
{
    *timer = (struct fletch_timer){.expired = expired, .context = context};
}

static uint64_t tick_of(uint64_t ns)
{
    return (ns >> TICK_SHIFT) + ((ns & ((UINT64_C(1) << TICK_SHIFT) - 1)) != 0);
}

static void place(struct fletch_timer_wheel *wheel, struct fletch_timer *timer)
{
    if (timer->tick <= wheel->tick) {
        timer->place = DUE;
        list_append(&wheel->due, &timer->link);
        return;
    }
    uint32_t highest = 63 - (uint32_t)__builtin_clzll(timer->tick ^ wheel->tick);
    uint32_t level = highest / DIGIT_BITS;
    uint32_t slot = (timer->tick >> (level * DIGIT_BITS)) % FLETCH_TIMER_SLOTS;
    timer->place = level * FLETCH_TIMER_SLOTS + slot;
    wheel->in_use[level] |= UINT64_C(1) << slot;
    list_append(&wheel->slots[timer->place], &timer->link);
}

void fletch_timer_wheel_clear(struct fletch_timer_wheel *wheel, struct fletch_timer *timer)
{
    if (!fletch_timer_is_set(timer))
        return;
    list_remove(&timer->link);
    if (timer->place != DUE && list_is_empty(&wheel->slots[timer->place]))
        wheel->in_use[timer->place / FLETCH_TIMER_SLOTS] &=
            ~(UINT64_C(1) << timer->place % FLETCH_TIMER_SLOTS);
}

void fletch_timer_wheel_set(struct fletch_timer_wheel *wheel, struct fletch_timer *timer,
                            uint64_t deadline_ns)
{
    FLETCH_ASSERT(timer->expired != NULL);
    uint64_t tick = tick_of(deadline_ns);
    if (fletch_timer_is_set(timer) && timer->tick == tick && deadline_ns != FLETCH_NO_DEADLINE)
        return; /* the usual case of a deadline that is told again */
    fletch_timer_wheel_clear(wheel, timer);
    if (deadline_ns == FLETCH_NO_DEADLINE)
        return;
    timer->tick = tick;
    place(wheel, timer);
}

/* The next slot in use and the tick at which it begins. False: there is none. */
static bool next_slot(const struct fletch_timer_wheel *wheel, uint32_t *out_place,
                      uint64_t *out_tick)
{
    for (uint32_t level = 0; level < FLETCH_TIMER_LEVELS; level++) {
        if (wheel->in_use[level] == 0)
            continue;
        uint32_t slot = (uint32_t)__builtin_ctzll(wheel->in_use[level]);
        uint32_t shift = level * DIGIT_BITS;
        uint64_t above = wheel->tick >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
        *out_place = level * FLETCH_TIMER_SLOTS + slot;
        *out_tick = above | (uint64_t)slot << shift;
        return true;
    }
    return false;
}

uint64_t fletch_timer_wheel_next_ns(const struct fletch_timer_wheel *wheel)
{
    uint32_t unused;
    uint64_t tick;
    if (!list_is_empty(&wheel->due))
        return 0;
    if (!next_slot(wheel, &unused, &tick))
        return FLETCH_NO_DEADLINE;
    return tick >> (64 - TICK_SHIFT) != 0 ? FLETCH_NO_DEADLINE : tick << TICK_SHIFT;
}

/* Moves time on to a slot, and its timers down. */
static void open_slot(struct fletch_timer_wheel *wheel, uint32_t slot_place, uint64_t tick)
{
    struct fletch_timer_link opened;
    wheel->tick = tick;
    wheel->in_use[slot_place / FLETCH_TIMER_SLOTS] &=
        ~(UINT64_C(1) << slot_place % FLETCH_TIMER_SLOTS);
    list_move(&wheel->slots[slot_place], &opened);
    while (!list_is_empty(&opened)) {
        struct fletch_timer *timer = timer_of(opened.next);
        list_remove(&timer->link);
        place(wheel, timer);
    }
}

size_t fletch_timer_wheel_run(struct fletch_timer_wheel *wheel, uint64_t now_ns)
{
    uint64_t now = now_ns >> TICK_SHIFT;
    uint32_t slot_place;
    uint64_t tick;
    while (next_slot(wheel, &slot_place, &tick) && tick <= now)
        open_slot(wheel, slot_place, tick);
    if (now > wheel->tick)
        wheel->tick = now;
    struct fletch_timer_link due;
    list_move(&wheel->due, &due);
    size_t count = 0;
    for (; !list_is_empty(&due); count++) {
        struct fletch_timer *timer = timer_of(due.next);
        list_remove(&timer->link);
        timer->expired(timer->context);
    }
    return count;
}
