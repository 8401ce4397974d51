#ifndef FLETCH_PROGRAM_SHUFFLE_PLAN_H
#define FLETCH_PROGRAM_SHUFFLE_PLAN_H

#include "shuffle_job.h"

/* What has to be known before anything is written: every input is opened once, so that a file that
 * cannot be read, or has another schema, is told at once. Fills paths, inputs, schema, keys and
 * bounds of the job; needs its settings. Errors are told. */
enum outcome shuffle_plan(struct shuffle_job *job, const struct operands *operands);
void shuffle_plan_end(struct shuffle_job *job);

/* The partitioner that the settings mean. It points into the job. */
struct fletch_partitioner_options shuffle_plan_partitioner(const struct shuffle_job *job);

#endif
