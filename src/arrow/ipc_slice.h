#ifndef FLETCH_ARROW_IPC_SLICE_H
#define FLETCH_ARROW_IPC_SLICE_H

/* Which bytes of a batch go into a message's body: of the rows that are sent and no others. What
 * can go from where it lies does; bitmaps that begin inside a byte and offsets that do not begin
 * with 0 are made anew. */

#include "arrow/schema.h"
#include "memory/batch.h"

enum fletch_ipc_piece_kind {
    FLETCH_IPC_PIECE_DIRECT,   /* `bytes` bytes at `data` */
    FLETCH_IPC_PIECE_SHIFT,    /* `count` bits of `data` from bit `first` on */
    FLETCH_IPC_PIECE_REBASE32, /* `count` int32 at `data`, less `first` */
    FLETCH_IPC_PIECE_REBASE64
};

/* A buffer of the body. */
struct fletch_ipc_piece {
    const uint8_t *data;
    size_t bytes; /* in the body, without padding */
    enum fletch_ipc_piece_kind kind;
    int64_t first;
    int64_t count;
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
    struct fletch_ipc_node *nodes;   /* one for each field */
    struct fletch_ipc_piece *pieces; /* one for each span */
    struct fletch_ipc_range *ranges; /* the same in the body */
    size_t alignment;
    size_t scratch_bytes; /* of pieces that are made anew, padded */
    size_t body_bytes;
};

/* Plans the rows `first` to `first` + `count` of a batch of the schema. Writes everything but the
 * alignment, which is given. */
void fletch_ipc_plan_rows(struct fletch_ipc_plan *plan, const struct fletch_schema *schema,
                          const struct fletch_batch *batch, int64_t first, int64_t count);

/* Writes a piece that is made anew: `bytes` bytes. */
void fletch_ipc_piece_write(const struct fletch_ipc_piece *piece, uint8_t *to);

#endif
