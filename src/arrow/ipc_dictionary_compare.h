#ifndef FLETCH_ARROW_IPC_DICTIONARY_COMPARE_H
#define FLETCH_ARROW_IPC_DICTIONARY_COMPARE_H

/* Whether the values of a dictionary that come with a batch are those that were sent before. */

#include "arrow/schema.h"
#include "memory/batch.h"

enum fletch_ipc_dictionary_relation {
    FLETCH_IPC_DICTIONARY_SAME,
    FLETCH_IPC_DICTIONARY_GROWN, /* begins with the old values and has more */
    FLETCH_IPC_DICTIONARY_DIFFERENT
};

/* What `values` are to the `old` ones, both of `schema`, by what elements mean: lists by what is in
 * them wherever that lies, runs however they are cut, unions by type id and value, and nothing that
 * is under a null. Dictionaries within them may have grown: what indices meant before they mean
 * still. Takes time with their size, unless they lie in the same memory; views and list views that
 * share what they stand for more than 16 times, and not alike in both, are different. */
enum fletch_ipc_dictionary_relation
fletch_ipc_dictionary_compare(const struct fletch_schema *schema, const struct fletch_batch *old,
                              const struct fletch_batch *values);

#endif
