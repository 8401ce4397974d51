#ifndef FLETCH_SYNC_EPOCH_H
#define FLETCH_SYNC_EPOCH_H

/* Epoch reclamation: what was unlinked is freed once everybody who could be reading it has left.
 *
 * Origin: K. Fraser, "Practical lock-freedom" (2004), with the asymmetric barrier of liburcu's
 * sys_membarrier flavour (M. Desnoyers et al., "User-level implementations of read-copy update",
 * 2012) and a counter instead of three epochs, so that nobody has to agree on a step.
 *
 * Roles: any number of readers, each of them one thread at a time, which also retire; any number of
 * threads without a reader, which retire orphans. Progress: enter, exit and retire are wait-free
 * but for the batch that falls due, opening, closing and freeing lock-free. A reader that stalls or
 * dies inside a section stops the freeing of what is retired from then on, and nothing else.
 *
 *   enter:   epoch of the reader = epoch of the domain; light fence F1
 *   exit:    epoch of the reader = 0
 *   retire:  into the reader's open bag. Full: tag = the domain's epoch, which advances by one;
 *            heavy fence F2; oldest = least epoch of all readers inside; bags with tag < oldest
 *            are freed
 *
 * Why nothing is freed early. An object is unlinked before it is retired, and that before its bag
 * gets the tag t. A reader whose announcement the closer sees as e > t has read the domain's epoch
 * after the closer advanced it (E1), so it cannot find what was unlinked before. One that is seen
 * with e <= t keeps the bag. One that is seen outside has either left its sections, whose accesses
 * are over then (E2), or its announcement is not visible yet: then its loads come after F1, which
 * comes after F2 in the order of fences, and they see the unlinking.
 *
 * Where the kernel refuses the heavy fence after it was allowed at first (a filter installed
 * since), nothing is freed any more before the domain ends, and the statistics show what waits:
 * readers that look at nothing but their own record cannot be told to fence again.
 *
 * Orphans: every so many of them, or bytes, whoever retires one plays the closer with all of them
 * as the bag, and puts them back where a reader inside holds them. So they are bounded where nobody
 * with a reader ever retires anything.
 *
 * Edges:
 *   E1: closer fetch_add_acq_rel(domain.epoch) -> reader load_acquire(domain.epoch): what was
 *       unlinked before the epoch advanced cannot be found after an announcement of the new one.
 *   E2: reader store_release(reader.epoch) -> closer load_acquire(reader.epoch): the reader's
 *       accesses of earlier sections come before the freeing.
 *   E3: opener cas_weak_release(domain.readers) -> any load_acquire(domain.readers): a reader's
 *       record is complete before others walk to it.
 *   E4: reader store_release(reader.taken) -> opener cas_strong_acquire(reader.taken): the next
 *       owner of a record finds it as the last one left it.
 *   E5: retirer cas_weak_release(domain.orphans) -> closer exchange_acquire(domain.orphans): the
 *       object and its links.
 *   E6: remover fetch_and_release(domain.classes_used) -> adder cas_weak_acquire(the same): the
 *       last use of a class comes before its number stands for another.
 *
 * A reader has a fixed number of closed bags; when all are in use, a new one is merged into the
 * youngest, which then has the new tag. So retiring needs no memory, whatever a stalled reader
 * holds back.
 *
 * Reclamation: records are freed with the domain. ABA: records and orphans are pushed, and taken
 * all at once or never. Wrap: the epoch is 64 bits wide. */

#include <fletching/epoch.h>

#include <stdbool.h>

#include "base/allocator.h"
#include "base/asymmetric_fence.h"
#include "base/atomic.h"
#include "base/process.h"

/* What a retired object begins with, internally. A link is the address of the next object with the
 * class of that object in its lowest bits. */
struct fletch_epoch_link {
    _Atomic uintptr_t next;
};

/* Objects of a class share one reclaim function, and need no more than a link. Class 0 is that of
 * struct fletch_epoch_object. */
enum { FLETCH_EPOCH_CLASSES = 16, FLETCH_EPOCH_ALIGNMENT = 16 };

struct fletch_epoch_reader;

struct fletch_epoch_class {
    /* `reader`: who frees, on its own thread; NULL: a thread without one. */
    void (*reclaim)(void *context, struct fletch_epoch_reader *reader,
                    struct fletch_epoch_link *link);
    void *context;
};

#ifdef FLETCH_MODEL_CHECK
enum { FLETCH_EPOCH_BAGS = 2 };
#else
enum { FLETCH_EPOCH_BAGS = 4 };
#endif

struct fletch_epoch_bag {
    uintptr_t first; /* newest object with its class, 0: none */
    struct fletch_epoch_link *last;
    uint64_t tag;
    uint64_t objects;
    uint64_t bytes;
};

struct fletch_epoch_reader {
    /* Written by the owner at each section, read by closers. */
    FLETCH_ISOLATED _Atomic uint64_t epoch; /* 0: outside */
    uint32_t nested;                        /* sections inside the outermost one */
    uint32_t fence_kind;                    /* enum fletch_fence_kind, fixed */
    const _Atomic uint64_t *domain_epoch;   /* fixed */
    bool due;                               /* the open bag is full */
    /* The owner's alone, but for the counters. */
    FLETCH_ISOLATED struct fletch_epoch_domain *domain; /* fixed */
    struct fletch_epoch_reader *next;                   /* fixed */
    uint32_t number;                                    /* fixed */
    _Atomic uint32_t taken;
    bool freeing;
    uint32_t closed_count;
    struct fletch_epoch_bag open;
    struct fletch_epoch_bag closed[FLETCH_EPOCH_BAGS]; /* oldest first */
    _Atomic uint64_t retired_objects;
    _Atomic uint64_t retired_bytes;
    _Atomic uint64_t reclaimed_objects;
    _Atomic uint64_t reclaimed_bytes;
};

struct fletch_epoch_domain {
    FLETCH_ISOLATED _Atomic uint64_t epoch; /* read by every section, written by each closing */
    FLETCH_ISOLATED _Atomic(struct fletch_epoch_reader *) readers;
    enum fletch_fence_kind fence_kind; /* fixed */
    uint32_t batch_objects;            /* fixed */
    size_t batch_bytes;                /* fixed */
    struct fletch_allocator allocator; /* fixed */
    uint32_t process;                  /* whose it is: base/process.h */
    _Atomic uint32_t numbers;          /* of readers given out so far */
    _Atomic uint32_t classes_used;     /* a bit for each */
    struct fletch_epoch_class classes[FLETCH_EPOCH_CLASSES];
    FLETCH_ISOLATED _Atomic uintptr_t orphans; /* newest with its class, 0: none */
    _Atomic uint64_t orphaned_objects;         /* retired as orphans so far */
    _Atomic uint64_t orphaned_bytes;
    _Atomic uint64_t pending_bytes;   /* of orphans that no bag has yet */
    _Atomic uint32_t collecting;      /* somebody frees orphans without a reader */
    _Atomic uint64_t drained_objects; /* freed by no reader so far */
    _Atomic uint64_t drained_bytes;
};

/* Adds a class and tells its number; 0: there are as many as there can be. Any thread. The class
 * lives as long as the domain. */
uint32_t fletch_epoch_class_add(struct fletch_epoch_domain *domain,
                                const struct fletch_epoch_class *added);

/* Gives a class back: no object of it may be left. */
void fletch_epoch_class_remove(struct fletch_epoch_domain *domain, uint32_t number);

/* fletch_epoch_retire for objects of a class. `reader` NULL: as an orphan. */
void fletch_epoch_retire_link(struct fletch_epoch_domain *domain,
                              struct fletch_epoch_reader *reader, struct fletch_epoch_link *link,
                              uint32_t class_number, size_t bytes);

/* Frees everything that was retired, by whomever. No other thread may be using the domain, and
 * nobody be inside a section. */
void fletch_epoch_drain(struct fletch_epoch_domain *domain);

/* Makes orphans of all that the reader has retired and could not free yet, so that whoever frees
 * next takes it. The owner, outside of a section. */
void fletch_epoch_surrender(struct fletch_epoch_reader *reader);

/* The outermost exit with a full bag, or a reader's wish: closes the bag and frees what it can. */
void fletch_epoch_close_bag(struct fletch_epoch_reader *reader);

static inline bool fletch_epoch_is_inside(const struct fletch_epoch_reader *reader)
{
    return load_relaxed(&reader->epoch) != 0; /* relaxed: written by the caller's thread only */
}

static inline void fletch_epoch_enter_inline(struct fletch_epoch_reader *reader)
{
    /* No counter on the way in and out: it would make each section wait for the last one's store. A
     * branch that is foreseen waits for nothing. relaxed: written by this thread only */
    if (__builtin_expect(load_relaxed(&reader->epoch) != 0, 0)) {
        reader->nested++;
        return;
    }
    uint64_t epoch = load_acquire(reader->domain_epoch);               /* E1 acquire */
    store_release(&reader->epoch, epoch);                              /* E2 release */
    fletch_fence_frequent((enum fletch_fence_kind)reader->fence_kind); /* F1 */
}

static inline void fletch_epoch_exit_inline(struct fletch_epoch_reader *reader)
{
    if (__builtin_expect(reader->nested != 0, 0)) {
        reader->nested--;
        return;
    }
    store_release(&reader->epoch, 0); /* E2 release */
    if (__builtin_expect(reader->due, 0))
        fletch_epoch_close_bag(reader);
}

#endif
