#ifndef FLETCH_FLOW_WINDOW_EMIT_H
#define FLETCH_FLOW_WINDOW_EMIT_H

/* The giving half of windows. */

#include "flow/window.h"

/* The first window that is closed and was not given out to its last batch. Panes that belong to no
 * window any more are let go of. */
bool fletch_windows_find_closed(struct fletch_windows *windows, fletch_wide *out_start);

#endif
