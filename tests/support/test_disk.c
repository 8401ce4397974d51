#include "support/test_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/cmocka_tests.h"

enum { SHARES_MOST = 64 };

/* Whether the next call of the system's may be made; errno says why not. */
static bool may_call(struct test_disk *disk)
{
    /* relaxed: a counter */
    uint64_t call = fetch_add_relaxed(&disk->calls, 1) + 1;
    bool fails =
        disk->fail_at != 0 && (disk->fails_once ? call == disk->fail_at : call >= disk->fail_at);
    if (fails)
        errno = disk->fail_with;
    return !fails;
}

static int disk_open_at(void *context, int directory, const char *name, int flags)
{
    struct test_disk *disk = context;
    if (!may_call(disk))
        return -1;
    if ((flags & O_TMPFILE) == O_TMPFILE && disk->has_no_tmpfile) {
        errno = EOPNOTSUPP;
        return -1;
    }
    int fd = fletch_spill_system_io.open_at(NULL, directory, name, flags);
    if (fd >= 0)
        fetch_add_relaxed(&disk->open_files, 1); /* relaxed: a counter */
    return fd;
}

static int disk_unlink_at(void *context, int directory, const char *name)
{
    /* Where it fails the name would stay: the test wants its folder empty. */
    int result = fletch_spill_system_io.unlink_at(NULL, directory, name);
    return may_call(context) ? result : -1;
}

/* The pieces as far as one call takes them; returns how many. */
static int share_of(const struct test_disk *disk, const struct iovec *pieces, int count,
                    struct iovec *share)
{
    size_t left = disk->transfer_most == 0 ? SIZE_MAX : disk->transfer_most;
    int taken = 0;
    for (; taken < count && taken < SHARES_MOST && left > 0; taken++) {
        share[taken] = pieces[taken];
        if (share[taken].iov_len > left)
            share[taken].iov_len = left;
        left -= share[taken].iov_len;
    }
    return taken;
}

static bool may_transfer(struct test_disk *disk)
{
    if (!may_call(disk))
        return false;
    errno = EINTR;
    return !disk->is_interrupted || fetch_add_relaxed(&disk->transfers, 1) % 2 == 1;
}

static ssize_t disk_write(void *context, int fd, const struct iovec *pieces, int count,
                          off_t offset)
{
    struct test_disk *disk = context;
    struct iovec share[SHARES_MOST];
    if (!may_transfer(disk))
        return -1;
    uint64_t before = load_relaxed(&disk->written_bytes); /* relaxed: one writer */
    if (disk->room_bytes != 0 && before >= disk->room_bytes) {
        errno = ENOSPC;
        return -1;
    }
    int taken = share_of(disk, pieces, count, share);
    ssize_t bytes = fletch_spill_system_io.write(NULL, fd, share, taken, offset);
    if (bytes > 0)
        fetch_add_relaxed(&disk->written_bytes, (uint64_t)bytes); /* relaxed: a counter */
    return bytes;
}

static ssize_t disk_read(void *context, int fd, const struct iovec *pieces, int count, off_t offset)
{
    struct test_disk *disk = context;
    struct iovec share[SHARES_MOST];
    if (!may_transfer(disk))
        return -1;
    return fletch_spill_system_io.read(NULL, fd, share, share_of(disk, pieces, count, share),
                                       offset);
}

static int disk_punch(void *context, int fd, off_t offset, off_t bytes)
{
    struct test_disk *disk = context;
    if (!may_call(disk))
        return -1;
    if (disk->has_no_holes) {
        errno = EOPNOTSUPP;
        return -1;
    }
    fetch_add_relaxed(&disk->punched_bytes, (uint64_t)bytes); /* relaxed: a counter */
    return fletch_spill_system_io.punch(NULL, fd, offset, bytes);
}

static int disk_truncate(void *context, int fd, off_t bytes)
{
    if (!may_call(context))
        return -1;
    return fletch_spill_system_io.truncate(NULL, fd, bytes);
}

static int disk_close(void *context, int fd)
{
    struct test_disk *disk = context;
    int result = fletch_spill_system_io.close(NULL, fd);
    fetch_sub_relaxed(&disk->open_files, 1); /* relaxed: a counter */
    return may_call(disk) ? result : -1;
}

static int64_t disk_block_bytes(void *context, int fd)
{
    const struct test_disk *disk = context;
    if (disk->block_bytes != 0)
        return disk->block_bytes;
    return fletch_spill_system_io.block_bytes(NULL, fd);
}

void test_disk_make(struct test_disk *disk)
{
    *disk = (struct test_disk){
        .io = {.open_at = disk_open_at,
               .unlink_at = disk_unlink_at,
               .write = disk_write,
               .read = disk_read,
               .punch = disk_punch,
               .truncate = disk_truncate,
               .close = disk_close,
               .block_bytes = disk_block_bytes,
               .context = disk},
        .path = "spill-XXXXXX",
    };
    assert_non_null(mkdtemp(disk->path));
}

void test_disk_end(struct test_disk *disk)
{
    /* relaxed: all threads are done */
    assert_int_equal(load_relaxed(&disk->open_files), 0);
    assert_int_equal(rmdir(disk->path), 0);
}
