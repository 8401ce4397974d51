#include "support/stepping.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/rings.h"

/* The child that may not be traced ends with this. */
enum { UNTRACED = 77 };

struct traced {
    int (*run)(void *context);
    void *context;
};

/* Stops before the call, from where it is stepped, and behind it. */
static int run_traced(void *context)
{
    struct traced *traced = context;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        return UNTRACED;
    raise(SIGSTOP);
    int status = traced->run(traced->context);
    raise(SIGSTOP);
    return status;
}

static bool is_stopped(pid_t child)
{
    int status;
    return waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
           (WSTOPSIG(status) == SIGTRAP || WSTOPSIG(status) == SIGSTOP);
}

/* Executes one instruction. False: `run` has returned. */
static bool step(pid_t child)
{
    int status;
    assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    if (WSTOPSIG(status) == SIGSTOP)
        return false;
    assert_int_equal(WSTOPSIG(status), SIGTRAP);
    return true;
}

int stepping_look(int (*run)(void *context), void *context, const void *memory, size_t bytes,
                  void (*look)(void *context, const void *image))
{
    struct traced traced = {.run = run, .context = context};
    pid_t child = child_start(run_traced, &traced, false);
    assert_true(child > 0);
    if (!is_stopped(child))
        return STEPPING_REFUSED;
    char *image = malloc(bytes);
    assert_non_null(image);
    memcpy(image, memory, bytes);
    int looks = 0;
    while (step(child)) {
        if (memcmp(image, memory, bytes) == 0)
            continue;
        memcpy(image, memory, bytes);
        look(context, image);
        looks++;
    }
    free(image);
    kill(child, SIGKILL);
    assert_int_equal(child_wait(child), CHILD_KILLED + SIGKILL);
    return looks;
}

int stepping_over_a_lap(struct stepping_scene *scene, size_t unread,
                        const struct stepping_death *death)
{
    int looks = 0;
    const uint64_t step = 1 + scene->capacity / 8;
    for (uint64_t popped = 0; popped <= ring_most(scene->capacity); popped += step) {
        scene->popped = popped;
        scene->pushed = popped + unread;
        death->open(scene);
        int seen = stepping_look(death->child, scene, scene->memory.first, scene->memory.bytes,
                                 death->look);
        death->close(scene);
        if (seen == STEPPING_REFUSED)
            skip();
        looks += seen;
    }
    return looks;
}
