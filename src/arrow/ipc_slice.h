#ifndef FLETCH_ARROW_IPC_SLICE_H
#define FLETCH_ARROW_IPC_SLICE_H

/* Which bytes of a batch go into a message's body: of the rows that are sent and no others. What
 * can go from where it lies does; bitmaps that begin inside a byte, offsets, starts and run ends
 * that do not begin with the rows, and views that use little of their data are made anew. */

#include "arrow/column.h"
#include "arrow/schema.h"
#include "memory/batch.h"

enum fletch_ipc_piece_kind {
    FLETCH_IPC_PIECE_DIRECT,   /* `bytes` bytes at `data` */
    FLETCH_IPC_PIECE_SHIFT,    /* `count` bits of `data` from bit `first` on */
    FLETCH_IPC_PIECE_REBASE16, /* `count` int16 at `data`, less `first`, within 0 and `limit` */
    FLETCH_IPC_PIECE_REBASE32,
    FLETCH_IPC_PIECE_REBASE64,
    FLETCH_IPC_PIECE_MEMBERS,   /* `count` int32, each less where its member's window begins */
    FLETCH_IPC_PIECE_VIEWS,     /* `count` views, of data that lie densely in one buffer */
    FLETCH_IPC_PIECE_VIEW_BYTES /* those data, of `count` views */
};

#define FLETCH_IPC_NO_LIMIT INT64_MAX

/* A buffer of the body. */
struct fletch_ipc_piece {
    const uint8_t *data;
    size_t bytes; /* in the body, without padding */
    enum fletch_ipc_piece_kind kind;
    uint32_t row; /* of the field */
    int64_t first;
    int64_t count;
    int64_t limit;
};

/* As they lie in a RecordBatch table. */
struct fletch_ipc_node {
    int64_t length;
    int64_t null_count;
};

struct fletch_ipc_range {
    int64_t offset;
    int64_t bytes;
};

struct fletch_ipc_plan {
    size_t alignment;                     /* given, … */
    bool is_tight;                        /* … and whether views bring no data they do not use */
    struct fletch_ipc_node *nodes;        /* one for each field */
    struct fletch_element_range *windows; /* the elements of each field that are sent */
    struct fletch_ipc_piece *pieces;      /* in the order of the body */
    struct fletch_ipc_range *ranges;      /* the same in the body */
    int64_t *variadic;                    /* data buffers of each view */
    const struct fletch_batch *batch;
    uint32_t piece_count;
    size_t scratch_bytes; /* of pieces that are made anew, padded */
    size_t body_bytes;
};

/* The bytes, aligned to 8, that a plan takes for batches of the schema with so many spans. */
size_t fletch_ipc_plan_bytes(const struct fletch_schema *schema, size_t span_count);

/* Lets the plan have its arrays in so many bytes. */
void fletch_ipc_plan_place(struct fletch_ipc_plan *plan, const struct fletch_schema *schema,
                           size_t span_count, void *memory);

/* Plans the rows `first` to `first` + `count` of a batch, which must be there as long as pieces are
 * written. */
void fletch_ipc_plan_rows(struct fletch_ipc_plan *plan, const struct fletch_batch *batch,
                          int64_t first, int64_t count);

/* Plans what a message takes in which nothing is made anew and each view has one data buffer:
 * counts are right, and all else is 0. */
void fletch_ipc_plan_plain(struct fletch_ipc_plan *plan, const struct fletch_schema *schema);

/* Writes a piece: `bytes` bytes. */
void fletch_ipc_piece_write(const struct fletch_ipc_plan *plan,
                            const struct fletch_ipc_piece *piece, uint8_t *to);

#endif
