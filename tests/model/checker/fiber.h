#ifndef MC_FIBER_H
#define MC_FIBER_H

/* Stacks that one system thread switches between, each with its own copy of the program's
 * thread-local variables. x86-64. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph.h"

/* The fiber of a thread, or of the search: number MC_THREADS. */
enum { MC_FIBER_SEARCH = MC_THREADS };

void mc_fiber_start(void);
/* Makes the fiber begin anew, with initial thread-local variables. */
void mc_fiber_make(int fiber, char *stack, size_t bytes, void (*run)(void));
void mc_fiber_switch(int fiber);
int mc_fiber_current(void);

bool mc_fiber_is_local(uintptr_t address);

#endif
