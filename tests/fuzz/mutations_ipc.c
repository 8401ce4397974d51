/* Golden files, damaged: cut at each byte, with bits flipped, with numbers replaced by extreme
 * ones, and where their structure says something.
 *
 *   mutations_ipc SEED TRIALS FILE...        TRIALS: of bits and of numbers, for each file; of cuts
 *                                          20 times as many, or one at each byte */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "fuzz/ipc_input.h"
#include "fuzz/ipc_mutator.h"

enum { CUTS_EACH = 20, CHANGES_MOST = 4 };

struct golden {
    const char *path;
    uint8_t *bytes;
    size_t size;
};

struct counts {
    uint64_t tried;
    uint64_t refused;
};

static struct golden load(const char *path)
{
    struct golden golden = {.path = path};
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
        perror(path);
        exit(2);
    }
    golden.size = (size_t)size;
    golden.bytes = malloc(golden.size + 8);
    rewind(file);
    if (golden.bytes == NULL || fread(golden.bytes, 1, golden.size, file) != golden.size) {
        perror(path);
        exit(2);
    }
    fclose(file);
    return golden;
}

static enum fletch_status try(struct ipc_input *input, const uint8_t *bytes, size_t size,
                              struct counts *counts)
{
    struct fletch_error error;
    enum fletch_status status = ipc_input_try(input, bytes, size, &error);
    counts->tried++;
    counts->refused += status != FLETCH_OK;
    return status;
}

/* At each byte, or at `trials` of them. */
static void cut(struct ipc_input *input, const struct golden *golden, uint64_t trials,
                struct counts *counts)
{
    uint64_t count = golden->size < trials ? golden->size : trials;
    for (uint64_t i = 0; i < count; i++)
        try(input, golden->bytes, (size_t)(golden->size * i / count), counts);
}

static void flip(struct ipc_input *input, const struct golden *golden, uint64_t trials,
                 struct fletch_random *random, struct counts *counts)
{
    uint8_t *bytes = malloc(golden->size);
    for (uint64_t i = 0; i < trials; i++) {
        memcpy(bytes, golden->bytes, golden->size);
        uint32_t flips = 1 + fletch_random_below(random, i % 4 == 0 ? 8 : 1);
        for (uint32_t k = 0; k < flips; k++)
            bytes[fletch_random_below(random, (uint32_t)golden->size)] ^=
                (uint8_t)(1U << fletch_random_below(random, 8));
        try(input, bytes, golden->size, counts);
    }
    free(bytes);
}

static const int64_t extremes[] = {0,         1,         -1,        7,         INT16_MAX, INT16_MIN,
                                   INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, UINT32_MAX};

static void replace(struct ipc_input *input, const struct golden *golden, uint64_t trials,
                    struct fletch_random *random, struct counts *counts)
{
    uint8_t *bytes = malloc(golden->size + 8);
    for (uint64_t i = 0; i < trials && golden->size >= 8; i++) {
        memcpy(bytes, golden->bytes, golden->size);
        size_t width = (size_t)2 << fletch_random_below(random, 3);
        size_t place = fletch_random_below(random, (uint32_t)(golden->size / width)) * width;
        int64_t value = extremes[fletch_random_below(random, sizeof extremes / sizeof extremes[0])];
        memcpy(bytes + place, &value, width);
        try(input, bytes, golden->size, counts);
    }
    free(bytes);
}

static void change(struct ipc_input *input, const struct golden *golden, uint64_t trials,
                   struct fletch_random *random, struct counts *counts)
{
    const size_t most = 2 * golden->size;
    uint8_t *bytes = malloc(most + 8);
    for (uint64_t i = 0; i < trials; i++) {
        size_t size = golden->size;
        memcpy(bytes, golden->bytes, size);
        for (uint32_t k = fletch_random_below(random, CHANGES_MOST) + 1; k > 0 && size > 0; k--)
            size = ipc_mutate(bytes, size, most, random);
        if (size > 0)
            try(input, bytes, size, counts);
    }
    free(bytes);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: mutations_ipc SEED TRIALS FILE...\n");
        return 2;
    }
    uint64_t seed = strtoull(argv[1], NULL, 10);
    uint64_t trials = strtoull(argv[2], NULL, 10);
    struct fletch_random random = fletch_random_from_seed(seed);
    struct counts counts = {0};
    struct ipc_input input;
    ipc_input_start(&input);
    for (int i = 3; i < argc; i++) {
        struct golden golden = load(argv[i]);
        try(&input, golden.bytes, golden.size, &counts);
        cut(&input, &golden, CUTS_EACH * trials, &counts);
        flip(&input, &golden, trials, &random, &counts);
        replace(&input, &golden, trials, &random, &counts);
        change(&input, &golden, trials, &random, &counts);
        free(golden.bytes);
    }
    ipc_input_end(&input);
    printf("seed %" PRIu64 ": %" PRIu64 " inputs, %" PRIu64 " refused\n", seed, counts.tried,
           counts.refused);
    /* Damage that nobody notices is possible, that none is noticed is not. */
    return counts.refused > counts.tried / 4 ? 0 : 1;
}
