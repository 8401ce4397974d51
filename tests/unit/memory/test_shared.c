#include "memory/shared.h"

#include "support/cmocka_tests.h"

struct thing {
    struct fletch_shared shared;
    int ends;
};

static void end_thing(struct fletch_shared *shared)
{
    ((struct thing *)(void *)shared)->ends++;
}

static void it_ends_with_the_last_reference(void **state)
{
    (void)state;
    struct thing thing = {.ends = 0};
    fletch_shared_init(&thing.shared, end_thing);
    for (int i = 0; i < 3; i++)
        fletch_shared_acquire(&thing.shared);
    for (int i = 0; i < 3; i++)
        fletch_shared_release(&thing.shared);
    assert_int_equal(thing.ends, 0);
    fletch_shared_release(&thing.shared);
    assert_int_equal(thing.ends, 1);
}

static void a_drop_tells_whether_it_was_the_last(void **state)
{
    (void)state;
    struct thing thing = {.ends = 0};
    fletch_shared_init(&thing.shared, end_thing);
    fletch_shared_acquire(&thing.shared);
    assert_false(fletch_shared_drop(&thing.shared));
    assert_true(fletch_shared_drop(&thing.shared));
    assert_int_equal(thing.ends, 0); /* that is the caller's work then */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_with_the_last_reference),
        cmocka_unit_test(a_drop_tells_whether_it_was_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
