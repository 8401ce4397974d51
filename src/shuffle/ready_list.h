#ifndef FLETCH_SHUFFLE_READY_LIST_H
#define FLETCH_SHUFFLE_READY_LIST_H

/* How one reader hears of many inboxes, and how inboxes change readers.
 *
 * A *mailbox* is an inbox with an owner. Whoever pushes marks it *queued*; who sets the mark hands
 * the mailbox to its owner: it goes on the owner's *ready list*, an inbox of mailboxes, with one
 * eventcount for all. Who takes it from there takes the mark off before looking into it. Without an
 * owner, or where the list is closed because the owner is leaving, the mark comes off again.
 *
 * Origin: the ready queue of event notification (epoll's ready list, the scheduling bit of actor
 * mailboxes), over sync/inbox.h.
 *
 * Roles: any number of pushers, attachers and closers of mailboxes; one thread at a time takes from
 * a list, detaches its mailboxes and closes it. Progress: push, announce, attach, detach and close
 * are lock-free: handing over goes round once for each owner that comes or goes meanwhile.
 *
 * Why nothing is left lying. All changes of `queued` are exchanges, acquire and release, so each
 * sees what came before the earlier ones.
 *   A pusher that finds the mark set: whoever takes it off comes later, sees the push, and then
 *   looks: into the inbox, if it is the owner; for an owner, otherwise.
 *   A pusher that sets the mark and sees no owner takes it off and looks again. An attacher that
 *   became owner before that is seen then; one that became owner after finds no mark, sets it, and
 *   hands the mailbox to itself.
 *   A leaving owner takes itself out of the mailbox first, then announces the mailbox, then closes
 *   its list. A pusher that finds the list closed had its mark before or after that announcement;
 *   in both cases its next look does not see that owner any more, so it does not go round for ever.
 *
 * Edges:
 *   E1: attacher cas_strong_acq_rel(owner) -> pusher load_acquire(owner): the list.
 *   E2: any exchange_acq_rel(queued) -> each later exchange_acq_rel(queued): what was pushed, and
 *       who became owner, or is no longer.
 *   E3: leaving owner cas_strong_acq_rel(owner) -> cas_strong_acq_rel(owner) of who attaches or
 *       retires: what the reading side of the mailbox has.
 *
 * Linearization: as the inbox's; an owner comes and goes at the compare-and-swap of `owner`.
 * Reclamation: a pusher uses a list that it found in `owner` inside a section, so lists are retired
 * by epoch. ABA: a list's address is not used again inside such a section; a mailbox is on one list
 * at a time, as the mark says who may push it. */

#include <fletching/inbox.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "sync/epoch.h"
#include "sync/eventcount.h"
#include "sync/inbox.h"
#include "sync/wait.h"

/* A reader's. */
struct fletch_ready_list {
    struct fletch_epoch_object object; /* first: until it is freed */
    struct fletch_inbox mailboxes;
    struct fletch_eventcount eventcount;
    struct fletch_eventcount *sleeper; /* told of what is ready: `eventcount`, or that of an owner
                                          who waits for other things too */
    struct fletch_wait_history history;
};

struct fletch_mailbox {
    struct fletch_inbox_node ready; /* first: on the owner's list */
    struct fletch_inbox inbox;
    _Atomic uint32_t queued;
    _Atomic(struct fletch_ready_list *) owner; /* NULL: none */
};

/* ---- lists ---- */

void fletch_ready_list_init(struct fletch_ready_list *list);

/* Takes the mailboxes that are ready, oldest first; NULL: none. The link of each is to be read
 * before fletch_mailbox_take. */
struct fletch_inbox_node *fletch_ready_list_take(struct fletch_ready_list *list);

/* Whether there is one. */
bool fletch_ready_list_has_any(struct fletch_ready_list *list);

/* Sleeps until there is one, or the timeout. */
void fletch_ready_list_wait(struct fletch_ready_list *list, uint64_t timeout_ns);

/* After all mailboxes were detached: no more come, and those that are there go to their owners. */
void fletch_ready_list_close(struct fletch_ready_list *list,
                             struct fletch_epoch_reader *epoch_reader);

/* ---- mailboxes ---- */

void fletch_mailbox_init(struct fletch_mailbox *mailbox);

/* CLOSED: the node stays the caller's. `epoch_reader`: the calling thread's, of the domain in which
 * lists are retired. */
enum fletch_answer fletch_mailbox_push(struct fletch_mailbox *mailbox,
                                       struct fletch_epoch_reader *epoch_reader,
                                       struct fletch_inbox_node *node);

/* Puts it on its owner's list and wakes him, as if something had been pushed. */
void fletch_mailbox_announce(struct fletch_mailbox *mailbox,
                             struct fletch_epoch_reader *epoch_reader);

/* False: it has an owner, or will never have one again. */
bool fletch_mailbox_attach(struct fletch_mailbox *mailbox, struct fletch_ready_list *list,
                           struct fletch_epoch_reader *epoch_reader);

/* Whether somebody owns it just now. Any thread. */
bool fletch_mailbox_has_owner(const struct fletch_mailbox *mailbox);

/* The reading side is somebody else's from now on. */
void fletch_mailbox_detach(struct fletch_mailbox *mailbox, struct fletch_ready_list *list,
                           struct fletch_epoch_reader *epoch_reader);

/* The owner, after it took the mailbox from its list: what was pushed, oldest first, or nothing. */
enum fletch_answer fletch_mailbox_take(struct fletch_mailbox *mailbox,
                                       struct fletch_inbox_list *out_list);

/* Pushes are refused from now on, the owner is told; what was left is the caller's. True: nobody
 * owns the reading side, nor ever will: it is the caller's too. False: it is the owner's, who calls
 * fletch_mailbox_retire when it leaves. */
bool fletch_mailbox_close(struct fletch_mailbox *mailbox, struct fletch_epoch_reader *epoch_reader,
                          struct fletch_inbox_list *out_list);

/* Nobody may attach any more. True, once: nobody did, and the reading side is the caller's. */
bool fletch_mailbox_retire(struct fletch_mailbox *mailbox);

#endif
