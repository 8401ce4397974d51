#ifndef FLETCH_TESTS_FUZZ_GRPC_FEED_H
#define FLETCH_TESTS_FUZZ_GRPC_FEED_H

#include <stddef.h>
#include <stdint.h>

/* Any bytes, as a peer of gRPC would send them: to a client that has two calls under way, or to a
 * server. Messages of every other call go to a reader, piece by piece, the others to buffers. The
 * bytes are fed at once, byte by byte and in pieces, and what comes of each call must be the same:
 * so wrong predictions show, and whatever else depends on where bytes are cut. Then again with a
 * user that sends, finishes, cancels and lets messages wait. Whatever else happens ends the program
 * with a message.
 *
 * The first byte says which side it is (bit 0) and how large a reader's pieces are (the rest); the
 * second one how bytes are cut. Hands have been shaken before. */

void grpc_feed_start(void);
void grpc_feed_end(void);

/* Returns how many messages were whole. */
uint32_t grpc_feed_try(const uint8_t *bytes, size_t size);

#endif
