#include "partition/row_levels.h"

/* Recursion goes as deep as the schema, which is bounded by FLETCH_SCHEMA_DEPTH_MAX. */

/* ---- which there are ---- */

static bool makes_level(const struct fletch_schema *schema, uint32_t row)
{
    const struct fletch_field *field = &schema->fields[row];
    if (fletch_type_is_variable(field->type.id))
        return field->parent != FLETCH_NO_INDEX;
    return fletch_type_is_list(field->type.id) || field->type.id == FLETCH_TYPE_FIXED_SIZE_LIST;
}

uint32_t fletch_levels_most(const struct fletch_schema *schema)
{
    uint32_t count = 1;
    for (uint32_t row = 0; row < schema->field_count; row++)
        count += makes_level(schema, row);
    return count;
}

/* Whether all that the node's elements have below them lies side by side for each. */
static bool lies_side_by_side(const struct fletch_scatter *scatter, uint32_t row)
{
    enum fletch_copy_rule rule = scatter->nodes[row].rule;
    if (rule != FLETCH_COPY_LIST && rule != FLETCH_COPY_FIXED_LIST)
        return false;
    for (uint32_t below = row + 1; below < scatter->source.schema->fields[row].end; below++) {
        rule = scatter->nodes[below].rule;
        if (fletch_copy_rule_is_ranged(rule) && rule != FLETCH_COPY_LIST &&
            rule != FLETCH_COPY_FIXED_LIST)
            return false;
    }
    return true;
}

void fletch_levels_init(struct fletch_scatter *scatter)
{
    const struct fletch_schema *schema = scatter->source.schema;
    uint32_t count = 1;
    scatter->levels[0] = (struct fletch_level){
        .row = FLETCH_NO_INDEX,
        .above = FLETCH_NO_INDEX,
        .stretches = scatter->stretches,
        .starts = scatter->level_starts,
    };
    for (uint32_t row = 0; row < schema->field_count; row++) {
        struct fletch_scatter_node *node = &scatter->nodes[row];
        const struct fletch_scatter_node *parent =
            node->is_inner ? &scatter->nodes[schema->fields[row].parent] : NULL;
        node->has_level = node->is_inner ? parent->has_level : lies_side_by_side(scatter, row);
        if (!node->has_level)
            continue;
        if (node->is_inner)
            node->level = parent->below > 0 ? parent->below : parent->level;
        if (!makes_level(schema, row))
            continue;
        node->below = count;
        scatter->levels[count] = (struct fletch_level){
            .row = row,
            .above = node->level,
            .stretches = scatter->stretches + (size_t)count * scatter->level_rows,
            .starts = scatter->level_starts + (size_t)count * scatter->segments_most,
        };
        count++;
    }
    scatter->level_count = count;
}

bool fletch_levels_can_number(const struct fletch_batch *batch)
{
    bool is_over = batch->row_count > UINT32_MAX;
    for (uint32_t i = 0; i < batch->node_count; i++)
        is_over |= batch->nodes[i].length > UINT32_MAX;
    for (uint32_t i = 0; i < batch->span_count; i++)
        is_over |= batch->spans[i].bytes > UINT32_MAX;
    return !is_over;
}

/* ---- blocks ---- */

/* What a range of the level above has in this one. */
static struct fletch_element_range range_below(const struct fletch_scatter *scatter,
                                               const struct fletch_level *level,
                                               struct fletch_element_range above)
{
    const struct fletch_node_view *column = &scatter->columns[level->row];
    int64_t size = column->field->type.list_size;
    if (above.count == 0)
        return (struct fletch_element_range){0, 0};
    if (scatter->nodes[level->row].rule == FLETCH_COPY_FIXED_LIST)
        return (struct fletch_element_range){above.first * size, above.count * size};
    return fletch_view_extent(column, above);
}

void fletch_levels_begin(struct fletch_scatter *scatter, const struct fletch_scatter_block *block)
{
    const uint16_t *order = block->lists->order;
    struct fletch_stretch *rows = scatter->levels[0].stretches;
    uint32_t first = (uint32_t)block->first_row;
    for (int64_t i = 0; i < block->row_count; i++)
        rows[i] = (struct fletch_stretch){first + order[i], 1};
    scatter->levels[0].block = (struct fletch_element_range){block->first_row, block->row_count};
    for (uint32_t i = 1; i < scatter->level_count; i++) {
        struct fletch_level *level = &scatter->levels[i];
        level->block = range_below(scatter, level, scatter->levels[level->above].block);
    }
}

/* ---- placing ---- */

/* What rows have in one level and the level above, and how many elements the frame has room for. */
struct step {
    struct fletch_stretch *stretches;
    const struct fletch_stretch *above;
    int64_t room;
};

static inline uint32_t offset_at(const uint8_t *offsets, size_t index, bool is_wide)
{
    uint32_t narrow; /* of a wide one, these are the low bytes, and the others are 0 */
    memcpy(&narrow, offsets + (is_wide ? 8 : 4) * index, sizeof narrow);
    return narrow;
}

static inline size_t follow_offsets(const struct step *step, const uint8_t *offsets, size_t count,
                                    bool is_wide)
{
    int64_t room = step->room;
    for (size_t i = 0; i < count; i++) {
        size_t first = step->above[i].first;
        uint32_t start = offset_at(offsets, first, is_wide);
        uint32_t end = offset_at(offsets, first + step->above[i].count, is_wide);
        step->stretches[i] = (struct fletch_stretch){start, end - start};
        room -= end - start;
        if (__builtin_expect(room < 0, 0))
            return i;
    }
    return count;
}

static size_t multiply(const struct step *step, uint32_t size, size_t count)
{
    int64_t room = step->room;
    for (size_t i = 0; i < count; i++) {
        step->stretches[i] =
            (struct fletch_stretch){step->above[i].first * size, step->above[i].count * size};
        room -= step->stretches[i].count;
        if (room < 0)
            return i;
    }
    return count;
}

/* How many elements of a level the frame has. */
static int64_t elements_of(const struct fletch_scatter *scatter,
                           const struct fletch_frame_builder *frame, uint32_t level)
{
    const struct fletch_level *of = &scatter->levels[level];
    const struct fletch_field *field = &scatter->source.schema->fields[of->row];
    int64_t above = scatter->levels[of->above].starts[scatter->segment_count];
    if (field->type.id == FLETCH_TYPE_FIXED_SIZE_LIST)
        return above * field->type.list_size;
    return fletch_builder_start(frame, field, above);
}

/* Finds the stretches of a level, and how many rows fit into the frame with them. */
static size_t follow(const struct fletch_scatter *scatter, const struct fletch_frame_builder *frame,
                     uint32_t level, struct fletch_level_rows rows)
{
    const struct fletch_level *of = &scatter->levels[level];
    const struct fletch_node_view *column = &scatter->columns[of->row];
    const struct fletch_frame_plan *plan = frame->plan;
    enum fletch_copy_rule rule = scatter->nodes[of->row].rule;
    int64_t capacity = rule == FLETCH_COPY_STRINGS ? plan->byte_capacity[of->row]
                                                   : plan->element_capacity[of->row + 1];
    int64_t start = elements_of(scatter, frame, level);
    of->starts[scatter->segment_count] = start;
    struct step step = {
        .stretches = of->stretches + rows.first,
        .above = scatter->levels[of->above].stretches + rows.first,
        .room = capacity - start,
    };
    if (scatter->levels[of->above].block.count == 0) { /* there may be no offsets */
        memset(step.stretches, 0, rows.count * sizeof step.stretches[0]);
        return rows.count;
    }
    if (rule == FLETCH_COPY_FIXED_LIST)
        return multiply(&step, (uint32_t)column->field->type.list_size, rows.count);
    bool is_wide = fletch_view_has_wide_offsets(column);
    const uint8_t *offsets = column->values + (size_t)column->offset * (is_wide ? 8 : 4);
    return is_wide ? follow_offsets(&step, offsets, rows.count, true)
                   : follow_offsets(&step, offsets, rows.count, false);
}

/* Writes where the lists of rows end behind the offset that is there. */
static void write_ends(const struct fletch_scatter *scatter,
                       const struct fletch_frame_builder *frame, uint32_t row,
                       struct fletch_level_rows rows)
{
    const struct fletch_field *field = &scatter->source.schema->fields[row];
    const struct fletch_stretch *stretches =
        scatter->levels[scatter->nodes[row].below].stretches + rows.first;
    size_t width = fletch_view_has_wide_offsets(&scatter->columns[row]) ? 8 : 4;
    uint8_t *to = fletch_builder_region(frame, field->first_span + 1) + width * frame->row_count;
    int64_t end = fletch_builder_start(frame, field, frame->row_count);
    for (size_t i = 0; i < rows.count; i++) {
        end += stretches[i].count;
        to += width;
        if (width == 8)
            memcpy(to, &end, 8);
        else
            memcpy(to, &end, 4);
    }
}

size_t fletch_levels_place(struct fletch_scatter *scatter, const struct fletch_frame_builder *frame,
                           uint32_t row, struct fletch_level_rows rows)
{
    uint32_t end = scatter->source.schema->fields[row].end;
    scatter->levels[0].starts[scatter->segment_count] = frame->row_count;
    for (uint32_t node = row; node < end && rows.count > 0; node++)
        if (scatter->nodes[node].below > 0)
            rows.count = follow(scatter, frame, scatter->nodes[node].below, rows);
    if (scatter->nodes[row].rule == FLETCH_COPY_LIST)
        write_ends(scatter, frame, row, rows);
    return rows.count;
}
