#ifndef FLETCH_ARROW_KEPT_METADATA_H
#define FLETCH_ARROW_KEPT_METADATA_H

/* Custom metadata in a buffer of its own, which is used again for what comes next. */

#include "arrow/metadata.h"
#include "memory/buffer.h"

struct fletch_kept_metadata {
    struct fletch_buffer *buffer; /* NULL: never any */
    struct fletch_metadata metadata;
};

/* Where buffers come from. */
struct fletch_metadata_room {
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
};

/* Makes the buffer at least `bytes` long; what was kept is lost, even on failure. */
enum fletch_status fletch_kept_metadata_reserve(struct fletch_kept_metadata *kept,
                                                const struct fletch_metadata_room *room,
                                                size_t bytes, struct fletch_error *error);

/* Keeps a copy; nothing, if there are no pairs. */
enum fletch_status fletch_kept_metadata_copy(struct fletch_kept_metadata *kept,
                                             const struct fletch_metadata_room *room,
                                             const struct fletch_metadata *metadata,
                                             struct fletch_error *error);

void fletch_kept_metadata_drop(struct fletch_kept_metadata *kept,
                               struct fletch_buffer_cache *cache);

#endif
