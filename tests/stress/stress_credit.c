#include "shuffle/credit.h"

#include <fletching/fletching.h>

#include <stdlib.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/team.h"

/* Writers that take credit, wait for it, give up and ask again, and readers that give it back:
 * never more than there is, nobody is forgotten, and all of it is there at the end. */

enum {
    WRITERS = 3,
    READERS = 2,
    PARTITIONS = 3,
    FRAME = 1000,
    TOTAL = 6000,
    BYTES_MOST = 1500,
    RING = 64
};

static struct test_arguments arguments;

struct frame {
    enum fletch_credit_source source;
    uint32_t partition;
    uint64_t bytes;
};

/* Writer to readers: slots that are filled and emptied by compare-and-swap. */
struct exchange {
    struct fletch_credit_pool pool;
    struct fletch_credit credits[PARTITIONS];
    _Atomic(struct frame *) slots[RING];
    _Atomic uint64_t in_use;           /* of the pool */
    _Atomic uint32_t own[PARTITIONS];  /* holders of the own frame */
    _Atomic uint32_t lent[PARTITIONS]; /* of the second one */
    _Atomic uint32_t writers_left;
    _Atomic uint64_t wrong;
    _Atomic uint64_t barrier;
    uint64_t rounds;
};

struct party {
    struct exchange *exchange;
    struct jitter jitter;
    struct fletch_eventcount *sleeper;
    struct fletch_credit_request requests[PARTITIONS];
    uint64_t waits;
    uint64_t given_up;
};

static void count_in(struct exchange *exchange, const struct frame *frame)
{
    uint64_t in_use = 0;
    uint32_t holders = 0;
    if (frame->source == FLETCH_CREDIT_POOL)
        in_use = atomic_fetch_add(&exchange->in_use, frame->bytes) + frame->bytes;
    else if (frame->source == FLETCH_CREDIT_OWN)
        holders = atomic_fetch_add(&exchange->own[frame->partition], 1);
    else
        holders = atomic_fetch_add(&exchange->lent[frame->partition], 1);
    if (in_use > TOTAL || holders != 0 ||
        (frame->source == FLETCH_CREDIT_LENT && frame->bytes > FRAME))
        atomic_fetch_add(&exchange->wrong, 1);
}

static void count_out(struct exchange *exchange, const struct frame *frame)
{
    if (frame->source == FLETCH_CREDIT_POOL)
        atomic_fetch_sub(&exchange->in_use, frame->bytes);
    else if (frame->source == FLETCH_CREDIT_OWN)
        atomic_fetch_sub(&exchange->own[frame->partition], 1);
    else
        atomic_fetch_sub(&exchange->lent[frame->partition], 1);
}

static void send(struct party *writer, struct frame *frame)
{
    struct exchange *exchange = writer->exchange;
    count_in(exchange, frame);
    for (uint32_t i = fletch_random_below(&writer->jitter.random, RING);; i = (i + 1) % RING) {
        struct frame *none = NULL;
        if (atomic_compare_exchange_strong(&exchange->slots[i], &none, frame))
            return;
        fletch_thread_yield();
    }
}

static void sleep_until_granted(struct party *writer, struct fletch_credit_request *request,
                                enum fletch_credit_source *out_source)
{
    writer->waits++;
    while (!fletch_credit_request_granted(request, out_source)) {
        uint32_t key = fletch_eventcount_prepare(writer->sleeper);
        if (fletch_credit_request_has_grant(request))
            fletch_eventcount_cancel(writer->sleeper);
        else
            (void)fletch_eventcount_wait(writer->sleeper, key, FLETCH_NO_TIMEOUT);
    }
}

/* Without a timeout in the end: a grant that is lost hangs. */
static enum fletch_credit_source take(struct party *writer, const struct frame *frame)
{
    struct fletch_credit_request *request = &writer->requests[frame->partition];
    enum fletch_credit_source source;
    /* Some would be held, until a reader says that their barrier was reached. */
    uint64_t barrier = atomic_load(&writer->exchange->barrier) +
                       (fletch_random_below(&writer->jitter.random, 8) == 0);
    if (fletch_credit_try(request->credit, frame->bytes, barrier, &source))
        return source;
    while (fletch_random_below(&writer->jitter.random, 3) == 0) {
        fletch_credit_request_submit(request, frame->bytes, barrier);
        jitter_step(&writer->jitter);
        if (fletch_credit_request_give_up(request, &source))
            return source;
        writer->given_up++;
    }
    fletch_credit_request_submit(request, frame->bytes, barrier);
    sleep_until_granted(writer, request, &source);
    return source;
}

static void write_frames(void *context)
{
    struct party *writer = context;
    struct exchange *exchange = writer->exchange;
    for (uint64_t i = 0; i < exchange->rounds; i++) {
        struct frame *frame = malloc(sizeof *frame);
        if (frame == NULL)
            abort();
        frame->partition = fletch_random_below(&writer->jitter.random, PARTITIONS);
        frame->bytes = fletch_random_below(&writer->jitter.random, BYTES_MOST);
        frame->source = take(writer, frame);
        send(writer, frame);
        jitter_step(&writer->jitter);
    }
    atomic_fetch_sub(&exchange->writers_left, 1);
}

/* One of the readers says that barriers were reached, so that nobody waits for one in vain. */
static void read_frames(struct party *reader, bool passes)
{
    struct exchange *exchange = reader->exchange;
    for (;;) {
        bool last = atomic_load(&exchange->writers_left) == 0;
        uint32_t found = 0;
        for (uint32_t i = 0; i < RING; i++) {
            struct frame *frame = atomic_exchange(&exchange->slots[i], NULL);
            if (frame == NULL)
                continue;
            found++;
            count_out(exchange, frame);
            fletch_credit_return(&exchange->credits[frame->partition], frame->source, frame->bytes);
            free(frame);
        }
        if (found == 0 && last)
            return;
        if (passes)
            fletch_credit_pool_pass(&exchange->pool, atomic_fetch_add(&exchange->barrier, 1) + 1);
        jitter_step(&reader->jitter);
    }
}

static void read_all(void *context)
{
    read_frames(context, false);
}

static void read_all_and_pass(void *context)
{
    read_frames(context, true);
}

static void credit_is_never_more_than_there_is_and_all_back_at_the_end(void **state)
{
    static struct exchange exchange;
    struct party parties[WRITERS + READERS];
    struct team_role roles[WRITERS + READERS];
    uint64_t waits = 0, given_up = 0;
    (void)state;
    fletch_credit_pool_init(&exchange.pool, TOTAL, FRAME);
    for (int p = 0; p < PARTITIONS; p++)
        fletch_credit_init(&exchange.credits[p], &exchange.pool);
    exchange.rounds = 30000 * arguments.scale;
    atomic_store(&exchange.writers_left, WRITERS);
    for (uint32_t i = 0; i < WRITERS + READERS; i++) {
        struct party *party = &parties[i];
        *party = (struct party){.exchange = &exchange,
                                .jitter = jitter_from_seed(arguments.seed + i, 32)};
        assert_ok(fletch_eventcount_create(NULL, &party->sleeper, NULL));
        for (int p = 0; p < PARTITIONS; p++)
            fletch_credit_request_init(&party->requests[p], &exchange.credits[p], party->sleeper);
        roles[i] = (struct team_role){.run = i < WRITERS    ? write_frames
                                             : i == WRITERS ? read_all_and_pass
                                                            : read_all,
                                      .context = party};
    }
    team_run(roles, WRITERS + READERS);
    for (int i = 0; i < WRITERS + READERS; i++) {
        for (int p = 0; p < PARTITIONS; p++)
            assert_true(fletch_credit_request_is_dropped(&parties[i].requests[p]));
        waits += parties[i].waits;
        given_up += parties[i].given_up;
        fletch_eventcount_destroy(parties[i].sleeper);
    }
    assert_true(atomic_load(&exchange.wrong) == 0);
    assert_true(waits > 0 && given_up > 0);
    assert_true(fletch_credit_pool_is_whole(&exchange.pool));
    for (int p = 0; p < PARTITIONS; p++)
        assert_true(fletch_credit_is_whole(&exchange.credits[p]));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credit_is_never_more_than_there_is_and_all_back_at_the_end),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
