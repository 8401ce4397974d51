#include "shuffle_progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quantity.h"
#include "terminal.h"

#define LIVE_SECONDS 0.2
#define PLAIN_SECONDS 5.0

const char *const shuffle_stage_names[STAGES] = {[STAGE_READ] = "reading",
                                                 [STAGE_PARTITION] = "partitioning",
                                                 [STAGE_RECEIVE] = "waiting for rows",
                                                 [STAGE_WRITE] = "writing",
                                                 [STAGE_SYNC] = "syncing"};

void shuffle_progress_begin(struct shuffle_progress *progress, const struct shuffle_job *job)
{
    const char *terminal = getenv("TERM");
    bool is_dumb = terminal == NULL || strcmp(terminal, "dumb") == 0;
    *progress = (struct shuffle_progress){.is_live = isatty(STDERR_FILENO) && !is_dumb,
                                          .is_quiet = job->settings.is_quiet};
    progress->next = job->started + (progress->is_live ? LIVE_SECONDS : PLAIN_SECONDS);
}

uint64_t shuffle_rows(const struct shuffle_worker *workers, uint64_t count)
{
    uint64_t rows = 0;
    for (uint64_t i = 0; i < count; i++)
        rows += atomic_load_explicit(&workers[i].rows, memory_order_relaxed);
    return rows;
}

double shuffle_stage_seconds(const struct shuffle_job *job, enum shuffle_stage stage)
{
    bool is_producer = stage == STAGE_READ || stage == STAGE_PARTITION;
    const struct shuffle_worker *workers = is_producer ? job->producers : job->consumers;
    uint64_t count = is_producer ? job->settings.producer_count : job->settings.thread_count;
    uint64_t all = 0;
    for (uint64_t i = 0; i < count; i++)
        all += atomic_load_explicit(&workers[i].stage_ns[stage], memory_order_relaxed);
    return (double)all * 1e-9 / (double)count;
}

/* Of the input bytes, how many have been taken in; less than 0: cannot be told. */
static double share_done(const struct shuffle_job *job)
{
    double done = 0;
    if (!job->share_is_known || job->input_bytes == 0)
        return -1;
    for (size_t i = 0; i < job->paths.count; i++) {
        const struct shuffle_input *input = &job->inputs[i];
        double part = atomic_load(&input->is_done) ? 1 : 0;
        if (input->batch_count != FLETCH_IPC_UNKNOWN)
            part = input->batch_count == 0
                       ? 1
                       : (double)atomic_load(&input->done_batches) / (double)input->batch_count;
        done += part * (double)input->bytes;
    }
    return done / (double)job->input_bytes;
}

/* Where the time goes that holds up the rest: waiting for credit is the consumers' doing. */
static const char *slowest_stage(const struct shuffle_job *job, double credit_seconds)
{
    double seconds[STAGES];
    for (int i = 0; i < STAGES; i++)
        seconds[i] = shuffle_stage_seconds(job, (enum shuffle_stage)i);
    seconds[STAGE_PARTITION] -= credit_seconds / (double)job->settings.producer_count;
    int slowest = STAGE_READ;
    for (int i = 0; i < STAGES; i++)
        if (i != STAGE_RECEIVE && seconds[i] > seconds[slowest])
            slowest = i;
    return shuffle_stage_names[slowest];
}

/* Adds a piece if it fits into the line. */
static void add_piece(char *line, size_t width, const char *piece)
{
    size_t used = strlen(line), more = strlen(piece) + (used > 0 ? 2 : 0);
    if (used + more <= width)
        snprintf(line + used, width + 1 - used, "%s%s", used > 0 ? "  " : "", piece);
}

/* The most important pieces first: a narrow terminal shows those. */
static void make_line(const struct shuffle_job *job, char *line, size_t width)
{
    struct fletch_exchange_statistics now = {.struct_size = sizeof now};
    char piece[96];
    double seconds = shuffle_clock() - job->started, share = share_done(job);
    fletch_shuffle_statistics(job->shuffle, &now);
    line[0] = '\0';
    if (share >= 0) {
        snprintf(piece, sizeof piece, "%.0f%%", share * 100);
        add_piece(line, width, piece);
    }
    snprintf(piece, sizeof piece, "%s rows",
             quantity_count(shuffle_rows(job->producers, job->settings.producer_count)).text);
    add_piece(line, width, piece);
    snprintf(piece, sizeof piece, "%.2f GB/s", (double)now.bytes_written * 1e-9 / seconds);
    add_piece(line, width, piece);
    if (share > 0) {
        snprintf(piece, sizeof piece, "%s left",
                 quantity_duration(seconds * (1 - share) / share).text);
        add_piece(line, width, piece);
    }
    snprintf(piece, sizeof piece, "%s", quantity_bytes(now.bytes_written).text);
    add_piece(line, width, piece);
    snprintf(piece, sizeof piece, "memory %.0f%%",
             100 * (double)now.bytes_charged / (double)(now.budget_bytes + 1));
    add_piece(line, width, piece);
    snprintf(piece, sizeof piece, "slowest: %s",
             slowest_stage(job, (double)now.credit_wait_ns * 1e-9));
    add_piece(line, width, piece);
    if (now.bytes_spilled > 0) {
        snprintf(piece, sizeof piece, "spilled %s", quantity_bytes(now.bytes_spilled).text);
        add_piece(line, width, piece);
    }
}

void shuffle_progress_tick(struct shuffle_progress *progress, const struct shuffle_job *job)
{
    char line[256];
    double now = shuffle_clock();
    if (progress->is_quiet || now < progress->next)
        return;
    progress->next = now + (progress->is_live ? LIVE_SECONDS : PLAIN_SECONDS);
    /* The last column stays free: some terminals would go to the next line. */
    size_t width = progress->is_live ? terminal_width(STDERR_FILENO) - 1 : sizeof line - 1;
    make_line(job, line, width < sizeof line ? width : sizeof line - 1);
    if (progress->is_live)
        fprintf(stderr, "\r%s\x1b[K", line);
    else
        fprintf(stderr, "fletch: %s\n", line);
    fflush(stderr);
    progress->is_shown = progress->is_live;
}

void shuffle_progress_end(struct shuffle_progress *progress)
{
    if (progress->is_shown)
        fputs("\r\x1b[K", stderr);
    progress->is_shown = false;
}
