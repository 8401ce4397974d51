/* Epoch reclamation: readers look at a shared object inside a section, a writer replaces it and
 * retires the old one. Nobody reads what has been freed, and everything is freed in the end.
 *
 * READERS   threads that look once, or LOOKS times    NESTED   inside two sections, after the inner
 * REPLACES  objects that the writer replaces                   one has ended
 * WRITERS   threads that replace                      ORPHAN   the writer has no reader of its own;
 * OPENS     readers open their record themselves               the readers free
 * CLASSES   nothing of this: threads add a class and give it back */

#include "sync/epoch.h"

#include <stdlib.h>

#include "harness.h"

#ifndef READERS
#define READERS 1
#endif
#ifndef LOOKS
#define LOOKS 1
#endif
#ifndef REPLACES
#define REPLACES 1
#endif
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef NESTED
#define NESTED 0
#endif
#ifndef ORPHAN
#define ORPHAN 0
#endif
#ifndef OPENS
#define OPENS 0
#endif
#ifndef CLASSES
#define CLASSES 0
#endif

struct thing {
    struct fletch_epoch_object object;
    int number;
};

static struct fletch_epoch_domain *domain;
static struct fletch_epoch_reader *readers[READERS + WRITERS];
static _Atomic(struct thing *) shared;
static _Atomic int reclaimed;

static void reclaim(struct fletch_epoch_object *object)
{
    free(object);
    atomic_fetch_add_explicit(&reclaimed, 1, memory_order_relaxed);
}

static struct thing *make_thing(int number)
{
    struct thing *thing = aligned_alloc(16, 32);
    thing->object.reclaim = reclaim;
    thing->number = number;
    return thing;
}

static struct fletch_epoch_reader *reader_of(int index)
{
    if (OPENS)
        harness_assert(fletch_epoch_reader_open(domain, &readers[index], NULL) == FLETCH_OK);
    return readers[index];
}

static void look(struct fletch_epoch_reader *reader)
{
    fletch_epoch_enter(reader);
    if (NESTED) {
        fletch_epoch_enter(reader);
        fletch_epoch_exit(reader);
    }
    const struct thing *thing = load_acquire(&shared);
    harness_assert(thing->number >= 0 && thing->number <= REPLACES * WRITERS);
    fletch_epoch_exit(reader);
}

static void *use_class(void *context)
{
    const struct fletch_epoch_class added = {.context = context};
    uint32_t number = fletch_epoch_class_add(domain, &added);
    harness_assert(number != 0 && domain->classes[number].context == context);
    fletch_epoch_class_remove(domain, number);
    return NULL;
}

static void *read(void *argument)
{
    if (CLASSES)
        return use_class(argument);
    int index = (int)(intptr_t)argument;
    struct fletch_epoch_reader *reader = reader_of(index);
    for (int i = 0; i < LOOKS; i++)
        look(reader);
    if (ORPHAN)
        fletch_epoch_collect(reader);
    if (OPENS)
        fletch_epoch_reader_close(reader);
    return NULL;
}

static void *replace(void *argument)
{
    if (CLASSES)
        return use_class(argument);
    int index = (int)(intptr_t)argument;
    struct fletch_epoch_reader *reader = ORPHAN ? NULL : reader_of(index);
    for (int i = 1; i <= REPLACES; i++) {
        struct thing *thing = make_thing(i);
        struct thing *old = exchange_acq_rel(&shared, thing);
        if (ORPHAN)
            fletch_epoch_retire_orphan(domain, &old->object, 1);
        else
            fletch_epoch_retire(reader, &old->object, 1);
    }
    if (OPENS && !ORPHAN)
        fletch_epoch_reader_close(reader);
    return NULL;
}

/* What waits is counted to the byte, whoever has freed it. */
static void look_at_limbo(void)
{
    struct fletch_epoch_statistics statistics = {.struct_size = sizeof statistics};
    fletch_epoch_drain(domain);
    harness_assert(fletch_epoch_domain_statistics(domain, &statistics, NULL) == FLETCH_OK);
    harness_assert(statistics.limbo_objects == 0 && statistics.limbo_bytes == 0);
}

void harness(void)
{
    struct harness_thread threads[READERS + WRITERS];
    const struct fletch_epoch_options options = {
        .struct_size = sizeof options,
        .batch_objects = 1,
    };
    harness_assert(fletch_epoch_domain_create(&options, NULL, &domain, NULL) == FLETCH_OK);
    atomic_init(&reclaimed, 0);
    atomic_init(&shared, make_thing(0));
    for (int i = 0; i < READERS + WRITERS; i++) {
        if (!OPENS)
            harness_assert(fletch_epoch_reader_open(domain, &readers[i], NULL) == FLETCH_OK);
    }
    for (int i = 0; i < READERS + WRITERS; i++)
        harness_start(&threads[i], i < READERS ? read : replace, (void *)(intptr_t)i);
    for (int i = 0; i < READERS + WRITERS; i++)
        harness_join(&threads[i]);
    for (int i = 0; i < READERS + WRITERS; i++) {
        if (!OPENS)
            fletch_epoch_reader_close(readers[i]);
    }
    look_at_limbo();
    fletch_epoch_domain_destroy(domain);
    harness_assert(reclaimed == (CLASSES ? 0 : REPLACES * WRITERS));
    free(shared);
}
