#include "base/pages.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "support/cmocka_tests.h"

static void map_fill_release(size_t bytes, size_t alignment)
{
    void *memory = NULL;
    assert_true(fletch_pages_map(bytes, &memory));
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % alignment, 0);
    const unsigned char *byte = memory;
    for (size_t i = 0; i < bytes; i += 997)
        assert_int_equal(byte[i], 0);
    assert_int_equal(byte[bytes - 1], 0);
    memset(memory, 0x5a, bytes);
    fletch_pages_release(memory, bytes);
}

static void memory_is_zero_and_aligned(void **state)
{
    (void)state;
    map_fill_release(1, 4096);
    map_fill_release(4096, 4096);
    map_fill_release(FLETCH_HUGE_PAGE_BYTES - 1, 4096);
    map_fill_release(FLETCH_HUGE_PAGE_BYTES, FLETCH_HUGE_PAGE_BYTES);
    map_fill_release(FLETCH_HUGE_PAGE_BYTES + 1, FLETCH_HUGE_PAGE_BYTES);
    map_fill_release(3 * FLETCH_HUGE_PAGE_BYTES + 5, FLETCH_HUGE_PAGE_BYTES);
}

static void mappings_come_and_go(void **state)
{
    (void)state;
    /* 8 TiB in all: without the release this would run out of address space or maps. */
    for (size_t i = 0; i < 4096; i++) {
        void *memory = NULL;
        assert_true(fletch_pages_map((size_t)2 << 30, &memory));
        *(char *)memory = 1;
        fletch_pages_release(memory, (size_t)2 << 30);
    }
}

/* KiB of huge pages in the mapping that begins at `memory`, as the kernel tells; -1: not told. */
static long huge_kib_of(const void *memory)
{
    char line[256], start[32];
    long kib = -1;
    bool inside = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    snprintf(start, sizeof start, "%lx-", (unsigned long)(uintptr_t)memory);
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        if (strncmp(line, start, strlen(start)) == 0)
            inside = true;
        if (inside && sscanf(line, "AnonHugePages: %ld", &kib) == 1)
            break;
    }
    if (maps != NULL)
        fclose(maps);
    return kib;
}

static void small_pages_can_be_kept(void **state)
{
    void *memory;
    const size_t bytes = 4 * FLETCH_HUGE_PAGE_BYTES;
    (void)state;
    assert_true(fletch_pages_map(bytes, &memory));
    fletch_pages_keep_small(memory, bytes);
    memset(memory, 0x5a, bytes);
    assert_true(huge_kib_of(memory) <= 0);
    fletch_pages_release(memory, bytes);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    char untouched;
    void *memory = &untouched;
    assert_false(fletch_pages_map(SIZE_MAX, &memory));
    assert_false(fletch_pages_map(SIZE_MAX - FLETCH_HUGE_PAGE_BYTES, &memory));
    assert_false(fletch_pages_map(SIZE_MAX / 2, &memory));
    assert_ptr_equal(memory, &untouched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zero_and_aligned),
        cmocka_unit_test(mappings_come_and_go),
        cmocka_unit_test(small_pages_can_be_kept),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
