#ifndef FLETCH_TESTS_FUZZ_FED_NET_H
#define FLETCH_TESTS_FUZZ_FED_NET_H

#include <stdbool.h>

#include "net/net_io.h"

/* A network for one event loop on which one client calls, that is no socket: what it says are the
 * bytes of an input, a chunk in each turn of the loop; what it is told is counted and thrown away.
 * Listening is the system's. Its clock stands until it is turned. */

enum fed_end {
    FED_HANGS_UP, /* both ways */
    FED_RESETS,
    FED_IS_SILENT, /* for as long as the clock is turned; then it hangs up */
    FED_ENDS
};

struct fed_net {
    struct fletch_net_io io; /* for the loop */
    const uint8_t *next;
    size_t left;
    size_t chunk_bytes; /* of a turn; at least 1 */
    size_t send_bytes;  /* that it takes in a turn; 0: any number */
    /* What is going on. */
    bool has_called;
    bool is_connected;
    bool has_hung_up;
    bool has_reset;
    size_t chunk_left;
    size_t send_left;
    void *listener; /* whom to tell; NULL: nobody */
    void *connection;
    uint64_t clock_ns;
    uint64_t sent; /* bytes that it was told */
    uint8_t sum;   /* of them */
    uint64_t work; /* calls that moved something */
};

/* It stays where it is from here on. */
void fed_net_start(struct fed_net *net);

/* The next client, who calls in the next turn. */
void fed_net_call(struct fed_net *net, const uint8_t *bytes, size_t size);

/* It says no more, and is gone in the next turn. */
void fed_net_end(struct fed_net *net, enum fed_end end);

#endif
