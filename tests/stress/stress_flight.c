#include <fletching/fletching.h>

#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/random.h"
#include "base/thread.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/flight_ends.h"
#include "support/team.h"

/* Calls of many threads at once that end at any moment: closed and cancelled in any state, also by
 * threads that only have a reference; with few workers; and with a server or a client that is
 * destroyed. Whatever happens, everything is given back. */

enum { WORKERS = 2, CROWD = 200, USERS = 4, CALLS = 60, SHELF = 8, STEPS_MOST = 6, ROUNDS = 20 };
#define MS_NS UINT64_C(1000000)

static struct test_arguments arguments;
static struct flight_ends ends;

static void start(uint32_t loops)
{
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .loop_count = loops};
    flight_ends_prepare(&ends);
    ends.worker_limit = WORKERS;
    flight_ends_serve(&ends, NULL, 0);
    assert_ok(flight_ends_connect(&ends, &options, NULL));
}

/* ---- few workers ---- */

static void a_crowd_waits_for_few_workers(void **state)
{
    struct fletch_flight_stream *streams[CROWD];
    struct fletch_error error;
    (void)state;
    start(1);
    for (uint32_t i = 0; i < CROWD; i++)
        streams[i] = flight_ends_get(&ends, NULL, "2");
    for (uint32_t i = 0; i < CROWD; i++) {
        assert_int_equal(flight_ends_read(&ends, streams[i], 10), 2);
        assert_int_equal(flight_ends_close(streams[i], &error), FLETCH_OK);
    }
    flight_ends_end(&ends);
}

/* Those that have a worker wait for their readers, who come last: the others wait for a worker, and
 * are cancelled there, unless they came before. */
static void those_without_a_worker_can_be_cancelled(void **state)
{
    struct fletch_flight_stream *streams[CROWD];
    struct fletch_error error;
    uint32_t cancelled = 0;
    (void)state;
    start(1);
    for (uint32_t i = 0; i < CROWD; i++)
        streams[i] = flight_ends_get(&ends, NULL, i < WORKERS ? "endless" : "1");
    for (uint32_t i = CROWD; i-- > 0;) {
        fletch_flight_stream_cancel(streams[i]);
        enum fletch_status status = flight_ends_close(streams[i], &error);
        assert_true(status == FLETCH_CANCELLED || (status == FLETCH_OK && i >= WORKERS));
        cancelled += status == FLETCH_CANCELLED;
    }
    assert_true(cancelled >= WORKERS);
    flight_ends_end(&ends);
}

/* ---- strangers ---- */

static _Atomic(struct fletch_flight_stream *) shelf[SHELF];
static _Atomic uint32_t users_left;

struct user {
    struct fletch_random random;
    uint32_t wrong; /* answers that cannot be */
    uint32_t begun;
    uint32_t written;
};

static struct fletch_flight_stream *begin_get(struct user *user)
{
    static const char *const tickets[] = {"endless", "3", "0", "hang"};
    const char *text = tickets[fletch_random_below(&user->random, 4)];
    const struct fletch_flight_bytes ticket = {text, strlen(text)};
    struct fletch_flight_stream *stream = NULL;
    return fletch_flight_client_do_get(ends.client, NULL, &ticket, &stream, NULL) == FLETCH_OK
               ? stream
               : NULL;
}

static struct fletch_flight_stream *begin_act(struct user *user)
{
    const struct fletch_flight_action action = {
        fletch_random_below(&user->random, 2) == 0 ? "hang" : "echo", {"body", 4}};
    struct fletch_flight_stream *stream = NULL;
    return fletch_flight_client_do_action(ends.client, NULL, &action, &stream, NULL) == FLETCH_OK
               ? stream
               : NULL;
}

static const struct fletch_flight_descriptor command = {.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
                                                        .command = {"c", 1}};

static struct fletch_flight_stream *begin_write(struct user *user)
{
    const struct fletch_flight_write_options options = {.struct_size = sizeof options,
                                                        .descriptor = &command};
    struct fletch_flight_stream *stream = NULL;
    enum fletch_status status =
        fletch_random_below(&user->random, 2) == 0
            ? fletch_flight_client_do_put(ends.client, NULL, &stream, NULL)
            : fletch_flight_client_do_exchange(ends.client, NULL, &command, &stream, NULL);
    if (status != FLETCH_OK)
        return NULL;
    status = fletch_flight_stream_begin(stream, ends.schema, &options, NULL);
    user->begun += status == FLETCH_OK; /* else the call is over already */
    return stream;
}

/* What a user does with a stream, whatever it is: some of it is refused. */
static void step(struct user *user, struct fletch_flight_stream *stream)
{
    const struct fletch_flight_output output = {.batch = ends.batch};
    uint64_t timeout_ns = fletch_random_below(&user->random, 2) * MS_NS;
    struct fletch_flight_data data = {.batch = NULL};
    struct fletch_flight_end end;
    const void *made = NULL;
    switch (fletch_random_below(&user->random, 6)) {
    case 0:
    case 1:
        if (fletch_flight_stream_read(stream, timeout_ns, &data, NULL) == FLETCH_DONE)
            fletch_batch_release(NULL, data.batch);
        break;
    case 2:
        user->written +=
            fletch_flight_stream_write(stream, timeout_ns, &output, NULL) == FLETCH_DONE;
        break;
    case 3:
        if (fletch_flight_stream_receive(stream, FLETCH_FLIGHT_PUT_RESULT, timeout_ns, &made,
                                         NULL) == FLETCH_DONE)
            fletch_flight_release(made);
        break;
    case 4:
        fletch_flight_stream_done_writing(stream);
        break;
    default:
        if (fletch_flight_stream_end(stream, timeout_ns, &end, NULL) == FLETCH_DONE)
            user->wrong += !fletch_flight_stream_is_over(stream);
    }
}

/* Gives a reference away, in place of another one. */
static void share(struct user *user, struct fletch_flight_stream *stream)
{
    struct fletch_flight_stream *given = fletch_flight_stream_acquire(stream);
    given = exchange_acq_rel(&shelf[fletch_random_below(&user->random, SHELF)], given);
    if (given != NULL)
        fletch_flight_stream_release(given);
}

static void use(void *context)
{
    struct user *user = context;
    for (uint64_t i = 0; i < CALLS * arguments.scale; i++) {
        struct fletch_flight_stream *stream;
        switch (fletch_random_below(&user->random, 4)) {
        case 0:
            stream = begin_act(user);
            break;
        case 1:
            stream = begin_get(user);
            break;
        default:
            stream = begin_write(user);
        }
        if (stream == NULL)
            continue;
        share(user, stream);
        for (uint32_t j = fletch_random_below(&user->random, STEPS_MOST); j > 0; j--)
            step(user, stream);
        fletch_flight_stream_close(stream);
    }
    fetch_sub_acq_rel(&users_left, 1);
}

static void meddle(void *context)
{
    struct user *user = context;
    while (load_acquire(&users_left) != 0) {
        struct fletch_flight_stream *stream =
            exchange_acq_rel(&shelf[fletch_random_below(&user->random, SHELF)], NULL);
        if (stream == NULL) {
            fletch_thread_yield();
            continue;
        }
        fletch_flight_stream_wake(stream);
        if (fletch_random_below(&user->random, 3) != 0)
            fletch_flight_stream_cancel(stream);
        fletch_flight_stream_cancel(stream);
        fletch_flight_stream_wake(stream);
        (void)fletch_flight_stream_is_over(stream);
        fletch_flight_stream_release(stream);
    }
}

/* Users, one who meddles with their calls, and perhaps one who does something else. */
static void run_users(void (*other)(void *context))
{
    struct user users[USERS + 1];
    struct team_role roles[USERS + 2];
    size_t count = USERS + 1;
    for (size_t i = 0; i < USERS + 1; i++) {
        users[i] = (struct user){.random = fletch_random_from_seed(arguments.seed + i)};
        roles[i] = (struct team_role){i < USERS ? use : meddle, &users[i]};
    }
    if (other != NULL)
        roles[count++] = (struct team_role){other, NULL};
    store_relaxed(&users_left, USERS); /* relaxed: the threads are started after it */
    team_run(roles, count);
    for (int i = 0; i < SHELF; i++) {
        struct fletch_flight_stream *left = exchange_acq_rel(&shelf[i], NULL);
        if (left != NULL) {
            fletch_flight_stream_cancel(left);
            fletch_flight_stream_release(left);
        }
    }
    for (size_t i = 0; i < USERS; i++)
        assert_int_equal(users[i].wrong, 0);
}

static void strangers_cancel_at_any_time(void **state)
{
    (void)state;
    start(2);
    run_users(NULL);
    flight_ends_end(&ends);
}

/* ---- what a writer is told ---- */

/* Of a call that ends while it writes: how, and not only that it has. */
static void writers_hear_how_their_call_has_ended(void **state)
{
    const struct fletch_flight_call_options options = {.struct_size = sizeof options,
                                                       .timeout_ns = 2 * MS_NS};
    const struct fletch_flight_write_options writing = {.struct_size = sizeof writing,
                                                        .descriptor = &command};
    struct fletch_error error;
    (void)state;
    start(1);
    const struct fletch_flight_output output = {.batch = ends.batch};
    for (uint64_t i = 0; i < 10 * ROUNDS * arguments.scale; i++) {
        struct fletch_flight_stream *stream;
        assert_ok(fletch_flight_client_do_put(ends.client, &options, &stream, &error));
        enum fletch_status status =
            fletch_flight_stream_begin(stream, ends.schema, &writing, &error);
        while (status == FLETCH_OK && fletch_flight_stream_write(stream, FLETCH_NO_TIMEOUT, &output,
                                                                 &error) == FLETCH_DONE)
            continue;
        assert_string_equal(fletch_status_name(error.status), "DEADLINE_EXCEEDED");
        fletch_flight_stream_close(stream);
    }
    flight_ends_end(&ends);
}

/* ---- ends of the whole ---- */

static void destroy_server(void *context)
{
    struct fletch_flight_server_counters counters = {.struct_size = sizeof counters};
    (void)context;
    while (counters.calls < USERS) {
        fletch_thread_yield();
        fletch_flight_server_statistics(ends.server, &counters);
    }
    fletch_flight_server_destroy(ends.server);
    ends.server = NULL;
}

static void a_server_is_destroyed_under_its_calls(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        start(1);
        arguments.seed += 100;
        run_users(destroy_server);
        flight_ends_end(&ends);
    }
}

static void a_client_is_destroyed_behind_its_last_close(void **state)
{
    (void)state;
    flight_ends_prepare(&ends);
    flight_ends_serve(&ends, NULL, 0);
    struct user user = {.random = fletch_random_from_seed(arguments.seed)};
    for (uint64_t i = 0; i < ROUNDS * arguments.scale; i++) {
        assert_ok(flight_ends_connect(&ends, NULL, NULL));
        struct fletch_flight_stream *stream = i % 2 == 0 ? begin_get(&user) : begin_write(&user);
        assert_non_null(stream);
        for (uint64_t j = 0; j < i % 4; j++)
            step(&user, stream);
        struct fletch_flight_stream *other = fletch_flight_stream_acquire(stream);
        fletch_flight_stream_close(stream);
        fletch_flight_client_destroy(ends.client);
        ends.client = NULL;
        fletch_flight_stream_cancel(other);
        fletch_flight_stream_wake(other);
        assert_true(fletch_flight_stream_is_over(other));
        fletch_flight_stream_release(other);
    }
    flight_ends_end(&ends);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crowd_waits_for_few_workers),
        cmocka_unit_test(those_without_a_worker_can_be_cancelled),
        cmocka_unit_test(strangers_cancel_at_any_time),
        cmocka_unit_test(writers_hear_how_their_call_has_ended),
        cmocka_unit_test(a_server_is_destroyed_under_its_calls),
        cmocka_unit_test(a_client_is_destroyed_behind_its_last_close),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
