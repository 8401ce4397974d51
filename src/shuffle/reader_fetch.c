#include "shuffle/reader_fetch.h"

#include "base/status.h"
#include "memory/batch.h"
#include "memory/budget.h"

enum fletch_status fletch_reader_open_segment(struct fletch_shuffle_reader *reader,
                                              struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = reader->shuffle;
    const struct fletch_spill_options options = {
        .directory = shuffle->specification.spill_directory,
        .schema = shuffle->specification.schema,
        .cache = reader->cache,
        .account =
            shuffle->transport->account, /* a shuffle that is full can be read all the same */
        .allocator = &shuffle->allocator,
        .codec = shuffle->specification.spill_codec,
        .io = shuffle->transport->spill_io,
    };
    if (options.directory == NULL || shuffle->retained == NULL)
        return FLETCH_OK;
    return fletch_spill_segment_create(&options, &reader->segment, error);
}

/* Whether `bytes` may go past the limit of the account: what is larger than all of it goes alone.
 * Notes what to wait for. */
static bool goes_alone(struct fletch_shuffle_reader *reader, struct fletch_account *account,
                       uint64_t bytes)
{
    uint64_t limit = load_relaxed(&account->limit_bytes); /* relaxed: fixed while it is open */
    struct fletch_budget_statistics found = {.struct_size = sizeof found};
    reader->blocked_account = account;
    reader->blocked_bytes = bytes < limit ? bytes : limit;
    if (bytes <= limit)
        return false;
    fletch_account_statistics(account, &found);
    return found.used_bytes == 0;
}

static enum fletch_status charge(struct fletch_shuffle_reader *reader, struct fletch_batch *batch,
                                 struct fletch_account *account, struct fletch_error *error)
{
    struct fletch_error refusal;
    uint64_t bytes = fletch_batch_charge_bytes(batch);
    /* Asked before anything of it is moved, which would be in its own way. */
    if (goes_alone(reader, account, bytes))
        return FLETCH_OK;
    enum fletch_status status = fletch_batch_transfer(batch, account, 0, &refusal);
    if (status == FLETCH_OK || reader->never_waits_for_room)
        return FLETCH_OK;
    return fletch_error_set(error, status, "RESOURCE_EXHAUSTED: what was read is not released: %s",
                            refusal.message);
}

/* Keeps a batch in memory, or on disk where *retained* has no room. */
static enum fletch_status keep(struct fletch_shuffle_reader *reader, struct fletch_frame *frame,
                               struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = reader->shuffle;
    enum fletch_status status = fletch_batch_transfer(frame->batch, shuffle->retained, 0, error);
    if (status == FLETCH_OK)
        return FLETCH_OK;
    if (reader->segment == NULL) {
        (void)goes_alone(reader, shuffle->retained, fletch_batch_charge_bytes(frame->batch));
        return status;
    }
    status = charge(reader, frame->batch, shuffle->transport->delivered, error);
    return status == FLETCH_OK
               ? fletch_spill_segment_append(reader->segment, frame->batch, &frame->spilled, error)
               : status;
}

/* ---- from disk ---- */

static enum fletch_status tell_broken(const struct fletch_shuffle_partition *partition,
                                      const struct fletch_frame *frame,
                                      const struct fletch_error *cause, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_DATA_LOSS,
                            "DATA_LOSS: partition %u of shuffle '%s', producer %u: a frame on disk "
                            "cannot be read: %s",
                            partition->number, partition->shuffle->specification.shown.text,
                            frame->channel->producer, cause->message);
}

static enum fletch_status read_back(struct fletch_shuffle_reader *reader,
                                    const struct fletch_shuffle_partition *partition,
                                    const struct fletch_frame *frame,
                                    struct fletch_batch **out_batch, struct fletch_error *error)
{
    struct fletch_transport *transport = reader->shuffle->transport;
    uint64_t bytes = frame->spilled.frame_bytes;
    struct fletch_error cause;
    enum fletch_status status =
        fletch_spill_read(&frame->spilled, reader->cache, transport->delivered, out_batch, &cause);
    if (status == FLETCH_RESOURCE_EXHAUSTED && goes_alone(reader, transport->delivered, bytes)) {
        status = fletch_spill_read(&frame->spilled, reader->cache, transport->account, out_batch,
                                   &cause);
        reader->blocked_account = transport->account;
        reader->blocked_bytes = bytes;
    }
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        return fletch_error_set(error, status,
                                "RESOURCE_EXHAUSTED: no room to read a frame of %llu bytes back: "
                                "%s",
                                (unsigned long long)bytes, cause.message);
    return status == FLETCH_OK ? FLETCH_OK : tell_broken(partition, frame, &cause, error);
}

enum fletch_status fletch_reader_fetch(struct fletch_shuffle_reader *reader,
                                       const struct fletch_shuffle_partition *partition,
                                       struct fletch_frame *frame, struct fletch_batch **out_batch,
                                       struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = reader->shuffle;
    enum fletch_status status = FLETCH_OK;
    if (frame->batch == NULL)
        return read_back(reader, partition, frame, out_batch, error);
    if (shuffle->retained == NULL)
        status = charge(reader, frame->batch, shuffle->transport->delivered, error);
    else if (!frame->is_retained && frame->spilled.file == NULL)
        status = keep(reader, frame, error);
    if (status == FLETCH_OK)
        *out_batch = fletch_batch_acquire_inline(frame->batch);
    return status == FLETCH_UNAVAILABLE ? FLETCH_RESOURCE_EXHAUSTED : status;
}
