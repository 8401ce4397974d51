#include "flight_kit.h"

#include <signal.h>
#include <stdio.h>

#include "kit.h"

struct fletch_flight_server *serve_flight(const char *location,
                                          const struct fletch_flight_handlers *handlers)
{
    const struct fletch_flight_server_options options = {
        .struct_size = sizeof options, .location = location, .handlers = handlers};
    struct fletch_flight_server *server;
    struct fletch_error error;
    sigset_t signals;
    int signal;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL); /* in all threads that are started from here */
    must(fletch_flight_server_create(&options, &server, &error), &error);
    printf("%s\n", fletch_flight_server_location(server));
    fflush(stdout);
    (void)sigwait(&signals, &signal);
    if (fletch_flight_server_drain(server, UINT64_C(10000000000), &error) != FLETCH_OK)
        fprintf(stderr, "%s\n", error.message);
    return server;
}
