#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "pump/envelope.h"
#include "support/cmocka_tests.h"
#include "support/random_batches.h"
#include "unit/pump/pump_places.h"
#include "unit/pump/pump_proxy.h"

/* Shuffles between transports over sockets of this host. */

#define WAIT_NS UINT64_C(20000000000)

/* A producer on a thread: batches, barriers between them, an end. */
struct producing {
    struct place *place;
    uint32_t producer;
    uint32_t batches;
    int64_t rows;
    uint32_t barriers; /* after each so many batches one; 0: none */
    struct fletch_thread thread;
    uint64_t written;
    struct fletch_error error;
    enum fletch_status status;
};

static void produce(void *context)
{
    struct producing *producing = context;
    struct test_shuffle *test = &producing->place->test;
    struct fletch_random random = fletch_random_from_seed(producing->producer + 1);
    struct fletch_buffer_cache *cache = NULL;
    struct fletch_shuffle_writer *writer = NULL;
    struct fletch_error *error = &producing->error;
    enum fletch_status status =
        fletch_buffer_cache_open(fletch_transport_pool(test->transport), &cache, error);
    if (status == FLETCH_OK)
        status =
            fletch_shuffle_writer_open(test->shuffle, producing->producer, cache, &writer, error);
    for (uint32_t i = 0; i < producing->batches && status == FLETCH_OK; i++) {
        struct fletch_batch *batch = random_batch(&random, cache, test->schema, producing->rows);
        status = fletch_shuffle_writer_write(writer, batch, WAIT_NS, error);
        fletch_batch_release(cache, batch);
        producing->written += (uint64_t)producing->rows;
        if (status == FLETCH_OK && producing->barriers != 0 && (i + 1) % producing->barriers == 0)
            status = fletch_shuffle_writer_barrier(writer, (i + 1) / producing->barriers, WAIT_NS,
                                                   error);
    }
    if (status == FLETCH_OK)
        status = fletch_shuffle_writer_end(writer, WAIT_NS, error);
    fletch_shuffle_writer_close(writer);
    fletch_buffer_cache_close(cache);
    producing->status = status;
    if (status != FLETCH_OK)
        print_message("producer %u: %s\n", producing->producer, error->message);
}

static void start(struct producing *producing)
{
    const struct fletch_thread_options options = {
        .name = "producer", .cpu = FLETCH_ANY_CPU, .run = produce, .context = producing};
    struct fletch_error error;
    assert_ok(fletch_thread_start(&producing->thread, &options, &error));
}

static void finish(struct producing *producing)
{
    fletch_thread_join(&producing->thread);
    if (producing->status != FLETCH_OK)
        fail_msg("producer %u: %s", producing->producer, producing->error.message);
}

/* Of the partitions that a place owns. */
static struct fletch_shuffle_reader *open_own(struct place *place, const uint32_t *partitions,
                                              uint32_t count)
{
    const struct fletch_shuffle_reader_options options = {
        .struct_size = sizeof options, .partitions = partitions, .partition_count = count};
    struct fletch_shuffle_reader *reader = NULL;
    struct fletch_error error;
    if (fletch_shuffle_reader_open(place->test.shuffle, &options, &reader, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    return reader;
}

/* A consumer on a thread: reads to the end of its partitions. */
struct consuming {
    struct place *place;
    struct fletch_shuffle_reader *reader;
    uint64_t rows;
    uint64_t barriers;
    uint64_t ends;
    struct fletch_thread thread;
    struct fletch_error error;
    enum fletch_status status;
};

static void count_event(struct consuming *consuming, const struct fletch_shuffle_event *event)
{
    if (event->kind == FLETCH_EVENT_BATCH) {
        consuming->rows += (uint64_t)event->batch->row_count;
        fletch_batch_release(consuming->place->test.cache, event->batch);
    }
    consuming->barriers += event->kind == FLETCH_EVENT_BARRIER ? 1 : 0;
    consuming->ends += event->kind == FLETCH_EVENT_END ? 1 : 0;
}

static void consume(void *context)
{
    struct consuming *consuming = context;
    bool has_event = true;
    while (has_event && consuming->status == FLETCH_OK) {
        struct fletch_shuffle_event event;
        consuming->status = fletch_shuffle_reader_next(consuming->reader, WAIT_NS, &event,
                                                       &has_event, &consuming->error);
        if (consuming->status == FLETCH_OK && has_event)
            count_event(consuming, &event);
        else if (consuming->status != FLETCH_OK)
            print_message("consumer: %s\n", consuming->error.message);
    }
}

static void start_consuming(struct consuming *consuming, struct place *place,
                            const uint32_t *partitions, uint32_t count)
{
    const struct fletch_thread_options options = {
        .name = "consumer", .cpu = FLETCH_ANY_CPU, .run = consume, .context = consuming};
    struct fletch_error error;
    *consuming = (struct consuming){.place = place, .reader = open_own(place, partitions, count)};
    assert_ok(fletch_thread_start(&consuming->thread, &options, &error));
}

static void finish_consuming(struct consuming *consuming)
{
    fletch_thread_join(&consuming->thread);
    if (consuming->status != FLETCH_OK)
        fail_msg("consumer: %s", consuming->error.message);
    fletch_shuffle_reader_close(consuming->reader);
}

static void push(enum fletch_flight_run_mode run_mode)
{
    static const uint32_t mine[2][2] = {{0, 2}, {1, 3}};
    static struct place places[2];
    const struct place_words words = {
        .places = 2, .partitions = 4, .producers = 2, .run_mode = run_mode};
    struct producing producing[2];
    struct consuming consuming[2];
    uint64_t written = 0, read = 0;
    places_start(places, &words);
    for (uint32_t i = 0; i < 2; i++) {
        producing[i] = (struct producing){
            .place = &places[i], .producer = i, .batches = 50, .rows = 1000, .barriers = 10};
        start_consuming(&consuming[i], &places[i], mine[i], 2);
        start(&producing[i]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        finish_consuming(&consuming[i]);
        assert_int_equal(consuming[i].barriers, 2 * 5);
        assert_int_equal(consuming[i].ends, 2);
        read += consuming[i].rows;
        finish(&producing[i]);
        written += producing[i].written;
    }
    assert_int_equal(read, written);
    for (uint32_t i = 0; i < 2; i++)
        place_end(&places[i]);
}

static void each_sends_to_the_other(void **state)
{
    (void)state;
    push(FLETCH_FLIGHT_ON_WORKER);
    push(FLETCH_FLIGHT_ON_LOOP);
}

/* A process that only writes, and one that owns all; the way between them is `location`. */
struct pair {
    struct place writer, owner;
    struct pump_proxy proxy;
    struct place_words words;
};

static void pair_start(struct pair *pair, bool registers_owner)
{
    struct fletch_error error;
    pair->words.places = 1;
    place_start(&pair->writer, &pair->words);
    place_start(&pair->owner, &pair->words);
    pump_proxy_start(&pair->proxy, fletch_flight_server_port(pair->owner.server));
    const char *location = pair->proxy.location;
    if (registers_owner &&
        place_try_register(&pair->owner, &pair->words, 0, &location, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    if (place_try_register(&pair->writer, &pair->words, FLETCH_NO_PROCESS, &location, &error) !=
        FLETCH_OK)
        fail_msg("%s", error.message);
}

static void pair_end(struct pair *pair)
{
    pump_proxy_end(&pair->proxy);
    place_end(&pair->writer);
    place_end(&pair->owner);
}

static void a_connection_that_is_cut_goes_on(void **state)
{
    (void)state;
    static struct pair pair;
    pair.words = (struct place_words){.partitions = 3,
                                      .producers = 2,
                                      .sums = FLETCH_SUMS_ROWS,
                                      .frame_bytes = 16384,
                                      .backoff_most_ns = 50000000};
    struct producing producing[2];
    struct consuming consuming;
    struct fletch_pumps_statistics statistics;
    pair_start(&pair, true);
    store_relaxed(&pair.proxy.cut_after, 200000); /* relaxed: a test's number */
    start_consuming(&consuming, &pair.owner, NULL, 0);
    for (uint32_t i = 0; i < 2; i++) {
        producing[i] = (struct producing){
            .place = &pair.writer, .producer = i, .batches = 60, .rows = 1000, .barriers = 20};
        start(&producing[i]);
    }
    for (uint32_t i = 0; i < 2; i++)
        finish(&producing[i]);
    finish_consuming(&consuming);
    assert_int_equal(consuming.rows, 2 * 60 * 1000);
    assert_int_equal(consuming.barriers, 3 * 3);
    assert_int_equal(consuming.ends, 3);
    do {
        (void)usleep(1000); /* both sides say goodbye */
        fletch_pumps_statistics(pair.writer.pumps, &statistics);
    } while (statistics.sessions_now != 0);
    assert_true(load_relaxed(&pair.proxy.cuts) > 3); /* relaxed: a test's number */
    assert_true(statistics.connections_cut > 3);
    pair_end(&pair);
}

/* The other side learns of the shuffle after it was dialled. */
static void who_comes_early_waits(void **state)
{
    (void)state;
    static struct pair pair;
    pair.words = (struct place_words){.partitions = 2, .producers = 1};
    struct producing producing;
    struct consuming consuming;
    struct fletch_error error;
    pair_start(&pair, false);
    const char *location = pair.proxy.location;
    producing = (struct producing){.place = &pair.writer, .batches = 10, .rows = 100};
    start(&producing);
    (void)usleep(100000);
    assert_ok(place_try_register(&pair.owner, &pair.words, 0, &location, &error));
    start_consuming(&consuming, &pair.owner, NULL, 0);
    finish(&producing);
    finish_consuming(&consuming);
    assert_int_equal(consuming.rows, 1000);
    pair_end(&pair);
}

/* Without a connection for longer than the grace, producers are lost to readers, and readers to
 * producers. */
static void lose_the_way(bool holds)
{
    static struct pair pair;
    pair.words = (struct place_words){.partitions = 2,
                                      .producers = 1,
                                      .grace_ns = 300000000,
                                      .connect_ns = 600000000,
                                      .frame_bytes = 4096};
    struct producing producing;
    struct consuming consuming;
    struct fletch_pumps_statistics statistics = {0};
    pair_start(&pair, true);
    store_relaxed(&pair.proxy.cut_after, holds ? 0 : 100000); /* relaxed: a test's number */
    start_consuming(&consuming, &pair.owner, NULL, 0);
    producing = (struct producing){.place = &pair.writer, .batches = 100000, .rows = 1000};
    start(&producing);
    while (load_relaxed(&pair.proxy.cuts) == 0 && statistics.frames_accepted < 20) {
        (void)usleep(1000);
        fletch_pumps_statistics(pair.owner.pumps, &statistics);
    }
    store_relaxed(&pair.proxy.holds, holds ? 1 : 0); /* relaxed: a test's flag */
    store_relaxed(&pair.proxy.refuses, 1);           /* relaxed: a test's flag */
    fletch_thread_join(&producing.thread);
    fletch_thread_join(&consuming.thread);
    assert_int_equal(producing.status, FLETCH_UNAVAILABLE);
    assert_contains(producing.error.message, "LOST");
    assert_int_equal(consuming.status, FLETCH_UNAVAILABLE);
    assert_contains(consuming.error.message, "PRODUCER_LOST");
    fletch_shuffle_reader_close(consuming.reader);
    pair_end(&pair);
}

static void who_does_not_come_back_is_lost(void **state)
{
    (void)state;
    lose_the_way(false);
}

/* The connection stays, and nothing comes any more. */
static void who_is_not_heard_is_lost(void **state)
{
    (void)state;
    lose_the_way(true);
}

/* A connection that is open and dead is given up for a new one. */
static void a_dead_connection_is_replaced(void **state)
{
    (void)state;
    static struct pair pair;
    pair.words = (struct place_words){
        .partitions = 2, .producers = 1, .grace_ns = 600000000, .frame_bytes = 4096};
    struct producing producing;
    struct consuming consuming;
    struct fletch_pumps_statistics statistics = {0};
    pair_start(&pair, true);
    start_consuming(&consuming, &pair.owner, NULL, 0);
    producing = (struct producing){.place = &pair.writer, .batches = 300, .rows = 1000};
    start(&producing);
    while (statistics.frames_accepted < 20) {
        (void)usleep(1000);
        fletch_pumps_statistics(pair.owner.pumps, &statistics);
    }
    store_relaxed(&pair.proxy.forgets, 1); /* relaxed: a test's flag */
    finish(&producing);
    finish_consuming(&consuming);
    assert_int_equal(consuming.rows, 300 * 1000);
    pair_end(&pair);
}

static void a_cancel_is_heard_on_the_other_side(void **state)
{
    (void)state;
    static struct pair pair;
    for (int side = 0; side < 2; side++) {
        pair.words = (struct place_words){.partitions = 2, .producers = 1};
        struct producing producing;
        struct consuming consuming;
        pair_start(&pair, true);
        start_consuming(&consuming, &pair.owner, NULL, 0);
        producing = (struct producing){.place = &pair.writer, .batches = 100000, .rows = 1000};
        start(&producing);
        (void)usleep(50000);
        fletch_shuffle_cancel(side == 0 ? pair.owner.test.shuffle : pair.writer.test.shuffle,
                              "enough");
        fletch_thread_join(&producing.thread);
        fletch_thread_join(&consuming.thread);
        assert_int_equal(producing.status, FLETCH_CANCELLED);
        assert_string_equal(producing.error.message, "CANCELLED: shuffle 'far': enough");
        assert_int_equal(consuming.status, FLETCH_CANCELLED);
        assert_string_equal(consuming.error.message, "CANCELLED: shuffle 'far': enough");
        fletch_shuffle_reader_close(consuming.reader);
        pair_end(&pair);
    }
}

/* A client that writes its messages by hand. */
static struct fletch_flight_stream *dial(struct fletch_flight_client *client, const char *location,
                                         const struct fletch_envelope *envelope)
{
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
        .command = {FLETCH_PUMP_COMMAND, sizeof FLETCH_PUMP_COMMAND - 1}};
    const struct fletch_flight_call_options options = {
        .struct_size = sizeof options, .location = location, .timeout_ns = WAIT_NS};
    static uint8_t bytes[FLETCH_ENVELOPE_BYTES_MAX];
    const struct fletch_flight_output output = {
        .app_metadata = {bytes, fletch_envelope_encode(envelope, bytes)}};
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    assert_ok(fletch_flight_client_do_exchange(client, &options, &descriptor, &stream, &error));
    assert_answer(fletch_flight_stream_write(stream, WAIT_NS, &output, &error), FLETCH_DONE);
    return stream;
}

static struct fletch_envelope hello_to(const struct place *place)
{
    struct fletch_shuffle_id identity;
    struct fletch_envelope envelope = {.kind = FLETCH_ENVELOPE_HELLO};
    fletch_shuffle_identity(place->test.shuffle, &identity);
    envelope.hello = (struct fletch_envelope_hello){.version_low = 1,
                                                    .version_high = 1,
                                                    .sums = FLETCH_SUMS_KEYS,
                                                    .epoch = identity.epoch,
                                                    .partition_count = 2,
                                                    .producer_limit = 1,
                                                    .incarnation.bytes = {1},
                                                    .name = {"far", 3},
                                                    .method = {"fletch-hash-1", 13}};
    memcpy(envelope.hello.id.bytes, identity.id, sizeof identity.id);
    return envelope;
}

/* The first answer is a refusal, and the call's end says the same. */
static void is_refused(const struct place *place, const struct fletch_envelope *envelope,
                       enum fletch_status status, const char *text)
{
    static struct fletch_envelope answer;
    struct fletch_flight_stream *stream = dial(
        fletch_pumps_client(place->pumps), fletch_flight_server_location(place->server), envelope);
    struct fletch_flight_data data;
    struct fletch_flight_end end;
    struct fletch_error error;
    assert_answer(fletch_flight_stream_read(stream, WAIT_NS, &data, &error), FLETCH_DONE);
    assert_ok(
        fletch_envelope_decode(data.app_metadata.data, data.app_metadata.bytes, &answer, &error));
    assert_int_equal(answer.kind, FLETCH_ENVELOPE_REFUSE);
    assert_int_equal(answer.refuse.status, status);
    assert_true(answer.refuse.text.byte_count >= strlen(text));
    assert_memory_equal(answer.refuse.text.bytes, text, strlen(text));
    assert_answer(fletch_flight_stream_end(stream, WAIT_NS, &end, &error), FLETCH_DONE);
    assert_int_equal(end.status, status);
    assert_contains(end.text, text);
    fletch_flight_stream_close(stream);
}

/* What a HELLO has wrong, and what is said to that. */
struct wrong {
    void (*change)(struct fletch_envelope_hello *hello);
    enum fletch_status status;
    const char *text;
};

static void change_version(struct fletch_envelope_hello *hello)
{
    hello->version_low = hello->version_high = 2;
}

static void change_features(struct fletch_envelope_hello *hello)
{
    hello->features = hello->mandatory = 128;
}

static void change_expected(struct fletch_envelope_hello *hello)
{
    hello->expected.bytes[3] = 9;
}

static void change_resumes(struct fletch_envelope_hello *hello)
{
    hello->resumes = 1;
}

static void change_epoch(struct fletch_envelope_hello *hello)
{
    hello->epoch++;
}

static void change_id(struct fletch_envelope_hello *hello)
{
    hello->id.bytes[0] ^= 1;
}

static void change_partitions(struct fletch_envelope_hello *hello)
{
    hello->partition_count = 3;
}

static void change_producers(struct fletch_envelope_hello *hello)
{
    hello->producer_limit = 7;
}

static void change_sums(struct fletch_envelope_hello *hello)
{
    hello->sums = FLETCH_SUMS_OFF;
}

static void change_schema(struct fletch_envelope_hello *hello)
{
    hello->schema_fingerprint = 77;
}

static void change_method(struct fletch_envelope_hello *hello)
{
    hello->method.byte_count = 6;
}

static void who_is_not_meant_is_refused_by_name(void **state)
{
    (void)state;
    static const struct wrong all[] = {
        {change_version, FLETCH_UNIMPLEMENTED, "VERSION: 2 to 2 are offered"},
        {change_features, FLETCH_UNIMPLEMENTED, "FEATURE: bit 7 is mandatory, and not known here"},
        {change_expected, FLETCH_UNAVAILABLE,
         "LOST: server incarnation 00000009000000000000000000000000 was expected"},
        {change_resumes, FLETCH_UNAVAILABLE, "LOST: session 0 of incarnation 01"},
        {change_epoch, FLETCH_FAILED_PRECONDITION, "EPOCH is 2 there, and 1 here"},
        {change_id, FLETCH_FAILED_PRECONDITION, "ID: shuffle 'far' has the id "},
        {change_partitions, FLETCH_FAILED_PRECONDITION, "PARTITIONS is 3 there"},
        {change_producers, FLETCH_FAILED_PRECONDITION, "PRODUCERS is 7 there"},
        {change_sums, FLETCH_FAILED_PRECONDITION, "SUMS is 4 there"},
        {change_schema, FLETCH_FAILED_PRECONDITION, "SCHEMA: its fingerprint"},
        {change_method, FLETCH_FAILED_PRECONDITION, "METHOD is 'fletch' there"},
    };
    static struct pair pair;
    static struct fletch_envelope envelope;
    pair.words = (struct place_words){.partitions = 2, .producers = 1};
    pair_start(&pair, true);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        envelope = hello_to(&pair.owner);
        all[i].change(&envelope.hello);
        is_refused(&pair.owner, &envelope, all[i].status, all[i].text);
    }
    envelope.kind = FLETCH_ENVELOPE_BYE;
    is_refused(&pair.owner, &envelope, FLETCH_INVALID_ARGUMENT, "BYE before HELLO");
    pair_end(&pair);
}

/* Partitions that are fetched from where they were written. */
static void partitions_are_pulled(void **state)
{
    (void)state;
    static const uint32_t homes[] = {0, 1, 0};
    static const uint32_t wanted[] = {0, 2}, rest = 1;
    static struct place places[2];
    const struct place_words words = {.places = 2,
                                      .partitions = 3,
                                      .producers = 3,
                                      .homes = homes,
                                      .mode = FLETCH_PLACEMENT_PULL};
    struct producing producing[3];
    struct consuming consuming[2];
    places_start(places, &words);
    for (uint32_t i = 0; i < 3; i++) {
        producing[i] = (struct producing){
            .place = &places[homes[i]], .producer = i, .batches = 20, .rows = 1000};
        start(&producing[i]);
    }
    start_consuming(&consuming[0], &places[0], wanted, 2);
    start_consuming(&consuming[1], &places[1], &rest, 1);
    for (uint32_t i = 0; i < 3; i++)
        finish(&producing[i]);
    for (uint32_t i = 0; i < 2; i++)
        finish_consuming(&consuming[i]);
    assert_int_equal(consuming[0].rows + consuming[1].rows, 3 * 20 * 1000);
    for (uint32_t i = 0; i < 2; i++)
        place_end(&places[i]);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sends_to_the_other),
        cmocka_unit_test(a_connection_that_is_cut_goes_on),
        cmocka_unit_test(who_comes_early_waits),
        cmocka_unit_test(who_does_not_come_back_is_lost),
        cmocka_unit_test(who_is_not_heard_is_lost),
        cmocka_unit_test(a_dead_connection_is_replaced),
        cmocka_unit_test(a_cancel_is_heard_on_the_other_side),
        cmocka_unit_test(who_is_not_meant_is_refused_by_name),
        cmocka_unit_test(partitions_are_pulled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
