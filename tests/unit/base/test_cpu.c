#include "base/cpu.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/seccomp.h"

static void there_is_a_processor(void **state)
{
    (void)state;
    assert_true(fletch_cpu_count() >= 1);
    assert_true(fletch_cpu_count() <= (uint32_t)sysconf(_SC_NPROCESSORS_CONF));
}

static int count_when_pinned(void *context)
{
    cpu_set_t *one = context;
    if (sched_setaffinity(0, sizeof *one, one) != 0)
        return 100;
    return (int)fletch_cpu_count();
}

static void only_allowed_processors_count(void **state)
{
    cpu_set_t one;
    (void)state;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    assert_int_equal(child_run(count_when_pinned, &one, false), 1);
}

static int count_without_affinity(void *context)
{
    (void)context;
    if (!seccomp_refuse(SYS_sched_getaffinity, SECCOMP_ANY_ARGUMENT, EINVAL))
        return 100;
    return fletch_cpu_count() == (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) ? 0 : 1;
}

/* As on a machine with more processors than a cpu_set_t holds. */
static void those_on_line_count_where_the_system_names_none(void **state)
{
    (void)state;
    assert_int_equal(child_run(count_without_affinity, NULL, false), 0);
}

/* Pinned to each allowed processor in turn, a thread is told that one. */
static int current_when_pinned(void *context)
{
    const cpu_set_t *allowed = context;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (!CPU_ISSET(cpu, allowed))
            continue;
        if (sched_setaffinity(0, sizeof one, &one) != 0 || fletch_cpu_current() != cpu)
            return 1;
    }
    return 0;
}

static void the_current_processor_is_the_one_that_runs_the_thread(void **state)
{
    cpu_set_t allowed;
    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    assert_int_equal(child_run(current_when_pinned, &allowed, false), 0);
}

static void a_cache_line_is_a_power_of_two(void **state)
{
    size_t bytes = fletch_cpu_cache_line_bytes();
    (void)state;
    assert_true(bytes >= 16 && bytes <= 1024);
    assert_int_equal(bytes & (bytes - 1), 0);
}

/* Whether a line "flags : …" (x86-64) or "Features : …" (aarch64) of /proc/cpuinfo has the word. */
static bool is_listed(const char *word)
{
    static char line[8192];
    char padded[64];
    bool found = false;
    snprintf(padded, sizeof padded, " %s ", word);
    FILE *file = fopen("/proc/cpuinfo", "r");
    assert_non_null(file);
    while (!found && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "flags", 5) != 0 && strncmp(line, "Features", 8) != 0)
            continue;
        line[strcspn(line, "\n")] = ' ';
        found = strstr(line, padded) != NULL;
    }
    fclose(file);
    return found;
}

static void features_are_those_that_the_system_lists(void **state)
{
    struct fletch_cpu_features features = fletch_cpu_features();
    (void)state;
#ifdef __x86_64__
    assert_int_equal(features.avx2, is_listed("avx2"));
    assert_int_equal(features.bmi2, is_listed("bmi2"));
    assert_int_equal(features.avx512, is_listed("avx512f") && is_listed("avx512bw") &&
                                          is_listed("avx512dq") && is_listed("avx512vl"));
    assert_int_equal(features.crc32c, is_listed("sse4_2"));
    assert_false(features.neon);
    assert_false(features.lse);
#else
    assert_int_equal(features.neon, is_listed("asimd"));
    assert_int_equal(features.lse, is_listed("atomics"));
    assert_int_equal(features.crc32c, is_listed("crc32"));
    assert_false(features.avx2);
    assert_false(features.bmi2);
    assert_false(features.avx512);
#endif
}

static void features_do_not_change(void **state)
{
    struct fletch_cpu_features once = fletch_cpu_features();
    struct fletch_cpu_features again = fletch_cpu_features();
    (void)state;
    assert_memory_equal(&once, &again, sizeof once);
    fletch_cpu_relax();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_a_processor),
        cmocka_unit_test(only_allowed_processors_count),
        cmocka_unit_test(those_on_line_count_where_the_system_names_none),
        cmocka_unit_test(the_current_processor_is_the_one_that_runs_the_thread),
        cmocka_unit_test(a_cache_line_is_a_power_of_two),
        cmocka_unit_test(features_are_those_that_the_system_lists),
        cmocka_unit_test(features_do_not_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
