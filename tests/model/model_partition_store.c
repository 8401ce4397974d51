/* Partition store: threads that insert, replace, remove, take and look up a few keys.
 *
 * Each thread runs a program, a word of letters and digits: what is done, and to which key.
 *   i insert   r replace   d remove   t take   v view   g get   s scan (the digit is not used)
 *   c remove on condition of the version that the key had at the beginning   w wait for the key
 * What each step came to, and what is left at the end, must be what some order of all steps gives
 * that keeps each thread's own. Values are whole whenever they are seen, and freed once.
 *
 * PRE         what is done before the threads start, by one of them
 * T1 T2 T3    the programs
 * MASK        of the hashes: 0 makes all keys share one word
 * BATCH       objects after which a thread frees what it can; as the default, nobody does until all
 *             is over
 * TABLES      least number of tables that must have been made, at the end */

#include "sync/partition_store.h"

#include <fletching/store_scan.h>

#include <stdlib.h>
#include <string.h>

#include "harness.h"

#ifndef PRE
#define PRE n
#endif
#ifndef T1
#define T1 i0
#endif
#ifndef T2
#define T2 n
#endif
#ifndef T3
#define T3 n
#endif
#ifndef MASK
#define MASK UINT64_MAX
#endif
#ifndef BATCH
#define BATCH 100
#endif
#ifndef TABLES
#define TABLES 1
#endif
#ifndef SEED
#define SEED 60
#endif

#define TEXT_OF(word) #word
#define TEXT(word) TEXT_OF(word)

enum { KEYS = 4, STEPS = 8, THREADS = 3, NONE = -1, FAILED = -2 };

/* One step, and what it came to: a value's number, NONE or FAILED; a scan: a bit for each key. */
struct step {
    char what;
    int key;
    int number;
    int outcome;
};

struct thread {
    const char *program;
    struct fletch_epoch_reader *reader;
    struct step steps[STEPS];
    int count;
};

static struct fletch_epoch_domain *domain;
static struct fletch_partition_store *store;
static struct thread threads[THREADS];
static uint64_t first_versions[KEYS];
static int made;
static _Atomic int dropped;

static void drop(void *context, void *payload, size_t payload_bytes)
{
    (void)context;
    harness_assert(payload_bytes == sizeof(int));
    *(int *)payload = -100;
    atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
}

static struct fletch_store_key key_of(int key)
{
    return (struct fletch_store_key){.shuffle = 1, .partition = (uint32_t)key};
}

/* Numbers tell key, thread and step. */
static int read_value(const struct fletch_store_value *value, int key)
{
    if (value == NULL)
        return NONE;
    int number = *(int *)fletch_store_value_payload(value);
    harness_assert(value->key.partition == (uint32_t)key && value->key.shuffle == 1);
    harness_assert(number % 10 == key);
    return number;
}

static struct fletch_store_value *make_value(struct fletch_epoch_reader *reader, int number)
{
    struct fletch_store_value *value = NULL;
    harness_assert(fletch_partition_store_value_create(store, reader, sizeof(int), &value, NULL) ==
                   FLETCH_OK);
    *(int *)fletch_store_value_payload(value) = number;
    return value;
}

static int enter_value(struct thread *thread, const struct step *step)
{
    const struct fletch_store_key key = key_of(step->key);
    struct fletch_store_value *value = make_value(thread->reader, step->number);
    enum fletch_status status =
        step->what == 'i'
            ? fletch_partition_store_insert(store, thread->reader, &key, value, NULL)
            : fletch_partition_store_replace(store, thread->reader, &key, value, NULL);
    if (status == FLETCH_OK)
        return step->number;
    harness_assert(status == (step->what == 'i' ? FLETCH_ALREADY_EXISTS : FLETCH_NOT_FOUND));
    fletch_store_value_release(store, thread->reader, value);
    return FAILED;
}

static int take(struct thread *thread, const struct fletch_store_key *key)
{
    struct fletch_store_value *value = NULL;
    if (fletch_partition_store_take(store, thread->reader, key, &value, NULL) != FLETCH_OK)
        return NONE;
    int number = read_value(value, (int)key->partition);
    fletch_store_value_release(store, thread->reader, value);
    return number;
}

static int look_up(struct thread *thread, const struct step *step)
{
    const struct fletch_store_key key = key_of(step->key);
    struct fletch_store_value *value = NULL;
    int number;
    if (step->what == 'v') {
        fletch_epoch_enter(thread->reader);
        value = fletch_partition_store_view(store, thread->reader, &key);
        number = read_value(value, step->key);
        fletch_epoch_exit(thread->reader);
        return number;
    }
    if (step->what == 'w')
        harness_assert(fletch_partition_store_wait(store, thread->reader, &key, FLETCH_NO_TIMEOUT,
                                                   &value) == FLETCH_OK);
    else
        value = fletch_partition_store_get(store, thread->reader, &key);
    number = read_value(value, step->key);
    if (value != NULL)
        fletch_store_value_release(store, thread->reader, value);
    return number;
}

static int scan_all(struct thread *thread)
{
    struct fletch_store_scan scan;
    struct fletch_store_value *value;
    int seen = 0;
    fletch_store_scan_start(&scan, NULL);
    fletch_epoch_enter(thread->reader);
    while ((value = fletch_store_scan_next(store, thread->reader, &scan)) != NULL) {
        int key = (int)value->key.partition;
        read_value(value, key);
        harness_assert((seen >> key & 1) == 0);
        seen |= 1 << key;
    }
    fletch_epoch_exit(thread->reader);
    return seen;
}

/* NONE: nothing is there. FAILED: another version is. */
static int remove_first_version(struct thread *thread, const struct fletch_store_key *key)
{
    enum fletch_status status = fletch_partition_store_remove_version(
        store, thread->reader, key, first_versions[key->partition], NULL);
    if (status == FLETCH_OK)
        return 1;
    harness_assert(status == FLETCH_NOT_FOUND || status == FLETCH_FAILED_PRECONDITION);
    return status == FLETCH_NOT_FOUND ? NONE : FAILED;
}

static void run_step(struct thread *thread, struct step *step)
{
    const struct fletch_store_key key = key_of(step->key);
    if (step->what == 'i' || step->what == 'r')
        step->outcome = enter_value(thread, step);
    else if (step->what == 'd')
        step->outcome =
            fletch_partition_store_remove(store, thread->reader, &key, NULL) == FLETCH_OK;
    else if (step->what == 'c')
        step->outcome = remove_first_version(thread, &key);
    else if (step->what == 't')
        step->outcome = take(thread, &key);
    else if (step->what == 's')
        step->outcome = scan_all(thread);
    else
        step->outcome = look_up(thread, step);
}

static void *run(void *argument)
{
    struct thread *thread = argument;
    for (int i = 0; i < thread->count; i++)
        run_step(thread, &thread->steps[i]);
    return NULL;
}

static void read_program(struct thread *thread, const char *program, int first_number)
{
    thread->count = 0;
    for (int i = 0; program[i] != '\0' && program[i] != 'n'; i += 2) {
        struct step *step = &thread->steps[thread->count++];
        step->what = program[i];
        step->key = program[i + 1] - '0';
        step->number = (first_number + thread->count) * 10 + step->key;
        step->outcome = NONE;
    }
}

/* ---- whether some order explains it ---- */

struct world {
    int number[KEYS]; /* NONE: absent */
    int first[KEYS];  /* at the beginning */
    int left[KEYS];   /* at the end */
};

/* Does the step in the world; false: that would have come to something else. */
static bool explains(struct world *world, const struct step *step)
{
    int *here = &world->number[step->key];
    bool there = *here != NONE;
    if (step->what == 's') /* sees each key at its own time: checked when the keys stand still */
        return true;
    if (step->what == 'v' || step->what == 'g' || step->what == 'w')
        return step->outcome == *here;
    if (step->what == 'i' || step->what == 'r') {
        bool enters = there == (step->what == 'r');
        if (enters)
            *here = step->number;
        return step->outcome == (enters ? step->number : FAILED);
    }
    if (step->what == 't') {
        bool same = step->outcome == *here;
        *here = NONE;
        return same;
    }
    if (step->what == 'c' && !there)
        return step->outcome == NONE;
    if (step->what == 'c' && *here != world->first[step->key])
        return step->outcome == FAILED;
    if (there)
        *here = NONE;
    return step->outcome == there;
}

static bool some_order(const struct world *world, const int *done)
{
    bool over = true;
    for (int t = 0; t < THREADS; t++) {
        if (done[t] == threads[t].count)
            continue;
        struct world next = *world;
        int next_done[THREADS] = {done[0], done[1], done[2]};
        next_done[t]++;
        over = false;
        if (explains(&next, &threads[t].steps[done[t]]) && some_order(&next, next_done))
            return true;
    }
    return over && memcmp(world->number, world->left, sizeof world->left) == 0;
}

static void look_at_all(int *numbers)
{
    for (int key = 0; key < KEYS; key++)
        numbers[key] = look_up(&threads[0], &(struct step){.what = 'v', .key = key});
}

/* Every overflow bucket that counts is in one chain, as long as no chain is frozen. */
static void look_at_chains(const struct fletch_store_table *table)
{
    uint32_t linked = 0, frozen = 0;
    for (uint32_t i = 0; i < table->bucket_count; i++) {
        uint32_t index = i;
        frozen |= table->buckets[index].state & FLETCH_BUCKET_FROZEN;
        while ((index = fletch_store_link(table->buckets[index].state)) != 0)
            linked++;
    }
    harness_assert(frozen != 0 || linked == table->overflow_used);
}

/* ---- the harness ---- */

static void start_store(void)
{
    const struct fletch_epoch_options epochs = {
        .struct_size = sizeof epochs,
        .batch_objects = BATCH,
    };
    const struct fletch_partition_store_options options = {
        .struct_size = sizeof options,
        .hash_seed = SEED,
        .drop = drop,
    };
    harness_assert(fletch_epoch_domain_create(&epochs, NULL, &domain, NULL) == FLETCH_OK);
    harness_assert(fletch_partition_store_create_masked(domain, &options, NULL, MASK, &store) ==
                   FLETCH_OK);
    for (int t = 0; t < THREADS; t++)
        harness_assert(fletch_epoch_reader_open(domain, &threads[t].reader, NULL) == FLETCH_OK);
    harness_ignore(store->stripes, sizeof store->stripes);
    atomic_store_explicit(&dropped, 0, memory_order_relaxed);
}

static void count_made(void)
{
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < threads[t].count; i++)
            made += threads[t].steps[i].what == 'i' || threads[t].steps[i].what == 'r';
}

static void end_store(void)
{
    for (int t = 0; t < THREADS; t++)
        fletch_epoch_reader_close(threads[t].reader);
    fletch_partition_store_destroy(store);
    fletch_epoch_domain_destroy(domain);
    harness_assert(dropped == made);
}

/* Does PRE, and remembers what is there then. */
static void prepare(struct world *world)
{
    read_program(&threads[0], TEXT(PRE), 10);
    threads[1].count = threads[2].count = 0;
    made = 0;
    count_made();
    run(&threads[0]);
    look_at_all(world->first);
    for (int key = 0; key < KEYS; key++)
        world->number[key] = NONE;
    memcpy(world->left, world->first, sizeof world->left);
    harness_assert(some_order(world, (const int[THREADS]){0, 0, 0}));
    memcpy(world->number, world->first, sizeof world->number);
    for (int key = 0; key < KEYS; key++) {
        const struct fletch_store_key wanted = key_of(key);
        fletch_epoch_enter(threads[0].reader);
        struct fletch_store_value *value =
            fletch_partition_store_view(store, threads[0].reader, &wanted);
        first_versions[key] = value == NULL ? 1 : fletch_store_value_version(value);
        fletch_epoch_exit(threads[0].reader);
    }
}

void harness(void)
{
    struct harness_thread running[THREADS];
    struct world world;
    start_store();
    prepare(&world);
    read_program(&threads[0], TEXT(T1), 20);
    read_program(&threads[1], TEXT(T2), 30);
    read_program(&threads[2], TEXT(T3), 40);
    count_made();
    for (int t = 0; t < THREADS; t++)
        if (threads[t].count > 0)
            harness_start(&running[t], run, &threads[t]);
    for (int t = 0; t < THREADS; t++)
        if (threads[t].count > 0)
            harness_join(&running[t]);
    look_at_all(world.left);
    harness_assert(some_order(&world, (const int[THREADS]){0, 0, 0}));
    harness_assert(store->tables_made >= TABLES);
    look_at_chains(store->root);
    if (store->root->previous != NULL)
        look_at_chains(store->root->previous);
    end_store();
}
