#include "pump/pump_receiver.h"

#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "pump/pump_sender.h"
#include "shuffle/credit.h"

/* A frame that was offered. */
struct place {
    uint64_t sequence;
    uint64_t bytes;
    uint64_t barrier;
    struct fletch_inlet_credit credit; /* once it is granted */
};

/* `places` is a ring: `granted` of its `offered` frames have credit, those in front. */
struct fletch_receiver_channel {
    struct fletch_envelope_channel key;
    struct fletch_receiver_channel *older;
    struct fletch_receiver_producer *producer;
    uint64_t mark;
    uint64_t accepted; /* bytes */
    uint64_t grant;
    uint64_t gap; /* the sequence that was asked for again; 0: none */
    uint32_t first, offered, granted;
    bool is_asked; /* credit for the first one without */
    bool is_refused;
    bool tells_gap;
    bool is_asking, is_telling, is_refusing;
    struct fletch_receiver_channel *next_asking, *next_telling, *next_refusing;
    struct place places[FLETCH_PUMP_OFFERED_MAX];
};

struct fletch_receiver_producer {
    uint32_t number;
    uint32_t attempt;
    struct fletch_receiver_producer *older;
    void *inlet; /* NULL: it was refused */
    uint64_t control_mark;
    uint64_t control_waiting; /* the sequence of what has no answer yet; 0: nothing */
    bool tells_answer;
    bool tells_refusal;
    bool is_last; /* what waits is an end or an abort */
    struct fletch_error answer; /* to the last control; or why it is refused */
    /* An end's that has not come whole. */
    struct fletch_channel_record *totals;
    uint32_t totals_count;
    uint32_t totals_limit;
    uint64_t totals_sequence;
};

static uint64_t weight(uint64_t bytes)
{
    return bytes == 0 ? 1 : bytes;
}

#define QUEUE_PUSH(queue, channel, list)                                                           \
    do {                                                                                           \
        if ((channel)->is_##list)                                                                  \
            break;                                                                                 \
        (channel)->is_##list = true;                                                               \
        (channel)->next_##list = NULL;                                                             \
        if ((queue)->first == NULL)                                                                \
            (queue)->first = (channel);                                                            \
        else                                                                                       \
            (queue)->last->next_##list = (channel);                                                \
        (queue)->last = (channel);                                                                 \
    } while (false)

#define QUEUE_POP(queue, list)                                                                     \
    do {                                                                                           \
        (queue)->first->is_##list = false;                                                         \
        (queue)->first = (queue)->first->next_##list;                                              \
    } while (false)

static struct place *place_at(struct fletch_receiver_channel *channel, uint32_t index)
{
    return &channel->places[(channel->first + index) % FLETCH_PUMP_OFFERED_MAX];
}

/* ---- life ---- */

enum fletch_status fletch_pump_receiver_init(struct fletch_pump_receiver *receiver,
                                             const struct fletch_pump_receiver_options *options,
                                             struct fletch_error *error)
{
    size_t bytes = (size_t)options->producer_limit * sizeof(struct fletch_receiver_producer *);
    *receiver = (struct fletch_pump_receiver){.allocator = *options->allocator,
                                              .sink = options->sink,
                                              .producer_limit = options->producer_limit,
                                              .partition_count = options->partition_count};
    fletch_channel_map_init(&receiver->channels, options->allocator);
    receiver->producers = fletch_block_allocate(options->allocator, bytes);
    if (receiver->producers == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for %u producers of a pump",
                                (unsigned)options->producer_limit);
    memset(receiver->producers, 0, bytes);
    return FLETCH_OK;
}

/* From the `kept`th on nothing is offered any more. */
static void drop_places(struct fletch_pump_receiver *receiver,
                        struct fletch_receiver_channel *channel, uint32_t kept)
{
    void *inlet = channel->producer->inlet;
    if (channel->is_asked && kept <= channel->granted) {
        receiver->sink.forget(inlet, channel->key.partition);
        channel->is_asked = false;
    }
    while (channel->granted > kept) {
        struct place *place = place_at(channel, --channel->granted);
        channel->grant -= weight(place->bytes);
        receiver->sink.give_back(inlet, channel->key.partition, &place->credit);
    }
    if (channel->offered > kept)
        channel->offered = kept;
}

void fletch_pump_receiver_deinit(struct fletch_pump_receiver *receiver)
{
    while (receiver->all != NULL) {
        struct fletch_receiver_channel *channel = receiver->all;
        receiver->all = channel->older;
        drop_places(receiver, channel, 0);
        fletch_block_release(channel);
    }
    while (receiver->newest != NULL) {
        struct fletch_receiver_producer *producer = receiver->newest;
        receiver->newest = producer->older;
        if (producer->inlet != NULL)
            receiver->sink.close(producer->inlet);
        if (producer->totals != NULL)
            fletch_block_release(producer->totals);
        fletch_block_release(producer);
    }
    if (receiver->producers != NULL)
        fletch_block_release(receiver->producers);
    receiver->producers = NULL;
    fletch_channel_map_deinit(&receiver->channels);
}

/* ---- producers and channels ---- */

static enum fletch_status no_memory(struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory in the pump's receiver");
}

static void refuse_producer(struct fletch_pump_receiver *receiver,
                            struct fletch_receiver_producer *producer)
{
    if (!producer->tells_refusal)
        receiver->answers_due++;
    producer->tells_refusal = true;
}

static enum fletch_status check_attempt(struct fletch_pump_receiver *receiver,
                                        struct fletch_receiver_producer *producer,
                                        uint32_t attempt)
{
    if (attempt == producer->attempt)
        return FLETCH_OK;
    (void)fletch_error_set(&producer->answer, FLETCH_FAILED_PRECONDITION,
                           "ATTEMPT: producer %u comes with attempt %u, and attempt %u is here",
                           (unsigned)producer->number, (unsigned)attempt,
                           (unsigned)producer->attempt);
    refuse_producer(receiver, producer);
    return FLETCH_FAILED_PRECONDITION;
}

/* NULL with OK: it is refused, which the sender will hear of. */
static enum fletch_status find_producer(struct fletch_pump_receiver *receiver, uint32_t number,
                                        uint32_t attempt,
                                        struct fletch_receiver_producer **out_producer,
                                        struct fletch_error *error)
{
    *out_producer = NULL;
    if (number >= receiver->producer_limit)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "producer %u of %u",
                                (unsigned)number, (unsigned)receiver->producer_limit);
    struct fletch_receiver_producer *producer = receiver->producers[number];
    if (producer == NULL) {
        producer = fletch_block_allocate(&receiver->allocator, sizeof *producer);
        if (producer == NULL)
            return no_memory(error);
        *producer = (struct fletch_receiver_producer){
            .number = number, .attempt = attempt, .older = receiver->newest};
        receiver->newest = producer;
        receiver->producers[number] = producer;
        receiver->producers_known++;
        if (receiver->sink.open(receiver->sink.context, number, attempt, &producer->inlet,
                                &producer->answer) != FLETCH_OK) {
            producer->inlet = NULL;
            refuse_producer(receiver, producer);
        }
    }
    if (producer->inlet != NULL && check_attempt(receiver, producer, attempt) == FLETCH_OK)
        *out_producer = producer;
    return FLETCH_OK;
}

static enum fletch_status find_channel(struct fletch_pump_receiver *receiver,
                                       const struct fletch_envelope_channel *key,
                                       struct fletch_receiver_channel **out_channel,
                                       struct fletch_error *error)
{
    struct fletch_receiver_producer *producer;
    uint64_t number = fletch_channel_key(key->producer, key->partition);
    *out_channel = NULL;
    if (key->partition >= receiver->partition_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "partition %u of %u",
                                (unsigned)key->partition, (unsigned)receiver->partition_count);
    enum fletch_status status =
        find_producer(receiver, key->producer, key->attempt, &producer, error);
    if (status != FLETCH_OK || producer == NULL)
        return status;
    *out_channel = fletch_channel_map_find(&receiver->channels, number);
    if (*out_channel != NULL)
        return FLETCH_OK;
    struct fletch_receiver_channel *channel =
        fletch_block_allocate(&receiver->allocator, sizeof *channel);
    if (channel == NULL)
        return no_memory(error);
    *channel = (struct fletch_receiver_channel){
        .key = *key, .older = receiver->all, .producer = producer};
    if (!fletch_channel_map_add(&receiver->channels, number, channel)) {
        fletch_block_release(channel);
        return no_memory(error);
    }
    receiver->all = channel;
    *out_channel = channel;
    return FLETCH_OK;
}

/* Its partition takes no more. */
static void refuse_channel(struct fletch_pump_receiver *receiver,
                           struct fletch_receiver_channel *channel)
{
    channel->is_refused = true;
    drop_places(receiver, channel, 0);
    QUEUE_PUSH(&receiver->refusing, channel, refusing);
}

/* ---- offers ---- */

/* Asks for credit for the frames that have none, as far as it is there. */
static void ask(struct fletch_pump_receiver *receiver, struct fletch_receiver_channel *channel)
{
    while (!channel->is_refused && channel->granted < channel->offered) {
        struct place *place = place_at(channel, channel->granted);
        const struct fletch_inlet_ask wanted = {place->bytes, place->barrier, true};
        enum fletch_answer answer = receiver->sink.reserve(
            channel->producer->inlet, channel->key.partition, wanted, &place->credit);
        if (answer == FLETCH_CLOSED) {
            channel->is_asked = false;
            refuse_channel(receiver, channel);
            return;
        }
        receiver->is_short |= answer == FLETCH_FULL;
        channel->is_asked = answer == FLETCH_EMPTY;
        if (answer != FLETCH_DONE) {
            QUEUE_PUSH(&receiver->asking, channel, asking);
            return;
        }
        channel->granted++;
        channel->grant += weight(place->bytes);
        QUEUE_PUSH(&receiver->telling, channel, telling);
    }
}

static enum fletch_status take_offer(struct fletch_pump_receiver *receiver,
                                     const struct fletch_envelope_offer *offer,
                                     struct fletch_error *error)
{
    struct fletch_receiver_channel *channel;
    enum fletch_status status = find_channel(receiver, &offer->channel, &channel, error);
    if (status != FLETCH_OK || channel == NULL || channel->is_refused)
        return status;
    uint64_t expected = channel->mark + channel->offered + 1;
    if (offer->sequence != expected || offer->bytes > FLETCH_CREDIT_FRAME_BYTES_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "OFFER of frame %llu with %llu bytes, after frame %llu",
                                (unsigned long long)offer->sequence,
                                (unsigned long long)offer->bytes,
                                (unsigned long long)expected - 1);
    if (channel->offered == FLETCH_PUMP_OFFERED_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "OFFER of more than %d frames of a channel",
                                FLETCH_PUMP_OFFERED_MAX);
    *place_at(channel, channel->offered++) = (struct place){
        .sequence = offer->sequence, .bytes = offer->bytes, .barrier = offer->barrier};
    if (!channel->is_asked)
        ask(receiver, channel);
    return FLETCH_OK;
}

static enum fletch_status take_offers(struct fletch_pump_receiver *receiver,
                                      const struct fletch_envelope_offers *offers,
                                      struct fletch_error *error)
{
    enum fletch_status status = FLETCH_OK;
    for (uint32_t i = 0; i < offers->count && status == FLETCH_OK; i++)
        status = take_offer(receiver, &offers->offers[i], error);
    return status;
}

static enum fletch_status take_give_back(struct fletch_pump_receiver *receiver,
                                         const struct fletch_envelope_give_back *give_back,
                                         struct fletch_error *error)
{
    struct fletch_receiver_channel *channel;
    enum fletch_status status = find_channel(receiver, &give_back->channel, &channel, error);
    if (status != FLETCH_OK || channel == NULL)
        return status;
    if (give_back->sequence <= channel->mark)
        return FLETCH_OK;
    uint64_t kept = give_back->sequence - channel->mark - 1;
    if (kept < channel->offered)
        drop_places(receiver, channel, (uint32_t)kept);
    return FLETCH_OK;
}

/* ---- data ---- */

/* Whether a frame is the one that is due, and granted. */
static enum fletch_status check_due(struct fletch_receiver_channel *channel,
                                    const struct fletch_envelope_data *data,
                                    struct fletch_error *error)
{
    const struct place *place = place_at(channel, 0);
    if (channel->granted == 0)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "DATA: frame %llu of producer %u for partition %u was not granted",
                                (unsigned long long)data->sequence,
                                (unsigned)data->channel.producer, (unsigned)data->channel.partition);
    if (data->bytes == place->bytes && data->barrier == place->barrier &&
        data->offset == channel->accepted)
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "DATA: frame %llu of producer %u for partition %u has %llu bytes at "
                            "offset %llu, %llu bytes at offset %llu were granted",
                            (unsigned long long)data->sequence, (unsigned)data->channel.producer,
                            (unsigned)data->channel.partition, (unsigned long long)data->bytes,
                            (unsigned long long)data->offset, (unsigned long long)place->bytes,
                            (unsigned long long)channel->accepted);
}

static void push(struct fletch_pump_receiver *receiver, struct fletch_receiver_channel *channel,
                 const struct fletch_envelope_data *data, struct fletch_batch *batch)
{
    struct place *place = place_at(channel, 0);
    const struct fletch_inlet_frame frame = {
        .partition = data->channel.partition,
        .sequence = data->sequence,
        .barrier = data->barrier,
        .rows = data->rows,
        .bytes = data->bytes,
        .key_sum = data->key_sum,
        .row_sum = data->row_sum,
        .batch = batch,
        .credit = &place->credit,
    };
    enum fletch_answer answer = receiver->sink.push(channel->producer->inlet, &frame);
    channel->first = (channel->first + 1) % FLETCH_PUMP_OFFERED_MAX;
    channel->offered--;
    channel->granted--;
    channel->mark = data->sequence;
    channel->accepted += weight(data->bytes);
    channel->gap = 0;
    if (answer != FLETCH_DONE) {
        receiver->counters.frames_dropped++;
        refuse_channel(receiver, channel);
        return;
    }
    receiver->counters.frames_accepted++;
    receiver->counters.bytes_accepted += data->bytes;
    QUEUE_PUSH(&receiver->telling, channel, telling);
}

/* Drops what is not the next frame. */
static bool is_out_of_turn(struct fletch_pump_receiver *receiver,
                           struct fletch_receiver_channel *channel, uint64_t sequence)
{
    if (channel->is_refused) {
        receiver->counters.frames_dropped++;
        return true;
    }
    if (sequence <= channel->mark) {
        receiver->counters.frames_duplicate++;
        QUEUE_PUSH(&receiver->telling, channel, telling);
        return true;
    }
    if (sequence == channel->mark + 1)
        return false;
    receiver->counters.frames_dropped++;
    if (channel->gap == channel->mark + 1)
        return true;
    channel->gap = channel->mark + 1;
    channel->tells_gap = true;
    receiver->counters.gaps++;
    QUEUE_PUSH(&receiver->refusing, channel, refusing);
    return true;
}

static enum fletch_status take_data(struct fletch_pump_receiver *receiver,
                                    const struct fletch_envelope_data *data,
                                    struct fletch_batch *batch, struct fletch_error *error)
{
    struct fletch_receiver_channel *channel;
    enum fletch_status status = find_channel(receiver, &data->channel, &channel, error);
    if (status == FLETCH_OK && channel != NULL &&
        !is_out_of_turn(receiver, channel, data->sequence)) {
        status = check_due(channel, data, error);
        if (status == FLETCH_OK) {
            push(receiver, channel, data, batch);
            return FLETCH_OK;
        }
    }
    receiver->sink.drop(receiver->sink.context, batch);
    return status;
}

/* ---- control ---- */

static void answer(struct fletch_pump_receiver *receiver,
                   struct fletch_receiver_producer *producer)
{
    if (!producer->tells_answer)
        receiver->answers_due++;
    producer->tells_answer = true;
}

/* Totals of an end that come in several messages. */
static enum fletch_status keep_totals(struct fletch_pump_receiver *receiver,
                                      struct fletch_receiver_producer *producer,
                                      const struct fletch_envelope_control *control,
                                      struct fletch_error *error)
{
    if (producer->totals_sequence != control->sequence)
        producer->totals_count = 0;
    producer->totals_sequence = control->sequence;
    if (control->totals_count > receiver->partition_count - producer->totals_count)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "CONTROL: more totals than the %u partitions",
                                (unsigned)receiver->partition_count);
    if (producer->totals_limit < receiver->partition_count) {
        producer->totals = fletch_block_allocate(
            &receiver->allocator, receiver->partition_count * sizeof producer->totals[0]);
        if (producer->totals == NULL)
            return no_memory(error);
        producer->totals_limit = receiver->partition_count;
    }
    memcpy(producer->totals + producer->totals_count, control->totals,
           control->totals_count * sizeof control->totals[0]);
    producer->totals_count += control->totals_count;
    return FLETCH_OK;
}

static enum fletch_status submit(struct fletch_pump_receiver *receiver,
                                 struct fletch_receiver_producer *producer,
                                 const struct fletch_envelope_control *control,
                                 struct fletch_error *error)
{
    char reason[FLETCH_CONTROL_REASON_BYTES] = "";
    uint32_t bytes = control->reason.byte_count;
    const struct fletch_control_record record = {
        .sequence = control->sequence,
        .kind = (enum fletch_control_kind)control->kind,
        .barrier = control->barrier,
        .watermark = control->watermark,
        .added_producer = control->added_producer,
        .reason = bytes == 0 ? NULL : reason,
        .channels = producer->totals,
        .channel_count = control->kind == FLETCH_CONTROL_END ? producer->totals_count : 0,
    };
    if (bytes >= sizeof reason)
        bytes = sizeof reason - 1;
    if (bytes != 0)
        memcpy(reason, control->reason.bytes, bytes);
    enum fletch_status status = receiver->sink.control(producer->inlet, &record, error);
    if (status != FLETCH_OK)
        return status;
    producer->control_waiting = control->sequence;
    producer->is_last =
        control->kind == FLETCH_CONTROL_END || control->kind == FLETCH_CONTROL_ABORT;
    receiver->controls_waiting++;
    return FLETCH_OK;
}

static enum fletch_status take_control(struct fletch_pump_receiver *receiver,
                                       const struct fletch_envelope_control *control,
                                       struct fletch_error *error)
{
    struct fletch_receiver_producer *producer;
    enum fletch_status status =
        find_producer(receiver, control->producer, control->attempt, &producer, error);
    if (status != FLETCH_OK || producer == NULL)
        return status;
    if (control->sequence <= producer->control_mark) {
        answer(receiver, producer);
        return FLETCH_OK;
    }
    if (control->sequence == producer->control_waiting)
        return FLETCH_OK;
    if (producer->control_waiting != 0 || control->sequence != producer->control_mark + 1)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "CONTROL %llu of producer %u, after %llu",
                                (unsigned long long)control->sequence, (unsigned)producer->number,
                                (unsigned long long)producer->control_mark);
    if (control->kind == FLETCH_CONTROL_END)
        status = keep_totals(receiver, producer, control, error);
    if (status == FLETCH_OK && !control->has_more)
        status = submit(receiver, producer, control, error);
    return status;
}

static void poll_answer(struct fletch_pump_receiver *receiver,
                        struct fletch_receiver_producer *producer)
{
    enum fletch_status status;
    struct fletch_error error = {.status = FLETCH_OK, .message = ""};
    if (!receiver->sink.poll(producer->inlet, &status, &error))
        return;
    producer->answer = error;
    producer->answer.status = status;
    producer->control_mark = producer->control_waiting;
    producer->control_waiting = 0;
    receiver->controls_waiting--;
    receiver->counters.controls_accepted++;
    receiver->producers_ended += producer->is_last && status == FLETCH_OK ? 1 : 0;
    answer(receiver, producer);
}

/* ---- messages of the sender ---- */

static enum fletch_status take_refuse(struct fletch_pump_receiver *receiver,
                                      const struct fletch_envelope_refuse *refuse,
                                      struct fletch_error *error)
{
    struct fletch_receiver_producer *producer;
    struct fletch_error cause;
    (void)fletch_error_set(&cause, (enum fletch_status)refuse->status, "%.*s",
                           (int)refuse->text.byte_count, refuse->text.bytes);
    if (refuse->scope != FLETCH_REFUSED_PRODUCER) {
        receiver->failure = cause;
        receiver->state = FLETCH_RECEIVER_FAILED;
        return FLETCH_OK;
    }
    enum fletch_status status =
        find_producer(receiver, refuse->channel.producer, refuse->channel.attempt, &producer, error);
    if (status == FLETCH_OK && producer != NULL)
        receiver->sink.abort(producer->inlet, cause.message);
    return status;
}

static enum fletch_status take_message(struct fletch_pump_receiver *receiver,
                                       const struct fletch_envelope *envelope,
                                       struct fletch_error *error)
{
    switch (envelope->kind) {
    case FLETCH_ENVELOPE_OFFER:
        return take_offers(receiver, &envelope->offers, error);
    case FLETCH_ENVELOPE_GIVE_BACK:
        return take_give_back(receiver, &envelope->give_back, error);
    case FLETCH_ENVELOPE_CONTROL:
        return take_control(receiver, &envelope->control, error);
    case FLETCH_ENVELOPE_REFUSE:
        return take_refuse(receiver, &envelope->refuse, error);
    case FLETCH_ENVELOPE_BYE:
        receiver->state = FLETCH_RECEIVER_LEAVING;
        return FLETCH_OK;
    default:
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "%s is not for a receiver, or not now",
                                fletch_envelope_kind_name(envelope->kind));
    }
}

enum fletch_status fletch_pump_receiver_take(struct fletch_pump_receiver *receiver,
                                             const struct fletch_envelope *envelope,
                                             struct fletch_batch *batch, struct fletch_error *error)
{
    bool is_data = envelope->kind == FLETCH_ENVELOPE_DATA;
    enum fletch_status status = FLETCH_OK;
    if (is_data != (batch != NULL))
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "%s %s a record batch",
                                  fletch_envelope_kind_name(envelope->kind),
                                  is_data ? "without" : "with");
    else if (receiver->state == FLETCH_RECEIVER_OPEN && is_data)
        return take_data(receiver, &envelope->data, batch, error);
    else if (receiver->state == FLETCH_RECEIVER_OPEN)
        return take_message(receiver, envelope, error);
    else if (receiver->state == FLETCH_RECEIVER_LEAVING)
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT, "%s after BYE",
                                  fletch_envelope_kind_name(envelope->kind));
    if (batch != NULL)
        receiver->sink.drop(receiver->sink.context, batch);
    return status;
}

/* ---- what has happened here ---- */

void fletch_pump_receiver_look(struct fletch_pump_receiver *receiver)
{
    struct fletch_receiver_queue asking = receiver->asking;
    receiver->asking = (struct fletch_receiver_queue){0};
    receiver->is_short = false;
    while (asking.first != NULL) {
        struct fletch_receiver_channel *channel = asking.first;
        QUEUE_POP(&asking, asking);
        ask(receiver, channel);
    }
    for (struct fletch_receiver_producer *producer = receiver->newest;
         producer != NULL && receiver->controls_waiting != 0; producer = producer->older)
        if (producer->control_waiting != 0)
            poll_answer(receiver, producer);
}

void fletch_pump_receiver_lose(struct fletch_pump_receiver *receiver, const char *reason)
{
    for (struct fletch_receiver_producer *producer = receiver->newest; producer != NULL;
         producer = producer->older)
        if (producer->inlet != NULL)
            receiver->sink.abort(producer->inlet, reason);
}

void fletch_pump_receiver_fail(struct fletch_pump_receiver *receiver,
                               const struct fletch_error *cause)
{
    if (receiver->state == FLETCH_RECEIVER_FAILED || receiver->state == FLETCH_RECEIVER_DONE)
        return;
    receiver->tells_failure = true;
    receiver->failure = *cause;
    receiver->state = FLETCH_RECEIVER_FAILED;
}

/* ---- connections ---- */

void fletch_pump_receiver_resume(struct fletch_pump_receiver *receiver)
{
    if (receiver->state != FLETCH_RECEIVER_CUT)
        return;
    receiver->state = FLETCH_RECEIVER_OPEN;
    receiver->must_complete = true;
    for (struct fletch_receiver_channel *channel = receiver->all; channel != NULL;
         channel = channel->older) {
        QUEUE_PUSH(&receiver->telling, channel, telling);
        if (channel->is_refused)
            QUEUE_PUSH(&receiver->refusing, channel, refusing);
    }
    for (struct fletch_receiver_producer *producer = receiver->newest; producer != NULL;
         producer = producer->older) {
        if (producer->inlet == NULL)
            refuse_producer(receiver, producer);
        else if (producer->control_mark != 0)
            answer(receiver, producer);
    }
}

void fletch_pump_receiver_cut(struct fletch_pump_receiver *receiver)
{
    if (receiver->state == FLETCH_RECEIVER_FAILED || receiver->state == FLETCH_RECEIVER_DONE)
        return;
    receiver->state = FLETCH_RECEIVER_CUT;
    receiver->asking = receiver->telling = receiver->refusing = (struct fletch_receiver_queue){0};
    for (struct fletch_receiver_channel *channel = receiver->all; channel != NULL;
         channel = channel->older) {
        drop_places(receiver, channel, channel->granted);
        channel->is_asking = channel->is_telling = channel->is_refusing = false;
        channel->gap = 0;
        channel->tells_gap = false;
    }
    for (struct fletch_receiver_producer *producer = receiver->newest; producer != NULL;
         producer = producer->older)
        producer->totals_count = 0;
}

/* ---- messages to the sender ---- */

static void write_refusal(struct fletch_envelope *out_envelope, enum fletch_refusal_scope scope,
                          const struct fletch_envelope_channel *key,
                          const struct fletch_error *cause)
{
    out_envelope->kind = FLETCH_ENVELOPE_REFUSE;
    out_envelope->refuse = (struct fletch_envelope_refuse){
        .scope = (uint8_t)scope,
        .status = (uint8_t)(cause->status == FLETCH_OK ? FLETCH_UNAVAILABLE : cause->status),
        .channel = *key,
        .text = fletch_envelope_text(cause->message)};
}

static void next_refusal(struct fletch_pump_receiver *receiver,
                         struct fletch_envelope *out_envelope)
{
    struct fletch_receiver_channel *channel = receiver->refusing.first;
    struct fletch_error *cause = &receiver->failure;
    QUEUE_POP(&receiver->refusing, refusing);
    if (!channel->is_refused) {
        (void)fletch_error_set(cause, FLETCH_OUT_OF_RANGE, "GAP: frame %llu is missing",
                               (unsigned long long)channel->gap);
        write_refusal(out_envelope, FLETCH_REFUSED_FRAME, &channel->key, cause);
        out_envelope->refuse.sequence = channel->mark + 1;
        return;
    }
    *cause = (struct fletch_error){.status = FLETCH_UNAVAILABLE, .message = "LOST"};
    (void)receiver->sink.check(channel->producer->inlet, channel->key.partition, cause);
    write_refusal(out_envelope,
                  cause->status == FLETCH_CANCELLED ? FLETCH_REFUSED_SHUFFLE
                                                    : FLETCH_REFUSED_PARTITION,
                  &channel->key, cause);
}

/* A producer that must be refused. */
static bool next_producer_refusal(struct fletch_pump_receiver *receiver,
                                  struct fletch_envelope *out_envelope)
{
    if (receiver->answers_due == 0)
        return false;
    for (struct fletch_receiver_producer *producer = receiver->newest; producer != NULL;
         producer = producer->older) {
        if (!producer->tells_refusal)
            continue;
        const struct fletch_envelope_channel key = {producer->number, producer->attempt, 0};
        producer->tells_refusal = false;
        receiver->answers_due--;
        write_refusal(out_envelope, FLETCH_REFUSED_PRODUCER, &key, &producer->answer);
        return true;
    }
    return false;
}

static void add_answers(struct fletch_pump_receiver *receiver,
                        struct fletch_envelope_update *update)
{
    for (struct fletch_receiver_producer *producer = receiver->newest;
         producer != NULL && receiver->answers_due != 0 &&
         update->answer_count < FLETCH_ENVELOPE_ANSWERS_MAX;
         producer = producer->older) {
        if (!producer->tells_answer)
            continue;
        const char *text = producer->answer.status == FLETCH_OK ? "" : producer->answer.message;
        producer->tells_answer = false;
        receiver->answers_due--;
        update->answers[update->answer_count++] = (struct fletch_envelope_answer){
            .producer = producer->number,
            .attempt = producer->attempt,
            .sequence = producer->control_mark,
            .status = (uint32_t)producer->answer.status,
            .text = fletch_envelope_text(text)};
    }
}

/* False: there is nothing to tell. */
static bool next_update(struct fletch_pump_receiver *receiver, struct fletch_envelope *out_envelope)
{
    struct fletch_envelope_update *update = &out_envelope->update;
    out_envelope->kind = FLETCH_ENVELOPE_UPDATE;
    update->mark_count = 0;
    update->answer_count = 0;
    while (receiver->telling.first != NULL && update->mark_count < FLETCH_ENVELOPE_ENTRIES_MAX) {
        const struct fletch_receiver_channel *channel = receiver->telling.first;
        update->marks[update->mark_count++] = (struct fletch_envelope_mark){
            channel->key, channel->mark, channel->accepted, channel->grant};
        QUEUE_POP(&receiver->telling, telling);
    }
    /* Answers go behind the marks of what came before them. */
    if (receiver->telling.first == NULL)
        add_answers(receiver, update);
    update->is_complete = receiver->must_complete && receiver->telling.first == NULL &&
                          receiver->answers_due == 0;
    if (update->is_complete)
        receiver->must_complete = false;
    return update->mark_count != 0 || update->answer_count != 0 || update->is_complete;
}

bool fletch_pump_receiver_next(struct fletch_pump_receiver *receiver,
                               struct fletch_envelope *out_envelope)
{
    static const struct fletch_envelope_channel nobody;
    if (receiver->tells_failure) {
        receiver->tells_failure = false;
        write_refusal(out_envelope, FLETCH_REFUSED_SHUFFLE, &nobody, &receiver->failure);
        return true;
    }
    if (receiver->state != FLETCH_RECEIVER_OPEN && receiver->state != FLETCH_RECEIVER_LEAVING)
        return false;
    if (next_producer_refusal(receiver, out_envelope) || next_update(receiver, out_envelope))
        return true;
    if (receiver->refusing.first != NULL) {
        next_refusal(receiver, out_envelope);
        return true;
    }
    if (receiver->state != FLETCH_RECEIVER_LEAVING || receiver->controls_waiting != 0)
        return false;
    receiver->state = FLETCH_RECEIVER_DONE;
    out_envelope->kind = FLETCH_ENVELOPE_BYE;
    return true;
}
