#include "event_fd_model.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "harness.h"

enum { DESCRIPTORS = 8 };

/* Written by who opens and closes, read by who uses the number: plainly, so that the checker sees
 * whether the number was handed over. */
static _Atomic uint32_t *descriptor[DESCRIPTORS];
static _Atomic uint32_t next_descriptor;

void event_fd_model_begin(void)
{
    store_relaxed(&next_descriptor, 0);
}

int fletch_event_fd_open(void)
{
    int fd = (int)fetch_add_relaxed(&next_descriptor, 1);
    harness_assert(fd < DESCRIPTORS);
    descriptor[fd] = malloc(sizeof *descriptor[fd]);
    store_relaxed(descriptor[fd], 0);
    return fd;
}

static _Atomic uint32_t *readable(int fd)
{
    harness_assert(fd >= 0 && fd < DESCRIPTORS);
    return descriptor[fd];
}

/* The kernel orders signals, drains and looks. */
void fletch_event_fd_signal(int fd)
{
    exchange_acq_rel(readable(fd), 1);
}

void fletch_event_fd_drain(int fd)
{
    exchange_acq_rel(readable(fd), 0);
}

void event_fd_model_watch(int fd)
{
    harness_assert(readable(fd) != NULL);
}

void event_fd_model_wait(int fd)
{
    while (load_acquire(readable(fd)) == 0)
        harness_pause();
}

void fletch_event_fd_close(int fd)
{
    free(readable(fd));
}
