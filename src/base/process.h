#ifndef FLETCH_BASE_PROCESS_H
#define FLETCH_BASE_PROCESS_H

/* Tells a forked child from the process that made an object.
 *
 * A number lies in a page of its own, which the system clears in each child (MADV_WIPEONFORK); the
 * next number is counted elsewhere, where the child goes on from its parent's count. So a process
 * and all before it have different numbers, and to look at one's own costs two loads. Where the
 * system knows no such pages (Linux before 4.14) every process has the same number, and nothing is
 * noticed. A child of vfork shares all memory with its parent and is none here. */

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/status.h"

/* Where the number lies; set by the first fletch_process_number and never changed. */
extern _Atomic(_Atomic uint32_t *) fletch_process_page;

/* The number of this process, which is not 0: what belongs to it keeps it. Any thread. */
uint32_t fletch_process_number(void);

/* Whether this process is the one that fletch_process_number told the number to. */
#ifdef FLETCH_MODEL_CHECK
static inline bool fletch_process_is(uint32_t number)
{
    return number == 1;
}
#else
static inline bool fletch_process_is(uint32_t number)
{
    /* relaxed: who has the number comes after who set the address */
    const _Atomic uint32_t *page = load_relaxed(&fletch_process_page);
    return __builtin_expect(load_relaxed(page) == number, 1); /* relaxed: written before a fork */
}
#endif

/* FAILED_PRECONDITION: `what` belongs to another process. */
enum fletch_status fletch_process_refuse(const char *what, struct fletch_error *error);

/* That, or OK. */
static inline enum fletch_status fletch_process_check(uint32_t number, const char *what,
                                                      struct fletch_error *error)
{
    return fletch_process_is(number) ? FLETCH_OK : fletch_process_refuse(what, error);
}

#endif
