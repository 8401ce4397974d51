#include "shuffle/shuffle_seat.h"

#include "base/allocator.h"

struct fletch_shuffle_seat *fletch_shuffle_seat_create(struct fletch_shuffle *shuffle,
                                                       uint32_t producer)
{
    struct fletch_shuffle_seat *seat = fletch_block_allocate(&shuffle->allocator, sizeof *seat);
    if (seat == NULL)
        return NULL;
    *seat = (struct fletch_shuffle_seat){.producer = producer};
    fletch_eventcount_start(&seat->sleeper, FLETCH_SHARING_PROCESS);
    fletch_frame_pool_init(&seat->frames, &shuffle->allocator);
    for (uint32_t i = 0; i < FLETCH_SEAT_OPERATIONS; i++)
        fletch_control_init(&seat->operations[i], shuffle->coordinator, producer, &seat->sleeper);
    return seat;
}

void fletch_shuffle_seat_destroy(struct fletch_shuffle_seat *seat)
{
    if (seat == NULL)
        return;
    fletch_frame_pool_deinit(&seat->frames);
    fletch_eventcount_deinit(&seat->sleeper);
    fletch_block_release(seat);
}

bool fletch_shuffle_seat_take(struct fletch_shuffle *shuffle, struct fletch_shuffle_seat *seat)
{
    const struct fletch_shuffle_seat *seen = NULL;
    struct fletch_shuffle_seat *head = load_acquire(&shuffle->seats); /* E1 acquire */
    do {
        for (const struct fletch_shuffle_seat *other = head; other != seen; other = other->next)
            if (other->producer == seat->producer)
                return false;
        seen = head;
        seat->next = head;
    } while (!cas_strong_acq_rel(&shuffle->seats, &head, seat)); /* E1 release, E1 acquire */
    return true;
}

void fletch_shuffle_seats_notify(struct fletch_shuffle *shuffle)
{
    for (struct fletch_shuffle_seat *seat = load_acquire(&shuffle->seats); /* E1 acquire */
         seat != NULL; seat = seat->next)
        fletch_eventcount_notify_inline(&seat->sleeper, UINT32_MAX);
}

void fletch_shuffle_seats_free(struct fletch_shuffle *shuffle)
{
    struct fletch_shuffle_seat *seat = load_acquire(&shuffle->seats); /* E1 acquire */
    while (seat != NULL) {
        struct fletch_shuffle_seat *next = seat->next;
        fletch_shuffle_seat_destroy(seat);
        seat = next;
    }
}
