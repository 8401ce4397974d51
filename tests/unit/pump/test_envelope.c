#include "pump/envelope.h"

#include <stdlib.h>
#include <string.h>

#include <fletching/shuffle.h>

#include "support/cmocka_tests.h"

/* Messages of a pump against bytes that were put together from docs/format/wire.md by other means:
 * the format is frozen. */

/* clang-format off */
static const uint8_t hello_bytes[] = {
    0x46, 0x4c, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x00, 0x01, 0x02, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00,
    0x09, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x88, 0x77,
    0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d,
    0x1e, 0x1f, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b,
    0x2c, 0x2d, 0x2e, 0x2f, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39,
    0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x08, 0x00, 0x6c, 0x69, 0x6e, 0x65, 0x69, 0x74,
    0x65, 0x6d, 0x0d, 0x00, 0x66, 0x6c, 0x65, 0x74, 0x63, 0x68, 0x2d, 0x68, 0x61, 0x73,
    0x68, 0x2d, 0x31};

static const uint8_t welcome_bytes[] = {
    0x46, 0x4c, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x02, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x21, 0x22, 0x23,
    0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f};

static const uint8_t offer_bytes[] = {
    0x46, 0x4c, 0x01, 0x03, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};

static const uint8_t data_bytes[] = {
    0x46, 0x4c, 0x01, 0x04, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x0d, 0xf0, 0xfe, 0xca, 0x05, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xe8, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45,
    0x23, 0x01, 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe};

static const uint8_t update_bytes[] = {
    0x46, 0x4c, 0x01, 0x05, 0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x01, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
    0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x00, 0x00, 0x00, 0x09, 0x00,
    0x44, 0x41, 0x54, 0x41, 0x5f, 0x4c, 0x4f, 0x53, 0x53};

static const uint8_t give_back_bytes[] = {
    0x46, 0x4c, 0x01, 0x06, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};

static const uint8_t control_bytes[] = {
    0x46, 0x4c, 0x01, 0x07, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x01, 0x00,
    0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xfb, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x05, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x88, 0x13, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x4d, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x58, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};

static const uint8_t abort_bytes[] = {
    0x46, 0x4c, 0x01, 0x07, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x77, 0x68, 0x79};

static const uint8_t refuse_bytes[] = {
    0x46, 0x4c, 0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0x01, 0x0e, 0x00, 0x00, 0x01, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x0d, 0x00, 0x50, 0x52, 0x4f, 0x44, 0x55, 0x43, 0x45, 0x52,
    0x5f, 0x4c, 0x4f, 0x53, 0x54};

static const uint8_t bye_bytes[] = {
    0x46, 0x4c, 0x01, 0x09, 0x00, 0x00, 0x00, 0x00};

static const uint8_t want_bytes[] = {
    0x46, 0x4c, 0x01, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x03, 0x00,
    0x00, 0x00, 0x04, 0x00, 0x00, 0x00};
/* clang-format on */

static struct fletch_envelope found, sent;
static uint8_t bytes[FLETCH_ENVELOPE_BYTES_MAX];

/* Each cut, each byte more, and reserved bits are refused; what was read is written the same. */
static void check(const uint8_t *golden, size_t count)
{
    struct fletch_error error;
    assert_int_equal(fletch_envelope_encode(&sent, bytes), count);
    assert_memory_equal(bytes, golden, count);
    assert_ok(fletch_envelope_decode(golden, count, &found, &error));
    assert_int_equal(found.kind, sent.kind);
    assert_int_equal(fletch_envelope_encode(&found, bytes), count);
    assert_memory_equal(bytes, golden, count);
    for (size_t cut = 0; cut < count; cut++) {
        uint8_t *part = malloc(cut + 1); /* so that reading behind it is seen */
        memcpy(part, golden, cut);
        assert_int_equal(fletch_envelope_decode(part, cut, &found, &error),
                         FLETCH_INVALID_ARGUMENT);
        free(part);
    }
    memcpy(bytes, golden, count);
    bytes[count] = 0;
    assert_int_equal(fletch_envelope_decode(bytes, count + 1, &found, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "bytes behind its end: 1"));
    bytes[4] = 8;
    assert_int_equal(fletch_envelope_decode(bytes, count, &found, &error), FLETCH_UNIMPLEMENTED);
    assert_non_null(strstr(error.message, "unknown flags 0x8"));
}

#define CHECK(name) check(name##_bytes, sizeof name##_bytes)
#define TEXT(text) \
    (struct fletch_envelope_text) \
    { \
        (text), sizeof(text) - 1 \
    }

static struct fletch_id id_from(uint8_t first)
{
    struct fletch_id id;
    for (size_t i = 0; i < FLETCH_ID_BYTES; i++)
        id.bytes[i] = (uint8_t)(first + i);
    return id;
}

static void hello(void **state)
{
    (void)state;
    sent.kind = FLETCH_ENVELOPE_HELLO;
    sent.hello = (struct fletch_envelope_hello){
        .version_low = 1,
        .version_high = 1,
        .role = FLETCH_ROLE_SENDER,
        .sums = FLETCH_SUMS_KEYS,
        .features = FLETCH_FEATURE_EAGER,
        .session = 7,
        .resumes = 3,
        .epoch = 9,
        .partition_count = 4,
        .producer_limit = 2,
        .schema_fingerprint = UINT64_C(0x1122334455667788),
        .id = id_from(0x10),
        .incarnation = id_from(0x20),
        .expected = id_from(0x30),
        .name = TEXT("lineitem"),
        .method = TEXT("fletch-hash-1"),
    };
    CHECK(hello);
}

static void welcome(void **state)
{
    (void)state;
    sent.kind = FLETCH_ENVELOPE_WELCOME;
    sent.welcome = (struct fletch_envelope_welcome){.version = 1,
                                                    .features = FLETCH_FEATURE_EAGER,
                                                    .eager_bytes = 262144,
                                                    .incarnation = id_from(0x20)};
    CHECK(welcome);
}

static void offer(void **state)
{
    (void)state;
    sent.kind = FLETCH_ENVELOPE_OFFER;
    sent.offers.count = 2;
    sent.offers.offers[0] = (struct fletch_envelope_offer){{1, 1, 3}, 5, 262144, 2};
    sent.offers.offers[1] = (struct fletch_envelope_offer){{0, 1, 0}, 1, 0, 0};
    CHECK(offer);
}

static void data(void **state)
{
    (void)state;
    sent.kind = FLETCH_ENVELOPE_DATA;
    sent.data = (struct fletch_envelope_data){.channel = {1, 1, 3},
                                              .crc32c = 0xcafef00d,
                                              .sequence = 5,
                                              .offset = 1048576,
                                              .barrier = 2,
                                              .rows = 1000,
                                              .bytes = 262144,
                                              .key_sum = UINT64_C(0x0123456789abcdef),
                                              .row_sum = UINT64_C(0xfedcba9876543210)};
    CHECK(data);
}

static void update(void **state)
{
    (void)state;
    sent.kind = FLETCH_ENVELOPE_UPDATE;
    sent.update.is_complete = true;
    sent.update.mark_count = 1;
    sent.update.answer_count = 1;
    sent.update.marks[0] = (struct fletch_envelope_mark){{1, 1, 3}, 5, 1310720, 2621440};
    sent.update.answers[0] =
        (struct fletch_envelope_answer){1, 1, 8, FLETCH_DATA_LOSS, TEXT("DATA_LOSS")};
    CHECK(update);
}

static void give_back(void **state)
{
    (void)state;
    sent.kind = FLETCH_ENVELOPE_GIVE_BACK;
    sent.give_back = (struct fletch_envelope_give_back){{1, 1, 3}, 6};
    CHECK(give_back);
}

static void control(void **state)
{
    (void)state;
    sent.kind = FLETCH_ENVELOPE_CONTROL;
    sent.control.producer = 1;
    sent.control.attempt = 1;
    sent.control.sequence = 8;
    sent.control.kind = FLETCH_CONTROL_END;
    sent.control.has_more = false;
    sent.control.barrier = 2;
    sent.control.watermark = -5;
    sent.control.added_producer = 0;
    sent.control.reason = TEXT("");
    sent.control.totals_count = 1;
    sent.control.totals[0] = (struct fletch_channel_record){3, {5, 5000, 1310720, 77, 88}};
    CHECK(control);
    sent.control.kind = FLETCH_CONTROL_ABORT;
    sent.control.barrier = 0;
    sent.control.watermark = 0;
    sent.control.totals_count = 0;
    sent.control.reason = TEXT("why");
    CHECK(abort);
}

static void refuse(void **state)
{
    (void)state;
    sent.kind = FLETCH_ENVELOPE_REFUSE;
    sent.refuse = (struct fletch_envelope_refuse){.scope = FLETCH_REFUSED_PARTITION,
                                                  .status = FLETCH_UNAVAILABLE,
                                                  .channel = {1, 1, 3},
                                                  .sequence = 6,
                                                  .text = TEXT("PRODUCER_LOST")};
    CHECK(refuse);
}

static void bye_and_want(void **state)
{
    (void)state;
    sent.kind = FLETCH_ENVELOPE_BYE;
    CHECK(bye);
    sent.kind = FLETCH_ENVELOPE_WANT;
    sent.want = (struct fletch_envelope_want){.count = 2, .partitions = {3, 4}};
    CHECK(want);
}

/* A byte of a good message is another one. */
struct flaw {
    const uint8_t *golden;
    size_t count;
    size_t at;
    uint8_t value;
    enum fletch_status status;
    const char *text;
};

static void flaws(void **state)
{
    (void)state;
    static const struct flaw all[] = {
        {bye_bytes, sizeof bye_bytes, 0, 0, FLETCH_INVALID_ARGUMENT, "no message of a pump"},
        {bye_bytes, sizeof bye_bytes, 2, 2, FLETCH_UNIMPLEMENTED, "a message of version 2"},
        {bye_bytes, sizeof bye_bytes, 3, 0, FLETCH_UNIMPLEMENTED, "the unknown kind 0"},
        {bye_bytes, sizeof bye_bytes, 3, 11, FLETCH_UNIMPLEMENTED, "the unknown kind 11"},
        {hello_bytes, sizeof hello_bytes, 8, 2, FLETCH_INVALID_ARGUMENT, "lowest version"},
        {hello_bytes, sizeof hello_bytes, 10, 2, FLETCH_INVALID_ARGUMENT, "no such role: 2"},
        {hello_bytes, sizeof hello_bytes, 11, 5, FLETCH_INVALID_ARGUMENT, "level of sums: 5"},
        {hello_bytes, sizeof hello_bytes, 16, 4, FLETCH_INVALID_ARGUMENT, "not offered: 4"},
        {welcome_bytes, sizeof welcome_bytes, 9, 1, FLETCH_INVALID_ARGUMENT, "reserved"},
        {offer_bytes, sizeof offer_bytes, 8, 129, FLETCH_INVALID_ARGUMENT, "too many offers: 129"},
        {offer_bytes, sizeof offer_bytes, 24, 0, FLETCH_INVALID_ARGUMENT, "sequence"},
        {update_bytes, sizeof update_bytes, 8, 2, FLETCH_INVALID_ARGUMENT, "mark of an update"},
        {update_bytes, sizeof update_bytes, 9, 17, FLETCH_INVALID_ARGUMENT, "too many answers"},
        {update_bytes, sizeof update_bytes, 42, 0x01, FLETCH_INVALID_ARGUMENT, "grant is below"},
        {update_bytes, sizeof update_bytes, 64, 17, FLETCH_INVALID_ARGUMENT, "no such status"},
        {control_bytes, sizeof control_bytes, 24, 7, FLETCH_INVALID_ARGUMENT, "no such control"},
        {control_bytes, sizeof control_bytes, 24, 0, FLETCH_INVALID_ARGUMENT, "has totals"},
        {refuse_bytes, sizeof refuse_bytes, 8, 4, FLETCH_INVALID_ARGUMENT, "no such scope"},
        {refuse_bytes, sizeof refuse_bytes, 9, 0, FLETCH_INVALID_ARGUMENT, "has the status"},
        {want_bytes, sizeof want_bytes, 8, 1, FLETCH_INVALID_ARGUMENT, "behind its end: 4"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct fletch_error error;
        memcpy(bytes, all[i].golden, all[i].count);
        bytes[all[i].at] = all[i].value;
        if (fletch_envelope_decode(bytes, all[i].count, &found, &error) != all[i].status ||
            strstr(error.message, all[i].text) == NULL)
            fail_msg("flaw %zu: %s", i, error.message);
    }
}

/* The largest of each list fit, and one more is refused before anything is read. */
static void limits(void **state)
{
    (void)state;
    static char text[FLETCH_ENVELOPE_TEXT_MAX];
    struct fletch_error error;
    memset(text, 'x', sizeof text);
    sent.kind = FLETCH_ENVELOPE_UPDATE;
    sent.update.is_complete = false;
    sent.update.mark_count = FLETCH_ENVELOPE_ENTRIES_MAX;
    sent.update.answer_count = FLETCH_ENVELOPE_ANSWERS_MAX;
    for (uint32_t i = 0; i < FLETCH_ENVELOPE_ENTRIES_MAX; i++)
        sent.update.marks[i] = (struct fletch_envelope_mark){{i, 1, i}, i, i, i};
    for (uint32_t i = 0; i < FLETCH_ENVELOPE_ANSWERS_MAX; i++)
        sent.update.answers[i] = (struct fletch_envelope_answer){
            i, 1, i + 1, FLETCH_INTERNAL, {text, FLETCH_ENVELOPE_TEXT_MAX}};
    size_t count = fletch_envelope_encode(&sent, bytes);
    assert_true(count <= FLETCH_ENVELOPE_BYTES_MAX);
    assert_ok(fletch_envelope_decode(bytes, count, &found, &error));
    assert_int_equal(found.update.marks[127].grant, 127);
    assert_int_equal(found.update.answers[15].text.byte_count, FLETCH_ENVELOPE_TEXT_MAX);
    assert_int_equal(fletch_envelope_decode(bytes, FLETCH_ENVELOPE_BYTES_MAX + 1, &found, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "at most 32768"));
}

static void names(void **state)
{
    (void)state;
    const struct fletch_id id = id_from(0x0a);
    assert_string_equal(fletch_feature_name(1).text, "CRC32C");
    assert_string_equal(fletch_feature_name(2).text, "EAGER");
    assert_string_equal(fletch_feature_name(128).text, "bit 7");
    assert_string_equal(fletch_envelope_kind_name(FLETCH_ENVELOPE_WANT), "WANT");
    assert_string_equal(fletch_envelope_kind_name(99), "?");
    assert_string_equal(fletch_id_text(&id).text, "0a0b0c0d0e0f10111213141516171819");
    assert_false(fletch_id_is_zero(&id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello),   cmocka_unit_test(welcome), cmocka_unit_test(offer),
        cmocka_unit_test(data),    cmocka_unit_test(update),  cmocka_unit_test(give_back),
        cmocka_unit_test(control), cmocka_unit_test(refuse),  cmocka_unit_test(bye_and_want),
        cmocka_unit_test(flaws),   cmocka_unit_test(limits),  cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
