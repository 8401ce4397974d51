#include "shuffle/writer_put.h"

#include <fletching/batch_slice.h>

#include "arrow/batch_compact.h"
#include "base/status.h"
#include "partition/partition_writer.h"
#include "shuffle/batch_body.h"
#include "shuffle/key_sum.h"
#include "shuffle/writer_alone.h"
#include "shuffle/writer_send.h"
#include "shuffle/writer_spill.h"

/* What a slice keeps alive beside its rows is not worth a copy if it is less. */
enum { COMPACTED_LEAST = 16 << 10 };

/* A batch that goes as it is, in the pieces in which it goes. */
struct put {
    struct fletch_shuffle_writer *writer;
    struct fletch_channel *channel;
    struct fletch_batch *batch;
    bool goes_to_disk; /* nobody could be charged for it */
    struct fletch_frame *first;
    struct fletch_frame *last;
};

/* Rows from `first_row` on that go together: all that are left, unless they are too large. */
static int64_t rows_of_piece(const struct fletch_batch *batch, int64_t first_row)
{
    int64_t row_count = batch->row_count - first_row;
    while (row_count > 1) {
        uint64_t bytes = fletch_batch_body_bytes_of(batch, first_row, row_count);
        if (bytes <= FLETCH_PUT_BYTES_MAX)
            break;
        int64_t fits = (int64_t)((double)row_count * (double)FLETCH_PUT_BYTES_MAX / (double)bytes);
        row_count = fits < 1 ? 1 : fits < row_count ? fits : row_count - 1;
    }
    return row_count;
}

/* A reference to the rows, as a batch of their own where they are a part. */
static enum fletch_status cut(const struct put *put, struct fletch_row_range rows,
                              struct fletch_batch **out_piece, struct fletch_error *error)
{
    if ((int64_t)rows.count < put->batch->row_count)
        return fletch_batch_slice(put->writer->cache, put->batch, rows, out_piece, error);
    *out_piece = fletch_batch_acquire(put->batch);
    return FLETCH_OK;
}

static enum fletch_status add_piece(struct put *put, struct fletch_row_range rows,
                                    struct fletch_error *error)
{
    struct fletch_shuffle_writer *writer = put->writer;
    struct fletch_frame *frame = fletch_frame_pool_take(&writer->seat->frames);
    if (frame == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a frame to partition %u",
                                put->channel->partition);
    enum fletch_status status = cut(put, rows, &frame->batch, error);
    if (status != FLETCH_OK) {
        fletch_frame_recycle(frame);
        return status;
    }
    frame->channel = put->channel;
    frame->barrier = writer->barrier;
    frame->rows = (uint64_t)rows.count;
    frame->bytes = fletch_batch_body_bytes(frame->batch);
    frame->kept_bytes = fletch_batch_kept_bytes(frame->batch);
    frame->key_sum = fletch_key_sum(writer->partitioner, frame->batch);
    if (writer->shuffle->specification.sums == FLETCH_SUMS_ROWS)
        frame->row_sum = fletch_hash_row_sum(frame->batch);
    if (put->first == NULL)
        put->first = frame;
    else
        put->last->node.next = &frame->node;
    put->last = frame;
    return FLETCH_OK;
}

/* Removes the first frame. */
static struct fletch_frame *take_piece(struct put *put)
{
    struct fletch_frame *frame = put->first;
    put->first = (struct fletch_frame *)(void *)frame->node.next;
    frame->node.next = NULL;
    return frame;
}

static enum fletch_status make_pieces(struct put *put, struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    int64_t first_row = 0;
    do {
        int64_t row_count = rows_of_piece(put->batch, first_row);
        status = add_piece(put, (struct fletch_row_range){first_row, (size_t)row_count}, error);
        first_row += row_count;
    } while (status == FLETCH_OK && first_row < put->batch->row_count);
    while (status != FLETCH_OK && put->first != NULL) {
        struct fletch_frame *frame = take_piece(put);
        fletch_batch_release(put->writer->cache, frame->batch);
        fletch_frame_recycle(frame);
    }
    return status;
}

static void send_pieces(struct put *put)
{
    struct fletch_shuffle_writer *writer = put->writer;
    struct fletch_written_counters *counters = &writer->shuffle->written;
    while (put->first != NULL) {
        struct fletch_frame *frame = take_piece(put);
        writer->taken.rows += frame->rows;
        writer->taken.key_sum += frame->key_sum;
        writer->taken.row_sum += frame->row_sum;
        fetch_add_relaxed(&counters->rows_written, frame->rows);   /* relaxed: a statistic */
        fetch_add_relaxed(&counters->bytes_written, frame->bytes); /* relaxed: the same */
        if (put->goes_to_disk)
            fletch_writer_line_up(writer, frame);
        else
            fletch_writer_send(writer, frame);
    }
    if (put->goes_to_disk)
        fletch_writer_spill_channel(writer, put->channel);
}

/* The batch, or, where it keeps more than twice of its own rows alive, a copy of these, if there is
 * room for one. A reference. */
static struct fletch_batch *compacted(struct fletch_shuffle_writer *writer,
                                      struct fletch_batch *batch)
{
    const struct fletch_batch_place place = {.cache = writer->cache, .account = writer->account};
    struct fletch_batch *copy = NULL;
    uint64_t bytes = fletch_batch_body_bytes(batch);
    if (fletch_batch_kept_bytes(batch) > 2 * bytes + COMPACTED_LEAST &&
        fletch_batch_compact(&place, batch, &copy) == FLETCH_OK)
        return copy;
    return fletch_batch_acquire(batch);
}

/* With everything sent that was written before. */
static enum fletch_status put_rows(struct put *put, struct fletch_batch *batch,
                                   struct fletch_error *error)
{
    struct fletch_shuffle_writer *writer = put->writer;
    enum fletch_status status = fletch_writer_pay(writer, batch, &put->batch, error);
    if (status == FLETCH_RESOURCE_EXHAUSTED && fletch_writer_can_spill(writer)) {
        /* The caller keeps it alive until it is on the disk, before this call returns. */
        put->batch = fletch_batch_acquire(batch);
        put->goes_to_disk = true;
        status = FLETCH_OK;
    } else if (status == FLETCH_RESOURCE_EXHAUSTED) {
        status = fletch_writer_pay_alone(writer, batch, &put->batch, error);
    }
    if (status != FLETCH_OK)
        return status;
    status = make_pieces(put, error);
    fletch_batch_release(writer->cache, put->batch);
    if (status == FLETCH_OK)
        send_pieces(put);
    return status;
}

/* As one of the shuffle's schema: what is copied for that the writer is charged for, or the shuffle
 * where the writer's share is too small. */
static enum fletch_status recode(struct fletch_shuffle_writer *writer, struct fletch_batch *batch,
                                 struct fletch_batch **out_batch, struct fletch_error *error)
{
    struct fletch_partition_writer *rows = writer->partition_writer;
    enum fletch_status status = fletch_partition_writer_recode(rows, batch, out_batch, error);
    if (status != FLETCH_RESOURCE_EXHAUSTED)
        return status;
    fletch_partition_writer_charge(rows, writer->shuffle->account);
    status = fletch_partition_writer_recode(rows, batch, out_batch, error);
    fletch_partition_writer_charge(rows, writer->account);
    return status;
}

enum fletch_status fletch_writer_put(struct fletch_shuffle_writer *writer, uint32_t partition,
                                     struct fletch_batch *batch, struct fletch_error *error)
{
    if (fletch_shuffle_partition_has_failed(&writer->shuffle->partitions[partition]))
        writer->refusing = &writer->shuffle->partitions[partition];
    enum fletch_status status = fletch_writer_check_partitions(writer, error);
    if (status == FLETCH_OK)
        status =
            fletch_partition_writer_flush_partition(writer->partition_writer, partition, error);
    if (status == FLETCH_OK)
        status = fletch_writer_advance(writer, error);
    if (status != FLETCH_OK)
        return status;
    struct put put = {.writer = writer, .channel = fletch_writer_channel(writer, partition)};
    if (put.channel == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for the channel to partition %u",
                                partition);
    struct fletch_batch *recoded = NULL;
    status = recode(writer, batch, &recoded, error);
    if (status == FLETCH_OK) {
        struct fletch_batch *rows = compacted(writer, recoded);
        status = put_rows(&put, rows, error);
        fletch_batch_release(writer->cache, rows);
        fletch_batch_release(writer->cache, recoded);
    }
    fletch_writer_note_holding(writer, status);
    return status;
}
