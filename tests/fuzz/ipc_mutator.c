#include "fuzz/ipc_mutator.h"

#include <stdbool.h>
#include <string.h>

#include "arrow/ipc_format.h"
#include "fuzz/flatbuffer_sites.h"

enum { PARTS_MAX = 128, FILE_BEGIN_BYTES = 8, FILE_END_BYTES = 10 };

/* A message, or a file's footer. */
struct part {
    size_t begin;
    size_t metadata;
    size_t metadata_bytes;
    size_t end; /* of its body */
};

struct parts {
    struct part all[PARTS_MAX];
    size_t messages;
    size_t count; /* and the footer, if there is one */
};

static uint32_t load32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static uint64_t body_bytes(const uint8_t *metadata, size_t bytes)
{
    struct fletch_flatbuffer buffer;
    const struct fletch_flatbuffer_table message = fletch_flatbuffer_open(&buffer, metadata, bytes);
    const int64_t body = fletch_flatbuffer_i64(&buffer, &message, FLETCH_MESSAGE_BODY_LENGTH, 0);
    return buffer.failure != NULL || body < 0 ? 0 : (uint64_t)body;
}

static bool find_message(const uint8_t *bytes, size_t size, size_t begin, struct part *part)
{
    size_t at = begin;
    if (at + 8 > size)
        return false;
    if (load32(bytes + at) == FLETCH_IPC_CONTINUATION)
        at += 4;
    const uint32_t metadata_bytes = load32(bytes + at);
    at += 4;
    if (metadata_bytes < 8 || metadata_bytes > size - at)
        return false;
    const size_t behind = size - at - metadata_bytes;
    const uint64_t body = body_bytes(bytes + at, metadata_bytes);
    *part = (struct part){begin, at, metadata_bytes,
                          size - behind + (size_t)(body < behind ? body : behind)};
    return true;
}

static void find_parts(const uint8_t *bytes, size_t size, struct parts *parts)
{
    const bool is_file = size > FILE_BEGIN_BYTES + FILE_END_BYTES &&
                         memcmp(bytes, fletch_ipc_magic, FLETCH_IPC_MAGIC_BYTES) == 0;
    size_t at = is_file ? FILE_BEGIN_BYTES : 0;
    parts->messages = 0;
    while (parts->messages < PARTS_MAX - 1 &&
           find_message(bytes, size, at, &parts->all[parts->messages]))
        at = parts->all[parts->messages++].end;
    parts->count = parts->messages;
    if (!is_file)
        return;
    const size_t end = size - FILE_END_BYTES;
    const uint32_t footer_bytes = load32(bytes + end);
    if (footer_bytes >= 8 && footer_bytes <= end - FILE_BEGIN_BYTES)
        parts->all[parts->count++] =
            (struct part){end - footer_bytes, end - footer_bytes, footer_bytes, end};
}

/* ---- one number ---- */

static const int64_t extremes[] = {0,         1,         -1,        2,         64,
                                   127,       INT8_MIN,  INT16_MAX, INT16_MIN, INT32_MAX,
                                   INT32_MIN, INT64_MAX, INT64_MIN, UINT32_MAX};

/* A number that may well be meant here: near what was there, extreme, small, or that of a place of
 * the same kind. */
static uint64_t another(const struct sites *sites, const struct site *site, const uint8_t *bytes,
                        struct fletch_random *random)
{
    const struct site *other = &sites->all[fletch_random_below(random, (uint32_t)sites->count)];
    uint64_t value = 0;
    memcpy(&value, bytes + site->position, site->bytes);
    switch (fletch_random_below(random, 5)) {
    case 0:
        return value + 1 + fletch_random_below(random, 8);
    case 1:
        return value - 1 - fletch_random_below(random, 8);
    case 2:
        return (
            uint64_t)extremes[fletch_random_below(random, sizeof extremes / sizeof extremes[0])];
    case 3:
        return fletch_random_below(random, 32);
    default:
        if (other->kind != site->kind)
            return value ^ (uint64_t)1 << fletch_random_below(random, 8U * site->bytes);
        memcpy(&value, bytes + other->position, other->bytes);
        /* Not the same distance: the same target. */
        return site->kind == SITE_OFFSET ? value + other->position - site->position : value;
    }
}

static void change_number(const struct part *part, uint8_t *bytes, struct fletch_random *random)
{
    static struct sites sites;
    bytes += part->metadata;
    sites_find(&sites, bytes, part->metadata_bytes,
               part->begin == part->metadata ? SITES_OF_FOOTER : SITES_OF_MESSAGE);
    if (sites.count == 0)
        return;
    /* There are few of some kinds, so the kind is chosen first. */
    const uint32_t kind = fletch_random_below(random, SITE_KINDS + 1);
    const uint32_t first = fletch_random_below(random, (uint32_t)sites.count);
    for (size_t i = 0; i < sites.count; i++) {
        const struct site *site = &sites.all[(first + i) % sites.count];
        if (site->kind != kind % SITE_KINDS)
            continue;
        const uint64_t value = another(&sites, site, bytes, random);
        memcpy(bytes + site->position, &value, site->bytes);
        return;
    }
}

/* ---- a body ---- */

/* Offsets, sizes, type ids, run ends and views lie on multiples of their size. */
static void change_body(const struct part *part, uint8_t *bytes, struct fletch_random *random)
{
    const size_t begin = part->metadata + part->metadata_bytes;
    const size_t width = (size_t)1 << fletch_random_below(random, 4);
    if (part->end - begin < width)
        return;
    const size_t count = (part->end - begin) / width;
    uint8_t *place = bytes + begin + width * fletch_random_below(random, (uint32_t)count);
    int64_t value = extremes[fletch_random_below(random, sizeof extremes / sizeof extremes[0])];
    if (fletch_random_below(random, 2) == 0) {
        memcpy(&value, place, width);
        value = (int64_t)((uint64_t)value + fletch_random_below(random, 9) - 4);
    }
    memcpy(place, &value, width);
}

/* ---- whole messages ---- */

static size_t drop(const struct part *part, uint8_t *bytes, size_t size)
{
    memmove(bytes + part->begin, bytes + part->end, size - part->end);
    return size - (part->end - part->begin);
}

/* Writes `part` once more, before the message `other`. */
static size_t repeat(const struct part *part, size_t at, uint8_t *bytes, size_t size)
{
    const size_t more = part->end - part->begin;
    const size_t from = part->begin < at ? part->begin : part->begin + more;
    memmove(bytes + at + more, bytes + at, size - at);
    /* It is whole either way: `at` is where a message begins. */
    memmove(bytes + at, bytes + from, more);
    return size + more;
}

size_t ipc_mutate(uint8_t *bytes, size_t size, size_t max_size, struct fletch_random *random)
{
    struct parts parts;
    find_parts(bytes, size, &parts);
    if (parts.count == 0)
        return 0;
    const struct part *part = &parts.all[fletch_random_below(random, (uint32_t)parts.count)];
    const uint32_t choice = fletch_random_below(random, 16);
    const bool is_message = part < parts.all + parts.messages;
    if (choice == 0 && is_message)
        return drop(part, bytes, size);
    if (choice == 1 && is_message && size + (part->end - part->begin) <= max_size) {
        const uint32_t other = fletch_random_below(random, (uint32_t)parts.messages);
        return repeat(part, parts.all[other].begin, bytes, size);
    }
    if (choice < 6)
        change_body(part, bytes, random);
    else
        change_number(part, bytes, random);
    return size;
}
