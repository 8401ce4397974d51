#include "shuffle/writer_remote.h"

#include "base/allocator.h"
#include "base/status.h"
#include "shuffle/writer_send.h"

enum fletch_status fletch_writer_check_push(const struct fletch_shuffle_writer *writer,
                                            const char *what, struct fletch_error *error)
{
    if (!fletch_placement_pulls(&writer->shuffle->specification.placement))
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                            "FAILED_PRECONDITION: %s of producer %u: the partitions of shuffle "
                            "'%s' are pulled, which only knows ends",
                            what, writer->producer, writer->shuffle->specification.shown.text);
}

/* ---- announcing ---- */

static enum fletch_status refuse_memory(const struct fletch_shuffle_writer *writer,
                                        struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory for control of producer %u to other "
                            "processes",
                            writer->producer);
}

enum fletch_status fletch_writer_announce(struct fletch_shuffle_writer *writer,
                                          const struct fletch_control_record *control,
                                          uint64_t *out_number, struct fletch_error *error)
{
    struct fletch_announcement *announcement =
        fletch_announcement_create(writer->shuffle, writer->seat, control->kind);
    if (announcement == NULL)
        return refuse_memory(writer, error);
    announcement->record = *control;
    *out_number = fletch_announce(announcement);
    return FLETCH_OK;
}

/* Whether the end lists the channel: it has data, and its partition may be another process's. */
static bool is_listed(const struct fletch_shuffle_writer *writer, uint32_t partition)
{
    const struct fletch_placement_plan *plan = &writer->shuffle->specification.placement;
    const struct fletch_channel *channel = writer->channels[partition];
    return channel != NULL && channel->sent.frames > 0 &&
           (fletch_placement_pulls(plan) || !fletch_placement_may_read(plan, partition));
}

enum fletch_status fletch_writer_announce_end(struct fletch_shuffle_writer *writer,
                                              uint64_t *out_number, struct fletch_error *error)
{
    uint32_t partition_count = writer->shuffle->specification.partitioner.partition_count;
    struct fletch_control_record end = {.kind = FLETCH_CONTROL_END};
    struct fletch_channel_record *channels = NULL;
    for (uint32_t p = 0; p < partition_count; p++)
        end.channel_count += is_listed(writer, p);
    if (end.channel_count > 0) {
        channels = fletch_block_allocate(&writer->shuffle->allocator,
                                         end.channel_count * sizeof channels[0]);
        if (channels == NULL)
            return refuse_memory(writer, error);
    }
    for (uint32_t p = 0, at = 0; p < partition_count; p++)
        if (is_listed(writer, p))
            channels[at++] =
                (struct fletch_channel_record){.partition = p, .totals = writer->channels[p]->sent};
    end.channels = channels;
    enum fletch_status status = fletch_writer_announce(writer, &end, out_number, error);
    if (status != FLETCH_OK && channels != NULL)
        fletch_block_release(channels);
    return status;
}

/* ---- waiting ---- */

static enum fletch_status tell_late(const struct fletch_shuffle_writer *writer,
                                    struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_DEADLINE_EXCEEDED,
                            "DEADLINE_EXCEEDED: control of producer %u of shuffle '%s' was not "
                            "accepted in time by all processes that have partitions of it",
                            writer->producer, writer->shuffle->specification.shown.text);
}

/* Whether there may never be an answer. OK: there may. */
static enum fletch_status check_hope(struct fletch_shuffle_writer *writer,
                                     struct fletch_error *error)
{
    enum fletch_status status = fletch_shuffle_check(writer->shuffle, error);
    if (status != FLETCH_OK || !fletch_shuffle_has_lost(writer->shuffle))
        return status;
    writer->refusing = &writer->shuffle->partitions[0]; /* any: all of them have failed */
    return fletch_writer_check_partitions(writer, error);
}

static enum fletch_status give_answer(const struct fletch_shuffle_writer *writer,
                                      struct fletch_error *error)
{
    const struct fletch_announcer *announcer = &writer->seat->announcer;
    if (announcer->failure.status == FLETCH_OK)
        return FLETCH_OK;
    if (error != NULL)
        *error = announcer->failure;
    return announcer->failure.status;
}

enum fletch_status fletch_writer_await_others(struct fletch_shuffle_writer *writer, uint64_t number,
                                              uint64_t deadline_ns, struct fletch_error *error)
{
    struct fletch_eventcount *sleeper = writer->seat->sleeper;
    const struct fletch_announcer *announcer = &writer->seat->announcer;
    for (;;) {
        if (fletch_announcer_is_settled(announcer, number))
            return give_answer(writer, error);
        enum fletch_status status = check_hope(writer, error);
        if (status != FLETCH_OK)
            return status;
        uint64_t left_ns = fletch_transport_remaining_ns(writer->shuffle->transport, deadline_ns);
        if (left_ns == 0)
            return tell_late(writer, error);
        uint32_t key = fletch_eventcount_prepare(sleeper);
        if (fletch_announcer_is_settled(announcer, number) ||
            fletch_shuffle_is_cancelled(writer->shuffle) ||
            fletch_shuffle_has_lost(writer->shuffle))
            fletch_eventcount_cancel(sleeper);
        else
            (void)fletch_eventcount_wait(sleeper, key, left_ns);
    }
}
