#include <fletching/arrow.h>

#include <string.h>

#include "arrow/column.h"
#include "support/cmocka_tests.h"
#include "support/hand_arrays.h"
#include "support/pools.h"
#include "support/random_batches.h"
#include "support/schemas.h"

/* Import and export of views, list views, fixed-size lists, unions, runs and dictionaries in
 * dictionaries, made by hand: right, and wrong in each way that tells import nothing good. */

static struct test_pool pool;
static struct hand_arrays arrays;

static enum fletch_status take(struct ArrowArray *root, struct fletch_schema *schema,
                               struct fletch_batch **out_batch, struct fletch_error *error)
{
    const struct fletch_import_options options = {
        .struct_size = sizeof options,
        .cache = pool.cache,
        .account = pool.account,
        .validation = FLETCH_VALIDATION_STRUCTURE,
    };
    return fletch_batch_import(root, schema, &options, out_batch, error);
}

/* A batch of one column, `array`, which is refused and left alone, or (NULL) taken. */
static struct fletch_batch *try_column(const char *text, struct ArrowArray *array, int64_t rows,
                                       const char *message)
{
    struct fletch_schema *schema = schema_new(text);
    struct ArrowArray root = hand_root(&arrays, rows);
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {.message = ""};
    hand_child(&root, array);
    const struct ArrowArray before = root;
    const enum fletch_status status = take(&root, schema, &batch, &error);
    if (message == NULL && status != FLETCH_OK)
        fail_msg("%s: %s", text, error.message);
    if (message != NULL) {
        assert_int_equal(status, FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, message);
        assert_memory_equal(&root, &before, sizeof root);
        assert_null(batch);
    }
    fletch_schema_release(schema);
    arrays.count = 0;
    return batch;
}

static void refused(const char *text, struct ArrowArray *array, int64_t rows, const char *message)
{
    try_column(text, array, rows, message);
}

static struct fletch_batch *taken(const char *text, struct ArrowArray *array, int64_t rows)
{
    arrays.released = 0;
    return try_column(text, array, rows, NULL);
}

static void drop(struct fletch_batch *batch)
{
    assert_int_equal(arrays.released, 0);
    fletch_batch_release(pool.cache, batch);
    assert_int_equal(arrays.released, 1);
    assert_int_equal(account_used_bytes(pool.account), 0);
}

/* What an exported batch is taken for again, at the highest level. */
static void assert_comes_back(struct fletch_batch *batch)
{
    const struct fletch_import_options options = {
        .struct_size = sizeof options, .cache = pool.cache, .validation = FLETCH_VALIDATION_FULL};
    struct fletch_batch *again = NULL;
    struct fletch_error error = {.message = ""};
    struct ArrowArray array;
    assert_ok(fletch_batch_export(batch, pool.cache, &array, &error));
    if (fletch_batch_import(&array, batch->schema, &options, &again, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_memory_equal(again->nodes, batch->nodes, batch->node_count * sizeof *batch->nodes);
    assert_int_equal(again->span_count, batch->span_count);
    for (uint32_t i = 0; i < batch->span_count; i++) {
        assert_ptr_equal(again->spans[i].data, batch->spans[i].data);
        assert_int_equal(again->spans[i].bytes, batch->spans[i].bytes);
    }
    fletch_batch_release(pool.cache, again);
}

/* ---- views ---- */

static const char text[] = "a text of 24 bytes, here";
static const struct fletch_string_view views[3] = {
    {.bytes = 0},
    {.bytes = 24, .prefix = {'a', ' ', 't', 'e'}, .buffer = 1, .offset = 0},
    {.bytes = 13, .prefix = {'2', '4', ' ', 'b'}, .buffer = 1, .offset = 10},
};
static const int64_t sizes[] = {0, 24};

static struct ArrowArray *view_array(int64_t length, int64_t buffer_count)
{
    return hand_array(&arrays,
                      &(struct hand_array){
                          length, 0, 3 - length, buffer_count, {NULL, views, NULL, text, sizes}});
}

static void views_stay_where_they_are(void **state)
{
    (void)state;
    struct fletch_batch *batch = taken("a=vu", view_array(2, 5), 2);
    const struct fletch_column column = fletch_column_of(batch, 0);
    assert_int_equal(column.buffer_count, 2);
    assert_ptr_equal(column.spans[1].data, views);
    assert_int_equal(column.spans[1].bytes, sizeof views);
    assert_null(column.buffers[0].data);
    assert_ptr_equal(column.buffers[1].data, text);
    assert_int_equal(column.buffers[1].bytes, 24);
    struct fletch_batch_span bytes = fletch_column_bytes(&column, 0);
    assert_int_equal(bytes.bytes, 24);
    assert_ptr_equal(bytes.data, text);
    bytes = fletch_column_bytes(&column, 1);
    assert_int_equal(bytes.bytes, 13);
    assert_ptr_equal(bytes.data, text + 10);
    assert_true(account_used_bytes(pool.account) >= sizeof views + 24);
    assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, NULL));
    /* An absent data buffer goes out as an empty one. */
    struct ArrowArray array;
    assert_ok(fletch_batch_export(batch, pool.cache, &array, NULL));
    assert_int_equal(array.children[0]->n_buffers, 5);
    assert_non_null(array.children[0]->buffers[2]);
    assert_memory_equal(array.children[0]->buffers[4], sizes, sizeof sizes);
    array.release(&array);
    assert_comes_back(batch);
    drop(batch);
    /* No data buffers, and no buffer of their sizes. */
    batch = taken("a=vz",
                  hand_array(&arrays, &(struct hand_array){1, 0, 0, 3, {NULL, views, NULL}}), 1);
    assert_int_equal(fletch_column_of(batch, 0).buffer_count, 0);
    assert_comes_back(batch);
    drop(batch);
}

static void misaligned_views_are_copied(void **state)
{
    (void)state;
    _Alignas(8) static uint8_t odd[sizeof views + 4];
    memcpy(odd + 4, views, sizeof views);
    struct ArrowArray *array = view_array(3, 5);
    array->buffers[1] = odd + 4;
    struct fletch_batch *batch = taken("a=vu", array, 3);
    const struct fletch_column column = fletch_column_of(batch, 0);
    assert_int_equal((uintptr_t)column.spans[1].data % 8, 0);
    assert_memory_equal(column.spans[1].data, views, sizeof views);
    drop(batch);
}

static void views_that_lie_about_their_buffers_are_refused(void **state)
{
    (void)state;
    static const int64_t negative[] = {0, -1};
    static const int64_t vast[] = {INT64_MAX, 24};
    static const int64_t absent[] = {1, 24};
    static const int64_t together[] = {INT64_MAX - 24, 24};
    refused("a=vu", view_array(3, 2), 3, "field 'a' (utf8_view): 2 buffers, expected at least 3");
    refused("a=vu", view_array(3, 0), 3, "0 buffers, expected at least 3");
    refused("a=vu", view_array(3, -1), 3, "-1 buffers, expected at least 3");
    refused("a=vu", view_array(3, INT64_MAX), 3, "buffers, expected at least 3");
    struct ArrowArray *array = view_array(3, 5);
    array->buffers[4] = NULL;
    refused("a=vu", array, 3, "field 'a' (utf8_view): no sizes of its 2 data buffers");
    array = view_array(3, 5);
    array->buffers[4] = negative;
    refused("a=vu", array, 3, "data buffer 1 has -1 bytes");
    array = view_array(3, 5);
    array->buffers[4] = absent;
    refused("a=vu", array, 3, "data buffer 0, NULL, has 1 bytes");
    array = view_array(3, 5);
    array->buffers[2] = text;
    array->buffers[4] = vast;
    refused("a=vu", array, 3, "data buffer 0 has 9223372036854775807 bytes");
    array = view_array(3, 5);
    array->buffers[2] = text;
    array->buffers[4] = together;
    refused("a=vu", array, 3, "data buffer 0 has 9223372036854775783 bytes");
    array = view_array(3, 5);
    array->buffers[1] = NULL;
    refused("a=vu", array, 3, "buffer 1 is NULL, expected 48 bytes");
}

/* ---- lists ---- */

static const int8_t bytes[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static struct ArrowArray *byte_array(int64_t length, int64_t offset)
{
    return hand_array(&arrays, &(struct hand_array){length, 0, offset, 2, {NULL, bytes}});
}

static struct ArrowArray *with_child(struct ArrowArray *parent, struct ArrowArray *child)
{
    hand_child(parent, child);
    return parent;
}

static void offsets_of_fixed_size_lists_count_for_their_children(void **state)
{
    (void)state;
    /* 2 of the struct's before the column's, 1 of the list's before those. */
    struct ArrowArray *list =
        hand_array(&arrays, &(struct hand_array){.length = 3, .offset = 1, .buffer_count = 1});
    struct ArrowArray *outer =
        hand_array(&arrays, &(struct hand_array){.length = 1, .offset = 2, .buffer_count = 1});
    with_child(list, byte_array(11, 1));
    with_child(outer, list);
    struct fletch_batch *batch = taken("a=+s(b=+w:2(item=c))", outer, 1);
    assert_int_equal(batch->nodes[1].offset, 3);
    assert_int_equal(batch->nodes[2].offset, 1 + 3 * 2);
    assert_int_equal(batch->nodes[2].length, 2);
    assert_int_equal(batch->spans[3].bytes, 9);
    const struct fletch_column column = fletch_column_of(batch, 1);
    const struct fletch_element_range range = fletch_column_elements(&column, 0);
    assert_int_equal(range.first, 0);
    assert_int_equal(range.count, 2);
    assert_comes_back(batch);
    drop(batch);
}

static struct ArrowArray *fixed_list(int64_t length, int64_t offset, struct ArrowArray *child)
{
    return with_child(
        hand_array(&arrays,
                   &(struct hand_array){.length = length, .offset = offset, .buffer_count = 1}),
        child);
}

static void fixed_size_lists_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    refused("a=+w:3(item=c)", fixed_list(2, 1, byte_array(8, 0)), 2,
            "field 'a.item' (int8): length 8, expected at least its parent's 3 + 6");
    refused("a=+w:2147483647(item=c)", fixed_list(FLETCH_ELEMENTS_MAX, 0, byte_array(8, 0)),
            FLETCH_ELEMENTS_MAX, "field 'a.item' (int8): 2147483647 elements for each of ");
    refused("a=+w:2147483647(item=c)", fixed_list(1, FLETCH_ELEMENTS_MAX, byte_array(8, 0)), 1,
            "elements for each of ");
    refused("a=+w:1(item=c)", fixed_list(1, FLETCH_ELEMENTS_MAX, byte_array(8, 1)), 1,
            "1 elements for each of ");
    struct ArrowArray *list = fixed_list(1, 0, byte_array(8, 0));
    list->n_buffers = 2;
    refused("a=+w:1(item=c)", list, 1, "2 buffers, expected 1");
    struct fletch_batch *batch = taken("a=+w:0(item=c)", fixed_list(2, 1, byte_array(0, 0)), 2);
    assert_comes_back(batch);
    drop(batch);
}

static void list_views_have_starts_and_sizes(void **state)
{
    (void)state;
    static const int32_t starts[] = {9, 4, 0};
    static const int32_t counts[] = {9, 3, 12};
    const struct hand_array hand = {2, 0, 1, 3, {NULL, starts, counts}};
    struct fletch_batch *batch =
        taken("a=+vl(item=c)", with_child(hand_array(&arrays, &hand), byte_array(12, 0)), 2);
    const struct fletch_column column = fletch_column_of(batch, 0);
    const struct fletch_element_range first = fletch_column_elements(&column, 0);
    const struct fletch_element_range below =
        fletch_column_range_below(batch, 0, 0, (struct fletch_element_range){0, 2});
    assert_int_equal(first.first, 4);
    assert_int_equal(first.count, 3);
    assert_int_equal(below.first, 0);
    assert_int_equal(below.count, 12);
    assert_int_equal(batch->spans[2].bytes, 12);
    assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, NULL));
    assert_comes_back(batch);
    drop(batch);
    struct ArrowArray *array = with_child(hand_array(&arrays, &hand), byte_array(12, 0));
    array->buffers[2] = NULL;
    refused("a=+vl(item=c)", array, 2, "buffer 2 is NULL, expected 12 bytes");
    array = with_child(hand_array(&arrays, &hand), byte_array(12, 0));
    array->n_buffers = 2;
    refused("a=+vl(item=c)", array, 2, "2 buffers, expected 3");
}

/* ---- unions ---- */

static const int8_t type_ids[] = {9, 5, 0, 5};
static const int32_t starts[] = {9, 0, 3, 1};

static struct ArrowArray *dense(int64_t buffer_count, const void *first, const void *second,
                                const void *third)
{
    struct ArrowArray *array =
        hand_array(&arrays, &(struct hand_array){3, 0, 1, buffer_count, {first, second, third}});
    with_child(array, byte_array(2, 1));
    return with_child(array, byte_array(4, 0));
}

static struct ArrowArray *sparse(int64_t child_length)
{
    struct ArrowArray *array = hand_array(&arrays, &(struct hand_array){3, 0, 1, 1, {type_ids}});
    with_child(array, byte_array(4, 2));
    return with_child(array, byte_array(child_length, 0));
}

static void unions_have_no_validity(void **state)
{
    (void)state;
    static const uint8_t all[] = {0x0E};
    static const uint8_t some[] = {0x0A};
    struct fletch_batch *batch = taken("a=+ud:5,0(x=c y=c)", dense(2, type_ids, starts, NULL), 3);
    const struct fletch_column column = fletch_column_of(batch, 0);
    assert_int_equal(fletch_column_member(&column, 0), 0);
    assert_int_equal(fletch_column_member(&column, 1), 1);
    assert_int_equal(fletch_column_member_index(&column, 1), 3);
    assert_true(fletch_column_is_valid(&column, 2));
    const struct fletch_element_range all_rows = {0, 3};
    struct fletch_element_range below = fletch_column_range_below(batch, 0, 0, all_rows);
    assert_int_equal(below.first, 0);
    assert_int_equal(below.count, 2);
    below = fletch_column_range_below(batch, 0, 1, all_rows);
    assert_int_equal(below.first, 3);
    assert_int_equal(below.count, 1);
    below = fletch_column_range_below(batch, 0, 1, (struct fletch_element_range){0, 1});
    assert_int_equal(below.count, 0);
    assert_comes_back(batch);
    drop(batch);
    /* As they once were. */
    struct ArrowArray *old = dense(3, all, type_ids, starts);
    old->null_count = -1;
    batch = taken("a=+ud:5,0(x=c y=c)", old, 3);
    assert_int_equal(batch->nodes[0].null_count, 0);
    assert_ptr_equal(batch->spans[0].data, type_ids);
    assert_ptr_equal(batch->spans[1].data, starts);
    assert_comes_back(batch);
    drop(batch);
    drop(taken("a=+ud:5,0(x=c y=c)", dense(3, NULL, type_ids, starts), 3));
    refused(
        "a=+ud:5,0(x=c y=c)", dense(3, some, type_ids, starts), 3,
        "field 'a' (dense_union[5, 0]): a validity with 1 nulls, expected them in the children");
    refused("a=+ud:5,0(x=c y=c)", dense(4, NULL, type_ids, starts), 3, "4 buffers, expected 2");
    refused("a=+ud:5,0(x=c y=c)", dense(1, type_ids, starts, NULL), 3, "1 buffers, expected 2");
    refused("a=+ud:5,0(x=c y=c)", dense(2, NULL, starts, NULL), 3, "buffer 0 is NULL, expected 4");
    refused("a=+ud:5,0(x=c y=c)", dense(2, type_ids, NULL, NULL), 3, "buffer 1 is NULL");
}

static void members_of_sparse_unions_are_aligned(void **state)
{
    (void)state;
    struct fletch_batch *batch = taken("a=+us:5,0(x=c y=c)", sparse(4), 3);
    assert_int_equal(batch->nodes[1].offset, 3);
    assert_int_equal(batch->nodes[1].length, 3);
    assert_int_equal(batch->nodes[2].offset, 1);
    const struct fletch_column column = fletch_column_of(batch, 0);
    assert_int_equal(fletch_column_member_index(&column, 2), 2);
    assert_comes_back(batch);
    drop(batch);
    refused("a=+us:5,0(x=c y=c)", sparse(3), 3,
            "field 'a.y' (int8): length 3, expected at least its parent's 1 + 3");
}

/* ---- runs ---- */

static const int16_t ends[] = {0, 2, 3, 7};

static struct ArrowArray *runs(int64_t run_count, int64_t value_count)
{
    struct ArrowArray *array = hand_array(&arrays, &(struct hand_array){.length = 5, .offset = 2});
    with_child(array, hand_array(&arrays, &(struct hand_array){run_count, 0, 1, 2, {NULL, ends}}));
    return with_child(array, byte_array(value_count, 0));
}

static void runs_are_whole_whatever_the_offset(void **state)
{
    (void)state;
    struct fletch_batch *batch = taken("a=+r(run_ends=s values=c)", runs(3, 4), 5);
    const struct fletch_column run_ends = fletch_column_of(batch, 1);
    assert_int_equal(batch->nodes[0].offset, 2);
    assert_int_equal(batch->nodes[1].length, 3);
    assert_int_equal(batch->nodes[2].length, 4);
    static const int64_t expected[] = {0, 0, 1, 2, 2, 2, 2, 3};
    for (int64_t position = 0; position < 8; position++)
        assert_int_equal(fletch_column_find_run(&run_ends, position), expected[position]);
    struct fletch_element_range below =
        fletch_column_range_below(batch, 0, 1, (struct fletch_element_range){0, 1});
    assert_int_equal(below.first, 1);
    assert_int_equal(below.count, 1);
    below = fletch_column_range_below(batch, 0, 0, (struct fletch_element_range){0, 5});
    assert_int_equal(below.first, 1);
    assert_int_equal(below.count, 2);
    assert_comes_back(batch);
    drop(batch);
    refused("a=+r(run_ends=s values=c)", runs(3, 2), 5,
            "field 'a' (run_end_encoded): 3 run ends and 2 values for 5 elements");
    refused("a=+r(run_ends=s values=c)", runs(0, 2), 5, "0 run ends and 2 values for 5 elements");
    struct ArrowArray *array = runs(3, 3);
    array->children[0]->null_count = 1;
    refused("a=+r(run_ends=s values=c)", array, 5, "field 'a.run_ends' (int16): null count 1");
    array = runs(3, 3);
    array->children[1] = NULL;
    refused("a=+r(run_ends=s values=c)", array, 5, "field 'a.values' (int8): the array is NULL");
    array = runs(3, 3);
    array->n_children = 1;
    refused("a=+r(run_ends=s values=c)", array, 5, "1 children, expected 2");
    array = runs(3, 3);
    array->n_buffers = 1;
    refused("a=+r(run_ends=s values=c)", array, 5, "1 buffers, expected 0");
}

/* ---- dictionaries in dictionaries ---- */

static struct ArrowArray *listed(struct ArrowArray *child)
{
    static const int32_t offsets[] = {0, 1, 2};
    return with_child(hand_array(&arrays, &(struct hand_array){2, 0, 0, 2, {NULL, offsets}}),
                      child);
}

static struct ArrowArray *encoded(struct ArrowArray *values)
{
    struct ArrowArray *array = byte_array(2, 0);
    array->dictionary = values;
    return array;
}

static void dictionaries_lie_in_each_other(void **state)
{
    (void)state;
    static const char schema[] = "a=c<+l(y=c<+s(k=c z=c<vu>)>)>";
    for (int wrong = 0; wrong <= 2; wrong++) {
        struct ArrowArray *inmost = view_array(2, 5);
        struct ArrowArray *middle =
            hand_array(&arrays, &(struct hand_array){.length = 2, .buffer_count = 1});
        with_child(middle, byte_array(2, 3));
        with_child(middle, encoded(inmost));
        struct ArrowArray *array = encoded(listed(encoded(middle)));
        if (wrong == 1)
            inmost->length = -1;
        if (wrong == 2)
            middle->children[1]->dictionary = NULL;
        if (wrong == 0) {
            struct fletch_batch *batch = taken(schema, array, 2);
            const struct fletch_batch *values = batch->dictionaries[0]->dictionaries[0];
            assert_int_equal(values->dictionaries[0]->span_count, 4);
            assert_ok(fletch_batch_validate(batch, FLETCH_VALIDATION_FULL, NULL));
            assert_comes_back(batch);
            drop(batch);
            continue;
        }
        refused(schema, array, 2,
                wrong == 1 ? "dictionary of field 'a..y..z', field '' (utf8_view): length -1"
                           : "dictionary of field 'a..y', field '.z' (dictionary<int8, "
                             "utf8_view>): no dictionary, expected one");
    }
}

/* ---- all of them, damaged at random ---- */

/* An array somewhere below another, as it is before something happens to it. */
struct damaged {
    struct ArrowArray *array;
    struct ArrowArray before;
    const void **pointer; /* of its buffers or children that is gone; NULL: none */
    const void *pointer_before;
};

static struct ArrowArray *any_below(struct fletch_random *random, struct ArrowArray *array)
{
    for (;;) {
        const int64_t places = array->n_children + (array->dictionary != NULL);
        const int64_t place = places == 0 ? 0 : fletch_random_below(random, (uint32_t)places);
        if (places == 0)
            return array;
        array = place < array->n_children ? array->children[place] : array->dictionary;
        if (fletch_random_below(random, 3) == 0)
            return array;
    }
}

static void lose_pointer(struct fletch_random *random, struct damaged *damaged, const void **all,
                         int64_t count)
{
    if (count <= 0)
        return;
    damaged->pointer = &all[fletch_random_below(random, (uint32_t)count)];
    damaged->pointer_before = *damaged->pointer;
    *damaged->pointer = NULL;
}

/* Nothing that import could not see: it believes what it is told of memory. */
static void damage(struct fletch_random *random, struct damaged *damaged)
{
    struct ArrowArray *array = damaged->array;
    const int64_t fewer = fletch_random_below(random, (uint32_t)array->length + 1);
    switch (fletch_random_below(random, 11)) {
    case 0:
        array->length = fewer;
        break;
    case 1:
        array->length = fletch_random_below(random, 2) == 0 ? -1 : INT64_MAX;
        break;
    case 2:
        array->offset = fletch_random_below(random, 2) == 0 ? INT64_MIN : INT64_MAX;
        break;
    case 3:
        array->null_count = fletch_random_below(random, 2) == 0 ? fewer : -2;
        break;
    case 4:
        /* One less of a view's, and data would be taken for sizes. */
        array->n_buffers = array->n_buffers > 3 ? 0 : array->n_buffers - 1;
        break;
    case 5:
        array->n_children -= 1;
        break;
    case 6:
        lose_pointer(random, damaged, array->buffers, array->n_buffers);
        break;
    case 7:
        lose_pointer(random, damaged, (const void **)array->children, array->n_children);
        break;
    case 8:
        array->dictionary = NULL;
        break;
    case 9:
        array->release = NULL;
        break;
    default:
        array->buffers = NULL;
        array->children = NULL;
    }
}

static void repair(struct damaged *damaged)
{
    if (damaged->pointer != NULL)
        *damaged->pointer = damaged->pointer_before;
    *damaged->array = damaged->before;
}

static void damaged_structures_are_survived(void **state)
{
    (void)state;
    struct fletch_random random = fletch_random_from_seed(31);
    const struct random_schema_options schema_options = {
        .columns_max = 5, .depth_max = 5, .has_all_layouts = true};
    const struct fletch_import_options options = {.struct_size = sizeof options,
                                                  .cache = pool.cache,
                                                  .account = pool.account,
                                                  .validation = FLETCH_VALIDATION_FULL};
    int refused_count = 0;
    for (int round = 0; round < 4000; round++) {
        struct fletch_schema *schema = random_schema(&random, &schema_options);
        struct fletch_batch *batch =
            random_batch(&random, pool.cache, schema, fletch_random_below(&random, 30));
        struct fletch_batch *again = NULL;
        struct fletch_error error = {.message = ""};
        struct ArrowArray array;
        assert_ok(fletch_batch_export(batch, pool.cache, &array, NULL));
        struct damaged damaged = {.array = any_below(&random, &array)};
        damaged.before = *damaged.array;
        if (damaged.array != &array)
            damage(&random, &damaged);
        const enum fletch_status status =
            fletch_batch_import(&array, schema, &options, &again, &error);
        if (damaged.array != &array)
            repair(&damaged);
        assert_true(status == FLETCH_OK || status == FLETCH_INVALID_ARGUMENT);
        assert_int_equal(status == FLETCH_OK, array.release == NULL);
        assert_int_equal(status == FLETCH_OK, error.message[0] == '\0');
        refused_count += status != FLETCH_OK;
        if (status != FLETCH_OK)
            array.release(&array);
        fletch_batch_release(pool.cache, again);
        fletch_batch_release(pool.cache, batch);
        fletch_schema_release(schema);
        assert_int_equal(account_used_bytes(pool.account), 0);
    }
    assert_true(refused_count > 1500);
}

static int begin(void **state)
{
    (void)state;
    pool = test_pool_make();
    return 0;
}

static int end(void **state)
{
    (void)state;
    test_pool_end(&pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_stay_where_they_are),
        cmocka_unit_test(misaligned_views_are_copied),
        cmocka_unit_test(views_that_lie_about_their_buffers_are_refused),
        cmocka_unit_test(offsets_of_fixed_size_lists_count_for_their_children),
        cmocka_unit_test(fixed_size_lists_that_do_not_fit_are_refused),
        cmocka_unit_test(list_views_have_starts_and_sizes),
        cmocka_unit_test(unions_have_no_validity),
        cmocka_unit_test(members_of_sparse_unions_are_aligned),
        cmocka_unit_test(runs_are_whole_whatever_the_offset),
        cmocka_unit_test(dictionaries_lie_in_each_other),
        cmocka_unit_test(damaged_structures_are_survived),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
