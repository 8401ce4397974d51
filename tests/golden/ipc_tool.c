/* IPC at the command line, for tests that another program drives:
 *
 *   ipc_tool dump IN                       what is in a stream or file, as JSON
 *   ipc_tool copy FORMAT ALIGNMENT IN OUT  read and written again
 *   ipc_tool random SEED FORMAT OUT        random batches
 *   ipc_tool compare SEED IN               whether the same random batches are in it
 *
 * FORMAT is stream or file, or either with compressed bodies: stream-lz4, file-zstd. IN is a path,
 * which is mapped; "fd:PATH" reads a stream by descriptor, and "loose:PATH" looks at no values but
 * offsets. Strings and values are printed as the
 * hexadecimal digits of their bytes. A failure is printed as STATUS: message, exit status 1. */

#include <fletching/fletching.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arrow/column.h"
#include "base/random.h"
#include "memory/batch.h"
#include "support/random_batches.h"

struct tool {
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    struct fletch_error error;
    uint32_t alignment; /* of what is written */
};

static void check(struct tool *tool, enum fletch_status status)
{
    if (status == FLETCH_OK)
        return;
    fprintf(stderr, "%s: %s\n", fletch_status_name(status), tool->error.message);
    exit(1);
}

static void usage(void)
{
    fprintf(stderr, "usage: ipc_tool dump|copy|random|compare ...\n");
    exit(2);
}

/* ---- printing ---- */

static void print_hex(const void *bytes, size_t count)
{
    const unsigned char *from = bytes;
    putchar('"');
    for (size_t i = 0; i < count; i++)
        printf("%02x", from[i]);
    putchar('"');
}

static void print_metadata(const struct fletch_metadata *metadata)
{
    struct fletch_metadata_pair pair;
    size_t position = 0;
    const char *separator = "";
    printf("[");
    while (fletch_metadata_next(metadata, &position, &pair)) {
        printf("%s[", separator);
        print_hex(pair.key, pair.key_bytes);
        printf(",");
        print_hex(pair.value, pair.value_bytes);
        printf("]");
        separator = ",";
    }
    printf("]");
}

static void print_field(const struct fletch_schema *schema, uint32_t row)
{
    const struct fletch_field *field = &schema->fields[row];
    const struct fletch_schema_dictionary *dictionary = fletch_schema_dictionary_of(schema, field);
    printf("{\"name\":");
    print_hex(field->name, field->name_bytes);
    printf(",\"format\":\"%s\",\"nullable\":%s,\"metadata\":", field->format,
           field->is_nullable ? "true" : "false");
    print_metadata(&field->metadata);
    if (field->type.id == FLETCH_TYPE_MAP)
        printf(",\"sorted\":%s", field->type.keys_are_sorted ? "true" : "false");
    if (dictionary != NULL) {
        printf(",\"ordered\":%s,\"values\":", dictionary->is_ordered ? "true" : "false");
        print_field(dictionary->values, 0);
    }
    printf(",\"children\":[");
    for (uint32_t child = row + 1; child < field->end; child = schema->fields[child].end) {
        print_field(schema, child);
        printf(schema->fields[child].end < field->end ? "," : "");
    }
    printf("]}");
}

static void print_element(const struct fletch_batch *batch, uint32_t row, int64_t index);

static int64_t index_of(const struct fletch_column *column, int64_t index)
{
    size_t width = fletch_type_byte_width(&column->field->type);
    uint64_t value = 0;
    memcpy(&value, column->spans[1].data + (size_t)(column->node->offset + index) * width, width);
    return (int64_t)value;
}

static void print_range(const struct fletch_batch *batch, uint32_t row, int64_t first,
                        int64_t count)
{
    printf("[");
    for (int64_t i = 0; i < count; i++) {
        print_element(batch, row, first + i);
        printf(i + 1 < count ? "," : "");
    }
    printf("]");
}

static void print_list(const struct fletch_batch *batch, uint32_t row, int64_t index)
{
    const struct fletch_column column = fletch_column_of(batch, row);
    const struct fletch_element_range elements = fletch_column_elements(&column, index);
    print_range(batch, row + 1, elements.first, elements.count);
}

static void print_bytes(const struct fletch_column *column, int64_t index)
{
    const struct fletch_batch_span bytes = fletch_column_bytes(column, index);
    print_hex(bytes.data, bytes.bytes);
}

/* The type id, and the value of that member. */
static void print_member(const struct fletch_batch *batch, uint32_t row, int64_t index)
{
    const struct fletch_column column = fletch_column_of(batch, row);
    const uint32_t member = (uint32_t)fletch_column_member(&column, index);
    printf("[%d,", column.field->type.type_ids[member]);
    print_element(batch, fletch_schema_child(batch->schema, row, member),
                  fletch_column_member_index(&column, index));
    printf("]");
}

static void print_run(const struct fletch_batch *batch, uint32_t row, int64_t index)
{
    const struct fletch_column run_ends = fletch_column_of(batch, row + 1);
    const int64_t position = batch->nodes[row].offset + index;
    print_element(batch, batch->schema->fields[row + 1].end,
                  fletch_column_find_run(&run_ends, position));
}

static void print_struct(const struct fletch_batch *batch, uint32_t row, int64_t index)
{
    const struct fletch_field *fields = batch->schema->fields;
    printf("[");
    for (uint32_t child = row + 1; child < fields[row].end; child = fields[child].end) {
        print_element(batch, child, index);
        printf(fields[child].end < fields[row].end ? "," : "");
    }
    printf("]");
}

/* As deep as the schema. */
static void print_element(const struct fletch_batch *batch, uint32_t row, int64_t index)
{
    struct fletch_column column = fletch_column_of(batch, row);
    const struct fletch_type_layout *layout = fletch_type_layout(&column.field->type);
    const enum fletch_type_id type = column.field->type.id;
    int64_t at = column.node->offset + index;
    if (!fletch_column_is_valid(&column, index)) {
        printf("null");
    } else if (column.field->dictionary != FLETCH_NO_INDEX) {
        print_element(batch->dictionaries[column.field->dictionary], 0, index_of(&column, index));
    } else if (type == FLETCH_TYPE_STRUCT) {
        print_struct(batch, row, index);
    } else if (fletch_type_is_union(type)) {
        print_member(batch, row, index);
    } else if (type == FLETCH_TYPE_RUN_END_ENCODED) {
        print_run(batch, row, index);
    } else if (fletch_type_is_view(type) || fletch_type_is_variable(type)) {
        print_bytes(&column, index);
    } else if (layout->spans[1] == FLETCH_SPAN_BITS) {
        printf("%d", fletch_bitmap_get(column.spans[1].data, at));
    } else if (layout->spans[1] == FLETCH_SPAN_VALUES) {
        size_t width = fletch_type_byte_width(&column.field->type);
        print_hex(column.spans[1].data + (size_t)at * width, width);
    } else {
        print_list(batch, row, index);
    }
}

/* ---- reading ---- */

static struct fletch_ipc_reader *open_reader(struct tool *tool, const char *in)
{
    struct fletch_ipc_read_options options = {
        .struct_size = sizeof options,
        .cache = tool->cache,
        .validation = FLETCH_VALIDATION_FULL,
    };
    struct fletch_ipc_reader *reader = NULL;
    if (strncmp(in, "loose:", 6) == 0) {
        options.validation = FLETCH_VALIDATION_OFFSETS;
        in += 6;
    }
    if (strncmp(in, "fd:", 3) != 0) {
        check(tool, fletch_ipc_reader_open_path(in, &options, &reader, &tool->error));
        return reader;
    }
    int fd = open(in + 3, O_RDONLY | O_CLOEXEC); /* closed when the program ends */
    check(tool, fletch_ipc_reader_open_fd(fd, &options, &reader, &tool->error));
    return reader;
}

static struct fletch_batch *next_batch(struct tool *tool, struct fletch_ipc_reader *reader)
{
    struct fletch_batch *batch = NULL;
    check(tool, fletch_ipc_reader_next(reader, &batch, &tool->error));
    return batch;
}

static void print_custom(struct tool *tool, const char *bytes)
{
    struct fletch_metadata custom;
    check(tool, fletch_metadata_measure(bytes, "message", &custom, &tool->error));
    print_metadata(&custom);
}

/* What the messages said that the dictionaries came in; nothing, if none did. */
static void print_dictionaries(struct tool *tool, const struct fletch_ipc_reader *reader)
{
    size_t count = fletch_ipc_reader_dictionary_count(reader);
    const char *separator = ",\"dictionaries\":[";
    for (size_t i = 0; i < count; i++) {
        int64_t id;
        const char *custom = fletch_ipc_reader_dictionary_metadata(reader, i, &id);
        if (custom == NULL)
            continue;
        printf("%s[%lld,", separator, (long long)id);
        print_custom(tool, custom);
        printf("]");
        separator = ",";
    }
    if (separator[1] == 0)
        printf("]");
}

static void dump(struct tool *tool, const char *in)
{
    struct fletch_ipc_reader *reader = open_reader(tool, in);
    const struct fletch_schema *schema = fletch_ipc_reader_schema(reader);
    printf("{\"head\":");
    print_custom(tool, fletch_ipc_reader_head_metadata(reader));
    printf(",\"metadata\":");
    print_metadata(&schema->metadata);
    printf(",\"fields\":[");
    for (uint32_t i = 0; i < schema->column_count; i++) {
        print_field(schema, schema->columns[i]);
        printf(i + 1 < schema->column_count ? "," : "");
    }
    printf("],\"batches\":[");
    const char *separator = "";
    struct fletch_batch *batch;
    while ((batch = next_batch(tool, reader)) != NULL) {
        printf("%s\n{\"rows\":%lld,\"metadata\":", separator, (long long)batch->row_count);
        print_custom(tool, fletch_ipc_reader_metadata(reader));
        print_dictionaries(tool, reader);
        printf(",\"columns\":[");
        for (uint32_t i = 0; i < schema->column_count; i++) {
            print_range(batch, schema->columns[i], 0, batch->row_count);
            printf(i + 1 < schema->column_count ? "," : "");
        }
        printf("]}");
        separator = ",";
        fletch_batch_release(tool->cache, batch);
    }
    printf("]}\n");
    fletch_ipc_reader_close(reader);
}

/* ---- writing ---- */

static enum fletch_ipc_compression compression_of(const char *format)
{
    if (strstr(format, "-lz4") != NULL)
        return FLETCH_IPC_COMPRESSION_LZ4;
    return strstr(format, "-zstd") != NULL ? FLETCH_IPC_COMPRESSION_ZSTD
                                           : FLETCH_IPC_COMPRESSION_OFF;
}

static bool is_file(const char *format)
{
    return strncmp(format, "file", 4) == 0;
}

static struct fletch_ipc_writer *open_writer(struct tool *tool, const char *format,
                                             struct fletch_schema *schema, const char *head,
                                             const char *out)
{
    const struct fletch_ipc_write_options options = {
        .struct_size = sizeof options,
        .cache = tool->cache,
        .format = is_file(format) ? FLETCH_IPC_FILE : FLETCH_IPC_STREAM,
        .alignment_bytes = tool->alignment,
        .compression = compression_of(format),
        .head_metadata = head,
    };
    struct fletch_ipc_writer *writer = NULL;
    int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    check(tool, fletch_ipc_writer_open_fd(fd, schema, &options, &writer, &tool->error));
    return writer;
}

static void copy_dictionary_metadata(struct tool *tool, const struct fletch_ipc_reader *reader,
                                     struct fletch_ipc_writer *writer)
{
    for (size_t i = 0; i < fletch_ipc_reader_dictionary_count(reader); i++) {
        int64_t id;
        const char *custom = fletch_ipc_reader_dictionary_metadata(reader, i, &id);
        check(tool, fletch_ipc_writer_dictionary_metadata(writer, id, custom, &tool->error));
    }
}

static void copy(struct tool *tool, char **arguments)
{
    struct fletch_ipc_reader *reader = open_reader(tool, arguments[2]);
    tool->alignment = (uint32_t)strtoul(arguments[1], NULL, 10);
    struct fletch_ipc_writer *writer =
        open_writer(tool, arguments[0], fletch_ipc_reader_schema(reader),
                    fletch_ipc_reader_head_metadata(reader), arguments[3]);
    struct fletch_batch *batch;
    while ((batch = next_batch(tool, reader)) != NULL) {
        copy_dictionary_metadata(tool, reader, writer);
        check(tool, fletch_ipc_writer_write(writer, batch, fletch_ipc_reader_metadata(reader),
                                            &tool->error));
        fletch_batch_release(tool->cache, batch);
    }
    check(tool, fletch_ipc_writer_finish(writer, &tool->error));
    fletch_ipc_writer_close(writer);
    fletch_ipc_reader_close(reader);
}

enum { RANDOM_BATCHES = 4, RANDOM_ROWS = 40 };

/* The schema and the batches of a seed, some of them slices. A file's dictionaries cannot be
 * replaced, so files get a schema without them. */
static struct fletch_schema *make_random(struct tool *tool, const char *seed, bool for_file,
                                         struct fletch_batch **out_batches)
{
    struct fletch_random random = fletch_random_from_seed(strtoull(seed, NULL, 10));
    const struct random_schema_options options = {
        .columns_max = 8, .depth_max = 3, .no_dictionaries = for_file, .has_all_layouts = true};
    struct fletch_schema *schema = random_schema(&random, &options);
    for (int i = 0; i < RANDOM_BATCHES; i++) {
        uint32_t rows = fletch_random_below(&random, RANDOM_ROWS);
        struct fletch_batch *whole = random_batch(&random, tool->cache, schema, rows);
        uint32_t first = fletch_random_below(&random, rows + 1);
        uint32_t count = fletch_random_below(&random, rows - first + 1);
        out_batches[i] = i % 2 == 0 ? fletch_batch_acquire(whole)
                                    : batch_slice(tool->cache, whole, first, count);
        fletch_batch_release(tool->cache, whole);
    }
    return schema;
}

static void end_random(struct tool *tool, struct fletch_schema *schema,
                       struct fletch_batch **batches)
{
    for (int i = 0; i < RANDOM_BATCHES; i++)
        fletch_batch_release(tool->cache, batches[i]);
    fletch_schema_release(schema);
}

static void write_random(struct tool *tool, char **arguments)
{
    struct fletch_batch *batches[RANDOM_BATCHES];
    bool for_file = is_file(arguments[1]);
    struct fletch_schema *schema = make_random(tool, arguments[0], for_file, batches);
    struct fletch_ipc_writer *writer = open_writer(tool, arguments[1], schema, NULL, arguments[2]);
    for (int i = 0; i < RANDOM_BATCHES; i++)
        check(tool, fletch_ipc_writer_write(writer, batches[i], NULL, &tool->error));
    check(tool, fletch_ipc_writer_finish(writer, &tool->error));
    fletch_ipc_writer_close(writer);
    end_random(tool, schema, batches);
}

static void compare(struct tool *tool, char **arguments)
{
    struct fletch_batch *batches[RANDOM_BATCHES];
    struct fletch_ipc_reader *reader = open_reader(tool, arguments[1]);
    bool for_file = fletch_ipc_reader_batch_count(reader) != FLETCH_IPC_UNKNOWN;
    struct fletch_schema *schema = make_random(tool, arguments[0], for_file, batches);
    check(tool, fletch_schema_compare(schema, fletch_ipc_reader_schema(reader),
                                      FLETCH_COMPARE_METADATA, &tool->error));
    for (int i = 0; i < RANDOM_BATCHES; i++) {
        struct fletch_batch *batch = next_batch(tool, reader);
        if (batch == NULL || !batches_equal(batches[i], batch)) {
            fprintf(stderr, "batch %d differs\n", i);
            exit(1);
        }
        fletch_batch_release(tool->cache, batch);
    }
    if (next_batch(tool, reader) != NULL)
        exit(1);
    fletch_ipc_reader_close(reader);
    end_random(tool, schema, batches);
}

int main(int argc, char **argv)
{
    struct tool tool = {0};
    struct fletch_buffer_pool_options options = {.struct_size = sizeof options};
    check(&tool, fletch_buffer_pool_create(&options, NULL, &tool.pool, &tool.error));
    check(&tool, fletch_buffer_cache_open(tool.pool, &tool.cache, &tool.error));
    if (argc == 3 && strcmp(argv[1], "dump") == 0)
        dump(&tool, argv[2]);
    else if (argc == 6 && strcmp(argv[1], "copy") == 0)
        copy(&tool, argv + 2);
    else if (argc == 5 && strcmp(argv[1], "random") == 0)
        write_random(&tool, argv + 2);
    else if (argc == 4 && strcmp(argv[1], "compare") == 0)
        compare(&tool, argv + 2);
    else
        usage();
    fletch_buffer_cache_close(tool.cache);
    check(&tool, fletch_buffer_pool_destroy(tool.pool, &tool.error));
    return 0;
}
