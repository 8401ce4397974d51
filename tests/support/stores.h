#ifndef FLETCH_TESTS_SUPPORT_STORES_H
#define FLETCH_TESTS_SUPPORT_STORES_H

#include <fletching/partition_store.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

/* What tests put into partition stores: a number with a checksum, poisoned when it is dropped. */
struct stored {
    uint64_t number;
    uint64_t check;
    uint64_t key_part;
};

struct drop_count {
    _Atomic uint64_t dropped;
    _Atomic uint64_t broken; /* payloads that were not whole when they were dropped */
};

/* Poisons and counts; the context is a struct drop_count. */
void drop_stored(void *context, void *payload, size_t payload_bytes);

struct fletch_store_key store_key(uint64_t shuffle, uint32_t partition);

/* A value that carries `number`; NULL: no memory. */
struct fletch_store_value *make_stored(struct fletch_partition_store *store,
                                       struct fletch_epoch_reader *reader,
                                       const struct fletch_store_key *key, uint64_t number);

/* Whether a value is whole and belongs to the key. */
bool stored_is_whole(const struct fletch_store_value *value, const struct fletch_store_key *key);
uint64_t stored_number(const struct fletch_store_value *value);

#endif
