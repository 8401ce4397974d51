#ifndef FLETCH_PROGRAM_ARROW_OUTPUT_H
#define FLETCH_PROGRAM_ARROW_OUTPUT_H

#include <fletching/batch.h>
#include <fletching/ipc_writer.h>
#include <fletching/schema.h>

#include "output_file.h"

/* One Arrow IPC stream or file that batches of one schema go to: standard output, or a file that
 * has its name when it is complete. */
struct arrow_output {
    struct output_file file; /* not open: standard output */
    const char *name;        /* for messages */
    struct fletch_ipc_write_options options;
    struct fletch_ipc_writer *writer; /* NULL: there was no schema yet */
    struct fletch_schema *schema;     /* with a reference */
};

/* Where it goes. `path` NULL: standard output. */
struct arrow_output_plan {
    const char *path;
    bool replaces;
    enum fletch_ipc_compression compression;
    struct fletch_buffer_cache *cache;
};

/* To be ended whatever the outcome. */
enum outcome arrow_output_open(struct arrow_output *output, const struct arrow_output_plan *plan);

/* Begins with the first schema, and refuses another than that, which came from `source` as its part
 * `number`: "source: endpoint 2 ...". */
struct arrow_source {
    const char *name;
    const char *part; /* "endpoint", "partition" */
    size_t number;
};
enum outcome arrow_output_begin(struct arrow_output *output, struct fletch_schema *schema,
                                const struct arrow_source *source);
enum outcome arrow_output_write(struct arrow_output *output, struct fletch_batch *batch);

/* Ends it. With OUTCOME_DONE so far it is completed and gets its name, else it is removed. */
enum outcome arrow_output_end(struct arrow_output *output, enum outcome outcome);

#endif
