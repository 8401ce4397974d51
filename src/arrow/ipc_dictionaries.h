#ifndef FLETCH_ARROW_IPC_DICTIONARIES_H
#define FLETCH_ARROW_IPC_DICTIONARIES_H

/* What the dictionaries of a stream hold now: an entry for each id, which several fields may share,
 * and which may be of a dictionary within the values of another one.
 *
 * Messages for ids come in any order. The values of an entry refer to batches of the entries below
 * it as they were when they were bound: before a record batch uses them, they are bound again. */

#include <stdbool.h>

#include <fletching/validation.h>

#include "arrow/kept_metadata.h"
#include "arrow/schema.h"
#include "memory/batch.h"

/* The buffer that a span of the newest values lies in. */
struct fletch_ipc_growth {
    struct fletch_buffer *buffer; /* counted; NULL: the values lie as they came */
    size_t used_bytes;
};

struct fletch_ipc_dictionary {
    int64_t id;
    const struct fletch_schema *schema; /* the first, in the order of fields, that has the id, … */
    uint32_t index;                     /* … which of its dictionaries … */
    uint32_t ordinal;                   /* … and which of all, those within others counted */
    struct fletch_schema *values;       /* of the stream's schema, not counted */
    const uint32_t *below;              /* entries of the values' own dictionaries */
    struct fletch_batch *batch;         /* counted; NULL: none has come or been made yet */
    bool has_come;                      /* false: `batch` is an empty one, for nulls */
    uint64_t settled_at;                /* of `changes`, when nothing was left to do for it */
    bool is_checked;                    /* together with what it is bound to */
    struct fletch_ipc_growth *growth; /* one for each span of `values`, and for each view's data */
    const struct fletch_batch *seen;  /* an encoder's: the values in the batch of now */
    /* Of a decoder, that of the last message; of an encoder, for the next one. */
    struct fletch_kept_metadata custom;
};

struct fletch_ipc_dictionaries {
    struct fletch_allocator allocator;
    struct fletch_buffer_cache *cache;
    struct fletch_account *account;
    uint64_t changes;                      /* that any of them has had, and one */
    enum fletch_validation validation;     /* of values with dictionaries, once they are bound */
    struct fletch_ipc_dictionary *entries; /* in the order of their ids */
    uint32_t *entry_of;                    /* by the schema's dictionaries, then those below */
    uint32_t entry_count;
    uint32_t place_count;  /* dictionaries of the schema, and within them */
    uint32_t growth_count; /* in all */
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

/* Binds the values of the entry to what the dictionaries within them hold now; an entry that has
 * none becomes an empty one. What is bound is checked: whether dictionaries have come for whatever
 * is not null, and, at level 3, the indices. INVALID_ARGUMENT, RESOURCE_EXHAUSTED. */
enum fletch_status fletch_ipc_dictionaries_bind(struct fletch_ipc_dictionaries *dictionaries,
                                                struct fletch_ipc_dictionary *entry,
                                                struct fletch_error *error);

/* Gives an empty batch to each entry below that has nothing yet, and writes the batches of all,
 * without references, to `out_batches`: what values that come now are read with. */
enum fletch_status fletch_ipc_dictionaries_below(struct fletch_ipc_dictionaries *dictionaries,
                                                 const struct fletch_ipc_dictionary *entry,
                                                 struct fletch_batch **out_batches,
                                                 struct fletch_error *error);

/* All entries are as if nothing had come yet. */
void fletch_ipc_dictionaries_forget(struct fletch_ipc_dictionaries *dictionaries);

/* A batch of `values` without rows, with one reference, whose own dictionaries are NULL. */
enum fletch_status fletch_ipc_dictionaries_empty(struct fletch_ipc_dictionaries *dictionaries,
                                                 struct fletch_schema *values,
                                                 struct fletch_batch **out_batch,
                                                 struct fletch_error *error);

#endif
