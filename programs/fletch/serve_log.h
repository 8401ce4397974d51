#ifndef FLETCH_PROGRAM_SERVE_LOG_H
#define FLETCH_PROGRAM_SERVE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a server says while it runs: a line for each thing, on standard error, as text or as an
 * object of JSON. Each is one system call, so that threads do not cut into each other's. */

enum log_level { LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* What goes with a line. `text` NULL: `number`. */
struct log_field {
    const char *name;
    const char *text;
    uint64_t number;
};

/* Before there are threads. Not called: text. */
void serve_log_begin(bool is_json);

/* Any thread. */
void serve_log(enum log_level level, const char *message, const struct log_field *fields,
               size_t count);

#endif
