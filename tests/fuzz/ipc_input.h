#ifndef FLETCH_TESTS_FUZZ_IPC_INPUT_H
#define FLETCH_TESTS_FUZZ_IPC_INPUT_H

#include <fletching/fletching.h>

#include <stddef.h>
#include <stdint.h>

/* Any bytes, read as IPC in every way there is. What comes out is OK or an error that says why;
 * what is read is whole, can be written again, and costs no more memory than the bytes explain.
 * Whatever else happens ends the program with a message. */

struct ipc_input {
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *cache;
    struct fletch_budget *budget;
    int file; /* in memory: the input, for what reads files */
};

void ipc_input_start(struct ipc_input *input);
void ipc_input_end(struct ipc_input *input);

/* An account for memory of one try. */
struct fletch_account *ipc_input_account(struct ipc_input *input, uint64_t limit_bytes);

/* Nothing may be charged to it any more. Returns the most that it was. */
uint64_t ipc_input_account_end(struct fletch_account *account, const char *what);

/* How reading from memory ended. */
enum fletch_status ipc_input_try(struct ipc_input *input, const uint8_t *bytes, size_t size,
                                 struct fletch_error *error);

/* A file, batch by batch from the last one to the first. */
void ipc_input_try_backwards(struct ipc_input *input, const uint8_t *bytes, size_t size);

#endif
