#include "type_names.h"

#include <stdio.h>
#include <string.h>

/* Types whose format says all. */
static const struct {
    const char *format;
    const char *name;
} fixed_names[] = {
    {"n", "null"},
    {"b", "bool"},
    {"c", "int8"},
    {"C", "uint8"},
    {"s", "int16"},
    {"S", "uint16"},
    {"i", "int32"},
    {"I", "uint32"},
    {"l", "int64"},
    {"L", "uint64"},
    {"e", "half"},
    {"f", "float"},
    {"g", "double"},
    {"u", "utf8"},
    {"U", "large_utf8"},
    {"z", "binary"},
    {"Z", "large_binary"},
    {"vu", "utf8_view"},
    {"vz", "binary_view"},
    {"tdD", "date32"},
    {"tdm", "date64"},
    {"tts", "time32[s]"},
    {"ttm", "time32[ms]"},
    {"ttu", "time64[us]"},
    {"ttn", "time64[ns]"},
    {"tDs", "duration[s]"},
    {"tDm", "duration[ms]"},
    {"tDu", "duration[us]"},
    {"tDn", "duration[ns]"},
    {"tiM", "interval_months"},
    {"tss:", "timestamp[s]"},
    {"tsm:", "timestamp[ms]"},
    {"tsu:", "timestamp[us]"},
    {"tsn:", "timestamp[ns]"},
};
enum { FIXED_NAMES = sizeof fixed_names / sizeof fixed_names[0] };

static bool parse_decimal(const char *name, char *out_format, size_t size)
{
    int bits, precision, scale, end = 0;
    if (sscanf(name, "decimal%d(%d,%d)%n", &bits, &precision, &scale, &end) != 3 || end == 0 ||
        name[end] != '\0')
        return false;
    int length = bits == 128 ? snprintf(out_format, size, "d:%d,%d", precision, scale)
                             : snprintf(out_format, size, "d:%d,%d,%d", precision, scale, bits);
    return length > 0 && (size_t)length < size;
}

static bool parse_with_parameters(const char *name, char *out_format, size_t size)
{
    int end = 0, length = -1;
    unsigned width;
    char unit[3], zone[64];
    if (sscanf(name, "fixed_size_binary[%u]%n", &width, &end) == 1 && end > 0 && name[end] == '\0')
        length = snprintf(out_format, size, "w:%u", width);
    end = 0;
    if (sscanf(name, "timestamp[%2[smun],%63[^]]]%n", unit, zone, &end) == 2 && end > 0 &&
        name[end] == '\0')
        length = snprintf(out_format, size, "ts%c:%s", unit[0], zone);
    return length > 0 && (size_t)length < size;
}

bool type_names_parse(const char *name, size_t length, char *out_format, size_t size)
{
    char word[128];
    size_t end = 0;
    for (size_t i = 0; i < length; i++) {
        if (name[i] == ' ')
            continue;
        if (end + 1 == sizeof word)
            return false;
        word[end++] = name[i];
    }
    word[end] = '\0';
    for (size_t i = 0; i < FIXED_NAMES; i++)
        if (strcmp(fixed_names[i].name, word) == 0)
            return (size_t)snprintf(out_format, size, "%s", fixed_names[i].format) < size;
    return parse_decimal(word, out_format, size) || parse_with_parameters(word, out_format, size);
}
