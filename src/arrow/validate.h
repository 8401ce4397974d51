#ifndef FLETCH_ARROW_VALIDATE_H
#define FLETCH_ARROW_VALIDATE_H

/* Validation of batches: fletching/validation.h says what each level promises. Walks the flat table
 * of the schema; recursion, into dictionaries and where elements are counted that are shared, goes
 * as deep as the schema, which is bounded by FLETCH_SCHEMA_DEPTH_MAX. */

#include <fletching/validation.h>

#include "arrow/column.h"

/* A batch under validation, and where it stands if it is a dictionary. */
struct fletch_validated {
    const struct fletch_batch *batch;
    const struct fletch_schema *schema;      /* the batch's */
    const struct fletch_field_path *outside; /* path of the encoded field; NULL: no dictionary */
    struct fletch_error *error;
};

/* Writes "field 'a.b' (int32): …" and returns INVALID_ARGUMENT. */
enum fletch_status fletch_validate_fail(const struct fletch_validated *validated, uint32_t row,
                                        const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* fletch_batch_validate for a batch whose dictionaries were validated to that level when they came,
 * and are not looked at again with each batch that uses them. */
enum fletch_status fletch_batch_validate_columns(const struct fletch_batch *batch,
                                                 enum fletch_validation level,
                                                 struct fletch_error *error);

#endif
