#include "sync/broadcast_seat.h"

#ifndef FLETCH_MODEL_CHECK
_Static_assert(sizeof(struct fletch_broadcast_own) <= FLETCH_INTERFERENCE_BYTES, "one group");
_Static_assert(sizeof(struct fletch_broadcast_consumer) == 3 * FLETCH_INTERFERENCE_BYTES,
               "a group for each writer");
#endif

/* relaxed throughout: nobody else knows the ring yet, and who tells them orders this before */
void fletch_seats_start(const struct fletch_seats *seats, struct fletch_broadcast_ring *ring)
{
    for (uint64_t i = 0; i < seats->count; i++) {
        struct fletch_broadcast_consumer *seat = &seats->first[i];
        store_relaxed(&seat->own.head, 0);                                  /* relaxed: see above */
        store_relaxed(&seat->own.emptys, 0);                                /* relaxed: see above */
        store_relaxed(&seat->own.guard.entered, 0);                         /* relaxed: see above */
        store_relaxed(&seat->gate, FLETCH_BROADCAST_VACANT);                /* relaxed: see above */
        store_relaxed(&seat->state, fletch_seat_word(0, FLETCH_SEAT_FREE)); /* relaxed: so */
        store_relaxed(&seat->behind, 0);                                    /* relaxed: see above */
        seat->ring = ring;
        seat->bit = UINT64_C(1) << i;
    }
}

uint64_t fletch_seats_least(const struct fletch_seats *seats, uint64_t tail)
{
    uint64_t least = tail;
    fletch_fence_frequent(seats->fence_kind); /* F1 */
    for (uint64_t i = 0; i < seats->count; i++) {
        uint64_t gate = load_acquire(&seats->first[i].gate); /* E1 acquire */
        if ((gate & FLETCH_BROADCAST_VACANT) == 0 && fletch_is_ahead(least, gate))
            least = gate;
    }
    return least;
}

bool fletch_seat_is_alone(const struct fletch_seats *seats,
                          const struct fletch_broadcast_consumer *seat)
{
    fletch_fence_frequent(seats->fence_kind); /* F1 */
    for (uint64_t i = 0; i < seats->count; i++) {
        uint64_t gate = load_acquire(&seats->first[i].gate); /* E1 acquire */
        if (&seats->first[i] != seat && (gate & FLETCH_BROADCAST_VACANT) == 0)
            return false;
    }
    return true;
}

/* ---- joining ---- */

struct fletch_broadcast_consumer *fletch_seats_take(const struct fletch_seats *seats, uint64_t id)
{
    for (uint64_t i = 0; i < seats->count; i++) {
        struct fletch_broadcast_consumer *seat = &seats->first[i];
        uint64_t word = load_relaxed(&seat->state); /* relaxed: only a guess for what follows */
        if (word % 8 == FLETCH_SEAT_FREE &&
            cas_strong_acq_rel(&seat->state, &word, /* E2 release, E2 acquire */
                               fletch_seat_word(id, FLETCH_SEAT_JOINING)))
            return seat;
    }
    return NULL;
}

bool fletch_seat_announce(const struct fletch_seats *seats, struct fletch_broadcast_consumer *seat,
                          uint64_t tail, uint64_t behind)
{
    store_relaxed(&seat->behind, behind); /* relaxed: F2 orders it before the look at leaders */
    store_release(&seat->gate, tail);     /* E1 release */
    if (fletch_fence_seldom(seats->fence_kind)) /* F2 */
        return true;
    fletch_seat_give_back(seats, seat);
    return false;
}

uint64_t fletch_seats_at_work(const struct fletch_seats *seats, uint64_t mask)
{
    uint64_t at_work = 0;
    for (uint64_t i = 0; i < seats->count; i++) {
        uint64_t word = load_relaxed(&seats->first[i].state); /* relaxed: F2 has ordered it */
        if (word % 8 == FLETCH_SEAT_ACTIVE)
            at_work |= seats->first[i].bit & mask;
    }
    return at_work;
}

void fletch_seat_begin(struct fletch_broadcast_consumer *seat, uint64_t position)
{
    /* relaxed: this end's own until the state says otherwise */
    uint64_t id = load_relaxed(&seat->state) / 8;
    seat->own.seen = position;
    seat->own.run_end = position;
    seat->own.sole_below = position;
    store_relaxed(&seat->own.joined_at, position); /* relaxed: a statistic */
    seat->own.working = fletch_seat_word(id, FLETCH_SEAT_ACTIVE);
    store_relaxed(&seat->own.emptys, 0);            /* relaxed: a statistic */
    store_relaxed(&seat->own.guard.entered, 0);     /* relaxed: checks only */
    store_release(&seat->own.head, position);       /* E3 release */
    store_release(&seat->gate, position);           /* E1 release */
    store_release(&seat->state, seat->own.working); /* E2 release */
}

/* ---- leaving and removing ---- */

/* Nobody is held up by the seat any more, and nobody is behind it. By one thread alone. */
static void vacate(const struct fletch_seats *seats, struct fletch_broadcast_consumer *seat)
{
    fletch_fence_frequent(seats->fence_kind); /* F2's partner: the state has changed before */
    for (uint64_t i = 0; i < seats->count; i++)
        /* relaxed: who takes the seat next comes after this by E2 */
        fetch_and_relaxed(&seats->first[i].behind, ~seat->bit);
    store_relaxed(&seat->behind, 0);                     /* relaxed: as above */
    store_release(&seat->gate, FLETCH_BROADCAST_VACANT); /* E1 release */
}

void fletch_seat_give_back(const struct fletch_seats *seats, struct fletch_broadcast_consumer *seat)
{
    vacate(seats, seat);
    store_release(&seat->state, fletch_seat_word(0, FLETCH_SEAT_FREE)); /* E2 release */
}

/* Changes a state that may have been changed by another. */
static bool change(struct fletch_broadcast_consumer *seat, uint64_t id, enum fletch_seat_state from,
                   enum fletch_seat_state to)
{
    uint64_t word = fletch_seat_word(id, from);
    /* E2 release, E2 acquire */
    return cas_strong_acq_rel(&seat->state, &word, fletch_seat_word(id, to));
}

bool fletch_seat_leave(const struct fletch_seats *seats, struct fletch_broadcast_consumer *seat)
{
    uint64_t id = seat->own.working / 8;
    if (change(seat, id, FLETCH_SEAT_ACTIVE, FLETCH_SEAT_LEAVING) ||
        change(seat, id, FLETCH_SEAT_REMOVING, FLETCH_SEAT_LEAVING)) {
        fletch_seat_give_back(seats, seat);
        return true;
    }
    if (change(seat, id, FLETCH_SEAT_VACATING, FLETCH_SEAT_LEFT))
        return false;
    /* REMOVED, which nobody changes but the owner. */
    (void)change(seat, id, FLETCH_SEAT_REMOVED, FLETCH_SEAT_FREE);
    return false;
}

bool fletch_seat_obey(const struct fletch_seats *seats, struct fletch_broadcast_consumer *seat)
{
    uint64_t id = seat->own.working / 8;
    if (!change(seat, id, FLETCH_SEAT_REMOVING, FLETCH_SEAT_VACATING))
        return false;
    vacate(seats, seat);
    return change(seat, id, FLETCH_SEAT_VACATING, FLETCH_SEAT_REMOVED);
}

static struct fletch_broadcast_consumer *find(const struct fletch_seats *seats, uint64_t id,
                                              uint64_t *out_word)
{
    for (uint64_t i = 0; i < seats->count; i++) {
        *out_word = load_relaxed(&seats->first[i].state); /* relaxed: a guess */
        if (*out_word / 8 == id)
            return &seats->first[i];
    }
    return NULL;
}

/* It was told to go: vacates the seat, if it is not inside. */
static enum fletch_answer finish(const struct fletch_seats *seats,
                                 struct fletch_broadcast_consumer *seat, uint64_t id)
{
    if (!fletch_fence_seldom(seats->fence_kind)) /* F4 */
        return FLETCH_HELD;
    uint64_t head = load_acquire(&seat->own.head); /* E3 acquire */
    if ((head & FLETCH_BROADCAST_INSIDE) != 0)
        return FLETCH_HELD;
    if (!change(seat, id, FLETCH_SEAT_REMOVING, FLETCH_SEAT_VACATING))
        return FLETCH_CLOSED; /* by another, or it left */
    vacate(seats, seat);
    if (!change(seat, id, FLETCH_SEAT_VACATING, FLETCH_SEAT_REMOVED))
        (void)change(seat, id, FLETCH_SEAT_LEFT, FLETCH_SEAT_FREE);
    return FLETCH_DONE;
}

enum fletch_answer fletch_seats_remove(const struct fletch_seats *seats, uint64_t id,
                                       bool *out_vacated)
{
    uint64_t word;
    struct fletch_broadcast_consumer *seat = find(seats, id, &word);
    *out_vacated = false;
    if (seat == NULL || word % 8 >= FLETCH_SEAT_LEAVING || word % 8 <= FLETCH_SEAT_JOINING)
        return FLETCH_CLOSED;
    (void)change(seat, id, FLETCH_SEAT_ACTIVE, FLETCH_SEAT_REMOVING);
    enum fletch_answer answer = finish(seats, seat, id);
    *out_vacated = answer == FLETCH_DONE;
    if (answer != FLETCH_CLOSED)
        return answer;
    word = load_relaxed(&seat->state); /* relaxed: an answer, as old as it likes */
    bool removed = word == fletch_seat_word(id, FLETCH_SEAT_VACATING) ||
                   word == fletch_seat_word(id, FLETCH_SEAT_REMOVED);
    return removed ? FLETCH_DONE : FLETCH_CLOSED;
}

/* ---- behind others ---- */

bool fletch_seat_led_to(const struct fletch_seats *seats,
                        const struct fletch_broadcast_consumer *seat, uint64_t *out_least)
{
    uint64_t mask = load_relaxed(&seat->behind); /* relaxed: looked at again below */
    for (;;) {
        bool found = false;
        for (uint64_t i = 0; i < seats->count; i++) {
            if ((mask & seats->first[i].bit) == 0)
                continue;
            uint64_t gate = load_acquire(&seats->first[i].gate); /* E1 acquire */
            if ((gate & FLETCH_BROADCAST_VACANT) != 0)
                continue;
            if (!found || fletch_is_ahead(*out_least, gate))
                *out_least = gate;
            found = true;
        }
        /* A seat that was left may be another's by now: its mark was gone before that (E2, E1). */
        uint64_t now = load_relaxed(&seat->behind); /* relaxed: E1 has ordered it */
        if (now == mask)
            return found;
        mask = now;
    }
}
