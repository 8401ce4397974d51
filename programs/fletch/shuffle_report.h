#ifndef FLETCH_PROGRAM_SHUFFLE_REPORT_H
#define FLETCH_PROGRAM_SHUFFLE_REPORT_H

#include "shuffle_job.h"

/* Tells what a finished run did: rows and bytes, what was verified, time, memory, skew. */
void shuffle_report_print(const struct shuffle_job *job, double seconds);

/* The weakest level that all partitions were verified at. */
enum fletch_sum_level shuffle_report_level(const struct shuffle_job *job);

#endif
