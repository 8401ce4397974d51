/* Events: what each kind does to the knowledge of its thread, and what the search may choose. */

#include <string.h>

#include "consistency.h"
#include "report.h"
#include "run.h"
#include "search.h"

static bool is_new(int number)
{
    return number >= mc_run.given;
}

/* ---- reads ---- */

static void record_look(struct mc_thread *self, const struct mc_event *event)
{
    struct mc_turn *turn = &self->turn;
    if (turn->count == MC_LOOKS)
        mc_fail(MC_ENDLESS, "thread %d makes more than %d reads without a pause", mc_run.current,
                MC_LOOKS);
    turn->look[turn->count++] = (struct mc_look){
        .location = event->location,
        .own = event->source != MC_INITIAL &&
               mc_run.graph->event[event->source].thread == mc_run.current,
        .value = event->value,
    };
    turn->spurious |= (event->flags & MC_SPURIOUS) != 0;
}

/* What follows from the source: value, success, order, clocks. */
static void take_source(struct mc_event *event, const struct mc_thread *self)
{
    const struct mc_graph *graph = mc_run.graph;
    event->value = mc_location_value(graph, event->location, event->source);
    if ((event->flags & MC_COMPARE) != 0) {
        bool success = event->value == event->expected && (event->flags & MC_SPURIOUS) == 0;
        event->order = event->orders[success];
        event->flags &= (uint8_t)~MC_UPDATE;
        event->flags |= success ? MC_UPDATE : 0;
    }
    event->happens = self->happens;
    event->causes = self->causes;
    event->happens.at[event->thread] = event->causes.at[event->thread] = event->index;
    if (event->source == MC_INITIAL)
        return;
    const struct mc_event *source = &graph->event[event->source];
    mc_clock_join(&event->causes, &source->causes);
    if (mc_order_acquires(event->order))
        mc_clock_join(&event->happens, &source->published);
}

static bool may_read(struct mc_event *event, int rank, const struct mc_thread *self)
{
    const struct mc_graph *graph = mc_run.graph;
    take_source(event, self);
    if ((event->flags & MC_UPDATE) != 0 && !mc_rank_is_open(graph, event->location, rank) &&
        !mc_search_allows_conflict((int)(event - graph->event)))
        return false;
    return rank == graph->writes[event->location].count || mc_sequentially_consistent(graph);
}

static void choose_source(int number, struct mc_thread *self)
{
    struct mc_option options[2 * (MC_WRITES + 1)];
    struct mc_event *event = &mc_run.graph->event[number];
    const struct mc_writes *writes = &mc_run.graph->writes[event->location];
    int lowest = self->newest ? writes->count
                              : mc_lowest_rank(mc_run.graph, &self->happens, event->location);
    int count = 0;
    for (int rank = writes->count; rank >= lowest; rank--) {
        event->source = rank == 0 ? MC_INITIAL : writes->event[rank - 1];
        event->flags &= (uint8_t)~MC_SPURIOUS;
        if (may_read(event, rank, self))
            options[count++] = (struct mc_option){.source = event->source};
        if ((event->flags & MC_WEAK) == 0 || event->value != event->expected ||
            self->spurious >= mc_search_spurious_failures())
            continue;
        event->flags |= MC_SPURIOUS;
        if (may_read(event, rank, self))
            options[count++] = (struct mc_option){.source = event->source, .spurious = true};
    }
    if (count == 0)
        mc_internal("a read has no source");
    int chosen = mc_search_choose_source(number, options, count);
    event->source = options[chosen].source;
    event->flags &= (uint8_t)~MC_SPURIOUS;
    event->flags |= options[chosen].spurious ? MC_SPURIOUS : 0;
}

static void run_read(int number, struct mc_thread *self)
{
    struct mc_event *event = &mc_run.graph->event[number];
    if (is_new(number))
        choose_source(number, self);
    take_source(event, self);
    if (event->source != MC_INITIAL)
        mc_clock_join(&self->acquired, &mc_run.graph->event[event->source].published);
    self->spurious += (event->flags & MC_SPURIOUS) != 0;
    record_look(self, event);
}

/* ---- writes ---- */

/* False: another update stands where this one belongs. */
static bool place_update(int number)
{
    struct mc_graph *graph = mc_run.graph;
    const struct mc_event *event = &graph->event[number];
    int rank = mc_source_rank(graph, &graph->event[event->source]);
    bool open = mc_rank_is_open(graph, event->location, rank);
    mc_graph_place(graph, number, rank + 1);
    return open;
}

static void place_store(int number, const struct mc_thread *self)
{
    struct mc_graph *graph = mc_run.graph;
    int location = graph->event[number].location;
    int newest = graph->writes[location].count;
    int lowest = mc_lowest_rank(graph, &self->happens, location);
    int ranks[MC_WRITES + 1], count = 0;
    for (int rank = newest; rank >= lowest; rank--) {
        bool fits = rank == newest;
        if (!fits && mc_rank_is_open(graph, location, rank)) {
            mc_graph_place(graph, number, rank + 1);
            fits = mc_sequentially_consistent(graph);
            mc_graph_displace(graph, number);
        }
        if (fits)
            ranks[count++] = rank + 1;
    }
    int chosen = mc_search_choose_rank(number, ranks, count);
    mc_graph_place(graph, number, ranks[chosen]);
}

static void run_write(int number, struct mc_thread *self)
{
    struct mc_graph *graph = mc_run.graph;
    struct mc_event *event = &graph->event[number];
    bool update = (event->flags & MC_UPDATE) != 0, open = true;
    event->value = self->request.value;
    event->published = mc_order_releases(event->order) ? event->happens : self->released;
    if (update && graph->event[event->source].source != MC_INITIAL)
        mc_clock_join(&event->published,
                      &graph->event[graph->event[event->source].source].published);
    if (is_new(number) && update)
        open = place_update(number);
    else if (is_new(number))
        place_store(number, self);
    int newest = is_new(number) ? graph->writes[event->location].count : event->rank;
    mc_location_update(event->location, event->rank, newest, event->value);
    if (is_new(number))
        mc_search_wrote(number, !open);
    if (!open)
        mc_run_leave(MC_CUT);
}

/* ---- everything else ---- */

static void run_fence(int number, struct mc_thread *self)
{
    struct mc_event *event = &mc_run.graph->event[number];
    if ((event->flags & MC_LIGHT) != 0)
        return;
    if (mc_order_acquires(event->order))
        mc_clock_join(&event->happens, &self->acquired);
    if (mc_order_releases(event->order))
        self->released = event->happens;
}

/* Continues what another thread did at `source`: its creation, its end. */
static void run_follow(int number, struct mc_thread *self)
{
    struct mc_event *event = &mc_run.graph->event[number];
    if (event->kind == MC_JOIN)
        event->source = (int16_t)mc_run.thread[self->request.target].finished;
    if (event->source == MC_INITIAL)
        return; /* the first thread */
    mc_clock_join(&event->happens, &mc_run.graph->event[event->source].happens);
    mc_clock_join(&event->causes, &mc_run.graph->event[event->source].causes);
}

/* Being woken teaches nothing that the code could rely on. */
static void run_awake(int number, struct mc_thread *self)
{
    struct mc_event *event = &mc_run.graph->event[number];
    event->source = (int16_t)mc_run_waker(self, event->thread);
    mc_clock_join(&event->causes, &mc_run.graph->event[event->source].causes);
}

static void run_choice(int number, struct mc_thread *self)
{
    if (is_new(number))
        mc_run.graph->event[number].value =
            (uint64_t)mc_search_choose_value(number, self->request.target);
}

static void run_nothing(int number, struct mc_thread *self)
{
    (void)number;
    (void)self;
}

static void (*const run_kind[])(int number, struct mc_thread *self) = {
    [MC_START] = run_follow, [MC_END] = run_nothing,   [MC_CREATE] = run_nothing,
    [MC_JOIN] = run_follow,  [MC_READ] = run_read,     [MC_WRITE] = run_write,
    [MC_FENCE] = run_fence,  [MC_CHOICE] = run_choice, [MC_AWAKE] = run_awake,
};

static void add_event(struct mc_graph *graph, const struct mc_request *request)
{
    if (graph->count == MC_EVENTS)
        mc_fail(MC_ENDLESS, "more than %d events", MC_EVENTS);
    struct mc_event *event = &graph->event[graph->count++];
    memset(event, 0, sizeof *event);
    event->thread = (uint8_t)mc_run.current;
    event->kind = request->kind;
    event->stamp = graph->next_stamp++;
    event->flags = request->flags;
    event->location = (uint16_t)request->location;
    event->value = request->value;
}

static void check_event(const struct mc_event *event, const struct mc_request *request)
{
    bool memory = request->kind == MC_READ || request->kind == MC_WRITE;
    if (event->thread != mc_run.current || event->kind != request->kind ||
        (memory && event->location != request->location))
        mc_internal(
            "a repeated execution differs at event %d: thread %d, kind %d, location %d, not "
            "thread %d, kind %d, location %d",
            mc_run.position, mc_run.current, request->kind, request->location, event->thread,
            event->kind, event->location);
}

int mc_step(const struct mc_request *request)
{
    struct mc_thread *self = mc_self();
    struct mc_graph *graph = mc_run.graph;
    self->request = *request;
    if (request->kind != MC_START) /* a thread begins when it is its turn */
        mc_run_yield();
    int number = mc_run.position;
    if (is_new(number))
        add_event(graph, &self->request);
    struct mc_event *event = &graph->event[number];
    check_event(event, &self->request);
    event->index = ++self->events;
    event->order = self->request.order;
    memcpy(event->orders, self->request.orders, sizeof event->orders);
    event->expected = self->request.expected;
    event->flags = (uint8_t)((event->flags & MC_SPURIOUS) | self->request.flags);
    event->code = self->code;
    event->caller = self->depth > 0 ? self->call[(self->depth - 1) % 64] : NULL;
    if (event->kind != MC_READ && event->kind != MC_AWAKE && event->kind != MC_JOIN)
        event->source = (int16_t)self->request.source;
    /* of a read they are made by its handler */
    event->happens = self->happens;
    event->causes = self->causes;
    event->happens.at[event->thread] = event->causes.at[event->thread] = event->index;
    run_kind[event->kind](number, self);
    self->happens = event->happens;
    self->causes = event->causes;
    self->known = event->happens;
    self->known.at[event->thread] = UINT16_MAX;
    self->turn.any = true;
    mc_run.position++;
    return number;
}
