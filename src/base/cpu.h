#ifndef FLETCH_BASE_CPU_H
#define FLETCH_BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Tells the processor that this thread is spinning: PAUSE on x86-64, YIELD on aarch64. Every spin
 * loop of the library calls it, and under a model checker it is the checker's. */
#ifdef FLETCH_MODEL_CHECK
void fletch_cpu_relax(void);
#elif defined(__x86_64__)
static inline void fletch_cpu_relax(void)
{
    __builtin_ia32_pause();
}
#elif defined(__aarch64__)
static inline void fletch_cpu_relax(void)
{
    /* ISB and not YIELD, which is a no-op on the processors that servers have: ISB stalls about as
     * long as PAUSE does. */
    __asm__ __volatile__("isb");
}
#else
#error "fletching knows x86-64 and aarch64 processors"
#endif

/* Processors that this process may run on, at least 1. */
uint32_t fletch_cpu_count(void);

/* The processor that the caller runs on, which it may leave at any time. */
uint32_t fletch_cpu_current(void);

/* Bytes of a level-1 data cache line as the system tells it, 64 where it does not. */
size_t fletch_cpu_cache_line_bytes(void);

/* Instruction set extensions that kernels are chosen by at start. */
struct fletch_cpu_features {
    bool avx2;
    bool bmi2;
    bool avx512; /* F, BW, DQ and VL */
    bool neon;
    bool lse; /* atomic instructions of ARMv8.1 */
    bool crc32c;
};

/* What the processor and the operating system offer together. Any thread; does not block. */
struct fletch_cpu_features fletch_cpu_features(void);

#endif
