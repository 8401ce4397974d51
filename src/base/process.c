#include "base/process.h"

#include <stddef.h>
#include <sys/mman.h>

_Atomic(_Atomic uint32_t *) fletch_process_page;

#ifdef FLETCH_MODEL_CHECK
uint32_t fletch_process_number(void)
{
    return 1;
}
#else

/* The numbers given out: copied by a fork, unlike the page. */
static _Atomic uint32_t numbers;

/* Where there is no page: the same number in each child. */
static _Atomic uint32_t unwiped;

enum { PAGE_BYTES = 1 << 16 }; /* the largest of any platform */

static _Atomic uint32_t *make_page(void)
{
    void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return &unwiped;
    if (madvise(page, PAGE_BYTES, MADV_WIPEONFORK) == 0)
        return page;
    munmap(page, PAGE_BYTES);
    return &unwiped;
}

/* The page, made if need be. */
static _Atomic uint32_t *find_page(void)
{
    /* relaxed, all of these: what lies there is one number, and zero for whoever comes first */
    _Atomic uint32_t *page = load_relaxed(&fletch_process_page); /* relaxed: as above */
    if (page != NULL)
        return page;
    _Atomic uint32_t *made = make_page();
    if (cas_strong_relaxed(&fletch_process_page, &page, made)) /* relaxed: as above */
        return made;
    if (made != &unwiped)
        munmap((void *)made, PAGE_BYTES);
    return page;
}

uint32_t fletch_process_number(void)
{
    _Atomic uint32_t *page = find_page();
    uint32_t number = load_relaxed(page); /* relaxed: a number */
    if (number != 0)
        return number;
    uint32_t fresh = fetch_add_relaxed(&numbers, 1) + 1;              /* relaxed: a number */
    return cas_strong_relaxed(page, &number, fresh) ? fresh : number; /* relaxed: a number */
}
#endif

enum fletch_status fletch_process_refuse(const char *what, struct fletch_error *error)
{
    return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                            "%s belongs to the process that this one was forked from", what);
}
