#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "command.h"
#include "output_file.h"
#include "shuffle_job.h"
#include "shuffle_plan.h"
#include "shuffle_progress.h"
#include "shuffle_report.h"

enum {
    TICK_MS = 100,
    THREADS_MAX = 1024,
    FILES_BESIDE = 64, /* descriptors for everything but inputs and parts */
    ABANDON_SECONDS = 3,
    MEMORY_LEAST = 16384,
    DELIVERED_SHARE = 4 /* of the memory: what is being written to files */
};

/* ---- before anything is written ---- */

static enum outcome check_sums(struct shuffle_job *job)
{
    static const struct {
        const char *word;
        enum fletch_sum_level level;
    } known[] = {{"keys", FLETCH_SUMS_KEYS},
                 {"rows", FLETCH_SUMS_ROWS},
                 {"counts", FLETCH_SUMS_COUNTS},
                 {"off", FLETCH_SUMS_OFF}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(job->settings.sums_word, known[i].word) == 0) {
            job->sums = known[i].level;
            return OUTCOME_DONE;
        }
    return options_refuse(job->settings.usage, "--sums is '%s', expected keys, rows, counts or off",
                          job->settings.sums_word);
}

static enum outcome check_compression(struct shuffle_settings *settings)
{
    const char *parts = settings->compress_word, *spilled = settings->compress_spill_word;
    if (!output_compression_parse(parts, &settings->compression))
        return options_refuse(settings->usage, "--compress is '%s', expected lz4 or zstd", parts);
    if (spilled == NULL)
        return OUTCOME_DONE;
    if (strcmp(spilled, "lz4") == 0)
        settings->spill_codec = FLETCH_SPILL_LZ4;
    else if (strcmp(spilled, "zstd") == 0)
        settings->spill_codec = FLETCH_SPILL_ZSTD;
    else
        return options_refuse(settings->usage, "--compress-spill is '%s', expected lz4 or zstd",
                              spilled);
    if (settings->spill_directory == NULL)
        return options_refuse(settings->usage, "--compress-spill is of --spill-dir");
    return OUTCOME_DONE;
}

static enum outcome check_count(const struct shuffle_settings *settings, const char *name,
                                uint64_t count, uint64_t most)
{
    if (count >= 1 && count <= most)
        return OUTCOME_DONE;
    return options_refuse(settings->usage, "--%s is %" PRIu64 ", expected 1 to %" PRIu64, name,
                          count, most);
}

static enum outcome check_memory(const struct shuffle_settings *settings)
{
    if (settings->memory_bytes >= MEMORY_LEAST && settings->memory_bytes <= FLETCH_BUDGET_BYTES_MAX)
        return OUTCOME_DONE;
    return options_refuse(settings->usage, "--memory is %" PRIu64 ", expected %d to %" PRIu64,
                          settings->memory_bytes, MEMORY_LEAST, FLETCH_BUDGET_BYTES_MAX);
}

static enum outcome check_method(const struct shuffle_settings *settings)
{
    if (settings->is_round_robin && (settings->is_range || settings->by != NULL))
        return options_refuse(settings->usage, "--round-robin has no --by and no --range");
    if (!settings->is_round_robin && settings->by == NULL)
        return options_refuse(settings->usage, "no --by COLS (or --round-robin)");
    if (settings->order != NULL && !settings->is_range)
        return options_refuse(settings->usage, "--order is of --range");
    if (settings->bounds_path != NULL && !settings->is_range)
        return options_refuse(settings->usage, "--bounds are of --range");
    if (settings->save_bounds_path != NULL && (!settings->is_range || settings->bounds_path))
        return options_refuse(settings->usage, "--save-bounds is of --range without --bounds");
    return OUTCOME_DONE;
}

/* A path that is empty names nothing; nor is a folder to spill to what is none. */
static enum outcome check_paths(const struct shuffle_settings *settings)
{
    const struct {
        const char *name;
        const char *path;
    } paths[] = {{"out", settings->out},
                 {"spill-dir", settings->spill_directory},
                 {"bounds", settings->bounds_path},
                 {"save-bounds", settings->save_bounds_path}};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (paths[i].path != NULL && paths[i].path[0] == '\0')
            return options_refuse(settings->usage, "--%s is empty, expected a path", paths[i].name);
    if (settings->spill_directory == NULL)
        return OUTCOME_DONE;
    int fd = open(settings->spill_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return outcome_tell_errno(settings->spill_directory, "cannot open the folder to spill to");
    close(fd);
    return OUTCOME_DONE;
}

static enum outcome check_settings(struct shuffle_job *job, const struct operands *operands)
{
    struct shuffle_settings *settings = &job->settings;
    if (operands->count == 0)
        return options_refuse(settings->usage, "no INPUT");
    if (settings->out == NULL)
        return options_refuse(settings->usage, "no --out DIR");
    enum outcome outcome = inputs_check(settings->usage, operands->words, operands->count);
    if (outcome == OUTCOME_DONE)
        outcome = check_paths(settings);
    if (outcome == OUTCOME_DONE)
        outcome =
            check_count(settings, "partitions", settings->partition_count, FLETCH_PARTITIONS_MAX);
    if (outcome == OUTCOME_DONE)
        outcome = check_count(settings, "producers", settings->producer_count, THREADS_MAX);
    if (outcome == OUTCOME_DONE)
        outcome = check_count(settings, "threads", settings->thread_count, THREADS_MAX);
    if (outcome == OUTCOME_DONE)
        outcome = check_memory(settings);
    if (outcome == OUTCOME_DONE)
        outcome = check_method(settings);
    if (outcome == OUTCOME_DONE)
        outcome = check_sums(job);
    if (outcome == OUTCOME_DONE)
        outcome = check_compression(settings);
    if (settings->thread_count > settings->partition_count)
        settings->thread_count = settings->partition_count;
    return outcome;
}

/* How many parts may be open at once: all of them, or what the system's limit leaves beside the
 * inputs; those then take turns. */
static enum outcome find_open_files(struct shuffle_job *job, uint32_t *out_open_files)
{
    const struct shuffle_settings *settings = &job->settings;
    struct rlimit files;
    uint64_t parts = settings->partition_count, least = settings->thread_count;
    uint64_t beside = FILES_BESIDE + 4 * settings->producer_count + 2 * settings->thread_count;
    for (size_t i = 0; i < job->paths.count; i++)
        beside += job->inputs[i].is_kept;
    *out_open_files = (uint32_t)parts;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= parts + beside)
        return OUTCOME_DONE;
    uint64_t most = files.rlim_max;
    if (most < least + beside)
        return outcome_tell(OUTCOME_SYSTEM,
                            "%" PRIu64 " threads and their inputs want %" PRIu64
                            " open files, and %" PRIu64 " are allowed (ulimit -n)",
                            settings->thread_count, least + beside, most);
    files.rlim_cur = most < parts + beside ? most : parts + beside;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        return outcome_tell_errno("ulimit -n", "cannot raise it");
    if (files.rlim_cur < parts + beside)
        *out_open_files = (uint32_t)(files.rlim_cur - beside);
    return OUTCOME_DONE;
}

/* ---- running ---- */

struct shuffle_run {
    struct shuffle_job *job;
    pthread_t *threads;
    uint64_t thread_count; /* that were started */
    int signal_fd;
};

static enum outcome register_shuffle(struct shuffle_job *job)
{
    static const char name[] = "fletch";
    const struct shuffle_settings *settings = &job->settings;
    struct fletch_error error;
    uint64_t delivered_bytes = settings->memory_bytes / DELIVERED_SHARE;
    /* The memory is the shuffle's and its readers'. Beside it the transport has room for a row that
     * is larger than that, of which there is one at a time. */
    struct fletch_transport_options transport = {.struct_size = sizeof transport,
                                                 .budget_bytes = FLETCH_BUDGET_BYTES_MAX,
                                                 .delivered_bytes = delivered_bytes};
    struct fletch_partitioner_options partitioner = shuffle_plan_partitioner(job);
    struct fletch_shuffle_options options = {.struct_size = sizeof options,
                                             .name = name,
                                             .name_bytes = sizeof name - 1,
                                             .schema = job->schema,
                                             .partitioner = &partitioner,
                                             .producer_count = (uint32_t)settings->producer_count,
                                             .budget_bytes =
                                                 settings->memory_bytes - delivered_bytes,
                                             .linger_ns = FLETCH_OFF,
                                             .sums = job->sums,
                                             .barrier_limit = 1, /* none is sent */
                                             .spill_directory = settings->spill_directory,
                                             .spill_codec = settings->spill_codec};
    if (fletch_transport_create(&transport, NULL, &job->transport, &error) != FLETCH_OK ||
        fletch_shuffle_register(job->transport, &options, &job->shuffle, &error) != FLETCH_OK)
        return outcome_tell(error.status == FLETCH_INVALID_ARGUMENT ? OUTCOME_USAGE
                                                                    : outcome_of(error.status),
                            "%s%s", error.message,
                            error.status == FLETCH_RESOURCE_EXHAUSTED
                                ? " (three quarters of --memory are that budget)"
                                : "");
    return OUTCOME_DONE;
}

static enum outcome make_workers(struct shuffle_job *job)
{
    uint64_t producers = job->settings.producer_count, consumers = job->settings.thread_count;
    job->producers = calloc(producers, sizeof *job->producers);
    job->consumers = calloc(consumers, sizeof *job->consumers);
    job->verified = calloc(job->folder.count, sizeof *job->verified);
    job->wake_fd = eventfd(0, EFD_CLOEXEC);
    if (job->producers == NULL || job->consumers == NULL || job->verified == NULL)
        return outcome_tell(OUTCOME_SYSTEM, "no memory for %" PRIu64 " threads",
                            producers + consumers);
    if (job->wake_fd < 0)
        return outcome_tell_errno("eventfd", "cannot make it");
    for (uint32_t i = 0; i < producers; i++)
        job->producers[i] = (struct shuffle_worker){.job = job, .number = i};
    for (uint32_t i = 0; i < consumers; i++)
        job->consumers[i] = (struct shuffle_worker){.job = job, .number = i};
    return OUTCOME_DONE;
}

/* SIGINT, SIGTERM and SIGHUP come by a descriptor from here on; a broken pipe is an answer of
 * write. */
static enum outcome catch_signals(struct shuffle_run *run)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    run->signal_fd = -1;
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    run->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signal_fd < 0 ? outcome_tell_errno("signalfd", "cannot make it") : OUTCOME_DONE;
}

static void start_threads(struct shuffle_run *run)
{
    struct shuffle_job *job = run->job;
    uint64_t consumers = job->settings.thread_count, producers = job->settings.producer_count;
    for (uint64_t i = 0; i < consumers + producers; i++) {
        bool is_consumer = i < consumers;
        struct shuffle_worker *worker =
            is_consumer ? &job->consumers[i] : &job->producers[i - consumers];
        atomic_fetch_add(&job->workers_left, 1);
        if (pthread_create(&run->threads[i], NULL, is_consumer ? shuffle_consume : shuffle_produce,
                           worker) != 0) {
            atomic_fetch_sub(&job->workers_left, 1);
            shuffle_job_fail(job, OUTCOME_SYSTEM, "cannot start thread %" PRIu64 " of %" PRIu64,
                             i + 1, consumers + producers);
            return;
        }
        run->thread_count++;
    }
}

/* Looks whether a signal has come. */
static void take_signal(struct shuffle_run *run)
{
    struct signalfd_siginfo came;
    if (read(run->signal_fd, &came, sizeof came) != sizeof came)
        return;
    bool is_interrupt = came.ssi_signo == SIGINT;
    shuffle_job_fail(run->job, is_interrupt ? OUTCOME_INTERRUPTED : OUTCOME_TERMINATED,
                     "%s: nothing of %s is under a final name; run it again when you like",
                     is_interrupt ? "interrupted" : "terminated", run->job->settings.out);
}

/* A thread may sleep in a read of a pipe that never ends: a run that is to end does not wait for
 * it. */
static void leave_hanging(struct shuffle_run *run, struct shuffle_progress *progress)
{
    shuffle_progress_end(progress);
    part_folder_abandon(&run->job->folder);
    outcome_tell(run->job->failure, "%s", run->job->failure_text);
    _exit((int)run->job->failure);
}

static void watch(struct shuffle_run *run, struct shuffle_progress *progress)
{
    double failed_at = 0;
    while (atomic_load(&run->job->workers_left) > 0) {
        struct pollfd descriptors[] = {{.fd = run->signal_fd, .events = POLLIN},
                                       {.fd = run->job->wake_fd, .events = POLLIN}};
        uint64_t ignored;
        poll(descriptors, 2, TICK_MS);
        if ((descriptors[1].revents & POLLIN) != 0 &&
            read(run->job->wake_fd, &ignored, sizeof ignored) < 0)
            continue;
        take_signal(run);
        shuffle_progress_tick(progress, run->job);
        if (failed_at <= 0 && atomic_load(&run->job->told))
            failed_at = shuffle_clock();
        if (failed_at > 0 && shuffle_clock() > failed_at + ABANDON_SECONDS)
            leave_hanging(run, progress);
    }
}

/* Everything between the first thread and the last one. */
static enum outcome run_threads(struct shuffle_run *run)
{
    struct shuffle_job *job = run->job;
    struct shuffle_progress progress;
    run->threads =
        calloc(job->settings.thread_count + job->settings.producer_count, sizeof *run->threads);
    if (run->threads == NULL)
        return outcome_tell(OUTCOME_SYSTEM, "no memory for threads");
    shuffle_progress_begin(&progress, job);
    start_threads(run);
    watch(run, &progress);
    for (uint64_t i = 0; i < run->thread_count; i++)
        pthread_join(run->threads[i], NULL);
    free(run->threads);
    shuffle_progress_end(&progress);
    take_signal(run);
    if (!atomic_load(&job->failed))
        return OUTCOME_DONE;
    return outcome_tell(job->failure, "%s", job->failure_text);
}

/* Rows that came in and did not go out are a bug that no sum has found. */
static enum outcome check_rows(const struct shuffle_job *job)
{
    uint64_t in = shuffle_rows(job->producers, job->settings.producer_count), out = 0;
    for (uint32_t i = 0; i < job->folder.count; i++)
        out += job->folder.files[i].rows;
    if (in == out)
        return OUTCOME_DONE;
    return outcome_tell(OUTCOME_DIFFERS, "%" PRIu64 " rows came in and %" PRIu64 " were written",
                        in, out);
}

static enum outcome run_job(struct shuffle_run *run)
{
    struct shuffle_job *job = run->job;
    enum outcome outcome = make_workers(job);
    if (outcome == OUTCOME_DONE)
        outcome = run_threads(run);
    if (outcome == OUTCOME_DONE)
        outcome = check_rows(job);
    if (outcome == OUTCOME_DONE)
        outcome = part_folder_publish(&job->folder);
    if (outcome == OUTCOME_DONE)
        shuffle_report_print(job, shuffle_clock() - job->started);
    if (job->wake_fd >= 0)
        close(job->wake_fd);
    free(job->producers);
    free(job->consumers);
    free(job->verified);
    return outcome;
}

/* Ends shuffle and transport: what they still hold would be a bug. */
static enum outcome end_transport(struct shuffle_job *job, enum outcome outcome)
{
    struct fletch_error error;
    if (job->shuffle != NULL)
        fletch_shuffle_close(job->shuffle);
    fletch_shuffle_release(job->shuffle);
    if (fletch_transport_destroy(job->transport, &error) != FLETCH_OK && outcome == OUTCOME_DONE)
        return outcome_tell(OUTCOME_BUG, "%s", error.message);
    return outcome;
}

static enum outcome run_planned(struct shuffle_job *job)
{
    struct shuffle_run run = {.job = job};
    job->started = shuffle_clock();
    job->wake_fd = -1;
    struct part_plan parts = {.path = job->settings.out,
                              .count = (uint32_t)job->settings.partition_count,
                              .thread_count = (uint32_t)job->settings.thread_count,
                              .replaces = job->settings.replaces,
                              .compression = job->settings.compression};
    enum outcome outcome = find_open_files(job, &parts.open_files);
    if (outcome == OUTCOME_DONE)
        outcome = register_shuffle(job);
    if (outcome == OUTCOME_DONE) {
        outcome = catch_signals(&run);
        if (outcome == OUTCOME_DONE)
            outcome = part_folder_open(&job->folder, &parts);
        job->folder.syncs = !job->settings.is_unsynced;
        if (outcome == OUTCOME_DONE)
            outcome = run_job(&run);
        part_folder_close(&job->folder);
        /* A signal that comes from here on finds the work done: it stays blocked. */
        if (run.signal_fd >= 0)
            close(run.signal_fd);
    }
    return end_transport(job, outcome);
}

static enum outcome run_settings(struct shuffle_job *job, char **words,
                                 const struct option_entry *options, size_t option_count)
{
    const struct command_usage usage = {
        .name = "shuffle",
        .synopsis = "--by COLS --partitions N --out DIR [OPTION...] INPUT...",
        .text = "Brings each row to the partition of its key: DIR/part-00000.arrow ..., one Arrow\n"
                "IPC file each, so named when complete and verified. --producers 1 keeps order.\n",
        .options = options,
        .option_count = option_count};
    struct operands operands;
    enum outcome outcome;
    job->settings.usage = &usage;
    if (!options_parse(&usage, words, &operands, &outcome))
        return outcome;
    outcome = check_settings(job, &operands);
    if (outcome == OUTCOME_DONE)
        outcome = shuffle_plan(job, &operands);
    if (outcome == OUTCOME_DONE)
        outcome = run_planned(job);
    shuffle_plan_end(job);
    return outcome;
}

enum outcome shuffle_command(char **words)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct shuffle_job job = {
        .settings = {.sums_word = "keys",
                     .producer_count = processors > 0 ? (uint64_t)processors : 1,
                     .thread_count = processors > 0 ? (uint64_t)processors : 1,
                     .memory_bytes = UINT64_C(1) << 30}};
    struct shuffle_settings *to = &job.settings;
    const struct option_entry options[] = {
        {"by", OPTION_TEXT, "COLS", "columns of the key, separated by commas", &to->by},
        {"partitions", OPTION_COUNT, "N", "1 to 65536", &to->partition_count},
        {"out", OPTION_TEXT, "DIR", "where the parts go; made if it is not there", &to->out},
        {"replace", OPTION_FLAG, NULL, "parts that are in DIR", &to->replaces},
        {"range", OPTION_FLAG, NULL, "partitions are ranges of the key, not hashes", &to->is_range},
        {"order", OPTION_TEXT, "LIST", "of each column: asc, desc[:nulls-first|:nulls-last]",
         &to->order},
        {"bounds", OPTION_TEXT, "FILE", "with --range: N - 1 sorted rows; else from a sample",
         &to->bounds_path},
        {"save-bounds", OPTION_TEXT, "FILE", "with --range: write the proposed bounds",
         &to->save_bounds_path},
        {"round-robin", OPTION_FLAG, NULL, "rows in turn, without a key", &to->is_round_robin},
        {"producers", OPTION_COUNT, "N", "threads that read (default: processors)",
         &to->producer_count},
        {"threads", OPTION_COUNT, "N", "threads that write (default: processors)",
         &to->thread_count},
        {"memory", OPTION_BYTES, "BYTES", "budget of rows on their way (default: 1GiB)",
         &to->memory_bytes},
        {"spill-dir", OPTION_TEXT, "DIR", "where rows go that there is no room for",
         &to->spill_directory},
        {"compress", OPTION_TEXT, "CODEC", "the parts: lz4 or zstd", &to->compress_word},
        {"compress-spill", OPTION_TEXT, "CODEC", "what is spilled, not the parts: lz4 or zstd",
         &to->compress_spill_word},
        {"sums", OPTION_TEXT, "LEVEL", "what is verified: keys (default), rows, counts, off",
         &to->sums_word},
        {"no-sync", OPTION_FLAG, NULL, "do not wait until the parts are on the disk",
         &to->is_unsynced},
        {"quiet", OPTION_FLAG, NULL, "no progress", &to->is_quiet},
        {"json", OPTION_FLAG, NULL, "the report as one object", &to->is_json}};
    return run_settings(&job, words, options, sizeof options / sizeof options[0]);
}
