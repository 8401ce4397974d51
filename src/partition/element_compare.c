#include "partition/element_compare.h"

#include <string.h>

#include "arrow/column.h"
#include "partition/node_view.h"

/* Recursion goes as deep as the schema, which is bounded by FLETCH_SCHEMA_DEPTH_MAX. */

/* The element that a dictionary's index or a run stands for. Batch NULL: null, by an index that is
 * outside. */
static struct fletch_element look_through(struct fletch_element element)
{
    for (;;) {
        struct fletch_node_view column = fletch_node_view_of(element.batch, element.row);
        if (column.field->type.id == FLETCH_TYPE_RUN_END_ENCODED) {
            struct fletch_column run_ends = fletch_column_of(element.batch, element.row + 1);
            element.index = fletch_column_find_run(&run_ends, column.offset + element.index);
            element.row += 2;
        } else if (column.field->dictionary != FLETCH_NO_INDEX &&
                   !fletch_view_is_null(&column, element.index)) {
            element.batch = fletch_view_dictionary_value(&column, element.index, &element.index);
            element.row = 0;
        } else {
            return element;
        }
        if (element.batch == NULL)
            return element;
    }
}

static bool is_null(struct fletch_element element)
{
    if (element.batch == NULL)
        return true;
    struct fletch_node_view column = fletch_node_view_of(element.batch, element.row);
    return fletch_view_is_null(&column, element.index);
}

static bool bytes_equal(struct fletch_element a, struct fletch_element b)
{
    struct fletch_column column_a = fletch_column_of(a.batch, a.row);
    struct fletch_column column_b = fletch_column_of(b.batch, b.row);
    struct fletch_batch_span bytes_a = fletch_column_bytes(&column_a, a.index);
    struct fletch_batch_span bytes_b = fletch_column_bytes(&column_b, b.index);
    return bytes_a.bytes == bytes_b.bytes &&
           (bytes_a.bytes == 0 || memcmp(bytes_a.data, bytes_b.data, bytes_a.bytes) == 0);
}

static bool values_equal(struct fletch_element a, struct fletch_element b)
{
    struct fletch_node_view column_a = fletch_node_view_of(a.batch, a.row);
    struct fletch_node_view column_b = fletch_node_view_of(b.batch, b.row);
    int64_t at_a = column_a.offset + a.index;
    int64_t at_b = column_b.offset + b.index;
    if (column_a.field->type.id == FLETCH_TYPE_BOOL)
        return fletch_view_bit(column_a.values, at_a) == fletch_view_bit(column_b.values, at_b);
    size_t width = fletch_type_byte_width(&column_a.field->type);
    return width == 0 || memcmp(column_a.values + (size_t)at_a * width,
                                column_b.values + (size_t)at_b * width, width) == 0;
}

static bool lists_equal(struct fletch_element a, struct fletch_element b)
{
    struct fletch_column column_a = fletch_column_of(a.batch, a.row);
    struct fletch_column column_b = fletch_column_of(b.batch, b.row);
    struct fletch_element_range list_a = fletch_column_elements(&column_a, a.index);
    struct fletch_element_range list_b = fletch_column_elements(&column_b, b.index);
    if (list_a.count != list_b.count)
        return false;
    for (int64_t i = 0; i < list_a.count; i++) {
        struct fletch_element below_a = {a.batch, a.row + 1, list_a.first + i};
        struct fletch_element below_b = {b.batch, b.row + 1, list_b.first + i};
        if (!fletch_elements_equal(below_a, below_b))
            return false;
    }
    return true;
}

static bool structs_equal(struct fletch_element a, struct fletch_element b)
{
    uint32_t count = a.batch->schema->fields[a.row].child_count;
    struct fletch_element below_a = {a.batch, a.row + 1, a.index};
    struct fletch_element below_b = {b.batch, b.row + 1, b.index};
    for (uint32_t i = 0; i < count; i++) {
        if (!fletch_elements_equal(below_a, below_b))
            return false;
        below_a.row = a.batch->schema->fields[below_a.row].end;
        below_b.row = b.batch->schema->fields[below_b.row].end;
    }
    return true;
}

static bool unions_equal(struct fletch_element a, struct fletch_element b)
{
    struct fletch_column column_a = fletch_column_of(a.batch, a.row);
    struct fletch_column column_b = fletch_column_of(b.batch, b.row);
    int member = fletch_column_member(&column_a, a.index);
    if (member < 0 || member != fletch_column_member(&column_b, b.index))
        return false;
    uint32_t child = (uint32_t)member;
    return fletch_elements_equal(
        (struct fletch_element){a.batch, fletch_schema_child(a.batch->schema, a.row, child),
                                fletch_column_member_index(&column_a, a.index)},
        (struct fletch_element){b.batch, fletch_schema_child(b.batch->schema, b.row, child),
                                fletch_column_member_index(&column_b, b.index)});
}

bool fletch_elements_equal(struct fletch_element a, struct fletch_element b)
{
    a = look_through(a);
    b = look_through(b);
    if (is_null(a) || is_null(b))
        return is_null(a) && is_null(b);
    enum fletch_type_id id = a.batch->schema->fields[a.row].type.id;
    if (id == FLETCH_TYPE_STRUCT)
        return structs_equal(a, b);
    if (fletch_type_is_union(id))
        return unions_equal(a, b);
    if (fletch_type_is_variable(id) || fletch_type_is_view(id))
        return bytes_equal(a, b);
    bool is_list = fletch_type_is_list(id) || fletch_type_is_list_view(id) ||
                   id == FLETCH_TYPE_FIXED_SIZE_LIST;
    return is_list ? lists_equal(a, b) : values_equal(a, b);
}
