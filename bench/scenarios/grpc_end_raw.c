/* Plain TCP as an end of bench_grpc: the floor. Writes of at most 1 MiB; what comes is read into
 * the memory of one message again and again. That begins with a page, as what is sent does: the
 * copies of the system go at a fraction of their speed on processors where the distance from source
 * to destination, modulo a page, is 1 to 31 bytes (AMD Zen 3), and malloc's is 16. */

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "grpc_end.h"

#define WRITE_BYTES ((size_t)1 << 20)
#define PAGE_BYTES ((size_t)4096)

/* How long to try to receive before sleeping. */
static long spin_ns;

/* What a client asks for: a stream; or, of 0 messages, its next `bytes` bytes back. */
struct raw_client {
    int fd;
    char *message;
    size_t capacity;
};

static void stop(const char *what)
{
    perror(what);
    exit(1);
}

static bool write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t done = send(fd, bytes, count < WRITE_BYTES ? count : WRITE_BYTES, MSG_NOSIGNAL);
        if (done <= 0)
            return false;
        bytes += done;
        count -= (size_t)done;
    }
    return true;
}

static long now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}

static ssize_t receive(int fd, char *bytes, size_t count)
{
    ssize_t done = -1;
    if (spin_ns > 0)
        for (long end = now_ns() + spin_ns; done < 0 && now_ns() < end;)
            done = recv(fd, bytes, count, MSG_DONTWAIT);
    return done < 0 ? recv(fd, bytes, count, 0) : done;
}

static bool read_all(int fd, char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t done = receive(fd, bytes, count);
        if (done <= 0)
            return false;
        bytes += done;
        count -= (size_t)done;
    }
    return true;
}

static void tune(int fd)
{
    const int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* ---- server ---- */

static bool answer(int fd)
{
    struct grpc_end_down wanted;
    char small[GRPC_END_SMALL];
    if (!read_all(fd, (char *)&wanted, sizeof wanted))
        return false;
    if (wanted.count == 0)
        return wanted.bytes <= sizeof small && read_all(fd, small, wanted.bytes) &&
               write_all(fd, small, wanted.bytes);
    for (uint64_t i = 0; i < wanted.count; i++)
        if (!write_all(fd, grpc_end_source(i, wanted.bytes), wanted.bytes))
            return false;
    return true;
}

static void serve(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, bytes) != 0 ||
        listen(listener, 1) != 0 || getsockname(listener, (struct sockaddr *)&address, &bytes) != 0)
        stop("listen");
    (void)grpc_end_source(0, WRITE_BYTES);
    grpc_end_say_port(ntohs(address.sin_port));
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            stop("accept");
        tune(fd);
        while (answer(fd))
            ;
        close(fd);
    }
}

/* ---- client ---- */

static bool stream(void *context, const struct grpc_end_down *wanted)
{
    struct raw_client *client = context;
    if (client->capacity < wanted->bytes) {
        free(client->message);
        client->capacity = (wanted->bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
        client->message = aligned_alloc(PAGE_BYTES, client->capacity);
    }
    if (client->message == NULL || !write_all(client->fd, (const char *)wanted, sizeof *wanted))
        return false;
    for (uint64_t i = 0; i < wanted->count; i++)
        if (!read_all(client->fd, client->message, wanted->bytes) ||
            !grpc_end_is_right(client->message, wanted->bytes, i))
            return false;
    return true;
}

static bool unary(void *context, size_t bytes)
{
    struct raw_client *client = context;
    const struct grpc_end_down wanted = {bytes, 0};
    char out[sizeof wanted + GRPC_END_SMALL] = {0}, back[GRPC_END_SMALL];
    memcpy(out, &wanted, sizeof wanted);
    return write_all(client->fd, out, sizeof wanted + bytes) && read_all(client->fd, back, bytes);
}

static int call(const char *port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)atoi(port)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct raw_client client = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    const struct grpc_end_client calls = {.stream = stream, .unary = unary, .context = &client};
    if (client.fd < 0 || connect(client.fd, (const struct sockaddr *)&address, sizeof address) != 0)
        stop("connect");
    tune(client.fd);
    int status = grpc_end_obey(&calls);
    free(client.message);
    return status;
}

/* Keeps the processor that it is pinned to from halting, and out of everybody's way. */
static void stay_awake(void)
{
    const struct sched_param none_at_all = {0};
    if (sched_setscheduler(0, SCHED_IDLE, &none_at_all) != 0)
        stop("idle priority");
    for (;;)
        (void)getppid();
}

int main(int argc, char **argv)
{
    grpc_end_begin();
    if (argc == 2 && strcmp(argv[1], "awake") == 0)
        stay_awake();
    bool serves = argc >= 2 && strcmp(argv[1], "serve") == 0;
    bool calls = argc >= 3 && strcmp(argv[1], "call") == 0;
    int at = calls ? 3 : 2; /* of the time to spin */
    spin_ns = argc > at ? strtol(argv[at], NULL, 10) : 0;
    if (serves)
        serve();
    if (calls)
        return call(argv[2]);
    (void)fprintf(stderr, "usage: %s serve [SPIN] | call PORT [SPIN] | awake\n", argv[0]);
    return 2;
}
