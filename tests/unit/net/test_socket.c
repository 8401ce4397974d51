#include "net/socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/cmocka_tests.h"
#include "support/failing_net.h"

static void addresses_are_read_and_written_alike(void **state)
{
    static const struct {
        const char *text;
        bool is_local;
        uint16_t port;
    } cases[] = {
        {"127.0.0.1:80", true, 80},        {"127.255.0.9:65535", true, 65535},
        {"192.0.2.1:0", false, 0},         {"[::1]:8080", true, 8080},
        {"[2001:db8::1]:1", false, 1},     {"[::ffff:127.0.0.1]:5", true, 5},
        {"[::ffff:10.0.0.1]:5", false, 5}, {"unix:/run/a socket", true, 0},
        {"unix:@abstract", true, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fletch_socket_address address;
        assert_ok(fletch_socket_address_parse(cases[i].text, &address, NULL));
        assert_string_equal(fletch_socket_address_text(&address).text, cases[i].text);
        assert_int_equal(fletch_socket_address_is_local(&address), cases[i].is_local);
        assert_int_equal(fletch_socket_address_port(&address), cases[i].port);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        ":",
        "80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:8x",
        "127.0.0.1: 8",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[127.0.0.1]:80",
        "[]:80",
        "[:80",
        "]:80",
        "localhost:80",
        "1.2.3:4",
        "unix:",
        "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]:1"};
    char path[200] = "unix:";
    struct fletch_socket_address address;
    struct fletch_error error;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(fletch_socket_address_parse(texts[i], &address, &error),
                         FLETCH_INVALID_ARGUMENT);
        assert_contains(error.message, texts[i] + (strncmp(texts[i], "unix:", 5) == 0 ? 5 : 0));
    }
    memset(path + 5, 'p', 107);
    assert_ok(fletch_socket_address_parse(path, &address, NULL));
    assert_string_equal(fletch_socket_address_text(&address).text, path);
    path[5 + 107] = 'p';
    assert_int_equal(fletch_socket_address_parse(path, &address, &error), FLETCH_INVALID_ARGUMENT);
    assert_contains(error.message, "107");
}

static void names_are_looked_up(void **state)
{
    struct fletch_socket_address found[4];
    struct fletch_socket_addresses into = {.addresses = found, .capacity = 4};
    struct fletch_error error;
    (void)state;
    assert_ok(fletch_socket_resolve("127.0.0.1", 77, &into, NULL));
    assert_int_equal(into.count, 1);
    assert_string_equal(fletch_socket_address_text(&found[0]).text, "127.0.0.1:77");
    assert_ok(fletch_socket_resolve("localhost", 78, &into, NULL));
    assert_in_range(into.count, 1, 4);
    assert_true(fletch_socket_address_is_local(&found[0]));
    assert_int_equal(fletch_socket_address_port(&found[0]), 78);
    into.capacity = 1;
    assert_ok(fletch_socket_resolve("localhost", 78, &into, NULL));
    assert_int_equal(into.count, 1);
    /* A label of more than 63 bytes: no server need be asked. */
    static const char no_host[] =
        "a-label-that-is-longer-than-any-label-of-a-host-may-ever-be-says-the-standard.example";
    assert_int_not_equal(fletch_socket_resolve(no_host, 1, &into, &error), FLETCH_OK);
    assert_contains(error.message, no_host);
}

static void listening_where_somebody_does_is_refused(void **state)
{
    struct fletch_socket_listening listening = {.io = &fletch_net_system_io, .backlog = 4};
    struct fletch_socket_address bound;
    struct fletch_socket_address unused;
    struct fletch_error error;
    int first;
    int second;
    (void)state;
    assert_ok(fletch_socket_address_parse("127.0.0.1:0", &listening.address, NULL));
    listening.shares_port = true;
    assert_ok(fletch_socket_listen(&listening, &first, &bound, NULL));
    assert_int_not_equal(fletch_socket_address_port(&bound), 0);
    listening.address = bound;
    listening.joins_port = true;
    assert_ok(fletch_socket_listen(&listening, &second, &unused, NULL));
    close(second);
    /* Another process that would share as well, and one that would not. */
    listening.joins_port = false;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fletch_socket_listen(&listening, &second, &unused, &error),
                         FLETCH_ALREADY_EXISTS);
        assert_contains(error.message, fletch_socket_address_text(&bound).text);
        listening.shares_port = false;
    }
    close(first);
}

static void listening_with_the_nth_failure(void **state)
{
    struct fletch_error error;
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct failing_net net;
        failing_net_start(&net);
        net.fail_at = n;
        net.number = ENOBUFS;
        struct fletch_socket_listening listening = {
            .io = &net.io, .backlog = 4, .shares_port = true};
        struct fletch_socket_address bound;
        int fd;
        assert_ok(fletch_socket_address_parse("127.0.0.1:0", &listening.address, NULL));
        if (fletch_socket_listen(&listening, &fd, &bound, &error) == FLETCH_OK) {
            assert_int_equal(n, 6); /* socket, two options, bind, listen */
            net.io.close(&net, fd);
            assert_int_equal(net.descriptors, 0);
            break;
        }
        assert_int_equal(error.status, FLETCH_RESOURCE_EXHAUSTED);
        assert_contains(error.message, "127.0.0.1:0");
        assert_int_equal(net.descriptors, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written_alike),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(names_are_looked_up),
        cmocka_unit_test(listening_where_somebody_does_is_refused),
        cmocka_unit_test(listening_with_the_nth_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
