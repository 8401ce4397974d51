#include "memory/node_stack.h"

#include "support/cmocka_tests.h"

static void push_one(struct fletch_node_stack *stack, struct fletch_stack_node *node)
{
    assert_true(fletch_node_stack_push(stack, node, node));
}

static void all_come_out_at_once_newest_first(void **state)
{
    (void)state;
    struct fletch_node_stack stack;
    struct fletch_stack_node nodes[5];
    fletch_node_stack_open(&stack);
    assert_null(fletch_node_stack_take(&stack));
    push_one(&stack, &nodes[0]);
    nodes[2].next = &nodes[1];
    assert_true(fletch_node_stack_push(&stack, &nodes[2], &nodes[1])); /* a chain */
    struct fletch_stack_node *node = fletch_node_stack_take(&stack);
    for (size_t i = 3; i-- > 0; node = node->next)
        assert_ptr_equal(node, &nodes[i]);
    assert_null(node);
    assert_null(fletch_node_stack_take(&stack));
}

static void what_is_given_back_comes_out_again(void **state)
{
    (void)state;
    struct fletch_node_stack stack;
    struct fletch_stack_node nodes[4];
    fletch_node_stack_open(&stack);
    for (size_t i = 0; i < 3; i++)
        push_one(&stack, &nodes[i]);
    struct fletch_stack_node *taken = fletch_node_stack_take(&stack);
    assert_true(fletch_node_stack_give_back(&stack, taken->next)); /* onto an empty stack */
    taken = fletch_node_stack_take(&stack);
    assert_ptr_equal(taken, &nodes[1]);
    push_one(&stack, &nodes[3]);
    assert_true(fletch_node_stack_give_back(&stack, taken)); /* before what has come meanwhile */
    taken = fletch_node_stack_take(&stack);
    assert_ptr_equal(taken, &nodes[1]);
    assert_ptr_equal(taken->next, &nodes[0]);
    assert_ptr_equal(taken->next->next, &nodes[3]);
    assert_null(nodes[3].next);
    assert_true(fletch_node_stack_give_back(&stack, NULL));
}

static void a_closed_stack_takes_nothing_until_it_is_opened(void **state)
{
    (void)state;
    struct fletch_node_stack stack;
    struct fletch_stack_node nodes[2];
    fletch_node_stack_open(&stack);
    push_one(&stack, &nodes[0]);
    assert_ptr_equal(fletch_node_stack_close(&stack), &nodes[0]);
    assert_false(fletch_node_stack_push(&stack, &nodes[1], &nodes[1]));
    nodes[1].next = NULL;
    assert_false(fletch_node_stack_give_back(&stack, &nodes[1]));
    assert_null(fletch_node_stack_take(&stack));
    assert_null(fletch_node_stack_close(&stack));
    fletch_node_stack_open(&stack);
    push_one(&stack, &nodes[1]);
    assert_ptr_equal(fletch_node_stack_take(&stack), &nodes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_come_out_at_once_newest_first),
        cmocka_unit_test(what_is_given_back_comes_out_again),
        cmocka_unit_test(a_closed_stack_takes_nothing_until_it_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
