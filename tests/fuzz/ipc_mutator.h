#ifndef FLETCH_TESTS_FUZZ_IPC_MUTATOR_H
#define FLETCH_TESTS_FUZZ_IPC_MUTATOR_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"

/* Changes IPC in one place that means something: a number, offset, count or slot of the FlatBuffers
 * of a message or footer, or a whole message, which goes or comes twice. Returns the new size; 0:
 * no message was found. */
size_t ipc_mutate(uint8_t *bytes, size_t size, size_t max_size, struct fletch_random *random);

#endif
