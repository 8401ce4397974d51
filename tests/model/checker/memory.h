#ifndef MC_MEMORY_H
#define MC_MEMORY_H

/* The memory of the code under check: who may touch what (races, lifetime, bounds), its heap, and
 * its globals, which are put back after each execution. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph.h"

enum { MC_STACK_BYTES = 1 << 17, MC_HEAP_BYTES = 1 << 18 };

enum mc_touch {
    MC_PLAIN_READ,
    MC_PLAIN_WRITE,
    MC_ATOMIC_READ,
    MC_ATOMIC_WRITE,
    MC_COPY_READ /* plain, and may find bytes that nobody wrote */
};

/* A thread between its event `epoch` - 1 and its event `epoch`. */
struct mc_toucher {
    int thread;
    uint16_t epoch;
    const struct mc_clock *known; /* what happens before now; of the thread itself, everything */
    void *code;
};

void mc_memory_start(void);
/* Before an execution. */
void mc_memory_begin(void);

char *mc_memory_stack(int thread);

/* Tells of an access before it is made. True: a plain write to what is accessed atomically too. */
bool mc_memory_touch(const struct mc_toucher *who, uintptr_t address, size_t bytes,
                     enum mc_touch how);

/* Remembers bytes that are about to change, to put them back after the execution. */
void mc_memory_keep(uintptr_t address, size_t bytes);

/* Marks a copy initialised where the original is. */
void mc_memory_copied(uintptr_t to, uintptr_t from, size_t bytes);

void *mc_heap_allocate(const struct mc_toucher *who, size_t bytes, size_t alignment);
void mc_heap_free(const struct mc_toucher *who, void *memory);
size_t mc_heap_bytes_of(const void *memory);
/* After a complete execution: fails if a block is left. */
void mc_heap_check_leaks(void);

#endif
