#include "shuffle/writer_linger.h"

#include "base/checked.h"
#include "base/clock.h"
#include "partition/partition_writer.h"

/* Rows of a partition lie there since its last frame was finished, or since it was last seen empty,
 * or since the whole writer was: whichever is later. So rows may be sent earlier than they have to
 * be. They are sent later where that delays nobody: as long as the partition's reader has not taken
 * what was sent before, more rows may come to them. */

/* How often it looks, in parts of the time that rows may linger, whether such a reader is done. */
enum { LOOKS_OF_LINGER = 4 };

void fletch_writer_linger_begin(struct fletch_shuffle_writer *writer, uint64_t now_ns)
{
    writer->now_ns = now_ns;
    if (writer->look_ns != 0)
        return;
    writer->empty_until_ns = now_ns;
    writer->look_ns = fletch_saturating_add_u64(now_ns, writer->shuffle->specification.linger_ns);
}

void fletch_writer_linger_restart(struct fletch_shuffle_writer *writer, uint32_t partition)
{
    writer->lying_since_ns[partition] = writer->now_ns;
}

/* When the rows of a partition have lain there long enough. */
static uint64_t due_ns(const struct fletch_shuffle_writer *writer, uint32_t partition)
{
    uint64_t since_ns = writer->lying_since_ns[partition];
    if (since_ns < writer->empty_until_ns)
        since_ns = writer->empty_until_ns;
    return fletch_saturating_add_u64(since_ns, writer->shuffle->specification.linger_ns);
}

static bool reader_is_behind(const struct fletch_shuffle_writer *writer, uint32_t partition)
{
    /* relaxed: looked at again soon */
    return load_relaxed(&writer->shuffle->partitions[partition].bytes_queued) > 0;
}

/* Finishes the frame of a partition if it is time. `*out_next_ns`: when to look again;
 * FLETCH_NO_DEADLINE: not before rows come. */
static enum fletch_status look_at(struct fletch_shuffle_writer *writer, uint32_t partition,
                                  uint64_t now_ns, uint64_t *out_next_ns,
                                  struct fletch_error *error)
{
    uint64_t linger_ns = writer->shuffle->specification.linger_ns;
    *out_next_ns = FLETCH_NO_DEADLINE;
    if (!fletch_partition_writer_has_open(writer->partition_writer, partition)) {
        writer->lying_since_ns[partition] = now_ns;
        return FLETCH_OK;
    }
    uint64_t due = due_ns(writer, partition);
    if (due > now_ns)
        *out_next_ns = due;
    else if (reader_is_behind(writer, partition))
        *out_next_ns = now_ns + linger_ns / LOOKS_OF_LINGER + 1;
    else
        return fletch_partition_writer_flush_partition(writer->partition_writer, partition, error);
    return FLETCH_OK;
}

enum fletch_status fletch_writer_linger_flush(struct fletch_shuffle_writer *writer, uint64_t now_ns,
                                              struct fletch_error *error)
{
    uint32_t partition_count = writer->shuffle->specification.partitioner.partition_count;
    uint64_t least_ns = FLETCH_NO_DEADLINE;
    if (writer->look_ns == 0 || now_ns < writer->look_ns ||
        fletch_partition_writer_has_rest(writer->partition_writer))
        return FLETCH_OK;
    for (uint32_t p = 0; p < partition_count; p++) {
        uint64_t next_ns = 0;
        enum fletch_status status = look_at(writer, p, now_ns, &next_ns, error);
        if (status != FLETCH_OK)
            return status;
        least_ns = next_ns < least_ns ? next_ns : least_ns;
    }
    writer->look_ns = least_ns == FLETCH_NO_DEADLINE ? 0 : least_ns;
    return FLETCH_OK;
}
