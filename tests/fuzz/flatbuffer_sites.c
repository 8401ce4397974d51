#include "fuzz/flatbuffer_sites.h"

#include <stdbool.h>
#include <string.h>

enum { SLOTS_MAX = 8, DEPTH_MAX = 72, ELEMENTS_MAX = 256 };

/* What a field of a table is. Up to SHAPE_WORD a number of 2^shape bytes. */
enum shape {
    SHAPE_BYTE,
    SHAPE_SHORT,
    SHAPE_INT,
    SHAPE_WORD,
    SHAPE_TEXT,
    SHAPE_NUMBERS, /* a vector whose elements have `more` numbers of 8 bytes */
    SHAPE_TABLE,   /* of the kind `more`, as in the next two */
    SHAPE_TABLES,
    SHAPE_HEADER, /* the kind stands in the field before */
    SHAPE_NONE
};

enum table {
    TABLE_MESSAGE,
    TABLE_SCHEMA,
    TABLE_DICTIONARY,
    TABLE_BATCH,
    TABLE_FIELD,
    TABLE_TYPE,
    TABLE_ENCODING,
    TABLE_PAIR,
    TABLE_COMPRESSION,
    TABLE_FOOTER,
    TABLES
};

struct slot {
    uint8_t shape;
    uint8_t more;
};

#define END \
    { \
        SHAPE_NONE, 0 \
    }

static const struct slot tables[TABLES][SLOTS_MAX] = {
    [TABLE_MESSAGE] = {{SHAPE_SHORT, 0},
                       {SHAPE_BYTE, 0},
                       {SHAPE_HEADER, 0},
                       {SHAPE_WORD, 0},
                       {SHAPE_TABLES, TABLE_PAIR},
                       END},
    [TABLE_SCHEMA] = {{SHAPE_SHORT, 0},
                      {SHAPE_TABLES, TABLE_FIELD},
                      {SHAPE_TABLES, TABLE_PAIR},
                      {SHAPE_NUMBERS, 1},
                      END},
    [TABLE_DICTIONARY] = {{SHAPE_WORD, 0}, {SHAPE_TABLE, TABLE_BATCH}, {SHAPE_BYTE, 0}, END},
    [TABLE_BATCH] = {{SHAPE_WORD, 0},
                     {SHAPE_NUMBERS, 2},
                     {SHAPE_NUMBERS, 2},
                     {SHAPE_TABLE, TABLE_COMPRESSION},
                     {SHAPE_NUMBERS, 1},
                     END},
    [TABLE_FIELD] = {{SHAPE_TEXT, 0},
                     {SHAPE_BYTE, 0},
                     {SHAPE_BYTE, 0},
                     {SHAPE_TABLE, TABLE_TYPE},
                     {SHAPE_TABLE, TABLE_ENCODING},
                     {SHAPE_TABLES, TABLE_FIELD},
                     {SHAPE_TABLES, TABLE_PAIR},
                     END},
    /* Of any type: units, widths, offsets to names and numbers. */
    [TABLE_TYPE] = {{SHAPE_SHORT, 0}, {SHAPE_INT, 0}, {SHAPE_INT, 0}, END},
    [TABLE_ENCODING] =
        {{SHAPE_WORD, 0}, {SHAPE_TABLE, TABLE_TYPE}, {SHAPE_BYTE, 0}, {SHAPE_SHORT, 0}, END},
    [TABLE_PAIR] = {{SHAPE_TEXT, 0}, {SHAPE_TEXT, 0}, END},
    [TABLE_COMPRESSION] = {{SHAPE_BYTE, 0}, {SHAPE_BYTE, 0}, END},
    [TABLE_FOOTER] = {{SHAPE_SHORT, 0},
                      {SHAPE_TABLE, TABLE_SCHEMA},
                      {SHAPE_NUMBERS, 3},
                      {SHAPE_NUMBERS, 3},
                      {SHAPE_TABLES, TABLE_PAIR},
                      END},
};

struct walk {
    struct sites *sites;
    const uint8_t *bytes;
    size_t size;
    int depth;
};

static bool note(struct walk *walk, uint64_t position, uint8_t bytes, enum site_kind kind)
{
    struct sites *sites = walk->sites;
    if (position + bytes > walk->size || sites->count == SITES_MAX)
        return false;
    sites->all[sites->count++] = (struct site){(uint32_t)position, bytes, (uint8_t)kind};
    return true;
}

static uint32_t load(const struct walk *walk, uint64_t position, size_t bytes)
{
    uint32_t value = 0;
    if (position + bytes <= walk->size)
        memcpy(&value, walk->bytes + position, bytes);
    return value;
}

/* Follows the distance at `position`, which is noted. 0: it leads nowhere. */
static uint64_t follow(struct walk *walk, uint64_t position)
{
    if (!note(walk, position, 4, SITE_OFFSET))
        return 0;
    const uint64_t target = position + load(walk, position, 4);
    return target + 4 <= walk->size ? target : 0;
}

/* The elements of the vector at `position`, which has its count noted. */
static uint32_t count_of(struct walk *walk, uint64_t position)
{
    if (position == 0 || !note(walk, position, 4, SITE_COUNT))
        return 0;
    const uint32_t count = load(walk, position, 4);
    return count < ELEMENTS_MAX ? count : ELEMENTS_MAX;
}

static void walk_table(struct walk *walk, uint64_t position, enum table table);

static void walk_vector(struct walk *walk, uint64_t position, const struct slot *slot)
{
    const uint32_t count = count_of(walk, position);
    for (uint32_t i = 0; i < count; i++) {
        if (slot->shape == SHAPE_TABLES)
            walk_table(walk, follow(walk, position + 4 + (uint64_t)4 * i), slot->more);
        for (uint32_t k = 0; slot->shape == SHAPE_NUMBERS && k < slot->more; k++)
            note(walk, position + 4 + 8 * ((uint64_t)i * slot->more + k), 8, SITE_SCALAR);
    }
}

static void walk_field(struct walk *walk, uint64_t position, const struct slot *slot, uint8_t tag)
{
    switch (slot->shape) {
    case SHAPE_TEXT:
        (void)count_of(walk, follow(walk, position));
        break;
    case SHAPE_NUMBERS:
    case SHAPE_TABLES:
        walk_vector(walk, follow(walk, position), slot);
        break;
    case SHAPE_TABLE:
        walk_table(walk, follow(walk, position), slot->more);
        break;
    case SHAPE_HEADER:
        if (tag >= 1 && tag <= TABLE_BATCH)
            walk_table(walk, follow(walk, position), tag);
        break;
    default:
        note(walk, position, (uint8_t)(1U << slot->shape), SITE_SCALAR);
    }
}

/* Recurses as fields lie in each other, to a limit. */
static void walk_table(struct walk *walk, uint64_t position, enum table table)
{
    const uint64_t vtable = position - (uint64_t)(int64_t)(int32_t)load(walk, position, 4);
    if (position == 0 || walk->depth == DEPTH_MAX || vtable >= walk->size || vtable == 0)
        return;
    const uint32_t slots = load(walk, vtable, 2) / 2;
    uint8_t tag = 0;
    walk->depth++;
    for (uint32_t i = 0; i + 2 < slots && tables[table][i].shape != SHAPE_NONE; i++) {
        const uint64_t slot = vtable + 4 + 2 * (uint64_t)i;
        const uint32_t distance = load(walk, slot, 2);
        if (note(walk, slot, 2, SITE_SLOT) && distance != 0)
            walk_field(walk, position + distance, &tables[table][i], tag);
        tag = distance == 0 ? 0 : (uint8_t)load(walk, position + distance, 1);
    }
    walk->depth--;
}

void sites_find(struct sites *sites, const uint8_t *bytes, size_t size, enum sites_root root)
{
    struct walk walk = {.sites = sites, .bytes = bytes, .size = size};
    sites->count = 0;
    walk_table(&walk, follow(&walk, 0), root == SITES_OF_MESSAGE ? TABLE_MESSAGE : TABLE_FOOTER);
}
