#ifndef FLETCH_BASE_THREAD_H
#define FLETCH_BASE_THREAD_H

#include <pthread.h>
#include <stdint.h>

#include "base/status.h"

/* Bytes of a thread's name, the terminating NUL included: what Linux keeps. */
#define FLETCH_THREAD_NAME_BYTES 16

/* No processor in particular. */
#define FLETCH_ANY_CPU UINT32_MAX

struct fletch_thread_options {
    const char *name; /* at most 15 bytes; a longer one is refused; NULL: none */
    uint32_t cpu;     /* the processor to stay on, or FLETCH_ANY_CPU */
    void (*run)(void *context);
    void *context;
};

/* A thread of the library: an explicit handle, owned by who started it. It blocks all signals,
 * which stay the program's. */
struct fletch_thread {
    pthread_t id;
    void (*run)(void *context);
    void *context;
    char name[FLETCH_THREAD_NAME_BYTES];
};

/* Starts a thread. `thread` is the caller's memory and must not move until fletch_thread_join. The
 * name and the processor are set before `run` is called. INVALID_ARGUMENT: name too long, no such
 * processor; RESOURCE_EXHAUSTED: the system has no thread left. */
enum fletch_status fletch_thread_start(struct fletch_thread *thread,
                                       const struct fletch_thread_options *options,
                                       struct fletch_error *error);

/* Waits for the thread's end. Once, by one thread; blocks. */
void fletch_thread_join(struct fletch_thread *thread);

/* Gives the processor to another thread that is ready to run. */
void fletch_thread_yield(void);

#endif
