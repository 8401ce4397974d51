#ifndef FLETCH_HTTP2_HPACK_H
#define FLETCH_HTTP2_HPACK_H

/* HPACK (RFC 7541) by nghttp2, with tables of at most 4 KiB both ways. */

#include "http2/field_list.h"

struct nghttp2_hd_inflater;
struct nghttp2_hd_deflater;

struct fletch_hpack {
    struct fletch_allocator *allocator; /* the connection's, where it stays */
    void *memory;                       /* how nghttp2 uses it: it keeps the address */
    struct nghttp2_hd_inflater *inflater;
    struct nghttp2_hd_deflater *deflater;
    /* How often the tables have changed, or may have. */
    uint64_t decoded_changes;
    uint64_t encoded_changes;
};

enum { FLETCH_HPACK_KEPT_BYTES = 64 };

/* A list of fields and the block that stands for it: as long as the table does not change, the same
 * block has the same fields, and need not be decoded or encoded again. Calls of one kind mostly
 * have the same headers. */
struct fletch_hpack_kept {
    struct fletch_field_list list;
    uint64_t changes;     /* of the table at which that holds */
    uint32_t block_bytes; /* 0: nothing is kept */
    uint8_t block[FLETCH_HPACK_KEPT_BYTES];
};

void fletch_hpack_kept_init(struct fletch_hpack_kept *kept,
                            const struct fletch_allocator *allocator);
void fletch_hpack_kept_deinit(struct fletch_hpack_kept *kept);

/* False: no memory, and there is nothing to end. */
bool fletch_hpack_init(struct fletch_hpack *hpack, struct fletch_allocator *allocator);
void fletch_hpack_deinit(struct fletch_hpack *hpack);

enum fletch_hpack_answer {
    FLETCH_HPACK_DONE,
    FLETCH_HPACK_REPEATED,  /* done: it is the list that was kept */
    FLETCH_HPACK_TOO_LARGE, /* the table is as it must be, the list is not whole */
    FLETCH_HPACK_DAMAGED,
    FLETCH_HPACK_NO_MEMORY
};

/* What a list may have. */
struct fletch_hpack_limits {
    size_t list_bytes;
    size_t fields;
};

/* Decodes a whole block into the list of `kept`, unless it is the block of that. */
enum fletch_hpack_answer fletch_hpack_decode(struct fletch_hpack *hpack, const uint8_t *block,
                                             size_t bytes, const struct fletch_hpack_limits *limits,
                                             struct fletch_hpack_kept *kept);

/* Whether `count` fields would be encoded as the block that is kept. */
bool fletch_hpack_is_kept(const struct fletch_hpack *hpack, const struct fletch_hpack_kept *kept,
                          const struct fletch_http2_field *fields, size_t count);

/* Appends the block of `count` fields, which is kept then if it can be. False: no memory; the table
 * is lost, and the connection with it. */
bool fletch_hpack_encode(struct fletch_hpack *hpack, const struct fletch_http2_field *fields,
                         size_t count, struct fletch_hpack_kept *kept,
                         struct fletch_byte_buffer *out_block);

/* The peer's SETTINGS_HEADER_TABLE_SIZE. False: no memory. */
bool fletch_hpack_limit_table(struct fletch_hpack *hpack, uint32_t bytes);

#endif
