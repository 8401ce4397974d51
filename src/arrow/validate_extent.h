#ifndef FLETCH_ARROW_VALIDATE_EXTENT_H
#define FLETCH_ARROW_VALIDATE_EXTENT_H

#include "arrow/validate.h"

/* Some hundred bytes can stand for more elements than there is time for: a run, or a child of
 * nothing but nulls, of any length; list views, unions, runs and dictionaries that share what lies
 * below them, level over level. Whoever hashes, copies or prints a batch goes through all that it
 * stands for, so level 2 refuses what has more of it in a column than the larger of this and a bit
 * for each element. */
#define FLETCH_EXTENT_ELEMENTS_MAX (UINT64_C(1) << 36)

/* The same for what can only be counted one by one: places where something nested is shared. */
#define FLETCH_EXTENT_STEPS_MAX (UINT64_C(1) << 25)

/* Once level 2 has found nothing else in the batch and its dictionaries. */
enum fletch_status fletch_validate_extent(const struct fletch_validated *validated);

#endif
