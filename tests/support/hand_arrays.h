#ifndef FLETCH_TESTS_SUPPORT_HAND_ARRAYS_H
#define FLETCH_TESTS_SUPPORT_HAND_ARRAYS_H

#include <fletching/arrow.h>

/* Arrays of the C data interface, made by hand over memory of the test. They live in a structure
 * that counts how often its root is released. */
enum { HAND_ARRAYS_MAX = 24, HAND_CHILDREN_MAX = 8, HAND_BUFFERS_MAX = 5 };

struct hand_arrays {
    struct ArrowArray arrays[HAND_ARRAYS_MAX];
    const void *buffers[HAND_ARRAYS_MAX][HAND_BUFFERS_MAX];
    struct ArrowArray *children[HAND_ARRAYS_MAX][HAND_CHILDREN_MAX];
    size_t count;
    uint32_t released; /* times that the root was released */
};

/* What an array is made of; buffers that are not named are NULL. */
struct hand_array {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t buffer_count;
    const void *buffers[HAND_BUFFERS_MAX];
};

/* An array without children. */
struct ArrowArray *hand_array(struct hand_arrays *arrays, const struct hand_array *array);

/* Appends a child. */
void hand_child(struct ArrowArray *parent, struct ArrowArray *child);

/* A struct array of `length` rows, without children yet, to be taken by import. */
struct ArrowArray hand_root(struct hand_arrays *arrays, int64_t length);

#endif
