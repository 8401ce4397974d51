#include <fletching/batch_slot.h>

#include "memory/batch.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/rings.h"

static struct fletch_batch *batch_of_rows(struct test_pool *pool, int64_t rows)
{
    struct fletch_batch *batch;
    const struct fletch_batch_parts parts = {.row_count = rows};
    assert_ok(fletch_batch_create(pool->cache, pool->account, &parts, &batch, NULL));
    return batch;
}

static struct fletch_batch_slot slot_of(struct test_pool *pool, int64_t rows)
{
    return (struct fletch_batch_slot){
        .shuffle_hash = 77, .partition = (uint32_t)rows, .batch = batch_of_rows(pool, rows)};
}

static void batches_travel_through_an_spsc_ring(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_spsc_ring_options options =
        spsc_options(FLETCH_RING_SLOT_SEQUENCE, sizeof(struct fletch_batch_slot), 2);
    struct fletch_spsc_ring *ring;
    assert_ok(fletch_spsc_ring_create(&options, NULL, &ring, NULL));
    for (int64_t i = 0; i < 5; i++) {
        struct fletch_batch_slot slot = slot_of(&pool, i), out;
        assert_answer(fletch_batch_slot_push_spsc(ring, &slot, 0), FLETCH_DONE);
        assert_answer(fletch_batch_slot_pop_spsc(ring, &out, 0), FLETCH_DONE);
        assert_int_equal(out.partition, i);
        assert_int_equal(out.shuffle_hash, 77);
        assert_int_equal(fletch_batch_row_count(out.batch), i);
        fletch_batch_release(pool.cache, out.batch);
        assert_answer(fletch_batch_slot_pop_spsc(ring, &out, 0), FLETCH_EMPTY);
    }
    /* Two are left: their references are dropped with the ring. */
    for (int64_t i = 0; i < 2; i++) {
        struct fletch_batch_slot slot = slot_of(&pool, i);
        assert_answer(fletch_batch_slot_push_spsc(ring, &slot, 0), FLETCH_DONE);
    }
    struct fletch_batch_slot refused = slot_of(&pool, 9);
    assert_answer(fletch_batch_slot_push_spsc(ring, &refused, 0), FLETCH_FULL);
    fletch_batch_release(NULL, refused.batch); /* it stayed the caller's */
    fletch_spsc_ring_destroy(ring, fletch_batch_slot_drop, pool.cache);
    assert_int_equal(account_used_bytes(pool.account), 0);
    test_pool_end(&pool);
}

static void batches_travel_through_an_mpsc_queue(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_mpsc_queue_options options = mpsc_options(sizeof(struct fletch_batch_slot), 4);
    struct fletch_mpsc_queue *queue;
    struct fletch_batch_slot out;
    assert_ok(fletch_mpsc_queue_create(&options, NULL, &queue, NULL));
    for (int64_t i = 0; i < 3; i++) {
        struct fletch_batch_slot slot = slot_of(&pool, i);
        assert_answer(fletch_batch_slot_push_mpsc(queue, &slot, 0), FLETCH_DONE);
    }
    assert_answer(fletch_batch_slot_pop_mpsc(queue, &out, 0), FLETCH_DONE);
    assert_int_equal(fletch_batch_row_count(out.batch), 0);
    fletch_batch_release(pool.cache, out.batch);
    fletch_mpsc_queue_close(queue);
    struct fletch_batch_slot refused = slot_of(&pool, 9);
    assert_answer(fletch_batch_slot_push_mpsc(queue, &refused, 0), FLETCH_CLOSED);
    fletch_batch_release(NULL, refused.batch);
    fletch_mpsc_queue_destroy(queue, fletch_batch_slot_drop, NULL);
    assert_int_equal(account_used_bytes(pool.account), 0);
    test_pool_end(&pool);
}

static void batches_travel_through_a_fan_in(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_fan_in_options options = fan_in_options(sizeof(struct fletch_batch_slot), 4, 2);
    struct fletch_fan_in *fan_in = fan_in_new(&options);
    struct fletch_fan_in_lane *lanes[2] = {fan_in_register(fan_in), fan_in_register(fan_in)};
    struct fletch_batch_slot out;
    for (int64_t i = 0; i < 4; i++) {
        struct fletch_batch_slot slot = slot_of(&pool, i);
        assert_answer(fletch_batch_slot_push_fan_in(lanes[i % 2], &slot, 0), FLETCH_DONE);
    }
    assert_answer(fletch_batch_slot_pop_fan_in(fan_in, &out, 0), FLETCH_DONE);
    assert_int_equal(fletch_batch_row_count(out.batch), 0);
    fletch_batch_release(pool.cache, out.batch);
    fletch_fan_in_cancel(fan_in);
    struct fletch_batch_slot refused = slot_of(&pool, 9);
    assert_answer(fletch_batch_slot_push_fan_in(lanes[1], &refused, 0), FLETCH_CLOSED);
    fletch_batch_release(NULL, refused.batch);
    fletch_fan_in_destroy(fan_in, fletch_batch_slot_drop, NULL);
    assert_int_equal(account_used_bytes(pool.account), 0);
    test_pool_end(&pool);
}

/* One reference for the ring until all have passed, one for each that popped. */
static void batches_travel_through_a_broadcast_ring(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_broadcast_ring_options options =
        broadcast_options(sizeof(struct fletch_batch_slot), 4, 2);
    options.drop = fletch_batch_slot_drop;
    options.hold = fletch_batch_slot_hold;
    struct fletch_broadcast_ring *ring = broadcast_new(&options);
    struct fletch_broadcast_consumer *consumers[2] = {broadcast_join(ring, false, NULL, 0),
                                                      broadcast_join(ring, false, NULL, 0)};
    for (int64_t i = 0; i < 10; i++) {
        struct fletch_batch_slot slot = slot_of(&pool, i), out[2];
        assert_answer(fletch_batch_slot_push_broadcast(ring, &slot, 0), FLETCH_DONE);
        for (size_t k = 0; k < 2; k++)
            assert_answer(fletch_batch_slot_pop_broadcast(consumers[k], &out[k], 0), FLETCH_DONE);
        assert_ptr_equal(out[0].batch, out[1].batch);
        fletch_batch_release(pool.cache, out[0].batch);
        assert_int_equal(fletch_batch_row_count(out[1].batch), i);
        fletch_batch_release(pool.cache, out[1].batch);
        assert_answer(fletch_batch_slot_pop_broadcast(consumers[0], &out[0], 0), FLETCH_EMPTY);
        assert_answer(fletch_batch_slot_pop_broadcast(consumers[1], &out[1], 0), FLETCH_EMPTY);
        assert_int_equal(account_used_bytes(pool.account), 0); /* though nobody pushes */
    }
    struct fletch_batch_slot left = slot_of(&pool, 3), refused = slot_of(&pool, 4);
    assert_answer(fletch_batch_slot_push_broadcast(ring, &left, 0), FLETCH_DONE);
    fletch_broadcast_ring_close(ring);
    assert_answer(fletch_batch_slot_push_broadcast(ring, &refused, 0), FLETCH_CLOSED);
    fletch_batch_release(NULL, refused.batch);
    fletch_broadcast_ring_destroy(ring);
    assert_int_equal(account_used_bytes(pool.account), 0);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_travel_through_an_spsc_ring),
        cmocka_unit_test(batches_travel_through_an_mpsc_queue),
        cmocka_unit_test(batches_travel_through_a_fan_in),
        cmocka_unit_test(batches_travel_through_a_broadcast_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
