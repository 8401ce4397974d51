#include "partition/dictionary_merger.h"

#include "base/allocator.h"
#include "base/bits.h"
#include "partition/bit_run.h"
#include "partition/hash.h"
#include "partition/hash_mix.h"

enum { ALIGNMENT = 64, ENTRIES_AT_FIRST = 64, VALUES_AT_FIRST = 64, BYTES_AT_FIRST = 1024 };

/* Values are counted by 32 bits; the largest index is kept out, so that a count is never one. */
#define VALUES_MAX (UINT32_MAX - 1)

static const struct fletch_field *value_field(const struct fletch_dictionary_merger *dictionary)
{
    return &dictionary->of->values->fields[0];
}

static bool has_strings(const struct fletch_dictionary_merger *dictionary)
{
    return fletch_type_is_variable(value_field(dictionary)->type.id);
}

static bool has_bits(const struct fletch_dictionary_merger *dictionary)
{
    return value_field(dictionary)->type.id == FLETCH_TYPE_BOOL;
}

/* Bytes of a value in the buffer `values`: of an offset, for strings. Not for bits. */
static size_t value_width(const struct fletch_dictionary_merger *dictionary)
{
    const struct fletch_field *field = value_field(dictionary);
    if (!has_strings(dictionary))
        return fletch_type_byte_width(&field->type);
    return fletch_type_layout(&field->type)->spans[1] == FLETCH_SPAN_OFFSETS64 ? 8 : 4;
}

/* Bytes of so many values in that buffer. */
static size_t value_bytes(const struct fletch_dictionary_merger *dictionary, size_t count)
{
    if (has_bits(dictionary))
        return (count + 7) / 8;
    return (count + has_strings(dictionary)) * value_width(dictionary);
}

static enum fletch_status no_memory(const struct fletch_dictionary_merger *dictionary,
                                    struct fletch_error *error)
{
    return fletch_error_set(
        error, FLETCH_RESOURCE_EXHAUSTED, "field '%s': no memory for a dictionary of %u values",
        fletch_field_path_of(dictionary->schema, dictionary->of->field).text, dictionary->count);
}

enum fletch_status fletch_merger_init(struct fletch_dictionary_merger *dictionary,
                                      struct fletch_schema *schema, uint32_t index,
                                      struct fletch_error *error)
{
    dictionary->schema = schema;
    dictionary->of = &schema->dictionaries[index];
    dictionary->null_index = -1;
    const struct fletch_field *values = value_field(dictionary);
    if (has_strings(dictionary) || has_bits(dictionary) ||
        fletch_type_layout(&values->type)->spans[1] == FLETCH_SPAN_VALUES)
        return FLETCH_OK;
    const struct fletch_frame_source source = {
        .schema = dictionary->of->values,
        .cache = dictionary->cache,
        .account = dictionary->account,
    };
    return fletch_value_store_create(dictionary->of->values, &source, &dictionary->allocator,
                                     &dictionary->store, error);
}

void fletch_merger_deinit(struct fletch_dictionary_merger *dictionary)
{
    fletch_batch_release(dictionary->cache, dictionary->snapshot);
    fletch_batch_release(dictionary->cache, dictionary->merged);
    fletch_value_store_destroy(dictionary->store);
    fletch_buffer_release(dictionary->cache, dictionary->values);
    fletch_buffer_release(dictionary->cache, dictionary->bytes);
    if (dictionary->entries != NULL)
        fletch_release(&dictionary->allocator, dictionary->entries,
                       dictionary->entry_count * sizeof dictionary->entries[0], ALIGNMENT);
    if (dictionary->remap != NULL)
        fletch_release(&dictionary->allocator, dictionary->remap,
                       dictionary->remap_capacity * sizeof dictionary->remap[0], ALIGNMENT);
}

/* ---- room ---- */

/* A larger buffer with the first `used` bytes of `*buffer`, which is given up. */
static enum fletch_status grow_buffer(const struct fletch_dictionary_merger *dictionary,
                                      struct fletch_buffer **buffer, size_t used, size_t bytes,
                                      struct fletch_error *error)
{
    struct fletch_buffer *larger = NULL;
    enum fletch_status status =
        fletch_buffer_allocate(dictionary->cache, bytes, dictionary->account, &larger, error);
    if (status != FLETCH_OK)
        return status;
    if (*buffer != NULL)
        memcpy(larger->data, (*buffer)->data, used);
    else
        memset(larger->data, 0, sizeof(int64_t)); /* the first offset */
    fletch_buffer_release(dictionary->cache, *buffer);
    *buffer = larger;
    return FLETCH_OK;
}

static enum fletch_status reserve_value(struct fletch_dictionary_merger *dictionary, size_t length,
                                        struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    if (dictionary->count == dictionary->value_capacity) {
        size_t capacity = dictionary->count == 0 ? VALUES_AT_FIRST : 2 * (size_t)dictionary->count;
        if (has_bits(dictionary))
            capacity = (size_t)dictionary->count + 1;
        size_t bytes = value_bytes(dictionary, capacity);
        status =
            grow_buffer(dictionary, &dictionary->values, value_bytes(dictionary, dictionary->count),
                        bytes < sizeof(int64_t) ? sizeof(int64_t) : bytes, error);
        if (status != FLETCH_OK)
            return status;
        dictionary->value_capacity = capacity;
    }
    if (!has_strings(dictionary) || dictionary->byte_count + length <= dictionary->byte_capacity)
        return FLETCH_OK;
    size_t capacity = 2 * dictionary->byte_capacity + length + BYTES_AT_FIRST;
    status = grow_buffer(dictionary, &dictionary->bytes, dictionary->byte_count, capacity, error);
    if (status == FLETCH_OK)
        dictionary->byte_capacity = capacity;
    return status;
}

static void put_entry(struct fletch_dictionary_entry *entries, size_t entry_count,
                      struct fletch_dictionary_entry entry)
{
    size_t at = fletch_hash_mix(entry.word) & (entry_count - 1);
    while (entries[at].index != 0)
        at = (at + 1) & (entry_count - 1);
    entries[at] = entry;
}

/* Keeps the table at most half full. */
static enum fletch_status reserve_entry(struct fletch_dictionary_merger *dictionary,
                                        struct fletch_error *error)
{
    if (2 * ((size_t)dictionary->count + 1) <= dictionary->entry_count)
        return FLETCH_OK;
    size_t count = dictionary->entry_count == 0 ? ENTRIES_AT_FIRST : 2 * dictionary->entry_count;
    struct fletch_dictionary_entry *entries =
        fletch_allocate(&dictionary->allocator, count * sizeof entries[0], ALIGNMENT);
    if (entries == NULL)
        return no_memory(dictionary, error);
    memset(entries, 0, count * sizeof entries[0]);
    for (size_t i = 0; i < dictionary->entry_count; i++)
        if (dictionary->entries[i].index != 0)
            put_entry(entries, count, dictionary->entries[i]);
    if (dictionary->entries != NULL)
        fletch_release(&dictionary->allocator, dictionary->entries,
                       dictionary->entry_count * sizeof entries[0], ALIGNMENT);
    dictionary->entries = entries;
    dictionary->entry_count = count;
    return FLETCH_OK;
}

/* Room for `count` indices, of which the first `kept` stay. */
static enum fletch_status reserve_remap(struct fletch_dictionary_merger *dictionary, size_t kept,
                                        size_t count, struct fletch_error *error)
{
    if (count <= dictionary->remap_capacity)
        return FLETCH_OK;
    uint32_t *remap =
        fletch_allocate(&dictionary->allocator, 2 * count * sizeof remap[0], ALIGNMENT);
    if (remap == NULL)
        return no_memory(dictionary, error);
    if (kept > 0)
        memcpy(remap, dictionary->remap, kept * sizeof remap[0]);
    if (dictionary->remap != NULL)
        fletch_release(&dictionary->allocator, dictionary->remap,
                       dictionary->remap_capacity * sizeof remap[0], ALIGNMENT);
    dictionary->remap = remap;
    dictionary->remap_capacity = 2 * count;
    return FLETCH_OK;
}

/* ---- values ---- */

struct value {
    const uint8_t *bytes;
    size_t length;
};

static struct value value_of(const struct fletch_node_view *column, int64_t index)
{
    static const uint8_t bools[2] = {0, 1};
    static const uint8_t nothing[1];
    if (column->field->type.id == FLETCH_TYPE_BOOL)
        return (struct value){&bools[fletch_view_bit(column->values, column->offset + index)], 1};
    if (!fletch_type_is_variable(column->field->type.id)) {
        size_t width = fletch_type_byte_width(&column->field->type);
        if (width == 0)
            return (struct value){nothing, 0};
        return (struct value){column->values + (size_t)(column->offset + index) * width, width};
    }
    int64_t start = fletch_view_start(column, index);
    size_t length = (size_t)(fletch_view_start(column, index + 1) - start);
    return (struct value){length == 0 ? nothing : column->bytes + start, length};
}

static int64_t offset_of(const struct fletch_dictionary_merger *dictionary, uint32_t index)
{
    int64_t wide = 0;
    int32_t narrow;
    if (value_width(dictionary) == 8) {
        memcpy(&wide, dictionary->values->data + 8 * (size_t)index, sizeof wide);
        return wide;
    }
    memcpy(&narrow, dictionary->values->data + 4 * (size_t)index, sizeof narrow);
    return narrow;
}

static bool is_value(const struct fletch_dictionary_merger *dictionary, uint32_t index,
                     struct value value)
{
    if ((int64_t)index == dictionary->null_index)
        return false;
    if (has_bits(dictionary))
        return fletch_view_bit(dictionary->values->data, index) == value.bytes[0];
    if (!has_strings(dictionary))
        return memcmp(dictionary->values->data + index * value.length, value.bytes, value.length) ==
               0;
    int64_t start = offset_of(dictionary, index);
    return offset_of(dictionary, index + 1) - start == (int64_t)value.length &&
           (value.length == 0 ||
            memcmp(dictionary->bytes->data + start, value.bytes, value.length) == 0);
}

static void write_value(struct fletch_dictionary_merger *dictionary, struct value value)
{
    if (has_bits(dictionary)) {
        if (value.length == 0) /* null */
            value = (struct value){(const uint8_t *)"", 1};
        unsigned bit = 1U << dictionary->count % 8;
        uint8_t *byte = dictionary->values->data + dictionary->count / 8;
        *byte = (uint8_t)(value.bytes[0] != 0 ? *byte | bit : *byte & ~bit);
        return;
    }
    size_t width = value_width(dictionary);
    uint8_t *to = dictionary->values->data + dictionary->count * width;
    if (!has_strings(dictionary)) {
        memcpy(to, value.bytes, value.length);
        return;
    }
    if (value.length > 0)
        memcpy(dictionary->bytes->data + dictionary->byte_count, value.bytes, value.length);
    dictionary->byte_count += value.length;
    /* Little-endian: the low bytes of the offset are the offset in the narrower type. */
    memcpy(to + width, &dictionary->byte_count, width);
}

/* The largest number of values that the indices can tell apart. */
static uint64_t most_values(const struct fletch_dictionary_merger *dictionary)
{
    const struct fletch_type *type = &dictionary->schema->fields[dictionary->of->field].type;
    bool is_signed = type->id == FLETCH_TYPE_INT8 || type->id == FLETCH_TYPE_INT16 ||
                     type->id == FLETCH_TYPE_INT32 || type->id == FLETCH_TYPE_INT64;
    size_t bits = 8 * fletch_type_byte_width(type) - is_signed;
    return bits < 32 ? UINT64_C(1) << bits : VALUES_MAX;
}

static enum fletch_status check_count(const struct fletch_dictionary_merger *dictionary,
                                      size_t length, struct fletch_error *error)
{
    uint64_t most = most_values(dictionary);
    bool is_too_long = has_strings(dictionary) && value_width(dictionary) == 4 &&
                       dictionary->byte_count + length > INT32_MAX;
    char type[FLETCH_FIELD_TEXT_BYTES];
    const struct fletch_field *field = &dictionary->schema->fields[dictionary->of->field];
    if (dictionary->count < most && !is_too_long)
        return FLETCH_OK;
    return fletch_error_set(
        error, FLETCH_OUT_OF_RANGE,
        "field '%s': the writer's dictionary has %u values of %zu bytes, and %s can have at "
        "most %llu of 2147483647 bytes; a wider type is needed",
        fletch_field_path_of(dictionary->schema, dictionary->of->field).text, dictionary->count,
        dictionary->byte_count, fletch_field_describe(dictionary->schema, field, type, sizeof type),
        (unsigned long long)most);
}

static enum fletch_status append(struct fletch_dictionary_merger *dictionary, struct value value,
                                 struct fletch_error *error)
{
    enum fletch_status status = check_count(dictionary, value.length, error);
    if (status == FLETCH_OK)
        status = reserve_value(dictionary, value.length, error);
    if (status == FLETCH_OK)
        status = reserve_entry(dictionary, error);
    if (status == FLETCH_OK)
        write_value(dictionary, value);
    return status;
}

static enum fletch_status merge_null(struct fletch_dictionary_merger *dictionary,
                                     uint32_t *out_index, struct fletch_error *error)
{
    static const uint8_t nothing[1];
    if (dictionary->null_index < 0) {
        enum fletch_status status = append(dictionary, (struct value){nothing, 0}, error);
        if (status != FLETCH_OK)
            return status;
        size_t width = has_bits(dictionary) ? 0 : value_width(dictionary);
        if (!has_strings(dictionary) && width > 0)
            memset(dictionary->values->data + dictionary->count * width, 0, width);
        dictionary->null_index = dictionary->count++;
    }
    *out_index = (uint32_t)dictionary->null_index;
    return FLETCH_OK;
}

enum fletch_status fletch_merger_add(struct fletch_dictionary_merger *dictionary,
                                     const struct fletch_node_view *column, int64_t index,
                                     uint32_t *out_index, struct fletch_error *error)
{
    if (fletch_view_is_null(column, index))
        return merge_null(dictionary, out_index, error);
    struct value value = value_of(column, index);
    struct fletch_dictionary_entry entry = {.word = fletch_hash_bytes(value.bytes, value.length)};
    if (dictionary->entry_count > 0) {
        size_t mask = dictionary->entry_count - 1;
        size_t at = fletch_hash_mix(entry.word) & mask;
        for (; dictionary->entries[at].index != 0; at = (at + 1) & mask) {
            uint32_t found = dictionary->entries[at].index - 1;
            if (dictionary->entries[at].word == entry.word && is_value(dictionary, found, value)) {
                *out_index = found;
                return FLETCH_OK;
            }
        }
    }
    enum fletch_status status = append(dictionary, value, error);
    if (status != FLETCH_OK)
        return status;
    *out_index = dictionary->count++;
    entry.index = *out_index + 1;
    put_entry(dictionary->entries, dictionary->entry_count, entry);
    return FLETCH_OK;
}

/* ---- values of a store ---- */

/* Forgets what was found since the store was opened: on failure it keeps none of it. */
static void restore_entries(struct fletch_dictionary_merger *dictionary)
{
    const struct fletch_batch *kept = dictionary->store->kept;
    dictionary->count = kept == NULL ? 0 : (uint32_t)kept->row_count;
    if (dictionary->null_index >= (int64_t)dictionary->count)
        dictionary->null_index = -1;
    if (dictionary->entries != NULL)
        memset(dictionary->entries, 0, dictionary->entry_count * sizeof dictionary->entries[0]);
    for (uint32_t i = 0; i < dictionary->count; i++)
        if ((int64_t)i != dictionary->null_index)
            put_entry(dictionary->entries, dictionary->entry_count,
                      (struct fletch_dictionary_entry){fletch_hash_word(kept, 0, i), i + 1});
}

/* The value that element `index` of the store's source is; -1: none yet. */
static int64_t find_stored(const struct fletch_dictionary_merger *dictionary, uint64_t word,
                           int64_t index)
{
    size_t mask = dictionary->entry_count - 1;
    size_t at = fletch_hash_mix(word) & mask;
    if (dictionary->entry_count == 0)
        return -1;
    for (; dictionary->entries[at].index != 0; at = (at + 1) & mask) {
        uint32_t found = dictionary->entries[at].index - 1;
        if (dictionary->entries[at].word == word &&
            fletch_value_store_equals(dictionary->store, found, index))
            return found;
    }
    return -1;
}

static enum fletch_status add_stored(struct fletch_dictionary_merger *dictionary, int64_t index,
                                     uint32_t *out_index, struct fletch_error *error)
{
    const struct fletch_batch *source = dictionary->store->source;
    struct fletch_node_view column = fletch_node_view_of(source, 0);
    bool is_null = fletch_view_is_null(&column, index);
    uint64_t word = fletch_hash_word(source, 0, index);
    int64_t found = is_null ? dictionary->null_index : find_stored(dictionary, word, index);
    *out_index = found < 0 ? dictionary->count : (uint32_t)found;
    if (found >= 0)
        return FLETCH_OK;
    enum fletch_status status = check_count(dictionary, 0, error);
    if (status == FLETCH_OK)
        status = reserve_entry(dictionary, error);
    if (status != FLETCH_OK)
        return status;
    fletch_value_store_take(dictionary->store, index);
    if (is_null)
        dictionary->null_index = dictionary->count;
    else
        put_entry(dictionary->entries, dictionary->entry_count,
                  (struct fletch_dictionary_entry){word, dictionary->count + 1});
    dictionary->count++;
    return FLETCH_OK;
}

/* Adds the values from `first` on. */
static enum fletch_status merge_stored(struct fletch_dictionary_merger *dictionary,
                                       struct fletch_batch *values, int64_t first,
                                       struct fletch_error *error)
{
    enum fletch_status status = fletch_value_store_open(dictionary->store, values, error);
    for (int64_t i = first; i < values->row_count && status == FLETCH_OK; i++) {
        status = add_stored(dictionary, i, &dictionary->remap[i], error);
        dictionary->remap_is_identity &= status == FLETCH_OK && dictionary->remap[i] == i;
    }
    if (status == FLETCH_OK)
        status = fletch_value_store_keep(dictionary->store, error);
    else
        fletch_value_store_forget(dictionary->store);
    if (status != FLETCH_OK)
        restore_entries(dictionary);
    return status;
}

/* ---- merging ---- */

/* Whether two dictionaries are the same memory, as those of batches that came one by one and share
 * one. What is held cannot have been replaced by another at the same place. */
static bool is_same_memory(const struct fletch_batch *a, const struct fletch_batch *b)
{
    if (a == b)
        return true;
    if (a == NULL || b == NULL || a->schema != b->schema || a->row_count != b->row_count ||
        a->dictionary_count > 0 || a->span_count != b->span_count)
        return false;
    for (uint32_t i = 0; i < a->node_count; i++)
        if (a->nodes[i].offset != b->nodes[i].offset || a->nodes[i].length != b->nodes[i].length)
            return false;
    for (uint32_t i = 0; i < a->span_count; i++)
        if (a->spans[i].data != b->spans[i].data || a->spans[i].bytes != b->spans[i].bytes)
            return false;
    return true;
}

/* Whether the first bits of a validity are those of another one. */
static bool begins_with_bits(const struct fletch_batch_span *longer,
                             const struct fletch_batch_span *shorter, size_t count)
{
    if (longer->data == shorter->data)
        return true;
    if (longer->data == NULL)
        return false;
    if (shorter->data == NULL)
        return fletch_bit_run_zeros(longer->data, count) == 0;
    for (size_t i = count / 8 * 8; i < count; i++)
        if (fletch_view_bit(longer->data, (int64_t)i) != fletch_view_bit(shorter->data, (int64_t)i))
            return false;
    return memcmp(longer->data, shorter->data, count / 8) == 0;
}

/* Whether a dictionary is what another one grew to, as those are that deltas are appended to: the
 * same memory, but for bitmaps, with more behind it. */
static bool has_grown_from(const struct fletch_batch *longer, const struct fletch_batch *shorter)
{
    if (shorter == NULL || longer->schema != shorter->schema || longer->dictionary_count > 0 ||
        longer->span_count != shorter->span_count || longer->row_count < shorter->row_count)
        return false;
    for (uint32_t row = 0; row < longer->node_count; row++) {
        const struct fletch_field *field = &longer->schema->fields[row];
        const struct fletch_batch_node *node = &shorter->nodes[row];
        if (node->offset != 0 || longer->nodes[row].offset != 0 ||
            longer->nodes[row].length < node->length)
            return false;
        for (uint32_t s = 0; s < field->span_count; s++) {
            const uint8_t kind = fletch_type_layout(&field->type)->spans[s];
            const struct fletch_batch_span *spans[2] = {longer->spans + field->first_span + s,
                                                        shorter->spans + field->first_span + s};
            bool is_bitmap = kind == FLETCH_SPAN_VALIDITY || kind == FLETCH_SPAN_BITS;
            if (is_bitmap ? !begins_with_bits(spans[0], spans[1], (size_t)node->length)
                          : spans[0]->data != spans[1]->data)
                return false;
        }
    }
    for (uint32_t i = longer->schema->span_count; i < longer->span_count; i++)
        if (longer->spans[i].data != shorter->spans[i].data)
            return false;
    return true;
}

static enum fletch_status merge_plain(struct fletch_dictionary_merger *dictionary,
                                      const struct fletch_batch *values, int64_t first,
                                      struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    struct fletch_node_view column = fletch_node_view_of(values, 0);
    for (int64_t i = first; i < values->row_count && status == FLETCH_OK; i++) {
        status = fletch_merger_add(dictionary, &column, i, &dictionary->remap[i], error);
        dictionary->remap_is_identity &= status == FLETCH_OK && dictionary->remap[i] == i;
    }
    return status;
}

enum fletch_status fletch_merger_merge(struct fletch_dictionary_merger *dictionary,
                                       struct fletch_batch *values, struct fletch_error *error)
{
    if (values != NULL && is_same_memory(values, dictionary->merged))
        return FLETCH_OK;
    size_t count = values == NULL ? 0 : (size_t)values->row_count;
    int64_t known = 0;
    if (values != NULL && has_grown_from(values, dictionary->merged))
        known = dictionary->merged->row_count;
    fletch_batch_release(dictionary->cache, dictionary->merged);
    dictionary->merged = NULL;
    dictionary->remap_count = 0;
    if (known == 0)
        dictionary->remap_is_identity = true;
    enum fletch_status status = reserve_remap(dictionary, (size_t)known, count, error);
    if (status != FLETCH_OK || count == 0)
        return status;
    status = dictionary->store != NULL ? merge_stored(dictionary, values, known, error)
                                       : merge_plain(dictionary, values, known, error);
    if (status != FLETCH_OK)
        return status;
    dictionary->remap_count = count;
    dictionary->merged = fletch_batch_acquire(values);
    return FLETCH_OK;
}

/* ---- snapshots ---- */

/* Null is one value at most: its validity is written anew for each snapshot. */
static enum fletch_status make_validity(const struct fletch_dictionary_merger *dictionary,
                                        struct fletch_buffer **out_validity,
                                        struct fletch_error *error)
{
    size_t bytes = ((size_t)dictionary->count + 7) / 8;
    enum fletch_status status =
        fletch_buffer_allocate(dictionary->cache, bytes, dictionary->account, out_validity, error);
    if (status != FLETCH_OK)
        return status;
    uint8_t *bits = (*out_validity)->data;
    size_t null_index = (size_t)dictionary->null_index;
    memset(bits, 0xff, bytes);
    bits[null_index >> 3] = (uint8_t)(bits[null_index >> 3] & ~(1U << (null_index & 7)));
    return FLETCH_OK;
}

struct snapshot_parts {
    struct fletch_batch_node node;
    struct fletch_batch_span spans[FLETCH_SPANS_MAX];
    struct fletch_buffer *owners[FLETCH_SPANS_MAX];
    uint32_t owner_count;
};

static void add_part(struct snapshot_parts *parts, uint32_t span, struct fletch_buffer *buffer,
                     size_t bytes)
{
    if (buffer == NULL)
        return;
    parts->spans[span] = (struct fletch_batch_span){.data = buffer->data, .bytes = bytes};
    parts->owners[parts->owner_count++] = buffer;
}

static enum fletch_status create_snapshot(struct fletch_dictionary_merger *dictionary,
                                          struct fletch_buffer *validity,
                                          struct fletch_error *error)
{
    size_t count = dictionary->count;
    struct snapshot_parts parts = {.node = {.length = (int64_t)count}};
    parts.node.null_count = dictionary->null_index >= 0;
    add_part(&parts, 0, validity, (count + 7) / 8);
    add_part(&parts, 1, dictionary->values, value_bytes(dictionary, count));
    add_part(&parts, 2, dictionary->bytes, dictionary->byte_count);
    for (uint32_t i = 0; i < parts.owner_count; i++)
        if (parts.owners[i] != validity)
            fletch_buffer_acquire(parts.owners[i]);
    struct fletch_batch_parts batch = {
        .schema = fletch_schema_acquire(dictionary->of->values),
        .row_count = (int64_t)count,
        .nodes = &parts.node,
        .node_count = 1,
        .spans = parts.spans,
        .span_count = value_field(dictionary)->span_count,
        .owners = parts.owners,
        .owner_count = parts.owner_count,
    };
    struct fletch_batch *snapshot = NULL;
    enum fletch_status status =
        fletch_batch_create(dictionary->cache, dictionary->account, &batch, &snapshot, error);
    if (status != FLETCH_OK) {
        for (uint32_t i = 0; i < parts.owner_count; i++)
            fletch_buffer_release(dictionary->cache, parts.owners[i]);
        fletch_schema_release(dictionary->of->values);
        return status;
    }
    fletch_batch_release(dictionary->cache, dictionary->snapshot);
    dictionary->snapshot = snapshot;
    dictionary->snapshot_count = dictionary->count;
    return FLETCH_OK;
}

/* The store's batch, which there is without any value too. */
static enum fletch_status take_stored(struct fletch_dictionary_merger *dictionary,
                                      struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    if (dictionary->store->kept == NULL)
        status = fletch_value_store_keep(dictionary->store, error);
    if (status != FLETCH_OK)
        return status;
    fletch_batch_release(dictionary->cache, dictionary->snapshot);
    dictionary->snapshot = fletch_batch_acquire(dictionary->store->kept);
    dictionary->snapshot_count = dictionary->count;
    return FLETCH_OK;
}

enum fletch_status fletch_merger_take_snapshot(struct fletch_dictionary_merger *dictionary,
                                               struct fletch_error *error)
{
    if (dictionary->snapshot != NULL && dictionary->snapshot_count == dictionary->count)
        return FLETCH_OK;
    if (dictionary->store != NULL)
        return take_stored(dictionary, error);
    struct fletch_buffer *validity = NULL;
    if (dictionary->null_index >= 0) {
        enum fletch_status status = make_validity(dictionary, &validity, error);
        if (status != FLETCH_OK)
            return status;
    }
    return create_snapshot(dictionary, validity, error);
}

/* Registers of integers, for each width. */
typedef uint8_t vector_of_1 __attribute__((vector_size(16)));
typedef uint16_t vector_of_2 __attribute__((vector_size(16)));
typedef uint32_t vector_of_4 __attribute__((vector_size(16)));
typedef uint64_t vector_of_8 __attribute__((vector_size(16)));

/* Whether all indices of a width are below `limit`, at most half of the numbers that it can have:
 * less the limit they are negative, and they themselves are not. Those of the rest that fills no
 * register are looked at one by one. */
#define DEFINE_ARE_BELOW(width, integer) \
    static bool are_below_##width(const uint8_t *indices, size_t count, integer limit) \
    { \
        enum { EACH = 16 / (width) }; \
        vector_of_##width differences = ~(vector_of_##width){0}; \
        vector_of_##width all = {0}; \
        integer rest_differences = (integer) ~(integer)0; \
        integer rest = 0; \
        size_t at = 0; \
        for (; at + EACH <= count; at += EACH) { \
            vector_of_##width some; \
            memcpy(&some, indices + at * (width), sizeof some); \
            differences &= some - limit; \
            all |= some; \
        } \
        for (size_t i = 0; i < EACH; i++) { \
            rest_differences &= differences[i]; \
            rest |= all[i]; \
        } \
        for (; at < count; at++) { \
            integer index; \
            memcpy(&index, indices + at * (width), sizeof index); \
            rest_differences &= (integer)(index - limit); \
            rest |= index; \
        } \
        return (rest_differences & ~rest) >> (8 * (width)-1) & 1; \
    }

DEFINE_ARE_BELOW(1, uint8_t)
DEFINE_ARE_BELOW(2, uint16_t)
DEFINE_ARE_BELOW(4, uint32_t)
DEFINE_ARE_BELOW(8, uint64_t)

/* Whether all indices are below `count`, those of nulls too: what is found at a glance. False: that
 * is not known. */
static bool indices_are_below(const struct fletch_node_view *column, int64_t length, int64_t count)
{
    size_t width = fletch_type_byte_width(&column->field->type);
    const uint8_t *first = column->values + (size_t)column->offset * width;
    size_t indices = (size_t)length;
    if (width < 8 && count > (int64_t)1 << (8 * width - 1))
        return false;
    switch (width) {
    case 1:
        return are_below_1(first, indices, (uint8_t)count);
    case 2:
        return are_below_2(first, indices, (uint16_t)count);
    case 4:
        return are_below_4(first, indices, (uint32_t)count);
    default:
        return are_below_8(first, indices, (uint64_t)count);
    }
}

enum fletch_status fletch_merger_check_indices(const struct fletch_batch *batch, uint32_t row,
                                               struct fletch_error *error)
{
    struct fletch_node_view column = fletch_node_view_of(batch, row);
    const struct fletch_batch *values = batch->dictionaries[column.field->dictionary];
    int64_t count = values == NULL ? 0 : values->row_count;
    bool is_huge = column.field->type.id == FLETCH_TYPE_UINT64;
    if (batch->nodes[row].length == 0 ||
        indices_are_below(&column, batch->nodes[row].length, count))
        return FLETCH_OK;
    for (int64_t i = 0; i < batch->nodes[row].length; i++) {
        int64_t index = fletch_view_integer(&column, i);
        if ((index >= 0 && index < count) || fletch_view_is_null(&column, i))
            continue;
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                is_huge ? "field '%s': element %lld has index %llu, and the "
                                          "dictionary has %lld values"
                                        : "field '%s': element %lld has index %lld, and the "
                                          "dictionary has %lld values",
                                fletch_field_path_of(batch->schema, row).text, (long long)i,
                                (long long)index, (long long)count);
    }
    return FLETCH_OK;
}
