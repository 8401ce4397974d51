#include "shuffle/credit.h"

#include "base/random.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"

/* Credit on one thread; several: stress_credit, model_credit. */

enum { FRAME = 100, PARTITIONS = 3, REQUESTS = 4 };

static struct test_arguments arguments;

struct shuffle {
    struct fletch_credit_pool pool;
    struct fletch_credit credits[PARTITIONS];
    struct fletch_credit_request requests[PARTITIONS][REQUESTS];
};

static struct shuffle shuffle;

static void start(uint64_t total_bytes)
{
    fletch_credit_pool_init(&shuffle.pool, total_bytes, FRAME);
    for (int p = 0; p < PARTITIONS; p++) {
        fletch_credit_init(&shuffle.credits[p], &shuffle.pool);
        for (int r = 0; r < REQUESTS; r++)
            fletch_credit_request_init(&shuffle.requests[p][r], &shuffle.credits[p], NULL);
    }
}

static void assert_all_is_back(void)
{
    assert_true(fletch_credit_pool_is_whole(&shuffle.pool));
    for (int p = 0; p < PARTITIONS; p++)
        assert_true(fletch_credit_is_whole(&shuffle.credits[p]));
}

/* What try answers, NONE for false. */
static enum fletch_credit_source try(int partition, uint64_t bytes)
{
    enum fletch_credit_source source;
    bool got = fletch_credit_try(&shuffle.credits[partition], bytes, 0, &source);
    return got ? source : FLETCH_CREDIT_NONE;
}

static void give_back(int partition, enum fletch_credit_source source, uint64_t bytes)
{
    fletch_credit_return(&shuffle.credits[partition], source, bytes);
}

static void ask(int partition, int request, uint64_t bytes)
{
    fletch_credit_request_submit(&shuffle.requests[partition][request], bytes, 0);
}

/* What was granted, NONE for nothing. */
static enum fletch_credit_source granted(int partition, int request)
{
    enum fletch_credit_source source;
    bool got = fletch_credit_request_granted(&shuffle.requests[partition][request], &source);
    return got ? source : FLETCH_CREDIT_NONE;
}

static enum fletch_credit_source give_up(int partition, int request)
{
    enum fletch_credit_source source;
    bool got = fletch_credit_request_give_up(&shuffle.requests[partition][request], &source);
    return got ? source : FLETCH_CREDIT_NONE;
}

static void a_frame_takes_its_partition_s_own_frame_then_the_pool(void **state)
{
    (void)state;
    start(400);
    assert_int_equal(try(0, FRAME), FLETCH_CREDIT_OWN);
    assert_int_equal(try(0, FRAME), FLETCH_CREDIT_POOL);
    assert_int_equal(try(1, FRAME), FLETCH_CREDIT_OWN);
    give_back(0, FLETCH_CREDIT_OWN, FRAME);
    assert_int_equal(try(0, FRAME), FLETCH_CREDIT_OWN);
    give_back(0, FLETCH_CREDIT_OWN, FRAME);
    give_back(0, FLETCH_CREDIT_POOL, FRAME);
    give_back(1, FLETCH_CREDIT_OWN, FRAME);
    assert_all_is_back();
}

static void a_partition_holds_at_most_as_much_of_the_pool_as_is_still_free(void **state)
{
    (void)state;
    start(400);
    for (int p = 0; p < 2; p++)
        assert_int_equal(try(p, FRAME), FLETCH_CREDIT_OWN);
    assert_int_equal(try(0, FRAME), FLETCH_CREDIT_POOL);
    assert_int_equal(try(0, FRAME), FLETCH_CREDIT_POOL); /* 200 held, 200 free */
    assert_int_equal(try(0, 1), FLETCH_CREDIT_NONE);
    assert_int_equal(try(1, 101), FLETCH_CREDIT_NONE); /* 101 would be held, 99 free */
    assert_int_equal(try(1, 100), FLETCH_CREDIT_POOL);
    give_back(1, FLETCH_CREDIT_POOL, 100);
    for (int i = 0; i < 2; i++)
        give_back(0, FLETCH_CREDIT_POOL, FRAME);
    for (int p = 0; p < 2; p++)
        give_back(p, FLETCH_CREDIT_OWN, FRAME);
    assert_all_is_back();
}

static void the_second_frame_is_lent_only_to_a_channel_whose_writer_waits(void **state)
{
    (void)state;
    start(0);
    assert_int_equal(try(0, FRAME), FLETCH_CREDIT_OWN);
    assert_int_equal(try(0, FRAME), FLETCH_CREDIT_NONE);
    ask(0, 0, FRAME);
    assert_int_equal(granted(0, 0), FLETCH_CREDIT_LENT);
    ask(0, 0, FRAME);
    assert_int_equal(granted(0, 0), FLETCH_CREDIT_NONE);
    give_back(0, FLETCH_CREDIT_LENT, FRAME);
    assert_int_equal(granted(0, 0), FLETCH_CREDIT_LENT);
    give_back(0, FLETCH_CREDIT_OWN, FRAME);
    give_back(0, FLETCH_CREDIT_LENT, FRAME);
    assert_all_is_back();
}

static void a_frame_larger_than_the_partition_s_frame_passes_alone_on_the_own_frame(void **state)
{
    (void)state;
    start(400);
    assert_int_equal(try(0, 1000000), FLETCH_CREDIT_OWN);
    ask(0, 0, 1000000);
    assert_int_equal(granted(0, 0), FLETCH_CREDIT_NONE); /* neither lent nor of the pool */
    give_back(0, FLETCH_CREDIT_OWN, 1000000);
    assert_int_equal(granted(0, 0), FLETCH_CREDIT_OWN);
    give_back(0, FLETCH_CREDIT_OWN, 1000000);
    assert_all_is_back();
}

static void nobody_passes_a_request_of_the_same_partition(void **state)
{
    (void)state;
    start(400);
    assert_int_equal(try(0, FRAME), FLETCH_CREDIT_OWN);
    ask(0, 0, 1000000); /* only the own frame can take it */
    assert_int_equal(try(0, 1), FLETCH_CREDIT_NONE);
    ask(0, 1, 1);
    assert_int_equal(granted(0, 1), FLETCH_CREDIT_NONE);
    assert_int_equal(fletch_credit_waiting(&shuffle.credits[0]), 2);
    give_back(0, FLETCH_CREDIT_OWN, FRAME);
    assert_int_equal(granted(0, 0), FLETCH_CREDIT_OWN);
    assert_int_equal(granted(0, 1), FLETCH_CREDIT_LENT); /* its turn, and that one is free */
    assert_int_equal(fletch_credit_waiting(&shuffle.credits[0]), 0);
    give_back(0, FLETCH_CREDIT_OWN, 1000000);
    give_back(0, FLETCH_CREDIT_LENT, 1);
    assert_all_is_back();
}

/* Takes the two frames of a partition, and `bytes` of the pool unless they are 0. */
static void fill(int partition, uint64_t bytes)
{
    assert_int_equal(try(partition, FRAME), FLETCH_CREDIT_OWN);
    if (bytes != 0)
        assert_int_equal(try(partition, bytes), FLETCH_CREDIT_POOL);
    /* Asking for more than the pool can give leaves the second frame. */
    ask(partition, 0, FRAME);
    assert_int_equal(granted(partition, 0), FLETCH_CREDIT_LENT);
}

static void empty(int partition, uint64_t bytes)
{
    give_back(partition, FLETCH_CREDIT_OWN, FRAME);
    give_back(partition, FLETCH_CREDIT_LENT, FRAME);
    if (bytes != 0)
        give_back(partition, FLETCH_CREDIT_POOL, bytes);
}

static void waiters_are_served_oldest_first(void **state)
{
    (void)state;
    start(100);
    fill(0, 50); /* 50 free */
    fill(1, 0);
    fill(2, 0);
    ask(2, 1, 40);
    ask(1, 1, 40);
    assert_int_equal(granted(1, 1), FLETCH_CREDIT_NONE);
    give_back(0, FLETCH_CREDIT_POOL, 50); /* 100 free: one of them finds room, then 60 */
    assert_int_equal(granted(2, 1), FLETCH_CREDIT_POOL);
    assert_int_equal(granted(1, 1), FLETCH_CREDIT_NONE);
    give_back(2, FLETCH_CREDIT_POOL, 40);
    assert_int_equal(granted(1, 1), FLETCH_CREDIT_POOL);
    give_back(1, FLETCH_CREDIT_POOL, 40);
    for (int p = 0; p < PARTITIONS; p++)
        empty(p, 0);
    assert_all_is_back();
}

static void nobody_takes_of_the_pool_past_a_request_that_waits_for_it(void **state)
{
    (void)state;
    start(100);
    fill(0, 50);
    ask(0, 1, 30);
    assert_int_equal(granted(0, 1), FLETCH_CREDIT_NONE);
    assert_int_equal(try(1, FRAME), FLETCH_CREDIT_OWN); /* which nobody else could use */
    assert_int_equal(try(1, 10), FLETCH_CREDIT_NONE);
    ask(1, 0, 10); /* the older one cannot use what is there: its partition has its share */
    assert_int_equal(granted(1, 0), FLETCH_CREDIT_LENT);
    ask(1, 0, 10);
    assert_int_equal(granted(1, 0), FLETCH_CREDIT_POOL);
    assert_int_equal(give_up(0, 1), FLETCH_CREDIT_NONE);
    assert_int_equal(try(2, 10), FLETCH_CREDIT_OWN);
    assert_int_equal(try(2, 10), FLETCH_CREDIT_POOL);
    give_back(2, FLETCH_CREDIT_POOL, 10);
    give_back(2, FLETCH_CREDIT_OWN, 10);
    empty(0, 50);
    empty(1, 10);
    assert_all_is_back();
}

static void a_request_whose_partition_has_no_room_is_skipped(void **state)
{
    (void)state;
    start(400);
    fill(0, 200);
    fill(1, 0);
    ask(0, 1, 50); /* 250 held, 150 free: no */
    ask(1, 1, 50);
    assert_int_equal(granted(1, 1), FLETCH_CREDIT_POOL);
    assert_int_equal(granted(0, 1), FLETCH_CREDIT_NONE);
    give_back(0, FLETCH_CREDIT_POOL, 200);
    assert_int_equal(granted(0, 1), FLETCH_CREDIT_POOL);
    empty(0, 50);
    empty(1, 50);
    assert_all_is_back();
}

static void a_waiter_that_gives_up_passes_its_turn_on(void **state)
{
    (void)state;
    start(100);
    fill(0, 0);
    ask(0, 1, 80); /* more than the pool can give one partition */
    ask(0, 2, 20);
    assert_int_equal(granted(0, 2), FLETCH_CREDIT_NONE);
    assert_int_equal(give_up(0, 1), FLETCH_CREDIT_NONE);
    assert_true(fletch_credit_request_is_dropped(&shuffle.requests[0][1]));
    assert_int_equal(granted(0, 2), FLETCH_CREDIT_POOL);
    empty(0, 20);
    assert_all_is_back();
}

static void who_gives_up_after_the_grant_has_the_credit(void **state)
{
    (void)state;
    start(0);
    ask(0, 0, FRAME);
    assert_false(fletch_credit_request_is_dropped(&shuffle.requests[0][0]));
    assert_int_equal(give_up(0, 0), FLETCH_CREDIT_OWN);
    assert_int_equal(give_up(0, 0), FLETCH_CREDIT_NONE);
    assert_true(fletch_credit_request_is_dropped(&shuffle.requests[0][0]));
    give_back(0, FLETCH_CREDIT_OWN, FRAME);
    assert_all_is_back();
}

static void who_has_given_up_may_ask_again_for_other_bytes(void **state)
{
    (void)state;
    start(100);
    fill(0, 0);
    ask(0, 1, 80);
    assert_true(fletch_credit_request_is_waiting(&shuffle.requests[0][1]));
    assert_int_equal(give_up(0, 1), FLETCH_CREDIT_NONE);
    assert_false(fletch_credit_request_is_waiting(&shuffle.requests[0][1]));
    ask(0, 1, 50);
    assert_int_equal(granted(0, 1), FLETCH_CREDIT_POOL);
    empty(0, 50);
    assert_all_is_back();
}

static void a_frame_without_bytes_takes_credit_too(void **state)
{
    (void)state;
    start(0);
    assert_int_equal(try(0, 0), FLETCH_CREDIT_OWN);
    assert_int_equal(try(0, 0), FLETCH_CREDIT_POOL);
    give_back(0, FLETCH_CREDIT_POOL, 0);
    give_back(0, FLETCH_CREDIT_OWN, 0);
    give_back(0, FLETCH_CREDIT_NONE, 12345); /* of a spilled frame: nothing */
    assert_all_is_back();
}

static void a_grant_wakes_the_sleeper(void **state)
{
    struct fletch_eventcount *sleeper;
    struct fletch_credit_request request;
    (void)state;
    start(0);
    assert_int_equal(fletch_eventcount_create(NULL, &sleeper, NULL), FLETCH_OK);
    fletch_credit_request_init(&request, &shuffle.credits[0], sleeper);
    fill(0, 0);
    fletch_credit_request_submit(&request, FRAME, 0);
    uint32_t key = fletch_eventcount_prepare(sleeper);
    assert_false(fletch_eventcount_wait(sleeper, key, 0));
    key = fletch_eventcount_prepare(sleeper);
    give_back(0, FLETCH_CREDIT_OWN, FRAME);
    assert_true(fletch_eventcount_wait(sleeper, key, 0));
    enum fletch_credit_source source;
    assert_true(fletch_credit_request_granted(&request, &source));
    empty(0, 0);
    assert_all_is_back();
    fletch_eventcount_destroy(sleeper);
}

static void every_change_is_a_move_and_a_refusal_is_none(void **state)
{
    (void)state;
    start(0);
    assert_int_equal(fletch_credit_pool_moves(&shuffle.pool), 0);
    (void)try(0, FRAME);
    assert_int_equal(fletch_credit_pool_moves(&shuffle.pool), 1);
    (void)try(0, FRAME);
    assert_int_equal(fletch_credit_pool_moves(&shuffle.pool), 1);
    ask(0, 0, FRAME);
    assert_int_equal(fletch_credit_pool_moves(&shuffle.pool), 2);
    ask(0, 1, FRAME);
    assert_int_equal(give_up(0, 1), FLETCH_CREDIT_NONE);
    assert_int_equal(fletch_credit_pool_moves(&shuffle.pool), 2);
    give_back(0, FLETCH_CREDIT_OWN, FRAME);
    assert_int_equal(fletch_credit_pool_moves(&shuffle.pool), 3);
}

/* ---- behind barriers ---- */

static enum fletch_credit_source try_behind(uint64_t barrier, int partition, uint64_t bytes)
{
    enum fletch_credit_source source;
    bool got = fletch_credit_try(&shuffle.credits[partition], bytes, barrier, &source);
    return got ? source : FLETCH_CREDIT_NONE;
}

static void ask_behind(uint64_t barrier, int partition, int request, uint64_t bytes)
{
    fletch_credit_request_submit(&shuffle.requests[partition][request], bytes, barrier);
}

static void a_frame_that_would_be_held_takes_the_pool_alone(void **state)
{
    (void)state;
    start(200);
    assert_int_equal(try_behind(1, 0, FRAME), FLETCH_CREDIT_POOL);
    assert_int_equal(try_behind(1, 0, FRAME), FLETCH_CREDIT_NONE);
    assert_int_equal(try(0, FRAME), FLETCH_CREDIT_OWN); /* of one that is awaited */
    give_back(0, FLETCH_CREDIT_OWN, FRAME);
    fletch_credit_pool_pass(&shuffle.pool, 1);
    assert_int_equal(try_behind(2, 0, FRAME), FLETCH_CREDIT_NONE);
    assert_int_equal(try_behind(1, 0, FRAME), FLETCH_CREDIT_OWN);
    give_back(0, FLETCH_CREDIT_OWN, FRAME);
    give_back(0, FLETCH_CREDIT_POOL, FRAME);
    assert_all_is_back();
}

static void who_is_awaited_passes_those_that_would_be_held(void **state)
{
    (void)state;
    start(0);
    ask_behind(1, 0, 0, FRAME);
    assert_int_equal(granted(0, 0), FLETCH_CREDIT_NONE);
    ask_behind(0, 0, 1, FRAME);
    assert_int_equal(granted(0, 1), FLETCH_CREDIT_OWN);
    ask_behind(0, 0, 1, FRAME);
    assert_int_equal(granted(0, 1), FLETCH_CREDIT_LENT);
    ask_behind(0, 0, 1, FRAME);
    assert_int_equal(granted(0, 1), FLETCH_CREDIT_NONE);
    give_back(0, FLETCH_CREDIT_OWN, FRAME);
    assert_int_equal(granted(0, 1), FLETCH_CREDIT_OWN);
    assert_int_equal(granted(0, 0), FLETCH_CREDIT_NONE);
    empty(0, 0);
    assert_int_equal(give_up(0, 0), FLETCH_CREDIT_NONE);
    assert_all_is_back();
}

static void a_barrier_that_is_reached_frees_those_that_waited_for_it(void **state)
{
    (void)state;
    start(0);
    for (int p = 0; p < PARTITIONS; p++)
        for (int r = 0; r < 2; r++)
            ask_behind((uint64_t)r + 1, p, r, FRAME);
    fletch_credit_pool_pass(&shuffle.pool, 1);
    for (int p = 0; p < PARTITIONS; p++) {
        assert_int_equal(granted(p, 0), FLETCH_CREDIT_OWN);
        assert_int_equal(granted(p, 1), FLETCH_CREDIT_NONE);
    }
    fletch_credit_pool_pass(&shuffle.pool, 2);
    for (int p = 0; p < PARTITIONS; p++) {
        assert_int_equal(granted(p, 1), FLETCH_CREDIT_LENT);
        empty(p, 0);
    }
    assert_all_is_back();
}

/* ---- against a plain model ---- */

enum { STEPS = 300000, HELD_MOST = 64, TOTAL = 700, BYTES_MOST = 150 };

struct model_request {
    enum { QUIET, WAITS, GRANTED } state;
    uint64_t bytes;
    uint64_t barrier;
    uint64_t age;
    enum fletch_credit_source source;
};

struct model_partition {
    bool own, lent;
    uint64_t pooled;
    struct model_request requests[REQUESTS];
    struct {
        enum fletch_credit_source source;
        uint64_t bytes;
    } held[HELD_MOST];
    int held_count;
};

struct model {
    struct model_partition partitions[PARTITIONS];
    uint64_t free;
    uint64_t ages;
    uint64_t barrier;
};

/* Of those whose barrier is at most `barrier`. */
static struct model_request *oldest_up_to(struct model_partition *partition, uint64_t barrier)
{
    struct model_request *oldest = NULL;
    for (int r = 0; r < REQUESTS; r++) {
        struct model_request *request = &partition->requests[r];
        if (request->state == WAITS && request->barrier <= barrier &&
            (oldest == NULL || request->age < oldest->age))
            oldest = request;
    }
    return oldest;
}

static struct model_request *oldest_of(struct model_partition *partition)
{
    return oldest_up_to(partition, UINT64_MAX);
}

static void model_take(struct model *model, struct model_partition *partition,
                       enum fletch_credit_source source, uint64_t bytes)
{
    partition->own |= source == FLETCH_CREDIT_OWN;
    partition->lent |= source == FLETCH_CREDIT_LENT;
    if (source == FLETCH_CREDIT_POOL) {
        partition->pooled += bytes;
        model->free -= bytes;
    }
}

static void model_grant(struct model *model, struct model_partition *partition,
                        struct model_request *request, enum fletch_credit_source source)
{
    request->state = GRANTED;
    request->source = source;
    model_take(model, partition, source, request->bytes);
}

static bool has_room(const struct model *model, const struct model_partition *partition,
                     uint64_t bytes)
{
    return bytes <= model->free && partition->pooled + bytes <= model->free - bytes;
}

static bool model_serve_frames(struct model *model)
{
    for (int p = 0; p < PARTITIONS; p++) {
        struct model_partition *partition = &model->partitions[p];
        struct model_request *oldest = oldest_up_to(partition, model->barrier);
        if (oldest == NULL)
            continue;
        bool lends = !partition->lent && oldest->bytes <= FRAME;
        if (!partition->own || lends) {
            model_grant(model, partition, oldest,
                        partition->own ? FLETCH_CREDIT_LENT : FLETCH_CREDIT_OWN);
            return true;
        }
    }
    return false;
}

static bool model_serve_pool(struct model *model)
{
    struct model_partition *first = NULL;
    for (int p = 0; p < PARTITIONS; p++) {
        struct model_request *oldest = oldest_of(&model->partitions[p]);
        if (oldest != NULL && has_room(model, &model->partitions[p], oldest->bytes) &&
            (first == NULL || oldest->age < oldest_of(first)->age))
            first = &model->partitions[p];
    }
    if (first != NULL)
        model_grant(model, first, oldest_of(first), FLETCH_CREDIT_POOL);
    return first != NULL;
}

static void model_serve(struct model *model)
{
    while (model_serve_frames(model) || model_serve_pool(model))
        continue;
}

static enum fletch_credit_source model_try(struct model *model, struct model_partition *partition,
                                           uint64_t bytes, uint64_t barrier)
{
    bool somebody_waits = false;
    for (int p = 0; p < PARTITIONS; p++)
        somebody_waits |= oldest_of(&model->partitions[p]) != NULL;
    if (oldest_of(partition) != NULL)
        return FLETCH_CREDIT_NONE;
    if (!partition->own && barrier <= model->barrier)
        return FLETCH_CREDIT_OWN;
    return !somebody_waits && has_room(model, partition, bytes) ? FLETCH_CREDIT_POOL
                                                                : FLETCH_CREDIT_NONE;
}

static void hold(struct model_partition *partition, enum fletch_credit_source source,
                 uint64_t bytes)
{
    partition->held[partition->held_count].source = source;
    partition->held[partition->held_count++].bytes = bytes;
}

static void step_try(struct model *model, int p, uint64_t bytes, uint64_t barrier)
{
    struct model_partition *partition = &model->partitions[p];
    enum fletch_credit_source expected = model_try(model, partition, bytes, barrier);
    assert_int_equal(try_behind(barrier, p, bytes), expected);
    if (expected == FLETCH_CREDIT_NONE)
        return;
    model_take(model, partition, expected, bytes);
    hold(partition, expected, bytes);
}

static void step_return(struct model *model, int p, uint32_t choice)
{
    struct model_partition *partition = &model->partitions[p];
    if (partition->held_count == 0)
        return;
    int i = (int)(choice % (uint32_t)partition->held_count);
    enum fletch_credit_source source = partition->held[i].source;
    uint64_t bytes = partition->held[i].bytes;
    partition->held[i] = partition->held[--partition->held_count];
    partition->own &= source != FLETCH_CREDIT_OWN;
    partition->lent &= source != FLETCH_CREDIT_LENT;
    if (source == FLETCH_CREDIT_POOL) {
        partition->pooled -= bytes;
        model->free += bytes;
    }
    give_back(p, source, bytes);
    model_serve(model);
}

static void step_request(struct model *model, int p, int r, uint64_t bytes)
{
    uint64_t barrier = model->barrier + (bytes & 1);
    struct model_partition *partition = &model->partitions[p];
    struct model_request *request = &partition->requests[r];
    if (request->state == QUIET) {
        *request = (struct model_request){
            .state = WAITS, .bytes = bytes, .barrier = barrier, .age = model->ages++};
        ask_behind(barrier, p, r, bytes);
        model_serve(model);
    } else if (request->state == WAITS) {
        request->state = QUIET;
        assert_int_equal(give_up(p, r), FLETCH_CREDIT_NONE);
        model_serve(model);
    }
}

static void step_pass(struct model *model)
{
    fletch_credit_pool_pass(&shuffle.pool, ++model->barrier);
    model_serve(model);
}

/* Every grant of the model is one of the library, and the other way round. */
static void collect_grants(struct model *model)
{
    for (int p = 0; p < PARTITIONS; p++)
        for (int r = 0; r < REQUESTS; r++) {
            struct model_request *request = &model->partitions[p].requests[r];
            bool is_granted = request->state == GRANTED;
            assert_int_equal(granted(p, r), is_granted ? request->source : FLETCH_CREDIT_NONE);
            if (!is_granted)
                continue;
            request->state = QUIET;
            hold(&model->partitions[p], request->source, request->bytes);
        }
}

static void credit_goes_where_a_plain_model_gives_it(void **state)
{
    static struct model model;
    struct fletch_random random = fletch_random_from_seed(arguments.seed);
    (void)state;
    start(TOTAL);
    model.free = TOTAL;
    for (uint64_t i = 0; i < STEPS * arguments.scale; i++) {
        int p = (int)fletch_random_below(&random, PARTITIONS);
        uint64_t bytes = fletch_random_below(&random, BYTES_MOST);
        uint32_t kind = fletch_random_below(&random, 10);
        if (kind < 3 && model.partitions[p].held_count < HELD_MOST - REQUESTS)
            step_try(&model, p, bytes, model.barrier + (bytes & 1));
        else if (kind == 3 && fletch_random_below(&random, 20) == 0)
            step_pass(&model);
        else if (kind < 7)
            step_return(&model, p, fletch_random_below(&random, HELD_MOST));
        else
            step_request(&model, p, (int)fletch_random_below(&random, REQUESTS), bytes);
        collect_grants(&model);
    }
    for (int p = 0; p < PARTITIONS; p++)
        for (int r = 0; r < REQUESTS; r++)
            if (model.partitions[p].requests[r].state == WAITS)
                step_request(&model, p, r, 0);
    collect_grants(&model);
    for (int p = 0; p < PARTITIONS; p++)
        while (model.partitions[p].held_count != 0)
            step_return(&model, p, 0);
    assert_all_is_back();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_takes_its_partition_s_own_frame_then_the_pool),
        cmocka_unit_test(a_partition_holds_at_most_as_much_of_the_pool_as_is_still_free),
        cmocka_unit_test(the_second_frame_is_lent_only_to_a_channel_whose_writer_waits),
        cmocka_unit_test(a_frame_larger_than_the_partition_s_frame_passes_alone_on_the_own_frame),
        cmocka_unit_test(nobody_passes_a_request_of_the_same_partition),
        cmocka_unit_test(waiters_are_served_oldest_first),
        cmocka_unit_test(nobody_takes_of_the_pool_past_a_request_that_waits_for_it),
        cmocka_unit_test(a_request_whose_partition_has_no_room_is_skipped),
        cmocka_unit_test(a_waiter_that_gives_up_passes_its_turn_on),
        cmocka_unit_test(who_gives_up_after_the_grant_has_the_credit),
        cmocka_unit_test(who_has_given_up_may_ask_again_for_other_bytes),
        cmocka_unit_test(a_frame_without_bytes_takes_credit_too),
        cmocka_unit_test(a_grant_wakes_the_sleeper),
        cmocka_unit_test(every_change_is_a_move_and_a_refusal_is_none),
        cmocka_unit_test(a_frame_that_would_be_held_takes_the_pool_alone),
        cmocka_unit_test(who_is_awaited_passes_those_that_would_be_held),
        cmocka_unit_test(a_barrier_that_is_reached_frees_those_that_waited_for_it),
        cmocka_unit_test(credit_goes_where_a_plain_model_gives_it),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
