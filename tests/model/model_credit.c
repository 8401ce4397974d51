/* Credit: what is given back reaches those who wait, once, whatever happens meanwhile.
 *
 * PLAN:
 *   SUBMIT     one asks while another gives back SOURCE; PARK: it sleeps until it is granted
 *   TWO_BACK   one gives back a frame, another one a byte of the pool, for two that wait
 *   DEADLINE   one that waits gives up while another gives back; a second one waits behind it
 *   AGAIN      one that waits gives up and asks anew, behind a barrier, while another gives back
 *   PASS       one asks behind a barrier while another says that it was reached
 *   TRY        two try the pool while a third asks for it
 *   LEND       two ask for both partitions' second frames; GIVES: and give back what they get
 *   DROP       one that waits gives up and frees its request, while another gives back
 *   OBTAIN     one that waits looks for its grant and would ask anew, while another gives back */

#include "shuffle/credit.h"

#include <stdlib.h>

#include "harness.h"

enum { SUBMIT, TWO_BACK, DEADLINE, AGAIN, PASS, TRY, LEND, DROP, OBTAIN };
#ifndef PLAN
#define PLAN SUBMIT
#endif
#ifndef SOURCE
#define SOURCE FLETCH_CREDIT_OWN
#endif
#ifndef PARK
#define PARK 0
#endif
#ifndef GIVES
#define GIVES 0
#endif

enum { PARTITIONS = 2 };

static struct fletch_credit_pool pool;
static struct fletch_credit credits[PARTITIONS];
static struct fletch_credit_request requests[2][PARTITIONS]; /* of each thread */
static enum fletch_credit_source got[2][PARTITIONS];
static struct fletch_eventcount *sleeper;

static void ask(int thread, int partition, uint64_t barrier)
{
    fletch_credit_request_submit(&requests[thread][partition], 1, barrier);
}

static bool look(int thread, int partition)
{
    return fletch_credit_request_granted(&requests[thread][partition], &got[thread][partition]);
}

static void *ask_once(void *unused)
{
    ask(0, 0, PLAN == PASS || PLAN == TRY);
    while (PARK && !look(0, 0)) {
        uint32_t key = fletch_eventcount_prepare(sleeper);
        if (look(0, 0)) {
            fletch_eventcount_cancel(sleeper);
            break;
        }
        (void)fletch_eventcount_wait(sleeper, key, UINT64_MAX);
    }
    return unused;
}

static void *give_back(void *argument)
{
    enum fletch_credit_source source = (enum fletch_credit_source)(intptr_t)argument;
    bool is_other = source == FLETCH_CREDIT_POOL && PLAN == SUBMIT;
    fletch_credit_return(&credits[is_other], source, 1);
    return NULL;
}

static void *pass(void *unused)
{
    fletch_credit_pool_pass(&pool, 1);
    return unused;
}

static void *give_up(void *unused)
{
    (void)fletch_credit_request_give_up(&requests[0][0], &got[0][0]);
    return unused;
}

static void *give_up_and_ask_again(void *unused)
{
    if (!fletch_credit_request_give_up(&requests[0][0], &got[0][0]))
        ask(0, 0, 1);
    return unused;
}

static void *give_up_and_free(void *argument)
{
    struct fletch_credit_request *request = argument;
    (void)fletch_credit_request_give_up(request, &got[0][0]);
    while (!fletch_credit_request_is_dropped(request))
        harness_pause();
    free(request);
    return NULL;
}

static void *obtain(void *unused)
{
    if (!fletch_credit_request_obtain(&requests[0][0], 1, 0, true, &got[0][0]))
        got[0][0] = FLETCH_CREDIT_NONE;
    return unused;
}

static void *try_pool(void *argument)
{
    int partition = (int)(intptr_t)argument;
    if (!fletch_credit_try(&credits[partition], 1, 1, &got[1][partition]))
        got[1][partition] = FLETCH_CREDIT_NONE;
    return NULL;
}

static void *ask_for_both(void *argument)
{
    int thread = (int)(intptr_t)argument;
    for (int p = 0; p < PARTITIONS; p++)
        ask(thread, p, 0);
    for (int p = 0; p < PARTITIONS && GIVES; p++)
        if (look(thread, p))
            fletch_credit_return(&credits[p], got[thread][p], 1);
    return NULL;
}

/* ---- one execution ---- */

static void run(void *(*first)(void *), void *a, void *(*second)(void *), void *b)
{
    struct harness_thread threads[2];
    harness_start(&threads[0], first, a);
    harness_start(&threads[1], second, b);
    harness_join(&threads[0]);
    harness_join(&threads[1]);
}

static void make(uint64_t total, bool takes)
{
    enum fletch_credit_source source;
    fletch_credit_pool_init(&pool, total, 1);
    harness_ignore(&pool.moves, sizeof pool.moves);
    for (int p = 0; p < PARTITIONS; p++) {
        fletch_credit_init(&credits[p], &pool);
        harness_ignore(&credits[p].waiting, sizeof credits[p].waiting);
        for (int t = 0; t < 2; t++) {
            fletch_credit_request_init(&requests[t][p], &credits[p], PARK ? sleeper : NULL);
            got[t][p] = FLETCH_CREDIT_NONE;
        }
        harness_assert(fletch_credit_try(&credits[p], 1, 0, &source));
        harness_assert(source == FLETCH_CREDIT_OWN);
        if (!takes)
            continue;
        ask(0, p, 0);
        harness_assert(look(0, p) && got[0][p] == FLETCH_CREDIT_LENT);
        got[0][p] = FLETCH_CREDIT_NONE;
    }
}

static void return_frames(int partition)
{
    fletch_credit_return(&credits[partition], FLETCH_CREDIT_OWN, 1);
    fletch_credit_return(&credits[partition], FLETCH_CREDIT_LENT, 1);
}

static void assert_whole(void)
{
    harness_assert(fletch_credit_pool_is_whole(&pool));
    for (int p = 0; p < PARTITIONS; p++)
        harness_assert(fletch_credit_is_whole(&credits[p]));
}

/* The request was granted from `source`, which goes back. */
static void collect(int thread, int partition, enum fletch_credit_source source)
{
    if (got[thread][partition] == FLETCH_CREDIT_NONE)
        harness_assert(look(thread, partition));
    harness_assert(got[thread][partition] == source);
    fletch_credit_return(&credits[partition], source, 1);
}

static void plan_submit(void)
{
    enum fletch_credit_source source;
    make(SOURCE == FLETCH_CREDIT_POOL ? 2 : 0, true);
    if (SOURCE == FLETCH_CREDIT_POOL) {
        harness_assert(fletch_credit_try(&credits[1], 1, 0, &source));
        harness_assert(source == FLETCH_CREDIT_POOL);
    }
    run(ask_once, NULL, give_back, (void *)(intptr_t)SOURCE);
    collect(0, 0, SOURCE);
    if (SOURCE != FLETCH_CREDIT_OWN)
        fletch_credit_return(&credits[0], FLETCH_CREDIT_OWN, 1);
    if (SOURCE != FLETCH_CREDIT_LENT)
        fletch_credit_return(&credits[0], FLETCH_CREDIT_LENT, 1);
    return_frames(1);
}

static void plan_two_back(void)
{
    enum fletch_credit_source source;
    make(2, true);
    harness_assert(fletch_credit_try(&credits[0], 1, 0, &source));
    harness_assert(source == FLETCH_CREDIT_POOL);
    ask(0, 0, 0);
    ask(1, 0, 0);
    run(give_back, (void *)(intptr_t)FLETCH_CREDIT_OWN, give_back,
        (void *)(intptr_t)FLETCH_CREDIT_POOL);
    harness_assert(look(0, 0) && look(1, 0));
    harness_assert(got[0][0] != got[1][0]);
    fletch_credit_return(&credits[0], FLETCH_CREDIT_POOL, 1);
    return_frames(0);
    return_frames(1);
}

static void plan_deadline(void)
{
    make(0, true);
    ask(0, 0, 0);
    ask(1, 0, 0);
    run(give_up, NULL, give_back, (void *)(intptr_t)FLETCH_CREDIT_OWN);
    harness_assert(fletch_credit_request_is_dropped(&requests[0][0]));
    if (got[0][0] != FLETCH_CREDIT_NONE)
        collect(0, 0, FLETCH_CREDIT_OWN);
    collect(1, 0, FLETCH_CREDIT_OWN); /* its turn, at once or by what was just returned */
    fletch_credit_return(&credits[0], FLETCH_CREDIT_LENT, 1);
    return_frames(1);
}

static void plan_again(void)
{
    make(0, true);
    ask(0, 0, 0);
    run(give_up_and_ask_again, NULL, give_back, (void *)(intptr_t)FLETCH_CREDIT_OWN);
    if (got[0][0] == FLETCH_CREDIT_NONE) {
        harness_assert(!look(0, 0)); /* it would be held */
        fletch_credit_pool_pass(&pool, 1);
    }
    collect(0, 0, FLETCH_CREDIT_OWN);
    fletch_credit_return(&credits[0], FLETCH_CREDIT_LENT, 1);
    return_frames(1);
}

static void plan_pass(void)
{
    make(0, false);
    fletch_credit_return(&credits[0], FLETCH_CREDIT_OWN, 1);
    run(ask_once, NULL, pass, NULL);
    collect(0, 0, FLETCH_CREDIT_OWN);
    fletch_credit_return(&credits[1], FLETCH_CREDIT_OWN, 1);
}

static void plan_try(void)
{
    struct harness_thread third;
    /* Room for the first of them alone; each would be held, and so asks the pool alone. */
    make(2, false);
    for (int p = 0; p < PARTITIONS; p++)
        fletch_credit_return(&credits[p], FLETCH_CREDIT_OWN, 1);
    harness_start(&third, try_pool, (void *)(intptr_t)1);
    run(try_pool, (void *)(intptr_t)0, ask_once, NULL);
    harness_join(&third);
    bool was_granted = look(0, 0);
    int holders =
        was_granted + (got[1][0] != FLETCH_CREDIT_NONE) + (got[1][1] != FLETCH_CREDIT_NONE);
    /* A refusal may come of what was lent for a moment; who waits is not refused so. */
    harness_assert(holders == 1);
    for (int p = 0; p < PARTITIONS; p++)
        if (got[1][p] != FLETCH_CREDIT_NONE)
            fletch_credit_return(&credits[p], got[1][p], 1);
    if (!was_granted)
        harness_assert(look(0, 0));
    fletch_credit_return(&credits[0], got[0][0], 1);
}

static void plan_lend(void)
{
    make(0, false);
    run(ask_for_both, (void *)(intptr_t)0, ask_for_both, (void *)(intptr_t)1);
    /* What threads did not find yet, and then what that was given back for. */
    for (int i = 0; i < 2; i++)
        for (int p = 0; p < PARTITIONS; p++) {
            int found = 0;
            for (int t = 0; t < 2; t++)
                found += got[t][p] == FLETCH_CREDIT_NONE && look(t, p);
            harness_assert(GIVES ? found <= 1 : found == 1);
            if (found != 0)
                fletch_credit_return(&credits[p], FLETCH_CREDIT_LENT, 1);
        }
    for (int p = 0; p < PARTITIONS; p++) {
        harness_assert(got[0][p] == FLETCH_CREDIT_LENT && got[1][p] == FLETCH_CREDIT_LENT);
        fletch_credit_return(&credits[p], FLETCH_CREDIT_OWN, 1);
    }
}

static void plan_drop(void)
{
    struct fletch_credit_request *request = malloc(sizeof *request);
    harness_assert(request != NULL);
    make(0, true);
    fletch_credit_request_init(request, &credits[0], NULL);
    fletch_credit_request_submit(request, 1, 0);
    run(give_up_and_free, request, give_back, (void *)(intptr_t)FLETCH_CREDIT_OWN);
    if (got[0][0] != FLETCH_CREDIT_NONE)
        fletch_credit_return(&credits[0], FLETCH_CREDIT_OWN, 1);
    fletch_credit_return(&credits[0], FLETCH_CREDIT_LENT, 1);
    return_frames(1);
}

static void plan_obtain(void)
{
    make(0, true);
    ask(0, 0, 0);
    run(obtain, NULL, give_back, (void *)(intptr_t)FLETCH_CREDIT_OWN);
    collect(0, 0, FLETCH_CREDIT_OWN);
    fletch_credit_return(&credits[0], FLETCH_CREDIT_LENT, 1);
    return_frames(1);
}

void harness(void)
{
    static void (*const plans[])(void) = {
        [SUBMIT] = plan_submit, [TWO_BACK] = plan_two_back, [DEADLINE] = plan_deadline,
        [AGAIN] = plan_again,   [PASS] = plan_pass,         [TRY] = plan_try,
        [LEND] = plan_lend,     [DROP] = plan_drop,         [OBTAIN] = plan_obtain,
    };
    if (PARK)
        harness_assert(fletch_eventcount_create(NULL, &sleeper, NULL) == FLETCH_OK);
    plans[PLAN]();
    assert_whole();
    if (PARK)
        fletch_eventcount_destroy(sleeper);
}
