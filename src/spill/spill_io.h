#ifndef FLETCH_SPILL_SPILL_IO_H
#define FLETCH_SPILL_SPILL_IO_H

/* The system calls that spilling makes, as a table, so that tests and simulations can have a disk
 * of their own; and what is made of them: whole transfers, a file without a name. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/status.h"

/* Each answers as a call of the system does, with errno. May be called by several threads at
 * once. */
struct fletch_spill_io {
    int (*open_at)(void *context, int directory, const char *name, int flags); /* mode 0600 */
    int (*unlink_at)(void *context, int directory, const char *name);
    ssize_t (*write)(void *context, int fd, const struct iovec *pieces, int count, off_t offset);
    ssize_t (*read)(void *context, int fd, const struct iovec *pieces, int count, off_t offset);
    int (*punch)(void *context, int fd, off_t offset, off_t bytes); /* fallocate, size kept */
    int (*truncate)(void *context, int fd, off_t bytes);
    int (*close)(void *context, int fd);
    int64_t (*block_bytes)(void *context, int fd); /* of the file system, as far as it tells */
    void *context;
};

/* The system's own. */
extern const struct fletch_spill_io fletch_spill_system_io;

/* A system's error number with its text: "system error 28: No space left on device". */
enum { FLETCH_SPILL_ERROR_BYTES = 96 };
struct fletch_spill_error_text {
    char text[FLETCH_SPILL_ERROR_BYTES];
};
struct fletch_spill_error_text fletch_spill_error_of(int number);

/* Whether this error number says that there is no space left for the caller. */
bool fletch_spill_is_full(int number);

/* Opens the directory `path`. Returns its descriptor, or the negative error number. */
int fletch_spill_open_directory(const struct fletch_spill_io *io, const char *path);

/* Makes a file without a name in the directory, to be read and written. Returns its descriptor, or
 * the negative error number. */
int fletch_spill_open_file(const struct fletch_spill_io *io, int directory);

/* Where frames have to begin so that each can be punched out alone: a block of the file system;
 * 0: the file has no holes. */
uint32_t fletch_spill_find_block(const struct fletch_spill_io *io, int fd);

/* Bytes between a file and memory. The pieces, at most IOV_MAX, are changed on the way. */
struct fletch_spill_transfer {
    const struct fletch_spill_io *io;
    int fd;
    uint64_t offset;
    struct iovec *pieces;
    int count;
};

/* Writes all of it, in as many calls as it takes. Returns 0 or the error number. */
int fletch_spill_write_all(const struct fletch_spill_transfer *whole);

/* Reads all of it, or to the end of the file. Returns 0 or the error number; `*out_bytes` what was
 * read. */
int fletch_spill_read_all(const struct fletch_spill_transfer *whole, uint64_t *out_bytes);

#endif
