#include "partition/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fletching/fletching.h>

#include "partition/hash_mix.h"
#include "partition/murmur3.h"

#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* The vectors of the model in Python as arrays of every type, by every kernel, whole, sliced and
 * one by one; and random batches, whose rows must hash the same wherever they lie. */

enum { ROWS_MOST = 64, NODES_MOST = 16, SPANS_MOST = 32, WORD_BYTES = 8192, DICTIONARIES = 2 };

static const char *vectors_path;

struct reader {
    FILE *file;
    struct test_pool pool;
    char word[WORD_BYTES];
};

/* What a batch is made of while it is read. */
struct draft {
    struct fletch_batch_node nodes[NODES_MOST];
    struct fletch_batch_span spans[SPANS_MOST];
    struct fletch_buffer *owners[SPANS_MOST];
    struct fletch_batch *dictionaries[DICTIONARIES];
    uint32_t view_spans[NODES_MOST + 1];
    struct fletch_batch_parts parts;
};

struct vectors {
    struct fletch_batch *batch;
    uint64_t hashes[ROWS_MOST];
    uint32_t spark[ROWS_MOST];
    bool has_spark;
};

static bool next_word(struct reader *reader)
{
    return fscanf(reader->file, "%8191s", reader->word) == 1;
}

static void expect_word(struct reader *reader, const char *word)
{
    assert_true(next_word(reader));
    assert_string_equal(reader->word, word);
}

static int64_t next_number(struct reader *reader)
{
    assert_true(next_word(reader));
    return strtoll(reader->word, NULL, 10);
}

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The word, which is hexadecimal bytes or "-", as a span that the draft owns. */
static void read_span(struct reader *reader, struct draft *draft, uint32_t span, bool is_wanted)
{
    assert_true(next_word(reader));
    size_t bytes = reader->word[0] == '-' ? 0 : strlen(reader->word) / 2;
    if (bytes == 0 || !is_wanted)
        return;
    struct fletch_buffer *buffer = buffer_filled(&reader->pool, bytes, 0);
    for (size_t i = 0; i < bytes; i++)
        buffer->data[i] =
            (uint8_t)(digit(reader->word[2 * i]) << 4 | digit(reader->word[2 * i + 1]));
    draft->spans[span] = (struct fletch_batch_span){.data = buffer->data, .bytes = bytes};
    draft->owners[draft->parts.owner_count++] = buffer;
}

/* What the views of a field point into, behind all other spans. */
static void read_buffers(struct reader *reader, struct draft *draft, uint32_t view)
{
    expect_word(reader, "buffers");
    draft->view_spans[view] = draft->parts.span_count;
    for (int64_t count = next_number(reader); count > 0; count--)
        read_span(reader, draft, draft->parts.span_count++, true);
}

static void read_nodes(struct reader *reader, struct draft *draft, struct fletch_schema *schema,
                       int64_t rows)
{
    memset(draft, 0, sizeof *draft);
    draft->parts = (struct fletch_batch_parts){
        .schema = fletch_schema_acquire(schema),
        .row_count = rows,
        .nodes = draft->nodes,
        .node_count = schema->field_count,
        .spans = draft->spans,
        .span_count = schema->span_count,
        .owners = draft->owners,
        .dictionaries = draft->dictionaries,
        .dictionary_count = schema->dictionary_count,
    };
    uint32_t span = 0;
    draft->parts.view_spans = draft->view_spans;
    draft->parts.view_count = schema->view_count;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct fletch_field *field = &schema->fields[i];
        bool has_validity = fletch_type_has_validity(field->type.id);
        expect_word(reader, "node");
        draft->nodes[i].length = next_number(reader);
        draft->nodes[i].null_count = next_number(reader);
        int64_t count = next_number(reader);
        for (int64_t s = 0; s < count; s++)
            read_span(reader, draft, span++,
                      s > 0 || !has_validity || draft->nodes[i].null_count > 0);
        if (field->view != FLETCH_NO_INDEX)
            read_buffers(reader, draft, field->view);
    }
    draft->view_spans[schema->view_count] = draft->parts.span_count;
    assert_int_equal(span, schema->span_count);
}

static struct fletch_batch *make_batch(struct reader *reader, const struct draft *draft)
{
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(reader->pool.cache, NULL, &draft->parts, &batch, NULL));
    return batch;
}

static struct fletch_schema *read_schema(struct reader *reader)
{
    assert_true(next_word(reader));
    if (strcmp(reader->word, "-") == 0)
        return schema_new("");
    for (char *c = reader->word; *c != '\0'; c++)
        if (*c == '_')
            *c = ' ';
    return schema_new(reader->word);
}

/* False: the end of the file. */
static bool read_vectors(struct reader *reader, struct vectors *vectors)
{
    static struct draft draft;
    static struct draft values;
    if (!next_word(reader))
        return false;
    assert_string_equal(reader->word, "batch");
    int64_t rows = next_number(reader);
    next_number(reader);
    struct fletch_schema *schema = read_schema(reader);
    read_nodes(reader, &draft, schema, rows);
    for (uint32_t i = 0; i < schema->dictionary_count; i++) {
        expect_word(reader, "dictionary");
        int64_t count = next_number(reader);
        read_nodes(reader, &values, schema->dictionaries[i].values, count);
        draft.dictionaries[i] = make_batch(reader, &values);
    }
    vectors->batch = make_batch(reader, &draft);
    vectors->has_spark = true;
    for (int64_t i = 0; i < rows; i++) {
        expect_word(reader, "row");
        assert_true(next_word(reader));
        vectors->hashes[i] = strtoull(reader->word, NULL, 16);
        assert_true(next_word(reader));
        vectors->has_spark &= reader->word[0] != '-';
        vectors->spark[i] = (uint32_t)strtoul(reader->word, NULL, 16);
    }
    fletch_schema_release(schema);
    return true;
}

static struct fletch_hash_key all_columns(const struct fletch_batch *batch)
{
    return (struct fletch_hash_key){.rows = batch->schema->columns,
                                    .count = batch->schema->column_count};
}

static void check_rows(const struct vectors *vectors, int64_t first, size_t count)
{
    const struct fletch_batch *batch = vectors->batch;
    struct fletch_row_range range = {first, count};
    for (size_t v = 0; v < FLETCH_HASH_VARIANTS; v++) {
        const struct fletch_hash_kernels *kernels = fletch_hash_kernels_variant(v);
        uint64_t found[ROWS_MOST];
        if (kernels == NULL)
            continue;
        fletch_hash_rows(kernels, batch, all_columns(batch), range, found);
        for (size_t i = 0; i < count; i++)
            if (found[i] != vectors->hashes[(size_t)first + i])
                fail_msg("%s, row %zu of %zu from %lld: %016llx, the model says %016llx",
                         kernels->name, i, count, (long long)first, (unsigned long long)found[i],
                         (unsigned long long)vectors->hashes[(size_t)first + i]);
    }
}

/* Rows behind `first` in a batch that begins there. */
static void check_slice(struct reader *reader, const struct vectors *vectors, int64_t first)
{
    struct vectors part = *vectors;
    int64_t count = vectors->batch->row_count - first;
    part.batch = batch_slice(reader->pool.cache, vectors->batch, first, count);
    memmove(part.hashes, part.hashes + first, (size_t)count * sizeof part.hashes[0]);
    check_rows(&part, 0, (size_t)count);
    fletch_batch_release(reader->pool.cache, part.batch);
}

static void check_spark(const struct vectors *vectors)
{
    const struct fletch_batch *batch = vectors->batch;
    size_t rows = (size_t)batch->row_count;
    struct fletch_error error;
    uint32_t found[ROWS_MOST];
    enum fletch_status status = fletch_murmur3_check(batch->schema, all_columns(batch), &error);
    if (!vectors->has_spark) {
        assert_int_equal(status, FLETCH_UNIMPLEMENTED);
        assert_contains(error.message, "has no hash in Spark");
        return;
    }
    assert_int_equal(status, FLETCH_OK);
    fletch_murmur3_rows(batch, all_columns(batch), (struct fletch_row_range){0, rows}, found);
    for (size_t i = 0; i < rows; i++)
        assert_int_equal(found[i], vectors->spark[i]);
}

static void check_one_by_one(const struct vectors *vectors)
{
    const struct fletch_batch *batch = vectors->batch;
    for (int64_t i = 0; i < batch->row_count; i++) {
        uint64_t hash = FLETCH_HASH_ROW;
        for (uint32_t c = 0; c < batch->schema->column_count; c++)
            hash = fletch_hash_step(hash, fletch_hash_word(batch, batch->schema->columns[c], i));
        assert_true(hash == vectors->hashes[i]);
    }
}

static void the_vectors_of_the_model_come_out(void **state)
{
    (void)state;
    static struct reader reader;
    static struct vectors vectors;
    reader.file = fopen(vectors_path, "r");
    assert_non_null(reader.file);
    reader.pool = test_pool_make();
    size_t batches = 0;
    for (; read_vectors(&reader, &vectors); batches++) {
        check_rows(&vectors, 0, (size_t)vectors.batch->row_count);
        check_one_by_one(&vectors);
        check_spark(&vectors);
        for (int64_t first = 1; first < vectors.batch->row_count; first++) {
            check_rows(&vectors, first, (size_t)(vectors.batch->row_count - first));
            check_slice(&reader, &vectors, first);
        }
        fletch_batch_release(reader.pool.cache, vectors.batch);
    }
    assert_true(batches >= 60);
    fclose(reader.file);
    test_pool_end(&reader.pool);
}

/* What everybody who has implemented Spark's hash knows. */
static void sparks_own_values_come_out(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct fletch_schema *schema = schema_new("k0=i");
    struct fletch_buffer *buffer = buffer_filled(&pool, 12, 0);
    const int32_t values[] = {1, 0, -1};
    memcpy(buffer->data, values, sizeof values);
    struct fletch_batch_node node = {.length = 3};
    struct fletch_batch_span spans[2] = {{NULL, 0}, {buffer->data, 12}};
    struct fletch_batch_parts parts = {.schema = schema,
                                       .row_count = 3,
                                       .nodes = &node,
                                       .node_count = 1,
                                       .spans = spans,
                                       .span_count = 2,
                                       .owners = &buffer,
                                       .owner_count = 1};
    struct fletch_batch *batch = NULL;
    assert_ok(fletch_batch_create(pool.cache, NULL, &parts, &batch, NULL));
    uint32_t hashes[3];
    fletch_murmur3_rows(batch, all_columns(batch), (struct fletch_row_range){0, 3}, hashes);
    assert_int_equal(hashes[0], 0xdea578e3);
    assert_int_equal(hashes[1], 0x379fae8f);
    assert_int_equal(hashes[2], 0xa0590e3d);
    fletch_batch_release(pool.cache, batch);
    test_pool_end(&pool);
}

/* ---- random batches ---- */

/* Blocks, slices and single values agree, for batches longer than a block. */
static void rows_hash_the_same_wherever_they_lie(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct fletch_random random = fletch_random_from_seed(seed);
        struct random_schema_options options = {
            .columns_max = 6, .depth_max = 4, .has_all_layouts = true};
        struct fletch_schema *schema =
            seed == 0 ? schema_of_every_layout() : random_schema(&random, &options);
        int64_t rows = 1100 + fletch_random_below(&random, 200);
        struct fletch_batch *batch = random_batch(&random, pool.cache, schema, rows);
        struct fletch_batch *tail = batch_slice(pool.cache, batch, 37, rows - 37);
        uint64_t *whole = calloc((size_t)rows, sizeof *whole);
        uint64_t *part = calloc((size_t)rows, sizeof *part);
        uint64_t sum = 0;
        fletch_hash_rows(&fletch_hash_scalar, batch, all_columns(batch),
                         (struct fletch_row_range){0, (size_t)rows}, whole);
        fletch_hash_rows(fletch_hash_kernels_best(), tail, all_columns(tail),
                         (struct fletch_row_range){0, (size_t)rows - 37}, part);
        assert_memory_equal(whole + 37, part, ((size_t)rows - 37) * sizeof *part);
        for (int64_t i = 0; i < rows; i++)
            sum += whole[i];
        assert_true(fletch_hash_row_sum(batch) == sum);
        free(whole);
        free(part);
        fletch_batch_release(pool.cache, tail);
        fletch_batch_release(pool.cache, batch);
        fletch_schema_release(schema);
    }
    test_pool_end(&pool);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s <what hash_model.py --columns prints>\n", argv[0]);
        return 2;
    }
    vectors_path = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_model_come_out),
        cmocka_unit_test(sparks_own_values_come_out),
        cmocka_unit_test(rows_hash_the_same_wherever_they_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
