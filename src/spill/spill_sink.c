#include "spill/spill_sink.h"

#include <string.h>

void fletch_spill_sink_begin(struct fletch_spill_sink *sink, const struct fletch_spill_file *file,
                             const struct fletch_spill_packer *packer)
{
    sink->file = file;
    sink->position = file->end;
    sink->pending_bytes = 0;
    sink->payload_bytes = 0;
    sink->crc = 0;
    sink->failure = 0;
    sink->piece_count = 0;
    sink->packer = packer;
    sink->chunk_bytes = 0;
}

/* ---- writing ---- */

static void write_pieces(struct fletch_spill_sink *sink)
{
    const struct fletch_spill_transfer whole = {
        .io = sink->file->medium->io,
        .fd = sink->file->fd,
        .offset = sink->position,
        .pieces = sink->pieces,
        .count = sink->piece_count,
    };
    if (sink->failure == 0)
        sink->failure = fletch_spill_write_all(&whole);
    sink->position += sink->pending_bytes;
    sink->pending_bytes = 0;
    sink->piece_count = 0;
}

/* Bytes as they will lie on disk. */
static void store(struct fletch_spill_sink *sink, const void *bytes, size_t size)
{
    if (sink->failure != 0)
        return;
    sink->crc = sink->file->medium->crc32c(sink->crc, bytes, size);
    if (sink->piece_count == FLETCH_SPILL_SINK_PIECES)
        write_pieces(sink);
    sink->pieces[sink->piece_count++] = (struct iovec){(void *)(uintptr_t)bytes, size};
    sink->pending_bytes += size;
}

/* ---- compressing ---- */

static void pack(struct fletch_spill_sink *sink, const uint8_t *bytes, size_t size)
{
    struct fletch_spill_block block = {.piece_bytes = (uint32_t)size};
    uint8_t *packed = sink->packer->packed;
    uint8_t *to = packed + sizeof block;
    write_pieces(sink); /* the last block makes room */
    size_t stored = fletch_spill_packer_run(sink->packer, to, bytes, size);
    if (stored == 0 || stored >= size) {
        memcpy(to, bytes, size);
        stored = size;
    }
    block.stored_bytes = (uint32_t)stored;
    memcpy(packed, &block, sizeof block);
    store(sink, packed, sizeof block + stored);
}

static void put_packed(struct fletch_spill_sink *sink, const uint8_t *bytes, size_t size)
{
    uint8_t *chunk = sink->packer->chunk;
    while (size > 0 && sink->failure == 0) {
        if (sink->chunk_bytes == 0 && size >= FLETCH_SPILL_PIECE_BYTES) {
            pack(sink, bytes, FLETCH_SPILL_PIECE_BYTES); /* from where it lies */
            bytes += FLETCH_SPILL_PIECE_BYTES;
            size -= FLETCH_SPILL_PIECE_BYTES;
            continue;
        }
        size_t room = FLETCH_SPILL_PIECE_BYTES - sink->chunk_bytes;
        size_t part = size < room ? size : room;
        memcpy(chunk + sink->chunk_bytes, bytes, part);
        sink->chunk_bytes += part;
        bytes += part;
        size -= part;
        if (sink->chunk_bytes == FLETCH_SPILL_PIECE_BYTES) {
            pack(sink, chunk, FLETCH_SPILL_PIECE_BYTES);
            sink->chunk_bytes = 0;
        }
    }
}

/* ---- the frame ---- */

void fletch_spill_sink_put(struct fletch_spill_sink *sink, const void *bytes, size_t size)
{
    sink->payload_bytes += size;
    if (size == 0)
        return;
    if (sink->packer != NULL)
        put_packed(sink, bytes, size);
    else
        store(sink, bytes, size);
}

void fletch_spill_sink_flush(struct fletch_spill_sink *sink)
{
    if (sink->packer == NULL) /* else it was copied */
        write_pieces(sink);
}

uint64_t fletch_spill_sink_end(struct fletch_spill_sink *sink, uint32_t metadata_bytes)
{
    const struct fletch_spill_file *file = sink->file;
    if (sink->chunk_bytes > 0)
        pack(sink, sink->packer->chunk, sink->chunk_bytes);
    uint64_t stored_bytes = sink->position + sink->pending_bytes - file->end;
    sink->trailer = (struct fletch_spill_trailer){
        .magic = FLETCH_SPILL_MAGIC,
        .flags = fletch_spill_codec_flag(file->medium->codec),
        .stored_bytes = stored_bytes,
        .payload_bytes = sink->payload_bytes,
        .metadata_bytes = metadata_bytes,
    };
    sink->trailer.crc32c = file->medium->crc32c(sink->crc, &sink->trailer,
                                                offsetof(struct fletch_spill_trailer, crc32c));
    if (sink->piece_count == FLETCH_SPILL_SINK_PIECES)
        write_pieces(sink);
    sink->pieces[sink->piece_count++] = (struct iovec){&sink->trailer, sizeof sink->trailer};
    sink->pending_bytes += sizeof sink->trailer;
    write_pieces(sink);
    return stored_bytes + sizeof sink->trailer;
}
