#ifndef FLETCH_ARROW_IPC_DICTIONARIES_H
#define FLETCH_ARROW_IPC_DICTIONARIES_H

/* What the dictionaries of a stream hold now: an entry for each id, which several fields may share.
 *
 * A delta makes a new batch and leaves the old one as it is, since batches that were read before
 * refer to it. Values, offsets and bytes of both lie in one buffer with room behind what is used:
 * only the bytes behind everything that any batch can see are written, so nobody reads what is
 * written and n deltas cost as many bytes as they bring. Bitmaps, whose last byte two batches would
 * share, are copied whole. */

#include <stdbool.h>

#include "arrow/schema.h"
#include "memory/batch.h"

/* The buffer that a span of the newest values lies in. */
struct fletch_ipc_growth {
    struct fletch_buffer *buffer; /* counted; NULL: the values lie as they came */
    size_t used_bytes;
};

struct fletch_ipc_dictionary {
    int64_t id;
    uint32_t first;                   /* of the schema's dictionaries that have it */
    struct fletch_schema *values;     /* of the stream's schema, not counted */
    struct fletch_batch *batch;       /* counted; NULL: none has come or been made yet */
    bool has_come;                    /* false: `batch` is an empty one, for nulls */
    struct fletch_ipc_growth *growth; /* one for each span of `values` */
};

struct fletch_ipc_dictionaries {
    struct fletch_allocator allocator;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
    struct fletch_ipc_dictionary *entries; /* in the order of their ids */
    uint32_t *entry_of;                    /* by the schema's dictionaries */
    uint32_t entry_count;
    uint32_t dictionary_count; /* of the schema */
    uint32_t growth_count;     /* in all */
    struct fletch_ipc_growth *growths;
};

/* Entries for the schema, which must live as long, or none for a schema without dictionaries.
 * INVALID_ARGUMENT: two fields share an id and not a type; RESOURCE_EXHAUSTED: no memory, and
 * nothing to deinitialise. */
enum fletch_status fletch_ipc_dictionaries_init(struct fletch_ipc_dictionaries *dictionaries,
                                                const struct fletch_schema *schema,
                                                struct fletch_error *error);
void fletch_ipc_dictionaries_deinit(struct fletch_ipc_dictionaries *dictionaries);

/* The entry of an id, or NULL. */
struct fletch_ipc_dictionary *
fletch_ipc_dictionaries_find(struct fletch_ipc_dictionaries *dictionaries, int64_t id);

/* Takes the caller's reference to `batch`, of one column, validated to level 2, as the values of
 * the entry from now on. */
void fletch_ipc_dictionaries_set(struct fletch_ipc_dictionaries *dictionaries,
                                 struct fletch_ipc_dictionary *entry, struct fletch_batch *batch);

/* Adds the values of `delta`, validated to level 2, to those of the entry, which has some. The
 * caller keeps its reference. INVALID_ARGUMENT: 32-bit offsets do not reach so far;
 * RESOURCE_EXHAUSTED: no memory. On failure the entry is as it was. */
enum fletch_status fletch_ipc_dictionaries_append(struct fletch_ipc_dictionaries *dictionaries,
                                                  struct fletch_ipc_dictionary *entry,
                                                  const struct fletch_batch *delta,
                                                  struct fletch_error *error);

/* All entries are as if nothing had come yet. */
void fletch_ipc_dictionaries_forget(struct fletch_ipc_dictionaries *dictionaries);

enum fletch_ipc_dictionary_relation {
    FLETCH_IPC_DICTIONARY_SAME,
    FLETCH_IPC_DICTIONARY_GROWN,    /* begins with the old values and has more */
    FLETCH_IPC_DICTIONARY_DIFFERENT /* or nested, and not in the same memory */
};

/* What `values` are to the `old` ones, both of `schema`. Takes time with their size, unless they
 * lie in the same memory. */
enum fletch_ipc_dictionary_relation
fletch_ipc_dictionary_compare(const struct fletch_schema *schema, const struct fletch_batch *old,
                              const struct fletch_batch *values);

/* A batch of `values` without rows, with one reference. */
enum fletch_status fletch_ipc_dictionaries_empty(struct fletch_ipc_dictionaries *dictionaries,
                                                 struct fletch_schema *values,
                                                 struct fletch_batch **out_batch,
                                                 struct fletch_error *error);

#endif
