#ifndef FLETCH_BASE_PAGES_H
#define FLETCH_BASE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

/* From this size on memory of pages is aligned to huge pages, and the system is asked for them. */
#define FLETCH_HUGE_PAGE_BYTES ((size_t)2 << 20)

/* Maps `bytes` > 0 bytes of zeros straight from the system, for large things of which only a part
 * may ever be touched: a page costs memory once it is written to. At least FLETCH_HUGE_PAGE_BYTES:
 * aligned to that and advised to lie in huge pages; below: aligned to a page. False: no memory, and
 * `*out_memory` is untouched. Any thread; a system call or three. */
bool fletch_pages_map(size_t bytes, void **out_memory);

/* Asks for small pages in memory that was mapped and not written to yet, where the system would
 * give huge ones by itself or has been advised to. */
void fletch_pages_keep_small(void *memory, size_t bytes);

/* Gives back what was mapped, with the same number. */
void fletch_pages_release(void *memory, size_t bytes);

#endif
