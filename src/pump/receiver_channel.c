#include "pump/receiver_channel.h"

#include "base/status.h"

/* What a receiver tells its sender. */

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
    FLETCH_QUEUE_POP(&receiver->refusing, refusing);
    if (!channel->is_refused) {
        (void)fletch_error_set(cause, FLETCH_OUT_OF_RANGE, "GAP: frame %llu is missing",
                               (unsigned long long)channel->gap);
        write_refusal(out_envelope, FLETCH_REFUSED_FRAME, &channel->key, cause);
        out_envelope->refuse.sequence = channel->gap;
        return;
    }
    *cause = (struct fletch_error){.status = FLETCH_UNAVAILABLE, .message = "LOST"};
    (void)receiver->sink.check(receiver->sink.context, channel->producer->inlet,
                               channel->key.partition, cause);
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
        update->answers[update->answer_count++] =
            (struct fletch_envelope_answer){.producer = producer->number,
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
        FLETCH_QUEUE_POP(&receiver->telling, telling);
    }
    /* Answers go behind what became of the frames that came before them: marks, and refusals of
     * those that were dropped. */
    if (receiver->telling.first == NULL && receiver->refusing.first == NULL)
        add_answers(receiver, update);
    update->is_complete =
        receiver->must_complete && receiver->telling.first == NULL && receiver->answers_due == 0;
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
