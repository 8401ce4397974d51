#include "spill/spill_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/clock.h"

enum { BLOCK_DEFAULT = 4096, BLOCK_LEAST = 512, BLOCK_MOST = 64 << 10, NAMES_TRIED = 100 };

/* ---- the system ---- */

static int system_open_at(void *context, int directory, const char *name, int flags)
{
    (void)context;
    return openat(directory, name, flags, 0600);
}

static int system_unlink_at(void *context, int directory, const char *name)
{
    (void)context;
    return unlinkat(directory, name, 0);
}

static ssize_t system_write(void *context, int fd, const struct iovec *pieces, int count,
                            off_t offset)
{
    (void)context;
    return pwritev(fd, pieces, count, offset);
}

static ssize_t system_read(void *context, int fd, const struct iovec *pieces, int count,
                           off_t offset)
{
    (void)context;
    return preadv(fd, pieces, count, offset);
}

static int system_punch(void *context, int fd, off_t offset, off_t bytes)
{
    (void)context;
    return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
}

static int system_truncate(void *context, int fd, off_t bytes)
{
    (void)context;
    return ftruncate(fd, bytes);
}

static int system_close(void *context, int fd)
{
    (void)context;
    return close(fd);
}

static int64_t system_block_bytes(void *context, int fd)
{
    struct stat status;
    (void)context;
    return fstat(fd, &status) == 0 ? (int64_t)status.st_blksize : -1;
}

const struct fletch_spill_io fletch_spill_system_io = {
    .open_at = system_open_at,
    .unlink_at = system_unlink_at,
    .write = system_write,
    .read = system_read,
    .punch = system_punch,
    .truncate = system_truncate,
    .close = system_close,
    .block_bytes = system_block_bytes,
};

/* ---- errors ---- */

struct fletch_spill_error_text fletch_spill_error_of(int number)
{
    struct fletch_spill_error_text text;
    char room[64];
    /* The form of the C library's that may point elsewhere than into the room. */
    snprintf(text.text, sizeof text.text, "system error %d: %s", number,
             strerror_r(number, room, sizeof room));
    return text;
}

bool fletch_spill_is_full(int number)
{
    return number == ENOSPC || number == EDQUOT;
}

/* ---- files ---- */

static int open_again(const struct fletch_spill_io *io, int directory, const char *name, int flags)
{
    int fd;
    do
        fd = io->open_at(io->context, directory, name, flags);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

int fletch_spill_open_directory(const struct fletch_spill_io *io, const char *path)
{
    return open_again(io, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* For file systems without O_TMPFILE. */
static int open_named(const struct fletch_spill_io *io, int directory)
{
    for (int i = 0; i < NAMES_TRIED; i++) {
        char name[64];
        snprintf(name, sizeof name, ".fletch-spill-%ld-%llx", (long)getpid(),
                 (unsigned long long)fletch_clock_now_ns());
        int fd = open_again(io, directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC);
        if (fd == -EEXIST)
            continue;
        if (fd < 0 || io->unlink_at(io->context, directory, name) == 0)
            return fd;
        int cause = errno;
        io->close(io->context, fd);
        return -cause;
    }
    return -EEXIST;
}

int fletch_spill_open_file(const struct fletch_spill_io *io, int directory)
{
    int fd = open_again(io, directory, ".", O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC);
    /* EISDIR: of kernels that do not know the flag. */
    return fd == -EOPNOTSUPP || fd == -EISDIR || fd == -EINVAL ? open_named(io, directory) : fd;
}

uint32_t fletch_spill_find_block(const struct fletch_spill_io *io, int fd)
{
    int64_t block = io->block_bytes(io->context, fd);
    /* Some tell what they like to transfer, which would waste much. */
    if (block < BLOCK_LEAST || block > BLOCK_MOST || !fletch_is_power_of_two((size_t)block))
        block = BLOCK_DEFAULT;
    return io->punch(io->context, fd, 0, (off_t)block) == 0 ? (uint32_t)block : 0;
}

/* ---- transfers ---- */

/* Takes `bytes` bytes away from the beginning of the pieces; returns how many are done. */
static int advance(struct iovec *pieces, int count, size_t bytes)
{
    int done = 0;
    while (done < count && bytes >= pieces[done].iov_len)
        bytes -= pieces[done++].iov_len;
    if (done < count) {
        pieces[done].iov_base = (char *)pieces[done].iov_base + bytes;
        pieces[done].iov_len -= bytes;
    }
    return done;
}

/* Moves bytes with one of the table's calls until all pieces are done or nothing comes any more.
 * Returns 0 or the error number. */
static int transfer(const struct fletch_spill_transfer *whole,
                    ssize_t (*call)(void *, int, const struct iovec *, int, off_t),
                    uint64_t *out_bytes)
{
    struct iovec *pieces = whole->pieces;
    int count = whole->count;
    uint64_t moved = 0;
    int done = advance(pieces, count, 0);
    for (;;) {
        pieces += done;
        count -= done;
        *out_bytes = moved;
        if (count == 0)
            return 0;
        ssize_t bytes =
            call(whole->io->context, whole->fd, pieces, count, (off_t)(whole->offset + moved));
        if (bytes < 0 && errno != EINTR)
            return errno;
        if (bytes == 0)
            return 0;
        moved += bytes < 0 ? 0 : (uint64_t)bytes;
        done = bytes < 0 ? 0 : advance(pieces, count, (size_t)bytes);
    }
}

int fletch_spill_write_all(const struct fletch_spill_transfer *whole)
{
    uint64_t wanted = 0;
    uint64_t moved = 0;
    for (int i = 0; i < whole->count; i++)
        wanted += whole->pieces[i].iov_len;
    int failure = transfer(whole, whole->io->write, &moved);
    return failure == 0 && moved != wanted ? EIO : failure;
}

int fletch_spill_read_all(const struct fletch_spill_transfer *whole, uint64_t *out_bytes)
{
    return transfer(whole, whole->io->read, out_bytes);
}
