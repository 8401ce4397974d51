#include "input_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first byte that will come from a pipe or socket, which stays in it; -1: none, or it cannot be
 * told. An IPC file begins with 'A', with which no stream can begin: there it would be the low byte
 * of a length that is a multiple of 8. */
static int peek(int fd)
{
    unsigned char byte;
    ssize_t count = recv(fd, &byte, 1, MSG_PEEK);
    int ends[2];
    if (count < 0 && errno == ENOTSOCK && pipe2(ends, O_CLOEXEC) == 0) {
        do
            count = tee(fd, ends[1], 1, 0);
        while (count < 0 && errno == EINTR);
        if (count == 1)
            count = read(ends[0], &byte, 1);
        close(ends[0]);
        close(ends[1]);
    }
    return count == 1 ? byte : -1;
}

static void free_memory(void *context)
{
    free(context);
}

/* All that a descriptor has to say, in memory. */
static enum outcome read_all(int fd, const char *path, struct fletch_foreign_memory *out_memory)
{
    char *bytes = NULL;
    size_t size = 0, capacity = 0;
    for (;;) {
        if (size == capacity) {
            size_t larger = capacity == 0 ? (size_t)1 << 20 : capacity * 2;
            char *grown = realloc(bytes, larger);
            if (grown == NULL) {
                free(bytes);
                return outcome_tell(OUTCOME_SYSTEM,
                                    "%s: no memory for a file of more than %zu bytes",
                                    inputs_name(path), size);
            }
            bytes = grown;
            capacity = larger;
        }
        ssize_t count = read(fd, bytes + size, capacity - size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            free(bytes);
            return outcome_tell_errno(inputs_name(path), "cannot read");
        }
        if (count == 0)
            break;
        size += (size_t)count;
    }
    *out_memory = (struct fletch_foreign_memory){
        .data = bytes, .bytes = size, .release = free_memory, .context = bytes};
    return OUTCOME_DONE;
}

static enum outcome tell_failure(const struct input_reader *reader,
                                 const struct fletch_error *error)
{
    return outcome_tell_error(inputs_name(reader->path), error);
}

static enum outcome open_pipe(struct input_reader *reader,
                              const struct fletch_ipc_read_options *options)
{
    struct fletch_error error;
    bool is_standard = strcmp(reader->path, INPUTS_STANDARD) == 0;
    int fd = is_standard ? STDIN_FILENO : open(reader->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return outcome_tell_errno(reader->path, "cannot open");
    reader->fd = is_standard ? -1 : fd;
    if (isatty(fd))
        return outcome_tell(OUTCOME_INPUT, "%s: is a terminal, which has no Arrow data",
                            inputs_name(reader->path));
    if (peek(fd) == 'A') {
        struct fletch_foreign_memory memory;
        enum outcome outcome = read_all(fd, reader->path, &memory);
        if (outcome != OUTCOME_DONE)
            return outcome;
        if (fletch_ipc_reader_open_memory(&memory, options, &reader->reader, &error) == FLETCH_OK)
            return OUTCOME_DONE;
        free_memory(memory.context);
        return tell_failure(reader, &error);
    }
    if (fletch_ipc_reader_open_fd(fd, options, &reader->reader, &error) != FLETCH_OK)
        return tell_failure(reader, &error);
    return OUTCOME_DONE;
}

enum outcome input_reader_open(struct input_reader *reader, const char *path,
                               const struct fletch_ipc_read_options *options)
{
    *reader = (struct input_reader){.path = path, .fd = -1};
    struct stat about;
    bool is_standard = strcmp(path, INPUTS_STANDARD) == 0;
    if ((is_standard ? fstat(STDIN_FILENO, &about) : stat(path, &about)) != 0)
        return outcome_tell_errno(inputs_name(path), "cannot open");
    enum outcome outcome = OUTCOME_DONE;
    if (S_ISREG(about.st_mode)) {
        struct fletch_error error;
        reader->bytes = (uint64_t)about.st_size;
        if (fletch_ipc_reader_open_path(is_standard ? "/dev/stdin" : path, options, &reader->reader,
                                        &error) != FLETCH_OK)
            outcome = tell_failure(reader, &error);
    } else {
        outcome = open_pipe(reader, options);
    }
    if (outcome != OUTCOME_DONE)
        input_reader_close(reader);
    else
        reader->is_file = fletch_ipc_reader_batch_count(reader->reader) != FLETCH_IPC_UNKNOWN;
    return outcome;
}

void input_reader_close(struct input_reader *reader)
{
    fletch_ipc_reader_close(reader->reader);
    if (reader->fd >= 0)
        close(reader->fd);
    reader->reader = NULL;
    reader->fd = -1;
}

enum outcome input_context_begin(struct input_context *context, enum fletch_validation validation)
{
    struct fletch_error error;
    struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    *context = (struct input_context){.validation = validation};
    if (fletch_buffer_pool_create(&options, NULL, &context->pool, &error) != FLETCH_OK)
        return outcome_tell_error(NULL, &error);
    if (fletch_buffer_cache_open(context->pool, &context->cache, &error) != FLETCH_OK) {
        input_context_end(context);
        return outcome_tell_error(NULL, &error);
    }
    return OUTCOME_DONE;
}

void input_context_end(struct input_context *context)
{
    struct fletch_error error;
    fletch_buffer_cache_close(context->cache);
    if (fletch_buffer_pool_destroy(context->pool, &error) != FLETCH_OK)
        outcome_tell_error(NULL, &error);
    *context = (struct input_context){0};
}

static enum outcome visit_batches(struct input_reader *reader, struct fletch_buffer_cache *cache,
                                  struct input_visitor *visitor)
{
    struct fletch_error error;
    enum outcome outcome = OUTCOME_DONE;
    while (outcome == OUTCOME_DONE && !visitor->is_enough) {
        struct fletch_batch *batch;
        if (fletch_ipc_reader_next(reader->reader, &batch, &error) != FLETCH_OK)
            return tell_failure(reader, &error);
        if (batch == NULL)
            break;
        outcome = visitor->batch(visitor->state, batch);
        fletch_batch_release(cache, batch);
    }
    return outcome;
}

enum outcome input_visit(const struct input_context *context, const struct inputs *inputs,
                         struct input_visitor *visitor)
{
    struct fletch_ipc_read_options options = {
        .struct_size = sizeof options, .cache = context->cache, .validation = context->validation};
    enum outcome outcome = OUTCOME_DONE;
    for (size_t i = 0; i < inputs->count && outcome == OUTCOME_DONE && !visitor->is_enough; i++) {
        struct input_reader reader;
        outcome = input_reader_open(&reader, inputs->paths[i], &options);
        if (outcome != OUTCOME_DONE)
            break;
        if (visitor->begin != NULL)
            outcome = visitor->begin(visitor->state, &reader);
        if (outcome == OUTCOME_DONE)
            outcome = visit_batches(&reader, context->cache, visitor);
        if (outcome == OUTCOME_DONE && visitor->end != NULL)
            outcome = visitor->end(visitor->state, &reader);
        input_reader_close(&reader);
    }
    return outcome;
}
