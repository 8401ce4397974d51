#include "arrow/schema_compare.h"

#include <inttypes.h>
#include <string.h>

/* A field and everything below it. */
struct subtree {
    const struct fletch_schema *schema;
    uint32_t first;
    uint32_t end;
};

struct comparison {
    unsigned flags;
    /* Of the encoded field, for the expected and the found side; NULL: not in a dictionary. */
    const struct fletch_field_path *outside[2];
    struct fletch_error *error;
};

static struct subtree whole(const struct fletch_schema *schema)
{
    return (struct subtree){schema, 0, schema->field_count};
}

/* What an encoded field means instead of what it holds. */
static bool is_seen_through(const struct fletch_field *field, unsigned flags)
{
    return (flags & FLETCH_COMPARE_VALUE_TYPES) != 0 && field->dictionary != FLETCH_NO_INDEX;
}

static struct fletch_field_path path_of(const struct fletch_field_path *outside, struct subtree at)
{
    struct fletch_field_path inside = fletch_field_path_of(at.schema, at.first);
    if (outside == NULL)
        return inside;
    struct fletch_field_path path = *outside;
    fletch_field_path_add(&path, inside.text, strlen(inside.text));
    return path;
}

static enum fletch_status differ(const struct comparison *comparison, struct subtree expected,
                                 struct subtree found, const char *what)
{
    char wanted[FLETCH_FIELD_TEXT_BYTES];
    char seen[FLETCH_FIELD_TEXT_BYTES];
    const struct fletch_field *a = &expected.schema->fields[expected.first];
    const struct fletch_field *b = &found.schema->fields[found.first];
    return fletch_error_set(comparison->error, FLETCH_INVALID_ARGUMENT,
                            "field '%s': another %s: expected %s%s, found %s%s",
                            path_of(comparison->outside[0], expected).text, what,
                            fletch_field_describe(expected.schema, a, wanted, sizeof wanted),
                            a->is_nullable ? "" : " not null",
                            fletch_field_describe(found.schema, b, seen, sizeof seen),
                            b->is_nullable ? "" : " not null");
}

static bool metadata_equal(const struct fletch_metadata *a, const struct fletch_metadata *b)
{
    return a->byte_count == b->byte_count &&
           (a->byte_count == 0 || memcmp(a->bytes, b->bytes, a->byte_count) == 0);
}

/* What is compared of a field whether it is encoded or not. */
static enum fletch_status compare_outside(const struct comparison *comparison,
                                          struct subtree expected, struct subtree found)
{
    const struct fletch_field *a = &expected.schema->fields[expected.first];
    const struct fletch_field *b = &found.schema->fields[found.first];
    if (fletch_schema_name_counts(expected.schema, a) &&
        (a->name_bytes != b->name_bytes || memcmp(a->name, b->name, a->name_bytes) != 0))
        return fletch_error_set(comparison->error, FLETCH_INVALID_ARGUMENT,
                                "field '%s': another name: found '%s'",
                                path_of(comparison->outside[0], expected).text,
                                path_of(comparison->outside[1], found).text);
    if (a->is_nullable != b->is_nullable)
        return differ(comparison, expected, found, "nullability");
    if ((comparison->flags & FLETCH_COMPARE_METADATA) != 0 &&
        !metadata_equal(&a->metadata, &b->metadata))
        return differ(comparison, expected, found, "metadata");
    return FLETCH_OK;
}

static enum fletch_status compare_subtrees(const struct comparison *comparison,
                                           struct subtree expected, struct subtree found);

/* Whether two dictionaries have values of one type. The values' own name, nullability and metadata
 * differ from library to library and say nothing. */
static bool are_of_one_type(const struct comparison *comparison, const struct fletch_schema *one,
                            const struct fletch_schema *other)
{
    const struct comparison inside = {.flags = comparison->flags, .error = NULL};
    struct subtree below_one = whole(one);
    struct subtree below_other = whole(other);
    below_one.first++;
    below_other.first++;
    return fletch_type_equal(&one->fields[0].type, &other->fields[0].type) &&
           one->fields[0].child_count == other->fields[0].child_count &&
           compare_subtrees(&inside, below_one, below_other) == FLETCH_OK;
}

static enum fletch_status compare_dictionaries(const struct comparison *comparison,
                                               struct subtree expected, struct subtree found)
{
    const struct fletch_field *a = &expected.schema->fields[expected.first];
    const struct fletch_field *b = &found.schema->fields[found.first];
    const struct fletch_schema_dictionary *one = fletch_schema_dictionary_of(expected.schema, a);
    const struct fletch_schema_dictionary *other = fletch_schema_dictionary_of(found.schema, b);
    if ((one == NULL) != (other == NULL))
        return differ(comparison, expected, found, "encoding");
    if (one != NULL && (one->is_ordered != other->is_ordered ||
                        !are_of_one_type(comparison, one->values, other->values)))
        return differ(comparison, expected, found, "dictionary");
    return FLETCH_OK;
}

/* An encoded field against one that may be, by what they mean. Recurses as deep as a schema may be.
 * The values' own name and nullability say nothing. */
static enum fletch_status compare_values(const struct comparison *comparison,
                                         struct subtree expected, struct subtree found)
{
    struct subtree sides[2] = {expected, found};
    const struct fletch_field_path paths[2] = {path_of(comparison->outside[0], expected),
                                               path_of(comparison->outside[1], found)};
    struct comparison inside = *comparison;
    for (int i = 0; i < 2; i++) {
        const struct fletch_field *field = &sides[i].schema->fields[sides[i].first];
        sides[i].end = field->end;
        if (field->dictionary == FLETCH_NO_INDEX)
            continue;
        inside.outside[i] = &paths[i];
        sides[i] = whole(sides[i].schema->dictionaries[field->dictionary].values);
    }
    const struct fletch_field *a = &sides[0].schema->fields[sides[0].first];
    const struct fletch_field *b = &sides[1].schema->fields[sides[1].first];
    if (!fletch_type_equal(&a->type, &b->type) || a->child_count != b->child_count)
        return differ(comparison, expected, found, "type");
    sides[0].first++;
    sides[1].first++;
    return compare_subtrees(&inside, sides[0], sides[1]);
}

/* Compares the row that each begins with, and moves behind what was compared. */
static enum fletch_status compare_first(const struct comparison *comparison,
                                        struct subtree *expected, struct subtree *found)
{
    const struct fletch_field *a = &expected->schema->fields[expected->first];
    const struct fletch_field *b = &found->schema->fields[found->first];
    enum fletch_status status = compare_outside(comparison, *expected, *found);
    if (status != FLETCH_OK)
        return status;
    if (is_seen_through(a, comparison->flags) || is_seen_through(b, comparison->flags)) {
        status = compare_values(comparison, *expected, *found);
        expected->first = a->end;
        found->first = b->end;
        return status;
    }
    if (!fletch_type_equal(&a->type, &b->type) || a->child_count != b->child_count)
        return differ(comparison, *expected, *found, "type");
    status = compare_dictionaries(comparison, *expected, *found);
    expected->first++;
    found->first++;
    return status;
}

static enum fletch_status compare_subtrees(const struct comparison *comparison,
                                           struct subtree expected, struct subtree found)
{
    /* Numbers of children are compared row by row, so that both end together. */
    enum fletch_status status = FLETCH_OK;
    while (status == FLETCH_OK && expected.first < expected.end && found.first < found.end)
        status = compare_first(comparison, &expected, &found);
    return status;
}

enum fletch_status fletch_schema_compare(const struct fletch_schema *expected,
                                         const struct fletch_schema *found, unsigned comparison,
                                         struct fletch_error *error)
{
    const struct comparison rules = {.flags = comparison, .error = error};
    if (expected == found)
        return FLETCH_OK;
    enum fletch_status status = compare_subtrees(&rules, whole(expected), whole(found));
    if (status != FLETCH_OK)
        return status;
    if (expected->column_count != found->column_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "schema of %" PRIu32 " columns, expected %" PRIu32,
                                found->column_count, expected->column_count);
    if ((comparison & FLETCH_COMPARE_METADATA) != 0 &&
        !metadata_equal(&expected->metadata, &found->metadata))
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "schema of other metadata: expected %" PRIu32
                                " pairs, found %" PRIu32 ", or others",
                                expected->metadata.count, found->metadata.count);
    return FLETCH_OK;
}

void fletch_fingerprint_add(struct fletch_fingerprint *fingerprint, const void *bytes,
                            size_t byte_count)
{
    /* The prime is 2^88 + 0x13b: a product of 128 bits from three of 64. */
    const uint64_t small = 0x13b;
    const unsigned char *next = bytes;
    uint64_t high = fingerprint->high;
    uint64_t low = fingerprint->low;
    for (size_t i = 0; i < byte_count; i++) {
        low ^= next[i];
        uint64_t low_half = (low & UINT32_MAX) * small;
        uint64_t high_half = (low >> 32) * small + (low_half >> 32);
        high = high * small + (high_half >> 32) + (low << 24);
        low = (high_half << 32) | (low_half & UINT32_MAX);
    }
    fingerprint->high = high;
    fingerprint->low = low;
}

static void add_number(struct fletch_fingerprint *fingerprint, uint32_t number)
{
    const unsigned char bytes[4] = {
        (unsigned char)number,
        (unsigned char)(number >> 8),
        (unsigned char)(number >> 16),
        (unsigned char)(number >> 24),
    };
    fletch_fingerprint_add(fingerprint, bytes, sizeof bytes);
}

static void add_string(struct fletch_fingerprint *fingerprint, const char *bytes, size_t byte_count)
{
    add_number(fingerprint, (uint32_t)byte_count);
    fletch_fingerprint_add(fingerprint, bytes, byte_count);
}

static void add_metadata(struct fletch_fingerprint *fingerprint,
                         const struct fletch_metadata *metadata)
{
    struct fletch_metadata_pair pair;
    add_number(fingerprint, metadata->count);
    for (size_t position = 0; fletch_metadata_next(metadata, &position, &pair);) {
        add_string(fingerprint, pair.key, pair.key_bytes);
        add_string(fingerprint, pair.value, pair.value_bytes);
    }
}

static void add_type(struct fletch_fingerprint *fingerprint, const struct fletch_field *field)
{
    add_string(fingerprint, field->format, strlen(field->format));
    add_number(fingerprint, field->type.keys_are_sorted ? 1 : 0);
    add_number(fingerprint, field->child_count);
}

static void add_fields(struct fletch_fingerprint *fingerprint, struct subtree subtree,
                       unsigned flags);

/* The values' type, and the children of that; nothing of the values' field around it. */
static void add_values(struct fletch_fingerprint *fingerprint, const struct fletch_schema *values,
                       unsigned flags)
{
    add_type(fingerprint, &values->fields[0]);
    add_fields(fingerprint, (struct subtree){values, 1, values->field_count}, flags);
}

static void add_fields(struct fletch_fingerprint *fingerprint, struct subtree subtree,
                       unsigned flags)
{
    for (uint32_t i = subtree.first; i < subtree.end; i++) {
        const struct fletch_field *field = &subtree.schema->fields[i];
        const struct fletch_schema_dictionary *dictionary =
            fletch_schema_dictionary_of(subtree.schema, field);
        if (fletch_schema_name_counts(subtree.schema, field))
            add_string(fingerprint, field->name, field->name_bytes);
        add_number(fingerprint, field->is_nullable ? 1 : 0);
        if ((flags & FLETCH_COMPARE_METADATA) != 0)
            add_metadata(fingerprint, &field->metadata);
        if (!is_seen_through(field, flags))
            add_type(fingerprint, field);
        if (dictionary == NULL)
            continue;
        if (!is_seen_through(field, flags))
            add_string(fingerprint, dictionary->is_ordered ? "ordered" : "dictionary",
                       dictionary->is_ordered ? 7 : 10);
        add_values(fingerprint, dictionary->values, flags);
    }
}

struct fletch_fingerprint fletch_schema_fingerprint(const struct fletch_schema *schema,
                                                    unsigned comparison)
{
    struct fletch_fingerprint fingerprint = FLETCH_FINGERPRINT_BASIS;
    add_number(&fingerprint, schema->column_count);
    if ((comparison & FLETCH_COMPARE_METADATA) != 0)
        add_metadata(&fingerprint, &schema->metadata);
    add_fields(&fingerprint, whole(schema), comparison);
    return fingerprint;
}
