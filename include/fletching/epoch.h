#ifndef FLETCHING_EPOCH_H
#define FLETCHING_EPOCH_H

#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** Epoch reclamation: who unlinks an object that others may still be reading retires it instead of
 *  freeing it; it is freed when every reader that was inside a section then has left it.
 *
 *  A domain is what its readers share. A reader is a thread's handle: it belongs to one thread at a
 *  time and can be handed over outside of sections. Readers pay two plain stores for a section
 *  where the system offers membarrier, and a full fence besides where it does not
 *  (the statistics tell). A reader that stays inside a section stops freeing, and
 *  nothing else. A child that was forked since can open no reader (FAILED_PRECONDITION). */
struct fletch_epoch_domain;
struct fletch_epoch_reader;

/** Placed inside whatever is to be retired, aligned to 16 bytes. `reclaim` is set by the caller and
 *  called once nobody can be reading the object; it may retire other objects, and must neither
 *  enter a section for long nor open or close readers. `link` is the domain's. */
struct fletch_epoch_object {
    uintptr_t link;
    void (*reclaim)(struct fletch_epoch_object *object);
};

/** Zero means default in every field. */
struct fletch_epoch_options {
    size_t struct_size;
    /** A reader frees what it can when it has retired so many objects, or so many bytes, since it
     *  last did. 0: 512 objects and 1 MiB. */
    uint32_t batch_objects;
    size_t batch_bytes;
};

/** Makes a domain. RESOURCE_EXHAUSTED, INVALID_ARGUMENT. Options NULL: all defaults. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_epoch_domain_create(const struct fletch_epoch_options *options,
                           const struct fletch_allocator *allocator,
                           struct fletch_epoch_domain **out_domain, struct fletch_error *error);

/** Frees everything that was retired, then the domain. All readers must have been closed, and no
 *  other thread may be using the domain. NULL: nothing. */
FLETCH_EXPORT void fletch_epoch_domain_destroy(struct fletch_epoch_domain *domain);

/** Opens a reader, outside of any section. RESOURCE_EXHAUSTED: no memory. Any thread; lock-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_epoch_reader_open(struct fletch_epoch_domain *domain,
                         struct fletch_epoch_reader **out_reader, struct fletch_error *error);

/** Gives the reader back, outside of any section. What it has retired and could not free yet
 *  passes to whichever reader frees next. NULL: nothing. Lock-free. */
FLETCH_EXPORT void fletch_epoch_reader_close(struct fletch_epoch_reader *reader);

/** The number by which the statistics name this reader. */
FLETCH_EXPORT uint32_t fletch_epoch_reader_number(const struct fletch_epoch_reader *reader);

/** Enters and leaves a section. Sections nest; only the outermost count. What was reachable at any
 *  time inside a section stays in memory until its end. A section should last for a look-up, not
 *  for a wait, a callback or a send. Wait-free; the outermost exit frees what the reader's batch
 *  limits ask for. */
FLETCH_EXPORT void fletch_epoch_enter(struct fletch_epoch_reader *reader);
FLETCH_EXPORT void fletch_epoch_exit(struct fletch_epoch_reader *reader);

/** Hands over an object that no thread can come to any more but those that are inside a section
 *  now. `bytes`: what it keeps alive, for the limits and the statistics. Inside or outside of a
 *  section. Does not allocate and cannot fail. Lock-free. */
FLETCH_EXPORT void fletch_epoch_retire(struct fletch_epoch_reader *reader,
                                       struct fletch_epoch_object *object, size_t bytes);

/** The same for a thread without a reader, where one is at hand to nobody (a callback, say);
 *  slower. The next reader that frees takes it, and each time that a batch of them has come
 *  together this call frees what it can. Any thread; lock-free. */
FLETCH_EXPORT void fletch_epoch_retire_orphan(struct fletch_epoch_domain *domain,
                                              struct fletch_epoch_object *object, size_t bytes);

/** Frees now what can be freed, of this reader's and of the orphans. Outside of a section (inside
 *  one it frees less). Does not wait for anybody; lock-free. */
FLETCH_EXPORT void fletch_epoch_collect(struct fletch_epoch_reader *reader);

/** Counters of a domain. They may lag behind while other threads work. */
struct fletch_epoch_statistics {
    size_t struct_size;
    uint64_t epoch;          /* advances with each batch */
    uint64_t retired;        /* objects retired so far */
    uint64_t reclaimed;      /* objects freed so far */
    uint64_t limbo_objects;  /* retired and not freed yet */
    uint64_t limbo_bytes;    /* the same in bytes */
    uint32_t readers;        /* open */
    uint32_t readers_inside; /* of those, inside a section */
    uint32_t asymmetric;     /* 1: sections cost no fence; 0: the system refused membarrier */
    uint32_t oldest_reader;  /* number of the one that entered the oldest epoch; 0: nobody inside */
    uint64_t oldest_epoch;   /* that epoch, 0: nobody inside; nothing retired since is freed */
};

/** Any thread; walks all readers. INVALID_ARGUMENT: struct_size. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_epoch_domain_statistics(const struct fletch_epoch_domain *domain,
                               struct fletch_epoch_statistics *out_statistics,
                               struct fletch_error *error);

FLETCH_END_DECLS

#endif
