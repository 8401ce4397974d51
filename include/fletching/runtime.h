#ifndef FLETCHING_RUNTIME_H
#define FLETCHING_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/export.h>

FLETCH_BEGIN_DECLS

/** What the library runs on, and what it has chosen because of that. Words are static. */
struct fletch_runtime {
    size_t struct_size;
    const char *processor;       /* "x86_64", "aarch64" */
    const char *hash_kernels;    /* "scalar", "avx2", "neon" */
    const char *scatter_kernels; /* "scalar", "avx2" */
    /** How sleepers and notifiers agree: "asymmetric" (membarrier) or "full". */
    const char *fence;
    uint32_t processor_count; /* that this process may run on */
    uint32_t cache_line_bytes;
    /** Instruction set extensions that the processor and the system offer together. */
    bool has_avx2;
    bool has_bmi2;
    bool has_avx512; /* F, BW, DQ and VL */
    bool has_neon;
    bool has_lse;
    bool has_crc32c;
};

/** Writes the first `out_runtime->struct_size` bytes of it. Any thread; does not block. */
FLETCH_EXPORT void fletch_runtime_describe(struct fletch_runtime *out_runtime);

FLETCH_END_DECLS

#endif
