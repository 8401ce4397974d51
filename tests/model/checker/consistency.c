#include "consistency.h"

#include <string.h>

#include "report.h"

int mc_lowest_rank(const struct mc_graph *graph, const struct mc_clock *happens, int location)
{
    int lowest = 0;
    for (int i = 0; i < graph->count; i++) {
        const struct mc_event *event = &graph->event[i];
        if (event->location != location || !mc_clock_has(happens, event))
            continue;
        int rank = 0;
        if (event->kind == MC_WRITE)
            rank = event->rank;
        else if (event->kind == MC_READ)
            rank = mc_source_rank(graph, event);
        if (rank > lowest)
            lowest = rank;
    }
    return lowest;
}

bool mc_rank_is_open(const struct mc_graph *graph, int location, int rank)
{
    const struct mc_writes *writes = &graph->writes[location];
    if (rank >= writes->count)
        return true;
    return (graph->event[writes->event[rank]].flags & MC_UPDATE) == 0;
}

/* ---- sequential consistency: psc_base and psc_fence of RC11 must have no cycle together ---- */

enum { MC_SC_EVENTS = 64 };

struct sc_nodes {
    int count;
    bool accesses; /* not only fences */
    int event[MC_SC_EVENTS];
    uint64_t follows[MC_SC_EVENTS]; /* bit k: node k must come later */
};

static bool happens_before(const struct mc_event *a, const struct mc_event *b)
{
    return a != b && mc_clock_has(&b->happens, a);
}

static bool is_access(const struct mc_event *event)
{
    return event->kind == MC_READ || event->kind == MC_WRITE;
}

/* Where an access stands in the order of its location, so that `a` comes before `b` by reads-from,
 * modification order, from-read and what they compose to exactly if its number is lower. */
static int place_of(const struct mc_graph *graph, const struct mc_event *event)
{
    if (event->kind == MC_WRITE)
        return 2 * event->rank;
    return 2 * mc_source_rank(graph, event) + 1;
}

static void collect(const struct mc_graph *graph, struct sc_nodes *nodes)
{
    nodes->count = 0;
    nodes->accesses = false;
    for (int i = 0; i < graph->count; i++) {
        const struct mc_event *event = &graph->event[i];
        if (event->order != MC_SEQ_CST || (!is_access(event) && event->kind != MC_FENCE))
            continue;
        if (nodes->count == MC_SC_EVENTS)
            mc_internal("more than %d seq_cst events", MC_SC_EVENTS);
        nodes->event[nodes->count] = i;
        nodes->follows[nodes->count] = 0;
        nodes->count++;
        nodes->accesses |= is_access(event);
    }
}

/* The earliest place that comes after a fence, and the latest that comes before it, by location. */
struct sc_reach {
    int earliest[MC_LOCATIONS];
    int latest[MC_LOCATIONS];
};

static void reach_of(const struct mc_graph *graph, const struct mc_event *fence,
                     struct sc_reach *reach)
{
    for (int i = 0; i < graph->location_count; i++) {
        reach->earliest[i] = INT32_MAX;
        reach->latest[i] = -1;
    }
    for (int i = 0; i < graph->count; i++) {
        const struct mc_event *event = &graph->event[i];
        if (!is_access(event))
            continue;
        int place = place_of(graph, event);
        if (happens_before(fence, event) && place < reach->earliest[event->location])
            reach->earliest[event->location] = place;
        if (happens_before(event, fence) && place > reach->latest[event->location])
            reach->latest[event->location] = place;
    }
}

static bool reaches(const struct mc_graph *graph, const struct sc_reach *from,
                    const struct sc_reach *to)
{
    for (int i = 0; i < graph->location_count; i++)
        if (to->latest[i] > from->earliest[i])
            return true;
    return false;
}

/* A light fence holds against a heavy one only: in between, the kernel runs a full barrier on its
 * processor. Against anything else it is nothing. (D. Goldblatt, WG21 P1202, asymmetric fences.) */
static bool pairs(const struct mc_event *a, const struct mc_event *b)
{
    if ((a->flags & MC_LIGHT) != 0)
        return (b->flags & MC_HEAVY) != 0;
    return (b->flags & MC_LIGHT) == 0 || (a->flags & MC_HEAVY) != 0;
}

static void relate_fences(const struct mc_graph *graph, struct sc_nodes *nodes)
{
    static struct sc_reach reach[MC_SC_EVENTS];
    for (int i = 0; i < nodes->count; i++)
        reach_of(graph, &graph->event[nodes->event[i]], &reach[i]);
    for (int i = 0; i < nodes->count; i++) {
        const struct mc_event *a = &graph->event[nodes->event[i]];
        for (int k = 0; k < nodes->count; k++) {
            const struct mc_event *b = &graph->event[nodes->event[k]];
            if (i == k || a->kind != MC_FENCE || b->kind != MC_FENCE)
                continue;
            if (pairs(a, b) && (happens_before(a, b) || reaches(graph, &reach[i], &reach[k])))
                nodes->follows[i] |= UINT64_C(1) << k;
        }
    }
}

/* In program order, and not at the same location. */
static bool elsewhere_later(const struct mc_event *a, const struct mc_event *b)
{
    if (a->thread != b->thread || a->index >= b->index)
        return false;
    return !is_access(a) || !is_access(b) || a->location != b->location;
}

/* Some c, d with a before c in the thread, c happening before d, d before b in its thread. */
static bool happens_elsewhere(const struct mc_graph *graph, const struct mc_event *a,
                              const struct mc_event *b)
{
    for (int i = 0; i < graph->count; i++) {
        const struct mc_event *c = &graph->event[i];
        if (!elsewhere_later(a, c) || !happens_before(c, b))
            continue;
        for (int k = 0; k < graph->count; k++) {
            const struct mc_event *d = &graph->event[k];
            if (elsewhere_later(d, b) && happens_before(c, d))
                return true;
        }
    }
    return false;
}

/* The relation scb of RC11. */
static bool is_before(const struct mc_graph *graph, const struct mc_event *a,
                      const struct mc_event *b)
{
    if (a->thread == b->thread)
        return a->index < b->index;
    if (is_access(a) && is_access(b) && a->location == b->location) {
        if (happens_before(a, b))
            return true;
        /* modification order and from-read, but not reads-from */
        if (b->kind == MC_WRITE && place_of(graph, a) < place_of(graph, b))
            return true;
    }
    return happens_before(a, b) && happens_elsewhere(graph, a, b);
}

static bool begins(const struct mc_event *node, const struct mc_event *event)
{
    return node == event || (node->kind == MC_FENCE && happens_before(node, event));
}

static bool ends(const struct mc_event *node, const struct mc_event *event)
{
    return node == event || (node->kind == MC_FENCE && happens_before(event, node));
}

static bool base_related(const struct mc_graph *graph, const struct mc_event *a,
                         const struct mc_event *b)
{
    for (int i = 0; i < graph->count; i++) {
        if (!begins(a, &graph->event[i]))
            continue;
        for (int k = 0; k < graph->count; k++)
            if (i != k && ends(b, &graph->event[k]) &&
                is_before(graph, &graph->event[i], &graph->event[k]))
                return true;
    }
    return false;
}

static void relate_accesses(const struct mc_graph *graph, struct sc_nodes *nodes)
{
    for (int i = 0; i < nodes->count; i++) {
        const struct mc_event *a = &graph->event[nodes->event[i]];
        for (int k = 0; k < nodes->count; k++) {
            const struct mc_event *b = &graph->event[nodes->event[k]];
            if (i == k || (a->kind == MC_FENCE && b->kind == MC_FENCE))
                continue;
            if (pairs(a, b) && base_related(graph, a, b))
                nodes->follows[i] |= UINT64_C(1) << k;
        }
    }
}

static bool has_cycle(struct sc_nodes *nodes)
{
    for (int middle = 0; middle < nodes->count; middle++)
        for (int i = 0; i < nodes->count; i++)
            if ((nodes->follows[i] >> middle & 1) != 0)
                nodes->follows[i] |= nodes->follows[middle];
    for (int i = 0; i < nodes->count; i++)
        if ((nodes->follows[i] >> i & 1) != 0)
            return true;
    return false;
}

bool mc_sequentially_consistent(const struct mc_graph *graph)
{
    struct sc_nodes nodes;
    collect(graph, &nodes);
    if (nodes.count < 2)
        return true;
    relate_fences(graph, &nodes);
    if (nodes.accesses)
        relate_accesses(graph, &nodes);
    return !has_cycle(&nodes);
}
