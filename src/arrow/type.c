#include "arrow/type.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arrow/utf8.h"

#define NO_BUFFERS .span_count = 0
#define VALUES(bytes, aligned) \
    .span_count = 2, .spans = {FLETCH_SPAN_VALIDITY, FLETCH_SPAN_VALUES}, .byte_width = (bytes), \
    .alignment = (aligned)
#define OFFSETS32 \
    .span_count = 2, .spans = {FLETCH_SPAN_VALIDITY, FLETCH_SPAN_OFFSETS32}, .alignment = 4
#define OFFSETS64 \
    .span_count = 2, .spans = {FLETCH_SPAN_VALIDITY, FLETCH_SPAN_OFFSETS64}, .alignment = 8
#define BYTES32 \
    .span_count = 3, .spans = {FLETCH_SPAN_VALIDITY, FLETCH_SPAN_OFFSETS32, FLETCH_SPAN_BYTES}, \
    .alignment = 4
#define BYTES64 \
    .span_count = 3, .spans = {FLETCH_SPAN_VALIDITY, FLETCH_SPAN_OFFSETS64, FLETCH_SPAN_BYTES}, \
    .alignment = 8
#define VIEWS .span_count = 2, .spans = {FLETCH_SPAN_VALIDITY, FLETCH_SPAN_VIEWS}, .alignment = 8
#define PLAIN(text) .name = (text)
#define DECIMAL(text, bytes, aligned, digits) \
    .name = (text), .format = "d", .parameters = FLETCH_FORMAT_PRECISION, VALUES(bytes, aligned), \
    .precision_maximum = (digits)
#define UNITS(first, last) .unit_first = (first), .unit_last = (last)

const struct fletch_type_layout fletch_type_layouts[FLETCH_TYPE_COUNT] = {
    [FLETCH_TYPE_NULL] = {PLAIN("null"), .format = "n", NO_BUFFERS},
    [FLETCH_TYPE_BOOL] = {PLAIN("bool"), .format = "b", .span_count = 2,
                          .spans = {FLETCH_SPAN_VALIDITY, FLETCH_SPAN_BITS}},
    [FLETCH_TYPE_INT8] = {PLAIN("int8"), .format = "c", VALUES(1, 1)},
    [FLETCH_TYPE_UINT8] = {PLAIN("uint8"), .format = "C", VALUES(1, 1)},
    [FLETCH_TYPE_INT16] = {PLAIN("int16"), .format = "s", VALUES(2, 2)},
    [FLETCH_TYPE_UINT16] = {PLAIN("uint16"), .format = "S", VALUES(2, 2)},
    [FLETCH_TYPE_INT32] = {PLAIN("int32"), .format = "i", VALUES(4, 4)},
    [FLETCH_TYPE_UINT32] = {PLAIN("uint32"), .format = "I", VALUES(4, 4)},
    [FLETCH_TYPE_INT64] = {PLAIN("int64"), .format = "l", VALUES(8, 8)},
    [FLETCH_TYPE_UINT64] = {PLAIN("uint64"), .format = "L", VALUES(8, 8)},
    [FLETCH_TYPE_HALF] = {PLAIN("half"), .format = "e", VALUES(2, 2)},
    [FLETCH_TYPE_FLOAT] = {PLAIN("float"), .format = "f", VALUES(4, 4)},
    [FLETCH_TYPE_DOUBLE] = {PLAIN("double"), .format = "g", VALUES(8, 8)},
    [FLETCH_TYPE_DECIMAL32] = {DECIMAL("decimal32", 4, 4, 9)},
    [FLETCH_TYPE_DECIMAL64] = {DECIMAL("decimal64", 8, 8, 18)},
    [FLETCH_TYPE_DECIMAL128] = {DECIMAL("decimal128", 16, 8, 38)},
    [FLETCH_TYPE_DECIMAL256] = {DECIMAL("decimal256", 32, 8, 76)},
    [FLETCH_TYPE_UTF8] = {PLAIN("utf8"), .format = "u", BYTES32},
    [FLETCH_TYPE_LARGE_UTF8] = {PLAIN("large_utf8"), .format = "U", BYTES64},
    [FLETCH_TYPE_BINARY] = {PLAIN("binary"), .format = "z", BYTES32},
    [FLETCH_TYPE_LARGE_BINARY] = {PLAIN("large_binary"), .format = "Z", BYTES64},
    [FLETCH_TYPE_FIXED_SIZE_BINARY] = {PLAIN("fixed_size_binary"), .format = "w",
                                       .parameters = FLETCH_FORMAT_WIDTH, VALUES(0, 1)},
    [FLETCH_TYPE_DATE32] = {PLAIN("date32"), .format = "tdD", VALUES(4, 4)},
    [FLETCH_TYPE_DATE64] = {PLAIN("date64"), .format = "tdm", VALUES(8, 8)},
    [FLETCH_TYPE_TIME32] = {PLAIN("time32"), .format = "tt", .parameters = FLETCH_FORMAT_UNIT,
                            VALUES(4, 4), UNITS(FLETCH_UNIT_SECOND, FLETCH_UNIT_MILLI)},
    [FLETCH_TYPE_TIME64] = {PLAIN("time64"), .format = "tt", .parameters = FLETCH_FORMAT_UNIT,
                            VALUES(8, 8), UNITS(FLETCH_UNIT_MICRO, FLETCH_UNIT_NANO)},
    [FLETCH_TYPE_TIMESTAMP] = {PLAIN("timestamp"), .format = "ts", .parameters = FLETCH_FORMAT_ZONE,
                               VALUES(8, 8), UNITS(FLETCH_UNIT_SECOND, FLETCH_UNIT_NANO)},
    [FLETCH_TYPE_DURATION] = {PLAIN("duration"), .format = "tD", .parameters = FLETCH_FORMAT_UNIT,
                              VALUES(8, 8), UNITS(FLETCH_UNIT_SECOND, FLETCH_UNIT_NANO)},
    [FLETCH_TYPE_INTERVAL_MONTHS] = {PLAIN("interval_months"), .format = "tiM", VALUES(4, 4)},
    [FLETCH_TYPE_INTERVAL_DAY_TIME] = {PLAIN("interval_day_time"), .format = "tiD", VALUES(8, 4)},
    [FLETCH_TYPE_INTERVAL_MONTH_DAY_NANO] = {PLAIN("interval_month_day_nano"), .format = "tin",
                                             VALUES(16, 8)},
    [FLETCH_TYPE_LIST] = {PLAIN("list"), .format = "+l", OFFSETS32,
                          .children = FLETCH_CHILDREN_ONE},
    [FLETCH_TYPE_LARGE_LIST] = {PLAIN("large_list"), .format = "+L", OFFSETS64,
                                .children = FLETCH_CHILDREN_ONE},
    [FLETCH_TYPE_STRUCT] = {PLAIN("struct"), .format = "+s", .span_count = 1,
                            .spans = {FLETCH_SPAN_VALIDITY}, .children = FLETCH_CHILDREN_ANY,
                            .has_aligned_children = true},
    [FLETCH_TYPE_MAP] = {PLAIN("map"), .format = "+m", OFFSETS32,
                         .children = FLETCH_CHILDREN_ENTRIES},
    [FLETCH_TYPE_UTF8_VIEW] = {PLAIN("utf8_view"), .format = "vu", VIEWS},
    [FLETCH_TYPE_BINARY_VIEW] = {PLAIN("binary_view"), .format = "vz", VIEWS},
    [FLETCH_TYPE_LIST_VIEW] = {PLAIN("list_view"), .format = "+vl", .span_count = 3,
                               .spans = {FLETCH_SPAN_VALIDITY, FLETCH_SPAN_STARTS32,
                                         FLETCH_SPAN_SIZES32},
                               .alignment = 4, .children = FLETCH_CHILDREN_ONE},
    [FLETCH_TYPE_LARGE_LIST_VIEW] = {PLAIN("large_list_view"), .format = "+vL", .span_count = 3,
                                     .spans = {FLETCH_SPAN_VALIDITY, FLETCH_SPAN_STARTS64,
                                               FLETCH_SPAN_SIZES64},
                                     .alignment = 8, .children = FLETCH_CHILDREN_ONE},
    [FLETCH_TYPE_FIXED_SIZE_LIST] = {PLAIN("fixed_size_list"), .format = "+w",
                                     .parameters = FLETCH_FORMAT_SIZE, .span_count = 1,
                                     .spans = {FLETCH_SPAN_VALIDITY},
                                     .children = FLETCH_CHILDREN_ONE, .has_aligned_children = true},
    [FLETCH_TYPE_DENSE_UNION] = {PLAIN("dense_union"), .format = "+ud",
                                 .parameters = FLETCH_FORMAT_TYPE_IDS, .span_count = 2,
                                 .spans = {FLETCH_SPAN_TYPE_IDS, FLETCH_SPAN_STARTS32},
                                 .alignment = 4, .children = FLETCH_CHILDREN_MEMBERS},
    [FLETCH_TYPE_SPARSE_UNION] = {PLAIN("sparse_union"), .format = "+us",
                                  .parameters = FLETCH_FORMAT_TYPE_IDS, .span_count = 1,
                                  .spans = {FLETCH_SPAN_TYPE_IDS}, .alignment = 1,
                                  .children = FLETCH_CHILDREN_MEMBERS,
                                  .has_aligned_children = true},
    [FLETCH_TYPE_RUN_END_ENCODED] = {PLAIN("run_end_encoded"), .format = "+r", NO_BUFFERS,
                                     .children = FLETCH_CHILDREN_RUNS},
};

static const char unit_letters[] = {
    [FLETCH_UNIT_SECOND] = 's',
    [FLETCH_UNIT_MILLI] = 'm',
    [FLETCH_UNIT_MICRO] = 'u',
    [FLETCH_UNIT_NANO] = 'n',
};
static const char *const unit_names[] = {
    [FLETCH_UNIT_SECOND] = "s",
    [FLETCH_UNIT_MILLI] = "ms",
    [FLETCH_UNIT_MICRO] = "us",
    [FLETCH_UNIT_NANO] = "ns",
};

int fletch_type_member(const struct fletch_type *type, int8_t type_id)
{
    for (int i = 0; i < type->type_id_count; i++)
        if (type->type_ids[i] == type_id)
            return i;
    return -1;
}

bool fletch_type_equal(const struct fletch_type *a, const struct fletch_type *b)
{
    if (a->id != b->id || a->unit != b->unit || a->byte_width != b->byte_width ||
        a->precision != b->precision || a->scale != b->scale || a->list_size != b->list_size ||
        a->keys_are_sorted != b->keys_are_sorted || a->type_id_count != b->type_id_count)
        return false;
    if (a->type_id_count > 0 && memcmp(a->type_ids, b->type_ids, a->type_id_count) != 0)
        return false;
    return a->id != FLETCH_TYPE_TIMESTAMP || strcmp(a->time_zone, b->time_zone) == 0;
}

static enum fletch_status check_type_ids(const struct fletch_type *type, const char *path,
                                         struct fletch_error *error)
{
    const char *name = fletch_type_layout(type)->name;
    for (int i = 0; i < type->type_id_count; i++) {
        if (type->type_ids[i] < 0)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "field '%s': %s with type id %d, expected 0 to %d", path, name,
                                    type->type_ids[i], FLETCH_TYPE_IDS_MAX - 1);
        if (fletch_type_member(type, type->type_ids[i]) != i)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "field '%s': %s with type id %d twice", path, name,
                                    type->type_ids[i]);
    }
    return FLETCH_OK;
}

static enum fletch_status check_parameters(const struct fletch_type *type, const char *path,
                                           struct fletch_error *error)
{
    const struct fletch_type_layout *layout = fletch_type_layout(type);
    if (layout->parameters == FLETCH_FORMAT_WIDTH && type->byte_width < 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "field '%s': %s of %" PRId32 " bytes, expected 0 or more", path,
                                layout->name, type->byte_width);
    if (layout->parameters == FLETCH_FORMAT_SIZE && type->list_size < 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "field '%s': %s of %" PRId32 " elements, expected 0 or more", path,
                                layout->name, type->list_size);
    if (layout->parameters == FLETCH_FORMAT_PRECISION &&
        (type->precision < 1 || type->precision > layout->precision_maximum))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "field '%s': %s of precision %" PRId32 ", expected 1 to %u", path,
                                layout->name, type->precision, layout->precision_maximum);
    bool has_unit =
        layout->parameters == FLETCH_FORMAT_UNIT || layout->parameters == FLETCH_FORMAT_ZONE;
    if (has_unit &&
        ((unsigned)type->unit < layout->unit_first || (unsigned)type->unit > layout->unit_last))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "field '%s': %s in unit %d, expected %s to %s", path, layout->name,
                                (int)type->unit, unit_names[layout->unit_first],
                                unit_names[layout->unit_last]);
    return check_type_ids(type, path, error);
}

enum fletch_status fletch_type_check(const struct fletch_type *type, const char *path,
                                     struct fletch_error *error)
{
    if ((unsigned)type->id >= FLETCH_TYPE_COUNT)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "field '%s': type %d is not known, expected 0 to %d", path,
                                (int)type->id, FLETCH_TYPE_COUNT - 1);
    return check_parameters(type, path, error);
}

/* Appends to a text what fits, and counts all of it. */
static size_t append_type_id(char *text, size_t text_bytes, size_t length, const char *separator,
                             int type_id)
{
    const bool has_room = length < text_bytes;
    const int added = snprintf(has_room ? text + length : NULL, has_room ? text_bytes - length : 0,
                               "%s%d", separator, type_id);
    return length + (size_t)added;
}

/* Whether the type ids are what children are numbered by anyway. */
static bool has_usual_type_ids(const struct fletch_type *type)
{
    int index = 0;
    while (index < type->type_id_count && type->type_ids[index] == index)
        index++;
    return index == type->type_id_count;
}

/* "dense_union[5, 0]"; so much of them as leaves room for an end. */
static void describe_union(const struct fletch_type *type, char *text, size_t text_bytes)
{
    enum { ROOM_FOR_MORE = 10 }; /* ", 127, …]" and NUL */
    size_t length = (size_t)snprintf(text, text_bytes, "%s", fletch_type_layout(type)->name);
    if (has_usual_type_ids(type) || length >= text_bytes)
        return;
    for (int i = 0; i < type->type_id_count; i++) {
        if (length + ROOM_FOR_MORE + sizeof "…" > text_bytes) {
            snprintf(text + length, text_bytes - length, ", …]");
            return;
        }
        length = append_type_id(text, text_bytes, length, i == 0 ? "[" : ", ", type->type_ids[i]);
    }
    snprintf(text + length, text_bytes - length, "]");
}

const char *fletch_type_describe(const struct fletch_type *type, char *text, size_t text_bytes)
{
    const struct fletch_type_layout *layout = fletch_type_layout(type);
    switch (layout->parameters) {
    case FLETCH_FORMAT_WIDTH:
        snprintf(text, text_bytes, "%s[%" PRId32 "]", layout->name, type->byte_width);
        break;
    case FLETCH_FORMAT_PRECISION:
        snprintf(text, text_bytes, "%s(%" PRId32 ", %" PRId32 ")", layout->name, type->precision,
                 type->scale);
        break;
    case FLETCH_FORMAT_UNIT:
        snprintf(text, text_bytes, "%s[%s]", layout->name, unit_names[type->unit]);
        break;
    case FLETCH_FORMAT_ZONE:
        snprintf(text, text_bytes, "%s[%s%s%.*s]", layout->name, unit_names[type->unit],
                 type->time_zone[0] == '\0' ? "" : ", ", fletch_utf8_cut(type->time_zone, 40),
                 type->time_zone);
        break;
    case FLETCH_FORMAT_SIZE:
        snprintf(text, text_bytes, "%s[%" PRId32 "]", layout->name, type->list_size);
        break;
    case FLETCH_FORMAT_TYPE_IDS:
        describe_union(type, text, text_bytes);
        break;
    case FLETCH_FORMAT_PLAIN:
        snprintf(text, text_bytes, "%s%s", layout->name,
                 type->keys_are_sorted ? "[sorted keys]" : "");
        break;
    }
    return text;
}

static size_t format_union(const struct fletch_type *type, char *format, size_t format_bytes)
{
    size_t length = (size_t)snprintf(format, format_bytes, "%s:", fletch_type_layout(type)->format);
    for (int i = 0; i < type->type_id_count; i++)
        length = append_type_id(format, format_bytes, length, i == 0 ? "" : ",", type->type_ids[i]);
    return length;
}

size_t fletch_type_format(const struct fletch_type *type, char *format, size_t format_bytes)
{
    const struct fletch_type_layout *layout = fletch_type_layout(type);
    int length = 0;
    switch (layout->parameters) {
    case FLETCH_FORMAT_WIDTH:
        length = snprintf(format, format_bytes, "w:%" PRId32, type->byte_width);
        break;
    case FLETCH_FORMAT_PRECISION:
        /* The width of 128 bits is left out: readers of the first format know no other. */
        length =
            snprintf(format, format_bytes, "d:%" PRId32 ",%" PRId32, type->precision, type->scale);
        if (type->id != FLETCH_TYPE_DECIMAL128)
            length = snprintf(format, format_bytes, "d:%" PRId32 ",%" PRId32 ",%d", type->precision,
                              type->scale, layout->byte_width * 8);
        break;
    case FLETCH_FORMAT_UNIT:
        length = snprintf(format, format_bytes, "%s%c", layout->format, unit_letters[type->unit]);
        break;
    case FLETCH_FORMAT_ZONE:
        length = snprintf(format, format_bytes, "%s%c:%s", layout->format, unit_letters[type->unit],
                          type->time_zone);
        break;
    case FLETCH_FORMAT_SIZE:
        length = snprintf(format, format_bytes, "%s:%" PRId32, layout->format, type->list_size);
        break;
    case FLETCH_FORMAT_TYPE_IDS:
        return format_union(type, format, format_bytes);
    case FLETCH_FORMAT_PLAIN:
        length = snprintf(format, format_bytes, "%s", layout->format);
        break;
    }
    return (size_t)length;
}

/* A decimal number at `*text`, which moves behind it; false: none, or it does not fit. */
static bool parse_number(const char **text, int32_t *out_number)
{
    const char *next = *text;
    bool is_negative = *next == '-';
    int64_t number = 0;
    next += is_negative;
    if (*next < '0' || *next > '9')
        return false;
    for (; *next >= '0' && *next <= '9'; next++) {
        number = number * 10 + (*next - '0');
        if (number > INT32_MAX)
            return false;
    }
    *text = next;
    *out_number = (int32_t)(is_negative ? -number : number);
    return true;
}

static bool parse_decimal(const char *text, struct fletch_type *type)
{
    int32_t bits = 128;
    if (!parse_number(&text, &type->precision) || *text != ',')
        return false;
    text++;
    if (!parse_number(&text, &type->scale))
        return false;
    if (*text == ',') {
        text++;
        if (!parse_number(&text, &bits))
            return false;
    }
    for (int id = FLETCH_TYPE_DECIMAL32; id <= FLETCH_TYPE_DECIMAL256; id++)
        if (fletch_type_layouts[id].byte_width * 8 == bits)
            type->id = (enum fletch_type_id)id;
    return *text == '\0' && fletch_type_is_decimal(type->id);
}

static bool parse_unit(char letter, struct fletch_type *type)
{
    for (int unit = FLETCH_UNIT_SECOND; unit <= FLETCH_UNIT_NANO; unit++)
        if (unit_letters[unit] == letter) {
            type->unit = (enum fletch_time_unit)unit;
            return true;
        }
    return false;
}

/* Numbers with commas between them, or nothing. Whether they are such as a union may have is not
 * asked but that each fits into a type id. */
static bool parse_type_ids(const char *text, int8_t *type_ids, struct fletch_type *type)
{
    type->type_ids = type_ids;
    while (*text != '\0') {
        int32_t number;
        if (type->type_id_count > 0 && *text++ != ',')
            return false;
        if (type->type_id_count == FLETCH_TYPE_IDS_MAX || !parse_number(&text, &number) ||
            number < INT8_MIN || number > INT8_MAX)
            return false;
        type_ids[type->type_id_count++] = (int8_t)number;
    }
    return true;
}

/* Reads what follows the row's own format; false: another row, or none. */
static bool parse_parameters(enum fletch_type_id id, const char *rest, int8_t *type_ids,
                             struct fletch_type *type)
{
    const struct fletch_type_layout *layout = &fletch_type_layouts[id];
    type->id = id;
    switch (layout->parameters) {
    case FLETCH_FORMAT_WIDTH:
        if (*rest++ != ':' || !parse_number(&rest, &type->byte_width))
            return false;
        break;
    case FLETCH_FORMAT_SIZE:
        if (*rest++ != ':' || !parse_number(&rest, &type->list_size))
            return false;
        break;
    case FLETCH_FORMAT_TYPE_IDS:
        return *rest == ':' && parse_type_ids(rest + 1, type_ids, type);
    case FLETCH_FORMAT_PRECISION:
        /* One row of four answers for all: the width is read last. */
        type->id = FLETCH_TYPE_NULL;
        return *rest == ':' && parse_decimal(rest + 1, type);
    case FLETCH_FORMAT_UNIT:
        if (!parse_unit(*rest, type) || (unsigned)type->unit < layout->unit_first ||
            (unsigned)type->unit > layout->unit_last)
            return false;
        rest++;
        break;
    case FLETCH_FORMAT_ZONE:
        if (!parse_unit(*rest, type) || rest[1] != ':')
            return false;
        type->time_zone = rest + 2;
        return true;
    case FLETCH_FORMAT_PLAIN:
        break;
    }
    return *rest == '\0';
}

enum fletch_status fletch_type_parse(const char *format, const char *path,
                                     int8_t type_ids[FLETCH_TYPE_IDS_MAX],
                                     struct fletch_type *out_type, struct fletch_error *error)
{
    for (int id = 0; id < FLETCH_TYPE_COUNT; id++) {
        struct fletch_type type = {.id = FLETCH_TYPE_NULL};
        size_t length = strlen(fletch_type_layouts[id].format);
        if (strncmp(format, fletch_type_layouts[id].format, length) == 0 &&
            parse_parameters((enum fletch_type_id)id, format + length, type_ids, &type)) {
            *out_type = type;
            return FLETCH_OK;
        }
    }
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "field '%s': format '%.*s' is no type of the C data interface", path,
                            fletch_utf8_cut(format, 64), format);
}
