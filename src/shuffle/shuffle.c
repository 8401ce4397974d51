#include "shuffle/shuffle.h"

#include <string.h>

#include "base/allocator.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/status.h"
#include "memory/budget.h"
#include "shuffle/media.h"
#include "shuffle/refusal.h"
#include "shuffle/registry.h"
#include "shuffle/shuffle_seat.h"
#include "shuffle/specification.h"

/* ---- ending ---- */

static void end_partitions(struct fletch_shuffle *shuffle)
{
    size_t count = shuffle->specification.partitioner.partition_count;
    size_t barrier_count = count * shuffle->specification.barrier_limit;
    if (shuffle->partitions != NULL) {
        for (size_t p = 0; p < count; p++)
            fletch_shuffle_partition_deinit(&shuffle->partitions[p]);
        fletch_release(&shuffle->allocator, shuffle->partitions,
                       count * sizeof shuffle->partitions[0],
                       _Alignof(struct fletch_shuffle_partition));
    }
    if (shuffle->barriers != NULL)
        fletch_release(&shuffle->allocator, shuffle->barriers,
                       barrier_count * sizeof shuffle->barriers[0], _Alignof(struct fletch_frame));
}

static void end_refusals(struct fletch_shuffle *shuffle)
{
    while (shuffle->refusals != NULL) {
        struct fletch_refusal *refusal = shuffle->refusals;
        shuffle->refusals = refusal->next;
        fletch_refusal_free(refusal);
    }
}

/* With the last reference: nobody writes, reads or finds it any more. It was closed, which dropped
 * all frames, or never entered. */
static void end(struct fletch_shared *shared)
{
    struct fletch_shuffle *shuffle = (struct fletch_shuffle *)(void *)shared;
    struct fletch_transport *transport = shuffle->transport;
    end_partitions(shuffle);
    end_refusals(shuffle);
    fletch_shuffle_seats_free(shuffle);
    fletch_coordinator_destroy(shuffle->coordinator);
    fletch_account_close(shuffle->retained);
    fletch_account_close(shuffle->alone);
    fletch_account_close(shuffle->account);
    fletch_specification_deinit(&shuffle->specification);
    fletch_transport_return_seat(transport, shuffle->seat);
    fletch_transport_return_seat(transport, shuffle->closing_seat);
    fletch_block_release(shuffle);
    fetch_sub_acq_rel(&transport->shuffle_count, 1); /* transport E1 release */
}

/* ---- making ---- */

static enum fletch_status make_accounts(struct fletch_shuffle *shuffle,
                                        const struct fletch_budget_split *split,
                                        struct fletch_error *error)
{
    const struct fletch_account_options own = {.struct_size = sizeof own,
                                               .name = shuffle->specification.shown.text,
                                               .limit_bytes = shuffle->specification.budget_bytes};
    const struct fletch_account_options alone = {.struct_size = sizeof alone, .name = own.name};
    const struct fletch_account_options retained = {
        .struct_size = sizeof retained, .name = "retained", .limit_bytes = split->retained_bytes};
    enum fletch_status status =
        fletch_account_open(shuffle->transport->shuffles, &own, &shuffle->account, error);
    if (status == FLETCH_OK)
        status = fletch_account_open(shuffle->transport->shuffles, &alone, &shuffle->alone, error);
    if (status == FLETCH_OK && shuffle->specification.retention != FLETCH_RETENTION_NONE)
        status = fletch_account_open(shuffle->account, &retained, &shuffle->retained, error);
    return status;
}

static enum fletch_status make_partitions(struct fletch_shuffle *shuffle,
                                          struct fletch_error *error)
{
    size_t count = shuffle->specification.partitioner.partition_count;
    size_t bytes = count * sizeof shuffle->partitions[0];
    size_t barrier_bytes =
        count * shuffle->specification.barrier_limit * sizeof shuffle->barriers[0];
    shuffle->partitions =
        fletch_allocate(&shuffle->allocator, bytes, _Alignof(struct fletch_shuffle_partition));
    shuffle->barriers =
        fletch_allocate(&shuffle->allocator, barrier_bytes, _Alignof(struct fletch_frame));
    if (shuffle->partitions != NULL)
        memset(shuffle->partitions, 0, bytes);
    if (shuffle->partitions == NULL || shuffle->barriers == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for %zu partitions: %zu bytes",
                                count, bytes + barrier_bytes);
    memset(shuffle->barriers, 0, barrier_bytes);
    for (uint32_t p = 0; p < count; p++)
        fletch_shuffle_partition_init(&shuffle->partitions[p], shuffle, p);
    return FLETCH_OK;
}

static enum fletch_status make_coordinator(struct fletch_shuffle *shuffle,
                                           struct fletch_error *error)
{
    const struct fletch_shuffle_specification *specification = &shuffle->specification;
    const struct fletch_coordinator_options options = {
        .producer_count = specification->producer_count,
        .producer_limit = specification->producer_limit,
        .barrier_limit = specification->barrier_limit,
        .partition_count = specification->partitioner.partition_count,
        .watermark_idle_ns = specification->watermark_idle_ns,
        .now_ns = fletch_shuffle_now_ns(shuffle),
        .allocator = shuffle->allocator,
        .outlet = fletch_partitions_outlet(shuffle),
    };
    shuffle->seat = fletch_transport_borrow_seat(shuffle->transport, error);
    if (shuffle->seat != NULL)
        shuffle->closing_seat = fletch_transport_borrow_seat(shuffle->transport, error);
    if (shuffle->closing_seat == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    return fletch_coordinator_create(&options, &shuffle->coordinator, error);
}

static enum fletch_status make_parts(struct fletch_shuffle *shuffle,
                                     const struct fletch_shuffle_options *options,
                                     struct fletch_error *error)
{
    enum fletch_status status =
        fletch_specification_init(&shuffle->specification, shuffle->transport, options, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_budget_split split = fletch_specification_split(&shuffle->specification);
    fletch_credit_pool_init(&shuffle->credit_pool, split.pool_bytes, split.frame_bytes);
    shuffle->writer_bytes = split.writer_bytes;
    status = make_accounts(shuffle, &split, error);
    if (status == FLETCH_OK)
        status = make_coordinator(shuffle, error);
    if (status == FLETCH_OK)
        status = make_partitions(shuffle, error);
    return status;
}

static enum fletch_status enter(struct fletch_shuffle *shuffle, struct fletch_error *error)
{
    struct fletch_transport *transport = shuffle->transport;
    struct fletch_epoch_seat *seat = fletch_transport_borrow_seat(transport, error);
    if (seat == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    enum fletch_status status = fletch_registry_enter(shuffle, seat->reader, error);
    fletch_transport_return_seat(transport, seat);
    return status;
}

/* ---- other processes ---- */

/* Whoever writes finds an outlet for each partition that is not this process's. */
static enum fletch_status check_attached(const struct fletch_shuffle *shuffle,
                                         struct fletch_error *error)
{
    for (uint32_t p = 0; p < shuffle->specification.partitioner.partition_count; p++)
        if (!fletch_placement_may_read(&shuffle->specification.placement, p) &&
            !fletch_mailbox_has_owner(&shuffle->partitions[p].mailbox))
            return fletch_error_set(error, FLETCH_INTERNAL,
                                    "INTERNAL: nobody lets out partition %u of shuffle '%s'", p,
                                    shuffle->specification.shown.text);
    return FLETCH_OK;
}

static enum fletch_status attach(struct fletch_shuffle *shuffle, struct fletch_error *error)
{
    const struct fletch_media *media = shuffle->transport->media;
    if (!shuffle->specification.placement.has_others)
        return FLETCH_OK;
    if (media == NULL)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "FAILED_PRECONDITION: shuffle '%s' has partitions of other "
                                "processes, and its transport has no client or server to reach "
                                "them",
                                shuffle->specification.shown.text);
    enum fletch_status status = media->attach(media->context, shuffle, error);
    shuffle->is_attached = status == FLETCH_OK;
    return status == FLETCH_OK ? check_attached(shuffle, error) : status;
}

static void detach(struct fletch_shuffle *shuffle)
{
    const struct fletch_media *media = shuffle->transport->media;
    if (shuffle->is_attached)
        media->detach(media->context, shuffle);
}

enum fletch_status fletch_shuffle_register(struct fletch_transport *transport,
                                           const struct fletch_shuffle_options *options,
                                           struct fletch_shuffle **out_shuffle,
                                           struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(transport, error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_shuffle *shuffle = fletch_block_allocate(&transport->allocator, sizeof *shuffle);
    if (shuffle == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "RESOURCE_EXHAUSTED: no memory for a shuffle: %zu bytes",
                                sizeof *shuffle);
    memset(shuffle, 0, sizeof *shuffle);
    fletch_shared_init(&shuffle->shared, end);
    shuffle->allocator = transport->allocator;
    shuffle->transport = transport;
    fetch_add_relaxed(&transport->shuffle_count, 1); /* relaxed: a count; its end releases */
    /* relaxed: a number that no other has, nothing more */
    shuffle->handle = fetch_add_relaxed(&transport->handles, 1);
    status = make_parts(shuffle, options, error);
    if (status == FLETCH_OK)
        status = attach(shuffle, error);
    if (status == FLETCH_OK)
        status = enter(shuffle, error);
    if (status != FLETCH_OK) {
        detach(shuffle);
        fletch_shared_release(&shuffle->shared);
        return status;
    }
    if (shuffle->is_attached)
        transport->media->begin(transport->media->context, shuffle);
    fletch_eventcount_notify(transport->registered, UINT32_MAX);
    *out_shuffle = shuffle;
    return FLETCH_OK;
}

/* ---- finding ---- */

static enum fletch_status tell_unknown(struct fletch_shuffle_name name, uint64_t timeout_ns,
                                       struct fletch_error *error)
{
    struct fletch_name_text shown =
        fletch_name_show(name.bytes, name.byte_count < FLETCH_SHUFFLE_NAME_BYTES_MAX
                                         ? name.byte_count
                                         : FLETCH_SHUFFLE_NAME_BYTES_MAX);
    if (timeout_ns == 0)
        return fletch_error_set(error, FLETCH_NOT_FOUND, "UNKNOWN: no shuffle '%s' is registered",
                                shown.text);
    return fletch_error_set(error, FLETCH_DEADLINE_EXCEEDED,
                            "UNKNOWN: no shuffle '%s' was registered within %llu ms", shown.text,
                            (unsigned long long)(timeout_ns / 1000000));
}

/* Looks, and sleeps until another name is registered. */
static struct fletch_shuffle *find_until(struct fletch_transport *transport,
                                         struct fletch_epoch_reader *epoch_reader,
                                         struct fletch_shuffle_name name, uint64_t deadline_ns)
{
    for (;;) {
        struct fletch_shuffle *found = fletch_registry_find(transport, epoch_reader, name);
        uint64_t left_ns = fletch_transport_remaining_ns(transport, deadline_ns);
        if (found != NULL || left_ns == 0)
            return found;
        uint32_t key = fletch_eventcount_prepare(transport->registered);
        found = fletch_registry_find(transport, epoch_reader, name);
        if (found != NULL) {
            fletch_eventcount_cancel(transport->registered);
            return found;
        }
        (void)fletch_eventcount_wait(transport->registered, key, left_ns);
    }
}

enum fletch_status fletch_shuffle_find(struct fletch_transport *transport,
                                       struct fletch_shuffle_name name, uint64_t timeout_ns,
                                       struct fletch_shuffle **out_shuffle,
                                       struct fletch_error *error)
{
    enum fletch_status status = fletch_transport_check(transport, error);
    if (status != FLETCH_OK)
        return status;
    uint64_t deadline_ns = fletch_transport_deadline_ns(transport, timeout_ns);
    struct fletch_epoch_seat *seat = fletch_transport_borrow_seat(transport, error);
    if (seat == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    struct fletch_shuffle *found = find_until(transport, seat->reader, name, deadline_ns);
    fletch_transport_return_seat(transport, seat);
    if (found == NULL)
        return tell_unknown(name, timeout_ns, error);
    *out_shuffle = found;
    return FLETCH_OK;
}

struct fletch_shuffle *fletch_shuffle_acquire(struct fletch_shuffle *shuffle)
{
    fletch_shared_acquire(&shuffle->shared);
    return shuffle;
}

void fletch_shuffle_release(struct fletch_shuffle *shuffle)
{
    if (shuffle != NULL && fletch_shuffle_is_own(shuffle))
        fletch_shared_release(&shuffle->shared);
}

/* ---- cancelling and closing ---- */

static struct fletch_shuffle *shuffle_of_cancel(struct fletch_serial_task *task)
{
    return (struct fletch_shuffle *)(void *)((char *)task -
                                             offsetof(struct fletch_shuffle, cancel_task));
}

static void run_cancel(void *context, struct fletch_serial_task *task)
{
    struct fletch_shuffle *shuffle = shuffle_of_cancel(task);
    (void)context;
    fletch_partitions_close(shuffle);
    fletch_shuffle_seats_notify(shuffle);
    fletch_budget_wake(shuffle->transport->budget);
}

void fletch_shuffle_cancel(struct fletch_shuffle *shuffle, const char *reason)
{
    uint32_t state = FLETCH_CANCEL_NONE;
    if (!fletch_shuffle_is_own(shuffle))
        return;
    /* relaxed: only one writes the reason, which is published below */
    if (!cas_strong_relaxed(&shuffle->cancel, &state, FLETCH_CANCEL_CLAIMED))
        return;
    if (reason != NULL) {
        size_t bytes = strlen(reason);
        memcpy(shuffle->cancel_reason, reason,
               bytes < FLETCH_REASON_BYTES ? bytes : FLETCH_REASON_BYTES - 1);
    }
    store_release(&shuffle->cancel, FLETCH_CANCEL_DONE); /* E1 release */
    shuffle->cancel_task.run = run_cancel;
    fletch_serial_submit(fletch_coordinator_serial(shuffle->coordinator), &shuffle->cancel_task);
}

void fletch_shuffle_close(struct fletch_shuffle *shuffle)
{
    if (!fletch_shuffle_is_own(shuffle))
        return;
    fletch_shuffle_cancel(shuffle, "the shuffle was closed");
    /* relaxed: says who takes the entries out, and publishes nothing */
    if (exchange_relaxed(&shuffle->is_closed, 1) != 0)
        return;
    detach(shuffle);
    fletch_registry_leave(shuffle, shuffle->closing_seat->reader);
    /* At once: what it could not free yet holds references to the shuffle, which would keep itself
     * for ever. */
    fletch_transport_return_seat(shuffle->transport, shuffle->closing_seat);
    shuffle->closing_seat = NULL;
}

enum fletch_status fletch_shuffle_check(const struct fletch_shuffle *shuffle,
                                        struct fletch_error *error)
{
    if (!fletch_shuffle_is_own(shuffle))
        return fletch_process_refuse("FAILED_PRECONDITION: this shuffle", error);
    if (!fletch_shuffle_is_cancelled(shuffle))
        return FLETCH_OK;
    if (shuffle->cancel_reason[0] == '\0')
        return fletch_error_set(error, FLETCH_CANCELLED, "CANCELLED: shuffle '%s'",
                                shuffle->specification.shown.text);
    return fletch_error_set(error, FLETCH_CANCELLED, "CANCELLED: shuffle '%s': %s",
                            shuffle->specification.shown.text, shuffle->cancel_reason);
}

enum fletch_status fletch_shuffle_tell_lost(const struct fletch_shuffle *shuffle,
                                            uint32_t partition, struct fletch_error *error)
{
    uint32_t outcome = load_acquire(&shuffle->outcome); /* E2 acquire */
    const char *reason = outcome == FLETCH_OUTCOME_LOST ? shuffle->lost_reason : NULL;
    return fletch_error_set(error, FLETCH_UNAVAILABLE,
                            "PRODUCER_LOST: partition %u of shuffle '%s' has no end, producer %u "
                            "was aborted: %s",
                            partition, shuffle->specification.shown.text, shuffle->lost_producer,
                            reason == NULL ? "no reason given" : reason);
}

/* ---- what it is ---- */

struct fletch_schema *fletch_shuffle_schema(const struct fletch_shuffle *shuffle)
{
    return shuffle->specification.schema;
}

uint32_t fletch_shuffle_partition_count(const struct fletch_shuffle *shuffle)
{
    return shuffle->specification.partitioner.partition_count;
}

size_t fletch_shuffle_frame_bytes(const struct fletch_shuffle *shuffle)
{
    return shuffle->specification.frame_bytes;
}

void fletch_shuffle_identity(const struct fletch_shuffle *shuffle,
                             struct fletch_shuffle_id *out_identity)
{
    *out_identity = shuffle->specification.identity;
}
