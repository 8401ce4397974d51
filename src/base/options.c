#include "base/options.h"

#include <string.h>

static enum fletch_status refuse_unknown(const unsigned char *bytes, size_t from, size_t to,
                                         struct fletch_error *error)
{
    for (size_t i = from; i < to; i++)
        if (bytes[i] != 0)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "options have struct_size %zu, this version knows %zu bytes, "
                                    "and byte %zu is set",
                                    to, from, i);
    return FLETCH_OK;
}

enum fletch_status fletch_options_copy(void *known, size_t known_bytes, const void *options,
                                       size_t least_bytes, struct fletch_error *error)
{
    if (options == NULL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "options are NULL");
    size_t given_bytes;
    memcpy(&given_bytes, options, sizeof given_bytes);
    if (given_bytes < least_bytes)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "options have struct_size %zu, expected at least %zu", given_bytes,
                                least_bytes);
    if (given_bytes > known_bytes) {
        enum fletch_status status = refuse_unknown(options, known_bytes, given_bytes, error);
        if (status != FLETCH_OK)
            return status;
    }
    memset(known, 0, known_bytes);
    memcpy(known, options, given_bytes < known_bytes ? given_bytes : known_bytes);
    return FLETCH_OK;
}
