#include "support/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef FLETCH_TEST_COVERAGE
/* _exit, which spares a child the parent's buffers and exit handlers, would drop the counts. */
void __gcov_dump(void);

static void keep_coverage(void)
{
    __gcov_dump();
}
#else
static void keep_coverage(void)
{
}
#endif

static void silence(void)
{
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0)
        dup2(nowhere, STDERR_FILENO);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_CORE, &none);
}

pid_t child_start(int (*run)(void *context), void *context, bool quiet)
{
    fflush(NULL);
    pid_t child = fork();
    if (child != 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (quiet)
        silence();
    int status = run(context);
    fflush(NULL);
    keep_coverage();
    _exit(status);
}

static int end_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : CHILD_KILLED + WTERMSIG(status);
}

int child_wait(pid_t child)
{
    int status;
    pid_t ended;
    do
        ended = waitpid(child, &status, 0);
    while (ended < 0 && errno == EINTR);
    return ended == child ? end_of(status) : -1;
}

bool child_has_ended(pid_t child, int *out_end)
{
    int status;
    if (waitpid(child, &status, WNOHANG) != child)
        return false;
    *out_end = end_of(status);
    return true;
}

int child_run(int (*run)(void *context), void *context, bool quiet)
{
    pid_t child = child_start(run, context, quiet);
    return child < 0 ? -1 : child_wait(child);
}
