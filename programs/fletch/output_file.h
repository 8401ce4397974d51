#ifndef FLETCH_PROGRAM_OUTPUT_FILE_H
#define FLETCH_PROGRAM_OUTPUT_FILE_H

#include <stdbool.h>

#include <fletching/ipc_writer.h>

#include "outcome.h"

/* One Arrow IPC file with a temporary name until it is complete. One at a time in a process: a
 * signal that ends it (SIGINT, SIGTERM, SIGHUP) takes the unfinished file along. */
struct output_file {
    const char *path; /* the caller's */
    const char *name; /* its last part */
    int folder_fd;
    int fd; /* to write to; -1: not open */
    bool replaces;
};

/* Refuses what is there already, unless it is a file and to be replaced. */
enum outcome output_file_open(struct output_file *file, const char *path, bool replaces);

/* Brings it to the disk and gives it its name. The file is ended whatever the outcome. */
enum outcome output_file_publish(struct output_file *file);

/* Removes what was written, unless it is published. */
void output_file_end(struct output_file *file);

/* Names ending in .arrows are of streams, all others of files. */
enum fletch_ipc_format output_file_format(const char *path);

/* "lz4" or "zstd"; false: neither. NULL is no compression. */
bool output_compression_parse(const char *word, enum fletch_ipc_compression *out_compression);

#endif
