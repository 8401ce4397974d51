#include <string.h>

#include "support/cmocka_tests.h"
#include "unit/pump/pump_puppets.h"

/* Sender and receiver of a pump, joined by a wire that is as bad as it may be. */

static void all_arrives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct puppet_scene *scene = puppet_scene_start(seed, 2000, 10000);
        puppet_scene_run(scene, 100000);
        puppet_scene_check(scene);
        assert_int_equal(scene->sender.counters.frames_sent_again, 0);
        assert_int_equal(scene->drops, 0);
        assert_int_equal(scene->sender.counters.frames_eager > 0, seed % 2 == 0);
        puppet_scene_end(scene);
    }
}

static void cuts_lose_and_double_nothing(void **state)
{
    (void)state;
    uint64_t again = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct puppet_scene *scene = puppet_scene_start(seed, 1000, 10000);
        scene->faults.cut = (uint32_t)(5 * seed);
        puppet_scene_run(scene, 200000);
        puppet_scene_check(scene);
        assert_true(scene->cuts > 0);
        again += scene->sender.counters.frames_sent_again;
        puppet_scene_end(scene);
    }
    assert_true(again > 0);
}

/* What the sender says goes to the receiver, but a frame; the other way nothing is lost. */
static void talk(struct puppet_scene *scene, uint32_t messages, uint64_t lost)
{
    static struct fletch_envelope envelope;
    struct fletch_error error;
    void *token;
    fletch_pump_sender_fill(&scene->sender);
    for (uint32_t i = 0; i < messages; i++) {
        assert_true(fletch_pump_sender_next(&scene->sender, &envelope, &token));
        if (envelope.kind != FLETCH_ENVELOPE_DATA || envelope.data.sequence != lost)
            assert_ok(puppet_tell_receiver(scene, &envelope, &error));
    }
    while (fletch_pump_receiver_next(&scene->receiver, &envelope))
        assert_ok(fletch_pump_sender_take(&scene->sender, &envelope, &error));
}

static void a_gap_is_asked_for_again(void **state)
{
    (void)state;
    enum { FRAMES = 10 };
    struct puppet_scene *scene = puppet_scene_start(3, FRAMES + PUPPET_PRODUCERS, 100);
    for (uint32_t i = 0; i < FRAMES; i++) {
        scene->items[i].item.kind = FLETCH_PUMP_FRAME;
        scene->items[i].item.data =
            (struct fletch_envelope_data){.channel = {0, 1, 0}, .sequence = i + 1, .bytes = 10};
    }
    talk(scene, 0, 0); /* all that the receiver has is told */
    while (scene->items_taken < scene->item_count)
        fletch_pump_sender_fill(&scene->sender);
    talk(scene, 1, 0);                             /* offers */
    talk(scene, FRAMES + PUPPET_PRODUCERS - 1, 3); /* and the ends of who has no frames */
    assert_int_equal(scene->receiver.counters.frames_accepted, 2);
    assert_int_equal(scene->receiver.counters.frames_dropped, 7);
    assert_int_equal(scene->receiver.counters.gaps, 1);
    assert_int_equal(scene->sender.counters.frames_accepted, 2);
    puppet_scene_run(scene, 1000);
    puppet_scene_check(scene);
    assert_int_equal(scene->sender.counters.frames_sent_again, 8);
    puppet_scene_end(scene);
}

static void repeats_are_dropped_and_counted(void **state)
{
    (void)state;
    struct puppet_scene *scene = puppet_scene_start(3, 1000, 10000);
    scene->faults.repeat = 300;
    puppet_scene_run(scene, 100000);
    puppet_scene_check(scene);
    assert_true(scene->receiver.counters.frames_duplicate > 100);
    assert_int_equal(scene->receiver.counters.frames_duplicate, scene->drops);
    puppet_scene_end(scene);
}

/* A partition that nobody reads holds up its own channels and no others. */
static void one_that_stands_still_holds_up_no_other(void **state)
{
    (void)state;
    for (uint64_t seed = 4; seed <= 5; seed++) {
        struct puppet_scene *scene = puppet_scene_start(seed, 3000, 10000);
        uint64_t left = 0;
        scene->stalled = 17;
        scene->room[17] = 10000;
        for (int i = 0; i < 20000; i++)
            (void)puppet_scene_step(scene);
        for (uint32_t i = 0; i < scene->item_count; i++) {
            const struct puppet_item *item = &scene->items[i];
            if (item->done != 0 || item->item.kind != FLETCH_PUMP_FRAME)
                continue;
            assert_int_equal(item->item.data.channel.partition, 17);
            left++;
        }
        assert_true(left > 0);
        scene->stalled = UINT32_MAX;
        puppet_scene_run(scene, 100000);
        puppet_scene_check(scene);
        puppet_scene_end(scene);
    }
}

/* What a partition refuses is dropped on both sides; the others go on. */
static void a_partition_is_refused(void **state)
{
    (void)state;
    struct puppet_scene *scene = puppet_scene_start(6, 3000, 10000);
    for (int i = 0; i < 20; i++)
        (void)puppet_scene_step(scene);
    scene->refused_partition = 9;
    puppet_scene_run(scene, 100000);
    for (uint32_t i = 0; i < scene->item_count; i++)
        if (scene->items[i].item.kind != FLETCH_PUMP_FRAME ||
            scene->items[i].item.data.channel.partition != 9)
            assert_int_equal(scene->items[i].done, 1);
    puppet_scene_end(scene);
}

static void a_producer_is_refused(void **state)
{
    (void)state;
    struct puppet_scene *scene = puppet_scene_start(7, 500, 10000);
    scene->opening = FLETCH_ALREADY_EXISTS;
    for (int i = 0; i < 100; i++)
        (void)puppet_scene_step(scene);
    assert_int_equal(scene->sender.state, FLETCH_SENDER_FAILED);
    assert_int_equal(scene->sender.failure.status, FLETCH_ALREADY_EXISTS);
    assert_string_equal(scene->sender.failure.message, "not here");
    assert_int_equal(scene->items_failed, scene->item_count);
    puppet_scene_end(scene);
}

static struct fletch_envelope offer_of(uint32_t attempt, uint64_t sequence, uint64_t bytes)
{
    struct fletch_envelope envelope = {.kind = FLETCH_ENVELOPE_OFFER};
    envelope.offers.count = 1;
    envelope.offers.offers[0] = (struct fletch_envelope_offer){{1, attempt, 2}, sequence, bytes, 0};
    return envelope;
}

static struct fletch_envelope data_of(uint64_t sequence, uint64_t offset, uint64_t bytes)
{
    struct fletch_envelope envelope = {.kind = FLETCH_ENVELOPE_DATA};
    envelope.data = (struct fletch_envelope_data){
        .channel = {1, 1, 2}, .sequence = sequence, .offset = offset, .bytes = bytes};
    return envelope;
}

static void refuses(struct puppet_scene *scene, const struct fletch_envelope *envelope,
                    const char *text)
{
    struct fletch_error error;
    assert_int_equal(puppet_tell_receiver(scene, envelope, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, text);
}

/* A sender that breaks the rules. */
static void rules_are_kept(void **state)
{
    (void)state;
    struct puppet_scene *scene = puppet_scene_start(7, 10, 10000);
    struct fletch_error error;
    struct fletch_envelope envelope = offer_of(1, 2, 100);
    refuses(scene, &envelope, "OFFER of frame 2 with 100 bytes, after frame 0");
    envelope = offer_of(1, 1, UINT64_C(1) << 40);
    refuses(scene, &envelope, "OFFER of frame 1 with 1099511627776 bytes");
    envelope = data_of(1, 0, 100);
    refuses(scene, &envelope,
            "frame 1 of producer 1 for partition 2, of 100 bytes, was not granted");
    envelope = offer_of(1, 1, 100);
    assert_ok(puppet_tell_receiver(scene, &envelope, &error));
    envelope = data_of(1, 0, 101);
    refuses(scene, &envelope, "has 101 bytes at offset 0, 100 bytes at offset 0 were granted");
    envelope = data_of(1, 4, 100);
    refuses(scene, &envelope, "at offset 4");
    envelope.data.channel.producer = PUPPET_PRODUCERS;
    refuses(scene, &envelope, "producer 4 of 4");
    envelope.data.channel = (struct fletch_envelope_channel){1, 1, PUPPET_PARTITIONS};
    refuses(scene, &envelope, "partition 128 of 128");
    envelope.kind = FLETCH_ENVELOPE_WELCOME;
    refuses(scene, &envelope, "WELCOME is not for a receiver, or not now");
    for (uint64_t i = 2; i <= FLETCH_PUMP_OFFERED_MAX; i++) {
        envelope = offer_of(1, i, 1);
        assert_ok(puppet_tell_receiver(scene, &envelope, &error));
    }
    envelope = offer_of(1, FLETCH_PUMP_OFFERED_MAX + 1, 1);
    refuses(scene, &envelope, "more than 32 frames");
    envelope.kind = FLETCH_ENVELOPE_CONTROL;
    envelope.control = (struct fletch_envelope_control){
        .producer = 1, .attempt = 1, .sequence = 2, .kind = FLETCH_CONTROL_WATERMARK};
    refuses(scene, &envelope, "CONTROL 2 of producer 1, after 0");
    puppet_scene_end(scene);
}

/* What comes without an offer has to be small, and waits for credit in little room. */
static void an_eager_frame_waits_within_its_window(void **state)
{
    (void)state;
    struct puppet_scene *scene = puppet_scene_start(8, 10, 10000); /* 40,000 bytes are eager */
    struct fletch_error error;
    struct fletch_envelope envelope = data_of(1, 0, 5001);
    refuses(scene, &envelope, "of 5001 bytes, was not granted");
    scene->room[2] = 0;
    scene->held[2] = 1; /* no credit */
    for (uint64_t i = 0; i < 8; i++) {
        envelope = data_of(i + 1, 5000 * i, 5000);
        assert_ok(puppet_tell_receiver(scene, &envelope, &error));
    }
    assert_int_equal(scene->receiver.counters.frames_parked, 8);
    assert_int_equal(scene->receiver.counters.frames_accepted, 0);
    envelope = data_of(9, 40000, 1);
    refuses(scene, &envelope, "frame 9 of producer 1 for partition 2, of 1 bytes");
    envelope = data_of(3, 10000, 5000); /* once more */
    assert_ok(puppet_tell_receiver(scene, &envelope, &error));
    assert_int_equal(scene->receiver.counters.frames_duplicate, 1);
    puppet_scene_cut(scene);
    assert_int_equal(scene->batches, 0);
    scene->held[2] = 0;
    puppet_scene_end(scene);
}

static void another_attempt_is_refused_by_name(void **state)
{
    (void)state;
    struct puppet_scene *scene = puppet_scene_start(9, 10, 10000);
    static struct fletch_envelope envelope;
    struct fletch_error error;
    envelope = offer_of(2, 1, 100);
    assert_ok(puppet_tell_receiver(scene, &envelope, &error));
    envelope = offer_of(1, 2, 100);
    assert_ok(puppet_tell_receiver(scene, &envelope, &error));
    assert_true(fletch_pump_receiver_next(&scene->receiver, &envelope));
    assert_int_equal(envelope.kind, FLETCH_ENVELOPE_REFUSE);
    assert_int_equal(envelope.refuse.scope, FLETCH_REFUSED_PRODUCER);
    assert_int_equal(envelope.refuse.status, FLETCH_FAILED_PRECONDITION);
    assert_memory_equal(envelope.refuse.text.bytes,
                        "ATTEMPT: producer 1 comes with attempt 1, and attempt 2 is here", 62);
    puppet_scene_end(scene);
}

static void what_was_granted_is_given_back(void **state)
{
    (void)state;
    struct puppet_scene *scene = puppet_scene_start(10, 10, 10000);
    static struct fletch_envelope envelope;
    struct fletch_error error;
    for (uint64_t i = 1; i <= 4; i++) {
        envelope = offer_of(1, i, 10000);
        assert_ok(puppet_tell_receiver(scene, &envelope, &error));
    }
    assert_int_equal(scene->held[2], 30000);
    envelope.kind = FLETCH_ENVELOPE_GIVE_BACK;
    envelope.give_back = (struct fletch_envelope_give_back){{1, 1, 2}, 2};
    assert_ok(puppet_tell_receiver(scene, &envelope, &error));
    assert_int_equal(scene->held[2], 10000);
    puppet_scene_end(scene);
}

/* A receiver that breaks the rules. */
static void marks_are_believed_only_as_far_as_was_sent(void **state)
{
    (void)state;
    struct puppet_scene *scene = puppet_scene_start(11, 100, 10000);
    static struct fletch_envelope envelope;
    struct fletch_error error;
    for (int i = 0; i < 3; i++)
        (void)puppet_scene_step(scene);
    envelope.kind = FLETCH_ENVELOPE_UPDATE;
    envelope.update.is_complete = false;
    envelope.update.answer_count = 0;
    envelope.update.mark_count = 1;
    envelope.update.marks[0] = (struct fletch_envelope_mark){{3, 1, 0}, 1, 0, 0};
    assert_int_equal(fletch_pump_sender_take(&scene->sender, &envelope, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "which has sent nothing");
    envelope.kind = FLETCH_ENVELOPE_HELLO;
    assert_int_equal(fletch_pump_sender_take(&scene->sender, &envelope, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "HELLO is not for a sender");
    puppet_scene_end(scene);
}

static void rows_that_cannot_be_had_lose_their_producer(void **state)
{
    (void)state;
    struct puppet_scene *scene = puppet_scene_start(12, 400, 10000);
    const struct fletch_error cause = {.status = FLETCH_DATA_LOSS, .message = "broken on disk"};
    const struct fletch_pump_item *first = &scene->items[0].item;
    assert_int_equal(first->kind, FLETCH_PUMP_FRAME);
    for (int i = 0; i < 4; i++)
        (void)puppet_scene_step(scene);
    fletch_pump_sender_lose(&scene->sender, &first->data.channel, &cause);
    for (int i = 0; i < 2000; i++)
        (void)puppet_scene_step(scene);
    assert_true(scene->inlets[first->data.channel.producer].is_aborted);
    puppet_scene_end(scene);
}

/* What each side says goes to the other at once; who cannot take it loses the connection. */
static void exchange_all(struct puppet_scene *scene)
{
    static struct fletch_envelope envelope;
    struct fletch_error error;
    void *token;
    fletch_pump_sender_fill(&scene->sender);
    while (fletch_pump_sender_next(&scene->sender, &envelope, &token))
        if (puppet_tell_receiver(scene, &envelope, &error) == FLETCH_RESOURCE_EXHAUSTED)
            puppet_scene_cut(scene);
    fletch_pump_receiver_look(&scene->receiver);
    while (fletch_pump_receiver_next(&scene->receiver, &envelope))
        if (fletch_pump_sender_take(&scene->sender, &envelope, &error) != FLETCH_OK)
            puppet_scene_cut(scene);
}

static void no_memory_fails_the_session_and_leaks_nothing(void **state)
{
    (void)state;
    for (uint64_t fail_at = 1; fail_at < 60; fail_at++) {
        struct puppet_scene *scene = puppet_scene_start(13, 200, 10000);
        scene->counting.fail_at = scene->counting.requests + fail_at;
        for (int i = 0; i < 100; i++)
            exchange_all(scene);
        puppet_scene_end(scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_arrives),
        cmocka_unit_test(cuts_lose_and_double_nothing),
        cmocka_unit_test(a_gap_is_asked_for_again),
        cmocka_unit_test(repeats_are_dropped_and_counted),
        cmocka_unit_test(one_that_stands_still_holds_up_no_other),
        cmocka_unit_test(a_partition_is_refused),
        cmocka_unit_test(a_producer_is_refused),
        cmocka_unit_test(rules_are_kept),
        cmocka_unit_test(an_eager_frame_waits_within_its_window),
        cmocka_unit_test(another_attempt_is_refused_by_name),
        cmocka_unit_test(what_was_granted_is_given_back),
        cmocka_unit_test(marks_are_believed_only_as_far_as_was_sent),
        cmocka_unit_test(rows_that_cannot_be_had_lose_their_producer),
        cmocka_unit_test(no_memory_fails_the_session_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
