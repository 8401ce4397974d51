#include "arrow/validate_values.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/utf8.h"

/* What is wrong is looked for over whole arrays first, null elements and all, since that needs no
 * branch; only where something was found, element by element among those that are not null. */

/* Whether all bytes are characters, and each element begins with one. */
static bool are_whole_strings(const struct fletch_column *column)
{
    const uint8_t *data = column->spans[2].data;
    const int64_t first = fletch_column_offset(column, 0);
    const int64_t end = fletch_column_offset(column, column->node->length);
    if (first == end || fletch_utf8_is_ascii(data + first, (size_t)(end - first)))
        return true;
    if (!fletch_utf8_is_valid(data + first, (size_t)(end - first)))
        return false;
    for (int64_t i = 1; i < column->node->length; i++) {
        const int64_t begin = fletch_column_offset(column, i);
        if (begin < end && (data[begin] & 0xC0) == 0x80)
            return false;
    }
    return true;
}

static enum fletch_status check_strings(const struct fletch_validated *validated, uint32_t row,
                                        const struct fletch_column *column)
{
    if (column->node->length == 0 || are_whole_strings(column))
        return FLETCH_OK;
    for (int64_t i = 0; i < column->node->length; i++) {
        const int64_t begin = fletch_column_offset(column, i);
        const size_t bytes = (size_t)(fletch_column_offset(column, i + 1) - begin);
        if (bytes > 0 && fletch_column_is_valid(column, i) &&
            !fletch_utf8_is_valid(column->spans[2].data + begin, bytes))
            return fletch_validate_fail(
                validated, row, "element %" PRId64 ", %zu bytes at %" PRId64 ", is not UTF-8", i,
                bytes, begin);
    }
    return FLETCH_OK;
}

/* Index `index` without its sign: a negative one is beyond any index_limit. */
static uint64_t index_at(const struct fletch_column *column, int64_t index)
{
    const void *values = column->spans[1].data;
    index += column->node->offset;
    switch (fletch_type_byte_width(&column->field->type)) {
    case 1:
        return ((const uint8_t *)values)[index];
    case 2:
        return ((const uint16_t *)values)[index];
    case 4:
        return ((const uint32_t *)values)[index];
    default:
        return ((const uint64_t *)values)[index];
    }
}

int64_t fletch_validate_index(const struct fletch_column *column, int64_t index)
{
    const uint64_t value = index_at(column, index);
    switch (column->field->type.id) {
    case FLETCH_TYPE_INT8:
        return (int8_t)value;
    case FLETCH_TYPE_INT16:
        return (int16_t)value;
    case FLETCH_TYPE_INT32:
        return (int32_t)value;
    default:
        return (int64_t)value;
    }
}

#define LARGEST(name, integer) \
    static uint64_t name(const void *values, int64_t first, int64_t count) \
    { \
        const integer *next = (const integer *)values + first; \
        integer largest = 0; \
        for (int64_t i = 0; i < count; i++) \
            largest = next[i] > largest ? next[i] : largest; \
        return largest; \
    }
LARGEST(largest8, uint8_t)
LARGEST(largest16, uint16_t)
LARGEST(largest32, uint32_t)
LARGEST(largest64, uint64_t)

static uint64_t largest_index(const struct fletch_column *column)
{
    const void *values = column->spans[1].data;
    const int64_t first = column->node->offset;
    const int64_t count = column->node->length;
    switch (fletch_type_byte_width(&column->field->type)) {
    case 1:
        return largest8(values, first, count);
    case 2:
        return largest16(values, first, count);
    case 4:
        return largest32(values, first, count);
    default:
        return largest64(values, first, count);
    }
}

/* What the bits of an index are below if it has a value. Of a narrow type those of a negative one
 * are no number beyond any dictionary. */
static uint64_t index_limit(const struct fletch_column *column, uint64_t count)
{
    const enum fletch_type_id id = column->field->type.id;
    if (id == FLETCH_TYPE_INT32 && count > INT32_MAX)
        return (uint64_t)INT32_MAX + 1;
    if (id == FLETCH_TYPE_INT8 && count > INT8_MAX)
        return INT8_MAX + 1;
    return id == FLETCH_TYPE_INT16 && count > INT16_MAX ? INT16_MAX + 1 : count;
}

static enum fletch_status check_indices(const struct fletch_validated *validated, uint32_t row,
                                        const struct fletch_column *column)
{
    const struct fletch_batch *values = validated->batch->dictionaries[column->field->dictionary];
    const uint64_t count = values == NULL ? 0 : (uint64_t)values->row_count;
    const uint64_t limit = index_limit(column, count);
    if (column->node->length == 0 || largest_index(column) < limit)
        return FLETCH_OK;
    for (int64_t i = 0; i < column->node->length; i++) {
        const uint64_t index = index_at(column, i);
        const int64_t number = fletch_validate_index(column, i);
        if (index < limit || !fletch_column_is_valid(column, i))
            continue;
        const bool is_negative = number < 0 && column->field->type.id != FLETCH_TYPE_UINT64;
        return fletch_validate_fail(
            validated, row,
            "element %" PRId64 " has index %s%" PRIu64
            ", expected 0 or more and below the dictionary's %" PRIu64 " values",
            i, is_negative ? "-" : "", is_negative ? -(uint64_t)number : index, count);
    }
    return FLETCH_OK;
}

/* A number of 256 bits, its lowest 64 first. */
enum { LIMBS = 4 };
struct wide {
    uint64_t limbs[LIMBS];
};

/* 10 to the power `digits`, at most 76: below 2^253. */
static struct wide power_of_ten(int32_t digits)
{
    struct wide power = {{1, 0, 0, 0}};
    for (int32_t i = 0; i < digits; i++) {
        uint64_t carry = 0;
        for (int limb = 0; limb < LIMBS; limb++) {
            const uint64_t low = (power.limbs[limb] & UINT32_MAX) * 10 + carry;
            const uint64_t high = (power.limbs[limb] >> 32) * 10 + (low >> 32);
            power.limbs[limb] = high << 32 | (low & UINT32_MAX);
            carry = high >> 32;
        }
    }
    return power;
}

/* The decimal's magnitude. */
static struct wide magnitude(const uint8_t *bytes, size_t byte_count)
{
    struct wide value;
    const bool is_negative = (bytes[byte_count - 1] & 0x80) != 0;
    memset(&value, is_negative ? 0xFF : 0, sizeof value);
    memcpy(&value, bytes, byte_count); /* both little-endian */
    uint64_t carry = 1;
    for (int limb = 0; is_negative && limb < LIMBS; limb++) {
        value.limbs[limb] = ~value.limbs[limb] + carry;
        carry = carry != 0 && value.limbs[limb] == 0;
    }
    return value;
}

static bool is_below(const struct wide *a, const struct wide *b)
{
    for (int limb = LIMBS - 1; limb >= 0; limb--)
        if (a->limbs[limb] != b->limbs[limb])
            return a->limbs[limb] < b->limbs[limb];
    return false;
}

/* Whether any magnitude reaches the limit; without branches, for the widths that are common. */
static bool reaches32(const int32_t *values, int64_t count, uint32_t limit)
{
    uint32_t reached = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t sign = (uint32_t) - (values[i] < 0);
        reached |= ((uint32_t)values[i] ^ sign) - sign >= limit;
    }
    return reached != 0;
}

static bool reaches64(const int64_t *values, int64_t count, uint64_t limit)
{
    uint64_t reached = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint64_t sign = (uint64_t) - (values[i] < 0);
        reached |= ((uint64_t)values[i] ^ sign) - sign >= limit;
    }
    return reached != 0;
}

static bool reaches128(const uint64_t *values, int64_t count, const struct wide *limit)
{
    uint64_t reached = 0;
    for (int64_t i = 0; i < count; i++) {
        const uint64_t sign = -(values[2 * i + 1] >> 63);
        const uint64_t low = (values[2 * i] ^ sign) - sign;
        const uint64_t high = (values[2 * i + 1] ^ sign) + (sign & (uint64_t)(low == 0));
        reached |= (uint64_t)(high > limit->limbs[1]) |
                   ((uint64_t)(high == limit->limbs[1]) & (uint64_t)(low >= limit->limbs[0]));
    }
    return reached != 0;
}

/* False: no element, null or not, has too many digits. */
static bool may_reach(const struct fletch_column *column, const struct wide *limit)
{
    const void *values = column->spans[1].data;
    const int64_t first = column->node->offset;
    const int64_t count = column->node->length;
    switch (column->field->type.id) {
    case FLETCH_TYPE_DECIMAL32:
        return reaches32((const int32_t *)values + first, count, (uint32_t)limit->limbs[0]);
    case FLETCH_TYPE_DECIMAL64:
        return reaches64((const int64_t *)values + first, count, limit->limbs[0]);
    case FLETCH_TYPE_DECIMAL128:
        return reaches128((const uint64_t *)values + 2 * first, count, limit);
    default:
        return true;
    }
}

static enum fletch_status check_decimals(const struct fletch_validated *validated, uint32_t row,
                                         const struct fletch_column *column)
{
    const size_t width = fletch_type_byte_width(&column->field->type);
    const struct wide limit = power_of_ten(column->field->type.precision);
    if (column->node->length == 0 || !may_reach(column, &limit))
        return FLETCH_OK;
    for (int64_t i = 0; i < column->node->length; i++) {
        const uint8_t *bytes = column->spans[1].data + (size_t)(column->node->offset + i) * width;
        const struct wide value = magnitude(bytes, width);
        if (!is_below(&value, &limit) && fletch_column_is_valid(column, i))
            return fletch_validate_fail(validated, row,
                                        "element %" PRId64 " has more than %" PRId32 " digits", i,
                                        column->field->type.precision);
    }
    return FLETCH_OK;
}

/* What is wrong with a view whose bytes are at `data`; NULL: nothing. */
static const char *view_fault(const struct fletch_string_view *view,
                              const struct fletch_batch_span *bytes)
{
    static const uint8_t zeros[FLETCH_VIEW_INLINE_BYTES];
    if (view->bytes > FLETCH_VIEW_INLINE_BYTES)
        return memcmp(view->prefix, bytes->data, sizeof view->prefix) == 0
                   ? NULL
                   : "is a view whose first 4 bytes are not those of its data";
    return memcmp(bytes->data + view->bytes, zeros, (size_t)(sizeof zeros - (size_t)view->bytes)) ==
                   0
               ? NULL
               : "is a view with other bytes than 0 behind its own";
}

static enum fletch_status check_views(const struct fletch_validated *validated, uint32_t row,
                                      const struct fletch_column *column)
{
    const bool is_text = fletch_type_is_text(column->field->type.id);
    for (int64_t i = 0; i < column->node->length; i++) {
        if (!fletch_column_is_valid(column, i))
            continue;
        const struct fletch_batch_span bytes = fletch_column_bytes(column, i);
        const char *fault = view_fault(fletch_column_view(column, i), &bytes);
        if (fault != NULL)
            return fletch_validate_fail(validated, row, "element %" PRId64 ", %zu bytes, %s", i,
                                        bytes.bytes, fault);
        if (is_text && !fletch_utf8_is_ascii(bytes.data, bytes.bytes) &&
            !fletch_utf8_is_valid(bytes.data, bytes.bytes))
            return fletch_validate_fail(
                validated, row, "element %" PRId64 ", %zu bytes, is not UTF-8", i, bytes.bytes);
    }
    return FLETCH_OK;
}

/* Those of each child of a dense union never decrease. */
static enum fletch_status check_starts(const struct fletch_validated *validated, uint32_t row,
                                       const struct fletch_column *column)
{
    const int8_t *type_ids = (const int8_t *)column->spans[0].data + column->node->offset;
    int64_t least[FLETCH_TYPE_IDS_MAX] = {0};
    for (int64_t i = 0; i < column->node->length; i++) {
        const int64_t start = fletch_column_offset(column, i);
        if (start < least[type_ids[i]])
            return fletch_validate_fail(validated, row,
                                        "element %" PRId64 " is at %" PRId64
                                        " of the child of type id %d, expected %" PRId64
                                        " or more, where one before it is",
                                        i, start, type_ids[i], least[type_ids[i]]);
        least[type_ids[i]] = start;
    }
    return FLETCH_OK;
}

static enum fletch_status check_null_count(const struct fletch_validated *validated, uint32_t row,
                                           const struct fletch_column *column)
{
    const struct fletch_batch_node *node = column->node;
    if (!fletch_type_has_validity(column->field->type.id) || node->null_count < 0 ||
        column->spans[0].data == NULL)
        return FLETCH_OK;
    const int64_t found =
        node->length - fletch_bitmap_count(column->spans[0].data, node->offset, node->length);
    if (found == node->null_count)
        return FLETCH_OK;
    return fletch_validate_fail(validated, row, "null count %" PRId64 ", its validity has %" PRId64,
                                node->null_count, found);
}

enum fletch_status fletch_validate_values(const struct fletch_validated *validated, uint32_t row)
{
    const struct fletch_column column = fletch_column_of(validated->batch, row);
    const enum fletch_type_id id = column.field->type.id;
    enum fletch_status status = check_null_count(validated, row, &column);
    if (status != FLETCH_OK)
        return status;
    if (column.field->dictionary != FLETCH_NO_INDEX)
        return check_indices(validated, row, &column);
    if (id == FLETCH_TYPE_UTF8 || id == FLETCH_TYPE_LARGE_UTF8)
        return check_strings(validated, row, &column);
    if (fletch_type_is_view(id))
        return check_views(validated, row, &column);
    if (id == FLETCH_TYPE_DENSE_UNION)
        return check_starts(validated, row, &column);
    if (fletch_type_is_decimal(id))
        return check_decimals(validated, row, &column);
    return FLETCH_OK;
}
