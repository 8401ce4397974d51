/* Addresses of atomic objects, numbered in the order in which they are first touched; numbers stay
 * the same in all executions. A futex queue or a mutex is an object of its own beside the word at
 * its address, and has no memory. */

#include <string.h>

#include "report.h"
#include "run.h"

enum { BUCKETS = 4 * MC_LOCATIONS };

struct location {
    uintptr_t key; /* address * 2, + 1 for a queue */
    int bytes;
    uint32_t execution; /* the last one that touched it */
    uint64_t initial;   /* what was there when that did so first */
    int newest;         /* rank of the write that memory holds */
};

static struct location location[MC_LOCATIONS];
static int location_count;
static int16_t bucket[BUCKETS]; /* location + 1, 0: empty */
static uint32_t execution;

void mc_location_begin(void)
{
    execution++;
}

static int find(uintptr_t key)
{
    uintptr_t at = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 40;
    for (;; at++) {
        int16_t *entry = &bucket[at % BUCKETS];
        if (*entry == 0) {
            if (location_count == MC_LOCATIONS)
                mc_internal("more than %d atomic objects", MC_LOCATIONS);
            location[location_count].key = key;
            *entry = (int16_t)++location_count;
        }
        if (location[*entry - 1].key == key)
            return *entry - 1;
    }
}

static int touch(uintptr_t key, int bytes)
{
    int number = find(key);
    struct location *found = &location[number];
    if (found->execution != execution) {
        found->execution = execution;
        found->bytes = bytes;
        found->initial = 0;
        found->newest = 0;
        if (bytes > 0) {
            memcpy(&found->initial, (void *)(key / 2), (size_t)bytes);
            mc_memory_keep(key / 2, (size_t)bytes);
        }
    }
    struct mc_graph *graph = mc_run.graph;
    while (graph->location_count <= number)
        graph->writes[graph->location_count++].count = 0;
    return number;
}

int mc_location_of(uintptr_t address, int bytes)
{
    return touch(address * 2, bytes);
}

int mc_queue_of(uintptr_t address)
{
    return touch(address * 2 + 1, 0);
}

int mc_location_known(uintptr_t address)
{
    for (uintptr_t at = (address * 2 * UINT64_C(0x9e3779b97f4a7c15)) >> 40;; at++) {
        int number = bucket[at % BUCKETS] - 1;
        if (number < 0)
            return -1;
        if (location[number].key == address * 2)
            return location[number].execution == execution ? number : -1;
    }
}

size_t mc_location_bytes(int number)
{
    return (size_t)location[number].bytes;
}

uint64_t mc_location_value(const struct mc_graph *graph, int number, int source)
{
    return source == MC_INITIAL ? location[number].initial : graph->event[source].value;
}

uintptr_t mc_location_address(int number)
{
    return location[number].key / 2;
}

bool mc_location_is_queue(int number)
{
    return (location[number].key & 1) != 0;
}

void mc_location_update(int number, int rank, int newest, uint64_t value)
{
    struct location *written = &location[number];
    if (rank == newest && rank >= written->newest && written->bytes > 0)
        memcpy((void *)(written->key / 2), &value, (size_t)written->bytes);
    if (newest > written->newest)
        written->newest = newest;
}
