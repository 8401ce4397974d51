#include "sync/end_guard.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/rings.h"
#include "support/team.h"

/* What builds with FLETCH_CHECKS stop the program for. Each misuse is tried in a child process. */

#ifdef FLETCH_CHECKS

enum { SIZE = 16, HAMMER_CALLS = 10000000 };

static struct fletch_spsc_ring *make(enum fletch_ring_form form)
{
    const struct fletch_spsc_ring_options options = spsc_options(form, SIZE, 8);
    return spsc_new(&options);
}

static void assert_aborts(int (*misuse)(void *context))
{
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form]);
        assert_int_equal(child_run(misuse, ring, true), CHILD_KILLED + SIGABRT);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

static void push_beside_a_claim(void *context)
{
    char element[SIZE] = {0};
    (void)!fletch_spsc_ring_try_push(context, element);
}

static int push_from_another_thread_during_a_claim(void *context)
{
    struct fletch_ring_spans spans;
    const struct team_role role = {.run = push_beside_a_claim, .context = context};
    if (fletch_spsc_ring_try_claim(context, 1, &spans) != FLETCH_DONE)
        return 1;
    team_run(&role, 1);
    return 0;
}

static void a_second_producer_during_a_claim_aborts(void **state)
{
    (void)state;
    assert_aborts(push_from_another_thread_during_a_claim);
}

static void push_all_the_time(void *context)
{
    char element[SIZE] = {0};
    for (int i = 0; i < HAMMER_CALLS; i++)
        (void)!fletch_spsc_ring_try_push(context, element);
}

static void pop_all_the_time(void *context)
{
    char element[SIZE] = {0};
    for (int i = 0; i < HAMMER_CALLS; i++)
        (void)!fletch_spsc_ring_try_pop(context, element);
}

static int push_with_two_threads(void *context)
{
    const struct team_role roles[] = {
        {.run = push_all_the_time, .context = context},
        {.run = push_all_the_time, .context = context},
    };
    team_run(roles, 2);
    return 0;
}

static int pop_with_two_threads(void *context)
{
    const struct team_role roles[] = {
        {.run = pop_all_the_time, .context = context},
        {.run = pop_all_the_time, .context = context},
    };
    team_run(roles, 2);
    return 0;
}

static void two_producers_abort(void **state)
{
    (void)state;
    assert_aborts(push_with_two_threads);
}

static void two_consumers_abort(void **state)
{
    (void)state;
    assert_aborts(pop_with_two_threads);
}

static int commit_more_than_claimed(void *context)
{
    struct fletch_ring_spans spans;
    if (fletch_spsc_ring_try_claim(context, 2, &spans) != FLETCH_DONE)
        return 1;
    fletch_spsc_ring_commit(context, 3);
    return 0;
}

static void committing_more_than_was_claimed_aborts(void **state)
{
    (void)state;
    assert_aborts(commit_more_than_claimed);
}

static int commit_without_claim(void *context)
{
    fletch_spsc_ring_commit(context, 0);
    return 0;
}

static void committing_without_a_claim_aborts(void **state)
{
    (void)state;
    assert_aborts(commit_without_claim);
}

static int release_more_than_there_is(void *context)
{
    char element[SIZE] = {0};
    if (fletch_spsc_ring_try_push(context, element) != FLETCH_DONE)
        return 1;
    fletch_spsc_ring_release(context, 2);
    return 0;
}

static void releasing_more_than_there_is_aborts(void **state)
{
    (void)state;
    assert_aborts(release_more_than_there_is);
}

static int claim_nothing(void *context)
{
    struct fletch_ring_spans spans;
    return (int)fletch_spsc_ring_try_claim(context, 0, &spans);
}

static int peek_nothing(void *context)
{
    struct fletch_ring_spans spans;
    return (int)fletch_spsc_ring_try_peek(context, 0, &spans);
}

static void asking_for_nothing_aborts(void **state)
{
    (void)state;
    assert_aborts(claim_nothing);
    assert_aborts(peek_nothing);
}

static void pop_from_queue(void *context)
{
    char element[SIZE];
    for (int i = 0; i < HAMMER_CALLS; i++)
        (void)!fletch_mpsc_queue_try_pop(context, element);
}

static int pop_queue_with_two_threads(void *context)
{
    const struct team_role roles[] = {
        {.run = pop_from_queue, .context = context},
        {.run = pop_from_queue, .context = context},
    };
    team_run(roles, 2);
    return 0;
}

static void two_consumers_of_a_queue_abort(void **state)
{
    const struct fletch_mpsc_queue_options options = mpsc_options(SIZE, 8);
    struct fletch_mpsc_queue *queue = mpsc_new(&options);
    (void)state;
    assert_int_equal(child_run(pop_queue_with_two_threads, queue, true), CHILD_KILLED + SIGABRT);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
}

static int use_as_meant(void *context)
{
    struct fletch_ring_spans spans;
    char element[SIZE] = {0};
    const struct team_role role = {.run = push_beside_a_claim, .context = context};
    if (fletch_spsc_ring_try_claim(context, 2, &spans) != FLETCH_DONE)
        return 1;
    fletch_spsc_ring_commit(context, 1);
    team_run(&role, 1); /* handed over and back */
    if (fletch_spsc_ring_try_pop(context, element) != FLETCH_DONE)
        return 2;
    if (fletch_spsc_ring_try_peek(context, 4, &spans) != FLETCH_DONE)
        return 3;
    fletch_spsc_ring_release(context, 1);
    fletch_spsc_ring_release(context, 0);
    return 0;
}

static void an_end_that_is_handed_over_does_not_abort(void **state)
{
    (void)state;
    for (size_t form = 0; form < RING_FORMS; form++) {
        struct fletch_spsc_ring *ring = make(ring_forms[form]);
        assert_int_equal(child_run(use_as_meant, ring, false), 0);
        fletch_spsc_ring_destroy(ring, NULL, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_producer_during_a_claim_aborts),
        cmocka_unit_test(two_producers_abort),
        cmocka_unit_test(two_consumers_abort),
        cmocka_unit_test(committing_more_than_was_claimed_aborts),
        cmocka_unit_test(committing_without_a_claim_aborts),
        cmocka_unit_test(releasing_more_than_there_is_aborts),
        cmocka_unit_test(asking_for_nothing_aborts),
        cmocka_unit_test(two_consumers_of_a_queue_abort),
        cmocka_unit_test(an_end_that_is_handed_over_does_not_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    printf("skipped: this build has no FLETCH_CHECKS, so nothing is asserted\n");
    return TEST_SKIPPED;
}

#endif
