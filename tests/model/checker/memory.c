#include "memory.h"

#include <string.h>
#include <sys/mman.h>

#include "report.h"

enum { GRANULE = 8, NOBODY = 255, UNDO_ENTRIES = 1 << 14 };

/* What has happened to eight bytes, or to one of them, in this execution. Epochs as in mc_toucher;
 * 0: never. */
struct cell {
    uint32_t generation;
    uint8_t writer;      /* of the last plain write, or NOBODY */
    uint8_t split;       /* the bytes have cells of their own */
    uint8_t atomic;      /* bytes of the atomic object that it belongs to, or 0 */
    uint8_t atomic_part; /* distance from the beginning of that object */
    uint8_t saved;       /* in the undo log */
    uint16_t written;
    uint16_t read[MC_THREADS];
    uint16_t atomic_read[MC_THREADS];
    uint16_t atomic_written[MC_THREADS];
};

struct region {
    uintptr_t low, high;
    struct cell *granules;
    struct cell *bytes;
};

struct undo {
    uint64_t *address;
    uint64_t value;
};

extern char __data_start, _end;

static struct region globals, arena; /* arena: stacks, then heaps */
static uint32_t generation;
static struct undo undo[UNDO_ENTRIES];
static int undo_count;

/* Stacks and heaps lie where they lay the last time, so that traces can be compared. */
#define ARENA_ADDRESS ((void *)UINT64_C(0x10000000000))

static void *reserve_at(void *address, size_t bytes)
{
    void *memory = mmap(address, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        mc_internal("no memory");
    return memory;
}

static void *reserve(size_t bytes)
{
    return reserve_at(NULL, bytes);
}

static void make_region(struct region *region, uintptr_t low, uintptr_t high)
{
    region->low = low & ~(uintptr_t)(GRANULE - 1);
    region->high = high;
    size_t bytes = high - region->low + 64;
    region->granules = reserve(bytes / GRANULE * sizeof(struct cell));
    region->bytes = reserve(bytes * sizeof(struct cell));
}

/* ---- heap ---- */

enum { REDZONE_BYTES = 32, BLOCKS = 1024 };

struct block {
    uintptr_t address;
    size_t bytes;
    int thread;
    bool freed;
};

static char *heap_base;
/* For each granule of the heap: low eight bits, which bytes may be touched; high, which are set. */
static uint16_t *heap_state;
static size_t heap_used[MC_THREADS];
static struct block block[BLOCKS];
static int block_count;

void mc_memory_start(void)
{
    size_t stacks = (size_t)MC_THREADS * MC_STACK_BYTES, heaps = (size_t)MC_THREADS * MC_HEAP_BYTES;
    char *memory = reserve_at(ARENA_ADDRESS, stacks + heaps);
    make_region(&arena, (uintptr_t)memory, (uintptr_t)memory + stacks + heaps);
    make_region(&globals, (uintptr_t)&__data_start, (uintptr_t)&_end);
    heap_base = memory + stacks;
    heap_state = reserve(heaps / GRANULE * sizeof *heap_state);
}

void mc_memory_begin(void)
{
    while (undo_count > 0) {
        undo_count--;
        *undo[undo_count].address = undo[undo_count].value;
    }
    for (size_t i = 0; i < MC_THREADS; i++) {
        memset(heap_state + i * MC_HEAP_BYTES / GRANULE, 0,
               (heap_used[i] / GRANULE + 1) * sizeof *heap_state);
        heap_used[i] = 0;
    }
    block_count = 0;
    generation++;
}

char *mc_memory_stack(int thread)
{
    return heap_base - (size_t)(MC_THREADS - thread) * MC_STACK_BYTES;
}

static bool in_heap(uintptr_t address)
{
    uintptr_t base = (uintptr_t)heap_base;
    return address >= base && address < base + (uintptr_t)MC_THREADS * MC_HEAP_BYTES;
}

static void set_state(uintptr_t address, size_t bytes, unsigned mask, bool on)
{
    for (size_t i = 0; i < bytes; i++) {
        size_t at = address + i - (uintptr_t)heap_base;
        unsigned bits = mask << (at % GRANULE);
        if (on)
            heap_state[at / GRANULE] |= (uint16_t)bits;
        else
            heap_state[at / GRANULE] &= (uint16_t)~bits;
    }
}

static struct block *block_around(uintptr_t address)
{
    for (int i = 0; i < block_count; i++)
        if (address + REDZONE_BYTES >= block[i].address &&
            address < block[i].address + block[i].bytes + REDZONE_BYTES)
            return &block[i];
    return NULL;
}

static _Noreturn void fail_bounds(const struct mc_toucher *who, uintptr_t address, size_t bytes)
{
    struct block *near = block_around(address);
    if (near == NULL)
        mc_fail_at(MC_OUT_OF_BOUNDS, address,
                   "thread %d touches %zu bytes of heap that is no block", who->thread, bytes);
    if (near->freed)
        mc_fail_at(MC_USE_AFTER_FREE, address,
                   "thread %d touches byte %td of a freed block of %zu bytes", who->thread,
                   (ptrdiff_t)(address - near->address), near->bytes);
    mc_fail_at(MC_OUT_OF_BOUNDS, address,
               "thread %d touches %zu bytes at byte %td of a block of %zu", who->thread, bytes,
               (ptrdiff_t)(address - near->address), near->bytes);
}

static bool is_write(enum mc_touch how)
{
    return how == MC_PLAIN_WRITE || how == MC_ATOMIC_WRITE;
}

/* Bits of the bytes of one granule from `at` on, `bytes` at most. */
static unsigned granule_mask(size_t at, size_t bytes)
{
    size_t first = at % GRANULE;
    size_t count = bytes < GRANULE - first ? bytes : GRANULE - first;
    return ((1u << count) - 1) << first;
}

static void check_heap(const struct mc_toucher *who, uintptr_t address, size_t bytes,
                       enum mc_touch how)
{
    bool write = is_write(how);
    size_t at = address - (uintptr_t)heap_base;
    size_t end = at + bytes;
    while (at < end) {
        unsigned mask = granule_mask(at, end - at);
        uint16_t *state = &heap_state[at / GRANULE];
        if ((*state & mask) != mask)
            fail_bounds(who, address, bytes);
        if (write)
            *state |= (uint16_t)(mask << GRANULE);
        else if (how != MC_COPY_READ && (*state >> GRANULE & mask) != mask)
            mc_fail_at(MC_UNINITIALISED, address, "thread %d reads %zu bytes that nobody wrote",
                       who->thread, bytes);
        at += GRANULE - at % GRANULE;
    }
}

void mc_memory_copied(uintptr_t to, uintptr_t from, size_t bytes)
{
    if (!in_heap(to) || !in_heap(from))
        return;
    for (size_t i = 0; i < bytes; i++) {
        size_t at = from + i - (uintptr_t)heap_base;
        bool set = (heap_state[at / GRANULE] >> (GRANULE + at % GRANULE) & 1) != 0;
        set_state(to + i, 1, 1u << GRANULE, set);
    }
}

void *mc_heap_allocate(const struct mc_toucher *who, size_t bytes, size_t alignment)
{
    size_t thread = (size_t)who->thread;
    uintptr_t base = (uintptr_t)heap_base + thread * MC_HEAP_BYTES;
    uintptr_t address = base + heap_used[thread] + REDZONE_BYTES;
    alignment = alignment < 16 ? 16 : alignment;
    address = (address + alignment - 1) & ~(uintptr_t)(alignment - 1);
    size_t used = address + bytes + REDZONE_BYTES - base;
    if (used > MC_HEAP_BYTES || block_count == BLOCKS)
        mc_internal("the heap is full: %zu bytes in %d blocks", used, block_count);
    heap_used[thread] = used;
    block[block_count++] =
        (struct block){.address = address, .bytes = bytes, .thread = who->thread};
    set_state(address, bytes, 1, true);
    memset((void *)address, 0xb5, bytes);
    return (void *)address;
}

static struct block *block_at(uintptr_t address)
{
    for (int i = 0; i < block_count; i++)
        if (block[i].address == address)
            return &block[i];
    return NULL;
}

size_t mc_heap_bytes_of(const void *memory)
{
    struct block *found = block_at((uintptr_t)memory);
    return found == NULL ? 0 : found->bytes;
}

void mc_heap_check_leaks(void)
{
    for (int i = 0; i < block_count; i++)
        if (!block[i].freed)
            mc_fail_at(MC_LEAK, block[i].address,
                       "a block of %zu bytes of thread %d is never freed", block[i].bytes,
                       block[i].thread);
}

/* ---- who touched what ---- */

static const struct region *region_of(uintptr_t address)
{
    if (address >= arena.low && address < arena.high)
        return &arena;
    if (address >= globals.low && address < globals.high)
        return &globals;
    return NULL;
}

static struct cell *fresh(struct cell *cell)
{
    if (cell->generation != generation) {
        memset(cell, 0, sizeof *cell);
        cell->generation = generation;
        cell->writer = NOBODY;
    }
    return cell;
}

/* The cell of the granule at `address`, or of its one byte if the access does not cover the granule
 * or an earlier one did not. */
static struct cell *cell_of(const struct region *region, uintptr_t address, size_t bytes,
                            size_t *out_covered)
{
    uintptr_t start = address & ~(uintptr_t)(GRANULE - 1);
    struct cell *granule = fresh(&region->granules[(start - region->low) / GRANULE]);
    struct cell *byte = &region->bytes[start - region->low];
    if (!granule->split && (address != start || bytes < GRANULE)) {
        for (int i = 0; i < GRANULE; i++)
            byte[i] = *granule;
        granule->split = 1;
    }
    *out_covered = granule->split ? 1 : GRANULE;
    return granule->split ? &byte[address - start] : granule;
}

static void save(const struct region *region, uintptr_t address)
{
    if (region != &globals)
        return;
    uintptr_t start = address & ~(uintptr_t)(GRANULE - 1);
    struct cell *granule = fresh(&region->granules[(start - region->low) / GRANULE]);
    if (granule->saved)
        return;
    if (undo_count == UNDO_ENTRIES)
        mc_internal("too many globals are written");
    granule->saved = 1;
    undo[undo_count++] = (struct undo){.address = (uint64_t *)start, .value = *(uint64_t *)start};
}

void mc_memory_keep(uintptr_t address, size_t bytes)
{
    const struct region *region = region_of(address);
    for (uintptr_t at = address; region != NULL && at < address + bytes; at++)
        save(region, at);
}

/* Whether some access in `epochs` does not happen before now. Without branches: the compiler
 * compares all at once. */
static bool is_unordered(const struct mc_toucher *who, const uint16_t *epochs)
{
    unsigned later = 0;
    for (int i = 0; i < MC_THREADS; i++)
        later |= epochs[i] > who->known->at[i];
    return later != 0;
}

static bool is_write_unordered(const struct mc_toucher *who, const struct cell *cell)
{
    return cell->writer != NOBODY && cell->written > who->known->at[cell->writer];
}

/* What an access races with, or NULL. */
static const char *race_of(const struct mc_toucher *who, const struct cell *cell, enum mc_touch how)
{
    if (is_write_unordered(who, cell))
        return "write";
    if (how == MC_ATOMIC_READ)
        return NULL;
    if (how != MC_ATOMIC_WRITE && is_unordered(who, cell->atomic_written))
        return "atomic write";
    if (how == MC_PLAIN_READ)
        return NULL;
    if (is_unordered(who, cell->read))
        return "read";
    if (how == MC_PLAIN_WRITE && is_unordered(who, cell->atomic_read))
        return "atomic read";
    return NULL;
}

/* The same access in the same epoch has been checked, and nobody else has run since. */
static bool is_repeated(const struct mc_toucher *who, const struct cell *cell, enum mc_touch how)
{
    if (how == MC_PLAIN_READ)
        return cell->read[who->thread] == who->epoch;
    return how == MC_PLAIN_WRITE && cell->writer == who->thread && cell->written == who->epoch;
}

static void record(const struct mc_toucher *who, struct cell *cell, enum mc_touch how)
{
    int thread = who->thread;
    if (how == MC_PLAIN_WRITE) {
        cell->writer = (uint8_t)thread;
        cell->written = who->epoch;
    } else if (how == MC_PLAIN_READ) {
        cell->read[thread] = who->epoch;
    } else if (how == MC_ATOMIC_READ) {
        cell->atomic_read[thread] = who->epoch;
    } else {
        cell->atomic_written[thread] = who->epoch;
    }
}

static void check_size(struct cell *cell, uintptr_t object, uintptr_t address, size_t bytes)
{
    uint8_t part = (uint8_t)(address - object);
    if (cell->atomic != 0 && (cell->atomic != bytes || cell->atomic_part != part))
        mc_fail_at(MC_MIXED_SIZE, object, "atomic access of %zu bytes to an atomic object of %u",
                   bytes, cell->atomic);
    cell->atomic = (uint8_t)bytes;
    cell->atomic_part = part;
}

bool mc_memory_touch(const struct mc_toucher *who, uintptr_t address, size_t bytes,
                     enum mc_touch how)
{
    static const char *const does[] = {"reads", "writes", "reads atomically", "writes atomically",
                                       "copies"};
    const struct region *region = region_of(address);
    bool atomic = false;
    size_t covered;
    if (region == NULL)
        return false;
    if (mc_failure.error != MC_NO_ERROR)
        mc_report_plain(who->thread, address, bytes, does[how], who->code);
    if (in_heap(address))
        check_heap(who, address, bytes, how);
    if (how == MC_COPY_READ)
        how = MC_PLAIN_READ;
    for (uintptr_t at = address; at < address + bytes; at += covered) {
        struct cell *cell = cell_of(region, at, address + bytes - at, &covered);
        atomic |= cell->atomic != 0;
        if (is_repeated(who, cell, how))
            continue;
        const char *other = race_of(who, cell, how);
        if (other != NULL)
            mc_fail_at(MC_RACE, at, "thread %d %s, and another thread's %s is not ordered with it",
                       who->thread, does[how], other);
        if (how >= MC_ATOMIC_READ)
            check_size(cell, address, at, bytes);
        record(who, cell, how);
        if (is_write(how))
            save(region, at);
    }
    return atomic && how == MC_PLAIN_WRITE;
}

void mc_heap_free(const struct mc_toucher *who, void *memory)
{
    uintptr_t address = (uintptr_t)memory;
    struct block *found = block_at(address);
    size_t covered;
    if (found == NULL)
        mc_fail_at(MC_INVALID_FREE, address, "thread %d frees what was not allocated", who->thread);
    if (found->freed)
        mc_fail_at(MC_DOUBLE_FREE, address, "thread %d frees a block of %zu bytes again",
                   who->thread, found->bytes);
    for (uintptr_t at = address; at < address + found->bytes; at += covered) {
        struct cell *cell = &arena.granules[(at - arena.low) / GRANULE];
        covered = GRANULE;
        if (cell->generation != generation)
            continue;
        cell = cell_of(&arena, at, address + found->bytes - at, &covered);
        const char *other = race_of(who, cell, MC_PLAIN_WRITE);
        if (other != NULL)
            mc_fail_at(MC_USE_AFTER_FREE, at,
                       "thread %d frees, and another thread's %s is not ordered with it",
                       who->thread, other);
    }
    found->freed = true;
    set_state(address, found->bytes, 1, false);
}
