#include "base/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/checked.h"

static void *map_plain(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* The kernel aligns to small pages only, so more is mapped and the ends are cut off. */
static void *map_aligned(size_t bytes)
{
    size_t more;
    if (!fletch_checked_add(bytes, FLETCH_HUGE_PAGE_BYTES, &more))
        return NULL;
    char *memory = map_plain(more);
    if (memory == NULL)
        return NULL;
    size_t misaligned = (uintptr_t)memory % FLETCH_HUGE_PAGE_BYTES;
    size_t before = misaligned == 0 ? 0 : FLETCH_HUGE_PAGE_BYTES - misaligned;
    if (before > 0)
        munmap(memory, before);
    munmap(memory + before + bytes, FLETCH_HUGE_PAGE_BYTES - before);
    return memory + before;
}

/* In whole small pages, so that the ends can be cut; 64 KiB is the largest of any platform. */
static bool mapped_bytes(size_t bytes, size_t *out_bytes)
{
    const size_t page = (size_t)64 << 10;
    if (bytes > SIZE_MAX - page)
        return false;
    *out_bytes = fletch_round_up(bytes, page);
    return true;
}

bool fletch_pages_map(size_t bytes, void **out_memory)
{
    size_t whole;
    if (!mapped_bytes(bytes, &whole))
        return false;
    void *memory = bytes < FLETCH_HUGE_PAGE_BYTES ? map_plain(whole) : map_aligned(whole);
    if (memory == NULL)
        return false;
    /* Advice only: where it is refused the pages are small. */
    if (bytes >= FLETCH_HUGE_PAGE_BYTES)
        (void)madvise(memory, whole, MADV_HUGEPAGE);
    *out_memory = memory;
    return true;
}

void fletch_pages_keep_small(void *memory, size_t bytes)
{
    size_t whole;
    /* Advice only: a kernel without huge pages does not know it. */
    if (mapped_bytes(bytes, &whole))
        (void)madvise(memory, whole, MADV_NOHUGEPAGE);
}

void fletch_pages_release(void *memory, size_t bytes)
{
    size_t whole;
    if (mapped_bytes(bytes, &whole))
        munmap(memory, whole);
}
