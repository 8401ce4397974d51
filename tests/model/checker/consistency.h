#ifndef MC_CONSISTENCY_H
#define MC_CONSISTENCY_H

/* What the memory model allows: RC11 (O. Lahav, V. Vafeiadis, J. Kang, C.-K. Hur, D. Dreyer,
 * "Repairing sequential consistency in C/C++11", 2017), with the C++20 release sequence. */

#include "graph.h"

/* The lowest rank that a thread which knows `happens` may read at `location`, or behind which it
 * may write: what it has written or seen there, or heard of. */
int mc_lowest_rank(const struct mc_graph *graph, const struct mc_clock *happens, int location);

/* Whether another write may stand right behind `rank`: not if an update stands there, since nothing
 * comes between an update's read and its write. */
bool mc_rank_is_open(const struct mc_graph *graph, int location, int rank);

/* Whether the sequentially consistent accesses and fences can be put into one order. */
bool mc_sequentially_consistent(const struct mc_graph *graph);

#endif
