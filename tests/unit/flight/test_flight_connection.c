#include <fletching/fletching.h>

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "support/cmocka_tests.h"
#include "support/flight_ends.h"
#include "support/team.h"

/* Connections of a client to hosts that move, that do not answer or say too little, and to peers
 * that are made by hand. */

#define MS_NS UINT64_C(1000000)

enum { LOCATION_BYTES = 64 };

static struct flight_ends ends;
static struct fletch_error error;

static struct fletch_flight_client_counters counters(void)
{
    struct fletch_flight_client_counters found = {.struct_size = sizeof found};
    fletch_flight_client_statistics(ends.client, &found);
    return found;
}

static void start(const struct fletch_flight_client_options *options)
{
    flight_ends_prepare(&ends);
    flight_ends_serve(&ends, NULL, 0);
    assert_ok(flight_ends_connect(&ends, options, &error));
}

static void check_end(struct fletch_flight_stream *stream, const char *status)
{
    assert_string_equal(fletch_status_name(flight_ends_close(stream, &error)), status);
}

static void check_get(const struct fletch_flight_call_options *options)
{
    struct fletch_flight_stream *stream = flight_ends_get(&ends, options, "3");
    assert_int_equal(flight_ends_read(&ends, stream, 10), 3);
    check_end(stream, "OK");
}

static enum fletch_status get(const struct fletch_flight_call_options *options)
{
    const struct fletch_flight_bytes ticket = {"3", 1};
    struct fletch_flight_stream *stream = NULL;
    enum fletch_status status =
        fletch_flight_client_do_get(ends.client, options, &ticket, &stream, &error);
    return status == FLETCH_OK ? flight_ends_close(stream, &error) : status;
}

/* ---- names, which this program looks up by itself ---- */

static struct {
    _Atomic uint32_t address; /* of "moving.test" */
    _Atomic uint32_t waiting; /* who look up "slow.test" */
    _Atomic uint32_t go_on;
} names;

int getaddrinfo(const char *restrict host, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict out_found)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in address;
    } * found;
    (void)service;
    (void)hints;
    if (strcmp(host, "slow.test") == 0) {
        atomic_fetch_add(&names.waiting, 1);
        while (atomic_load(&names.go_on) == 0)
            fletch_thread_yield();
    }
    if (strcmp(host, "moving.test") != 0)
        return EAI_NONAME;
    found = calloc(1, sizeof *found);
    if (found == NULL)
        return EAI_MEMORY;
    found->address = (struct sockaddr_in){.sin_family = AF_INET,
                                          .sin_addr = {htonl(atomic_load(&names.address))}};
    found->info = (struct addrinfo){.ai_family = AF_INET,
                                    .ai_addr = (struct sockaddr *)&found->address,
                                    .ai_addrlen = sizeof found->address};
    *out_found = &found->info;
    return 0;
}

void freeaddrinfo(struct addrinfo *found)
{
    free(found);
}

static void a_name_that_is_none_takes_no_connection(void **state)
{
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .connection_limit = 2};
    const struct fletch_flight_call_options call = {.struct_size = sizeof call,
                                                    .location = "grpc://none.test:1"};
    (void)state;
    start(&options);
    assert_int_equal(get(&call), FLETCH_NOT_FOUND);
    assert_contains(error.message, "'none.test'");
    assert_int_equal(counters().connections_free, 2);
    flight_ends_end(&ends);
}

static void look_up_slowly(void *context)
{
    const struct fletch_flight_call_options call = {.struct_size = sizeof call,
                                                    .location = "grpc://slow.test:1"};
    const struct fletch_flight_bytes ticket = {"3", 1};
    struct fletch_flight_stream *stream;
    *(enum fletch_status *)context =
        fletch_flight_client_do_get(ends.client, &call, &ticket, &stream, NULL);
}

static void a_name_that_takes_long_takes_no_connection(void **state)
{
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .connection_limit = 1};
    const struct fletch_flight_call_options call = {.struct_size = sizeof call,
                                                    .timeout_ns = 20000 * MS_NS};
    enum fletch_status status = FLETCH_OK;
    const struct team_role role = {.run = look_up_slowly, .context = &status};
    struct team team;
    (void)state;
    start(&options);
    team_start(&team, &role, 1);
    while (atomic_load(&names.waiting) == 0)
        fletch_thread_yield();
    check_get(&call);
    atomic_store(&names.go_on, 1);
    team_join(&team);
    assert_int_equal(status, FLETCH_NOT_FOUND);
    flight_ends_end(&ends);
}

static void a_host_that_moves_is_found_again(void **state)
{
    const struct fletch_flight_client_options options = {
        .struct_size = sizeof options, .backoff_first_ns = MS_NS, .backoff_most_ns = 2 * MS_NS};
    char location[LOCATION_BYTES];
    const struct fletch_flight_call_options call = {
        .struct_size = sizeof call, .location = location, .timeout_ns = 20000 * MS_NS};
    uint64_t deadline_ns = fletch_clock_deadline_ns(20000 * MS_NS);
    (void)state;
    start(&options);
    (void)snprintf(location, sizeof location, "grpc://moving.test:%u",
                   fletch_flight_server_port(ends.server));
    atomic_store(&names.address, INADDR_LOOPBACK + 1); /* where nobody listens */
    assert_int_equal(get(&call), FLETCH_UNAVAILABLE);
    assert_int_equal(counters().connections_paused, 1);
    atomic_store(&names.address, INADDR_LOOPBACK);
    while (get(&call) != FLETCH_OK)
        assert_true(fletch_clock_remaining_ns(deadline_ns) > 0);
    flight_ends_end(&ends);
}

/* ---- hosts that do not answer ---- */

/* A socket with a port, and its location. */
static int take_port(char location[LOCATION_BYTES])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    (void)snprintf(location, LOCATION_BYTES, "grpc://127.0.0.1:%d", ntohs(address.sin_port));
    return fd;
}

static void who_waits_for_the_dead_makes_room(void **state)
{
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .connection_limit = 1};
    char location[LOCATION_BYTES];
    struct fletch_flight_call_options dead = {
        .struct_size = sizeof dead, .location = location, .waits_for_ready = true};
    struct fletch_flight_call_options call = {
        .struct_size = sizeof call, .timeout_ns = 20 * MS_NS, .waits_for_ready = true};
    (void)state;
    start(&options);
    int fd = take_port(location);
    struct fletch_flight_stream *stream = flight_ends_get(&ends, &dead, "3");
    while (counters().connections_paused == 0)
        fletch_thread_yield();
    assert_int_equal(get(&call), FLETCH_RESOURCE_EXHAUSTED); /* it waits as patiently */
    assert_contains(error.message, "1 paused");
    call.waits_for_ready = false;
    call.timeout_ns = 20000 * MS_NS;
    check_get(&call);
    check_end(stream, "UNAVAILABLE");
    assert_contains(error.message, "another location needs this one");
    close(fd);
    flight_ends_end(&ends);
}

static void drain(void *context)
{
    *(enum fletch_status *)context = fletch_flight_server_drain(ends.server, 20000 * MS_NS, NULL);
}

/* A call on a connection that the server is closing is none that waits: nobody asks for its slot
 * without end. */
static void who_needs_what_is_used_sleeps(void **state)
{
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .connection_limit = 1};
    const struct fletch_flight_call_options call = {
        .struct_size = sizeof call, .location = "grpc://127.0.0.1:1", .timeout_ns = 2000 * MS_NS};
    enum fletch_status drained = FLETCH_OK;
    const struct team_role role = {.run = drain, .context = &drained};
    struct team team;
    (void)state;
    start(&options);
    struct fletch_flight_stream *stream = flight_ends_get(&ends, NULL, "endless");
    assert_int_equal(flight_ends_read(&ends, stream, 1), 1);
    team_start(&team, &role, 1);
    while (counters().connections_paused == 0) /* its port is closed by then */
        fletch_thread_yield();
    clock_t before = clock();
    assert_int_equal(get(&call), FLETCH_RESOURCE_EXHAUSTED);
    clock_t spent = clock() - before;
    fletch_flight_stream_close(stream);
    team_join(&team);
    assert_ok(drained);
    assert_true(spent < CLOCKS_PER_SEC); /* of processors, while it waited for 2 s */
    flight_ends_end(&ends);
}

static void a_server_that_says_nothing_is_none(void **state)
{
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .connect_timeout_ns = 50 * MS_NS};
    char location[LOCATION_BYTES];
    const struct fletch_flight_call_options call = {
        .struct_size = sizeof call, .location = location, .timeout_ns = 9000 * MS_NS};
    (void)state;
    start(&options);
    int fd = take_port(location);
    assert_int_equal(listen(fd, 10), 0);
    assert_int_equal(get(&call), FLETCH_UNAVAILABLE);
    close(fd);
    flight_ends_end(&ends);
}

/* ---- peers made by hand ---- */

enum { DATA, HEADERS, SETTINGS = 4, ACKNOWLEDGED = 1, PREFACE_BYTES = 24, HEAD_BYTES = 9 };

static struct {
    int listening, fd;
    _Atomic uint32_t headers;      /* calls that have come */
    _Atomic uint32_t acknowledged; /* limits that the client has heard of */
} peer;

static void send_frame(uint8_t type, uint8_t flags, uint8_t stream, const char *payload,
                       uint8_t bytes)
{
    uint8_t frame[HEAD_BYTES + UINT8_MAX] = {0, 0, bytes, type, flags, 0, 0, 0, stream};
    memcpy(frame + HEAD_BYTES, payload, bytes);
    assert_int_equal(send(peer.fd, frame, HEAD_BYTES + (size_t)bytes, MSG_NOSIGNAL),
                     HEAD_BYTES + bytes);
}

static void limit_calls(char count)
{
    const char limit[] = {0, 3, 0, 0, 0, count};
    send_frame(SETTINGS, 0, 0, limit, sizeof limit);
}

/* Headers of a call's beginning: ":status" of the static table, and one written out. */
static void answer(void)
{
    static const char headers[] = "\x88\x00\x0c"
                                  "content-type"
                                  "\x10"
                                  "application/grpc";
    static const char empty[5]; /* a message without bytes */
    send_frame(HEADERS, 4, 1, headers, sizeof headers - 1);
    send_frame(DATA, 0, 1, empty, sizeof empty);
    send_frame(DATA, 0, 1, empty, sizeof empty);
}

static void read_frames(void *context)
{
    uint8_t bytes[1 << 14];
    bool answers = *(const bool *)context;
    peer.fd = accept(peer.listening, NULL, NULL);
    assert_int_equal(recv(peer.fd, bytes, PREFACE_BYTES, MSG_WAITALL), PREFACE_BYTES);
    limit_calls(answers ? 1 : 0);
    while (recv(peer.fd, bytes, HEAD_BYTES, MSG_WAITALL) == HEAD_BYTES) {
        size_t length = (size_t)bytes[1] << 8 | bytes[2];
        uint8_t type = bytes[3], flags = bytes[4];
        if (length != 0 && recv(peer.fd, bytes, length, MSG_WAITALL) != (ssize_t)length)
            break;
        if (type == SETTINGS && flags == ACKNOWLEDGED)
            atomic_fetch_add(&peer.acknowledged, 1);
        else if (type == SETTINGS)
            send_frame(SETTINGS, ACKNOWLEDGED, 0, "", 0);
        if (type != HEADERS)
            continue;
        atomic_fetch_add(&peer.headers, 1);
        if (answers)
            answer();
    }
}

/* A client of the peer. */
static void start_peer(struct team *team, const struct team_role *role)
{
    char location[LOCATION_BYTES];
    const struct fletch_flight_client_options options = {.struct_size = sizeof options,
                                                         .location = location};
    flight_ends_prepare(&ends);
    peer.listening = take_port(location);
    assert_int_equal(listen(peer.listening, 1), 0);
    atomic_store(&peer.headers, 0);
    atomic_store(&peer.acknowledged, 0);
    team_start(team, role, 1);
    assert_ok(flight_ends_connect(&ends, &options, &error));
}

static void end_peer(struct team *team)
{
    fletch_flight_client_destroy(ends.client);
    ends.client = NULL;
    team_join(team);
    close(peer.fd);
    close(peer.listening);
    flight_ends_end(&ends);
}

static void calls_go_on_when_the_server_takes_more(void **state)
{
    bool answers = false;
    const struct team_role role = {.run = read_frames, .context = &answers};
    struct fletch_flight_stream *streams[3];
    struct team team;
    (void)state;
    start_peer(&team, &role);
    streams[0] = flight_ends_get(&ends, NULL, "3"); /* which may go before the limit is known */
    while (atomic_load(&peer.acknowledged) == 0)
        fletch_thread_yield();
    for (int i = 1; i < 3; i++)
        streams[i] = flight_ends_get(&ends, NULL, "3");
    (void)usleep(20000);
    assert_true(atomic_load(&peer.headers) <= 1);
    assert_false(fletch_flight_stream_is_over(streams[1]));
    limit_calls(3);
    while (atomic_load(&peer.headers) < 3)
        fletch_thread_yield();
    for (int i = 0; i < 3; i++)
        fletch_flight_stream_close(streams[i]);
    end_peer(&team);
}

static void a_second_answer_is_one_too_many(void **state)
{
    bool answers = true;
    const struct team_role role = {.run = read_frames, .context = &answers};
    const char *path[] = {"some"};
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_PATH, .path = path, .path_count = 1};
    const struct fletch_flight_schema_result *schema;
    struct team team;
    (void)state;
    start_peer(&team, &role);
    assert_int_equal(
        fletch_flight_client_get_schema(ends.client, NULL, &descriptor, &schema, &error),
        FLETCH_INTERNAL);
    assert_contains(error.message, "more than one answer");
    end_peer(&team);
}

/* ---- processes ---- */

static void a_forked_child_has_no_client(void **state)
{
    int status = 0;
    (void)state;
    start(NULL);
    check_get(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        enum fletch_status answer_of_call = get(NULL);
        bool is_told = strstr(error.message, "this flight client") != NULL;
        fletch_flight_client_destroy(ends.client);
        _exit(answer_of_call == FLETCH_FAILED_PRECONDITION && is_told ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    check_get(NULL);
    flight_ends_end(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_is_none_takes_no_connection),
        cmocka_unit_test(a_name_that_takes_long_takes_no_connection),
        cmocka_unit_test(a_host_that_moves_is_found_again),
        cmocka_unit_test(who_waits_for_the_dead_makes_room),
        cmocka_unit_test(who_needs_what_is_used_sleeps),
        cmocka_unit_test(a_server_that_says_nothing_is_none),
        cmocka_unit_test(calls_go_on_when_the_server_takes_more),
        cmocka_unit_test(a_second_answer_is_one_too_many),
        cmocka_unit_test(a_forked_child_has_no_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
