#ifndef FLETCH_PROGRAM_VALUE_TEXT_H
#define FLETCH_PROGRAM_VALUE_TEXT_H

#include <stdint.h>

#include <fletching/arrow.h>

#include "text.h"

/* Values of Arrow arrays as text. The arrays were validated in full. */

/* Element `index` as JSON: numbers and bools as they are, what JSON has no number for ("NaN",
 * decimals, times) and text as strings, bytes in hexadecimal, maps as lists of pairs, unions as
 * their member's value alone. */
void value_text_json(struct text *text, const struct ArrowSchema *schema,
                     const struct ArrowArray *array, int64_t index);

/* Element `index` as a field of CSV: null is nothing at all, text as it is, nested values as
 * JSON. */
void value_text_csv(struct text *text, const struct ArrowSchema *schema,
                    const struct ArrowArray *array, int64_t index);

#endif
