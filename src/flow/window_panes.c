#include "flow/window_panes.h"

#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"

enum { ALIGNMENT = 64 };

static size_t table_bytes(uint32_t limit)
{
    return limit * (sizeof(struct fletch_pane) + 2 * sizeof(uint16_t));
}

bool fletch_panes_init(struct fletch_panes *panes, uint32_t limit,
                       const struct fletch_allocator *allocator)
{
    *panes = (struct fletch_panes){.allocator = *allocator, .limit = limit};
    panes->table = fletch_allocate(allocator, table_bytes(limit), ALIGNMENT);
    if (panes->table == NULL)
        return false;
    panes->sorted = (uint16_t *)(void *)(panes->table + limit);
    panes->vacant = panes->sorted + limit;
    for (uint32_t i = 0; i < limit; i++)
        panes->vacant[i] = (uint16_t)(limit - 1 - i);
    return true;
}

void fletch_panes_deinit(struct fletch_panes *panes)
{
    if (panes->table == NULL)
        return;
    while (panes->count > 0)
        fletch_panes_close(panes, panes->count - 1);
    fletch_release(&panes->allocator, panes->table, table_bytes(panes->limit), ALIGNMENT);
}

/* How many panes begin at or before a time. */
static uint32_t place_of(const struct fletch_panes *panes, int64_t time)
{
    uint32_t low = 0;
    uint32_t high = panes->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (fletch_panes_at(panes, middle)->first <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct fletch_pane *fletch_panes_find(const struct fletch_panes *panes, int64_t time)
{
    uint32_t place = place_of(panes, time);
    if (place == 0)
        return NULL;
    struct fletch_pane *pane = fletch_panes_at(panes, place - 1);
    return time <= pane->last ? pane : NULL;
}

struct fletch_pane *fletch_panes_open(struct fletch_panes *panes, fletch_wide start, int64_t width)
{
    if (panes->count == panes->limit)
        return NULL;
    int64_t first = fletch_clamped(start);
    uint32_t place = place_of(panes, first);
    uint16_t index = panes->vacant[panes->limit - panes->count - 1];
    memmove(panes->sorted + place + 1, panes->sorted + place,
            (panes->count - place) * sizeof panes->sorted[0]);
    panes->sorted[place] = index;
    panes->count++;
    panes->table[index] = (struct fletch_pane){
        .start = start,
        .first = first,
        .last = fletch_clamped(start + width - 1),
        .slot = FLETCH_SLOT_PANES + index,
    };
    return &panes->table[index];
}

void fletch_panes_close(struct fletch_panes *panes, uint32_t place)
{
    FLETCH_ASSERT(place < panes->count);
    struct fletch_pane *pane = fletch_panes_at(panes, place);
    struct fletch_batch *batch;
    while ((batch = fletch_window_list_take(panes, &pane->list)) != NULL)
        fletch_batch_release(panes->cache, batch);
    panes->count--;
    panes->vacant[panes->limit - panes->count - 1] = panes->sorted[place];
    memmove(panes->sorted + place, panes->sorted + place + 1,
            (panes->count - place) * sizeof panes->sorted[0]);
}

void fletch_panes_close_empty(struct fletch_panes *panes)
{
    for (uint32_t place = panes->count; place-- > 0;)
        if (fletch_panes_at(panes, place)->rows == 0)
            fletch_panes_close(panes, place);
}

struct fletch_window_link *fletch_window_link_make(struct fletch_panes *panes)
{
    return fletch_allocate(&panes->allocator, sizeof(struct fletch_window_link),
                           _Alignof(struct fletch_window_link));
}

void fletch_window_link_free(struct fletch_panes *panes, struct fletch_window_link *link)
{
    if (link != NULL)
        fletch_release(&panes->allocator, link, sizeof *link, _Alignof(struct fletch_window_link));
}

void fletch_window_list_append(struct fletch_window_list *list, struct fletch_window_link *link)
{
    link->next = NULL;
    if (list->first == NULL)
        list->first = link;
    else
        list->last->next = link;
    list->last = link;
}

struct fletch_batch *fletch_window_list_take(struct fletch_panes *panes,
                                             struct fletch_window_list *list)
{
    struct fletch_window_link *link = list->first;
    if (link == NULL)
        return NULL;
    struct fletch_batch *batch = link->batch;
    list->first = link->next;
    fletch_window_link_free(panes, link);
    return batch;
}
