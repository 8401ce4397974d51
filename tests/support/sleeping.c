#include "support/sleeping.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

void sleeping_await(struct fletch_eventcount *eventcount, uint32_t count)
{
    while (load_acquire(&eventcount->sleepers) % FLETCH_ONE_ARMED != count)
        sched_yield();
}

static char state_of(int tid)
{
    char path[64];
    char line[512] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return '?';
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    fclose(file);
    /* "tid (name) S …", and the name may hold anything. */
    const char *end = strrchr(line, ')');
    return end != NULL && end[1] == ' ' ? end[2] : '?';
}

void sleeping_await_thread(int tid)
{
    while (state_of(tid) != 'S')
        sched_yield();
}
