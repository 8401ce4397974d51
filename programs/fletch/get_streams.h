#ifndef FLETCH_PROGRAM_GET_STREAMS_H
#define FLETCH_PROGRAM_GET_STREAMS_H

#include <stdint.h>

#include "flight_run.h"
#include "get_sink.h"
#include "text.h"

/* The partitions of a shuffle, got at the same time by one thread: producers that wait until one of
 * them is read must not have to wait until others were. */
struct get_streams {
    struct flight_run *run;
    struct get_sink *sink;
    const struct text *shuffle; /* its name */
    const uint32_t *partitions;
    uint32_t count;
    uint32_t limit; /* streams at a time */
    int signal_fd;  /* -1: signals end the process by themselves */
    /* What came. */
    uint64_t rows;
    uint64_t batches;
    uint32_t unverified; /* partitions whose end said so */
};

/* Gets all of them. */
enum outcome get_streams_run(struct get_streams *streams);

#endif
