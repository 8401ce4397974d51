#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

static void *thread_main(void *argument)
{
    struct fletch_thread *thread = argument;
    if (thread->name[0] != '\0')
        pthread_setname_np(pthread_self(), thread->name);
    thread->run(thread->context);
    return NULL;
}

static enum fletch_status check_options(const struct fletch_thread_options *options,
                                        struct fletch_error *error)
{
    if (options->name != NULL && strlen(options->name) >= FLETCH_THREAD_NAME_BYTES)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "thread name '%s' has %zu bytes, at most %d are allowed",
                                options->name, strlen(options->name), FLETCH_THREAD_NAME_BYTES - 1);
    if (options->cpu != FLETCH_ANY_CPU && options->cpu >= CPU_SETSIZE)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "cpu %u is not below %d, the most that can be named", options->cpu,
                                CPU_SETSIZE);
    return FLETCH_OK;
}

/* pthread_create with every signal blocked, which the new thread inherits. */
static int create_without_signals(struct fletch_thread *thread, const pthread_attr_t *attributes)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&thread->id, attributes, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

enum fletch_status fletch_thread_start(struct fletch_thread *thread,
                                       const struct fletch_thread_options *options,
                                       struct fletch_error *error)
{
    enum fletch_status status = check_options(options, error);
    if (status != FLETCH_OK)
        return status;
    pthread_attr_t attributes;
    int failure = pthread_attr_init(&attributes);
    if (failure != 0)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "cannot prepare a thread: error %d", failure);
    const char *name = options->name != NULL ? options->name : "";
    memcpy(thread->name, name, strlen(name) + 1);
    thread->run = options->run;
    thread->context = options->context;
    if (options->cpu != FLETCH_ANY_CPU) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        CPU_SET(options->cpu, &cpus);
        failure = pthread_attr_setaffinity_np(&attributes, sizeof cpus, &cpus);
    }
    if (failure == 0)
        failure = create_without_signals(thread, &attributes);
    pthread_attr_destroy(&attributes);
    /* EINVAL comes from the affinity alone: the attributes hold nothing else. */
    if (failure == EINVAL)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "cpu %u is none that this process may run on", options->cpu);
    if (failure != 0)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "cannot start thread '%s': error %d", name, failure);
    return FLETCH_OK;
}

void fletch_thread_join(struct fletch_thread *thread)
{
    pthread_join(thread->id, NULL);
}

void fletch_thread_yield(void)
{
    sched_yield();
}
