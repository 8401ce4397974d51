#include "flight/connection_pool.h"

#include "base/allocator.h"
#include "base/assert.h"
#include "base/status.h"

/* ---- the word ---- */

enum { USERS_SHIFT = 3, TAG_SHIFT = 19, GENERATION_SHIFT = 35 };
#define STATE_MASK ((UINT64_C(1) << USERS_SHIFT) - 1)
#define ONE_USER (UINT64_C(1) << USERS_SHIFT)
#define USERS_MASK ((UINT64_C(1) << TAG_SHIFT) - ONE_USER)
#define TAG_MASK ((UINT64_C(1) << GENERATION_SHIFT) - (UINT64_C(1) << TAG_SHIFT))
#define ONE_GENERATION (UINT64_C(1) << GENERATION_SHIFT)
#define GENERATION_MASK (~(ONE_GENERATION - 1))

#define NO_SLOT UINT32_MAX

static enum fletch_pool_state state_of(uint64_t word)
{
    return (enum fletch_pool_state)(word & STATE_MASK);
}

static uint32_t users_of(uint64_t word)
{
    return (uint32_t)((word & USERS_MASK) >> USERS_SHIFT);
}

/* Has an address, and takes users. */
static bool is_open(uint64_t word)
{
    return state_of(word) >= FLETCH_POOL_CONNECTING && state_of(word) <= FLETCH_POOL_ASKED;
}

/* As its connection's thread has said. */
static bool is_settled(uint64_t word)
{
    return is_open(word) && state_of(word) != FLETCH_POOL_ASKED;
}

static uint64_t with_state(uint64_t word, enum fletch_pool_state state)
{
    return (word & ~STATE_MASK) | (uint64_t)state;
}

/* FNV-1a, whose upper bits are mixed once more. */
static uint64_t hash_of(const struct fletch_pool_address *address)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < address->bytes; i++)
        hash = (hash ^ (uint8_t)address->text[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

static uint64_t tag_of(uint64_t hash)
{
    return hash << TAG_SHIFT & TAG_MASK;
}

static void tell_room(struct fletch_connection_pool *pool)
{
    fletch_eventcount_notify_inline(&pool->room, UINT32_MAX);
}

/* ---- addresses ---- */

static uint64_t word_of_text(const struct fletch_pool_address *address, size_t index)
{
    uint64_t word = 0;
    size_t begin = index * sizeof word;
    for (size_t i = begin; i < begin + sizeof word && i < address->bytes; i++)
        word |= (uint64_t)(uint8_t)address->text[i] << 8 * (i - begin);
    return word;
}

/* The zeros behind an address end it: it is shorter than the room for it. */
static size_t words_of(const struct fletch_pool_address *address)
{
    return address->bytes / sizeof(uint64_t) + 1;
}

static bool has_address(const struct fletch_connection_slot *slot,
                        const struct fletch_pool_address *address)
{
    size_t i = 0;
    /* relaxed: not earlier than E1 let it; if later, join fails */
    while (i < words_of(address) && load_relaxed(&slot->address[i]) == word_of_text(address, i))
        i++;
    return i == words_of(address);
}

static void set_address(struct fletch_connection_slot *slot,
                        const struct fletch_pool_address *address)
{
    for (size_t i = 0; i < words_of(address); i++)
        store_relaxed(&slot->address[i], word_of_text(address, i)); /* relaxed: E1 follows */
}

void fletch_connection_pool_address(const struct fletch_connection_pool *pool, uint32_t slot,
                                    char out_text[FLETCH_POOL_ADDRESS_BYTES])
{
    for (size_t i = 0; i < FLETCH_POOL_ADDRESS_BYTES; i++) {
        /* relaxed: the caller uses it, or has drained it */
        uint64_t word = load_relaxed(&pool->slots[slot].address[i / sizeof(uint64_t)]);
        out_text[i] = (char)(word >> 8 * (i % sizeof(uint64_t)) & 0xff);
        if (out_text[i] == '\0')
            return;
    }
}

/* ---- looking for a slot ---- */

struct search {
    struct fletch_connection_pool *pool;
    const struct fletch_pool_address *address;
    uint64_t hash;
    /* What was found. */
    uint32_t matches; /* of this address, or perhaps */
    uint32_t best;    /* of these the one with the fewest users, or NO_SLOT */
    uint64_t best_word;
    uint32_t free; /* or NO_SLOT */
    uint64_t free_word;
    uint32_t idle; /* of another address, the one to make room; or NO_SLOT */
    uint64_t idle_since_ns;
    bool is_idle_paused;
    uint32_t paused; /* of another address, with users; or NO_SLOT */
    bool is_held;
    bool is_freed_soon; /* one is draining, or asked for */
};

/* The last attempt to connect has failed. */
static bool is_failing(uint64_t word)
{
    return state_of(word) == FLETCH_POOL_PAUSED || state_of(word) == FLETCH_POOL_ASKED;
}

static void weigh(struct search *search, uint32_t index, uint64_t word)
{
    uint64_t best = search->best_word;
    search->matches++;
    if (users_of(word) >= search->pool->options.users_per_connection)
        return;
    if (search->best != NO_SLOT &&
        (is_failing(best) == is_failing(word) ? users_of(best) <= users_of(word)
                                              : is_failing(word)))
        return;
    search->best = index;
    search->best_word = word;
}

/* What does not answer goes before what does, and then who has been idle for longest. */
static void note_idle(struct search *search, uint32_t index, uint64_t word)
{
    bool is_paused = is_failing(word);
    /* relaxed: which one is drained is a matter of taste; drain looks again */
    uint64_t since_ns = load_relaxed(&search->pool->slots[index].idle_since_ns);
    if (search->idle != NO_SLOT && search->is_idle_paused >= is_paused &&
        (search->is_idle_paused > is_paused || search->idle_since_ns <= since_ns))
        return;
    search->idle = index;
    search->idle_since_ns = since_ns;
    search->is_idle_paused = is_paused;
}

/* One of another address. */
static void note_other(struct search *search, uint32_t index, uint64_t word)
{
    if (state_of(word) == FLETCH_POOL_ASKED)
        search->is_freed_soon = true;
    else if (users_of(word) == 0)
        note_idle(search, index, word);
    else if (state_of(word) == FLETCH_POOL_PAUSED)
        search->paused = index;
}

static void look_at(struct search *search, uint32_t index)
{
    struct fletch_connection_slot *slot = &search->pool->slots[index];
    uint64_t word = load_acquire(&slot->word); /* E1 acquire, E2 acquire */
    bool has_tag = (word & TAG_MASK) == tag_of(search->hash);
    if (state_of(word) == FLETCH_POOL_DRAINING) {
        search->is_freed_soon = true;
    } else if (state_of(word) == FLETCH_POOL_CLAIMED) {
        search->matches += has_tag;
        search->is_held |= has_tag;
    } else if (is_open(word) && has_tag && has_address(slot, search->address)) {
        weigh(search, index, word);
    } else if (is_open(word)) {
        note_other(search, index, word);
    } else if (state_of(word) == FLETCH_POOL_FREE && search->free == NO_SLOT) {
        search->free = index;
        search->free_word = word;
    }
}

/* Looks at all slots, or until no better one can come. */
static void look(struct search *search)
{
    const struct fletch_connection_pool_options *options = &search->pool->options;
    uint32_t home = (uint32_t)(search->hash % options->slot_count);
    search->matches = 0;
    search->best = search->free = search->idle = search->paused = NO_SLOT;
    search->is_held = search->is_freed_soon = search->is_idle_paused = false;
    for (uint32_t i = 0; i < options->slot_count; i++) {
        look_at(search, (home + i) % options->slot_count);
        if (search->best == NO_SLOT)
            continue;
        bool is_idle = users_of(search->best_word) == 0 && !is_failing(search->best_word);
        if (is_idle || options->connections_per_address == 1)
            return;
    }
}

/* Becomes a user of the best one, if nothing has changed there. */
static bool join(struct search *search)
{
    uint64_t word = search->best_word;
    uint64_t joined = word + ONE_USER + (users_of(word) == 0 ? ONE_GENERATION : 0);
    /* relaxed: E1 was acquired with the word that is there still */
    return cas_strong_relaxed(&search->pool->slots[search->best].word, &word, joined);
}

/* Makes the free slot one of this address, with the caller as its user. */
static bool claim(struct search *search)
{
    struct fletch_connection_slot *slot = &search->pool->slots[search->free];
    uint64_t word = (search->free_word & GENERATION_MASK) + ONE_GENERATION;
    word |= tag_of(search->hash) | ONE_USER | (uint64_t)FLETCH_POOL_CLAIMED;
    /* relaxed: E2 was acquired with the word that is there still */
    if (!cas_strong_relaxed(&slot->word, &search->free_word, word))
        return false;
    set_address(slot, search->address);
    store_release(&slot->word, with_state(word, FLETCH_POOL_CONNECTING)); /* E1 release */
    tell_room(search->pool);
    return true;
}

/* Whether who waits for this one is to be told, by the caller. */
static bool ask(struct fletch_connection_pool *pool, uint32_t slot)
{
    _Atomic uint64_t *word = &pool->slots[slot].word;
    uint64_t was = load_relaxed(word); /* relaxed: E4 is acquired below */
    while (state_of(was) == FLETCH_POOL_PAUSED && users_of(was) > 0)
        if (cas_weak_acquire(word, &was, with_state(was, FLETCH_POOL_ASKED))) /* E4 acquire */
            return true;
    return false;
}

/* Nothing is free: has the one closed that nobody has used for longest, or asks for one that cannot
 * connect, unless another is on its way. */
static void make_room(struct search *search)
{
    struct fletch_connection_pool *pool = search->pool;
    if (search->is_freed_soon)
        return;
    if (search->idle != NO_SLOT) {
        if (fletch_connection_pool_drain(pool, search->idle, search->idle_since_ns))
            pool->options.evicted(pool->options.context, search->idle);
    } else if (search->paused != NO_SLOT && !search->address->is_patient &&
               ask(pool, search->paused)) {
        pool->options.asked(pool->options.context, search->paused);
    }
}

/* True: `*out_answer` is the answer. False: another one was quicker, look again. */
static bool settle(struct search *search, enum fletch_answer *out_answer, uint32_t *out_slot)
{
    const struct fletch_connection_pool_options *options = &search->pool->options;
    bool may_claim = search->matches < options->connections_per_address;
    *out_answer = FLETCH_DONE;
    *out_slot = search->best;
    if (search->best != NO_SLOT &&
        (users_of(search->best_word) == 0 || !may_claim || search->free == NO_SLOT))
        return join(search);
    *out_slot = search->free;
    if (may_claim && search->free != NO_SLOT)
        return claim(search);
    *out_answer = search->is_held ? FLETCH_HELD : FLETCH_FULL;
    if (may_claim)
        make_room(search);
    return true;
}

enum fletch_answer fletch_connection_pool_try_acquire(struct fletch_connection_pool *pool,
                                                      const struct fletch_pool_address *address,
                                                      uint32_t *out_slot)
{
    struct search search = {.pool = pool, .address = address, .hash = hash_of(address)};
    enum fletch_answer answer;
    uint32_t slot;
    do {
        look(&search);
    } while (!settle(&search, &answer, &slot));
    if (answer == FLETCH_DONE)
        *out_slot = slot;
    return answer;
}

/* ---- waiting ---- */

struct acquisition {
    struct fletch_connection_pool *pool;
    const struct fletch_pool_address *address;
    uint32_t *out_slot;
};

static enum fletch_answer attempt(void *call)
{
    struct acquisition *acquisition = call;
    return fletch_connection_pool_try_acquire(acquisition->pool, acquisition->address,
                                              acquisition->out_slot);
}

static enum fletch_status explain(const struct fletch_connection_pool *pool,
                                  const struct fletch_pool_address *address,
                                  struct fletch_error *error)
{
    struct fletch_connection_pool_counts counts;
    fletch_connection_pool_count(pool, &counts);
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "no connection to '%.*s' within the deadline: of %u slots %u are free, "
                            "%u connecting, %u paused, %u ready, %u draining, with %llu calls in "
                            "all; each connection may have %u, each address %u connections",
                            (int)address->bytes, address->text, pool->options.slot_count,
                            counts.free, counts.connecting, counts.paused, counts.ready,
                            counts.draining, (unsigned long long)counts.users,
                            pool->options.users_per_connection,
                            pool->options.connections_per_address);
}

enum fletch_status fletch_connection_pool_acquire(struct fletch_connection_pool *pool,
                                                  const struct fletch_pool_address *address,
                                                  uint64_t timeout_ns, uint32_t *out_slot,
                                                  struct fletch_error *error)
{
    struct acquisition acquisition = {.pool = pool, .address = address, .out_slot = out_slot};
    const struct fletch_wait wait = {
        .policy = &pool->policy,
        .history = &pool->history,
        .eventcount = &pool->room,
        .attempt = attempt,
        .call = &acquisition,
    };
    if (address->bytes == 0 || address->bytes >= FLETCH_POOL_ADDRESS_BYTES)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "an address of 1 to %d bytes was expected, not of %zu",
                                FLETCH_POOL_ADDRESS_BYTES - 1, address->bytes);
    if (fletch_wait_for(&wait, timeout_ns) == FLETCH_DONE)
        return FLETCH_OK;
    return explain(pool, address, error);
}

/* ---- for connections ---- */

void fletch_connection_pool_leave(struct fletch_connection_pool *pool, uint32_t slot,
                                  uint64_t now_ns)
{
    store_relaxed(&pool->slots[slot].idle_since_ns, now_ns); /* relaxed: E3 orders it */
    uint64_t word = fetch_sub_release(&pool->slots[slot].word, ONE_USER); /* E3 release */
    FLETCH_ASSERT(users_of(word) > 0);
    if (users_of(word) == 1 || users_of(word) >= pool->options.users_per_connection)
        tell_room(pool);
}

bool fletch_connection_pool_is_ready(const struct fletch_connection_pool *pool,
                                     const struct fletch_pool_address *address)
{
    uint64_t hash = hash_of(address);
    for (uint32_t i = 0; i < pool->options.slot_count; i++) {
        const struct fletch_connection_slot *slot =
            &pool->slots[(hash + i) % pool->options.slot_count];
        uint64_t word = load_acquire(&slot->word); /* E1 acquire */
        if (state_of(word) == FLETCH_POOL_READY && (word & TAG_MASK) == tag_of(hash) &&
            has_address(slot, address))
            return true;
    }
    return false;
}

void fletch_connection_pool_set_state(struct fletch_connection_pool *pool, uint32_t slot,
                                      enum fletch_pool_state state)
{
    _Atomic uint64_t *word = &pool->slots[slot].word;
    uint64_t was = load_relaxed(word); /* relaxed: the state stands for no memory */
    /* relaxed: as above */
    while (is_settled(was) && !cas_weak_relaxed(word, &was, with_state(was, state))) {
    }
    if (state == FLETCH_POOL_PAUSED)
        tell_room(pool);
}

bool fletch_connection_pool_give_up(struct fletch_connection_pool *pool, uint32_t slot,
                                    enum fletch_pool_state state)
{
    _Atomic uint64_t *word = &pool->slots[slot].word;
    uint64_t was = load_relaxed(word); /* relaxed: E3 is acquired below */
    uint64_t next;
    FLETCH_ASSERT(state_of(was) == FLETCH_POOL_ASKED);
    do {
        next = with_state(was, users_of(was) == 0 ? FLETCH_POOL_DRAINING : state);
    } while (!cas_weak_acq_rel(word, &was, next)); /* E3 acquire, E4 release */
    bool is_idle = state_of(next) == FLETCH_POOL_DRAINING;
    if (!is_idle)
        tell_room(pool);
    return is_idle;
}

bool fletch_connection_pool_drain(struct fletch_connection_pool *pool, uint32_t slot,
                                  uint64_t idle_before_ns)
{
    _Atomic uint64_t *word = &pool->slots[slot].word;
    uint64_t was;
    /* Another state is no reason to leave it: who needs the slot would wait for nothing. */
    do {
        was = load_acquire(word); /* E3 acquire */
        /* relaxed: E3 orders it after the leaving that was seen */
        uint64_t idle_since_ns = load_relaxed(&pool->slots[slot].idle_since_ns);
        if (!is_settled(was) || users_of(was) > 0 || idle_since_ns > idle_before_ns)
            return false;
        /* relaxed: E3 was acquired with the word that is there still */
    } while (!cas_strong_relaxed(word, &was, with_state(was, FLETCH_POOL_DRAINING)));
    return true;
}

void fletch_connection_pool_free(struct fletch_connection_pool *pool, uint32_t slot)
{
    _Atomic uint64_t *word = &pool->slots[slot].word;
    uint64_t was = load_relaxed(word); /* relaxed: nobody else writes what is draining */
    FLETCH_ASSERT(state_of(was) == FLETCH_POOL_DRAINING && users_of(was) == 0);
    store_release(word, (was & GENERATION_MASK) | (uint64_t)FLETCH_POOL_FREE); /* E2 release */
    tell_room(pool);
}

/* ---- telling ---- */

enum fletch_pool_state fletch_connection_pool_state(const struct fletch_connection_pool *pool,
                                                    uint32_t slot)
{
    return state_of(load_relaxed(&pool->slots[slot].word)); /* relaxed: of the moment */
}

uint32_t fletch_connection_pool_users(const struct fletch_connection_pool *pool, uint32_t slot)
{
    return users_of(load_relaxed(&pool->slots[slot].word)); /* relaxed: of the moment */
}

void fletch_connection_pool_count(const struct fletch_connection_pool *pool,
                                  struct fletch_connection_pool_counts *out_counts)
{
    uint32_t counts[FLETCH_POOL_DRAINING + 1] = {0};
    *out_counts = (struct fletch_connection_pool_counts){.users = 0};
    for (uint32_t i = 0; i < pool->options.slot_count; i++) {
        uint64_t word = load_relaxed(&pool->slots[i].word); /* relaxed: a statistic */
        counts[state_of(word)]++;
        out_counts->users += users_of(word);
    }
    out_counts->free = counts[FLETCH_POOL_FREE];
    out_counts->connecting = counts[FLETCH_POOL_CLAIMED] + counts[FLETCH_POOL_CONNECTING];
    out_counts->ready = counts[FLETCH_POOL_READY];
    out_counts->paused = counts[FLETCH_POOL_PAUSED] + counts[FLETCH_POOL_ASKED];
    out_counts->draining = counts[FLETCH_POOL_DRAINING];
}

/* ---- life ---- */

static enum fletch_status check(const struct fletch_connection_pool_options *options,
                                struct fletch_error *error)
{
    if (options->slot_count == 0 || options->slot_count > FLETCH_POOL_SLOTS_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "a pool has 1 to %d slots, not %u",
                                FLETCH_POOL_SLOTS_MOST, options->slot_count);
    if (options->users_per_connection == 0 ||
        options->users_per_connection > FLETCH_POOL_USERS_MOST)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a connection has 1 to %d calls, not %u", FLETCH_POOL_USERS_MOST,
                                options->users_per_connection);
    if (options->connections_per_address == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "an address has at least 1 connection, not 0");
    return FLETCH_OK;
}

enum fletch_status fletch_connection_pool_init(struct fletch_connection_pool *pool,
                                               const struct fletch_connection_pool_options *options,
                                               struct fletch_error *error)
{
    size_t bytes = options->slot_count * sizeof *pool->slots;
    enum fletch_status status = check(options, error);
    if (status != FLETCH_OK)
        return status;
    pool->options = *options;
    pool->slots = fletch_block_allocate(options->allocator, bytes);
    if (pool->slots == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for %u slots of %zu bytes in all", options->slot_count,
                                bytes);
    for (uint32_t i = 0; i < options->slot_count; i++) {
        /* relaxed: whoever hands the pool to other threads orders this before their use */
        store_relaxed(&pool->slots[i].word, (uint64_t)FLETCH_POOL_FREE);
        store_relaxed(&pool->slots[i].idle_since_ns, 0); /* relaxed: as above */
    }
    pool->policy = (struct fletch_wait_policy){.strategy = FLETCH_WAIT_PARK};
    fletch_wait_history_start(&pool->history, &pool->policy);
    fletch_eventcount_start(&pool->room, FLETCH_SHARING_PROCESS);
    return FLETCH_OK;
}

void fletch_connection_pool_deinit(struct fletch_connection_pool *pool)
{
    fletch_eventcount_deinit(&pool->room);
    fletch_block_release(pool->slots);
}
