#include "flight/flight_intake.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"

/* Messages that arrive in pieces, of all shapes: what lies where, and what is refused. */

enum { MOST = 1 << 20 };

static struct test_pool pool;
static struct fletch_flight_intake intake;

/* A message that is being made, and what should be found in it. */
struct made {
    uint8_t *bytes;
    size_t size;
    uint8_t *heads[FLETCH_FLIGHT_HEADS];
    size_t head_bytes[FLETCH_FLIGHT_HEADS];
    bool has_head[FLETCH_FLIGHT_HEADS];
    uint8_t *body;
    size_t body_bytes;
};

static int start(void **state)
{
    (void)state;
    pool = test_pool_make();
    intake = (struct fletch_flight_intake){.memory = {pool.cache, pool.account},
                                           .step_bytes = FLETCH_FLIGHT_STEP_BYTES};
    return 0;
}

static int end(void **state)
{
    (void)state;
    fletch_flight_intake_drop(&intake);
    assert_int_equal(account_used_bytes(pool.account), 0);
    test_pool_end(&pool);
    return 0;
}

static struct made made_begin(void)
{
    struct made made = {.bytes = malloc(MOST)};
    assert_non_null(made.bytes);
    return made;
}

static void made_end(struct made *made)
{
    free(made->bytes);
}

/* Adds a field of `bytes` bytes that differ from field to field. */
static void add(struct made *made, uint32_t number, size_t bytes, uint8_t seed)
{
    uint8_t *to = made->bytes + made->size;
    to = fletch_flight_varint_write(to, fletch_flight_wire_key(number, FLETCH_FLIGHT_WIRE_BYTES));
    to = fletch_flight_varint_write(to, bytes);
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(seed + i * 7);
    if (number <= FLETCH_FLIGHT_HEADS) {
        made->heads[number - 1] = to;
        made->head_bytes[number - 1] = bytes;
        made->has_head[number - 1] = true;
    } else if (number == 1000) {
        made->body = to;
        made->body_bytes = bytes;
    }
    made->size = (size_t)(to - made->bytes) + bytes;
}

/* A field that nobody knows. */
static void add_unknown(struct made *made, struct fletch_random *random)
{
    uint8_t *to = made->bytes + made->size;
    uint32_t number = 4 + fletch_random_below(random, 900);
    switch (fletch_random_below(random, 4)) {
    case 0:
        to = fletch_flight_varint_write(to, (uint64_t)number << 3);
        to = fletch_flight_varint_write(to, fletch_random_u64(random));
        break;
    case 1:
        to = fletch_flight_varint_write(to, (uint64_t)number << 3 | 1) + 8;
        memset(to - 8, 0xff, 8);
        break;
    case 2:
        to = fletch_flight_varint_write(to, (uint64_t)number << 3 | 5) + 4;
        memset(to - 4, 0xff, 4);
        break;
    default:
        add(made, number + 1000, fletch_random_below(random, 2000), 3);
        return;
    }
    made->size = (size_t)(to - made->bytes);
}

/* Gives the bytes, each piece as large as `piece` says, at most. As gRPC does: there is another
 * place when the last one is full. */
static enum fletch_status give(const struct made *made, size_t piece, struct fletch_error *error)
{
    size_t at = 0, left = 0;
    uint8_t *to = NULL;
    enum fletch_status status = fletch_flight_intake_begin(&intake, true, made->size, error);
    while (status == FLETCH_OK && at < made->size) {
        if (left == 0) {
            struct iovec place = fletch_flight_intake_place(&intake);
            assert_true(place.iov_len > 0 && place.iov_len <= made->size - at);
            to = place.iov_base;
            left = place.iov_len;
        }
        size_t now = left < piece ? left : piece;
        memcpy(to, made->bytes + at, now);
        at += now;
        to += now;
        left -= now;
        status = fletch_flight_intake_filled(&intake, now, error);
    }
    return status;
}

static void check(const struct made *made, const struct fletch_flight_incoming *incoming)
{
    for (size_t i = 0; i < FLETCH_FLIGHT_HEADS; i++) {
        const struct fletch_flight_bytes *head = &incoming->heads[i];
        assert_int_equal(head->data != NULL, made->has_head[i]);
        assert_int_equal(head->bytes, made->head_bytes[i]);
        if (!made->has_head[i])
            continue;
        assert_memory_equal(head->data, made->heads[i], head->bytes);
        assert_int_equal(((const uint8_t *)head->data)[head->bytes], 0);
    }
    assert_int_equal(incoming->body_bytes, made->body_bytes);
    assert_int_equal(incoming->body != NULL, made->body_bytes != 0);
    if (incoming->body == NULL)
        return;
    const uint8_t *body = fletch_buffer_data(incoming->body) + incoming->body_offset;
    assert_int_equal((uintptr_t)body % 64, 0);
    assert_memory_equal(body, made->body, made->body_bytes);
}

static void check_given(const struct made *made, size_t piece)
{
    struct fletch_flight_incoming *incoming = NULL;
    struct fletch_error error;
    if (give(made, piece, &error) != FLETCH_OK ||
        fletch_flight_intake_take(&intake, true, &incoming, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    check(made, incoming);
    fletch_flight_incoming_free(pool.cache, incoming);
}

/* Small, and too large to be taken whole; cut at every byte. */
static void test_usual_shapes(void **state)
{
    (void)state;
    static const size_t bodies[] = {0, 1, 63, 64, 1000, 5000, 100000};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct made made = made_begin();
        add(&made, 1, 11, 1);
        add(&made, 2, 300, 2);
        add(&made, 3, 17, 3);
        if (bodies[i] != 0)
            add(&made, 1000, bodies[i], 4);
        check_given(&made, SIZE_MAX);
        for (size_t piece = 1; piece < 40; piece++)
            check_given(&made, piece);
        made_end(&made);
    }
}

static void test_empty_message(void **state)
{
    (void)state;
    struct made made = made_begin();
    check_given(&made, 1);
    add(&made, 3, 0, 0);
    add(&made, 1000, 0, 0);
    check_given(&made, 1);
    made_end(&made);
}

/* Fields in any order, repeated, unknown, absent, empty, of all sizes. */
static void test_random_shapes(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {1, 2, 3, 1000};
    struct fletch_random random = fletch_random_from_seed(5);
    for (int round = 0; round < 400; round++) {
        struct made made = made_begin();
        uint32_t fields = fletch_random_below(&random, 8);
        uint32_t scale = round % 2 == 0 ? 300 : 20000;
        for (uint32_t i = 0; i < fields; i++) {
            if (fletch_random_below(&random, 3) == 0)
                add_unknown(&made, &random);
            else
                add(&made, numbers[fletch_random_below(&random, 4)],
                    fletch_random_below(&random, scale), (uint8_t)round);
        }
        check_given(&made, SIZE_MAX);
        check_given(&made, 1 + fletch_random_below(&random, 30));
        check_given(&made, 1 + fletch_random_below(&random, 3000));
        made_end(&made);
    }
}

/* A body's memory doubles as its bytes come. */
static void test_body_in_steps(void **state)
{
    (void)state;
    struct made made = made_begin();
    intake.step_bytes = 128;
    add(&made, 2, 100, 2);
    add(&made, 1000, 50000, 4);
    add(&made, 3, 10, 1);
    for (size_t piece = 1; piece < 3000; piece = piece * 3 + 1)
        check_given(&made, piece);
    made_end(&made);
}

/* What claims much takes only what a step has. */
static void test_claim_takes_no_memory(void **state)
{
    (void)state;
    static const uint8_t claim[] = {0xc2, 0x3e, 0xf0, 0xff, 0xff, 0xff, 0x07, 1,
                                    2,    3,    4,    5,    6,    7,    8,    9};
    struct fletch_error error;
    intake.step_bytes = 4096;
    assert_ok(fletch_flight_intake_begin(&intake, true, (size_t)INT32_MAX, &error));
    struct iovec place = fletch_flight_intake_place(&intake);
    assert_int_equal(place.iov_len, sizeof claim);
    memcpy(place.iov_base, claim, sizeof claim);
    assert_ok(fletch_flight_intake_filled(&intake, sizeof claim, &error));
    assert_true(account_used_bytes(pool.account) < 20000);
    fletch_flight_intake_drop(&intake);
}

static void test_other_messages(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 4096, 4097, 300000};
    struct fletch_error error;
    struct fletch_flight_incoming *incoming;
    intake.step_bytes = 8192;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_ok(fletch_flight_intake_begin(&intake, false, sizes[i], &error));
        for (size_t at = 0; at < sizes[i];) {
            struct iovec place = fletch_flight_intake_place(&intake);
            memset(place.iov_base, (int)(i + 1), place.iov_len);
            at += place.iov_len;
            assert_ok(fletch_flight_intake_filled(&intake, place.iov_len, &error));
        }
        assert_ok(fletch_flight_intake_take(&intake, false, &incoming, &error));
        const struct fletch_flight_bytes *all = &incoming->heads[FLETCH_FLIGHT_HEAD_HEADER];
        assert_int_equal(all->bytes, sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            assert_int_equal(((const uint8_t *)all->data)[at], i + 1);
        fletch_flight_incoming_free(pool.cache, incoming);
    }
}

static void check_refused(const uint8_t *bytes, size_t size, size_t padded, const char *text)
{
    struct made made = made_begin();
    struct fletch_flight_incoming *incoming;
    struct fletch_error error;
    memset(made.bytes, 0, padded);
    memcpy(made.bytes, bytes, size);
    made.size = padded;
    enum fletch_status status = give(&made, SIZE_MAX, &error);
    if (status == FLETCH_OK)
        status = fletch_flight_intake_take(&intake, true, &incoming, &error);
    assert_int_equal(status, FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, text);
    fletch_flight_intake_drop(&intake);
    made_end(&made);
}

#define REFUSED(text, padded, cause) \
    check_refused((const uint8_t *)(text), sizeof(text) - 1, (padded), (cause))

static void test_malformed(void **state)
{
    (void)state;
    REFUSED("\x12", 1, "malformed");
    REFUSED("\x12\x05", 2, "malformed");
    REFUSED("\x0b\x01", 2, "malformed");
    REFUSED("\x00", 9000, "malformed"); /* a field without a number */
    REFUSED("\x12\xff\xff\x7f", 9000, "longer than the message");
    REFUSED("\xc2\x3e\xff\xff\xff\xff\x0f", 9000, "longer than the message");
    REFUSED("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9000, "malformed");
    REFUSED("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 9000, "malformed");
    /* The last key has no length. */
    struct made made = made_begin();
    struct fletch_error error;
    add(&made, 2, 9000, 1);
    made.bytes[made.size++] = 0xc2;
    assert_int_equal(give(&made, 100, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "malformed");
    made_end(&made);
}

static void test_head_without_end(void **state)
{
    (void)state;
    static const uint8_t head[16] = {0x12, 0x81, 0x80, 0x80, 0x08}; /* 16 MiB and a byte */
    struct fletch_error error;
    assert_ok(fletch_flight_intake_begin(&intake, true, (size_t)64 << 20, &error));
    struct iovec place = fletch_flight_intake_place(&intake);
    memcpy(place.iov_base, head, sizeof head);
    assert_int_equal(fletch_flight_intake_filled(&intake, sizeof head, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "at most 16777216");
}

static void test_account_is_asked(void **state)
{
    (void)state;
    struct fletch_account *small = account_make(pool.account, "small", 10000, 0);
    struct made made = made_begin();
    struct fletch_error error;
    intake.memory.account = small;
    add(&made, 2, 100, 1);
    add(&made, 1000, 50000, 1);
    assert_int_equal(give(&made, SIZE_MAX, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "small");
    fletch_flight_intake_drop(&intake);
    made_end(&made);
    fletch_account_close(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_usual_shapes, start, end),
        cmocka_unit_test_setup_teardown(test_empty_message, start, end),
        cmocka_unit_test_setup_teardown(test_random_shapes, start, end),
        cmocka_unit_test_setup_teardown(test_body_in_steps, start, end),
        cmocka_unit_test_setup_teardown(test_claim_takes_no_memory, start, end),
        cmocka_unit_test_setup_teardown(test_other_messages, start, end),
        cmocka_unit_test_setup_teardown(test_malformed, start, end),
        cmocka_unit_test_setup_teardown(test_head_without_end, start, end),
        cmocka_unit_test_setup_teardown(test_account_is_asked, start, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
