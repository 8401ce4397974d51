#ifndef MC_ACTIONS_H
#define MC_ACTIONS_H

/* What the code under check can do, as the entry points (entry_*.c) ask for it. Each call is one
 * step or a few, at which other threads may go first. `address` is that of the object. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory.h"

enum mc_operation { MC_ADD, MC_SUB, MC_AND, MC_OR, MC_XOR, MC_NAND, MC_EXCHANGE };

uint64_t mc_load(uintptr_t address, int bytes, int order);
void mc_store(uintptr_t address, int bytes, uint64_t value, int order);
uint64_t mc_update(uintptr_t address, int bytes, uint64_t operand, int order,
                   enum mc_operation operation);

struct mc_compare_exchange {
    uintptr_t address;
    int bytes;
    uint64_t expected; /* on return: what was found */
    uint64_t desired;
    int success_order;
    int failure_order;
    bool weak;
};
bool mc_compare_exchange(struct mc_compare_exchange *call);

void mc_fence(int order);
/* The two halves of an asymmetric pair. */
void mc_fence_light(void);
void mc_fence_heavy(void);

/* A plain access is about to be made. */
void mc_plain(uintptr_t address, size_t bytes, enum mc_touch how);

/* Says that the code spins: it has looked and will look again. */
void mc_pause(void);

/* As fletch_futex_wait and _wake. */
bool mc_futex_wait(uintptr_t address, uint32_t expected, bool timed);
void mc_futex_wake(uintptr_t address, uint32_t count);

int mc_thread_create(void *(*run)(void *), void *argument);
void *mc_thread_join(int thread);
void mc_mutex_lock(uintptr_t address);
void mc_mutex_unlock(uintptr_t address);

/* A clock of each thread that goes on by a millisecond at each look. */
uint64_t mc_clock_ns(void);

/* Accesses to these bytes are no steps: what they hold is not part of what is checked. */
void mc_ignore(uintptr_t address, size_t bytes);
void mc_ignore_nothing(void);

#endif
