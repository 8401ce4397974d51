#include "partition/node_view.h"

static int64_t narrow_integer(const uint8_t *value, enum fletch_type_id id)
{
    int16_t wide;
    switch (id) {
    case FLETCH_TYPE_INT8:
        return (int8_t)value[0];
    case FLETCH_TYPE_UINT8:
        return value[0];
    default:
        memcpy(&wide, value, sizeof wide);
        return id == FLETCH_TYPE_INT16 ? wide : (uint16_t)wide;
    }
}

int64_t fletch_view_integer(const struct fletch_node_view *column, int64_t index)
{
    const struct fletch_type *type = &column->field->type;
    int64_t width = (int64_t)fletch_type_byte_width(type);
    const uint8_t *value = column->values + (column->offset + index) * width;
    if (width < 4)
        return narrow_integer(value, type->id);
    if (width == 8) {
        int64_t wide;
        memcpy(&wide, value, sizeof wide);
        return wide;
    }
    int32_t narrow;
    memcpy(&narrow, value, sizeof narrow);
    return type->id == FLETCH_TYPE_UINT32 ? (int64_t)(uint32_t)narrow : narrow;
}
