#ifndef FLETCH_PARTITION_BATCH_RECODER_H
#define FLETCH_PARTITION_BATCH_RECODER_H

/* Batches whose fields are dictionaries where the writer's schema has them plain, plain where it
 * has dictionaries, or have indices of another type, become batches of that schema: such a field is
 * copied, all others stay where they are. Belongs to one thread. */

#include "partition/dictionary_merger.h"

struct fletch_recoder {
    struct fletch_schema *schema;                  /* that batches are to have */
    struct fletch_dictionary_merger *dictionaries; /* one for each of the schema's */
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
    struct fletch_allocator allocator;
};

/* Makes the batch of the recoder's schema. What was plain and is to be encoded gets the indices of
 * the writer's dictionary, and its newest snapshot for values. The schemas are equal by
 * FLETCH_COMPARE_VALUE_TYPES. INVALID_ARGUMENT: an index outside its dictionary, or a null where
 * plain values are of a union, which has none; OUT_OF_RANGE: strings or elements that are too many
 * together once they are plain, or a dictionary that has outgrown its indices; RESOURCE_EXHAUSTED.
 * On failure nothing changes but that dictionaries may have grown. */
enum fletch_status fletch_recode_batch(const struct fletch_recoder *recoder,
                                       struct fletch_batch *batch, struct fletch_batch **out_batch,
                                       struct fletch_error *error);

#endif
