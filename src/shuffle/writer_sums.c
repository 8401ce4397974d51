#include "shuffle/writer_sums.h"

#include <inttypes.h>

#include "base/status.h"
#include "partition/partition_writer.h"

/* What went out, over all channels. */
static struct fletch_channel_totals sum_channels(const struct fletch_shuffle_writer *writer)
{
    struct fletch_channel_totals gone = {0};
    for (uint32_t p = 0; p < writer->shuffle->specification.partitioner.partition_count; p++) {
        const struct fletch_channel *channel = writer->channels[p];
        if (channel == NULL)
            continue;
        gone.rows += channel->sent.rows;
        gone.key_sum += channel->sent.key_sum;
        gone.row_sum += channel->sent.row_sum;
    }
    return gone;
}

enum fletch_status fletch_writer_check_sums(const struct fletch_shuffle_writer *writer,
                                            struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &writer->shuffle->specification;
    const struct fletch_channel_totals gone = sum_channels(writer);
    struct fletch_channel_totals taken = writer->taken;
    taken.key_sum += fletch_partition_writer_key_sum(writer->partition_writer);
    const char *what = NULL;
    if (specification->sums == FLETCH_SUMS_OFF)
        return FLETCH_OK;
    if (gone.rows != taken.rows)
        what = "rows";
    else if (specification->sums != FLETCH_SUMS_COUNTS && gone.key_sum != taken.key_sum)
        what = "sums of key hashes";
    else if (specification->sums == FLETCH_SUMS_ROWS && gone.row_sum != taken.row_sum)
        what = "sums of row hashes";
    if (what == NULL)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_DATA_LOSS,
                            "DATA_LOSS: %s of producer %u differ: %" PRIu64
                            " rows came in, %" PRIu64 " went out; key sums %016" PRIx64
                            " and %016" PRIx64 ", row sums %016" PRIx64 " and %016" PRIx64,
                            what, writer->producer, taken.rows, gone.rows, taken.key_sum,
                            gone.key_sum, taken.row_sum, gone.row_sum);
}
