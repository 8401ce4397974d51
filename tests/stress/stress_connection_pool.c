#include "flight/connection_pool.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/team.h"

/* Callers of more addresses than there are slots, while idle connections are closed: each has a
 * connection to its own address as long as it uses it, none has more users than it may, and each
 * is closed by one. */

enum { CALLERS = 4, SLOTS = 3, ADDRESSES = 5, USERS_MOST = 2 };

static struct test_arguments arguments;

struct scene {
    struct fletch_connection_pool pool;
    _Atomic uint64_t users[SLOTS];   /* as counted here */
    _Atomic uint64_t closing[SLOTS]; /* who closes it now */
    _Atomic uint64_t wrong;
    _Atomic uint64_t closed;
    _Atomic uint64_t asked;
    _Atomic uint64_t callers_left;
    uint64_t rounds;
};

struct caller {
    struct scene *scene;
    struct jitter jitter;
    uint64_t refused;
    uint64_t served;
};

static void expect(struct scene *scene, bool condition)
{
    if (!condition)
        atomic_fetch_add(&scene->wrong, 1);
}

static void close_slot(void *context, uint32_t slot)
{
    struct scene *scene = context;
    expect(scene, atomic_fetch_add(&scene->closing[slot], 1) == 0);
    expect(scene, atomic_load(&scene->users[slot]) == 0);
    atomic_fetch_add(&scene->closed, 1);
    atomic_fetch_sub(&scene->closing[slot], 1);
    fletch_connection_pool_free(&scene->pool, slot);
}

/* Users come and go: nobody is to be told. */
static void answer(void *context, uint32_t slot)
{
    struct scene *scene = context;
    expect(scene, fletch_connection_pool_state(&scene->pool, slot) == FLETCH_POOL_ASKED);
    atomic_fetch_add(&scene->asked, 1);
    if (fletch_connection_pool_give_up(&scene->pool, slot, FLETCH_POOL_PAUSED))
        close_slot(scene, slot);
}

static void use(struct caller *caller, uint32_t slot, const char *address)
{
    struct scene *scene = caller->scene;
    static const enum fletch_pool_state states[] = {FLETCH_POOL_CONNECTING, FLETCH_POOL_READY,
                                                    FLETCH_POOL_PAUSED};
    char text[FLETCH_POOL_ADDRESS_BYTES];
    expect(scene, atomic_fetch_add(&scene->users[slot], 1) < USERS_MOST);
    fletch_connection_pool_address(&scene->pool, slot, text);
    expect(scene, strcmp(text, address) == 0);
    jitter_step(&caller->jitter);
    fletch_connection_pool_set_state(&scene->pool, slot,
                                     states[fletch_random_below(&caller->jitter.random, 3)]);
    expect(scene, atomic_load(&scene->closing[slot]) == 0);
    atomic_fetch_sub(&scene->users[slot], 1);
    fletch_connection_pool_leave(&scene->pool, slot, fletch_clock_now_ns());
    caller->served++;
}

static void call(void *context)
{
    /* Two of them have the same tag. */
    static const char *const addresses[ADDRESSES] = {"vn", "y3", "a:1", "b:1", "c:1"};
    struct caller *caller = context;
    struct scene *scene = caller->scene;
    for (uint64_t i = 0; i < scene->rounds; i++) {
        const char *text = addresses[fletch_random_below(&caller->jitter.random, ADDRESSES)];
        const struct fletch_pool_address address = {.text = text, .bytes = strlen(text)};
        uint64_t timeout_ns =
            fletch_random_below(&caller->jitter.random, 4) == 0 ? 0 : FLETCH_NO_TIMEOUT;
        uint32_t slot;
        if (fletch_connection_pool_acquire(&scene->pool, &address, timeout_ns, &slot, NULL) ==
            FLETCH_OK)
            use(caller, slot, text);
        else
            caller->refused++;
    }
    atomic_fetch_sub(&scene->callers_left, 1);
}

static void close_idle(void *context)
{
    struct caller *caller = context;
    struct scene *scene = caller->scene;
    while (atomic_load(&scene->callers_left) > 0) {
        uint32_t slot = fletch_random_below(&caller->jitter.random, SLOTS);
        if (fletch_connection_pool_drain(&scene->pool, slot, fletch_clock_now_ns() - 10000))
            close_slot(scene, slot);
        jitter_step(&caller->jitter);
        fletch_thread_yield();
    }
}

static void each_has_a_connection_to_its_address(void **state)
{
    static struct scene scene;
    struct caller callers[CALLERS + 1];
    struct team_role roles[CALLERS + 1];
    struct fletch_connection_pool_counts counts;
    const struct fletch_connection_pool_options options = {
        .slot_count = SLOTS,
        .connections_per_address = 1,
        .users_per_connection = USERS_MOST,
        .evicted = close_slot,
        .asked = answer,
        .context = &scene,
    };
    (void)state;
    assert_ok(fletch_connection_pool_init(&scene.pool, &options, NULL));
    scene.rounds = 20000 * arguments.scale;
    atomic_store(&scene.callers_left, CALLERS);
    for (uint32_t i = 0; i <= CALLERS; i++) {
        callers[i] =
            (struct caller){.scene = &scene, .jitter = jitter_from_seed(arguments.seed + i, 16)};
        roles[i] =
            (struct team_role){.run = i < CALLERS ? call : close_idle, .context = &callers[i]};
    }
    team_run(roles, CALLERS + 1);
    fletch_connection_pool_count(&scene.pool, &counts);
    assert_true(atomic_load(&scene.wrong) == 0);
    assert_true(counts.users == 0 && counts.draining == 0);
    assert_true(atomic_load(&scene.closed) > 0);
    assert_true(atomic_load(&scene.asked) > 0);
    for (uint32_t i = 0; i < CALLERS; i++)
        assert_true(callers[i].served + callers[i].refused == scene.rounds);
    fletch_connection_pool_deinit(&scene.pool);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_has_a_connection_to_its_address),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
