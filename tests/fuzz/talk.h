#ifndef FLETCH_TESTS_FUZZ_TALK_H
#define FLETCH_TESTS_FUZZ_TALK_H

#include "base/random.h"
#include "http2/http2_frame.h"

/* What one peer of HTTP/2 says, as its bytes, behind two that tell a target how it is fed: made of
 * frames, damaged, written down for fuzzers to begin with. */

enum { TALK_BYTES_MOST = 1 << 18, TALK_OPTIONS = 2, TALK_WRITTEN = 64 };

struct talk {
    uint8_t bytes[TALK_BYTES_MOST];
    size_t size;
};

/* Forgets what was said. */
void talk_begin(struct talk *talk, uint8_t first, uint8_t second);

/* What does not fit as a whole is left out. */
void talk_frame(struct talk *talk, struct fletch_http2_head head, const void *payload);

/* Flips some bits, or none, and sometimes cuts the end off. */
void talk_damage(struct talk *talk, struct fletch_random *random);

/* A file "`kind`-`number`" in `folder`; what cannot be written ends the program. */
void talk_write(const struct talk *talk, const char *folder, const char *kind, uint64_t number);

#endif
