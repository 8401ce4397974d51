#include "sync/epoch.h"

#include <stdlib.h>

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"

/* The edges of sync/epoch.h. What a test reclaims it also poisons, and looks again. */

enum { ROUNDS = 20000 };

static struct test_arguments arguments;

struct thing {
    struct fletch_epoch_object object;
    _Atomic uint64_t word;
};

static const uint64_t poison = UINT64_C(0xdeaddeaddeaddead);

struct state {
    struct fletch_epoch_domain *domain;
    struct fletch_epoch_reader *reader;
    struct fletch_epoch_reader *writer;
    _Atomic(struct thing *) shared;
    struct thing things[2]; /* reclaimed: poisoned */
    uint64_t seen, seen_again;
    uint64_t epoch_seen;
    uint64_t handed[2];
};

static void reclaim(struct fletch_epoch_object *object)
{
    struct thing *thing = (void *)object;
    /* relaxed: what is read too late would show this */
    store_relaxed(&thing->word, poison);
}

static void make(void *context)
{
    struct state *state = context;
    const struct fletch_epoch_options options = {
        .struct_size = sizeof options,
        .batch_objects = 1,
    };
    if (fletch_epoch_domain_create(&options, NULL, &state->domain, NULL) != FLETCH_OK ||
        fletch_epoch_reader_open(state->domain, &state->writer, NULL) != FLETCH_OK ||
        fletch_epoch_reader_open(state->domain, &state->reader, NULL) != FLETCH_OK)
        abort();
    for (int i = 0; i < 2; i++)
        state->things[i].object.reclaim = reclaim;
}

static void reset(void *context)
{
    struct state *state = context;
    fletch_epoch_collect(state->writer);
    fletch_epoch_collect(state->reader);
    for (int i = 0; i < 2; i++)
        store_relaxed(&state->things[i].word, (uint64_t)i); /* relaxed: before the roles */
    store_relaxed(&state->shared, &state->things[0]);       /* relaxed: as above */
    state->seen = state->seen_again = state->epoch_seen = 0;
    state->handed[0] = state->handed[1] = 0;
}

static void end(void *context)
{
    struct state *state = context;
    fletch_epoch_reader_close(state->writer);
    fletch_epoch_reader_close(state->reader);
    fletch_epoch_domain_destroy(state->domain);
}

static void look(void *context)
{
    struct state *state = context;
    fletch_epoch_enter(state->reader);
    state->epoch_seen = load_relaxed(&state->reader->epoch); /* relaxed: one's own */
    struct thing *thing = load_acquire(&state->shared);
    state->seen = load_relaxed(&thing->word); /* relaxed: see reclaim */
    for (int i = 0; i < 8; i++)
        state->seen_again = load_relaxed(&thing->word); /* relaxed: see reclaim */
    fletch_epoch_exit(state->reader);
}

static void replace(void *context)
{
    struct state *state = context;
    struct thing *old = exchange_acq_rel(&state->shared, &state->things[1]);
    fletch_epoch_retire(state->writer, &old->object, 1);
}

enum { OLD, NEW, FREED };
static const struct litmus_outcome look_outcomes[] = {
    [OLD] = {"the old object, whole", LITMUS_ACCEPTABLE, "it waits for the reader"},
    [NEW] = {"the new object", LITMUS_ACCEPTABLE, "the reader entered later"},
    [FREED] = {"a freed object", LITMUS_FORBIDDEN, "E1, E2: nobody inside can find or hold it"},
};

static size_t look_outcome(void *context)
{
    struct state *state = context;
    if (state->seen == poison || state->seen_again == poison || state->seen != state->seen_again)
        return FREED;
    return state->seen == 0 ? OLD : NEW;
}

static bool run_looks(const char *name)
{
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = reset,
        .end = end,
        .roles = {replace, look},
        .role_count = 2,
        .outcome = look_outcome,
        .outcomes = look_outcomes,
        .outcome_count = 3,
    };
    return litmus_run(&test, ROUNDS * arguments.scale, arguments.seed);
}

static void epoch_e1(void **state)
{
    (void)state;
    assert_true(run_looks("epoch E1: unlinked, epoch advanced || epoch announced, looked"));
}

static void epoch_e2(void **state)
{
    (void)state;
    assert_true(run_looks("epoch E2: section left || bag freed"));
}

/* ---- records ---- */

static void open_and_close(void *context)
{
    struct state *state = context;
    struct fletch_epoch_reader *reader;
    if (fletch_epoch_reader_open(state->domain, &reader, NULL) != FLETCH_OK)
        return;
    fletch_epoch_enter(reader);
    struct thing *thing = load_acquire(&state->shared);
    state->seen = load_relaxed(&thing->word);       /* relaxed: see reclaim */
    state->seen_again = load_relaxed(&thing->word); /* relaxed: see reclaim */
    fletch_epoch_exit(reader);
    fletch_epoch_reader_close(reader);
}

static void open_and_replace(void *context)
{
    struct state *state = context;
    struct fletch_epoch_reader *reader;
    if (fletch_epoch_reader_open(state->domain, &reader, NULL) != FLETCH_OK)
        return;
    struct thing *old = exchange_acq_rel(&state->shared, &state->things[1]);
    fletch_epoch_retire(reader, &old->object, 1);
    fletch_epoch_reader_close(reader);
}

static bool run_records(const char *name)
{
    const struct litmus_test test = {
        .name = name,
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = reset,
        .end = end,
        .roles = {open_and_replace, open_and_close},
        .role_count = 2,
        .outcome = look_outcome,
        .outcomes = look_outcomes,
        .outcome_count = 3,
    };
    return litmus_run(&test, ROUNDS * arguments.scale, arguments.seed);
}

static void epoch_e3(void **state)
{
    (void)state;
    assert_true(run_records("epoch E3: record pushed || records walked"));
}

static void epoch_e4(void **state)
{
    (void)state;
    assert_true(run_records("epoch E4: record given back || record taken"));
}

/* ---- orphans ---- */

static void replace_as_orphan(void *context)
{
    struct state *state = context;
    struct thing *old = exchange_acq_rel(&state->shared, &state->things[1]);
    fletch_epoch_retire_orphan(state->domain, &old->object, 1);
}

static void look_and_collect(void *context)
{
    look(context);
    fletch_epoch_collect(((struct state *)context)->reader);
}

static void epoch_e5(void **unused)
{
    (void)unused;
    const struct litmus_test test = {
        .name = "epoch E5: orphan left || looked, orphans freed",
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = reset,
        .end = end,
        .roles = {replace_as_orphan, look_and_collect},
        .role_count = 2,
        .outcome = look_outcome,
        .outcomes = look_outcomes,
        .outcome_count = 3,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

/* ---- classes ---- */

static void use_class(struct state *state, size_t role)
{
    const struct fletch_epoch_class added = {.context = &state->handed[role]};
    uint32_t number = fletch_epoch_class_add(state->domain, &added);
    uint64_t *context = state->domain->classes[number].context;
    *context += 1;
    fletch_epoch_class_remove(state->domain, number);
}

static void use_class_first(void *context)
{
    use_class(context, 0);
}

static void use_class_second(void *context)
{
    use_class(context, 1);
}

static size_t classes_outcome(void *context)
{
    struct state *state = context;
    return state->handed[0] == 1 && state->handed[1] == 1 ? 0 : 1;
}

static void epoch_e6(void **unused)
{
    (void)unused;
    static const struct litmus_outcome outcomes[] = {
        {"each its own", LITMUS_ACCEPTABLE, "a number stands for one class at a time"},
        {"another's", LITMUS_FORBIDDEN, "E6: used for the last time before it is added again"},
    };
    const struct litmus_test test = {
        .name = "epoch E6: class given back || class added",
        .state_bytes = sizeof(struct state),
        .make = make,
        .reset = reset,
        .end = end,
        .roles = {use_class_first, use_class_second},
        .role_count = 2,
        .outcome = classes_outcome,
        .outcomes = outcomes,
        .outcome_count = 2,
    };
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epoch_e1), cmocka_unit_test(epoch_e2), cmocka_unit_test(epoch_e3),
        cmocka_unit_test(epoch_e4), cmocka_unit_test(epoch_e5), cmocka_unit_test(epoch_e6),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
