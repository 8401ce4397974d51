#ifndef FLETCH_FLOW_WINDOW_H
#define FLETCH_FLOW_WINDOW_H

/* Windows of event time: see docs/WINDOWS.md. */

#include <fletching/partition_writer.h>
#include <fletching/window.h>

#include "flow/window_panes.h"
#include "flow/window_span.h"

/* The window that is being given out: the panes from `place` on that begin before its end. */
struct fletch_window_cursor {
    bool is_open;
    fletch_wide start;
    uint32_t place;
    struct fletch_window_link *link; /* the batch that comes next, of the pane at `place` */
};

struct fletch_windows {
    struct fletch_schema *schema;
    struct fletch_allocator allocator;
    struct fletch_window_span span;
    struct fletch_partition_writer *writer;
    struct fletch_panes panes;
    struct fletch_window_list sides[FLETCH_SLOT_PANES];
    struct fletch_window_link *spare; /* for the next frame, so that none is taken without one */
    uint16_t *slots;                  /* of the rows of the batch that is being taken in */
    size_t slots_capacity;
    uint64_t side_rows_new[FLETCH_SLOT_PANES];
    uint32_t time_row; /* of the schema */
    bool sides_are_due;
    fletch_wide given; /* the start of the last window that was given out, or needed not be */
    struct fletch_window_cursor cursor;
    struct fletch_window_statistics statistics;
};

/* Moves finished frames into the lists of their panes. RESOURCE_EXHAUSTED: not all. */
enum fletch_status fletch_windows_collect(struct fletch_windows *windows,
                                          struct fletch_error *error);

#endif
