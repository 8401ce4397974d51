#include "shuffle/credit.h"

#include <stddef.h>

#include "base/assert.h"
#include "sync/eventcount.h"

/* `held` and `free`: bytes, and marks above them. */
#define WAITING_MARK (UINT64_C(1) << 63)
#define OWN_MARK (UINT64_C(1) << 62)
#define LENT_MARK (UINT64_C(1) << 61)
#define BYTES_MASK FLETCH_CREDIT_POOL_BYTES_MAX

/* A request's word: state, marks, source of a grant; then, together called the ask, how often it
 * was asked, and the bytes that are asked for. */
#define STATE_MASK UINT64_C(3)
#define QUEUED_MARK (UINT64_C(1) << 2)    /* the task is with the serial */
#define NOTIFYING_MARK (UINT64_C(1) << 3) /* the serial is about to notify the sleeper */
#define SOURCE_SHIFT 4
#define ASK_SHIFT 6
#define COUNT_BITS 18
#define BYTES_SHIFT (ASK_SHIFT + COUNT_BITS)
#define COUNT_MASK ((UINT64_C(1) << BYTES_SHIFT) - (UINT64_C(1) << ASK_SHIFT))

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

static uint64_t listed_bytes(const struct fletch_credit_request *request)
{
    return request->listed_ask >> COUNT_BITS;
}

/* What must be free for a partition that holds `held`: as much as it has then, beside the bytes. */
static uint64_t need_of(uint64_t held, uint64_t bytes)
{
    return (held & BYTES_MASK) + 2 * bytes;
}

/* ---- in the serial ---- */

static void take(struct fletch_credit *credit, enum fletch_credit_source source, uint64_t bytes)
{
    /* Relaxed throughout: counts; while somebody waits only the serial takes. */
    if (source == FLETCH_CREDIT_OWN)
        fetch_or_relaxed(&credit->held, OWN_MARK); /* relaxed: a count */
    else if (source == FLETCH_CREDIT_LENT)
        fetch_or_relaxed(&credit->held, LENT_MARK); /* relaxed: a count */
    else {
        fetch_add_relaxed(&credit->held, bytes);       /* relaxed: a count */
        fetch_sub_relaxed(&credit->pool->free, bytes); /* relaxed: a count */
    }
}

/* Gives back, and tells by `*out_held` and `*out_free` what was there before. */
static void put_back(struct fletch_credit *credit, enum fletch_credit_source source, uint64_t bytes,
                     uint64_t *out_held, uint64_t *out_free)
{
    *out_free = 0;
    /* Relaxed throughout: counts; who waits is seen in the same words. */
    if (source == FLETCH_CREDIT_OWN)
        *out_held = fetch_and_relaxed(&credit->held, ~OWN_MARK); /* relaxed: a count */
    else if (source == FLETCH_CREDIT_LENT)
        *out_held = fetch_and_relaxed(&credit->held, ~LENT_MARK); /* relaxed: a count */
    else {
        *out_held = fetch_sub_relaxed(&credit->held, bytes);       /* relaxed: a count */
        *out_free = fetch_add_relaxed(&credit->pool->free, bytes); /* relaxed: a count */
    }
}

/* Puts the request at the end of its partition's list. */
static void enlist(struct fletch_credit_pool *pool, struct fletch_credit_request *request,
                   uint64_t ask)
{
    struct fletch_credit *credit = request->credit;
    request->listed = true;
    request->listed_ask = ask;
    request->listed_barrier = load_acquire(&request->barrier); /* E3 acquire */
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

/* Grants a request, for which there is credit from `source`; or drops it, if it was given up. */
static void grant(struct fletch_credit_request *request, enum fletch_credit_source source)
{
    struct fletch_credit *credit = request->credit;
    uint64_t bytes = listed_bytes(request);
    uint64_t word = load_relaxed(&request->word); /* relaxed: it says all itself */
    uint64_t granted;
    take(credit, source, bytes);
    do {
        if (state_of(word) != FLETCH_REQUEST_WAITING || word >> ASK_SHIFT != request->listed_ask) {
            uint64_t held, available;
            put_back(credit, source, bytes, &held, &available);
            unlist(credit->pool, request);
            return;
        }
        granted = with_state(word, FLETCH_REQUEST_GRANTED) | NOTIFYING_MARK |
                  ((uint64_t)source << SOURCE_SHIFT);
    } while (!cas_weak_relaxed(&request->word, &word, granted)); /* relaxed: it says all itself */
    unlist(credit->pool, request);
    count_move(credit->pool);
    if (request->sleeper != NULL)
        fletch_eventcount_notify_inline(request->sleeper, UINT32_MAX);
    fetch_and_release(&request->word, ~NOTIFYING_MARK); /* E2 release */
}

/* The oldest request of the partition whose frame would not be held there; or NULL. Only while a
 * barrier is in flight it is not the oldest of all. */
static struct fletch_credit_request *oldest_for_frames(struct fletch_credit *credit)
{
    /* relaxed: a look with the next barrier follows its change */
    uint64_t barrier = load_relaxed(&credit->pool->barrier);
    struct fletch_credit_request *request = credit->oldest;
    while (request != NULL && request->listed_barrier > barrier)
        request = request->next;
    return request;
}

/* Which of the partition's frames it may have just now; NONE: neither. */
static enum fletch_credit_source frame_for(const struct fletch_credit_request *request)
{
    struct fletch_credit *credit = request->credit;
    /* relaxed: only the serial takes; what comes back from now on is followed by a look */
    uint64_t held = load_relaxed(&credit->held);
    if ((held & OWN_MARK) == 0)
        return FLETCH_CREDIT_OWN;
    if ((held & LENT_MARK) == 0 && listed_bytes(request) <= credit->pool->frame_bytes)
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
    /* relaxed: as in frame_for */
    uint64_t need = need_of(load_relaxed(&credit->held), listed_bytes(oldest));
    if (credit->placed)
        fletch_credit_order_change(&credit->place, need);
    else
        fletch_credit_order_insert(order, &credit->place, oldest->ticket, need);
    credit->placed = true;
}

/* Gives the partition's frames to those that wait for them. */
static void serve_frames(struct fletch_credit *credit)
{
    struct fletch_credit_request *request;
    while ((request = oldest_for_frames(credit)) != NULL) {
        enum fletch_credit_source source = frame_for(request);
        if (source == FLETCH_CREDIT_NONE)
            break;
        grant(request, source);
    }
    place(credit);
}

static struct fletch_credit *credit_at(struct fletch_credit_place *place)
{
    return (struct fletch_credit *)(void *)((char *)place - offsetof(struct fletch_credit, place));
}

/* Gives the pool to those that wait for it, oldest first, as far as it goes. */
static void serve_pool(struct fletch_credit_pool *pool)
{
    while (pool->waiting != 0) {
        /* relaxed: as in frame_for */
        uint64_t available = load_relaxed(&pool->free) & BYTES_MASK;
        struct fletch_credit_place *first = fletch_credit_order_first(&pool->order, available);
        if (first == NULL)
            return;
        grant(credit_at(first)->oldest, FLETCH_CREDIT_POOL);
        serve_frames(credit_at(first));
    }
}

/* After a barrier has been reached: gives the frames of all partitions. */
static void serve_all_frames(struct fletch_credit_pool *pool)
{
    struct fletch_credit *chain = NULL;
    /* A partition may change its place when it is looked at. */
    for (struct fletch_credit_place *place = fletch_credit_order_oldest(&pool->order);
         place != NULL; place = fletch_credit_order_next(place)) {
        credit_at(place)->chain = chain;
        chain = credit_at(place);
    }
    for (; chain != NULL; chain = chain->chain)
        serve_frames(chain);
}

static void run_sweep(void *context, struct fletch_serial_task *task)
{
    struct fletch_credit_pool *pool = context;
    (void)task;
    (void)exchange_acq_rel(&pool->sweep_queued, 0);  /* E1 acquire, E4 release */
    uint64_t barrier = load_relaxed(&pool->barrier); /* relaxed: E1 has ordered it */
    if (pool->served_barrier != barrier) {
        pool->served_barrier = barrier;
        serve_all_frames(pool);
    }
    serve_pool(pool);
}

static void run_look(void *context, struct fletch_serial_task *task)
{
    struct fletch_credit *credit = (struct fletch_credit *)(void *)task;
    (void)exchange_acq_rel(&credit->look_queued, 0); /* E1 acquire, E4 release */
    serve_frames(credit);
    serve_pool(context);
}

/* A request was made or given up. */
static void run_request(void *context, struct fletch_serial_task *task)
{
    struct fletch_credit_request *request = (struct fletch_credit_request *)(void *)task;
    struct fletch_credit *credit = request->credit;
    for (;;) {
        uint64_t word = load_acquire(&request->word); /* E3 acquire */
        uint64_t looked_at = word & ~QUEUED_MARK;
        bool waits = state_of(word) == FLETCH_REQUEST_WAITING;
        if (!waits || request->listed_ask != word >> ASK_SHIFT)
            unlist(context, request);
        if (waits && !request->listed)
            enlist(context, request, word >> ASK_SHIFT);
        if (state_of(word) == FLETCH_REQUEST_GIVEN_UP)
            looked_at = with_state(looked_at, FLETCH_REQUEST_IDLE);
        if (cas_strong_release(&request->word, &word, looked_at)) /* E2 release */
            break;
    }
    serve_frames(credit);
    serve_pool(context);
}

/* ---- anywhere ---- */

void fletch_credit_pool_init(struct fletch_credit_pool *pool, uint64_t total_bytes,
                             uint64_t frame_bytes)
{
    FLETCH_ASSERT(total_bytes <= FLETCH_CREDIT_POOL_BYTES_MAX / 4);
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
    if (exchange_acq_rel(queued, 1) == 0) /* E1 release, E4 acquire */
        fletch_serial_submit(&pool->serial, task);
}

void fletch_credit_pool_pass(struct fletch_credit_pool *pool, uint64_t barrier)
{
    store_relaxed(&pool->barrier, barrier); /* relaxed: E1 orders it before the sweep */
    submit_once(pool, &pool->sweep_queued, &pool->sweep);
}

bool fletch_credit_pool_has_passed(struct fletch_credit_pool *pool, uint64_t barrier)
{
    return barrier <= load_relaxed(&pool->barrier); /* relaxed: who sees it late asks again */
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

bool fletch_credit_try(struct fletch_credit *credit, uint64_t bytes, uint64_t barrier,
                       enum fletch_credit_source *out_source)
{
    struct fletch_credit_pool *pool = credit->pool;
    uint64_t held = load_relaxed(&credit->held); /* relaxed: a count */
    /* Who sees the last barrier late asks, and is looked at with it. */
    bool may_be_held = !fletch_credit_pool_has_passed(pool, barrier);
    enum fletch_credit_source source = FLETCH_CREDIT_OWN;
    FLETCH_ASSERT(bytes <= FLETCH_CREDIT_FRAME_BYTES_MAX);
    do {
        if ((held & WAITING_MARK) != 0)
            return false;
        if (may_be_held || (held & OWN_MARK) != 0) {
            if (!try_pool(credit, held, bytes))
                return false;
            source = FLETCH_CREDIT_POOL;
            break;
        }
    } while (!cas_weak_relaxed(&credit->held, &held, held | OWN_MARK)); /* relaxed: a count */
    count_move(pool);
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

void fletch_credit_request_submit(struct fletch_credit_request *request, uint64_t bytes,
                                  uint64_t barrier)
{
    uint64_t word = load_relaxed(&request->word); /* relaxed: the owner's, but for marks */
    uint64_t asked;
    FLETCH_ASSERT(bytes <= FLETCH_CREDIT_FRAME_BYTES_MAX);
    store_release(&request->barrier, barrier); /* E3 release */
    do {
        FLETCH_ASSERT(state_of(word) == FLETCH_REQUEST_IDLE ||
                      state_of(word) == FLETCH_REQUEST_GIVEN_UP);
        uint64_t count = (word + (UINT64_C(1) << ASK_SHIFT)) & COUNT_MASK;
        asked = (bytes << BYTES_SHIFT) | count | (word & NOTIFYING_MARK) | QUEUED_MARK |
                FLETCH_REQUEST_WAITING;
    } while (!cas_weak_acq_rel(&request->word, &word, asked)); /* E3 release, E2 acquire */
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
    fetch_and_relaxed(&request->word, COUNT_MASK | QUEUED_MARK | NOTIFYING_MARK);
    return true;
}

uint64_t fletch_credit_request_bytes(struct fletch_credit_request *request)
{
    return load_relaxed(&request->word) >> BYTES_SHIFT; /* relaxed: the owner's bits of the word */
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
    } while (!cas_weak_acquire(&request->word, &word, given_up)); /* E2 acquire */
    if ((word & QUEUED_MARK) == 0)
        fletch_serial_submit(&request->credit->pool->serial, &request->task);
    return false;
}

bool fletch_credit_request_obtain(struct fletch_credit_request *request, uint64_t bytes,
                                  uint64_t barrier, bool asks,
                                  enum fletch_credit_source *out_source)
{
    /* One look decides, since the serial may grant at any time: a request that waited then is not
     * asked with again, whatever it is now. relaxed: the state says all that is needed */
    switch (state_of(load_relaxed(&request->word))) {
    case FLETCH_REQUEST_WAITING:
        return false;
    case FLETCH_REQUEST_GRANTED:
        return fletch_credit_request_granted(request, out_source);
    default:
        break;
    }
    if (fletch_credit_try(request->credit, bytes, barrier, out_source))
        return true;
    if (!asks)
        return false;
    fletch_credit_request_submit(request, bytes, barrier);
    return fletch_credit_request_granted(request, out_source);
}

bool fletch_credit_request_is_waiting(struct fletch_credit_request *request)
{
    /* relaxed: a look ahead */
    return state_of(load_relaxed(&request->word)) == FLETCH_REQUEST_WAITING;
}

bool fletch_credit_request_has_grant(struct fletch_credit_request *request)
{
    /* relaxed: a look ahead */
    return state_of(load_relaxed(&request->word)) == FLETCH_REQUEST_GRANTED;
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
