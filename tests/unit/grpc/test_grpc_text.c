#include <string.h>

#include "base/random.h"
#include "grpc/grpc_status.h"
#include "grpc/grpc_text.h"
#include "support/cmocka_tests.h"

static void check_percent(const char *text, const char *encoded)
{
    char out[200];
    size_t bytes = fletch_grpc_percent_encode(text, strlen(text), out);
    out[bytes] = 0;
    assert_string_equal(out, encoded);
    bytes = fletch_grpc_percent_decode(out, bytes, out);
    out[bytes] = 0;
    assert_string_equal(out, text);
}

static void test_percent(void **state)
{
    (void)state;
    char out[64];
    check_percent("", "");
    check_percent("plain text ~", "plain text ~");
    check_percent("100% \n\x7f", "100%25 %0A%7F");
    check_percent(" a b ", "%20a b%20");
    check_percent("\xc3\xbc\xe2\x82\xac", "%C3%BC%E2%82%AC");
    /* Bad encodings stay as they are. */
    static const char *const bad[] = {"%", "%4", "%zz", "%4g", "a%", "%%"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t bytes = fletch_grpc_percent_decode(bad[i], strlen(bad[i]), out);
        assert_int_equal(bytes, strlen(bad[i]));
        assert_memory_equal(out, bad[i], bytes);
    }
    assert_int_equal(fletch_grpc_percent_decode("%2b%2B", 6, out), 2);
    assert_memory_equal(out, "++", 2);
}

static void check_base64(const char *data, const char *text, const char *padded)
{
    char out[64];
    uint8_t decoded[64];
    size_t bytes = fletch_grpc_base64_encode((const uint8_t *)data, strlen(data), out);
    assert_int_equal(bytes, strlen(text));
    assert_int_equal(bytes, FLETCH_GRPC_BASE64_BYTES(strlen(data)));
    assert_memory_equal(out, text, bytes);
    assert_true(fletch_grpc_base64_decode(text, strlen(text), decoded, &bytes));
    assert_int_equal(bytes, strlen(data));
    assert_memory_equal(decoded, data, bytes);
    assert_true(fletch_grpc_base64_decode(padded, strlen(padded), decoded, &bytes));
    assert_int_equal(bytes, strlen(data));
    assert_memory_equal(decoded, data, bytes);
}

static void test_base64(void **state)
{
    (void)state;
    uint8_t data[100];
    uint8_t decoded[100];
    char text[200];
    size_t bytes;
    check_base64("", "", "");
    check_base64("f", "Zg", "Zg==");
    check_base64("fo", "Zm8", "Zm8=");
    check_base64("foo", "Zm9v", "Zm9v");
    check_base64("foob", "Zm9vYg", "Zm9vYg==");
    static const char *const bad[] = {"Z", "Zm9vY", "Zm=v", "Z===", "=", "Zg=", "Zm8-", "Z g="};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(fletch_grpc_base64_decode(bad[i], strlen(bad[i]), decoded, &bytes));
    struct fletch_random random = fletch_random_from_seed(3);
    for (size_t size = 0; size < sizeof data; size++) {
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)fletch_random_u64(&random);
        size_t written = fletch_grpc_base64_encode(data, size, text);
        assert_true(fletch_grpc_base64_decode(text, written, decoded, &bytes));
        assert_int_equal(bytes, size);
        assert_memory_equal(decoded, data, size);
    }
}

static void test_timeout(void **state)
{
    (void)state;
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {
        {0, "0n"},
        {99999999, "99999999n"},
        {100000000, "100000u"},
        {100000001, "100001u"},
        {UINT64_C(5000000000), "5000000u"},
        {UINT64_C(100000000001), "100001m"},
        {UINT64_C(100000000000000), "100000S"},
        {UINT64_MAX, "5124096H"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[FLETCH_GRPC_TIMEOUT_BYTES];
        uint64_t ns = 0;
        fletch_grpc_timeout_write(cases[i].ns, text);
        assert_string_equal(text, cases[i].text);
        assert_true(fletch_grpc_timeout_read(text, strlen(text), &ns));
        assert_true(ns >= cases[i].ns || ns == UINT64_MAX);
    }
    uint64_t ns = 0;
    assert_true(fletch_grpc_timeout_read("99999999H", 9, &ns));
    assert_true(ns == UINT64_MAX);
    assert_true(fletch_grpc_timeout_read("2M", 2, &ns));
    assert_true(ns == UINT64_C(120000000000));
    static const char *const bad[] = {"", "1", "S", "1s", "123456789S", "-1S", "1 S", "1.5S"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(fletch_grpc_timeout_read(bad[i], strlen(bad[i]), &ns));
}

static void test_status(void **state)
{
    (void)state;
    assert_int_equal(fletch_grpc_status_read("0", 1), FLETCH_OK);
    assert_int_equal(fletch_grpc_status_read("16", 2), FLETCH_UNAUTHENTICATED);
    static const char *const bad[] = {"", "17", "x", "-1", "100", "1 "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(fletch_grpc_status_read(bad[i], strlen(bad[i])), FLETCH_UNKNOWN);
    static const int http[][2] = {{400, 13}, {401, 16}, {403, 7},  {404, 12}, {429, 14}, {431, 13},
                                  {502, 14}, {503, 14}, {504, 14}, {200, 2},  {500, 2}};
    for (size_t i = 0; i < sizeof http / sizeof http[0]; i++)
        assert_int_equal(fletch_grpc_status_of_http((uint32_t)http[i][0]), http[i][1]);
    static const int resets[][3] = {
        {FLETCH_HTTP2_REFUSED_STREAM, FLETCH_HTTP2_BY_REFUSAL, FLETCH_UNAVAILABLE},
        {FLETCH_HTTP2_NO_ERROR, FLETCH_HTTP2_BY_LOSS, FLETCH_UNAVAILABLE},
        {FLETCH_HTTP2_CANCEL, FLETCH_HTTP2_BY_PEER, FLETCH_CANCELLED},
        {FLETCH_HTTP2_ENHANCE_YOUR_CALM, FLETCH_HTTP2_BY_PEER, FLETCH_RESOURCE_EXHAUSTED},
        {FLETCH_HTTP2_INADEQUATE_SECURITY, FLETCH_HTTP2_BY_PEER, FLETCH_PERMISSION_DENIED},
        {FLETCH_HTTP2_PROTOCOL_ERROR, FLETCH_HTTP2_BY_US, FLETCH_INTERNAL},
        {4711, FLETCH_HTTP2_BY_PEER, FLETCH_INTERNAL},
    };
    for (size_t i = 0; i < sizeof resets / sizeof resets[0]; i++)
        assert_int_equal(fletch_grpc_status_of_reset((uint32_t)resets[i][0],
                                                     (enum fletch_http2_cause)resets[i][1]),
                         resets[i][2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
