#include "sync/partition_store.h"

#include <stdlib.h>

#include "base/poison.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"
#include "support/stores.h"

/* The edges of sync/partition_store.h, sync/store_table.h and sync/store_value.h. */

enum { ROUNDS = 10000, KEYS = 8, ENTRIES_MOST = 1500 };

static struct test_arguments arguments;
static struct drop_count drops;

struct state {
    struct fletch_epoch_domain *domain;
    struct fletch_epoch_reader *readers[2];
    struct fletch_partition_store *store;
    uint64_t hash_mask;
    uint32_t entered; /* keys of the first role so far: 0, 1, … */
    uint32_t missing, broken, found;
};

static void open_store(struct state *state)
{
    const struct fletch_partition_store_options options = {
        .struct_size = sizeof options,
        .hash_seed = 11,
        .drop = drop_stored,
        .drop_context = &drops,
    };
    if (fletch_partition_store_create_masked(state->domain, &options, NULL, state->hash_mask,
                                             &state->store) != FLETCH_OK)
        abort();
    state->entered = 0;
}

static void make_with_mask(struct state *state, uint64_t hash_mask)
{
    state->hash_mask = hash_mask;
    if (fletch_epoch_domain_create(NULL, NULL, &state->domain, NULL) != FLETCH_OK ||
        fletch_epoch_reader_open(state->domain, &state->readers[0], NULL) != FLETCH_OK ||
        fletch_epoch_reader_open(state->domain, &state->readers[1], NULL) != FLETCH_OK)
        abort();
    open_store(state);
}

static void make(void *context)
{
    make_with_mask(context, UINT64_MAX);
}

static void end(void *context)
{
    struct state *state = context;
    fletch_partition_store_destroy(state->store);
    fletch_epoch_reader_close(state->readers[0]);
    fletch_epoch_reader_close(state->readers[1]);
    fletch_epoch_domain_destroy(state->domain);
}

static void enter(struct state *state, size_t role, uint32_t partition)
{
    const struct fletch_store_key key = store_key(role, partition);
    struct fletch_store_value *value =
        make_stored(state->store, state->readers[role], &key, partition);
    if (fletch_partition_store_insert(state->store, state->readers[role], &key, value, NULL) !=
        FLETCH_OK)
        fletch_store_value_release(state->store, state->readers[role], value);
}

static void enter_one(void *context)
{
    struct state *state = context;
    enter(state, 0, state->entered++);
}

static void enter_one_more(void *context)
{
    enter(context, 1, 0);
}

static void look_at(struct state *state, uint32_t partition, bool must_be_there)
{
    const struct fletch_store_key key = store_key(0, partition);
    fletch_epoch_enter(state->readers[1]);
    struct fletch_store_value *value =
        fletch_partition_store_view(state->store, state->readers[1], &key);
    if (value == NULL)
        state->missing += must_be_there;
    else if (!stored_is_whole(value, &key))
        state->broken++;
    state->found += value != NULL;
    fletch_epoch_exit(state->readers[1]);
}

static void reset(void *context)
{
    struct state *state = context;
    state->missing = state->broken = state->found = 0;
    if (state->entered <= ENTRIES_MOST)
        return;
    fletch_partition_store_destroy(state->store);
    open_store(state);
}

enum { NOTHING, SOME, BROKEN, MISSING };
static const struct litmus_outcome outcomes[] = {
    [NOTHING] = {"not there yet", LITMUS_ACCEPTABLE, "the reader came first"},
    [SOME] = {"a whole value", LITMUS_INTERESTING, "they met"},
    [BROKEN] = {"a broken value", LITMUS_FORBIDDEN, "E2: written before it shows"},
    [MISSING] = {"an entry is missing", LITMUS_FORBIDDEN, "E1, E3, E4: moved before it is due"},
};

static size_t outcome(void *context)
{
    struct state *state = context;
    if (state->broken != 0)
        return BROKEN;
    if (state->missing != 0)
        return MISSING;
    return state->found != 0 ? SOME : NOTHING;
}

static bool run(const char *name, void (*first)(void *), void (*second)(void *),
                void (*prepare)(void *))
{
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = prepare,
        .end = end,
        .roles = {first, second},
        .role_count = 2,
        .outcome = outcome,
        .outcomes = outcomes,
        .outcome_count = 4,
    };
    return litmus_run(&test, ROUNDS * arguments.scale, arguments.seed);
}

/* ---- a value is published ---- */

static void enter_the_next(void *context)
{
    struct state *state = context;
    enter(state, 0, state->entered);
}

static void look_for_the_next(void *context)
{
    struct state *state = context;
    for (int i = 0; i < 4; i++)
        look_at(state, state->entered, false);
}

static void go_to_the_next(void *context)
{
    struct state *state = context;
    state->entered++;
    reset(state);
}

static void partition_store_e2(void **unused)
{
    (void)unused;
    assert_true(run("partition_store E2: value written, entered || found", enter_the_next,
                    look_for_the_next, go_to_the_next));
}

static void store_table_e2(void **unused)
{
    (void)unused;
    assert_true(run("store_table E2: word changed || word read, value read", enter_the_next,
                    look_for_the_next, go_to_the_next));
}

/* ---- the table is replaced, and entries move ---- */

/* So many that a table of the least size is left at about every hundredth round. */
static void enter_some(void *context)
{
    for (int i = 0; i < KEYS; i++)
        enter_one(context);
}

static void look_at_some(void *context)
{
    struct state *state = context;
    for (uint32_t i = 0; i < 2 * KEYS; i++)
        look_at(state, i * 61 % KEYS, true);
}

/* The keys that the reader looks for are always there. */
static void reset_with_entries(void *context)
{
    struct state *state = context;
    reset(state);
    while (state->entered < ENTRIES_MOST / 2)
        enter_one(state);
}

static bool run_moving(const char *name)
{
    return run(name, enter_some, look_at_some, reset_with_entries);
}

static void partition_store_e1(void **unused)
{
    (void)unused;
    assert_true(run_moving("partition_store E1: table made, root || root, table read"));
}

static void store_table_e3(void **unused)
{
    (void)unused;
    assert_true(run_moving("store_table E3: words moved, READY || READY, words read"));
}

static void store_table_e4(void **unused)
{
    (void)unused;
    assert_true(run_moving("store_table E4: all READY, previous NULL || previous, words read"));
}

/* ---- overflow buckets ---- */

static void make_one_bucket(void *context)
{
    make_with_mask(context, UINT64_C(0x00000fffff000000));
}

static void reset_one_bucket(void *context)
{
    struct state *state = context;
    fletch_partition_store_destroy(state->store);
    open_store(state);
    for (int i = 0; i < FLETCH_STORE_SLOTS; i++)
        enter_one(state);
}

/* 0: every overflow bucket that counts is linked once, and each entry is found. */
static size_t chain_outcome(void *context)
{
    struct state *state = context;
    const struct fletch_store_table *table = fletch_partition_store_root(state->store);
    uint32_t linked = 0, index = 0;
    while ((index = fletch_store_next_index(&table->buckets[index])) != 0)
        linked++;
    look_at(state, state->entered - 1, true);
    /* relaxed: the roles are over */
    return linked == load_relaxed(&table->overflow_used) && state->missing == 0 ? 0 : 1;
}

static void store_table_e5(void **unused)
{
    (void)unused;
    static const struct litmus_outcome chains[] = {
        {"one bucket appended", LITMUS_ACCEPTABLE, "both came to the same"},
        {"one lost", LITMUS_FORBIDDEN, "E5: it is linked before it counts"},
    };
    const struct litmus_test test = {
        .name = "store_table E5: bucket appended || bucket appended",
        .state_bytes = sizeof(struct state),
        .make = make_one_bucket,
        .reset = reset_one_bucket,
        .end = end,
        .roles = {enter_one, enter_one_more},
        .role_count = 2,
        .outcome = chain_outcome,
        .outcomes = chains,
        .outcome_count = 2,
    };
    assert_true(litmus_run(&test, ROUNDS / 4 * arguments.scale, arguments.seed));
}

/* ---- references ---- */

static void get_and_release(struct state *state, size_t role)
{
    const struct fletch_store_key key = store_key(0, state->entered);
    struct fletch_store_value *value =
        fletch_partition_store_get(state->store, state->readers[role], &key);
    if (value == NULL)
        return;
    if (!stored_is_whole(value, &key))
        state->broken++;
    fletch_store_value_release(state->store, state->readers[role], value);
    state->found++;
}

static void get_one(void *context)
{
    get_and_release(context, 1);
}

static void remove_one(void *context)
{
    struct state *state = context;
    const struct fletch_store_key key = store_key(0, state->entered);
    (void)!fletch_partition_store_remove(state->store, state->readers[0], &key, NULL);
    fletch_epoch_collect(state->readers[0]);
}

static void enter_what_is_removed(void *context)
{
    struct state *state = context;
    go_to_the_next(state);
    enter_the_next(state);
}

static void store_value_e1(void **unused)
{
    (void)unused;
    assert_true(run("store_value E1: value used, released || removed, freed", get_one, remove_one,
                    enter_what_is_removed));
    assert_int_equal(drops.broken, 0);
}

/* ---- the pool ---- */

/* Blocks whose first word after the links says what was done with them last. */
struct pool_state {
    struct fletch_store_pool pool;
    struct fletch_store_cache caches[2];
    struct fletch_allocator allocator;
    _Alignas(FLETCH_STORE_BLOCK_BYTES) uint64_t memory[3][FLETCH_STORE_BLOCK_BYTES / 8];
    uint64_t *taken[2];
    bool unfinished;
};

static void start_pool(void *context)
{
    struct pool_state *state = context;
    state->allocator = fletch_allocator_or_default(NULL);
    fletch_store_pool_start(&state->pool, &state->allocator);
    fletch_store_cache_start(&state->caches[0]);
    fletch_store_cache_start(&state->caches[1]);
}

static void end_pool(void *context)
{
    struct pool_state *state = context;
    fletch_store_pool_end(&state->pool);
}

static void reset_pool(void *context)
{
    struct pool_state *state = context;
    end_pool(state);
    for (size_t i = 0; i < 3; i++) {
        fletch_unpoison(state->memory[i], sizeof state->memory[i]);
        state->memory[i][4] = 1;
    }
    start_pool(state);
    state->unfinished = false;
}

static void give_three(void *context)
{
    struct pool_state *state = context;
    for (size_t i = 0; i < 3; i++) {
        state->memory[i][4] = 2;
        fletch_store_pool_give(&state->pool, NULL, state->memory[i], FLETCH_STORE_BLOCK_BYTES);
    }
}

static void take_two(void *context)
{
    struct pool_state *state = context;
    for (size_t i = 0; i < 2; i++) {
        state->taken[i] =
            fletch_store_pool_take(&state->pool, &state->caches[1], FLETCH_STORE_BLOCK_BYTES);
        bool given = state->taken[i] >= state->memory[0] && state->taken[i] <= state->memory[2];
        if (given && state->taken[i][4] != 2)
            state->unfinished = true;
        if (!given)
            state->taken[i] = NULL;
    }
}

static size_t pool_outcome(void *context)
{
    struct pool_state *state = context;
    if (state->unfinished || (state->taken[0] != NULL && state->taken[0] == state->taken[1]))
        return 2;
    return state->taken[1] != NULL;
}

static void store_pool_e1(void **unused)
{
    (void)unused;
    static const struct litmus_outcome pools[] = {
        {"carved", LITMUS_ACCEPTABLE, "the taker came first"},
        {"taken", LITMUS_INTERESTING, "they met"},
        {"unfinished, or twice", LITMUS_FORBIDDEN, "E1: done with before it is taken"},
    };
    const struct litmus_test test = {
        .name = "store_pool E1: block used, given || taken, read",
        .state_bytes = sizeof(struct pool_state),
        .make = start_pool,
        .reset = reset_pool,
        .end = end_pool,
        .roles = {give_three, take_two},
        .role_count = 2,
        .outcome = pool_outcome,
        .outcomes = pools,
        .outcome_count = 3,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

/* ---- the pool while it is trimmed ---- */

/* Blocks that each role has at a time: enough for several trimmings. */
enum { TRIM_ROUNDS = 200, TRIM_BLOCKS = 3 * FLETCH_STORE_TRIM_LEAST / 4 };

struct trim_state {
    struct pool_state pool;
    uint64_t *blocks[2][TRIM_BLOCKS];
    bool broken[2];
};

static void start_trims(void *context)
{
    start_pool(&((struct trim_state *)context)->pool);
}

static void end_trims(void *context)
{
    end_pool(&((struct trim_state *)context)->pool);
}

static void reset_trims(void *context)
{
    struct trim_state *state = context;
    end_trims(state);
    start_trims(state);
    state->broken[0] = state->broken[1] = false;
}

static void carve_many(struct trim_state *state, size_t role)
{
    for (size_t i = 0; i < TRIM_BLOCKS; i++) {
        uint64_t *block = fletch_store_pool_take(&state->pool.pool, &state->pool.caches[role],
                                                 FLETCH_STORE_BLOCK_BYTES);
        block[4] = role * TRIM_BLOCKS + i;
        state->blocks[role][i] = block;
    }
}

static void give_many(struct trim_state *state, size_t role)
{
    for (size_t i = 0; i < TRIM_BLOCKS; i++) {
        if (state->blocks[role][i][4] != role * TRIM_BLOCKS + i)
            state->broken[role] = true;
        fletch_store_pool_give(&state->pool.pool, NULL, state->blocks[role][i],
                               FLETCH_STORE_BLOCK_BYTES);
    }
}

/* Carves, while the other one trims; then the other way round, or both. */
static void carve_and_give(void *context)
{
    carve_many(context, 0);
    give_many(context, 0);
}

static void carve_and_give_too(void *context)
{
    carve_many(context, 1);
    give_many(context, 1);
    carve_many(context, 1);
    give_many(context, 1);
}

static size_t trim_outcome(void *context)
{
    struct trim_state *state = context;
    if (state->broken[0] || state->broken[1])
        return 2;
    return load_relaxed(&state->pool.pool.shelves[0].blocks) < (uint64_t)2 * TRIM_BLOCKS;
}

static bool run_trims(const char *name)
{
    static const struct litmus_outcome trims[] = {
        {"nothing given back", LITMUS_ACCEPTABLE, "blocks of all chunks are in use"},
        {"chunks given back", LITMUS_INTERESTING, "that nobody used"},
        {"a block changed", LITMUS_FORBIDDEN, "its chunk was given back, or given twice"},
    };
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct trim_state),
        .make = start_trims,
        .reset = reset_trims,
        .end = end_trims,
        .roles = {carve_and_give, carve_and_give_too},
        .role_count = 2,
        .outcome = trim_outcome,
        .outcomes = trims,
        .outcome_count = 3,
    };
    return litmus_run(&test, TRIM_ROUNDS * arguments.scale, arguments.seed);
}

static void store_pool_e2(void **unused)
{
    (void)unused;
    assert_true(run_trims("store_pool E2: chunk made || chunks looked through"));
}

static void store_pool_e3(void **unused)
{
    (void)unused;
    assert_true(run_trims("store_pool E3: blocks counted || blocks counted"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partition_store_e1), cmocka_unit_test(partition_store_e2),
        cmocka_unit_test(store_table_e2),     cmocka_unit_test(store_table_e3),
        cmocka_unit_test(store_table_e4),     cmocka_unit_test(store_table_e5),
        cmocka_unit_test(store_value_e1),     cmocka_unit_test(store_pool_e1),
        cmocka_unit_test(store_pool_e2),      cmocka_unit_test(store_pool_e3),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
