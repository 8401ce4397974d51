#include "unit/pump/pump_puppets.h"

#include <stdlib.h>
#include <string.h>

#include "support/cmocka_tests.h"

/* ---- the source ---- */

static void take(void *context, struct fletch_pump_item *out_item)
{
    struct puppet_scene *scene = context;
    out_item->kind = FLETCH_PUMP_NOTHING;
    while (scene->items_taken < scene->item_count && scene->items[scene->items_taken].done != 0)
        scene->items_taken++; /* went nowhere before it was taken */
    if (scene->items_taken == scene->item_count || fletch_random_below(&scene->random, 4) == 0)
        return;
    struct puppet_item *item = &scene->items[scene->items_taken++];
    *out_item = item->item;
    out_item->token = item;
}

static void frame_done(void *context, void *token)
{
    (void)context;
    struct puppet_item *item = token;
    assert_int_equal(item->item.kind, FLETCH_PUMP_FRAME);
    assert_int_equal(item->done, 0);
    item->done++;
}

static void control_done(void *context, void *token, const struct fletch_envelope_answer *answer)
{
    (void)context;
    struct puppet_item *item = token;
    assert_int_equal(item->item.kind, FLETCH_PUMP_CONTROL);
    assert_int_equal(item->done, 0);
    item->done++;
    item->answer = (enum fletch_status)answer->status;
}

static void fail_items(void *context, uint32_t partition, const struct fletch_error *cause)
{
    struct puppet_scene *scene = context;
    (void)cause;
    for (uint32_t i = 0; i < scene->item_count; i++) {
        struct puppet_item *item = &scene->items[i];
        bool is_hit =
            partition == FLETCH_ALL_PARTITIONS || (item->item.kind == FLETCH_PUMP_FRAME &&
                                                   item->item.data.channel.partition == partition);
        if (!is_hit || item->done != 0)
            continue;
        item->done++;
        scene->items_failed++;
    }
}

static bool is_done(void *context)
{
    const struct puppet_scene *scene = context;
    return scene->items_taken == scene->item_count;
}

/* ---- the sink ---- */

static enum fletch_status open_inlet(void *context, uint32_t producer, uint32_t attempt,
                                     void **out_inlet, struct fletch_error *error)
{
    struct puppet_scene *scene = context;
    (void)attempt;
    if (scene->opening != FLETCH_OK) {
        *error = (struct fletch_error){.status = scene->opening, .message = "not here"};
        return scene->opening;
    }
    scene->inlets[producer] = (struct puppet_inlet){.scene = scene, .producer = producer};
    *out_inlet = &scene->inlets[producer];
    return FLETCH_OK;
}

static enum fletch_answer reserve(void *inlet, uint32_t partition, struct fletch_inlet_ask ask,
                                  struct fletch_inlet_credit *out_credit)
{
    struct puppet_scene *scene = ((struct puppet_inlet *)inlet)->scene;
    uint64_t used = scene->held[partition] + scene->queued[partition];
    if (partition == scene->refused_partition)
        return FLETCH_CLOSED;
    if (used != 0 && used + ask.bytes > scene->room[partition])
        return FLETCH_EMPTY;
    scene->held[partition] += ask.bytes;
    *out_credit = (struct fletch_inlet_credit){.kept_bytes = ask.bytes};
    return FLETCH_DONE;
}

static void forget(void *inlet, uint32_t partition)
{
    (void)inlet;
    (void)partition;
}

static void give_back(void *inlet, uint32_t partition, struct fletch_inlet_credit *credit)
{
    struct puppet_scene *scene = ((struct puppet_inlet *)inlet)->scene;
    scene->held[partition] -= credit->kept_bytes;
}

static const struct puppet_item *find(const struct puppet_scene *scene, uint32_t producer,
                                      uint32_t partition, uint64_t sequence)
{
    for (uint32_t i = 0; i < scene->item_count; i++) {
        const struct fletch_pump_item *item = &scene->items[i].item;
        if (item->kind == FLETCH_PUMP_FRAME && item->data.channel.producer == producer &&
            item->data.channel.partition == partition && item->data.sequence == sequence)
            return &scene->items[i];
    }
    return NULL;
}

static enum fletch_answer push(void *context, const struct fletch_inlet_frame *frame)
{
    const struct puppet_inlet *inlet = context;
    struct puppet_scene *scene = inlet->scene;
    const struct puppet_item *item =
        find(scene, inlet->producer, frame->partition, frame->sequence);
    assert_non_null(item);
    assert_int_equal(frame->sequence, scene->pushed[inlet->producer][frame->partition] + 1);
    assert_int_equal(frame->bytes, item->item.data.bytes);
    assert_int_equal(frame->rows, item->item.data.rows);
    assert_int_equal(frame->key_sum, item->item.data.key_sum);
    assert_int_equal(frame->credit->kept_bytes, frame->bytes);
    scene->pushed[inlet->producer][frame->partition]++;
    scene->held[frame->partition] -= frame->bytes;
    scene->batches--;
    free(frame->batch);
    if (frame->partition == scene->refused_partition)
        return FLETCH_CLOSED;
    scene->queued[frame->partition] += frame->bytes;
    return FLETCH_DONE;
}

static enum fletch_status check(void *context, void *inlet, uint32_t partition,
                                struct fletch_error *error)
{
    (void)context;
    (void)inlet;
    (void)partition;
    *error = (struct fletch_error){.status = FLETCH_DATA_LOSS, .message = "DATA_LOSS: broken"};
    return error->status;
}

/* Control comes behind the frames that its producer has written before it. */
static enum fletch_status control(void *context, const struct fletch_control_record *record,
                                  struct fletch_error *error)
{
    struct puppet_inlet *inlet = context;
    struct puppet_scene *scene = inlet->scene;
    (void)error;
    assert_int_equal(record->sequence, ++scene->control_seen[inlet->producer]);
    for (uint32_t i = 0; i < scene->item_count; i++) {
        const struct fletch_pump_item *item = &scene->items[i].item;
        if (item->kind == FLETCH_PUMP_CONTROL && item->producer == inlet->producer &&
            item->record.sequence == record->sequence) {
            assert_int_equal(item->record.kind, record->kind);
            assert_int_equal(item->record.channel_count, record->channel_count);
            break;
        }
        if (item->kind == FLETCH_PUMP_FRAME && item->data.channel.producer == inlet->producer &&
            scene->items[i].done == 0)
            assert_true(item->data.sequence <=
                        scene->pushed[inlet->producer][item->data.channel.partition]);
    }
    inlet->controls++;
    inlet->answer_at = scene->step + fletch_random_below(&scene->random, 8) + 1;
    return FLETCH_OK;
}

static bool poll_control(void *context, enum fletch_status *out_status, struct fletch_error *error)
{
    struct puppet_inlet *inlet = context;
    if (inlet->answer_at == 0 || inlet->scene->step < inlet->answer_at)
        return false;
    inlet->answer_at = 0;
    *out_status = inlet->controls % 5 == 0 ? FLETCH_ABORTED : FLETCH_OK;
    if (*out_status != FLETCH_OK)
        *error = (struct fletch_error){.status = *out_status, .message = "given up"};
    return true;
}

static void abort_inlet(void *context, const char *reason)
{
    (void)reason;
    ((struct puppet_inlet *)context)->is_aborted = true;
}

static void close_inlet(void *context)
{
    (void)context;
}

static void drop(void *context, struct fletch_batch *batch)
{
    struct puppet_scene *scene = context;
    scene->batches--;
    scene->drops++;
    free(batch);
}

/* ---- life ---- */

static void write_frame(struct puppet_scene *scene, struct fletch_pump_item *item,
                        uint64_t written[PUPPET_PRODUCERS][PUPPET_PARTITIONS], uint64_t bytes)
{
    uint32_t producer = fletch_random_below(&scene->random, PUPPET_PRODUCERS - 1);
    uint32_t partition = fletch_random_below(&scene->random, PUPPET_PARTITIONS);
    item->kind = FLETCH_PUMP_FRAME;
    item->data =
        (struct fletch_envelope_data){.channel = {producer, 1, partition},
                                      .sequence = ++written[producer][partition],
                                      .rows = fletch_random_below(&scene->random, 1000),
                                      .bytes = fletch_random_below(&scene->random, (uint32_t)bytes),
                                      .key_sum = fletch_random_u64(&scene->random)};
}

static void write_control(struct puppet_scene *scene, struct fletch_pump_item *item,
                          uint64_t *controls, uint32_t producer, bool is_end)
{
    static struct fletch_channel_record totals[300];
    item->kind = FLETCH_PUMP_CONTROL;
    item->producer = producer;
    item->attempt = 1;
    item->record = (struct fletch_control_record){.sequence = ++controls[producer],
                                                  .kind = is_end ? FLETCH_CONTROL_END
                                                                 : FLETCH_CONTROL_WATERMARK,
                                                  .watermark = (int64_t)scene->item_count,
                                                  .channels = totals,
                                                  .channel_count = is_end ? PUPPET_PARTITIONS : 0};
}

static void write_all(struct puppet_scene *scene, uint64_t bytes)
{
    static uint64_t written[PUPPET_PRODUCERS][PUPPET_PARTITIONS];
    uint64_t controls[PUPPET_PRODUCERS] = {0};
    memset(written, 0, sizeof written);
    for (uint32_t i = 0; i < scene->item_count; i++) {
        struct fletch_pump_item *item = &scene->items[i].item;
        uint32_t left = scene->item_count - i;
        if (left <= PUPPET_PRODUCERS)
            write_control(scene, item, controls, left - 1, true);
        else if (fletch_random_below(&scene->random, 16) == 0)
            write_control(scene, item, controls,
                          fletch_random_below(&scene->random, PUPPET_PRODUCERS), false);
        else
            write_frame(scene, item, written, bytes);
    }
}

struct puppet_scene *puppet_scene_start(uint64_t seed, uint32_t item_count, uint64_t bytes)
{
    /* Every other seed lets frames of up to half the largest go without an offer. */
    uint64_t eager_bytes = seed % 2 == 0 ? 4 * bytes : 0;
    struct puppet_scene *scene = calloc(1, sizeof *scene);
    struct fletch_error error;
    assert_non_null(scene);
    counting_allocator_start(&scene->counting, 0);
    scene->random = fletch_random_from_seed(seed);
    scene->item_count = item_count;
    scene->items = calloc(item_count, sizeof *scene->items);
    assert_non_null(scene->items);
    scene->reading = bytes;
    scene->stalled = scene->refused_partition = UINT32_MAX;
    for (uint32_t i = 0; i < PUPPET_PARTITIONS; i++)
        scene->room[i] = 3 * bytes;
    write_all(scene, bytes);
    const struct fletch_pump_source source = {.take = take,
                                              .frame_done = frame_done,
                                              .control_done = control_done,
                                              .fail = fail_items,
                                              .is_done = is_done,
                                              .context = scene};
    const struct fletch_pump_receiver_options options = {.sink = {.open = open_inlet,
                                                                  .reserve = reserve,
                                                                  .forget = forget,
                                                                  .give_back = give_back,
                                                                  .push = push,
                                                                  .check = check,
                                                                  .control = control,
                                                                  .poll = poll_control,
                                                                  .lose = abort_inlet,
                                                                  .close = close_inlet,
                                                                  .drop = drop,
                                                                  .context = scene},
                                                         .producer_limit = PUPPET_PRODUCERS,
                                                         .partition_count = PUPPET_PARTITIONS,
                                                         .eager_bytes = eager_bytes,
                                                         .allocator = &scene->counting.allocator};
    assert_ok(fletch_pump_sender_init(&scene->sender, &source, PUPPET_PRODUCERS,
                                      &scene->counting.allocator, &error));
    assert_ok(fletch_pump_receiver_init(&scene->receiver, &options, &error));
    fletch_pump_sender_resume(&scene->sender, scene->receiver.eager_bytes);
    fletch_pump_receiver_resume(&scene->receiver);
    return scene;
}

static void clear(struct puppet_wire *wire)
{
    for (; wire->first != wire->last; wire->first++)
        free(wire->messages[wire->first % PUPPET_WIRE]);
}

void puppet_scene_end(struct puppet_scene *scene)
{
    clear(&scene->to_receiver);
    clear(&scene->to_sender);
    fletch_pump_sender_deinit(&scene->sender);
    fletch_pump_receiver_deinit(&scene->receiver);
    for (uint32_t i = 0; i < PUPPET_PARTITIONS; i++)
        assert_int_equal(scene->held[i], 0);
    assert_int_equal(scene->batches, 0);
    assert_int_equal(scene->counting.live_bytes, 0);
    assert_int_equal(scene->counting.mismatched, 0);
    free(scene->items);
    free(scene);
}

/* ---- the wire ---- */

static void send_once(struct puppet_wire *wire, const struct fletch_envelope *envelope)
{
    static uint8_t bytes[FLETCH_ENVELOPE_BYTES_MAX];
    size_t count = fletch_envelope_encode(envelope, bytes);
    assert_true(wire->last - wire->first < PUPPET_WIRE);
    wire->messages[wire->last % PUPPET_WIRE] = malloc(count);
    memcpy(wire->messages[wire->last % PUPPET_WIRE], bytes, count);
    wire->sizes[wire->last % PUPPET_WIRE] = count;
    wire->last++;
}

static void send_message(struct puppet_scene *scene, struct puppet_wire *wire,
                         const struct fletch_envelope *envelope)
{
    bool may_break = envelope->kind == FLETCH_ENVELOPE_DATA;
    send_once(wire, envelope);
    if (may_break && fletch_random_below(&scene->random, 1000) < scene->faults.repeat)
        send_once(wire, envelope);
}

static bool arrives(struct puppet_scene *scene, struct puppet_wire *wire,
                    struct fletch_envelope *envelope)
{
    struct fletch_error error;
    if (wire->first == wire->last || fletch_random_below(&scene->random, 3) == 0)
        return false;
    uint8_t *bytes = wire->messages[wire->first % PUPPET_WIRE];
    enum fletch_status status =
        fletch_envelope_decode(bytes, wire->sizes[wire->first % PUPPET_WIRE], envelope, &error);
    wire->first++;
    if (status != FLETCH_OK)
        fail_msg("%s", error.message);
    /* Texts in it are looked at before the next one comes. */
    static uint8_t *last;
    free(last);
    last = bytes;
    return true;
}

enum fletch_status puppet_tell_receiver(struct puppet_scene *scene,
                                        const struct fletch_envelope *envelope,
                                        struct fletch_error *error)
{
    struct fletch_batch *batch = NULL;
    if (envelope->kind == FLETCH_ENVELOPE_DATA) {
        batch = malloc(1);
        scene->batches++;
    }
    return fletch_pump_receiver_take(&scene->receiver, envelope, batch, error);
}

void puppet_scene_cut(struct puppet_scene *scene)
{
    clear(&scene->to_receiver);
    clear(&scene->to_sender);
    fletch_pump_sender_cut(&scene->sender);
    fletch_pump_receiver_cut(&scene->receiver);
    fletch_pump_sender_resume(&scene->sender, scene->receiver.eager_bytes);
    fletch_pump_receiver_resume(&scene->receiver);
    scene->cuts++;
}

/* ---- steps ---- */

static void read_partitions(struct puppet_scene *scene)
{
    for (uint32_t i = 0; i < PUPPET_PARTITIONS; i++) {
        uint64_t bytes = scene->queued[i] < scene->reading ? scene->queued[i] : scene->reading;
        if (i != scene->stalled)
            scene->queued[i] -= bytes;
    }
}

bool puppet_scene_step(struct puppet_scene *scene)
{
    static struct fletch_envelope envelope;
    struct fletch_error error;
    void *token;
    bool has_moved = false;
    scene->step++;
    fletch_pump_sender_fill(&scene->sender);
    while (fletch_pump_sender_next(&scene->sender, &envelope, &token)) {
        send_message(scene, &scene->to_receiver, &envelope);
        has_moved = true;
    }
    while (arrives(scene, &scene->to_receiver, &envelope)) {
        has_moved = true;
        if (puppet_tell_receiver(scene, &envelope, &error) != FLETCH_OK)
            fail_msg("receiver: %s", error.message);
    }
    fletch_pump_receiver_look(&scene->receiver);
    while (fletch_pump_receiver_next(&scene->receiver, &envelope)) {
        send_message(scene, &scene->to_sender, &envelope);
        has_moved = true;
    }
    while (arrives(scene, &scene->to_sender, &envelope)) {
        has_moved = true;
        if (fletch_pump_sender_take(&scene->sender, &envelope, &error) != FLETCH_OK)
            fail_msg("sender: %s", error.message);
    }
    read_partitions(scene);
    if (scene->receiver.state != FLETCH_RECEIVER_DONE &&
        fletch_random_below(&scene->random, 1000) < scene->faults.cut)
        puppet_scene_cut(scene);
    return has_moved;
}

void puppet_scene_run(struct puppet_scene *scene, uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++) {
        (void)puppet_scene_step(scene);
        if (scene->sender.state == FLETCH_SENDER_DONE &&
            scene->receiver.state == FLETCH_RECEIVER_DONE)
            return;
    }
    fail_msg("not done after %llu steps: sender %d, holding %llu; receiver %d",
             (unsigned long long)steps, (int)scene->sender.state,
             (unsigned long long)scene->sender.held, (int)scene->receiver.state);
}

void puppet_scene_check(struct puppet_scene *scene)
{
    uint64_t frames = 0;
    for (uint32_t i = 0; i < scene->item_count; i++) {
        const struct puppet_item *item = &scene->items[i];
        assert_int_equal(item->done, 1);
        if (item->item.kind != FLETCH_PUMP_FRAME)
            continue;
        frames++;
        assert_true(
            item->item.data.sequence <=
            scene->pushed[item->item.data.channel.producer][item->item.data.channel.partition]);
    }
    assert_int_equal(scene->receiver.counters.frames_accepted, frames);
    assert_int_equal(scene->sender.held, 0);
}
