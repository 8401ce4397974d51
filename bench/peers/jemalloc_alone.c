/* jemalloc in a library of its own that shows two functions and hides the rest: linked as it is
 * packaged it would replace malloc, and loaded at run time it finds no room for its thread-local
 * variables. BENCH_TUNED: set for large buffers as its TUNING.md has it for speed over memory, in
 * another library. */

#include <stddef.h>

#include <jemalloc/jemalloc.h>

#ifdef BENCH_TUNED
/* Buffers of this test stay in a thread's cache, and their pages are kept. */
const char *malloc_conf =
    "tcache_max:4194304,thp:always,metadata_thp:auto,dirty_decay_ms:-1,muzzy_decay_ms:-1";
#define bench_jemalloc_take bench_tuned_jemalloc_take
#define bench_jemalloc_give bench_tuned_jemalloc_give
#endif

void *bench_jemalloc_take(size_t bytes);
void bench_jemalloc_give(void *memory);

__attribute__((visibility("default"))) void *bench_jemalloc_take(size_t bytes)
{
    return mallocx(bytes, 0);
}

__attribute__((visibility("default"))) void bench_jemalloc_give(void *memory)
{
    dallocx(memory, 0);
}
