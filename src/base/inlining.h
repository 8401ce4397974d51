#ifndef FLETCH_BASE_INLINING_H
#define FLETCH_BASE_INLINING_H

/* For the few functions of which it was measured that the compiler should not choose: steps of a
 * call that takes a few nanoseconds, and the rare rest of such a call, which kept apart leaves the
 * frequent part without a stack frame. */
#define FLETCH_ALWAYS_INLINE inline __attribute__((always_inline))
#define FLETCH_NEVER_INLINE __attribute__((noinline))

#endif
