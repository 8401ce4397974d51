#ifndef FLETCH_BASE_OPTIONS_H
#define FLETCH_BASE_OPTIONS_H

#include <stddef.h>

#include "base/status.h"

/* Copies a caller's options structure, whose first field is its `struct_size`, into `known`, the
 * structure of `known_bytes` bytes that this version of the library knows. A caller compiled
 * against an older version has a shorter one: the rest is zero, which means default. One compiled
 * against a newer version has a longer one: accepted as long as what this version does not know is
 * zero. INVALID_ARGUMENT: options NULL, a size below `least_bytes` (the first version's), or an
 * unknown option that is set. */
enum fletch_status fletch_options_copy(void *known, size_t known_bytes, const void *options,
                                       size_t least_bytes, struct fletch_error *error);

#endif
