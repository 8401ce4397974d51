#ifndef FLETCH_SYNC_PLACEMENT_H
#define FLETCH_SYNC_PLACEMENT_H

/* Checks of what every structure is told about the memory that it is placed in. */

#include <stddef.h>

#include <fletching/eventcount.h>

#include "base/status.h"

/* INVALID_ARGUMENT: `memory` is NULL or not aligned to `alignment`, or `memory_bytes` is below
 * `needed_bytes`. */
enum fletch_status fletch_placement_check(const void *memory, size_t memory_bytes,
                                          size_t needed_bytes, size_t alignment,
                                          struct fletch_error *error);

/* INVALID_ARGUMENT: no value of the enumeration. */
enum fletch_status fletch_sharing_check(enum fletch_sharing sharing, struct fletch_error *error);

#endif
