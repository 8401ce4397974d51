#ifndef FLETCH_PROGRAM_SERVICE_TEXT_H
#define FLETCH_PROGRAM_SERVICE_TEXT_H

#include <stdint.h>

#include <fletching/shuffle_client.h>

#include "text.h"

/* Reports of shuffles for people and for programs: `fletch ls`, `stat` and `top`. */

/* Who waits for whom in a shuffle, counted over its partitions. */
struct service_waits {
    uint64_t producers;       /* that wait until a partition is read */
    uint32_t without_reader;  /* partitions that hold rows, and nobody reads */
    uint32_t waiting_readers; /* partitions whose readers have read all that was sent */
};

/* `report->partitions` must be there. */
struct service_waits service_waits_of(const struct fletch_shuffle_report *report);

/* One line, "" where nobody waits: "2 producers wait for readers, 1 reader waits for producers". */
void service_text_waits(struct text *text, const struct service_waits *waits);

/* The same about one partition. */
void service_text_partition_wait(struct text *text,
                                 const struct fletch_partition_report *partition);

/* "PRODUCING" ... */
const char *service_partition_state(enum fletch_partition_state state);
const char *service_retention(enum fletch_retention retention);
const char *service_sums(enum fletch_sum_level sums);

/* The report as an object of JSON, with its partitions where they are there. */
void service_text_json(struct text *text, const struct fletch_shuffle_report *report);

/* The order of names, byte by byte: below zero, zero or above. */
int service_compare_names(const struct fletch_shuffle_name *one,
                          const struct fletch_shuffle_name *other);

/* Sorts by name. */
void service_sort(const struct fletch_shuffle_reports *reports,
                  const struct fletch_shuffle_report **out_sorted);

#endif
