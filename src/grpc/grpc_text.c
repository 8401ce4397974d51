#include "grpc/grpc_text.h"

#include <string.h>

static const char hex[] = "0123456789ABCDEF";

size_t fletch_grpc_percent_encode(const char *text, size_t bytes, char *out_text)
{
    size_t written = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_edge = c == ' ' && (i == 0 || i + 1 == bytes);
        if (c >= 0x20 && c <= 0x7e && c != '%' && !is_edge) {
            out_text[written++] = (char)c;
            continue;
        }
        out_text[written++] = '%';
        out_text[written++] = hex[c >> 4];
        out_text[written++] = hex[c & 15];
    }
    return written;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

size_t fletch_grpc_percent_decode(const char *text, size_t bytes, char *out_text)
{
    size_t written = 0;
    for (size_t i = 0; i < bytes; i++) {
        int high = i + 2 < bytes && text[i] == '%' ? digit_of(text[i + 1]) : -1;
        int low = high >= 0 ? digit_of(text[i + 2]) : -1;
        if (low < 0) {
            out_text[written++] = text[i];
            continue;
        }
        out_text[written++] = (char)(high * 16 + low);
        i += 2;
    }
    return written;
}

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t fletch_grpc_base64_encode(const uint8_t *data, size_t bytes, char *out_text)
{
    size_t written = 0;
    uint32_t held = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < bytes; i++) {
        held = held << 8 | data[i];
        bits += 8;
        while (bits >= 6) {
            bits -= 6;
            out_text[written++] = base64[held >> bits & 63];
        }
    }
    if (bits != 0)
        out_text[written++] = base64[held << (6 - bits) & 63];
    return written;
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool fletch_grpc_base64_decode(const char *text, size_t bytes, uint8_t *out_data, size_t *out_bytes)
{
    size_t written = 0;
    uint32_t held = 0;
    uint32_t bits = 0;
    if (bytes % 4 == 0)
        for (int i = 0; i < 2 && bytes != 0 && text[bytes - 1] == '='; i++)
            bytes--;
    if (bytes % 4 == 1)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        int value = value_of(text[i]);
        if (value < 0)
            return false;
        held = held << 6 | (uint32_t)value;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        out_data[written++] = (uint8_t)(held >> bits);
    }
    *out_bytes = written;
    return true;
}

struct unit {
    char name;
    uint64_t ns;
};

static const struct unit units[] = {
    {'n', 1},
    {'u', 1000},
    {'m', 1000000},
    {'S', 1000000000},
    {'M', UINT64_C(60) * 1000000000},
    {'H', UINT64_C(3600) * 1000000000},
};

enum { UNITS = sizeof units / sizeof units[0], DIGITS_MOST = 8, VALUE_MOST = 99999999 };

void fletch_grpc_timeout_write(uint64_t timeout_ns, char out_text[FLETCH_GRPC_TIMEOUT_BYTES])
{
    char digits[24];
    size_t count = 0;
    size_t unit = 0;
    uint64_t value = timeout_ns;
    while (value > VALUE_MOST && unit + 1 < UNITS) {
        unit++;
        value = timeout_ns / units[unit].ns + (timeout_ns % units[unit].ns != 0);
    }
    if (value > VALUE_MOST)
        value = VALUE_MOST;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < count; i++)
        out_text[i] = digits[count - 1 - i];
    out_text[count] = units[unit].name;
    out_text[count + 1] = 0;
}

bool fletch_grpc_timeout_read(const char *text, size_t bytes, uint64_t *out_timeout_ns)
{
    uint64_t value = 0;
    if (bytes < 2 || bytes > DIGITS_MOST + 1)
        return false;
    for (size_t i = 0; i + 1 < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    for (size_t i = 0; i < UNITS; i++) {
        if (units[i].name != text[bytes - 1])
            continue;
        *out_timeout_ns = value > UINT64_MAX / units[i].ns ? UINT64_MAX : value * units[i].ns;
        return true;
    }
    return false;
}
