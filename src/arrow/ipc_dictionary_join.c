#include "arrow/ipc_dictionary_join.h"

#include <inttypes.h>
#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/column.h"
#include "arrow/flatbuffer_reader.h"
#include "arrow/string_view.h"

/* Delta being appended. `growths` are those of the entry as they will be: of the spans of the
 * schema, and behind them of what each view points into. Spans lie in the same order. */
struct appending {
    struct fletch_ipc_dictionaries *dictionaries;
    struct fletch_schema *schema;
    const struct fletch_batch *old;
    const struct fletch_batch *delta;
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans;
    struct fletch_ipc_growth *growths;
    struct fletch_buffer **owners;
    uint32_t *view_spans;
    uint32_t span_count; /* with the data of views */
    size_t span_bytes;   /* of both batches */
    struct fletch_error *error;
};

/* Elements of a field that are joined: the first `old_length` of the old ones, and `count` of the
 * delta's from `first` on. */
struct window {
    int64_t old_length;
    int64_t first;
    int64_t count;
};

static bool join_field(struct appending *appending, uint32_t row, const struct window *window);

/* ---- spans ---- */

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

/* The next extension of span `index` copies what is old, so that all of it may be written. */
static void forget_growth(struct appending *appending, uint32_t index)
{
    appending->growths[index].used_bytes = SIZE_MAX;
}

static bool refuse_reach(const struct appending *appending, int64_t old, int64_t added,
                         const char *what, size_t width)
{
    fletch_error_set(appending->error, FLETCH_INVALID_ARGUMENT,
                     "a dictionary grows to %" PRId64 " + %" PRId64
                     ", which %zu-byte %s do not reach",
                     old, added, width, what);
    return false;
}

static bool join_bits(struct appending *appending, uint32_t index, const struct window *window,
                      bool is_validity)
{
    const uint8_t *old = appending->old->spans[index].data;
    const uint8_t *added = appending->delta->spans[index].data;
    if (is_validity && old == NULL && added == NULL)
        return true;
    forget_growth(appending, index);
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

/* Joins elements of `width` bytes; NULL: failed; else where those of the delta lie. */
static uint8_t *join_values(struct appending *appending, uint32_t index,
                            const struct window *window, size_t width)
{
    const struct fletch_batch_span *old = &appending->old->spans[index];
    size_t added_bytes = (size_t)window->count * width;
    uint8_t *data =
        extend(appending, index, old->data, (size_t)window->old_length * width, added_bytes);
    if (data != NULL && added_bytes != 0)
        memcpy(data, appending->delta->spans[index].data + (size_t)window->first * width,
               added_bytes);
    return data;
}

static int64_t number_at(const struct fletch_batch_span *span, size_t width, int64_t index)
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
    int64_t end = number_at(old, width, window->old_length);
    int64_t first = number_at(added, width, window->first);
    int64_t last = number_at(added, width, window->first + window->count);
    *out_inner = (struct window){end, first, last - first};
    int64_t limit = width == 4 ? INT32_MAX : FLETCH_ELEMENTS_MAX;
    if (last - first > limit - end)
        return refuse_reach(appending, end, last - first, "offsets", width);
    static const uint8_t zero[8];
    const uint8_t *source = old->data == NULL ? zero : old->data;
    uint8_t *data = extend(appending, index, source, ((size_t)window->old_length + 1) * width,
                           (size_t)window->count * width);
    if (data == NULL)
        return false;
    for (int64_t i = 1; i <= window->count; i++) {
        int64_t offset = number_at(added, width, window->first + i) - first + end;
        memcpy(data, &offset, width);
        data += width;
    }
    return true;
}

/* The window of a child all of whose elements are taken. */
static struct window whole_of(const struct appending *appending, uint32_t row)
{
    return (struct window){appending->old->nodes[row].length, 0,
                           appending->delta->nodes[row].length};
}

/* Joins the starts of a list view or a dense union, each moved by the old length of its child. */
static bool join_starts(struct appending *appending, uint32_t row, uint32_t index,
                        const struct window *window, size_t width)
{
    const struct fletch_type *type = &appending->schema->fields[row].type;
    const bool is_union = fletch_type_is_union(type->id);
    int64_t moves[FLETCH_TYPE_IDS_MAX] = {0};
    uint32_t member = 0;
    for (uint32_t child = row + 1; child < appending->schema->fields[row].end;
         child = appending->schema->fields[child].end) {
        const struct window below = whole_of(appending, child);
        int64_t limit = width == 4 ? INT32_MAX : FLETCH_ELEMENTS_MAX;
        if (below.count > limit - below.old_length)
            return refuse_reach(appending, below.old_length, below.count, "offsets", width);
        moves[is_union ? type->type_ids[member++] : 0] = below.old_length;
    }
    uint8_t *data = join_values(appending, index, window, width);
    if (data == NULL)
        return false;
    const uint8_t *type_ids =
        is_union ? appending->delta->spans[index - 1].data + window->first : NULL;
    for (int64_t i = 0; i < window->count; i++, data += width) {
        const struct fletch_batch_span one = {data, width};
        int64_t start = number_at(&one, width, 0) + moves[is_union ? type_ids[i] & 127 : 0];
        memcpy(data, &start, width);
    }
    return true;
}

/* ---- views ---- */

/* Where each data buffer of a column begins, once all lie one behind the other from `base` on. */
static int32_t *place_data(struct appending *appending, const struct fletch_column *column,
                           size_t base, struct fletch_buffer **out_room)
{
    const size_t bytes = (column->buffer_count + (size_t)1) * sizeof(int32_t);
    if (fletch_buffer_allocate(appending->dictionaries->cache, bytes, NULL, out_room,
                               appending->error) != FLETCH_OK)
        return NULL;
    int32_t *places = (void *)fletch_buffer_mutable_data(*out_room);
    places[0] = (int32_t)base;
    for (uint32_t i = 0; i < column->buffer_count; i++)
        places[i + 1] = places[i] + (int32_t)column->buffers[i].bytes;
    return places;
}

/* Lets `count` views, of `column`, point into one buffer in which its own data begin at `base`. */
static bool turn_views(struct appending *appending, uint8_t *data, int64_t count,
                       const struct fletch_column *column, size_t base)
{
    struct fletch_string_view *views = (void *)data;
    struct fletch_buffer *room = NULL;
    const int32_t *places = place_data(appending, column, base, &room);
    if (places == NULL)
        return false;
    for (int64_t i = 0; i < count; i++) {
        if (fletch_view_is_inline(&views[i]))
            continue;
        if (fletch_view_is_outside(&views[i], column)) {
            views[i].offset += places[views[i].buffer];
            views[i].buffer = 0;
        } else {
            views[i] = (struct fletch_string_view){0};
        }
    }
    fletch_buffer_release(appending->dictionaries->cache, room);
    return true;
}

static uint8_t *copy_data(uint8_t *to, const struct fletch_column *column)
{
    for (uint32_t i = 0; i < column->buffer_count; i++) {
        if (column->buffers[i].bytes != 0)
            memcpy(to, column->buffers[i].data, column->buffers[i].bytes);
        to += column->buffers[i].bytes;
    }
    return to;
}

/* Joins views and what they point into. The first time the old ones are turned too. */
static bool join_views(struct appending *appending, uint32_t row, uint32_t index,
                       const struct window *window)
{
    const struct fletch_column old = fletch_column_of(appending->old, row);
    const struct fletch_column added = fletch_column_of(appending->delta, row);
    const uint32_t place = appending->schema->span_count + old.field->view;
    const size_t bytes[2] = {fletch_column_data_bytes(&old), fletch_column_data_bytes(&added)};
    if (bytes[0] > INT32_MAX || bytes[1] > INT32_MAX - bytes[0])
        return refuse_reach(appending, (int64_t)bytes[0], (int64_t)bytes[1], "offsets", 4);
    const bool is_turned = appending->growths[place].buffer != NULL;
    if (!is_turned)
        forget_growth(appending, index);
    uint8_t *views = join_values(appending, index, window, sizeof(struct fletch_string_view));
    if (views == NULL || !turn_views(appending, views, window->count, &added, bytes[0]))
        return false;
    if (is_turned) {
        uint8_t *data = extend(appending, place, old.buffers[0].data, bytes[0], bytes[1]);
        return data != NULL && copy_data(data, &added) != NULL;
    }
    views -= (size_t)window->old_length * sizeof(struct fletch_string_view);
    uint8_t *data = extend(appending, place, NULL, 0, bytes[0] + bytes[1]);
    if (data == NULL || !turn_views(appending, views, window->old_length, &old, 0))
        return false;
    copy_data(copy_data(data, &old), &added);
    return true;
}

/* ---- runs ---- */

static int64_t run_end_most(const struct fletch_type *type)
{
    return type->id == FLETCH_TYPE_INT16   ? INT16_MAX
           : type->id == FLETCH_TYPE_INT32 ? INT32_MAX
                                           : FLETCH_ELEMENTS_MAX;
}

/* The runs that elements `first` and following are in. */
static struct fletch_element_range runs_of(const struct fletch_batch *batch, uint32_t row,
                                           int64_t first, int64_t count)
{
    const struct fletch_element_range elements = {first, count};
    return fletch_column_range_below(batch, row, 0, elements);
}

/* Joins run ends: the last old run ends where the old values do, and the delta's follow. */
static bool join_run_ends(struct appending *appending, uint32_t row, const struct window *window,
                          struct window *out_inner)
{
    const struct fletch_field *field = &appending->schema->fields[row + 1];
    const size_t width = fletch_type_byte_width(&field->type);
    const uint32_t index = field->first_span + 1;
    const struct fletch_column old = fletch_column_of(appending->old, row + 1);
    const struct fletch_column added = fletch_column_of(appending->delta, row + 1);
    const struct fletch_element_range olds = runs_of(appending->old, row, 0, window->old_length);
    const struct fletch_element_range news =
        runs_of(appending->delta, row, window->first, window->count);
    *out_inner = (struct window){olds.count, news.first, news.count};
    if (window->count > run_end_most(&field->type) - window->old_length)
        return refuse_reach(appending, window->old_length, window->count, "run ends", width);
    const bool is_cut =
        olds.count > 0 && fletch_column_run_end(&old, olds.count - 1) > window->old_length;
    if (is_cut)
        forget_growth(appending, index);
    uint8_t *data = join_values(appending, index, out_inner, width);
    if (data == NULL)
        return false;
    if (is_cut)
        memcpy(data - width, &window->old_length, width);
    for (int64_t i = 0; i < news.count; i++, data += width) {
        int64_t end = fletch_column_run_end(&added, news.first + i) - window->first;
        end = window->old_length + (end > window->count ? window->count : end);
        memcpy(data, &end, width);
    }
    const struct window *runs = out_inner;
    appending->nodes[row + 1] =
        (struct fletch_batch_node){.length = runs->old_length + runs->count};
    return true;
}

static bool join_runs(struct appending *appending, uint32_t row, const struct window *window)
{
    struct window inner;
    return join_run_ends(appending, row, window, &inner) &&
           join_field(appending, appending->schema->fields[row + 1].end, &inner);
}

/* ---- fields ---- */

/* Span `i` of a field; `*inner`: of what offsets point into. */
static bool join_span(struct appending *appending, uint32_t row, uint32_t i,
                      const struct window *window, struct window *inner)
{
    const struct fletch_field *field = &appending->schema->fields[row];
    const uint32_t index = field->first_span + i;
    switch ((enum fletch_span_kind)fletch_type_layout(&field->type)->spans[i]) {
    case FLETCH_SPAN_VALIDITY:
        return join_bits(appending, index, window, true);
    case FLETCH_SPAN_BITS:
        return join_bits(appending, index, window, false);
    case FLETCH_SPAN_VALUES:
        return join_values(appending, index, window, fletch_type_byte_width(&field->type)) != NULL;
    case FLETCH_SPAN_OFFSETS32:
        return join_offsets(appending, index, window, 4, inner);
    case FLETCH_SPAN_OFFSETS64:
        return join_offsets(appending, index, window, 8, inner);
    case FLETCH_SPAN_BYTES:
        return join_values(appending, index, inner, 1) != NULL;
    case FLETCH_SPAN_VIEWS:
        return join_views(appending, row, index, window);
    case FLETCH_SPAN_STARTS32:
        return join_starts(appending, row, index, window, 4);
    case FLETCH_SPAN_STARTS64:
        return join_starts(appending, row, index, window, 8);
    case FLETCH_SPAN_SIZES32:
        return join_values(appending, index, window, 4) != NULL;
    case FLETCH_SPAN_SIZES64:
        return join_values(appending, index, window, 8) != NULL;
    case FLETCH_SPAN_TYPE_IDS:
        return join_values(appending, index, window, 1) != NULL;
    }
    return false;
}

static bool join_children(struct appending *appending, uint32_t row, const struct window *window,
                          const struct window *pointed)
{
    const struct fletch_field *field = &appending->schema->fields[row];
    const int64_t stride = fletch_type_child_stride(&field->type);
    bool is_good = true;
    for (uint32_t child = row + 1; child < field->end && is_good;
         child = appending->schema->fields[child].end) {
        struct window inner = *pointed;
        if (stride != FLETCH_CHILD_WHOLE)
            inner = (struct window){window->old_length * stride, window->first * stride,
                                    window->count * stride};
        else if (!fletch_type_is_list(field->type.id))
            inner = whole_of(appending, child);
        is_good = join_field(appending, child, &inner);
    }
    return is_good;
}

/* As deep as a schema may be. */
static bool join_field(struct appending *appending, uint32_t row, const struct window *window)
{
    const struct fletch_field *field = &appending->schema->fields[row];
    int64_t length = window->old_length + window->count;
    struct window pointed = *window;
    if (length > FLETCH_ELEMENTS_MAX) {
        fletch_error_set(appending->error, FLETCH_INVALID_ARGUMENT,
                         "a dictionary grows to %" PRId64 " + %" PRId64 " elements",
                         window->old_length, window->count);
        return false;
    }
    for (uint32_t i = 0; i < field->span_count; i++)
        if (!join_span(appending, row, i, window, &pointed))
            return false;
    /* Null counts add up only where all of the elements are taken: they are not counted here. */
    bool has_validity = fletch_type_has_validity(field->type.id) &&
                        appending->spans[field->first_span].data != NULL;
    appending->nodes[row] = (struct fletch_batch_node){
        .length = length,
        .null_count = has_validity                         ? -1
                      : field->type.id == FLETCH_TYPE_NULL ? length
                                                           : 0,
    };
    if (field->type.id == FLETCH_TYPE_RUN_END_ENCODED)
        return join_runs(appending, row, window);
    return join_children(appending, row, window, &pointed);
}

/* ---- batches ---- */

static enum fletch_status make_joined(struct appending *appending, struct fletch_batch **out_batch)
{
    struct fletch_schema *schema = appending->schema;
    struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(schema),
        .row_count = appending->nodes[0].length,
        .nodes = appending->nodes,
        .node_count = schema->field_count,
        .spans = appending->spans,
        .span_count = appending->span_count,
        .view_spans = appending->view_spans,
        .view_count = schema->view_count,
        .owners = appending->owners,
        .dictionaries = appending->old->dictionaries,
        .dictionary_count = schema->dictionary_count,
    };
    for (uint32_t i = 0; i < parts.span_count; i++)
        if (appending->growths[i].buffer != NULL)
            appending->owners[parts.owner_count++] =
                fletch_buffer_acquire(appending->growths[i].buffer);
    enum fletch_status status =
        fletch_batch_create(appending->dictionaries->cache, appending->dictionaries->account,
                            &parts, out_batch, appending->error);
    if (status == FLETCH_OK) {
        for (uint32_t i = 0; i < parts.dictionary_count; i++)
            if (parts.dictionaries[i] != NULL)
                fletch_batch_acquire(parts.dictionaries[i]);
        return FLETCH_OK;
    }
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
    size_t views = appending->schema->view_count;
    size_t spans = appending->schema->span_count + views;
    size_t bytes = nodes * sizeof *appending->nodes +
                   spans * (sizeof *appending->spans + sizeof *appending->growths +
                            sizeof *appending->owners) +
                   (views + 1) * sizeof *appending->view_spans;
    enum fletch_status status = fletch_buffer_allocate(appending->dictionaries->cache, bytes, NULL,
                                                       out_room, appending->error);
    if (status != FLETCH_OK)
        return status;
    void *room = fletch_buffer_mutable_data(*out_room);
    appending->nodes = room;
    appending->spans = (void *)(appending->nodes + nodes);
    appending->growths = (void *)(appending->spans + spans);
    appending->owners = (void *)(appending->growths + spans);
    appending->view_spans = (void *)(appending->owners + spans);
    appending->span_count = (uint32_t)spans;
    memset(room, 0, bytes);
    for (uint32_t i = 0; i <= views; i++)
        appending->view_spans[i] = appending->schema->span_count + i;
    return FLETCH_OK;
}

static enum fletch_status join(struct appending *appending, struct fletch_ipc_dictionary *entry)
{
    struct fletch_ipc_dictionaries *dictionaries = appending->dictionaries;
    uint32_t span_count = appending->span_count;
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
        entry->is_checked = false;
        dictionaries->changes++;
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
