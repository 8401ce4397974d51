#ifndef FLETCH_BASE_FUTEX_H
#define FLETCH_BASE_FUTEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Sleeps while `*address` is `expected`, at most until `deadline_ns` (base/clock.h). False: the
 * deadline has passed. True: anything else, a wake-up for no reason included, so the caller looks
 * again. `shared`: the word lies in memory that other processes map. Any thread; blocks. */
bool fletch_futex_wait(_Atomic uint32_t *address, uint32_t expected, uint64_t deadline_ns,
                       bool shared);

/* Wakes up to `count` sleepers, the longest asleep first. Any thread; does not block. */
void fletch_futex_wake(_Atomic uint32_t *address, uint32_t count, bool shared);

#endif
