#include "shuffle/registry.h"

#include <string.h>

#include "base/status.h"

enum { SLOT_PARTITION = 0, SLOT_NAME = 1 };

struct entry {
    struct fletch_shuffle *shuffle; /* a reference */
    struct fletch_shuffle_partition *partition;
};

void fletch_registry_drop(void *context, void *payload, size_t payload_bytes)
{
    struct entry *entry = payload;
    (void)context;
    (void)payload_bytes;
    fletch_shared_release(&entry->shuffle->shared);
}

static const struct entry *entry_of(const struct fletch_store_value *value)
{
    return value == NULL ? NULL : fletch_store_value_payload(value);
}

/* FNV-1a, then mixed: the store spreads keys by a hash of its own. */
uint64_t fletch_shuffle_name_hash(struct fletch_shuffle_name name)
{
    const unsigned char *bytes = name.bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < name.byte_count; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

static uint64_t hash_name(const struct fletch_transport *transport, const void *name,
                          size_t name_bytes)
{
    return fletch_shuffle_name_hash((struct fletch_shuffle_name){name, name_bytes}) &
           transport->name_hash_mask;
}

static bool has_name(const struct fletch_shuffle *shuffle, const void *name, size_t name_bytes)
{
    return shuffle->specification.name_bytes == name_bytes &&
           memcmp(shuffle->specification.name, name, name_bytes) == 0;
}

/* A value with a reference to the shuffle, which it holds until nobody can see it any more. */
static enum fletch_status make_value(struct fletch_shuffle *shuffle,
                                     struct fletch_epoch_reader *epoch_reader,
                                     struct fletch_shuffle_partition *partition,
                                     struct fletch_store_value **out_value,
                                     struct fletch_error *error)
{
    enum fletch_status status = fletch_partition_store_value_create(
        shuffle->transport->store, epoch_reader, sizeof(struct entry), out_value, error);
    if (status != FLETCH_OK)
        return status;
    struct entry *entry = fletch_store_value_payload(*out_value);
    *entry = (struct entry){.shuffle = shuffle, .partition = partition};
    fletch_shared_acquire(&shuffle->shared);
    return FLETCH_OK;
}

/* What is not there needs no removing; where equal hashes and no memory keep an entry, it is only a
 * place that is not used again: who finds it sees that the shuffle is closed. */
static void take_out(struct fletch_shuffle *shuffle, struct fletch_epoch_reader *epoch_reader,
                     struct fletch_store_key key)
{
    enum fletch_status status =
        fletch_partition_store_remove(shuffle->transport->store, epoch_reader, &key, NULL);
    (void)status;
}

/* ---- names ---- */

static struct fletch_store_key name_key(const struct fletch_shuffle *shuffle, uint32_t probe)
{
    return (struct fletch_store_key){
        .shuffle = shuffle->name_hash, .partition = probe, .slot = SLOT_NAME};
}

/* What another entry of the same name means for this one, which is pending at its probe. */
enum rival { RIVAL_NONE, RIVAL_TAKEN, RIVAL_FIRST };

static enum rival meet(const struct fletch_shuffle *shuffle, struct fletch_shuffle *other,
                       uint32_t other_probe)
{
    uint32_t state = FLETCH_NAME_PENDING;
    if (other == shuffle ||
        !has_name(other, shuffle->specification.name, shuffle->specification.name_bytes))
        return RIVAL_NONE;
    if (other_probe > shuffle->name_probe)
        cas_strong_acq_rel(&other->name_state, &state, FLETCH_NAME_REFUSED); /* E1 acquire */
    else
        state = load_acquire(&other->name_state); /* E1 acquire */
    if (state == FLETCH_NAME_TAKEN)
        return RIVAL_TAKEN;
    return state == FLETCH_NAME_PENDING && other_probe < shuffle->name_probe ? RIVAL_FIRST
                                                                             : RIVAL_NONE;
}

static enum rival look_for_rivals(struct fletch_shuffle *shuffle,
                                  struct fletch_epoch_reader *epoch_reader)
{
    enum rival worst = RIVAL_NONE;
    fletch_epoch_enter(epoch_reader);
    for (uint32_t probe = 0; probe < FLETCH_NAME_PROBES && worst != RIVAL_TAKEN; probe++) {
        struct fletch_store_key key = name_key(shuffle, probe);
        const struct entry *entry =
            entry_of(fletch_partition_store_view(shuffle->transport->store, epoch_reader, &key));
        enum rival rival = entry == NULL ? RIVAL_NONE : meet(shuffle, entry->shuffle, probe);
        if (rival != RIVAL_NONE && worst != RIVAL_TAKEN)
            worst = rival;
    }
    fletch_epoch_exit(epoch_reader);
    return worst;
}

/* Takes the first probe that is free; ALREADY_EXISTS: none is. */
static enum fletch_status enter_pending(struct fletch_shuffle *shuffle,
                                        struct fletch_epoch_reader *epoch_reader,
                                        struct fletch_error *error)
{
    struct fletch_partition_store *store = shuffle->transport->store;
    struct fletch_store_value *value;
    enum fletch_status status = make_value(shuffle, epoch_reader, NULL, &value, error);
    if (status != FLETCH_OK)
        return status;
    status = FLETCH_ALREADY_EXISTS;
    for (uint32_t probe = 0; probe < FLETCH_NAME_PROBES && status == FLETCH_ALREADY_EXISTS;
         probe++) {
        struct fletch_store_key key = name_key(shuffle, probe);
        shuffle->name_probe = probe;
        status = fletch_partition_store_insert(store, epoch_reader, &key, value, error);
    }
    if (status != FLETCH_OK)
        fletch_store_value_release(store, epoch_reader, value);
    return status;
}

static void leave_name(struct fletch_shuffle *shuffle, struct fletch_epoch_reader *epoch_reader)
{
    take_out(shuffle, epoch_reader, name_key(shuffle, shuffle->name_probe));
}

static enum fletch_status refuse_name(const struct fletch_shuffle *shuffle,
                                      struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                            "ALREADY_EXISTS: a shuffle '%s' is registered already",
                            shuffle->specification.shown.text);
}

static enum fletch_status enter_name(struct fletch_shuffle *shuffle,
                                     struct fletch_epoch_reader *epoch_reader,
                                     struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &shuffle->specification;
    shuffle->name_hash =
        hash_name(shuffle->transport, specification->name, specification->name_bytes);
    for (;;) {
        shuffle->name_probe = FLETCH_NAME_PROBES; /* behind all others until it is entered */
        if (look_for_rivals(shuffle, epoch_reader) == RIVAL_TAKEN)
            return refuse_name(shuffle, error);
        /* relaxed: the insertion publishes it */
        store_relaxed(&shuffle->name_state, FLETCH_NAME_PENDING);
        enum fletch_status status = enter_pending(shuffle, epoch_reader, error);
        if (status == FLETCH_ALREADY_EXISTS)
            return fletch_error_set(
                error, FLETCH_RESOURCE_EXHAUSTED,
                "RESOURCE_EXHAUSTED: %d shuffles have names of the same hash as '%s'",
                FLETCH_NAME_PROBES, specification->shown.text);
        if (status != FLETCH_OK)
            return status;
        uint32_t state = FLETCH_NAME_PENDING;
        if (look_for_rivals(shuffle, epoch_reader) == RIVAL_NONE &&
            /* E1 release */
            cas_strong_acq_rel(&shuffle->name_state, &state, FLETCH_NAME_TAKEN))
            return FLETCH_OK;
        leave_name(shuffle, epoch_reader);
    }
}

struct fletch_shuffle *fletch_registry_find(struct fletch_transport *transport,
                                            struct fletch_epoch_reader *epoch_reader,
                                            struct fletch_shuffle_name name)
{
    struct fletch_store_key key = {.shuffle = hash_name(transport, name.bytes, name.byte_count),
                                   .slot = SLOT_NAME};
    struct fletch_shuffle *found = NULL;
    fletch_epoch_enter(epoch_reader);
    for (; key.partition < FLETCH_NAME_PROBES && found == NULL; key.partition++) {
        const struct entry *entry =
            entry_of(fletch_partition_store_view(transport->store, epoch_reader, &key));
        if (entry == NULL || !has_name(entry->shuffle, name.bytes, name.byte_count) ||
            load_acquire(&entry->shuffle->name_state) != FLETCH_NAME_TAKEN) /* E1 acquire */
            continue;
        found = entry->shuffle; /* the entry's own reference stays until the section's end */
        fletch_shared_acquire(&found->shared);
    }
    fletch_epoch_exit(epoch_reader);
    return found;
}

struct fletch_shuffle *fletch_registry_find_hash(struct fletch_transport *transport,
                                                 struct fletch_epoch_reader *epoch_reader,
                                                 uint64_t hash, uint32_t *out_count)
{
    struct fletch_store_key key = {.shuffle = hash & transport->name_hash_mask, .slot = SLOT_NAME};
    struct fletch_shuffle *found = NULL;
    *out_count = 0;
    fletch_epoch_enter(epoch_reader);
    for (; key.partition < FLETCH_NAME_PROBES; key.partition++) {
        const struct entry *entry =
            entry_of(fletch_partition_store_view(transport->store, epoch_reader, &key));
        if (entry == NULL ||
            load_acquire(&entry->shuffle->name_state) != FLETCH_NAME_TAKEN) /* E1 acquire */
            continue;
        if (++*out_count > 1)
            continue;
        found = entry->shuffle; /* as in fletch_registry_find */
        fletch_shared_acquire(&found->shared);
    }
    fletch_epoch_exit(epoch_reader);
    return found;
}

struct fletch_shuffle *fletch_registry_next(struct fletch_transport *transport,
                                            struct fletch_epoch_reader *epoch_reader,
                                            struct fletch_store_scan *scan)
{
    struct fletch_store_value *value;
    struct fletch_shuffle *found = NULL;
    fletch_epoch_enter(epoch_reader);
    while (found == NULL &&
           (value = fletch_store_scan_next(transport->store, epoch_reader, scan)) != NULL) {
        struct fletch_shuffle *shuffle = entry_of(value)->shuffle;
        if (fletch_store_value_key(value).slot == SLOT_NAME &&
            load_acquire(&shuffle->name_state) == FLETCH_NAME_TAKEN) /* E1 acquire */
            found = shuffle; /* as in fletch_registry_find */
    }
    if (found != NULL)
        fletch_shared_acquire(&found->shared);
    fletch_epoch_exit(epoch_reader);
    return found;
}

/* ---- partitions ---- */

static struct fletch_store_key partition_key(const struct fletch_shuffle *shuffle, uint32_t number)
{
    return (struct fletch_store_key){
        .shuffle = shuffle->handle, .partition = number, .slot = SLOT_PARTITION};
}

struct fletch_shuffle_partition *fletch_registry_partition(const struct fletch_shuffle *shuffle,
                                                           struct fletch_epoch_reader *epoch_reader,
                                                           uint32_t number)
{
    struct fletch_store_key key = partition_key(shuffle, number);
    fletch_epoch_enter(epoch_reader);
    const struct entry *entry =
        entry_of(fletch_partition_store_view(shuffle->transport->store, epoch_reader, &key));
    struct fletch_shuffle_partition *partition = entry == NULL ? NULL : entry->partition;
    fletch_epoch_exit(epoch_reader);
    return partition;
}

static enum fletch_status enter_partition(struct fletch_shuffle *shuffle,
                                          struct fletch_epoch_reader *epoch_reader, uint32_t number,
                                          struct fletch_error *error)
{
    struct fletch_partition_store *store = shuffle->transport->store;
    struct fletch_store_key key = partition_key(shuffle, number);
    struct fletch_store_value *value;
    enum fletch_status status =
        make_value(shuffle, epoch_reader, &shuffle->partitions[number], &value, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_partition_store_insert(store, epoch_reader, &key, value, error);
    if (status != FLETCH_OK)
        fletch_store_value_release(store, epoch_reader, value);
    return status;
}

static void leave_partitions(struct fletch_shuffle *shuffle,
                             struct fletch_epoch_reader *epoch_reader, uint32_t count)
{
    for (uint32_t p = 0; p < count; p++)
        take_out(shuffle, epoch_reader, partition_key(shuffle, p));
}

/* ---- both ---- */

enum fletch_status fletch_registry_enter(struct fletch_shuffle *shuffle,
                                         struct fletch_epoch_reader *epoch_reader,
                                         struct fletch_error *error)
{
    uint32_t count = shuffle->specification.partitioner.partition_count, entered = 0;
    enum fletch_status status = FLETCH_OK;
    for (; entered < count && status == FLETCH_OK; entered++)
        status = enter_partition(shuffle, epoch_reader, entered, error);
    if (status == FLETCH_OK)
        status = enter_name(shuffle, epoch_reader, error);
    if (status != FLETCH_OK)
        leave_partitions(shuffle, epoch_reader, entered);
    fletch_epoch_collect(epoch_reader);
    return status;
}

void fletch_registry_leave(struct fletch_shuffle *shuffle, struct fletch_epoch_reader *epoch_reader)
{
    leave_name(shuffle, epoch_reader);
    leave_partitions(shuffle, epoch_reader, shuffle->specification.partitioner.partition_count);
    fletch_epoch_collect(epoch_reader);
}
