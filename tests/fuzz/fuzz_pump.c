#include <string.h>

#include "base/allocator.h"
#include "fuzz/fuzz_target.h"
#include "pump/pump_receiver.h"
#include "pump/pump_sender.h"

/* Messages of a pump, each behind its length (u16): what can be read is written the same again, and
 * goes to a receiver and to a sender with frames on their way, which may refuse it and nothing
 * else. */

static struct fletch_allocator memory;
static int inlets, reserved, batches;

/* ---- a sink that takes everything ---- */

static enum fletch_status open_inlet(void *context, uint32_t producer, uint32_t attempt,
                                     void **out_inlet, struct fletch_error *error)
{
    (void)context;
    (void)attempt;
    (void)error;
    *out_inlet = &inlets;
    inlets++;
    return producer == 3 ? FLETCH_ALREADY_EXISTS : FLETCH_OK;
}

static enum fletch_answer reserve(void *inlet, uint32_t partition, struct fletch_inlet_ask ask,
                                  struct fletch_inlet_credit *out_credit)
{
    (void)inlet;
    if (partition == 2)
        return FLETCH_CLOSED;
    if (ask.bytes > 1 << 20)
        return FLETCH_EMPTY;
    *out_credit = (struct fletch_inlet_credit){.kept_bytes = ask.bytes};
    reserved++;
    return FLETCH_DONE;
}

static void forget(void *inlet, uint32_t partition)
{
    (void)inlet;
    (void)partition;
}

static void give_back(void *inlet, uint32_t partition, struct fletch_inlet_credit *credit)
{
    (void)inlet;
    (void)partition;
    (void)credit;
    reserved--;
}

static enum fletch_answer push(void *inlet, const struct fletch_inlet_frame *frame)
{
    (void)inlet;
    reserved--;
    batches--;
    return frame->partition == 1 ? FLETCH_CLOSED : FLETCH_DONE;
}

static enum fletch_status check(void *context, void *inlet, uint32_t partition,
                                struct fletch_error *error)
{
    (void)context;
    (void)inlet;
    (void)partition;
    *error = (struct fletch_error){.status = FLETCH_CANCELLED, .message = "CANCELLED"};
    return FLETCH_CANCELLED;
}

static enum fletch_status control(void *inlet, const struct fletch_control_record *record,
                                  struct fletch_error *error)
{
    (void)inlet;
    (void)error;
    if (record->channel_count > 0 && record->channels[record->channel_count - 1].partition == 77)
        return FLETCH_OK;
    return FLETCH_OK;
}

static bool poll_control(void *inlet, enum fletch_status *out_status, struct fletch_error *error)
{
    (void)inlet;
    (void)error;
    *out_status = FLETCH_OK;
    return true;
}

static void abort_inlet(void *inlet, const char *reason)
{
    (void)inlet;
    if (strlen(reason) > FLETCH_ERROR_MESSAGE_BYTES)
        fuzz_stop("abort", "a reason that is too long");
}

static void close_inlet(void *inlet)
{
    (void)inlet;
    inlets--;
}

static void drop(void *context, struct fletch_batch *batch)
{
    (void)context;
    (void)batch;
    batches--;
}

/* ---- a source with a few frames ---- */

static unsigned given;

static void take(void *context, struct fletch_pump_item *out_item)
{
    (void)context;
    if (given == 8)
        return;
    out_item->kind = given % 4 == 3 ? FLETCH_PUMP_CONTROL : FLETCH_PUMP_FRAME;
    out_item->token = &given;
    out_item->producer = 1;
    out_item->attempt = 1;
    out_item->record =
        (struct fletch_control_record){.sequence = given / 4 + 1, .kind = FLETCH_CONTROL_BARRIER};
    out_item->data = (struct fletch_envelope_data){
        .channel = {1, 1, 3}, .sequence = given - given / 4 + 1, .bytes = 100};
    given++;
}

static void frame_done(void *context, void *token)
{
    (void)context;
    (void)token;
}

static void control_done(void *context, void *token, const struct fletch_envelope_answer *answer)
{
    (void)context;
    (void)token;
    (void)answer;
}

static void fail_source(void *context, uint32_t partition, const struct fletch_error *cause)
{
    (void)context;
    (void)partition;
    (void)cause;
}

static bool is_done(void *context)
{
    (void)context;
    return given == 8;
}

/* ---- the target ---- */

static struct fletch_envelope envelope, out;

static void check_written(const uint8_t *bytes, size_t size)
{
    static uint8_t written[FLETCH_ENVELOPE_BYTES_MAX];
    if (fletch_envelope_encode(&envelope, written) != size || memcmp(written, bytes, size) != 0)
        fuzz_stop("encode", "other bytes than those that were read");
}

static void feed(struct fletch_pump_sender *sender, struct fletch_pump_receiver *receiver)
{
    struct fletch_error error;
    void *token;
    bool has_batch = envelope.kind == FLETCH_ENVELOPE_DATA;
    batches += has_batch ? 1 : 0;
    if (fletch_pump_receiver_take(receiver, &envelope, has_batch ? (void *)&batches : NULL,
                                  &error) != FLETCH_OK)
        fletch_pump_receiver_cut(receiver);
    fletch_pump_receiver_look(receiver);
    while (fletch_pump_receiver_next(receiver, &out))
        (void)fletch_envelope_encode(&out, (uint8_t[FLETCH_ENVELOPE_BYTES_MAX]){0});
    fletch_pump_receiver_resume(receiver);
    if (fletch_pump_sender_take(sender, &envelope, &error) != FLETCH_OK)
        fletch_pump_sender_cut(sender);
    fletch_pump_sender_resume(sender, 900);
    fletch_pump_sender_fill(sender);
    while (fletch_pump_sender_next(sender, &out, &token))
        (void)fletch_envelope_encode(&out, (uint8_t[FLETCH_ENVELOPE_BYTES_MAX]){0});
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct fletch_pump_sender sender;
    struct fletch_pump_receiver receiver;
    struct fletch_error error;
    memory = fletch_allocator_or_default(NULL);
    const struct fletch_pump_source source = {take,        frame_done, control_done,
                                              fail_source, is_done,    NULL};
    const struct fletch_pump_receiver_options options = {
        .sink = {open_inlet, reserve, forget, give_back, push, check, control, poll_control,
                 abort_inlet, close_inlet, drop, NULL},
        .producer_limit = 4,
        .partition_count = 5,
        .eager_bytes = 1000,
        .allocator = &memory};
    given = 0;
    inlets = 0;
    if (fletch_pump_sender_init(&sender, &source, 4, &memory, &error) != FLETCH_OK ||
        fletch_pump_receiver_init(&receiver, &options, &error) != FLETCH_OK)
        fuzz_stop("start", error.message);
    fletch_pump_sender_resume(&sender, 900);
    fletch_pump_receiver_resume(&receiver);
    while (size > 2) {
        size_t part = (size_t)(bytes[0] | bytes[1] << 8);
        bytes += 2;
        size -= 2;
        part = part < size ? part : size;
        if (fletch_envelope_decode(bytes, part, &envelope, &error) == FLETCH_OK) {
            check_written(bytes, part);
            feed(&sender, &receiver);
        }
        bytes += part;
        size -= part;
    }
    fletch_pump_sender_deinit(&sender);
    fletch_pump_receiver_deinit(&receiver);
    if (reserved != 0 || batches != 0)
        fuzz_stop("end", "credit or batches are left");
    return 0;
}
