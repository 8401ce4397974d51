#ifndef FLETCH_TESTS_FUZZ_FLIGHT_FEED_H
#define FLETCH_TESTS_FUZZ_FLIGHT_FEED_H

#include <stddef.h>
#include <stdint.h>

/* Any bytes, as all that a client says to a whole server of Flight: through the loop, HTTP/2, gRPC
 * and Flight to handlers over a small store (flight_store_fed.h). Whatever is said, the server
 * comes to rest, the connection ends when the client does, handlers end, and all memory comes back;
 * what does not ends the program with a message.
 *
 * The first byte says how the client ends (its two lowest bits) and how much it takes in a turn of
 * the loop, the second one how much it says in one; 0 is at once. */

void flight_feed_start(void);
void flight_feed_end(void);

/* What it came to. */
struct flight_fed {
    uint64_t calls;   /* that reached a method */
    uint64_t unknown; /* that did not */
    uint32_t tables;  /* that were put and kept */
    uint32_t batches_put;
    uint32_t batches_got;
    uint64_t sent; /* bytes that the client was told */
};

struct flight_fed flight_feed_try(const uint8_t *bytes, size_t size);

#endif
