#ifndef FLETCH_PROGRAM_SHUFFLE_PROGRESS_H
#define FLETCH_PROGRAM_SHUFFLE_PROGRESS_H

#include "shuffle_job.h"

/* What a run says of itself while it runs, on standard error: one line that is written over on a
 * terminal, plain lines elsewhere. */
struct shuffle_progress {
    bool is_live;
    bool is_shown; /* a live line stands there */
    bool is_quiet;
    double next; /* when to print again, seconds of shuffle_clock */
};

void shuffle_progress_begin(struct shuffle_progress *progress, const struct shuffle_job *job);
/* Prints if it is time. */
void shuffle_progress_tick(struct shuffle_progress *progress, const struct shuffle_job *job);
/* Takes the live line away. */
void shuffle_progress_end(struct shuffle_progress *progress);

/* Sums over the workers. */
uint64_t shuffle_rows(const struct shuffle_worker *workers, uint64_t count);
/* Mean seconds of each worker in a stage. */
double shuffle_stage_seconds(const struct shuffle_job *job, enum shuffle_stage stage);
extern const char *const shuffle_stage_names[STAGES];

#endif
