#include "arrow/ipc_dictionary_compare.h"

#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/column.h"
#include "arrow/string_view.h"

/* One array of both batches, and the elements of each that are compared: from `first` on, counted
 * from the array's own offset. */
struct pair {
    const struct fletch_schema *schema;
    uint32_t row;
    const struct fletch_batch *batches[2];
    int64_t first[2];
};

static bool are_alike(const struct pair *pair, int64_t count);

/* ---- spans ---- */

/* Where the first element lies in the spans of side `side`. */
static int64_t place_of(const struct pair *pair, int side)
{
    return pair->batches[side]->nodes[pair->row].offset + pair->first[side];
}

static const struct fletch_batch_span *span_of(const struct pair *pair, int side, uint32_t index)
{
    return &pair->batches[side]->spans[pair->schema->fields[pair->row].first_span + index];
}

static bool are_bits_alike(const struct pair *pair, uint32_t index, int64_t count)
{
    const uint8_t *bits[2] = {span_of(pair, 0, index)->data, span_of(pair, 1, index)->data};
    const int64_t places[2] = {place_of(pair, 0), place_of(pair, 1)};
    if (bits[0] == bits[1] && places[0] == places[1])
        return true;
    for (int64_t i = 0; i < count; i++) {
        bool left = bits[0] == NULL || fletch_bitmap_get(bits[0], places[0] + i);
        bool right = bits[1] == NULL || fletch_bitmap_get(bits[1], places[1] + i);
        if (left != right)
            return false;
    }
    return true;
}

/* `count` elements of `width` bytes, from element first[side] of each span on. */
static bool are_bytes_alike(const struct fletch_batch_span *a, const struct fletch_batch_span *b,
                            const int64_t first[2], int64_t count, size_t width)
{
    if (count == 0 || width == 0 || (a->data == b->data && first[0] == first[1]))
        return true;
    return memcmp(a->data + (size_t)first[0] * width, b->data + (size_t)first[1] * width,
                  (size_t)count * width) == 0;
}

static bool are_values_alike(const struct pair *pair, int64_t count)
{
    const int64_t places[2] = {place_of(pair, 0), place_of(pair, 1)};
    return are_bytes_alike(span_of(pair, 0, 1), span_of(pair, 1, 1), places, count,
                           fletch_type_byte_width(&pair->schema->fields[pair->row].type));
}

/* Offsets of strings or lists, and what they point into. */
static bool are_ranges_alike(const struct pair *pair, int64_t count)
{
    const struct fletch_column columns[2] = {fletch_column_of(pair->batches[0], pair->row),
                                             fletch_column_of(pair->batches[1], pair->row)};
    const bool is_list = fletch_type_is_list(columns[0].field->type.id);
    if (count == 0)
        return true;
    const int64_t starts[2] = {fletch_column_offset(&columns[0], pair->first[0]),
                               fletch_column_offset(&columns[1], pair->first[1])};
    for (int64_t i = 1; i <= count; i++)
        if (fletch_column_offset(&columns[0], pair->first[0] + i) - starts[0] !=
            fletch_column_offset(&columns[1], pair->first[1] + i) - starts[1])
            return false;
    int64_t below = fletch_column_offset(&columns[0], pair->first[0] + count) - starts[0];
    if (!is_list)
        return are_bytes_alike(&columns[0].spans[2], &columns[1].spans[2], starts, below, 1);
    struct pair children = *pair;
    children.row = pair->row + 1;
    memcpy(children.first, starts, sizeof starts);
    return are_alike(&children, below);
}

/* Views may share their bytes: how often all of these are compared before the answer is no. */
enum { VIEWS_SHARE = 16 };

static bool are_views_alike(const struct pair *pair, int64_t count)
{
    const struct fletch_column columns[2] = {fletch_column_of(pair->batches[0], pair->row),
                                             fletch_column_of(pair->batches[1], pair->row)};
    size_t left = (size_t)count * FLETCH_VIEW_INLINE_BYTES +
                  VIEWS_SHARE * fletch_column_data_bytes(&columns[0]);
    for (int64_t i = 0; i < count; i++) {
        const struct fletch_batch_span a = fletch_column_bytes(&columns[0], pair->first[0] + i);
        const struct fletch_batch_span b = fletch_column_bytes(&columns[1], pair->first[1] + i);
        if (a.bytes != b.bytes || a.bytes > left ||
            (a.bytes != 0 && memcmp(a.data, b.data, a.bytes) != 0))
            return false;
        left -= a.bytes;
    }
    return true;
}

/* ---- lists whose elements lie anywhere ---- */

/* Lists may share their elements: how often all of these are compared before the answer is no. */
enum { LISTS_SHARE = 16 };

/* Elements of the child that were found alike: those of the first batch, and how much further on
 * they lie in the second. */
struct known_range {
    struct fletch_element_range range;
    int64_t shift;
};

/* Whether the list adds nothing to what is known; what it adds at the end becomes known. */
static bool is_known(struct known_range *known, struct fletch_element_range list, int64_t shift)
{
    const int64_t end = known->range.first + known->range.count;
    if (list.count == 0)
        return true;
    if (shift == known->shift && list.first >= known->range.first && list.first <= end) {
        if (list.first + list.count <= end)
            return true;
        known->range.count = list.first + list.count - known->range.first;
        return false;
    }
    *known = (struct known_range){list, shift};
    return false;
}

static bool are_list_views_alike(const struct pair *pair, int64_t count)
{
    const struct fletch_column columns[2] = {fletch_column_of(pair->batches[0], pair->row),
                                             fletch_column_of(pair->batches[1], pair->row)};
    struct pair child = *pair;
    struct known_range known = {.shift = 0};
    child.row = pair->row + 1;
    int64_t left = LISTS_SHARE * (pair->batches[0]->nodes[child.row].length +
                                  pair->batches[1]->nodes[child.row].length);
    for (int64_t i = 0; i < count; i++) {
        const struct fletch_element_range a =
            fletch_column_elements(&columns[0], pair->first[0] + i);
        const struct fletch_element_range b =
            fletch_column_elements(&columns[1], pair->first[1] + i);
        if (a.count != b.count)
            return false;
        if (is_known(&known, a, b.first - a.first))
            continue;
        child.first[0] = a.first;
        child.first[1] = b.first;
        left -= a.count;
        if (left < 0 || !are_alike(&child, a.count))
            return false;
    }
    return true;
}

/* ---- unions ---- */

/* How many elements from `first` on are of one member and, in both batches, follow each other in
 * it; 0: the first is of different members. */
static int64_t count_members(const struct fletch_column columns[2], const int64_t first[2],
                             int64_t count)
{
    const int member = fletch_column_member(&columns[0], first[0]);
    int64_t found = 0;
    for (; found < count; found++)
        for (int side = 0; side < 2; side++)
            if (fletch_column_member(&columns[side], first[side] + found) != member ||
                fletch_column_member_index(&columns[side], first[side] + found) !=
                    fletch_column_member_index(&columns[side], first[side]) + found)
                return found;
    return found;
}

static bool are_unions_alike(const struct pair *pair, int64_t count)
{
    const struct fletch_column columns[2] = {fletch_column_of(pair->batches[0], pair->row),
                                             fletch_column_of(pair->batches[1], pair->row)};
    struct pair child = *pair;
    for (int64_t done = 0; done < count;) {
        const int64_t first[2] = {pair->first[0] + done, pair->first[1] + done};
        const int member = fletch_column_member(&columns[0], first[0]);
        const int64_t alike = count_members(columns, first, count - done);
        if (member < 0 || alike == 0)
            return false;
        child.row = fletch_schema_child(pair->schema, pair->row, (uint32_t)member);
        for (int side = 0; side < 2; side++)
            child.first[side] = fletch_column_member_index(&columns[side], first[side]);
        if (!are_alike(&child, alike))
            return false;
        done += alike;
    }
    return true;
}

/* ---- runs ---- */

/* However they are cut: value by value of what overlaps. */
static bool are_runs_alike(const struct pair *pair, int64_t count)
{
    struct fletch_column ends[2];
    int64_t runs[2];
    struct pair values = *pair;
    values.row = pair->row + 2;
    if (count == 0)
        return true;
    for (int side = 0; side < 2; side++) {
        ends[side] = fletch_column_of(pair->batches[side], pair->row + 1);
        runs[side] = fletch_column_find_run(&ends[side], place_of(pair, side));
    }
    for (int64_t done = 0; done < count;) {
        int64_t stretch = count - done;
        memcpy(values.first, runs, sizeof runs);
        if (!are_alike(&values, 1))
            return false;
        for (int side = 0; side < 2; side++) {
            const int64_t left =
                fletch_column_run_end(&ends[side], runs[side]) - place_of(pair, side) - done;
            stretch = left < stretch ? left : stretch;
        }
        done += stretch;
        for (int side = 0; side < 2; side++)
            runs[side] +=
                fletch_column_run_end(&ends[side], runs[side]) - place_of(pair, side) == done;
    }
    return true;
}

/* ---- arrays ---- */

static bool are_children_alike(const struct pair *pair, int64_t count)
{
    const struct fletch_field *field = &pair->schema->fields[pair->row];
    const int64_t stride = fletch_type_child_stride(&field->type);
    struct pair child = *pair;
    child.first[0] = pair->first[0] * stride;
    child.first[1] = pair->first[1] * stride;
    for (uint32_t row = pair->row + 1; row < field->end; row = pair->schema->fields[row].end) {
        child.row = row;
        if (!are_alike(&child, count * stride))
            return false;
    }
    return true;
}

/* Whether indices mean the same: dictionaries only grew. */
static bool are_dictionaries_alike(const struct pair *pair)
{
    uint32_t index = pair->schema->fields[pair->row].dictionary;
    const struct fletch_batch *old = pair->batches[0]->dictionaries[index];
    const struct fletch_batch *now = pair->batches[1]->dictionaries[index];
    return old == now ||
           (old != NULL && now != NULL &&
            fletch_ipc_dictionary_compare(pair->schema->dictionaries[index].values, old, now) !=
                FLETCH_IPC_DICTIONARY_DIFFERENT);
}

/* Of elements that are not null. */
static bool are_contents_alike(const struct pair *pair, int64_t count)
{
    const struct fletch_type *type = &pair->schema->fields[pair->row].type;
    if (fletch_type_is_union(type->id))
        return are_unions_alike(pair, count);
    if (fletch_type_child_stride(type) != FLETCH_CHILD_WHOLE)
        return are_children_alike(pair, count);
    if (type->id == FLETCH_TYPE_RUN_END_ENCODED)
        return are_runs_alike(pair, count);
    if (fletch_type_is_list_view(type->id))
        return are_list_views_alike(pair, count);
    switch ((enum fletch_span_kind)fletch_type_layout(type)->spans[1]) {
    case FLETCH_SPAN_BITS:
        return are_bits_alike(pair, 1, count);
    case FLETCH_SPAN_VALUES:
        return are_values_alike(pair, count);
    case FLETCH_SPAN_OFFSETS32:
    case FLETCH_SPAN_OFFSETS64:
        return are_ranges_alike(pair, count);
    case FLETCH_SPAN_VIEWS:
        return are_views_alike(pair, count);
    default:
        return false;
    }
}

/* Stretch by stretch of what is not null: what else lies there means nothing. */
static bool are_valid_alike(const struct pair *pair, int64_t count)
{
    const uint8_t *bits = span_of(pair, 0, 0)->data;
    const int64_t place = place_of(pair, 0);
    if (bits == NULL)
        return are_contents_alike(pair, count);
    for (int64_t first = 0; first < count;) {
        struct pair stretch = *pair;
        int64_t end = first;
        while (end < count && fletch_bitmap_get(bits, place + end))
            end++;
        stretch.first[0] += first;
        stretch.first[1] += first;
        if (end > first && !are_contents_alike(&stretch, end - first))
            return false;
        first = end + 1;
    }
    return true;
}

/* As deep as a schema may be. */
static bool are_alike(const struct pair *pair, int64_t count)
{
    const struct fletch_field *field = &pair->schema->fields[pair->row];
    if (field->type.id == FLETCH_TYPE_NULL || count == 0)
        return true;
    if (field->dictionary != FLETCH_NO_INDEX && !are_dictionaries_alike(pair))
        return false;
    if (!fletch_type_has_validity(field->type.id))
        return are_contents_alike(pair, count);
    return are_bits_alike(pair, 0, count) && are_valid_alike(pair, count);
}

/* The same memory, field by field, and the same dictionaries. */
static bool lies_in_one_place(const struct fletch_schema *schema, const struct fletch_batch *a,
                              const struct fletch_batch *b)
{
    if (a->span_count != b->span_count)
        return false;
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (a->nodes[i].length != b->nodes[i].length || a->nodes[i].offset != b->nodes[i].offset)
            return false;
    for (uint32_t i = 0; i < a->span_count; i++)
        if (a->spans[i].data != b->spans[i].data)
            return false;
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        if (a->dictionaries[i] != b->dictionaries[i] &&
            (a->dictionaries[i] == NULL || b->dictionaries[i] == NULL ||
             fletch_ipc_dictionary_compare(schema->dictionaries[i].values, a->dictionaries[i],
                                           b->dictionaries[i]) == FLETCH_IPC_DICTIONARY_DIFFERENT))
            return false;
    return true;
}

enum fletch_ipc_dictionary_relation
fletch_ipc_dictionary_compare(const struct fletch_schema *schema, const struct fletch_batch *old,
                              const struct fletch_batch *values)
{
    const struct pair pair = {.schema = schema, .batches = {old, values}};
    if (lies_in_one_place(schema, old, values))
        return FLETCH_IPC_DICTIONARY_SAME;
    if (values->row_count < old->row_count || !are_alike(&pair, old->row_count))
        return FLETCH_IPC_DICTIONARY_DIFFERENT;
    return values->row_count == old->row_count ? FLETCH_IPC_DICTIONARY_SAME
                                               : FLETCH_IPC_DICTIONARY_GROWN;
}
