#include "flight/flight_status.h"

#include <string.h>

#include "base/allocator.h"
#include "support/cmocka_tests.h"

/* Statuses as trailers: how much they are at most, and details both ways. */

enum { STATUS_BYTES = 4096, HEADER_LIMIT = 8192 };

static void word(struct fletch_grpc_failure *failure, enum fletch_status status, const char *text)
{
    *failure = (struct fletch_grpc_failure){.status = status};
    memcpy(failure->text, text, strlen(text) + 1);
    fletch_flight_status_word(failure);
}

static void test_words(void **state)
{
    (void)state;
    struct fletch_grpc_failure failure;
    word(&failure, FLETCH_NOT_FOUND, "no such flight");
    assert_string_equal(failure.text, "NOT_FOUND: no such flight");
    assert_int_equal(failure.field_count, 2);
    assert_string_equal(failure.fields[0].name, "x-arrow-status");
    assert_string_equal(failure.fields[0].value, "2");
    assert_string_equal(failure.fields[1].name, "x-arrow-status-message-bin");
    assert_string_equal(failure.fields[1].value, failure.text);
    word(&failure, FLETCH_UNKNOWN, "CONSUMED: partition 7");
    assert_string_equal(failure.text, "CONSUMED: partition 7");
    assert_string_equal(failure.fields[0].value, "9");
    word(&failure, FLETCH_UNAVAILABLE, "");
    assert_string_equal(failure.text, "UNAVAILABLE");
    word(&failure, (enum fletch_status)77, "?");
    assert_string_equal(failure.fields[0].value, "9");
}

/* What was put into words once is not cut again. */
static void test_words_of_words(void **state)
{
    (void)state;
    char text[FLETCH_GRPC_FAILURE_TEXT_BYTES];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    struct fletch_grpc_failure once, twice;
    word(&once, FLETCH_FAILED_PRECONDITION, text);
    word(&twice, FLETCH_FAILED_PRECONDITION, once.text);
    assert_string_equal(once.text, twice.text);
}

/* What a client finds in these trailers. */
static struct fletch_flight_bytes detail_in(struct fletch_flight_header *items, size_t count)
{
    const struct fletch_flight_headers trailers = {items, count};
    enum fletch_status status = FLETCH_ABORTED;
    struct fletch_flight_bytes detail = {NULL, 0};
    const char *text = "a text";
    fletch_flight_status_read(&trailers, &status, &text, &detail);
    assert_int_equal(status, FLETCH_ABORTED);
    return detail;
}

static void test_details_of_all_lengths(void **state)
{
    (void)state;
    char text[FLETCH_FLIGHT_TEXT_BYTES], data[FLETCH_FLIGHT_DETAIL_BYTES_MOST];
    uint8_t status[STATUS_BYTES];
    memset(text, 't', sizeof text - 1);
    text[sizeof text - 1] = 0;
    memset(data, 'd', sizeof data);
    for (size_t bytes = 1; bytes <= sizeof data; bytes = bytes * 2 + 1) {
        size_t length = bytes < sizeof data ? bytes : sizeof data;
        const struct fletch_flight_bytes detail = {data, length};
        size_t written = fletch_flight_detail_write(FLETCH_ABORTED, text, &detail, status);
        assert_in_range(written, strlen(text) + length,
                        strlen(text) + length + FLETCH_FLIGHT_DETAIL_COST);
        struct fletch_flight_header item = {"grpc-status-details-bin", status, written};
        const struct fletch_flight_bytes found = detail_in(&item, 1);
        assert_int_equal(found.bytes, length);
        assert_memory_equal(found.data, data, length);
    }
}

/* Of what is cut off or not quite it, all is the detail: some other server's. */
static void test_details_that_are_none_of_ours(void **state)
{
    (void)state;
    const struct fletch_flight_bytes detail = {"detail", 6};
    uint8_t status[STATUS_BYTES];
    size_t written = fletch_flight_detail_write(FLETCH_ABORTED, "text", &detail, status);
    for (size_t cut = 0; cut < written; cut++) {
        struct fletch_flight_header item = {"grpc-status-details-bin", status, cut};
        assert_int_equal(detail_in(&item, 1).bytes, cut);
    }
    for (size_t bit = 0; bit < written * 8; bit++) {
        status[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct fletch_flight_header item = {"grpc-status-details-bin", status, written};
        const struct fletch_flight_bytes found = detail_in(&item, 1);
        assert_true(found.bytes == written || found.bytes == detail.bytes);
        status[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    memcpy(status + written, status, written); /* its one detail twice */
    struct fletch_flight_header item = {"grpc-status-details-bin", status, 2 * written};
    assert_int_equal(detail_in(&item, 1).bytes, 2 * written);
}

/* The trailers that gRPC makes of the longest texts and details. */
static size_t header_bytes(const struct fletch_http2_field *fields, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += fields[i].name_bytes + 32 + (fields[i].value_bytes + 2) / 3 * 4;
    return bytes;
}

static void test_trailers_stay_below_the_limits_of_peers(void **state)
{
    (void)state;
    char text[FLETCH_FLIGHT_TEXT_BYTES], data[FLETCH_FLIGHT_DETAIL_BYTES_MOST] = {0};
    const struct fletch_allocator allocator = fletch_allocator_or_default(NULL);
    uint8_t bytes[STATUS_BYTES];
    memset(text, 't', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (size_t length = 0; length <= sizeof data; length += 64) {
        struct fletch_grpc_failure failure;
        word(&failure, FLETCH_ABORTED, text);
        const struct fletch_flight_bytes detail = {data, length};
        struct fletch_flight_bytes status = {bytes, 0};
        struct fletch_field_list trailers;
        fletch_field_list_init(&trailers, &allocator);
        status.bytes = fletch_flight_detail_write(FLETCH_ABORTED, failure.text, &detail, bytes);
        assert_true(fletch_flight_detail_add(&trailers, &detail, &status));
        assert_int_equal(trailers.count, length == 0 ? 0 : length <= 1024 ? 2 : 1);
        size_t all = header_bytes(failure.fields, failure.field_count) + strlen(failure.text) +
                     header_bytes(fletch_field_list_fields(&trailers), trailers.count);
        assert_in_range(all, 1, HEADER_LIMIT - 512);
        fletch_field_list_deinit(&trailers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_words_of_words),
        cmocka_unit_test(test_details_of_all_lengths),
        cmocka_unit_test(test_details_that_are_none_of_ours),
        cmocka_unit_test(test_trailers_stay_below_the_limits_of_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
