/* The partition store: one thread inserts entries into a store that is made for them, then views
 * each in another order. */

#include <fletching/fletching.h>

#include "bench_case.h"
#include "bench_threads.h"

enum {
    ENTRIES = 65536,
    STRIDE = 40503, /* odd: every entry's turn comes once */
    VIEWS = 4       /* of each entry, for each insertion */
};

struct shelf {
    struct fletch_epoch_domain *domain;
    struct fletch_epoch_reader *reader;
    struct fletch_partition_store *store;
    uint64_t insert_ns, view_ns;
    uint64_t inserted, viewed;
};

static struct fletch_store_key key_of(uint32_t entry)
{
    return (struct fletch_store_key){.shuffle = 1, .partition = entry % 1024, .slot = entry / 1024};
}

static enum fletch_status insert_all(struct shelf *shelf, struct fletch_error *error)
{
    uint64_t then = bench_clock_ns();
    for (uint32_t i = 0; i < ENTRIES; i++) {
        struct fletch_store_key key = key_of(i);
        struct fletch_store_value *value;
        enum fletch_status status = fletch_partition_store_value_create(
            shelf->store, shelf->reader, sizeof(uint64_t), &value, error);
        if (status != FLETCH_OK)
            return status;
        *(uint64_t *)fletch_store_value_payload(value) = i;
        status = fletch_partition_store_insert(shelf->store, shelf->reader, &key, value, error);
        if (status == FLETCH_OK)
            continue;
        fletch_store_value_release(shelf->store, shelf->reader, value);
        return status;
    }
    shelf->insert_ns += bench_clock_ns() - then;
    shelf->inserted += ENTRIES;
    return FLETCH_OK;
}

/* Tells how many entries were not what was inserted. */
static uint64_t view_all(struct shelf *shelf)
{
    uint64_t wrong = 0, then = bench_clock_ns();
    for (uint32_t turn = 0; turn < ENTRIES * VIEWS; turn++) {
        uint32_t entry = turn * STRIDE % ENTRIES;
        struct fletch_store_key key = key_of(entry);
        fletch_epoch_enter(shelf->reader);
        struct fletch_store_value *value =
            fletch_partition_store_view(shelf->store, shelf->reader, &key);
        wrong += value == NULL || *(uint64_t *)fletch_store_value_payload(value) != entry;
        fletch_epoch_exit(shelf->reader);
    }
    shelf->view_ns += bench_clock_ns() - then;
    shelf->viewed += ENTRIES * VIEWS;
    return wrong;
}

/* A store of its own, filled and looked at. */
static enum outcome pass(struct shelf *shelf)
{
    const struct fletch_partition_store_options options = {.struct_size = sizeof options,
                                                           .expected_entries = ENTRIES};
    struct fletch_store_statistics statistics = {.struct_size = sizeof statistics};
    struct fletch_error error;
    uint64_t wrong = 0;
    if (fletch_partition_store_create(shelf->domain, &options, NULL, &shelf->store, &error) !=
        FLETCH_OK)
        return outcome_tell_error("partition store", &error);
    enum fletch_status status = insert_all(shelf, &error);
    if (status == FLETCH_OK) {
        wrong = view_all(shelf);
        status =
            fletch_partition_store_statistics(shelf->store, shelf->reader, &statistics, &error);
    }
    fletch_partition_store_destroy(shelf->store);
    if (status != FLETCH_OK)
        return outcome_tell_error("partition store", &error);
    if (wrong == 0 && statistics.entries == ENTRIES)
        return OUTCOME_DONE;
    return outcome_tell(OUTCOME_DIFFERS,
                        "partition store: of %d entries %llu are there, and %llu of %d views were "
                        "wrong",
                        ENTRIES, (unsigned long long)statistics.entries, (unsigned long long)wrong,
                        ENTRIES * VIEWS);
}

static enum outcome run_store(void *state, uint64_t round_ns, double *out_figures)
{
    struct shelf shelf = {0};
    struct fletch_error error;
    uint64_t deadline_ns = bench_clock_ns() + round_ns;
    (void)state;
    if (fletch_epoch_domain_create(NULL, NULL, &shelf.domain, &error) != FLETCH_OK)
        return outcome_tell_error("partition store", &error);
    enum outcome outcome =
        fletch_epoch_reader_open(shelf.domain, &shelf.reader, &error) == FLETCH_OK
            ? OUTCOME_DONE
            : outcome_tell_error("partition store", &error);
    while (outcome == OUTCOME_DONE) {
        outcome = pass(&shelf);
        if (bench_clock_ns() >= deadline_ns)
            break;
    }
    fletch_epoch_reader_close(shelf.reader);
    fletch_epoch_domain_destroy(shelf.domain);
    if (outcome != OUTCOME_DONE)
        return outcome;
    out_figures[0] = (double)shelf.view_ns / (double)shelf.viewed;
    out_figures[1] = (double)shelf.insert_ns / (double)shelf.inserted;
    return OUTCOME_DONE;
}

const struct bench_case bench_store = {
    .measures = {{"store_view", "partition store, 64 Ki entries: view", "ns", false},
                 {"store_insert", "partition store, 64 Ki entries: insert", "ns", false}},
    .thread_count = 1,
    .round = run_store};
