#include "base/thread.h"

#include <sched.h>
#include <signal.h>
#include <string.h>

#include "support/cmocka_tests.h"

/* What a thread found about itself. */
struct findings {
    char name[32];
    cpu_set_t cpus;
    sigset_t blocked;
    int ran;
};

static void look_around(void *context)
{
    struct findings *findings = context;
    pthread_getname_np(pthread_self(), findings->name, sizeof findings->name);
    pthread_getaffinity_np(pthread_self(), sizeof findings->cpus, &findings->cpus);
    pthread_sigmask(SIG_BLOCK, NULL, &findings->blocked);
    fletch_thread_yield();
    findings->ran++;
}

static struct fletch_thread_options options_for(struct findings *findings)
{
    return (struct fletch_thread_options){
        .cpu = FLETCH_ANY_CPU, .run = look_around, .context = findings};
}

static void it_runs_once_with_its_context(void **state)
{
    struct findings findings = {.ran = 0};
    struct fletch_thread_options options = options_for(&findings);
    struct fletch_thread thread;
    (void)state;
    assert_ok(fletch_thread_start(&thread, &options, NULL));
    fletch_thread_join(&thread);
    assert_int_equal(findings.ran, 1);
}

static void it_has_its_name_before_it_runs(void **state)
{
    struct findings findings = {.ran = 0};
    struct fletch_thread_options options = options_for(&findings);
    struct fletch_thread thread;
    char name[] = "fifteen-letters";
    (void)state;
    options.name = name;
    assert_ok(fletch_thread_start(&thread, &options, NULL));
    memset(name, '?', sizeof name - 1); /* the name was copied */
    fletch_thread_join(&thread);
    assert_string_equal(findings.name, "fifteen-letters");
}

static void a_name_that_is_too_long_is_refused(void **state)
{
    struct findings findings = {.ran = 0};
    struct fletch_thread_options options = options_for(&findings);
    struct fletch_thread thread;
    struct fletch_error error;
    (void)state;
    options.name = "sixteen-letters!";
    assert_int_equal(fletch_thread_start(&thread, &options, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "'sixteen-letters!'");
    assert_contains(error.message, "16 bytes");
    assert_contains(error.message, "at most 15");
    assert_int_equal(findings.ran, 0);
}

static void it_stays_on_its_processor(void **state)
{
    cpu_set_t allowed;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        struct findings findings = {.ran = 0};
        struct fletch_thread_options options = options_for(&findings);
        struct fletch_thread thread;
        options.cpu = cpu;
        assert_ok(fletch_thread_start(&thread, &options, NULL));
        fletch_thread_join(&thread);
        assert_int_equal(CPU_COUNT(&findings.cpus), 1);
        assert_true(CPU_ISSET(cpu, &findings.cpus));
    }
}

static void any_processor_means_those_of_the_process(void **state)
{
    struct findings findings = {.ran = 0};
    struct fletch_thread_options options = options_for(&findings);
    struct fletch_thread thread;
    cpu_set_t allowed;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    assert_ok(fletch_thread_start(&thread, &options, NULL));
    fletch_thread_join(&thread);
    assert_true(CPU_EQUAL(&allowed, &findings.cpus));
}

static void a_processor_that_is_not_there_is_refused(void **state)
{
    cpu_set_t allowed;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    uint32_t absent = CPU_SETSIZE - 1;
    while (CPU_ISSET(absent, &allowed))
        absent--;
    struct findings findings = {.ran = 0};
    struct fletch_thread_options options = options_for(&findings);
    struct fletch_thread thread;
    struct fletch_error error;
    options.cpu = absent;
    assert_int_equal(fletch_thread_start(&thread, &options, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "is none that this process may run on");
    options.cpu = CPU_SETSIZE;
    assert_int_equal(fletch_thread_start(&thread, &options, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "cpu 1024 is not below 1024");
    assert_int_equal(findings.ran, 0);
}

static void it_blocks_all_signals_and_its_starter_does_not(void **state)
{
    struct findings findings = {.ran = 0};
    struct fletch_thread_options options = options_for(&findings);
    struct fletch_thread thread;
    sigset_t before;
    sigset_t after;
    (void)state;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    assert_ok(fletch_thread_start(&thread, &options, NULL));
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    fletch_thread_join(&thread);
    static const int signals[] = {SIGINT,  SIGTERM, SIGHUP,  SIGUSR1, SIGUSR2,
                                  SIGALRM, SIGPIPE, SIGCHLD, SIGQUIT, SIGPROF};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        assert_int_equal(sigismember(&findings.blocked, signals[i]), 1);
        assert_int_equal(sigismember(&after, signals[i]), sigismember(&before, signals[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs_once_with_its_context),
        cmocka_unit_test(it_has_its_name_before_it_runs),
        cmocka_unit_test(a_name_that_is_too_long_is_refused),
        cmocka_unit_test(it_stays_on_its_processor),
        cmocka_unit_test(any_processor_means_those_of_the_process),
        cmocka_unit_test(a_processor_that_is_not_there_is_refused),
        cmocka_unit_test(it_blocks_all_signals_and_its_starter_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
