#include "support/hand_arrays.h"

#include <stdio.h>
#include <stdlib.h>

static void release_child(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_root(struct ArrowArray *array)
{
    struct hand_arrays *arrays = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i] != NULL && array->children[i]->release != NULL)
            array->children[i]->release(array->children[i]);
    arrays->released++;
    array->release = NULL;
}

struct ArrowArray *hand_array(struct hand_arrays *arrays, const struct hand_array *array)
{
    if (arrays->count == HAND_ARRAYS_MAX) {
        fprintf(stderr, "more than %d arrays\n", HAND_ARRAYS_MAX);
        exit(2);
    }
    const size_t index = arrays->count++;
    for (int i = 0; i < HAND_BUFFERS_MAX; i++)
        arrays->buffers[index][i] = array->buffers[i];
    arrays->arrays[index] = (struct ArrowArray){
        .length = array->length,
        .null_count = array->null_count,
        .offset = array->offset,
        .n_buffers = array->buffer_count,
        .buffers = arrays->buffers[index],
        .children = arrays->children[index],
        .release = release_child,
        .private_data = arrays,
    };
    return &arrays->arrays[index];
}

void hand_child(struct ArrowArray *parent, struct ArrowArray *child)
{
    parent->children[parent->n_children++] = child;
}

struct ArrowArray hand_root(struct hand_arrays *arrays, int64_t length)
{
    struct ArrowArray *root =
        hand_array(arrays, &(struct hand_array){.length = length, .buffer_count = 1});
    root->release = release_root;
    return *root;
}
