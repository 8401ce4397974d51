#ifndef FLETCHING_VALIDATION_H
#define FLETCHING_VALIDATION_H

#include <fletching/batch.h>
#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** How closely a batch is looked at; each level includes those before it. */
enum fletch_validation {
    /** What is meant where nothing is chosen; each use says which level that is. */
    FLETCH_VALIDATION_DEFAULT = 0,
    /** Lengths, null counts and sizes of buffers fit together and the schema. Time with the number
     *  of columns. Offsets and dictionary indices may still point anywhere. */
    FLETCH_VALIDATION_STRUCTURE = 1,
    /** Offsets do not decrease and stay inside what they point into; dictionaries are there. After
     *  this no variable-length value or list lies outside its buffers, and no column stands for
     *  more elements, by runs, nulls or what is shared, than anybody could go through. */
    FLETCH_VALIDATION_OFFSETS = 2,
    /** Strings are UTF-8, dictionary indices have values, decimals have no more digits than their
     *  precision, null counts are right. */
    FLETCH_VALIDATION_FULL = 3
};

/** Looks at a batch up to `level` (default: FLETCH_VALIDATION_FULL). Reads nothing outside the
 *  batch's buffers, whatever they hold. INVALID_ARGUMENT: names the field's path, its type, what
 *  was expected and what was found. Any thread; does not block or allocate. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_batch_validate(const struct fletch_batch *batch, enum fletch_validation level,
                      struct fletch_error *error);

FLETCH_END_DECLS

#endif
