#include "arrow/ipc_slice.h"

#include <string.h>

#include "arrow/bitmap.h"
#include "base/bits.h"

static const _Alignas(8) uint8_t zero_offset[8];

/* Elements of a field, counted from the batch's first one. */
struct window {
    int64_t first;
    int64_t count;
};

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
                           const struct fletch_batch_span *validity, const struct window *window)
{
    bool is_whole = window->first == 0 && window->count == node->length;
    if (validity->data == NULL || node->null_count == 0)
        return 0;
    if (is_whole && node->null_count > 0)
        return node->null_count;
    return window->count -
           fletch_bitmap_count(validity->data, node->offset + window->first, window->count);
}

static int64_t load_offset(const uint8_t *data, size_t width, int64_t index)
{
    int64_t wide = 0;
    int32_t narrow = 0;
    if (width == sizeof wide) {
        memcpy(&wide, data + (size_t)index * width, sizeof wide);
        return wide;
    }
    memcpy(&narrow, data + (size_t)index * width, sizeof narrow);
    return narrow;
}

/* `*out_inner` is what the offsets point at. */
static struct fletch_ipc_piece offsets_piece(const struct fletch_batch_span *span, size_t width,
                                             const struct window *window, struct window *out_inner)
{
    struct fletch_ipc_piece piece = {.data = zero_offset, .bytes = width};
    *out_inner = (struct window){0};
    if (window->count == 0)
        return piece;
    piece.data = span->data + (size_t)window->first * width;
    piece.bytes = ((size_t)window->count + 1) * width;
    int64_t base = load_offset(piece.data, width, 0);
    *out_inner = (struct window){base, load_offset(piece.data, width, window->count) - base};
    if (base == 0)
        return piece;
    piece.kind = width == 4 ? FLETCH_IPC_PIECE_REBASE32 : FLETCH_IPC_PIECE_REBASE64;
    piece.first = base;
    piece.count = window->count + 1;
    return piece;
}

static struct fletch_ipc_piece values_piece(const struct fletch_batch_span *span, size_t width,
                                            int64_t first, int64_t count)
{
    if (count == 0)
        return (struct fletch_ipc_piece){0};
    return (struct fletch_ipc_piece){
        .data = span->data + (size_t)first * width,
        .bytes = (size_t)count * width,
    };
}

/* A field and all below it; as deep as a schema may be. */
static void plan_field(struct fletch_ipc_plan *plan, const struct fletch_schema *schema,
                       const struct fletch_batch *batch, uint32_t row, struct window window)
{
    const struct fletch_field *field = &schema->fields[row];
    const struct fletch_type_layout *layout = fletch_type_layout(&field->type);
    const struct fletch_batch_node *node = &batch->nodes[row];
    const struct fletch_batch_span *spans = &batch->spans[field->first_span];
    struct fletch_ipc_piece *pieces = &plan->pieces[field->first_span];
    /* Of the field's own buffers, and of what lies below it. */
    const struct window own = {node->offset + window.first, window.count};
    struct window inner = window;
    int64_t nulls = field->span_count == 0 ? window.count : 0;
    for (uint32_t i = 0; i < field->span_count; i++) {
        switch ((enum fletch_span_kind)layout->spans[i]) {
        case FLETCH_SPAN_VALIDITY:
            nulls = count_nulls(node, &spans[i], &window);
            pieces[i] = nulls == 0 ? (struct fletch_ipc_piece){0}
                                   : bits_piece(spans[i].data, own.first, own.count);
            break;
        case FLETCH_SPAN_BITS:
            pieces[i] = own.count == 0 ? (struct fletch_ipc_piece){0}
                                       : bits_piece(spans[i].data, own.first, own.count);
            break;
        case FLETCH_SPAN_VALUES:
            pieces[i] =
                values_piece(&spans[i], fletch_type_byte_width(&field->type), own.first, own.count);
            break;
        case FLETCH_SPAN_OFFSETS32:
            pieces[i] = offsets_piece(&spans[i], 4, &own, &inner);
            break;
        case FLETCH_SPAN_OFFSETS64:
            pieces[i] = offsets_piece(&spans[i], 8, &own, &inner);
            break;
        case FLETCH_SPAN_BYTES:
            pieces[i] = values_piece(&spans[i], 1, inner.first, inner.count);
            break;
        default: /* fletch_schema_check_simple */
            pieces[i] = (struct fletch_ipc_piece){0};
            break;
        }
    }
    plan->nodes[row] = (struct fletch_ipc_node){window.count, nulls};
    for (uint32_t child = row + 1; child < field->end; child = schema->fields[child].end)
        plan_field(plan, schema, batch, child, inner);
}

void fletch_ipc_plan_rows(struct fletch_ipc_plan *plan, const struct fletch_schema *schema,
                          const struct fletch_batch *batch, int64_t first, int64_t count)
{
    const struct window window = {first, count};
    for (uint32_t i = 0; i < schema->column_count; i++)
        plan_field(plan, schema, batch, schema->columns[i], window);
    size_t offset = 0;
    size_t scratch = 0;
    for (uint32_t i = 0; i < schema->span_count; i++) {
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

static void rebase32(const struct fletch_ipc_piece *piece, uint8_t *to)
{
    const int32_t *from = (const void *)piece->data;
    int32_t *offsets = (void *)to;
    int32_t base = (int32_t)piece->first;
    for (int64_t i = 0; i < piece->count; i++)
        offsets[i] = from[i] - base;
}

static void rebase64(const struct fletch_ipc_piece *piece, uint8_t *to)
{
    const int64_t *from = (const void *)piece->data;
    int64_t *offsets = (void *)to;
    for (int64_t i = 0; i < piece->count; i++)
        offsets[i] = from[i] - piece->first;
}

void fletch_ipc_piece_write(const struct fletch_ipc_piece *piece, uint8_t *to)
{
    switch (piece->kind) {
    case FLETCH_IPC_PIECE_DIRECT:
        memcpy(to, piece->data, piece->bytes);
        break;
    case FLETCH_IPC_PIECE_SHIFT:
        fletch_bitmap_shift(to, piece->data, piece->first, piece->count);
        break;
    case FLETCH_IPC_PIECE_REBASE32:
        rebase32(piece, to);
        break;
    case FLETCH_IPC_PIECE_REBASE64:
        rebase64(piece, to);
        break;
    }
}
