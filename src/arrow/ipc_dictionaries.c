#include "arrow/ipc_dictionaries.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/column.h"
#include "arrow/flatbuffer_reader.h"
#include "base/allocator.h"

/* Delta being appended. `growths` are those of the entry as they will be. */
struct appending {
    struct fletch_ipc_dictionaries *dictionaries;
    struct fletch_schema *schema;
    const struct fletch_batch *old;
    const struct fletch_batch *delta;
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans;
    struct fletch_ipc_growth *growths;
    struct fletch_buffer **owners;
    size_t span_bytes; /* of both batches */
    struct fletch_error *error;
};

/* Elements of a field that are joined: the first `old_length` of the old ones, and `count` of the
 * delta's from `first` on. */
struct window {
    int64_t old_length;
    int64_t first;
    int64_t count;
};

static enum fletch_status check_same_values(const struct fletch_schema *schema, uint32_t first,
                                            uint32_t second, struct fletch_error *error)
{
    const struct fletch_schema_dictionary *dictionaries = schema->dictionaries;
    if (fletch_schema_compare(dictionaries[first].values, dictionaries[second].values,
                              FLETCH_COMPARE_FIELDS, NULL) == FLETCH_OK)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "fields '%s' and '%s' share dictionary %" PRId64 " and not its type",
                            fletch_field_path_of(schema, dictionaries[first].field).text,
                            fletch_field_path_of(schema, dictionaries[second].field).text,
                            dictionaries[first].id);
}

static int compare_entries(const void *left, const void *right)
{
    const struct fletch_ipc_dictionary *a = left;
    const struct fletch_ipc_dictionary *b = right;
    if (a->id != b->id)
        return a->id < b->id ? -1 : 1;
    return a->first < b->first ? -1 : a->first > b->first;
}

/* The entries in the order of their ids, their growth counted, none allocated. */
static enum fletch_status number_entries(struct fletch_ipc_dictionaries *dictionaries,
                                         const struct fletch_schema *schema,
                                         struct fletch_error *error)
{
    struct fletch_ipc_dictionary *entries = dictionaries->entries;
    uint32_t count = schema->dictionary_count;
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (struct fletch_ipc_dictionary){
            .id = schema->dictionaries[i].id, .first = i, .values = schema->dictionaries[i].values};
    qsort(entries, count, sizeof *entries, compare_entries);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && entries[i].id == entries[dictionaries->entry_count - 1].id)
            continue;
        entries[dictionaries->entry_count++] = entries[i];
        dictionaries->growth_count += entries[i].values->span_count;
    }
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; i < count && status == FLETCH_OK; i++) {
        const struct fletch_ipc_dictionary *entry =
            fletch_ipc_dictionaries_find(dictionaries, schema->dictionaries[i].id);
        dictionaries->entry_of[i] = (uint32_t)(entry - entries);
        if (entry->first != i)
            status = check_same_values(schema, entry->first, i, error);
    }
    return status;
}

static enum fletch_status allocate_growths(struct fletch_ipc_dictionaries *dictionaries,
                                           struct fletch_error *error)
{
    if (dictionaries->growth_count == 0)
        return FLETCH_OK;
    dictionaries->growths = fletch_allocate(
        &dictionaries->allocator, dictionaries->growth_count * sizeof *dictionaries->growths,
        _Alignof(struct fletch_ipc_growth));
    if (dictionaries->growths == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for the state of %" PRIu32 " dictionaries",
                                dictionaries->entry_count);
    memset(dictionaries->growths, 0, dictionaries->growth_count * sizeof *dictionaries->growths);
    struct fletch_ipc_growth *growth = dictionaries->growths;
    for (uint32_t i = 0; i < dictionaries->entry_count; i++) {
        dictionaries->entries[i].growth = growth;
        growth += dictionaries->entries[i].values->span_count;
    }
    return FLETCH_OK;
}

enum fletch_status fletch_ipc_dictionaries_init(struct fletch_ipc_dictionaries *dictionaries,
                                                const struct fletch_schema *schema,
                                                struct fletch_error *error)
{
    const struct fletch_allocator *allocator = &dictionaries->allocator;
    uint32_t count = schema->dictionary_count;
    dictionaries->entries = NULL;
    dictionaries->entry_of = NULL;
    dictionaries->growths = NULL;
    dictionaries->entry_count = 0;
    dictionaries->growth_count = 0;
    dictionaries->dictionary_count = count;
    if (count == 0)
        return FLETCH_OK;
    dictionaries->entries = fletch_allocate(allocator, count * sizeof *dictionaries->entries,
                                            _Alignof(struct fletch_ipc_dictionary));
    dictionaries->entry_of =
        fletch_allocate(allocator, count * sizeof *dictionaries->entry_of, _Alignof(uint32_t));
    enum fletch_status status = FLETCH_OK;
    if (dictionaries->entries == NULL || dictionaries->entry_of == NULL)
        status = fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                  "no memory for %" PRIu32 " dictionaries", count);
    if (status == FLETCH_OK)
        status = number_entries(dictionaries, schema, error);
    if (status == FLETCH_OK)
        status = allocate_growths(dictionaries, error);
    if (status != FLETCH_OK)
        fletch_ipc_dictionaries_deinit(dictionaries);
    return status;
}

static void drop_growths(struct fletch_ipc_dictionaries *dictionaries,
                         struct fletch_ipc_growth *growths, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        fletch_buffer_release(dictionaries->cache, growths[i].buffer);
        growths[i] = (struct fletch_ipc_growth){0};
    }
}

void fletch_ipc_dictionaries_deinit(struct fletch_ipc_dictionaries *dictionaries)
{
    const struct fletch_allocator *allocator = &dictionaries->allocator;
    uint32_t count = dictionaries->dictionary_count;
    if (dictionaries->growths != NULL) {
        drop_growths(dictionaries, dictionaries->growths, dictionaries->growth_count);
        fletch_release(allocator, dictionaries->growths,
                       dictionaries->growth_count * sizeof *dictionaries->growths,
                       _Alignof(struct fletch_ipc_growth));
    }
    for (uint32_t i = 0; i < dictionaries->entry_count; i++)
        fletch_batch_release(dictionaries->cache, dictionaries->entries[i].batch);
    if (dictionaries->entries != NULL)
        fletch_release(allocator, dictionaries->entries, count * sizeof *dictionaries->entries,
                       _Alignof(struct fletch_ipc_dictionary));
    if (dictionaries->entry_of != NULL)
        fletch_release(allocator, dictionaries->entry_of, count * sizeof *dictionaries->entry_of,
                       _Alignof(uint32_t));
    dictionaries->entries = NULL;
    dictionaries->entry_of = NULL;
    dictionaries->growths = NULL;
    dictionaries->entry_count = 0;
    dictionaries->dictionary_count = 0;
}

struct fletch_ipc_dictionary *
fletch_ipc_dictionaries_find(struct fletch_ipc_dictionaries *dictionaries, int64_t id)
{
    uint32_t low = 0;
    uint32_t high = dictionaries->entry_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (dictionaries->entries[middle].id == id)
            return &dictionaries->entries[middle];
        if (dictionaries->entries[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void fletch_ipc_dictionaries_set(struct fletch_ipc_dictionaries *dictionaries,
                                 struct fletch_ipc_dictionary *entry, struct fletch_batch *batch)
{
    drop_growths(dictionaries, entry->growth, entry->values->span_count);
    fletch_batch_release(dictionaries->cache, entry->batch);
    entry->batch = batch;
    entry->has_come = true;
}

void fletch_ipc_dictionaries_forget(struct fletch_ipc_dictionaries *dictionaries)
{
    for (uint32_t i = 0; i < dictionaries->entry_count; i++)
        fletch_ipc_dictionaries_set(dictionaries, &dictionaries->entries[i], NULL);
}

/* Makes span `index` the old one's first `old_bytes` bytes, which lie at `old`, with room for
 * `added_bytes` behind them, which are told. NULL: failed. */
static uint8_t *extend(struct appending *appending, uint32_t index, const uint8_t *old,
                       size_t old_bytes, size_t added_bytes)
{
    struct fletch_ipc_growth *growth = &appending->growths[index];
    size_t total = old_bytes + added_bytes;
    bool fits = growth->buffer != NULL && growth->used_bytes == old_bytes &&
                total <= fletch_buffer_capacity(growth->buffer);
    if (!fits) {
        size_t capacity = total > 2 * old_bytes ? total : 2 * old_bytes;
        struct fletch_buffer *buffer = NULL;
        if (fletch_buffer_allocate(appending->dictionaries->cache, capacity == 0 ? 1 : capacity,
                                   appending->dictionaries->account, &buffer,
                                   appending->error) != FLETCH_OK)
            return NULL;
        if (old_bytes != 0)
            memcpy(fletch_buffer_mutable_data(buffer), old, old_bytes);
        growth->buffer = buffer;
    }
    growth->used_bytes = total;
    /* Shared already, and written none the less: behind what anybody else can see. */
    uint8_t *data = (uint8_t *)(uintptr_t)fletch_buffer_data(growth->buffer);
    appending->spans[index] = (struct fletch_batch_span){data, total};
    return data + old_bytes;
}

static bool join_bits(struct appending *appending, uint32_t index, const struct window *window,
                      bool is_validity)
{
    const uint8_t *old = appending->old->spans[index].data;
    const uint8_t *added = appending->delta->spans[index].data;
    if (is_validity && old == NULL && added == NULL)
        return true;
    appending->growths[index].used_bytes = SIZE_MAX; /* always a new one */
    size_t bytes = fletch_bitmap_bytes(window->old_length + window->count);
    if (bytes > appending->span_bytes + 1) {
        fletch_error_set(appending->error, FLETCH_INVALID_ARGUMENT,
                         "a dictionary grows to %" PRId64 " + %" PRId64
                         " values, for which %zu bytes have come",
                         window->old_length, window->count, appending->span_bytes);
        return false;
    }
    uint8_t *data = extend(appending, index, NULL, 0, bytes);
    if (data == NULL)
        return false;
    fletch_bitmap_copy(data, 0, old, 0, window->old_length);
    fletch_bitmap_copy(data, window->old_length, added, window->first, window->count);
    return true;
}

static bool join_values(struct appending *appending, uint32_t index, const struct window *window,
                        size_t width)
{
    const struct fletch_batch_span *old = &appending->old->spans[index];
    size_t added_bytes = (size_t)window->count * width;
    uint8_t *data =
        extend(appending, index, old->data, (size_t)window->old_length * width, added_bytes);
    if (data != NULL && added_bytes != 0)
        memcpy(data, appending->delta->spans[index].data + (size_t)window->first * width,
               added_bytes);
    return data != NULL;
}

static int64_t offset_at(const struct fletch_batch_span *span, size_t width, int64_t index)
{
    if (span->data == NULL)
        return 0;
    const uint8_t *bytes = span->data + (size_t)index * width;
    return width == 4 ? fletch_flatbuffer_load_i32(bytes) : fletch_flatbuffer_load_i64(bytes);
}

/* Joins offsets; `*out_inner` is the window of what they point into. */
static bool join_offsets(struct appending *appending, uint32_t index, const struct window *window,
                         size_t width, struct window *out_inner)
{
    const struct fletch_batch_span *old = &appending->old->spans[index];
    const struct fletch_batch_span *added = &appending->delta->spans[index];
    int64_t end = offset_at(old, width, window->old_length);
    int64_t first = offset_at(added, width, window->first);
    int64_t last = offset_at(added, width, window->first + window->count);
    *out_inner = (struct window){end, first, last - first};
    int64_t limit = width == 4 ? INT32_MAX : FLETCH_ELEMENTS_MAX;
    if (last - first > limit - end) {
        fletch_error_set(appending->error, FLETCH_INVALID_ARGUMENT,
                         "a dictionary grows to %" PRId64 " + %" PRId64
                         ", which %zu-byte offsets do not reach",
                         end, last - first, width);
        return false;
    }
    static const uint8_t zero[8];
    const uint8_t *source = old->data == NULL ? zero : old->data;
    uint8_t *data = extend(appending, index, source, ((size_t)window->old_length + 1) * width,
                           (size_t)window->count * width);
    if (data == NULL)
        return false;
    for (int64_t i = 1; i <= window->count; i++) {
        int64_t offset = offset_at(added, width, window->first + i) - first + end;
        memcpy(data, &offset, width);
        data += width;
    }
    return true;
}

static bool join_field(struct appending *appending, uint32_t row, const struct window *window)
{
    const struct fletch_field *field = &appending->schema->fields[row];
    const struct fletch_type_layout *layout = fletch_type_layout(&field->type);
    bool is_good = true;
    struct window inner = *window;
    for (uint32_t i = 0; i < field->span_count && is_good; i++) {
        uint32_t index = field->first_span + i;
        switch ((enum fletch_span_kind)layout->spans[i]) {
        case FLETCH_SPAN_VALIDITY:
            is_good = join_bits(appending, index, window, true);
            break;
        case FLETCH_SPAN_BITS:
            is_good = join_bits(appending, index, window, false);
            break;
        case FLETCH_SPAN_VALUES:
            is_good = join_values(appending, index, window, fletch_type_byte_width(&field->type));
            break;
        case FLETCH_SPAN_OFFSETS32:
        case FLETCH_SPAN_OFFSETS64:
            is_good = join_offsets(appending, index, window,
                                   layout->spans[i] == FLETCH_SPAN_OFFSETS32 ? 4 : 8, &inner);
            break;
        case FLETCH_SPAN_BYTES:
            is_good = join_values(appending, index, &inner, 1);
            break;
        default: /* fletch_schema_check_simple */
            break;
        }
    }
    /* Null counts add up only where all of the elements are taken: they are not counted here. */
    bool has_validity = field->span_count != 0 && appending->spans[field->first_span].data != NULL;
    int64_t length = window->old_length + window->count;
    appending->nodes[row] = (struct fletch_batch_node){
        .length = length,
        .null_count = has_validity             ? -1
                      : field->span_count == 0 ? length
                                               : 0,
    };
    for (uint32_t child = row + 1; child < field->end && is_good;
         child = appending->schema->fields[child].end)
        is_good = join_field(appending, child, &inner);
    return is_good;
}

static enum fletch_status make_joined(struct appending *appending, struct fletch_batch **out_batch)
{
    struct fletch_schema *schema = appending->schema;
    struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = appending->nodes[0].length,
        .nodes = appending->nodes,
        .node_count = appending->schema->field_count,
        .spans = appending->spans,
        .span_count = appending->schema->span_count,
        .owners = appending->owners,
    };
    for (uint32_t i = 0; i < parts.span_count; i++)
        if (appending->growths[i].buffer != NULL)
            appending->owners[parts.owner_count++] =
                fletch_buffer_acquire(appending->growths[i].buffer);
    enum fletch_status status =
        fletch_batch_create(appending->dictionaries->cache, appending->dictionaries->account,
                            &parts, out_batch, appending->error);
    if (status == FLETCH_OK)
        return FLETCH_OK;
    for (uint32_t i = 0; i < parts.owner_count; i++)
        fletch_buffer_release(appending->dictionaries->cache, appending->owners[i]);
    fletch_schema_release(schema);
    return status;
}

static size_t span_bytes_of(const struct fletch_batch *batch)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < batch->span_count; i++)
        bytes += batch->spans[i].bytes;
    return bytes;
}

/* Memory for what the joined values are made of, in one buffer. */
static enum fletch_status make_room(struct appending *appending, struct fletch_buffer **out_room)
{
    size_t nodes = appending->schema->field_count;
    size_t spans = appending->schema->span_count;
    size_t bytes =
        nodes * sizeof *appending->nodes +
        spans * (sizeof *appending->spans + sizeof *appending->growths + sizeof *appending->owners);
    enum fletch_status status = fletch_buffer_allocate(appending->dictionaries->cache, bytes, NULL,
                                                       out_room, appending->error);
    if (status != FLETCH_OK)
        return status;
    void *room = fletch_buffer_mutable_data(*out_room);
    appending->nodes = room;
    appending->spans = (void *)(appending->nodes + nodes);
    appending->growths = (void *)(appending->spans + spans);
    appending->owners = (void *)(appending->growths + spans);
    memset(room, 0, bytes);
    return FLETCH_OK;
}

static enum fletch_status join(struct appending *appending, struct fletch_ipc_dictionary *entry)
{
    struct fletch_ipc_dictionaries *dictionaries = appending->dictionaries;
    uint32_t span_count = entry->values->span_count;
    if (span_count != 0)
        memcpy(appending->growths, entry->growth, span_count * sizeof *entry->growth);
    const struct window window = {entry->batch->row_count, 0, appending->delta->row_count};
    struct fletch_batch *joined = NULL;
    enum fletch_status status = FLETCH_RESOURCE_EXHAUSTED;
    struct fletch_error failure = {.status = FLETCH_RESOURCE_EXHAUSTED};
    struct fletch_error *error = appending->error;
    appending->error = &failure;
    if (join_field(appending, 0, &window))
        status = make_joined(appending, &joined);
    if (joined == NULL)
        status = fletch_error_set(error, failure.status, "%s", failure.message);

    /* Of the old and the new buffer of each span, one has to go where they differ. */
    for (uint32_t i = 0; i < span_count; i++) {
        struct fletch_ipc_growth *kept = &entry->growth[i];
        struct fletch_ipc_growth *other = &appending->growths[i];
        if (kept->buffer != other->buffer)
            fletch_buffer_release(dictionaries->cache,
                                  joined == NULL ? other->buffer : kept->buffer);
        if (joined != NULL)
            *kept = *other;
    }
    if (joined != NULL) {
        fletch_batch_release(dictionaries->cache, entry->batch);
        entry->batch = joined;
    }
    return status;
}

enum fletch_status fletch_ipc_dictionaries_append(struct fletch_ipc_dictionaries *dictionaries,
                                                  struct fletch_ipc_dictionary *entry,
                                                  const struct fletch_batch *delta,
                                                  struct fletch_error *error)
{
    if (delta->row_count == 0)
        return FLETCH_OK;
    if (delta->row_count > FLETCH_ELEMENTS_MAX - entry->batch->row_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a dictionary grows to %" PRId64 " + %" PRId64 " values",
                                entry->batch->row_count, delta->row_count);
    struct appending appending = {
        .dictionaries = dictionaries,
        .schema = entry->values,
        .old = entry->batch,
        .delta = delta,
        .span_bytes = span_bytes_of(entry->batch) + span_bytes_of(delta),
        .error = error,
    };
    struct fletch_buffer *room = NULL;
    enum fletch_status status = make_room(&appending, &room);
    if (status != FLETCH_OK)
        return status;
    status = join(&appending, entry);
    fletch_buffer_release(dictionaries->cache, room);
    return status;
}

enum fletch_status fletch_ipc_dictionaries_empty(struct fletch_ipc_dictionaries *dictionaries,
                                                 struct fletch_schema *values,
                                                 struct fletch_batch **out_batch,
                                                 struct fletch_error *error)
{
    struct appending appending = {.dictionaries = dictionaries, .schema = values, .error = error};
    struct fletch_buffer *room = NULL;
    enum fletch_status status = make_room(&appending, &room);
    if (status == FLETCH_OK)
        status = make_joined(&appending, out_batch);
    fletch_buffer_release(dictionaries->cache, room);
    return status;
}

/* Whether the first `count` elements of a span of both batches are the same. */
static bool span_begins_alike(const struct fletch_batch_span *a, const struct fletch_batch_span *b,
                              const int64_t offsets[2], int64_t count, size_t width)
{
    if (count == 0 || width == 0 || (a->data == b->data && offsets[0] == offsets[1]))
        return true;
    return memcmp(a->data + (size_t)offsets[0] * width, b->data + (size_t)offsets[1] * width,
                  (size_t)count * width) == 0;
}

static bool bits_begin_alike(const struct fletch_batch_span *a, const struct fletch_batch_span *b,
                             const int64_t offsets[2], int64_t count)
{
    if (a->data == b->data && offsets[0] == offsets[1])
        return true;
    for (int64_t i = 0; i < count; i++) {
        bool left = a->data == NULL || fletch_bitmap_get(a->data, offsets[0] + i);
        bool right = b->data == NULL || fletch_bitmap_get(b->data, offsets[1] + i);
        if (left != right)
            return false;
    }
    return true;
}

/* Offsets and what they point at; `a` and `b` are the two spans of each. */
static bool strings_begin_alike(const struct fletch_batch_span *a,
                                const struct fletch_batch_span *b, const int64_t offsets[2],
                                int64_t count, size_t width)
{
    if (count == 0)
        return true;
    int64_t starts[2] = {offset_at(&a[0], width, offsets[0]), offset_at(&b[0], width, offsets[1])};
    for (int64_t i = 1; i <= count; i++)
        if (offset_at(&a[0], width, offsets[0] + i) - starts[0] !=
            offset_at(&b[0], width, offsets[1] + i) - starts[1])
            return false;
    int64_t bytes = offset_at(&a[0], width, offsets[0] + count) - starts[0];
    return span_begins_alike(&a[1], &b[1], starts, bytes, 1);
}

static bool field_begins_alike(const struct fletch_field *field, const struct fletch_batch *a,
                               const struct fletch_batch *b)
{
    const struct fletch_type_layout *layout = fletch_type_layout(&field->type);
    const int64_t offsets[2] = {a->nodes[0].offset, b->nodes[0].offset};
    int64_t count = a->row_count;
    bool is_alike = true;
    for (uint32_t i = 0; i < field->span_count && is_alike; i++) {
        switch ((enum fletch_span_kind)layout->spans[i]) {
        case FLETCH_SPAN_VALIDITY:
        case FLETCH_SPAN_BITS:
            is_alike = bits_begin_alike(&a->spans[i], &b->spans[i], offsets, count);
            break;
        case FLETCH_SPAN_VALUES:
            is_alike = span_begins_alike(&a->spans[i], &b->spans[i], offsets, count,
                                         fletch_type_byte_width(&field->type));
            break;
        case FLETCH_SPAN_OFFSETS32:
            is_alike = strings_begin_alike(&a->spans[i], &b->spans[i], offsets, count, 4);
            break;
        case FLETCH_SPAN_OFFSETS64:
            is_alike = strings_begin_alike(&a->spans[i], &b->spans[i], offsets, count, 8);
            break;
        case FLETCH_SPAN_BYTES:
        default: /* fletch_schema_check_simple */
            break;
        }
    }
    return is_alike;
}

/* The same memory, field by field. */
static bool lies_in_one_place(const struct fletch_schema *schema, const struct fletch_batch *a,
                              const struct fletch_batch *b)
{
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (a->nodes[i].length != b->nodes[i].length || a->nodes[i].offset != b->nodes[i].offset)
            return false;
    for (uint32_t i = 0; i < schema->span_count; i++)
        if (a->spans[i].data != b->spans[i].data)
            return false;
    return true;
}

enum fletch_ipc_dictionary_relation
fletch_ipc_dictionary_compare(const struct fletch_schema *schema, const struct fletch_batch *old,
                              const struct fletch_batch *values)
{
    if (lies_in_one_place(schema, old, values))
        return FLETCH_IPC_DICTIONARY_SAME;
    if (schema->field_count != 1 || values->row_count < old->row_count ||
        !field_begins_alike(&schema->fields[0], old, values))
        return FLETCH_IPC_DICTIONARY_DIFFERENT;
    return values->row_count == old->row_count ? FLETCH_IPC_DICTIONARY_SAME
                                               : FLETCH_IPC_DICTIONARY_GROWN;
}
