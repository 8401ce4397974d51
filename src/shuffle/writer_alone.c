#include "shuffle/writer_alone.h"

#include <inttypes.h>

#include "base/status.h"
#include "partition/partition_writer.h"
#include "shuffle/batch_body.h"
#include "shuffle/writer_send.h"

enum { TOKEN_BYTES = 1 };

static struct fletch_budget_statistics look_at(const struct fletch_account *account)
{
    struct fletch_budget_statistics found = {.struct_size = sizeof found};
    fletch_account_statistics(account, &found);
    return found;
}

static void refuse(const struct fletch_shuffle_writer *writer, uint64_t bytes, const char *why,
                   struct fletch_error *error)
{
    const struct fletch_shuffle *shuffle = writer->shuffle;
    struct fletch_budget_statistics own = look_at(shuffle->account);
    struct fletch_budget_statistics alone = look_at(shuffle->alone);
    struct fletch_budget_statistics all = look_at(shuffle->transport->shuffles);
    (void)fletch_error_set(
        error, FLETCH_RESOURCE_EXHAUSTED,
        "RESOURCE_EXHAUSTED: a frame of %" PRIu64 " bytes of producer %u is too large for what is "
        "left of the budget of shuffle '%s', %" PRIu64 " bytes with a limit of %" PRIu64
        ", and cannot pass alone: %s (%" PRIu64 " bytes of such a frame, %" PRIu64 " of all "
        "shuffles of the transport, whose limit is %" PRIu64 ")",
        bytes, writer->producer, shuffle->specification.shown.text, own.used_bytes, own.limit_bytes,
        why, alone.used_bytes, all.used_bytes, all.limit_bytes);
}

static bool is_alone(const struct fletch_shuffle *shuffle)
{
    return look_at(shuffle->alone).used_bytes == TOKEN_BYTES;
}

/* An account for one frame of `bytes` bytes (0: whatever it has), and the first byte at it. NULL:
 * told why not. */
static struct fletch_account *open_alone(struct fletch_shuffle_writer *writer, uint64_t bytes,
                                         struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = writer->shuffle;
    struct fletch_account *account = NULL;
    const struct fletch_account_options options = {.struct_size = sizeof options,
                                                   .name = shuffle->specification.shown.text,
                                                   .limit_bytes =
                                                       bytes == 0 ? 0 : bytes + TOKEN_BYTES};
    if (fletch_placement_aligns(&shuffle->specification.placement) &&
        !fletch_credit_pool_has_passed(&shuffle->credit_pool, writer->barrier)) {
        refuse(writer, bytes, "the barrier before it has not been reached by all", error);
        return NULL;
    }
    if (fletch_account_open(shuffle->alone, &options, &account, error) != FLETCH_OK)
        return NULL;
    if (fletch_account_reserve(account, TOKEN_BYTES, 0, error) == FLETCH_OK) {
        if (is_alone(shuffle)) {
            /* relaxed: who looks at it looks twice */
            fetch_add_relaxed(&shuffle->written.writers_alone, 1);
            return account;
        }
        refuse(writer, bytes, "another one has not been released", error);
        fletch_account_release(account, TOKEN_BYTES);
    }
    fletch_account_close(account);
    return NULL;
}

/* What was charged stays until it is released. */
static void close_alone(struct fletch_shuffle_writer *writer, struct fletch_account *account)
{
    /* relaxed: as above */
    fetch_sub_relaxed(&writer->shuffle->written.writers_alone, 1);
    fletch_account_release(account, TOKEN_BYTES);
    fletch_account_close(account);
}

/* Goes on with a frame of `bytes` bytes alone. `*out_has_gone`: it was sent. */
static enum fletch_status resume_in(struct fletch_shuffle_writer *writer, uint64_t bytes,
                                    fletch_writer_step *resume, bool *out_has_gone,
                                    struct fletch_error *error)
{
    struct fletch_partition_writer *rows = writer->partition_writer;
    uint64_t moves = writer->moves;
    struct fletch_account *account = open_alone(writer, bytes, error);
    if (account == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    fletch_partition_writer_charge(rows, account);
    enum fletch_status status = resume(writer, error);
    fletch_partition_writer_charge(rows, writer->account);
    *out_has_gone = writer->moves != moves || writer->first_waiting != NULL;
    if (status == FLETCH_RESOURCE_EXHAUSTED && !*out_has_gone)
        refuse(writer, bytes, "there is no room for it", error);
    close_alone(writer, account);
    return status;
}

enum fletch_status fletch_writer_resume_alone(struct fletch_shuffle_writer *writer,
                                              fletch_writer_step *resume,
                                              struct fletch_error *error)
{
    struct fletch_partition_writer *rows = writer->partition_writer;
    enum fletch_status status = FLETCH_RESOURCE_EXHAUSTED;
    uint64_t bytes = 0;
    bool has_gone = false;
    /* A row may be found too large only once there is an ordinary frame. */
    while (!has_gone && status == FLETCH_RESOURCE_EXHAUSTED &&
           fletch_partition_writer_wanted_bytes(rows) > bytes) {
        bytes = fletch_partition_writer_wanted_bytes(rows);
        if (bytes <= writer->shuffle->writer_bytes) /* there will be room for it */
            break;
        status = resume_in(writer, bytes, resume, &has_gone, error);
    }
    return status == FLETCH_RESOURCE_EXHAUSTED && has_gone ? resume(writer, error) : status;
}

/* ---- batches that go as they are ---- */

enum fletch_status fletch_writer_pay(struct fletch_shuffle_writer *writer,
                                     struct fletch_batch *batch, struct fletch_batch **out_batch,
                                     struct fletch_error *error)
{
    enum fletch_status status =
        fletch_batch_pay(writer->cache, batch, writer->account, out_batch, NULL);
    if (status != FLETCH_RESOURCE_EXHAUSTED)
        return status;
    status = fletch_partition_writer_finish_open(writer->partition_writer, error);
    if (status == FLETCH_OK)
        status = fletch_writer_advance(writer, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_batch_pay(writer->cache, batch, writer->account, out_batch, NULL);
    if (status != FLETCH_RESOURCE_EXHAUSTED)
        return status;
    return fletch_batch_pay(writer->cache, batch, writer->shuffle->account, out_batch, error);
}

enum fletch_status fletch_writer_pay_alone(struct fletch_shuffle_writer *writer,
                                           struct fletch_batch *batch,
                                           struct fletch_batch **out_batch,
                                           struct fletch_error *error)
{
    uint64_t bytes = fletch_batch_kept_bytes(batch);
    if (writer->first_waiting != NULL) /* then there may be room for it when they have gone */
        return FLETCH_RESOURCE_EXHAUSTED;
    struct fletch_account *account = open_alone(writer, 0, error);
    if (account == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    enum fletch_status status = fletch_batch_pay(writer->cache, batch, account, out_batch, error);
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        refuse(writer, bytes, "there is no room for it", error);
    close_alone(writer, account);
    return status;
}
