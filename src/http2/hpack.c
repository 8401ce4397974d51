#include "http2/hpack.h"

#include <string.h>

#include <nghttp2/nghttp2.h>

enum { TABLE_BYTES = 4096, FIELDS_AT_ONCE = 16, HEADER_BYTES = 16 };

/* nghttp2 does not say how large a block was when it gives it back: that is kept before it. */

static void *allocate(size_t bytes, void *context)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t *block = fletch_allocate(context, bytes + HEADER_BYTES, HEADER_BYTES);
    if (block == NULL)
        return NULL;
    *block = bytes;
    return (char *)block + HEADER_BYTES;
}

static void release(void *memory, void *context)
{
    if (memory == NULL)
        return;
    void *block = (char *)memory - HEADER_BYTES;
    fletch_release(context, block, *(size_t *)block + HEADER_BYTES, HEADER_BYTES);
}

static void *allocate_cleared(size_t count, size_t bytes, void *context)
{
    if (bytes != 0 && count > SIZE_MAX / 2 / bytes)
        return NULL;
    void *memory = allocate(count * bytes, context);
    if (memory != NULL)
        memset(memory, 0, count * bytes);
    return memory;
}

static void *reallocate(void *memory, size_t bytes, void *context)
{
    void *moved = allocate(bytes, context);
    if (moved == NULL || memory == NULL)
        return moved;
    size_t before = *(size_t *)(void *)((char *)memory - HEADER_BYTES);
    memcpy(moved, memory, before < bytes ? before : bytes);
    release(memory, context);
    return moved;
}

bool fletch_hpack_init(struct fletch_hpack *hpack, struct fletch_allocator *allocator)
{
    nghttp2_mem *memory = fletch_allocate(allocator, sizeof *memory, _Alignof(nghttp2_mem));
    *hpack = (struct fletch_hpack){.allocator = allocator, .memory = memory};
    if (memory == NULL)
        return false;
    *memory = (nghttp2_mem){allocator, allocate, release, allocate_cleared, reallocate};
    if (nghttp2_hd_inflate_new2(&hpack->inflater, memory) == 0) {
        if (nghttp2_hd_deflate_new2(&hpack->deflater, TABLE_BYTES, memory) == 0)
            return true;
        nghttp2_hd_inflate_del(hpack->inflater);
    }
    fletch_release(allocator, memory, sizeof *memory, _Alignof(nghttp2_mem));
    return false;
}

void fletch_hpack_deinit(struct fletch_hpack *hpack)
{
    nghttp2_hd_inflate_del(hpack->inflater);
    nghttp2_hd_deflate_del(hpack->deflater);
    fletch_release(hpack->allocator, hpack->memory, sizeof(nghttp2_mem), _Alignof(nghttp2_mem));
}

/* ---- blocks that repeat ---- */

void fletch_hpack_kept_init(struct fletch_hpack_kept *kept,
                            const struct fletch_allocator *allocator)
{
    fletch_field_list_init(&kept->list, allocator);
    kept->block_bytes = 0;
}

void fletch_hpack_kept_deinit(struct fletch_hpack_kept *kept)
{
    fletch_field_list_deinit(&kept->list);
}

/* Behind an integer whose first byte has `bits` bits of it. */
static const uint8_t *skip_integer(const uint8_t *at, const uint8_t *end, unsigned bits)
{
    const uint8_t all = (uint8_t)((1U << bits) - 1);
    if ((*at++ & all) != all)
        return at;
    while (at < end && (*at & 0x80) != 0)
        at++;
    return at < end ? at + 1 : end;
}

/* Behind a string of less than 127 bytes; NULL: it is longer. */
static const uint8_t *skip_short_string(const uint8_t *at, const uint8_t *end)
{
    size_t bytes = at < end ? *at & 0x7fU : 0x7fU;
    return bytes == 0x7f || bytes >= (size_t)(end - at) ? NULL : at + 1 + bytes;
}

/* Whether a block leaves the table as it is (RFC 7541, 6): it adds no field and sets no size. Of a
 * long string that is not known, and the answer is no. */
static bool leaves_table(const uint8_t *block, size_t bytes)
{
    const uint8_t *end = block + bytes;
    for (const uint8_t *at = block; at < end;) {
        const uint8_t first = *at;
        if ((first & 0x80) != 0) {
            at = skip_integer(at, end, 7);
            continue;
        }
        if ((first & 0x60) != 0)
            return false;
        at = skip_integer(at, end, 4);
        if ((first & 0x0f) == 0)
            at = skip_short_string(at, end);
        if (at != NULL)
            at = skip_short_string(at, end);
        if (at == NULL)
            return false;
    }
    return true;
}

/* The list of `kept` is that of the block. */
static void keep(struct fletch_hpack_kept *kept, const uint8_t *block, size_t bytes,
                 uint64_t changes)
{
    kept->block_bytes = bytes <= sizeof kept->block ? (uint32_t)bytes : 0;
    if (kept->block_bytes != 0) /* an empty one lies nowhere */
        memcpy(kept->block, block, kept->block_bytes);
    kept->changes = changes;
}

static bool copy_list(struct fletch_field_list *list, const struct fletch_http2_field *fields,
                      size_t count)
{
    fletch_field_list_clear(list);
    for (size_t i = 0; i < count; i++)
        if (!fletch_field_list_add(list, &fields[i]))
            return false;
    return true;
}

bool fletch_hpack_is_kept(const struct fletch_hpack *hpack, const struct fletch_hpack_kept *kept,
                          const struct fletch_http2_field *fields, size_t count)
{
    return kept->block_bytes != 0 && kept->changes == hpack->encoded_changes &&
           fletch_field_list_is(&kept->list, fields, count);
}

/* ---- decoding ---- */

/* A list that is too large is not added to: a small block cannot make much of it. */
static enum fletch_hpack_answer add(struct fletch_field_list *list, const nghttp2_nv *pair,
                                    const struct fletch_hpack_limits *limits)
{
    if (list->count >= limits->fields ||
        list->bytes + pair->namelen + pair->valuelen + 32 > limits->list_bytes)
        return FLETCH_HPACK_TOO_LARGE;
    const struct fletch_http2_field field = {
        .name = (const char *)pair->name,
        .value = (const char *)pair->value,
        .name_bytes = (uint32_t)pair->namelen,
        .value_bytes = (uint32_t)pair->valuelen,
        .is_secret = (pair->flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0,
    };
    return fletch_field_list_add(list, &field) ? FLETCH_HPACK_DONE : FLETCH_HPACK_NO_MEMORY;
}

static enum fletch_hpack_answer decode(struct fletch_hpack *hpack, const uint8_t *block,
                                       size_t bytes, const struct fletch_hpack_limits *limits,
                                       struct fletch_field_list *list)
{
    enum fletch_hpack_answer answer = FLETCH_HPACK_DONE;
    int flags = 0;
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv pair;
        flags = 0;
        ssize_t used = nghttp2_hd_inflate_hd2(hpack->inflater, &pair, &flags, block, bytes, 1);
        if (used < 0)
            return used == NGHTTP2_ERR_NOMEM ? FLETCH_HPACK_NO_MEMORY : FLETCH_HPACK_DAMAGED;
        block += used;
        bytes -= (size_t)used;
        if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0 && answer == FLETCH_HPACK_DONE)
            answer = add(list, &pair, limits);
        if (answer == FLETCH_HPACK_NO_MEMORY)
            return answer;
        if (used == 0 && flags == 0)
            return FLETCH_HPACK_DAMAGED;
    }
    (void)nghttp2_hd_inflate_end_headers(hpack->inflater);
    return answer;
}

enum fletch_hpack_answer fletch_hpack_decode(struct fletch_hpack *hpack, const uint8_t *block,
                                             size_t bytes, const struct fletch_hpack_limits *limits,
                                             struct fletch_hpack_kept *kept)
{
    if (kept->block_bytes != 0 && kept->block_bytes == bytes &&
        kept->changes == hpack->decoded_changes && memcmp(kept->block, block, bytes) == 0)
        return FLETCH_HPACK_REPEATED;
    kept->block_bytes = 0;
    fletch_field_list_clear(&kept->list);
    enum fletch_hpack_answer answer = decode(hpack, block, bytes, limits, &kept->list);
    if (!leaves_table(block, bytes))
        hpack->decoded_changes++;
    else if (answer == FLETCH_HPACK_DONE)
        keep(kept, block, bytes, hpack->decoded_changes);
    return answer;
}

/* ---- encoding ---- */

/* What must not be guessed by comparing compressed sizes. */
static bool is_secret(const struct fletch_http2_field *field)
{
    static const char *const names[] = {"authorization", "auth-token-bin", "cookie", "set-cookie",
                                        "proxy-authorization"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (field->name_bytes == strlen(names[i]) &&
            memcmp(field->name, names[i], field->name_bytes) == 0)
            return true;
    return field->is_secret;
}

static bool encode_some(struct fletch_hpack *hpack, const struct fletch_http2_field *fields,
                        size_t count, struct fletch_byte_buffer *out_block)
{
    nghttp2_nv pairs[FIELDS_AT_ONCE];
    for (size_t i = 0; i < count; i++)
        pairs[i] = (nghttp2_nv){
            .name = (uint8_t *)(uintptr_t)fields[i].name,
            .value = (uint8_t *)(uintptr_t)fields[i].value,
            .namelen = fields[i].name_bytes,
            .valuelen = fields[i].value_bytes,
            .flags = is_secret(&fields[i]) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
        };
    size_t bound = nghttp2_hd_deflate_bound(hpack->deflater, pairs, count);
    uint8_t *place = fletch_byte_buffer_extend(out_block, bound);
    if (place == NULL)
        return false;
    ssize_t used = nghttp2_hd_deflate_hd(hpack->deflater, place, bound, pairs, count);
    if (used < 0)
        return false;
    out_block->bytes -= bound - (size_t)used;
    return true;
}

static bool encode(struct fletch_hpack *hpack, const struct fletch_http2_field *fields,
                   size_t count, struct fletch_byte_buffer *out_block)
{
    for (size_t i = 0; i < count; i += FIELDS_AT_ONCE) {
        size_t some = count - i < FIELDS_AT_ONCE ? count - i : FIELDS_AT_ONCE;
        if (!encode_some(hpack, fields + i, some, out_block))
            return false;
    }
    return true;
}

static bool append(struct fletch_byte_buffer *out_block, const struct fletch_hpack_kept *kept)
{
    uint8_t *place = fletch_byte_buffer_extend(out_block, kept->block_bytes);
    if (place == NULL)
        return false;
    memcpy(place, kept->block, kept->block_bytes);
    return true;
}

bool fletch_hpack_encode(struct fletch_hpack *hpack, const struct fletch_http2_field *fields,
                         size_t count, struct fletch_hpack_kept *kept,
                         struct fletch_byte_buffer *out_block)
{
    size_t before = out_block->bytes;
    if (fletch_hpack_is_kept(hpack, kept, fields, count))
        return append(out_block, kept);
    kept->block_bytes = 0;
    if (!encode(hpack, fields, count, out_block))
        return false;
    const uint8_t *block = out_block->data + before;
    size_t bytes = out_block->bytes - before;
    if (!leaves_table(block, bytes))
        hpack->encoded_changes++;
    else if (bytes <= FLETCH_HPACK_KEPT_BYTES && copy_list(&kept->list, fields, count))
        keep(kept, block, bytes, hpack->encoded_changes);
    return true;
}

bool fletch_hpack_limit_table(struct fletch_hpack *hpack, uint32_t bytes)
{
    hpack->encoded_changes++; /* the next block says so */
    size_t limit = bytes < TABLE_BYTES ? bytes : TABLE_BYTES;
    return nghttp2_hd_deflate_change_table_size(hpack->deflater, limit) == 0;
}
