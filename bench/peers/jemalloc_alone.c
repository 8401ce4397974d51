/* jemalloc in a library of its own that shows two functions and hides the rest: linked as it is
 * packaged it would replace malloc, and loaded at run time it finds no room for its thread-local
 * variables. */

#include <stddef.h>

#include <jemalloc/jemalloc.h>

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
