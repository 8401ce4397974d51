#ifndef FLETCH_TESTS_FUZZ_FLATBUFFER_SITES_H
#define FLETCH_TESTS_FUZZ_FLATBUFFER_SITES_H

#include <stddef.h>
#include <stdint.h>

/* The places in the metadata of a message, or the footer of a file, where a number says something:
 * found by walking its tables as the format has them. */

enum site_kind {
    SITE_SCALAR, /* a field of a table, or one of an element of a vector */
    SITE_OFFSET, /* the distance to a table, vector or string */
    SITE_COUNT,  /* of a vector's elements, or a string's bytes */
    SITE_SLOT,   /* in a vtable: where the field is in its table */
    SITE_KINDS
};

struct site {
    uint32_t position;
    uint8_t bytes;
    uint8_t kind;
};

enum { SITES_MAX = 4096 };

struct sites {
    struct site all[SITES_MAX];
    size_t count;
};

enum sites_root { SITES_OF_MESSAGE, SITES_OF_FOOTER };

/* What cannot be followed is left out; no byte behind `size` is read. */
void sites_find(struct sites *sites, const uint8_t *bytes, size_t size, enum sites_root root);

#endif
