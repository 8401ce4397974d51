#ifndef FLETCH_PROGRAM_OUTCOME_H
#define FLETCH_PROGRAM_OUTCOME_H

#include <fletching/status.h>

/* How the program ends: docs/COMMAND.md tells users. Functions that can fail return one of these
 * after they have printed why. */
enum outcome {
    OUTCOME_DONE = 0,
    OUTCOME_DIFFERS = 1,
    OUTCOME_USAGE = 2,
    OUTCOME_INPUT = 3,
    OUTCOME_SYSTEM = 4,
    OUTCOME_BUG = 5,
    OUTCOME_INTERRUPTED = 130,
    OUTCOME_TERMINATED = 143
};

/* Prints "fletch: " and the text to standard error. Returns `outcome`. */
#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
enum outcome
outcome_tell(enum outcome outcome, const char *format, ...);

/* The outcome that an error of the library stands for. */
enum outcome outcome_of(enum fletch_status status);

/* Prints an error of the library about `subject` (a path; NULL: about nothing in particular).
 * Returns its outcome. */
enum outcome outcome_tell_error(const char *subject, const struct fletch_error *error);

/* The same for what a server answered, which becomes one line, and is no bug of this program. */
enum outcome outcome_tell_peer(const char *location, const struct fletch_error *error);

/* Prints what the system said (errno) about a path. Returns OUTCOME_SYSTEM. */
enum outcome outcome_tell_errno(const char *subject, const char *what);

/* Flushes standard output: what could not be written is told. `outcome` if all was written. */
enum outcome outcome_flush(enum outcome outcome);

#endif
