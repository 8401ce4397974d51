/* Stack that is taken whole: every node comes out once, at the latest at the end.
 *
 * PUSHERS     push NODES each
 * TAKERS      take TAKES times each and write to what they got
 * GIVES_BACK  keeping the first node, and giving the others back
 * CLOSES      or close the stack instead */

#include "memory/node_stack.h"

#include "harness.h"

#ifndef PUSHERS
#define PUSHERS 2
#endif
#ifndef NODES
#define NODES 1
#endif
#ifndef TAKERS
#define TAKERS 1
#endif
#ifndef TAKES
#define TAKES 1
#endif
#ifndef GIVES_BACK
#define GIVES_BACK 0
#endif
#ifndef CLOSES
#define CLOSES 0
#endif

struct item {
    struct fletch_stack_node node; /* first */
    int pusher;
    int writes; /* by takers */
    int taken;
};

static struct fletch_node_stack stack;
static struct item items[PUSHERS][NODES];
static bool refused[PUSHERS][NODES];

static void *push(void *argument)
{
    int pusher = (int)(intptr_t)argument;
    for (int i = 0; i < NODES; i++) {
        struct item *item = &items[pusher][i];
        item->pusher = pusher;
        refused[pusher][i] = !fletch_node_stack_push(&stack, &item->node, &item->node);
    }
    return NULL;
}

/* Keeps the first one and gives the others back, or keeps all. */
static void keep(struct fletch_stack_node *node)
{
    for (struct fletch_stack_node *at = node; at != NULL; at = at->next)
        ((struct item *)(void *)at)->writes++;
    if (node != NULL && GIVES_BACK) {
        struct fletch_stack_node *rest = node->next;
        node->next = NULL;
        harness_assert(fletch_node_stack_give_back(&stack, rest));
    }
    for (; node != NULL; node = node->next)
        ((struct item *)(void *)node)->taken++;
}

static void *take(void *unused)
{
    for (int i = 0; i < TAKES; i++)
        keep(fletch_node_stack_take(&stack));
    return unused;
}

static void *close_stack(void *unused)
{
    keep(fletch_node_stack_close(&stack));
    harness_assert(fletch_node_stack_close(&stack) == NULL);
    return unused;
}

void harness(void)
{
    struct harness_thread pushers[PUSHERS], takers[TAKERS];
    fletch_node_stack_open(&stack);
    for (int i = 0; i < PUSHERS * NODES; i++)
        items[i / NODES][i % NODES] = (struct item){.pusher = -1};
    for (int i = 0; i < PUSHERS; i++)
        harness_start(&pushers[i], push, (void *)(intptr_t)i);
    for (int i = 0; i < TAKERS; i++)
        harness_start(&takers[i], CLOSES ? close_stack : take, NULL);
    for (int i = 0; i < PUSHERS; i++)
        harness_join(&pushers[i]);
    for (int i = 0; i < TAKERS; i++)
        harness_join(&takers[i]);
    for (struct fletch_stack_node *node; (node = fletch_node_stack_take(&stack)) != NULL;)
        keep(node);
    for (int i = 0; i < PUSHERS * NODES; i++)
        harness_assert(items[i / NODES][i % NODES].taken + refused[i / NODES][i % NODES] == 1);
}
