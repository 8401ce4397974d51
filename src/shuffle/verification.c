#include "shuffle/verification.h"

#include <stddef.h>
#include <string.h>

#include <fletching/partition.h>

#include "base/status.h"
#include "shuffle/batch_body.h"
#include "shuffle/key_sum.h"

enum fletch_sum_level
fletch_verification_level(const struct fletch_shuffle_specification *specification)
{
    if (specification->sums == FLETCH_SUMS_KEYS && !specification->has_hashes)
        return FLETCH_SUMS_COUNTS;
    return specification->sums;
}

bool fletch_verification_sums_keys(const struct fletch_shuffle_specification *specification)
{
    return specification->has_hashes &&
           (specification->sums == FLETCH_SUMS_KEYS || specification->sums == FLETCH_SUMS_ROWS);
}

enum fletch_status fletch_verification_add(const struct fletch_shuffle_partition *partition,
                                           const struct fletch_frame *frame,
                                           const struct fletch_batch *batch,
                                           struct fletch_partitioner *partitioner,
                                           struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &partition->shuffle->specification;
    struct fletch_channel_totals *received = &frame->channel->received;
    if (specification->sums == FLETCH_SUMS_OFF)
        return FLETCH_OK;
    if (frame->sequence != received->frames + 1)
        return fletch_error_set(error, FLETCH_DATA_LOSS,
                                "DATA_LOSS: partition %u of shuffle '%s', producer %u: frame %llu "
                                "came instead of frame %llu",
                                partition->number, specification->shown.text,
                                frame->channel->producer, (unsigned long long)frame->sequence,
                                (unsigned long long)received->frames + 1);
    received->frames++;
    received->rows += (uint64_t)fletch_batch_row_count(batch);
    received->bytes += fletch_batch_body_bytes(batch);
    if (partitioner != NULL)
        received->key_sum += fletch_key_sum(partitioner, batch);
    if (specification->sums == FLETCH_SUMS_ROWS)
        received->row_sum += fletch_hash_row_sum(batch);
    return FLETCH_OK;
}

/* What is compared, and what it is called. */
static const struct total {
    const char *what;
    size_t at;
} totals[] = {
    {"frames", offsetof(struct fletch_channel_totals, frames)},
    {"rows", offsetof(struct fletch_channel_totals, rows)},
    {"bytes", offsetof(struct fletch_channel_totals, bytes)},
    {"the sum of keys", offsetof(struct fletch_channel_totals, key_sum)},
    {"the sum of rows", offsetof(struct fletch_channel_totals, row_sum)},
};

static bool is_compared(const struct fletch_shuffle_specification *specification,
                        const struct total *total)
{
    if (total->at == offsetof(struct fletch_channel_totals, key_sum))
        return fletch_verification_sums_keys(specification);
    if (total->at == offsetof(struct fletch_channel_totals, row_sum))
        return specification->sums == FLETCH_SUMS_ROWS;
    return true;
}

static uint64_t total_of(const struct fletch_channel_totals *channel, const struct total *total)
{
    uint64_t value;
    memcpy(&value, (const char *)channel + total->at, sizeof value);
    return value;
}

static enum fletch_status compare(const struct fletch_shuffle_partition *partition,
                                  const struct fletch_channel *channel, struct fletch_error *error)
{
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
        uint64_t sent = total_of(&channel->sent, &totals[i]);
        uint64_t received = total_of(&channel->received, &totals[i]);
        if (sent != received && is_compared(&partition->shuffle->specification, &totals[i]))
            return fletch_error_set(
                error, FLETCH_DATA_LOSS,
                "DATA_LOSS: partition %u of shuffle '%s', producer %u: %s: %llu sent, %llu "
                "received",
                partition->number, partition->shuffle->specification.shown.text, channel->producer,
                totals[i].what, (unsigned long long)sent, (unsigned long long)received);
    }
    return FLETCH_OK;
}

enum fletch_status fletch_verification_compare(const struct fletch_shuffle_partition *partition,
                                               struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    if (partition->shuffle->specification.sums == FLETCH_SUMS_OFF)
        return FLETCH_OK;
    const struct fletch_channel *channel = load_acquire(&partition->channels); /* E1 acquire */
    for (; channel != NULL && status == FLETCH_OK; channel = channel->next)
        status = compare(partition, channel, error);
    return status;
}

void fletch_verification_restart(struct fletch_shuffle_partition *partition)
{
    struct fletch_channel *channel = load_acquire(&partition->channels); /* E1 acquire */
    for (; channel != NULL; channel = channel->next)
        channel->received = (struct fletch_channel_totals){.frames = 0};
}
