#ifndef FLETCH_BASE_ASSERT_H
#define FLETCH_BASE_ASSERT_H

/* FLETCH_ASSERT tells a programmer's error: wrong use of a call, a broken invariant. It stops the
 * program in builds with FLETCH_CHECKS (the dev preset) and is not evaluated elsewhere: what a
 * caller's data can cause at run time is answered, never asserted. */
#ifdef FLETCH_CHECKS
#undef NDEBUG
#include <assert.h>
#define FLETCH_ASSERT(condition) assert(condition)
#else
#define FLETCH_ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
