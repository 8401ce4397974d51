#ifndef FLETCH_TESTS_FUZZ_IPC_REWRITE_H
#define FLETCH_TESTS_FUZZ_IPC_REWRITE_H

#include <fletching/fletching.h>

/* Batches that were read, written to memory and read from there: the same rows must come back. */

struct ipc_rewrite {
    struct fletch_buffer_cache *cache;
    struct fletch_ipc_writer *writer;
    int64_t row_count;
    uint64_t row_sum;
    bool is_summed; /* no batch stood for more elements than can be looked at */
};

void ipc_rewrite_begin(struct ipc_rewrite *rewrite, struct fletch_schema *schema,
                       struct fletch_buffer_cache *cache, enum fletch_ipc_compression compression);

/* A batch that level 2 has passed; `metadata` is that of its message, or NULL. */
void ipc_rewrite_write(struct ipc_rewrite *rewrite, struct fletch_batch *batch,
                       const char *metadata);

/* Reads what was written if `is_whole`; ends the rewrite in any case. */
void ipc_rewrite_end(struct ipc_rewrite *rewrite, bool is_whole);

#endif
