#include "shuffle/shuffle_statistics.h"

#include <string.h>

#include "base/status.h"
#include "shuffle/producer_set.h"
#include "shuffle/shuffle_seat.h"

static void copy_written(const struct fletch_written_counters *written,
                         struct fletch_exchange_statistics *statistics)
{
    statistics->rows_written = load_relaxed(&written->rows_written);     /* relaxed: a statistic */
    statistics->rows_sent = load_relaxed(&written->rows_sent);           /* relaxed: a statistic */
    statistics->bytes_written = load_relaxed(&written->bytes_written);   /* relaxed: a statistic */
    statistics->bytes_sent = load_relaxed(&written->bytes_sent);         /* relaxed: a statistic */
    statistics->frames_sent = load_relaxed(&written->frames_sent);       /* relaxed: a statistic */
    statistics->frames_spilled = load_relaxed(&written->frames_spilled); /* relaxed: a statistic */
    statistics->bytes_spilled = load_relaxed(&written->bytes_spilled);   /* relaxed: a statistic */
    statistics->credit_waits = load_relaxed(&written->credit_waits);     /* relaxed: a statistic */
    statistics->producers_unverified =
        load_relaxed(&written->producers_unverified);                    /* relaxed: a statistic */
    statistics->credit_wait_ns = load_relaxed(&written->credit_wait_ns); /* relaxed: a statistic */
    statistics->frames_accepted =
        load_relaxed(&written->frames_accepted);                         /* relaxed: a statistic */
    statistics->rows_accepted = load_relaxed(&written->rows_accepted);   /* relaxed: a statistic */
    statistics->bytes_accepted = load_relaxed(&written->bytes_accepted); /* relaxed: a statistic */
}

static void copy_read(const struct fletch_read_counters *read,
                      struct fletch_exchange_statistics *statistics)
{
    statistics->rows_read = load_relaxed(&read->rows_read);               /* relaxed: a statistic */
    statistics->bytes_read = load_relaxed(&read->bytes_read);             /* relaxed: a statistic */
    statistics->frames_read = load_relaxed(&read->frames_read);           /* relaxed: a statistic */
    statistics->reader_waits = load_relaxed(&read->reader_waits);         /* relaxed: a statistic */
    statistics->reader_wait_ns = load_relaxed(&read->reader_wait_ns);     /* relaxed: a statistic */
    statistics->readers_open = load_relaxed(&read->readers_open);         /* relaxed: a statistic */
    statistics->partitions_ended = load_relaxed(&read->partitions_ended); /* relaxed: a statistic */
}

void fletch_shuffle_statistics(struct fletch_shuffle *shuffle,
                               struct fletch_exchange_statistics *out_statistics)
{
    struct fletch_exchange_statistics found = {
        .struct_size = out_statistics->struct_size,
        .budget_bytes = shuffle->specification.budget_bytes,
    };
    struct fletch_budget_statistics account = {.struct_size = sizeof account};
    struct fletch_budget_statistics alone = {.struct_size = sizeof alone};
    struct fletch_coordinator_statistics producers;
    struct fletch_spill_statistics spilled;
    copy_written(&shuffle->written, &found);
    copy_read(&shuffle->read, &found);
    for (uint32_t p = 0; p < shuffle->specification.partitioner.partition_count; p++)
        /* relaxed: a statistic */
        found.bytes_queued += load_relaxed(&shuffle->partitions[p].bytes_queued);
    fletch_shuffle_seats_spilled(shuffle, &spilled);
    found.bytes_on_disk = spilled.bytes_on_disk;
    fletch_account_statistics(shuffle->account, &account);
    fletch_account_statistics(shuffle->alone, &alone);
    found.bytes_charged = account.used_bytes + alone.used_bytes;
    found.bytes_charged_peak = account.peak_bytes + alone.peak_bytes;
    fletch_coordinator_statistics(shuffle->coordinator, &producers);
    found.watermarks_clamped = producers.watermarks_clamped;
    found.producers_open = producers.producers_open;
    found.producers_ended = producers.producers_ended;
    fletch_producer_set_correct(shuffle, &found);
    memcpy(out_statistics, &found,
           found.struct_size < sizeof found ? found.struct_size : sizeof found);
}

enum fletch_partition_state
fletch_shuffle_partition_state(const struct fletch_shuffle_partition *partition)
{
    const struct fletch_shuffle *shuffle = partition->shuffle;
    uint32_t outcome = load_acquire(&shuffle->outcome);           /* shuffle E2 acquire */
    uint64_t rows_sent = load_relaxed(&partition->rows_sent);     /* relaxed: a statistic */
    uint64_t frames_sent = load_relaxed(&partition->frames_sent); /* relaxed: a statistic */
    uint32_t ending = load_relaxed(&partition->ending);           /* relaxed: a statistic */
    if (fletch_shuffle_is_cancelled(shuffle))
        return FLETCH_PARTITION_CANCELLED;
    if (outcome == FLETCH_OUTCOME_LOST || ending == FLETCH_ENDING_BROKEN)
        return FLETCH_PARTITION_LOST;
    if (ending == FLETCH_ENDING_END && shuffle->retained == NULL)
        return FLETCH_PARTITION_CONSUMED;
    if (outcome == FLETCH_OUTCOME_COMPLETE)
        return rows_sent == 0 ? FLETCH_PARTITION_EMPTY : FLETCH_PARTITION_COMPLETE;
    return frames_sent == 0 ? FLETCH_PARTITION_REGISTERED : FLETCH_PARTITION_PRODUCING;
}

static enum fletch_status find(struct fletch_shuffle *shuffle, uint32_t number,
                               struct fletch_shuffle_partition **out_partition,
                               struct fletch_error *error)
{
    uint32_t count = shuffle->specification.partitioner.partition_count;
    if (number >= count)
        return fletch_error_set(
            error, FLETCH_OUT_OF_RANGE,
            "OUT_OF_RANGE: partition %u of shuffle '%s' was asked for, it has %u", number,
            shuffle->specification.shown.text, count);
    *out_partition = &shuffle->partitions[number];
    return FLETCH_OK;
}

enum fletch_status
fletch_shuffle_partition_statistics(struct fletch_shuffle *shuffle, uint32_t partition,
                                    struct fletch_partition_statistics *out_statistics,
                                    struct fletch_error *error)
{
    struct fletch_shuffle_partition *found = NULL;
    enum fletch_status status = find(shuffle, partition, &found, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_partition_statistics statistics = {
        .struct_size = out_statistics->struct_size,
        .state = fletch_shuffle_partition_state(found),
        .rows = load_relaxed(&found->rows_sent),            /* relaxed: a statistic */
        .bytes = load_relaxed(&found->bytes_sent),          /* relaxed: a statistic */
        .frames = load_relaxed(&found->frames_sent),        /* relaxed: a statistic */
        .bytes_queued = load_relaxed(&found->bytes_queued), /* relaxed: a statistic */
        .rows_read = load_relaxed(&found->rows_read),       /* relaxed: a statistic */
        .has_reader = fletch_mailbox_has_owner(&found->mailbox),
        .waiting_producers = fletch_credit_waiting(&found->credit),
    };
    memcpy(out_statistics, &statistics,
           statistics.struct_size < sizeof statistics ? statistics.struct_size : sizeof statistics);
    return FLETCH_OK;
}
