#ifndef FLETCH_FLOW_WINDOW_PANES_H
#define FLETCH_FLOW_WINDOW_PANES_H

/* The open panes of windows, sorted by time, and the batches that are finished of each. A pane's
 * slot is its partition in the partition writer; two more slots are those of the sides. Belongs to
 * one thread. */

#include <fletching/allocator.h>
#include <fletching/batch.h>

#include "flow/window_span.h"

/* A batch in the list of a pane or a side. */
struct fletch_window_link {
    struct fletch_window_link *next;
    struct fletch_batch *batch;
};

struct fletch_window_list {
    struct fletch_window_link *first;
    struct fletch_window_link *last;
};

struct fletch_pane {
    fletch_wide start;
    int64_t first; /* the times that it holds, both included */
    int64_t last;
    struct fletch_window_list list;
    uint64_t rows;     /* placed in it */
    uint64_t rows_new; /* of the batch that is being taken in */
    uint32_t slot;
    bool is_shut; /* its last window is closed: what comes now is late */
};

enum { FLETCH_SLOT_LATE, FLETCH_SLOT_NULL_TIME, FLETCH_SLOT_PANES };

struct fletch_panes {
    struct fletch_allocator allocator;
    struct fletch_buffer_cache *cache; /* where batches are released to */
    struct fletch_pane *table;         /* by slot - FLETCH_SLOT_PANES */
    uint16_t *sorted;                  /* indices into the table, `count` of them, by time */
    uint16_t *vacant;                  /* the others */
    uint32_t count;
    uint32_t limit;
};

/* False: no memory. Then nothing is to be deinitialised. */
bool fletch_panes_init(struct fletch_panes *panes, uint32_t limit,
                       const struct fletch_allocator *allocator);
void fletch_panes_deinit(struct fletch_panes *panes);

/* The pane number `place` by time. */
static inline struct fletch_pane *fletch_panes_at(const struct fletch_panes *panes, uint32_t place)
{
    return &panes->table[panes->sorted[place]];
}

/* The pane that holds a time, or NULL. */
struct fletch_pane *fletch_panes_find(const struct fletch_panes *panes, int64_t time);

/* Opens the pane that starts there, which is not open. NULL: there are as many as there may be. */
struct fletch_pane *fletch_panes_open(struct fletch_panes *panes, fletch_wide start, int64_t width);

/* Drops the batches of the pane at `place` and closes it. */
void fletch_panes_close(struct fletch_panes *panes, uint32_t place);

/* Closes the panes that have no rows. */
void fletch_panes_close_empty(struct fletch_panes *panes);

/* A link for a batch that is about to come. NULL: no memory. */
struct fletch_window_link *fletch_window_link_make(struct fletch_panes *panes);
void fletch_window_link_free(struct fletch_panes *panes, struct fletch_window_link *link);

void fletch_window_list_append(struct fletch_window_list *list, struct fletch_window_link *link);

/* Takes the first batch out. NULL: the list is empty. */
struct fletch_batch *fletch_window_list_take(struct fletch_panes *panes,
                                             struct fletch_window_list *list);

#endif
