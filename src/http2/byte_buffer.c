#include "http2/byte_buffer.h"

#include <string.h>

#include "base/bits.h"

enum { BYTES_LEAST = 256, ALIGNMENT = 16 };

void fletch_byte_buffer_init(struct fletch_byte_buffer *buffer,
                             const struct fletch_allocator *allocator)
{
    *buffer = (struct fletch_byte_buffer){.allocator = *allocator};
}

void fletch_byte_buffer_deinit(struct fletch_byte_buffer *buffer)
{
    if (buffer->data != NULL)
        fletch_release(&buffer->allocator, buffer->data, buffer->capacity, ALIGNMENT);
    buffer->data = NULL;
    buffer->bytes = 0;
    buffer->capacity = 0;
}

uint8_t *fletch_byte_buffer_extend(struct fletch_byte_buffer *buffer, size_t bytes)
{
    size_t end = buffer->bytes + bytes;
    if (end > buffer->capacity) {
        size_t capacity = fletch_power_of_two_ceiling(end < BYTES_LEAST ? BYTES_LEAST : end);
        uint8_t *data = fletch_allocate(&buffer->allocator, capacity, ALIGNMENT);
        if (data == NULL)
            return NULL;
        if (buffer->bytes != 0)
            memcpy(data, buffer->data, buffer->bytes);
        if (buffer->data != NULL)
            fletch_release(&buffer->allocator, buffer->data, buffer->capacity, ALIGNMENT);
        buffer->data = data;
        buffer->capacity = capacity;
    }
    uint8_t *place = buffer->data + buffer->bytes;
    buffer->bytes = end;
    return place;
}
