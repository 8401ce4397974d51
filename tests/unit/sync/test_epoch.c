#include <fletching/epoch.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/counting_allocator.h"
#include "support/seccomp.h"
#include "support/team.h"
#include "sync/epoch.h"

enum { REFUSED = 250 };

struct thing {
    struct fletch_epoch_object object;
    int *reclaimed;
    struct fletch_epoch_domain *retires_to; /* another thing, when it goes */
    struct thing *next;
};

static struct fletch_epoch_domain *make_domain(uint32_t batch_objects, size_t batch_bytes)
{
    struct fletch_epoch_options options = {
        .struct_size = sizeof options,
        .batch_objects = batch_objects,
        .batch_bytes = batch_bytes,
    };
    struct fletch_epoch_domain *domain = NULL;
    assert_int_equal(fletch_epoch_domain_create(&options, NULL, &domain, NULL), FLETCH_OK);
    return domain;
}

static struct fletch_epoch_reader *open_reader(struct fletch_epoch_domain *domain)
{
    struct fletch_epoch_reader *reader = NULL;
    assert_int_equal(fletch_epoch_reader_open(domain, &reader, NULL), FLETCH_OK);
    return reader;
}

static void reclaim_thing(struct fletch_epoch_object *object)
{
    struct thing *thing = (void *)object;
    (*thing->reclaimed)++;
    if (thing->next != NULL)
        fletch_epoch_retire_orphan(thing->retires_to, &thing->next->object, sizeof *thing);
    free(thing);
}

static struct thing *make_thing(int *reclaimed)
{
    struct thing *thing = malloc(sizeof *thing);
    *thing = (struct thing){.object.reclaim = reclaim_thing, .reclaimed = reclaimed};
    return thing;
}

static void retire(struct fletch_epoch_reader *reader, int *reclaimed, int count)
{
    for (int i = 0; i < count; i++)
        fletch_epoch_retire(reader, &make_thing(reclaimed)->object, sizeof(struct thing));
}

static struct fletch_epoch_statistics statistics_of(const struct fletch_epoch_domain *domain)
{
    struct fletch_epoch_statistics statistics = {.struct_size = sizeof statistics};
    assert_int_equal(fletch_epoch_domain_statistics(domain, &statistics, NULL), FLETCH_OK);
    return statistics;
}

static void a_full_batch_is_freed_when_nobody_reads(void **state)
{
    (void)state;
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(4, 0);
    struct fletch_epoch_reader *reader = open_reader(domain);
    retire(reader, &reclaimed, 3);
    assert_int_equal(reclaimed, 0);
    struct fletch_epoch_statistics statistics = statistics_of(domain);
    assert_int_equal(statistics.limbo_objects, 3);
    assert_int_equal(statistics.limbo_bytes, 3 * sizeof(struct thing));
    assert_int_equal(statistics.readers, 1);
    assert_int_equal(statistics.readers_inside, 0);
    retire(reader, &reclaimed, 1);
    assert_int_equal(reclaimed, 4);
    statistics = statistics_of(domain);
    assert_int_equal(statistics.retired, 4);
    assert_int_equal(statistics.reclaimed, 4);
    assert_int_equal(statistics.limbo_bytes, 0);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
}

static void a_batch_is_bounded_by_bytes_too(void **state)
{
    (void)state;
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(1000, 100);
    struct fletch_epoch_reader *reader = open_reader(domain);
    fletch_epoch_retire(reader, &make_thing(&reclaimed)->object, 99);
    assert_int_equal(reclaimed, 0);
    fletch_epoch_retire(reader, &make_thing(&reclaimed)->object, 1);
    assert_int_equal(reclaimed, 2);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
}

static void a_reader_inside_holds_back_what_is_retired_after_it_entered(void **state)
{
    (void)state;
    int before = 0, after = 0;
    struct fletch_epoch_domain *domain = make_domain(2, 0);
    struct fletch_epoch_reader *writer = open_reader(domain), *reader = open_reader(domain);
    retire(writer, &before, 1);
    fletch_epoch_enter(reader);
    retire(writer, &before, 1); /* closed with the reader inside */
    assert_int_equal(before, 0);
    struct fletch_epoch_statistics statistics = statistics_of(domain);
    assert_int_equal(statistics.readers_inside, 1);
    assert_int_equal(statistics.oldest_reader, fletch_epoch_reader_number(reader));
    assert_true(statistics.oldest_epoch > 0 && statistics.oldest_epoch < statistics.epoch);
    retire(writer, &after, 100); /* more batches than there are bags: they are merged */
    assert_int_equal(before + after, 0);
    assert_int_equal(statistics_of(domain).limbo_objects, 102);
    fletch_epoch_exit(reader);
    assert_int_equal(statistics_of(domain).oldest_reader, 0);
    fletch_epoch_collect(writer);
    assert_int_equal(before, 2);
    assert_int_equal(after, 100);
    fletch_epoch_reader_close(writer);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
}

static void a_reader_that_enters_later_holds_back_nothing_older(void **state)
{
    (void)state;
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(2, 0);
    struct fletch_epoch_reader *writer = open_reader(domain), *first = open_reader(domain),
                               *second = open_reader(domain);
    fletch_epoch_enter(first);
    retire(writer, &reclaimed, 2);
    fletch_epoch_enter(second);
    fletch_epoch_exit(first);
    fletch_epoch_collect(writer);
    assert_int_equal(reclaimed, 2);
    fletch_epoch_exit(second);
    fletch_epoch_reader_close(writer);
    fletch_epoch_reader_close(first);
    fletch_epoch_reader_close(second);
    fletch_epoch_domain_destroy(domain);
}

static void sections_nest(void **state)
{
    (void)state;
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(1, 0);
    struct fletch_epoch_reader *writer = open_reader(domain), *reader = open_reader(domain);
    fletch_epoch_enter(reader);
    fletch_epoch_enter(reader);
    fletch_epoch_exit(reader);
    retire(writer, &reclaimed, 1);
    assert_int_equal(reclaimed, 0);
    fletch_epoch_exit(reader);
    fletch_epoch_collect(writer);
    assert_int_equal(reclaimed, 1);
    fletch_epoch_reader_close(writer);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
}

static void who_retires_inside_a_section_frees_at_its_end(void **state)
{
    (void)state;
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(2, 0);
    struct fletch_epoch_reader *writer = open_reader(domain);
    fletch_epoch_enter(writer);
    fletch_epoch_enter(writer);
    retire(writer, &reclaimed, 5);
    fletch_epoch_exit(writer);
    assert_int_equal(reclaimed, 0);
    fletch_epoch_exit(writer);
    assert_int_equal(reclaimed, 5);
    fletch_epoch_reader_close(writer);
    fletch_epoch_domain_destroy(domain);
}

static void orphans_are_freed_by_the_next_who_frees(void **state)
{
    (void)state;
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(3, 0);
    fletch_epoch_retire_orphan(domain, &make_thing(&reclaimed)->object, 10);
    fletch_epoch_retire_orphan(domain, &make_thing(&reclaimed)->object, 20);
    assert_int_equal(statistics_of(domain).limbo_objects, 2);
    assert_int_equal(statistics_of(domain).limbo_bytes, 30);
    struct fletch_epoch_reader *reader = open_reader(domain);
    fletch_epoch_collect(reader);
    assert_int_equal(reclaimed, 2);
    assert_int_equal(statistics_of(domain).limbo_bytes, 0);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
}

/* Consumers that only let go, without a reader, must not need one that frees for them. */
static void orphans_alone_are_freed_batch_by_batch(void **state)
{
    (void)state;
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(4, 1000);
    for (int i = 0; i < 103; i++)
        fletch_epoch_retire_orphan(domain, &make_thing(&reclaimed)->object, 1);
    assert_int_equal(reclaimed, 100);
    struct fletch_epoch_statistics statistics = statistics_of(domain);
    assert_int_equal(statistics.retired, 103);
    assert_int_equal(statistics.reclaimed, 100);
    assert_int_equal(statistics.limbo_objects, 3);
    assert_int_equal(statistics.limbo_bytes, 3);
    /* And by bytes. */
    fletch_epoch_retire_orphan(domain, &make_thing(&reclaimed)->object, 0);
    assert_int_equal(reclaimed, 104);
    fletch_epoch_retire_orphan(domain, &make_thing(&reclaimed)->object, 5000);
    assert_int_equal(reclaimed, 105);
    fletch_epoch_domain_destroy(domain);
}

static void a_reader_inside_holds_back_orphans(void **state)
{
    (void)state;
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(4, 0);
    struct fletch_epoch_reader *reader = open_reader(domain);
    fletch_epoch_enter(reader);
    for (int i = 0; i < 10; i++)
        fletch_epoch_retire_orphan(domain, &make_thing(&reclaimed)->object, 7);
    assert_int_equal(reclaimed, 0);
    assert_int_equal(statistics_of(domain).limbo_objects, 10);
    assert_int_equal(statistics_of(domain).limbo_bytes, 70);
    fletch_epoch_exit(reader);
    for (int i = 0; i < 2; i++)
        fletch_epoch_retire_orphan(domain, &make_thing(&reclaimed)->object, 7);
    assert_int_equal(reclaimed, 12);
    assert_int_equal(statistics_of(domain).limbo_bytes, 0);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
}

/* A long list of which each retires the next one must not become a deep stack. */
static void orphans_that_retire_orphans_do_not_nest(void **state)
{
    (void)state;
    enum { LONG = 200000 };
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(1, 0);
    struct thing *first = NULL;
    for (int i = 0; i < LONG; i++) {
        struct thing *thing = make_thing(&reclaimed);
        thing->retires_to = domain;
        thing->next = first;
        first = thing;
    }
    fletch_epoch_retire_orphan(domain, &first->object, 1);
    assert_int_equal(reclaimed, 1);
    fletch_epoch_domain_destroy(domain);
    assert_int_equal(reclaimed, LONG);
}

static void a_closed_reader_leaves_its_bags_to_others(void **state)
{
    (void)state;
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(2, 0);
    struct fletch_epoch_reader *stalled = open_reader(domain), *leaver = open_reader(domain);
    fletch_epoch_enter(stalled);
    retire(leaver, &reclaimed, 5);
    fletch_epoch_reader_close(leaver);
    assert_int_equal(reclaimed, 0);
    assert_int_equal(statistics_of(domain).readers, 1);
    assert_int_equal(statistics_of(domain).limbo_objects, 5);
    fletch_epoch_exit(stalled);
    fletch_epoch_collect(stalled);
    assert_int_equal(reclaimed, 5);
    assert_int_equal(statistics_of(domain).limbo_bytes, 0);
    /* The record is used again. */
    struct fletch_epoch_reader *next = open_reader(domain);
    assert_ptr_equal(next, leaver);
    fletch_epoch_reader_close(next);
    fletch_epoch_reader_close(stalled);
    fletch_epoch_domain_destroy(domain);
}

static void what_is_reclaimed_may_retire(void **state)
{
    (void)state;
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(100, 0);
    struct fletch_epoch_reader *reader = open_reader(domain);
    struct thing *last = make_thing(&reclaimed);
    struct thing *first = make_thing(&reclaimed);
    first->retires_to = domain;
    first->next = last;
    fletch_epoch_retire(reader, &first->object, 1);
    fletch_epoch_collect(reader);
    assert_int_equal(reclaimed, 1);
    fletch_epoch_collect(reader);
    assert_int_equal(reclaimed, 2);
    fletch_epoch_reader_close(reader);
    /* And at the domain's end. */
    first = make_thing(&reclaimed);
    first->retires_to = domain;
    first->next = make_thing(&reclaimed);
    fletch_epoch_retire_orphan(domain, &first->object, 1);
    fletch_epoch_domain_destroy(domain);
    assert_int_equal(reclaimed, 4);
}

static void a_domain_frees_what_is_left_at_its_end(void **state)
{
    (void)state;
    int reclaimed = 0;
    struct fletch_epoch_domain *domain = make_domain(100, 0);
    struct fletch_epoch_reader *reader = open_reader(domain);
    retire(reader, &reclaimed, 7);
    fletch_epoch_retire_orphan(domain, &make_thing(&reclaimed)->object, 1);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
    assert_int_equal(reclaimed, 8);
    fletch_epoch_domain_destroy(NULL);
    fletch_epoch_reader_close(NULL);
}

/* Where the system refuses membarrier, sections cost a fence and everything else is the same. */
static int work_without_membarrier(void *context)
{
    int reclaimed = 0;
    (void)context;
    if (!seccomp_refuse(SYS_membarrier, SECCOMP_ANY_ARGUMENT, EPERM))
        return REFUSED;
    struct fletch_epoch_domain *domain = make_domain(2, 0);
    struct fletch_epoch_reader *writer = open_reader(domain), *reader = open_reader(domain);
    if (statistics_of(domain).asymmetric != 0)
        return 1;
    fletch_epoch_enter(reader);
    retire(writer, &reclaimed, 4);
    if (reclaimed != 0 || statistics_of(domain).oldest_reader != fletch_epoch_reader_number(reader))
        return 2;
    fletch_epoch_exit(reader);
    fletch_epoch_collect(writer);
    if (reclaimed != 4)
        return 3;
    fletch_epoch_reader_close(writer);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
    return 0;
}

static void a_domain_works_without_membarrier(void **state)
{
    (void)state;
    int end = child_run(work_without_membarrier, NULL, false);
    if (end == REFUSED)
        skip();
    assert_int_equal(end, 0);
}

struct classed {
    struct fletch_epoch_link link;
    int number;
};

static void reclaim_classed(void *context, struct fletch_epoch_reader *reader,
                            struct fletch_epoch_link *link)
{
    (void)reader;
    int *sum = context;
    *sum += ((struct classed *)(void *)link)->number;
    free(link);
}

static void classes_share_a_function_and_can_be_given_back(void **state)
{
    (void)state;
    int sums[FLETCH_EPOCH_CLASSES] = {0};
    struct fletch_epoch_domain *domain = make_domain(100, 0);
    struct fletch_epoch_reader *reader = open_reader(domain);
    for (uint32_t i = 1; i < FLETCH_EPOCH_CLASSES; i++) {
        const struct fletch_epoch_class added = {reclaim_classed, &sums[i]};
        assert_int_equal(fletch_epoch_class_add(domain, &added), i);
        struct classed *object = malloc(sizeof *object);
        object->number = (int)i;
        fletch_epoch_retire_link(domain, reader, &object->link, i, 1);
    }
    const struct fletch_epoch_class more = {reclaim_classed, &sums[0]};
    assert_int_equal(fletch_epoch_class_add(domain, &more), 0);
    fletch_epoch_drain(domain);
    for (uint32_t i = 1; i < FLETCH_EPOCH_CLASSES; i++)
        assert_int_equal(sums[i], i);
    fletch_epoch_class_remove(domain, 5);
    assert_int_equal(fletch_epoch_class_add(domain, &more), 5);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    struct fletch_epoch_domain *domain = NULL;
    struct fletch_error error;
    struct fletch_epoch_options options = {.struct_size = 4};
    assert_int_equal(fletch_epoch_domain_create(&options, NULL, &domain, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "struct_size 4");
    assert_null(domain);
    domain = make_domain(0, 0);
    struct fletch_epoch_statistics statistics = {.struct_size = 3};
    assert_int_equal(fletch_epoch_domain_statistics(domain, &statistics, &error),
                     FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "struct_size 3");
    fletch_epoch_domain_destroy(domain);
}

static void a_missing_allocation_is_reported(void **state)
{
    (void)state;
    struct counting_allocator counting;
    struct fletch_epoch_domain *domain = NULL;
    struct fletch_epoch_reader *reader = NULL;
    struct fletch_error error;
    counting_allocator_start(&counting, 1);
    assert_int_equal(fletch_epoch_domain_create(NULL, &counting.allocator, &domain, &error),
                     FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "no memory for an epoch domain");
    assert_null(domain);
    counting_allocator_start(&counting, 2);
    assert_int_equal(fletch_epoch_domain_create(NULL, &counting.allocator, &domain, &error),
                     FLETCH_OK);
    assert_int_equal(fletch_epoch_reader_open(domain, &reader, &error), FLETCH_RESOURCE_EXHAUSTED);
    assert_contains(error.message, "no memory for an epoch reader");
    assert_null(reader);
    assert_int_equal(fletch_epoch_reader_open(domain, &reader, &error), FLETCH_OK);
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
    assert_int_equal(counting.live_bytes, 0);
    assert_int_equal(counting.mismatched, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_batch_is_freed_when_nobody_reads),
        cmocka_unit_test(a_batch_is_bounded_by_bytes_too),
        cmocka_unit_test(a_reader_inside_holds_back_what_is_retired_after_it_entered),
        cmocka_unit_test(a_reader_that_enters_later_holds_back_nothing_older),
        cmocka_unit_test(sections_nest),
        cmocka_unit_test(who_retires_inside_a_section_frees_at_its_end),
        cmocka_unit_test(orphans_are_freed_by_the_next_who_frees),
        cmocka_unit_test(orphans_alone_are_freed_batch_by_batch),
        cmocka_unit_test(a_reader_inside_holds_back_orphans),
        cmocka_unit_test(orphans_that_retire_orphans_do_not_nest),
        cmocka_unit_test(a_closed_reader_leaves_its_bags_to_others),
        cmocka_unit_test(what_is_reclaimed_may_retire),
        cmocka_unit_test(a_domain_frees_what_is_left_at_its_end),
        cmocka_unit_test(a_domain_works_without_membarrier),
        cmocka_unit_test(classes_share_a_function_and_can_be_given_back),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(a_missing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
