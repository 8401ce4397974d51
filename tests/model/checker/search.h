#ifndef MC_SEARCH_H
#define MC_SEARCH_H

/* Which executions are run. See README.md for the two ways: by graph (every execution graph once),
 * and by choice (threads and reads chosen step by step: bounded, random, repeated, or all of them).
  */

#include <stdbool.h>
#include <stdint.h>

#include "graph.h"

/* What a new read may read. */
struct mc_option {
    int16_t source;
    bool spurious;
};

/* ---- asked while an execution runs ---- */

int mc_search_pick_thread(unsigned enabled, int current);
/* Each returns an index below `count`; the first one is the newest write, or the last rank. */
int mc_search_choose_source(int read, const struct mc_option *options, int count);
int mc_search_choose_rank(int write, const int *ranks, int count);
int mc_search_choose_value(int choice, int count);
/* A new write is in the graph. `conflict`: it updates the same write as another update. */
void mc_search_wrote(int write, bool conflict);

/* Whether update `read` may read what another update has read already. */
bool mc_search_allows_conflict(int read);
/* Whether a paused thread goes on once there is something new to see, or stays for the execution.
 */
bool mc_search_resumes_pauses(void);
/* Whether steps that touch nothing shared (start, end, fence) are taken at once. */
bool mc_search_hurries_local_steps(void);
/* How often a weak compare-exchange of one thread may fail for no reason. */
int mc_search_spurious_failures(void);

/* ---- the two ways; search.c calls them ---- */

void mc_by_graph_begin(void);
struct mc_graph *mc_by_graph_current(void);
/* Makes the current graph the beginning of another execution. False: all have been run. */
bool mc_by_graph_next(void);
int mc_by_graph_choose_source(int read, const struct mc_option *options, int count);
int mc_by_graph_choose_rank(int write, const int *ranks, int count);
int mc_by_graph_choose_value(int choice, int count);
void mc_by_graph_wrote(int write, bool conflict);
bool mc_by_graph_allows_conflict(int read);

struct mc_choice_rules {
    int preemptions; /* at most so many; -1: any number */
    bool random;
    uint64_t seed;
};

void mc_by_choice_begin(const struct mc_choice_rules *rules);
void mc_by_choice_restart(void);
bool mc_by_choice_next(void);
int mc_by_choice_pick_thread(unsigned enabled, int current);
int mc_by_choice_choose(int count, bool newest_first);

/* An execution as a replay string tells it: for each event the thread and what was chosen. */
void mc_replay_begin(const char *text);
int mc_replay_pick_thread(unsigned enabled);
int mc_replay_choose_source(int read, const struct mc_option *options, int count);
int mc_replay_choose_rank(int write, const int *ranks, int count);
int mc_replay_choose_value(int choice, int count);
void mc_replay_print(const struct mc_graph *graph);

#endif
