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

/* A number that the bytes have, for what else is to be chosen by them. */
static inline uint64_t fuzz_number(const uint8_t *bytes, size_t size)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001B3);
    return hash >> 16;
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
