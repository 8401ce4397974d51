#include "arrow/metadata.h"

#include <inttypes.h>
#include <string.h>

static int32_t read_int32(const char *bytes)
{
    int32_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}

/* Reads a length and skips what it counts; the caller knows that it is whole. */
static const char *read_bytes(const struct fletch_metadata *metadata, size_t *position,
                              size_t *out_bytes)
{
    const char *start = metadata->bytes + *position + sizeof(int32_t);
    *out_bytes = (size_t)read_int32(metadata->bytes + *position);
    *position += sizeof(int32_t) + *out_bytes;
    return start;
}

bool fletch_metadata_next(const struct fletch_metadata *metadata, size_t *position,
                          struct fletch_metadata_pair *out_pair)
{
    if (*position == 0)
        *position = sizeof(int32_t);
    if (*position >= metadata->byte_count)
        return false;
    out_pair->key = read_bytes(metadata, position, &out_pair->key_bytes);
    out_pair->value = read_bytes(metadata, position, &out_pair->value_bytes);
    return true;
}

bool fletch_metadata_find(const struct fletch_metadata *metadata, const char *key,
                          struct fletch_metadata_pair *out_pair)
{
    struct fletch_metadata_pair pair;
    size_t key_bytes = strlen(key);
    for (size_t position = 0; fletch_metadata_next(metadata, &position, &pair);)
        if (pair.key_bytes == key_bytes && memcmp(pair.key, key, key_bytes) == 0) {
            *out_pair = pair;
            return true;
        }
    return false;
}

enum fletch_status fletch_metadata_measure(const char *bytes, const char *path,
                                           struct fletch_metadata *out_metadata,
                                           struct fletch_error *error)
{
    struct fletch_metadata metadata = {.bytes = bytes};
    int32_t count = bytes == NULL ? 0 : read_int32(bytes);
    if (count < 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "field '%s': metadata of %" PRId32 " pairs, expected 0 or more",
                                path, count);
    if (bytes != NULL)
        metadata.byte_count = sizeof(int32_t);
    for (int64_t i = 0; i < (int64_t)count * 2; i++) {
        int32_t length = read_int32(bytes + metadata.byte_count);
        if (length < 0)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "field '%s': metadata %s %" PRId64 " of %" PRId32
                                    " bytes, expected 0 or more",
                                    path, i % 2 == 0 ? "key" : "value", i / 2, length);
        metadata.byte_count += sizeof length + (size_t)length;
    }
    metadata.count = (uint32_t)count;
    *out_metadata = metadata;
    return FLETCH_OK;
}
