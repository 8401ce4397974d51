#ifndef FLETCH_TESTS_FUZZ_HTTP2_FEED_H
#define FLETCH_TESTS_FUZZ_HTTP2_FEED_H

#include <stddef.h>
#include <stdint.h>

/* Any bytes, as a peer of HTTP/2 would send them: to a client that has a call under way, or to a
 * server. They are fed at once, byte by byte and in pieces, with places of several sizes, and what
 * comes of it must be the same: so wrong predictions show, and whatever else depends on where bytes
 * are cut. Then again with a user that sends, resets and releases in between. Whatever else happens
 * ends the program with a message.
 *
 * The first byte says which side it is (bit 0), whether hands have been shaken before (bit 1), and
 * how large places are (the rest); the second one how bytes are cut. */

void http2_feed_start(void);
void http2_feed_end(void);

/* Returns the code that the connection ended with, or -1. */
int64_t http2_feed_try(const uint8_t *bytes, size_t size);

#endif
