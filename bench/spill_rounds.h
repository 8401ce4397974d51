#ifndef BENCH_SPILL_ROUNDS_H
#define BENCH_SPILL_ROUNDS_H

#include <stddef.h>
#include <stdint.h>

#include <fletching/shuffle.h>

/** Frames spilled and read back by the library's own calls, which are not public and no C++: in a
 *  shared object that shows nothing else. */

#ifdef __cplusplus
extern "C" {
#endif

struct spill_rounds;

/** Frames of `rows` rows of int64 (counted) and float64 (any bits), in `directory`. NULL: told why
 *  on standard error. */
struct spill_rounds *spill_rounds_open(const char *directory, int64_t rows,
                                       enum fletch_spill_codec codec);
void spill_rounds_close(struct spill_rounds *rounds);

/** Spills a frame; reads the one that was spilled `depth` calls before, and lets it go. Returns 0,
 *  or -1: one of both failed, or a row was not what had been written. */
int spill_rounds_turn(struct spill_rounds *rounds);

enum { SPILL_ROUNDS_DEPTH = 16 };

#ifdef __cplusplus
}
#endif

#endif
