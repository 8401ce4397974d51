#ifndef FLETCH_PROGRAM_PART_FILES_H
#define FLETCH_PROGRAM_PART_FILES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <fletching/batch.h>
#include <fletching/ipc_writer.h>
#include <fletching/schema.h>

#include "outcome.h"

/* One Arrow IPC file for each partition in a folder, with a temporary name until all of them are
 * complete. Files of different partitions may be used by different threads at once, each of which
 * has those whose number is its own, modulo their count. */
struct part_file {
    struct fletch_ipc_writer *writer; /* to the descriptor of its slot */
    uint64_t rows;
    uint64_t batches;
    uint64_t bytes;       /* when it is finished */
    _Atomic bool is_made; /* looked at by part_folder_abandon while others run */
    bool is_published;
};

/* A descriptor that some parts of one thread share, where the system does not allow one for each:
 * it is that of the part that was written last, and is made another's by the next one's turn. */
struct part_slot {
    int fd;                     /* -1: none yet */
    struct part_file *attached; /* whose file it is; NULL: nobody's */
};

struct part_folder {
    bool replaces; /* parts that are there */
    const char *path;
    int fd;
    bool is_made; /* by us: goes with a failure */
    bool syncs;
    char prefix[64]; /* of temporary names */
    struct part_file *files;
    uint32_t count;
    struct part_slot *slots;
    uint32_t thread_count;
    uint32_t slots_each; /* of each thread */
    enum fletch_ipc_compression compression;
};

/* What is asked of a folder. */
struct part_plan {
    const char *path;
    uint32_t count;
    uint32_t thread_count; /* part i is used by thread i mod this */
    uint32_t open_files;   /* at most so many at once, at least one for each thread */
    bool replaces;
    enum fletch_ipc_compression compression;
};

/* Opens or makes the folder. Files that an earlier run left unfinished are told; parts that are
 * there already are refused unless they are to be replaced. */
enum outcome part_folder_open(struct part_folder *folder, const struct part_plan *plan);

/* Begins the file of a partition if it was not begun. `cache` belongs to the thread that uses this
 * partition until it is finished. */
enum fletch_status part_file_begin(struct part_folder *folder, uint32_t partition,
                                   struct fletch_schema *schema, struct fletch_buffer_cache *cache,
                                   struct fletch_error *error);
enum fletch_status part_file_write(struct part_folder *folder, uint32_t partition,
                                   struct fletch_batch *batch, struct fletch_error *error);
/* Writes the footer. */
enum fletch_status part_file_finish(struct part_folder *folder, uint32_t partition,
                                    struct fletch_error *error);
/* Brings a finished file to the disk, if that is wanted, and closes it. */
enum fletch_status part_file_sync(struct part_folder *folder, uint32_t partition,
                                  struct fletch_error *error);

/* Gives every file its final name; on failure takes back those that it gave. */
enum outcome part_folder_publish(struct part_folder *folder);

/* Lets go of everything; what was not published is removed. Calls the system only, so that it also
 * does while workers that hang still use the files: those get nothing under a name. */
void part_folder_abandon(struct part_folder *folder);
/* The same for a folder that no worker uses any more; frees its memory. */
void part_folder_close(struct part_folder *folder);

#endif
