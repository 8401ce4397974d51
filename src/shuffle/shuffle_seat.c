#include "shuffle/shuffle_seat.h"

#include <stdio.h>

#include "base/allocator.h"

struct fletch_shuffle_seat *fletch_shuffle_seat_create(struct fletch_shuffle *shuffle,
                                                       uint32_t producer)
{
    struct fletch_shuffle_seat *seat = fletch_block_allocate(&shuffle->allocator, sizeof *seat);
    if (seat == NULL)
        return NULL;
    *seat = (struct fletch_shuffle_seat){.producer = producer, .attempt = FLETCH_FIRST_ATTEMPT};
    fletch_eventcount_start(&seat->own, FLETCH_SHARING_PROCESS);
    seat->sleeper = &seat->own;
    fletch_frame_pool_init(&seat->frames, &shuffle->allocator);
    for (uint32_t i = 0; i < FLETCH_SEAT_OPERATIONS; i++)
        fletch_control_init(&seat->operations[i], shuffle->coordinator, producer, seat->sleeper);
    return seat;
}

void fletch_shuffle_seat_destroy(struct fletch_shuffle_seat *seat)
{
    if (seat == NULL)
        return;
    if (seat->segment != NULL)
        fletch_spill_segment_release(seat->segment);
    fletch_announcer_deinit(&seat->announcer);
    fletch_sleeper_release(seat->keeps);
    fletch_frame_pool_deinit(&seat->frames);
    fletch_eventcount_deinit(&seat->own);
    fletch_block_release(seat);
}

void fletch_shuffle_seat_sleep_on(struct fletch_shuffle_seat *seat, struct fletch_sleeper *sleeper)
{
    seat->keeps = fletch_sleeper_acquire(sleeper);
    seat->sleeper = &sleeper->eventcount;
    for (uint32_t i = 0; i < FLETCH_SEAT_OPERATIONS; i++)
        seat->operations[i].sleeper = seat->sleeper;
}

struct fletch_control_operation *fletch_shuffle_seat_prepare_abort(struct fletch_shuffle_seat *seat,
                                                                   uint64_t now_ns,
                                                                   const char *reason)
{
    struct fletch_control_operation *operation = &seat->operations[FLETCH_SEAT_ABORT];
    operation->kind = FLETCH_CONTROL_ABORT;
    operation->now_ns = now_ns;
    if (reason != NULL) {
        (void)snprintf(seat->abort_reason, sizeof seat->abort_reason, "%s", reason);
        operation->reason = seat->abort_reason;
    }
    return operation;
}

bool fletch_shuffle_seat_take(struct fletch_shuffle *shuffle, struct fletch_shuffle_seat *seat)
{
    const struct fletch_shuffle_seat *seen = NULL;
    struct fletch_shuffle_seat *head = load_acquire(&shuffle->seats); /* E1 acquire */
    do {
        for (const struct fletch_shuffle_seat *other = head; other != seen; other = other->next)
            if (other->producer == seat->producer && !(other->is_shared && seat->is_shared))
                return false;
        seen = head;
        seat->next = head;
    } while (!cas_strong_acq_rel(&shuffle->seats, &head, seat)); /* E1 release, E1 acquire */
    return true;
}

bool fletch_shuffle_seat_is_taken(const struct fletch_shuffle *shuffle, uint32_t producer)
{
    const struct fletch_shuffle_seat *seat = load_acquire(&shuffle->seats); /* E1 acquire */
    while (seat != NULL && seat->producer != producer)
        seat = seat->next;
    return seat != NULL;
}

void fletch_shuffle_seats_notify(struct fletch_shuffle *shuffle)
{
    for (struct fletch_shuffle_seat *seat = load_acquire(&shuffle->seats); /* E1 acquire */
         seat != NULL; seat = seat->next)
        fletch_eventcount_notify_inline(seat->sleeper, UINT32_MAX);
}

void fletch_shuffle_seats_spilled(struct fletch_shuffle *shuffle,
                                  struct fletch_spill_statistics *out_statistics)
{
    struct fletch_spill_statistics sum = {.state = FLETCH_SPILL_OPEN};
    for (const struct fletch_shuffle_seat *seat = load_acquire(&shuffle->seats); /* E1 acquire */
         seat != NULL; seat = seat->next) {
        struct fletch_spill_statistics one;
        if (seat->segment == NULL)
            continue;
        fletch_spill_segment_statistics(seat->segment, &one);
        sum.state = one.state > sum.state ? one.state : sum.state;
        sum.frames_written += one.frames_written;
        sum.frames_read += one.frames_read;
        sum.frames_live += one.frames_live;
        sum.bytes_spilled += one.bytes_spilled;
        sum.bytes_written += one.bytes_written;
        sum.bytes_read += one.bytes_read;
        sum.bytes_on_disk += one.bytes_on_disk;
        sum.files_open += one.files_open;
    }
    *out_statistics = sum;
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
