#include "shuffle_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bounds_file.h"

/* Batches that bounds are proposed from, at most. */
enum { SAMPLE_BATCHES = 256 };

static bool is_regular(const char *path)
{
    struct stat about;
    return strcmp(path, INPUTS_STANDARD) != 0 ? stat(path, &about) == 0 && S_ISREG(about.st_mode)
                                              : false;
}

static enum outcome look_at_schema(struct shuffle_job *job, const struct input_reader *reader)
{
    struct fletch_error error;
    struct fletch_schema *schema = fletch_ipc_reader_schema(reader->reader);
    if (job->schema == NULL) {
        job->schema = fletch_schema_acquire(schema);
        return OUTCOME_DONE;
    }
    /* Encodings may differ: the parts have those of the first input. */
    if (fletch_schema_compare(job->schema, schema, FLETCH_COMPARE_VALUE_TYPES, &error) == FLETCH_OK)
        return OUTCOME_DONE;
    return outcome_tell(OUTCOME_INPUT, "%s: not the schema of %s: %s", inputs_name(reader->path),
                        inputs_name(job->paths.paths[0]), error.message);
}

/* Opens an input; one that can be opened once only stays open. */
static enum outcome look_at_input(struct shuffle_job *job, struct shuffle_input *input)
{
    struct fletch_error error;
    struct fletch_ipc_read_options options = {.struct_size = sizeof options,
                                              .cache = job->context.cache};
    input->is_kept = !is_regular(input->path);
    if (input->is_kept &&
        fletch_buffer_cache_open(job->context.pool, &input->kept_cache, &error) != FLETCH_OK)
        return outcome_tell_error(NULL, &error);
    if (input->is_kept)
        options.cache = input->kept_cache;
    enum outcome outcome = input_reader_open(&input->kept, input->path, &options);
    if (outcome != OUTCOME_DONE) {
        input->is_kept = false;
        return outcome;
    }
    outcome = look_at_schema(job, &input->kept);
    input->bytes = input->kept.bytes;
    input->batch_count =
        input->is_kept ? FLETCH_IPC_UNKNOWN : fletch_ipc_reader_batch_count(input->kept.reader);
    job->share_is_known &= !input->is_kept;
    if (!input->is_kept)
        input_reader_close(&input->kept);
    return outcome;
}

static enum outcome look_at_inputs(struct shuffle_job *job)
{
    job->inputs = calloc(job->paths.count, sizeof *job->inputs);
    if (job->inputs == NULL)
        return outcome_tell(OUTCOME_SYSTEM, "no memory for %zu inputs", job->paths.count);
    enum outcome outcome = OUTCOME_DONE;
    job->share_is_known = true;
    for (size_t i = 0; i < job->paths.count && outcome == OUTCOME_DONE; i++) {
        job->inputs[i].path = job->paths.paths[i];
        outcome = look_at_input(job, &job->inputs[i]);
        job->input_bytes += job->inputs[i].bytes;
    }
    return outcome;
}

struct fletch_partitioner_options shuffle_plan_partitioner(const struct shuffle_job *job)
{
    const struct shuffle_settings *settings = &job->settings;
    bool has_keys = !settings->is_round_robin;
    return (struct fletch_partitioner_options){
        .struct_size = sizeof(struct fletch_partitioner_options),
        .method = settings->is_round_robin ? FLETCH_PARTITION_ROUND_ROBIN
                  : settings->is_range     ? FLETCH_PARTITION_RANGE
                                           : FLETCH_PARTITION_HASH,
        .partition_count = (uint32_t)settings->partition_count,
        .key_columns = has_keys ? job->keys.numbers : NULL,
        .key_column_count = has_keys ? job->keys.count : 0,
        .range_orders = settings->is_range ? job->orders : NULL,
        .range_bounds = job->bounds};
}

/* ---- bounds of ranges ---- */

struct sample {
    struct shuffle_job *job;
    struct fletch_batch *batches[SAMPLE_BATCHES];
    size_t count;
    size_t step; /* each step-th batch is taken */
    size_t seen;
};

/* Keeps each step-th batch; when there are too many of them, every second one goes and the step
 * doubles. */
static enum outcome keep_batch(void *context, struct fletch_batch *batch)
{
    struct sample *sample = context;
    if (sample->seen++ % sample->step != 0 || fletch_batch_row_count(batch) == 0)
        return OUTCOME_DONE;
    if (sample->count == SAMPLE_BATCHES) {
        for (size_t i = 0; i < SAMPLE_BATCHES; i++) {
            if (i % 2 == 1)
                fletch_batch_release(sample->job->context.cache, sample->batches[i]);
            else
                sample->batches[i / 2] = sample->batches[i];
        }
        sample->count = SAMPLE_BATCHES / 2;
        sample->step *= 2;
    }
    sample->batches[sample->count++] = fletch_batch_acquire(batch);
    return OUTCOME_DONE;
}

static enum outcome propose(struct sample *sample)
{
    struct shuffle_job *job = sample->job;
    struct fletch_error error;
    struct fletch_partitioner_options options = shuffle_plan_partitioner(job);
    struct fletch_range_sample draw = {.batches = sample->batches,
                                       .batch_count = sample->count,
                                       .cache = job->context.cache,
                                       .seed = 1};
    if (sample->count == 0)
        return outcome_tell(OUTCOME_INPUT, "no rows to propose bounds from; --bounds FILE gives "
                                           "them");
    if (fletch_range_propose(job->schema, &options, &draw, &job->bounds, &error) != FLETCH_OK)
        return outcome_tell_error(NULL, &error);
    return OUTCOME_DONE;
}

static enum outcome propose_bounds(struct shuffle_job *job)
{
    struct sample sample = {.job = job, .step = 1};
    struct input_visitor visitor = {.batch = keep_batch, .state = &sample};
    if (!job->share_is_known)
        return options_refuse(job->settings.usage,
                              "--range wants --bounds FILE where an input is no file: a pipe can "
                              "be read once only");
    enum outcome outcome = input_visit(&job->context, &job->paths, &visitor);
    if (outcome == OUTCOME_DONE)
        outcome = propose(&sample);
    for (size_t i = 0; i < sample.count; i++)
        fletch_batch_release(job->context.cache, sample.batches[i]);
    if (outcome == OUTCOME_DONE && job->settings.save_bounds_path != NULL)
        outcome =
            bounds_file_write(job->settings.save_bounds_path, job->context.cache, job->bounds);
    return outcome;
}

static enum outcome find_bounds(struct shuffle_job *job)
{
    if (!job->settings.is_range || job->settings.partition_count == 1)
        return OUTCOME_DONE;
    if (job->settings.bounds_path != NULL)
        return bounds_file_read(job->settings.bounds_path, job->context.cache, &job->bounds);
    return propose_bounds(job);
}

/* A key or bounds that the partitioner cannot take are usage, and are told before anything is
 * written. */
static enum outcome try_partitioner(struct shuffle_job *job)
{
    struct fletch_partitioner *partitioner;
    struct fletch_error error;
    struct fletch_partitioner_options options = shuffle_plan_partitioner(job);
    if (fletch_partitioner_create(job->schema, &options, NULL, &partitioner, &error) != FLETCH_OK)
        return options_refuse(job->settings.usage, "%s", error.message);
    fletch_partitioner_destroy(partitioner);
    return OUTCOME_DONE;
}

enum outcome shuffle_plan(struct shuffle_job *job, const struct operands *operands)
{
    enum outcome outcome = input_context_begin(&job->context, FLETCH_VALIDATION_OFFSETS);
    if (outcome == OUTCOME_DONE)
        outcome = inputs_expand(&job->paths, operands->words, operands->count);
    if (outcome == OUTCOME_DONE)
        outcome = look_at_inputs(job);
    if (outcome == OUTCOME_DONE && job->settings.by != NULL)
        outcome = key_columns_find(job->settings.usage, job->schema, job->settings.by, &job->keys);
    if (outcome == OUTCOME_DONE && job->settings.is_range)
        outcome = key_orders_parse(job->settings.usage, job->settings.order, job->keys.count,
                                   job->orders);
    if (outcome == OUTCOME_DONE)
        outcome = find_bounds(job);
    return outcome == OUTCOME_DONE ? try_partitioner(job) : outcome;
}

void shuffle_plan_end(struct shuffle_job *job)
{
    for (size_t i = 0; i < job->paths.count && job->inputs != NULL; i++) {
        if (job->inputs[i].is_kept)
            input_reader_close(&job->inputs[i].kept);
        fletch_buffer_cache_close(job->inputs[i].kept_cache);
    }
    fletch_batch_release(job->context.cache, job->bounds);
    fletch_schema_release(job->schema);
    if (job->context.pool != NULL)
        input_context_end(&job->context);
    inputs_end(&job->paths);
    free(job->inputs);
    job->inputs = NULL;
}
