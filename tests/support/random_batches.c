#include "support/random_batches.h"

#include <fletching/batch_slice.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/column.h"
#include "support/schemas.h"

/* Formats of the types without children; every one is as likely. */
static const char *const flat_formats[] = {
    "n",
    "b",
    "c",
    "C",
    "s",
    "S",
    "i",
    "I",
    "l",
    "L",
    "e",
    "f",
    "g",
    "u",
    "U",
    "z",
    "Z",
    "w:0",
    "w:1",
    "w:5",
    "w:16",
    "d:9,2,32",
    "d:1,0,32",
    "d:18,3,64",
    "d:38,10",
    "d:20,-2",
    "d:76,38,256",
    "tdD",
    "tdm",
    "tts",
    "ttm",
    "ttu",
    "ttn",
    "tss:",
    "tsm:UTC",
    "tsu:",
    "tsn:Europe/Berlin",
    "tDs",
    "tDm",
    "tDu",
    "tDn",
    "tiM",
    "tiD",
    "tin",
};
static const char *const view_formats[] = {"vu", "vz"};
static const char *const index_formats[] = {"c", "C", "s", "S", "i", "I", "l", "L"};

#define PICK(random, table) \
    ((table)[fletch_random_below((random), (uint32_t)(sizeof(table) / sizeof(table)[0]))])

static void fatal(const char *what, const struct fletch_error *error)
{
    fprintf(stderr, "random batch: %s: %s\n", what, error == NULL ? "" : error->message);
    exit(2);
}

enum { TEXT_BYTES = 16384 };

static void add(char *text, const char *part)
{
    if (strlen(text) + strlen(part) + 1 > TEXT_BYTES)
        fatal("the schema is too long", NULL);
    strcat(text, part);
}

static void add_field(struct fletch_random *random, const struct random_schema_options *options,
                      uint32_t depth, char *text);

static void add_type(struct fletch_random *random, const struct random_schema_options *options,
                     uint32_t depth, char *text);

/* One of the layouts that only some who use this can do. */
static void add_other_layout(struct fletch_random *random,
                             const struct random_schema_options *options, uint32_t depth,
                             char *text)
{
    static const char *const formats[] = {"+vl(", "+vL(", "+w:0(", "+w:1(", "+w:3("};
    static const char *const unions[] = {"+ud:0(", "+us:9(", "+ud:5,0(", "+us:1,0(",
                                         "+ud:0,127,3("};
    static const uint32_t members[] = {1, 1, 2, 2, 3};
    const uint32_t kind = fletch_random_below(random, 4);
    if (kind <= 1) {
        add(text, PICK(random, formats));
        add_field(random, options, depth + 1, text);
    } else if (kind == 2) {
        const uint32_t which = fletch_random_below(random, 5);
        add(text, unions[which]);
        for (uint32_t i = 0; i < members[which]; i++)
            add_field(random, options, depth + 1, text);
    } else {
        /* A column is not as long as int16 reaches, but what lies in lists may be. */
        static const char *const run_ends[] = {"l", "i", "s"};
        add(text, "+r(run_ends=");
        add(text, run_ends[fletch_random_below(random, depth == 1 ? 3 : 2)]);
        /* Other libraries keep no more of the values of runs than their type. */
        add(text, "! values=");
        add_type(random, options, depth + 1, text);
    }
    add(text, ")");
}

/* The type, children and all, without its name. */
static void add_type(struct fletch_random *random, const struct random_schema_options *options,
                     uint32_t depth, char *text)
{
    if (depth >= options->depth_max || fletch_random_below(random, 3) > 0) {
        const bool is_view = options->has_all_layouts && fletch_random_below(random, 6) == 0;
        add(text, is_view ? PICK(random, view_formats) : PICK(random, flat_formats));
        return;
    }
    if (options->has_all_layouts && fletch_random_below(random, 2) == 0) {
        add_other_layout(random, options, depth, text);
        return;
    }
    static const char *const nested[] = {"+s", "+l", "+L", "+m"};
    const char *format = PICK(random, nested);
    add(text, format);
    add(text, "(");
    if (strcmp(format, "+m") == 0) {
        /* Keys are not null, by the format. */
        add(text, "entries=+s(key=u! value=");
        add_type(random, options, depth + 2, text);
        add(text, ")!");
    } else if (strcmp(format, "+s") == 0) {
        for (uint32_t i = fletch_random_below(random, 4); i > 0; i--)
            add_field(random, options, depth + 1, text);
    } else {
        add_field(random, options, depth + 1, text);
    }
    add(text, ")");
}

static void add_field(struct fletch_random *random, const struct random_schema_options *options,
                      uint32_t depth, char *text)
{
    static const char *const names[] = {"a", "b", "c", "", "äöü", "long_name_of_a_field"};
    if (text[0] != '\0' && strchr("(", text[strlen(text) - 1]) == NULL)
        add(text, " ");
    add(text, PICK(random, names));
    add(text, "=");
    if (!options->no_dictionaries && fletch_random_below(random, 5) == 0) {
        struct random_schema_options inside = *options;
        inside.no_dictionaries = !options->has_all_layouts;
        add(text, PICK(random, index_formats));
        add(text, fletch_random_below(random, 4) == 0 ? "<<" : "<");
        add_type(random, &inside, depth, text);
        add(text, ">");
    } else {
        add_type(random, options, depth, text);
    }
    if (fletch_random_below(random, 8) == 0)
        add(text, "{key:value}");
    if (fletch_random_below(random, 4) == 0)
        add(text, "!");
}

struct fletch_schema *random_schema(struct fletch_random *random,
                                    const struct random_schema_options *options)
{
    static char text[TEXT_BYTES];
    text[0] = '\0';
    for (uint32_t i = fletch_random_below(random, options->columns_max + 1); i > 0; i--)
        add_field(random, options, 1, text);
    return schema_new(text);
}

/* Fields of every type that random_schema knows without has_all_layouts. */
static void add_every_type(char *text)
{
    for (size_t i = 0; i < sizeof flat_formats / sizeof flat_formats[0]; i++) {
        char field[64];
        snprintf(field, sizeof field, "%sf%zu=%s", i == 0 ? "" : " ", i, flat_formats[i]);
        add(text, field);
    }
    add(text, " struct=+s(x=l y=+s(z=u)) empty=+s() list=+l(item=u) lists=+L(item=+l(item=i))"
              " structs=+l(item=+s(x=l y=u)) map=+m(entries=+s(key=u! value=+l(item=g))!)"
              " d1=c<u> d2=S<<tsn:UTC> d3=i<+l(item=u)> d4=L<+s(x=l y=u)> d5=+l(item=s<z>)"
              " required=l! extension=w:16{extension.name:arrow.uuid}");
}

struct fletch_schema *schema_of_every_type(void)
{
    static char text[TEXT_BYTES];
    text[0] = '\0';
    add_every_type(text);
    return schema_new(text);
}

struct fletch_schema *schema_of_every_layout(void)
{
    static char text[TEXT_BYTES];
    text[0] = '\0';
    add_every_type(text);
    add(text,
        " v1=vu v2=vz v3=+l(item=vu) l1=+vl(item=u) l2=+vL(item=+vl(item=vz))"
        " w1=+w:3(item=l) w2=+w:2(item=+w:2(item=vu)) w3=+w:0(item=u) w4=+w:2(item=+l(item=i))"
        " u1=+ud:0,1(x=i y=vu) u2=+us:5,0(x=u y=+w:2(item=l)) u3=+l(item=+ud:9(x=+s(y=u)))"
        " r1=+r(run_ends=s! values=u) r2=+r(run_ends=i! values=+w:2(item=c))"
        " r3=+l(item=+r(run_ends=l! values=c<u>)) r4=+s(x=+r(run_ends=i! values=b) y=+us:3(z=n))"
        " n1=c<+l(item=s<u>)> n2=i<+s(x=C<+vl(item=s<vu>)> y=+ud:4(z=c<l>))> n3=s<vu>");
    return schema_new(text);
}

/* A batch under construction. */
struct draft {
    struct fletch_random *random;
    struct fletch_buffer_cache *cache;
    struct fletch_schema *schema;
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans;
    struct fletch_buffer **owners;
    struct fletch_batch **dictionaries;
    uint32_t *view_spans;
    uint32_t span_count; /* with the data buffers so far */
    uint32_t owner_count;
    int64_t row_count;
};

enum { DATA_BUFFERS_MAX = 3 }; /* of a view */

static uint32_t below(struct draft *draft, uint32_t bound)
{
    return fletch_random_below(draft->random, bound);
}

/* Bytes of garbage for a span, in a buffer of their own; NULL for none. */
static uint8_t *new_span(struct draft *draft, uint32_t index, size_t bytes)
{
    struct fletch_buffer *buffer;
    struct fletch_error error;
    draft->spans[index] = (struct fletch_batch_span){NULL, 0};
    if (bytes == 0)
        return NULL;
    if (fletch_buffer_allocate(draft->cache, bytes, NULL, &buffer, &error) != FLETCH_OK)
        fatal("no buffer", &error);
    uint8_t *data = fletch_buffer_mutable_data(buffer);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)fletch_random_u64(draft->random);
    draft->spans[index] = (struct fletch_batch_span){data, bytes};
    draft->owners[draft->owner_count++] = buffer;
    return data;
}

/* Validity: none, all set, a few nulls, many, or nothing but nulls. */
static void fill_validity(struct draft *draft, uint32_t row, bool is_nullable)
{
    struct fletch_batch_node *node = &draft->nodes[row];
    const uint32_t index = draft->schema->fields[row].first_span;
    static const uint32_t nulls_in_16[] = {0, 0, 2, 8, 16};
    const uint32_t nulls = nulls_in_16[below(draft, 5)];
    draft->spans[index] = (struct fletch_batch_span){NULL, 0};
    node->null_count = 0;
    if (!is_nullable || node->length == 0 || below(draft, 3) == 0)
        return;
    uint8_t *bits = new_span(draft, index, (size_t)(node->offset + node->length + 7) / 8);
    for (int64_t i = node->offset; i < node->offset + node->length; i++) {
        const bool is_null = below(draft, 16) < nulls;
        bits[i >> 3] = (uint8_t)((bits[i >> 3] & ~(1 << (i & 7))) | (!is_null << (i & 7)));
        node->null_count += is_null;
    }
    if (below(draft, 3) == 0)
        node->null_count = -1;
    else if (node->null_count == 0)
        draft->spans[index] = (struct fletch_batch_span){NULL, 0};
}

static bool is_valid(const struct draft *draft, uint32_t row, int64_t index)
{
    if (!fletch_type_has_validity(draft->schema->fields[row].type.id))
        return true;
    const uint8_t *bits = draft->spans[draft->schema->fields[row].first_span].data;
    return bits == NULL || fletch_bitmap_get(bits, draft->nodes[row].offset + index);
}

/* Numbers of digits below the precision: small magnitudes of either sign, sign extended. */
static void fill_decimals(struct draft *draft, uint32_t row, uint8_t *data)
{
    const struct fletch_type *type = &draft->schema->fields[row].type;
    const size_t width = fletch_type_byte_width(type);
    uint64_t limit = 1;
    for (int32_t i = 0; i < type->precision && i < 18; i++)
        limit *= 10;
    for (int64_t i = 0; i < draft->nodes[row].length; i++) {
        if (!is_valid(draft, row, i))
            continue;
        const int64_t value =
            (int64_t)(fletch_random_u64(draft->random) % limit) * (below(draft, 2) == 0 ? 1 : -1);
        uint8_t *bytes = data + (size_t)(draft->nodes[row].offset + i) * width;
        memset(bytes, value < 0 ? 0xFF : 0, width);
        memcpy(bytes, &value, width < sizeof value ? width : sizeof value);
    }
}

/* Indices that are in range where they count, and garbage elsewhere. */
static void fill_indices(struct draft *draft, uint32_t row, uint8_t *data)
{
    const struct fletch_field *field = &draft->schema->fields[row];
    const size_t width = fletch_type_byte_width(&field->type);
    const int64_t values = draft->dictionaries[field->dictionary]->row_count;
    for (int64_t i = 0; i < draft->nodes[row].length; i++) {
        if (!is_valid(draft, row, i))
            continue;
        const uint64_t index = below(draft, (uint32_t)values);
        memcpy(data + (size_t)(draft->nodes[row].offset + i) * width, &index, width);
    }
}

/* Offsets that begin anywhere; null elements may have bytes too. Returns the last one. */
static int64_t fill_offsets(struct draft *draft, uint32_t row, int64_t longest)
{
    const struct fletch_field *field = &draft->schema->fields[row];
    const struct fletch_batch_node *node = &draft->nodes[row];
    const bool is_wide = fletch_type_layout(&field->type)->spans[1] == FLETCH_SPAN_OFFSETS64;
    const size_t width = is_wide ? sizeof(int64_t) : sizeof(int32_t);
    const size_t bytes = (size_t)(node->offset + node->length + 1) * width;
    /* An empty array may lack its one offset. */
    const bool is_absent = node->length == 0 && below(draft, 2) == 0;
    uint8_t *data = new_span(draft, field->first_span + 1, is_absent ? 0 : bytes);
    int64_t offset = below(draft, 4) == 0 ? below(draft, 9) : 0;
    for (int64_t i = 0; data != NULL && i <= node->length; i++) {
        memcpy(data + (size_t)(node->offset + i) * width, &offset, width);
        if (i < node->length && (is_valid(draft, row, i) || below(draft, 4) == 0))
            offset += below(draft, (uint32_t)longest + 1);
    }
    return data == NULL ? 0 : offset;
}

/* Text of characters of one to four bytes, cut into elements at its borders. */
static void fill_text(struct draft *draft, uint32_t row)
{
    static const char *const characters[] = {"a", "Z", " ", "0", "ä", "ß", "€", "漢", "𝄞"};
    const struct fletch_field *field = &draft->schema->fields[row];
    const struct fletch_batch_node *node = &draft->nodes[row];
    const bool is_wide = fletch_type_layout(&field->type)->spans[1] == FLETCH_SPAN_OFFSETS64;
    const size_t width = is_wide ? sizeof(int64_t) : sizeof(int32_t);
    fill_offsets(draft, row, 0);
    uint8_t *offsets = (uint8_t *)(uintptr_t)draft->spans[field->first_span + 1].data;
    draft->spans[field->first_span + 2] = (struct fletch_batch_span){NULL, 0};
    if (offsets == NULL || node->length == 0)
        return;
    uint8_t *text = new_span(draft, field->first_span + 2, (size_t)node->length * 48 + 8);
    int64_t offset = below(draft, 8);
    for (int64_t i = 0; i <= node->length; i++) {
        memcpy(offsets + (size_t)(node->offset + i) * width, &offset, width);
        if (i == node->length || (!is_valid(draft, row, i) && below(draft, 2) == 0))
            continue;
        const uint32_t ascii = below(draft, 2);
        for (uint32_t left = below(draft, 13); left > 0; left--) {
            const char *character = characters[below(draft, ascii == 0 ? 4 : 9)];
            memcpy(text + offset, character, strlen(character));
            offset += (int64_t)strlen(character);
        }
    }
    draft->spans[field->first_span + 2].bytes = (size_t)offset;
}

/* A list's child is at least as long as its offsets say. */
static void fill_list(struct draft *draft, uint32_t row)
{
    const struct fletch_field *field = &draft->schema->fields[row];
    /* Deep lists would grow without end. */
    const int64_t longest = draft->nodes[row].length > 2000 || field->depth > 4 ? 1 : 3;
    draft->nodes[row + 1].length = fill_offsets(draft, row, longest) + below(draft, 3);
}

/* Those that are aligned. */
static void fill_children(struct draft *draft, uint32_t row)
{
    const struct fletch_field *fields = draft->schema->fields;
    const int64_t stride = fletch_type_child_stride(&fields[row].type);
    for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end) {
        draft->nodes[child].length = draft->nodes[row].length * stride;
        draft->nodes[child].offset = draft->nodes[row].offset * stride;
    }
}

static void put_number(uint8_t *data, size_t width, int64_t index, int64_t number)
{
    memcpy(data + (size_t)index * width, &number, width);
}

/* Elements that overlap, in any order. */
static void fill_list_views(struct draft *draft, uint32_t row)
{
    const struct fletch_field *field = &draft->schema->fields[row];
    const struct fletch_batch_node *node = &draft->nodes[row];
    const size_t width = field->type.id == FLETCH_TYPE_LARGE_LIST_VIEW ? 8 : 4;
    const size_t bytes = (size_t)(node->offset + node->length) * width;
    const uint32_t longest = node->length > 2000 || field->depth > 4 ? 1 : 3;
    const int64_t below_it = node->length + below(draft, 3);
    uint8_t *starts = new_span(draft, field->first_span + 1, bytes);
    uint8_t *sizes = new_span(draft, field->first_span + 2, bytes);
    for (int64_t i = 0; i < node->length; i++) {
        const int64_t start = below(draft, (uint32_t)below_it + 1);
        const int64_t size = below(draft, longest + 1);
        put_number(starts, width, node->offset + i, start);
        put_number(sizes, width, node->offset + i,
                   size < below_it - start ? size : below_it - start);
    }
    draft->nodes[row + 1].length = below_it;
}

static void fill_union(struct draft *draft, uint32_t row)
{
    const struct fletch_field *field = &draft->schema->fields[row];
    const struct fletch_batch_node *node = &draft->nodes[row];
    const bool is_dense = field->type.id == FLETCH_TYPE_DENSE_UNION;
    const size_t end = (size_t)(node->offset + node->length);
    int64_t used[FLETCH_TYPE_IDS_MAX] = {0};
    uint8_t *type_ids = new_span(draft, field->first_span, end);
    uint8_t *starts = is_dense ? new_span(draft, field->first_span + 1, end * 4) : NULL;
    for (int64_t i = 0; i < node->length; i++) {
        const uint32_t member = below(draft, field->child_count);
        /* Some are left out, and some stand for two. */
        used[member] += is_dense && below(draft, 8) == 0;
        type_ids[node->offset + i] = (uint8_t)field->type.type_ids[member];
        if (is_dense)
            put_number(starts, 4, node->offset + i, used[member]);
        used[member] += below(draft, 8) != 0;
    }
    if (!is_dense)
        fill_children(draft, row);
    for (uint32_t i = 0; is_dense && i < field->child_count; i++)
        draft->nodes[fletch_schema_child(draft->schema, row, i)].length =
            used[i] + 1 + below(draft, 3);
}

/* How many runs there are; the run ends are made when it is their row's turn. */
static void fill_runs(struct draft *draft, uint32_t row)
{
    const struct fletch_batch_node *node = &draft->nodes[row];
    const int64_t end = node->offset + node->length;
    const int64_t runs = end == 0 ? below(draft, 2) : 1 + below(draft, (uint32_t)(end / 2 + 1));
    draft->nodes[row + 1].length = runs;
    draft->nodes[fletch_schema_child(draft->schema, row, 1)].length = runs + below(draft, 3);
}

static void fill_run_ends(struct draft *draft, uint32_t row)
{
    const struct fletch_field *field = &draft->schema->fields[row];
    const struct fletch_batch_node *node = &draft->nodes[row];
    const struct fletch_batch_node *parent = &draft->nodes[field->parent];
    const size_t width = fletch_type_byte_width(&field->type);
    const int64_t least = parent->offset + parent->length;
    uint8_t *ends =
        new_span(draft, field->first_span + 1, (size_t)(node->offset + node->length) * width);
    int64_t end = 0;
    for (int64_t i = 0; i < node->length; i++) {
        end += 1 + (below(draft, 2) == 0 ? 0 : below(draft, 4));
        if (i == node->length - 1 && end < least)
            end = least;
        put_number(ends, width, node->offset + i, end);
    }
    if (width == 2 && end > INT16_MAX)
        fatal("runs of int16 do not reach so far", NULL);
}

/* A string of up to 13 characters; returns its bytes. */
static size_t make_string(struct draft *draft, bool is_text, uint8_t bytes[4 * 13])
{
    static const char *const characters[] = {"a", "Z", " ", "0", "ä", "ß", "€", "漢", "𝄞"};
    const uint32_t ascii = below(draft, 2);
    size_t length = 0;
    for (uint32_t left = below(draft, 14); left > 0; left--) {
        const char *character = characters[below(draft, ascii == 0 ? 4 : 9)];
        memcpy(bytes + length, character, strlen(character));
        length += strlen(character);
    }
    for (size_t i = 0; !is_text && i < length; i++)
        bytes[i] = (uint8_t)fletch_random_u64(draft->random);
    return length;
}

/* Views into some data buffers, of which some are used by none. */
static void fill_views(struct draft *draft, uint32_t row)
{
    const struct fletch_field *field = &draft->schema->fields[row];
    const struct fletch_batch_node *node = &draft->nodes[row];
    const uint32_t buffer_count = below(draft, DATA_BUFFERS_MAX + 1);
    uint8_t *buffers[DATA_BUFFERS_MAX];
    size_t used[DATA_BUFFERS_MAX] = {0};
    uint8_t *views =
        new_span(draft, field->first_span + 1,
                 (size_t)(node->offset + node->length) * sizeof(struct fletch_string_view));
    draft->view_spans[field->view] = draft->span_count;
    for (uint32_t i = 0; i < buffer_count; i++)
        buffers[i] = new_span(draft, draft->span_count + i, (size_t)node->length * 52 + 8);
    for (int64_t i = 0; i < node->length; i++) {
        struct fletch_string_view view = {0};
        uint8_t bytes[4 * 13];
        if (!is_valid(draft, row, i) && below(draft, 2) == 0)
            continue;
        size_t length = make_string(draft, fletch_type_is_text(field->type.id), bytes);
        if (length > FLETCH_VIEW_INLINE_BYTES && buffer_count == 0)
            length = 0;
        view.bytes = (int32_t)length;
        if (length <= FLETCH_VIEW_INLINE_BYTES) {
            memcpy((uint8_t *)&view + sizeof view.bytes, bytes, length);
        } else {
            view.buffer = (int32_t)below(draft, buffer_count);
            view.offset = (int32_t)used[view.buffer];
            memcpy(buffers[view.buffer] + view.offset, bytes, length);
            memcpy(view.prefix, bytes, sizeof view.prefix);
            used[view.buffer] += length;
        }
        memcpy(views + (size_t)(node->offset + i) * sizeof view, &view, sizeof view);
    }
    for (uint32_t i = 0; i < buffer_count; i++)
        draft->spans[draft->span_count + i].bytes = used[i];
    draft->span_count += buffer_count;
}

static void fill_values(struct draft *draft, uint32_t row)
{
    const struct fletch_field *field = &draft->schema->fields[row];
    const struct fletch_batch_node *node = &draft->nodes[row];
    const size_t width = fletch_type_byte_width(&field->type);
    uint8_t *data =
        new_span(draft, field->first_span + 1, (size_t)(node->offset + node->length) * width);
    if (data == NULL)
        return;
    if (field->dictionary != FLETCH_NO_INDEX)
        fill_indices(draft, row, data);
    else if (fletch_type_is_decimal(field->type.id))
        fill_decimals(draft, row, data);
}

/* What comes behind the validity, and how long the children are. */
static void fill_rest(struct draft *draft, uint32_t row)
{
    const struct fletch_field *field = &draft->schema->fields[row];
    const struct fletch_batch_node *node = &draft->nodes[row];
    const enum fletch_type_id id = field->type.id;
    if (fletch_type_is_view(id))
        fill_views(draft, row);
    else if (fletch_type_is_list_view(id))
        fill_list_views(draft, row);
    else if (fletch_type_is_union(id))
        fill_union(draft, row);
    else if (id == FLETCH_TYPE_RUN_END_ENCODED)
        fill_runs(draft, row);
    else if (fletch_type_child_stride(&field->type) != FLETCH_CHILD_WHOLE)
        fill_children(draft, row);
    else if (fletch_type_is_list(id))
        fill_list(draft, row);
    else if (id == FLETCH_TYPE_UTF8 || id == FLETCH_TYPE_LARGE_UTF8)
        fill_text(draft, row);
    else if (fletch_type_is_variable(id))
        new_span(draft, field->first_span + 2, (size_t)fill_offsets(draft, row, 12));
    else if (id == FLETCH_TYPE_BOOL)
        new_span(draft, field->first_span + 1, (size_t)(node->offset + node->length + 7) / 8);
    else
        fill_values(draft, row);
}

static void fill_row(struct draft *draft, uint32_t row)
{
    const struct fletch_field *field = &draft->schema->fields[row];
    const struct fletch_field *parent = fletch_schema_parent_of(draft->schema, row);
    struct fletch_batch_node *node = &draft->nodes[row];
    if (parent == NULL)
        node->length = draft->row_count;
    node->offset += below(draft, 2) == 0 ? 0 : below(draft, 20);
    if (field->type.id == FLETCH_TYPE_NULL) {
        node->null_count = node->length;
        return;
    }
    if (parent != NULL && parent->type.id == FLETCH_TYPE_RUN_END_ENCODED &&
        row == field->parent + 1) {
        fill_run_ends(draft, row);
        return;
    }
    /* The entries of a map are never null, nor are they where there is no way to say so. */
    const bool is_entries = parent != NULL && parent->type.id == FLETCH_TYPE_MAP;
    if (fletch_type_has_validity(field->type.id))
        fill_validity(draft, row, field->is_nullable && !is_entries);
    fill_rest(draft, row);
}

static void *zeroed(size_t count, size_t bytes)
{
    void *memory = calloc(count + 1, bytes);
    if (memory == NULL)
        fatal("no memory", NULL);
    return memory;
}

static struct fletch_batch *finish(struct draft *draft)
{
    struct fletch_batch *batch;
    struct fletch_error error;
    const struct fletch_batch_parts parts = {
        .schema = fletch_schema_acquire(draft->schema),
        .row_count = draft->row_count,
        .nodes = draft->nodes,
        .spans = draft->spans,
        .view_spans = draft->view_spans,
        .owners = draft->owners,
        .dictionaries = draft->dictionaries,
        .node_count = draft->schema->field_count,
        .span_count = draft->span_count,
        .view_count = draft->schema->view_count,
        .owner_count = draft->owner_count,
        .dictionary_count = draft->schema->dictionary_count,
    };
    if (fletch_batch_create(draft->cache, NULL, &parts, &batch, &error) != FLETCH_OK)
        fatal("no batch", &error);
    free(draft->nodes);
    free(draft->spans);
    free(draft->owners);
    free(draft->dictionaries);
    free(draft->view_spans);
    return batch;
}

struct fletch_batch *random_batch(struct fletch_random *random, struct fletch_buffer_cache *cache,
                                  struct fletch_schema *schema, int64_t row_count)
{
    const size_t span_count = schema->span_count + (size_t)DATA_BUFFERS_MAX * schema->view_count;
    struct draft draft = {
        .random = random,
        .cache = cache,
        .schema = schema,
        .nodes = zeroed(schema->field_count, sizeof *draft.nodes),
        .spans = zeroed(span_count, sizeof *draft.spans),
        .owners = zeroed(span_count, sizeof(struct fletch_buffer *)),
        .view_spans = zeroed(schema->view_count, sizeof *draft.view_spans),
        .span_count = schema->span_count,
        .dictionaries = zeroed(schema->dictionary_count, sizeof(struct fletch_batch *)),
        .row_count = row_count,
    };
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        draft.dictionaries[i] = random_batch(random, cache, schema->dictionaries[i].values,
                                             1 + fletch_random_below(random, 100));
    for (uint32_t row = 0; row < schema->field_count; row++)
        fill_row(&draft, row);
    draft.view_spans[schema->view_count] = draft.span_count;
    return finish(&draft);
}

struct fletch_batch *batch_slice(struct fletch_buffer_cache *cache, struct fletch_batch *batch,
                                 int64_t first, int64_t count)
{
    struct fletch_batch *slice;
    struct fletch_error error = {.message = ""};
    if (fletch_batch_slice(cache, batch, (struct fletch_row_range){first, (size_t)count}, &slice,
                           &error) != FLETCH_OK)
        fatal("slice", &error);
    return slice;
}

/* The element that an encoded one stands for. */
static struct batch_element decoded(struct batch_element element,
                                    const struct fletch_column *column)
{
    uint64_t index = 0;
    const size_t width = fletch_type_byte_width(&column->field->type);
    memcpy(&index, column->spans[1].data + (size_t)(column->node->offset + element.index) * width,
           width);
    return (struct batch_element){element.batch->dictionaries[column->field->dictionary], 0,
                                  (int64_t)index};
}

/* The value that an element of a run-end encoded array stands for. */
static struct batch_element value_of_run(struct batch_element element)
{
    const struct fletch_column run_ends = fletch_column_of(element.batch, element.row + 1);
    const int64_t position = element.batch->nodes[element.row].offset + element.index;
    return (struct batch_element){element.batch,
                                  fletch_schema_child(element.batch->schema, element.row, 1),
                                  fletch_column_find_run(&run_ends, position)};
}

static bool lists_equal(struct batch_element a, struct batch_element b)
{
    const struct fletch_column x = fletch_column_of(a.batch, a.row);
    const struct fletch_column y = fletch_column_of(b.batch, b.row);
    const struct fletch_element_range of_a = fletch_column_elements(&x, a.index);
    const struct fletch_element_range of_b = fletch_column_elements(&y, b.index);
    if (of_a.count != of_b.count)
        return false;
    for (int64_t i = 0; i < of_a.count; i++)
        if (!batch_elements_equal((struct batch_element){a.batch, a.row + 1, of_a.first + i},
                                  (struct batch_element){b.batch, b.row + 1, of_b.first + i}))
            return false;
    return true;
}

static bool structs_equal(struct batch_element a, struct batch_element b)
{
    const struct fletch_field *x = a.batch->schema->fields;
    const struct fletch_field *y = b.batch->schema->fields;
    uint32_t other = b.row + 1;
    for (uint32_t child = a.row + 1; child < x[a.row].end; child = x[child].end) {
        if (!batch_elements_equal((struct batch_element){a.batch, child, a.index},
                                  (struct batch_element){b.batch, other, b.index}))
            return false;
        other = y[other].end;
    }
    return true;
}

static bool unions_equal(struct batch_element a, struct batch_element b)
{
    const struct fletch_column x = fletch_column_of(a.batch, a.row);
    const struct fletch_column y = fletch_column_of(b.batch, b.row);
    const uint32_t member = (uint32_t)fletch_column_member(&x, a.index);
    return member == (uint32_t)fletch_column_member(&y, b.index) &&
           batch_elements_equal(
               (struct batch_element){a.batch, fletch_schema_child(a.batch->schema, a.row, member),
                                      fletch_column_member_index(&x, a.index)},
               (struct batch_element){b.batch, fletch_schema_child(b.batch->schema, b.row, member),
                                      fletch_column_member_index(&y, b.index)});
}

static bool bytes_equal(const struct fletch_column *x, int64_t index, const struct fletch_column *y,
                        int64_t other)
{
    const struct fletch_batch_span a = fletch_column_bytes(x, index);
    const struct fletch_batch_span b = fletch_column_bytes(y, other);
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

bool batch_elements_equal(struct batch_element a, struct batch_element b)
{
    const struct fletch_column x = fletch_column_of(a.batch, a.row);
    const struct fletch_column y = fletch_column_of(b.batch, b.row);
    const enum fletch_type_id id = x.field->type.id;
    if (id == FLETCH_TYPE_RUN_END_ENCODED)
        return batch_elements_equal(value_of_run(a), b);
    if (y.field->type.id == FLETCH_TYPE_RUN_END_ENCODED)
        return batch_elements_equal(a, value_of_run(b));
    if (fletch_column_is_valid(&x, a.index) && x.field->dictionary != FLETCH_NO_INDEX)
        return batch_elements_equal(decoded(a, &x), b);
    if (fletch_column_is_valid(&y, b.index) && y.field->dictionary != FLETCH_NO_INDEX)
        return batch_elements_equal(a, decoded(b, &y));
    const bool is_null = !fletch_column_is_valid(&x, a.index);
    if (is_null || !fletch_column_is_valid(&y, b.index))
        return is_null && !fletch_column_is_valid(&y, b.index);
    const size_t width = fletch_type_byte_width(&x.field->type);
    if (id == FLETCH_TYPE_STRUCT)
        return structs_equal(a, b);
    if (fletch_type_is_union(id))
        return unions_equal(a, b);
    if (fletch_type_layout(&x.field->type)->children != FLETCH_CHILDREN_NONE)
        return lists_equal(a, b);
    if (fletch_type_is_variable(id) || fletch_type_is_view(id))
        return bytes_equal(&x, a.index, &y, b.index);
    if (id == FLETCH_TYPE_BOOL)
        return fletch_bitmap_get(x.spans[1].data, x.node->offset + a.index) ==
               fletch_bitmap_get(y.spans[1].data, y.node->offset + b.index);
    return width == 0 ||
           memcmp(x.spans[1].data + (size_t)(x.node->offset + a.index) * width,
                  y.spans[1].data + (size_t)(y.node->offset + b.index) * width, width) == 0;
}

bool batch_rows_equal(const struct fletch_batch *a, int64_t first_a, const struct fletch_batch *b,
                      int64_t first_b, int64_t count)
{
    if (a->schema->column_count != b->schema->column_count)
        return false;
    for (uint32_t column = 0; column < a->schema->column_count; column++) {
        const uint32_t row = a->schema->columns[column];
        for (int64_t i = 0; i < count; i++) {
            if (batch_elements_equal(
                    (struct batch_element){a, row, first_a + i},
                    (struct batch_element){b, b->schema->columns[column], first_b + i}))
                continue;
            printf("column %u ('%s'): element %lld is not element %lld of the other batch\n",
                   column, fletch_field_path_of(a->schema, row).text, (long long)(first_a + i),
                   (long long)(first_b + i));
            return false;
        }
    }
    return true;
}

bool batches_equal(const struct fletch_batch *a, const struct fletch_batch *b)
{
    if (a->row_count == b->row_count)
        return batch_rows_equal(a, 0, b, 0, a->row_count);
    printf("%lld rows are not %lld\n", (long long)a->row_count, (long long)b->row_count);
    return false;
}
