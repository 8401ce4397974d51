#include "shuffle/shuffle_reader.h"

#include "base/allocator.h"
#include "base/assert.h"
#include "base/options.h"
#include "base/status.h"
#include "memory/budget.h"
#include "partition/partitioner.h"
#include "shuffle/media.h"
#include "shuffle/reader_fetch.h"
#include "shuffle/reader_give.h"
#include "shuffle/registry.h"
#include "shuffle/verification.h"

/* How long a reader sleeps before it looks again that found no room where there seemed to be some:
 * others took it, or it was not room that was missing. */
#define LOOK_AGAIN_NS UINT64_C(5000000)

/* ---- opening ---- */

/* Puts what was kept before what has not been given, and begins to count anew. */
static void rewind_partition(struct fletch_shuffle_partition *partition)
{
    struct fletch_frame_list all = partition->retained;
    if (partition->taken.first != NULL && all.first != NULL) {
        all.last->node.next = &partition->taken.first->node;
        all.last = partition->taken.last;
    } else if (all.first == NULL) {
        all = partition->taken;
    }
    partition->retained = (struct fletch_frame_list){.first = NULL};
    partition->taken = all;
    partition->rows = 0;
    fletch_verification_restart(partition);
    /* relaxed: whoever owns the partition */
    if (load_relaxed(&partition->ending) == FLETCH_ENDING_END) {
        store_relaxed(&partition->ending, FLETCH_ENDING_NONE); /* relaxed: as above */
        fletch_frame_list_append(&partition->taken, &partition->end);
        /* relaxed: a statistic */
        fetch_sub_relaxed(&partition->shuffle->read.partitions_ended, 1);
    }
}

/* Whether there is anything to be read of a partition that this reader owns. */
static enum fletch_status check_ending(const struct fletch_shuffle_partition *partition,
                                       struct fletch_error *error)
{
    const char *name = partition->shuffle->specification.shown.text;
    switch (load_relaxed(&partition->ending)) { /* relaxed: this thread owns the partition */
    case FLETCH_ENDING_END:
        if (partition->shuffle->retained != NULL)
            return FLETCH_OK;
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "CONSUMED: partition %u of shuffle '%s' was read to its end",
                                partition->number, name);
    case FLETCH_ENDING_LOST:
    case FLETCH_ENDING_BROKEN:
        return fletch_shuffle_partition_check(partition, error);
    default:
        return FLETCH_OK;
    }
}

static enum fletch_status attach(struct fletch_shuffle_reader *reader, uint32_t number,
                                 struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = reader->shuffle;
    const struct fletch_placement_plan *plan = &shuffle->specification.placement;
    uint32_t count = shuffle->specification.partitioner.partition_count;
    if (number >= count)
        return fletch_error_set(
            error, FLETCH_OUT_OF_RANGE,
            "OUT_OF_RANGE: partition %u of shuffle '%s' was asked for, it has %u", number,
            shuffle->specification.shown.text, count);
    if (!fletch_placement_may_read(plan, number))
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "FAILED_PRECONDITION: partition %u of shuffle '%s' belongs to the "
                                "process at %s",
                                number, shuffle->specification.shown.text,
                                plan->addresses[plan->owners[number]]);
    struct fletch_shuffle_partition *partition =
        fletch_registry_partition(shuffle, reader->seat->reader, number);
    if (partition == NULL ||
        !fletch_mailbox_attach(&partition->mailbox, reader->list, reader->seat->reader)) {
        enum fletch_status status = fletch_shuffle_check(shuffle, error);
        if (status == FLETCH_OK && partition != NULL &&
            !fletch_mailbox_has_owner(&partition->mailbox))
            status = fletch_shuffle_partition_check(partition, error);
        if (status != FLETCH_OK)
            return status;
        return fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                                "ALREADY_EXISTS: partition %u of shuffle '%s' has a reader", number,
                                shuffle->specification.shown.text);
    }
    reader->partitions[reader->partition_count++] = partition;
    enum fletch_status status = check_ending(partition, error);
    if (status != FLETCH_OK)
        return status;
    if (shuffle->retained != NULL)
        rewind_partition(partition);
    if (partition->taken.first != NULL)
        fletch_partition_queue_append(&reader->pending, partition);
    return FLETCH_OK;
}

static enum fletch_status attach_all(struct fletch_shuffle_reader *reader,
                                     const struct fletch_shuffle_reader_options *options,
                                     uint32_t count, struct fletch_error *error)
{
    const struct fletch_placement_plan *plan = &reader->shuffle->specification.placement;
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; options->partitions != NULL && i < count && status == FLETCH_OK; i++)
        status = attach(reader, options->partitions[i], error);
    for (uint32_t p = 0;
         options->partitions == NULL && reader->partition_count < count && status == FLETCH_OK; p++)
        if (fletch_placement_may_read(plan, p))
            status = attach(reader, p, error);
    return status;
}

/* Pull: asks producers of other processes for what they have for these partitions. */
static enum fletch_status claim(struct fletch_shuffle_reader *reader, struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = reader->shuffle;
    const struct fletch_media *media = shuffle->transport->media;
    if (!fletch_placement_pulls(&shuffle->specification.placement))
        return FLETCH_OK;
    uint32_t *numbers =
        fletch_block_allocate(&shuffle->allocator, reader->partition_count * sizeof numbers[0]);
    uint32_t count = 0;
    if (numbers == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a reader of %u partitions",
                                reader->partition_count);
    for (uint32_t i = 0; i < reader->partition_count; i++)
        if (!reader->partitions[i]->is_claimed)
            numbers[count++] = reader->partitions[i]->number;
    enum fletch_status status = FLETCH_OK;
    if (count > 0)
        status = media->claim(media->context, shuffle, numbers, count, error);
    for (uint32_t i = 0; i < reader->partition_count && status == FLETCH_OK; i++)
        reader->partitions[i]->is_claimed = true;
    fletch_block_release(numbers);
    return status;
}

static enum fletch_status make_parts(struct fletch_shuffle_reader *reader,
                                     struct fletch_buffer_cache *cache, uint32_t count,
                                     struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = reader->shuffle;
    reader->list = fletch_block_allocate(&shuffle->allocator, sizeof *reader->list);
    reader->partitions =
        fletch_block_allocate(&shuffle->allocator, count * sizeof reader->partitions[0]);
    if (reader->list != NULL)
        fletch_ready_list_init(reader->list);
    if (reader->list == NULL || reader->partitions == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a reader of %u partitions",
                                count);
    reader->seat = fletch_transport_borrow_seat(shuffle->transport, error);
    if (reader->seat == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    enum fletch_status status = FLETCH_OK;
    if (fletch_verification_sums_keys(&shuffle->specification))
        status = fletch_partitioner_create(shuffle->specification.schema,
                                           &shuffle->specification.partitioner, &shuffle->allocator,
                                           &reader->partitioner, error);
    reader->cache = cache;
    if (status == FLETCH_OK && cache == NULL) {
        status = fletch_buffer_cache_open(shuffle->transport->pool, &reader->cache, error);
        reader->owns_cache = status == FLETCH_OK;
    }
    if (status == FLETCH_OK)
        status = fletch_reader_open_segment(reader, error);
    return status;
}

static enum fletch_status count_partitions(const struct fletch_shuffle *shuffle,
                                           const struct fletch_shuffle_reader_options *options,
                                           uint32_t *out_count, struct fletch_error *error)
{
    const struct fletch_placement_plan *plan = &shuffle->specification.placement;
    uint32_t most = shuffle->specification.partitioner.partition_count;
    if (options->partitions == NULL && plan->owners != NULL)
        most = plan->local_count;
    if (most == 0)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "FAILED_PRECONDITION: this process has no partition of shuffle "
                                "'%s'",
                                shuffle->specification.shown.text);
    *out_count = options->partitions == NULL ? most : options->partition_count;
    if (options->partitions == NULL && options->partition_count != 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: partition_count is %u, and partitions is NULL",
                                options->partition_count);
    if (*out_count == 0 || *out_count > most)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "INVALID_ARGUMENT: partition_count is %u, expected 1 to %u",
                                *out_count, most);
    return FLETCH_OK;
}

enum fletch_status fletch_shuffle_reader_open(struct fletch_shuffle *shuffle,
                                              const struct fletch_shuffle_reader_options *options,
                                              struct fletch_shuffle_reader **out_reader,
                                              struct fletch_error *error)
{
    static const struct fletch_shuffle_reader_options defaults = {.struct_size = sizeof defaults};
    struct fletch_shuffle_reader_options known;
    uint32_t count = 0;
    enum fletch_status status = fletch_options_copy(
        &known, sizeof known, options == NULL ? &defaults : options, sizeof known, error);
    if (status == FLETCH_OK)
        status = count_partitions(shuffle, &known, &count, error);
    if (status == FLETCH_OK)
        status = fletch_shuffle_check(shuffle, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_shuffle_reader *reader =
        fletch_block_allocate(&shuffle->allocator, sizeof *reader);
    if (reader == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a reader");
    *reader = (struct fletch_shuffle_reader){.shuffle = fletch_shuffle_acquire(shuffle)};
    fetch_add_relaxed(&shuffle->read.readers_open, 1); /* relaxed: a statistic */
    status = make_parts(reader, known.cache, count, error);
    if (status == FLETCH_OK)
        status = attach_all(reader, &known, count, error);
    if (status == FLETCH_OK)
        status = claim(reader, error);
    if (status != FLETCH_OK) {
        fletch_shuffle_reader_close(reader);
        return status;
    }
    *out_reader = reader;
    return FLETCH_OK;
}

/* ---- closing ---- */

/* Drops everything of the partitions of a cancelled shuffle. */
static void clear_partitions(struct fletch_shuffle_reader *reader)
{
    if (reader->is_cleared)
        return;
    reader->is_cleared = true;
    reader->pending.first = NULL;
    for (uint32_t i = 0; i < reader->partition_count; i++) {
        reader->partitions[i]->is_pending = 0;
        fletch_shuffle_partition_clear(reader->partitions[i], reader->cache);
    }
}

static void detach(struct fletch_shuffle_reader *reader)
{
    struct fletch_epoch_reader *epoch_reader = reader->seat->reader;
    if (fletch_shuffle_is_cancelled(reader->shuffle))
        clear_partitions(reader);
    for (uint32_t i = 0; i < reader->partition_count; i++) {
        struct fletch_shuffle_partition *partition = reader->partitions[i];
        /* relaxed: this thread's own as long as it owns the partition */
        uint32_t ending = load_relaxed(&partition->ending);
        bool is_shut = ending == FLETCH_ENDING_LOST || ending == FLETCH_ENDING_BROKEN;
        partition->is_pending = 0;
        fletch_mailbox_detach(&partition->mailbox, reader->list, epoch_reader);
        /* Who cancelled meanwhile has seen this owner, or is seen here. */
        if ((is_shut || fletch_shuffle_is_cancelled(reader->shuffle)) &&
            fletch_mailbox_retire(&partition->mailbox))
            fletch_shuffle_partition_clear(partition, reader->cache);
    }
    fletch_ready_list_close(reader->list, epoch_reader);
}

static void free_list(struct fletch_epoch_object *object)
{
    struct fletch_ready_list *list = (struct fletch_ready_list *)(void *)object;
    fletch_eventcount_deinit(&list->eventcount);
    fletch_block_release(list);
}

void fletch_shuffle_reader_close(struct fletch_shuffle_reader *reader)
{
    if (reader == NULL || !fletch_shuffle_is_own(reader->shuffle))
        return;
    struct fletch_shuffle *shuffle = reader->shuffle;
    if (reader->is_armed)
        fletch_shuffle_reader_disarm(reader);
    if (reader->seat != NULL) {
        detach(reader);
        reader->list->object.reclaim = free_list;
        fletch_epoch_retire(reader->seat->reader, &reader->list->object, sizeof *reader->list);
        fletch_epoch_collect(reader->seat->reader);
    } else if (reader->list != NULL) {
        free_list(&reader->list->object);
    }
    fletch_spill_segment_close(reader->segment);
    fletch_partitioner_destroy(reader->partitioner);
    if (reader->owns_cache)
        fletch_buffer_cache_close(reader->cache);
    fletch_transport_return_seat(shuffle->transport, reader->seat);
    if (reader->partitions != NULL)
        fletch_block_release(reader->partitions);
    fletch_block_release(reader);
    fetch_sub_relaxed(&shuffle->read.readers_open, 1); /* relaxed: a statistic */
    fletch_shuffle_release(shuffle);
}

/* ---- next ---- */

static enum fletch_status tell_nothing_came(const struct fletch_shuffle_reader *reader,
                                            uint64_t timeout_ns, struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = reader->shuffle;
    struct fletch_coordinator_statistics producers;
    fletch_coordinator_statistics(shuffle->coordinator, &producers);
    return fletch_error_set(
        error, FLETCH_DEADLINE_EXCEEDED,
        "DEADLINE_EXCEEDED: nothing came for %u partitions of shuffle '%s' in %llu ms: %u of %u "
        "producers have ended, %llu rows were sent to all partitions",
        reader->partition_count - reader->ended_count, shuffle->specification.shown.text,
        (unsigned long long)(timeout_ns / 1000000), producers.producers_ended, producers.producers,
        /* relaxed: a statistic */
        (unsigned long long)load_relaxed(&shuffle->written.rows_sent));
}

static bool has_news(void *context)
{
    struct fletch_shuffle_reader *reader = context;
    return fletch_shuffle_is_cancelled(reader->shuffle) || fletch_ready_list_has_any(reader->list);
}

/* Sleeps until there may be room for a batch; whoever cancels, or has control for partitions, wakes
 * it too. */
static void wait_for_room(struct fletch_shuffle_reader *reader, uint64_t left_ns)
{
    struct fletch_account *above = reader->shuffle->transport->account;
    /* What will be moved is charged above already, so only the account has to have room. */
    const struct fletch_room_wanted wanted = {
        .account = reader->blocked_account,
        .from = reader->blocked_account == above ? NULL : above,
        .bytes = reader->blocked_bytes,
    };
    if (fletch_account_await_room(&wanted, left_ns, has_news, reader))
        return;
    if (!has_news(reader))
        (void)fletch_ready_list_wait(reader->list,
                                     left_ns < LOOK_AGAIN_NS ? left_ns : LOOK_AGAIN_NS);
}

/* Sleeps until something may have come, or there may be room again. */
static void wait_for_more(struct fletch_shuffle_reader *reader, bool is_blocked, uint64_t left_ns)
{
    struct fletch_shuffle *shuffle = reader->shuffle;
    uint64_t idle_ns = shuffle->specification.watermark_idle_ns;
    uint64_t began_ns = fletch_shuffle_now_ns(shuffle);
    if (idle_ns != 0 && idle_ns < left_ns)
        left_ns = idle_ns;
    fetch_add_relaxed(&shuffle->read.reader_waits, 1); /* relaxed: a statistic */
    if (is_blocked) {
        wait_for_room(reader, left_ns);
    } else {
        fetch_add_relaxed(&shuffle->read.readers_waiting, 1); /* relaxed: looked at twice */
        fletch_ready_list_wait(reader->list, left_ns);
        fetch_sub_relaxed(&shuffle->read.readers_waiting, 1); /* relaxed: as above */
    }
    /* relaxed: a statistic */
    fetch_add_relaxed(&shuffle->read.reader_wait_ns, fletch_shuffle_now_ns(shuffle) - began_ns);
}

enum fletch_status fletch_shuffle_reader_look(struct fletch_shuffle_reader *reader,
                                              struct fletch_shuffle_event *out_event,
                                              bool *out_has_event, bool *out_is_over,
                                              struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = reader->shuffle;
    enum fletch_status status = fletch_shuffle_check(shuffle, error);
    if (status != FLETCH_OK) {
        clear_partitions(reader);
        return status;
    }
    if (shuffle->specification.watermark_idle_ns != 0)
        fletch_coordinator_tick(shuffle->coordinator, fletch_shuffle_now_ns(shuffle));
    fletch_reader_collect(reader);
    status = fletch_reader_give(reader, out_event, out_has_event, error);
    *out_is_over = reader->ended_count == reader->partition_count;
    return status;
}

enum fletch_status fletch_shuffle_reader_next(struct fletch_shuffle_reader *reader,
                                              uint64_t timeout_ns,
                                              struct fletch_shuffle_event *out_event,
                                              bool *out_has_event, struct fletch_error *error)
{
    struct fletch_transport *transport = reader->shuffle->transport;
    uint64_t deadline_ns = 0;
    bool has_event = false, is_over = false;
    /* Not where the rest is looked at, which drops what it cannot give. */
    if (!fletch_shuffle_is_own(reader->shuffle))
        return fletch_shuffle_check(reader->shuffle, error);
    for (bool is_first = true;; is_first = false) {
        enum fletch_status status =
            fletch_shuffle_reader_look(reader, out_event, &has_event, &is_over, error);
        bool is_blocked = status == FLETCH_RESOURCE_EXHAUSTED;
        if ((status != FLETCH_OK && !is_blocked) || has_event || (is_over && !is_blocked)) {
            if (status == FLETCH_OK)
                *out_has_event = has_event;
            return status;
        }
        if (is_first)
            deadline_ns = fletch_transport_deadline_ns(transport, timeout_ns);
        uint64_t left_ns = fletch_transport_remaining_ns(transport, deadline_ns);
        if (left_ns == 0)
            return is_blocked ? status : tell_nothing_came(reader, timeout_ns, error);
        wait_for_more(reader, is_blocked, left_ns);
    }
}

/* ---- owners that wait for other things too ---- */

void fletch_shuffle_reader_sleep_on(struct fletch_shuffle_reader *reader,
                                    struct fletch_eventcount *eventcount)
{
    reader->list->sleeper = eventcount;
    reader->never_waits_for_room = true;
}

bool fletch_shuffle_reader_may_have_any(const struct fletch_shuffle_reader *reader)
{
    return reader->pending.first != NULL || fletch_ready_list_has_any(reader->list) ||
           reader->ended_count == reader->partition_count ||
           fletch_shuffle_is_cancelled(reader->shuffle);
}

bool fletch_shuffle_reader_is_empty(const struct fletch_shuffle_reader *reader)
{
    if (reader->pending.first != NULL || fletch_ready_list_has_any(reader->list))
        return false;
    for (uint32_t i = 0; i < reader->partition_count; i++)
        if (reader->partitions[i]->held.first != NULL)
            return false;
    return true;
}

/* ---- the descriptor ---- */

enum fletch_status fletch_shuffle_reader_open_fd(struct fletch_shuffle_reader *reader, int *out_fd,
                                                 struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(reader->shuffle->transport, error);
    if (status != FLETCH_OK)
        return status;
    return fletch_eventcount_open_fd(&reader->list->eventcount, out_fd, error);
}

bool fletch_shuffle_reader_arm(struct fletch_shuffle_reader *reader)
{
    FLETCH_ASSERT(!reader->is_armed);
    if (!fletch_shuffle_is_own(reader->shuffle))
        return false;
    uint32_t key = fletch_eventcount_arm(&reader->list->eventcount);
    if (fletch_shuffle_reader_may_have_any(reader)) {
        fletch_eventcount_disarm(&reader->list->eventcount, key);
        return false;
    }
    reader->is_armed = true;
    reader->armed_key = key;
    /* relaxed: looked at twice */
    fetch_add_relaxed(&reader->shuffle->read.readers_waiting, 1);
    return true;
}

void fletch_shuffle_reader_disarm(struct fletch_shuffle_reader *reader)
{
    if (!reader->is_armed || !fletch_shuffle_is_own(reader->shuffle))
        return;
    reader->is_armed = false;
    /* relaxed: looked at twice */
    fetch_sub_relaxed(&reader->shuffle->read.readers_waiting, 1);
    fletch_eventcount_disarm(&reader->list->eventcount, reader->armed_key);
}
