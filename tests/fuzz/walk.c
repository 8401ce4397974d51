#include "fuzz/walk.h"

#include "arrow/column.h"

struct walk {
    const struct fletch_batch *batch;
    int64_t left;
};

static void walk_range(struct walk *walk, uint32_t row, struct fletch_element_range range);

static void walk_one(struct walk *walk, uint32_t row, int64_t index)
{
    walk_range(walk, row, (struct fletch_element_range){index, 1});
}

static void walk_dictionary(struct walk *walk, const struct fletch_batch *values,
                            struct fletch_element_range range)
{
    struct walk inside = {values, walk->left};
    /* As if each index were that of the value that stands for most: few dictionaries need more. */
    int64_t most = 0;
    for (int64_t i = 0; i < values->row_count && inside.left > 0; i++) {
        const int64_t before = inside.left;
        walk_one(&inside, 0, i);
        most = before - inside.left > most ? before - inside.left : most;
    }
    walk->left -=
        inside.left <= 0 || most * range.count > walk->left ? walk->left : most * range.count;
}

static void walk_union(struct walk *walk, uint32_t row, int64_t index)
{
    const struct fletch_column column = fletch_column_of(walk->batch, row);
    const int member = fletch_column_member(&column, index);
    if (member >= 0)
        walk_one(walk, fletch_schema_child(walk->batch->schema, row, (uint32_t)member),
                 fletch_column_member_index(&column, index));
}

static void walk_element(struct walk *walk, uint32_t row, int64_t index)
{
    const struct fletch_schema *schema = walk->batch->schema;
    const struct fletch_column column = fletch_column_of(walk->batch, row);
    const enum fletch_type_id id = column.field->type.id;
    if (fletch_type_is_union(id)) {
        walk_union(walk, row, index);
    } else if (id == FLETCH_TYPE_RUN_END_ENCODED) {
        const struct fletch_column run_ends = fletch_column_of(walk->batch, row + 1);
        walk_one(walk, fletch_schema_child(schema, row, 1),
                 fletch_column_find_run(&run_ends, column.node->offset + index));
    } else if (id == FLETCH_TYPE_STRUCT) {
        for (uint32_t i = 0; i < column.field->child_count; i++)
            walk_one(walk, fletch_schema_child(schema, row, i), index);
    } else {
        walk_range(walk, row + 1, fletch_column_elements(&column, index));
    }
}

/* Recurses as fields and dictionaries lie in each other. */
static void walk_range(struct walk *walk, uint32_t row, struct fletch_element_range range)
{
    const struct fletch_field *field = &walk->batch->schema->fields[row];
    if (range.count > walk->left) {
        walk->left = 0;
        return;
    }
    walk->left -= range.count;
    if (field->dictionary != FLETCH_NO_INDEX && walk->batch->dictionaries[field->dictionary])
        walk_dictionary(walk, walk->batch->dictionaries[field->dictionary], range);
    for (int64_t i = 0; field->child_count > 0 && i < range.count && walk->left > 0; i++)
        walk_element(walk, row, range.first + i);
}

bool walk_is_short(const struct fletch_batch *batch, int64_t most)
{
    struct walk walk = {batch, most};
    for (uint32_t i = 0; i < batch->schema->column_count; i++)
        walk_range(&walk, batch->schema->columns[i],
                   (struct fletch_element_range){0, batch->row_count});
    return walk.left > 0 && batch->row_count < most;
}
