#include "arrow/array_import.h"

#include <stdlib.h>
#include <string.h>

#include "arrow/column.h"
#include "support/cmocka_tests.h"
#include "support/hand_arrays.h"
#include "support/pools.h"
#include "support/schemas.h"

static struct fletch_import_options options_of(const struct test_pool *pool,
                                               enum fletch_validation validation)
{
    return (struct fletch_import_options){
        .struct_size = sizeof(struct fletch_import_options),
        .cache = pool->cache,
        .account = pool->account,
        .validation = validation,
    };
}

/* Imports what must be accepted. */
static struct fletch_batch *taken(struct test_pool *pool, struct ArrowArray *root,
                                  struct fletch_schema *schema)
{
    const struct fletch_import_options options = options_of(pool, FLETCH_VALIDATION_FULL);
    struct fletch_batch *batch = NULL;
    struct fletch_error error;
    if (fletch_batch_import(root, schema, &options, &batch, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_null(root->release);
    return batch;
}

static const int64_t longs[] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19};

static void values_stay_where_they_are(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct hand_arrays arrays = {.count = 0};
    static const uint8_t validity[] = {0xB6, 0x03}; /* 0 1 1 0 1 1 0 1 | 1 1 */
    static const uint8_t all[] = {0x1E};            /* all of 1 to 4 */
    static const uint8_t bits[] = {0x5A, 0x01};
    struct fletch_schema *schema = schema_new("a=l b=b n=n");
    struct ArrowArray root = hand_root(&arrays, 4);
    hand_child(&root, hand_array(&arrays, &(struct hand_array){5, -1, 3, 2, {validity, longs}}));
    hand_child(&root, hand_array(&arrays, &(struct hand_array){4, 0, 1, 2, {all, bits}}));
    hand_child(&root, hand_array(&arrays, &(struct hand_array){.length = 9, .null_count = 9}));
    struct fletch_batch *batch = taken(&pool, &root, schema);
    assert_int_equal(fletch_batch_row_count(batch), 4);
    struct fletch_column a = fletch_column_of(batch, 0);
    assert_ptr_equal(a.spans[0].data, validity);
    assert_int_equal(a.spans[0].bytes, 1);
    assert_ptr_equal(a.spans[1].data, longs);
    assert_int_equal(a.spans[1].bytes, 7 * sizeof(int64_t));
    assert_int_equal(a.node->offset, 3);
    assert_int_equal(a.node->null_count, -1);
    static const bool valid[] = {false, true, true, false};
    for (int64_t i = 0; i < 4; i++)
        assert_int_equal(fletch_column_is_valid(&a, i), valid[i]);
    /* No nulls: the validity is let go. */
    struct fletch_column b = fletch_column_of(batch, 1);
    assert_null(b.spans[0].data);
    assert_ptr_equal(b.spans[1].data, bits);
    assert_int_equal(fletch_column_of(batch, 2).node->null_count, 4);
    assert_int_equal(arrays.released, 0);
    assert_true(account_used_bytes(pool.account) >= 1 + 7 * sizeof(int64_t) + 1);
    fletch_batch_release(pool.cache, batch);
    assert_int_equal(arrays.released, 1);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void offsets_of_structs_add_up(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct hand_arrays arrays = {.count = 0};
    static const uint8_t validity[] = {0xFF};
    struct fletch_schema *schema = schema_new("s=+s(t=+s(x=l) y=l)");
    struct ArrowArray root = hand_root(&arrays, 3);
    root.offset = 1;
    struct ArrowArray *s = hand_array(&arrays, &(struct hand_array){4, 0, 2, 1, {NULL}});
    struct ArrowArray *t = hand_array(&arrays, &(struct hand_array){6, -1, 1, 1, {validity}});
    struct ArrowArray *x = hand_array(&arrays, &(struct hand_array){8, 0, 2, 2, {NULL, longs}});
    struct ArrowArray *y = hand_array(&arrays, &(struct hand_array){6, 0, 0, 2, {NULL, longs}});
    hand_child(&root, s);
    hand_child(s, t);
    hand_child(s, y);
    hand_child(t, x);
    struct fletch_batch *batch = taken(&pool, &root, schema);
    static const int64_t offsets[] = {3, 4, 6, 3};
    for (uint32_t row = 0; row < 4; row++) {
        assert_int_equal(batch->nodes[row].offset, offsets[row]);
        assert_int_equal(batch->nodes[row].length, 3);
    }
    assert_int_equal(batch->spans[batch->schema->fields[2].first_span + 1].bytes, 72);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static const int32_t offsets32[] = {0, 2, 2, 5, 9};
static const int64_t offsets64[] = {0, 1, 1, 3};
static const char text[] = "abcdefghi";

static void sizes_come_from_the_last_offset(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct hand_arrays arrays = {.count = 0};
    struct fletch_schema *schema = schema_new("u=u z=Z li=+l(item=u) w=w:3");
    struct ArrowArray root = hand_root(&arrays, 2);
    hand_child(&root,
               hand_array(&arrays, &(struct hand_array){3, 0, 1, 3, {NULL, offsets32, text}}));
    hand_child(&root,
               hand_array(&arrays, &(struct hand_array){3, 0, 0, 3, {NULL, offsets64, text}}));
    struct ArrowArray *list =
        hand_array(&arrays, &(struct hand_array){2, 0, 0, 2, {NULL, offsets64}});
    /* 32-bit offsets 0, 0, 1 of the list, as little-endian pairs of the 64-bit ones. */
    hand_child(list,
               hand_array(&arrays, &(struct hand_array){4, 0, 0, 3, {NULL, offsets32, text}}));
    hand_child(&root, list);
    hand_child(&root, hand_array(&arrays, &(struct hand_array){2, 0, 1, 2, {NULL, text}}));
    struct fletch_batch *batch = taken(&pool, &root, schema);
    assert_int_equal(fletch_column_of(batch, 0).spans[1].bytes, 4 * sizeof(int32_t));
    assert_int_equal(fletch_column_of(batch, 0).spans[2].bytes, 5);
    assert_int_equal(fletch_column_of(batch, 1).spans[2].bytes, 1);
    assert_int_equal(fletch_column_of(batch, 3).node->length, 4);
    assert_int_equal(fletch_column_of(batch, 3).spans[2].bytes, 9);
    assert_int_equal(fletch_column_of(batch, 4).spans[1].bytes, 9);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void empty_arrays_need_no_buffers(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct hand_arrays arrays = {.count = 0};
    struct fletch_schema *schema = schema_new("a=l u=u li=+l(item=u) b=b");
    struct ArrowArray root = hand_root(&arrays, 0);
    hand_child(&root, hand_array(&arrays, &(struct hand_array){.buffer_count = 2}));
    hand_child(&root,
               hand_array(&arrays, &(struct hand_array){.buffer_count = 3, .null_count = -1}));
    struct ArrowArray *list = hand_array(&arrays, &(struct hand_array){.buffer_count = 2});
    hand_child(list, hand_array(&arrays, &(struct hand_array){.buffer_count = 3}));
    hand_child(&root, list);
    hand_child(&root, hand_array(&arrays, &(struct hand_array){.buffer_count = 2, .offset = 5}));
    struct fletch_batch *batch = taken(&pool, &root, schema);
    assert_int_equal(fletch_batch_row_count(batch), 0);
    fletch_batch_release(pool.cache, batch);
    assert_int_equal(arrays.released, 1);
    fletch_schema_release(schema);
    /* No columns, and rows all the same. */
    schema = schema_new("");
    root = hand_root(&arrays, 7);
    batch = taken(&pool, &root, schema);
    assert_int_equal(fletch_batch_row_count(batch), 7);
    fletch_batch_release(pool.cache, batch);
    assert_int_equal(arrays.released, 2);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void misaligned_buffers_are_copied(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct hand_arrays arrays = {.count = 0};
    static _Alignas(8) uint8_t memory[128];
    memcpy(memory + 1, longs, sizeof longs);
    memcpy(memory + 1 + sizeof longs, offsets32, sizeof offsets32);
    struct fletch_schema *schema = schema_new("a=l u=u");
    struct ArrowArray root = hand_root(&arrays, 4);
    hand_child(&root, hand_array(&arrays, &(struct hand_array){4, 0, 2, 2, {NULL, memory + 1}}));
    hand_child(&root,
               hand_array(&arrays, &(struct hand_array){
                                       4, 0, 0, 3, {NULL, memory + 1 + sizeof longs, text + 1}}));
    struct fletch_batch *batch = taken(&pool, &root, schema);
    struct fletch_column a = fletch_column_of(batch, 0);
    assert_ptr_not_equal(a.spans[1].data, memory + 1);
    assert_memory_equal(a.spans[1].data, longs, 6 * sizeof(int64_t));
    struct fletch_column u = fletch_column_of(batch, 1);
    assert_memory_equal(u.spans[1].data, offsets32, sizeof offsets32);
    assert_ptr_equal(u.spans[2].data, text + 1);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

static void a_dictionary_keeps_the_array_alive(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct hand_arrays arrays = {.count = 0};
    static const int8_t indices[] = {3, 0, -1, 2};
    static const uint8_t validity[] = {0x0B};
    struct fletch_schema *schema = schema_new("d=c<u>");
    struct ArrowArray root = hand_root(&arrays, 4);
    struct ArrowArray *d =
        hand_array(&arrays, &(struct hand_array){4, 1, 0, 2, {validity, indices}});
    d->dictionary = hand_array(&arrays, &(struct hand_array){4, 0, 0, 3, {NULL, offsets32, text}});
    hand_child(&root, d);
    struct fletch_batch *batch = taken(&pool, &root, schema);
    struct fletch_batch *values = fletch_batch_acquire(batch->dictionaries[0]);
    assert_int_equal(fletch_batch_row_count(values), 4);
    fletch_batch_release(pool.cache, batch);
    assert_int_equal(arrays.released, 0);
    assert_ptr_equal(fletch_column_of(values, 0).spans[2].data, text);
    fletch_batch_release(pool.cache, values);
    assert_int_equal(arrays.released, 1);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

/* A batch of one column of each kind, to be damaged. */
struct victim {
    struct fletch_schema *schema;
    struct ArrowArray root;
};
enum { LONG, TEXT, LIST, ITEM, STRUCT, MEMBER, CODE, VALUES };

static struct victim victim_make(void)
{
    static const int8_t indices[] = {3, 0, 1, 2};
    static const int32_t list_offsets[] = {0, 1, 1, 2, 4};
    static struct hand_arrays storage;
    struct hand_arrays *arrays = &storage;
    struct victim victim;
    storage = (struct hand_arrays){.count = 0};
    struct ArrowArray *made[VALUES + 1];
    made[LONG] = hand_array(arrays, &(struct hand_array){4, 0, 0, 2, {NULL, longs}});
    made[TEXT] = hand_array(arrays, &(struct hand_array){4, 0, 0, 3, {NULL, offsets32, text}});
    made[LIST] = hand_array(arrays, &(struct hand_array){4, 0, 0, 2, {NULL, list_offsets}});
    made[ITEM] = hand_array(arrays, &(struct hand_array){4, 0, 0, 2, {NULL, longs}});
    made[STRUCT] = hand_array(arrays, &(struct hand_array){4, 0, 0, 1, {NULL}});
    made[MEMBER] = hand_array(arrays, &(struct hand_array){4, 0, 0, 2, {NULL, longs}});
    made[CODE] = hand_array(arrays, &(struct hand_array){4, 0, 0, 2, {NULL, indices}});
    made[VALUES] = hand_array(arrays, &(struct hand_array){4, 0, 0, 3, {NULL, offsets32, text}});
    victim.root = hand_root(arrays, 4);
    hand_child(made[LIST], made[ITEM]);
    hand_child(made[STRUCT], made[MEMBER]);
    made[CODE]->dictionary = made[VALUES];
    hand_child(&victim.root, made[LONG]);
    hand_child(&victim.root, made[TEXT]);
    hand_child(&victim.root, made[LIST]);
    hand_child(&victim.root, made[STRUCT]);
    hand_child(&victim.root, made[CODE]);
    victim.schema = schema_new("a=l u=u li=+l(item=l) st=+s(x=l) d=c<u>");
    return victim;
}

static struct ArrowArray *column(struct victim *victim, int index)
{
    return victim->root.children[index];
}

static void damage_null_root_child(struct victim *victim)
{
    victim->root.children[0] = NULL;
}
static void damage_moved_child(struct victim *victim)
{
    column(victim, 3)->children[0]->release = NULL;
}
static void damage_moved_root(struct victim *victim)
{
    victim->root.release = NULL;
}
static void damage_columns(struct victim *victim)
{
    victim->root.n_children--;
}
static void damage_root_buffers(struct victim *victim)
{
    victim->root.n_buffers = 0;
}
static void damage_root_length(struct victim *victim)
{
    victim->root.length = -1;
}
static void damage_root_offset(struct victim *victim)
{
    victim->root.offset = 1;
}
static void damage_root_nulls(struct victim *victim)
{
    static const uint8_t bits[] = {0x07};
    victim->root.null_count = -1;
    victim->root.buffers[0] = bits;
}
static void damage_no_root_nulls(struct victim *victim)
{
    static const uint8_t bits[] = {0x07};
    victim->root.buffers[0] = bits;
}
static void damage_lost_root_nulls(struct victim *victim)
{
    victim->root.null_count = 1;
}
static void damage_root_null_count(struct victim *victim)
{
    victim->root.null_count = 5;
}
static void damage_length(struct victim *victim)
{
    column(victim, 0)->length = INT64_MAX;
}
static void damage_offset(struct victim *victim)
{
    column(victim, 0)->offset = -1;
}
static void damage_null_count(struct victim *victim)
{
    column(victim, 0)->null_count = 5;
}
static void damage_lost_validity(struct victim *victim)
{
    column(victim, 0)->null_count = 1;
}
static void damage_no_nulls(struct victim *victim)
{
    static const uint8_t bits[] = {0x0B};
    column(victim, 0)->buffers[0] = bits;
}
static void damage_buffer_count(struct victim *victim)
{
    column(victim, 1)->n_buffers = 2;
}
static void damage_no_buffers(struct victim *victim)
{
    column(victim, 1)->buffers = NULL;
}
static void damage_children(struct victim *victim)
{
    column(victim, 2)->n_children = 0;
}
static void damage_no_children(struct victim *victim)
{
    column(victim, 2)->children = NULL;
}
static void damage_member_length(struct victim *victim)
{
    column(victim, 3)->children[0]->length = 3;
}
static void damage_no_values(struct victim *victim)
{
    column(victim, 3)->children[0]->buffers[1] = NULL;
}
static void damage_no_offsets(struct victim *victim)
{
    column(victim, 1)->buffers[1] = NULL;
}
static void damage_no_text(struct victim *victim)
{
    column(victim, 1)->buffers[2] = NULL;
}
static void damage_no_dictionary(struct victim *victim)
{
    column(victim, 4)->dictionary = NULL;
}
static void damage_extra_dictionary(struct victim *victim)
{
    column(victim, 0)->dictionary = column(victim, 1);
}
static void damage_dictionary(struct victim *victim)
{
    column(victim, 4)->dictionary->length = -4;
}
static const int32_t below_zero[] = {0, 2, 2, 5, -9};
static void damage_last_offset(struct victim *victim)
{
    column(victim, 1)->buffers[1] = below_zero;
}
static const int32_t descending[] = {0, 5, 2, 5, 9};
static void damage_offsets(struct victim *victim)
{
    column(victim, 1)->buffers[1] = descending;
}
static void damage_list(struct victim *victim)
{
    column(victim, 2)->children[0]->length = 3;
}
static void damage_text(struct victim *victim)
{
    column(victim, 1)->buffers[2] = "ab\xC3\x28"
                                    "efghi";
}
static void damage_indices(struct victim *victim)
{
    static const int8_t indices[] = {3, 0, 4, 2};
    column(victim, 4)->buffers[1] = indices;
}

static const struct {
    void (*damage)(struct victim *victim);
    enum fletch_validation level; /* the first one that finds it */
    const char *message;
} damages[] = {
    {damage_null_root_child, 1, "field 'a' (int64): the array is NULL"},
    {damage_moved_child, 1, "field 'st.x' (int64): the array was released or moved"},
    {damage_moved_root, 1, "batch: the array was released or moved"},
    {damage_columns, 1, "batch: 4 columns, expected 5"},
    {damage_root_buffers, 1, "batch: 0 buffers, expected a struct's 1"},
    {damage_root_length, 1, "batch: length -1 at offset 0"},
    {damage_root_offset, 1, "field 'a' (int64): length 4, expected at least its parent's 1 + 4"},
    {damage_root_nulls, 1, "batch: rows that are null as a whole, expected none"},
    {damage_lost_root_nulls, 1, "batch: null count 1 and no validity, expected no nulls"},
    {damage_root_null_count, 1, "batch: null count 5, expected -1 to 4"},
    {damage_length, 1, "field 'a' (int64): length 9223372036854775807 at offset 0"},
    {damage_offset, 1, "field 'a' (int64): length 4 at offset -1"},
    {damage_null_count, 1, "field 'a' (int64): null count 5, expected -1 to 4"},
    {damage_lost_validity, 1, "field 'a' (int64): nulls and no validity"},
    {damage_buffer_count, 1, "field 'u' (utf8): 2 buffers, expected 3"},
    {damage_no_buffers, 1, "field 'u' (utf8): no pointers to its buffers"},
    {damage_children, 1, "field 'li' (list): 0 children, expected 1"},
    {damage_no_children, 1, "field 'li' (list): no pointers to its buffers or children"},
    {damage_member_length, 1, "field 'st.x' (int64): length 3, expected at least"},
    {damage_no_values, 1, "field 'st.x' (int64): buffer 1 is NULL, expected 32 bytes"},
    {damage_no_offsets, 1, "field 'u' (utf8): buffer 1 is NULL, expected 20 bytes"},
    {damage_no_text, 1, "field 'u' (utf8): buffer 2 is NULL, expected 9 bytes"},
    {damage_no_dictionary, 1, "field 'd' (dictionary<int8, utf8>): no dictionary, expected one"},
    {damage_extra_dictionary, 1, "field 'a' (int64): a dictionary, expected none"},
    {damage_dictionary, 1, "dictionary of field 'd', field '' (utf8): length -4"},
    {damage_last_offset, 1, "field 'u' (utf8): offsets end at -9"},
    {damage_offsets, 2, "field 'u' (utf8): element 1 ends at 2, expected at least its begin, 5"},
    {damage_list, 2, "field 'li' (list): offsets end at 4, expected at most the child's length 3"},
    {damage_text, 3, "field 'u' (utf8): element 2, 3 bytes at 2, is not UTF-8"},
    {damage_no_nulls, 3, "field 'a' (int64): null count 0, its validity has 1"},
    {damage_no_root_nulls, 3, "batch: null count 0, its validity has 1"},
    {damage_indices, 3, "element 2 has index 4, expected 0 or more and below the dictionary's 4"},
};

static void what_is_damaged_is_refused_and_left_alone(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++)
        for (int level = FLETCH_VALIDATION_DEFAULT; level <= FLETCH_VALIDATION_FULL; level++) {
            struct victim victim = victim_make();
            struct hand_arrays *arrays = victim.root.private_data;
            const struct fletch_import_options options =
                options_of(&pool, (enum fletch_validation)level);
            const int strictness = level == 0 ? FLETCH_VALIDATION_STRUCTURE : level;
            struct fletch_batch *batch = NULL;
            struct fletch_error error = {.message = ""};
            damages[i].damage(&victim);
            const struct ArrowArray before = victim.root;
            const bool is_found = strictness >= (int)damages[i].level;
            assert_int_equal(
                fletch_batch_import(&victim.root, victim.schema, &options, &batch, &error),
                is_found ? FLETCH_INVALID_ARGUMENT : FLETCH_OK);
            if (is_found) {
                assert_contains(error.message, damages[i].message);
                assert_memory_equal(&victim.root, &before, sizeof before);
                assert_null(batch);
            }
            assert_int_equal(arrays->released, 0);
            fletch_batch_release(pool.cache, batch);
            assert_int_equal(arrays->released, is_found ? 0 : 1);
            fletch_schema_release(victim.schema);
        }
    test_pool_end(&pool);
}

static void rows_that_are_said_to_be_valid_are_looked_up(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct victim victim = victim_make();
    static const uint8_t bits[] = {0x0F};
    victim.root.null_count = -1;
    victim.root.buffers[0] = bits;
    struct fletch_batch *batch = taken(&pool, &victim.root, victim.schema);
    fletch_batch_release(pool.cache, batch);
    fletch_schema_release(victim.schema);
    test_pool_end(&pool);
}

static void options_are_checked(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct victim victim = victim_make();
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {.message = ""};
    struct fletch_import_options options = options_of(&pool, (enum fletch_validation)4);
    assert_int_equal(fletch_batch_import(&victim.root, victim.schema, &options, &batch, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "validation 4, expected 0 to 3");
    options = options_of(&pool, FLETCH_VALIDATION_DEFAULT);
    options.cache = NULL;
    assert_int_equal(fletch_batch_import(&victim.root, victim.schema, &options, &batch, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "without a cache");
    assert_int_equal(fletch_batch_import(&victim.root, victim.schema, NULL, &batch, NULL),
                     FLETCH_INVALID_ARGUMENT);
    assert_non_null(victim.root.release);
    fletch_schema_release(victim.schema);
    test_pool_end(&pool);
}

static void a_full_account_refuses_it(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct victim victim = victim_make();
    struct fletch_account *account = account_make(pool.account, "small", 100, 0);
    struct fletch_import_options options = options_of(&pool, FLETCH_VALIDATION_DEFAULT);
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {.message = ""};
    options.account = account;
    assert_int_equal(fletch_batch_import(&victim.root, victim.schema, &options, &batch, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "small");
    assert_non_null(victim.root.release);
    assert_int_equal(account_used_bytes(account), 0);
    fletch_account_close(account);
    fletch_schema_release(victim.schema);
    test_pool_end(&pool);
}

/* Four columns of 2^62 bytes each, by their lengths: a sum of 64 bits would wrap to nothing. */
static void bytes_that_do_not_add_up_are_refused(void **state)
{
    (void)state;
    struct test_pool pool = test_pool_make();
    struct hand_arrays arrays = {.count = 0};
    const int64_t most = INT64_MAX / 512;
    struct fletch_schema *schema = schema_new("a=w:256 b=w:256 c=w:256 d=w:256");
    const struct fletch_import_options options = options_of(&pool, FLETCH_VALIDATION_STRUCTURE);
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {.message = ""};
    struct ArrowArray root = hand_root(&arrays, 1);
    for (int i = 0; i < 4; i++)
        hand_child(&root, hand_array(&arrays, &(struct hand_array){1, 0, most, 2, {NULL, longs}}));
    assert_int_equal(fletch_batch_import(&root, schema, &options, &batch, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "field 'b'");
    assert_contains(error.message, "more bytes than memory has addresses");
    assert_non_null(root.release);
    assert_int_equal(arrays.released, 0);
    fletch_schema_release(schema);
    test_pool_end(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stay_where_they_are),
        cmocka_unit_test(offsets_of_structs_add_up),
        cmocka_unit_test(sizes_come_from_the_last_offset),
        cmocka_unit_test(empty_arrays_need_no_buffers),
        cmocka_unit_test(misaligned_buffers_are_copied),
        cmocka_unit_test(a_dictionary_keeps_the_array_alive),
        cmocka_unit_test(what_is_damaged_is_refused_and_left_alone),
        cmocka_unit_test(rows_that_are_said_to_be_valid_are_looked_up),
        cmocka_unit_test(bytes_that_do_not_add_up_are_refused),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(a_full_account_refuses_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
