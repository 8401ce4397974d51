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

/* What `values` are to the `old` ones, both of `schema`; list views, unions and runs are different
 * unless they lie in the same memory. Dictionaries within them may have grown: what indices meant
 * before they mean still. Takes time with their size, unless they lie in the same memory. */
enum fletch_ipc_dictionary_relation
fletch_ipc_dictionary_compare(const struct fletch_schema *schema, const struct fletch_batch *old,
                              const struct fletch_batch *values);

#endif
