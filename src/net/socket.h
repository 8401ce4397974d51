#ifndef FLETCH_NET_SOCKET_H
#define FLETCH_NET_SOCKET_H

/* Addresses of TCP and Unix sockets, and sockets that are set up. Nothing here blocks but
 * fletch_socket_resolve. */

#include <netinet/in.h>
#include <stddef.h>
#include <sys/un.h>

#include "net/net_io.h"

struct fletch_socket_address {
    socklen_t bytes; /* in use */
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
        struct sockaddr_un unix_path;
    } as;
};

/* "192.0.2.1:80", "[2001:db8::1]:80", "unix:/path", "unix:@name" (abstract: no file).
 * INVALID_ARGUMENT: none of these, or too long a path. */
enum fletch_status fletch_socket_address_parse(const char *text,
                                               struct fletch_socket_address *out_address,
                                               struct fletch_error *error);

/* Where the addresses of a name go. */
struct fletch_socket_addresses {
    struct fletch_socket_address *addresses;
    size_t capacity;
    size_t count;
};

/* Asks the system for the addresses of a host, in its order of preference, as many as fit. Blocks:
 * not for a loop's thread. NOT_FOUND: no such host; UNAVAILABLE: no answer. */
enum fletch_status fletch_socket_resolve(const char *host, uint16_t port,
                                         struct fletch_socket_addresses *into,
                                         struct fletch_error *error);

/* An address as parse takes it. */
enum { FLETCH_SOCKET_TEXT_BYTES = 128 };
struct fletch_socket_text {
    char text[FLETCH_SOCKET_TEXT_BYTES];
};
struct fletch_socket_text fletch_socket_address_text(const struct fletch_socket_address *address);

/* 127.0.0.0/8, ::1, and Unix sockets' paths. */
bool fletch_socket_address_is_local(const struct fletch_socket_address *address);

/* The port of an address of TCP, in the order of the host; 0 for others. */
uint16_t fletch_socket_address_port(const struct fletch_socket_address *address);

/* Opens a socket that listens. `shares_port`: others may join it at the same address, and the
 * system deals connections out among them; `joins_port`: it is one of those others. `*out_bound`:
 * where it listens: the port, where that was 0. */
struct fletch_socket_listening {
    const struct fletch_net_io *io;
    struct fletch_socket_address address;
    int backlog;
    bool shares_port;
    bool joins_port;
};
enum fletch_status fletch_socket_listen(const struct fletch_socket_listening *listening,
                                        int *out_fd, struct fletch_socket_address *out_bound,
                                        struct fletch_error *error);

/* Sets a stream up as connections want it, as far as the system lets us: segments leave at once,
 * and a peer on this host gets a congestion control that does not pace (as a system's default may,
 * at half the speed). */
void fletch_socket_tune(const struct fletch_net_io *io, int fd,
                        const struct fletch_socket_address *peer);

#endif
