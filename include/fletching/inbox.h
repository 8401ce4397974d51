#ifndef FLETCHING_INBOX_H
#define FLETCHING_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/answer.h>
#include <fletching/eventcount.h>
#include <fletching/export.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** An unbounded queue of nodes that the caller owns: one word, no memory of its own. Any number of
 *  producers push by one compare-and-swap; one consumer takes everything at once. Both are
 *  lock-free. FIFO for each producer; the whole order is that of the pushes.
 *
 *  Threads: any thread may push, close and ask; taking belongs to one thread at a time and can be
 *  handed over. It links nodes by pointers and so serves the threads of one process. */
struct fletch_inbox;

/** Placed inside whatever is to be pushed. While a node is in an inbox it belongs to the inbox. */
struct fletch_inbox_node {
    struct fletch_inbox_node *next;
};

/** What was taken: `count` nodes, oldest first, the last one's next is NULL. Empty: NULL and 0. */
struct fletch_inbox_list {
    struct fletch_inbox_node *first;
    size_t count;
};

/** Bytes and alignment of the memory that fletch_inbox_init wants: those of one pointer. */
FLETCH_EXPORT size_t fletch_inbox_bytes(void);
FLETCH_EXPORT size_t fletch_inbox_alignment(void);

/** Makes an open, empty inbox in memory of the caller. There is no deinit: close it, then forget
 *  it. INVALID_ARGUMENT: too small or misaligned. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_inbox_init(void *memory, size_t memory_bytes, struct fletch_inbox **out_inbox,
                  struct fletch_error *error);

/** Pushes one node. DONE: the inbox owns the node. CLOSED: the caller keeps it. With DONE
 *  `*out_was_empty` (NULL allowed) tells whether it was the first one: whoever hears true notifies
 *  the eventcount, if the consumer sleeps on one. Any thread; lock-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_inbox_push(struct fletch_inbox *inbox, struct fletch_inbox_node *node, bool *out_was_empty);

/** Pushes a list, first node first, with no other node between them; its last next must be NULL.
 *  The list must not be empty. Otherwise as fletch_inbox_push; CLOSED leaves the list as it was. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_inbox_push_list(struct fletch_inbox *inbox, struct fletch_inbox_node *first,
                       bool *out_was_empty);

/** Consumer: takes every node, oldest first. DONE (at least one), EMPTY or CLOSED. `*out_list` is
 *  written on DONE. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_inbox_try_take(struct fletch_inbox *inbox, struct fletch_inbox_list *out_list);

/** Consumer: the same, sleeping on `eventcount` up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_inbox_take(struct fletch_inbox *inbox, struct fletch_eventcount *eventcount,
                  uint64_t timeout_ns, struct fletch_inbox_list *out_list);

/** Lets no further push in and hands what was left to the caller (perhaps empty): every node is
 *  handed out exactly once, to a take or to the first close. Idempotent: later calls get the empty
 *  list. Does not notify. Any thread; wait-free. */
FLETCH_EXPORT void fletch_inbox_close(struct fletch_inbox *inbox,
                                      struct fletch_inbox_list *out_list);

FLETCH_END_DECLS

#endif
