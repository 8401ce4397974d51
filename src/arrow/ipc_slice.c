#include "arrow/ipc_slice.h"

#include <string.h>

#include "arrow/bitmap.h"
#include "arrow/string_view.h"
#include "base/bits.h"

/* Views bring all of their data unless that is more than twice what they use and this many. */
enum { LOOSE_TIMES = 2, LOOSE_BYTES = 4096 };

static const _Alignas(8) uint8_t zero_offset[8];

/* ---- memory ---- */

size_t fletch_ipc_plan_bytes(const struct fletch_schema *schema, size_t span_count)
{
    return schema->field_count *
               (sizeof(struct fletch_ipc_node) + sizeof(struct fletch_element_range)) +
           span_count * (sizeof(struct fletch_ipc_piece) + sizeof(struct fletch_ipc_range)) +
           (schema->view_count + (size_t)1) * sizeof(int64_t); /* never none: an address */
}

void fletch_ipc_plan_place(struct fletch_ipc_plan *plan, const struct fletch_schema *schema,
                           size_t span_count, void *memory)
{
    plan->pieces = memory;
    plan->ranges = (void *)(plan->pieces + span_count);
    plan->nodes = (void *)(plan->ranges + span_count);
    plan->windows = (void *)(plan->nodes + schema->field_count);
    plan->variadic = (void *)(plan->windows + schema->field_count);
}

/* ---- spans ---- */

/* The elements of a field that are sent, counted from where its spans begin. */
static struct fletch_element_range own_window(const struct fletch_ipc_plan *plan, uint32_t row)
{
    const struct fletch_element_range *window = &plan->windows[row];
    return (struct fletch_element_range){plan->batch->nodes[row].offset + window->first,
                                         window->count};
}

static struct fletch_ipc_piece bits_piece(const uint8_t *bits, int64_t first, int64_t count)
{
    struct fletch_ipc_piece piece = {.bytes = fletch_bitmap_bytes(count)};
    if (first % 8 == 0) {
        piece.data = bits + first / 8;
        return piece;
    }
    piece.kind = FLETCH_IPC_PIECE_SHIFT;
    piece.data = bits;
    piece.first = first;
    piece.count = count;
    return piece;
}

static int64_t count_nulls(const struct fletch_batch_node *node,
                           const struct fletch_batch_span *validity,
                           const struct fletch_element_range *window)
{
    bool is_whole = window->first == 0 && window->count == node->length;
    if (validity->data == NULL || node->null_count == 0)
        return 0;
    if (is_whole && node->null_count > 0)
        return node->null_count;
    return window->count -
           fletch_bitmap_count(validity->data, node->offset + window->first, window->count);
}

static struct fletch_ipc_piece values_piece(const struct fletch_batch_span *span, size_t width,
                                            const struct fletch_element_range *own)
{
    if (own->count == 0)
        return (struct fletch_ipc_piece){0};
    return (struct fletch_ipc_piece){
        .data = span->data + (size_t)own->first * width,
        .bytes = (size_t)own->count * width,
        .count = own->count,
    };
}

static enum fletch_ipc_piece_kind rebase_of(size_t width)
{
    if (width == sizeof(int16_t))
        return FLETCH_IPC_PIECE_REBASE16;
    return width == sizeof(int32_t) ? FLETCH_IPC_PIECE_REBASE32 : FLETCH_IPC_PIECE_REBASE64;
}

/* Numbers of `width` bytes, less `base`: as they lie where that is 0. */
static void rebase(struct fletch_ipc_piece *piece, size_t width, int64_t base, int64_t limit)
{
    piece->first = base;
    piece->limit = limit;
    if (base != 0)
        piece->kind = rebase_of(width);
}

/* Offsets of row `row`; the window of what lists point at is noted. */
static struct fletch_ipc_piece offsets_piece(const struct fletch_ipc_plan *plan, uint32_t row,
                                             size_t width, struct fletch_element_range *out_below)
{
    const struct fletch_column column = fletch_column_of(plan->batch, row);
    const struct fletch_element_range *window = &plan->windows[row];
    struct fletch_ipc_piece piece = {.data = zero_offset, .bytes = width};
    *out_below = (struct fletch_element_range){0, 0};
    if (window->count == 0)
        return piece;
    int64_t base = fletch_column_offset(&column, window->first);
    int64_t end = fletch_column_offset(&column, window->first + window->count);
    *out_below = (struct fletch_element_range){base, end - base};
    struct fletch_element_range own = own_window(plan, row);
    own.count++;
    piece = values_piece(&column.spans[1], width, &own);
    rebase(&piece, width, base, FLETCH_IPC_NO_LIMIT);
    return piece;
}

/* ---- children ---- */

static void set_windows(struct fletch_ipc_plan *plan, uint32_t row, int64_t first, int64_t count)
{
    const struct fletch_schema *schema = plan->batch->schema;
    for (uint32_t child = row + 1; child < schema->fields[row].end;
         child = schema->fields[child].end)
        plan->windows[child] = (struct fletch_element_range){first, count};
}

/* Starts of a list view, and the window of its child. */
static struct fletch_ipc_piece starts_piece(const struct fletch_ipc_plan *plan, uint32_t row,
                                            size_t width)
{
    const struct fletch_column column = fletch_column_of(plan->batch, row);
    const struct fletch_element_range own = own_window(plan, row);
    const struct fletch_element_range below =
        fletch_column_range_below(plan->batch, row, 0, plan->windows[row]);
    struct fletch_ipc_piece piece = values_piece(&column.spans[1], width, &own);
    rebase(&piece, width, below.first, below.count);
    /* Elements that are empty may begin anywhere, also behind what the others use. */
    if (own.count > 0 && below.count < plan->batch->nodes[row + 1].length)
        piece.kind = rebase_of(width);
    plan->windows[row + 1] = below;
    return piece;
}

/* Where the elements of each member of a dense union begin and end. */
struct members {
    int64_t first[FLETCH_TYPE_IDS_MAX];
    int64_t end[FLETCH_TYPE_IDS_MAX];
};

static void find_members(const struct fletch_ipc_plan *plan, uint32_t row, struct members *members)
{
    const struct fletch_column column = fletch_column_of(plan->batch, row);
    const struct fletch_element_range *window = &plan->windows[row];
    memset(members, 0, sizeof *members);
    if (window->count == 0)
        return;
    const int8_t *type_ids = (const int8_t *)column.spans[0].data + column.node->offset;
    for (int64_t i = window->first; i < window->first + window->count; i++) {
        const int id = type_ids[i] & (FLETCH_TYPE_IDS_MAX - 1);
        const int64_t at = fletch_column_offset(&column, i);
        if (members->end[id] == 0 || at < members->first[id])
            members->first[id] = at;
        if (at >= members->end[id])
            members->end[id] = at + 1;
    }
}

/* Offsets of a dense union, and the windows of its children. */
static struct fletch_ipc_piece members_piece(const struct fletch_ipc_plan *plan, uint32_t row)
{
    const struct fletch_schema *schema = plan->batch->schema;
    const struct fletch_field *field = &schema->fields[row];
    const struct fletch_element_range own = own_window(plan, row);
    struct fletch_ipc_piece piece =
        values_piece(&plan->batch->spans[field->first_span + 1], sizeof(int32_t), &own);
    struct members members;
    uint32_t index = 0;
    find_members(plan, row, &members);
    for (uint32_t child = row + 1; child < field->end; child = schema->fields[child].end) {
        const int id = field->type.type_ids[index++];
        plan->windows[child] =
            (struct fletch_element_range){members.first[id], members.end[id] - members.first[id]};
        if (members.first[id] != 0)
            piece.kind = FLETCH_IPC_PIECE_MEMBERS;
    }
    return piece;
}

/* The run ends of the run-end encoded field above row `row`: less what lies before its window, and
 * no more than that is long. */
static struct fletch_ipc_piece run_ends_piece(const struct fletch_ipc_plan *plan, uint32_t row)
{
    const struct fletch_column column = fletch_column_of(plan->batch, row);
    const struct fletch_element_range own = own_window(plan, row);
    const struct fletch_element_range encoded = own_window(plan, row - 1);
    const struct fletch_element_range *window = &plan->windows[row];
    const size_t width = fletch_type_byte_width(&column.field->type);
    struct fletch_ipc_piece piece = values_piece(&column.spans[1], width, &own);
    if (own.count == 0)
        return piece;
    const int64_t last = fletch_column_run_end(&column, window->first + window->count - 1);
    if (encoded.first != 0 || last != encoded.count)
        piece.kind = rebase_of(width);
    piece.first = encoded.first;
    piece.limit = encoded.count;
    return piece;
}

static bool is_run_ends(const struct fletch_schema *schema, uint32_t row)
{
    const struct fletch_field *parent = fletch_schema_parent_of(schema, row);
    return parent != NULL && parent->type.id == FLETCH_TYPE_RUN_END_ENCODED &&
           schema->fields[row].parent == row - 1;
}

/* ---- views ---- */

/* Whether the views of a window use so little of their data that both are made anew; the bytes that
 * they use. Views that are all there are have all of their data, and nobody looks. */
static bool is_made_anew(const struct fletch_ipc_plan *plan, const struct fletch_column *column,
                         const struct fletch_element_range *own, size_t *out_bytes)
{
    const struct fletch_string_view *views = (const void *)column->spans[1].data;
    const size_t all = fletch_column_data_bytes(column);
    const bool is_whole =
        own->first == 0 && (size_t)own->count * sizeof *views == column->spans[1].bytes;
    *out_bytes = 0;
    if (own->count == 0)
        return true;
    if (!plan->is_tight && (is_whole || all <= LOOSE_BYTES))
        return false;
    for (int64_t i = own->first; i < own->first + own->count; i++)
        if (fletch_view_is_outside(&views[i], column))
            *out_bytes += (size_t)views[i].bytes;
    return *out_bytes <= INT32_MAX &&
           (plan->is_tight ? *out_bytes < all
                           : all > LOOSE_TIMES * *out_bytes + (size_t)LOOSE_BYTES);
}

static void plan_views(struct fletch_ipc_plan *plan, uint32_t row)
{
    const struct fletch_column column = fletch_column_of(plan->batch, row);
    const struct fletch_element_range own = own_window(plan, row);
    struct fletch_ipc_piece *views = &plan->pieces[plan->piece_count - 1];
    size_t bytes;
    if (!is_made_anew(plan, &column, &own, &bytes)) {
        plan->variadic[column.field->view] = column.buffer_count;
        for (uint32_t i = 0; i < column.buffer_count; i++)
            plan->pieces[plan->piece_count++] = (struct fletch_ipc_piece){
                .data = column.buffers[i].data, .bytes = column.buffers[i].bytes};
        return;
    }
    views->kind = own.count == 0 ? FLETCH_IPC_PIECE_DIRECT : FLETCH_IPC_PIECE_VIEWS;
    plan->variadic[column.field->view] = bytes > 0;
    if (bytes > 0)
        plan->pieces[plan->piece_count++] =
            (struct fletch_ipc_piece){.data = views->data,
                                      .bytes = bytes,
                                      .kind = FLETCH_IPC_PIECE_VIEW_BYTES,
                                      .row = row,
                                      .count = own.count};
}

/* ---- fields ---- */

static struct fletch_ipc_piece validity_piece(const struct fletch_ipc_plan *plan, uint32_t row,
                                              int64_t *nulls)
{
    const struct fletch_batch_node *node = &plan->batch->nodes[row];
    const struct fletch_batch_span *span =
        &plan->batch->spans[plan->batch->schema->fields[row].first_span];
    const struct fletch_element_range own = own_window(plan, row);
    *nulls = count_nulls(node, span, &plan->windows[row]);
    if (*nulls == 0)
        return (struct fletch_ipc_piece){0};
    return bits_piece(span->data, own.first, own.count);
}

static struct fletch_ipc_piece values_or_run_ends(const struct fletch_ipc_plan *plan, uint32_t row,
                                                  const struct fletch_batch_span *span)
{
    const struct fletch_schema *schema = plan->batch->schema;
    const struct fletch_element_range own = own_window(plan, row);
    if (is_run_ends(schema, row))
        return run_ends_piece(plan, row);
    return values_piece(span, fletch_type_byte_width(&schema->fields[row].type), &own);
}

/* Span `index` of a field; `*below` is what offsets point at. */
static struct fletch_ipc_piece span_piece(const struct fletch_ipc_plan *plan, uint32_t row,
                                          uint32_t index, struct fletch_element_range *below,
                                          int64_t *nulls)
{
    const struct fletch_field *field = &plan->batch->schema->fields[row];
    const struct fletch_batch_span *span = &plan->batch->spans[field->first_span + index];
    const struct fletch_element_range own = own_window(plan, row);
    switch ((enum fletch_span_kind)fletch_type_layout(&field->type)->spans[index]) {
    case FLETCH_SPAN_VALIDITY:
        return validity_piece(plan, row, nulls);
    case FLETCH_SPAN_BITS:
        return own.count == 0 ? (struct fletch_ipc_piece){0}
                              : bits_piece(span->data, own.first, own.count);
    case FLETCH_SPAN_VALUES:
        return values_or_run_ends(plan, row, span);
    case FLETCH_SPAN_OFFSETS32:
        return offsets_piece(plan, row, sizeof(int32_t), below);
    case FLETCH_SPAN_OFFSETS64:
        return offsets_piece(plan, row, sizeof(int64_t), below);
    case FLETCH_SPAN_BYTES:
        return values_piece(span, 1, below);
    case FLETCH_SPAN_VIEWS:
        return values_piece(span, sizeof(struct fletch_string_view), &own);
    case FLETCH_SPAN_STARTS32:
        return fletch_type_is_union(field->type.id) ? members_piece(plan, row)
                                                    : starts_piece(plan, row, sizeof(int32_t));
    case FLETCH_SPAN_STARTS64:
        return starts_piece(plan, row, sizeof(int64_t));
    case FLETCH_SPAN_SIZES32:
        return values_piece(span, sizeof(int32_t), &own);
    case FLETCH_SPAN_SIZES64:
        return values_piece(span, sizeof(int64_t), &own);
    case FLETCH_SPAN_TYPE_IDS:
        return values_piece(span, 1, &own);
    }
    return (struct fletch_ipc_piece){0};
}

/* A field, whose window is known; then those of its children are. */
static void plan_field(struct fletch_ipc_plan *plan, uint32_t row)
{
    const struct fletch_field *field = &plan->batch->schema->fields[row];
    const struct fletch_element_range window = plan->windows[row];
    const int64_t stride = fletch_type_child_stride(&field->type);
    struct fletch_element_range below = {0, 0};
    int64_t nulls = field->type.id == FLETCH_TYPE_NULL ? window.count : 0;
    for (uint32_t i = 0; i < field->span_count; i++) {
        struct fletch_ipc_piece piece = span_piece(plan, row, i, &below, &nulls);
        piece.row = row;
        plan->pieces[plan->piece_count++] = piece;
    }
    plan->nodes[row] = (struct fletch_ipc_node){window.count, nulls};
    if (field->view != FLETCH_NO_INDEX)
        plan_views(plan, row);
    if (stride != FLETCH_CHILD_WHOLE) {
        set_windows(plan, row, window.first * stride, window.count * stride);
    } else if (fletch_type_is_list(field->type.id)) {
        set_windows(plan, row, below.first, below.count);
    } else if (field->type.id == FLETCH_TYPE_RUN_END_ENCODED) {
        below = fletch_column_range_below(plan->batch, row, 0, window);
        set_windows(plan, row, below.first, below.count);
    }
}

static void lay_out(struct fletch_ipc_plan *plan)
{
    size_t offset = 0;
    size_t scratch = 0;
    for (uint32_t i = 0; i < plan->piece_count; i++) {
        size_t bytes = plan->pieces[i].bytes;
        size_t padded = fletch_round_up(bytes, plan->alignment);
        plan->ranges[i] = (struct fletch_ipc_range){(int64_t)offset, (int64_t)bytes};
        offset += padded;
        if (plan->pieces[i].kind != FLETCH_IPC_PIECE_DIRECT)
            scratch += padded;
    }
    plan->scratch_bytes = scratch;
    plan->body_bytes = offset;
}

void fletch_ipc_plan_rows(struct fletch_ipc_plan *plan, const struct fletch_batch *batch,
                          int64_t first, int64_t count)
{
    const struct fletch_schema *schema = batch->schema;
    plan->batch = batch;
    plan->piece_count = 0;
    for (uint32_t i = 0; i < schema->column_count; i++)
        plan->windows[schema->columns[i]] = (struct fletch_element_range){first, count};
    /* Each field comes before its children. */
    for (uint32_t row = 0; row < schema->field_count; row++)
        plan_field(plan, row);
    lay_out(plan);
}

void fletch_ipc_plan_plain(struct fletch_ipc_plan *plan, const struct fletch_schema *schema)
{
    plan->batch = NULL;
    plan->piece_count = schema->span_count + schema->view_count;
    memset(plan->nodes, 0, schema->field_count * sizeof *plan->nodes);
    memset(plan->ranges, 0, plan->piece_count * sizeof *plan->ranges);
    for (uint32_t i = 0; i < schema->view_count; i++)
        plan->variadic[i] = 1;
    plan->scratch_bytes = 0;
    plan->body_bytes = 0;
}

/* ---- writing ---- */

static int64_t clamp(int64_t value, int64_t limit)
{
    if (value < 0)
        return 0;
    return value > limit ? limit : value;
}

/* Without a limit the compiler takes several at once. */
#define REBASE(name, integer) \
    static void name(const struct fletch_ipc_piece *piece, uint8_t *to) \
    { \
        const integer *from = (const void *)piece->data; \
        const integer base = (integer)piece->first; \
        integer *numbers = (void *)to; \
        if (piece->limit == FLETCH_IPC_NO_LIMIT) { \
            for (int64_t i = 0; i < piece->count; i++) \
                numbers[i] = (integer)(from[i] - base); \
            return; \
        } \
        for (int64_t i = 0; i < piece->count; i++) \
            numbers[i] = (integer)clamp(from[i] - piece->first, piece->limit); \
    }
REBASE(rebase16, int16_t)
REBASE(rebase32, int32_t)
REBASE(rebase64, int64_t)

static void write_members(const struct fletch_ipc_plan *plan, const struct fletch_ipc_piece *piece,
                          uint8_t *to)
{
    const struct fletch_schema *schema = plan->batch->schema;
    const struct fletch_field *field = &schema->fields[piece->row];
    const struct fletch_element_range own = own_window(plan, piece->row);
    const uint8_t *type_ids = plan->batch->spans[field->first_span].data + own.first;
    const int32_t *from = (const void *)piece->data;
    int32_t *offsets = (void *)to;
    int32_t bases[FLETCH_TYPE_IDS_MAX] = {0};
    uint32_t index = 0;
    for (uint32_t child = piece->row + 1; child < field->end; child = schema->fields[child].end)
        bases[field->type.type_ids[index++]] = (int32_t)plan->windows[child].first;
    for (int64_t i = 0; i < piece->count; i++)
        offsets[i] = from[i] - bases[type_ids[i] & (FLETCH_TYPE_IDS_MAX - 1)];
}

static void write_views(const struct fletch_ipc_plan *plan, const struct fletch_ipc_piece *piece,
                        uint8_t *to)
{
    const struct fletch_column column = fletch_column_of(plan->batch, piece->row);
    const struct fletch_string_view *from = (const void *)piece->data;
    struct fletch_string_view *views = (void *)to;
    int32_t offset = 0;
    for (int64_t i = 0; i < piece->count; i++) {
        views[i] = from[i];
        if (fletch_view_is_inline(&from[i]))
            continue;
        if (!fletch_view_is_outside(&from[i], &column)) {
            views[i] = (struct fletch_string_view){0};
            continue;
        }
        views[i].buffer = 0;
        views[i].offset = offset;
        offset += from[i].bytes;
    }
}

static void write_view_bytes(const struct fletch_ipc_plan *plan,
                             const struct fletch_ipc_piece *piece, uint8_t *to)
{
    const struct fletch_column column = fletch_column_of(plan->batch, piece->row);
    const struct fletch_string_view *views = (const void *)piece->data;
    for (int64_t i = 0; i < piece->count; i++) {
        if (!fletch_view_is_outside(&views[i], &column))
            continue;
        memcpy(to, column.buffers[views[i].buffer].data + views[i].offset, (size_t)views[i].bytes);
        to += views[i].bytes;
    }
}

void fletch_ipc_piece_write(const struct fletch_ipc_plan *plan,
                            const struct fletch_ipc_piece *piece, uint8_t *to)
{
    switch (piece->kind) {
    case FLETCH_IPC_PIECE_DIRECT:
        memcpy(to, piece->data, piece->bytes);
        break;
    case FLETCH_IPC_PIECE_SHIFT:
        fletch_bitmap_shift(to, piece->data, piece->first, piece->count);
        break;
    case FLETCH_IPC_PIECE_REBASE16:
        rebase16(piece, to);
        break;
    case FLETCH_IPC_PIECE_REBASE32:
        rebase32(piece, to);
        break;
    case FLETCH_IPC_PIECE_REBASE64:
        rebase64(piece, to);
        break;
    case FLETCH_IPC_PIECE_MEMBERS:
        write_members(plan, piece, to);
        break;
    case FLETCH_IPC_PIECE_VIEWS:
        write_views(plan, piece, to);
        break;
    case FLETCH_IPC_PIECE_VIEW_BYTES:
        write_view_bytes(plan, piece, to);
        break;
    }
}
