#ifndef FLETCH_SHUFFLE_SHUFFLE_NAME_H
#define FLETCH_SHUFFLE_SHUFFLE_NAME_H

/* A shuffle's name, which is any bytes, as messages show it. */

#include <stddef.h>

#include <fletching/shuffle.h>

struct fletch_name_text {
    char text[FLETCH_SHUFFLE_NAME_BYTES_MAX + 1];
};

/* Bytes that no text has, control characters and quotes as \xNN, a backslash twice, all other UTF-8
 * as it is. What does not fit ends with "...". */
struct fletch_name_text fletch_name_show(const void *name, size_t name_bytes);

#endif
