#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "support/cmocka_tests.h"
#include "support/flight_ends.h"
#include "support/random_batches.h"

/* A client and its calls with the n-th allocation failing, on whichever of its threads that is, or
 * the n-th call of the system beneath it or its server, for n = 1, 2, … until none fails: what
 * cannot be made says so, each call that was begun ends once, and nothing is leaked. */

enum { TRIES_MOST = 2000, ROUNDS = 2 };

#define SECOND_NS UINT64_C(1000000000)

static struct flight_ends ends;

static struct {
    _Atomic uint64_t requests;
    _Atomic uint64_t live; /* blocks */
    _Atomic uint64_t failures;
    uint64_t fail_at;
} memory;

static void *allocate(void *context, size_t bytes, size_t alignment)
{
    (void)context;
    if (atomic_fetch_add(&memory.requests, 1) + 1 == memory.fail_at) {
        atomic_fetch_add(&memory.failures, 1);
        return NULL;
    }
    atomic_fetch_add(&memory.live, 1);
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void release(void *context, void *block, size_t bytes, size_t alignment)
{
    (void)context;
    (void)bytes;
    (void)alignment;
    atomic_fetch_sub(&memory.live, 1);
    free(block);
}

static const struct fletch_allocator allocator = {.allocate = allocate, .release = release};

/* ---- calls of the system: the linker puts these in their places ---- */

enum { RECEIVE = 1, SEND = 2, ACCEPT = 4, CONNECT = 8, OPEN = 16 };

static struct {
    _Atomic uint64_t counted;
    _Atomic uint64_t failures;
    _Atomic uint64_t fail_at; /* 0: none */
    int calls;                /* that may fail */
    int number;
} kernel;

static bool fails(int what)
{
    if ((kernel.calls & what) == 0 ||
        atomic_fetch_add(&kernel.counted, 1) + 1 != atomic_load(&kernel.fail_at))
        return false;
    atomic_fetch_add(&kernel.failures, 1);
    errno = kernel.number;
    return true;
}

#define WRAPPED(type, name, what, parameters, ...) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters \
    { \
        return fails(what) ? -1 : __real_##name(__VA_ARGS__); \
    }

WRAPPED(ssize_t, recv, RECEIVE, (int fd, void *to, size_t bytes, int flags), fd, to, bytes, flags)
WRAPPED(ssize_t, recvmsg, RECEIVE, (int fd, struct msghdr *message, int flags), fd, message, flags)
WRAPPED(ssize_t, send, SEND, (int fd, const void *from, size_t bytes, int flags), fd, from, bytes,
        flags)
WRAPPED(ssize_t, sendmsg, SEND, (int fd, const struct msghdr *message, int flags), fd, message,
        flags)
WRAPPED(int, accept4, ACCEPT, (int fd, struct sockaddr *address, socklen_t *bytes, int flags), fd,
        address, bytes, flags)
WRAPPED(int, connect, CONNECT, (int fd, const struct sockaddr *address, socklen_t bytes), fd,
        address, bytes)
WRAPPED(int, socket, OPEN, (int family, int type, int protocol), family, type, protocol)

/* ---- calls of a client ---- */

static const struct fletch_flight_call_options call = {
    .struct_size = sizeof call, .timeout_ns = 10 * SECOND_NS, .waits_for_ready = true};

static bool may_be(enum fletch_status status)
{
    return status == FLETCH_RESOURCE_EXHAUSTED || status == FLETCH_UNAVAILABLE ||
           status == FLETCH_INTERNAL || status == FLETCH_CANCELLED || status == FLETCH_UNKNOWN;
}

/* True: all went well. */
static bool check(enum fletch_status status)
{
    if (status != FLETCH_OK && !may_be(status))
        fail_msg("allocation %llu or system call %llu failed, and the call with %s",
                 (unsigned long long)memory.fail_at,
                 (unsigned long long)atomic_load(&kernel.fail_at), fletch_status_name(status));
    return status == FLETCH_OK;
}

static bool get(void)
{
    const struct fletch_flight_bytes ticket = {"3", 1};
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    if (!check(fletch_flight_client_do_get(ends.client, &call, &ticket, &stream, &error)))
        return false;
    struct fletch_flight_batches batches = {.count = 0};
    bool is_read =
        check(fletch_flight_stream_read_all(stream, FLETCH_NO_TIMEOUT, &batches, &error));
    assert_int_equal(batches.count, is_read ? 3 : 0);
    fletch_flight_batches_release(&batches);
    if (!is_read)
        fletch_flight_stream_cancel(stream); /* reading has failed, and the server may wait */
    return check(flight_ends_close(stream, &error)) && is_read;
}

static bool put(void)
{
    const char *path[] = {"some"};
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 1};
    const struct fletch_flight_write_options writing = {.struct_size = sizeof writing,
                                                        .descriptor = &descriptor};
    const struct fletch_flight_output output = {.batch = ends.batch};
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    if (!check(fletch_flight_client_do_put(ends.client, &call, &stream, &error)))
        return false;
    bool is_whole =
        fletch_flight_stream_begin(stream, ends.schema, &writing, &error) == FLETCH_OK &&
        fletch_flight_stream_write(stream, FLETCH_NO_TIMEOUT, &output, &error) == FLETCH_DONE;
    if (is_whole)
        fletch_flight_stream_done_writing(stream);
    else
        fletch_flight_stream_cancel(stream);
    return check(flight_ends_close(stream, &error)) && is_whole;
}

static bool exchange(void)
{
    const struct fletch_flight_descriptor descriptor = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                                                        .command = {"c", 1}};
    const struct fletch_flight_output output = {.batch = ends.batch};
    struct fletch_flight_stream *stream;
    struct fletch_flight_data data;
    struct fletch_error error;
    if (!check(fletch_flight_client_do_exchange(ends.client, &call, &descriptor, &stream, &error)))
        return false;
    bool is_whole = fletch_flight_stream_begin(stream, ends.schema, NULL, &error) == FLETCH_OK;
    for (int i = 0; i < 3 && is_whole; i++) {
        is_whole =
            fletch_flight_stream_write(stream, FLETCH_NO_TIMEOUT, &output, &error) == FLETCH_DONE &&
            fletch_flight_stream_read(stream, FLETCH_NO_TIMEOUT, &data, &error) == FLETCH_DONE;
        if (is_whole)
            assert_true(batches_equal(data.batch, ends.batch));
        if (is_whole)
            fletch_batch_release(ends.pool.cache, data.batch);
    }
    if (is_whole)
        fletch_flight_stream_done_writing(stream);
    else
        fletch_flight_stream_cancel(stream);
    return check(flight_ends_close(stream, &error)) && is_whole;
}

static bool ask(void)
{
    const char *path[] = {"some"};
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 1};
    const struct fletch_flight_info *info;
    struct fletch_error error;
    if (!check(
            fletch_flight_client_get_flight_info(ends.client, &call, &descriptor, &info, &error)))
        return false;
    fletch_flight_release(info);
    return true;
}

/* Returns how many calls failed. */
static int call_all(void)
{
    int failed = 0;
    for (int i = 0; i < ROUNDS; i++)
        failed += !get() + !put() + !ask();
    return failed;
}

static void each_allocation_may_fail(void **state)
{
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .backoff_first_ns = SECOND_NS / 1000,
                                                         .backoff_most_ns = SECOND_NS / 500};
    struct fletch_error error;
    uint64_t n = 0;
    (void)state;
    do {
        flight_ends_prepare(&ends);
        flight_ends_serve(&ends, NULL, 0);
        ends.allocator = &allocator;
        atomic_store(&memory.requests, 0);
        atomic_store(&memory.failures, 0);
        memory.fail_at = ++n;
        if (check(flight_ends_connect(&ends, &options, &error)))
            assert_true(call_all() <= 1); /* one call at most has met the failure */
        else
            assert_contains(error.message, "no memory");
        flight_ends_end(&ends);
        assert_int_equal(atomic_load(&memory.live), 0);
    } while (atomic_load(&memory.failures) != 0 && n < TRIES_MOST);
    assert_int_equal(atomic_load(&memory.failures), 0);
    assert_true(n > 30);
}

/* One run; true: everything was answered. */
static bool run(uint64_t fail_at)
{
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .backoff_first_ns = SECOND_NS / 1000,
                                                         .backoff_most_ns = SECOND_NS / 500};
    struct fletch_error error;
    atomic_store(&kernel.fail_at, 0);
    flight_ends_prepare(&ends);
    flight_ends_serve(&ends, NULL, 0);
    ends.allocator = &allocator;
    atomic_store(&kernel.counted, 0);
    atomic_store(&kernel.failures, 0);
    atomic_store(&kernel.fail_at, fail_at);
    assert_ok(flight_ends_connect(&ends, &options, &error));
    int failed = call_all() + !exchange();
    assert_true(failed <= 1); /* that of one connection */
    flight_ends_end(&ends);
    assert_int_equal(atomic_load(&memory.live), 0);
    return failed == 0;
}

static void fail_each(int calls, int number, bool is_harmless)
{
    uint64_t n = 0;
    kernel.calls = calls;
    kernel.number = number;
    memory.fail_at = 0;
    do {
        bool is_whole = run(++n);
        if (is_harmless || atomic_load(&kernel.failures) == 0)
            assert_true(is_whole);
    } while (atomic_load(&kernel.failures) != 0 && n < TRIES_MOST);
    assert_int_equal(atomic_load(&kernel.failures), 0);
    assert_true(n > 1);
    kernel.calls = 0;
}

static void interruptions_change_nothing(void **state)
{
    (void)state;
    fail_each(RECEIVE | SEND | ACCEPT, EINTR, true);
}

static void a_lost_connection_fails_its_call_alone(void **state)
{
    (void)state;
    fail_each(RECEIVE | SEND, ECONNRESET, false);
}

/* Calls wait for the connection that is made then. */
static void a_connection_that_cannot_be_made_is_made_again(void **state)
{
    (void)state;
    fail_each(ACCEPT, EMFILE, true);
    fail_each(ACCEPT, ECONNABORTED, true);
    fail_each(CONNECT, ECONNREFUSED, true);
    fail_each(OPEN, EMFILE, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interruptions_change_nothing),
        cmocka_unit_test(a_lost_connection_fails_its_call_alone),
        cmocka_unit_test(a_connection_that_cannot_be_made_is_made_again),
        cmocka_unit_test(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
