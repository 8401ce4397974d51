/* The server of Arrow's integration tests for Flight: a scenario in each run, or the base case, in
 * which it keeps what is put.
 *
 *   flight_integration_server [-port N] [-scenario NAME] */

#include <signal.h>
#include <stdio.h>

#include "flight_interop.h"
#include "flight_scenarios.h"

int main(int argc, char **argv)
{
    const struct interop_flags flags = interop_flags_parse(argc, argv);
    const struct fletch_flight_handlers *handlers = interop_handlers(flags.scenario);
    struct fletch_flight_server *server;
    struct fletch_error error;
    sigset_t signals;
    char location[64];
    int signal;
    if (handlers == NULL) {
        (void)fprintf(stderr, "there is no scenario %s\n", flags.scenario);
        return 2;
    }
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    (void)snprintf(location, sizeof location, "grpc+tcp://%s:%u", flags.host, flags.port);
    const struct fletch_flight_server_options options = {.struct_size = sizeof options,
                                                         .location = location,
                                                         .handlers = handlers,
                                                         .loop_count = 1,
                                                         .worker_limit = 1,
                                                         .pool = interop_pool()};
    interop_check("the server", fletch_flight_server_create(&options, &server, &error), &error);
    interop_set_location(fletch_flight_server_location(server));
    (void)printf("Server listening on localhost:%u\n", fletch_flight_server_port(server));
    (void)fflush(stdout);
    (void)sigwait(&signals, &signal);
    fletch_flight_server_destroy(server);
    return 0;
}
