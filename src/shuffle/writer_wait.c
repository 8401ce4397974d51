#include "shuffle/writer_wait.h"

#include <inttypes.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/status.h"
#include "partition/partition_writer.h"
#include "shuffle/writer_send.h"
#include "shuffle/writer_spill.h"

/* How often a writer that finds no memory, though all its frames have gone, looks for some. */
#define MEMORY_LOOK_NS UINT64_C(1000000)
#define DEADLINE_DEFAULT_NS UINT64_C(60000000000)

/* How many looks in a row must find that nothing moves. Where there is a disk, others that sleep
 * may spill when they wake, which takes them as long as two looks. */
enum { LOOKS = 2, LOOKS_WITH_DISK = 4 };

uint64_t fletch_writer_deadline(uint64_t now_ns, uint64_t timeout_ns)
{
    if (timeout_ns == FLETCH_NO_TIMEOUT)
        return FLETCH_NO_DEADLINE;
    if (timeout_ns == FLETCH_DEADLINE_DEFAULT)
        timeout_ns = DEADLINE_DEFAULT_NS;
    return fletch_saturating_add_u64(now_ns, timeout_ns);
}

static const char *const state_names[] = {
    [FLETCH_WRITER_OPEN] = "is open",
    [FLETCH_WRITER_ENDING] = "is ending",
    [FLETCH_WRITER_ENDED] = "has ended",
    [FLETCH_WRITER_ABORTED] = "has aborted",
};

enum fletch_status fletch_writer_check(const struct fletch_shuffle_writer *writer,
                                       struct fletch_error *error)
{
    if (writer->state == FLETCH_WRITER_OPEN) {
        enum fletch_status status = fletch_shuffle_check(writer->shuffle, error);
        return status != FLETCH_OK || writer->partition_writer != NULL
                   ? status
                   : fletch_shuffle_partition_check(writer->refusing, error);
    }
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                            "FAILED_PRECONDITION: producer %u %s", writer->producer,
                            state_names[writer->state]);
}

/* ---- when nothing can move ---- */

/* Whether the reader of a partition has something to take that it has not seen yet. */
static bool reader_can_move(struct fletch_shuffle_partition *partition)
{
    /* relaxed: who looks at it looks twice */
    return load_relaxed(&partition->mailbox.owner) != NULL &&
           load_relaxed(&partition->mailbox.queued) != 0;
}

/* Whether a writer has been given credit of a partition and has not yet woken to use it. */
static bool writer_can_move(struct fletch_shuffle_partition *partition)
{
    for (struct fletch_channel *channel =
             load_acquire(&partition->channels); /* shuffle_partition E1 acquire */
         channel != NULL; channel = channel->next)
        if (fletch_credit_request_has_grant(&channel->request))
            return true;
    return false;
}

/* Whether nobody but the caller, who cannot, could do anything just now. Rows that are held back by
 * a barrier go on when any producer reaches it, so all of them must wait then. */
static bool nobody_can_move(struct fletch_shuffle_writer *writer)
{
    struct fletch_shuffle *shuffle = writer->shuffle;
    struct fletch_coordinator_statistics control;
    fletch_coordinator_statistics(shuffle->coordinator, &control);
    /* relaxed: all of this is read twice, and a change in between shows in one of both readings or
     * in the number of moves */
    uint32_t holding = load_relaxed(&shuffle->written.writers_holding);
    uint32_t stuck = load_relaxed(&shuffle->written.writers_stuck) + 1; /* relaxed: the same */
    uint32_t waiting = load_relaxed(&shuffle->read.readers_waiting);    /* relaxed: the same */
    uint32_t open = load_relaxed(&shuffle->read.readers_open);          /* relaxed: the same */
    uint32_t alone = load_relaxed(&shuffle->written.writers_alone);     /* relaxed: the same */
    if (control.barriers_in_flight > 0 && holding < control.producers_open)
        holding = control.producers_open;
    uint64_t outside = load_relaxed(&shuffle->written.frames_outside); /* relaxed: the same */
    /* What has left the process, or comes into it, moves when others say so; and readers in other
     * processes may come. */
    if (outside > 0 || fletch_placement_pulls(&shuffle->specification.placement))
        return false;
    if (stuck < holding || waiting < open || alone > 0)
        return false;
    for (uint32_t p = 0; p < shuffle->specification.partitioner.partition_count; p++)
        if (reader_can_move(&shuffle->partitions[p]) || writer_can_move(&shuffle->partitions[p]))
            return false;
    return true;
}

bool fletch_writer_is_stalled(struct fletch_shuffle_writer *writer, uint64_t now_ns)
{
    struct fletch_stall_watch *watch = &writer->stall;
    if (watch->looked_ns != 0 &&
        now_ns - watch->looked_ns < writer->shuffle->specification.spill_after_ns)
        return false;
    uint64_t moves = fletch_credit_pool_moves(&writer->shuffle->credit_pool);
    uint32_t still_looks = 0;
    if (nobody_can_move(writer))
        still_looks = moves == watch->moves ? watch->still_looks + 1 : 1;
    *watch = (struct fletch_stall_watch){
        .looked_ns = now_ns, .moves = moves, .still_looks = still_looks};
    return still_looks >= (fletch_writer_can_spill(writer) ? LOOKS_WITH_DISK : LOOKS);
}

/* ---- refusals ---- */

/* What there is to say of its disk. */
static const char *spill_text(const struct fletch_shuffle_writer *writer)
{
    if (writer->segment == NULL || fletch_writer_can_spill(writer))
        return "";
    return fletch_spill_segment_state(writer->segment) == FLETCH_SPILL_READ_ONLY
               ? ", and there is no space to spill it to"
               : ", and the disk that it is spilled to has failed";
}

enum fletch_status fletch_writer_refuse(struct fletch_shuffle_writer *writer, const char *why,
                                        struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = writer->shuffle;
    const struct fletch_channel *channel = writer->first_waiting;
    struct fletch_shuffle_partition *partition = &shuffle->partitions[channel->partition];
    struct fletch_budget_statistics budget = {.struct_size = sizeof budget};
    fletch_account_statistics(shuffle->account, &budget);
    /* relaxed: told, not used */
    bool has_reader = load_relaxed(&partition->mailbox.owner) != NULL;
    return fletch_error_set(
        error, FLETCH_RESOURCE_EXHAUSTED,
        "RESOURCE_EXHAUSTED: %s: a frame of %" PRIu64 " bytes of producer %u waits for credit of "
        "partition %u of shuffle '%s', %s%s; of its budget of %" PRIu64 " bytes %" PRIu64
        " are used, %" PRIu64 " of them by frames that partition %u has not taken",
        why, channel->first_waiting->bytes, writer->producer, channel->partition,
        shuffle->specification.shown.text,
        has_reader ? "whose reader does not take what is there" : "which has no reader",
        spill_text(writer), shuffle->specification.budget_bytes, budget.used_bytes,
        load_relaxed(&partition->bytes_queued), channel->partition); /* relaxed: the same */
}

/* `status` and `error` tell of memory that was not there, where the writer waits for that. */
static enum fletch_status refuse_or_keep(struct fletch_shuffle_writer *writer,
                                         enum fletch_status status, const char *why,
                                         struct fletch_error *error)
{
    return writer->first_waiting == NULL ? status : fletch_writer_refuse(writer, why, error);
}

/* ---- waiting ---- */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void sleep_until_something_moves(struct fletch_shuffle_writer *writer, uint64_t timeout_ns)
{
    struct fletch_shuffle *shuffle = writer->shuffle;
    struct fletch_eventcount *sleeper = writer->seat->sleeper;
    uint32_t key = fletch_eventcount_prepare(sleeper);
    if (fletch_writer_has_grant(writer) || fletch_writer_waits_in_vain(writer) ||
        fletch_shuffle_is_cancelled(shuffle)) {
        fletch_eventcount_cancel(sleeper);
        return;
    }
    uint64_t began_ns = fletch_shuffle_now_ns(shuffle);
    /* relaxed: statistics, and looked at twice */
    fetch_add_relaxed(&shuffle->written.writers_stuck, 1);
    fletch_eventcount_wait(sleeper, key, timeout_ns);
    fetch_sub_relaxed(&shuffle->written.writers_stuck, 1); /* relaxed: the same */
    fetch_add_relaxed(&shuffle->written.credit_waits, 1);  /* relaxed: the same */
    fetch_add_relaxed(&shuffle->written.credit_wait_ns,    /* relaxed: the same */
                      fletch_shuffle_now_ns(shuffle) - began_ns);
}

static bool has_settled(const struct fletch_shuffle_writer *writer, enum fletch_status status)
{
    return status == FLETCH_OK && writer->first_waiting == NULL;
}

/* Whether the writer could still be helped by its disk: one that finds no memory, though all its
 * frames have gone, has nothing to spill. */
static bool disk_may_help(const struct fletch_shuffle_writer *writer)
{
    return writer->first_waiting != NULL && fletch_writer_can_spill(writer);
}

/* One turn of waiting, when `status` was what advancing said. OK: try again. */
static enum fletch_status wait_a_turn(struct fletch_shuffle_writer *writer,
                                      enum fletch_status status, uint64_t deadline_ns,
                                      struct fletch_error *error)
{
    uint64_t now_ns = fletch_shuffle_now_ns(writer->shuffle);
    fletch_writer_ask(writer);
    if (has_settled(writer, status))
        return FLETCH_OK;
    if (writer->has_moved)
        writer->moved_ns = now_ns;
    writer->has_moved = false;
    if (fletch_writer_spill(writer, now_ns))
        return FLETCH_OK;
    if (!disk_may_help(writer) && fletch_writer_is_stalled(writer, now_ns))
        return refuse_or_keep(writer, status, "nothing can move", error);
    if (now_ns >= deadline_ns)
        return refuse_or_keep(writer, status, "no credit until the timeout", error);
    uint64_t timeout_ns = writer->shuffle->specification.spill_after_ns;
    if (status != FLETCH_OK)
        timeout_ns = MEMORY_LOOK_NS;
    sleep_until_something_moves(writer, least(timeout_ns, deadline_ns - now_ns));
    return FLETCH_OK;
}

enum fletch_status fletch_writer_settle(struct fletch_shuffle_writer *writer, uint64_t deadline_ns,
                                        struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    do {
        status = fletch_writer_advance(writer, error);
        if (has_settled(writer, status))
            break;
        if (status == FLETCH_OK || status == FLETCH_RESOURCE_EXHAUSTED)
            status = wait_a_turn(writer, status, deadline_ns, error);
    } while (status == FLETCH_OK);
    if (!writer->has_asked)
        return status;
    fletch_writer_give_up(writer); /* which may have sent the last one */
    return status != FLETCH_RESOURCE_EXHAUSTED                        ? status
           : has_settled(writer, fletch_writer_advance(writer, NULL)) ? FLETCH_OK
                                                                      : status;
}

bool fletch_writer_waits_for_memory(struct fletch_shuffle_writer *writer, enum fletch_status status,
                                    uint64_t deadline_ns)
{
    if (status != FLETCH_RESOURCE_EXHAUSTED)
        return false;
    uint64_t now_ns = fletch_shuffle_now_ns(writer->shuffle);
    if (now_ns >= deadline_ns || fletch_writer_is_stalled(writer, now_ns))
        return false;
    sleep_until_something_moves(writer, least(MEMORY_LOOK_NS, deadline_ns - now_ns));
    return true;
}

enum fletch_status fletch_writer_try_settle(struct fletch_shuffle_writer *writer, bool *out_settled,
                                            struct fletch_error *error)
{
    uint64_t now_ns = fletch_shuffle_now_ns(writer->shuffle);
    enum fletch_status status = FLETCH_OK;
    do {
        status = fletch_writer_advance(writer, error);
        if (status != FLETCH_OK && status != FLETCH_RESOURCE_EXHAUSTED)
            return status;
        if (!has_settled(writer, status))
            fletch_writer_ask(writer);
        if (writer->has_moved)
            writer->moved_ns = now_ns;
        writer->has_moved = false;
    } while (!has_settled(writer, status) && fletch_writer_spill(writer, now_ns));
    *out_settled = has_settled(writer, status);
    if (*out_settled)
        fletch_writer_give_up(writer);
    return FLETCH_OK;
}

enum fletch_status fletch_writer_flush_all(struct fletch_shuffle_writer *writer,
                                           uint64_t deadline_ns, struct fletch_error *error)
{
    enum fletch_status status = fletch_writer_settle(writer, deadline_ns, error);
    if (status == FLETCH_OK)
        status = fletch_partition_writer_flush(writer->partition_writer, error);
    if (status == FLETCH_OK)
        status = fletch_writer_settle(writer, deadline_ns, error);
    if (status == FLETCH_OK)
        writer->look_ns = 0;
    return status;
}
