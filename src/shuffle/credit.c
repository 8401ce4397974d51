#include "shuffle/credit.h"

#include <stddef.h>

#include "base/assert.h"
#include "sync/eventcount.h"

/* `held` and `free`: bytes, and marks above them. */
#define WAITING_MARK (UINT64_C(1) << 63)
#define OWN_MARK (UINT64_C(1) << 62)
#define LENT_MARK (UINT64_C(1) << 61)
#define BYTES_MASK FLETCH_CREDIT_BYTES_MAX

/* A request's word: state, marks, source, and from bit 8 on the bytes that are asked for. So equal words
 * ask for the same, and the serial may grant one that was given up and asked again meanwhile. */
#define STATE_MASK UINT64_C(3)
#define QUEUED_MARK (UINT64_C(1) << 2)    /* the task is with the serial */
#define NOTIFYING_MARK (UINT64_C(1) << 3) /* the serial is about to notify the sleeper */
#define SOURCE_SHIFT 4                    /* of a grant: two bits */
#define BYTES_SHIFT 8

static enum fletch_request_state state_of(uint64_t word)
{
    return (enum fletch_request_state)(word & STATE_MASK);
}

static uint64_t with_state(uint64_t word, enum fletch_request_state state)
{
    return (word & ~STATE_MASK) | (uint64_t)state;
}

static void count_move(struct fletch_credit_pool *pool)
{
    fetch_add_relaxed(&pool->moves, 1); /* relaxed: only compared with an earlier value */
}

/* What must be free for a partition that holds `held`: as much as it has then, beside the bytes. */
static uint64_t need_of(uint64_t held, uint64_t bytes)
{
    return (held & BYTES_MASK) + 2 * bytes;
}

/* ---- in the serial ---- */

static void take(struct fletch_credit *credit, enum fletch_credit_source source, uint64_t bytes)
{
    /* relaxed: counts; while somebody waits only the serial takes */
    if (source == FLETCH_CREDIT_OWN)
        fetch_or_relaxed(&credit->held, OWN_MARK);
    else if (source == FLETCH_CREDIT_LENT)
        fetch_or_relaxed(&credit->held, LENT_MARK);
    else {
        fetch_add_relaxed(&credit->held, bytes);       /* relaxed: as above */
        fetch_sub_relaxed(&credit->pool->free, bytes); /* relaxed: as above */
    }
}

/* Gives back, and tells by `*out_held` and `*out_free` what was there before. */
static void put_back(struct fletch_credit *credit, enum fletch_credit_source source, uint64_t bytes,
                     uint64_t *out_held, uint64_t *out_free)
{
    *out_free = 0;
    /* relaxed: counts; who waits is seen in the same words */
    if (source == FLETCH_CREDIT_OWN)
        *out_held = fetch_and_relaxed(&credit->held, ~OWN_MARK);
    else if (source == FLETCH_CREDIT_LENT)
        *out_held = fetch_and_relaxed(&credit->held, ~LENT_MARK);
    else {
        *out_held = fetch_sub_relaxed(&credit->held, bytes);       /* relaxed: as above */
        *out_free = fetch_add_relaxed(&credit->pool->free, bytes); /* relaxed: as above */
    }
}

/* Puts the request at the end of its partition's list. */
static void enlist(struct fletch_credit_pool *pool, struct fletch_credit_request *request,
                   uint64_t bytes)
{
    struct fletch_credit *credit = request->credit;
    request->listed = true;
    request->listed_bytes = bytes;
    request->ticket = pool->tickets++;
    request->next = NULL;
    request->previous = credit->newest;
    *(credit->newest == NULL ? &credit->oldest : &credit->newest->next) = request;
    credit->newest = request;
    count_one(&credit->waiting);
    /* relaxed: the marks are set before the looks at the same words, and that is all */
    fetch_or_relaxed(&credit->held, WAITING_MARK);
    if (pool->waiting++ == 0)
        fetch_or_relaxed(&pool->free, WAITING_MARK); /* relaxed: as above */
}

static void unlist(struct fletch_credit_pool *pool, struct fletch_credit_request *request)
{
    struct fletch_credit *credit = request->credit;
    if (!request->listed)
        return;
    request->listed = false;
    *(request->previous == NULL ? &credit->oldest : &request->previous->next) = request->next;
    *(request->next == NULL ? &credit->newest : &request->next->previous) = request->previous;
    /* relaxed: written by the serial alone, a statistic for others */
    store_relaxed(&credit->waiting, load_relaxed(&credit->waiting) - 1);
    if (credit->oldest == NULL)
        fetch_and_relaxed(&credit->held, ~WAITING_MARK); /* relaxed: nobody waits any more */
    if (--pool->waiting == 0)
        fetch_and_relaxed(&pool->free, ~WAITING_MARK); /* relaxed: nobody waits any more */
}

/* Grants the oldest request of the partition, for which there is credit from `source`; or drops it,
 * if it was given up. */
static void grant_oldest(struct fletch_credit *credit, enum fletch_credit_source source)
{
    struct fletch_credit_pool *pool = credit->pool;
    struct fletch_credit_request *request = credit->oldest;
    uint64_t bytes = request->listed_bytes;
    uint64_t word = load_relaxed(&request->word); /* relaxed: it says all itself */
    uint64_t granted;
    take(credit, source, bytes);
    do {
        if (state_of(word) != FLETCH_REQUEST_WAITING || word >> BYTES_SHIFT != bytes) {
            uint64_t held, available;
            put_back(credit, source, bytes, &held, &available);
            unlist(pool, request);
            return;
        }
        granted = with_state(word, FLETCH_REQUEST_GRANTED) | NOTIFYING_MARK |
                  ((uint64_t)source << SOURCE_SHIFT);
    } while (!cas_weak_relaxed(&request->word, &word, granted)); /* relaxed: it says all itself */
    unlist(pool, request);
    count_move(pool);
    if (request->sleeper != NULL)
        fletch_eventcount_notify_inline(request->sleeper, UINT32_MAX);
    fetch_and_release(&request->word, ~NOTIFYING_MARK); /* E2 release */
}

/* Where the oldest request of the partition can have its credit from at once; NONE: nowhere. */
static enum fletch_credit_source source_at_hand(struct fletch_credit *credit)
{
    /* relaxed: only the serial takes; what comes back from now on is followed by a look */
    uint64_t held = load_relaxed(&credit->held);
    if ((held & OWN_MARK) == 0)
        return FLETCH_CREDIT_OWN;
    if ((held & LENT_MARK) == 0 && credit->oldest->listed_bytes <= credit->pool->frame_bytes)
        return FLETCH_CREDIT_LENT;
    return FLETCH_CREDIT_NONE;
}

/* Puts the partition where its oldest request belongs among those that wait for the pool. */
static void place(struct fletch_credit *credit)
{
    struct fletch_credit_order *order = &credit->pool->order;
    struct fletch_credit_request *oldest = credit->oldest;
    if (credit->placed && (oldest == NULL || oldest->ticket != credit->place.ticket)) {
        fletch_credit_order_remove(order, &credit->place);
        credit->placed = false;
    }
    if (oldest == NULL)
        return;
    /* relaxed: as in source_at_hand */
    uint64_t need = need_of(load_relaxed(&credit->held), oldest->listed_bytes);
    if (credit->placed)
        fletch_credit_order_change(&credit->place, need);
    else
        fletch_credit_order_insert(order, &credit->place, oldest->ticket, need);
    credit->placed = true;
}

/* Gives the partition's frames to those that wait for them. */
static void serve_frames(struct fletch_credit *credit)
{
    while (credit->oldest != NULL) {
        enum fletch_credit_source source = source_at_hand(credit);
        if (source == FLETCH_CREDIT_NONE)
            break;
        grant_oldest(credit, source);
    }
    place(credit);
}

/* Gives the pool to those that wait for it, oldest first, as far as it goes. */
static void serve_pool(struct fletch_credit_pool *pool)
{
    struct fletch_credit_place *first;
    while (pool->waiting != 0) {
        /* relaxed: as in source_at_hand */
        uint64_t available = load_relaxed(&pool->free) & BYTES_MASK;
        first = fletch_credit_order_first(&pool->order, available);
        if (first == NULL)
            return;
        struct fletch_credit *credit =
            (struct fletch_credit *)(void *)((char *)first - offsetof(struct fletch_credit, place));
        grant_oldest(credit, FLETCH_CREDIT_POOL);
        serve_frames(credit);
    }
}

static void run_sweep(void *context, struct fletch_serial_task *task)
{
    struct fletch_credit_pool *pool = context;
    (void)task;
    (void)exchange_acq_rel(&pool->sweep_queued, 0); /* E1 acquire */
    serve_pool(pool);
}

static void run_look(void *context, struct fletch_serial_task *task)
{
    struct fletch_credit *credit = (struct fletch_credit *)(void *)task;
    (void)exchange_acq_rel(&credit->look_queued, 0); /* E1 acquire */
    serve_frames(credit);
    serve_pool(context);
}

/* A request was made or given up. */
static void run_request(void *context, struct fletch_serial_task *task)
{
    struct fletch_credit_request *request = (struct fletch_credit_request *)(void *)task;
    struct fletch_credit *credit = request->credit;
    /* relaxed: what it says is in the word itself */
    uint64_t word = load_relaxed(&request->word);
    uint64_t looked_at;
    do {
        looked_at = word & ~QUEUED_MARK;
        if (state_of(word) != FLETCH_REQUEST_WAITING ||
            request->listed_bytes != word >> BYTES_SHIFT)
            unlist(context, request);
        if (state_of(word) == FLETCH_REQUEST_WAITING && !request->listed)
            enlist(context, request, word >> BYTES_SHIFT);
        if (state_of(word) == FLETCH_REQUEST_GIVEN_UP)
            looked_at = with_state(looked_at, FLETCH_REQUEST_IDLE);
    } while (!cas_weak_release(&request->word, &word, looked_at)); /* E2 release */
    serve_frames(credit);
    serve_pool(context);
}

/* ---- anywhere ---- */

void fletch_credit_pool_init(struct fletch_credit_pool *pool, uint64_t total_bytes,
                             uint64_t frame_bytes)
{
    FLETCH_ASSERT(total_bytes <= FLETCH_CREDIT_BYTES_MAX / 4);
    *pool = (struct fletch_credit_pool){
        .total_bytes = total_bytes,
        .frame_bytes = frame_bytes,
        .sweep = {.run = run_sweep},
    };
    store_relaxed(&pool->free, total_bytes); /* relaxed: nobody else knows the pool yet */
    fletch_serial_init(&pool->serial, pool);
}

void fletch_credit_init(struct fletch_credit *credit, struct fletch_credit_pool *pool)
{
    *credit = (struct fletch_credit){.look = {.run = run_look}, .pool = pool};
}

void fletch_credit_request_init(struct fletch_credit_request *request, struct fletch_credit *credit,
                                struct fletch_eventcount *sleeper)
{
    *request = (struct fletch_credit_request){
        .task = {.run = run_request}, .credit = credit, .sleeper = sleeper};
}

/* Sees to it that the task is run after what was done before. */
static void submit_once(struct fletch_credit_pool *pool, _Atomic uint32_t *queued,
                        struct fletch_serial_task *task)
{
    if (exchange_acq_rel(queued, 1) == 0) /* E1 release */
        fletch_serial_submit(&pool->serial, task);
}

static bool try_pool(struct fletch_credit *credit, uint64_t held, uint64_t bytes)
{
    struct fletch_credit_pool *pool = credit->pool;
    /* relaxed: a count, as everywhere below */
    uint64_t available = load_relaxed(&pool->free);
    /* The partition's share first, so that two of its writers do not both find room in it. */
    do {
        if (((held | available) & WAITING_MARK) != 0 || need_of(held, bytes) > available)
            return false;
    } while (!cas_weak_relaxed(&credit->held, &held, held + bytes)); /* relaxed: a count */
    while ((available & WAITING_MARK) == 0 && need_of(held, bytes) <= available)
        if (cas_weak_relaxed(&pool->free, &available, available - bytes)) /* relaxed: a count */
            return true;
    /* Whoever waits may have been refused because of what was lent here for a moment. */
    held = fetch_sub_relaxed(&credit->held, bytes); /* relaxed: a count */
    if ((held & WAITING_MARK) != 0)
        submit_once(pool, &credit->look_queued, &credit->look);
    return false;
}

bool fletch_credit_try(struct fletch_credit *credit, uint64_t bytes,
                       enum fletch_credit_source *out_source)
{
    /* relaxed: a count */
    uint64_t held = load_relaxed(&credit->held);
    enum fletch_credit_source source = FLETCH_CREDIT_OWN;
    FLETCH_ASSERT(bytes <= FLETCH_CREDIT_BYTES_MAX / 4);
    do {
        if ((held & WAITING_MARK) != 0)
            return false;
        if ((held & OWN_MARK) != 0) {
            if (!try_pool(credit, held, bytes))
                return false;
            source = FLETCH_CREDIT_POOL;
            break;
        }
    } while (!cas_weak_relaxed(&credit->held, &held, held | OWN_MARK)); /* relaxed: a count */
    count_move(credit->pool);
    *out_source = source;
    return true;
}

void fletch_credit_return(struct fletch_credit *credit, enum fletch_credit_source source,
                          uint64_t bytes)
{
    struct fletch_credit_pool *pool = credit->pool;
    uint64_t held, available;
    if (source == FLETCH_CREDIT_NONE)
        return;
    put_back(credit, source, bytes, &held, &available);
    count_move(pool);
    if ((held & WAITING_MARK) != 0)
        submit_once(pool, &credit->look_queued, &credit->look);
    else if ((available & WAITING_MARK) != 0)
        submit_once(pool, &pool->sweep_queued, &pool->sweep);
}

void fletch_credit_request_submit(struct fletch_credit_request *request, uint64_t bytes)
{
    /* relaxed: the word alone says what is asked; the serial's edge covers the rest */
    uint64_t word = load_relaxed(&request->word);
    uint64_t asked;
    FLETCH_ASSERT(bytes <= FLETCH_CREDIT_BYTES_MAX / 4);
    do {
        FLETCH_ASSERT(state_of(word) == FLETCH_REQUEST_IDLE ||
                      state_of(word) == FLETCH_REQUEST_GIVEN_UP);
        asked =
            (bytes << BYTES_SHIFT) | (word & NOTIFYING_MARK) | QUEUED_MARK | FLETCH_REQUEST_WAITING;
    } while (!cas_weak_relaxed(&request->word, &word, asked)); /* relaxed: as above */
    if ((word & QUEUED_MARK) == 0)
        fletch_serial_submit(&request->credit->pool->serial, &request->task);
}

bool fletch_credit_request_granted(struct fletch_credit_request *request,
                                   enum fletch_credit_source *out_source)
{
    uint64_t word = load_relaxed(&request->word); /* relaxed: it says all itself */
    if (state_of(word) != FLETCH_REQUEST_GRANTED)
        return false;
    *out_source = (enum fletch_credit_source)((word >> SOURCE_SHIFT) & 3);
    /* relaxed: only the owner takes it out of GRANTED; the serial may clear marks meanwhile */
    fetch_and_relaxed(&request->word, QUEUED_MARK | NOTIFYING_MARK);
    return true;
}

bool fletch_credit_request_give_up(struct fletch_credit_request *request,
                                   enum fletch_credit_source *out_source)
{
    /* relaxed: only compared; a grant is looked at by the call below */
    uint64_t word = load_relaxed(&request->word);
    uint64_t given_up;
    do {
        if (state_of(word) != FLETCH_REQUEST_WAITING)
            return fletch_credit_request_granted(request, out_source);
        given_up = with_state(word, FLETCH_REQUEST_GIVEN_UP) | QUEUED_MARK;
    } while (!cas_weak_relaxed(&request->word, &word, given_up)); /* relaxed: as above */
    if ((word & QUEUED_MARK) == 0)
        fletch_serial_submit(&request->credit->pool->serial, &request->task);
    return false;
}

bool fletch_credit_request_is_waiting(struct fletch_credit_request *request)
{
    /* relaxed: a look ahead */
    return state_of(load_relaxed(&request->word)) == FLETCH_REQUEST_WAITING;
}

bool fletch_credit_request_is_dropped(struct fletch_credit_request *request)
{
    uint64_t word = load_acquire(&request->word); /* E2 acquire */
    return (word & (STATE_MASK | QUEUED_MARK | NOTIFYING_MARK)) == 0;
}

uint32_t fletch_credit_waiting(struct fletch_credit *credit)
{
    return load_relaxed(&credit->waiting); /* relaxed: a statistic */
}

bool fletch_credit_is_whole(struct fletch_credit *credit)
{
    return load_relaxed(&credit->held) == 0; /* relaxed: at rest */
}

bool fletch_credit_pool_is_whole(struct fletch_credit_pool *pool)
{
    return load_relaxed(&pool->free) == pool->total_bytes; /* relaxed: at rest */
}

uint64_t fletch_credit_pool_moves(struct fletch_credit_pool *pool)
{
    return load_relaxed(&pool->moves); /* relaxed: only compared with an earlier value */
}
