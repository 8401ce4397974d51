#include "shuffle/writer_spill.h"

#include "base/atomic.h"
#include "shuffle/writer_send.h"

enum fletch_status fletch_writer_open_segment(struct fletch_shuffle_writer *writer,
                                              struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &writer->shuffle->specification;
    if (specification->spill_directory == NULL)
        return FLETCH_OK;
    const struct fletch_spill_options options = {
        .directory = specification->spill_directory,
        .schema = specification->schema,
        .cache = writer->cache,
        .account = writer->shuffle->account,
        .allocator = &writer->shuffle->allocator,
        .codec = specification->spill_codec,
        .io = writer->shuffle->transport->spill_io,
    };
    return fletch_spill_segment_create(&options, &writer->segment, error);
}

bool fletch_writer_can_spill(const struct fletch_shuffle_writer *writer)
{
    return writer->segment != NULL &&
           fletch_spill_segment_state(writer->segment) == FLETCH_SPILL_OPEN;
}

/* Writes the oldest frame of a channel to disk, and sends it without credit; with credit, if that
 * came meanwhile. False: the disk took nothing, the frame waits on. */
static bool spill_oldest(struct fletch_shuffle_writer *writer, struct fletch_channel *channel)
{
    enum fletch_credit_source source = FLETCH_CREDIT_NONE;
    struct fletch_frame *frame = channel->first_waiting;
    if (!fletch_credit_request_give_up(&channel->request, &source)) {
        if (fletch_spill_segment_append(writer->segment, frame->batch, &frame->spilled, NULL) !=
            FLETCH_OK)
            return false;
        fletch_batch_release(writer->cache, frame->batch);
        frame->batch = NULL;
        /* relaxed: statistics; the moves are looked at twice */
        fetch_add_relaxed(&writer->shuffle->written.frames_spilled, 1);
        fetch_add_relaxed(&writer->shuffle->written.bytes_spilled, /* relaxed: the same */
                          frame->bytes);
        fetch_add_relaxed(&writer->shuffle->credit_pool.moves, 1); /* relaxed: the same */
    }
    fletch_writer_push_oldest(writer, channel, source);
    return true;
}

bool fletch_writer_spill(struct fletch_shuffle_writer *writer, uint64_t now_ns)
{
    bool is_patient = now_ns - writer->moved_ns < writer->shuffle->specification.spill_after_ns;
    bool has_spilled = false;
    if (!fletch_writer_can_spill(writer))
        return false;
    for (struct fletch_channel *channel = writer->first_waiting; channel != NULL;
         channel = channel->next_waiting) {
        struct fletch_shuffle_partition *partition =
            &writer->shuffle->partitions[channel->partition];
        /* relaxed: a reader that comes or goes just now finds the frame either way */
        if (is_patient && load_relaxed(&partition->mailbox.owner) != NULL)
            continue;
        while (channel->first_waiting != NULL && spill_oldest(writer, channel))
            has_spilled = true;
    }
    if (has_spilled)
        fletch_writer_forget_idle_channels(writer);
    return has_spilled;
}

void fletch_writer_spill_channel(struct fletch_shuffle_writer *writer,
                                 struct fletch_channel *channel)
{
    while (channel->first_waiting != NULL && spill_oldest(writer, channel))
        continue;
    fletch_writer_forget_idle_channels(writer);
}
