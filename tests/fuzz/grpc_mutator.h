#ifndef FLETCH_TESTS_FUZZ_GRPC_MUTATOR_H
#define FLETCH_TESTS_FUZZ_GRPC_MUTATOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"

/* Changes a payload of `size` bytes in place, to at most `max_size`, and returns its size. */
typedef size_t grpc_inner_mutator(uint8_t *bytes, size_t size, size_t max_size,
                                  struct fletch_random *random);

/* Changes what a client of gRPC says (fuzz/talk.h) by its frames: one goes, comes twice or changes
 * its place, its head says something else, or its payload changes, whereupon the lengths of frame
 * and message are put right mostly. Returns the new size; 0: there are no frames. */
size_t grpc_mutate(uint8_t *bytes, size_t size, size_t max_size, struct fletch_random *random,
                   grpc_inner_mutator *inner);

/* An inner mutator: bits, bytes and parts, at random. */
size_t grpc_mutate_payload(uint8_t *bytes, size_t size, size_t max_size,
                           struct fletch_random *random);

#endif
