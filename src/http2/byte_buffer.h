#ifndef FLETCH_HTTP2_BYTE_BUFFER_H
#define FLETCH_HTTP2_BYTE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/allocator.h"

/* Bytes that grow at their end. */
struct fletch_byte_buffer {
    struct fletch_allocator allocator;
    uint8_t *data;
    size_t bytes;
    size_t capacity;
};

void fletch_byte_buffer_init(struct fletch_byte_buffer *buffer,
                             const struct fletch_allocator *allocator);
void fletch_byte_buffer_deinit(struct fletch_byte_buffer *buffer);

/* `bytes` more at the end, to be written; NULL: no memory, and nothing has changed. Valid until the
 * next of them. */
uint8_t *fletch_byte_buffer_extend(struct fletch_byte_buffer *buffer, size_t bytes);

#endif
