#include "pump/sender_channel.h"

/* What a sender tells its receiver. */

static void next_give_back(struct fletch_pump_sender *sender, struct fletch_envelope *out_envelope)
{
    struct fletch_sender_channel *channel = sender->returning.first;
    FLETCH_QUEUE_POP(&sender->returning, returning);
    out_envelope->kind = FLETCH_ENVELOPE_GIVE_BACK;
    out_envelope->give_back =
        (struct fletch_envelope_give_back){.channel = channel->key, .sequence = channel->returned};
}

static void next_refusal(struct fletch_envelope *out_envelope, enum fletch_refusal_scope scope,
                         const struct fletch_envelope_channel *channel,
                         const struct fletch_error *cause)
{
    out_envelope->kind = FLETCH_ENVELOPE_REFUSE;
    out_envelope->refuse =
        (struct fletch_envelope_refuse){.scope = (uint8_t)scope,
                                        .status = (uint8_t)cause->status,
                                        .channel = *channel,
                                        .text = fletch_envelope_text(cause->message)};
}

/* How many of its frames a channel may offer now. */
static uint32_t room_for_offers(const struct fletch_sender_channel *channel)
{
    uint32_t ungranted = 0;
    for (const struct fletch_sender_frame *frame = channel->first; frame != channel->unoffered;
         frame = frame->next)
        if (frame->end > channel->grant)
            ungranted++;
    uint32_t of_all = FLETCH_PUMP_OFFERED_MAX - channel->offered;
    uint32_t of_ungranted = FLETCH_PUMP_UNGRANTED_MAX - ungranted;
    return of_all < of_ungranted ? of_all : of_ungranted;
}

/* False: none of the channels may offer anything now. */
static bool next_offers(struct fletch_pump_sender *sender, struct fletch_envelope *out_envelope)
{
    struct fletch_envelope_offers *offers = &out_envelope->offers;
    out_envelope->kind = FLETCH_ENVELOPE_OFFER;
    offers->count = 0;
    while (sender->offering.first != NULL) {
        struct fletch_sender_channel *channel = sender->offering.first;
        uint32_t room = room_for_offers(channel);
        for (; room != 0 && channel->unoffered != NULL; room--) {
            const struct fletch_sender_frame *frame = channel->unoffered;
            if (offers->count == FLETCH_ENVELOPE_ENTRIES_MAX)
                return true;
            offers->offers[offers->count++] = (struct fletch_envelope_offer){
                channel->key, frame->data.sequence, frame->data.bytes, frame->data.barrier};
            channel->unoffered = frame->next;
            channel->offered++;
            sender->counters.offers_sent++;
        }
        FLETCH_QUEUE_POP(&sender->offering, offering);
    }
    return offers->count != 0;
}

static void next_data(struct fletch_pump_sender *sender, struct fletch_envelope *out_envelope,
                      void **out_token)
{
    struct fletch_sender_channel *channel = sender->sending.first;
    struct fletch_sender_frame *frame = channel->unsent;
    FLETCH_QUEUE_POP(&sender->sending, sending);
    if (frame->end > channel->grant && !frame->is_eager) {
        frame->is_eager = true;
        sender->eager_used += fletch_sender_weight(frame->data.bytes);
        sender->counters.frames_eager++;
        channel->unoffered = frame->next;
        channel->offered++;
    }
    frame->is_sent = true;
    frame->group->unsent--;
    channel->unsent = frame->next;
    fletch_sender_list_channel(sender, channel); /* behind the others */
    fletch_sender_list_control(sender, channel->producer);
    sender->counters.frames_sent++;
    sender->counters.bytes_sent += frame->data.bytes;
    if (frame->was_sent)
        sender->counters.frames_sent_again++;
    frame->was_sent = true;
    out_envelope->kind = FLETCH_ENVELOPE_DATA;
    out_envelope->data = frame->data;
    *out_token = frame->token;
}

void fletch_pump_sender_put_back(struct fletch_pump_sender *sender,
                                 const struct fletch_envelope_data *data)
{
    uint64_t key = fletch_channel_key(data->channel.producer, data->channel.partition);
    struct fletch_sender_channel *channel = fletch_channel_map_find(&sender->channels, key);
    struct fletch_sender_frame *frame = channel == NULL ? NULL : channel->first;
    while (frame != NULL && frame->data.sequence != data->sequence)
        frame = frame->next;
    if (frame == NULL || !frame->is_sent)
        return;
    frame->is_sent = false;
    frame->group->unsent++;
    channel->unsent = frame;
    sender->counters.frames_sent--;
    sender->counters.bytes_sent -= frame->data.bytes;
    fletch_sender_list_channel(sender, channel);
}

static void next_control(struct fletch_pump_sender *sender, struct fletch_envelope *out_envelope)
{
    struct fletch_sender_producer *producer = sender->controlling_first;
    struct fletch_sender_group *group = producer->first;
    struct fletch_envelope_control *control = &out_envelope->control;
    const struct fletch_control_record *record = &group->item.record;
    uint32_t left = record->channel_count - group->totals_sent;
    out_envelope->kind = FLETCH_ENVELOPE_CONTROL;
    *control = (struct fletch_envelope_control){
        .producer = group->item.producer,
        .attempt = group->item.attempt,
        .sequence = record->sequence,
        .kind = (uint8_t)record->kind,
        .has_more = left > FLETCH_ENVELOPE_ENTRIES_MAX,
        .barrier = record->barrier,
        .watermark = record->watermark,
        .added_producer = record->added_producer,
        .totals_count = left < FLETCH_ENVELOPE_ENTRIES_MAX ? left : FLETCH_ENVELOPE_ENTRIES_MAX,
    };
    if (record->reason != NULL)
        control->reason = fletch_envelope_text(record->reason);
    for (uint32_t i = 0; i < control->totals_count; i++)
        control->totals[i] = record->channels[group->totals_sent + i];
    group->totals_sent += control->totals_count;
    if (control->has_more)
        return;
    group->is_sent = true;
    group->was_sent = true;
    producer->is_listed = false;
    sender->controlling_first = producer->next;
    sender->counters.controls_sent++;
}

/* Frames that a cut or a gap made unsent again: their control waits for them. */
static bool has_control(struct fletch_pump_sender *sender)
{
    while (sender->controlling_first != NULL) {
        struct fletch_sender_producer *producer = sender->controlling_first;
        const struct fletch_sender_group *group = producer->first;
        if (group->has_control && !group->is_sent && group->unsent == 0)
            return true;
        producer->is_listed = false;
        sender->controlling_first = producer->next;
    }
    return false;
}

/* A channel whose frames were dropped since it was listed. */
static bool has_data(struct fletch_pump_sender *sender)
{
    while (sender->sending.first != NULL) {
        struct fletch_sender_channel *channel = sender->sending.first;
        if (fletch_sender_may_send(sender, channel))
            return true;
        FLETCH_QUEUE_POP(&sender->sending, sending);
        fletch_sender_list_channel(sender, channel); /* to be offered */
    }
    return false;
}

bool fletch_pump_sender_next(struct fletch_pump_sender *sender,
                             struct fletch_envelope *out_envelope, void **out_token)
{
    static const struct fletch_envelope_channel nobody;
    *out_token = NULL;
    if (sender->tells_failure) {
        sender->tells_failure = false;
        next_refusal(out_envelope, FLETCH_REFUSED_SHUFFLE, &nobody, &sender->failure);
        return true;
    }
    if (sender->state != FLETCH_SENDER_OPEN)
        return false;
    if (sender->tells_loss) {
        sender->tells_loss = false;
        next_refusal(out_envelope, FLETCH_REFUSED_PRODUCER, &sender->lost, &sender->loss);
    } else if (sender->returning.first != NULL) {
        next_give_back(sender, out_envelope);
    } else if (next_offers(sender, out_envelope)) {
        return true;
    } else if (has_control(sender)) {
        next_control(sender, out_envelope);
    } else if (has_data(sender)) {
        next_data(sender, out_envelope, out_token);
    } else if (next_offers(sender, out_envelope)) { /* of what is not sent eagerly after all */
        return true;
    } else if (sender->held == 0 && sender->source.is_done(sender->source.context)) {
        sender->state = FLETCH_SENDER_LEAVING;
        out_envelope->kind = FLETCH_ENVELOPE_BYE;
    } else {
        return false;
    }
    return true;
}
