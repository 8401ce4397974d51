#include "memory/buffer_pool.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"
#include "support/litmus.h"

/* The edges E1, E2 and E3 of memory/buffer_pool.h. */

enum { ROUNDS = 10000, BYTES = 1 << 20 };

static struct test_arguments arguments;

struct state {
    struct fletch_buffer_pool *pool;
    struct fletch_buffer_cache *first;
    struct fletch_buffer_cache *second; /* what a role got */
    struct fletch_buffer *buffer;       /* in use, so that its region stays */
    uint32_t broken;                    /* by the role that looks, and between the rounds */
    uint32_t failed;                    /* by the role that opens */
    bool met;
};

static void make(void *context)
{
    struct state *state = context;
    const struct fletch_buffer_pool_options options = {.struct_size = sizeof options,
                                                       .huge_pages = FLETCH_HUGE_PAGES_OFF};
    state->broken = fletch_buffer_pool_create(&options, NULL, &state->pool, NULL) != FLETCH_OK;
    state->failed = 0;
    state->first = NULL;
    state->second = NULL;
    state->buffer = NULL;
    state->met = false;
}

static void end(void *context)
{
    struct state *state = context;
    fletch_buffer_release(NULL, state->buffer);
    state->buffer = NULL;
    state->broken += fletch_buffer_pool_destroy(state->pool, NULL) != FLETCH_OK;
}

static struct fletch_buffer *allocate(struct fletch_buffer_cache *cache)
{
    struct fletch_buffer *buffer = NULL;
    (void)!fletch_buffer_allocate(cache, BYTES, NULL, &buffer, NULL);
    return buffer;
}

static void open_second(void *context)
{
    struct state *state = context;
    state->failed += fletch_buffer_cache_open(state->pool, &state->second, NULL) != FLETCH_OK;
}

/* ---- E1: closed || opened again ---- */

static void reset_e1(void *context)
{
    struct state *state = context;
    uint32_t broken = state->broken;
    end(state);
    make(state);
    state->broken += broken;
    state->broken += fletch_buffer_cache_open(state->pool, &state->first, NULL) != FLETCH_OK;
    fletch_buffer_release(state->first, allocate(state->first));
}

static void close_first(void *context)
{
    struct state *state = context;
    fletch_buffer_cache_close(state->first);
}

static void open_and_look(void *context)
{
    struct state *state = context;
    open_second(state);
    state->met = state->second == state->first;
    for (size_t i = 0; i < FLETCH_SIZE_CLASSES; i++) {
        const struct fletch_class_list *list = &state->second->lists[i];
        state->broken += list->first != NULL || list->spare != NULL || list->count != 0;
    }
}

enum { APART, MET, BROKEN };

static size_t outcome(void *context)
{
    const struct state *state = context;
    if (state->broken != 0 || state->failed != 0)
        return BROKEN;
    return state->met ? MET : APART;
}

static void run(struct litmus_test test, const struct litmus_outcome *outcomes)
{
    test.state_bytes = sizeof(struct state);
    test.make = make;
    test.end = end;
    test.outcome = outcome;
    test.outcomes = outcomes;
    test.outcome_count = 3;
    test.role_count = 2;
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

static void buffer_pool_e1(void **unused)
{
    static const struct litmus_outcome outcomes[] = {
        [APART] = {"another cache", LITMUS_ACCEPTABLE, "the first was still open"},
        [MET] = {"the same, empty", LITMUS_INTERESTING, "it was closed in time"},
        [BROKEN] = {"not empty", LITMUS_FORBIDDEN, "E1: emptied before it is closed"},
    };
    (void)unused;
    run((struct litmus_test){.name = "buffer pool E1: cache emptied, closed || opened, looked at",
                             .reset = reset_e1,
                             .roles = {close_first, open_and_look}},
        outcomes);
}

/* ---- E2: trimmed || trimmed ---- */

static void reset_e2(void *context)
{
    struct state *state = context;
    if (state->first != NULL)
        return;
    state->broken += fletch_buffer_cache_open(state->pool, &state->first, NULL) != FLETCH_OK;
    state->buffer = allocate(state->first);
    fletch_buffer_cache_close(state->first); /* the other block of the region is in the depot */
}

static void trim(void *context)
{
    struct state *state = context;
    fletch_buffer_pool_trim(state->pool, NULL);
}

static size_t outcome_e2(void *context)
{
    struct state *state = context;
    return state->buffer->region->found != 0 || state->broken != 0;
}

static void buffer_pool_e2(void **unused)
{
    static const struct litmus_outcome outcomes[] = {
        {"nothing left over", LITMUS_ACCEPTABLE, "one after the other, or one alone"},
        {"blocks counted twice", LITMUS_FORBIDDEN, "E2: one trimmer at a time"},
    };
    (void)unused;
    const struct litmus_test test = {.name = "buffer pool E2: trimmed || trimmed",
                                     .state_bytes = sizeof(struct state),
                                     .make = make,
                                     .reset = reset_e2,
                                     .end = end,
                                     .roles = {trim, trim},
                                     .role_count = 2,
                                     .outcome = outcome_e2,
                                     .outcomes = outcomes,
                                     .outcome_count = 2};
    assert_true(litmus_run(&test, ROUNDS * arguments.scale, arguments.seed));
}

/* ---- E3: made, listed || looked at ---- */

static void reset_e3(void *context)
{
    struct state *state = context;
    uint32_t broken = state->broken;
    end(state);
    make(state);
    state->broken += broken;
}

static void look(void *context)
{
    struct state *state = context;
    const struct fletch_buffer_cache *cache = load_acquire(&state->pool->caches);
    state->met = cache != NULL;
    if (cache != NULL)
        state->broken += cache->pool != state->pool || cache->next != NULL;
}

static void buffer_pool_e3(void **unused)
{
    static const struct litmus_outcome outcomes[] = {
        [APART] = {"no cache", LITMUS_ACCEPTABLE, "it was not seen yet"},
        [MET] = {"a whole cache", LITMUS_INTERESTING, "the list hands it over"},
        [BROKEN] = {"a cache, other fields", LITMUS_FORBIDDEN, "E3: made before it is listed"},
    };
    (void)unused;
    run((struct litmus_test){.name = "buffer pool E3: cache made, listed || looked at",
                             .reset = reset_e3,
                             .roles = {open_second, look}},
        outcomes);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_pool_e1),
        cmocka_unit_test(buffer_pool_e2),
        cmocka_unit_test(buffer_pool_e3),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
