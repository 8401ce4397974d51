#ifndef FLETCH_PROGRAM_INPUT_READER_H
#define FLETCH_PROGRAM_INPUT_READER_H

#include <stdbool.h>
#include <stdint.h>

#include <fletching/fletching.h>

#include "inputs.h"

/* Opens one input: maps a regular file, reads a pipe as it comes. */
struct input_reader {
    struct fletch_ipc_reader *reader;
    const char *path; /* the caller's */
    int fd;           /* -1: not ours to close */
    bool is_file;     /* random access */
    uint64_t bytes;   /* 0: not known */
};

enum outcome input_reader_open(struct input_reader *reader, const char *path,
                               const struct fletch_ipc_read_options *options);
void input_reader_close(struct input_reader *reader);

/* What small commands need to read: a pool, its cache, and how closely to look. */
struct input_context {
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    enum fletch_validation validation;
};

enum outcome input_context_begin(struct input_context *context, enum fletch_validation validation);
void input_context_end(struct input_context *context);

/* What is called for each batch, and for each file before its first. Returns OUTCOME_DONE to go
 * on; `is_enough` ends without an error. */
struct input_visitor {
    enum outcome (*begin)(void *state, const struct input_reader *reader);
    enum outcome (*batch)(void *state, struct fletch_batch *batch);
    enum outcome (*end)(void *state, const struct input_reader *reader);
    void *state;
    bool is_enough;
};

/* Reads all inputs, one after the other. */
enum outcome input_visit(const struct input_context *context, const struct inputs *inputs,
                         struct input_visitor *visitor);

#endif
