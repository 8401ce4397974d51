#include "shuffle/announcement.h"

#include "base/allocator.h"
#include "base/assert.h"
#include "base/status.h"
#include "shuffle/outlet_table.h"
#include "shuffle/shuffle.h"
#include "shuffle/shuffle_seat.h"
#include "sync/eventcount.h"

/* ---- making ---- */

static void run(void *context, struct fletch_serial_task *task)
{
    struct fletch_announcement *announcement = (struct fletch_announcement *)(void *)task;
    struct fletch_announcer *announcer = &announcement->seat->announcer;
    (void)context;
    announcement->next = NULL;
    *(announcer->oldest == NULL ? &announcer->oldest : &announcer->newest->next) = announcement;
    announcer->newest = announcement;
    fletch_outlet_table_announce(announcement);
    fletch_announcer_settle(announcement->seat);
}

static void fill(struct fletch_announcement *announcement, struct fletch_shuffle *shuffle,
                 struct fletch_shuffle_seat *seat, enum fletch_control_kind kind)
{
    *announcement = (struct fletch_announcement){
        .task = {.run = run}, .shuffle = shuffle, .seat = seat, .record = {.kind = kind}};
    announcement->failure.status = FLETCH_OK;
}

struct fletch_announcement *fletch_announcement_create(struct fletch_shuffle *shuffle,
                                                       struct fletch_shuffle_seat *seat,
                                                       enum fletch_control_kind kind)
{
    struct fletch_announcement *announcement;
    if (kind == FLETCH_CONTROL_ABORT) {
        announcement = &seat->announcer.aborting;
        fill(announcement, shuffle, seat, kind);
        announcement->is_embedded = true;
        return announcement;
    }
    announcement = fletch_block_allocate(&shuffle->allocator, sizeof *announcement);
    if (announcement != NULL)
        fill(announcement, shuffle, seat, kind);
    return announcement;
}

uint64_t fletch_announce(struct fletch_announcement *announcement)
{
    struct fletch_shuffle *shuffle = announcement->shuffle;
    uint64_t number = ++announcement->seat->announcer.announced;
    announcement->number = number;
    fletch_serial_submit(fletch_coordinator_serial(shuffle->coordinator), &announcement->task);
    return number;
}

/* ---- in the serial ---- */

void fletch_announcement_answer(struct fletch_announcement *announcement,
                                const struct fletch_error *failure)
{
    FLETCH_ASSERT(announcement->unanswered > 0);
    announcement->unanswered--;
    if (failure != NULL && announcement->failure.status == FLETCH_OK)
        announcement->failure = *failure;
}

void fletch_announcer_settle(struct fletch_shuffle_seat *seat)
{
    struct fletch_announcer *announcer = &seat->announcer;
    uint64_t settled = 0;
    while (announcer->oldest != NULL && announcer->oldest->unanswered == 0) {
        struct fletch_announcement *announcement = announcer->oldest;
        announcer->oldest = announcement->next;
        announcer->failure = announcement->failure;
        settled = announcement->number;
        if (!announcement->is_embedded)
            fletch_block_release(announcement);
    }
    if (settled == 0)
        return;
    store_release(&announcer->settled, settled); /* E1 release */
    fletch_eventcount_notify_inline(seat->sleeper, UINT32_MAX);
}

void fletch_announcer_deinit(struct fletch_announcer *announcer)
{
    while (announcer->oldest != NULL) {
        struct fletch_announcement *announcement = announcer->oldest;
        announcer->oldest = announcement->next;
        if (!announcement->is_embedded)
            fletch_block_release(announcement);
    }
    if (announcer->channels != NULL)
        fletch_block_release(announcer->channels);
}
