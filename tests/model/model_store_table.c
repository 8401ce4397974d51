/* The store's table while its entries move: two threads move all of them at the same time, or one
 * moves and one writes into what has moved. Each entry is in the new table once, and what was
 * written after its bucket had moved stays.
 *
 * ENTRIES  in the table before, a bucket or a chain of them      GROWS  into twice the size
 * WRITES   the second thread helps with one bucket, then removes what it finds there */

#include "sync/store_table.h"

#include <stdlib.h>

#include "base/allocator.h"
#include "harness.h"

#ifndef ENTRIES
#define ENTRIES 1
#endif
#ifndef GROWS
#define GROWS 0
#endif
#ifndef WRITES
#define WRITES 0
#endif

static struct fletch_epoch_domain *domain;
static struct fletch_epoch_reader *readers[2];
static struct fletch_store_table *before, *table;
static struct fletch_store_value *values[ENTRIES];
static int removed;

/* Hashes whose tags differ and which the bit of a split parts. */
static uint64_t hash_of(int entry)
{
    return (uint64_t)entry << 63 | (uint64_t)(2 * entry + 1) << FLETCH_STORE_TAG_SHIFT;
}

static void *move_all(void *argument)
{
    struct fletch_epoch_reader *reader = argument;
    fletch_epoch_enter(reader);
    fletch_store_table_finish(table, reader);
    fletch_epoch_exit(reader);
    return NULL;
}

static void *help_and_remove(void *argument)
{
    struct fletch_epoch_reader *reader = argument;
    fletch_epoch_enter(reader);
    fletch_store_table_help(table, hash_of(0), reader);
    _Atomic uint64_t *word = (_Atomic uint64_t *)(uintptr_t)fletch_store_slot(
        table, fletch_store_index(table, hash_of(0)), fletch_store_tag(hash_of(0)));
    harness_assert(word != NULL);
    uint64_t found = fletch_store_word_of(values[0]);
    harness_assert(cas_strong_acq_rel(word, &found, FLETCH_WORD_EMPTY));
    removed = 1;
    fletch_epoch_exit(reader);
    return NULL;
}

static void fill(const struct fletch_allocator *allocator)
{
    before = fletch_store_table_create(domain, allocator, 0);
    table = fletch_store_table_create(domain, allocator, GROWS);
    harness_assert(before != NULL && table != NULL);
    for (int i = 0; i < ENTRIES; i++) {
        _Atomic uint64_t *word;
        bool crowded = false;
        values[i] = aligned_alloc(64, 64);
        harness_assert(fletch_store_claim(before, hash_of(i), &word, &crowded) ==
                       FLETCH_CLAIM_DONE);
        store_relaxed(word, fletch_store_word_of(values[i])); /* relaxed: one thread so far */
    }
    fletch_store_table_follow(table, before);
}

static int count_in_table(const struct fletch_store_value *value)
{
    int count = 0;
    for (uint32_t i = 0; i < table->bucket_count + table->overflow_used; i++)
        for (uint32_t slot = 0; slot < FLETCH_STORE_SLOTS; slot++)
            count += table->buckets[i].word[slot] == fletch_store_word_of(value);
    return count;
}

void harness(void)
{
    struct harness_thread threads[2];
    const struct fletch_allocator allocator = fletch_allocator_or_default(NULL);
    harness_assert(fletch_epoch_domain_create(NULL, NULL, &domain, NULL) == FLETCH_OK);
    removed = 0;
    fill(&allocator);
    for (int i = 0; i < 2; i++)
        harness_assert(fletch_epoch_reader_open(domain, &readers[i], NULL) == FLETCH_OK);
    harness_start(&threads[0], move_all, readers[0]);
    harness_start(&threads[1], WRITES ? help_and_remove : move_all, readers[1]);
    harness_join(&threads[0]);
    harness_join(&threads[1]);
    harness_assert(table->previous == NULL);
    for (int i = 0; i < ENTRIES; i++) {
        uint64_t word = fletch_store_find(table, hash_of(i));
        bool gone = removed && i == 0;
        harness_assert(word == (gone ? FLETCH_WORD_EMPTY : fletch_store_word_of(values[i])));
        harness_assert(count_in_table(values[i]) == !gone);
        free(values[i]);
    }
    for (int i = 0; i < 2; i++)
        fletch_epoch_reader_close(readers[i]);
    fletch_store_table_destroy(table);
    fletch_epoch_domain_destroy(domain);
}
