/* Inbox: a few producers, one taker, perhaps somebody who closes.
 *
 * Every node that is pushed is handed out once, to a take or to the closer, with what it carries,
 * in its producer's order; the taker does not sleep while there are nodes.
 *
 * PRODUCERS  and NODES of each               LIST      nodes are pushed as one list
 * PARK       the taker sleeps on an eventcount
 * CLOSES     another thread closes the inbox
 * TAKES      calls of the taker, whatever they answer, instead of as many as it takes: what is left
 *            is taken at last, by the harness */

#include "sync/inbox.h"

#include <stdlib.h>

#include "harness.h"
#include "sync/eventcount.h"
#include "sync/wait.h"

#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef NODES
#define NODES 1
#endif
#ifndef LIST
#define LIST 0
#endif
#ifndef PARK
#define PARK 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif
#ifndef TAKES
#define TAKES 0
#endif

struct letter {
    struct fletch_inbox_node node; /* first */
    int producer;
    int number;
};

static struct fletch_inbox *inbox;
static struct fletch_eventcount *eventcount;
static int pushed[PRODUCERS];
static int taken[PRODUCERS];
static int taken_count;

static struct letter *write_letter(int producer, int number)
{
    struct letter *letter = malloc(sizeof *letter);
    *letter = (struct letter){.producer = producer, .number = number};
    return letter;
}

/* Letters `from` to NODES - 1 of a producer, linked. */
static struct fletch_inbox_node *write_list(int producer, int from)
{
    struct fletch_inbox_node *first = NULL;
    for (int number = NODES - 1; number >= from; number--) {
        struct letter *letter = write_letter(producer, number);
        letter->node.next = first;
        first = &letter->node;
    }
    return first;
}

static void burn(struct fletch_inbox_node *first, int count)
{
    for (int i = 0; i < count; i++) {
        struct fletch_inbox_node *next = first->next;
        free(first);
        first = next;
    }
    harness_assert(!LIST || first == NULL);
}

static void *produce(void *argument)
{
    int producer = (int)(intptr_t)argument, count = LIST ? NODES : 1;
    while (pushed[producer] < NODES) {
        bool was_empty = false;
        struct fletch_inbox_node *first =
            LIST ? write_list(producer, 0) : &write_letter(producer, pushed[producer])->node;
        enum fletch_answer answer = LIST ? fletch_inbox_push_list(inbox, first, &was_empty)
                                         : fletch_inbox_push(inbox, first, &was_empty);
        harness_assert(answer == FLETCH_DONE || (CLOSES && answer == FLETCH_CLOSED));
        if (answer == FLETCH_CLOSED) {
            burn(first, count);
            break;
        }
        pushed[producer] += count;
        if (PARK && was_empty)
            fletch_eventcount_notify(eventcount, 1);
    }
    return NULL;
}

/* Checks the letters of a list and throws them away; adds to `counts` what was read of whom. */
static void read_letters(const struct fletch_inbox_list *list, int *counts)
{
    struct fletch_inbox_node *node = list->first;
    for (size_t i = 0; i < list->count; i++) {
        struct letter *letter = (struct letter *)(void *)node;
        harness_assert(letter->producer >= 0 && letter->producer < PRODUCERS);
        harness_assert(letter->number >= counts[letter->producer]);
        harness_assert(CLOSES || letter->number == counts[letter->producer]);
        counts[letter->producer]++;
        node = node->next;
        free(letter);
    }
    harness_assert(node == NULL);
}

static int left[PRODUCERS]; /* what the closer got */

static void *close_inbox(void *unused)
{
    struct fletch_inbox_list list;
    fletch_inbox_close(inbox, &list);
    for (struct fletch_inbox_node *node = list.first; node != NULL;) {
        struct letter *letter = (struct letter *)(void *)node;
        left[letter->producer]++;
        node = node->next;
        free(letter);
        list.count--;
    }
    harness_assert(list.count == 0);
    if (PARK)
        fletch_eventcount_notify(eventcount, UINT32_MAX);
    return unused;
}

static enum fletch_answer take(void)
{
    struct fletch_inbox_list list = {.first = NULL, .count = 0};
    enum fletch_answer answer = PARK
                                    ? fletch_inbox_take(inbox, eventcount, FLETCH_NO_TIMEOUT, &list)
                                    : fletch_inbox_try_take(inbox, &list);
    harness_assert((answer == FLETCH_DONE) == (list.count > 0));
    read_letters(&list, taken);
    taken_count += (int)list.count;
    return answer;
}

static void *consume(void *unused)
{
    enum fletch_answer answer = FLETCH_DONE;
    for (int takes = 1; CLOSES ? answer != FLETCH_CLOSED : taken_count < PRODUCERS * NODES;
         takes++) {
        answer = take();
        if (takes == TAKES)
            break;
        if (answer == FLETCH_EMPTY)
            harness_pause();
    }
    return unused;
}

void harness(void)
{
    struct harness_thread taker, closer, producers[PRODUCERS];
    static struct fletch_inbox memory;
    static struct fletch_eventcount sleeping;
    harness_assert(fletch_inbox_init(&memory, sizeof memory, &inbox, NULL) == FLETCH_OK);
    harness_assert(fletch_eventcount_init(&sleeping, sizeof sleeping, FLETCH_SHARING_PROCESS,
                                          &eventcount, NULL) == FLETCH_OK);
    taken_count = 0;
    for (int i = 0; i < PRODUCERS; i++)
        pushed[i] = taken[i] = left[i] = 0;
    for (int i = 0; i < PRODUCERS; i++)
        harness_start(&producers[i], produce, (void *)(intptr_t)i);
    harness_start(&taker, consume, NULL);
    if (CLOSES)
        harness_start(&closer, close_inbox, NULL);
    for (int i = 0; i < PRODUCERS; i++)
        harness_join(&producers[i]);
    harness_join(&taker);
    if (CLOSES)
        harness_join(&closer);
    if (TAKES > 0)
        take();
    for (int i = 0; i < PRODUCERS; i++)
        harness_assert(taken[i] + left[i] == pushed[i]);
    fletch_eventcount_deinit(eventcount);
}
