#include "support/stores.h"

static const uint64_t salt = UINT64_C(0x5eed0fca11ab1e00);
static const uint64_t poison = UINT64_C(0xdeaddeaddeaddead);

static uint64_t part_of(const struct fletch_store_key *key)
{
    return key->shuffle * 31 + key->partition * UINT64_C(0x10001) + key->slot;
}

static bool is_whole(const struct stored *stored)
{
    return stored->check == (stored->number ^ stored->key_part ^ salt);
}

void drop_stored(void *context, void *payload, size_t payload_bytes)
{
    struct drop_count *count = context;
    struct stored *stored = payload;
    if (payload_bytes != sizeof *stored || !is_whole(stored))
        fetch_add_relaxed(&count->broken, 1); /* relaxed: read when all is over */
    *stored = (struct stored){poison, poison, poison};
    fetch_add_relaxed(&count->dropped, 1); /* relaxed: as above */
}

struct fletch_store_key store_key(uint64_t shuffle, uint32_t partition)
{
    return (struct fletch_store_key){.shuffle = shuffle, .partition = partition};
}

struct fletch_store_value *make_stored(struct fletch_partition_store *store,
                                       struct fletch_epoch_reader *reader,
                                       const struct fletch_store_key *key, uint64_t number)
{
    struct fletch_store_value *value = NULL;
    if (fletch_partition_store_value_create(store, reader, sizeof(struct stored), &value, NULL) !=
        FLETCH_OK)
        return NULL;
    struct stored *stored = fletch_store_value_payload(value);
    stored->number = number;
    stored->key_part = part_of(key);
    stored->check = number ^ stored->key_part ^ salt;
    return value;
}

bool stored_is_whole(const struct fletch_store_value *value, const struct fletch_store_key *key)
{
    const struct stored *stored = fletch_store_value_payload(value);
    struct fletch_store_key inside = fletch_store_value_key(value);
    return is_whole(stored) && stored->key_part == part_of(key) && inside.shuffle == key->shuffle &&
           inside.partition == key->partition && inside.slot == key->slot;
}

uint64_t stored_number(const struct fletch_store_value *value)
{
    return ((const struct stored *)fletch_store_value_payload(value))->number;
}
