#include "sync/inbox.h"

#include "sync/placement.h"
#include "sync/wait.h"

/* A closed inbox points at this node, which is nobody's. */
static struct fletch_inbox_node closed_mark;

size_t fletch_inbox_bytes(void)
{
    return sizeof(struct fletch_inbox);
}

size_t fletch_inbox_alignment(void)
{
    return _Alignof(struct fletch_inbox);
}

enum fletch_status fletch_inbox_init(void *memory, size_t memory_bytes,
                                     struct fletch_inbox **out_inbox, struct fletch_error *error)
{
    enum fletch_status status = fletch_placement_check(
        memory, memory_bytes, sizeof(struct fletch_inbox), _Alignof(struct fletch_inbox), error);
    if (status != FLETCH_OK)
        return status;
    *out_inbox = memory;
    store_relaxed(&(*out_inbox)->head, NULL); /* relaxed: nobody else knows the inbox yet */
    return FLETCH_OK;
}

/* Puts the chain `newest` → … → `oldest` before what is there. */
static enum fletch_answer push_chain(struct fletch_inbox *inbox, struct fletch_inbox_node *newest,
                                     struct fletch_inbox_node *oldest, bool *out_was_empty)
{
    /* relaxed: only compared and linked to, never looked into */
    struct fletch_inbox_node *head = load_relaxed(&inbox->head);
    do {
        if (head == &closed_mark)
            return FLETCH_CLOSED;
        oldest->next = head;
    } while (!cas_weak_release(&inbox->head, &head, newest)); /* E1 release */
    if (out_was_empty != NULL)
        *out_was_empty = head == NULL;
    return FLETCH_DONE;
}

enum fletch_answer fletch_inbox_push(struct fletch_inbox *inbox, struct fletch_inbox_node *node,
                                     bool *out_was_empty)
{
    return push_chain(inbox, node, node, out_was_empty);
}

/* Turns the list from `node` to NULL or the closed mark around. */
static struct fletch_inbox_list reversed(struct fletch_inbox_node *node)
{
    struct fletch_inbox_list list = {.first = NULL, .count = 0};
    while (node != NULL && node != &closed_mark) {
        struct fletch_inbox_node *next = node->next;
        node->next = list.first;
        list.first = node;
        list.count++;
        node = next;
    }
    return list;
}

enum fletch_answer fletch_inbox_push_list(struct fletch_inbox *inbox,
                                          struct fletch_inbox_node *first, bool *out_was_empty)
{
    struct fletch_inbox_node *newest = reversed(first).first;
    enum fletch_answer answer = push_chain(inbox, newest, first, out_was_empty);
    if (answer == FLETCH_CLOSED) {
        first->next = NULL;
        reversed(newest);
    }
    return answer;
}

enum fletch_answer fletch_inbox_try_take(struct fletch_inbox *inbox,
                                         struct fletch_inbox_list *out_list)
{
    /* relaxed: only compared; the compare-and-swap acquires */
    struct fletch_inbox_node *head = load_relaxed(&inbox->head);
    do {
        if (head == NULL)
            return FLETCH_EMPTY;
        if (head == &closed_mark)
            return FLETCH_CLOSED;
    } while (!cas_weak_acquire(&inbox->head, &head, NULL)); /* E1 acquire */
    *out_list = reversed(head);
    return FLETCH_DONE;
}

/* A waiting take, packed for sync/wait.h. */
struct take_call {
    struct fletch_inbox *inbox;
    struct fletch_inbox_list *out_list;
};

static enum fletch_answer attempt_take(void *call)
{
    struct take_call *take = call;
    return fletch_inbox_try_take(take->inbox, take->out_list);
}

enum fletch_answer fletch_inbox_take(struct fletch_inbox *inbox,
                                     struct fletch_eventcount *eventcount, uint64_t timeout_ns,
                                     struct fletch_inbox_list *out_list)
{
    struct take_call call = {.inbox = inbox, .out_list = out_list};
    struct fletch_wait_history history;
    const struct fletch_wait_policy policy = {.strategy = FLETCH_WAIT_PARK};
    const struct fletch_wait wait = {
        .policy = &policy,
        .history = &history,
        .eventcount = eventcount,
        .attempt = attempt_take,
        .call = &call,
    };
    enum fletch_answer answer = fletch_inbox_try_take(inbox, out_list);
    if (answer != FLETCH_EMPTY)
        return answer;
    fletch_wait_history_start(&history, &policy);
    return fletch_wait_for(&wait, timeout_ns);
}

void fletch_inbox_close(struct fletch_inbox *inbox, struct fletch_inbox_list *out_list)
{
    *out_list = reversed(exchange_acquire(&inbox->head, &closed_mark)); /* E1 acquire */
}
