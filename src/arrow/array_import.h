#ifndef FLETCH_ARROW_ARRAY_IMPORT_H
#define FLETCH_ARROW_ARRAY_IMPORT_H

/* Batches out of the C data interface: see fletch_batch_import of fletching/arrow.h.
 *
 * A structure there adds a parent struct's offset to those of its children, and tells no sizes. A
 * batch has the sum in each node, and the bytes that elements 0 to offset + length take in each
 * span. */

#include <fletching/arrow.h>

#include "memory/batch.h"

/* Copies options into a whole structure, with the default level of validation, and checks that
 * there is a cache. */
enum fletch_status fletch_import_options_read(const struct fletch_import_options *options,
                                              struct fletch_import_options *out_options,
                                              struct fletch_error *error);

#endif
