#ifndef FLETCH_ARROW_IPC_DICTIONARY_JOIN_H
#define FLETCH_ARROW_IPC_DICTIONARY_JOIN_H

/* Deltas. One makes a new batch and leaves the old one as it is, since batches that were read
 * before refer to it. Numbers and bytes of both lie in one buffer with room behind what is used:
 * only the bytes behind everything that any batch can see are written, so nobody reads what is
 * written and n deltas cost as many bytes as they bring. Bitmaps, whose last byte two batches would
 * share, are copied whole. Of what views point into, all comes into one buffer. */

#include "arrow/ipc_dictionaries.h"

/* Adds the values of `delta`, validated to level 2, to those of the entry, which has some. Both
 * were read from messages: arrays begin where their spans do. The caller keeps its reference.
 * INVALID_ARGUMENT: the offsets or run ends of the type do not reach so far; RESOURCE_EXHAUSTED: no
 * memory. On failure the entry is as it was. */
enum fletch_status fletch_ipc_dictionaries_append(struct fletch_ipc_dictionaries *dictionaries,
                                                  struct fletch_ipc_dictionary *entry,
                                                  const struct fletch_batch *delta,
                                                  struct fletch_error *error);

#endif
