#include "unit/pump/pump_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/cmocka_tests.h"

static struct sockaddr_in address_of(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void cut_all(struct pump_proxy *proxy)
{
    const struct linger at_once = {.l_onoff = 1};
    for (uint32_t i = 0; i < proxy->pair_count; i++)
        for (int side = 0; side < 2; side++) {
            (void)setsockopt(proxy->pairs[i][side], SOL_SOCKET, SO_LINGER, &at_once,
                             sizeof at_once);
            close(proxy->pairs[i][side]);
        }
    proxy->pair_count = 0;
}

static void accept_one(struct pump_proxy *proxy)
{
    struct sockaddr_in target = address_of(proxy->target);
    int from = accept(proxy->listener, NULL, NULL);
    int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* relaxed: a test's flag */
    if (from >= 0 && to >= 0 && load_relaxed(&proxy->refuses) == 0 &&
        proxy->pair_count < PROXY_PAIRS_MOST &&
        connect(to, (struct sockaddr *)(void *)&target, sizeof target) == 0) {
        proxy->pairs[proxy->pair_count][0] = from;
        proxy->pairs[proxy->pair_count++][1] = to;
        return;
    }
    close(from);
    close(to);
}

/* Moves some bytes; false: the pair is to be cut. */
static bool forward(int from, int to, uint64_t *moved)
{
    char bytes[16384];
    ssize_t got = read(from, bytes, sizeof bytes);
    for (ssize_t at = 0; at < got;) {
        ssize_t put = write(to, bytes + at, (size_t)(got - at));
        if (put <= 0)
            return false;
        at += put;
    }
    *moved += got > 0 ? (uint64_t)got : 0;
    return got > 0;
}

static void forward_all(struct pump_proxy *proxy, const struct pollfd *fds, uint64_t *moved)
{
    uint32_t count = proxy->pair_count;
    for (uint32_t i = 0; i < 2 * count; i++) {
        int from = proxy->pairs[i / 2][i % 2];
        int to = proxy->pairs[i / 2][1 - i % 2];
        if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !forward(from, to, moved)) {
            cut_all(proxy);
            return;
        }
    }
}

/* Nothing comes through the connections there are any more, and they stay open. */
static void forget_all(struct pump_proxy *proxy)
{
    for (uint32_t i = 0; i < 2 * proxy->pair_count; i++)
        if (proxy->forgotten_count < 2 * PROXY_PAIRS_MOST)
            proxy->forgotten[proxy->forgotten_count++] = proxy->pairs[i / 2][i % 2];
    proxy->pair_count = 0;
}

static void run(void *context)
{
    struct pump_proxy *proxy = context;
    uint64_t moved = 0;
    while (load_relaxed(&proxy->stops) == 0) { /* relaxed: a test's flag */
        struct pollfd fds[2 * PROXY_PAIRS_MOST + 1];
        uint32_t count = 2 * proxy->pair_count;
        for (uint32_t i = 0; i < count; i++)
            fds[i] = (struct pollfd){.fd = proxy->pairs[i / 2][i % 2], .events = POLLIN};
        /* relaxed: a test's flag */
        if (proxy->pair_count != 0 && load_relaxed(&proxy->forgets) == 1) {
            store_relaxed(&proxy->forgets, 2); /* relaxed: the same */
            forget_all(proxy);
            continue;
        }
        if (load_relaxed(&proxy->holds) != 0) { /* relaxed: a test's flag */
            (void)usleep(10000);
            continue;
        }
        fds[count] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        if (poll(fds, count + 1, 20) <= 0)
            continue;
        forward_all(proxy, fds, &moved);
        if (fds[count].revents != 0)
            accept_one(proxy);
        uint64_t most = load_relaxed(&proxy->cut_after); /* relaxed: a test's number */
        if (most != 0 && moved >= most) {
            moved = 0;
            cut_all(proxy);
            (void)fetch_add_relaxed(&proxy->cuts, 1); /* relaxed: a test's number */
        }
    }
    cut_all(proxy);
    for (uint32_t i = 0; i < proxy->forgotten_count; i++)
        close(proxy->forgotten[i]);
}

void pump_proxy_start(struct pump_proxy *proxy, uint16_t target)
{
    const struct fletch_thread_options options = {
        .name = "proxy", .cpu = FLETCH_ANY_CPU, .run = run, .context = proxy};
    struct sockaddr_in address = address_of(0);
    socklen_t bytes = sizeof address;
    struct fletch_error error;
    *proxy = (struct pump_proxy){.target = target};
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(proxy->listener >= 0);
    assert_int_equal(bind(proxy->listener, (struct sockaddr *)(void *)&address, bytes), 0);
    assert_int_equal(listen(proxy->listener, 16), 0);
    assert_int_equal(getsockname(proxy->listener, (struct sockaddr *)(void *)&address, &bytes), 0);
    (void)snprintf(proxy->location, sizeof proxy->location, "grpc://127.0.0.1:%u",
                   (unsigned)ntohs(address.sin_port));
    assert_ok(fletch_thread_start(&proxy->thread, &options, &error));
}

void pump_proxy_end(struct pump_proxy *proxy)
{
    store_relaxed(&proxy->stops, 1); /* relaxed: a test's flag */
    fletch_thread_join(&proxy->thread);
    close(proxy->listener);
}
