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
 * the while the same ones. Nothing may be lost, repeated, damaged or out of order, what the library
 * counts agrees with what was done, and memory stays flat.
 *
 *     soak_structures [seconds [operations a second]]
 *
 * Without seconds it is some turns, whatever the time, and then proof that each fault would be
 * found. The number of operations a second is a load: where it is faster it takes its time, where
 * it was slower it catches up, and at the end it tells what was reached. An operation is an element
 * pushed or popped, or a call of the store. */

enum {
    PRODUCERS = 2,
    READERS = 2, /* of broadcast rings, for ever; and a guest in each turn */
    BATCH = 16,
    CAPACITY = 1024,
    INBOX_NODES = 4096,    /* of each producer, which can only look again when it has no more */
    TURN_ELEMENTS = 20000, /* of each producer, in each turn */
    GUEST_ELEMENTS = 2000,
    STORE_KEYS = 4096,
    STORE_ROUNDS = 40000,
    SHORT_TURNS = 15,
};

/* The first turns fill pools and tables; from then on at most this is gained. */
enum { SETTLED_AFTER_TURNS = 8, RESIDENT_GROWTH_MOST = 4 << 20, LIVE_GROWTH_MOST = 1 << 20 };

#define REPORT_NS UINT64_C(10000000000)
#define SECOND_NS UINT64_C(1000000000)

/* Sanitizers keep freed memory, so what is resident says nothing there. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
static const bool resident_counts = false;
#else
static const bool resident_counts = true;
#endif

struct element {
    uint64_t sequence;
    uint64_t producer;
    uint64_t check;
};

struct node {
    struct fletch_inbox_node link;
    struct element element;
};

/* ---- what is found ---- */

enum finding { LOST, REPEATED, DAMAGED, STALLED, MISCOUNTED, LEAKED, GROWN, FINDINGS };

static const char *const finding_names[FINDINGS] = {
    "lost", "repeated or out of order", "damaged", "stalled", "miscounted", "leaked", "grown",
};
static _Atomic uint64_t findings[FINDINGS];
static _Atomic bool is_at_fault;

static void find(enum finding finding)
{
    fetch_add_relaxed(&findings[finding], 1); /* relaxed: read when the threads have ended */
    atomic_store(&is_at_fault, true);
}

static void expect(bool condition, enum finding finding)
{
    if (!condition)
        find(finding);
}

/* How long a ring that gives or takes nothing is waited for. */
static uint64_t patience_ns(void)
{
    return load_acquire(&is_at_fault) ? SECOND_NS / 20 : 60 * SECOND_NS;
}

/* ---- faults, made on purpose between the library and those who check it ---- */

enum fault { NO_FAULT, LOSE, REPEAT, SWAP, DAMAGE, LOSE_STORED, KEEP_STORED, KEEP_MEMORY };

enum { FAULT_AT = 777, KEPT_BYTES = 2 * RESIDENT_GROWTH_MOST };

static enum fault fault;

/* ---- the structures ---- */

enum { SPSC, MPSC, FAN_IN, INBOX, BROADCAST, BROADCAST_MANY, SUBJECTS };

/* One that takes elements, and what it waits for of each producer: it goes on from turn to turn, so
 * that what is lost at the end of one is missed in the next. */
struct reader {
    uint64_t next[PRODUCERS];
    bool joins_late; /* the first of each producer tells where it is */
    bool has_seen[PRODUCERS];
    uint64_t seen;
    bool holds_back; /* an element, until the next of its producer has been looked at */
    struct element held_back;
};

static struct reader readers[SUBJECTS][READERS];
static uint64_t next_pushed[SUBJECTS][PRODUCERS];

static _Atomic uint64_t live_bytes;
static struct fletch_spsc_ring *ring;
static struct fletch_mpsc_queue *queue;
static struct fletch_fan_in *fan_in;
static struct fletch_inbox *inbox;
static struct fletch_eventcount *inbox_waits;
static struct node *nodes[PRODUCERS];
static _Atomic uint64_t nodes_back[PRODUCERS];
static struct fletch_broadcast_ring *broadcasts[SUBJECTS];
static struct fletch_broadcast_consumer *places[SUBJECTS][READERS];
static struct fletch_epoch_domain *domain;
static struct fletch_partition_store *store;
static uint64_t stored_numbers[STORE_KEYS]; /* 0: not there; of the worker whose key it is */
static struct fletch_store_value *kept_value;
static char *kept_memory;
static struct drop_count dropped;
static _Atomic uint64_t made;
static uint64_t guests_saw; /* written by one guest at a time */

static uint64_t check_of(uint64_t sequence)
{
    return sequence ^ UINT64_C(0x9e3779b97f4a7c15);
}

static struct element next_element(int subject, uint32_t producer)
{
    uint64_t sequence = next_pushed[subject][producer]++;
    return (struct element){sequence, producer, check_of(sequence)};
}

static void check(struct reader *reader, const struct element *element)
{
    if (element->producer >= PRODUCERS || element->check != check_of(element->sequence)) {
        find(DAMAGED);
        return;
    }
    uint64_t *next = &reader->next[element->producer];
    bool *has_seen = &reader->has_seen[element->producer];
    if (reader->joins_late && !*has_seen)
        *next = element->sequence;
    *has_seen = true;
    expect(element->sequence <= *next, LOST);
    expect(element->sequence >= *next, REPEATED);
    if (element->sequence >= *next)
        *next = element->sequence + 1;
}

static uint64_t see_faulty(struct reader *reader, const struct element *element)
{
    struct element damaged = *element;
    damaged.check ^= 1;
    switch (fault) {
    case SWAP:
        reader->held_back = *element;
        reader->holds_back = true;
        return 0;
    case REPEAT:
        check(reader, element);
        check(reader, element);
        return 2;
    case DAMAGE:
        check(reader, &damaged);
        return 1;
    default:
        return 0; /* lost */
    }
}

/* Tells how many elements came of it: one, if nobody makes faults. */
static uint64_t see(struct reader *reader, const struct element *element)
{
    uint64_t number = reader->seen++;
    if (number == FAULT_AT && fault >= LOSE && fault <= DAMAGE)
        return see_faulty(reader, element);
    check(reader, element);
    if (!reader->holds_back || element->producer != reader->held_back.producer)
        return 1;
    reader->holds_back = false;
    check(reader, &reader->held_back);
    return 2;
}

/* ---- the rings ---- */

static void produce_spsc(int subject, uint32_t producer, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        struct element element = next_element(subject, producer);
        if (fletch_spsc_ring_push(ring, &element, patience_ns()) != FLETCH_DONE) {
            find(STALLED);
            return;
        }
    }
}

static void consume_spsc(int subject, uint32_t number, uint64_t count)
{
    for (uint64_t done = 0; done < count;) {
        struct element element;
        if (fletch_spsc_ring_pop(ring, &element, patience_ns()) != FLETCH_DONE) {
            find(STALLED);
            return;
        }
        done += see(&readers[subject][number], &element);
    }
}

static void produce_mpsc(int subject, uint32_t producer, uint64_t count)
{
    for (uint64_t i = 0; i < count; i += BATCH) {
        struct element elements[BATCH];
        for (uint32_t k = 0; k < BATCH; k++)
            elements[k] = next_element(subject, producer);
        if (fletch_mpsc_queue_push_many(queue, elements, BATCH, patience_ns()) != FLETCH_DONE) {
            find(STALLED);
            return;
        }
    }
}

static uint64_t see_all(struct reader *reader, const struct element *elements, size_t count)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < count; i++)
        seen += see(reader, &elements[i]);
    return seen;
}

static void consume_mpsc(int subject, uint32_t number, uint64_t count)
{
    for (uint64_t done = 0; done < count;) {
        struct element elements[BATCH];
        size_t popped;
        if (fletch_mpsc_queue_pop_many(queue, elements, BATCH, patience_ns(), &popped) !=
            FLETCH_DONE) {
            find(STALLED);
            return;
        }
        done += see_all(&readers[subject][number], elements, popped);
    }
}

/* Registers for each turn. */
static void produce_fan_in(int subject, uint32_t producer, uint64_t count)
{
    struct fletch_fan_in_lane *lane = fan_in_register(fan_in);
    enum fletch_answer answer = FLETCH_DONE;
    for (uint64_t i = 0; i < count && answer == FLETCH_DONE; i++) {
        struct element element = next_element(subject, producer);
        answer = fletch_fan_in_lane_push(lane, &element, patience_ns());
    }
    expect(answer == FLETCH_DONE, STALLED);
    fletch_fan_in_lane_close(lane);
}

/* Takes what is closed, too; nothing more may come of it. */
static void consume_fan_in(int subject, uint32_t number, uint64_t count)
{
    struct element element;
    for (uint64_t done = 0; done < count;) {
        if (fletch_fan_in_pop(fan_in, &element, patience_ns()) != FLETCH_DONE) {
            find(STALLED);
            return;
        }
        done += see(&readers[subject][number], &element);
    }
    while (fletch_fan_in_registered(fan_in) > 0)
        expect(fletch_fan_in_pop(fan_in, &element, SECOND_NS / 1000) == FLETCH_EMPTY, REPEATED);
}

/* ---- the inbox: each producer has so many nodes, which the consumer counts back ---- */

static void produce_inbox(int subject, uint32_t producer, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = next_pushed[subject][producer];
        while (number - load_acquire(&nodes_back[producer]) >= INBOX_NODES) {
            if (load_acquire(&is_at_fault))
                return;
            fletch_thread_yield();
        }
        struct node *node = &nodes[producer][number % INBOX_NODES];
        bool was_empty;
        node->element = next_element(subject, producer);
        expect(fletch_inbox_push(inbox, &node->link, &was_empty) == FLETCH_DONE, STALLED);
        if (was_empty)
            fletch_eventcount_notify(inbox_waits, 1);
    }
}

static void consume_inbox(int subject, uint32_t number, uint64_t count)
{
    for (uint64_t done = 0; done < count;) {
        struct fletch_inbox_list list;
        if (fletch_inbox_take(inbox, inbox_waits, patience_ns(), &list) != FLETCH_DONE) {
            find(STALLED);
            return;
        }
        for (struct fletch_inbox_node *at = list.first; at != NULL;) {
            struct node *node = (struct node *)(void *)at;
            uint32_t producer = (uint32_t)node->element.producer % PRODUCERS;
            at = at->next;
            done += see(&readers[subject][number], &node->element);
            fetch_add_release(&nodes_back[producer], 1);
        }
    }
}

/* ---- broadcast: half of the elements one by one, half in batches ---- */

static enum fletch_answer push_batch(int subject, uint32_t producer)
{
    struct element elements[BATCH];
    size_t pushed;
    for (uint32_t k = 0; k < BATCH; k++)
        elements[k] = next_element(subject, producer);
    return fletch_broadcast_ring_push_many(broadcasts[subject], elements, BATCH, patience_ns(),
                                           &pushed);
}

static void produce_broadcast(int subject, uint32_t producer, uint64_t count)
{
    enum fletch_answer answer = FLETCH_DONE;
    for (uint64_t i = 0; i < count && answer == FLETCH_DONE;) {
        if (i < count / 2) {
            answer = push_batch(subject, producer);
            i += BATCH;
            continue;
        }
        struct element element = next_element(subject, producer);
        answer = fletch_broadcast_ring_push(broadcasts[subject], &element, patience_ns());
        i++;
    }
    expect(answer == FLETCH_DONE, STALLED);
}

/* One reader takes them one by one, the other in batches. */
static void consume_broadcast(int subject, uint32_t number, uint64_t count)
{
    struct fletch_broadcast_consumer *place = places[subject][number];
    for (uint64_t done = 0; done < count;) {
        struct element elements[BATCH];
        size_t popped = 1;
        enum fletch_answer answer =
            number == 0 ? fletch_broadcast_consumer_pop(place, elements, patience_ns())
                        : fletch_broadcast_consumer_pop_many(place, elements, BATCH, patience_ns(),
                                                             &popped);
        if (answer != FLETCH_DONE) {
            find(STALLED);
            return;
        }
        done += see_all(&readers[subject][number], elements, popped);
    }
}

/* Joins wherever the others are, looks at some elements, and leaves. */
static void be_guest(int subject)
{
    struct reader reader = {.joins_late = true};
    struct fletch_broadcast_consumer *place = broadcast_join(broadcasts[subject], false, NULL, 0);
    struct element element;
    for (uint64_t i = 0; i < GUEST_ELEMENTS; i++) {
        if (fletch_broadcast_consumer_pop(place, &element, SECOND_NS / 1000) != FLETCH_DONE)
            break;
        check(&reader, &element);
        guests_saw++;
    }
    fletch_broadcast_consumer_leave(place);
}

/* ---- the store: each worker has keys of its own, which it alone changes, and reads all ---- */

struct store_worker {
    uint32_t number;
    struct fletch_random random;
    struct fletch_epoch_reader *reader;
};

static void insert(struct store_worker *worker, uint32_t place)
{
    struct fletch_store_key key = store_key(77, place);
    uint64_t number = 1 + fletch_random_below(&worker->random, UINT32_MAX);
    struct fletch_store_value *value = make_stored(store, worker->reader, &key, number);
    if (value == NULL) {
        find(GROWN);
        return;
    }
    fetch_add_relaxed(&made, 1); /* relaxed: read when the threads have ended */
    enum fletch_status status =
        fletch_partition_store_insert(store, worker->reader, &key, value, NULL);
    if (status != FLETCH_OK)
        fletch_store_value_release(store, worker->reader, value);
    expect((status == FLETCH_OK) == (stored_numbers[place] == 0),
           status == FLETCH_OK ? LOST : REPEATED);
    if (status == FLETCH_OK)
        stored_numbers[place] = number;
}

static void take(struct store_worker *worker, uint32_t place)
{
    struct fletch_store_key key = store_key(77, place);
    struct fletch_store_value *value;
    enum fletch_status status =
        fletch_partition_store_take(store, worker->reader, &key, &value, NULL);
    expect((status == FLETCH_OK) == (stored_numbers[place] != 0),
           status == FLETCH_OK ? REPEATED : LOST);
    if (status == FLETCH_OK) {
        expect(stored_is_whole(value, &key), DAMAGED);
        expect(stored_number(value) == stored_numbers[place], REPEATED);
        if (fault == KEEP_STORED && worker->number == 0 && kept_value == NULL)
            kept_value = value;
        else
            fletch_store_value_release(store, worker->reader, value);
    }
    stored_numbers[place] = 0;
}

static void get(struct store_worker *worker, uint32_t place)
{
    struct fletch_store_key key = store_key(77, place);
    struct fletch_store_value *value = fletch_partition_store_get(store, worker->reader, &key);
    if (place % PRODUCERS == worker->number) {
        expect(value != NULL || stored_numbers[place] == 0, LOST);
        expect(value == NULL || stored_number(value) == stored_numbers[place], REPEATED);
    }
    if (value != NULL) {
        expect(stored_is_whole(value, &key), DAMAGED);
        fletch_store_value_release(store, worker->reader, value);
    }
}

static void use_store(void *context)
{
    struct store_worker *worker = context;
    if (fletch_epoch_reader_open(domain, &worker->reader, NULL) != FLETCH_OK) {
        find(GROWN);
        return;
    }
    for (int i = 0; i < STORE_ROUNDS; i++) {
        uint32_t place = (uint32_t)fletch_random_below(&worker->random, STORE_KEYS);
        uint32_t own = place - place % PRODUCERS + worker->number;
        struct fletch_store_key key = store_key(77, own);
        if (fault == LOSE_STORED && i == FAULT_AT)
            (void)!fletch_partition_store_remove(store, worker->reader, &key, NULL);
        switch (fletch_random_below(&worker->random, 8)) {
        case 0:
            insert(worker, own);
            break;
        case 1:
            take(worker, own);
            break;
        default:
            get(worker, place);
            break;
        }
    }
    fletch_epoch_reader_close(worker->reader);
}

/* Frees what can be freed: all, since nobody is inside a section. Then there is a value for each
 * entry, an entry for each key that is there, and none beside. */
static void count_stored(void)
{
    struct fletch_store_statistics statistics = {.struct_size = sizeof statistics};
    struct fletch_epoch_reader *reader;
    uint64_t wanted = 0;
    assert_ok(fletch_epoch_reader_open(domain, &reader, NULL));
    for (int i = 0; i < 8; i++)
        fletch_epoch_collect(reader);
    assert_ok(fletch_partition_store_statistics(store, reader, &statistics, NULL));
    fletch_epoch_reader_close(reader);
    for (uint32_t i = 0; i < STORE_KEYS; i++)
        wanted += stored_numbers[i] != 0;
    expect(statistics.entries == wanted, MISCOUNTED);
    expect(statistics.limbo_objects == 0, LEAKED);
    expect(atomic_load(&made) - atomic_load(&dropped.dropped) == wanted, LEAKED);
    expect(atomic_load(&dropped.broken) == 0, DAMAGED);
}

/* Operations. */
static uint64_t turn_of_store(uint64_t turn)
{
    struct store_worker workers[PRODUCERS];
    struct team_role roles[PRODUCERS];
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        workers[i] = (struct store_worker){.number = i,
                                           .random = fletch_random_from_seed(turn * PRODUCERS + i)};
        roles[i] = (struct team_role){.run = use_store, .context = &workers[i]};
    }
    team_run(roles, PRODUCERS);
    count_stored();
    return PRODUCERS * STORE_ROUNDS;
}

/* ---- turns ---- */

struct subject {
    const char *name;
    uint32_t producers, readers;
    void (*produce)(int subject, uint32_t producer, uint64_t count);
    void (*consume)(int subject, uint32_t number, uint64_t count);
};

static const struct subject subjects[SUBJECTS] = {
    [SPSC] = {"spsc_ring", 1, 1, produce_spsc, consume_spsc},
    [MPSC] = {"mpsc_queue", PRODUCERS, 1, produce_mpsc, consume_mpsc},
    [FAN_IN] = {"fan_in", PRODUCERS, 1, produce_fan_in, consume_fan_in},
    [INBOX] = {"inbox", PRODUCERS, 1, produce_inbox, consume_inbox},
    [BROADCAST] = {"broadcast_ring", 1, READERS, produce_broadcast, consume_broadcast},
    [BROADCAST_MANY] = {"broadcast_ring of many producers", PRODUCERS, READERS, produce_broadcast,
                        consume_broadcast},
};

struct part {
    int subject;
    uint32_t number;
};

static void run_producer(void *context)
{
    const struct part *part = context;
    subjects[part->subject].produce(part->subject, part->number, TURN_ELEMENTS);
}

static void run_consumer(void *context)
{
    const struct part *part = context;
    const struct subject *subject = &subjects[part->subject];
    subject->consume(part->subject, part->number, (uint64_t)subject->producers * TURN_ELEMENTS);
}

static void run_guest(void *context)
{
    const struct part *part = context;
    be_guest(part->subject);
}

/* All that was pushed has been taken, by the library's count and by ours. */
static void count_elements(int number)
{
    const struct subject *subject = &subjects[number];
    struct fletch_ring_statistics told = {.pushed = 0};
    uint64_t pushed = 0;
    for (uint32_t i = 0; i < subject->producers; i++) {
        pushed += next_pushed[number][i];
        for (uint32_t k = 0; k < subject->readers; k++)
            expect(readers[number][k].next[i] == next_pushed[number][i], LOST);
    }
    if (broadcasts[number] != NULL) {
        struct fletch_broadcast_statistics all = broadcast_statistics(broadcasts[number]);
        expect(all.pushed == pushed && all.slowest_unread == 0, MISCOUNTED);
        expect(all.consumers == READERS, MISCOUNTED);
        return;
    }
    if (number == INBOX)
        return; /* counts nothing */
    told = number == SPSC   ? spsc_statistics(ring)
           : number == MPSC ? mpsc_statistics(queue)
                            : fan_in_statistics(fan_in);
    expect(told.pushed == pushed && told.popped == pushed, MISCOUNTED);
}

/* Operations. */
static uint64_t turn_of(int number)
{
    const struct subject *subject = &subjects[number];
    struct part parts[PRODUCERS + READERS + 1];
    struct team_role roles[PRODUCERS + READERS + 1];
    size_t count = 0;
    for (uint32_t i = 0; i < subject->producers; i++, count++) {
        parts[count] = (struct part){number, i};
        roles[count] = (struct team_role){.run = run_producer, .context = &parts[count]};
    }
    for (uint32_t i = 0; i < subject->readers; i++, count++) {
        parts[count] = (struct part){number, i};
        roles[count] = (struct team_role){.run = run_consumer, .context = &parts[count]};
    }
    if (broadcasts[number] != NULL) {
        parts[count] = (struct part){number, 0};
        roles[count] = (struct team_role){.run = run_guest, .context = &parts[count]};
        count++;
    }
    team_run(roles, count);
    count_elements(number);
    return (uint64_t)subject->producers * (1 + subject->readers) * TURN_ELEMENTS;
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

struct memory {
    uint64_t first, settled, most, last;
};

struct course {
    uint64_t start_ns, reported_ns;
    uint64_t turns, operations, reported_operations;
    double least_rate;      /* of the reports */
    struct memory resident; /* as the system counts */
    struct memory live;     /* what the library has of its allocator */
};

static double rate_of(uint64_t operations, uint64_t ns)
{
    return (double)operations * 1e9 / (double)(ns + 1);
}

static double rate_since_start(const struct course *course)
{
    return rate_of(course->operations, fletch_clock_now_ns() - course->start_ns);
}

static void follow(struct memory *memory, uint64_t bytes, const struct course *course)
{
    memory->last = bytes;
    if (course->turns == 1)
        memory->first = bytes;
    if (course->turns <= SETTLED_AFTER_TURNS)
        memory->settled = memory->most = bytes;
    if (bytes > memory->most)
        memory->most = bytes;
}

static void look_at_memory(struct course *course)
{
    if (fault == KEEP_MEMORY && course->turns == SETTLED_AFTER_TURNS + 1) {
        kept_memory = malloc(KEPT_BYTES);
        assert_non_null(kept_memory);
        memset(kept_memory, 1, KEPT_BYTES);
    }
    follow(&course->resident, resident_bytes(), course);
    follow(&course->live, atomic_load(&live_bytes), course);
    if (resident_counts)
        expect(course->resident.most - course->resident.settled < RESIDENT_GROWTH_MOST, GROWN);
    expect(course->live.most - course->live.settled < LIVE_GROWTH_MOST, GROWN);
}

static void report(struct course *course)
{
    uint64_t now_ns = fletch_clock_now_ns();
    if (now_ns - course->reported_ns < REPORT_NS)
        return;
    double rate =
        rate_of(course->operations - course->reported_operations, now_ns - course->reported_ns);
    if (course->least_rate == 0 || rate < course->least_rate)
        course->least_rate = rate;
    course->reported_ns = now_ns;
    course->reported_operations = course->operations;
    printf("%llu s: %llu turns, %.2f million operations a second, %.2f MiB resident, %.2f live\n",
           (unsigned long long)((now_ns - course->start_ns) / SECOND_NS),
           (unsigned long long)course->turns, rate / 1e6, (double)course->resident.last / 1048576,
           (double)course->live.last / 1048576);
    fflush(stdout);
}

/* No faster than asked. */
static void keep_pace(const struct course *course)
{
    while (rate_wanted > 0 && rate_since_start(course) > (double)rate_wanted)
        usleep(200);
}

static bool is_over(const struct course *course)
{
    if (seconds_wanted == 0)
        return course->turns >= SHORT_TURNS;
    return fletch_clock_now_ns() - course->start_ns >= seconds_wanted * SECOND_NS;
}

static struct course run_course(void)
{
    struct course course = {.start_ns = fletch_clock_now_ns()};
    course.reported_ns = course.start_ns;
    while (!is_over(&course) && !atomic_load(&is_at_fault)) {
        course.operations += turn_of_store(course.turns);
        for (int i = 0; i < SUBJECTS && !atomic_load(&is_at_fault); i++)
            course.operations += turn_of(i);
        course.turns++;
        look_at_memory(&course);
        report(&course);
        keep_pace(&course);
    }
    return course;
}

static void print_memory(const char *name, const struct memory *memory)
{
    printf("%s: %.2f MiB at first, %.2f settled, %.2f at most, %.2f at the end\n", name,
           (double)memory->first / 1048576, (double)memory->settled / 1048576,
           (double)memory->most / 1048576, (double)memory->last / 1048576);
}

static void nothing_is_lost_and_memory_is_flat(void **state)
{
    (void)state;
    struct course course = run_course();
    printf("%llu turns, %llu operations, %.2f million a second", (unsigned long long)course.turns,
           (unsigned long long)course.operations, rate_since_start(&course) / 1e6);
    if (course.least_rate > 0)
        printf(", %.2f in the slowest ten seconds", course.least_rate / 1e6);
    if (rate_wanted > 0)
        printf(", of %.2f wanted", (double)rate_wanted / 1e6);
    printf("; guests saw %llu elements\n", (unsigned long long)guests_saw);
    print_memory("resident", &course.resident);
    print_memory("live", &course.live);
    for (int i = 0; i < FINDINGS; i++)
        if (atomic_load(&findings[i]) > 0)
            print_error("%s: %llu\n", finding_names[i],
                        (unsigned long long)atomic_load(&findings[i]));
    assert_false(atomic_load(&is_at_fault));
    assert_true(guests_saw > 0);
}

/* ---- setting up and ending ---- */

static void *allocate_counted(void *context, size_t bytes, size_t alignment)
{
    (void)context;
    void *memory = NULL;
    if (posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, bytes))
        return NULL;
    fetch_add_relaxed(&live_bytes, bytes); /* relaxed: a sum, read between turns */
    return memory;
}

static void release_counted(void *context, void *memory, size_t bytes, size_t alignment)
{
    (void)context;
    (void)alignment;
    fetch_sub_relaxed(&live_bytes, bytes); /* relaxed: as above */
    free(memory);
}

static const struct fletch_allocator counted = {allocate_counted, release_counted, NULL};

static void make_broadcast(int number, enum fletch_broadcast_producers producers)
{
    struct fletch_broadcast_ring_options options =
        broadcast_options(sizeof(struct element), CAPACITY, READERS + 1);
    options.producers = producers;
    assert_ok(fletch_broadcast_ring_create(&options, &counted, &broadcasts[number], NULL));
    for (int i = 0; i < READERS; i++)
        places[number][i] = broadcast_join(broadcasts[number], false, NULL, 0);
}

static void make_inbox(void)
{
    void *memory = aligned_alloc(fletch_inbox_alignment(), fletch_inbox_bytes());
    assert_ok(fletch_inbox_init(memory, fletch_inbox_bytes(), &inbox, NULL));
    assert_ok(fletch_eventcount_create(&counted, &inbox_waits, NULL));
    for (int i = 0; i < PRODUCERS; i++) {
        nodes[i] = calloc(INBOX_NODES, sizeof *nodes[i]);
        assert_non_null(nodes[i]);
        atomic_store(&nodes_back[i], 0);
    }
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
    memset(next_pushed, 0, sizeof next_pushed);
    memset(readers, 0, sizeof readers);
    memset(stored_numbers, 0, sizeof stored_numbers);
    for (int i = 0; i < FINDINGS; i++)
        atomic_store(&findings[i], 0);
    atomic_store(&is_at_fault, false);
    assert_ok(fletch_spsc_ring_create(&spsc, &counted, &ring, NULL));
    assert_ok(fletch_mpsc_queue_create(&mpsc, &counted, &queue, NULL));
    assert_ok(fletch_fan_in_create(&lanes, &counted, &fan_in, NULL));
    make_inbox();
    make_broadcast(BROADCAST, FLETCH_PRODUCERS_ONE);
    make_broadcast(BROADCAST_MANY, FLETCH_PRODUCERS_MANY);
    assert_ok(fletch_epoch_domain_create(&epochs, &counted, &domain, NULL));
    assert_ok(fletch_partition_store_create(domain, &stored, &counted, &store, NULL));
    return 0;
}

static void give_back_what_was_kept(void)
{
    struct fletch_epoch_reader *reader;
    free(kept_memory);
    kept_memory = NULL;
    if (kept_value == NULL)
        return;
    assert_ok(fletch_epoch_reader_open(domain, &reader, NULL));
    fletch_store_value_release(store, reader, kept_value);
    fletch_epoch_reader_close(reader);
    kept_value = NULL;
}

/* Every value that was made has been dropped, once and whole, and no memory is left. */
static int end_all(void **state)
{
    (void)state;
    give_back_what_was_kept();
    fletch_spsc_ring_destroy(ring, NULL, NULL);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
    fletch_fan_in_destroy(fan_in, NULL, NULL);
    fletch_eventcount_destroy(inbox_waits);
    free(inbox);
    for (int i = 0; i < PRODUCERS; i++)
        free(nodes[i]);
    fletch_broadcast_ring_destroy(broadcasts[BROADCAST]);
    fletch_broadcast_ring_destroy(broadcasts[BROADCAST_MANY]);
    fletch_partition_store_destroy(store);
    fletch_epoch_domain_destroy(domain);
    assert_int_equal(atomic_load(&dropped.dropped), atomic_load(&made));
    assert_int_equal(atomic_load(&dropped.broken), 0);
    assert_int_equal(atomic_load(&live_bytes), 0);
    return 0;
}

/* ---- each fault is found ---- */

static void assert_found(enum fault made_fault, enum finding finding, int subject)
{
    fault = made_fault;
    make_all(NULL);
    if (subject < SUBJECTS)
        turn_of(subject);
    else
        (void)run_course();
    uint64_t found = atomic_load(&findings[finding]);
    fault = NO_FAULT;
    end_all(NULL);
    if (found == 0)
        fail_msg("%s: fault %d was not found as '%s'",
                 subject < SUBJECTS ? subjects[subject].name : "the whole", made_fault,
                 finding_names[finding]);
}

static void faults_of_elements_are_found(void **state)
{
    (void)state;
    for (int i = 0; i < SUBJECTS; i++) {
        assert_found(LOSE, LOST, i);
        assert_found(LOSE, STALLED, i);
        assert_found(REPEAT, REPEATED, i);
        assert_found(SWAP, REPEATED, i);
        assert_found(DAMAGE, DAMAGED, i);
    }
}

static void faults_of_the_store_are_found(void **state)
{
    (void)state;
    assert_found(LOSE_STORED, LOST, SUBJECTS);
    assert_found(KEEP_STORED, LEAKED, SUBJECTS);
}

static void memory_that_grows_is_found(void **state)
{
    (void)state;
    if (!resident_counts)
        skip();
    assert_found(KEEP_MEMORY, GROWN, SUBJECTS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_lost_and_memory_is_flat, make_all, end_all),
        cmocka_unit_test(faults_of_elements_are_found),
        cmocka_unit_test(faults_of_the_store_are_found),
        cmocka_unit_test(memory_that_grows_is_found),
    };
    const struct CMUnitTest long_test[] = {tests[0]};
    seconds_wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    rate_wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    return seconds_wanted > 0 ? cmocka_run_group_tests(long_test, NULL, NULL)
                              : cmocka_run_group_tests(tests, NULL, NULL);
}
