#include "get_sink.h"

#include <sys/resource.h>

enum { DESCRIPTORS_BESIDE = 64 };

/* How many parts may be open at once: all, or half of what the system allows; the rest is for
 * their streams. */
static uint32_t open_files(uint32_t partition_count)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return 1;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* what is not given is done without */
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur <= 2 * DESCRIPTORS_BESIDE)
        return 1;
    uint64_t most = (files.rlim_cur - DESCRIPTORS_BESIDE) / 2;
    return partition_count < most ? partition_count : (uint32_t)most;
}

enum outcome get_sink_open(struct get_sink *sink, const struct get_sink_plan *plan)
{
    *sink = (struct get_sink){
        .location = plan->location, .cache = plan->output.cache, .has_parts = plan->folder != NULL};
    if (!sink->has_parts)
        return arrow_output_open(&sink->output, &plan->output);
    const struct part_plan parts = {.path = plan->folder,
                                    .count = plan->partition_count,
                                    .thread_count = 1,
                                    .open_files = open_files(plan->partition_count),
                                    .replaces = plan->output.replaces,
                                    .compression = plan->output.compression};
    enum outcome outcome = part_folder_open(&sink->folder, &parts);
    sink->folder.syncs = true;
    return outcome;
}

static enum outcome tell(const struct get_sink *sink, const struct fletch_error *error)
{
    return outcome_tell_error(sink->folder.path, error);
}

enum outcome get_sink_begin(struct get_sink *sink, uint32_t partition, struct fletch_schema *schema)
{
    const struct arrow_source source = {sink->location, "partition", partition};
    struct fletch_error error;
    if (!sink->has_parts)
        return arrow_output_begin(&sink->output, schema, &source);
    if (part_file_begin(&sink->folder, partition, schema, sink->cache, &error) != FLETCH_OK)
        return tell(sink, &error);
    return OUTCOME_DONE;
}

enum outcome get_sink_write(struct get_sink *sink, uint32_t partition, struct fletch_batch *batch)
{
    struct fletch_error error;
    if (!sink->has_parts)
        return arrow_output_write(&sink->output, batch);
    if (part_file_write(&sink->folder, partition, batch, &error) != FLETCH_OK)
        return tell(sink, &error);
    return OUTCOME_DONE;
}

enum outcome get_sink_finish(struct get_sink *sink, uint32_t partition)
{
    struct fletch_error error;
    if (!sink->has_parts)
        return OUTCOME_DONE;
    if (part_file_finish(&sink->folder, partition, &error) != FLETCH_OK ||
        part_file_sync(&sink->folder, partition, &error) != FLETCH_OK)
        return tell(sink, &error);
    return OUTCOME_DONE;
}

enum outcome get_sink_end(struct get_sink *sink, enum outcome outcome)
{
    if (!sink->has_parts)
        return arrow_output_end(&sink->output, outcome);
    if (outcome == OUTCOME_DONE)
        outcome = part_folder_publish(&sink->folder);
    part_folder_close(&sink->folder);
    return outcome;
}
