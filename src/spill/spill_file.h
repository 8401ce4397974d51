#ifndef FLETCH_SPILL_SPILL_FILE_H
#define FLETCH_SPILL_SPILL_FILE_H

/* What everybody sees of a segment, and its files: without names, counted, closed with the last
 * reference. A file is written by the segment's writer alone; what lies in it below `end` does not
 * change any more but for holes. Counts and state say nothing about other memory, so they are
 * relaxed. */

#include <fletching/allocator.h>

#include "arrow/schema.h"
#include "base/atomic.h"
#include "base/crc32c.h"
#include "memory/shared.h"
#include "spill/spill_codec.h"
#include "spill/spill_io.h"

enum fletch_spill_state {
    FLETCH_SPILL_OPEN,
    FLETCH_SPILL_READ_ONLY,  /* no space was left: no more frames */
    FLETCH_SPILL_QUARANTINED /* the disk failed: no more frames, and those there may be lost */
};

/* Of a segment, for its files and their readers, who keep it alive. */
struct fletch_spill_medium {
    struct fletch_shared shared; /* first */
    const struct fletch_spill_io *io;
    fletch_crc32c_function *crc32c;
    struct fletch_allocator allocator;
    struct fletch_schema *schema; /* counted */
    const char *path;             /* of the directory, for messages */
    enum fletch_spill_codec codec;
    _Atomic uint32_t state; /* enum fletch_spill_state: only grows */
    _Atomic uint64_t frames_written;
    _Atomic uint64_t frames_read;
    _Atomic uint64_t frames_released;
    _Atomic uint64_t bytes_spilled;
    _Atomic uint64_t bytes_written;
    _Atomic uint64_t bytes_read;
    _Atomic uint64_t bytes_on_disk;
    _Atomic uint64_t files_open;
};

struct fletch_spill_file {
    struct fletch_shared shared;        /* first */
    struct fletch_spill_medium *medium; /* counted */
    int fd;
    bool has_holes;
    uint32_t alignment;          /* of frames, a power of two */
    uint64_t end;                /* the writer's: where the next frame begins */
    _Atomic uint64_t disk_bytes; /* of frames that have not been given back */
};

/* Where a frame lies: what a queue carries instead of the batch. Has a reference to the file. */
struct fletch_spill_location {
    struct fletch_spill_file *file;
    uint64_t offset;
    uint64_t stored_bytes; /* on disk, all in all */
    uint64_t frame_bytes;  /* in memory, in one buffer, once it is read */
};

enum fletch_spill_state fletch_spill_medium_state(const struct fletch_spill_medium *medium);

/* Raises the state to `state`, unless it is there or above. Any thread. */
void fletch_spill_medium_fail(struct fletch_spill_medium *medium, enum fletch_spill_state state);

/* Makes a file in the directory `directory`, a descriptor, with one reference. `*out_cause`: the
 * error number of the system, or 0: no memory. False: it failed. */
bool fletch_spill_file_create(struct fletch_spill_medium *medium, int directory,
                              struct fletch_spill_file **out_file, int *out_cause);

/* The writer has added a frame of `stored_bytes` bytes at the end. */
void fletch_spill_file_add(struct fletch_spill_file *file, uint64_t stored_bytes);

/* Nobody reads the frame any more: makes a hole of it, where there are holes. */
void fletch_spill_file_give_back(struct fletch_spill_file *file, uint64_t offset,
                                 uint64_t stored_bytes);

#endif
