#include "partition/range.h"

#include "base/allocator.h"
#include "partition/hash_mix.h"

enum { ALIGNMENT = 64 };

/* ---- order of values ---- */

#define SIGN (UINT64_C(1) << 63)

/* Doubles in order as unsigned numbers: negative ones turned round, NaN at the end. */
static uint64_t ordered_double(uint64_t bits)
{
    bits = fletch_hash_double(bits);
    return (bits & SIGN) != 0 ? ~bits : bits | SIGN;
}

static uint64_t ordered_prefix(const uint8_t *bytes, size_t length)
{
    uint64_t prefix = 0;
    memcpy(&prefix, bytes, length < 8 ? length : 8);
    return __builtin_bswap64(prefix);
}

struct fletch_range_text fletch_range_text_of(const struct fletch_node_view *column, int64_t index)
{
    static const uint8_t nothing[1];
    if (fletch_type_is_view(column->field->type.id)) {
        struct fletch_column array = fletch_column_of(column->batch, column->row);
        struct fletch_batch_span bytes = fletch_column_bytes(&array, index);
        return (struct fletch_range_text){bytes.bytes == 0 ? nothing : bytes.data, bytes.bytes};
    }
    if (column->field->type.id == FLETCH_TYPE_FIXED_SIZE_BINARY) {
        size_t width = fletch_type_byte_width(&column->field->type);
        if (width == 0)
            return (struct fletch_range_text){nothing, 0};
        return (struct fletch_range_text){column->values + (size_t)(column->offset + index) * width,
                                          width};
    }
    int64_t start = fletch_view_start(column, index);
    size_t length = (size_t)(fletch_view_start(column, index + 1) - start);
    return (struct fletch_range_text){length == 0 ? nothing : column->bytes + start, length};
}

static bool is_text(enum fletch_type_id id)
{
    return fletch_type_is_variable(id) || fletch_type_is_view(id) ||
           id == FLETCH_TYPE_FIXED_SIZE_BINARY;
}

static bool is_wide_decimal(enum fletch_type_id id)
{
    return id == FLETCH_TYPE_DECIMAL128 || id == FLETCH_TYPE_DECIMAL256;
}

static const uint8_t *value_at(const struct fletch_node_view *column, int64_t index)
{
    return column->values +
           (size_t)(column->offset + index) * fletch_type_byte_width(&column->field->type);
}

/* A number that orders as the values do, as far as 64 bits tell; the value is not null. */
static uint64_t order_word(const struct fletch_node_view *column, int64_t index)
{
    enum fletch_type_id id = column->field->type.id;
    size_t width = fletch_type_byte_width(&column->field->type);
    uint32_t single;
    uint16_t half;
    if (is_text(id)) {
        struct fletch_range_text text = fletch_range_text_of(column, index);
        return ordered_prefix(text.bytes, text.length);
    }
    switch (id) {
    case FLETCH_TYPE_BOOL:
        return fletch_view_bit(column->values, column->offset + index);
    case FLETCH_TYPE_HALF:
        memcpy(&half, value_at(column, index), sizeof half);
        return ordered_double(fletch_hash_half(half));
    case FLETCH_TYPE_FLOAT:
        memcpy(&single, value_at(column, index), sizeof single);
        return ordered_double(fletch_hash_float(single));
    case FLETCH_TYPE_DOUBLE:
        return ordered_double(fletch_hash_load(value_at(column, index)));
    case FLETCH_TYPE_UINT64:
        return fletch_hash_load(value_at(column, index));
    case FLETCH_TYPE_DECIMAL128:
    case FLETCH_TYPE_DECIMAL256:
        return fletch_hash_load(value_at(column, index) + width - 8) ^ SIGN;
    default:
        return (uint64_t)fletch_view_integer(column, index) ^ SIGN;
    }
}

/* What the words left open, for two values with equal words. */
static int compare_rest(const struct fletch_node_view *a, int64_t at_a,
                        const struct fletch_node_view *b, int64_t at_b)
{
    enum fletch_type_id id = a->field->type.id;
    if (is_text(id)) {
        struct fletch_range_text x = fletch_range_text_of(a, at_a);
        struct fletch_range_text y = fletch_range_text_of(b, at_b);
        int order = memcmp(x.bytes, y.bytes, x.length < y.length ? x.length : y.length);
        return order != 0 ? order : (x.length > y.length) - (x.length < y.length);
    }
    size_t width = is_wide_decimal(id) ? fletch_type_byte_width(&a->field->type) : 0;
    for (size_t i = width; i >= 16; i -= 8) {
        uint64_t x = fletch_hash_load(value_at(a, at_a) + i - 16);
        uint64_t y = fletch_hash_load(value_at(b, at_b) + i - 16);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

bool fletch_range_look_through(struct fletch_node_view *column, int64_t *index)
{
    if (fletch_view_is_null(column, *index))
        return false;
    if (column->field->dictionary == FLETCH_NO_INDEX)
        return true;
    const struct fletch_batch *values = fletch_view_dictionary_value(column, *index, index);
    if (values == NULL)
        return false;
    *column = fletch_node_view_of(values, 0);
    return !fletch_view_is_null(column, *index);
}

static int compare_values(const struct fletch_range_place *a, const struct fletch_range_place *b,
                          uint32_t k, struct fletch_range_order order)
{
    struct fletch_node_view x = fletch_node_view_of(a->batch, a->rows[k]);
    struct fletch_node_view y = fletch_node_view_of(b->batch, b->rows[k]);
    int64_t at_x = a->index;
    int64_t at_y = b->index;
    bool has_x = fletch_range_look_through(&x, &at_x);
    bool has_y = fletch_range_look_through(&y, &at_y);
    if (!has_x || !has_y)
        return (has_x - has_y) * (order.nulls_first ? 1 : -1);
    uint64_t word_x = order_word(&x, at_x);
    uint64_t word_y = order_word(&y, at_y);
    int found = word_x != word_y ? (word_x < word_y ? -1 : 1) : compare_rest(&x, at_x, &y, at_y);
    return order.is_descending ? -found : found;
}

int fletch_range_compare(const struct fletch_range_place *a, const struct fletch_range_place *b,
                         const struct fletch_range_order *orders, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        int order = compare_values(a, b, k, orders[k]);
        if (order != 0)
            return order;
    }
    return 0;
}

/* ---- checks ---- */

static bool has_order(enum fletch_type_id id)
{
    return fletch_type_is_view(id) ||
           (id != FLETCH_TYPE_NULL && id != FLETCH_TYPE_INTERVAL_DAY_TIME &&
            id != FLETCH_TYPE_INTERVAL_MONTH_DAY_NANO && id < FLETCH_TYPE_LIST);
}

enum fletch_status fletch_range_check(const struct fletch_schema *schema,
                                      struct fletch_hash_key key, struct fletch_error *error)
{
    for (uint32_t k = 0; k < key.count; k++) {
        const struct fletch_field *field = &schema->fields[key.rows[k]];
        const struct fletch_schema_dictionary *dictionary =
            fletch_schema_dictionary_of(schema, field);
        const struct fletch_field *values =
            dictionary == NULL ? field : &dictionary->values->fields[0];
        char type[FLETCH_FIELD_TEXT_BYTES];
        if (!has_order(values->type.id))
            return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                                    "field '%s': values of type %s have no order for ranges",
                                    fletch_field_path_of(schema, key.rows[k]).text,
                                    fletch_field_describe(schema, field, type, sizeof type));
    }
    return FLETCH_OK;
}

const struct fletch_type *fletch_range_type(const struct fletch_schema *schema, uint32_t row)
{
    const struct fletch_schema_dictionary *dictionary =
        fletch_schema_dictionary_of(schema, &schema->fields[row]);
    static const struct fletch_type text = {.id = FLETCH_TYPE_UTF8};
    static const struct fletch_type bytes = {.id = FLETCH_TYPE_BINARY};
    const struct fletch_type *type =
        dictionary == NULL ? &schema->fields[row].type : &dictionary->values->fields[0].type;
    if (!fletch_type_is_view(type->id))
        return type;
    return type->id == FLETCH_TYPE_UTF8_VIEW ? &text : &bytes;
}

static enum fletch_status check_types(const struct fletch_schema *schema,
                                      struct fletch_hash_key key,
                                      const struct fletch_schema *bounds,
                                      struct fletch_error *error)
{
    if (bounds->column_count != key.count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "range bounds have %u columns, the key has %u",
                                bounds->column_count, key.count);
    for (uint32_t k = 0; k < key.count; k++) {
        const struct fletch_type *expected = fletch_range_type(schema, key.rows[k]);
        const struct fletch_type *found = fletch_range_type(bounds, bounds->columns[k]);
        char wanted[FLETCH_TYPE_TEXT_BYTES];
        char given[FLETCH_TYPE_TEXT_BYTES];
        if (!fletch_type_equal(expected, found))
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "range bounds: column %u is %s, the key column '%s' is %s", k,
                                    fletch_type_describe(found, given, sizeof given),
                                    fletch_field_path_of(schema, key.rows[k]).text,
                                    fletch_type_describe(expected, wanted, sizeof wanted));
    }
    return FLETCH_OK;
}

static enum fletch_status check_bounds(const struct fletch_range *range, struct fletch_error *error)
{
    for (uint32_t i = 1; i < range->bound_count; i++) {
        struct fletch_range_place before = {range->bounds, range->bound_rows, i - 1};
        struct fletch_range_place bound = {range->bounds, range->bound_rows, i};
        if (fletch_range_compare(&before, &bound, range->orders, range->key.count) > 0)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "range bounds are not sorted: bound %u is below bound %u", i,
                                    i - 1);
    }
    return FLETCH_OK;
}

/* ---- making ---- */

static void *allocate_some(const struct fletch_range *range, size_t bytes)
{
    return fletch_allocate(&range->allocator, bytes > 0 ? bytes : 1, ALIGNMENT);
}

static void release_some(const struct fletch_range *range, void *memory, size_t bytes)
{
    if (memory != NULL)
        fletch_release(&range->allocator, memory, bytes > 0 ? bytes : 1, ALIGNMENT);
}

void fletch_range_deinit(struct fletch_range *range)
{
    release_some(range, range->orders, range->key.count * sizeof range->orders[0]);
    release_some(range, range->bound_rows, range->key.count * sizeof range->bound_rows[0]);
    release_some(range, range->words, range->bound_count * sizeof range->words[0]);
    fletch_batch_release(NULL, range->bounds);
    *range = (struct fletch_range){.bounds = NULL};
}

/* The word of a row's first key column, in the direction of the order; nulls are at their end of
 * all numbers, where a value may be too. */
static uint64_t directed_word(const struct fletch_range_place *place,
                              struct fletch_range_order order)
{
    struct fletch_node_view column = fletch_node_view_of(place->batch, place->rows[0]);
    int64_t index = place->index;
    if (!fletch_range_look_through(&column, &index))
        return order.nulls_first ? 0 : UINT64_MAX;
    uint64_t word = order_word(&column, index);
    return order.is_descending ? ~word : word;
}

static void set_words(struct fletch_range *range, const struct fletch_schema *schema)
{
    const struct fletch_field *field = &schema->fields[range->key.rows[0]];
    for (uint32_t i = 0; i < range->bound_count; i++) {
        struct fletch_range_place place = {range->bounds, range->bound_rows, i};
        range->words[i] = directed_word(&place, range->orders[0]);
    }
    /* Numbers of up to 64 bits, and bounds that are no null and so cannot be taken for one. */
    bool is_number = field->dictionary == FLETCH_NO_INDEX && !is_text(field->type.id) &&
                     !is_wide_decimal(field->type.id);
    bool may_be_null = false;
    for (uint32_t i = 0; i < range->bound_count; i++)
        may_be_null |= range->words[i] == 0 || range->words[i] == UINT64_MAX;
    range->words_are_all = is_number && range->key.count == 1 && !may_be_null;
}

enum fletch_status fletch_range_init(struct fletch_range *range, const struct fletch_schema *schema,
                                     struct fletch_hash_key key,
                                     const struct fletch_partitioner_options *options,
                                     struct fletch_error *error)
{
    uint32_t bound_count = options->partition_count - 1;
    struct fletch_batch *bounds = options->range_bounds;
    int64_t found = bounds == NULL ? 0 : bounds->row_count;
    if (found != bound_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "%u partitions by range need %u bounds, there are %lld",
                                options->partition_count, bound_count, (long long)found);
    enum fletch_status status =
        bounds == NULL ? FLETCH_OK : check_types(schema, key, bounds->schema, error);
    if (status != FLETCH_OK)
        return status;
    range->key = (struct fletch_range_key){.rows = key.rows, .count = key.count};
    range->bound_count = bound_count;
    range->orders = allocate_some(range, key.count * sizeof range->orders[0]);
    range->bound_rows = allocate_some(range, key.count * sizeof range->bound_rows[0]);
    range->words = allocate_some(range, bound_count * sizeof range->words[0]);
    if (range->orders == NULL || range->bound_rows == NULL || range->words == NULL) {
        fletch_range_deinit(range);
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for %u range bounds",
                                bound_count);
    }
    for (uint32_t k = 0; k < key.count; k++) {
        range->orders[k] = options->range_orders == NULL ? (struct fletch_range_order){false, false}
                                                         : options->range_orders[k];
        range->bound_rows[k] = bounds == NULL ? 0 : bounds->schema->columns[k];
    }
    range->bounds = bounds == NULL ? NULL : fletch_batch_acquire(bounds);
    status = check_bounds(range, error);
    if (status == FLETCH_OK)
        set_words(range, schema);
    else
        fletch_range_deinit(range);
    return status;
}

/* ---- rows ---- */

/* How many bounds are not above the word. No branch depends on the data. */
static uint32_t bounds_up_to(const uint64_t *words, uint32_t count, uint64_t word)
{
    uint32_t below = 0;
    while (count > 0) {
        uint32_t half = count - count / 2;
        below += words[below + half - 1] <= word ? half : 0;
        count -= half;
    }
    return below;
}

static uint32_t partition_of(const struct fletch_range *range,
                             const struct fletch_range_place *place)
{
    uint32_t low = 0;
    uint32_t high = range->bound_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct fletch_range_place bound = {range->bounds, range->bound_rows, middle};
        if (fletch_range_compare(&bound, place, range->orders, range->key.count) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void fletch_range_assign(const struct fletch_range *range, const struct fletch_batch *batch,
                         struct fletch_row_range rows, uint16_t *partitions)
{
    struct fletch_range_place place = {.batch = batch, .rows = range->key.rows};
    for (size_t i = 0; i < rows.count; i++) {
        place.index = rows.first + (int64_t)i;
        if (range->words_are_all)
            partitions[i] = (uint16_t)bounds_up_to(range->words, range->bound_count,
                                                   directed_word(&place, range->orders[0]));
        else
            partitions[i] = (uint16_t)partition_of(range, &place);
    }
}
