#include "sync/serial.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"

/* The edges of sync/serial.h: E1, a task as its submitter wrote it; E2, what tasks share. */

enum { WORDS = 3, ROUNDS = 100000, SUBMITTERS = 3 };

static struct test_arguments arguments;

struct job {
    struct fletch_serial_task task; /* first */
    uint64_t words[WORDS];
};

struct state {
    struct fletch_serial serial;
    uint64_t round;
    struct job jobs[SUBMITTERS];
    /* What tasks share. */
    uint64_t run;
    uint64_t shared[WORDS];
    uint64_t stale; /* words of a task that its submitter had not written */
    uint64_t apart; /* times at which the shared words were not equal */
};

static void run_job(void *context, struct fletch_serial_task *task)
{
    struct state *state = context;
    struct job *job = (struct job *)(void *)task;
    for (size_t i = 0; i < WORDS; i++) {
        state->stale += job->words[i] != state->round;
        state->apart += state->shared[i] != state->run;
        state->shared[i]++;
    }
    state->run++;
}

static void reset(void *context)
{
    struct state *state = context;
    fletch_serial_init(&state->serial, state);
    state->round++;
    state->run = state->stale = state->apart = 0;
    for (size_t i = 0; i < WORDS; i++)
        state->shared[i] = 0;
}

static void submit(struct state *state, struct job *job)
{
    job->task.run = run_job;
    for (size_t i = 0; i < WORDS; i++)
        job->words[i] = state->round;
    fletch_serial_submit(&state->serial, &job->task);
}

static void submit_first(void *context)
{
    submit(context, &((struct state *)context)->jobs[0]);
}

static void submit_second(void *context)
{
    submit(context, &((struct state *)context)->jobs[1]);
}

static void submit_third(void *context)
{
    submit(context, &((struct state *)context)->jobs[2]);
}

enum { WHOLE, STALE, APART, LOST };
static const struct litmus_outcome outcomes[] = {
    [WHOLE] = {"each task once, whole", LITMUS_ACCEPTABLE, "one after the other"},
    [STALE] = {"a task with other words", LITMUS_FORBIDDEN, "E1: written before it is submitted"},
    [APART] = {"shared words that differ", LITMUS_FORBIDDEN, "E2: a runner sees the last one's"},
    [LOST] = {"a task that was not run", LITMUS_FORBIDDEN, "idle only when nothing is left"},
};

static size_t outcome(void *context)
{
    const struct state *state = context;
    if (state->run != SUBMITTERS)
        return LOST;
    if (state->stale != 0)
        return STALE;
    return state->apart != 0 ? APART : WHOLE;
}

static void run(const char *name)
{
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct state),
        .make = reset,
        .reset = reset,
        .roles = {submit_first, submit_second, submit_third},
        .role_count = SUBMITTERS,
        .outcome = outcome,
        .outcomes = outcomes,
        .outcome_count = 4,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

static void serial_e1(void **state)
{
    (void)state;
    run("serial E1: tasks written, submitted (three submitters), run");
}

static void serial_e2(void **state)
{
    (void)state;
    run("serial E2: tasks of one runner, then of the next");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serial_e1),
        cmocka_unit_test(serial_e2),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
