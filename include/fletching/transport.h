#ifndef FLETCHING_TRANSPORT_H
#define FLETCHING_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/budget.h>
#include <fletching/buffer_pool.h>
#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** What the shuffles of a process share: the registry of their names, the partition store, the pool
 *  that frames come from, and the budget that counts what they keep alive. Nothing of it is global;
 *  a process that wants one makes one. Any thread.
 *
 *  In a child that was forked since, all calls of the transport and of its shuffles, writers and
 *  readers that return a status answer FAILED_PRECONDITION, and closing and cancelling do nothing:
 *  the child leaves them alone and makes its own. */
struct fletch_transport;

/** Bytes of budget where the options say nothing: 1 GiB. */
#define FLETCH_BUDGET_BYTES_DEFAULT (UINT64_C(1) << 30)

/** Zero means default in every field. */
struct fletch_transport_options {
    size_t struct_size;
    /** The most bytes that all shuffles together keep alive. 0: FLETCH_BUDGET_BYTES_DEFAULT. */
    uint64_t budget_bytes;
    /** Of those, what readers were given and have not released. 0: a quarter. */
    uint64_t delivered_bytes;
};

/** Makes a transport, owned by the caller. INVALID_ARGUMENT: an option, named with its value and
 *  limit; RESOURCE_EXHAUSTED: no memory. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_transport_create(const struct fletch_transport_options *options,
                        const struct fletch_allocator *allocator,
                        struct fletch_transport **out_transport, struct fletch_error *error);

/** Ends a transport that nobody uses any more. FAILED_PRECONDITION: a shuffle, writer, reader or
 *  batch of it is still there, named; the transport stays. NULL allowed. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_transport_destroy(struct fletch_transport *transport, struct fletch_error *error);

/** The pool of its buffers, for caches of one's own, and the account above all its shuffles: what
 *  is imported or read with these is counted once, and needs no second charge when it is written.
 *  Alive as long as the transport; the account must not be closed. */
FLETCH_EXPORT struct fletch_buffer_pool *fletch_transport_pool(struct fletch_transport *transport);
FLETCH_EXPORT struct fletch_account *fletch_transport_account(struct fletch_transport *transport);

FLETCH_END_DECLS

#endif
