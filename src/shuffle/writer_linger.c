#include "shuffle/writer_linger.h"

#include "partition/partition_writer.h"

/* Rows of a partition lie there since its last frame was finished, or since it was last seen empty,
 * or since the whole writer was: whichever is later. So rows may be sent earlier than they have to
 * be, and not later. */

void fletch_writer_linger_begin(struct fletch_shuffle_writer *writer, uint64_t now_ns)
{
    writer->now_ns = now_ns;
    if (writer->oldest_ns != 0)
        return;
    writer->oldest_ns = now_ns;
    writer->empty_until_ns = now_ns;
}

void fletch_writer_linger_restart(struct fletch_shuffle_writer *writer, uint32_t partition)
{
    writer->lying_since_ns[partition] = writer->now_ns;
}

static uint64_t lying_since(const struct fletch_shuffle_writer *writer, uint32_t partition)
{
    uint64_t since_ns = writer->lying_since_ns[partition];
    return since_ns > writer->empty_until_ns ? since_ns : writer->empty_until_ns;
}

enum fletch_status fletch_writer_linger_flush(struct fletch_shuffle_writer *writer, uint64_t now_ns,
                                              struct fletch_error *error)
{
    uint64_t linger_ns = writer->shuffle->specification.linger_ns;
    uint32_t partition_count = writer->shuffle->specification.partitioner.partition_count;
    if (writer->oldest_ns == 0 || linger_ns == FLETCH_OFF ||
        now_ns - writer->oldest_ns < linger_ns ||
        fletch_partition_writer_has_rest(writer->partition_writer))
        return FLETCH_OK;
    uint64_t oldest_ns = 0;
    for (uint32_t p = 0; p < partition_count; p++) {
        if (!fletch_partition_writer_has_open(writer->partition_writer, p)) {
            writer->lying_since_ns[p] = now_ns;
            continue;
        }
        uint64_t since_ns = lying_since(writer, p);
        enum fletch_status status = FLETCH_OK;
        if (now_ns - since_ns >= linger_ns)
            status = fletch_partition_writer_flush_partition(writer->partition_writer, p, error);
        else if (oldest_ns == 0 || since_ns < oldest_ns)
            oldest_ns = since_ns;
        if (status != FLETCH_OK)
            return status;
    }
    writer->oldest_ns = oldest_ns;
    return FLETCH_OK;
}
