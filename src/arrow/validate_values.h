#ifndef FLETCH_ARROW_VALIDATE_VALUES_H
#define FLETCH_ARROW_VALIDATE_VALUES_H

#include "arrow/validate.h"

/* Level 3 for the array of one row, once levels 1 and 2 found nothing in the whole batch. */
enum fletch_status fletch_validate_values(const struct fletch_validated *validated, uint32_t row);

/* Element `index` of dictionary indices, null or not; one beyond int64 is negative. */
int64_t fletch_validate_index(const struct fletch_column *column, int64_t index);

#endif
