#ifndef FLETCH_ARROW_ARRAY_EXPORT_H
#define FLETCH_ARROW_ARRAY_EXPORT_H

/* Batches into the C data interface: see fletch_batch_export of fletching/arrow.h.
 *
 * All structures lie in one block with a reference for each that is not released, so that children
 * can be moved out and released in any order, on any thread. */

#include <fletching/arrow.h>

#include "memory/batch.h"

#endif
