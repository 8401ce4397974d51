#ifndef FLETCH_PROGRAM_TOP_VIEW_H
#define FLETCH_PROGRAM_TOP_VIEW_H

#include "text.h"
#include "top_sample.h"

/* A sample as lines of text, or as one object of JSON. */
struct top_view {
    const char *location;
    const char *trouble; /* why there is nothing newer; NULL: there is */
    size_t selected;     /* of the shuffles, whose partitions are shown */
    size_t width;        /* of a line; 0: any */
    size_t height;       /* lines; 0: any */
    bool marks_selected;
};

/* Appends lines that end with a line feed, not more than the height and none wider than the
 * width. */
void top_view_text(struct text *text, const struct top_view *view, const struct top_sample *sample);

/* Appends a line. */
void top_view_json(struct text *text, const struct top_view *view, const struct top_sample *sample);

#endif
