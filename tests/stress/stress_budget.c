#include <fletching/fletching.h>

#include "base/atomic.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/pools.h"
#include "support/team.h"

/* Threads that charge accounts of one tree to their limits, wait for room, move charges, open and
 * close accounts. No limit is ever passed, nobody waits for ever, and at the end all is zero. */

enum { WORKERS = 4, ROUNDS = 30000, LIMIT = 10000, SHUFFLE_LIMIT = 6000, DELIVERED_LIMIT = 3000 };

static struct test_arguments arguments;

struct tree {
    struct fletch_budget *budget;
    struct fletch_account *process;
    struct fletch_account *shuffles[2];
    struct fletch_account *delivered;
};

struct worker {
    struct tree *tree;
    struct fletch_account *shuffle;
    uint64_t step_bytes;
    struct jitter jitter;
    uint64_t granted;
    uint64_t refused;
    uint64_t failed;
};

static uint32_t below(struct worker *worker, uint32_t bound)
{
    return fletch_random_below(&worker->jitter.random, bound);
}

static struct fletch_account *open_channel(struct worker *worker)
{
    struct fletch_account *channel = NULL;
    const struct fletch_account_options options = {
        .struct_size = sizeof options, .name = "channel", .step_bytes = worker->step_bytes};
    worker->failed += fletch_account_open(worker->shuffle, &options, &channel, NULL) != FLETCH_OK;
    return channel;
}

/* Who waits holds nothing, so that somebody always goes on. */
static void reserve_once(struct worker *worker, struct fletch_account **channel)
{
    static const uint64_t timeouts[] = {0, 100000, FLETCH_NO_TIMEOUT};
    uint64_t bytes = 1 + below(worker, 4000);
    struct fletch_account *delivered = worker->tree->delivered;
    enum fletch_status status =
        fletch_account_reserve(*channel, bytes, timeouts[below(worker, 3)], NULL);
    if (status != FLETCH_OK) {
        worker->refused++;
        worker->failed += status != FLETCH_RESOURCE_EXHAUSTED;
        return;
    }
    worker->granted++;
    jitter_step(&worker->jitter);
    bool moved = below(worker, 4) == 0 &&
                 fletch_account_transfer(*channel, delivered, bytes, 0, NULL) == FLETCH_OK;
    if (below(worker, 16) == 0) { /* closed with its bytes charged, if they have not moved */
        struct fletch_account *closed = *channel;
        fletch_account_close(closed);
        *channel = open_channel(worker);
        fletch_account_release(moved ? delivered : closed, bytes);
        return;
    }
    fletch_account_release(moved ? delivered : *channel, bytes);
}

static void work(void *context)
{
    struct worker *worker = context;
    struct fletch_account *channel = open_channel(worker);
    for (uint64_t i = 0; i < ROUNDS * arguments.scale && worker->failed == 0; i++)
        reserve_once(worker, &channel);
    fletch_account_close(channel);
}

static uint64_t peak(const struct fletch_account *account)
{
    struct fletch_budget_statistics statistics = {.struct_size = sizeof statistics};
    fletch_account_statistics(account, &statistics);
    return statistics.peak_bytes;
}

static void run(uint64_t step_bytes)
{
    struct tree tree;
    struct worker workers[WORKERS];
    struct team_role roles[WORKERS];
    const struct fletch_account_options options = {
        .struct_size = sizeof options, .name = "process", .limit_bytes = LIMIT};
    assert_ok(fletch_budget_create(&options, NULL, &tree.budget, NULL));
    tree.process = fletch_budget_account(tree.budget);
    for (int i = 0; i < 2; i++)
        tree.shuffles[i] = account_make(tree.process, "shuffle", SHUFFLE_LIMIT, step_bytes / 3);
    tree.delivered = account_make(tree.process, "delivered", DELIVERED_LIMIT, 0);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.tree = &tree,
                                     .shuffle = tree.shuffles[i % 2],
                                     .step_bytes = step_bytes,
                                     .jitter = jitter_from_seed(arguments.seed + i, 32)};
        roles[i] = (struct team_role){.run = work, .context = &workers[i]};
    }
    team_run(roles, WORKERS);
    for (size_t i = 0; i < WORKERS; i++) {
        assert_true(workers[i].failed == 0);
        assert_true(workers[i].granted > 0);
    }
    assert_true(peak(tree.process) <= LIMIT && peak(tree.process) > 0);
    assert_true(peak(tree.shuffles[0]) <= SHUFFLE_LIMIT);
    assert_true(peak(tree.delivered) <= DELIVERED_LIMIT);
    for (int i = 0; i < 2; i++)
        fletch_account_close(tree.shuffles[i]);
    fletch_account_close(tree.delivered);
    assert_int_equal(account_used_bytes(tree.process), 0);
    assert_ok(fletch_budget_destroy(tree.budget, NULL));
}

static void charges_without_steps(void **state)
{
    (void)state;
    run(0);
}

static void charges_in_steps(void **state)
{
    (void)state;
    run(500);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charges_without_steps),
        cmocka_unit_test(charges_in_steps),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
