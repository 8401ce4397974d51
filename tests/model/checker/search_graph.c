/* Every execution graph once: the algorithm TruSt (M. Kokologiannakis, I. Marmanis, V. Gladstein,
 * V. Vafeiadis, "Truly stateless, optimal dynamic partial order reduction", 2022).
 *
 * An execution is extended event by event. A read reads the newest write first, and a task is kept
 * for each other write that it could read; a write goes last, with a task for each other rank. That
 * alone would miss reads of writes that come later: so for each new write there is a task for each
 * read of the location that could read it ("revisit"): everything that came after the read is
 * dropped, except what the write depends on, and the read reads the write. To come to each graph by
 * one way only, that is done only if what is dropped was added without choosing, and so can be
 * added again. */

#include <string.h>
#include <sys/mman.h>

#include "consistency.h"
#include "report.h"
#include "search.h"

enum { LEVELS = 400, TASKS = 1 << 16 };

enum task_kind { TAKE_SOURCE, TAKE_RANK, TAKE_VALUE, REVISIT };

struct task {
    enum task_kind kind;
    int keep; /* events of the level's graph that it begins with */
    int event;
    int value; /* source, rank, value; revisit: the read */
    bool spurious;
};

/* A graph that came from a revisit, and everything that is reached from it without another. */
struct level {
    int first_task;
    struct mc_graph graph;
};

static struct level *level; /* LEVELS of them */
static int depth;
static struct task task[TASKS];
static int task_count;

void mc_by_graph_begin(void)
{
    if (level == NULL)
        level = mmap(NULL, LEVELS * sizeof *level, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (level == MAP_FAILED)
        mc_internal("no memory");
    depth = 0;
    task_count = 0;
    level[0].first_task = 0;
    mc_graph_clear(&level[0].graph);
}

struct mc_graph *mc_by_graph_current(void)
{
    return &level[depth].graph;
}

static void add_task(const struct task *added)
{
    if (task_count == TASKS)
        mc_internal("more than %d tasks", TASKS);
    task[task_count++] = *added;
}

int mc_by_graph_choose_source(int read, const struct mc_option *options, int count)
{
    for (int i = count - 1; i > 0; i--)
        add_task(&(struct task){.kind = TAKE_SOURCE,
                                .keep = read + 1,
                                .event = read,
                                .value = options[i].source,
                                .spurious = options[i].spurious});
    return 0;
}

int mc_by_graph_choose_rank(int write, const int *ranks, int count)
{
    for (int i = count - 1; i > 0; i--)
        add_task(&(struct task){
            .kind = TAKE_RANK, .keep = write + 1, .event = write, .value = ranks[i]});
    return 0;
}

int mc_by_graph_choose_value(int choice, int count)
{
    for (int i = count - 1; i > 0; i--)
        add_task(
            &(struct task){.kind = TAKE_VALUE, .keep = choice + 1, .event = choice, .value = i});
    return 0;
}

/* ---- which reads a write may revisit ---- */

/* Whether `event` was there before `added` was, or is there because of `write`. */
static bool is_previous(const struct mc_event *event, const struct mc_event *added,
                        const struct mc_event *write)
{
    return event != write && (event->stamp <= added->stamp || mc_clock_has(&write->causes, event));
}

static bool is_newest_previous(const struct mc_graph *graph, int location, int rank,
                               const struct mc_event *added, const struct mc_event *write)
{
    const struct mc_writes *writes = &graph->writes[location];
    for (int i = rank; i < writes->count; i++)
        if (is_previous(&graph->event[writes->event[i]], added, write))
            return false;
    return true;
}

static bool is_read_by_earlier(const struct mc_graph *graph, int write)
{
    for (int i = 0; i < graph->count; i++) {
        const struct mc_event *event = &graph->event[i];
        if (event->kind == MC_READ && event->source == write &&
            event->stamp < graph->event[write].stamp)
            return true;
    }
    return false;
}

/* Whether event `number` stands as it would if it were added anew, with nothing chosen. */
static bool is_unchosen(const struct mc_graph *graph, int number, const struct mc_event *write)
{
    const struct mc_event *event = &graph->event[number];
    if (event->kind == MC_READ) {
        if ((event->flags & MC_SPURIOUS) != 0)
            return false;
        if (event->source != MC_INITIAL && !is_previous(&graph->event[event->source], event, write))
            return false;
        return is_newest_previous(graph, event->location, mc_source_rank(graph, event), event,
                                  write);
    }
    if (event->kind == MC_WRITE)
        return is_newest_previous(graph, event->location, event->rank, event, write) &&
               !is_read_by_earlier(graph, number);
    return event->kind != MC_CHOICE || event->value == 0;
}

static bool is_dropped(const struct mc_event *event, const struct mc_event *read,
                       const struct mc_event *write)
{
    return event != write && event->stamp > read->stamp && !mc_clock_has(&write->causes, event);
}

static bool can_revisit(const struct mc_graph *graph, int write, int read)
{
    const struct mc_event *a = &graph->event[write], *r = &graph->event[read];
    for (int i = 0; i < graph->count; i++)
        if ((i == read || is_dropped(&graph->event[i], r, a)) && !is_unchosen(graph, i, a))
            return false;
    return true;
}

/* Whether another update of what update `half` has read would be left, if `read` were revisited. */
static bool leaves_conflict(const struct mc_graph *graph, int half, int read)
{
    const struct mc_event *update = &graph->event[half];
    for (int i = 0; i < graph->count; i++) {
        const struct mc_event *event = &graph->event[i];
        if (event->kind == MC_READ && (event->flags & MC_UPDATE) != 0 && i != half &&
            event->location == update->location && event->source == update->source && i != read &&
            !is_dropped(event, &graph->event[read], update))
            return true;
    }
    return false;
}

static bool is_candidate(const struct mc_graph *graph, int read, const struct mc_event *write)
{
    const struct mc_event *event = &graph->event[read];
    return event->kind == MC_READ && event->location == write->location &&
           !mc_clock_has(&write->causes, event);
}

bool mc_by_graph_allows_conflict(int half)
{
    const struct mc_graph *graph = mc_by_graph_current();
    for (int i = 0; i < graph->count; i++)
        if (is_candidate(graph, i, &graph->event[half]) && !leaves_conflict(graph, half, i) &&
            can_revisit(graph, half, i))
            return true;
    return false;
}

static bool may_fail_anyway(const struct mc_graph *graph, int read, uint64_t value)
{
    const struct mc_event *event = &graph->event[read];
    if ((event->flags & MC_WEAK) == 0 || event->expected != value)
        return false;
    int failures = 0;
    for (int i = 0; i < graph->count; i++)
        failures += graph->event[i].thread == event->thread &&
                    graph->event[i].index < event->index &&
                    (graph->event[i].flags & MC_SPURIOUS) != 0;
    return failures < mc_search_spurious_failures();
}

void mc_by_graph_wrote(int write, bool conflict)
{
    const struct mc_graph *graph = mc_by_graph_current();
    const struct mc_event *event = &graph->event[write];
    for (int i = 0; i < graph->count; i++) {
        if (!is_candidate(graph, i, event))
            continue;
        if (conflict && leaves_conflict(graph, event->source, i))
            continue;
        if (!can_revisit(graph, write, i))
            continue;
        struct task revisit = {.kind = REVISIT, .keep = write + 1, .event = write, .value = i};
        add_task(&revisit);
        revisit.spurious = true;
        if (may_fail_anyway(graph, i, event->value))
            add_task(&revisit);
    }
}

/* ---- doing it ---- */

/* What the thread of `event` knew right before it. */
static const struct mc_clock *known_before(const struct mc_graph *graph,
                                           const struct mc_event *event)
{
    for (int i = 0; i < graph->count; i++)
        if (graph->event[i].thread == event->thread && graph->event[i].index + 1 == event->index)
            return &graph->event[i].happens;
    mc_internal("an event without predecessor");
}

/* As step.c does it for a read that is run. */
static void take_write(struct mc_graph *graph, int read, int write, bool spurious)
{
    struct mc_event *r = &graph->event[read];
    const struct mc_event *a = &graph->event[write];
    r->value = a->value;
    r->flags |= spurious ? MC_SPURIOUS : 0;
    if ((r->flags & MC_COMPARE) != 0) {
        bool success = r->value == r->expected && !spurious;
        r->order = r->orders[success];
        r->flags |= success ? MC_UPDATE : 0;
    }
    r->happens = *known_before(graph, r);
    r->happens.at[r->thread] = r->index;
    if (mc_order_acquires(r->order))
        mc_clock_join(&r->happens, &a->published);
}

static bool is_update(const struct mc_event *write)
{
    return (write->flags & MC_UPDATE) != 0;
}

/* Finds a rank for the revisiting write, and keeps tasks for the others. False: there is none. */
static bool place_revisiting(struct mc_graph *graph, int write, int read)
{
    const struct mc_event *a = &graph->event[write];
    int location = a->location, newest = graph->writes[location].count;
    int lowest = mc_lowest_rank(graph, known_before(graph, a), location);
    int lowest_read = mc_lowest_rank(graph, known_before(graph, &graph->event[read]), location);
    int ranks[MC_WRITES + 1], count = 0, top = newest;
    if (lowest_read > lowest)
        lowest = lowest_read;
    if (is_update(a)) {
        top = mc_source_rank(graph, &graph->event[a->source]);
        if (top < lowest_read)
            return false;
        lowest = top;
    }
    for (int rank = top; rank >= lowest; rank--) {
        if (!mc_rank_is_open(graph, location, rank))
            continue;
        mc_graph_place(graph, write, rank + 1);
        if (rank == newest || mc_sequentially_consistent(graph))
            ranks[count++] = rank + 1;
        mc_graph_displace(graph, write);
    }
    if (count == 0)
        return false;
    for (int i = count - 1; i > 0; i--)
        add_task(&(struct task){
            .kind = TAKE_RANK, .keep = graph->count, .event = write, .value = ranks[i]});
    mc_graph_place(graph, write, ranks[0]);
    return true;
}

/* True: there is a new level, of which the graph is the beginning of an execution. */
static bool revisit(const struct task *done)
{
    bool kept[MC_EVENTS];
    const struct mc_graph *from = mc_by_graph_current();
    const struct mc_event *a = &from->event[done->event], *r = &from->event[done->value];
    for (int i = 0; i < from->count; i++)
        kept[i] = !is_dropped(&from->event[i], r, a);
    if (depth + 1 == LEVELS)
        mc_internal("more than %d revisits in a row", LEVELS);
    struct level *next = &level[depth + 1];
    mc_graph_revisit(&next->graph, from, kept, done->event, done->value);
    next->first_task = task_count;
    int write = next->graph.count - 2, read = next->graph.count - 1;
    take_write(&next->graph, read, write, done->spurious);
    if (!place_revisiting(&next->graph, write, read))
        return false;
    depth++;
    return true;
}

static bool perform(const struct task *done)
{
    struct mc_graph *graph = mc_by_graph_current();
    struct mc_event *event = &graph->event[done->event];
    mc_graph_cut(graph, done->keep);
    switch (done->kind) {
    case TAKE_SOURCE:
        event->source = (int16_t)done->value;
        event->flags &= (uint8_t)~MC_SPURIOUS;
        event->flags |= done->spurious ? MC_SPURIOUS : 0;
        return true;
    case TAKE_RANK:
        mc_graph_displace(graph, done->event);
        mc_graph_place(graph, done->event, done->value);
        return true;
    case TAKE_VALUE:
        event->value = (uint64_t)done->value;
        return true;
    default:
        return revisit(done);
    }
}

bool mc_by_graph_next(void)
{
    for (;;) {
        while (depth > 0 && task_count == level[depth].first_task)
            depth--;
        if (task_count == 0)
            return false;
        struct task next = task[--task_count];
        if (perform(&next))
            return true;
    }
}
