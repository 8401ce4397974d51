#include "fuzz/hostile_arrays.h"

#include <stdbool.h>
#include <string.h>

#include "arrow/column.h"
#include "arrow/string_view.h"

enum layout {
    LAYOUT_NONE,
    LAYOUT_BITS,
    LAYOUT_VALUES,
    LAYOUT_TEXT,
    LAYOUT_VIEWS,
    LAYOUT_LIST,
    LAYOUT_LIST_VIEW,
    LAYOUT_FIXED_LIST,
    LAYOUT_STRUCT,
    LAYOUT_SPARSE,
    LAYOUT_DENSE,
    LAYOUT_RUNS
};

struct form {
    const char *format;
    uint8_t layout;
    uint8_t width;    /* of an element, or of an offset; of fixed-size lists how many */
    uint8_t children; /* that it ought to have */
};

/* From LIES on: what no schema may have. */
static const struct form forms[] = {
    {"n", LAYOUT_NONE, 0, 0},
    {"b", LAYOUT_BITS, 0, 0},
    {"c", LAYOUT_VALUES, 1, 0},
    {"S", LAYOUT_VALUES, 2, 0},
    {"s", LAYOUT_VALUES, 2, 0},
    {"i", LAYOUT_VALUES, 4, 0},
    {"l", LAYOUT_VALUES, 8, 0},
    {"g", LAYOUT_VALUES, 8, 0},
    {"u", LAYOUT_TEXT, 4, 0},
    {"z", LAYOUT_TEXT, 4, 0},
    {"U", LAYOUT_TEXT, 8, 0},
    {"vu", LAYOUT_VIEWS, 16, 0},
    {"vz", LAYOUT_VIEWS, 16, 0},
    {"d:5,2", LAYOUT_VALUES, 16, 0},
    {"d:40,1,256", LAYOUT_VALUES, 32, 0},
    {"w:3", LAYOUT_VALUES, 3, 0},
    {"w:0", LAYOUT_VALUES, 0, 0},
    {"tdD", LAYOUT_VALUES, 4, 0},
    {"ttn", LAYOUT_VALUES, 8, 0},
    {"tsu:UTC", LAYOUT_VALUES, 8, 0},
    {"tin", LAYOUT_VALUES, 16, 0},
    {"+l", LAYOUT_LIST, 4, 1},
    {"+L", LAYOUT_LIST, 8, 1},
    {"+vl", LAYOUT_LIST_VIEW, 4, 1},
    {"+vL", LAYOUT_LIST_VIEW, 8, 1},
    {"+w:2", LAYOUT_FIXED_LIST, 2, 1},
    {"+w:0", LAYOUT_FIXED_LIST, 0, 1},
    {"+s", LAYOUT_STRUCT, 0, 2},
    {"+m", LAYOUT_LIST, 4, 1},
    {"+us:1,0", LAYOUT_SPARSE, 0, 2},
    {"+ud:0,1", LAYOUT_DENSE, 4, 2},
    {"+r", LAYOUT_RUNS, 0, 2},
    {"", LAYOUT_NONE, 0, 0},
    {"+", LAYOUT_NONE, 0, 1},
    {"w:", LAYOUT_NONE, 0, 0},
    {"w:-1", LAYOUT_NONE, 0, 0},
    {"w:99999999999", LAYOUT_NONE, 0, 0},
    {"d:0,0", LAYOUT_NONE, 0, 0},
    {"d:77,1,256", LAYOUT_NONE, 0, 0},
    {"+ud:0,0", LAYOUT_NONE, 0, 2},
    {"+us:200", LAYOUT_NONE, 0, 1},
    {"+w:99999999999", LAYOUT_NONE, 0, 1},
    {"tsx:", LAYOUT_NONE, 0, 0},
    {NULL, LAYOUT_NONE, 0, 0},
};

enum { FORMS = sizeof forms / sizeof forms[0], LIES = 32 };
enum { ELEMENTS_MOST = 1 << 14, OFFSET_MOST = 9, HOSTILE_ABOVE = 250 };

static const int64_t lies[] = {-1, -2, INT64_MIN, INT64_MAX, FLETCH_ELEMENTS_MAX + 1};

static bool lies_now(struct hostile *hostile)
{
    return fuzz_byte(&hostile->input) > HOSTILE_ABOVE;
}

static int64_t lie(struct hostile *hostile)
{
    return lies[fuzz_byte(&hostile->input) % (sizeof lies / sizeof lies[0])];
}

/* ---- memory ---- */

/* Now and then at an odd address. It ends where its bytes end. */
static void *block(struct hostile *hostile, size_t bytes)
{
    const size_t skew = fuzz_byte(&hostile->input) % 8 == 7 ? 1 : 0;
    uint8_t *memory = calloc(1, skew + (bytes == 0 ? 1 : bytes));
    if (memory == NULL || hostile->block_count == HOSTILE_BLOCKS)
        fuzz_stop("block", "no room");
    hostile->blocks[hostile->block_count++] = memory;
    return memory + skew;
}

static void put(uint8_t *at, int64_t value, size_t width)
{
    memcpy(at, &value, width < sizeof value ? width : sizeof value);
}

/* Elements of small numbers, one of which may be anything. */
static uint8_t *small_values(struct hostile *hostile, int64_t count, size_t width)
{
    uint8_t *values = block(hostile, (size_t)count * width);
    for (int64_t i = 0; i < count && width > 0 && hostile->input.left > 0; i++)
        put(values + (size_t)i * width, fuzz_byte(&hostile->input) % 4, width);
    if (count > 0 && width > 0 && lies_now(hostile))
        put(values + fuzz_byte(&hostile->input) % (size_t)count * width, lie(hostile), width);
    return values;
}

/* `count` + 1 offsets; the last one, which import believes, is true or negative. */
static uint8_t *offsets_of(struct hostile *hostile, int64_t count, size_t width, int64_t *out_end)
{
    uint8_t *offsets = block(hostile, (size_t)(count + 1) * width);
    int64_t end = 0;
    for (int64_t i = 0; i <= count; i++) {
        end += fuzz_byte(&hostile->input) % 4;
        put(offsets + (size_t)i * width, end, width);
    }
    if (count > 0 && lies_now(hostile))
        put(offsets + fuzz_byte(&hostile->input) % (size_t)count * width, lie(hostile), width);
    if (lies_now(hostile))
        put(offsets + (size_t)count * width, -1, width);
    *out_end = end;
    return offsets;
}

/* ---- arrays ---- */

/* What is being made: the node, its form and how many elements its buffers have. */
struct making {
    struct hostile_node *node;
    const struct form *form;
    int64_t elements;
};

static void add_buffer(struct hostile_node *node, const void *buffer)
{
    node->buffers[node->array.n_buffers++] = buffer;
}

static void add_validity(struct hostile *hostile, const struct making *making)
{
    const int64_t bytes = (making->elements + 7) / 8;
    uint8_t *bits = block(hostile, (size_t)bytes);
    const uint8_t pattern = fuzz_byte(&hostile->input);
    memset(bits, pattern, (size_t)bytes);
    add_buffer(making->node, pattern == 0 ? NULL : bits);
    making->node->array.null_count = pattern == 0 ? 0 : -1;
}

static void add_views(struct hostile *hostile, const struct making *making)
{
    uint8_t *views = block(hostile, (size_t)making->elements * sizeof(struct fletch_string_view));
    const uint8_t data_count = fuzz_byte(&hostile->input) % 3;
    for (int64_t i = 0; i < making->elements && hostile->input.left > 0; i++) {
        struct fletch_string_view view = {.bytes = fuzz_byte(&hostile->input) % 24};
        if (view.bytes > FLETCH_VIEW_INLINE_BYTES) {
            view.buffer = fuzz_byte(&hostile->input) % 4 - 1;
            view.offset = (int8_t)fuzz_byte(&hostile->input);
        }
        memcpy(views + (size_t)i * sizeof view, &view, sizeof view);
    }
    uint8_t *sizes = block(hostile, data_count * sizeof(int64_t));
    add_buffer(making->node, views);
    for (uint8_t i = 0; i < data_count; i++) {
        const uint8_t bytes = fuzz_byte(&hostile->input);
        add_buffer(making->node, block(hostile, bytes));
        put(sizes + i * sizeof(int64_t), lies_now(hostile) ? -1 : bytes, sizeof(int64_t));
    }
    add_buffer(making->node, sizes);
}

/* Returns how many elements children ought to have. */
static int64_t add_buffers(struct hostile *hostile, const struct making *making)
{
    const struct form *form = making->form;
    int64_t below = making->elements;
    if (form->layout != LAYOUT_NONE && form->layout < LAYOUT_SPARSE)
        add_validity(hostile, making);
    if (form->layout == LAYOUT_BITS)
        add_buffer(making->node, small_values(hostile, (making->elements + 7) / 8, 1));
    if (form->layout == LAYOUT_VALUES)
        add_buffer(making->node, small_values(hostile, making->elements, form->width));
    if (form->layout == LAYOUT_TEXT || form->layout == LAYOUT_LIST)
        add_buffer(making->node, offsets_of(hostile, making->elements, form->width, &below));
    if (form->layout == LAYOUT_TEXT)
        add_buffer(making->node, block(hostile, (size_t)below));
    if (form->layout == LAYOUT_VIEWS)
        add_views(hostile, making);
    if (form->layout == LAYOUT_SPARSE || form->layout == LAYOUT_DENSE) {
        uint8_t *ids = small_values(hostile, making->elements, 1);
        for (int64_t i = 0; i < making->elements; i++)
            ids[i] = ids[i] < 4 ? ids[i] % 2 : ids[i];
        add_buffer(making->node, ids);
    }
    if (form->layout == LAYOUT_DENSE || form->layout == LAYOUT_LIST_VIEW)
        add_buffer(making->node, small_values(hostile, making->elements, form->width));
    if (form->layout == LAYOUT_LIST_VIEW)
        add_buffer(making->node, small_values(hostile, making->elements, form->width));
    if (form->layout == LAYOUT_DENSE || form->layout == LAYOUT_LIST_VIEW)
        below = 6;
    return form->layout == LAYOUT_FIXED_LIST ? below * form->width : below;
}

/* Nothing here makes import look where there is no memory. */
static void spoil_array(struct hostile *hostile, struct hostile_node *node)
{
    struct ArrowArray *array = &node->array;
    const uint8_t place = fuzz_byte(&hostile->input);
    switch (fuzz_byte(&hostile->input) % 9) {
    case 0:
        array->length = lie(hostile);
        break;
    case 1:
        array->offset = lie(hostile);
        break;
    case 2:
        array->null_count = lie(hostile);
        break;
    case 3:
        /* One less of a view's, and data would be taken for sizes. */
        array->n_buffers = array->n_buffers > 3 ? 0 : array->n_buffers - 1;
        break;
    case 4:
        array->n_children = array->n_children == 0 ? lie(hostile) : array->n_children - 1;
        break;
    case 5:
        node->buffers[place % HOSTILE_BUFFERS] = NULL;
        break;
    case 6:
        node->array_children[place % HOSTILE_CHILDREN] = NULL;
        break;
    case 7:
        array->dictionary = array->dictionary == NULL ? array : NULL;
        break;
    default:
        array->length -= place % 4;
    }
}

/* Good ones too; lengths that are too large would have to be believed. */
static const int32_t metadata[][6] = {
    {-1},
    {0},
    {1, 4, 0x61616161, 4, 0x62626262},
    {1, 0, 0},
    {1, -1},
    {1, 4, 0x61616161, -4},
    {2, 0, 0, 4, 0x61616161, 0},
};
enum { METADATA = sizeof metadata / sizeof metadata[0] };

static void spoil_schema(struct hostile *hostile, struct hostile_node *node)
{
    struct ArrowSchema *schema = &node->schema;
    const uint8_t place = fuzz_byte(&hostile->input);
    switch (fuzz_byte(&hostile->input) % 8) {
    case 0:
        schema->metadata = (const char *)metadata[place % METADATA];
        break;
    case 1:
        schema->n_children = schema->n_children == 0 ? -1 : schema->n_children - 1;
        break;
    case 2:
        node->schema_children[place % HOSTILE_CHILDREN] = NULL;
        break;
    case 3:
        schema->name = "\xff\xfe";
        break;
    case 4:
        schema->flags = (int64_t)((uint64_t)place << 56 | place);
        break;
    case 5:
        /* What contains itself has no end. */
        node->schema_children[place % HOSTILE_CHILDREN] = &hostile->nodes[place % 2].schema;
        break;
    case 6:
        schema->dictionary = place % 2 == 0 ? schema : &hostile->nodes[0].schema;
        break;
    default:
        schema->release = NULL;
    }
}

/* ---- both ---- */

static void release_schema(struct ArrowSchema *schema)
{
    struct hostile *hostile = schema->private_data;
    hostile->schema_releases++;
    schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
    struct hostile *hostile = array->private_data;
    hostile->array_releases++;
    array->release = NULL;
}

static struct hostile_node *make_node(struct hostile *hostile, const struct form *form,
                                      int64_t wanted);

static const struct form *choose_form(struct hostile *hostile)
{
    const uint8_t choice = fuzz_byte(&hostile->input);
    /* Zeros, which come behind the last byte, end it. */
    return &forms[lies_now(hostile) ? LIES + choice % (FORMS - LIES) : choice % LIES];
}

/* Run ends: every second element begins a run. */
static void make_ramp(struct hostile_node *node, const struct form *form, int64_t count)
{
    uint8_t *ends = (uint8_t *)(uintptr_t)node->buffers[1];
    for (int64_t i = 0; form->layout == LAYOUT_VALUES && i < count; i++)
        put(ends + (size_t)i * form->width, 2 * (i + 1), form->width);
}

static void add_child(struct hostile *hostile, const struct making *making, int64_t wanted)
{
    static const struct form run_ends[] = {
        {"s", LAYOUT_VALUES, 2, 0}, {"i", LAYOUT_VALUES, 4, 0}, {"l", LAYOUT_VALUES, 8, 0}};
    struct hostile_node *node = making->node;
    const bool is_runs = making->form->layout == LAYOUT_RUNS;
    const bool is_ramp = is_runs && node->array.n_children == 0 && !lies_now(hostile);
    const struct form *form =
        is_ramp ? &run_ends[fuzz_byte(&hostile->input) % 3] : choose_form(hostile);
    const int64_t count = is_runs ? (wanted + 1) / 2 : wanted;
    struct hostile_node *child = make_node(hostile, form, count);
    if (child == NULL)
        return;
    if (is_ramp && !lies_now(hostile) && child->array.offset == 0 && child->array.length == count &&
        child->buffers[1] != NULL) {
        child->buffers[0] = NULL;
        child->array.null_count = 0;
        make_ramp(child, form, count);
    }
    node->schema_children[node->schema.n_children++] = &child->schema;
    node->array_children[node->array.n_children++] = &child->array;
}

static void add_dictionary(struct hostile *hostile, struct hostile_node *node)
{
    struct hostile_node *values = make_node(hostile, choose_form(hostile), 4);
    if (values == NULL)
        return;
    node->schema.dictionary = &values->schema;
    node->array.dictionary = &values->array;
}

/* Recurses until bytes or nodes are used up. NULL: they are. */
static struct hostile_node *make_node(struct hostile *hostile, const struct form *form,
                                      int64_t wanted)
{
    if (hostile->node_count == HOSTILE_NODES)
        return NULL;
    struct hostile_node *node = &hostile->nodes[hostile->node_count++];
    const uint8_t shift = fuzz_byte(&hostile->input);
    *node = (struct hostile_node){
        .schema = {.format = form->format,
                   .name = "x",
                   .flags = shift % 2 == 0 ? ARROW_FLAG_NULLABLE : 0,
                   .children = node->schema_children,
                   .release = release_schema,
                   .private_data = hostile},
        .array = {.length = wanted < ELEMENTS_MOST ? wanted : ELEMENTS_MOST,
                  .offset = shift / 2 % 4 == 3 ? shift % OFFSET_MOST : 0,
                  .buffers = node->buffers,
                  .children = node->array_children,
                  .release = release_array,
                  .private_data = hostile},
    };
    const struct making making = {node, form, node->array.length + node->array.offset};
    const int64_t below = add_buffers(hostile, &making);
    uint8_t children = form->children;
    if (form->layout == LAYOUT_STRUCT)
        children = fuzz_byte(&hostile->input) % (HOSTILE_CHILDREN + 1);
    for (uint8_t i = 0; i < children; i++)
        add_child(hostile, &making, below);
    if (form->layout == LAYOUT_VALUES && shift > 224)
        add_dictionary(hostile, node);
    if (lies_now(hostile))
        spoil_array(hostile, node);
    if (lies_now(hostile))
        spoil_schema(hostile, node);
    return node;
}

void hostile_make(struct hostile *hostile, struct fuzz_bytes input)
{
    static const struct form root = {"+s", LAYOUT_STRUCT, 0, 2};
    hostile->input = input;
    hostile->node_count = 0;
    hostile->block_count = 0;
    hostile->schema_releases = 0;
    hostile->array_releases = 0;
    make_node(hostile, &root, fuzz_byte(&hostile->input) % 40);
}

void hostile_end(struct hostile *hostile)
{
    for (size_t i = 0; i < hostile->block_count; i++)
        free(hostile->blocks[i]);
}
