#ifndef FLETCH_BASE_DESCRIPTOR_H
#define FLETCH_BASE_DESCRIPTOR_H

/* Descriptors that block, read and written whole; interrupted calls go on. */

#include <stddef.h>
#include <sys/uio.h>

#include "base/status.h"

/* Reads up to `bytes` bytes, at least one; `*out_bytes` 0: the end. UNAVAILABLE: the system's
 * answer, also that the descriptor would block. */
enum fletch_status fletch_descriptor_read(int fd, void *to, size_t bytes, size_t *out_bytes,
                                          struct fletch_error *error);

/* Writes all of `count` pieces, in as many calls as it takes, and changes them on the way.
 * RESOURCE_EXHAUSTED: no space on the device, no quota, or a limit of the file's size; UNAVAILABLE:
 * the system's answer otherwise. How much was written is not known. */
enum fletch_status fletch_descriptor_write(int fd, struct iovec *pieces, size_t count,
                                           struct fletch_error *error);

/* Maps the file `path` to be read: at least one byte. NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE:
 * the system's answer; DATA_LOSS: the file is empty. */
enum fletch_status fletch_descriptor_map(const char *path, const void **out_data, size_t *out_bytes,
                                         struct fletch_error *error);
void fletch_descriptor_unmap(const void *data, size_t bytes);

#endif
