#include "net/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- addresses ---- */

#define UNIX_PREFIX "unix:"
#define PATH_OFFSET offsetof(struct sockaddr_un, sun_path)

static enum fletch_status parse_unix(const char *path, struct fletch_socket_address *out_address,
                                     struct fletch_error *error)
{
    size_t length = strlen(path);
    size_t most = sizeof out_address->as.unix_path.sun_path - 1;
    if (length == 0 || length > most)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a unix socket's path of 1 to %zu bytes was expected, not '%s'",
                                most, path);
    struct sockaddr_un *address = &out_address->as.unix_path;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, path, length);
    out_address->bytes = (socklen_t)(PATH_OFFSET + length + 1);
    if (path[0] == '@') {
        address->sun_path[0] = 0;
        out_address->bytes--; /* of abstract names each byte counts */
    }
    return FLETCH_OK;
}

static bool parse_port(const char *text, uint16_t *out_port)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    unsigned long port = strtoul(text, &end, 10);
    *out_port = (uint16_t)port;
    return *end == 0 && port <= UINT16_MAX;
}

static void set_ipv4(struct fletch_socket_address *address, struct in_addr host, uint16_t port)
{
    address->as.ipv4 =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = host, .sin_port = htons(port)};
    address->bytes = sizeof address->as.ipv4;
}

static void set_ipv6(struct fletch_socket_address *address, struct in6_addr host, uint16_t port)
{
    address->as.ipv6 =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = host, .sin6_port = htons(port)};
    address->bytes = sizeof address->as.ipv6;
}

/* "host:port" or "[host]:port". */
static bool parse_ip(const char *text, struct fletch_socket_address *out_address)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN];
    uint16_t port;
    if (colon == NULL || !parse_port(colon + 1, &port))
        return false;
    bool brackets = text[0] == '[' && colon - text >= 2 && colon[-1] == ']';
    const char *begin = brackets ? text + 1 : text;
    size_t length = (size_t)(colon - begin) - brackets;
    if (length >= sizeof host)
        return false;
    memcpy(host, begin, length);
    host[length] = 0;
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (brackets && inet_pton(AF_INET6, host, &ipv6) == 1) {
        set_ipv6(out_address, ipv6, port);
        return true;
    }
    if (brackets || inet_pton(AF_INET, host, &ipv4) != 1)
        return false;
    set_ipv4(out_address, ipv4, port);
    return true;
}

enum fletch_status fletch_socket_address_parse(const char *text,
                                               struct fletch_socket_address *out_address,
                                               struct fletch_error *error)
{
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return parse_unix(text + strlen(UNIX_PREFIX), out_address, error);
    if (parse_ip(text, out_address))
        return FLETCH_OK;
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            "an address 'a.b.c.d:port', '[ipv6]:port' or 'unix:path' was expected, "
                            "not '%s'",
                            text);
}

static enum fletch_status resolve_failure(int failure, const char *host, struct fletch_error *error)
{
    if (failure == EAI_SYSTEM)
        return fletch_net_failure(error, errno, "looking up", host);
    enum fletch_status status = failure == EAI_NONAME ? FLETCH_NOT_FOUND : FLETCH_UNAVAILABLE;
    if (failure == EAI_MEMORY)
        status = FLETCH_RESOURCE_EXHAUSTED;
    return fletch_error_set(error, status, "looking up '%s': %s", host, gai_strerror(failure));
}

enum fletch_status fletch_socket_resolve(const char *host, uint16_t port,
                                         struct fletch_socket_addresses *into,
                                         struct fletch_error *error)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(host, NULL, &wanted, &found);
    if (failure != 0)
        return resolve_failure(failure, host, error);
    into->count = 0;
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next) {
        if (into->count == into->capacity)
            break;
        struct fletch_socket_address *address = &into->addresses[into->count];
        if (each->ai_family != AF_INET && each->ai_family != AF_INET6)
            continue;
        memcpy(&address->as, each->ai_addr, each->ai_addrlen);
        address->bytes = each->ai_addrlen;
        if (each->ai_family == AF_INET)
            address->as.ipv4.sin_port = htons(port);
        else
            address->as.ipv6.sin6_port = htons(port);
        into->count++;
    }
    freeaddrinfo(found);
    if (into->count == 0)
        return fletch_error_set(error, FLETCH_NOT_FOUND, "host '%s' has no address", host);
    return FLETCH_OK;
}

static void unix_text(const struct fletch_socket_address *address, struct fletch_socket_text *text)
{
    const struct sockaddr_un *path = &address->as.unix_path;
    if (address->bytes <= PATH_OFFSET) {
        snprintf(text->text, sizeof text->text, "unix:"); /* a client has no name */
        return;
    }
    bool is_abstract = path->sun_path[0] == 0;
    size_t length = address->bytes - PATH_OFFSET - is_abstract;
    snprintf(text->text, sizeof text->text, "unix:%s%.*s", is_abstract ? "@" : "", (int)length,
             path->sun_path + is_abstract);
}

struct fletch_socket_text fletch_socket_address_text(const struct fletch_socket_address *address)
{
    struct fletch_socket_text text;
    char host[INET6_ADDRSTRLEN] = "";
    unsigned port = fletch_socket_address_port(address);
    switch (address->as.any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &address->as.ipv4.sin_addr, host, sizeof host);
        snprintf(text.text, sizeof text.text, "%s:%u", host, port);
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &address->as.ipv6.sin6_addr, host, sizeof host);
        snprintf(text.text, sizeof text.text, "[%s]:%u", host, port);
        break;
    default:
        unix_text(address, &text);
    }
    return text;
}

bool fletch_socket_address_is_local(const struct fletch_socket_address *address)
{
    if (address->as.any.sa_family == AF_INET)
        return ntohl(address->as.ipv4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    if (address->as.any.sa_family == AF_INET6) {
        const struct in6_addr *host = &address->as.ipv6.sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(host) ||
               (IN6_IS_ADDR_V4MAPPED(host) && host->s6_addr[12] == IN_LOOPBACKNET);
    }
    return address->as.any.sa_family == AF_UNIX;
}

uint16_t fletch_socket_address_port(const struct fletch_socket_address *address)
{
    if (address->as.any.sa_family == AF_INET)
        return ntohs(address->as.ipv4.sin_port);
    return address->as.any.sa_family == AF_INET6 ? ntohs(address->as.ipv6.sin6_port) : 0;
}

/* ---- sockets ---- */

static bool set_number(const struct fletch_net_io *io, int fd, int level, int name)
{
    const int on = 1;
    const struct fletch_socket_option option = {
        .level = level, .name = name, .value = &on, .bytes = sizeof on};
    return io->set_option(io->context, fd, &option) == 0;
}

static int start_listening(const struct fletch_socket_listening *listening, int fd,
                           struct fletch_socket_address *out_bound)
{
    const struct fletch_net_io *io = listening->io;
    const struct fletch_socket_address *address = &listening->address;
    if (address->as.any.sa_family != AF_UNIX &&
        !set_number(io, fd, SOL_SOCKET, SO_REUSEADDR)) /* beside what is left of old connections */
        return errno;
    if (listening->joins_port && !set_number(io, fd, SOL_SOCKET, SO_REUSEPORT))
        return errno;
    if (io->bind(io->context, fd, &address->as.any, address->bytes) != 0)
        return errno;
    /* Only now: so it is refused where another process listens, whoever that would share with. */
    if (listening->shares_port && !listening->joins_port &&
        !set_number(io, fd, SOL_SOCKET, SO_REUSEPORT))
        return errno;
    if (io->listen(io->context, fd, listening->backlog) != 0)
        return errno;
    out_bound->bytes = sizeof out_bound->as;
    if (getsockname(fd, &out_bound->as.any, &out_bound->bytes) != 0)
        return errno;
    return 0;
}

enum fletch_status fletch_socket_listen(const struct fletch_socket_listening *listening,
                                        int *out_fd, struct fletch_socket_address *out_bound,
                                        struct fletch_error *error)
{
    const struct fletch_net_io *io = listening->io;
    struct fletch_socket_text text = fletch_socket_address_text(&listening->address);
    int fd = io->open(io->context, listening->address.as.any.sa_family);
    if (fd < 0)
        return fletch_net_failure(error, errno, "opening a socket for", text.text);
    int failure = start_listening(listening, fd, out_bound);
    if (failure != 0) {
        io->close(io->context, fd);
        return fletch_net_failure(error, failure, "listening at", text.text);
    }
    *out_fd = fd;
    return FLETCH_OK;
}

static bool set_congestion(const struct fletch_net_io *io, int fd, const char *name)
{
    const struct fletch_socket_option option = {.level = IPPROTO_TCP,
                                                .name = TCP_CONGESTION,
                                                .value = name,
                                                .bytes = (socklen_t)strlen(name)};
    return io->set_option(io->context, fd, &option) == 0;
}

void fletch_socket_tune(const struct fletch_net_io *io, int fd,
                        const struct fletch_socket_address *peer)
{
    if (peer->as.any.sa_family == AF_UNIX)
        return;
    set_number(io, fd, IPPROTO_TCP, TCP_NODELAY);
    if (fletch_socket_address_is_local(peer) && !set_congestion(io, fd, "cubic"))
        set_congestion(io, fd, "reno"); /* which is always permitted */
}
