#include "arrow/ipc_compress.h"

#include <string.h>

#include "base/bits.h"

enum { LENGTH_BYTES = 8, AS_IT_IS = -1 };

/* What a piece takes at most, padded. */
static size_t room_of(const struct fletch_ipc_plan *plan, size_t index,
                      const struct fletch_compressor *compressor)
{
    size_t bytes = plan->pieces[index].bytes;
    size_t most = fletch_codec_bound(compressor->codec, bytes);
    if (bytes == 0)
        return 0;
    return fletch_round_up(LENGTH_BYTES + (most > bytes ? most : bytes), plan->alignment);
}

/* Writes the piece, whose bytes are at `from`, to `to`; returns how many it takes. */
static size_t write_piece(const struct fletch_compressor *compressor, uint8_t *to,
                          const uint8_t *from, size_t bytes)
{
    int64_t length = (int64_t)bytes;
    size_t made = fletch_compressor_run(compressor, to + LENGTH_BYTES, from, bytes);
    if (made == 0 || made >= bytes) {
        length = AS_IT_IS;
        made = bytes;
        memcpy(to + LENGTH_BYTES, from, bytes);
    }
    memcpy(to, &length, sizeof length);
    return LENGTH_BYTES + made;
}

/* Where the whole body would end, and behind it room for the largest piece that is made anew. */
static void measure(const struct fletch_ipc_plan *plan, const struct fletch_compressor *compressor,
                    size_t *out_body_bytes, size_t *out_scratch_bytes)
{
    *out_body_bytes = 0;
    *out_scratch_bytes = 0;
    for (size_t i = 0; i < plan->piece_count; i++) {
        const struct fletch_ipc_piece *piece = &plan->pieces[i];
        *out_body_bytes += room_of(plan, i, compressor);
        if (piece->kind != FLETCH_IPC_PIECE_DIRECT && piece->bytes > *out_scratch_bytes)
            *out_scratch_bytes = piece->bytes;
    }
    *out_body_bytes = fletch_round_up(*out_body_bytes, sizeof(int64_t));
}

enum fletch_status fletch_ipc_plan_compress(struct fletch_ipc_plan *plan,
                                            const struct fletch_compressor *compressor,
                                            struct fletch_buffer **out_body,
                                            struct fletch_error *error)
{
    size_t body_bytes;
    size_t scratch_bytes;
    struct fletch_buffer *body = NULL;
    measure(plan, compressor, &body_bytes, &scratch_bytes);
    if (body_bytes == 0) {
        *out_body = NULL;
        return FLETCH_OK;
    }
    enum fletch_status status = fletch_buffer_allocate(
        compressor->cache, body_bytes + scratch_bytes, compressor->account, &body, error);
    if (status != FLETCH_OK)
        return status;
    uint8_t *to = fletch_buffer_mutable_data(body);
    uint8_t *scratch = to + body_bytes;
    size_t offset = 0;
    for (size_t i = 0; i < plan->piece_count; i++) {
        struct fletch_ipc_piece *piece = &plan->pieces[i];
        size_t bytes = 0;
        if (piece->bytes != 0 && piece->kind != FLETCH_IPC_PIECE_DIRECT)
            fletch_ipc_piece_write(plan, piece, scratch);
        if (piece->bytes != 0)
            bytes = write_piece(compressor, to + offset,
                                piece->kind == FLETCH_IPC_PIECE_DIRECT ? piece->data : scratch,
                                piece->bytes);
        *piece = (struct fletch_ipc_piece){.data = to + offset, .bytes = bytes};
        plan->ranges[i] = (struct fletch_ipc_range){(int64_t)offset, (int64_t)bytes};
        offset += fletch_round_up(bytes, plan->alignment);
    }
    plan->scratch_bytes = 0;
    plan->body_bytes = offset;
    *out_body = body;
    return FLETCH_OK;
}
