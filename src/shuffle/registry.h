#ifndef FLETCH_SHUFFLE_REGISTRY_H
#define FLETCH_SHUFFLE_REGISTRY_H

/* Where shuffles and their partitions are found: entries of the transport's partition store.
 *
 *   (hash of the name, probe, NAME)       -> shuffle
 *   (handle of the shuffle, p, PARTITION) -> shuffle, partition p
 *
 * Each entry holds a reference to the shuffle until nobody can see the entry any more.
 *
 * The hash is only an index. Names of equal hashes have different probes, of which all are looked
 * at, so that one that was taken out leaves no hole. Two that register one name at a time could
 * then take two probes: so a name is entered as *pending* first, then all probes are looked at
 * again. Of two pending entries of one name the lower probe refuses the other, and the higher one
 * withdraws and begins anew; only who was not refused until then makes its name *taken*.
 *
 * Progress: lock-free: whoever begins anew met one that went on. A thread that dies with a pending
 * name leaves a name that the next one refuses, or has to try again for ever if it has the lower
 * probe.
 *
 * Edges:
 *   E1: registering cas_strong_acq_rel(name_state) -> load_acquire(name_state) of who finds it: the
 *       shuffle, complete. */

#include <fletching/store_scan.h>

#include "shuffle/shuffle.h"

/* Names that may have one hash. */
enum { FLETCH_NAME_PROBES = 16 };

/* Enters the partitions, then the name. ALREADY_EXISTS: the name is taken; RESOURCE_EXHAUSTED: no
 * memory, or too many names of one hash; then nothing is left of it. */
enum fletch_status fletch_registry_enter(struct fletch_shuffle *shuffle,
                                         struct fletch_epoch_reader *epoch_reader,
                                         struct fletch_error *error);

/* Takes name and partitions out. Once. */
void fletch_registry_leave(struct fletch_shuffle *shuffle,
                           struct fletch_epoch_reader *epoch_reader);

/* The shuffle with a reference, or NULL. */
struct fletch_shuffle *fletch_registry_find(struct fletch_transport *transport,
                                            struct fletch_epoch_reader *epoch_reader,
                                            struct fletch_shuffle_name name);

/* A shuffle whose name has this hash, with a reference, or NULL; and how many there are. */
struct fletch_shuffle *fletch_registry_find_hash(struct fletch_transport *transport,
                                                 struct fletch_epoch_reader *epoch_reader,
                                                 uint64_t hash, uint32_t *out_count);

/* The next shuffle of a scan over the store, with a reference, or NULL at the end. Those that are
 * there from the beginning to the end are seen once. Outside of any section. */
struct fletch_shuffle *fletch_registry_next(struct fletch_transport *transport,
                                            struct fletch_epoch_reader *epoch_reader,
                                            struct fletch_store_scan *scan);
/* enum fletch_name_state: whether who registers it has got its name. Any thread. */
static inline uint32_t fletch_registry_name_state(const struct fletch_shuffle *shuffle)
{
    return load_acquire(&shuffle->name_state); /* E1 acquire */
}

/* Partition `number` of the shuffle, or NULL: there is none, or the shuffle was closed. The caller
 * has a reference to the shuffle. */
struct fletch_shuffle_partition *fletch_registry_partition(const struct fletch_shuffle *shuffle,
                                                           struct fletch_epoch_reader *epoch_reader,
                                                           uint32_t number);

/* The store's goodbye to an entry. */
void fletch_registry_drop(void *context, void *payload, size_t payload_bytes);

#endif
