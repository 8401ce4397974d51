#ifndef FLETCH_TESTS_FUZZ_HOSTILE_ARRAYS_H
#define FLETCH_TESTS_FUZZ_HOSTILE_ARRAYS_H

#include <fletching/arrow.h>

#include "fuzz/fuzz_target.h"

/* Structures of the C data interface as bytes say: mostly such that they could be right, now and
 * then with something wrong that import can see. What it has to believe is true: every buffer has
 * the memory that lengths, offsets and last offsets claim, and ends there. */

enum { HOSTILE_NODES = 160, HOSTILE_CHILDREN = 4, HOSTILE_BUFFERS = 6, HOSTILE_BLOCKS = 1024 };

struct hostile_node {
    struct ArrowSchema schema;
    struct ArrowArray array;
    struct ArrowSchema *schema_children[HOSTILE_CHILDREN];
    struct ArrowArray *array_children[HOSTILE_CHILDREN];
    const void *buffers[HOSTILE_BUFFERS];
};

struct hostile {
    struct fuzz_bytes input;
    struct hostile_node nodes[HOSTILE_NODES];
    size_t node_count;
    void *blocks[HOSTILE_BLOCKS];
    size_t block_count;
    int schema_releases;
    int array_releases;
};

/* Makes nodes[0], a schema and an array of it, of `input`. */
void hostile_make(struct hostile *hostile, struct fuzz_bytes input);

/* Frees the memory of the buffers. */
void hostile_end(struct hostile *hostile);

#endif
