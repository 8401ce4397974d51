#include "value_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "time_text.h"

/* One value of a column: `index` with the array's offset. */
struct value {
    const struct ArrowSchema *schema;
    const struct ArrowArray *array;
    int64_t index;
};

/* How a scalar's text stands in JSON. */
enum scalar_form { SCALAR_BARE, SCALAR_QUOTED, SCALAR_TEXT };

/* Unions and runs have no validity: what they stand for may be null. */
static bool is_null(const struct value *value)
{
    const char *format = value->schema->format;
    if (strcmp(format, "n") == 0)
        return true;
    if (strncmp(format, "+u", 2) == 0 || strcmp(format, "+r") == 0 ||
        value->array->buffers[0] == NULL)
        return false;
    const uint8_t *bits = value->array->buffers[0];
    return (bits[value->index / 8] >> (value->index % 8) & 1) == 0;
}

/* Element `index` of a buffer of integers. */
static int64_t integer_at(const void *buffer, int64_t index, size_t width, bool is_signed)
{
    uint64_t bits = 0;
    memcpy(&bits, (const char *)buffer + (size_t)index * width, width);
    unsigned unused = 64 - 8 * (unsigned)width;
    return is_signed ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
}

static int64_t stored_integer(const struct value *value, size_t width, bool is_signed)
{
    return integer_at(value->array->buffers[1], value->index, width, is_signed);
}

/* As few digits as read back to the same number. */
static enum scalar_form print_real(struct text *text, double number, bool is_single)
{
    char digits[40];
    if (!isfinite(number)) {
        text_word(text, isnan(number) ? "NaN" : number < 0 ? "-Infinity" : "Infinity");
        return SCALAR_QUOTED;
    }
    for (int precision = is_single ? 6 : 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, number);
        double read = strtod(digits, NULL);
        bool is_same = is_single ? (float)read == (float)number : read == number;
        if (is_same)
            break;
    }
    text_word(text, digits);
    return SCALAR_BARE;
}

static double real_of_half(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    double mantissa = bits & 1023;
    double number = exponent == 0    ? ldexp(mantissa, -24)
                    : exponent == 31 ? (mantissa == 0 ? HUGE_VAL : NAN)
                                     : ldexp(1024 + mantissa, exponent - 25);
    return bits >> 15 ? -number : number;
}

/* Divides a number of 32-bit words, the lowest first, by 10^9. Returns the remainder. */
static uint32_t divide_words(uint32_t *words, size_t count)
{
    uint64_t rest = 0;
    for (size_t i = count; i-- > 0;) {
        rest = rest << 32 | words[i];
        words[i] = (uint32_t)(rest / 1000000000);
        rest %= 1000000000;
    }
    return (uint32_t)rest;
}

static void print_decimal(struct text *text, const uint8_t *bytes, size_t width, int scale)
{
    uint32_t words[8];
    size_t count = width / 4;
    memcpy(words, bytes, width);
    bool is_negative = words[count - 1] >> 31 != 0;
    uint64_t carry = 1;
    for (size_t i = 0; i < count && is_negative; i++) {
        carry += (uint32_t)~words[i];
        words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    /* Digits from the right end of the block. */
    char digits[96];
    size_t first = sizeof digits - 1;
    digits[first] = '\0';
    for (size_t group = 0; group < (count * 32 + 28) / 29; group++) {
        uint32_t rest = divide_words(words, count);
        for (int i = 0; i < 9; i++, rest /= 10)
            digits[--first] = (char)('0' + rest % 10);
    }
    while (digits[first] == '0' && first < sizeof digits - 2)
        first++;
    size_t length = sizeof digits - 1 - first;
    text_word(text, is_negative ? "-" : "");
    if (scale <= 0) {
        text_append(text, digits + first, length);
        for (int i = scale; i < 0 && strcmp(digits + first, "0") != 0; i++)
            text_word(text, "0");
        return;
    }
    size_t fraction = (size_t)scale;
    if (length > fraction)
        text_append(text, digits + first, length - fraction);
    else
        text_word(text, "0");
    text_word(text, ".");
    for (size_t i = length; i < fraction; i++)
        text_word(text, "0");
    size_t shown = length < fraction ? length : fraction;
    text_append(text, digits + sizeof digits - 1 - shown, shown);
}

static void print_hexadecimal(struct text *text, const uint8_t *bytes, int64_t size)
{
    for (int64_t i = 0; i < size; i++)
        text_print(text, "%02x", bytes[i]);
}

/* Where the bytes of a view lie: in itself if they are few. */
static const uint8_t *bytes_of_view(const struct value *value, int64_t *out_size)
{
    enum { VIEW_BYTES = 16, INLINE_BYTES = 12 };
    const uint8_t *view =
        (const uint8_t *)value->array->buffers[1] + (size_t)value->index * VIEW_BYTES;
    int32_t words[4]; /* size, first bytes, buffer, offset */
    memcpy(words, view, sizeof words);
    *out_size = words[0];
    if (words[0] <= INLINE_BYTES)
        return view + sizeof words[0];
    return (const uint8_t *)value->array->buffers[2 + words[2]] + words[3];
}

/* Where the bytes of a string or binary lie. */
static const uint8_t *bytes_of(const struct value *value, int64_t *out_size)
{
    if (value->schema->format[0] == 'v')
        return bytes_of_view(value, out_size);
    bool is_large = strchr("UZ", value->schema->format[0]) != NULL;
    size_t width = is_large ? 8 : 4;
    int64_t first = stored_integer(value, width, true);
    *out_size = integer_at(value->array->buffers[1], value->index + 1, width, true) - first;
    const uint8_t *data = value->array->buffers[2];
    return data == NULL ? (const uint8_t *)"" : data + first;
}

static enum scalar_form print_temporal(struct text *text, const struct value *value)
{
    const char *format = value->schema->format;
    if (strcmp(format, "tdD") == 0) {
        time_text_date(text, stored_integer(value, 4, true));
    } else if (strcmp(format, "tdm") == 0) {
        time_text_stamp(text, stored_integer(value, 8, true), 'm', false);
    } else if (format[1] == 't') {
        size_t width = format[2] == 's' || format[2] == 'm' ? 4 : 8;
        time_text_of_day(text, stored_integer(value, width, true), format[2]);
    } else if (format[1] == 's') {
        time_text_stamp(text, stored_integer(value, 8, true), format[2], format[4] != '\0');
    } else if (format[1] == 'D') {
        text_print(text, "%" PRId64 "%c%s", stored_integer(value, 8, true), format[2],
                   format[2] == 's' ? "" : "s");
    } else if (format[2] == 'M') {
        text_print(text, "%" PRId64 "M", stored_integer(value, 4, true));
    } else {
        int32_t parts[2];
        size_t width = format[2] == 'D' ? 8 : 16;
        const char *at = (const char *)value->array->buffers[1] + (size_t)value->index * width;
        memcpy(parts, at, sizeof parts);
        int64_t nanoseconds = 0;
        if (width == 16)
            memcpy(&nanoseconds, at + 8, sizeof nanoseconds);
        if (width == 8)
            text_print(text, "%" PRId32 "d%" PRId32 "ms", parts[0], parts[1]);
        else
            text_print(text, "%" PRId32 "M%" PRId32 "d%" PRId64 "ns", parts[0], parts[1],
                       nanoseconds);
    }
    return SCALAR_QUOTED;
}

static enum scalar_form print_integer(struct text *text, const struct value *value)
{
    static const char formats[] = "cCsSiIlL";
    size_t place = (size_t)(strchr(formats, value->schema->format[0]) - formats);
    int64_t number = stored_integer(value, (size_t)1 << place / 2, place % 2 == 0);
    if (place % 2 == 0)
        text_print(text, "%" PRId64, number);
    else
        text_print(text, "%" PRIu64, (uint64_t)number);
    return SCALAR_BARE;
}

static enum scalar_form print_floating(struct text *text, const struct value *value)
{
    const char *data = value->array->buffers[1];
    size_t index = (size_t)value->index;
    char kind = value->schema->format[0];
    uint16_t half;
    float single;
    double number;
    if (kind == 'e') {
        memcpy(&half, data + index * sizeof half, sizeof half);
        return print_real(text, real_of_half(half), true);
    }
    if (kind == 'f') {
        memcpy(&single, data + index * sizeof single, sizeof single);
        return print_real(text, (double)single, true);
    }
    memcpy(&number, data + index * sizeof number, sizeof number);
    return print_real(text, number, false);
}

/* A value that is not null and has no children. */
static enum scalar_form print_scalar(struct text *text, const struct value *value)
{
    const char *format = value->schema->format;
    int precision, scale, bits = 128;
    int64_t size;
    if (format[0] == 't')
        return print_temporal(text, value);
    if (format[0] == 'b') {
        const uint8_t *data = value->array->buffers[1];
        bool is_set = data[value->index / 8] >> (value->index % 8) & 1;
        text_word(text, is_set ? "true" : "false");
        return SCALAR_BARE;
    }
    if (strchr("efg", format[0]) != NULL)
        return print_floating(text, value);
    if (sscanf(format, "d:%d,%d,%d", &precision, &scale, &bits) >= 2) {
        size_t width = (size_t)bits / 8;
        const uint8_t *data = value->array->buffers[1];
        print_decimal(text, data + (size_t)value->index * width, width, scale);
        return SCALAR_QUOTED;
    }
    if (format[0] == 'w') {
        size = strtol(format + 2, NULL, 10);
        const uint8_t *data = value->array->buffers[1];
        print_hexadecimal(text, data + value->index * size, size);
        return SCALAR_QUOTED;
    }
    if (strchr("uUzZv", format[0]) != NULL) {
        const uint8_t *bytes = bytes_of(value, &size);
        if (strchr("uU", format[format[0] == 'v']) != NULL) {
            text_append(text, (const char *)bytes, (size_t)size);
            return SCALAR_TEXT;
        }
        print_hexadecimal(text, bytes, size);
        return SCALAR_QUOTED;
    }
    return print_integer(text, value);
}

static void print_json(struct text *text, const struct value *value);

static struct value child_of(const struct value *value, int64_t child, int64_t index)
{
    const struct ArrowArray *array = value->array->children[child];
    return (struct value){value->schema->children[child], array, array->offset + index};
}

/* The elements of a list in its child, of whatever kind of list. */
static void elements_of(const struct value *value, int64_t *out_first, int64_t *out_count)
{
    const char *format = value->schema->format;
    const void *const *buffers = value->array->buffers;
    if (format[1] == 'w') {
        *out_count = strtol(format + 3, NULL, 10);
        *out_first = value->index * *out_count;
        return;
    }
    bool is_view = format[1] == 'v';
    size_t width = format[is_view ? 2 : 1] == 'L' ? 8 : 4;
    *out_first = integer_at(buffers[1], value->index, width, true);
    *out_count = is_view ? integer_at(buffers[2], value->index, width, true)
                         : integer_at(buffers[1], value->index + 1, width, true) - *out_first;
}

static void print_list(struct text *text, const struct value *value)
{
    int64_t first, count;
    elements_of(value, &first, &count);
    text_word(text, "[");
    for (int64_t i = first; i < first + count; i++) {
        struct value element = child_of(value, 0, i);
        if (i > first)
            text_word(text, ",");
        if (value->schema->format[1] != 'm') {
            print_json(text, &element);
            continue;
        }
        struct value key = child_of(&element, 0, element.index);
        struct value item = child_of(&element, 1, element.index);
        text_word(text, "[");
        print_json(text, &key);
        text_word(text, ",");
        print_json(text, &item);
        text_word(text, "]");
    }
    text_word(text, "]");
}

static void print_struct(struct text *text, const struct value *value)
{
    text_word(text, "{");
    for (int64_t i = 0; i < value->schema->n_children; i++) {
        struct value child = child_of(value, i, value->index);
        text_json_key(text, child.schema->name != NULL ? child.schema->name : "");
        print_json(text, &child);
    }
    text_word(text, "}");
}

/* The value that an index of a dictionary means. */
static struct value looked_up(const struct value *value)
{
    static const char formats[] = "cCsSiIlL";
    size_t place = (size_t)(strchr(formats, value->schema->format[0]) - formats);
    int64_t index = stored_integer(value, (size_t)1 << place / 2, place % 2 == 0);
    const struct ArrowArray *array = value->array->dictionary;
    return (struct value){value->schema->dictionary, array, array->offset + index};
}

/* The value of the child that a union's type id means: the format lists those of the children. */
static struct value member_of(const struct value *value)
{
    const int8_t *type_ids = value->array->buffers[0];
    const char *next = value->schema->format + strlen("+ud:");
    int64_t child = 0;
    char *end;
    while (strtol(next, &end, 10) != type_ids[value->index]) {
        next = end + 1;
        child++;
    }
    bool is_dense = value->schema->format[2] == 'd';
    return child_of(value, child, is_dense ? stored_integer(value, 4, true) : value->index);
}

/* The value of the run that an element is in: the first that ends behind it. */
static struct value value_of_run(const struct value *value)
{
    const struct ArrowArray *ends = value->array->children[0];
    const char kind = value->schema->children[0]->format[0];
    const size_t width = kind == 's' ? 2 : kind == 'i' ? 4 : 8;
    int64_t low = 0;
    int64_t high = ends->length;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (integer_at(ends->buffers[1], ends->offset + middle, width, true) > value->index)
            high = middle;
        else
            low = middle + 1;
    }
    return child_of(value, 1, low);
}

/* Replaces a value that is not null by what it stands for. False: it stands for itself. */
static bool see_through(struct value *value)
{
    const char *format = value->schema->format;
    if (value->schema->dictionary != NULL)
        *value = looked_up(value);
    else if (strncmp(format, "+u", 2) == 0)
        *value = member_of(value);
    else if (strcmp(format, "+r") == 0)
        *value = value_of_run(value);
    else
        return false;
    return true;
}

static void print_json(struct text *text, const struct value *value)
{
    struct value meant = *value;
    if (text->failed)
        return;
    while (!is_null(&meant) && see_through(&meant))
        continue;
    if (is_null(&meant)) {
        text_word(text, "null");
        return;
    }
    if (meant.schema->format[0] == '+') {
        if (meant.schema->format[1] == 's')
            print_struct(text, &meant);
        else
            print_list(text, &meant);
        return;
    }
    struct text scalar = {0};
    enum scalar_form form = print_scalar(&scalar, &meant);
    if (form == SCALAR_BARE)
        text_append(text, scalar.bytes, scalar.size);
    else
        text_json(text, scalar.bytes, scalar.size);
    text->failed |= scalar.failed;
    text_end(&scalar);
}

void value_text_json(struct text *text, const struct ArrowSchema *schema,
                     const struct ArrowArray *array, int64_t index)
{
    struct value value = {schema, array, array->offset + index};
    print_json(text, &value);
}

void value_text_csv(struct text *text, const struct ArrowSchema *schema,
                    const struct ArrowArray *array, int64_t index)
{
    struct value value = {schema, array, array->offset + index};
    while (!is_null(&value) && see_through(&value))
        continue;
    if (is_null(&value))
        return;
    struct text field = {0};
    if (value.schema->format[0] == '+')
        print_json(&field, &value);
    else
        print_scalar(&field, &value);
    text_csv(text, field.bytes, field.size);
    text->failed |= field.failed;
    text_end(&field);
}
