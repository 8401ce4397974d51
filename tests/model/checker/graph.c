#include "graph.h"

#include <string.h>

#include "report.h"

void mc_graph_clear(struct mc_graph *graph)
{
    for (int i = 0; i < graph->location_count; i++)
        graph->writes[i].count = 0;
    graph->count = 0;
    graph->location_count = 0;
    graph->next_stamp = 1;
}

static void renumber(struct mc_graph *graph, struct mc_writes *writes, int from)
{
    for (int i = from; i < writes->count; i++)
        graph->event[writes->event[i]].rank = (uint16_t)(i + 1);
}

void mc_graph_place(struct mc_graph *graph, int number, int rank)
{
    struct mc_writes *writes = &graph->writes[graph->event[number].location];
    if (writes->count == MC_WRITES)
        mc_internal("more than %d writes to one location", MC_WRITES);
    int at = rank - 1;
    memmove(&writes->event[at + 1], &writes->event[at],
            (size_t)(writes->count - at) * sizeof writes->event[0]);
    writes->event[at] = (int16_t)number;
    writes->count++;
    renumber(graph, writes, at);
}

void mc_graph_displace(struct mc_graph *graph, int number)
{
    struct mc_writes *writes = &graph->writes[graph->event[number].location];
    int at = graph->event[number].rank - 1;
    writes->count--;
    memmove(&writes->event[at], &writes->event[at + 1],
            (size_t)(writes->count - at) * sizeof writes->event[0]);
    renumber(graph, writes, at);
}

void mc_graph_cut(struct mc_graph *graph, int count)
{
    for (int i = 0; i < graph->location_count; i++) {
        struct mc_writes *writes = &graph->writes[i];
        int left = 0;
        for (int k = 0; k < writes->count; k++)
            if (writes->event[k] < count)
                writes->event[left++] = writes->event[k];
        if (left == writes->count)
            continue;
        writes->count = (uint16_t)left;
        renumber(graph, writes, 0);
    }
    graph->count = count;
}

static void copy_event(struct mc_graph *to, const struct mc_graph *from, int number, int16_t *map)
{
    struct mc_event *event = &to->event[to->count];
    *event = from->event[number];
    if (event->source != MC_INITIAL)
        event->source = map[event->source];
    map[number] = (int16_t)to->count++;
}

void mc_graph_revisit(struct mc_graph *to, const struct mc_graph *from, const bool *kept, int write,
                      int read)
{
    int16_t map[MC_EVENTS];
    to->count = 0;
    for (int i = 0; i < from->count; i++)
        if (kept[i] && i != write && i != read)
            copy_event(to, from, i, map);
    to->location_count = from->location_count;
    to->next_stamp = from->next_stamp;
    for (int i = 0; i < from->location_count; i++) {
        const struct mc_writes *writes = &from->writes[i];
        struct mc_writes *left = &to->writes[i];
        left->count = 0;
        for (int k = 0; k < writes->count; k++)
            if (kept[writes->event[k]] && writes->event[k] != write)
                left->event[left->count++] = map[writes->event[k]];
        renumber(to, left, 0);
    }
    copy_event(to, from, write, map);
    struct mc_event *event = &to->event[to->count];
    *event = from->event[read];
    event->source = map[write];
    event->flags &= (uint8_t) ~(MC_SPURIOUS | MC_UPDATE);
    to->count++;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ (hash >> 29);
}

/* Events are named by thread and index, which do not depend on the order of adding. */
static uint64_t name_of(const struct mc_graph *graph, int number)
{
    if (number == MC_INITIAL)
        return 1;
    const struct mc_event *event = &graph->event[number];
    return (uint64_t)event->thread << 16 | event->index;
}

uint64_t mc_graph_hash(const struct mc_graph *graph)
{
    uint64_t sum = 0;
    for (int i = 0; i < graph->count; i++) {
        const struct mc_event *event = &graph->event[i];
        uint64_t hash = mix(name_of(graph, i), event->kind);
        hash = mix(hash, event->kind == MC_WRITE ? event->rank : name_of(graph, event->source));
        hash = mix(hash, event->flags & (MC_SPURIOUS | MC_UPDATE));
        sum += mix(hash, event->kind == MC_CHOICE ? event->value : 0);
    }
    return sum;
}
