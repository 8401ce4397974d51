#include "shuffle/inlet.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/status.h"
#include "memory/batch.h"
#include "memory/budget.h"
#include "memory/size_class.h"
#include "shuffle/shuffle.h"
#include "shuffle/shuffle_partition.h"
#include "shuffle/shuffle_seat.h"
#include "shuffle/specification.h"

struct fletch_inlet {
    struct fletch_shuffle *shuffle; /* a reference */
    struct fletch_shuffle_seat *seat;
    struct fletch_epoch_seat *epoch_seat;
    uint32_t producer;
    uint32_t attempt;
    uint64_t batch_bytes; /* what a batch's block keeps alive */
    struct fletch_frame *spare;
    bool has_ended; /* an end or an abort was submitted */
    bool is_ending; /* pull: its end is submitted, and not answered */
    /* Control. */
    struct fletch_control_operation *asked; /* that is not answered; NULL: none, or as below */
    bool waits;                             /* for an answer */
    uint64_t sequence;                      /* of the last that was submitted */
    struct fletch_error answer;             /* where it is there at once */
    struct fletch_serial_task ending;       /* pull: the end of these partitions */
    struct fletch_serial_task leaving;
    /* Its partitions, in order, and the channel to each: NULL: nothing came yet. */
    uint32_t partition_count;
    uint32_t *partitions;
    struct fletch_channel *channels[];
};

/* ---- opening ---- */

static enum fletch_status refuse_memory(uint32_t producer, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "RESOURCE_EXHAUSTED: no memory for the inlet of producer %u", producer);
}

static enum fletch_status check_producer(const struct fletch_shuffle *shuffle, uint32_t producer,
                                         struct fletch_error *error)
{
    const struct fletch_placement_plan *plan = &shuffle->specification.placement;
    struct fletch_coordinator_statistics control;
    fletch_coordinator_statistics(shuffle->coordinator, &control);
    if (producer >= control.producers)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "OUT_OF_RANGE: producer is %u, expected 0 to %u", producer,
                                control.producers - 1);
    if (plan->homes != NULL && plan->homes[producer] == plan->self)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "FAILED_PRECONDITION: producer %u of shuffle '%s' writes in this "
                                "process",
                                producer, shuffle->specification.shown.text);
    return FLETCH_OK;
}

static uint32_t partition_count_of(const struct fletch_shuffle *shuffle)
{
    return shuffle->specification.partitioner.partition_count;
}

static enum fletch_status check_partitions(const struct fletch_shuffle *shuffle,
                                           const struct fletch_inlet_options *options,
                                           struct fletch_error *error)
{
    for (uint32_t i = 0; i < options->partition_count; i++)
        if (options->partitions[i] >= partition_count_of(shuffle) ||
            (i > 0 && options->partitions[i] <= options->partitions[i - 1]))
            return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                    "OUT_OF_RANGE: partition %u of shuffle '%s', which has %u: "
                                    "partitions are given once, in order",
                                    options->partitions[i], shuffle->specification.shown.text,
                                    partition_count_of(shuffle));
    return FLETCH_OK;
}

/* How many partitions it is for: those that were asked for, or all of this process. */
static uint32_t count_partitions(const struct fletch_shuffle *shuffle,
                                 const struct fletch_inlet_options *options)
{
    const struct fletch_placement_plan *plan = &shuffle->specification.placement;
    if (options->partition_count != 0)
        return options->partition_count;
    return plan->owners == NULL ? partition_count_of(shuffle) : plan->local_count;
}

static void list_partitions(struct fletch_inlet *inlet, const struct fletch_inlet_options *options)
{
    const struct fletch_placement_plan *plan = &inlet->shuffle->specification.placement;
    uint32_t at = 0;
    if (options->partition_count != 0) {
        memcpy(inlet->partitions, options->partitions,
               options->partition_count * sizeof inlet->partitions[0]);
        return;
    }
    for (uint32_t p = 0; at < inlet->partition_count; p++)
        if (fletch_placement_may_read(plan, p))
            inlet->partitions[at++] = p;
}

static enum fletch_status take_seat(struct fletch_inlet *inlet,
                                    const struct fletch_inlet_options *options,
                                    struct fletch_error *error)
{
    struct fletch_shuffle *shuffle = inlet->shuffle;
    inlet->seat = fletch_shuffle_seat_create(shuffle, inlet->producer);
    if (inlet->seat == NULL)
        return refuse_memory(inlet->producer, error);
    inlet->seat->attempt = inlet->attempt;
    inlet->seat->is_shared = fletch_placement_pulls(&shuffle->specification.placement);
    fletch_shuffle_seat_sleep_on(inlet->seat, options->sleeper);
    if (fletch_shuffle_seat_take(shuffle, inlet->seat))
        return FLETCH_OK;
    fletch_shuffle_seat_destroy(inlet->seat);
    inlet->seat = NULL;
    return fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                            "ALREADY_EXISTS: producer %u of shuffle '%s' has been opened before; "
                            "attempt %u comes too late",
                            inlet->producer, shuffle->specification.shown.text, inlet->attempt);
}

static void run_leaving(void *context, struct fletch_serial_task *task)
{
    (void)context;
    fletch_block_release((char *)task - offsetof(struct fletch_inlet, leaving));
}

/* What it was may still be on its way through the serial, behind which it goes. */
static void dismantle(struct fletch_inlet *inlet)
{
    struct fletch_shuffle *shuffle = inlet->shuffle;
    if (inlet->spare != NULL)
        fletch_frame_recycle(inlet->spare);
    fletch_transport_return_seat(shuffle->transport, inlet->epoch_seat);
    inlet->leaving.run = run_leaving;
    fletch_serial_submit(fletch_coordinator_serial(shuffle->coordinator), &inlet->leaving);
    fletch_shuffle_release(shuffle);
}

static enum fletch_status make_inlet(struct fletch_shuffle *shuffle,
                                     const struct fletch_inlet_options *options,
                                     struct fletch_inlet **out_inlet, struct fletch_error *error)
{
    size_t count = count_partitions(shuffle, options);
    size_t bytes =
        sizeof(struct fletch_inlet) + count * (sizeof(struct fletch_channel *) + sizeof(uint32_t));
    struct fletch_inlet *inlet = fletch_block_allocate(&shuffle->allocator, bytes);
    if (inlet == NULL)
        return refuse_memory(options->producer, error);
    memset(inlet, 0, bytes);
    inlet->shuffle = fletch_shuffle_acquire(shuffle);
    inlet->producer = options->producer;
    inlet->attempt = options->attempt;
    inlet->batch_bytes = fletch_specification_batch_bytes(&shuffle->specification);
    inlet->partition_count = (uint32_t)count;
    inlet->partitions = (uint32_t *)(void *)(inlet->channels + count);
    list_partitions(inlet, options);
    inlet->epoch_seat = fletch_transport_borrow_seat(shuffle->transport, error);
    *out_inlet = inlet;
    return inlet->epoch_seat == NULL ? FLETCH_RESOURCE_EXHAUSTED : FLETCH_OK;
}

enum fletch_status fletch_inlet_open(struct fletch_shuffle *shuffle,
                                     const struct fletch_inlet_options *options,
                                     struct fletch_inlet **out_inlet, struct fletch_error *error)
{
    struct fletch_inlet *inlet = NULL;
    enum fletch_status status = fletch_shuffle_check(shuffle, error);
    if (status == FLETCH_OK)
        status = check_producer(shuffle, options->producer, error);
    if (status == FLETCH_OK)
        status = check_partitions(shuffle, options, error);
    if (status == FLETCH_OK)
        status = make_inlet(shuffle, options, &inlet, error);
    if (status == FLETCH_OK)
        status = take_seat(inlet, options, error);
    if (status == FLETCH_OK)
        *out_inlet = inlet;
    else if (inlet != NULL)
        dismantle(inlet);
    return status;
}

struct fletch_account *fletch_inlet_account(const struct fletch_inlet *inlet)
{
    return inlet->shuffle->account;
}

/* ---- channels ---- */

/* Where the partition is among those of the inlet; NULL: it is not. */
static struct fletch_channel **slot_of(const struct fletch_inlet *inlet, uint32_t partition)
{
    uint32_t first = 0, end = inlet->partition_count;
    while (first < end) {
        uint32_t middle = first + (end - first) / 2;
        if (inlet->partitions[middle] == partition)
            return (struct fletch_channel **)(uintptr_t)&inlet->channels[middle];
        if (inlet->partitions[middle] < partition)
            first = middle + 1;
        else
            end = middle;
    }
    return NULL;
}

static struct fletch_shuffle_partition *partition_at(const struct fletch_inlet *inlet,
                                                     uint32_t partition)
{
    return &inlet->shuffle->partitions[partition];
}

/* ---- credit ---- */

static bool takes_no_more(const struct fletch_inlet *inlet, uint32_t partition)
{
    return fletch_shuffle_is_cancelled(inlet->shuffle) ||
           fletch_shuffle_partition_has_failed(partition_at(inlet, partition));
}

/* What a frame of so many bytes keeps alive when it is here: one buffer of the pool, and the batch
 * itself. The largest frames have no more than all credit there is. */
static uint64_t kept_bytes_of(const struct fletch_inlet *inlet, uint64_t bytes)
{
    uint64_t most = inlet->shuffle->specification.budget_bytes;
    if (most > FLETCH_CREDIT_FRAME_BYTES_MAX)
        most = FLETCH_CREDIT_FRAME_BYTES_MAX;
    if (bytes >= most / 2)
        return most;
    return fletch_buffer_block_bytes(fletch_size_class_of(bytes == 0 ? 1 : (size_t)bytes)) +
           inlet->batch_bytes;
}

enum fletch_answer fletch_inlet_reserve(struct fletch_inlet *inlet, uint32_t partition,
                                        struct fletch_inlet_ask ask,
                                        struct fletch_inlet_credit *out_credit)
{
    struct fletch_channel **slot = slot_of(inlet, partition);
    struct fletch_inlet_credit credit = {.kept_bytes = kept_bytes_of(inlet, ask.bytes)};
    if (slot == NULL || takes_no_more(inlet, partition))
        return FLETCH_CLOSED;
    if (*slot == NULL)
        *slot = fletch_shuffle_partition_open_channel(
            partition_at(inlet, partition), inlet->producer, UINT64_MAX, inlet->seat->sleeper);
    if (inlet->spare == NULL)
        inlet->spare = fletch_frame_pool_take(&inlet->seat->frames);
    if (*slot == NULL || inlet->spare == NULL)
        return FLETCH_FULL;
    if (!fletch_credit_request_obtain(&(*slot)->request, credit.kept_bytes, ask.barrier, ask.asks,
                                      &credit.source))
        return FLETCH_EMPTY;
    credit.frame = inlet->spare;
    inlet->spare = NULL;
    *out_credit = credit;
    fletch_shuffle_count_outside(inlet->shuffle, 1);
    return FLETCH_DONE;
}

void fletch_inlet_forget(struct fletch_inlet *inlet, uint32_t partition)
{
    struct fletch_channel **slot = slot_of(inlet, partition);
    enum fletch_credit_source source = FLETCH_CREDIT_NONE;
    if (slot == NULL || *slot == NULL)
        return;
    uint64_t bytes = fletch_credit_request_bytes(&(*slot)->request);
    if (fletch_credit_request_give_up(&(*slot)->request, &source))
        fletch_credit_return(&partition_at(inlet, partition)->credit, source, bytes);
}

void fletch_inlet_give_back(struct fletch_inlet *inlet, uint32_t partition,
                            struct fletch_inlet_credit *credit)
{
    fletch_credit_return(&partition_at(inlet, partition)->credit, credit->source,
                         credit->kept_bytes);
    fletch_frame_recycle(credit->frame);
    *credit = (struct fletch_inlet_credit){.source = FLETCH_CREDIT_NONE};
    fletch_shuffle_count_outside(inlet->shuffle, UINT64_MAX);
}

/* ---- frames ---- */

enum fletch_answer fletch_inlet_push(struct fletch_inlet *inlet,
                                     const struct fletch_inlet_frame *frame)
{
    struct fletch_shuffle_partition *partition = partition_at(inlet, frame->partition);
    struct fletch_channel *channel = *slot_of(inlet, frame->partition);
    struct fletch_frame *node = frame->credit->frame;
    FLETCH_ASSERT(frame->sequence == channel->sent.frames + 1 && !inlet->has_ended);
    node->channel = channel;
    node->batch = frame->batch;
    node->sequence = frame->sequence;
    node->barrier = frame->barrier;
    node->rows = frame->rows;
    node->bytes = frame->bytes;
    node->key_sum = frame->key_sum;
    node->row_sum = frame->row_sum;
    node->credit = frame->credit->source;
    node->kept_bytes = frame->credit->kept_bytes;
    frame->credit->frame = NULL;
    fletch_channel_totals_add(&channel->sent, node);
    enum fletch_answer answer =
        fletch_shuffle_partition_push(partition, inlet->epoch_seat->reader, node);
    if (answer == FLETCH_DONE) {
        fletch_shuffle_count_sent(inlet->shuffle, frame->rows, frame->bytes);
    } else {
        fletch_batch_release(NULL, node->batch);
        fletch_frame_recycle(node);
        fletch_credit_return(&partition->credit, frame->credit->source, frame->credit->kept_bytes);
    }
    fletch_shuffle_count_outside(inlet->shuffle, UINT64_MAX);
    return answer;
}

uint64_t fletch_inlet_mark(const struct fletch_inlet *inlet, uint32_t partition)
{
    struct fletch_channel **slot = slot_of(inlet, partition);
    return slot == NULL || *slot == NULL ? 0 : (*slot)->sent.frames;
}

enum fletch_status fletch_inlet_check(const struct fletch_inlet *inlet, uint32_t partition,
                                      struct fletch_error *error)
{
    enum fletch_status status = fletch_shuffle_check(inlet->shuffle, error);
    if (status != FLETCH_OK)
        return status;
    if (slot_of(inlet, partition) == NULL)
        return fletch_error_set(error, FLETCH_OUT_OF_RANGE,
                                "OUT_OF_RANGE: partition %u of shuffle '%s' is not one of this "
                                "process, or was not asked for",
                                partition, inlet->shuffle->specification.shown.text);
    return fletch_shuffle_partition_check(partition_at(inlet, partition), error);
}

/* ---- control ---- */

static const struct rule {
    const char *what;
    enum fletch_seat_operation operation;
    bool may_be_pulled;
} rules[] = {
    [FLETCH_CONTROL_BARRIER] = {"a barrier", FLETCH_SEAT_BARRIER, false},
    [FLETCH_CONTROL_ABORT_BARRIER] = {"a barrier given up", FLETCH_SEAT_EVENT, false},
    [FLETCH_CONTROL_WATERMARK] = {"a watermark", FLETCH_SEAT_EVENT, false},
    [FLETCH_CONTROL_IDLE] = {"idleness", FLETCH_SEAT_EVENT, false},
    [FLETCH_CONTROL_END] = {"an end", FLETCH_SEAT_END, true},
    [FLETCH_CONTROL_ABORT] = {"an abort", FLETCH_SEAT_ABORT, true},
    [FLETCH_CONTROL_ADD_PRODUCER] = {"a new producer", FLETCH_SEAT_EVENT, false},
};

enum { RULES = sizeof rules / sizeof rules[0] };

static enum fletch_status refuse(const struct fletch_inlet *inlet, const char *what,
                                 struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "INVALID_ARGUMENT: control of producer %u of shuffle '%s': %s",
                            inlet->producer, inlet->shuffle->specification.shown.text, what);
}

static enum fletch_status check_channels(const struct fletch_inlet *inlet,
                                         const struct fletch_control_record *record,
                                         struct fletch_error *error)
{
    for (uint32_t i = 0; i < record->channel_count; i++) {
        uint32_t partition = record->channels[i].partition;
        if (slot_of(inlet, partition) == NULL ||
            (i > 0 && partition <= record->channels[i - 1].partition))
            return refuse(inlet, "its end lists a partition twice, or of another process", error);
    }
    return FLETCH_OK;
}

static enum fletch_status check_record(const struct fletch_inlet *inlet,
                                       const struct fletch_control_record *record,
                                       struct fletch_error *error)
{
    bool pulls = fletch_placement_pulls(&inlet->shuffle->specification.placement);
    char text[80];
    if ((unsigned)record->kind >= RULES)
        return refuse(inlet, "its kind is not known", error);
    if (record->sequence != inlet->sequence + 1) {
        (void)snprintf(text, sizeof text, "sequence %" PRIu64 " came, expected %" PRIu64,
                       record->sequence, inlet->sequence + 1);
        return refuse(inlet, text, error);
    }
    if (pulls && !rules[record->kind].may_be_pulled) {
        (void)snprintf(text, sizeof text, "%s came, and it is pulled", rules[record->kind].what);
        return refuse(inlet, text, error);
    }
    if (inlet->has_ended && record->kind != FLETCH_CONTROL_ABORT)
        return refuse(inlet, "it came behind the end", error);
    if (record->kind == FLETCH_CONTROL_ADD_PRODUCER && record->added_producer == 0)
        return refuse(inlet, "a new producer has number 0", error);
    return check_channels(inlet, record, error);
}

/* ---- the end ---- */

static bool are_equal(const struct fletch_channel_totals *a, const struct fletch_channel_totals *b)
{
    return a->frames == b->frames && a->rows == b->rows && a->bytes == b->bytes &&
           a->key_sum == b->key_sum && a->row_sum == b->row_sum;
}

/* Whether what was pushed is what its producer says that it has sent. */
static enum fletch_status compare(const struct fletch_inlet *inlet,
                                  const struct fletch_control_record *record,
                                  struct fletch_error *error)
{
    static const struct fletch_channel_totals nothing = {0};
    for (uint32_t i = 0, at = 0; i < inlet->partition_count; i++) {
        bool is_listed =
            at < record->channel_count && record->channels[at].partition == inlet->partitions[i];
        const struct fletch_channel_totals *sent =
            is_listed ? &record->channels[at].totals : &nothing;
        const struct fletch_channel_totals *came =
            inlet->channels[i] == NULL ? &nothing : &inlet->channels[i]->sent;
        at += is_listed;
        if (are_equal(sent, came))
            continue;
        /* What came for a partition that takes no more was dropped, which is no loss of its own. */
        enum fletch_status status = fletch_inlet_check(inlet, inlet->partitions[i], error);
        if (status != FLETCH_OK)
            return status;
        return fletch_error_set(
            error, FLETCH_DATA_LOSS,
            "DATA_LOSS: partition %u of shuffle '%s', producer %u: %" PRIu64 " frames with %" PRIu64
            " rows and %" PRIu64 " bytes were sent, %" PRIu64 ", %" PRIu64 " and %" PRIu64
            " came; sums of keys %016" PRIx64 " and %016" PRIx64 ", of rows %016" PRIx64
            " and %016" PRIx64,
            inlet->partitions[i], inlet->shuffle->specification.shown.text, inlet->producer,
            sent->frames, sent->rows, sent->bytes, came->frames, came->rows, came->bytes,
            sent->key_sum, came->key_sum, sent->row_sum, came->row_sum);
    }
    return FLETCH_OK;
}

static struct fletch_inlet *inlet_of_ending(struct fletch_serial_task *task)
{
    return (struct fletch_inlet *)(void *)((char *)task - offsetof(struct fletch_inlet, ending));
}

/* Pull: these partitions have one producer less to wait for. */
static void run_ending(void *context, struct fletch_serial_task *task)
{
    struct fletch_inlet *inlet = inlet_of_ending(task);
    struct fletch_shuffle_seat *seat = inlet->seat;
    (void)context;
    for (uint32_t i = 0; i < inlet->partition_count; i++)
        fletch_shuffle_partition_count_end(partition_at(inlet, inlet->partitions[i]));
    fletch_budget_wake(inlet->shuffle->transport->budget);
    /* From here on the inlet may go. */
    store_release(&seat->announcer.settled, 1); /* announcement E1 release */
    fletch_eventcount_notify_inline(seat->sleeper, UINT32_MAX);
}

static void submit(struct fletch_inlet *inlet, const struct fletch_control_record *record)
{
    struct fletch_control_operation *operation =
        &inlet->seat->operations[rules[record->kind].operation];
    FLETCH_ASSERT(fletch_control_is_free(operation));
    operation->kind = record->kind;
    operation->barrier = record->barrier;
    operation->watermark = record->watermark;
    operation->wanted_producer = record->added_producer;
    operation->now_ns = fletch_shuffle_now_ns(inlet->shuffle);
    inlet->asked = operation;
    fletch_control_submit(operation);
}

static void submit_end(struct fletch_inlet *inlet, const struct fletch_control_record *record)
{
    inlet->answer.status = compare(inlet, record, &inlet->answer);
    if (inlet->answer.status != FLETCH_OK) {
        fletch_inlet_abort(inlet, inlet->answer.message);
        return;
    }
    inlet->has_ended = true;
    if (!fletch_placement_pulls(&inlet->shuffle->specification.placement)) {
        submit(inlet, record);
        return;
    }
    inlet->is_ending = true;
    inlet->ending.run = run_ending;
    fletch_serial_submit(fletch_coordinator_serial(inlet->shuffle->coordinator), &inlet->ending);
}

enum fletch_status fletch_inlet_control(struct fletch_inlet *inlet,
                                        const struct fletch_control_record *record,
                                        struct fletch_error *error)
{
    FLETCH_ASSERT(!inlet->waits);
    enum fletch_status status = check_record(inlet, record, error);
    if (status != FLETCH_OK)
        return status;
    inlet->waits = true;
    inlet->sequence = record->sequence;
    inlet->asked = NULL;
    inlet->answer.status = FLETCH_OK;
    if (record->kind == FLETCH_CONTROL_ABORT)
        fletch_inlet_abort(inlet, record->reason);
    else if (record->kind == FLETCH_CONTROL_END)
        submit_end(inlet, record);
    else
        submit(inlet, record);
    return FLETCH_OK;
}

static bool has_answer(const struct fletch_inlet *inlet)
{
    if (inlet->is_ending)
        return fletch_announcer_is_settled(&inlet->seat->announcer, 1);
    return inlet->asked == NULL || fletch_control_is_done(inlet->asked);
}

bool fletch_inlet_control_poll(struct fletch_inlet *inlet, enum fletch_status *out_status,
                               struct fletch_error *error)
{
    if (!inlet->waits || !has_answer(inlet))
        return false;
    inlet->waits = inlet->is_ending = false;
    if (inlet->asked != NULL) {
        inlet->answer.status = inlet->asked->status;
        if (inlet->answer.status != FLETCH_OK)
            inlet->answer = inlet->asked->error;
    }
    *out_status = inlet->answer.status;
    if (*out_status != FLETCH_OK && error != NULL)
        *error = inlet->answer;
    return true;
}

bool fletch_inlet_control_waits(const struct fletch_inlet *inlet)
{
    return inlet->waits;
}

uint64_t fletch_inlet_control_mark(const struct fletch_inlet *inlet)
{
    return inlet->sequence - inlet->waits;
}

/* ---- ending ---- */

void fletch_inlet_abort(struct fletch_inlet *inlet, const char *reason)
{
    if (inlet->has_ended)
        return;
    inlet->has_ended = true;
    fletch_control_submit(fletch_shuffle_seat_prepare_abort(
        inlet->seat, fletch_shuffle_now_ns(inlet->shuffle), reason));
}

void fletch_inlet_close(struct fletch_inlet *inlet)
{
    if (inlet == NULL || !fletch_shuffle_is_own(inlet->shuffle))
        return;
    if (!inlet->has_ended)
        fletch_inlet_abort(inlet, "its connection was closed without end");
    if (inlet->waits && inlet->asked != NULL)
        (void)fletch_control_give_up(inlet->asked);
    for (uint32_t i = 0; i < inlet->partition_count; i++)
        if (inlet->channels[i] != NULL)
            fletch_inlet_forget(inlet, inlet->partitions[i]);
    dismantle(inlet);
}
