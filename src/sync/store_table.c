#include "sync/store_table.h"

#include <string.h>

#include "base/assert.h"
#include "base/pages.h"

/* ---- making tables ---- */

/* Smaller tables, and all of a caller with an allocator of his own, come from that, and are cleared
 * at once. */
#define PAGES_FROM_BYTES ((size_t)256 << 10)

static bool comes_from_pages(const struct fletch_allocator *allocator, size_t bytes)
{
    return bytes >= PAGES_FROM_BYTES && fletch_allocator_is_default(allocator);
}

static void *allocate_zeros(const struct fletch_allocator *allocator, size_t bytes)
{
    void *memory = NULL;
    if (comes_from_pages(allocator, bytes))
        return fletch_pages_map(bytes, &memory) ? memory : NULL;
    memory = fletch_allocate(allocator, bytes, FLETCH_INTERFERENCE_BYTES);
    if (memory != NULL)
        memset(memory, 0, bytes);
    return memory;
}

static void release_zeros(const struct fletch_allocator *allocator, void *memory, size_t bytes)
{
    if (comes_from_pages(allocator, bytes))
        fletch_pages_release(memory, bytes);
    else
        fletch_release(allocator, memory, bytes, FLETCH_INTERFERENCE_BYTES);
}

size_t fletch_store_table_bytes(const struct fletch_store_table *table)
{
    if (!comes_from_pages(&table->allocator, table->bytes))
        return sizeof *table + table->bytes;
    /* relaxed: a statistic */
    size_t buckets = (size_t)table->bucket_count + load_relaxed(&table->overflow_used);
    return sizeof *table + buckets * sizeof(struct fletch_store_bucket);
}

static void reclaim_table(struct fletch_epoch_object *object)
{
    fletch_store_table_destroy(
        (void *)((char *)object - offsetof(struct fletch_store_table, object)));
}

struct fletch_store_table *fletch_store_table_create(struct fletch_epoch_domain *domain,
                                                     const struct fletch_allocator *allocator,
                                                     uint32_t level)
{
    struct fletch_store_table *table =
        fletch_allocate(allocator, sizeof *table, FLETCH_INTERFERENCE_BYTES);
    if (table == NULL)
        return NULL;
    table->domain = domain;
    table->level = level;
    table->shift = 63 - level;
    table->bucket_count = UINT32_C(1) << level;
    table->writers_count = table->bucket_count / 2 + 2;
    table->overflow_count = 2 * table->bucket_count + 2 + table->writers_count;
    table->group_count = 0;
    size_t count = (size_t)table->bucket_count + table->overflow_count;
    table->bytes = count * sizeof(struct fletch_store_bucket) +
                   table->overflow_count * sizeof table->owners[0];
    table->allocator.allocate = allocator->allocate;
    table->allocator.release = allocator->release;
    table->allocator.context = allocator->context;
    table->object.reclaim = reclaim_table;
    table->buckets = allocate_zeros(allocator, table->bytes);
    if (table->buckets == NULL) {
        fletch_release(allocator, table, sizeof *table, FLETCH_INTERFERENCE_BYTES);
        return NULL;
    }
    table->owners = (void *)(table->buckets + count);
    store_relaxed(&table->previous, NULL);   /* relaxed: E1 publishes the table */
    store_relaxed(&table->overflow_used, 0); /* relaxed: as above */
    store_relaxed(&table->next_group, 0);    /* relaxed: as above */
    store_relaxed(&table->moved, 0);         /* relaxed: as above */
    return table;
}

void fletch_store_table_destroy(struct fletch_store_table *table)
{
    if (table == NULL)
        return;
    struct fletch_allocator allocator = table->allocator;
    release_zeros(&allocator, table->buckets, table->bytes);
    fletch_release(&allocator, table, sizeof *table, FLETCH_INTERFERENCE_BYTES);
}

/* ---- chains ---- */

/* Sets the link of a bucket if it has none and may still get one. */
static void link_bucket(struct fletch_store_bucket *parent, uint32_t index)
{
    uint32_t state = load_acquire(&parent->state); /* E5 acquire */
    while (fletch_store_link(state) == 0 && (state & FLETCH_BUCKET_FROZEN) == 0) {
        uint32_t linked = state | index << FLETCH_BUCKET_LINK_SHIFT;
        if (cas_strong_acq_rel(&parent->state, &state, linked)) /* E5 release, E5 acquire */
            return;
    }
}

/* The bucket after `parent` in its chain, appended if need be: its index. 0: the parent is frozen,
 * or overflow buckets below `limit` are all in use. */
static uint32_t next_in_chain(struct fletch_store_table *table, uint32_t parent, uint32_t limit)
{
    for (;;) {
        uint32_t used = load_acquire(&table->overflow_used);          /* E5 acquire */
        uint32_t state = load_acquire(&table->buckets[parent].state); /* E5 acquire */
        if (fletch_store_link(state) != 0)
            return fletch_store_link(state);
        if ((state & FLETCH_BUCKET_FROZEN) != 0 || used >= limit)
            return 0;
        /* The next free one is ours, or we help whose it is. */
        uint32_t owner = 0;
        if (cas_strong_acq_rel(&table->owners[used], &owner,
                               parent + 1)) /* E5 release, E5 acquire */
            owner = parent + 1;
        link_bucket(&table->buckets[owner - 1], table->bucket_count + used);
        cas_strong_acq_rel(&table->overflow_used, &used, used + 1); /* E5 release, E5 acquire */
    }
}

/* The slot of a tag in one bucket, or the first free one, claimed for it. FLETCH_STORE_SLOTS: there
 * is neither. */
static uint32_t claim_in_bucket(struct fletch_store_bucket *bucket, uint32_t tag)
{
    for (uint32_t i = 0; i < FLETCH_STORE_SLOTS; i++) {
        /* relaxed: what counts comes to the word, and its writers release the tag with it */
        uint32_t found = load_relaxed(&bucket->tag[i]);
        if (found == 0 && cas_strong_relaxed(&bucket->tag[i], &found, tag)) /* relaxed: as above */
            return i;
        if (found == tag)
            return i;
    }
    return FLETCH_STORE_SLOTS;
}

enum fletch_store_claim fletch_store_claim(struct fletch_store_table *table, uint64_t hash,
                                           _Atomic uint64_t **out_word, bool *out_crowded)
{
    uint32_t tag = fletch_store_tag(hash);
    uint32_t index = fletch_store_index(table, hash);
    for (;;) {
        struct fletch_store_bucket *bucket = &table->buckets[index];
        uint32_t slot = claim_in_bucket(bucket, tag);
        if (slot != FLETCH_STORE_SLOTS) {
            *out_word = &bucket->word[slot];
            return FLETCH_CLAIM_DONE;
        }
        uint32_t next = next_in_chain(table, index, table->writers_count);
        if (next == 0) {
            uint32_t state = load_acquire(&bucket->state); /* E5 acquire */
            return (state & FLETCH_BUCKET_FROZEN) != 0 ? FLETCH_CLAIM_FROZEN : FLETCH_CLAIM_FULL;
        }
        if (next - table->bucket_count >= table->writers_count / 4 * 3)
            *out_crowded = true;
        index = next;
    }
}

/* ---- moving ---- */

/* A place in a chain of the new table. */
struct place {
    uint32_t index;
    uint32_t slot;
};

/* Installs one entry at a place, and moves the place on. False: the table itself is being left, so
 * everything was installed long ago. */
static bool install(struct fletch_store_table *table, struct place *place, uint32_t tag,
                    uint64_t word)
{
    if (place->slot == FLETCH_STORE_SLOTS) {
        place->index = next_in_chain(table, place->index, table->overflow_count);
        place->slot = 0;
        if (place->index == 0)
            return false;
    }
    struct fletch_store_bucket *bucket = &table->buckets[place->index];
    uint32_t no_tag = 0;
    uint64_t no_word = 0;
    /* relaxed: E3 and E4 publish both */
    cas_strong_relaxed(&bucket->tag[place->slot], &no_tag, tag);
    cas_strong_relaxed(&bucket->word[place->slot], &no_word, word); /* relaxed: as above */
    place->slot++;
    return true;
}

/* The word of a slot, which will never change again. */
static uint64_t freeze_word(_Atomic uint64_t *word)
{
    uint64_t found = load_acquire(word); /* E2 acquire */
    if ((found & FLETCH_WORD_FROZEN) == 0)
        found = fetch_or_acq_rel(word, FLETCH_WORD_FROZEN); /* E2 acquire, E2 release */
    return found & ~FLETCH_WORD_FROZEN;
}

static uint32_t freeze_state(struct fletch_store_bucket *bucket)
{
    uint32_t state = load_acquire(&bucket->state); /* E5 acquire */
    if ((state & FLETCH_BUCKET_FROZEN) == 0)
        state = fetch_or_acq_rel(&bucket->state, FLETCH_BUCKET_FROZEN); /* E5 release, E5 acquire */
    return state;
}

/* A group's places: two only when the table is larger than the one before. */
struct move {
    struct fletch_store_table *table;
    struct fletch_store_table *previous;
    struct place places[2];
};

/* Which of the group's new buckets an entry belongs into. */
static uint32_t side_of(const struct move *move, uint32_t tag)
{
    if (move->table->level <= move->previous->level)
        return 0;
    return tag >> (64 - FLETCH_STORE_TAG_SHIFT - move->table->level) & 1;
}

static bool move_bucket(struct move *move, struct fletch_store_bucket *bucket)
{
    for (uint32_t i = 0; i < FLETCH_STORE_SLOTS; i++) {
        uint64_t word = freeze_word(&bucket->word[i]);
        if (!fletch_store_word_lives(word))
            continue;
        uint32_t tag = load_relaxed(&bucket->tag[i]); /* relaxed: came with the word, E2 */
        if (!install(move->table, &move->places[side_of(move, tag)], tag, word))
            return false;
    }
    return true;
}

/* Freezes a chain of the old table and installs what lives in it. */
static bool move_chain(struct move *move, uint32_t index)
{
    uint32_t state;
    do {
        struct fletch_store_bucket *bucket = &move->previous->buckets[index];
        state = freeze_state(bucket);
        if (!move_bucket(move, bucket))
            return false;
        index = fletch_store_link(state);
    } while (index != 0);
    return true;
}

/* New buckets of one group, the first one's index being `group` times as many. */
static uint32_t buckets_of_group(const struct fletch_store_table *table)
{
    return table->bucket_count / table->group_count;
}

static bool group_is_ready(const struct fletch_store_table *table, uint32_t group)
{
    uint32_t count = buckets_of_group(table);
    const struct fletch_store_bucket *last = &table->buckets[group * count + count - 1];
    return (load_acquire(&last->state) & FLETCH_BUCKET_READY) != 0; /* E3 acquire */
}

/* Says that a group is moved. True: nobody had said so before. */
static bool say_ready(struct fletch_store_table *table, uint32_t group)
{
    uint32_t count = buckets_of_group(table);
    uint32_t before = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct fletch_store_bucket *bucket = &table->buckets[group * count + i];
        before = fetch_or_release(&bucket->state, FLETCH_BUCKET_READY); /* E3 release */
    }
    return (before & FLETCH_BUCKET_READY) == 0;
}

/* True: this call made the group READY. */
static bool move_group(struct fletch_store_table *table, struct fletch_store_table *previous,
                       uint32_t group)
{
    uint32_t first = group * buckets_of_group(table);
    struct move move = {
        .table = table,
        .previous = previous,
        .places = {{.index = first}, {.index = first + 1}},
    };
    uint32_t chains = previous->bucket_count / table->group_count;
    for (uint32_t i = 0; i < chains; i++)
        if (!move_chain(&move, group * chains + i))
            return false;
    return say_ready(table, group);
}

static void leave_previous(struct fletch_store_table *table, struct fletch_store_table *previous,
                           struct fletch_epoch_reader *reader)
{
    struct fletch_store_table *expected = previous;
    if (cas_strong_acq_rel(&table->previous, &expected, NULL)) /* E4 release, E4 acquire */
        fletch_epoch_retire_link(table->domain, reader, (void *)&previous->object, 0,
                                 fletch_store_table_bytes(previous));
}

/* Moves one group unless it is moved; the last one to be counted ends the moving. */
static void help_group(struct fletch_store_table *table, struct fletch_store_table *previous,
                       uint32_t group, struct fletch_epoch_reader *reader)
{
    if (group_is_ready(table, group) || !move_group(table, previous, group))
        return;
    /* The last one to count saw every READY, or those who counted before it had. */
    uint32_t moved = fetch_add_acq_rel(&table->moved, 1) + 1; /* E3 release, E3 acquire */
    if (moved == table->group_count)
        leave_previous(table, previous, reader);
}

enum { HELPS = 2 };

void fletch_store_table_help(struct fletch_store_table *table, uint64_t hash,
                             struct fletch_epoch_reader *reader)
{
    struct fletch_store_table *previous = load_acquire(&table->previous); /* E4 acquire */
    if (previous == NULL)
        return;
    help_group(table, previous, fletch_store_index(table, hash) / buckets_of_group(table), reader);
    for (uint32_t i = 0; i < HELPS; i++) {
        /* relaxed: who moves what is of no importance */
        if (load_relaxed(&table->next_group) >= table->group_count)
            return;
        uint32_t group = fetch_add_relaxed(&table->next_group, 1); /* relaxed: as above */
        if (group < table->group_count)
            help_group(table, previous, group, reader);
    }
}

void fletch_store_table_finish(struct fletch_store_table *table, struct fletch_epoch_reader *reader)
{
    struct fletch_store_table *previous = load_acquire(&table->previous); /* E4 acquire */
    if (previous == NULL)
        return;
    for (uint32_t group = 0; group < table->group_count; group++)
        help_group(table, previous, group, reader);
    /* All are READY now, though whoever moved one may not have counted it, and never will. */
    leave_previous(table, previous, reader);
}

void fletch_store_table_follow(struct fletch_store_table *table,
                               struct fletch_store_table *previous)
{
    table->group_count =
        table->bucket_count < previous->bucket_count ? table->bucket_count : previous->bucket_count;
    store_relaxed(&table->previous, previous); /* relaxed: E1 publishes the table */
}
