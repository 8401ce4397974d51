#include "arrow/kept_metadata.h"

#include <string.h>

enum fletch_status fletch_kept_metadata_reserve(struct fletch_kept_metadata *kept,
                                                const struct fletch_metadata_room *room,
                                                size_t bytes, struct fletch_error *error)
{
    kept->metadata = (struct fletch_metadata){0};
    if (kept->buffer != NULL && fletch_buffer_capacity(kept->buffer) >= bytes)
        return FLETCH_OK;
    fletch_buffer_release(room->cache, kept->buffer);
    kept->buffer = NULL;
    return fletch_buffer_allocate(room->cache, bytes, room->account, &kept->buffer, error);
}

enum fletch_status fletch_kept_metadata_copy(struct fletch_kept_metadata *kept,
                                             const struct fletch_metadata_room *room,
                                             const struct fletch_metadata *metadata,
                                             struct fletch_error *error)
{
    kept->metadata = (struct fletch_metadata){0};
    if (metadata->count == 0)
        return FLETCH_OK;
    enum fletch_status status =
        fletch_kept_metadata_reserve(kept, room, metadata->byte_count, error);
    if (status != FLETCH_OK)
        return status;
    uint8_t *bytes = fletch_buffer_mutable_data(kept->buffer);
    memcpy(bytes, metadata->bytes, metadata->byte_count);
    kept->metadata = *metadata;
    kept->metadata.bytes = (const char *)bytes;
    return FLETCH_OK;
}

void fletch_kept_metadata_drop(struct fletch_kept_metadata *kept, struct fletch_buffer_cache *cache)
{
    fletch_buffer_release(cache, kept->buffer);
    *kept = (struct fletch_kept_metadata){0};
}
