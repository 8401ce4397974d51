/* The loop over executions, and what an execution asks of the search. */

#include "search.h"

#include <string.h>
#include <time.h>

#include "actions.h"
#include "checker.h"
#include "fiber.h"
#include "run.h"

static struct mc_options options;
static struct mc_graph choice_graph; /* for all ways but by graph */
static bool repeating;               /* an execution whose end is known, for its trace */
static uint64_t outcome;

/* ---- asked while an execution runs ---- */

static bool by_graph(void)
{
    return options.mode == MC_EXHAUSTIVE;
}

int mc_search_pick_thread(unsigned enabled, int current)
{
    if (options.mode == MC_REPLAY && !repeating)
        return mc_replay_pick_thread(enabled);
    if (by_graph() || repeating)
        return __builtin_ctz(enabled);
    return mc_by_choice_pick_thread(enabled, current);
}

int mc_search_choose_source(int read, const struct mc_option *choices, int count)
{
    if (repeating)
        return 0;
    if (options.mode == MC_REPLAY)
        return mc_replay_choose_source(read, choices, count);
    if (by_graph())
        return mc_by_graph_choose_source(read, choices, count);
    return mc_by_choice_choose(count, true);
}

int mc_search_choose_rank(int write, const int *ranks, int count)
{
    if (repeating)
        return 0;
    if (options.mode == MC_REPLAY)
        return mc_replay_choose_rank(write, ranks, count);
    if (by_graph())
        return mc_by_graph_choose_rank(write, ranks, count);
    return mc_by_choice_choose(count, true);
}

int mc_search_choose_value(int choice, int count)
{
    if (repeating)
        return 0;
    if (options.mode == MC_REPLAY)
        return mc_replay_choose_value(choice, count);
    if (by_graph())
        return mc_by_graph_choose_value(choice, count);
    return mc_by_choice_choose(count, false);
}

void mc_search_wrote(int write, bool conflict)
{
    if (by_graph() && !repeating)
        mc_by_graph_wrote(write, conflict);
}

bool mc_search_allows_conflict(int read)
{
    return by_graph() && !repeating && mc_by_graph_allows_conflict(read);
}

bool mc_search_resumes_pauses(void)
{
    return !by_graph() && options.mode != MC_UNREDUCED;
}

bool mc_search_hurries_local_steps(void)
{
    return options.mode == MC_UNREDUCED;
}

int mc_search_spurious_failures(void)
{
    return options.no_spurious_failures ? 0 : 1;
}

void mc_outcome(uint64_t value)
{
    outcome = value;
}

/* ---- the loop ---- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void begin(void)
{
    static bool started;
    if (!started) {
        mc_memory_start();
        mc_fiber_start();
        started = true;
    }
    memset(&mc_failure, 0, sizeof mc_failure);
    mc_graph_clear(&choice_graph);
    mc_by_graph_begin();
    mc_by_choice_begin(&(struct mc_choice_rules){
        .preemptions = options.mode == MC_PREEMPTIONS ? options.preemptions : -1,
        .random = options.mode == MC_RANDOM,
        .seed = options.seed,
    });
    if (options.mode == MC_REPLAY)
        mc_replay_begin(options.replay);
}

/* The graph of the next execution: as far as it is given. */
static struct mc_graph *next_graph(void)
{
    if (by_graph())
        return mc_by_graph_current();
    mc_graph_clear(&choice_graph);
    mc_by_choice_restart();
    return &choice_graph;
}

static bool is_left(const struct mc_result *result)
{
    if (options.mode == MC_REPLAY)
        return false;
    if (options.mode == MC_RANDOM)
        return result->complete + result->cut < options.runs;
    return by_graph() ? mc_by_graph_next() : mc_by_choice_next();
}

/* Runs the execution once more, with its trace. */
static void report(struct mc_graph *graph, void (*harness)(void))
{
    if (options.quiet)
        return;
    repeating = true;
    mc_run_execute(graph, harness);
    repeating = false;
    mc_report_print(graph);
}

static void count(struct mc_result *result, enum mc_end end, const struct mc_graph *graph)
{
    if (end != MC_COMPLETE) {
        result->cut++;
        return;
    }
    result->complete++;
    if (!options.collect)
        return;
    mc_set_add(&result->graphs, mc_graph_hash(graph));
    mc_set_add(&result->outcomes, outcome);
}

void mc_check(const struct mc_options *chosen, void (*harness)(void), struct mc_result *result)
{
    double start = now();
    options = *chosen;
    memset(result, 0, sizeof *result);
    begin();
    for (unsigned long runs = 1;; runs++) {
        struct mc_graph *graph = next_graph();
        enum mc_end end = mc_run_execute(graph, harness);
        if (end == MC_FAILED) {
            report(graph, harness);
            result->error = mc_failure.error;
            break;
        }
        count(result, end, graph);
        if (!is_left(result)) {
            result->finished = true;
            break;
        }
        if (options.seconds > 0 && runs % 64 == 0 && now() - start > options.seconds)
            break;
    }
    result->seconds = now() - start;
}
