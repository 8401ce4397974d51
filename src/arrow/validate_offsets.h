#ifndef FLETCH_ARROW_VALIDATE_OFFSETS_H
#define FLETCH_ARROW_VALIDATE_OFFSETS_H

#include "arrow/validate.h"

/* Level 2 for the array of one row, once level 1 found nothing in the whole batch: offsets, starts
 * and sizes, type ids, views, run ends. */
enum fletch_status fletch_validate_offsets(const struct fletch_validated *validated, uint32_t row);

#endif
