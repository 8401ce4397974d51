#ifndef FLETCH_SPILL_SPILL_SEGMENT_H
#define FLETCH_SPILL_SPILL_SEGMENT_H

/* Where one writer puts frames, whole record batches, for which there is no room in memory: files
 * without a name in a directory of the user's. docs/SPILL.md tells how it is made.
 *
 * Roles: one thread at a time, the writer, creates, appends and closes. Any thread reads
 * (fletch_spill_read) and releases locations that were handed to it, acquires and releases the
 * segment, and looks at state and statistics. Calls wait for the disk, and never for a thread. */

#include "arrow/schema.h"
#include "memory/batch.h"
#include "spill/spill_file.h"
#include "spill/spill_source.h" /* fletch_spill_read */

struct fletch_spill_segment;

struct fletch_spill_options {
    const char *directory;                    /* copied; files stay in it if it is renamed */
    struct fletch_schema *schema;             /* of every frame; acquired */
    struct fletch_buffer_cache *cache;        /* the writer's, until close */
    struct fletch_account *account;           /* charged for scratch until close; NULL: nobody */
    const struct fletch_allocator *allocator; /* NULL: the default one */
    uint64_t file_bytes; /* a file that has so many is followed by another; 0: 64 MiB where the */
                         /* file system has no holes, 1 TiB where it does */
    enum fletch_spill_codec codec;    /* of the blocks that frames are stored as */
    const struct fletch_spill_io *io; /* NULL: the system's; must outlive the segment */
};

/* Whether frames can be written there, found out by making a file. NOT_FOUND, PERMISSION_DENIED,
 * INVALID_ARGUMENT (no directory), RESOURCE_EXHAUSTED (no space), UNAVAILABLE: names the path and
 * the system's answer. */
enum fletch_status fletch_spill_directory_check(const char *directory,
                                                const struct fletch_spill_io *io,
                                                struct fletch_error *error);

/* What a segment with these options reserves at its account when it is made. The directory need not
 * be there. UNIMPLEMENTED: a codec that the build is without, or a schema that cannot be written;
 * RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_spill_scratch_bytes(const struct fletch_spill_options *options,
                                              uint64_t *out_bytes, struct fletch_error *error);

/* Makes a segment with its first file and one reference, the writer's. Scratch for any frame that
 * is no slice is reserved at the account from here on, so that appending such a frame needs no room
 * in a budget that is full. Errors as fletch_spill_directory_check; RESOURCE_EXHAUSTED: no memory,
 * or the account is full; UNIMPLEMENTED: a codec that the build is without. */
enum fletch_status fletch_spill_segment_create(const struct fletch_spill_options *options,
                                               struct fletch_spill_segment **out_segment,
                                               struct fletch_error *error);

/* The writer is done: gives back its scratch, and the writer's reference. Files stay until their
 * frames are released. NULL allowed. */
void fletch_spill_segment_close(struct fletch_spill_segment *segment);

/* For those who look at state and statistics beside or after the writer. */
struct fletch_spill_segment *fletch_spill_segment_acquire(struct fletch_spill_segment *segment);
void fletch_spill_segment_release(struct fletch_spill_segment *segment);

/* Writes the batch, of the segment's schema. The caller keeps its reference on success too, and
 * drops it to have the memory back. RESOURCE_EXHAUSTED: no space on disk (the segment is read-only
 * from now on), or no room at the account for the scratch of a slice (it stays open: see the
 * state). UNAVAILABLE: the disk failed (quarantined from now on). INVALID_ARGUMENT: the batch is
 * not of the schema. On failure nothing was added, and what was written before stays readable. */
enum fletch_status fletch_spill_segment_append(struct fletch_spill_segment *segment,
                                               struct fletch_batch *batch,
                                               struct fletch_spill_location *out_location,
                                               struct fletch_error *error);

enum fletch_spill_state fletch_spill_segment_state(const struct fletch_spill_segment *segment);

/* Gives the frame's space back, once, read or not; the location is gone. Never fails: space that
 * cannot be given back now is so when the file is closed. */
void fletch_spill_release(const struct fletch_spill_location *location);

/* Counted since the segment was made; frames that come and go meanwhile may be counted in part. */
struct fletch_spill_statistics {
    enum fletch_spill_state state;
    uint64_t frames_written;
    uint64_t frames_read;
    uint64_t frames_live;   /* not released yet */
    uint64_t bytes_spilled; /* of frames in memory, before compression */
    uint64_t bytes_written; /* to disk */
    uint64_t bytes_read;    /* from disk */
    uint64_t bytes_on_disk; /* now */
    uint64_t files_open;    /* now */
};

void fletch_spill_segment_statistics(const struct fletch_spill_segment *segment,
                                     struct fletch_spill_statistics *out_statistics);

#endif
