/* Serial: tasks of several threads run one at a time, once each, those of one thread in order, and
 * none is left behind.
 *
 * SUBMITTERS  threads that submit TASKS each
 * FOLLOWS     each task submits another one, which runs after it */

#include "sync/serial.h"

#include <stdlib.h>

#include "harness.h"

#ifndef SUBMITTERS
#define SUBMITTERS 2
#endif
#ifndef TASKS
#define TASKS 1
#endif
#ifndef FOLLOWS
#define FOLLOWS 0
#endif

struct job {
    struct fletch_serial_task task; /* first */
    int submitter;
    int number;
    struct job *follower; /* or NULL */
};

/* What tasks share, without an atomic. */
struct shared {
    struct fletch_serial serial;
    int running;
    int count;
    int next[SUBMITTERS];
};

static struct shared *shared;

static void run_job(void *context, struct fletch_serial_task *task)
{
    struct shared *at = context;
    struct job *job = (struct job *)(void *)task;
    harness_assert(at->running++ == 0);
    at->count++;
    if (job->follower != NULL)
        fletch_serial_submit(&at->serial, &job->follower->task);
    if (job->number >= 0)
        harness_assert(at->next[job->submitter]++ == job->number);
    at->running--;
    free(job);
}

static struct job *write_job(int submitter, int number)
{
    struct job *job = malloc(sizeof *job);
    harness_assert(job != NULL);
    *job = (struct job){.task = {.run = run_job}, .submitter = submitter, .number = number};
    return job;
}

static void *submit(void *argument)
{
    int submitter = (int)(intptr_t)argument;
    for (int i = 0; i < TASKS; i++) {
        struct job *job = write_job(submitter, i);
        if (FOLLOWS)
            job->follower = write_job(submitter, -1);
        fletch_serial_submit(&shared->serial, &job->task);
    }
    return NULL;
}

void harness(void)
{
    struct harness_thread threads[SUBMITTERS];
    shared = malloc(sizeof *shared);
    harness_assert(shared != NULL);
    *shared = (struct shared){.count = 0};
    fletch_serial_init(&shared->serial, shared);
    for (int i = 0; i < SUBMITTERS; i++)
        harness_start(&threads[i], submit, (void *)(intptr_t)i);
    for (int i = 0; i < SUBMITTERS; i++)
        harness_join(&threads[i]);
    harness_assert(shared->count == SUBMITTERS * TASKS * (1 + FOLLOWS));
    free(shared);
}
