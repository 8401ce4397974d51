#ifndef FLETCH_TESTS_SUPPORT_SLEEPING_H
#define FLETCH_TESTS_SUPPORT_SLEEPING_H

#include "sync/eventcount.h"

/* Waits until `count` futex sleepers have announced themselves. They are on their way to sleep or
 * asleep, which an eventcount treats alike. */
void sleeping_await(struct fletch_eventcount *eventcount, uint32_t count);

/* Waits until thread `tid` of this process sleeps in the kernel. */
void sleeping_await_thread(int tid);

#endif
