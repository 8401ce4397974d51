#ifndef FLETCH_TESTS_FUZZ_WALK_H
#define FLETCH_TESTS_FUZZ_WALK_H

#include <stdbool.h>

#include "memory/batch.h"

/* Whether the rows of a batch stand for no more than `most` elements in all, those of children and
 * dictionaries counted as often as they are used. The batch is valid (level 2). A small valid batch
 * can stand for very many, which whoever looks at each would look at. */
bool walk_is_short(const struct fletch_batch *batch, int64_t most);

#endif
