#include "sync/epoch.h"

#include <string.h>

#include "base/assert.h"
#include "base/checked.h"
#include "base/options.h"
#include "base/status.h"

enum { BATCH_OBJECTS_DEFAULT = 512, BATCH_BYTES_DEFAULT = 1 << 20 };

_Static_assert(offsetof(struct fletch_epoch_object, link) == 0 &&
                   sizeof(struct fletch_epoch_link) == sizeof(uintptr_t),
               "a public object begins with a link");

enum fletch_status fletch_epoch_domain_create(const struct fletch_epoch_options *options,
                                              const struct fletch_allocator *allocator,
                                              struct fletch_epoch_domain **out_domain,
                                              struct fletch_error *error)
{
    struct fletch_epoch_options chosen = {.struct_size = sizeof chosen};
    if (options != NULL) {
        enum fletch_status status = fletch_options_copy(
            &chosen, sizeof chosen, options,
            offsetof(struct fletch_epoch_options, batch_bytes) + sizeof(size_t), error);
        if (status != FLETCH_OK)
            return status;
    }
    struct fletch_epoch_domain *domain = fletch_block_allocate(allocator, sizeof *domain);
    if (domain == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for an epoch domain of %zu bytes", sizeof *domain);
    domain->process = fletch_process_number();
    domain->fence_kind = fletch_fence_kind_of_process();
    domain->batch_objects =
        chosen.batch_objects != 0 ? chosen.batch_objects : BATCH_OBJECTS_DEFAULT;
    domain->batch_bytes = chosen.batch_bytes != 0 ? chosen.batch_bytes : BATCH_BYTES_DEFAULT;
    const struct fletch_allocator copied = fletch_allocator_or_default(allocator);
    domain->allocator.allocate = copied.allocate;
    domain->allocator.release = copied.release;
    domain->allocator.context = copied.context;
    /* relaxed, all of these: nobody else knows the domain yet */
    store_relaxed(&domain->epoch, 1);            /* relaxed: as above */
    store_relaxed(&domain->readers, NULL);       /* relaxed: as above */
    store_relaxed(&domain->numbers, 0);          /* relaxed: as above */
    store_relaxed(&domain->classes_used, 1);     /* relaxed: as above */
    store_relaxed(&domain->orphans, 0);          /* relaxed: as above */
    store_relaxed(&domain->orphaned_objects, 0); /* relaxed: as above */
    store_relaxed(&domain->orphaned_bytes, 0);   /* relaxed: as above */
    store_relaxed(&domain->pending_bytes, 0);    /* relaxed: as above */
    store_relaxed(&domain->collecting, 0);       /* relaxed: as above */
    store_relaxed(&domain->drained_objects, 0);  /* relaxed: as above */
    store_relaxed(&domain->drained_bytes, 0);    /* relaxed: as above */
    *out_domain = domain;
    return FLETCH_OK;
}

void fletch_epoch_domain_destroy(struct fletch_epoch_domain *domain)
{
    if (domain == NULL)
        return;
    fletch_epoch_drain(domain);
    struct fletch_epoch_reader *reader = load_acquire(&domain->readers); /* E3 acquire */
    while (reader != NULL) {
        struct fletch_epoch_reader *next = reader->next;
        /* relaxed: only asserted */
        FLETCH_ASSERT(load_relaxed(&reader->taken) == 0 && "a reader is open");
        fletch_release(&domain->allocator, reader, sizeof *reader, FLETCH_INTERFERENCE_BYTES);
        reader = next;
    }
    fletch_block_release(domain);
}

/* ---- readers ---- */

/* A record that its last owner has given back, or NULL. */
static struct fletch_epoch_reader *take_free_record(struct fletch_epoch_domain *domain)
{
    struct fletch_epoch_reader *reader = load_acquire(&domain->readers); /* E3 acquire */
    for (; reader != NULL; reader = reader->next) {
        uint32_t taken = 0;
        /* relaxed: a hint that saves the compare-and-swap */
        if (load_relaxed(&reader->taken) == 0 &&
            cas_strong_acquire(&reader->taken, &taken, 1)) /* E4 acquire */
            return reader;
    }
    return NULL;
}

static void start_record(struct fletch_epoch_domain *domain, struct fletch_epoch_reader *reader)
{
    memset(reader, 0, sizeof *reader);
    reader->fence_kind = (uint32_t)domain->fence_kind;
    reader->domain_epoch = &domain->epoch;
    reader->domain = domain;
    /* relaxed: a number, nothing more */
    reader->number = fetch_add_relaxed(&domain->numbers, 1) + 1;
    store_relaxed(&reader->epoch, 0);             /* relaxed: nobody knows the record yet */
    store_relaxed(&reader->taken, 1);             /* relaxed: as above */
    store_relaxed(&reader->retired_objects, 0);   /* relaxed: as above */
    store_relaxed(&reader->retired_bytes, 0);     /* relaxed: as above */
    store_relaxed(&reader->reclaimed_objects, 0); /* relaxed: as above */
    store_relaxed(&reader->reclaimed_bytes, 0);   /* relaxed: as above */
    /* relaxed: only linked to; the compare-and-swap releases */
    struct fletch_epoch_reader *first = load_relaxed(&domain->readers);
    do
        reader->next = first;
    while (!cas_weak_release(&domain->readers, &first, reader)); /* E3 release */
}

enum fletch_status fletch_epoch_reader_open(struct fletch_epoch_domain *domain,
                                            struct fletch_epoch_reader **out_reader,
                                            struct fletch_error *error)
{
    enum fletch_status status = fletch_process_check(domain->process, "this epoch domain", error);
    if (status != FLETCH_OK)
        return status;
    struct fletch_epoch_reader *reader = take_free_record(domain);
    if (reader == NULL) {
        reader = fletch_allocate(&domain->allocator, sizeof *reader, FLETCH_INTERFERENCE_BYTES);
        if (reader == NULL)
            return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                    "no memory for an epoch reader of %zu bytes", sizeof *reader);
        start_record(domain, reader);
    }
    *out_reader = reader;
    return FLETCH_OK;
}

uint32_t fletch_epoch_reader_number(const struct fletch_epoch_reader *reader)
{
    return reader->number;
}

void fletch_epoch_enter(struct fletch_epoch_reader *reader)
{
    fletch_epoch_enter_inline(reader);
}

void fletch_epoch_exit(struct fletch_epoch_reader *reader)
{
    FLETCH_ASSERT(fletch_epoch_is_inside(reader) && "exit without enter");
    fletch_epoch_exit_inline(reader);
}

/* ---- bags ---- */

#define CLASS_MASK ((uintptr_t)FLETCH_EPOCH_ALIGNMENT - 1)

static struct fletch_epoch_link *link_of(uintptr_t classed)
{
    return (struct fletch_epoch_link *)(classed & ~CLASS_MASK); // NOLINT
}

static void bag_put(struct fletch_epoch_bag *bag, uintptr_t classed, size_t bytes)
{
    struct fletch_epoch_link *link = link_of(classed);
    /* relaxed: the bag's owner reads it, after this; a reader inside that takes it for something
     * else (the version of a value) looks again */
    store_relaxed(&link->next, bag->first);
    if (bag->first == 0)
        bag->last = link;
    bag->first = classed;
    bag->objects++;
    bag->bytes += bytes;
}

/* Moves what is in `from` to the end of `bag`. */
static void bag_append(struct fletch_epoch_bag *bag, const struct fletch_epoch_bag *from)
{
    if (from->first == 0)
        return;
    if (bag->first == 0)
        bag->first = from->first;
    else
        store_relaxed(&bag->last->next, from->first); /* relaxed: as in bag_put */
    bag->last = from->last;
    bag->objects += from->objects;
    bag->bytes += from->bytes;
}

/* Adds to a counter that only its reader writes. */
static void count_up(_Atomic uint64_t *counter, uint64_t count)
{
    store_relaxed(counter, load_relaxed(counter) + count); /* relaxed: a statistic */
}

static void reclaim_bag(const struct fletch_epoch_domain *domain,
                        struct fletch_epoch_reader *reader, const struct fletch_epoch_bag *bag)
{
    uintptr_t classed = bag->first;
    while (classed != 0) {
        struct fletch_epoch_link *link = link_of(classed);
        uint32_t number = (uint32_t)(classed & CLASS_MASK);
        classed = load_relaxed(&link->next); /* relaxed: written by the bag's owner */
        if (number != 0) {
            domain->classes[number].reclaim(domain->classes[number].context, reader, link);
        } else {
            struct fletch_epoch_object *object = (void *)link;
            object->reclaim(object);
        }
    }
}

/* Puts the orphans into a bag. */
static void adopt_orphans(struct fletch_epoch_domain *domain, struct fletch_epoch_bag *bag)
{
    /* relaxed: a hint; what is not seen is left for the next */
    if (load_relaxed(&domain->orphans) == 0)
        return;
    struct fletch_epoch_bag taken = {
        .first = exchange_acquire(&domain->orphans, 0), /* E5 acquire */
    };
    /* Somebody was faster. Bytes that wait are of orphans on their way: whoever takes those. */
    if (taken.first == 0)
        return;
    for (uintptr_t classed = taken.first; classed != 0;) {
        taken.last = link_of(classed);
        classed = load_relaxed(&taken.last->next); /* relaxed: E5 has ordered it */
        taken.objects++;
    }
    /* relaxed: a statistic; it may cover orphans that are still on their way */
    taken.bytes = exchange_relaxed(&domain->pending_bytes, 0);
    bag_append(bag, &taken);
}

/* Least epoch that anybody inside a section has announced. */
static uint64_t oldest_announced(struct fletch_epoch_domain *domain)
{
    uint64_t oldest = UINT64_MAX;
    const struct fletch_epoch_reader *reader = load_acquire(&domain->readers); /* E3 acquire */
    for (; reader != NULL; reader = reader->next) {
        uint64_t epoch = load_acquire(&reader->epoch); /* E2 acquire */
        if (epoch != 0 && epoch < oldest)
            oldest = epoch;
    }
    return oldest;
}

/* Gives the open bag its tag and puts it behind the closed ones. */
static void close_open_bag(struct fletch_epoch_reader *reader)
{
    uint64_t tag = fetch_add_acq_rel(&reader->domain->epoch, 1); /* E1 release, E1 acquire */
    struct fletch_epoch_bag *youngest;
    if (reader->closed_count == FLETCH_EPOCH_BAGS) {
        youngest = &reader->closed[FLETCH_EPOCH_BAGS - 1];
        bag_append(youngest, &reader->open);
    } else {
        youngest = &reader->closed[reader->closed_count++];
        *youngest = reader->open;
    }
    youngest->tag = tag;
    reader->open = (struct fletch_epoch_bag){.first = 0};
}

/* Frees the closed bags that nobody can be reading any more. */
static void reclaim_closed(struct fletch_epoch_reader *reader)
{
    uint64_t oldest = oldest_announced(reader->domain);
    struct fletch_epoch_bag ripe[FLETCH_EPOCH_BAGS];
    uint32_t count = 0;
    while (count < reader->closed_count && reader->closed[count].tag < oldest) {
        ripe[count] = reader->closed[count];
        count++;
    }
    for (uint32_t i = count; i < reader->closed_count; i++)
        reader->closed[i - count] = reader->closed[i];
    reader->closed_count -= count;
    for (uint32_t i = 0; i < count; i++) {
        reclaim_bag(reader->domain, reader, &ripe[i]);
        count_up(&reader->reclaimed_objects, ripe[i].objects);
        count_up(&reader->reclaimed_bytes, ripe[i].bytes);
    }
}

void fletch_epoch_close_bag(struct fletch_epoch_reader *reader)
{
    reader->due = false;
    /* What is reclaimed may retire other things: they wait for their own turn. */
    if (reader->freeing)
        return;
    reader->freeing = true;
    adopt_orphans(reader->domain, &reader->open);
    if (reader->open.first != 0)
        close_open_bag(reader);
    /* Without the fence it is not known who is inside: nothing is freed. */
    if (reader->closed_count != 0 &&
        fletch_fence_seldom((enum fletch_fence_kind)reader->fence_kind)) /* F2 */
        reclaim_closed(reader);
    reader->freeing = false;
}

void fletch_epoch_collect(struct fletch_epoch_reader *reader)
{
    fletch_epoch_close_bag(reader);
}

/* Pushes a whole bag onto the orphans. */
static void orphan_bag(struct fletch_epoch_domain *domain, const struct fletch_epoch_bag *bag)
{
    if (bag->first == 0)
        return;
    /* relaxed: a statistic */
    fetch_add_relaxed(&domain->pending_bytes, bag->bytes);
    uintptr_t newest = load_relaxed(&domain->orphans); /* relaxed: only linked to */
    do
        store_relaxed(&bag->last->next, newest);                      /* relaxed: E5 publishes it */
    while (!cas_weak_release(&domain->orphans, &newest, bag->first)); /* E5 release */
}

/* Frees the orphans without a reader, or puts them back. One thread at a time, so that what is
 * freed and retires others does not come back here; who finds it busy leaves them for later. */
static void collect_orphans(struct fletch_epoch_domain *domain)
{
    struct fletch_epoch_bag bag = {.first = 0};
    if (exchange_relaxed(&domain->collecting, 1) != 0) /* relaxed: it guards no memory */
        return;
    adopt_orphans(domain, &bag);
    bag.tag = fetch_add_acq_rel(&domain->epoch, 1);         /* E1 release, E1 acquire */
    bool ordered = fletch_fence_seldom(domain->fence_kind); /* F2 */
    if (ordered && bag.tag < oldest_announced(domain)) {
        reclaim_bag(domain, NULL, &bag);
        fetch_add_relaxed(&domain->drained_objects, bag.objects); /* relaxed: a statistic */
        fetch_add_relaxed(&domain->drained_bytes, bag.bytes);     /* relaxed: as above */
    } else {
        orphan_bag(domain, &bag);
    }
    store_relaxed(&domain->collecting, 0); /* relaxed: as above */
}

static void orphan(struct fletch_epoch_domain *domain, uintptr_t classed, size_t bytes)
{
    struct fletch_epoch_link *link = link_of(classed);
    /* relaxed, all of these: statistics, and when it is time to free */
    uint64_t objects = fetch_add_relaxed(&domain->orphaned_objects, 1) + 1; /* relaxed: as above */
    uint64_t before = fetch_add_relaxed(&domain->orphaned_bytes, bytes);    /* relaxed: as above */
    fetch_add_relaxed(&domain->pending_bytes, bytes);                       /* relaxed: as above */
    uintptr_t newest = load_relaxed(&domain->orphans); /* relaxed: only linked to */
    do
        store_relaxed(&link->next, newest);                        /* relaxed: E5 publishes it */
    while (!cas_weak_release(&domain->orphans, &newest, classed)); /* E5 release */
    if (objects % domain->batch_objects == 0 ||
        before / domain->batch_bytes != (before + bytes) / domain->batch_bytes)
        collect_orphans(domain);
}

void fletch_epoch_retire_link(struct fletch_epoch_domain *domain,
                              struct fletch_epoch_reader *reader, struct fletch_epoch_link *link,
                              uint32_t class_number, size_t bytes)
{
    uintptr_t classed = (uintptr_t)link | class_number;
    FLETCH_ASSERT(((uintptr_t)link & CLASS_MASK) == 0 && "objects are aligned to 16 bytes");
    if (reader == NULL) {
        orphan(domain, classed, bytes);
        return;
    }
    bag_put(&reader->open, classed, bytes);
    count_up(&reader->retired_objects, 1);
    count_up(&reader->retired_bytes, bytes);
    if (reader->open.objects < domain->batch_objects && reader->open.bytes < domain->batch_bytes)
        return;
    if (!fletch_epoch_is_inside(reader))
        fletch_epoch_close_bag(reader);
    else
        reader->due = true;
}

void fletch_epoch_retire(struct fletch_epoch_reader *reader, struct fletch_epoch_object *object,
                         size_t bytes)
{
    fletch_epoch_retire_link(reader->domain, reader, (void *)object, 0, bytes);
}

void fletch_epoch_retire_orphan(struct fletch_epoch_domain *domain,
                                struct fletch_epoch_object *object, size_t bytes)
{
    fletch_epoch_retire_link(domain, NULL, (void *)object, 0, bytes);
}

void fletch_epoch_surrender(struct fletch_epoch_reader *reader)
{
    for (uint32_t i = 0; i < reader->closed_count; i++)
        orphan_bag(reader->domain, &reader->closed[i]);
    orphan_bag(reader->domain, &reader->open);
    reader->closed_count = 0;
    reader->open = (struct fletch_epoch_bag){.first = 0};
}

void fletch_epoch_reader_close(struct fletch_epoch_reader *reader)
{
    if (reader == NULL)
        return;
    FLETCH_ASSERT(!fletch_epoch_is_inside(reader) && "closed inside a section");
    fletch_epoch_close_bag(reader);
    fletch_epoch_surrender(reader);
    store_release(&reader->taken, 0); /* E4 release */
}

/* Moves everything that a reader has retired into a bag. */
static void empty_reader(struct fletch_epoch_reader *reader, struct fletch_epoch_bag *bag)
{
    for (uint32_t i = 0; i < reader->closed_count; i++)
        bag_append(bag, &reader->closed[i]);
    bag_append(bag, &reader->open);
    reader->closed_count = 0;
    reader->open = (struct fletch_epoch_bag){.first = 0};
}

void fletch_epoch_drain(struct fletch_epoch_domain *domain)
{
    struct fletch_epoch_bag all;
    /* What is reclaimed may retire more. */
    do {
        all = (struct fletch_epoch_bag){.first = 0};
        adopt_orphans(domain, &all);
        struct fletch_epoch_reader *reader = load_acquire(&domain->readers); /* E3 acquire */
        for (; reader != NULL; reader = reader->next)
            empty_reader(reader, &all);
        reclaim_bag(domain, NULL, &all);
        fetch_add_relaxed(&domain->drained_objects, all.objects); /* relaxed: a statistic */
        fetch_add_relaxed(&domain->drained_bytes, all.bytes);     /* relaxed: as above */
    } while (all.first != 0);
}

/* ---- classes ---- */

uint32_t fletch_epoch_class_add(struct fletch_epoch_domain *domain,
                                const struct fletch_epoch_class *added)
{
    /* relaxed: only a compare-and-swap that finds the same value uses it */
    uint32_t used = load_relaxed(&domain->classes_used);
    uint32_t number;
    do {
        for (number = 1; number < FLETCH_EPOCH_CLASSES && (used >> number & 1) != 0; number++) {
        }
        if (number == FLETCH_EPOCH_CLASSES)
            return 0;
    } while (!cas_weak_acquire(&domain->classes_used, &used, /* E6 acquire */
                               used | UINT32_C(1) << number));
    domain->classes[number] = *added;
    return number;
}

void fletch_epoch_class_remove(struct fletch_epoch_domain *domain, uint32_t number)
{
    fetch_and_release(&domain->classes_used, ~(UINT32_C(1) << number)); /* E6 release */
}

/* ---- statistics ---- */

static void add_reader(const struct fletch_epoch_reader *reader,
                       struct fletch_epoch_statistics *statistics)
{
    uint64_t epoch = load_acquire(&reader->epoch);                     /* E2 acquire */
    statistics->readers += load_relaxed(&reader->taken);               /* relaxed: statistics */
    statistics->retired += load_relaxed(&reader->retired_objects);     /* relaxed: as above */
    statistics->reclaimed += load_relaxed(&reader->reclaimed_objects); /* relaxed: as above */
    statistics->limbo_bytes += load_relaxed(&reader->retired_bytes);   /* relaxed: as above */
    statistics->limbo_bytes -= load_relaxed(&reader->reclaimed_bytes); /* relaxed: as above */
    if (epoch == 0)
        return;
    statistics->readers_inside++;
    if (statistics->oldest_reader == 0 || epoch < statistics->oldest_epoch) {
        statistics->oldest_reader = reader->number;
        statistics->oldest_epoch = epoch;
    }
}

enum fletch_status fletch_epoch_domain_statistics(const struct fletch_epoch_domain *domain,
                                                  struct fletch_epoch_statistics *out_statistics,
                                                  struct fletch_error *error)
{
    size_t wanted = out_statistics->struct_size;
    if (wanted < sizeof wanted)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "statistics have struct_size %zu, expected at least %zu", wanted,
                                sizeof wanted);
    struct fletch_epoch_statistics statistics = {
        .struct_size = wanted,
        .epoch = load_relaxed(&domain->epoch),                /* relaxed: a statistic */
        .retired = load_relaxed(&domain->orphaned_objects),   /* relaxed: as above */
        .limbo_bytes = load_relaxed(&domain->orphaned_bytes), /* relaxed: as above */
        .reclaimed = load_relaxed(&domain->drained_objects),  /* relaxed: as above */
        .asymmetric = domain->fence_kind == FLETCH_FENCE_ASYMMETRIC,
    };
    statistics.limbo_bytes -= load_relaxed(&domain->drained_bytes); /* relaxed: a statistic */
    const struct fletch_epoch_reader *reader = load_acquire(&domain->readers); /* E3 acquire */
    for (; reader != NULL; reader = reader->next)
        add_reader(reader, &statistics);
    if (statistics.retired > statistics.reclaimed)
        statistics.limbo_objects = statistics.retired - statistics.reclaimed;
    if ((int64_t)statistics.limbo_bytes < 0)
        statistics.limbo_bytes = 0;
    memcpy(out_statistics, &statistics, wanted < sizeof statistics ? wanted : sizeof statistics);
    return FLETCH_OK;
}
