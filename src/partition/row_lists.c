#include "partition/row_lists.h"

#include <string.h>

#include "base/allocator.h"
#include "base/bits.h"

/* Up to FEW_PARTITIONS a block is sorted as four quarters, each with cursors of its own: rows of
 * one partition that follow each other closely would else wait for each other's cursor to come back
 * from memory. Up to MANY_PARTITIONS the cursors of all partitions are walked through; beyond, and
 * where rows are few, only those of partitions that get rows. */
enum { QUARTERS = 4, FEW_PARTITIONS = 2048, MANY_PARTITIONS = 16384, ALIGNMENT = 64 };

/* Rows of a block. Few, so that what is sorted and gathered stays in the caches; many, so that each
 * partition's share is worth the way to it: some 128 rows, which are 16 lines of 8-byte values. */
enum { ROWS_PER_PARTITION = 128, BLOCK_ROWS_LEAST = 4096 };

static uint32_t block_rows_of(uint32_t partition_count)
{
    size_t rows = fletch_power_of_two_ceiling((size_t)ROWS_PER_PARTITION * partition_count);
    rows = rows < BLOCK_ROWS_LEAST ? BLOCK_ROWS_LEAST : rows;
    return rows < FLETCH_BLOCK_ROWS_MOST ? (uint32_t)rows : FLETCH_BLOCK_ROWS_MOST;
}

bool fletch_row_lists_init(struct fletch_row_lists *lists, uint32_t partition_count,
                           const struct fletch_allocator *allocator)
{
    uint32_t rows = block_rows_of(partition_count);
    uint32_t run_capacity = partition_count < rows ? partition_count : rows;
    *lists = (struct fletch_row_lists){
        .allocator = fletch_allocator_or_default(allocator),
        .partition_count = partition_count,
        .block_rows = rows,
        .cursor_count =
            partition_count <= FEW_PARTITIONS ? QUARTERS * partition_count : partition_count,
    };
    size_t cursor_bytes = lists->cursor_count * sizeof lists->cursors[0];
    lists->cursors = fletch_allocate(&lists->allocator, cursor_bytes, ALIGNMENT);
    lists->tally_count = partition_count <= MANY_PARTITIONS ? lists->cursor_count : 1;
    size_t tally_bytes = lists->tally_count * sizeof lists->tallies[0];
    lists->tallies = fletch_allocate(&lists->allocator, tally_bytes, ALIGNMENT);
    lists->order = fletch_allocate(&lists->allocator, rows * sizeof lists->order[0], ALIGNMENT);
    lists->runs =
        fletch_allocate(&lists->allocator, run_capacity * sizeof lists->runs[0], ALIGNMENT);
    if (lists->cursors == NULL || lists->tallies == NULL || lists->order == NULL ||
        lists->runs == NULL) {
        fletch_row_lists_deinit(lists);
        return false;
    }
    memset(lists->cursors, 0, cursor_bytes);
    memset(lists->tallies, 0, tally_bytes);
    return true;
}

void fletch_row_lists_deinit(struct fletch_row_lists *lists)
{
    uint32_t run_capacity =
        lists->partition_count < lists->block_rows ? lists->partition_count : lists->block_rows;
    if (lists->cursors != NULL)
        fletch_release(&lists->allocator, lists->cursors,
                       lists->cursor_count * sizeof lists->cursors[0], ALIGNMENT);
    if (lists->tallies != NULL)
        fletch_release(&lists->allocator, lists->tallies,
                       lists->tally_count * sizeof lists->tallies[0], ALIGNMENT);
    if (lists->order != NULL)
        fletch_release(&lists->allocator, lists->order, lists->block_rows * sizeof lists->order[0],
                       ALIGNMENT);
    if (lists->runs != NULL)
        fletch_release(&lists->allocator, lists->runs, run_capacity * sizeof lists->runs[0],
                       ALIGNMENT);
    *lists = (struct fletch_row_lists){0};
}

static inline void tally(fletch_row_tally *tally, uint64_t hash)
{
    *tally += (fletch_row_tally){hash, 1};
}

/* Counts by tallies, and leaves the rows of each quarter and partition in the cursors. */
static void tally_quarters(struct fletch_row_lists *lists, const uint16_t *ids,
                           const uint64_t *hashes, size_t count)
{
    fletch_row_tally(*tallies)[QUARTERS] = (void *)lists->tallies;
    size_t quarter = count / QUARTERS;
    for (size_t i = 0; i < quarter; i++) {
        tally(&tallies[ids[i]][0], hashes[i]);
        tally(&tallies[ids[i + quarter]][1], hashes[i + quarter]);
        tally(&tallies[ids[i + 2 * quarter]][2], hashes[i + 2 * quarter]);
        tally(&tallies[ids[i + 3 * quarter]][3], hashes[i + 3 * quarter]);
    }
    for (size_t i = QUARTERS * quarter; i < count; i++)
        tally(&tallies[ids[i]][3], hashes[i]);
    for (uint32_t q = 0; q < lists->cursor_count; q++)
        lists->cursors[q] = (uint32_t)lists->tallies[q][FLETCH_TALLY_ROWS];
}

static void count_quarters(struct fletch_row_lists *lists, const uint16_t *ids, size_t count)
{
    uint32_t(*cursors)[QUARTERS] = (void *)lists->cursors;
    size_t quarter = count / QUARTERS;
    for (size_t i = 0; i < quarter; i++) {
        cursors[ids[i]][0]++;
        cursors[ids[i + quarter]][1]++;
        cursors[ids[i + 2 * quarter]][2]++;
        cursors[ids[i + 3 * quarter]][3]++;
    }
    for (size_t i = QUARTERS * quarter; i < count; i++)
        cursors[ids[i]][3]++;
}

/* Cursors become where each quarter of a run begins. */
static void make_runs(struct fletch_row_lists *lists)
{
    uint32_t each = lists->cursor_count / lists->partition_count;
    uint32_t next = 0;
    for (uint32_t p = 0; p < lists->partition_count; p++) {
        struct fletch_row_run run = {.partition = p, .first = next};
        for (uint32_t q = each * p; q < each * (p + 1); q++) {
            uint32_t rows = lists->cursors[q];
            lists->cursors[q] = next;
            next += rows;
            run.hash_sum += lists->tallies[q][FLETCH_TALLY_SUM];
        }
        run.count = next - run.first;
        lists->runs[lists->run_count] = run;
        lists->run_count += run.count > 0;
    }
}

/* The four cursors of a partition stand side by side: one address leads to all of them. */
static void sort_by_quarters(struct fletch_row_lists *lists, const uint16_t *ids,
                             const uint64_t *hashes, size_t count)
{
    if (hashes != NULL)
        tally_quarters(lists, ids, hashes, count);
    else
        count_quarters(lists, ids, count);
    make_runs(lists);
    uint32_t(*cursors)[QUARTERS] = (void *)lists->cursors;
    size_t quarter = count / QUARTERS;
    uint16_t *order = lists->order;
    for (size_t i = 0; i < quarter; i++) {
        order[cursors[ids[i]][0]++] = (uint16_t)i;
        order[cursors[ids[i + quarter]][1]++] = (uint16_t)(i + quarter);
        order[cursors[ids[i + 2 * quarter]][2]++] = (uint16_t)(i + 2 * quarter);
        order[cursors[ids[i + 3 * quarter]][3]++] = (uint16_t)(i + 3 * quarter);
    }
    for (size_t i = QUARTERS * quarter; i < count; i++)
        order[cursors[ids[i]][3]++] = (uint16_t)i;
    memset(lists->cursors, 0, lists->cursor_count * sizeof lists->cursors[0]);
    if (hashes != NULL)
        memset(lists->tallies, 0, lists->tally_count * sizeof lists->tallies[0]);
}

uint64_t fletch_row_lists_sum(const uint64_t *hashes, const uint16_t *order, size_t count)
{
    uint64_t a = 0;
    uint64_t b = 0;
    size_t i = 0;
    for (; i + 2 <= count; i += 2) {
        a += hashes[order[i]];
        b += hashes[order[i + 1]];
    }
    return a + b + (i < count ? hashes[order[i]] : 0);
}

/* As by quarters, with one set of cursors. */
static void sort_densely(struct fletch_row_lists *lists, const uint16_t *ids,
                         const uint64_t *hashes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tally(&lists->tallies[ids[i]], hashes == NULL ? 0 : hashes[i]);
    for (uint32_t p = 0; p < lists->cursor_count; p++)
        lists->cursors[p] = (uint32_t)lists->tallies[p][FLETCH_TALLY_ROWS];
    make_runs(lists);
    for (size_t i = 0; i < count; i++)
        lists->order[lists->cursors[ids[i]]++] = (uint16_t)i;
    memset(lists->cursors, 0, lists->cursor_count * sizeof lists->cursors[0]);
    memset(lists->tallies, 0, lists->tally_count * sizeof lists->tallies[0]);
}

/* Only partitions that get rows are looked at: their runs are made as they are met. */
static void sort_sparsely(struct fletch_row_lists *lists, const uint16_t *ids,
                          const uint64_t *hashes, size_t count)
{
    uint32_t *cursors = lists->cursors;
    for (size_t i = 0; i < count; i++) {
        if (cursors[ids[i]]++ == 0)
            lists->runs[lists->run_count++].partition = ids[i];
    }
    uint32_t next = 0;
    for (uint32_t r = 0; r < lists->run_count; r++) {
        struct fletch_row_run *run = &lists->runs[r];
        run->first = next;
        run->count = cursors[run->partition];
        cursors[run->partition] = next;
        next += run->count;
    }
    for (size_t i = 0; i < count; i++)
        lists->order[cursors[ids[i]]++] = (uint16_t)i;
    for (uint32_t r = 0; r < lists->run_count; r++) {
        struct fletch_row_run *run = &lists->runs[r];
        cursors[run->partition] = 0;
        run->hash_sum = hashes == NULL
                            ? 0
                            : fletch_row_lists_sum(hashes, lists->order + run->first, run->count);
    }
}

void fletch_row_lists_sort(struct fletch_row_lists *lists, const uint16_t *ids,
                           const uint64_t *hashes, size_t count)
{
    bool is_sparse = lists->partition_count > MANY_PARTITIONS || count < lists->partition_count / 4;
    lists->run_count = 0;
    if (is_sparse)
        sort_sparsely(lists, ids, hashes, count);
    else if (lists->partition_count <= FEW_PARTITIONS)
        sort_by_quarters(lists, ids, hashes, count);
    else
        sort_densely(lists, ids, hashes, count);
}
