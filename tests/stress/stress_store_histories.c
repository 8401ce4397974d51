#include "sync/partition_store.h"

#include <stdlib.h>
#include <string.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/stores.h"
#include "support/team.h"

/* Linearizability: short random programs on one or two keys run on real threads, in a table that is
 * made to move meanwhile; each step notes when it began and ended by a shared clock. Some order of
 * all steps that keeps the order of those that did not overlap must explain every answer and what
 * is left in the end. */

enum { THREADS = 3, STEPS = 4, KEYS = 2, FILLERS = 1100, NONE = -1, FAILED = -2 };

enum what { INSERT, REPLACE, REMOVE, TAKE, VIEW, WHAT_COUNT };

struct step {
    enum what what;
    uint32_t key;
    int64_t number; /* that is inserted */
    int64_t answer; /* a number, NONE, or FAILED */
    uint64_t began, ended;
};

struct actor {
    struct fletch_epoch_reader *reader;
    struct step steps[STEPS];
};

static struct test_arguments arguments;
static struct fletch_epoch_domain *domain;
static struct fletch_partition_store *store;
static struct drop_count drops;
static struct actor actors[THREADS];
static _Atomic uint64_t now;
static _Atomic uint64_t round_number;
static _Atomic uint32_t arrived;
static uint64_t rounds;
static uint64_t unexplained;

static struct fletch_store_key key_of(uint32_t key)
{
    return store_key(3, key);
}

static int64_t enter(struct actor *actor, const struct step *step)
{
    const struct fletch_store_key key = key_of(step->key);
    struct fletch_store_value *value =
        make_stored(store, actor->reader, &key, (uint64_t)step->number);
    enum fletch_status status =
        step->what == INSERT
            ? fletch_partition_store_insert(store, actor->reader, &key, value, NULL)
            : fletch_partition_store_replace(store, actor->reader, &key, value, NULL);
    if (status == FLETCH_OK)
        return step->number;
    fletch_store_value_release(store, actor->reader, value);
    return FAILED;
}

static int64_t look(struct actor *actor, uint32_t number)
{
    const struct fletch_store_key key = key_of(number);
    fletch_epoch_enter(actor->reader);
    struct fletch_store_value *value = fletch_partition_store_view(store, actor->reader, &key);
    int64_t answer = value == NULL ? NONE : (int64_t)stored_number(value);
    fletch_epoch_exit(actor->reader);
    return answer;
}

static int64_t run_step(struct actor *actor, const struct step *step)
{
    const struct fletch_store_key key = key_of(step->key);
    struct fletch_store_value *value = NULL;
    if (step->what == INSERT || step->what == REPLACE)
        return enter(actor, step);
    if (step->what == VIEW)
        return look(actor, step->key);
    if (step->what == REMOVE)
        return fletch_partition_store_remove(store, actor->reader, &key, NULL) == FLETCH_OK
                   ? 1
                   : FAILED;
    if (fletch_partition_store_take(store, actor->reader, &key, &value, NULL) != FLETCH_OK)
        return NONE;
    int64_t answer = (int64_t)stored_number(value);
    fletch_store_value_release(store, actor->reader, value);
    return answer;
}

static void choose_steps(struct actor *actor, struct fletch_random *random, int64_t first_number)
{
    for (int i = 0; i < STEPS; i++)
        actor->steps[i] = (struct step){
            .what = (enum what)fletch_random_below(random, WHAT_COUNT),
            .key = fletch_random_below(random, KEYS),
            .number = first_number + i,
        };
}

/* ---- the search for an order ---- */

struct world {
    int64_t number[KEYS];
};

static bool explains(struct world *world, const struct step *step)
{
    int64_t *here = &world->number[step->key];
    bool there = *here != NONE;
    if (step->what == VIEW)
        return step->answer == *here;
    if (step->what == INSERT || step->what == REPLACE) {
        bool enters = there == (step->what == REPLACE);
        if (enters)
            *here = step->number;
        return step->answer == (enters ? step->number : FAILED);
    }
    int64_t expected = step->what == TAKE ? *here : there ? 1 : FAILED;
    *here = NONE;
    return step->answer == expected;
}

/* Whether no other step that is still to come had ended before this one began. */
static bool may_be_next(const int *done, int actor)
{
    const struct step *step = &actors[actor].steps[done[actor]];
    for (int other = 0; other < THREADS; other++)
        if (done[other] < STEPS && actors[other].steps[done[other]].ended < step->began)
            return false;
    return true;
}

static bool some_order(const struct world *world, const struct world *left, const int *done)
{
    bool over = true;
    for (int actor = 0; actor < THREADS; actor++) {
        struct world next = *world;
        int next_done[THREADS] = {done[0], done[1], done[2]};
        if (done[actor] == STEPS)
            continue;
        over = false;
        next_done[actor]++;
        if (may_be_next(done, actor) && explains(&next, &actors[actor].steps[done[actor]]) &&
            some_order(&next, left, next_done))
            return true;
    }
    return over && memcmp(world, left, sizeof *world) == 0;
}

/* ---- rounds ---- */

/* All threads meet; the last one to come does what is to be done alone. */
static void meet(void (*alone)(void))
{
    uint64_t round = load_relaxed(&round_number); /* relaxed: only the last one changes it */
    if (atomic_fetch_add(&arrived, 1) + 1 == THREADS) {
        alone();
        store_relaxed(&arrived, 0); /* relaxed: released with the number */
        store_release(&round_number, round + 1);
    }
    while (load_acquire(&round_number) == round)
        jitter_step(&(struct jitter){.random = {round}, .one_in = 1});
}

static struct world before;
static struct fletch_random chance;
static int64_t next_number = 1;

static struct world look_at_all(void)
{
    struct world world;
    for (uint32_t key = 0; key < KEYS; key++)
        world.number[key] = look(&actors[0], key);
    return world;
}

/* Checks the round that is over, and chooses the next. Fillers come and go, so that in each round
 * the table is at another point between two sizes. */
static void between_rounds(void)
{
    struct world left = look_at_all();
    if (actors[0].steps[0].number != 0 &&
        !some_order(&before, &left, (const int[THREADS]){0, 0, 0}))
        unexplained++;
    before = left;
    uint32_t filler = (uint32_t)(load_relaxed(&round_number) / 2 * 37); /* relaxed: we are alone */
    bool remove = filler / FILLERS % 2 == 1;
    for (uint32_t i = 0; i < 37; i++) {
        const struct fletch_store_key key = store_key(8, (filler + i) % FILLERS);
        if (remove)
            (void)!fletch_partition_store_remove(store, actors[0].reader, &key, NULL);
        struct fletch_store_value *value =
            remove ? NULL : make_stored(store, actors[0].reader, &key, 1);
        if (value != NULL &&
            fletch_partition_store_insert(store, actors[0].reader, &key, value, NULL) != FLETCH_OK)
            fletch_store_value_release(store, actors[0].reader, value);
    }
    for (int actor = 0; actor < THREADS; actor++, next_number += STEPS)
        choose_steps(&actors[actor], &chance, next_number);
}

static void nothing(void)
{
}

static void act(void *context)
{
    struct actor *actor = context;
    for (uint64_t round = 0; round < rounds; round++) {
        meet(between_rounds);
        for (int i = 0; i < STEPS; i++) {
            struct step *step = &actor->steps[i];
            step->began = atomic_fetch_add(&now, 1);
            step->answer = run_step(actor, step);
            step->ended = atomic_fetch_add(&now, 1);
        }
        meet(nothing);
    }
}

static void run_histories(uint64_t hash_mask, uint64_t count)
{
    const struct fletch_partition_store_options options = {
        .struct_size = sizeof options,
        .hash_seed = arguments.seed,
        .drop = drop_stored,
        .drop_context = &drops,
    };
    struct team_role roles[THREADS];
    rounds = count * arguments.scale;
    chance = fletch_random_from_seed(arguments.seed);
    memset(actors, 0, sizeof actors);
    before = (struct world){.number = {NONE, NONE}};
    unexplained = 0;
    assert_int_equal(fletch_epoch_domain_create(NULL, NULL, &domain, NULL), FLETCH_OK);
    assert_int_equal(
        fletch_partition_store_create_masked(domain, &options, NULL, hash_mask, &store), FLETCH_OK);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(fletch_epoch_reader_open(domain, &actors[i].reader, NULL), FLETCH_OK);
        roles[i] = (struct team_role){act, &actors[i]};
    }
    team_run(roles, THREADS);
    assert_int_equal(unexplained, 0);
    assert_int_equal(drops.broken, 0);
    for (int i = 0; i < THREADS; i++)
        fletch_epoch_reader_close(actors[i].reader);
    fletch_partition_store_destroy(store);
    fletch_epoch_domain_destroy(domain);
}

static void an_order_explains_each_history(void **state)
{
    (void)state;
    run_histories(UINT64_MAX, 4000);
}

static void an_order_explains_each_history_of_equal_hashes(void **state)
{
    (void)state;
    run_histories(UINT64_C(0x00ff000000000000), 1500);
}

/* The search must be able to fail: answers that no order explains. */
static void impossible_histories_are_noticed(void **state)
{
    (void)state;
    memset(actors, 0, sizeof actors);
    struct world empty = {.number = {NONE, NONE}};
    for (int actor = 0; actor < THREADS; actor++)
        for (int i = 0; i < STEPS; i++)
            actors[actor].steps[i] =
                (struct step){.what = VIEW, .answer = NONE, .began = 0, .ended = 100};
    const int done[THREADS] = {0, 0, 0};
    assert_true(some_order(&empty, &empty, done));
    /* Two takers of one value. */
    actors[0].steps[0] = (struct step){.what = INSERT, .number = 5, .answer = 5, .ended = 100};
    actors[1].steps[0] = (struct step){.what = TAKE, .answer = 5, .ended = 100};
    assert_true(some_order(&empty, &empty, done));
    actors[2].steps[0] = (struct step){.what = TAKE, .answer = 5, .ended = 100};
    assert_false(some_order(&empty, &empty, done));
    /* A look that began after a take ended and still sees the value. */
    actors[1].steps[0].ended = 1;
    actors[2].steps[0] = (struct step){.what = VIEW, .answer = 5, .began = 2, .ended = 100};
    assert_false(some_order(&empty, &empty, done));
    actors[2].steps[0].began = 1;
    assert_true(some_order(&empty, &empty, done));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_histories_are_noticed),
        cmocka_unit_test(an_order_explains_each_history),
        cmocka_unit_test(an_order_explains_each_history_of_equal_hashes),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
