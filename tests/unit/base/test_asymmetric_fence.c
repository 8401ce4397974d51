#include "base/asymmetric_fence.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fletching/fletching.h>

#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/payload.h"
#include "support/seccomp.h"
#include "support/team.h"

enum { ELEMENT_BYTES = 24, ELEMENTS = 20000 };

static bool kernel_offers_it(void)
{
    long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    return commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
}

static void the_kind_is_what_the_kernel_offers(void **state)
{
    enum fletch_fence_kind expected =
        kernel_offers_it() ? FLETCH_FENCE_ASYMMETRIC : FLETCH_FENCE_FULL;
    (void)state;
    assert_int_equal(fletch_fence_kind_of_process(), expected);
    assert_int_equal(fletch_fence_kind_of_process(), expected);
}

static void every_fence_can_be_executed(void **state)
{
    (void)state;
    (void)fletch_fence_kind_of_process();
    fletch_fence_light();
    fletch_fence_heavy();
    fletch_fence_frequent(FLETCH_FENCE_FULL);
    fletch_fence_seldom(FLETCH_FENCE_FULL);
    fletch_fence_frequent(FLETCH_FENCE_ASYMMETRIC);
    fletch_fence_seldom(FLETCH_FENCE_ASYMMETRIC);
}

/* ---- a kernel that refuses: in child processes, since a filter cannot be taken back ---- */

static int kind_under_refusal(void *context)
{
    (void)context;
    if (!seccomp_refuse(SYS_membarrier, SECCOMP_ANY_ARGUMENT, ENOSYS))
        return 50;
    return fletch_fence_kind_of_process() == FLETCH_FENCE_FULL ? 0 : 1;
}

static void a_refused_membarrier_means_full_fences(void **state)
{
    (void)state;
    assert_int_equal(child_run(kind_under_refusal, NULL, false), 0);
}

static int kind_under_half_refusal(void *context)
{
    (void)context;
    if (!seccomp_refuse(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, EPERM))
        return 50;
    return fletch_fence_kind_of_process() == FLETCH_FENCE_FULL ? 0 : 1;
}

static void a_registration_alone_is_not_enough(void **state)
{
    (void)state;
    assert_int_equal(child_run(kind_under_half_refusal, NULL, false), 0);
}

/* The pattern that the fences are for, after the private command was forbidden behind our back. */
static int heavy_under_late_refusal(void *context)
{
    (void)context;
    enum fletch_fence_kind kind = fletch_fence_kind_of_process();
    if (!seccomp_refuse(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, EPERM))
        return 50;
    fletch_fence_seldom(kind);
    return 0;
}

static void a_filter_that_comes_later_does_no_harm(void **state)
{
    (void)state;
    assert_int_equal(child_run(heavy_under_late_refusal, NULL, false), 0);
}

static void push_all(void *context)
{
    struct fletch_spsc_ring *ring = context;
    for (uint64_t i = 0; i < ELEMENTS; i++) {
        char element[ELEMENT_BYTES];
        payload_fill(element, sizeof element, 0, i);
        if (fletch_spsc_ring_push(ring, element, FLETCH_NO_TIMEOUT) != FLETCH_DONE)
            return;
    }
    fletch_spsc_ring_close(ring);
}

struct taking {
    struct fletch_spsc_ring *ring;
    struct payload_watch watch;
};

static void pop_all(void *context)
{
    struct taking *taking = context;
    char element[ELEMENT_BYTES];
    while (fletch_spsc_ring_pop(taking->ring, element, FLETCH_NO_TIMEOUT) == FLETCH_DONE)
        payload_watch_element(&taking->watch, element);
}

/* Rings whose ends both park, with nothing but full fences between them: a lost wake-up hangs. */
static int rings_under_refusal(void *context)
{
    const struct fletch_spsc_ring_options options = {
        .struct_size = sizeof options,
        .element_bytes = ELEMENT_BYTES,
        .capacity = 4,
        .wait_strategy = *(const enum fletch_wait_strategy *)context,
    };
    struct taking taking = {.watch = {.element_bytes = ELEMENT_BYTES}};
    if (!seccomp_refuse(SYS_membarrier, SECCOMP_ANY_ARGUMENT, EPERM))
        return 50;
    if (fletch_spsc_ring_create(&options, NULL, &taking.ring, NULL) != FLETCH_OK)
        return 51;
    const struct team_role roles[] = {
        {.run = push_all, .context = taking.ring},
        {.run = pop_all, .context = &taking},
    };
    team_run(roles, 2);
    fletch_spsc_ring_destroy(taking.ring, NULL, NULL);
    return taking.watch.seen == ELEMENTS && taking.watch.torn == 0 && taking.watch.misplaced == 0
               ? 0
               : 1;
}

static void rings_wait_with_full_fences_too(void **state)
{
    enum fletch_wait_strategy strategies[] = {FLETCH_WAIT_ADAPTIVE, FLETCH_WAIT_PARK};
    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(child_run(rings_under_refusal, &strategies[i], false), 0);
}

/* ---- a kernel that refuses since a while ---- */

struct counted {
    _Alignas(16) struct fletch_epoch_object object;
    int *count;
};

static void count_reclaimed(struct fletch_epoch_object *object)
{
    ++*((struct counted *)(void *)object)->count;
}

/* Nothing is freed after the refusal, since nobody knows who is inside; all is in the end. */
static int freeing_under_late_refusal(void *context)
{
    (void)context;
    enum { THINGS = 4 };
    static struct counted things[THINGS];
    int count = 0;
    struct fletch_epoch_domain *domain;
    struct fletch_epoch_reader *reader;
    if (fletch_epoch_domain_create(NULL, NULL, &domain, NULL) != FLETCH_OK ||
        fletch_epoch_reader_open(domain, &reader, NULL) != FLETCH_OK)
        return 51;
    for (int i = 0; i < THINGS; i++)
        things[i] = (struct counted){.object.reclaim = count_reclaimed, .count = &count};
    fletch_epoch_retire(reader, &things[0].object, 1);
    fletch_epoch_collect(reader);
    if (count != 1)
        return 1;
    if (!seccomp_refuse(SYS_membarrier, SECCOMP_ANY_ARGUMENT, EPERM))
        return 50;
    fletch_epoch_retire(reader, &things[1].object, 1);
    fletch_epoch_collect(reader);
    for (int i = 2; i < THINGS; i++)
        fletch_epoch_retire_orphan(domain, &things[i].object, (size_t)1 << 20);
    if (count != 1)
        return 2;
    fletch_epoch_reader_close(reader);
    fletch_epoch_domain_destroy(domain);
    return count == THINGS ? 0 : 3;
}

static void a_late_refusal_frees_nothing_too_early(void **state)
{
    (void)state;
    if (!kernel_offers_it())
        skip();
    assert_int_equal(child_run(freeing_under_late_refusal, NULL, false), 0);
}

/* A sleeper that notifiers may not see looks again by itself. */
static int sleeping_under_late_refusal(void *context)
{
    (void)context;
    struct fletch_eventcount *eventcount;
    int fd;
    if (fletch_eventcount_create(NULL, &eventcount, NULL) != FLETCH_OK ||
        fletch_eventcount_open_fd(eventcount, &fd, NULL) != FLETCH_OK)
        return 51;
    if (!seccomp_refuse(SYS_membarrier, SECCOMP_ANY_ARGUMENT, EPERM))
        return 50;
    uint32_t key = fletch_eventcount_prepare(eventcount);
    if (!fletch_eventcount_wait(eventcount, key, UINT64_C(60000000000)))
        return 1;
    key = fletch_eventcount_prepare(eventcount);
    if (fletch_eventcount_wait(eventcount, key, 1000))
        return 2;
    key = fletch_eventcount_arm(eventcount);
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    int ready = poll(&readable, 1, 0);
    fletch_eventcount_disarm(eventcount, key);
    if (ready != 1 || poll(&readable, 1, 0) != 0)
        return 3;
    fletch_eventcount_destroy(eventcount);
    return 0;
}

static void a_late_refusal_leaves_nobody_asleep(void **state)
{
    (void)state;
    if (!kernel_offers_it())
        skip();
    assert_int_equal(child_run(sleeping_under_late_refusal, NULL, false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kind_is_what_the_kernel_offers),
        cmocka_unit_test(every_fence_can_be_executed),
        cmocka_unit_test(a_refused_membarrier_means_full_fences),
        cmocka_unit_test(a_registration_alone_is_not_enough),
        cmocka_unit_test(a_filter_that_comes_later_does_no_harm),
        cmocka_unit_test(rings_wait_with_full_fences_too),
        cmocka_unit_test(a_late_refusal_frees_nothing_too_early),
        cmocka_unit_test(a_late_refusal_leaves_nobody_asleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
