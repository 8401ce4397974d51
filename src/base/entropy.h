#ifndef FLETCH_BASE_ENTROPY_H
#define FLETCH_BASE_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>

/* Fills bytes that nobody else has, from the system. False: the system gives none, as before it has
 * gathered enough. At most 256 bytes at a time. */
bool fletch_entropy_fill(void *bytes, size_t count);

#endif
