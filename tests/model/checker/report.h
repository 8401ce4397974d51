#ifndef MC_REPORT_H
#define MC_REPORT_H

/* What is told to the user: errors with their trace, and faults of the checker itself. */

#include <stddef.h>
#include <stdint.h>

#include "graph.h"

enum mc_error {
    MC_NO_ERROR,
    MC_ASSERTION,
    MC_RACE,
    MC_USE_AFTER_FREE,
    MC_DOUBLE_FREE,
    MC_INVALID_FREE,
    MC_OUT_OF_BOUNDS,
    MC_UNINITIALISED,
    MC_LEAK,
    MC_DEADLOCK,
    MC_LOST_WAKEUP,
    MC_LIVELOCK,
    MC_MIXED_SIZE,
    MC_CRASH,
    MC_ENDLESS
};

const char *mc_error_name(enum mc_error error);
/* MC_NO_ERROR: no such name. */
enum mc_error mc_error_of_name(const char *name);

/* The code under check is wrong: ends the execution. Only while one runs. */
_Noreturn void mc_fail(enum mc_error error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for an error about memory: the trace then shows plain accesses to it too. */
_Noreturn void mc_fail_at(enum mc_error error, uintptr_t address, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The checker is wrong, or too small: ends the program with 2. */
_Noreturn void mc_internal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A plain access, told while an execution is repeated for its trace. */
void mc_report_plain(int thread, uintptr_t address, size_t bytes, const char *what, void *code);

/* Prints error, trace and replay string of the execution in `graph`, which has just been repeated.
 */
void mc_report_print(const struct mc_graph *graph);

/* The error of the last execution. */
struct mc_failure {
    enum mc_error error;
    uintptr_t address; /* 0: not about memory */
    char message[400];
};

extern struct mc_failure mc_failure;

#endif
