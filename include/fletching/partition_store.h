#ifndef FLETCHING_PARTITION_STORE_H
#define FLETCHING_PARTITION_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/epoch.h>
#include <fletching/export.h>
#include <fletching/status.h>
#include <fletching/wait.h>

FLETCH_BEGIN_DECLS

/** A concurrent map from keys to reference-counted values. Any number of threads read, insert,
 *  replace and remove at the same time, each with a reader handle of the store's epoch domain
 *  (<fletching/epoch.h>), which belongs to one thread at a time. Reads are wait-free, writes
 *  lock-free; the table grows and shrinks bucket by bucket inside the writes and blocks nobody.
 *
 *  A value becomes visible whole, by one atomic step; a key has one value at a time. Calls on one
 *  key are linearizable; a scan sees each entry at some time during the scan.
 *
 *  In a child that was forked since, calls that return a status answer FAILED_PRECONDITION; looking
 *  still works, on the child's copy. */
struct fletch_partition_store;

/** An object of the store: a header, and a payload of the caller's. It lives as long as somebody
 *  holds a reference: its creator first, then the store, and whoever got one. */
struct fletch_store_value;

/** All three numbers are compared. Scans and fletch_partition_store_remove_shuffle find one
 *  shuffle's entries by the first. */
struct fletch_store_key {
    uint64_t shuffle;
    uint32_t partition;
    uint32_t slot;
};

/** Called once when a value is freed, before its memory is, by whichever thread frees it: after its
 *  last reference is gone and every reader that could see it has left its section. */
typedef void fletch_store_drop_function(void *context, void *payload, size_t payload_bytes);

/** Zero means default in every field. */
struct fletch_partition_store_options {
    size_t struct_size;
    /** Entries that the table is made for at once. It grows beyond, and shrinks below. */
    size_t expected_entries;
    /** Decides how keys are spread. 0: another one for each store. */
    uint64_t hash_seed;
    /** NULL: payloads need no goodbye. */
    fletch_store_drop_function *drop;
    void *drop_context;
};

/** Bytes that a payload can have at most. */
#define FLETCH_STORE_PAYLOAD_BYTES_MAX ((size_t)INT32_MAX)

/** Makes an empty store. The domain must outlive it; it can serve 15 stores at a time and anything
 *  else besides. RESOURCE_EXHAUSTED, INVALID_ARGUMENT. Options NULL: all defaults. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_partition_store_create(
    struct fletch_epoch_domain *domain, const struct fletch_partition_store_options *options,
    const struct fletch_allocator *allocator, struct fletch_partition_store **out_store,
    struct fletch_error *error);

/** Drops the store's references and frees everything. Every reference that was handed out must have
 *  been released, and no thread may be using the store or, during this call, its domain. NULL:
 *  nothing. */
FLETCH_EXPORT void fletch_partition_store_destroy(struct fletch_partition_store *store);

/* ---- values ---- */

/** Makes a value with an uninitialised payload and one reference, the caller's, who fills it before
 *  inserting it. It is freed like any other value if it is never inserted.
 *  With a reader, the thread's own, values up to 256 bytes with their header of 32 come from memory
 *  that the store keeps for it, and gives back when it is destroyed; reader NULL: each from the
 *  allocator. RESOURCE_EXHAUSTED, INVALID_ARGUMENT (too large). Any thread. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_partition_store_value_create(
    struct fletch_partition_store *store, struct fletch_epoch_reader *reader, size_t payload_bytes,
    struct fletch_store_value **out_value, struct fletch_error *error);

/** The payload, aligned to 32 bytes. As readers share it, it is not written after the insertion but
 *  by atomic operations of the caller's. */
FLETCH_EXPORT void *fletch_store_value_payload(const struct fletch_store_value *value);
FLETCH_EXPORT size_t fletch_store_value_payload_bytes(const struct fletch_store_value *value);

/** The key under which it was inserted. */
FLETCH_EXPORT struct fletch_store_key
fletch_store_value_key(const struct fletch_store_value *value);

/** A number that no other insertion into this store has; 0 before the insertion, and possible in a
 *  view of a value that has left the store meanwhile. */
FLETCH_EXPORT uint64_t fletch_store_value_version(const struct fletch_store_value *value);

/** One reference more, for who holds one. Any thread; wait-free. */
FLETCH_EXPORT void fletch_store_value_acquire(struct fletch_store_value *value);

/** Lets a reference go. `reader`: the thread's, or NULL where there is none at hand. Inside or
 *  outside of a section. Any thread; lock-free. */
FLETCH_EXPORT void fletch_store_value_release(struct fletch_partition_store *store,
                                              struct fletch_epoch_reader *reader,
                                              struct fletch_store_value *value);

/* ---- one key ---- */

/** Enters a value of this store that was never in it. OK: the caller's reference is the store's
 *  now. ALREADY_EXISTS: another one is there and stays. RESOURCE_EXHAUSTED: no memory to grow.
 *  Unless OK the caller keeps the reference. Wakes waiters for the key. Lock-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_store_insert(struct fletch_partition_store *store,
                              struct fletch_epoch_reader *reader,
                              const struct fletch_store_key *key, struct fletch_store_value *value,
                              struct fletch_error *error);

/** Puts the value into the place of the one that is there, in one step. NOT_FOUND: none is there.
 *  Otherwise as fletch_partition_store_insert. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_store_replace(struct fletch_partition_store *store,
                               struct fletch_epoch_reader *reader,
                               const struct fletch_store_key *key, struct fletch_store_value *value,
                               struct fletch_error *error);

/** The value, or NULL. Only inside a section of the reader's, and good until its end. Wait-free;
 *  writes nothing. */
FLETCH_EXPORT struct fletch_store_value *
fletch_partition_store_view(const struct fletch_partition_store *store,
                            const struct fletch_epoch_reader *reader,
                            const struct fletch_store_key *key);

/** The value with a reference for the caller, or NULL. Lock-free. */
FLETCH_EXPORT struct fletch_store_value *
fletch_partition_store_get(const struct fletch_partition_store *store,
                           struct fletch_epoch_reader *reader, const struct fletch_store_key *key);

/** The same for `count` keys: value i, or NULL, is that of key i. Tells how many are not NULL. */
FLETCH_EXPORT size_t fletch_partition_store_view_many(const struct fletch_partition_store *store,
                                                      const struct fletch_epoch_reader *reader,
                                                      const struct fletch_store_key *keys,
                                                      size_t count,
                                                      struct fletch_store_value **out_values);
FLETCH_EXPORT size_t fletch_partition_store_get_many(const struct fletch_partition_store *store,
                                                     struct fletch_epoch_reader *reader,
                                                     const struct fletch_store_key *keys,
                                                     size_t count,
                                                     struct fletch_store_value **out_values);

/** Removes the entry. NOT_FOUND: there is none. RESOURCE_EXHAUSTED, here and below, is only
 *  possible if keys have equal hashes and there is no memory to take them apart. Lock-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_store_remove(struct fletch_partition_store *store,
                              struct fletch_epoch_reader *reader,
                              const struct fletch_store_key *key, struct fletch_error *error);

/** The same if the value has this version. FAILED_PRECONDITION: it has another one, and stays. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_partition_store_remove_version(
    struct fletch_partition_store *store, struct fletch_epoch_reader *reader,
    const struct fletch_store_key *key, uint64_t version, struct fletch_error *error);

/** Removes the entry and hands the store's reference to the caller: of several who take one value,
 *  exactly one gets it. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_store_take(struct fletch_partition_store *store,
                            struct fletch_epoch_reader *reader, const struct fletch_store_key *key,
                            struct fletch_store_value **out_value, struct fletch_error *error);

/** fletch_partition_store_get that waits until the key is there. OK; DEADLINE_EXCEEDED: it was not
 *  within `timeout_ns`. Outside of any section. Blocks. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_store_wait(struct fletch_partition_store *store,
                            struct fletch_epoch_reader *reader, const struct fletch_store_key *key,
                            uint64_t timeout_ns, struct fletch_store_value **out_value);

/** Removes every entry of a shuffle that is there at the beginning of the call; others of it that
 *  come meanwhile may stay. `*out_removed` (NULL allowed) is written in any case. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_partition_store_remove_shuffle(struct fletch_partition_store *store,
                                      struct fletch_epoch_reader *reader, uint64_t shuffle,
                                      uint64_t *out_removed, struct fletch_error *error);

/* ---- figures ---- */

/** They may lag behind while other threads work. */
struct fletch_store_statistics {
    size_t struct_size;
    uint64_t entries;
    uint64_t buckets;          /* of 64 bytes and five entries, without the next: */
    uint64_t overflow_buckets; /* in use */
    uint64_t table_bytes;      /* of both; of two tables while entries move from one to the other */
    uint64_t moving;           /* 1 while they do */
    uint64_t tables_made;      /* so far */
    uint64_t limbo_objects;    /* of the domain: retired and not freed yet */
    uint64_t limbo_bytes;      /* the same in bytes */
    uint64_t oldest_reader;    /* number of the reader that holds them back; 0: none */
};

/** INVALID_ARGUMENT: struct_size. Any thread. Enters a section of `reader`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_partition_store_statistics(
    const struct fletch_partition_store *store, struct fletch_epoch_reader *reader,
    struct fletch_store_statistics *out_statistics, struct fletch_error *error);

FLETCH_END_DECLS

#endif
