#ifndef FLETCH_ARROW_BATCH_COMPACT_H
#define FLETCH_ARROW_BATCH_COMPACT_H

/* A slice keeps all of what it was cut from alive; a copy keeps its own rows alive and no more. */

#include <fletching/budget.h>
#include <fletching/buffer_pool.h>

#include "memory/batch.h"

struct fletch_batch_place {
    struct fletch_buffer_cache *cache;
    struct fletch_account *account; /* NULL: nobody is charged */
    struct fletch_error *error;     /* may be NULL */
};

/* A batch of the same rows in one new buffer, which is charged with the batch's block; dictionaries
 * and metadata are shared. RESOURCE_EXHAUSTED: no memory, also for some scratch while it lasts. */
enum fletch_status fletch_batch_compact(const struct fletch_batch_place *place,
                                        const struct fletch_batch *batch,
                                        struct fletch_batch **out_batch);

#endif
