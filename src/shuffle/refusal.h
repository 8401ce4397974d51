#ifndef FLETCH_SHUFFLE_REFUSAL_H
#define FLETCH_SHUFFLE_REFUSAL_H

/* Why partitions of another process take no more, in its words: told to writers. */

#include <stdbool.h>

#include <fletching/status.h>

#include "sync/serial.h"

struct fletch_shuffle;

struct fletch_refusal {
    struct fletch_serial_task task; /* first: on its way to the shuffle's list */
    struct fletch_shuffle *shuffle;
    struct fletch_refusal *next;
    bool is_of_process; /* its partitions all take no more */
    enum fletch_status status;
    char text[FLETCH_ERROR_MESSAGE_BYTES];
};

/* NULL: no memory. */
struct fletch_refusal *fletch_refusal_create(struct fletch_shuffle *shuffle);

/* For who has no memory for one. */
const struct fletch_refusal *fletch_refusal_without_memory(enum fletch_status status);

void fletch_refusal_fill(struct fletch_refusal *refusal, enum fletch_status status,
                         const char *text);

/* Stays as long as the shuffle. Any thread. */
void fletch_refusal_keep(struct fletch_shuffle *shuffle, struct fletch_refusal *refusal);

/* One that nobody was told. NULL allowed. */
void fletch_refusal_free(struct fletch_refusal *refusal);

#endif
