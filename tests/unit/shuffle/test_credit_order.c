#include "shuffle/credit_order.h"

#include "base/random.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"

/* The order of those that wait, against a plain list that is searched from the oldest on. */

enum { PLACES = 200, STEPS = 200000, NEED_MOST = 50 };

static struct test_arguments arguments;

struct plain {
    struct fletch_credit_order order;
    struct fletch_credit_place places[PLACES];
    uint64_t tickets[PLACES]; /* 0: not in it */
    uint64_t needs[PLACES];
    uint64_t next_ticket;
};

static struct fletch_credit_place *search(struct plain *plain, uint64_t available)
{
    size_t oldest = PLACES;
    for (size_t i = 0; i < PLACES; i++)
        if (plain->tickets[i] != 0 && plain->needs[i] <= available &&
            (oldest == PLACES || plain->tickets[i] < plain->tickets[oldest]))
            oldest = i;
    return oldest == PLACES ? NULL : &plain->places[oldest];
}

static void step(struct plain *plain, struct fletch_random *random)
{
    size_t i = (size_t)fletch_random_below(random, PLACES);
    uint64_t need = fletch_random_below(random, NEED_MOST);
    if (plain->tickets[i] == 0) {
        /* Mostly the youngest, sometimes one that comes back with an old ticket. */
        plain->next_ticket += 1 + fletch_random_below(random, 3);
        plain->tickets[i] = plain->next_ticket;
        plain->needs[i] = need;
        fletch_credit_order_insert(&plain->order, &plain->places[i], plain->tickets[i], need);
    } else if (fletch_random_below(random, 3) == 0) {
        plain->needs[i] = need;
        fletch_credit_order_change(&plain->places[i], need);
    } else {
        fletch_credit_order_remove(&plain->order, &plain->places[i]);
        plain->tickets[i] = 0;
    }
}

static void the_oldest_whose_need_is_met_is_found(void **state)
{
    static struct plain plain;
    struct fletch_random random = fletch_random_from_seed(arguments.seed);
    (void)state;
    assert_null(fletch_credit_order_first(&plain.order, UINT64_MAX));
    for (int i = 0; i < STEPS; i++) {
        step(&plain, &random);
        uint64_t available = fletch_random_below(&random, NEED_MOST);
        assert_ptr_equal(fletch_credit_order_first(&plain.order, available),
                         search(&plain, available));
    }
}

/* How far the deepest place of the tree lies below its root. */
static int depth_of(const struct fletch_credit_place *place)
{
    int depth = 0;
    for (; place->parent != NULL; place = place->parent)
        depth++;
    return depth;
}

static void tickets_in_order_make_no_list(void **state)
{
    enum { MANY = 65536, DEEPEST = 64 };
    static struct fletch_credit_place places[MANY];
    struct fletch_credit_order order = {.root = NULL};
    int deepest = 0;
    (void)state;
    for (uint64_t i = 0; i < MANY; i++)
        fletch_credit_order_insert(&order, &places[i], i, i % 7);
    for (size_t i = 0; i < MANY; i++)
        if (depth_of(&places[i]) > deepest)
            deepest = depth_of(&places[i]);
    assert_in_range(deepest, 16, DEEPEST);
    for (size_t i = 0; i < MANY; i++) {
        assert_ptr_equal(fletch_credit_order_first(&order, 6), &places[i]);
        fletch_credit_order_remove(&order, &places[i]);
    }
    assert_null(order.root);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_whose_need_is_met_is_found),
        cmocka_unit_test(tickets_in_order_make_no_list),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
