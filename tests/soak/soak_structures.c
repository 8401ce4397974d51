#include <fletching/fletching.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/rings.h"
#include "support/stores.h"
#include "support/team.h"

/* Rings, inbox and partition store for a long time: elements go through each of them in turns, all
 * the while the same ones. Nothing may be lost, repeated or out of order, and memory stays flat.
 *
 *     soak_structures [seconds [operations a second]]
 *
 * Without seconds it is a few turns, whatever the time. With a number of operations a second it
 * takes its time where it is faster, and fails where it is slower. An operation is a push or a pop,
 * or a call of the store. */

enum {
    PRODUCERS = 2,
    BATCH = 16,
    CAPACITY = 1024,
    TURN_ELEMENTS = 100000, /* of each producer, in each turn */
    SHORT_TURNS = 6,
    STORE_KEYS = 4096,
    STORE_ROUNDS = 40000,
    REPORT_NS = 10000000 * 100
};

/* The first turns fill pools and tables; from then on at most this is gained. */
enum { SETTLED_AFTER_TURNS = 3, GROWTH_BYTES_MOST = 8 << 20 };

struct element {
    uint64_t sequence;
    uint64_t producer;
    uint64_t check;
};

struct node {
    struct fletch_inbox_node link;
    struct element element;
};

/* One structure, and how an element is put into it and taken out of it. */
struct subject {
    const char *name;
    uint32_t producers;
    void (*produce)(uint32_t producer, uint64_t count);
    void (*consume)(uint64_t count);
};

static struct fletch_spsc_ring *ring;
static struct fletch_mpsc_queue *queue;
static struct fletch_fan_in *fan_in;
static struct fletch_inbox *inbox;
static struct fletch_eventcount *inbox_waits;
static struct node *nodes[PRODUCERS];
static _Atomic uint64_t nodes_back[PRODUCERS];
static struct fletch_epoch_domain *domain;
static struct fletch_partition_store *store;
static struct drop_count dropped;
static _Atomic uint64_t made;
static _Atomic uint64_t errors;

/* Go on from turn to turn: what is lost at the end of one is missed in the next. */
static uint64_t next_pushed[4][PRODUCERS];
static uint64_t next_popped[4][PRODUCERS];

enum { SPSC, MPSC, FAN_IN, INBOX };

static void expect(bool condition)
{
    if (!condition)
        atomic_fetch_add(&errors, 1);
}

static struct element next_element(int subject, uint32_t producer)
{
    uint64_t sequence = next_pushed[subject][producer]++;
    return (struct element){sequence, producer, sequence ^ UINT64_C(0x9e3779b97f4a7c15)};
}

static void see(int subject, const struct element *element)
{
    expect(element->producer < PRODUCERS);
    uint32_t producer = (uint32_t)element->producer % PRODUCERS;
    expect(element->sequence == next_popped[subject][producer]);
    expect(element->check == (element->sequence ^ UINT64_C(0x9e3779b97f4a7c15)));
    next_popped[subject][producer]++;
}

/* ---- the rings ---- */

static void produce_spsc(uint32_t producer, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct element element = next_element(SPSC, producer);
        expect(fletch_spsc_ring_push(ring, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE);
    }
}

static void consume_spsc(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct element element;
        expect(fletch_spsc_ring_pop(ring, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE);
        see(SPSC, &element);
    }
}

static void produce_mpsc(uint32_t producer, uint64_t count)
{
    for (uint64_t i = 0; i < count; i += BATCH) {
        struct element elements[BATCH];
        for (uint32_t k = 0; k < BATCH; k++)
            elements[k] = next_element(MPSC, producer);
        expect(fletch_mpsc_queue_push_many(queue, elements, BATCH, FLETCH_NO_TIMEOUT) ==
               FLETCH_DONE);
    }
}

static void consume_mpsc(uint64_t count)
{
    for (uint64_t done = 0; done < count;) {
        struct element elements[BATCH];
        size_t popped;
        expect(fletch_mpsc_queue_pop_many(queue, elements, BATCH, FLETCH_NO_TIMEOUT, &popped) ==
               FLETCH_DONE);
        for (size_t i = 0; i < popped; i++)
            see(MPSC, &elements[i]);
        done += popped;
    }
}

/* Registers for each turn. */
static void produce_fan_in(uint32_t producer, uint64_t count)
{
    struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
    for (uint64_t i = 0; i < count; i++) {
        struct element element = next_element(FAN_IN, producer);
        expect(fletch_fan_in_lane_push(lane, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE);
    }
    fletch_fan_in_lane_close(lane);
}

static void consume_fan_in(uint64_t count)
{
    struct element element;
    for (uint64_t i = 0; i < count; i++) {
        expect(fletch_fan_in_pop(fan_in, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE);
        see(FAN_IN, &element);
    }
    while (fletch_fan_in_registered(fan_in) > 0)
        expect(fletch_fan_in_pop(fan_in, &element, 1000000) == FLETCH_EMPTY);
}

/* ---- the inbox: each producer has so many nodes, which the consumer counts back ---- */

static void produce_inbox(uint32_t producer, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = next_pushed[INBOX][producer];
        while (number - load_acquire(&nodes_back[producer]) >= CAPACITY)
            fletch_thread_yield();
        struct node *node = &nodes[producer][number % CAPACITY];
        bool was_empty;
        node->element = next_element(INBOX, producer);
        expect(fletch_inbox_push(inbox, &node->link, &was_empty) == FLETCH_DONE);
        if (was_empty)
            fletch_eventcount_notify(inbox_waits, 1);
    }
}

static void consume_inbox(uint64_t count)
{
    for (uint64_t done = 0; done < count;) {
        struct fletch_inbox_list list;
        expect(fletch_inbox_take(inbox, inbox_waits, FLETCH_NO_TIMEOUT, &list) == FLETCH_DONE);
        for (struct fletch_inbox_node *at = list.first; at != NULL; done++) {
            struct node *node = (struct node *)(void *)at;
            uint32_t producer = (uint32_t)node->element.producer % PRODUCERS;
            at = at->next;
            see(INBOX, &node->element);
            fetch_add_release(&nodes_back[producer], 1);
        }
    }
}

/* ---- the store ---- */

struct store_worker {
    struct fletch_random random;
    uint64_t operations;
};

static void use_key(struct store_worker *worker, struct fletch_epoch_reader *reader)
{
    struct fletch_store_key key =
        store_key(77, (uint32_t)fletch_random_below(&worker->random, STORE_KEYS));
    struct fletch_store_value *value;
    worker->operations++;
    switch (fletch_random_below(&worker->random, 8)) {
    case 0:
        value = make_stored(store, reader, &key, worker->operations);
        expect(value != NULL);
        atomic_fetch_add(&made, 1);
        if (fletch_partition_store_insert(store, reader, &key, value, NULL) != FLETCH_OK)
            fletch_store_value_release(store, reader, value);
        break;
    case 1:
        if (fletch_partition_store_take(store, reader, &key, &value, NULL) == FLETCH_OK) {
            expect(stored_is_whole(value, &key));
            fletch_store_value_release(store, reader, value);
        }
        break;
    default:
        value = fletch_partition_store_get(store, reader, &key);
        if (value != NULL) {
            expect(stored_is_whole(value, &key));
            fletch_store_value_release(store, reader, value);
        }
        break;
    }
}

static void use_store(void *context)
{
    struct store_worker *worker = context;
    struct fletch_epoch_reader *reader;
    expect(fletch_epoch_reader_open(domain, &reader, NULL) == FLETCH_OK);
    for (int i = 0; i < STORE_ROUNDS; i++)
        use_key(worker, reader);
    fletch_epoch_reader_close(reader);
}

static uint64_t turn_of_store(uint64_t turn)
{
    struct store_worker workers[PRODUCERS];
    struct team_role roles[PRODUCERS];
    uint64_t operations = 0;
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        workers[i] = (struct store_worker){.random = fletch_random_from_seed(turn * PRODUCERS + i)};
        roles[i] = (struct team_role){.run = use_store, .context = &workers[i]};
    }
    team_run(roles, PRODUCERS);
    for (uint32_t i = 0; i < PRODUCERS; i++)
        operations += workers[i].operations;
    return operations;
}

/* ---- turns ---- */

static const struct subject subjects[] = {
    {"spsc_ring", 1, produce_spsc, consume_spsc},
    {"mpsc_queue", PRODUCERS, produce_mpsc, consume_mpsc},
    {"fan_in", PRODUCERS, produce_fan_in, consume_fan_in},
    {"inbox", PRODUCERS, produce_inbox, consume_inbox},
};

struct part {
    const struct subject *subject;
    uint32_t producer;
};

static void run_producer(void *context)
{
    struct part *part = context;
    part->subject->produce(part->producer, TURN_ELEMENTS);
}

static void run_consumer(void *context)
{
    const struct part *part = context;
    part->subject->consume((uint64_t)part->subject->producers * TURN_ELEMENTS);
}

/* Operations: pushes and pops. */
static uint64_t turn_of(const struct subject *subject)
{
    struct part parts[PRODUCERS + 1];
    struct team_role roles[PRODUCERS + 1];
    for (uint32_t i = 0; i <= subject->producers; i++) {
        parts[i] = (struct part){subject, i};
        roles[i] = (struct team_role){.run = i < subject->producers ? run_producer : run_consumer,
                                      .context = &parts[i]};
    }
    team_run(roles, subject->producers + 1);
    return 2 * (uint64_t)subject->producers * TURN_ELEMENTS;
}

static uint64_t turn_of_all(uint64_t turn)
{
    uint64_t operations = turn_of_store(turn);
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++)
        operations += turn_of(&subjects[i]);
    return operations;
}

static uint64_t resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu %llu", &size, &resident), 2);
    fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- the long run ---- */

static uint64_t seconds_wanted, rate_wanted;

struct course {
    uint64_t start_ns, reported_ns;
    uint64_t turns, operations;
    uint64_t settled_bytes, most_bytes;
};

static double rate_of(const struct course *course)
{
    uint64_t ns = fletch_clock_now_ns() - course->start_ns;
    return (double)course->operations * 1e9 / (double)(ns + 1);
}

static void look_at_memory(struct course *course)
{
    uint64_t bytes = resident_bytes();
    if (course->turns <= SETTLED_AFTER_TURNS)
        course->settled_bytes = bytes;
    if (bytes > course->most_bytes)
        course->most_bytes = bytes;
}

static void report(struct course *course)
{
    uint64_t now_ns = fletch_clock_now_ns();
    if (now_ns - course->reported_ns < 10 * (uint64_t)REPORT_NS)
        return;
    course->reported_ns = now_ns;
    printf("%llu s: %llu turns, %.2f million operations a second, %.1f MiB (settled: %.1f)\n",
           (unsigned long long)((now_ns - course->start_ns) / UINT64_C(1000000000)),
           (unsigned long long)course->turns, rate_of(course) / 1e6,
           (double)resident_bytes() / 1048576, (double)course->settled_bytes / 1048576);
    fflush(stdout);
}

/* No faster than asked. */
static void keep_pace(const struct course *course)
{
    while (rate_wanted > 0 && rate_of(course) > (double)rate_wanted)
        usleep(1000);
}

static bool is_over(const struct course *course)
{
    if (seconds_wanted == 0)
        return course->turns >= SHORT_TURNS;
    return fletch_clock_now_ns() - course->start_ns >= seconds_wanted * UINT64_C(1000000000);
}

static void nothing_is_lost_and_memory_is_flat(void **state)
{
    struct course course = {.start_ns = fletch_clock_now_ns()};
    (void)state;
    course.reported_ns = course.start_ns;
    while (!is_over(&course) && atomic_load(&errors) == 0) {
        course.operations += turn_of_all(course.turns++);
        look_at_memory(&course);
        report(&course);
        keep_pace(&course);
    }
    printf("%llu turns, %llu operations, %.2f million a second, memory %.1f to %.1f MiB\n",
           (unsigned long long)course.turns, (unsigned long long)course.operations,
           rate_of(&course) / 1e6, (double)course.settled_bytes / 1048576,
           (double)course.most_bytes / 1048576);
    assert_int_equal(atomic_load(&errors), 0);
    assert_int_equal(memcmp(next_pushed, next_popped, sizeof next_pushed), 0);
    if (seconds_wanted > 0)
        assert_true(course.most_bytes - course.settled_bytes < GROWTH_BYTES_MOST);
    if (rate_wanted > 0)
        assert_true(rate_of(&course) >= 0.99 * (double)rate_wanted);
}

static int make_all(void **state)
{
    struct fletch_spsc_ring_options spsc =
        spsc_options(FLETCH_RING_DEFAULT, sizeof(struct element), CAPACITY);
    struct fletch_mpsc_queue_options mpsc = mpsc_options(sizeof(struct element), CAPACITY);
    struct fletch_fan_in_options lanes = fan_in_options(sizeof(struct element), CAPACITY, 8);
    struct fletch_partition_store_options stored = {
        .struct_size = sizeof stored, .drop = drop_stored, .drop_context = &dropped};
    struct fletch_epoch_options epochs = {.struct_size = sizeof epochs};
    (void)state;
    ring = spsc_new(&spsc);
    queue = mpsc_new(&mpsc);
    fan_in = fan_in_new(&lanes);
    void *memory = aligned_alloc(fletch_inbox_alignment(), fletch_inbox_bytes());
    assert_ok(fletch_inbox_init(memory, fletch_inbox_bytes(), &inbox, NULL));
    assert_ok(fletch_eventcount_create(NULL, &inbox_waits, NULL));
    for (int i = 0; i < PRODUCERS; i++)
        nodes[i] = calloc(CAPACITY, sizeof *nodes[i]);
    assert_ok(fletch_epoch_domain_create(&epochs, NULL, &domain, NULL));
    assert_ok(fletch_partition_store_create(domain, &stored, NULL, &store, NULL));
    return 0;
}

/* Every value that was made has been dropped, once and whole. */
static int end_all(void **state)
{
    (void)state;
    fletch_spsc_ring_destroy(ring, NULL, NULL);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
    fletch_fan_in_destroy(fan_in, NULL, NULL);
    fletch_eventcount_destroy(inbox_waits);
    free(inbox);
    for (int i = 0; i < PRODUCERS; i++)
        free(nodes[i]);
    fletch_partition_store_destroy(store);
    fletch_epoch_domain_destroy(domain);
    assert_int_equal(atomic_load(&dropped.dropped), atomic_load(&made));
    assert_int_equal(atomic_load(&dropped.broken), 0);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_and_memory_is_flat),
    };
    seconds_wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    rate_wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    return cmocka_run_group_tests(tests, make_all, end_all);
}
