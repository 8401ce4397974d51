/* The checker around one harness. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../harness.h"
#include "base/asymmetric_fence.h"
#include "checker.h"
#include "fiber.h"

extern enum fletch_fence_kind mc_fence_kind; /* entry_harness.c */

static const char usage[] =
    "usage: %s [option]...\n"
    "  (nothing)            every execution, each once\n"
    "  --no-reduction       every order of steps: slow, for checking the checker\n"
    "  --compare            both: succeed if they are the same complete executions\n"
    "  --preemptions N      every order of steps with at most N preemptions\n"
    "  --random SEED RUNS   so many random executions\n"
    "  --replay STRING      the one that a failed run has printed\n"
    "  --seconds N          stop after so many seconds\n"
    "  --no-spurious        weak compare-exchanges do not fail for no reason\n"
    "  --full-fences        fletch_fence_kind_of_process answers FLETCH_FENCE_FULL\n"
    "  --expect ERROR       succeed only if this kind of error is found\n"
    "exit: 0 as it should be, 1 error found, 2 wrong use or internal, 3 limit reached\n";

struct arguments {
    struct mc_options options;
    enum mc_error expected;
    bool compares;
};

static bool parse_mode(struct mc_options *options, char **argument, int left)
{
    if (strcmp(argument[0], "--no-reduction") == 0) {
        options->mode = MC_UNREDUCED;
    } else if (strcmp(argument[0], "--preemptions") == 0 && left > 1) {
        options->mode = MC_PREEMPTIONS;
        options->preemptions = atoi(argument[1]);
    } else if (strcmp(argument[0], "--random") == 0 && left > 2) {
        options->mode = MC_RANDOM;
        options->seed = strtoull(argument[1], NULL, 0);
        options->runs = strtoul(argument[2], NULL, 0);
    } else if (strcmp(argument[0], "--replay") == 0 && left > 1) {
        options->mode = MC_REPLAY;
        options->replay = argument[1];
    } else {
        return false;
    }
    return true;
}

static bool parse(struct arguments *arguments, int count, char **argument)
{
    static const int taken[] = {
        [MC_UNREDUCED] = 1, [MC_PREEMPTIONS] = 2, [MC_RANDOM] = 3, [MC_REPLAY] = 2};
    struct mc_options *options = &arguments->options;
    for (int i = 1; i < count; i++) {
        if (parse_mode(options, argument + i, count - i)) {
            i += taken[options->mode] - 1;
        } else if (strcmp(argument[i], "--seconds") == 0 && i + 1 < count) {
            options->seconds = atof(argument[++i]);
        } else if (strcmp(argument[i], "--no-spurious") == 0) {
            options->no_spurious_failures = true;
        } else if (strcmp(argument[i], "--compare") == 0) {
            arguments->compares = true;
        } else if (strcmp(argument[i], "--full-fences") == 0) {
            mc_fence_kind = FLETCH_FENCE_FULL;
        } else if (strcmp(argument[i], "--expect") == 0 && i + 1 < count) {
            arguments->expected = mc_error_of_name(argument[++i]);
            if (arguments->expected == MC_NO_ERROR)
                return false;
        } else {
            return false;
        }
    }
    return true;
}

static void on_crash(int number)
{
    (void)number;
    if (mc_fiber_current() == MC_FIBER_SEARCH)
        mc_internal("the checker has crashed");
    mc_fail(MC_CRASH, "an access to memory that is not there");
}

/* On a stack of its own: the fiber's may be what has run out. */
static void catch_crashes(void)
{
    size_t bytes = 1 << 16;
    stack_t stack = {.ss_size = bytes};
    stack.ss_sp = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaltstack(&stack, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
}

static int compare(struct mc_options *options)
{
    struct mc_result reduced, all;
    options->collect = true;
    options->mode = MC_EXHAUSTIVE;
    mc_check(options, harness, &reduced);
    options->mode = MC_UNREDUCED;
    mc_check(options, harness, &all);
    bool same = mc_set_equal(&reduced.graphs, &all.graphs);
    bool once = reduced.complete == reduced.graphs.count;
    printf("%lu executions, %zu of them different; %lu without reduction, %zu different: %s\n",
           reduced.complete, reduced.graphs.count, all.complete, all.graphs.count,
           !all.finished  ? "not finished"
           : same && once ? "the same, each once"
                          : "NOT the same, each once");
    return same && once && reduced.finished && all.finished ? 0 : 1;
}

static int verdict(const struct arguments *arguments, const struct mc_result *result)
{
    if (arguments->expected != MC_NO_ERROR) {
        if (result->error != arguments->expected)
            printf("expected %s, found %s\n", mc_error_name(arguments->expected),
                   mc_error_name(result->error));
        return result->error == arguments->expected ? 0 : 1;
    }
    if (result->error != MC_NO_ERROR)
        return 1;
    if (!result->finished)
        return 3;
    if (result->complete == 0 && arguments->options.mode != MC_REPLAY) {
        printf("no execution is complete: the harness itself hangs\n");
        return 1;
    }
    return 0;
}

int main(int count, char **argument)
{
    static const char *const modes[] = {"exhaustive", "exhaustive, unreduced", "bounded", "random",
                                        "replay"};
    struct arguments arguments = {.expected = MC_NO_ERROR};
    struct mc_result result;
    if (!parse(&arguments, count, argument)) {
        fprintf(stderr, usage, argument[0]);
        return 2;
    }
    catch_crashes();
    if (arguments.compares)
        return compare(&arguments.options);
    mc_check(&arguments.options, harness, &result);
    const char *name = strrchr(argument[0], '/');
    printf("model %s: %lu complete, %lu cut, %.2f s, %s%s\n", name == NULL ? argument[0] : name + 1,
           result.complete, result.cut, result.seconds, modes[arguments.options.mode],
           result.error == MC_NO_ERROR && !result.finished ? ", not finished" : "");
    return verdict(&arguments, &result);
}
