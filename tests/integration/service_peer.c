/* A shuffle server for tests in other languages. Arguments: words like budget=67108864. Prints its
 * location, serves until SIGTERM, drains, drops all shuffles and prints its counters. Status 1:
 * something has not come back. */

#include <fletching/fletching.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS_NS UINT64_C(1000000)
#define DRAIN_NS UINT64_C(2000000000)

static volatile sig_atomic_t has_been_told_to_end;

static void tell_to_end(int number)
{
    (void)number;
    has_been_told_to_end = 1;
}

static void check(enum fletch_status status, const struct fletch_error *error)
{
    if (status == FLETCH_OK)
        return;
    fprintf(stderr, "service_peer: %s\n", error->message);
    exit(1);
}

static void read_word(const char *word, struct fletch_transport_options *transport,
                      struct fletch_shuffle_server_options *server)
{
    const char *value = strchr(word, '=');
    if (value == NULL) {
        fprintf(stderr, "service_peer: '%s' has no value\n", word);
        exit(2);
    }
    const size_t bytes = (size_t)(value++ - word);
    const uint64_t number = strtoull(value, NULL, 10);
    const struct {
        const char *name;
        uint32_t *place;
    } numbers[] = {{"loops", &server->loop_count},
                   {"shuffles", &server->shuffle_limit},
                   {"partitions", &server->partition_limit},
                   {"producers", &server->producer_limit}};
    if (strncmp(word, "budget", bytes) == 0)
        transport->budget_bytes = number;
    else if (strncmp(word, "spill", bytes) == 0)
        server->spill_directory = value;
    else if (strncmp(word, "location", bytes) == 0)
        server->location = value;
    else if (strncmp(word, "credit_ms", bytes) == 0)
        server->credit_timeout_ns = number * MS_NS;
    else if (strncmp(word, "stall_ms", bytes) == 0)
        server->stall_timeout_ns = number * MS_NS;
    else if (strncmp(word, "message_bytes", bytes) == 0)
        server->peer_message_bytes = number;
    else if (strncmp(word, "shuffle_bytes", bytes) == 0)
        server->budget_limit_bytes = number;
    else if (strncmp(word, "creation", bytes) == 0)
        server->creation = (enum fletch_shuffle_creation)number;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (strlen(numbers[i].name) == bytes && strncmp(word, numbers[i].name, bytes) == 0)
            *numbers[i].place = (uint32_t)number;
}

static void tell_counters(struct fletch_shuffle_server *server)
{
    struct fletch_shuffle_server_counters found = {.struct_size = sizeof found};
    fletch_shuffle_server_statistics(server, &found);
    printf("{\"puts\": %" PRIu64 ", \"puts_now\": %" PRIu64 ", \"puts_lost\": %" PRIu64
           ", \"gets\": %" PRIu64 ", \"gets_now\": %" PRIu64 ", \"gets_broken\": %" PRIu64
           ", \"rows_put\": %" PRIu64 ", \"rows_got\": %" PRIu64 ", \"calls_now\": %" PRIu64 "}\n",
           found.puts, found.puts_now, found.puts_lost, found.gets, found.gets_now,
           found.gets_broken, found.rows_put, found.rows_got, found.calls_now);
}

int main(int argc, char **argv)
{
    struct fletch_transport_options transport_options = {.struct_size = sizeof transport_options};
    struct fletch_shuffle_server_options options = {.struct_size = sizeof options};
    struct fletch_transport *transport;
    struct fletch_shuffle_server *server;
    struct fletch_error error;
    for (int i = 1; i < argc; i++)
        read_word(argv[i], &transport_options, &options);
    (void)signal(SIGTERM, tell_to_end);
    check(fletch_transport_create(&transport_options, NULL, &transport, &error), &error);
    check(fletch_shuffle_server_create(transport, &options, &server, &error), &error);
    printf("%s\n", fletch_shuffle_server_location(server));
    fflush(stdout);
    while (!has_been_told_to_end)
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    if (fletch_shuffle_server_drain(server, DRAIN_NS, &error) != FLETCH_OK)
        fprintf(stderr, "service_peer: %s\n", error.message);
    check(fletch_shuffle_server_drop_all(server, &error), &error);
    tell_counters(server);
    fletch_shuffle_server_destroy(server);
    struct fletch_budget_statistics used = {.struct_size = sizeof used};
    fletch_account_statistics(fletch_transport_account(transport), &used);
    check(fletch_transport_destroy(transport, &error), &error);
    if (used.used_bytes != 0)
        fprintf(stderr, "service_peer: %" PRIu64 " bytes are charged\n", used.used_bytes);
    return used.used_bytes != 0;
}
