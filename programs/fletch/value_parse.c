#include "value_parse.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "time_text.h"

enum { VIEW_BYTES = 16 };

const char *value_parse_text(enum value_parse_answer answer)
{
    switch (answer) {
    case VALUE_TYPE_HAS_NO_TEXT:
        return "values of this type cannot be given as text";
    case VALUE_NOT_OF_TYPE:
        return "not a value of this type";
    case VALUE_NO_MEMORY:
        return "no memory for the value";
    default:
        return "a value";
    }
}

static bool parse_signed(const char *word, int64_t *out_number)
{
    char *end;
    errno = 0;
    *out_number = strtoll(word, &end, 10);
    return errno == 0 && end != word && *end == '\0' && !isspace((unsigned char)*word);
}

static enum value_parse_answer parse_integer(struct value_cell *cell, const char *word)
{
    static const char formats[] = "cCsSiIlL";
    size_t place = (size_t)(strchr(formats, cell->format[0]) - formats);
    unsigned bits = 8u << place / 2;
    int64_t number;
    if (place % 2 == 0) {
        if (!parse_signed(word, &number) || (bits < 64 && (number < -(INT64_C(1) << (bits - 1)) ||
                                                           number >= INT64_C(1) << (bits - 1))))
            return VALUE_NOT_OF_TYPE;
    } else {
        char *end;
        errno = 0;
        uint64_t positive = strtoull(word, &end, 10);
        if (errno != 0 || !isdigit((unsigned char)*word) || *end != '\0' ||
            (bits < 64 && positive >> bits != 0))
            return VALUE_NOT_OF_TYPE;
        memcpy(&number, &positive, sizeof number);
    }
    memcpy(cell->bytes, &number, bits / 8);
    return VALUE_PARSED;
}

static enum value_parse_answer parse_real(struct value_cell *cell, const char *word)
{
    char *end;
    double number = strtod(word, &end);
    if (end == word || *end != '\0')
        return VALUE_NOT_OF_TYPE;
    float single = (float)number;
    if (cell->format[0] == 'f')
        memcpy(cell->bytes, &single, sizeof single);
    else
        memcpy(cell->bytes, &number, sizeof number);
    return VALUE_PARSED;
}

/* number = number * 10 + digit, in 256 bits. False: it passes 2^255. */
static bool append_digit(uint32_t words[8], unsigned digit)
{
    uint64_t carry = digit;
    for (int i = 0; i < 8; i++) {
        carry += (uint64_t)words[i] * 10;
        words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return carry == 0 && words[7] >> 31 == 0;
}

/* Digits of a decimal, with the point moved behind the last one of its scale. */
static bool take_digits(const char *word, int precision, int scale, uint32_t words[8])
{
    int digits = 0, behind = -1;
    bool has_digit = false;
    for (; *word != '\0'; word++) {
        if (*word == '.' && behind < 0) {
            behind = 0;
            continue;
        }
        if (!isdigit((unsigned char)*word) || behind >= scale)
            return false;
        has_digit = true;
        behind += behind >= 0;
        digits += digits > 0 || *word != '0';
        if (!append_digit(words, (unsigned)(*word - '0')))
            return false;
    }
    for (int at = behind < 0 ? 0 : behind; at < scale; at++) {
        digits += digits > 0;
        if (!append_digit(words, 0))
            return false;
    }
    return has_digit && digits <= precision;
}

static enum value_parse_answer parse_decimal(struct value_cell *cell, const char *word)
{
    int precision, scale, bits = 128;
    uint32_t words[8] = {0};
    if (sscanf(cell->format, "d:%d,%d,%d", &precision, &scale, &bits) < 2 || scale < 0)
        return VALUE_TYPE_HAS_NO_TEXT;
    bool is_negative = *word == '-';
    if (!take_digits(word + (is_negative || *word == '+'), precision, scale, words))
        return VALUE_NOT_OF_TYPE;
    uint64_t carry = 1;
    for (int i = 0; i < 8 && is_negative; i++) {
        carry += (uint32_t)~words[i];
        words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    memcpy(cell->bytes, words, (size_t)bits / 8);
    return VALUE_PARSED;
}

static enum value_parse_answer parse_temporal(struct value_cell *cell, const char *word)
{
    const char *format = cell->format;
    int64_t number;
    bool is_day = strcmp(format, "tdD") == 0;
    bool is_half = is_day || strcmp(format, "tiM") == 0 || strcmp(format, "tts") == 0 ||
                   strcmp(format, "ttm") == 0;
    bool is_read = parse_signed(word, &number);
    if (format[1] == 'i' && format[2] != 'M')
        return VALUE_TYPE_HAS_NO_TEXT;
    if (!is_read && is_day)
        is_read = time_parse_date(word, &number);
    else if (!is_read && format[1] == 'd')
        is_read = time_parse_stamp(word, 'm', &number);
    else if (!is_read && format[1] == 't')
        is_read = time_parse_of_day(word, format[2], &number);
    else if (!is_read && format[1] == 's')
        is_read = time_parse_stamp(word, format[2], &number);
    if (!is_read || (is_half && (number < INT32_MIN || number > INT32_MAX)))
        return VALUE_NOT_OF_TYPE;
    memcpy(cell->bytes, &number, is_half ? 4 : 8);
    return VALUE_PARSED;
}

static int digit_of(char character)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = strchr(digits, tolower((unsigned char)character));
    return character == '\0' || at == NULL ? -1 : (int)(at - digits);
}

/* Text as it is; binary also as 0x and digits. */
static bool take_bytes(const char *word, bool is_binary, uint8_t *bytes, size_t *out_size)
{
    size_t length = strlen(word);
    if (!is_binary || strncmp(word, "0x", 2) != 0) {
        memcpy(bytes, word, length);
        *out_size = length;
        return true;
    }
    for (size_t i = 2; i < length; i += 2) {
        int high = digit_of(word[i]), low = digit_of(word[i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i / 2 - 1] = (uint8_t)(high << 4 | low);
    }
    *out_size = (length - 2) / 2;
    return true;
}

/* A view of the text, which is its one data buffer. */
static enum value_parse_answer make_view(struct value_cell *cell, size_t size)
{
    enum { INLINE_BYTES = 12, PREFIX_BYTES = 4 };
    const int32_t length = (int32_t)size;
    const int64_t data_size = length;
    if (size > INT32_MAX)
        return VALUE_NOT_OF_TYPE;
    memcpy(cell->bytes, &length, sizeof length);
    memcpy(cell->bytes + sizeof length, cell->text, size <= INLINE_BYTES ? size : PREFIX_BYTES);
    memcpy(cell->bytes + VIEW_BYTES, &data_size, sizeof data_size);
    cell->buffers[2] = cell->text;
    return VALUE_PARSED;
}

static enum value_parse_answer parse_bytes(struct value_cell *cell, const char *word)
{
    size_t size;
    char kind = cell->format[0];
    bool is_binary = strchr("zZw", cell->format[kind == 'v']) != NULL;
    cell->text = malloc(strlen(word) + 1);
    if (cell->text == NULL)
        return VALUE_NO_MEMORY;
    if (!take_bytes(word, is_binary, cell->text, &size))
        return VALUE_NOT_OF_TYPE;
    if (kind == 'w') {
        cell->buffers[1] = cell->text;
        return size == strtoul(cell->format + 2, NULL, 10) ? VALUE_PARSED : VALUE_NOT_OF_TYPE;
    }
    if (kind == 'v')
        return make_view(cell, size);
    size_t width = strchr("UZ", kind) != NULL ? 8 : 4;
    uint64_t end = size;
    memcpy(cell->bytes + width, &end, width);
    cell->buffers[2] = cell->text;
    cell->array.n_buffers = 3;
    return VALUE_PARSED;
}

static void release_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
    array->release = NULL;
}

static enum value_parse_answer parse_of_type(struct value_cell *cell, const char *word)
{
    char kind = cell->format[0];
    if (kind == 'b') {
        bool is_true = strcmp(word, "true") == 0 || strcmp(word, "1") == 0;
        bool is_false = strcmp(word, "false") == 0 || strcmp(word, "0") == 0;
        cell->bytes[0] = is_true;
        return is_true || is_false ? VALUE_PARSED : VALUE_NOT_OF_TYPE;
    }
    if (strchr("cCsSiIlL", kind) != NULL)
        return parse_integer(cell, word);
    if (kind == 'f' || kind == 'g')
        return parse_real(cell, word);
    if (kind == 'd')
        return parse_decimal(cell, word);
    if (kind == 't')
        return parse_temporal(cell, word);
    if (strchr("uUzZwv", kind) != NULL)
        return parse_bytes(cell, word);
    return VALUE_TYPE_HAS_NO_TEXT;
}

enum value_parse_answer value_parse(struct value_cell *cell, const char *format, const char *word)
{
    *cell = (struct value_cell){.validity = word != NULL};
    if (strlen(format) >= sizeof cell->format || format[0] == '+')
        return VALUE_TYPE_HAS_NO_TEXT;
    memcpy(cell->format, format, strlen(format) + 1);
    cell->schema = (struct ArrowSchema){.format = cell->format,
                                        .name = "",
                                        .flags = ARROW_FLAG_NULLABLE,
                                        .release = release_schema};
    bool is_null_type = strcmp(format, "n") == 0;
    cell->array = (struct ArrowArray){.length = 1,
                                      .null_count = word == NULL,
                                      .n_buffers = is_null_type ? 0 : 2,
                                      .buffers = cell->buffers,
                                      .release = release_array};
    cell->buffers[0] = &cell->validity;
    cell->buffers[1] = cell->bytes;
    cell->buffers[2] = cell->bytes;
    cell->buffers[3] = cell->bytes + VIEW_BYTES;
    if (strchr("uUzZ", format[0]) != NULL)
        cell->array.n_buffers = 3;
    if (format[0] == 'v')
        cell->array.n_buffers = 4;
    if (is_null_type)
        return word == NULL ? VALUE_PARSED : VALUE_NOT_OF_TYPE;
    if (word != NULL)
        return parse_of_type(cell, word);
    if (format[0] == 'w') {
        cell->text = calloc(strtoul(format + 2, NULL, 10) + 1, 1);
        cell->buffers[1] = cell->text;
        return cell->text == NULL ? VALUE_NO_MEMORY : VALUE_PARSED;
    }
    return VALUE_PARSED;
}

void value_cell_end(struct value_cell *cell)
{
    free(cell->text);
    cell->text = NULL;
}
