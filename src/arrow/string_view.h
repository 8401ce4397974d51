#ifndef FLETCH_ARROW_STRING_VIEW_H
#define FLETCH_ARROW_STRING_VIEW_H

/* Views one by one, for those who make others of them. */

#include "arrow/column.h"

/* Whether the view refers to bytes in a data buffer of its column. Views of null elements may say
 * anything: neither this nor a length of up to 12 is true of those that say nonsense. */
static inline bool fletch_view_is_outside(const struct fletch_string_view *view,
                                          const struct fletch_column *column)
{
    return view->bytes > FLETCH_VIEW_INLINE_BYTES && view->buffer >= 0 &&
           (uint32_t)view->buffer < column->buffer_count && view->offset >= 0 &&
           (uint64_t)view->offset + (uint64_t)view->bytes <= column->buffers[view->buffer].bytes;
}

static inline bool fletch_view_is_inline(const struct fletch_string_view *view)
{
    return view->bytes >= 0 && view->bytes <= FLETCH_VIEW_INLINE_BYTES;
}

/* The bytes of all data buffers. */
static inline size_t fletch_column_data_bytes(const struct fletch_column *column)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < column->buffer_count; i++)
        bytes += column->buffers[i].bytes;
    return bytes;
}

#endif
