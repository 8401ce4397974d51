#include "flow/window_emit.h"

#include "partition/partition_writer.h"

/* Giving out: sides first, then closed windows by their end. */

/* Finishes the frame of a slot, and moves what is finished to where it belongs. */
static enum fletch_status finish_slot(struct fletch_windows *windows, uint32_t slot,
                                      struct fletch_error *error)
{
    enum fletch_status status =
        fletch_partition_writer_finish_partition(windows->writer, slot, error);
    return status != FLETCH_OK ? status : fletch_windows_collect(windows, error);
}

static enum fletch_status finish_sides(struct fletch_windows *windows, struct fletch_error *error)
{
    if (!windows->sides_are_due)
        return FLETCH_OK;
    enum fletch_status status = finish_slot(windows, FLETCH_SLOT_LATE, error);
    if (status == FLETCH_OK)
        status = finish_slot(windows, FLETCH_SLOT_NULL_TIME, error);
    if (status == FLETCH_OK)
        windows->sides_are_due = fletch_partition_writer_has_rest(windows->writer);
    return status;
}

static bool take_side(struct fletch_windows *windows, struct fletch_window_rows *out_rows)
{
    static const enum fletch_window_kind kinds[] = {
        [FLETCH_SLOT_LATE] = FLETCH_WINDOW_LATE,
        [FLETCH_SLOT_NULL_TIME] = FLETCH_WINDOW_NULL_TIME,
    };
    for (uint32_t side = 0; side < FLETCH_SLOT_PANES; side++) {
        struct fletch_batch *batch =
            fletch_window_list_take(&windows->panes, &windows->sides[side]);
        if (batch != NULL) {
            *out_rows = (struct fletch_window_rows){.kind = kinds[side], .batch = batch};
            return true;
        }
    }
    return false;
}

/* The first window that was not given out and has a pane. Panes that belong to none are closed. */
static bool find_window(struct fletch_windows *windows, fletch_wide *out_start)
{
    const struct fletch_window_span *span = &windows->span;
    while (windows->panes.count > 0) {
        const struct fletch_pane *pane = fletch_panes_at(&windows->panes, 0);
        fletch_wide start = fletch_span_first_window(span, pane->start);
        if (start <= windows->given)
            start = windows->given + span->slide;
        if (start <= fletch_span_last_window(span, pane->start)) {
            *out_start = start;
            return true;
        }
        fletch_panes_close(&windows->panes, 0);
    }
    return false;
}

bool fletch_windows_find_closed(struct fletch_windows *windows, fletch_wide *out_start)
{
    return find_window(windows, out_start) &&
           fletch_span_is_closed(&windows->span, *out_start, windows->statistics.watermark);
}

static bool is_in_window(const struct fletch_windows *windows, uint32_t place, fletch_wide start)
{
    return place < windows->panes.count &&
           fletch_panes_at(&windows->panes, place)->start < start + windows->span.size;
}

/* Whether all rows of the window's panes are in finished frames. A batch that waits for memory may
 * have rows of it still. */
static enum fletch_status finish_window(struct fletch_windows *windows, fletch_wide start,
                                        bool *out_is_whole, struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    *out_is_whole = true;
    for (uint32_t i = 0; is_in_window(windows, i, start) && status == FLETCH_OK; i++) {
        const struct fletch_pane *pane = fletch_panes_at(&windows->panes, i);
        *out_is_whole = *out_is_whole && pane->rows_new == 0;
        status = finish_slot(windows, pane->slot, error);
    }
    return status;
}

static enum fletch_status begin_window(struct fletch_windows *windows, struct fletch_error *error)
{
    fletch_wide start;
    if (!fletch_windows_find_closed(windows, &start))
        return FLETCH_OK;
    bool is_whole;
    enum fletch_status status = finish_window(windows, start, &is_whole, error);
    if (status != FLETCH_OK || !is_whole)
        return status;
    windows->cursor = (struct fletch_window_cursor){
        .is_open = true,
        .start = start,
        .link = fletch_panes_at(&windows->panes, 0)->list.first,
    };
    return FLETCH_OK;
}

/* The batch of the window that is being given out, by reference: other windows may have it too. */
static void take_window(struct fletch_windows *windows, struct fletch_window_rows *out_rows)
{
    struct fletch_window_cursor *cursor = &windows->cursor;
    *out_rows = (struct fletch_window_rows){
        .kind = FLETCH_WINDOW_ROWS,
        .start = fletch_clamped(cursor->start),
        .end = fletch_clamped(cursor->start + windows->span.size),
        .batch = fletch_batch_acquire(cursor->link->batch),
    };
    cursor->link = cursor->link->next;
    if (cursor->link == NULL && is_in_window(windows, cursor->place + 1, cursor->start))
        cursor->link = fletch_panes_at(&windows->panes, ++cursor->place)->list.first;
    if (cursor->link != NULL)
        return;
    out_rows->is_last = true;
    cursor->is_open = false;
    windows->given = cursor->start;
    windows->statistics.windows++;
    (void)find_window(windows, &(fletch_wide){0}); /* lets go of what no window needs any more */
}

enum fletch_status fletch_windows_next(struct fletch_windows *windows,
                                       struct fletch_window_rows *out_rows,
                                       struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    if (!windows->cursor.is_open) {
        status = fletch_windows_collect(windows, error);
        if (status == FLETCH_OK)
            status = finish_sides(windows, error);
        if (status == FLETCH_OK && take_side(windows, out_rows))
            return FLETCH_OK;
        if (status == FLETCH_OK)
            status = begin_window(windows, error);
    }
    if (status != FLETCH_OK)
        return status;
    if (windows->cursor.is_open)
        take_window(windows, out_rows);
    else
        *out_rows = (struct fletch_window_rows){.kind = FLETCH_WINDOW_NONE};
    return FLETCH_OK;
}
