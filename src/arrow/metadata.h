#ifndef FLETCH_ARROW_METADATA_H
#define FLETCH_ARROW_METADATA_H

/* Custom metadata: pairs of keys and values, any bytes, in order, repetitions included. Kept in the
 * form that the C data interface gives it: an int32 count, and for each key and each value an int32
 * length and its bytes, without padding, in the processor's byte order. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct fletch_metadata {
    const char *bytes; /* NULL: none */
    size_t byte_count;
    uint32_t count; /* pairs */
};

struct fletch_metadata_pair {
    const char *key;
    size_t key_bytes;
    const char *value;
    size_t value_bytes;
};

/* Walks the pairs: `*position` begins as 0. False: there are no more. */
bool fletch_metadata_next(const struct fletch_metadata *metadata, size_t *position,
                          struct fletch_metadata_pair *out_pair);

/* The value of the first pair with this key, or false. */
bool fletch_metadata_find(const struct fletch_metadata *metadata, const char *key,
                          struct fletch_metadata_pair *out_pair);

/* Measures what another library wrote, whose size nobody tells: `bytes` may be NULL.
 * INVALID_ARGUMENT: a negative count or length; the message begins with `path`. */
enum fletch_status fletch_metadata_measure(const char *bytes, const char *path,
                                           struct fletch_metadata *out_metadata,
                                           struct fletch_error *error);

#endif
