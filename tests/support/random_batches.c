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

/* The type, children and all, without its name. */
static void add_type(struct fletch_random *random, const struct random_schema_options *options,
                     uint32_t depth, char *text)
{
    if (depth >= options->depth_max || fletch_random_below(random, 3) > 0) {
        add(text, PICK(random, flat_formats));
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
        inside.no_dictionaries = true;
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

struct fletch_schema *schema_of_every_type(void)
{
    static char text[TEXT_BYTES];
    text[0] = '\0';
    for (size_t i = 0; i < sizeof flat_formats / sizeof flat_formats[0]; i++) {
        char field[64];
        snprintf(field, sizeof field, "%sf%zu=%s", i == 0 ? "" : " ", i, flat_formats[i]);
        add(text, field);
    }
    add(text, " struct=+s(x=l y=+s(z=u)) empty=+s() list=+l(item=u) lists=+L(item=+l(item=i))"
              " structs=+l(item=+s(x=l y=u)) map=+m(entries=+s(key=u! value=+l(item=g))!)"
              " d1=c<u> d2=S<<tsn:UTC> d3=i<+l(item=u)> d4=L<+s(x=l y=u)> d5=+l(item=s<z>)"
              " required=l! extension=w:16{extension.name:arrow.uuid}");
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
    uint32_t owner_count;
    int64_t row_count;
};

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

static void fill_children(struct draft *draft, uint32_t row)
{
    const struct fletch_field *fields = draft->schema->fields;
    for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end) {
        draft->nodes[child].length = draft->nodes[row].length;
        draft->nodes[child].offset = draft->nodes[row].offset;
    }
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

static void fill_row(struct draft *draft, uint32_t row)
{
    const struct fletch_field *field = &draft->schema->fields[row];
    struct fletch_batch_node *node = &draft->nodes[row];
    if (field->parent == FLETCH_NO_INDEX)
        node->length = draft->row_count;
    node->offset += below(draft, 2) == 0 ? 0 : below(draft, 20);
    if (field->span_count == 0) {
        node->null_count = node->length;
        return;
    }
    /* The entries of a map are never null, nor are they where there is no way to say so. */
    const bool is_entries = field->parent != FLETCH_NO_INDEX &&
                            draft->schema->fields[field->parent].type.id == FLETCH_TYPE_MAP;
    fill_validity(draft, row, field->is_nullable && !is_entries);
    switch (fletch_type_layout(&field->type)->spans[field->span_count - 1]) {
    case FLETCH_SPAN_VALIDITY:
        fill_children(draft, row);
        break;
    case FLETCH_SPAN_BITS:
        new_span(draft, field->first_span + 1, (size_t)(node->offset + node->length + 7) / 8);
        break;
    case FLETCH_SPAN_BYTES:
        if (field->type.id == FLETCH_TYPE_UTF8 || field->type.id == FLETCH_TYPE_LARGE_UTF8)
            fill_text(draft, row);
        else
            new_span(draft, field->first_span + 2, (size_t)fill_offsets(draft, row, 12));
        break;
    case FLETCH_SPAN_OFFSETS32:
    case FLETCH_SPAN_OFFSETS64:
        fill_list(draft, row);
        break;
    default:
        fill_values(draft, row);
    }
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
        .owners = draft->owners,
        .dictionaries = draft->dictionaries,
        .node_count = draft->schema->field_count,
        .span_count = draft->schema->span_count,
        .owner_count = draft->owner_count,
        .dictionary_count = draft->schema->dictionary_count,
    };
    if (fletch_batch_create(draft->cache, NULL, &parts, &batch, &error) != FLETCH_OK)
        fatal("no batch", &error);
    free(draft->nodes);
    free(draft->spans);
    free(draft->owners);
    free(draft->dictionaries);
    return batch;
}

struct fletch_batch *random_batch(struct fletch_random *random, struct fletch_buffer_cache *cache,
                                  struct fletch_schema *schema, int64_t row_count)
{
    struct draft draft = {
        .random = random,
        .cache = cache,
        .schema = schema,
        .nodes = zeroed(schema->field_count, sizeof *draft.nodes),
        .spans = zeroed(schema->span_count, sizeof *draft.spans),
        .owners = zeroed(schema->span_count, sizeof(struct fletch_buffer *)),
        .dictionaries = zeroed(schema->dictionary_count, sizeof(struct fletch_batch *)),
        .row_count = row_count,
    };
    for (uint32_t i = 0; i < schema->dictionary_count; i++)
        draft.dictionaries[i] = random_batch(random, cache, schema->dictionaries[i].values,
                                             1 + fletch_random_below(random, 100));
    for (uint32_t row = 0; row < schema->field_count; row++)
        fill_row(&draft, row);
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

static bool lists_equal(struct batch_element a, struct batch_element b)
{
    const struct fletch_column x = fletch_column_of(a.batch, a.row);
    const struct fletch_column y = fletch_column_of(b.batch, b.row);
    const int64_t first_x = fletch_column_offset(&x, a.index);
    const int64_t first_y = fletch_column_offset(&y, b.index);
    const int64_t count = fletch_column_offset(&x, a.index + 1) - first_x;
    if (count != fletch_column_offset(&y, b.index + 1) - first_y)
        return false;
    for (int64_t i = 0; i < count; i++)
        if (!batch_elements_equal((struct batch_element){a.batch, a.row + 1, first_x + i},
                                  (struct batch_element){b.batch, b.row + 1, first_y + i}))
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

static bool bytes_equal(struct batch_element a, struct batch_element b)
{
    const struct fletch_column x = fletch_column_of(a.batch, a.row);
    const struct fletch_column y = fletch_column_of(b.batch, b.row);
    const int64_t first_x = fletch_column_offset(&x, a.index);
    const int64_t first_y = fletch_column_offset(&y, b.index);
    const int64_t bytes = fletch_column_offset(&x, a.index + 1) - first_x;
    return bytes == fletch_column_offset(&y, b.index + 1) - first_y &&
           (bytes == 0 ||
            memcmp(x.spans[2].data + first_x, y.spans[2].data + first_y, (size_t)bytes) == 0);
}

bool batch_elements_equal(struct batch_element a, struct batch_element b)
{
    struct fletch_column x = fletch_column_of(a.batch, a.row);
    struct fletch_column y = fletch_column_of(b.batch, b.row);
    if (fletch_column_is_valid(&x, a.index) && x.field->dictionary != FLETCH_NO_INDEX)
        return batch_elements_equal(decoded(a, &x), b);
    if (fletch_column_is_valid(&y, b.index) && y.field->dictionary != FLETCH_NO_INDEX)
        return batch_elements_equal(a, decoded(b, &y));
    const bool is_null = !fletch_column_is_valid(&x, a.index);
    if (is_null || !fletch_column_is_valid(&y, b.index))
        return is_null && !fletch_column_is_valid(&y, b.index);
    const size_t width = fletch_type_byte_width(&x.field->type);
    switch (fletch_type_layout(&x.field->type)->spans[x.field->span_count - 1]) {
    case FLETCH_SPAN_VALIDITY:
        return structs_equal(a, b);
    case FLETCH_SPAN_OFFSETS32:
    case FLETCH_SPAN_OFFSETS64:
        return lists_equal(a, b);
    case FLETCH_SPAN_BYTES:
        return bytes_equal(a, b);
    case FLETCH_SPAN_BITS:
        return fletch_bitmap_get(x.spans[1].data, x.node->offset + a.index) ==
               fletch_bitmap_get(y.spans[1].data, y.node->offset + b.index);
    default:
        return width == 0 ||
               memcmp(x.spans[1].data + (size_t)(x.node->offset + a.index) * width,
                      y.spans[1].data + (size_t)(y.node->offset + b.index) * width, width) == 0;
    }
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
