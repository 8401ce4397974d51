#ifndef FLETCH_PROGRAM_GET_SINK_H
#define FLETCH_PROGRAM_GET_SINK_H

#include "arrow_output.h"
#include "part_files.h"

/* Where `fletch get` writes partitions: all of them to one output, or each to a part file. */
struct get_sink {
    const char *location; /* for messages */
    struct fletch_buffer_cache *cache;
    struct arrow_output output;
    struct part_folder folder; /* with `has_parts` */
    bool has_parts;
};

/* With `folder` NULL: to the output's plan. To be ended whatever the outcome. */
struct get_sink_plan {
    const char *location;
    struct arrow_output_plan output;
    const char *folder;
    uint32_t partition_count;
};
enum outcome get_sink_open(struct get_sink *sink, const struct get_sink_plan *plan);

enum outcome get_sink_begin(struct get_sink *sink, uint32_t partition,
                            struct fletch_schema *schema);
enum outcome get_sink_write(struct get_sink *sink, uint32_t partition, struct fletch_batch *batch);
enum outcome get_sink_finish(struct get_sink *sink, uint32_t partition);

/* With OUTCOME_DONE so far what was written gets its names, else it is removed. */
enum outcome get_sink_end(struct get_sink *sink, enum outcome outcome);

#endif
