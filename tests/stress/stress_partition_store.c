#include "sync/partition_store.h"

#include <fletching/store_scan.h>

#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/stores.h"
#include "support/team.h"

/* Readers check the checksum inside each value while writers insert, replace, take and remove the
 * same keys, and the table grows and shrinks below them. A payload is poisoned when it is dropped,
 * so a value that is freed early is seen (and reported by AddressSanitizer); each must be dropped
 * exactly once. */

static struct test_arguments arguments;

static struct fletch_epoch_domain *domain;
static struct fletch_partition_store *store;
static struct drop_count drops;
static _Atomic uint64_t made;
static _Atomic uint64_t problems;
static _Atomic uint32_t writers_left;

static void problem(void)
{
    fetch_add_relaxed(&problems, 1); /* relaxed: read after the threads have ended */
}

static void open_store(size_t expected_entries, uint64_t hash_mask, uint32_t batch_objects)
{
    const struct fletch_epoch_options epochs = {
        .struct_size = sizeof epochs,
        .batch_objects = batch_objects,
    };
    const struct fletch_partition_store_options options = {
        .struct_size = sizeof options,
        .expected_entries = expected_entries,
        .hash_seed = arguments.seed,
        .drop = drop_stored,
        .drop_context = &drops,
    };
    store_relaxed(&drops.dropped, 0); /* relaxed: before the threads */
    store_relaxed(&drops.broken, 0);  /* relaxed: as above */
    store_relaxed(&made, 0);          /* relaxed: as above */
    store_relaxed(&problems, 0);      /* relaxed: as above */
    assert_int_equal(fletch_epoch_domain_create(&epochs, NULL, &domain, NULL), FLETCH_OK);
    assert_int_equal(
        fletch_partition_store_create_masked(domain, &options, NULL, hash_mask, &store), FLETCH_OK);
}

static void close_store(void)
{
    fletch_partition_store_destroy(store);
    fletch_epoch_domain_destroy(domain);
    assert_int_equal(problems, 0);
    assert_int_equal(drops.broken, 0);
    assert_int_equal(drops.dropped, made);
}

struct worker {
    uint64_t seed;
    uint64_t steps;
    uint32_t keys;
    struct fletch_epoch_reader *reader;
    struct jitter jitter;
};

static void open_worker(struct worker *worker)
{
    worker->jitter = jitter_from_seed(worker->seed, 50);
    if (fletch_epoch_reader_open(domain, &worker->reader, NULL) != FLETCH_OK)
        abort();
}

static struct fletch_store_key random_key(struct worker *worker)
{
    uint32_t partition = fletch_random_below(&worker->jitter.random, worker->keys);
    return store_key(partition % 5, partition);
}

static void enter(struct worker *worker, const struct fletch_store_key *key, bool replace)
{
    struct fletch_store_value *value =
        make_stored(store, worker->reader, key, fletch_random_u64(&worker->jitter.random));
    fetch_add_relaxed(&made, 1); /* relaxed: read after the threads have ended */
    enum fletch_status status =
        replace ? fletch_partition_store_replace(store, worker->reader, key, value, NULL)
                : fletch_partition_store_insert(store, worker->reader, key, value, NULL);
    if (status == FLETCH_OK)
        return;
    if (status != (replace ? FLETCH_NOT_FOUND : FLETCH_ALREADY_EXISTS))
        problem();
    fletch_store_value_release(store, worker->reader, value);
}

static void take(struct worker *worker, const struct fletch_store_key *key)
{
    struct fletch_store_value *value = NULL;
    if (fletch_partition_store_take(store, worker->reader, key, &value, NULL) != FLETCH_OK)
        return;
    if (!stored_is_whole(value, key))
        problem();
    fletch_store_value_release(store, worker->reader, value);
}

static void remove_what_was_seen(struct worker *worker, const struct fletch_store_key *key)
{
    struct fletch_store_value *value = fletch_partition_store_get(store, worker->reader, key);
    if (value == NULL)
        return;
    uint64_t version = fletch_store_value_version(value);
    enum fletch_status status =
        fletch_partition_store_remove_version(store, worker->reader, key, version, NULL);
    if (version == 0 || status == FLETCH_RESOURCE_EXHAUSTED || !stored_is_whole(value, key))
        problem();
    fletch_store_value_release(store, worker->reader, value);
}

static void write_step(struct worker *worker)
{
    const struct fletch_store_key key = random_key(worker);
    switch (fletch_random_below(&worker->jitter.random, 6)) {
    case 0:
    case 1:
        enter(worker, &key, false);
        break;
    case 2:
        enter(worker, &key, true);
        break;
    case 3:
        take(worker, &key);
        break;
    case 4:
        remove_what_was_seen(worker, &key);
        break;
    default:
        if (fletch_partition_store_remove(store, worker->reader, &key, NULL) ==
            FLETCH_RESOURCE_EXHAUSTED)
            problem();
    }
}

static void write_keys(void *context)
{
    struct worker *worker = context;
    open_worker(worker);
    for (uint64_t i = 0; i < worker->steps; i++) {
        write_step(worker);
        jitter_step(&worker->jitter);
    }
    fletch_epoch_reader_close(worker->reader);
    fetch_sub_relaxed(&writers_left, 1); /* relaxed: readers only end later */
}

static void view_one(struct worker *worker)
{
    const struct fletch_store_key key = random_key(worker);
    fletch_epoch_enter(worker->reader);
    struct fletch_store_value *value = fletch_partition_store_view(store, worker->reader, &key);
    if (value != NULL && !stored_is_whole(value, &key))
        problem();
    jitter_step(&worker->jitter);
    if (value != NULL && !stored_is_whole(value, &key))
        problem();
    fletch_epoch_exit(worker->reader);
}

static void get_some(struct worker *worker)
{
    struct fletch_store_key keys[20];
    struct fletch_store_value *values[20];
    for (size_t i = 0; i < 20; i++)
        keys[i] = random_key(worker);
    fletch_partition_store_get_many(store, worker->reader, keys, 20, values);
    jitter_step(&worker->jitter);
    for (size_t i = 0; i < 20; i++) {
        if (values[i] == NULL)
            continue;
        if (!stored_is_whole(values[i], &keys[i]))
            problem();
        fletch_store_value_release(store, i % 4 == 0 ? NULL : worker->reader, values[i]);
    }
}

static void scan_some(struct worker *worker)
{
    struct fletch_store_scan scan;
    struct fletch_store_value *value;
    uint64_t shuffle = fletch_random_below(&worker->jitter.random, 5);
    fletch_store_scan_start(&scan, &shuffle);
    do {
        fletch_epoch_enter(worker->reader);
        value = fletch_store_scan_next(store, worker->reader, &scan);
        if (value != NULL) {
            const struct fletch_store_key key = fletch_store_value_key(value);
            if (key.shuffle != shuffle || !stored_is_whole(value, &key))
                problem();
        }
        fletch_epoch_exit(worker->reader);
    } while (value != NULL);
}

static void read_keys(void *context)
{
    struct worker *worker = context;
    open_worker(worker);
    uint64_t i = 0;
    while (load_relaxed(&writers_left) != 0) { /* relaxed: as above */
        view_one(worker);
        if (i % 16 == 0)
            get_some(worker);
        if (i % 1024 == 0)
            scan_some(worker);
        i++;
    }
    fletch_epoch_reader_close(worker->reader);
}

static void run_mixed(uint32_t keys, uint64_t hash_mask, uint64_t steps)
{
    struct worker workers[4];
    struct team_role roles[4];
    open_store(0, hash_mask, 16);
    store_relaxed(&writers_left, 2); /* relaxed: before the threads */
    for (size_t i = 0; i < 4; i++) {
        workers[i] = (struct worker){
            .seed = arguments.seed * 10 + i,
            .steps = steps * arguments.scale,
            .keys = keys,
        };
        roles[i] = (struct team_role){i < 2 ? write_keys : read_keys, &workers[i]};
    }
    team_run(roles, 4);
    close_store();
}

static void values_are_whole_under_all_writes(void **state)
{
    (void)state;
    run_mixed(4, UINT64_MAX, 20000);
    run_mixed(3000, UINT64_MAX, 20000);
}

static void values_are_whole_where_all_hashes_are_equal(void **state)
{
    (void)state;
    run_mixed(6, 0, 15000);
    run_mixed(60, UINT64_C(0x0000f00000000000), 15000);
}

/* ---- growing and shrinking ---- */

enum { STEADY = 500, TIDE = 8000, TIDES = 2 };

/* Entries come and go by the thousands; some stay. */
static void make_tides(void *context)
{
    struct worker *worker = context;
    open_worker(worker);
    for (uint64_t tide = 0; tide < TIDES * arguments.scale; tide++) {
        for (uint32_t i = 0; i < TIDE; i++) {
            const struct fletch_store_key key = store_key(worker->seed, STEADY + i);
            enter(worker, &key, false);
        }
        for (uint32_t i = 0; i < TIDE; i++) {
            const struct fletch_store_key key = store_key(worker->seed, STEADY + i);
            if (fletch_partition_store_remove(store, worker->reader, &key, NULL) != FLETCH_OK)
                problem();
        }
    }
    fletch_epoch_reader_close(worker->reader);
    fetch_sub_relaxed(&writers_left, 1); /* relaxed: readers only end later */
}

/* Those that stay are always there, and a scan sees each of them once. */
static void look_at_the_steady(void *context)
{
    struct worker *worker = context;
    open_worker(worker);
    while (load_relaxed(&writers_left) != 0) { /* relaxed: as above */
        struct fletch_store_scan scan;
        struct fletch_store_value *value;
        const uint64_t shuffle = 0;
        uint32_t seen = 0;
        for (uint32_t i = 0; i < STEADY; i++) {
            const struct fletch_store_key key = store_key(0, i);
            fletch_epoch_enter(worker->reader);
            value = fletch_partition_store_view(store, worker->reader, &key);
            if (value == NULL || !stored_is_whole(value, &key))
                problem();
            fletch_epoch_exit(worker->reader);
        }
        fletch_store_scan_start(&scan, &shuffle);
        do {
            fletch_epoch_enter(worker->reader);
            value = fletch_store_scan_next(store, worker->reader, &scan);
            fletch_epoch_exit(worker->reader);
            seen += value != NULL;
        } while (value != NULL);
        if (seen != STEADY)
            problem();
    }
    fletch_epoch_reader_close(worker->reader);
}

static void what_stays_is_found_while_the_table_grows_and_shrinks(void **state)
{
    (void)state;
    struct worker workers[4] = {{.seed = 0}, {.seed = 1}, {.seed = 2}, {.seed = 3}};
    struct team_role roles[3];
    open_store(0, UINT64_MAX, 64);
    open_worker(&workers[0]);
    for (uint32_t i = 0; i < STEADY; i++) {
        const struct fletch_store_key key = store_key(0, i);
        enter(&workers[0], &key, false);
    }
    store_relaxed(&writers_left, 2); /* relaxed: before the threads */
    for (size_t i = 0; i < 3; i++)
        roles[i] = (struct team_role){i < 2 ? make_tides : look_at_the_steady, &workers[i + 1]};
    team_run(roles, 3);
    struct fletch_store_statistics statistics = {.struct_size = sizeof statistics};
    assert_int_equal(fletch_partition_store_statistics(store, workers[0].reader, &statistics, NULL),
                     FLETCH_OK);
    assert_int_equal(statistics.entries, STEADY);
    assert_true(statistics.tables_made > 6);
    fletch_epoch_reader_close(workers[0].reader);
    close_store();
}

/* ---- one winner ---- */

enum { PRIZES = 3000 };
static _Atomic uint32_t won[PRIZES];

static void take_prizes(void *context)
{
    struct worker *worker = context;
    open_worker(worker);
    for (uint32_t i = 0; i < PRIZES; i++) {
        const struct fletch_store_key key = store_key(1, i);
        struct fletch_store_value *value = NULL;
        if (fletch_partition_store_take(store, worker->reader, &key, &value, NULL) == FLETCH_OK) {
            fetch_add_relaxed(&won[i], 1); /* relaxed: read after the threads have ended */
            fletch_store_value_release(store, worker->reader, value);
        }
        jitter_step(&worker->jitter);
    }
    fletch_epoch_reader_close(worker->reader);
}

static void exactly_one_takes_each_value(void **state)
{
    (void)state;
    struct worker workers[4] = {{.seed = 1}, {.seed = 2}, {.seed = 3}, {.seed = 4}};
    struct team_role roles[3];
    for (uint64_t round = 0; round < 5 * arguments.scale; round++) {
        open_store(0, UINT64_MAX, 16);
        open_worker(&workers[3]);
        for (uint32_t i = 0; i < PRIZES; i++) {
            const struct fletch_store_key key = store_key(1, i);
            enter(&workers[3], &key, false);
            store_relaxed(&won[i], 0); /* relaxed: before the threads */
        }
        fletch_epoch_reader_close(workers[3].reader);
        for (size_t i = 0; i < 3; i++)
            roles[i] = (struct team_role){take_prizes, &workers[i]};
        team_run(roles, 3);
        for (uint32_t i = 0; i < PRIZES; i++)
            assert_int_equal(won[i], 1);
        close_store();
    }
}

/* ---- churn ---- */

static void churn(void *context)
{
    struct worker *worker = context;
    open_worker(worker);
    for (uint32_t i = 0; i < worker->steps; i++) {
        const struct fletch_store_key key = store_key(worker->seed, i);
        const struct fletch_store_key old = store_key(worker->seed, i - 50);
        enter(worker, &key, false);
        if (i >= 50 &&
            fletch_partition_store_remove(store, worker->reader, &old, NULL) != FLETCH_OK)
            problem();
    }
    fletch_epoch_reader_close(worker->reader);
}

/* Ten million inserts and removals at scale 50. */
static void churn_stays_within_its_memory(void **state)
{
    (void)state;
    struct worker workers[2] = {{.seed = 1}, {.seed = 2}}, looker = {.seed = 3};
    struct team_role roles[2];
    open_store(0, UINT64_MAX, 0);
    for (size_t i = 0; i < 2; i++) {
        workers[i].steps = 100000 * arguments.scale;
        roles[i] = (struct team_role){churn, &workers[i]};
    }
    team_run(roles, 2);
    open_worker(&looker);
    struct fletch_store_statistics statistics = {.struct_size = sizeof statistics};
    assert_int_equal(fletch_partition_store_statistics(store, looker.reader, &statistics, NULL),
                     FLETCH_OK);
    assert_int_equal(statistics.entries, 100);
    assert_true(statistics.buckets <= 4u << FLETCH_STORE_LEVEL_LEAST);
    assert_true(statistics.limbo_objects < 2000);
    fletch_epoch_reader_close(looker.reader);
    close_store();
}

/* ---- a reader that stops ---- */

static void a_stopped_reader_holds_back_memory_and_nobody(void **state)
{
    (void)state;
    struct worker workers[2] = {{.seed = 1}, {.seed = 2}}, sleeper = {.seed = 3};
    struct team_role roles[2];
    const struct fletch_store_key key = store_key(9, 9);
    open_store(0, UINT64_MAX, 16);
    open_worker(&sleeper);
    enter(&sleeper, &key, false);
    fletch_epoch_enter(sleeper.reader);
    struct fletch_store_value *seen = fletch_partition_store_view(store, sleeper.reader, &key);
    for (size_t i = 0; i < 2; i++) {
        workers[i].steps = 5000;
        roles[i] = (struct team_role){churn, &workers[i]};
    }
    team_run(roles, 2);
    assert_int_equal(drops.dropped, 0);
    struct fletch_store_statistics statistics = {.struct_size = sizeof statistics};
    assert_int_equal(fletch_partition_store_statistics(store, sleeper.reader, &statistics, NULL),
                     FLETCH_OK);
    assert_true(statistics.limbo_objects >= 2 * (5000 - 50));
    assert_int_equal(statistics.oldest_reader, fletch_epoch_reader_number(sleeper.reader));
    assert_true(seen != NULL && stored_is_whole(seen, &key));
    fletch_epoch_exit(sleeper.reader);
    fletch_epoch_collect(sleeper.reader);
    assert_int_equal(drops.dropped, 2 * (5000 - 50));
    fletch_epoch_reader_close(sleeper.reader);
    close_store();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_whole_under_all_writes),
        cmocka_unit_test(values_are_whole_where_all_hashes_are_equal),
        cmocka_unit_test(what_stays_is_found_while_the_table_grows_and_shrinks),
        cmocka_unit_test(exactly_one_takes_each_value),
        cmocka_unit_test(churn_stays_within_its_memory),
        cmocka_unit_test(a_stopped_reader_holds_back_memory_and_nobody),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
