#ifndef FLETCH_FLOW_WINDOW_SPAN_H
#define FLETCH_FLOW_WINDOW_SPAN_H

/* Where windows and panes begin and end. Numbers are exact, in 128 bits, since both may lie outside
 * of int64; whoever tells them to others clamps them. */

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef __int128 fletch_wide;

struct fletch_window_span {
    int64_t size;  /* a multiple of `pane` */
    int64_t slide; /* a multiple of `pane`, at most `size` */
    int64_t origin;
    int64_t lateness;
    int64_t pane; /* the width of a pane: the greatest common divisor of size and slide */
};

static inline fletch_wide fletch_floor_to(fletch_wide time, int64_t origin, int64_t step)
{
    fletch_wide from = time - origin;
    fletch_wide rest = from % step;
    return time - (rest < 0 ? rest + step : rest);
}

static inline int64_t fletch_clamped(fletch_wide time)
{
    if (time > INT64_MAX)
        return INT64_MAX;
    return time < INT64_MIN ? INT64_MIN : (int64_t)time;
}

/* The start of the pane that a time lies in. */
static inline fletch_wide fletch_span_pane(const struct fletch_window_span *span, int64_t time)
{
    return fletch_floor_to(time, span->origin, span->pane);
}

/* The starts of the first and of the last window that a pane belongs to. */
static inline fletch_wide fletch_span_first_window(const struct fletch_window_span *span,
                                                   fletch_wide pane)
{
    return fletch_floor_to(pane - span->size + span->slide, span->origin, span->slide);
}
static inline fletch_wide fletch_span_last_window(const struct fletch_window_span *span,
                                                  fletch_wide pane)
{
    return fletch_floor_to(pane, span->origin, span->slide);
}

/* The start of the last window that a watermark closes, INT64_MAX apart. */
static inline fletch_wide fletch_span_last_closed(const struct fletch_window_span *span,
                                                  int64_t watermark)
{
    return fletch_floor_to((fletch_wide)watermark + 1 - span->size - span->lateness, span->origin,
                           span->slide);
}

/* Whether the window that starts there is closed: a watermark of its last time closes it. */
static inline bool fletch_span_is_closed(const struct fletch_window_span *span, fletch_wide start,
                                         int64_t watermark)
{
    return watermark == INT64_MAX ||
           (fletch_wide)watermark + 1 >= start + span->size + span->lateness;
}

#endif
