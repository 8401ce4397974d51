#include "partition/murmur3.h"

#include "partition/hash_mix.h"

/* MurmurHash3_x86_32 is by Austin Appleby (public domain). Spark's form of it differs for the bytes
 * behind the last whole word: each goes in as a word of its own. */

enum spark_rule {
    SPARK_REFUSED,
    SPARK_BOOL,
    SPARK_INT,
    SPARK_LONG,
    SPARK_FLOAT,
    SPARK_DOUBLE,
    SPARK_DECIMAL,
    SPARK_BYTES,
    SPARK_LIST,
    SPARK_STRUCT
};

static const unsigned char spark_rules[FLETCH_TYPE_COUNT] = {
    [FLETCH_TYPE_BOOL] = SPARK_BOOL,         [FLETCH_TYPE_INT8] = SPARK_INT,
    [FLETCH_TYPE_INT16] = SPARK_INT,         [FLETCH_TYPE_INT32] = SPARK_INT,
    [FLETCH_TYPE_INT64] = SPARK_LONG,        [FLETCH_TYPE_FLOAT] = SPARK_FLOAT,
    [FLETCH_TYPE_DOUBLE] = SPARK_DOUBLE,     [FLETCH_TYPE_DECIMAL32] = SPARK_DECIMAL,
    [FLETCH_TYPE_DECIMAL64] = SPARK_DECIMAL, [FLETCH_TYPE_DECIMAL128] = SPARK_DECIMAL,
    [FLETCH_TYPE_UTF8] = SPARK_BYTES,        [FLETCH_TYPE_LARGE_UTF8] = SPARK_BYTES,
    [FLETCH_TYPE_BINARY] = SPARK_BYTES,      [FLETCH_TYPE_LARGE_BINARY] = SPARK_BYTES,
    [FLETCH_TYPE_DATE32] = SPARK_INT,        [FLETCH_TYPE_TIMESTAMP] = SPARK_LONG,
    [FLETCH_TYPE_DURATION] = SPARK_LONG,     [FLETCH_TYPE_INTERVAL_MONTHS] = SPARK_INT,
    [FLETCH_TYPE_LIST] = SPARK_LIST,         [FLETCH_TYPE_LARGE_LIST] = SPARK_LIST,
    [FLETCH_TYPE_STRUCT] = SPARK_STRUCT,     [FLETCH_TYPE_MAP] = SPARK_LIST,
};

/* Decimals up to this precision are a long in Spark. */
enum { LONG_PRECISION = 18 };

/* ---- the function ---- */

static inline uint32_t rotated(uint32_t x, unsigned bits)
{
    return x << bits | x >> (32 - bits);
}

static inline uint32_t with_word(uint32_t hash, uint32_t word)
{
    word = rotated(word * UINT32_C(0xcc9e2d51), 15) * UINT32_C(0x1b873593);
    return rotated(hash ^ word, 13) * 5 + UINT32_C(0xe6546b64);
}

static inline uint32_t finished(uint32_t hash, uint32_t length)
{
    hash ^= length;
    hash = (hash ^ hash >> 16) * UINT32_C(0x85ebca6b);
    hash = (hash ^ hash >> 13) * UINT32_C(0xc2b2ae35);
    return hash ^ hash >> 16;
}

static inline uint32_t hash_int(uint32_t value, uint32_t seed)
{
    return finished(with_word(seed, value), 4);
}

static inline uint32_t hash_long(uint64_t value, uint32_t seed)
{
    return finished(with_word(with_word(seed, (uint32_t)value), (uint32_t)(value >> 32)), 8);
}

static uint32_t hash_bytes(const uint8_t *bytes, size_t length, uint32_t seed)
{
    uint32_t hash = seed;
    size_t at = 0;
    for (; at + 4 <= length; at += 4) {
        uint32_t word;
        memcpy(&word, bytes + at, sizeof word);
        hash = with_word(hash, word);
    }
    for (; at < length; at++)
        hash = with_word(hash, (uint32_t)(int8_t)bytes[at]);
    return finished(hash, (uint32_t)length);
}

/* ---- values ---- */

static uint32_t hash_float(uint32_t bits, uint32_t seed)
{
    uint32_t magnitude = bits & UINT32_C(0x7fffffff);
    if (magnitude == 0)
        bits = 0;
    return hash_int(magnitude > UINT32_C(0x7f800000) ? UINT32_C(0x7fc00000) : bits, seed);
}

/* The unscaled value as the fewest bytes, big-endian, that hold its sign. */
static uint32_t hash_big_integer(const uint8_t *value, size_t width, uint32_t seed)
{
    uint8_t bytes[16];
    for (size_t i = 0; i < width; i++)
        bytes[i] = value[width - 1 - i];
    size_t skipped = 0;
    while (skipped + 1 < width && ((bytes[skipped] == 0 && bytes[skipped + 1] < 0x80) ||
                                   (bytes[skipped] == 0xff && bytes[skipped + 1] >= 0x80)))
        skipped++;
    return hash_bytes(bytes + skipped, width - skipped, seed);
}

static uint32_t hash_decimal(const struct fletch_type *type, const uint8_t *value, uint32_t seed)
{
    size_t width = fletch_type_byte_width(type);
    if (type->precision > LONG_PRECISION)
        return hash_big_integer(value, width, seed);
    int32_t narrow;
    memcpy(&narrow, value, sizeof narrow);
    return hash_long(width == 4 ? (uint64_t)(int64_t)narrow : fletch_hash_load(value), seed);
}

static uint32_t hash_value(const struct fletch_batch *batch, uint32_t row, int64_t index,
                           uint32_t seed);

static uint32_t hash_list(const struct fletch_node_view *column, int64_t index, uint32_t seed)
{
    int64_t end = fletch_view_start(column, index + 1);
    for (int64_t i = fletch_view_start(column, index); i < end; i++)
        seed = hash_value(column->batch, column->row + 1, i, seed);
    return seed;
}

static uint32_t hash_struct(const struct fletch_node_view *column, int64_t index, uint32_t seed)
{
    const struct fletch_field *fields = column->batch->schema->fields;
    for (uint32_t child = column->row + 1; child < column->field->end; child = fields[child].end)
        seed = hash_value(column->batch, child, index, seed);
    return seed;
}

static uint32_t hash_string(const struct fletch_node_view *column, int64_t index, uint32_t seed)
{
    static const uint8_t nothing[1];
    int64_t start = fletch_view_start(column, index);
    size_t length = (size_t)(fletch_view_start(column, index + 1) - start);
    return hash_bytes(length == 0 ? nothing : column->bytes + start, length, seed);
}

static uint32_t hash_fixed(const struct fletch_node_view *column, int64_t index, uint32_t seed)
{
    const struct fletch_type *type = &column->field->type;
    const uint8_t *value =
        column->values + (size_t)(column->offset + index) * fletch_type_byte_width(type);
    uint32_t single;
    switch (spark_rules[type->id]) {
    case SPARK_LONG:
        return hash_long(fletch_hash_load(value), seed);
    case SPARK_FLOAT:
        memcpy(&single, value, sizeof single);
        return hash_float(single, seed);
    case SPARK_DOUBLE:
        return hash_long(fletch_hash_double(fletch_hash_load(value)), seed);
    case SPARK_DECIMAL:
        return hash_decimal(type, value, seed);
    default:
        return hash_int((uint32_t)fletch_view_integer(column, index), seed);
    }
}

/* As deep as the schema, which is bounded by FLETCH_SCHEMA_DEPTH_MAX. */
static uint32_t hash_value(const struct fletch_batch *batch, uint32_t row, int64_t index,
                           uint32_t seed)
{
    struct fletch_node_view column = fletch_node_view_of(batch, row);
    if (fletch_view_is_null(&column, index))
        return seed;
    if (column.field->dictionary != FLETCH_NO_INDEX) {
        int64_t at;
        const struct fletch_batch *values = fletch_view_dictionary_value(&column, index, &at);
        return values != NULL ? hash_value(values, 0, at, seed) : seed;
    }
    switch (spark_rules[column.field->type.id]) {
    case SPARK_BOOL:
        return hash_int(fletch_view_bit(column.values, column.offset + index), seed);
    case SPARK_BYTES:
        return hash_string(&column, index, seed);
    case SPARK_LIST:
        return hash_list(&column, index, seed);
    case SPARK_STRUCT:
        return hash_struct(&column, index, seed);
    default:
        return hash_fixed(&column, index, seed);
    }
}

void fletch_murmur3_rows(const struct fletch_batch *batch, struct fletch_hash_key key,
                         struct fletch_row_range range, uint32_t *hashes)
{
    for (size_t i = 0; i < range.count; i++) {
        uint32_t hash = FLETCH_MURMUR3_SEED;
        for (uint32_t k = 0; k < key.count; k++)
            hash = hash_value(batch, key.rows[k], range.first + (int64_t)i, hash);
        hashes[i] = hash;
    }
}

/* ---- what Spark has ---- */

/* Whether Spark has the type of the field, or all that its dictionary's values consist of. */
static bool is_known(const struct fletch_schema *schema, const struct fletch_field *field)
{
    const struct fletch_schema_dictionary *dictionary = fletch_schema_dictionary_of(schema, field);
    if (dictionary == NULL)
        return spark_rules[field->type.id] != SPARK_REFUSED;
    for (uint32_t row = 0; row < dictionary->values->field_count; row++)
        if (spark_rules[dictionary->values->fields[row].type.id] == SPARK_REFUSED)
            return false;
    return true;
}

static enum fletch_status check_field(const struct fletch_schema *schema, uint32_t row,
                                      struct fletch_error *error)
{
    const struct fletch_field *field = &schema->fields[row];
    if (is_known(schema, field))
        return FLETCH_OK;
    char type[FLETCH_FIELD_TEXT_BYTES];
    return fletch_error_set(error, FLETCH_UNIMPLEMENTED,
                            "field '%s': type %s has no hash in Spark, which spark-murmur3-42 "
                            "follows",
                            fletch_field_path_of(schema, row).text,
                            fletch_field_describe(schema, field, type, sizeof type));
}

enum fletch_status fletch_murmur3_check(const struct fletch_schema *schema,
                                        struct fletch_hash_key key, struct fletch_error *error)
{
    for (uint32_t k = 0; k < key.count; k++)
        for (uint32_t row = key.rows[k]; row < schema->fields[key.rows[k]].end; row++) {
            enum fletch_status status = check_field(schema, row, error);
            if (status != FLETCH_OK)
                return status;
        }
    return FLETCH_OK;
}
