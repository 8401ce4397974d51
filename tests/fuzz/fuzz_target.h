#ifndef FLETCH_TESTS_FUZZ_FUZZ_TARGET_H
#define FLETCH_TESTS_FUZZ_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* A target is one file with one function, which takes any bytes. libFuzzer calls it with what it
 * thinks of; replay_files.c, without it, with files. What a target finds wrong ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static inline void fuzz_stop(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    abort();
}

/* The bytes of an input, one after the other; behind the last one zeros. */
struct fuzz_bytes {
    const uint8_t *next;
    size_t left;
};

static inline uint8_t fuzz_byte(struct fuzz_bytes *bytes)
{
    if (bytes->left == 0)
        return 0;
    bytes->left--;
    return *bytes->next++;
}

#endif
