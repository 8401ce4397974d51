/* Replay strings. For each event its thread, a digit, and behind it what was chosen:
 *   r<n>  read event n's write, r-  the initial value; s at the end: failed for no reason
 *   w<n>  write, n-th among those to its location so far
 *   c<n>  choice of value n
 * or nothing. Thread digits begin events, so that no separator is needed before them but a dot. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "run.h"
#include "search.h"

struct told {
    int thread;
    char kind; /* r, w, c or 0 */
    int number;
    bool spurious;
};

static struct told told[MC_EVENTS];
static int told_count;

void mc_replay_begin(const char *text)
{
    told_count = 0;
    while (*text != '\0' && told_count < MC_EVENTS) {
        struct told *event = &told[told_count++];
        *event = (struct told){.thread = *text - '0', .number = MC_INITIAL};
        if (event->thread < 0 || event->thread >= MC_THREADS)
            mc_internal("not a replay string from '%.20s' on", text);
        text++;
        if (strchr("rwc", *text) != NULL && *text != '\0') {
            event->kind = *text++;
            if (*text == '-')
                text++;
            else
                event->number = (int)strtol(text, (char **)&text, 10);
        }
        if (*text == 's') {
            event->spurious = true;
            text++;
        }
        if (*text == '.')
            text++;
    }
}

static const struct told *told_of(int event, char kind)
{
    if (event >= told_count)
        return NULL; /* the rest as it comes */
    if (told[event].kind != kind)
        mc_internal("the replay string does not fit: event %d is no '%c'", event, kind);
    return &told[event];
}

int mc_replay_pick_thread(unsigned enabled)
{
    int next = mc_run.position;
    if (next >= told_count)
        return __builtin_ctz(enabled);
    if ((enabled >> told[next].thread & 1) == 0)
        mc_internal("the replay string does not fit: thread %d cannot go on", told[next].thread);
    return told[next].thread;
}

int mc_replay_choose_source(int read, const struct mc_option *options, int count)
{
    const struct told *event = told_of(read, 'r');
    if (event == NULL)
        return 0;
    for (int i = 0; i < count; i++)
        if (options[i].source == event->number && options[i].spurious == event->spurious)
            return i;
    mc_internal("the replay string does not fit: event %d cannot read that", read);
}

int mc_replay_choose_rank(int write, const int *ranks, int count)
{
    const struct told *event = told_of(write, 'w');
    for (int i = 0; event != NULL && i < count; i++)
        if (ranks[i] == event->number)
            return i;
    return 0;
}

int mc_replay_choose_value(int choice, int count)
{
    const struct told *event = told_of(choice, 'c');
    return event != NULL && event->number < count ? event->number : 0;
}

static int rank_so_far(const struct mc_graph *graph, int write)
{
    int rank = 1;
    for (int i = 0; i < write; i++)
        rank += graph->event[i].kind == MC_WRITE &&
                graph->event[i].location == graph->event[write].location &&
                graph->event[i].rank < graph->event[write].rank;
    return rank;
}

void mc_replay_print(const struct mc_graph *graph)
{
    for (int i = 0; i < graph->count; i++) {
        const struct mc_event *event = &graph->event[i];
        printf("%s%d", i == 0 ? "" : ".", event->thread);
        if (event->kind == MC_READ && event->source == MC_INITIAL)
            printf("r-");
        else if (event->kind == MC_READ)
            printf("r%d", event->source);
        else if (event->kind == MC_WRITE)
            printf("w%d", rank_so_far(graph, i));
        else if (event->kind == MC_CHOICE)
            printf("c%d", (int)event->value);
        if ((event->flags & MC_SPURIOUS) != 0)
            printf("s");
    }
    printf("\n");
}
