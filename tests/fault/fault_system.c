#include <fletching/fletching.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/event_fd.h"
#include "base/thread.h"
#include "support/child.h"
#include "support/cmocka_tests.h"
#include "support/rings.h"
#include "support/seccomp.h"

/* A system that gives no descriptor or no thread: told by status and message, and nothing is
 * broken afterwards. Limits and filters stay in child processes, which answer with the line that
 * failed. */

#define CHECK(condition) \
    do { \
        if (!(condition)) \
            return __LINE__ % 200 + 1; \
    } while (0)

enum { REFUSED = 250 };

/* From now on no further descriptor can be opened. */
static bool exhaust_descriptors(struct rlimit *before)
{
    int lowest = dup(STDIN_FILENO);
    if (lowest < 0)
        lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (lowest < 0 || getrlimit(RLIMIT_NOFILE, before) != 0)
        return false;
    close(lowest);
    struct rlimit none = {.rlim_cur = (rlim_t)lowest, .rlim_max = before->rlim_max};
    return setrlimit(RLIMIT_NOFILE, &none) == 0;
}

static int open_without_descriptors(void *context)
{
    struct fletch_eventcount *eventcount;
    struct fletch_error error = {.status = FLETCH_OK};
    struct rlimit before;
    int fd = -5;
    (void)context;
    CHECK(fletch_eventcount_create(NULL, &eventcount, NULL) == FLETCH_OK);
    CHECK(exhaust_descriptors(&before));
    errno = 0;
    CHECK(fletch_event_fd_open() == -1);
    CHECK(errno == EMFILE);
    CHECK(fletch_eventcount_open_fd(eventcount, &fd, &error) == FLETCH_RESOURCE_EXHAUSTED);
    CHECK(error.status == FLETCH_RESOURCE_EXHAUSTED);
    CHECK(strstr(error.message, "cannot open an eventfd: error 24") != NULL);
    CHECK(fd == -5);
    CHECK(fletch_eventcount_open_fd(eventcount, &fd, NULL) == FLETCH_RESOURCE_EXHAUSTED);
    /* Futexes need no descriptor, and with room for one it can be opened after all. */
    uint32_t key = fletch_eventcount_prepare(eventcount);
    fletch_eventcount_notify(eventcount, 1);
    CHECK(fletch_eventcount_wait(eventcount, key, FLETCH_NO_TIMEOUT));
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(fletch_eventcount_open_fd(eventcount, &fd, &error) == FLETCH_OK);
    CHECK(fd >= 0);
    fletch_eventcount_destroy(eventcount);
    return 0;
}

static int rings_without_descriptors(void *context)
{
    const struct fletch_spsc_ring_options ring_options = spsc_options(FLETCH_RING_DEFAULT, 8, 4);
    const struct fletch_mpsc_queue_options queue_options = mpsc_options(8, 4);
    struct fletch_spsc_ring *ring = spsc_new(&ring_options);
    struct fletch_mpsc_queue *queue = mpsc_new(&queue_options);
    struct fletch_error error = {.status = FLETCH_OK};
    struct rlimit before;
    uint64_t element = 7;
    int fd = -5;
    (void)context;
    CHECK(exhaust_descriptors(&before));
    for (int end = FLETCH_END_PRODUCER; end <= FLETCH_END_CONSUMER; end++) {
        CHECK(fletch_spsc_ring_open_fd(ring, (enum fletch_ring_end)end, &fd, &error) ==
              FLETCH_RESOURCE_EXHAUSTED);
        CHECK(strstr(error.message, "eventfd") != NULL);
        CHECK(fletch_mpsc_queue_open_fd(queue, (enum fletch_ring_end)end, &fd, &error) ==
              FLETCH_RESOURCE_EXHAUSTED);
        CHECK(fd == -5);
    }
    CHECK(fletch_spsc_ring_push(ring, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE);
    CHECK(fletch_spsc_ring_pop(ring, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE);
    CHECK(fletch_mpsc_queue_push(queue, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE);
    CHECK(fletch_mpsc_queue_pop(queue, &element, FLETCH_NO_TIMEOUT) == FLETCH_DONE);
    CHECK(element == 7);
    fletch_spsc_ring_destroy(ring, NULL, NULL);
    fletch_mpsc_queue_destroy(queue, NULL, NULL);
    return 0;
}

static void run_nothing(void *context)
{
    (void)context;
}

static int start_without_threads(void *context)
{
    const struct fletch_thread_options options = {
        .name = "never", .cpu = FLETCH_ANY_CPU, .run = run_nothing};
    struct fletch_error error = {.status = FLETCH_OK};
    struct fletch_thread thread;
    (void)context;
    if (!seccomp_refuse(SYS_clone, SECCOMP_ANY_ARGUMENT, EAGAIN) ||
        !seccomp_refuse(SYS_clone3, SECCOMP_ANY_ARGUMENT, EAGAIN))
        return REFUSED;
    CHECK(fletch_thread_start(&thread, &options, &error) == FLETCH_RESOURCE_EXHAUSTED);
    CHECK(error.status == FLETCH_RESOURCE_EXHAUSTED);
    CHECK(strstr(error.message, "cannot start thread 'never': error 11") != NULL);
    CHECK(fletch_thread_start(&thread, &options, NULL) == FLETCH_RESOURCE_EXHAUSTED);
    return 0;
}

static void no_descriptor_is_an_exhausted_resource(void **state)
{
    (void)state;
    assert_int_equal(child_run(open_without_descriptors, NULL, false), 0);
}

static void rings_work_without_descriptors(void **state)
{
    (void)state;
    assert_int_equal(child_run(rings_without_descriptors, NULL, false), 0);
}

static void no_thread_is_an_exhausted_resource(void **state)
{
    (void)state;
    assert_int_equal(child_run(start_without_threads, NULL, false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_descriptor_is_an_exhausted_resource),
        cmocka_unit_test(rings_work_without_descriptors),
        cmocka_unit_test(no_thread_is_an_exhausted_resource),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
