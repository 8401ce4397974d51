#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

/* What the system takes in one call is less than 2 GiB. */
#define CALL_BYTES_MOST ((size_t)1 << 30)

static enum fletch_status status_of(int cause)
{
    switch (cause) {
    case ENOENT:
        return FLETCH_NOT_FOUND;
    case EACCES:
    case EPERM:
        return FLETCH_PERMISSION_DENIED;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENOMEM:
        return FLETCH_RESOURCE_EXHAUSTED;
    default:
        return FLETCH_UNAVAILABLE;
    }
}

static enum fletch_status system_failure(struct fletch_error *error, const char *what,
                                         const char *path)
{
    int cause = errno;
    char text[128];
    /* The form that may be without the text where it does not know the number. */
    if (strerror_r(cause, text, sizeof text) != 0)
        text[0] = 0;
    return fletch_error_set(error, status_of(cause), "%s '%s': system error %d: %s", what, path,
                            cause, text);
}

enum fletch_status fletch_descriptor_read(int fd, void *to, size_t bytes, size_t *out_bytes,
                                          struct fletch_error *error)
{
    ssize_t count;
    do
        count = read(fd, to, bytes < CALL_BYTES_MOST ? bytes : CALL_BYTES_MOST);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return system_failure(error, "reading", "descriptor");
    *out_bytes = (size_t)count;
    return FLETCH_OK;
}

enum fletch_status fletch_descriptor_write(int fd, struct iovec *pieces, size_t count,
                                           struct fletch_error *error)
{
    while (count != 0) {
        if (pieces->iov_len == 0) {
            pieces++;
            count--;
            continue;
        }
        ssize_t written = writev(fd, pieces, (int)(count < IOV_MAX ? count : IOV_MAX));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return system_failure(error, "writing", "descriptor");
        size_t left = (size_t)written;
        while (count != 0 && left >= pieces->iov_len) {
            left -= pieces->iov_len;
            pieces++;
            count--;
        }
        if (left != 0) {
            pieces->iov_base = (char *)pieces->iov_base + left;
            pieces->iov_len -= left;
        }
    }
    return FLETCH_OK;
}

static enum fletch_status map_descriptor(int fd, const char *path, const void **out_data,
                                         size_t *out_bytes, struct fletch_error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return system_failure(error, "looking at", path);
    if (!S_ISREG(status.st_mode))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "'%s' is no regular file", path);
    if (status.st_size == 0)
        return fletch_error_set(error, FLETCH_DATA_LOSS, "file '%s' is empty", path);
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        return system_failure(error, "mapping", path);
    *out_data = data;
    *out_bytes = (size_t)status.st_size;
    return FLETCH_OK;
}

enum fletch_status fletch_descriptor_map(const char *path, const void **out_data, size_t *out_bytes,
                                         struct fletch_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return system_failure(error, "opening", path);
    enum fletch_status status = map_descriptor(fd, path, out_data, out_bytes, error);
    close(fd); /* read only: nothing can be lost */
    return status;
}

void fletch_descriptor_unmap(const void *data, size_t bytes)
{
    munmap((void *)(uintptr_t)data, bytes);
}
