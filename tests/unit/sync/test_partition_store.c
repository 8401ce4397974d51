#include "sync/partition_store.h"

#include <fletching/store_scan.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/stores.h"
#include "support/team.h"

struct fixture {
    struct fletch_epoch_domain *domain;
    struct fletch_epoch_reader *reader;
    struct fletch_partition_store *store;
    struct drop_count drops;
};

static void open_fixture(struct fixture *fixture, size_t expected_entries, uint64_t hash_mask)
{
    const struct fletch_partition_store_options options = {
        .struct_size = sizeof options,
        .expected_entries = expected_entries,
        .hash_seed = 7,
        .drop = drop_stored,
        .drop_context = &fixture->drops,
    };
    memset(fixture, 0, sizeof *fixture);
    assert_int_equal(fletch_epoch_domain_create(NULL, NULL, &fixture->domain, NULL), FLETCH_OK);
    assert_int_equal(fletch_epoch_reader_open(fixture->domain, &fixture->reader, NULL), FLETCH_OK);
    assert_int_equal(fletch_partition_store_create_masked(fixture->domain, &options, NULL,
                                                          hash_mask, &fixture->store),
                     FLETCH_OK);
}

/* Every value that was made is dropped, and was whole until then. */
static void close_fixture(struct fixture *fixture, uint64_t made)
{
    fletch_partition_store_destroy(fixture->store);
    assert_int_equal(fixture->drops.dropped, made);
    assert_int_equal(fixture->drops.broken, 0);
    fletch_epoch_reader_close(fixture->reader);
    fletch_epoch_domain_destroy(fixture->domain);
}

static enum fletch_status insert(struct fixture *fixture, struct fletch_store_key key,
                                 uint64_t number)
{
    struct fletch_store_value *value = make_stored(fixture->store, fixture->reader, &key, number);
    enum fletch_status status =
        fletch_partition_store_insert(fixture->store, fixture->reader, &key, value, NULL);
    if (status != FLETCH_OK)
        fletch_store_value_release(fixture->store, fixture->reader, value);
    return status;
}

static enum fletch_status replace(struct fixture *fixture, struct fletch_store_key key,
                                  uint64_t number)
{
    struct fletch_store_value *value = make_stored(fixture->store, fixture->reader, &key, number);
    enum fletch_status status =
        fletch_partition_store_replace(fixture->store, fixture->reader, &key, value, NULL);
    if (status != FLETCH_OK)
        fletch_store_value_release(fixture->store, fixture->reader, value);
    return status;
}

static enum fletch_status remove_key(struct fixture *fixture, struct fletch_store_key key)
{
    return fletch_partition_store_remove(fixture->store, fixture->reader, &key, NULL);
}

enum { ABSENT = -1 };

/* The number under a key, by view and by get. */
static int64_t look_up(struct fixture *fixture, struct fletch_store_key key)
{
    fletch_epoch_enter(fixture->reader);
    struct fletch_store_value *viewed =
        fletch_partition_store_view(fixture->store, fixture->reader, &key);
    int64_t number = ABSENT;
    if (viewed != NULL) {
        assert_true(stored_is_whole(viewed, &key));
        number = (int64_t)stored_number(viewed);
    }
    fletch_epoch_exit(fixture->reader);
    struct fletch_store_value *got =
        fletch_partition_store_get(fixture->store, fixture->reader, &key);
    assert_ptr_equal(got, viewed);
    if (got != NULL)
        fletch_store_value_release(fixture->store, fixture->reader, got);
    return number;
}

static struct fletch_store_statistics statistics_of(struct fixture *fixture)
{
    struct fletch_store_statistics statistics = {.struct_size = sizeof statistics};
    assert_int_equal(
        fletch_partition_store_statistics(fixture->store, fixture->reader, &statistics, NULL),
        FLETCH_OK);
    return statistics;
}

static void a_key_is_inserted_found_and_removed(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, 0, UINT64_MAX);
    const struct fletch_store_key key = {.shuffle = 1, .partition = 2, .slot = 3};
    assert_int_equal(look_up(&fixture, key), ABSENT);
    assert_int_equal(remove_key(&fixture, key), FLETCH_NOT_FOUND);
    assert_int_equal(insert(&fixture, key, 10), FLETCH_OK);
    assert_int_equal(look_up(&fixture, key), 10);
    assert_int_equal(insert(&fixture, key, 11), FLETCH_ALREADY_EXISTS);
    assert_int_equal(look_up(&fixture, key), 10);
    assert_int_equal(statistics_of(&fixture).entries, 1);
    assert_int_equal(remove_key(&fixture, key), FLETCH_OK);
    assert_int_equal(look_up(&fixture, key), ABSENT);
    assert_int_equal(remove_key(&fixture, key), FLETCH_NOT_FOUND);
    assert_int_equal(insert(&fixture, key, 12), FLETCH_OK);
    assert_int_equal(look_up(&fixture, key), 12);
    close_fixture(&fixture, 3);
}

static void whole_keys_are_compared(void **state)
{
    (void)state;
    /* All hashes equal; or so that only some bits of the tag differ. */
    static const uint64_t masks[] = {0, UINT64_C(0xff) << 24, UINT64_C(0x3) << 40, UINT64_MAX};
    for (size_t m = 0; m < 4; m++) {
        struct fixture fixture;
        open_fixture(&fixture, 0, masks[m]);
        const struct fletch_store_key keys[] = {
            {1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {1, 1, 2}, {UINT64_C(1) << 63, 1, 1}, {1, 1u << 31, 1},
        };
        enum { KEYS = sizeof keys / sizeof *keys };
        for (size_t i = 0; i < KEYS; i++)
            assert_int_equal(insert(&fixture, keys[i], i), FLETCH_OK);
        for (size_t i = 0; i < KEYS; i++) {
            assert_int_equal(look_up(&fixture, keys[i]), i);
            assert_int_equal(insert(&fixture, keys[i], 99), FLETCH_ALREADY_EXISTS);
            assert_int_equal(replace(&fixture, keys[i], i + 10), FLETCH_OK);
        }
        for (size_t i = 0; i < KEYS; i += 2)
            assert_int_equal(remove_key(&fixture, keys[i]), FLETCH_OK);
        for (size_t i = 0; i < KEYS; i++)
            assert_int_equal(look_up(&fixture, keys[i]), i % 2 == 0 ? ABSENT : (int64_t)i + 10);
        for (size_t i = 0; i < KEYS; i += 2)
            assert_int_equal(insert(&fixture, keys[i], i + 20), FLETCH_OK);
        for (size_t i = 0; i < KEYS; i++)
            assert_int_equal(remove_key(&fixture, keys[i]), FLETCH_OK);
        assert_int_equal(statistics_of(&fixture).entries, 0);
        close_fixture(&fixture, KEYS * 3 + KEYS / 2);
    }
}

static void replacing_needs_something_to_replace(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, 0, UINT64_MAX);
    const struct fletch_store_key key = store_key(5, 6);
    assert_int_equal(replace(&fixture, key, 1), FLETCH_NOT_FOUND);
    assert_int_equal(insert(&fixture, key, 2), FLETCH_OK);
    assert_int_equal(replace(&fixture, key, 3), FLETCH_OK);
    assert_int_equal(look_up(&fixture, key), 3);
    assert_int_equal(statistics_of(&fixture).entries, 1);
    assert_int_equal(remove_key(&fixture, key), FLETCH_OK);
    assert_int_equal(replace(&fixture, key, 4), FLETCH_NOT_FOUND);
    close_fixture(&fixture, 4);
}

static void a_taken_value_belongs_to_the_taker(void **state)
{
    (void)state;
    struct fixture fixture;
    struct fletch_error error;
    open_fixture(&fixture, 0, UINT64_MAX);
    const struct fletch_store_key key = store_key(1, 1);
    struct fletch_store_value *value = NULL;
    assert_int_equal(
        fletch_partition_store_take(fixture.store, fixture.reader, &key, &value, &error),
        FLETCH_NOT_FOUND);
    assert_contains(error.message, "nothing to remove");
    assert_null(value);
    assert_int_equal(insert(&fixture, key, 4), FLETCH_OK);
    assert_int_equal(fletch_partition_store_take(fixture.store, fixture.reader, &key, &value, NULL),
                     FLETCH_OK);
    assert_int_equal(look_up(&fixture, key), ABSENT);
    fletch_epoch_collect(fixture.reader);
    assert_int_equal(fixture.drops.dropped, 0);
    assert_true(stored_is_whole(value, &key));
    fletch_store_value_acquire(value);
    fletch_store_value_release(fixture.store, fixture.reader, value);
    assert_true(stored_is_whole(value, &key));
    fletch_store_value_release(fixture.store, fixture.reader, value);
    fletch_epoch_collect(fixture.reader);
    assert_int_equal(fixture.drops.dropped, 1);
    close_fixture(&fixture, 1);
}

static void a_value_that_did_not_enter_has_no_version(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, 0, UINT64_MAX);
    const struct fletch_store_key key = store_key(1, 1), other = store_key(1, 2);
    struct fletch_store_value *value = make_stored(fixture.store, fixture.reader, &other, 5);
    assert_int_equal(insert(&fixture, key, 4), FLETCH_OK);
    assert_int_equal(fletch_store_value_version(value), 0);
    assert_int_equal(
        fletch_partition_store_insert(fixture.store, fixture.reader, &key, value, NULL),
        FLETCH_ALREADY_EXISTS);
    assert_int_equal(fletch_store_value_version(value), 0);
    assert_int_equal(
        fletch_partition_store_replace(fixture.store, fixture.reader, &other, value, NULL),
        FLETCH_NOT_FOUND);
    assert_int_equal(fletch_store_value_version(value), 0);
    /* It may still enter, once. */
    assert_int_equal(
        fletch_partition_store_insert(fixture.store, fixture.reader, &other, value, NULL),
        FLETCH_OK);
    assert_true(fletch_store_value_version(value) != 0);
    assert_int_equal(look_up(&fixture, other), 5);
    close_fixture(&fixture, 2);
}

#ifdef FLETCH_CHECKS
/* A value that was taken enters again: readers of its first time would see another key. */
static int enter_again(void *unused)
{
    struct fixture fixture;
    const struct fletch_store_key key = store_key(1, 1);
    struct fletch_store_value *value = NULL;
    (void)unused;
    open_fixture(&fixture, 0, UINT64_MAX);
    if (insert(&fixture, key, 4) != FLETCH_OK ||
        fletch_partition_store_take(fixture.store, fixture.reader, &key, &value, NULL) != FLETCH_OK)
        return 1;
    return fletch_partition_store_insert(fixture.store, fixture.reader, &key, value, NULL) ==
                   FLETCH_OK
               ? 2
               : 3;
}

static void a_value_enters_only_once(void **state)
{
    (void)state;
    assert_int_equal(child_run(enter_again, NULL, true), CHILD_KILLED + SIGABRT);
}
#endif

static void a_late_removal_does_not_hit_a_newer_entry(void **state)
{
    (void)state;
    struct fixture fixture;
    struct fletch_error error;
    open_fixture(&fixture, 0, UINT64_MAX);
    const struct fletch_store_key key = store_key(1, 1);
    assert_int_equal(insert(&fixture, key, 1), FLETCH_OK);
    struct fletch_store_value *value =
        fletch_partition_store_get(fixture.store, fixture.reader, &key);
    uint64_t version = fletch_store_value_version(value);
    assert_true(version != 0);
    fletch_store_value_release(fixture.store, fixture.reader, value);
    assert_int_equal(replace(&fixture, key, 2), FLETCH_OK);
    assert_int_equal(
        fletch_partition_store_remove_version(fixture.store, fixture.reader, &key, version, &error),
        FLETCH_FAILED_PRECONDITION);
    assert_contains(error.message, "another version");
    assert_int_equal(look_up(&fixture, key), 2);
    value = fletch_partition_store_get(fixture.store, fixture.reader, &key);
    assert_true(fletch_store_value_version(value) != version);
    version = fletch_store_value_version(value);
    fletch_store_value_release(fixture.store, fixture.reader, value);
    assert_int_equal(
        fletch_partition_store_remove_version(fixture.store, fixture.reader, &key, version, &error),
        FLETCH_OK);
    assert_int_equal(
        fletch_partition_store_remove_version(fixture.store, fixture.reader, &key, version, &error),
        FLETCH_NOT_FOUND);
    assert_int_equal(
        fletch_partition_store_remove_version(fixture.store, fixture.reader, &key, 0, &error),
        FLETCH_INVALID_ARGUMENT);
    close_fixture(&fixture, 2);
}

static void a_view_stays_whole_until_the_section_ends(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, 0, UINT64_MAX);
    const struct fletch_store_key key = store_key(1, 1);
    struct fletch_epoch_reader *other = NULL;
    assert_int_equal(fletch_epoch_reader_open(fixture.domain, &other, NULL), FLETCH_OK);
    assert_int_equal(insert(&fixture, key, 1), FLETCH_OK);
    fletch_epoch_enter(other);
    struct fletch_store_value *value = fletch_partition_store_view(fixture.store, other, &key);
    assert_non_null(value);
    assert_int_equal(remove_key(&fixture, key), FLETCH_OK);
    fletch_epoch_collect(fixture.reader);
    assert_int_equal(fixture.drops.dropped, 0);
    assert_true(stored_is_whole(value, &key));
    assert_int_equal(fletch_store_value_version(value), 0);
    assert_false(fletch_store_value_try_acquire(value));
    assert_int_equal(statistics_of(&fixture).limbo_objects, 1);
    assert_int_equal(statistics_of(&fixture).oldest_reader, fletch_epoch_reader_number(other));
    fletch_epoch_exit(other);
    fletch_epoch_collect(fixture.reader);
    assert_int_equal(fixture.drops.dropped, 1);
    assert_int_equal(statistics_of(&fixture).limbo_objects, 0);
    fletch_epoch_reader_close(other);
    close_fixture(&fixture, 1);
}

enum { MANY = 20000 };

static void fill(struct fixture *fixture, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(insert(fixture, store_key(i % 7, i), i), FLETCH_OK);
}

static void a_table_grows_and_shrinks(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, 0, UINT64_MAX);
    struct fletch_store_statistics small = statistics_of(&fixture);
    fill(&fixture, MANY);
    struct fletch_store_statistics large = statistics_of(&fixture);
    assert_int_equal(large.entries, MANY);
    assert_true(large.buckets > 8 * small.buckets);
    assert_true(large.tables_made > 3);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(look_up(&fixture, store_key(i % 7, i)), i);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(remove_key(&fixture, store_key(i % 7, i)), FLETCH_OK);
    struct fletch_store_statistics emptied = statistics_of(&fixture);
    assert_int_equal(emptied.entries, 0);
    assert_true(emptied.buckets * 8 <= large.buckets);
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(look_up(&fixture, store_key(i % 7, i)), ABSENT);
    close_fixture(&fixture, MANY);
}

static void a_table_is_made_for_what_is_expected(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, MANY, UINT64_MAX);
    fill(&fixture, MANY);
    assert_int_equal(statistics_of(&fixture).tables_made, 1);
    close_fixture(&fixture, MANY);
}

/* Numbers in a row are what partitions are: they must fall like random ones. With four to a bucket
 * of five about 22 of 100 buckets overflow; a grid would make it far more. */
static void keys_in_a_row_are_spread(void **state)
{
    (void)state;
    enum { ENTRIES = 1 << 14 };
    for (uint32_t slot = 0; slot < 2; slot++) {
        struct fixture fixture;
        open_fixture(&fixture, ENTRIES, UINT64_MAX);
        for (uint32_t i = 0; i < ENTRIES; i++) {
            const struct fletch_store_key key = {
                .shuffle = slot == 0 ? 42 : i,
                .partition = slot == 0 ? i : 7,
                .slot = slot,
            };
            assert_int_equal(insert(&fixture, key, i), FLETCH_OK);
        }
        struct fletch_store_statistics statistics = statistics_of(&fixture);
        assert_int_equal(statistics.buckets, ENTRIES / 4);
        assert_true(statistics.overflow_buckets < statistics.buckets * 26 / 100);
        assert_true(statistics.overflow_buckets > statistics.buckets * 18 / 100);
        close_fixture(&fixture, ENTRIES);
    }
}

static void churn_does_not_grow_the_table(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, 0, UINT64_MAX);
    for (uint32_t i = 0; i < 5 * MANY; i++) {
        assert_int_equal(insert(&fixture, store_key(1, i), i), FLETCH_OK);
        if (i >= 100)
            assert_int_equal(remove_key(&fixture, store_key(1, i - 100)), FLETCH_OK);
    }
    struct fletch_store_statistics statistics = statistics_of(&fixture);
    assert_int_equal(statistics.entries, 100);
    assert_int_equal(statistics.buckets, 1u << FLETCH_STORE_LEVEL_LEAST);
    assert_true(statistics.tables_made > 10);
    close_fixture(&fixture, 5 * MANY);
}

static void keys_of_one_bucket_make_a_chain_and_then_a_larger_table(void **state)
{
    (void)state;
    /* One bucket; tags differ. */
    struct fixture fixture;
    open_fixture(&fixture, 0, UINT64_C(0x00ffffffff000000) >> 4);
    enum { COUNT = 900 };
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(insert(&fixture, store_key(1, i), i), FLETCH_OK);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(look_up(&fixture, store_key(1, i)), i);
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(remove_key(&fixture, store_key(1, i)), FLETCH_OK);
    close_fixture(&fixture, COUNT);
}

/* How often a scan sees each of the keys of `fill`. */
static uint32_t *scan_counts(struct fixture *fixture, const uint64_t *shuffle)
{
    uint32_t *counts = calloc(MANY, sizeof *counts);
    struct fletch_store_scan scan;
    fletch_store_scan_start(&scan, shuffle);
    for (;;) {
        fletch_epoch_enter(fixture->reader);
        struct fletch_store_value *value =
            fletch_store_scan_next(fixture->store, fixture->reader, &scan);
        if (value != NULL) {
            struct fletch_store_key key = fletch_store_value_key(value);
            assert_true(stored_is_whole(value, &key) && key.partition < MANY);
            counts[key.partition]++;
        }
        fletch_epoch_exit(fixture->reader);
        if (value == NULL)
            break;
    }
    /* At the end it stays at the end. */
    fletch_epoch_enter(fixture->reader);
    assert_null(fletch_store_scan_next(fixture->store, fixture->reader, &scan));
    fletch_epoch_exit(fixture->reader);
    return counts;
}

static void a_scan_sees_each_entry_once(void **state)
{
    (void)state;
    static const uint64_t masks[] = {UINT64_MAX, UINT64_C(0xffff000000000000)};
    for (size_t m = 0; m < 2; m++) {
        uint32_t entries = m == 0 ? MANY : 200;
        struct fixture fixture;
        open_fixture(&fixture, 0, masks[m]);
        fill(&fixture, entries);
        uint32_t *counts = scan_counts(&fixture, NULL);
        for (uint32_t i = 0; i < entries; i++)
            assert_int_equal(counts[i], 1);
        free(counts);
        for (uint64_t shuffle = 0; shuffle < 8; shuffle++) {
            counts = scan_counts(&fixture, &shuffle);
            for (uint32_t i = 0; i < entries; i++)
                assert_int_equal(counts[i], i % 7 == shuffle);
            free(counts);
        }
        close_fixture(&fixture, entries);
    }
}

static void a_scan_goes_on_in_another_table(void **state)
{
    (void)state;
    struct fixture fixture;
    struct fletch_store_scan scan;
    open_fixture(&fixture, 0, UINT64_MAX);
    enum { FIRST = 1000 };
    fill(&fixture, FIRST);
    uint32_t seen = 0, step = 0;
    struct fletch_store_value *value;
    fletch_store_scan_start(&scan, NULL);
    /* Others come between the steps, so that the table grows twice on the way. */
    do {
        fletch_epoch_enter(fixture.reader);
        value = fletch_store_scan_next(fixture.store, fixture.reader, &scan);
        seen += value != NULL && fletch_store_value_key(value).partition < FIRST;
        fletch_epoch_exit(fixture.reader);
        if (step < 5 * FIRST)
            assert_int_equal(insert(&fixture, store_key(9, FIRST + step), 1), FLETCH_OK);
        step++;
    } while (value != NULL);
    assert_int_equal(seen, FIRST);
    assert_true(statistics_of(&fixture).tables_made > 2);
    close_fixture(&fixture, FIRST + (step < 5 * FIRST ? step : 5 * FIRST));
}

static void a_shuffle_is_removed_and_no_other(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, 0, UINT64_MAX);
    fill(&fixture, MANY);
    uint64_t removed = 0;
    assert_int_equal(
        fletch_partition_store_remove_shuffle(fixture.store, fixture.reader, 3, &removed, NULL),
        FLETCH_OK);
    assert_int_equal(removed, MANY / 7 + (MANY % 7 > 3));
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(look_up(&fixture, store_key(i % 7, i)), i % 7 == 3 ? ABSENT : (int64_t)i);
    assert_int_equal(
        fletch_partition_store_remove_shuffle(fixture.store, fixture.reader, 3, &removed, NULL),
        FLETCH_OK);
    assert_int_equal(removed, 0);
    close_fixture(&fixture, MANY);
}

static void many_keys_are_looked_up_at_once(void **state)
{
    (void)state;
    static struct fletch_store_key keys[100];
    struct fletch_store_value *values[100];
    static const size_t sizes[] = {0, 60000};
    for (size_t s = 0; s < 2; s++) {
        struct fixture fixture;
        open_fixture(&fixture, sizes[s], UINT64_MAX);
        for (uint32_t i = 0; i < 100; i++) {
            keys[i] = store_key(2, i);
            if (i % 3 != 0)
                assert_int_equal(insert(&fixture, keys[i], i), FLETCH_OK);
        }
        fletch_epoch_enter(fixture.reader);
        assert_int_equal(
            fletch_partition_store_view_many(fixture.store, fixture.reader, keys, 100, values), 66);
        for (uint32_t i = 0; i < 100; i++) {
            assert_true((values[i] != NULL) == (i % 3 != 0));
            assert_true(values[i] == NULL || stored_is_whole(values[i], &keys[i]));
        }
        fletch_epoch_exit(fixture.reader);
        assert_int_equal(
            fletch_partition_store_get_many(fixture.store, fixture.reader, keys, 17, values), 11);
        for (uint32_t i = 0; i < 17; i++) {
            if (values[i] != NULL)
                fletch_store_value_release(fixture.store, NULL, values[i]);
        }
        assert_int_equal(
            fletch_partition_store_get_many(fixture.store, fixture.reader, keys, 0, values), 0);
        close_fixture(&fixture, 66);
    }
}

/* Values that consumers take and let go without a reader do not pile up. */
static void releases_without_a_reader_keep_memory_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, 0, UINT64_MAX);
    for (uint32_t i = 0; i < MANY; i++) {
        const struct fletch_store_key key = store_key(1, i);
        struct fletch_store_value *value = NULL;
        assert_int_equal(insert(&fixture, key, i), FLETCH_OK);
        assert_int_equal(
            fletch_partition_store_take(fixture.store, fixture.reader, &key, &value, NULL),
            FLETCH_OK);
        fletch_store_value_release(fixture.store, NULL, value);
    }
    assert_true(statistics_of(&fixture).limbo_objects < 2048);
    close_fixture(&fixture, MANY);
}

/* ---- waiting ---- */

static struct fixture shared;

static void insert_later(void *context)
{
    (void)context;
    struct fletch_epoch_reader *reader = NULL;
    const struct fletch_store_key key = store_key(4, 4);
    struct fletch_store_value *value = make_stored(shared.store, NULL, &key, 44);
    (void)!fletch_epoch_reader_open(shared.domain, &reader, NULL);
    uint64_t until = fletch_clock_now_ns() + 20000000;
    while (fletch_clock_now_ns() < until) {
    }
    (void)!fletch_partition_store_insert(shared.store, reader, &key, value, NULL);
    fletch_epoch_reader_close(reader);
}

static void a_wait_ends_when_the_key_comes(void **state)
{
    (void)state;
    struct team team;
    struct fletch_store_value *value = NULL;
    const struct team_role roles[] = {{.run = insert_later}};
    const struct fletch_store_key key = store_key(4, 4);
    open_fixture(&shared, 0, UINT64_MAX);
    team_start(&team, roles, 1);
    assert_int_equal(
        fletch_partition_store_wait(shared.store, shared.reader, &key, FLETCH_NO_TIMEOUT, &value),
        FLETCH_OK);
    team_join(&team);
    assert_true(stored_is_whole(value, &key));
    fletch_store_value_release(shared.store, shared.reader, value);
    /* Now it is there at once. */
    assert_int_equal(fletch_partition_store_wait(shared.store, shared.reader, &key, 0, &value),
                     FLETCH_OK);
    fletch_store_value_release(shared.store, shared.reader, value);
    close_fixture(&shared, 1);
}

static void a_wait_ends_at_its_deadline(void **state)
{
    (void)state;
    struct fixture fixture;
    struct fletch_store_value *value = NULL;
    const struct fletch_store_key key = {.shuffle = 77, .partition = 8, .slot = 9};
    open_fixture(&fixture, 0, UINT64_MAX);
    uint64_t before = fletch_clock_now_ns();
    assert_int_equal(
        fletch_partition_store_wait(fixture.store, fixture.reader, &key, 5000000, &value),
        FLETCH_DEADLINE_EXCEEDED);
    assert_true(fletch_clock_now_ns() - before >= 5000000);
    assert_null(value);
    close_fixture(&fixture, 0);
}

static void a_domain_serves_fifteen_stores(void **state)
{
    (void)state;
    struct fletch_epoch_domain *domain = NULL;
    struct fletch_partition_store *stores[15], *more = NULL;
    struct fletch_error error;
    assert_int_equal(fletch_epoch_domain_create(NULL, NULL, &domain, NULL), FLETCH_OK);
    for (size_t i = 0; i < 15; i++)
        assert_int_equal(fletch_partition_store_create(domain, NULL, NULL, &stores[i], NULL),
                         FLETCH_OK);
    assert_int_equal(fletch_partition_store_create(domain, NULL, NULL, &more, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "15 stores");
    fletch_partition_store_destroy(stores[3]);
    assert_int_equal(fletch_partition_store_create(domain, NULL, NULL, &stores[3], NULL),
                     FLETCH_OK);
    for (size_t i = 0; i < 15; i++)
        fletch_partition_store_destroy(stores[i]);
    fletch_partition_store_destroy(NULL);
    fletch_epoch_domain_destroy(domain);
}

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct fletch_error error;
    struct fletch_partition_store *store = NULL;
    struct fletch_store_value *value = NULL;
    open_fixture(&fixture, 0, UINT64_MAX);
    struct fletch_partition_store_options options = {.struct_size = 3};
    assert_int_equal(fletch_partition_store_create(fixture.domain, &options, NULL, &store, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "struct_size 3");
    struct fletch_store_statistics statistics = {.struct_size = 1};
    assert_int_equal(
        fletch_partition_store_statistics(fixture.store, fixture.reader, &statistics, &error),
        FLETCH_INVALID_ARGUMENT);
    assert_int_equal(fletch_partition_store_value_create(fixture.store, fixture.reader,
                                                         FLETCH_STORE_PAYLOAD_BYTES_MAX + 1, &value,
                                                         &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "2147483648");
    assert_null(store);
    assert_null(value);
    close_fixture(&fixture, 0);
}

/* ---- memory ---- */

enum { MANY_ENTRIES = 1 << 20, SOME_ENTRIES = 100000 };

/* Bytes of table and header for each entry, by the store's own count. */
static double bytes_per_entry(struct fixture *fixture)
{
    struct fletch_store_statistics statistics = {.struct_size = sizeof statistics};
    assert_int_equal(
        fletch_partition_store_statistics(fixture->store, fixture->reader, &statistics, NULL),
        FLETCH_OK);
    return (double)statistics.table_bytes / (double)statistics.entries +
           (double)sizeof(struct fletch_store_value);
}

static void an_entry_of_a_million_takes_less_than_64_bytes(void **state)
{
    (void)state;
    static const size_t expected[] = {MANY_ENTRIES, 0};
    for (size_t k = 0; k < 2; k++) {
        struct fixture fixture;
        open_fixture(&fixture, expected[k], UINT64_MAX);
        for (uint32_t i = 0; i < MANY_ENTRIES; i++)
            assert_int_equal(insert(&fixture, store_key(1, i), i), FLETCH_OK);
        assert_true(bytes_per_entry(&fixture) < 64);
        close_fixture(&fixture, MANY_ENTRIES);
    }
}

/* What a mass removal leaves behind of the values' memory, in hundredths of what there was. */
static void mass_removal_gives_memory_back(void **state)
{
    (void)state;
    static struct counting_allocator counting;
    struct fletch_epoch_domain *domain;
    struct fletch_epoch_reader *reader;
    struct fletch_partition_store *store;
    counting_allocator_start(&counting, 0);
    assert_int_equal(fletch_epoch_domain_create(NULL, NULL, &domain, NULL), FLETCH_OK);
    assert_int_equal(fletch_epoch_reader_open(domain, &reader, NULL), FLETCH_OK);
    assert_int_equal(fletch_partition_store_create(domain, NULL, &counting.allocator, &store, NULL),
                     FLETCH_OK);
    for (uint32_t i = 0; i < SOME_ENTRIES; i++) {
        const struct fletch_store_key key = store_key(1, i);
        struct fletch_store_value *value = make_stored(store, reader, &key, i);
        assert_int_equal(fletch_partition_store_insert(store, reader, &key, value, NULL),
                         FLETCH_OK);
    }
    uint64_t full_bytes = counting.live_bytes;
    for (uint32_t i = 0; i < SOME_ENTRIES; i++) {
        const struct fletch_store_key key =
            store_key(1, (uint32_t)(i * UINT64_C(7919) % SOME_ENTRIES));
        assert_int_equal(fletch_partition_store_remove(store, reader, &key, NULL), FLETCH_OK);
    }
    fletch_epoch_collect(reader);
    assert_true(full_bytes > (uint64_t)SOME_ENTRIES * 64);
    assert_true(counting.live_bytes * 2 < full_bytes);
    fletch_partition_store_destroy(store);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
    assert_int_equal(counting.live_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_inserted_found_and_removed),
        cmocka_unit_test(whole_keys_are_compared),
        cmocka_unit_test(replacing_needs_something_to_replace),
        cmocka_unit_test(a_taken_value_belongs_to_the_taker),
        cmocka_unit_test(a_value_that_did_not_enter_has_no_version),
#ifdef FLETCH_CHECKS
        cmocka_unit_test(a_value_enters_only_once),
#endif
        cmocka_unit_test(a_late_removal_does_not_hit_a_newer_entry),
        cmocka_unit_test(a_view_stays_whole_until_the_section_ends),
        cmocka_unit_test(a_table_grows_and_shrinks),
        cmocka_unit_test(a_table_is_made_for_what_is_expected),
        cmocka_unit_test(keys_in_a_row_are_spread),
        cmocka_unit_test(churn_does_not_grow_the_table),
        cmocka_unit_test(keys_of_one_bucket_make_a_chain_and_then_a_larger_table),
        cmocka_unit_test(a_scan_sees_each_entry_once),
        cmocka_unit_test(a_scan_goes_on_in_another_table),
        cmocka_unit_test(a_shuffle_is_removed_and_no_other),
        cmocka_unit_test(many_keys_are_looked_up_at_once),
        cmocka_unit_test(releases_without_a_reader_keep_memory_bounded),
        cmocka_unit_test(a_wait_ends_when_the_key_comes),
        cmocka_unit_test(a_wait_ends_at_its_deadline),
        cmocka_unit_test(a_domain_serves_fifteen_stores),
        cmocka_unit_test(wrong_arguments_are_refused),
        cmocka_unit_test(an_entry_of_a_million_takes_less_than_64_bytes),
        cmocka_unit_test(mass_removal_gives_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
