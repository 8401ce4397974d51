#include "shuffle/ready_list.h"

#include "base/assert.h"

/* The owner of a mailbox that nobody will own again; nobody's list. */
static struct fletch_ready_list nobody;

static bool is_reader(const struct fletch_ready_list *owner)
{
    return owner != NULL && owner != &nobody;
}

/* ---- lists ---- */

void fletch_ready_list_init(struct fletch_ready_list *list)
{
    static const struct fletch_wait_policy policy = {
        .strategy = FLETCH_WAIT_ADAPTIVE, .spin_budget_ns = FLETCH_SPIN_BUDGET_NS_DEFAULT};
    store_relaxed(&list->mailboxes.head, NULL); /* relaxed: nobody else knows the list yet */
    fletch_eventcount_start(&list->eventcount, FLETCH_SHARING_PROCESS);
    list->sleeper = &list->eventcount;
    fletch_wait_history_start(&list->history, &policy);
}

struct fletch_inbox_node *fletch_ready_list_take(struct fletch_ready_list *list)
{
    struct fletch_inbox_list taken;
    if (fletch_inbox_try_take(&list->mailboxes, &taken) != FLETCH_DONE)
        return NULL;
    return taken.first;
}

bool fletch_ready_list_has_any(struct fletch_ready_list *list)
{
    return load_relaxed(&list->mailboxes.head) != NULL; /* relaxed: taking acquires */
}

static enum fletch_answer attempt_look(void *call)
{
    return fletch_ready_list_has_any(call) ? FLETCH_DONE : FLETCH_EMPTY;
}

void fletch_ready_list_wait(struct fletch_ready_list *list, uint64_t timeout_ns)
{
    static const struct fletch_wait_policy policy = {
        .strategy = FLETCH_WAIT_ADAPTIVE, .spin_budget_ns = FLETCH_SPIN_BUDGET_NS_DEFAULT};
    const struct fletch_wait wait = {
        .policy = &policy,
        .history = &list->history,
        .eventcount = &list->eventcount,
        .attempt = attempt_look,
        .call = list,
    };
    (void)fletch_wait_for(&wait, timeout_ns);
}

/* ---- handing over ---- */

/* Puts the mailbox on the list. False: the list is closed. */
static bool put(struct fletch_mailbox *mailbox, struct fletch_ready_list *list)
{
    bool was_empty;
    if (fletch_inbox_push(&list->mailboxes, &mailbox->ready, &was_empty) != FLETCH_DONE)
        return false;
    if (was_empty)
        fletch_eventcount_notify_inline(list->sleeper, 1);
    return true;
}

/* By whoever has set the mark. */
static void hand_over(struct fletch_mailbox *mailbox, struct fletch_epoch_reader *epoch_reader)
{
    fletch_epoch_enter(epoch_reader);
    for (;;) {
        struct fletch_ready_list *owner = load_acquire(&mailbox->owner); /* E1 acquire */
        if (is_reader(owner) && put(mailbox, owner))
            break;
        exchange_acq_rel(&mailbox->queued, 0);         /* E2 release, E2 acquire */
        if (!is_reader(load_acquire(&mailbox->owner))) /* E1 acquire */
            break;
        if (exchange_acq_rel(&mailbox->queued, 1) != 0) /* E2 release, E2 acquire */
            break;
    }
    fletch_epoch_exit(epoch_reader);
}

void fletch_mailbox_announce(struct fletch_mailbox *mailbox,
                             struct fletch_epoch_reader *epoch_reader)
{
    if (exchange_acq_rel(&mailbox->queued, 1) == 0) /* E2 release, E2 acquire */
        hand_over(mailbox, epoch_reader);
}

void fletch_ready_list_close(struct fletch_ready_list *list,
                             struct fletch_epoch_reader *epoch_reader)
{
    struct fletch_inbox_list left;
    fletch_inbox_close(&list->mailboxes, &left);
    for (struct fletch_inbox_node *node = left.first; node != NULL;) {
        struct fletch_inbox_node *next = node->next;
        hand_over((struct fletch_mailbox *)(void *)node, epoch_reader);
        node = next;
    }
}

/* ---- mailboxes ---- */

void fletch_mailbox_init(struct fletch_mailbox *mailbox)
{
    store_relaxed(&mailbox->inbox.head, NULL); /* relaxed: nobody else knows the mailbox yet */
    store_relaxed(&mailbox->queued, 0);        /* relaxed: as above */
    store_relaxed(&mailbox->owner, NULL);      /* relaxed: as above */
}

enum fletch_answer fletch_mailbox_push(struct fletch_mailbox *mailbox,
                                       struct fletch_epoch_reader *epoch_reader,
                                       struct fletch_inbox_node *node)
{
    enum fletch_answer answer = fletch_inbox_push(&mailbox->inbox, node, NULL);
    if (answer == FLETCH_DONE)
        fletch_mailbox_announce(mailbox, epoch_reader);
    return answer;
}

bool fletch_mailbox_attach(struct fletch_mailbox *mailbox, struct fletch_ready_list *list,
                           struct fletch_epoch_reader *epoch_reader)
{
    struct fletch_ready_list *none = NULL;
    if (!cas_strong_acq_rel(&mailbox->owner, &none, list)) /* E1 release, E3 acquire */
        return false;
    fletch_mailbox_announce(mailbox, epoch_reader);
    return true;
}

bool fletch_mailbox_has_owner(const struct fletch_mailbox *mailbox)
{
    return is_reader(load_acquire(&mailbox->owner)); /* E1 acquire */
}

void fletch_mailbox_detach(struct fletch_mailbox *mailbox, struct fletch_ready_list *list,
                           struct fletch_epoch_reader *epoch_reader)
{
    struct fletch_ready_list *owner = list;
    bool was_owner = cas_strong_acq_rel(&mailbox->owner, &owner, NULL); /* E3 release */
    FLETCH_ASSERT(was_owner);
    (void)was_owner;
    fletch_mailbox_announce(mailbox, epoch_reader);
}

enum fletch_answer fletch_mailbox_take(struct fletch_mailbox *mailbox,
                                       struct fletch_inbox_list *out_list)
{
    *out_list = (struct fletch_inbox_list){.first = NULL, .count = 0};
    exchange_acq_rel(&mailbox->queued, 0); /* E2 release, E2 acquire */
    return fletch_inbox_try_take(&mailbox->inbox, out_list);
}

bool fletch_mailbox_close(struct fletch_mailbox *mailbox, struct fletch_epoch_reader *epoch_reader,
                          struct fletch_inbox_list *out_list)
{
    fletch_inbox_close(&mailbox->inbox, out_list);
    fletch_mailbox_announce(mailbox, epoch_reader);
    return fletch_mailbox_retire(mailbox);
}

bool fletch_mailbox_retire(struct fletch_mailbox *mailbox)
{
    struct fletch_ready_list *none = NULL;
    return cas_strong_acq_rel(&mailbox->owner, &none, &nobody); /* E3 acquire */
}
