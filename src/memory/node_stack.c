#include "memory/node_stack.h"

struct fletch_stack_node fletch_node_stack_closed_mark;

bool fletch_node_stack_give_back(struct fletch_node_stack *stack, struct fletch_stack_node *first)
{
    struct fletch_stack_node *none = NULL;
    if (first == NULL)
        return true;
    /* Mostly nobody has pushed since, and the chain need not be walked. */
    if (cas_strong_release(&stack->head, &none, first)) /* E1 release */
        return true;
    struct fletch_stack_node *last = first;
    while (last->next != NULL)
        last = last->next;
    return fletch_node_stack_push(stack, first, last);
}

struct fletch_stack_node *fletch_node_stack_close(struct fletch_node_stack *stack)
{
    struct fletch_stack_node *head =
        exchange_acquire(&stack->head, &fletch_node_stack_closed_mark); /* E1 acquire */
    return head == &fletch_node_stack_closed_mark ? NULL : head;
}

void fletch_node_stack_open(struct fletch_node_stack *stack)
{
    /* relaxed: nobody exchanges the closed mark for anything, and a new stack is nobody else's */
    store_relaxed(&stack->head, NULL);
}
