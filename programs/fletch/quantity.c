#include "quantity.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The digits that `word` begins with; NULL where there are none or too many. */
static const char *parse_digits(const char *word, uint64_t *out_count)
{
    if (!isdigit((unsigned char)*word))
        return NULL;
    uint64_t count = 0;
    for (; isdigit((unsigned char)*word); word++) {
        uint64_t digit = (uint64_t)(*word - '0');
        if (count > (UINT64_MAX - digit) / 10)
            return NULL;
        count = count * 10 + digit;
    }
    *out_count = count;
    return word;
}

bool quantity_parse_count(const char *word, uint64_t *out_count)
{
    const char *end = parse_digits(word, out_count);
    return end != NULL && *end == '\0';
}

bool quantity_parse_bytes(const char *word, uint64_t *out_bytes)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } units[] = {{"", 1},
                 {"B", 1},
                 {"KB", 1000},
                 {"MB", 1000000},
                 {"GB", 1000000000},
                 {"TB", UINT64_C(1000000000000)},
                 {"K", UINT64_C(1) << 10},
                 {"M", UINT64_C(1) << 20},
                 {"G", UINT64_C(1) << 30},
                 {"T", UINT64_C(1) << 40},
                 {"KiB", UINT64_C(1) << 10},
                 {"MiB", UINT64_C(1) << 20},
                 {"GiB", UINT64_C(1) << 30},
                 {"TiB", UINT64_C(1) << 40}};
    uint64_t count;
    const char *unit = parse_digits(word, &count);
    if (unit == NULL)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcasecmp(unit, units[i].unit) == 0 && count <= UINT64_MAX / units[i].factor) {
            *out_bytes = count * units[i].factor;
            return true;
        }
    return false;
}

struct quantity_text quantity_count(uint64_t count)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    struct quantity_text text;
    size_t end = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            text.text[end++] = ',';
        text.text[end++] = digits[i];
    }
    text.text[end] = '\0';
    return text;
}

struct quantity_text quantity_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    int decimals = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    struct quantity_text text;
    snprintf(text.text, sizeof text.text, "%.*f %s", decimals, value, units[unit]);
    return text;
}

struct quantity_text quantity_duration(double seconds)
{
    struct quantity_text text;
    if (seconds < 0.9995)
        snprintf(text.text, sizeof text.text, "%.0f ms", seconds * 1000);
    else if (seconds < 99.95)
        snprintf(text.text, sizeof text.text, "%.1f s", seconds);
    else if (seconds < 359999)
        snprintf(text.text, sizeof text.text, "%u min %02u s", (unsigned)(seconds / 60),
                 (unsigned)seconds % 60);
    else
        snprintf(text.text, sizeof text.text, "%.0f h", seconds / 3600);
    return text;
}
