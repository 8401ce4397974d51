#ifndef FLETCHING_PLACEMENT_H
#define FLETCHING_PLACEMENT_H

#include <stddef.h>
#include <stdint.h>

#include <fletching/export.h>

FLETCH_BEGIN_DECLS

/** `self` of a process that owns no partition. */
#define FLETCH_NO_PROCESS UINT32_MAX
/** The most processes that a shuffle may name, and bytes of an address. */
#define FLETCH_PROCESSES_MAX 65536u
#define FLETCH_ADDRESS_BYTES_MAX 255u

/** Who brings rows together with their reader. */
enum fletch_placement_mode {
    /** A partition belongs to a process from the start, and what is written to it goes there. */
    FLETCH_PLACEMENT_PUSH = 0,
    /** A partition belongs to the process that opens its reader; its rows stay with their producers
     *  until then, in memory or on their disk. Rows that have not been fetched cannot be told apart
     *  from rows behind a barrier, so there are no barriers, no watermarks and no open set of
     *  producers. */
    FLETCH_PLACEMENT_PULL = 1
};

/** Which process owns which partition: the same in every process that takes part, but for `self`.
 *  Zero means default in every field but `addresses`. Everything is copied. */
struct fletch_placement {
    size_t struct_size;
    /** Where the processes are reached: "grpc://host:port", each once. */
    const char *const *addresses;
    uint32_t address_count;
    /** Which of them this process is; FLETCH_NO_PROCESS: none of them, it owns no partition. */
    uint32_t self;
    /** Push: of each partition, an index into the addresses. NULL: partition p belongs to process
     *  p mod address_count. */
    const uint32_t *partition_owners;
    /** Of each producer up to the limit, the index of the process that it writes in. Push: only
     *  that process may open it; NULL: any may. Pull: needed; it is asked there. */
    const uint32_t *producer_homes;
    enum fletch_placement_mode mode;
};

FLETCH_END_DECLS

#endif
