#ifndef FLETCH_TESTS_SUPPORT_ATTACKER_H
#define FLETCH_TESTS_SUPPORT_ATTACKER_H

#include "support/http2_user.h"
#include "support/rpc_scene.h"

/* A peer made by hand over a socket, client or server, on the thread of the scene's loop: it says
 * what a test has put into `out`, and keeps or leaves what it is told. */
struct attacker {
    int fd;
    int listening; /* -1: a client */
    struct wire out;
    size_t out_sent; /* of `out` */
    struct wire in;
    bool is_deaf; /* reads nothing */
    bool is_cut;  /* the other side has closed, and all that it had said was read */
    uint64_t bytes_sent;
    uint64_t bytes_read;
};

/* Connects to the scene's server, and shakes hands unless `is_mute`. */
void attacker_connect(struct attacker *attacker, struct rpc_scene *scene, bool is_mute);

/* Listens at a free port; accepts one connection, turning the loop until it comes, and says its
 * SETTINGS unless `is_mute`. */
void attacker_listen(struct attacker *attacker, struct fletch_socket_address *out_address);
void attacker_accept(struct attacker *attacker, struct rpc_scene *scene, bool is_mute);

/* Sends and reads what goes without waiting. */
void attacker_pump(struct attacker *attacker);

/* Turns of the loop, and pumps, until all is sent or the other side has closed. */
void attacker_flush(struct attacker *attacker, struct rpc_scene *scene);

/* The same until the other side has closed; fails the test after 20 s. */
void attacker_until_cut(struct attacker *attacker, struct rpc_scene *scene);

/* Closes its socket; what it was told is still there. */
void attacker_leave(struct attacker *attacker);

void attacker_end(struct attacker *attacker);

/* The code of the GOAWAY that it was told; UINT32_MAX: none. */
uint32_t attacker_told_code(const struct attacker *attacker);

/* An allocator that counts the bytes that live, and the most that ever did. */
struct memory_meter {
    struct fletch_allocator allocator;
    uint64_t live_bytes;
    uint64_t peak_bytes;
};
void memory_meter_start(struct memory_meter *meter);

#endif
