#include "pump/pump_receiver.h"

#include <string.h>

#include "base/allocator.h"
#include "base/status.h"
#include "pump/pump_sender.h"
#include "pump/receiver_channel.h"
#include "shuffle/credit.h"

enum { PLACES_LEAST = 4 };

static uint64_t weight(uint64_t bytes)
{
    return bytes == 0 ? 1 : bytes;
}

static struct fletch_receiver_place *place_at(struct fletch_receiver_channel *channel,
                                              uint32_t index)
{
    return &channel->places[(channel->first + index) % channel->capacity];
}

/* One more behind the others; NULL: no memory, or it would be too many. */
static struct fletch_receiver_place *add_place(struct fletch_pump_receiver *receiver,
                                               struct fletch_receiver_channel *channel)
{
    uint32_t capacity = channel->capacity == 0 ? PLACES_LEAST : 2 * channel->capacity;
    if (channel->offered == FLETCH_PUMP_OFFERED_MAX)
        return NULL;
    if (channel->offered == channel->capacity) {
        struct fletch_receiver_place *places =
            fletch_block_allocate(&receiver->allocator, capacity * sizeof *places);
        if (places == NULL)
            return NULL;
        for (uint32_t i = 0; i < channel->offered; i++)
            places[i] = *place_at(channel, i);
        if (channel->places != NULL)
            fletch_block_release(channel->places);
        channel->places = places;
        channel->capacity = capacity;
        channel->first = 0;
    }
    return place_at(channel, channel->offered++);
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
                                              .partition_count = options->partition_count,
                                              .eager_bytes = options->eager_bytes};
    fletch_channel_map_init(&receiver->channels, options->allocator);
    receiver->producers = fletch_block_allocate(options->allocator, bytes);
    if (receiver->producers == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for %u producers of a pump",
                                (unsigned)options->producer_limit);
    memset(receiver->producers, 0, bytes);
    return FLETCH_OK;
}

/* Takes a frame out of its place, which stays. */
static struct fletch_parked_frame unpark(struct fletch_pump_receiver *receiver,
                                         struct fletch_receiver_channel *channel, uint32_t index)
{
    struct fletch_receiver_place *place = place_at(channel, index);
    struct fletch_parked_frame parked = *place->parked;
    fletch_block_release(place->parked);
    place->parked = NULL;
    channel->parked_bytes -= weight(place->bytes);
    channel->producer->parked--;
    receiver->eager_held -= weight(place->bytes);
    return parked;
}

/* From the `kept`th on nothing is offered or parked any more. */
static void drop_places(struct fletch_pump_receiver *receiver,
                        struct fletch_receiver_channel *channel, uint32_t kept)
{
    void *inlet = channel->producer->inlet;
    if (channel->is_asked && kept <= channel->granted) {
        receiver->sink.forget(inlet, channel->key.partition);
        channel->is_asked = false;
    }
    while (channel->granted > kept) {
        struct fletch_receiver_place *place = place_at(channel, --channel->granted);
        channel->grant -= weight(place->bytes);
        receiver->sink.give_back(inlet, channel->key.partition, &place->credit);
    }
    while (channel->parked > kept)
        receiver->sink.drop(receiver->sink.context,
                            unpark(receiver, channel, --channel->parked).batch);
    if (channel->offered > kept)
        channel->offered = kept;
}

void fletch_pump_receiver_deinit(struct fletch_pump_receiver *receiver)
{
    while (receiver->all != NULL) {
        struct fletch_receiver_channel *channel = receiver->all;
        receiver->all = channel->older;
        drop_places(receiver, channel, 0);
        if (channel->places != NULL)
            fletch_block_release(channel->places);
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
                                        struct fletch_receiver_producer *producer, uint32_t attempt)
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
    *channel =
        (struct fletch_receiver_channel){.key = *key, .older = receiver->all, .producer = producer};
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
    FLETCH_QUEUE_PUSH(&receiver->refusing, channel, refusing);
}

static void push(struct fletch_pump_receiver *receiver, struct fletch_receiver_channel *channel,
                 const struct fletch_envelope_data *data, struct fletch_batch *batch);

/* ---- offers ---- */

/* The next place has got credit: its frame is here, or may come. */
static void grant(struct fletch_pump_receiver *receiver, struct fletch_receiver_channel *channel,
                  const struct fletch_receiver_place *place)
{
    channel->granted++;
    channel->grant += weight(place->bytes);
    if (place->parked == NULL) {
        FLETCH_QUEUE_PUSH(&receiver->telling, channel, telling);
        return;
    }
    struct fletch_parked_frame parked = unpark(receiver, channel, 0);
    channel->parked--;
    push(receiver, channel, &parked.data, parked.batch);
}

/* Asks for credit for the frames that have none, as far as it is there. */
static void ask(struct fletch_pump_receiver *receiver, struct fletch_receiver_channel *channel)
{
    while (!channel->is_refused && channel->granted < channel->offered) {
        struct fletch_receiver_place *place = place_at(channel, channel->granted);
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
            FLETCH_QUEUE_PUSH(&receiver->asking, channel, asking);
            return;
        }
        grant(receiver, channel, place);
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
                                (unsigned long long)offer->bytes, (unsigned long long)expected - 1);
    if (channel->offered == FLETCH_PUMP_OFFERED_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "OFFER of more than %d frames of a channel",
                                FLETCH_PUMP_OFFERED_MAX);
    struct fletch_receiver_place *place = add_place(receiver, channel);
    if (place == NULL)
        return no_memory(error);
    *place = (struct fletch_receiver_place){.bytes = offer->bytes, .barrier = offer->barrier};
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

/* Takes a frame that came without an offer. On failure the batch stays the caller's. */
static enum fletch_status take_eager(struct fletch_pump_receiver *receiver,
                                     struct fletch_receiver_channel *channel,
                                     const struct fletch_envelope_data *data,
                                     struct fletch_batch *batch, struct fletch_error *error)
{
    uint64_t bytes = weight(data->bytes);
    bool is_small = bytes <= receiver->eager_bytes / FLETCH_PUMP_EAGER_PART &&
                    bytes <= receiver->eager_bytes - receiver->eager_held;
    if (!is_small || channel->offered != channel->parked ||
        data->offset != channel->accepted + channel->parked_bytes)
        return fletch_error_set(
            error, FLETCH_INVALID_ARGUMENT,
            "DATA: frame %llu of producer %u for partition %u, of %llu bytes, was not granted",
            (unsigned long long)data->sequence, (unsigned)data->channel.producer,
            (unsigned)data->channel.partition, (unsigned long long)data->bytes);
    struct fletch_parked_frame *parked =
        fletch_block_allocate(&receiver->allocator, sizeof *parked);
    struct fletch_receiver_place *place = parked == NULL ? NULL : add_place(receiver, channel);
    if (place == NULL) {
        if (parked != NULL)
            fletch_block_release(parked);
        return no_memory(error);
    }
    *parked = (struct fletch_parked_frame){*data, batch};
    *place = (struct fletch_receiver_place){
        .bytes = data->bytes, .barrier = data->barrier, .parked = parked};
    channel->parked++;
    channel->parked_bytes += bytes;
    channel->producer->parked++;
    receiver->eager_held += bytes;
    if (!channel->is_asked)
        ask(receiver, channel);
    receiver->counters.frames_parked += channel->parked != 0 ? 1 : 0;
    return FLETCH_OK;
}

/* Whether a granted frame is what was offered. */
static enum fletch_status check_due(struct fletch_receiver_channel *channel,
                                    const struct fletch_envelope_data *data,
                                    struct fletch_error *error)
{
    const struct fletch_receiver_place *place = place_at(channel, 0);
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
    struct fletch_receiver_place *place = place_at(channel, 0);
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
    channel->first = (channel->first + 1) % channel->capacity;
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
    FLETCH_QUEUE_PUSH(&receiver->telling, channel, telling);
}

/* Drops what is not the next frame. */
static bool is_out_of_turn(struct fletch_pump_receiver *receiver,
                           struct fletch_receiver_channel *channel, uint64_t sequence)
{
    if (channel->is_refused) {
        receiver->counters.frames_dropped++;
        return true;
    }
    if (sequence <= channel->mark + channel->parked) {
        receiver->counters.frames_duplicate++;
        FLETCH_QUEUE_PUSH(&receiver->telling, channel, telling);
        return true;
    }
    uint64_t due = channel->mark + channel->parked + 1;
    if (sequence == due)
        return false;
    receiver->counters.frames_dropped++;
    if (channel->gap == due)
        return true;
    channel->gap = due;
    channel->tells_gap = true;
    receiver->counters.gaps++;
    FLETCH_QUEUE_PUSH(&receiver->refusing, channel, refusing);
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
        bool is_granted = channel->granted != 0;
        status = is_granted ? check_due(channel, data, error)
                            : take_eager(receiver, channel, data, batch, error);
        if (status == FLETCH_OK && is_granted)
            push(receiver, channel, data, batch);
        if (status == FLETCH_OK)
            return FLETCH_OK;
    }
    receiver->sink.drop(receiver->sink.context, batch);
    return status;
}

/* ---- control ---- */

static void answer(struct fletch_pump_receiver *receiver, struct fletch_receiver_producer *producer)
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

/* Submits the control that is held, once all frames that came before it are pushed. */
static enum fletch_status submit_held(struct fletch_pump_receiver *receiver,
                                      struct fletch_receiver_producer *producer,
                                      struct fletch_error *error)
{
    if (!producer->is_held || producer->parked != 0)
        return FLETCH_OK;
    producer->is_held = false;
    return receiver->sink.control(producer->inlet, &producer->held, error);
}

static enum fletch_status submit(struct fletch_pump_receiver *receiver,
                                 struct fletch_receiver_producer *producer,
                                 const struct fletch_envelope_control *control,
                                 struct fletch_error *error)
{
    bool is_end = control->kind == FLETCH_CONTROL_END;
    uint32_t bytes = control->reason.byte_count;
    if (bytes >= sizeof producer->reason)
        bytes = sizeof producer->reason - 1;
    if (bytes != 0)
        memcpy(producer->reason, control->reason.bytes, bytes);
    producer->reason[bytes] = '\0';
    producer->held = (struct fletch_control_record){
        .sequence = control->sequence,
        .kind = (enum fletch_control_kind)control->kind,
        .barrier = control->barrier,
        .watermark = control->watermark,
        .added_producer = control->added_producer,
        .reason = bytes == 0 ? NULL : producer->reason,
        .channels = producer->totals,
        .channel_count = is_end ? producer->totals_count : 0,
    };
    producer->is_held = true;
    producer->control_waiting = control->sequence;
    producer->is_last = is_end || control->kind == FLETCH_CONTROL_ABORT;
    receiver->controls_waiting++;
    return submit_held(receiver, producer, error);
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
    if (submit_held(receiver, producer, &error) != FLETCH_OK) {
        fletch_pump_receiver_fail(receiver, &error);
        return;
    }
    if (producer->is_held || !receiver->sink.poll(producer->inlet, &status, &error))
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
    enum fletch_status status = find_producer(receiver, refuse->channel.producer,
                                              refuse->channel.attempt, &producer, error);
    if (status == FLETCH_OK && producer != NULL)
        receiver->sink.lose(producer->inlet, cause.message);
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
        FLETCH_QUEUE_POP(&asking, asking);
        ask(receiver, channel);
    }
    for (struct fletch_receiver_producer *producer = receiver->newest;
         producer != NULL && receiver->controls_waiting != 0; producer = producer->older)
        if (producer->control_waiting != 0)
            poll_answer(receiver, producer);
}

void fletch_pump_receiver_expect(struct fletch_pump_receiver *receiver, uint32_t number)
{
    struct fletch_receiver_producer *producer;
    (void)find_producer(receiver, number, FLETCH_FIRST_ATTEMPT, &producer, NULL);
}

void fletch_pump_receiver_lose(struct fletch_pump_receiver *receiver, const char *reason)
{
    for (struct fletch_receiver_producer *producer = receiver->newest; producer != NULL;
         producer = producer->older)
        if (producer->inlet != NULL)
            receiver->sink.lose(producer->inlet, reason);
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
        FLETCH_QUEUE_PUSH(&receiver->telling, channel, telling);
        if (channel->is_refused)
            FLETCH_QUEUE_PUSH(&receiver->refusing, channel, refusing);
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
         producer = producer->older) {
        producer->totals_count = 0;
        if (!producer->is_held)
            continue;
        producer->is_held = false; /* it comes again, behind its frames */
        producer->control_waiting = 0;
        receiver->controls_waiting--;
    }
}
