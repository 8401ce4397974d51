/* Connections: each user has one to its own address, from its acquiring to its leaving; whoever
 * closes one is alone with it; each is closed once, and in the end every slot can be had again.
 *
 * PLAN:
 *   SHARE      threads of one address: with room for one connection they share it
 *   COLLIDE    threads of two addresses with one tag
 *   EVICT      threads of two addresses and one slot: they wait for each other
 *   IDLE       one that comes twice, while another closes what is idle since the first time
 *   LIMIT      threads of one address and one connection that takes one of them at a time; HOLDS:
 *              two, one of which is there all the time
 *   READY      one that comes and goes, while the connection is made and lost, and closed when idle
 *   SPREAD     threads of one address that may have two connections
 *   STEAL      one that needs the only slot, whose idle connection is made and lost meanwhile
 *   ASK        the same, while another waits for the slot's host, who leaves when he is asked for
 *              the ANSWERS-th time; a second one comes to that host, TWINS: or needs the slot too
 *
 * USERS      threads that acquire, 1 to 3
 * TURNS      times that each of them does so
 * SLOTS      of the pool
 * TOGETHER   nobody leaves before all have come
 * BEFORE     the first one has come and gone before */

#include "flight/connection_pool.h"

#include "base/status.h"

#include "harness.h"

enum { SHARE, COLLIDE, EVICT, IDLE, LIMIT, READY, SPREAD, STEAL, ASK };
#ifndef PLAN
#define PLAN SHARE
#endif
#ifndef USERS
#define USERS 2
#endif
#ifndef TURNS
#define TURNS 1
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef HOLDS
#define HOLDS 0
#endif
#ifndef BEFORE
#define BEFORE 0
#endif
#ifndef TOGETHER
#define TOGETHER 0
#endif
#ifndef ANSWERS
#define ANSWERS 1
#endif
#ifndef TWINS
#define TWINS 0
#endif

static struct fletch_connection_pool pool;
/* What a connection has, which its users read and who closes it writes. */
static uint64_t closed[SLOTS];
static _Atomic uint64_t users_now; /* LIMIT */
static _Atomic uint64_t arrived;   /* TOGETHER */
static _Atomic uint64_t asked;     /* ASK: times */
static uint64_t task;              /* ASK: of who asks, then of who answers */
static _Atomic uint64_t gone;      /* users */

/* The first two have the same tag, and look at the same one of two slots first. */
static const struct fletch_pool_address addresses[] = {{"vn", 2, false}, {"y3", 2, false}};

static void close_slot(void *context, uint32_t slot)
{
    (void)context;
    closed[slot]++;
    harness_assert(fletch_connection_pool_state(&pool, slot) == FLETCH_POOL_DRAINING);
    fletch_connection_pool_free(&pool, slot);
}

/* Once for each answer: the task is posted by one after the other. */
static void note_asked(void *context, uint32_t slot)
{
    (void)context;
    harness_assert(slot == 0);
    harness_assert(task == 0);
    task = 1;
    fetch_add_release(&asked, 1); /* as whoever posts a task */
}

static const struct fletch_pool_address *address_of(uint32_t user)
{
    bool is_other = ((PLAN == COLLIDE || PLAN == EVICT) && user > 0) || PLAN == STEAL ||
                    (PLAN == ASK && (user == 0 || TWINS));
    return &addresses[is_other];
}

static void use(const struct fletch_pool_address *address, uint32_t slot)
{
    char text[FLETCH_POOL_ADDRESS_BYTES];
    uint64_t before = closed[slot];
    fletch_connection_pool_address(&pool, slot, text);
    for (size_t i = 0; i < address->bytes; i++)
        harness_assert(text[i] == address->text[i]);
    if (PLAN == LIMIT)
        harness_assert(fetch_add_relaxed(&users_now, 1) == 0);
    if (PLAN == LIMIT)
        fetch_sub_relaxed(&users_now, 1);
    harness_assert(closed[slot] == before);
}

static uint32_t acquire(const struct fletch_pool_address *address)
{
    uint32_t slot = SLOTS;
    harness_assert(fletch_connection_pool_acquire(&pool, address, FLETCH_NO_TIMEOUT, &slot, NULL) ==
                   FLETCH_OK);
    return slot;
}

static void meet(void)
{
    fetch_add_relaxed(&arrived, 1);
    while (load_relaxed(&arrived) < USERS)
        harness_pause();
}

static void *come_and_go(void *argument)
{
    uint32_t user = (uint32_t)(uintptr_t)argument;
    for (uint64_t turn = 1; turn <= TURNS; turn++) {
        uint32_t slot = acquire(address_of(user));
        use(address_of(user), slot);
        if (TOGETHER)
            meet();
        fletch_connection_pool_leave(&pool, slot, turn);
    }
    fetch_add_relaxed(&gone, 1);
    return NULL;
}

static void *close_idle(void *unused)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        if (!fletch_connection_pool_drain(&pool, slot, 1))
            continue;
        /* relaxed: nobody leaves any more */
        harness_assert(load_relaxed(&pool.slots[slot].idle_since_ns) <= 1);
        close_slot(NULL, slot);
    }
    return unused;
}

static void *make_and_lose(void *unused)
{
    fletch_connection_pool_set_state(&pool, 0, FLETCH_POOL_READY);
    fletch_connection_pool_set_state(&pool, 0, FLETCH_POOL_CONNECTING);
    return unused;
}

/* The connection of somebody who waits for it. One user asks as often as there are answers. */
static void *pause_and_answer(void *unused)
{
    fletch_connection_pool_set_state(&pool, 0, FLETCH_POOL_PAUSED);
    if (USERS > 1) /* tried again, and failed */
        fletch_connection_pool_set_state(&pool, 0, FLETCH_POOL_PAUSED);
    for (uint64_t answers = 0; USERS == 1 ? answers < ANSWERS : load_relaxed(&gone) < USERS;) {
        if (load_acquire(&asked) == answers) { /* as who takes it */
            harness_pause();
            continue;
        }
        if (++answers == ANSWERS)
            fletch_connection_pool_leave(&pool, 0, 0);
        task = 0;
        if (fletch_connection_pool_give_up(&pool, 0, FLETCH_POOL_PAUSED))
            close_slot(NULL, 0);
    }
    return unused;
}

static void *(*other_of_plan(void))(void *)
{
    switch (PLAN) {
    case IDLE:
        return close_idle;
    case READY:
    case STEAL:
        return make_and_lose;
    case ASK:
        return pause_and_answer;
    default:
        return NULL;
    }
}

/* Nobody is there any more: what is open is idle, and can be closed and claimed again. */
static void check_end(void)
{
    struct fletch_connection_pool_counts counts;
    uint32_t slots[SLOTS];
    fletch_connection_pool_count(&pool, &counts);
    harness_assert(counts.users == 0 && counts.draining == 0);
    harness_assert(counts.free + counts.connecting + counts.ready == SLOTS);
    if (PLAN == SHARE || PLAN == LIMIT)
        harness_assert(counts.connecting == 1);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        if (fletch_connection_pool_drain(&pool, slot, UINT64_MAX))
            close_slot(NULL, slot);
    fletch_connection_pool_count(&pool, &counts);
    harness_assert(counts.free == SLOTS);
    harness_assert(fletch_connection_pool_try_acquire(&pool, &addresses[1], &slots[0]) ==
                   FLETCH_DONE);
    fletch_connection_pool_leave(&pool, slots[0], 0);
}

void harness(void)
{
    struct harness_thread users[USERS], other;
    uint32_t slot = SLOTS;
    const struct fletch_connection_pool_options options = {
        .slot_count = SLOTS,
        .connections_per_address = PLAN == SPREAD ? 2 : 1,
        .users_per_connection = PLAN == LIMIT ? 1 + HOLDS : 8,
        .evicted = close_slot,
        .asked = note_asked,
    };
    harness_assert(fletch_connection_pool_init(&pool, &options, NULL) == FLETCH_OK);
    harness_ignore(&pool.history, sizeof pool.history);
    store_relaxed(&users_now, 0); /* relaxed: before the threads */
    store_relaxed(&arrived, 0);   /* relaxed: as above */
    store_relaxed(&asked, 0);     /* relaxed: as above */
    task = 0;
    store_relaxed(&gone, 0); /* relaxed: as above */
    for (uint32_t i = 0; i < SLOTS; i++)
        closed[i] = 0;
    if (PLAN == READY || PLAN == STEAL || PLAN == ASK || HOLDS || BEFORE)
        slot = acquire(&addresses[0]);
    if (PLAN == STEAL || BEFORE)
        fletch_connection_pool_leave(&pool, slot, 0);
    for (uint32_t i = 0; i < USERS; i++)
        harness_start(&users[i], come_and_go, (void *)(uintptr_t)i);
    if (other_of_plan() != NULL)
        harness_start(&other, other_of_plan(), NULL);
    if (PLAN == READY) {
        fletch_connection_pool_leave(&pool, slot, 0);
        close_idle(NULL);
    }
    for (uint32_t i = 0; i < USERS; i++)
        harness_join(&users[i]);
    if (HOLDS)
        fletch_connection_pool_leave(&pool, slot, 0);
    if (other_of_plan() != NULL)
        harness_join(&other);
    check_end();
    fletch_connection_pool_deinit(&pool);
}
