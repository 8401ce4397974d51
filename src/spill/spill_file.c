#include "spill/spill_file.h"

#include "base/allocator.h"
#include "base/bits.h"

/* Of frames where there are no holes: that of buffers. */
enum { PACKED_ALIGNMENT = 64 };

enum fletch_spill_state fletch_spill_medium_state(const struct fletch_spill_medium *medium)
{
    /* relaxed: tells nothing but itself */
    return (enum fletch_spill_state)load_relaxed(&medium->state);
}

void fletch_spill_medium_fail(struct fletch_spill_medium *medium, enum fletch_spill_state state)
{
    uint32_t found = load_relaxed(&medium->state); /* relaxed: as above */
    while (found < (uint32_t)state) {
        /* relaxed: as above */
        if (cas_weak_relaxed(&medium->state, &found, (uint32_t)state))
            return;
    }
}

/* Closes the file, and with it gives back all its space. */
static void end_file(struct fletch_shared *shared)
{
    struct fletch_spill_file *file = (struct fletch_spill_file *)(void *)shared;
    struct fletch_spill_medium *medium = file->medium;
    /* The descriptor is gone whatever the system answers. */
    (void)medium->io->close(medium->io->context, file->fd);
    /* relaxed: counters; the last reference is the caller's */
    fetch_sub_relaxed(&medium->bytes_on_disk, load_relaxed(&file->disk_bytes));
    fetch_sub_relaxed(&medium->files_open, 1); /* relaxed: a counter */
    fletch_block_release(file);
    fletch_shared_release(&medium->shared);
}

bool fletch_spill_file_create(struct fletch_spill_medium *medium, int directory,
                              struct fletch_spill_file **out_file, int *out_cause)
{
    struct fletch_spill_file *file = fletch_block_allocate(&medium->allocator, sizeof *file);
    *out_cause = 0;
    if (file == NULL)
        return false;
    int fd = fletch_spill_open_file(medium->io, directory);
    if (fd < 0) {
        *out_cause = -fd;
        fletch_block_release(file);
        return false;
    }
    uint32_t block = fletch_spill_find_block(medium->io, fd);
    *file = (struct fletch_spill_file){
        .medium = medium,
        .fd = fd,
        .has_holes = block != 0,
        .alignment = block != 0 ? block : PACKED_ALIGNMENT,
    };
    fletch_shared_init(&file->shared, end_file);
    fletch_shared_acquire(&medium->shared);
    fetch_add_relaxed(&medium->files_open, 1); /* relaxed: a counter */
    *out_file = file;
    return true;
}

static uint64_t disk_bytes_of(const struct fletch_spill_file *file, uint64_t stored_bytes)
{
    return fletch_round_up(stored_bytes, file->alignment);
}

void fletch_spill_file_add(struct fletch_spill_file *file, uint64_t stored_bytes)
{
    uint64_t bytes = disk_bytes_of(file, stored_bytes);
    file->end += bytes;
    fetch_add_relaxed(&file->disk_bytes, bytes);            /* relaxed: a counter */
    fetch_add_relaxed(&file->medium->bytes_on_disk, bytes); /* relaxed: a counter */
}

void fletch_spill_file_give_back(struct fletch_spill_file *file, uint64_t offset,
                                 uint64_t stored_bytes)
{
    struct fletch_spill_medium *medium = file->medium;
    uint64_t bytes = disk_bytes_of(file, stored_bytes);
    /* What cannot be given back now comes back when the file is closed. */
    if (!file->has_holes ||
        medium->io->punch(medium->io->context, file->fd, (off_t)offset, (off_t)bytes) != 0)
        return;
    fetch_sub_relaxed(&file->disk_bytes, bytes);      /* relaxed: a counter */
    fetch_sub_relaxed(&medium->bytes_on_disk, bytes); /* relaxed: a counter */
}
