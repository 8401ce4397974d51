#ifndef FLETCH_BASE_CLOCK_H
#define FLETCH_BASE_CLOCK_H

#include <stdint.h>

/* A deadline that never comes. */
#define FLETCH_NO_DEADLINE UINT64_MAX

/* Nanoseconds of CLOCK_MONOTONIC. Any thread; does not block. */
uint64_t fletch_clock_now_ns(void);

/* Now + timeout; FLETCH_NO_DEADLINE for UINT64_MAX or where the sum would pass it. */
uint64_t fletch_clock_deadline_ns(uint64_t timeout_ns);

/* What is left until `deadline_ns`, 0 once it has passed; UINT64_MAX for FLETCH_NO_DEADLINE. */
uint64_t fletch_clock_remaining_ns(uint64_t deadline_ns);

#endif
