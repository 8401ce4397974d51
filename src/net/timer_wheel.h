#ifndef FLETCH_NET_TIMER_WHEEL_H
#define FLETCH_NET_TIMER_WHEEL_H

/* Timers on a wheel of wheels: setting, moving and clearing one costs the same few instructions
 * however many there are, and nothing is allocated.
 *
 * Origin: G. Varghese and T. Lauck, "Hashed and hierarchical timing wheels" (1987), scheme 7; a
 * bitmap for each level tells the next slot in use, so that empty ones are not visited.
 *
 * Time is counted in ticks of 2^20 ns (1.05 ms), rounded up: a timer is never early, and late by
 * less than a tick and what its loop is busy with. A timer lies at the level of the highest digit,
 * of six bits, in which its tick differs from the present one, in the slot of that digit; so all
 * slots in use at a level are ahead of the present digit, and a lower level comes before a higher
 * one. When time reaches a slot of a higher level, its timers move down.
 *
 * One thread; nothing blocks. A clock that jumps ahead makes due what lies between, in the order of
 * ticks; one that goes back is ignored. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLETCH_TIMER_LEVELS = 8, FLETCH_TIMER_SLOTS = 64 }; /* 48 bits of ticks: all there are */

struct fletch_timer_link {
    struct fletch_timer_link *next; /* NULL: not set */
    struct fletch_timer_link *previous;
};

/* The memory of who sets it, which stays where it is while it is set. */
struct fletch_timer {
    struct fletch_timer_link link; /* first */
    uint64_t tick;
    uint32_t place; /* level and slot, or the list of due ones */
    void (*expired)(void *context);
    void *context;
};

struct fletch_timer_wheel {
    uint64_t tick; /* the present */
    uint64_t in_use[FLETCH_TIMER_LEVELS];
    struct fletch_timer_link slots[FLETCH_TIMER_LEVELS * FLETCH_TIMER_SLOTS];
    struct fletch_timer_link due;
};

void fletch_timer_wheel_start(struct fletch_timer_wheel *wheel, uint64_t now_ns);

/* A timer that is not set. */
void fletch_timer_start(struct fletch_timer *timer, void (*expired)(void *context), void *context);

static inline bool fletch_timer_is_set(const struct fletch_timer *timer)
{
    return timer->link.next != NULL;
}

/* Sets or moves a timer: at the first run at or after `deadline_ns` (base/clock.h) `expired` is
 * called, once. FLETCH_NO_DEADLINE clears it. */
void fletch_timer_wheel_set(struct fletch_timer_wheel *wheel, struct fletch_timer *timer,
                            uint64_t deadline_ns);

/* Of one that is not set: nothing. */
void fletch_timer_wheel_clear(struct fletch_timer_wheel *wheel, struct fletch_timer *timer);

/* When to run it next, at the latest: not after the first deadline, rounded up to a tick; 0: now.
 * FLETCH_NO_DEADLINE: nothing is set. */
uint64_t fletch_timer_wheel_next_ns(const struct fletch_timer_wheel *wheel);

/* Calls what is due at `now_ns`, which may set and clear any timer. What is set for a time that has
 * passed is called by the next run, so that a run ends. Returns how many were called. */
size_t fletch_timer_wheel_run(struct fletch_timer_wheel *wheel, uint64_t now_ns);

#endif
