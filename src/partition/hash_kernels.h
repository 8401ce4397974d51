#ifndef FLETCH_PARTITION_HASH_KERNELS_H
#define FLETCH_PARTITION_HASH_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* The inner loops of fletch-hash-1, over columns without nulls: for each processor a table of
 * functions that give bit for bit the same answers. Sources need no alignment; `words` and `hashes`
 * are arrays of 64-bit numbers. Nothing here allocates or fails. */

enum fletch_hash_integer {
    FLETCH_HASH_INT8,
    FLETCH_HASH_INT16,
    FLETCH_HASH_INT32,
    FLETCH_HASH_UINT8,
    FLETCH_HASH_UINT16,
    FLETCH_HASH_UINT32,
    FLETCH_HASH_INTEGERS
};

/* The map of virtual nodes by default: 2^node_bits nodes over the partitions. */
struct fletch_hash_spread {
    uint32_t node_mask;
    uint32_t partition_count;
    uint32_t node_bits;
};

typedef void fletch_hash_to_words(uint64_t *words, const uint8_t *source, size_t count);

struct fletch_hash_kernels {
    const char *name; /* "scalar", "avx2", "neon" */
    /* hashes[i] = step(start, words[i]), the words as bytes: a column of 64-bit integers is one. */
    void (*first)(uint64_t *hashes, uint64_t start, const uint8_t *words, size_t count);
    /* hashes[i] = step(hashes[i], words[i]) */
    void (*next)(uint64_t *hashes, const uint8_t *words, size_t count);
    /* The words of small integers, floats and doubles. */
    fletch_hash_to_words *integers[FLETCH_HASH_INTEGERS];
    fletch_hash_to_words *floats;
    fletch_hash_to_words *doubles;
    /* ids[i] = (hashes[i] & node_mask) * partition_count >> node_bits */
    void (*spread)(uint16_t *ids, const uint64_t *hashes, size_t count,
                   const struct fletch_hash_spread *spread);
};

/* The fastest that this processor runs. Any thread; does not block. */
const struct fletch_hash_kernels *fletch_hash_kernels_best(void);

/* Variant `index`, the scalar one first; NULL where there is none or this processor cannot run it.
 * For tests and benchmarks. */
const struct fletch_hash_kernels *fletch_hash_kernels_variant(size_t index);
enum { FLETCH_HASH_VARIANTS = 2 };

/* Defined where the processor has them: hash_avx2.c, hash_neon.c. */
extern const struct fletch_hash_kernels fletch_hash_scalar;
extern const struct fletch_hash_kernels fletch_hash_avx2;
extern const struct fletch_hash_kernels fletch_hash_neon;

#endif
