#ifndef FLETCH_ARROW_ARRAY_SETS_H
#define FLETCH_ARROW_ARRAY_SETS_H

/* The arrays of an import, by the rows of their schemas: found and looked at, and the room for what
 * is made of them. The steps in their order:
 *
 *   open      the schema tells how many arrays there are
 *   link      finds them; they tell how many data buffers their views have
 *   allocate  room for nodes, spans and owners
 *   place     fills it (array_place.h)
 *   close     lets go of what no batch has taken; also after a step that failed, but for open
 *
 * Nothing but the schema says how deep and wide a source is, so there is no recursion, and one that
 * contains itself does no harm. */

#include <fletching/arrow.h>

#include "arrow/column.h"

/* The arrays of one schema: the batch itself, or the values of one dictionary. */
struct fletch_array_set {
    const struct fletch_schema *schema;
    const struct fletch_array_set *outside; /* of the encoded field; NULL: the batch itself */
    uint32_t outside_row;
    uint32_t first_set; /* of its dictionaries, which follow each other */
    int64_t row_count;
    const struct ArrowArray **arrays; /* by row */
    struct fletch_batch_node *nodes;
    struct fletch_batch_span *spans;
    uint32_t *view_spans;
    uint32_t span_count;           /* with data buffers of views */
    struct fletch_buffer **owners; /* the foreign buffer, and copies of misaligned ones */
    uint32_t owner_count;
};

/* All that is imported with one source. */
struct fletch_array_sets {
    const struct fletch_import_options *options;
    struct fletch_buffer *memory;  /* where the sets lie, with their pointers to arrays */
    struct fletch_buffer *scratch; /* where their nodes, spans and owners lie */
    struct fletch_array_set *sets; /* the batch, then its dictionaries, each before its own */
    uint32_t set_count;
    struct fletch_batch **dictionaries; /* by set; NULL: not made yet, or taken */
    uint64_t bytes;                     /* of all spans that stay where they are */
    struct fletch_error *error;
};

/* Writes "field 'a.b' (int32): …" and returns INVALID_ARGUMENT. */
enum fletch_status fletch_array_fail(const struct fletch_array_sets *sets,
                                     const struct fletch_array_set *set, uint32_t row,
                                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* How many buffers of an array come before those of the layout: the first format of unions had a
 * validity. */
static inline uint32_t fletch_array_buffers_before(const struct fletch_field *field,
                                                   const struct ArrowArray *array)
{
    return fletch_type_is_union(field->type.id) && array->n_buffers > field->span_count ? 1 : 0;
}

/* Options and error are set, all else is zero. RESOURCE_EXHAUSTED: no memory, and nothing to
 * close. */
enum fletch_status fletch_array_sets_open(struct fletch_array_sets *sets,
                                          const struct fletch_schema *schema);

/* The source has as many columns as the schema. INVALID_ARGUMENT: a structure is not one that its
 * field can have. */
enum fletch_status fletch_array_sets_link(struct fletch_array_sets *sets,
                                          const struct ArrowArray *source);

/* RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_array_sets_allocate(struct fletch_array_sets *sets);

void fletch_array_sets_close(struct fletch_array_sets *sets);

#endif
