#ifndef FLETCHING_STORE_SCAN_H
#define FLETCHING_STORE_SCAN_H

#include <stdint.h>

#include <fletching/epoch.h>
#include <fletching/export.h>
#include <fletching/partition_store.h>

FLETCH_BEGIN_DECLS

/** Where a scan stands: a place in the order of hashes, so it stays right while the table grows and
 *  shrinks, and holds nothing. Fields are the store's. */
struct fletch_store_scan {
    uint64_t hash;
    struct fletch_store_key key;
    uint64_t shuffle;
    uint32_t one_shuffle;
    uint32_t state;
};

/** Begins a scan over all entries (`shuffle` NULL) or those of one shuffle. */
FLETCH_EXPORT void fletch_store_scan_start(struct fletch_store_scan *scan, const uint64_t *shuffle);

/** The next entry's value, or NULL at the end. Only inside a section, and good until its end; a
 *  section may end and another begin between two calls. What is there from the beginning of the
 *  scan to its end is seen exactly once; what comes or goes meanwhile, once or not at all. */
FLETCH_EXPORT struct fletch_store_value *
fletch_store_scan_next(const struct fletch_partition_store *store,
                       const struct fletch_epoch_reader *reader, struct fletch_store_scan *scan);

FLETCH_END_DECLS

#endif
