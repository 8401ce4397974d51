#include "partition/hash.h"

#include <fletching/partition.h>

#include "base/assert.h"
#include "partition/element_ranges.h"
#include "partition/hash_mix.h"

/* How the words of a type come about. */
enum word_rule {
    WORDS_NULL,     /* every value is null */
    WORDS_BITS,     /* bool */
    WORDS_STORED,   /* the 8 stored bytes */
    WORDS_INTEGERS, /* small integers, by `integer` */
    WORDS_HALVES,
    WORDS_FLOATS,
    WORDS_DOUBLES,
    WORDS_DECIMALS,
    WORDS_STRINGS,
    WORDS_FIXED, /* as a string of the type's width */
    WORDS_VIEWS, /* strings that are views */
    WORDS_LIST,  /* of whatever kind */
    WORDS_STRUCT,
    WORDS_UNION,
    WORDS_RUNS /* those of the runs' values */
};

struct word_type {
    enum word_rule rule;
    enum fletch_hash_integer integer;
};

static const struct word_type word_types[FLETCH_TYPE_COUNT] = {
    [FLETCH_TYPE_NULL] = {.rule = WORDS_NULL},
    [FLETCH_TYPE_BOOL] = {.rule = WORDS_BITS},
    [FLETCH_TYPE_INT8] = {.rule = WORDS_INTEGERS, .integer = FLETCH_HASH_INT8},
    [FLETCH_TYPE_UINT8] = {.rule = WORDS_INTEGERS, .integer = FLETCH_HASH_UINT8},
    [FLETCH_TYPE_INT16] = {.rule = WORDS_INTEGERS, .integer = FLETCH_HASH_INT16},
    [FLETCH_TYPE_UINT16] = {.rule = WORDS_INTEGERS, .integer = FLETCH_HASH_UINT16},
    [FLETCH_TYPE_INT32] = {.rule = WORDS_INTEGERS, .integer = FLETCH_HASH_INT32},
    [FLETCH_TYPE_UINT32] = {.rule = WORDS_INTEGERS, .integer = FLETCH_HASH_UINT32},
    [FLETCH_TYPE_INT64] = {.rule = WORDS_STORED},
    [FLETCH_TYPE_UINT64] = {.rule = WORDS_STORED},
    [FLETCH_TYPE_HALF] = {.rule = WORDS_HALVES},
    [FLETCH_TYPE_FLOAT] = {.rule = WORDS_FLOATS},
    [FLETCH_TYPE_DOUBLE] = {.rule = WORDS_DOUBLES},
    [FLETCH_TYPE_DECIMAL32] = {.rule = WORDS_INTEGERS, .integer = FLETCH_HASH_INT32},
    [FLETCH_TYPE_DECIMAL64] = {.rule = WORDS_STORED},
    [FLETCH_TYPE_DECIMAL128] = {.rule = WORDS_DECIMALS},
    [FLETCH_TYPE_DECIMAL256] = {.rule = WORDS_DECIMALS},
    [FLETCH_TYPE_UTF8] = {.rule = WORDS_STRINGS},
    [FLETCH_TYPE_LARGE_UTF8] = {.rule = WORDS_STRINGS},
    [FLETCH_TYPE_BINARY] = {.rule = WORDS_STRINGS},
    [FLETCH_TYPE_LARGE_BINARY] = {.rule = WORDS_STRINGS},
    [FLETCH_TYPE_FIXED_SIZE_BINARY] = {.rule = WORDS_FIXED},
    [FLETCH_TYPE_DATE32] = {.rule = WORDS_INTEGERS, .integer = FLETCH_HASH_INT32},
    [FLETCH_TYPE_DATE64] = {.rule = WORDS_STORED},
    [FLETCH_TYPE_TIME32] = {.rule = WORDS_INTEGERS, .integer = FLETCH_HASH_INT32},
    [FLETCH_TYPE_TIME64] = {.rule = WORDS_STORED},
    [FLETCH_TYPE_TIMESTAMP] = {.rule = WORDS_STORED},
    [FLETCH_TYPE_DURATION] = {.rule = WORDS_STORED},
    [FLETCH_TYPE_INTERVAL_MONTHS] = {.rule = WORDS_INTEGERS, .integer = FLETCH_HASH_INT32},
    [FLETCH_TYPE_INTERVAL_DAY_TIME] = {.rule = WORDS_STORED},
    [FLETCH_TYPE_INTERVAL_MONTH_DAY_NANO] = {.rule = WORDS_FIXED},
    [FLETCH_TYPE_LIST] = {.rule = WORDS_LIST},
    [FLETCH_TYPE_LARGE_LIST] = {.rule = WORDS_LIST},
    [FLETCH_TYPE_STRUCT] = {.rule = WORDS_STRUCT},
    [FLETCH_TYPE_MAP] = {.rule = WORDS_LIST},
    [FLETCH_TYPE_UTF8_VIEW] = {.rule = WORDS_VIEWS},
    [FLETCH_TYPE_BINARY_VIEW] = {.rule = WORDS_VIEWS},
    [FLETCH_TYPE_LIST_VIEW] = {.rule = WORDS_LIST},
    [FLETCH_TYPE_LARGE_LIST_VIEW] = {.rule = WORDS_LIST},
    [FLETCH_TYPE_FIXED_SIZE_LIST] = {.rule = WORDS_LIST},
    [FLETCH_TYPE_DENSE_UNION] = {.rule = WORDS_UNION},
    [FLETCH_TYPE_SPARSE_UNION] = {.rule = WORDS_UNION},
    [FLETCH_TYPE_RUN_END_ENCODED] = {.rule = WORDS_RUNS},
};

/* ---- one value ---- */

static uint64_t word_of_string(const struct fletch_node_view *column, int64_t index)
{
    int64_t start = fletch_view_start(column, index);
    size_t length = (size_t)(fletch_view_start(column, index + 1) - start);
    if (length == 0)
        return 0;
    return fletch_hash_bytes(column->bytes + start, length);
}

static uint64_t word_of_view(const struct fletch_node_view *column, int64_t index)
{
    struct fletch_string_view view = fletch_view_string(column, index);
    size_t length = (size_t)view.bytes;
    if (length > FLETCH_VIEW_INLINE_BYTES) {
        const uint8_t *bytes = fletch_view_string_bytes(column, &view);
        size_t end = (size_t)view.offset + length;
        return end + FLETCH_HASH_READ_AHEAD <= column->buffers[view.buffer].bytes
                   ? fletch_hash_bytes_padded(bytes, length)
                   : fletch_hash_bytes(bytes, length);
    }
    uint8_t stored[sizeof view + FLETCH_VIEW_PREFIX_BYTES] = {0};
    memcpy(stored, &view, sizeof view);
    const uint8_t *bytes = stored + offsetof(struct fletch_string_view, prefix);
    return fletch_hash_bytes_padded(bytes, length);
}

static uint64_t word_of_flat(const struct fletch_node_view *column, int64_t index)
{
    const struct fletch_type *type = &column->field->type;
    size_t width = fletch_type_byte_width(type);
    const uint8_t *value =
        column->values == NULL ? NULL : column->values + (size_t)(column->offset + index) * width;
    uint16_t half;
    uint32_t single;
    switch (word_types[type->id].rule) {
    case WORDS_BITS:
        return fletch_view_bit(column->values, column->offset + index);
    case WORDS_STORED:
        return fletch_hash_load(value);
    case WORDS_HALVES:
        memcpy(&half, value, sizeof half);
        return fletch_hash_half(half);
    case WORDS_FLOATS:
        memcpy(&single, value, sizeof single);
        return fletch_hash_float(single);
    case WORDS_DOUBLES:
        return fletch_hash_double(fletch_hash_load(value));
    case WORDS_DECIMALS:
        return fletch_hash_decimal(value, width);
    case WORDS_STRINGS:
        return word_of_string(column, index);
    case WORDS_VIEWS:
        return word_of_view(column, index);
    case WORDS_FIXED:
        return fletch_hash_bytes(value, width);
    default: /* small integers */
        return (uint64_t)fletch_view_integer(column, index);
    }
}

static uint64_t word_of_struct(const struct fletch_node_view *column, int64_t index)
{
    const struct fletch_field *fields = column->batch->schema->fields;
    uint64_t hash = FLETCH_HASH_STRUCT;
    for (uint32_t child = column->row + 1; child < column->field->end; child = fields[child].end)
        hash = fletch_hash_step(hash, fletch_hash_word(column->batch, child, index));
    return hash;
}

static uint64_t word_of_list(const struct fletch_node_view *column, int64_t index)
{
    struct fletch_column list = fletch_column_of(column->batch, column->row);
    struct fletch_element_range range = fletch_column_elements(&list, index);
    uint64_t hash = fletch_hash_step(FLETCH_HASH_LIST, (uint64_t)range.count);
    for (int64_t i = range.first; i < range.first + range.count; i++)
        hash = fletch_hash_step(hash, fletch_hash_word(column->batch, column->row + 1, i));
    return hash;
}

static uint64_t word_of_union(const struct fletch_node_view *column, int64_t index)
{
    struct fletch_column array = fletch_column_of(column->batch, column->row);
    int8_t type_id = (int8_t)column->values[column->offset + index];
    int member = fletch_column_member(&array, index);
    if (member < 0)
        return FLETCH_HASH_NULL;
    uint32_t child = fletch_schema_child(column->batch->schema, column->row, (uint32_t)member);
    uint64_t hash = fletch_hash_step(FLETCH_HASH_UNION, (uint64_t)type_id);
    return fletch_hash_step(
        hash, fletch_hash_word(column->batch, child, fletch_column_member_index(&array, index)));
}

static uint64_t word_of_run(const struct fletch_node_view *column, int64_t index)
{
    struct fletch_column run_ends = fletch_column_of(column->batch, column->row + 1);
    int64_t run = fletch_column_find_run(&run_ends, column->offset + index);
    return fletch_hash_word(column->batch, column->row + 2, run);
}

/* As deep as the schema, which is bounded by FLETCH_SCHEMA_DEPTH_MAX. */
uint64_t fletch_hash_word(const struct fletch_batch *batch, uint32_t row, int64_t index)
{
    struct fletch_node_view column = fletch_node_view_of(batch, row);
    if (fletch_view_is_null(&column, index))
        return FLETCH_HASH_NULL;
    if (column.field->dictionary != FLETCH_NO_INDEX) {
        int64_t at;
        const struct fletch_batch *values = fletch_view_dictionary_value(&column, index, &at);
        return values != NULL ? fletch_hash_word(values, 0, at) : FLETCH_HASH_NULL;
    }
    switch (word_types[column.field->type.id].rule) {
    case WORDS_STRUCT:
        return word_of_struct(&column, index);
    case WORDS_LIST:
        return word_of_list(&column, index);
    case WORDS_UNION:
        return word_of_union(&column, index);
    case WORDS_RUNS:
        return word_of_run(&column, index);
    default:
        return word_of_flat(&column, index);
    }
}

/* ---- blocks of values ---- */

struct block {
    const struct fletch_hash_kernels *kernels;
    struct fletch_node_view column;
    int64_t first;
    size_t count;
    uint64_t *words; /* FLETCH_HASH_BLOCK */
};

static void fill_string_words(const struct block *block)
{
    const struct fletch_node_view *column = &block->column;
    /* Up to here a string may be read past its end. */
    int64_t padded_end = (int64_t)column->byte_count - FLETCH_HASH_READ_AHEAD;
    int64_t start = fletch_view_start(column, block->first);
    for (size_t i = 0; i < block->count; i++) {
        int64_t end = fletch_view_start(column, block->first + (int64_t)i + 1);
        size_t length = (size_t)(end - start);
        if (end <= padded_end)
            block->words[i] = fletch_hash_bytes_padded(column->bytes + start, length);
        else
            block->words[i] = length == 0 ? 0 : fletch_hash_bytes(column->bytes + start, length);
        start = end;
    }
}

static void fill_one_by_one(const struct block *block)
{
    for (size_t i = 0; i < block->count; i++)
        block->words[i] =
            fletch_hash_word(block->column.batch, block->column.row, block->first + (int64_t)i);
}

static void fill_view_words(const struct block *block)
{
    for (size_t i = 0; i < block->count; i++)
        block->words[i] = word_of_view(&block->column, block->first + (int64_t)i);
}

/* One word for each run. */
static void fill_run_words(const struct block *block)
{
    struct fletch_element_ranges rows;
    struct fletch_run run;
    uint64_t *words = block->words;
    fletch_ranges_clear(&rows);
    fletch_ranges_add(&rows, block->first, (int64_t)block->count);
    struct fletch_run_cursor cursor = fletch_run_cursor_of(&block->column, &rows);
    while (fletch_run_next(&cursor, &run)) {
        uint64_t word = fletch_hash_word(block->column.batch, block->column.row + 2, run.index);
        for (int64_t i = 0; i < run.count; i++)
            *words++ = word;
    }
}

/* The words of a dictionary's values, of which the last ones are kept: one for each place. */
static void fill_dictionary_words(const struct block *block)
{
    enum { PLACES = 256 };
    const struct fletch_node_view *column = &block->column;
    int64_t kept[PLACES];
    uint64_t kept_words[PLACES];
    for (size_t i = 0; i < PLACES; i++)
        kept[i] = -1;
    for (size_t i = 0; i < block->count; i++) {
        int64_t index;
        block->words[i] = FLETCH_HASH_NULL;
        if (fletch_view_is_null(column, block->first + (int64_t)i))
            continue;
        const struct fletch_batch *values =
            fletch_view_dictionary_value(column, block->first + (int64_t)i, &index);
        size_t place = (size_t)index % PLACES;
        if (values == NULL)
            continue;
        if (kept[place] != index)
            kept_words[place] = fletch_hash_word(values, 0, index);
        kept[place] = index;
        block->words[i] = kept_words[place];
    }
}

static void fill_decimal_words(const struct block *block)
{
    size_t width = fletch_type_byte_width(&block->column.field->type);
    const uint8_t *values =
        block->column.values + (size_t)(block->column.offset + block->first) * width;
    for (size_t i = 0; i < block->count; i++)
        block->words[i] = fletch_hash_decimal(values + i * width, width);
}

/* Nulls get their word; what stood in their places meant nothing. */
static void replace_nulls(const struct block *block)
{
    const struct fletch_node_view *column = &block->column;
    if (column->validity == NULL)
        return;
    int64_t first = column->offset + block->first;
    for (size_t i = 0; i < block->count; i++)
        if (!fletch_view_bit(column->validity, first + (int64_t)i))
            block->words[i] = FLETCH_HASH_NULL;
}

/* Types of which no loop knows more than the value that comes next. */
static bool is_filled_one_by_one(enum word_rule rule)
{
    return rule == WORDS_NULL || rule == WORDS_BITS || rule == WORDS_HALVES ||
           rule == WORDS_FIXED || rule == WORDS_LIST || rule == WORDS_STRUCT || rule == WORDS_UNION;
}

/* Fills in words that do not come of values side by side, nulls and all. False: they do. */
static bool fill_apart(const struct block *block)
{
    enum word_rule rule = word_types[block->column.field->type.id].rule;
    if (block->column.field->dictionary != FLETCH_NO_INDEX)
        fill_dictionary_words(block);
    else if (is_filled_one_by_one(rule))
        fill_one_by_one(block);
    else if (rule == WORDS_RUNS)
        fill_run_words(block);
    else
        return false;
    return true;
}

/* The words of a block as bytes: in place where they are stored so, else in `block->words`. */
static const uint8_t *words_of(const struct block *block)
{
    const struct fletch_node_view *column = &block->column;
    const struct word_type *type = &word_types[column->field->type.id];
    if (fill_apart(block))
        return (const uint8_t *)block->words;
    size_t width = fletch_type_byte_width(&column->field->type);
    const uint8_t *values = column->values + (size_t)(column->offset + block->first) * width;
    if (type->rule == WORDS_STORED && column->validity == NULL)
        return values;
    if (type->rule == WORDS_STORED)
        memcpy(block->words, values, 8 * block->count);
    else if (type->rule == WORDS_INTEGERS)
        block->kernels->integers[type->integer](block->words, values, block->count);
    else if (type->rule == WORDS_FLOATS)
        block->kernels->floats(block->words, values, block->count);
    else if (type->rule == WORDS_DOUBLES)
        block->kernels->doubles(block->words, values, block->count);
    else if (type->rule == WORDS_DECIMALS)
        fill_decimal_words(block);
    else if (type->rule == WORDS_VIEWS)
        fill_view_words(block);
    else
        fill_string_words(block);
    replace_nulls(block);
    return (const uint8_t *)block->words;
}

static void hash_block(struct block *block, struct fletch_hash_key key, bool is_first,
                       uint64_t *hashes)
{
    const struct fletch_batch *batch = block->column.batch;
    for (uint32_t k = 0; k < key.count; k++) {
        block->column = fletch_node_view_of(batch, key.rows[k]);
        const uint8_t *words = words_of(block);
        if (is_first)
            block->kernels->first(hashes, FLETCH_HASH_ROW, words, block->count);
        else
            block->kernels->next(hashes, words, block->count);
        is_first = false;
    }
    for (size_t i = 0; is_first && i < block->count; i++)
        hashes[i] = FLETCH_HASH_ROW;
}

void fletch_hash_rows(const struct fletch_hash_kernels *kernels, const struct fletch_batch *batch,
                      struct fletch_hash_key key, struct fletch_row_range range, uint64_t *hashes)
{
    uint64_t words[FLETCH_HASH_BLOCK];
    struct block block = {.kernels = kernels, .column = {.batch = batch}, .words = words};
    for (size_t at = 0; at < range.count; at += block.count) {
        block.first = range.first + (int64_t)at;
        block.count = range.count - at < FLETCH_HASH_BLOCK ? range.count - at : FLETCH_HASH_BLOCK;
        hash_block(&block, key, !key.is_continued, hashes + at);
    }
}

/* ---- whole batches ---- */

void fletch_hash_batch(const struct fletch_batch *batch, const uint32_t *key_columns,
                       uint32_t key_column_count, uint64_t *out_hashes)
{
    const struct fletch_hash_kernels *kernels = fletch_hash_kernels_best();
    struct fletch_row_range range = {.count = (size_t)batch->row_count};
    struct fletch_hash_key key = {.count = 0};
    if (key_column_count == 0)
        fletch_hash_rows(kernels, batch, key, range, out_hashes);
    for (uint32_t k = 0; k < key_column_count; k++) {
        key.rows = &batch->schema->columns[key_columns[k]];
        key.count = 1;
        key.is_continued = k > 0;
        fletch_hash_rows(kernels, batch, key, range, out_hashes);
    }
}

uint64_t fletch_hash_row_sum(const struct fletch_batch *batch)
{
    const struct fletch_hash_kernels *kernels = fletch_hash_kernels_best();
    struct fletch_hash_key key = {.rows = batch->schema->columns,
                                  .count = batch->schema->column_count};
    struct fletch_row_range range = {.first = 0};
    uint64_t hashes[FLETCH_HASH_BLOCK];
    uint64_t sum = 0;
    for (; range.first < batch->row_count; range.first += FLETCH_HASH_BLOCK) {
        int64_t left = batch->row_count - range.first;
        range.count = left < FLETCH_HASH_BLOCK ? (size_t)left : FLETCH_HASH_BLOCK;
        fletch_hash_rows(kernels, batch, key, range, hashes);
        for (size_t i = 0; i < range.count; i++)
            sum += hashes[i];
    }
    return sum;
}
