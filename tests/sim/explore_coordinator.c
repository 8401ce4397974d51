/* The coordinator, explored: from each state every move of every producer and partition, held
 * against a plain model (coordinator_model.h) in what is told, in answers and in numbers. It is one
 * state machine behind a serial, so that one thread sees all that can happen. States that have the
 * same bytes are entered once. Arguments: an unused seed, and how many moves more than usual. */

#include "shuffle/coordinator.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/coordinator_model.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"

enum { ARENA_BYTES = 8192, DEPTH_MAX = 24, MOVES_MAX = 128, FIRST_SLOTS = 1 << 16 };

/* A whole state, without pointers but into itself: copied away and back, and compared. */
struct world {
    _Alignas(FLETCH_INTERFERENCE_BYTES) char arena[ARENA_BYTES]; /* the coordinator */
    size_t arena_used;
    struct fletch_coordinator *coordinator;
    struct fletch_control_operation operations[MODEL_PRODUCERS_MAX + 1];
    uint32_t slot_of[MODEL_BARRIERS_MAX + 1];
    struct coordinator_model model;
};

static struct test_arguments arguments;
static struct world world, first_world, here;
static struct model_log told, expected;

/* ---- states that were seen ---- */

struct state {
    uint32_t parent;
    uint32_t depth;
    struct model_move move; /* from the parent */
};

static struct state *states;
static uint32_t state_count, state_room;
static uint64_t *seen; /* hashes, open addressing; 0: nothing */
static uint64_t seen_slots;

static bool insert(uint64_t *table, uint64_t slots, uint64_t hash)
{
    uint64_t at = hash & (slots - 1);
    while (table[at] != 0 && table[at] != hash)
        at = (at + 1) & (slots - 1);
    bool is_new = table[at] == 0;
    table[at] = hash;
    return is_new;
}

static void make_room(void)
{
    if (state_count == state_room) {
        state_room = state_room == 0 ? FIRST_SLOTS : 2 * state_room;
        states = realloc(states, state_room * sizeof *states);
        assert_non_null(states);
    }
    if (2 * (uint64_t)state_count < seen_slots)
        return;
    uint64_t slots = seen_slots == 0 ? FIRST_SLOTS : 2 * seen_slots;
    uint64_t *table = calloc(slots, sizeof *table);
    assert_non_null(table);
    for (uint64_t i = 0; i < seen_slots; i++)
        if (seen[i] != 0)
            (void)insert(table, slots, seen[i]);
    free(seen);
    seen = table;
    seen_slots = slots;
}

static uint64_t mix(uint64_t hash, const void *bytes, size_t count)
{
    const char *at = bytes;
    uint64_t word;
    for (; count >= sizeof word; count -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
        hash ^= hash >> 32;
    }
    return hash;
}

/* Of everything but messages, and fields that nobody reads any more. */
static uint64_t hash_of_world(void)
{
    uint64_t hash = mix(1, world.arena, world.arena_used);
    for (int i = 0; i <= MODEL_PRODUCERS_MAX; i++) {
        const struct fletch_control_operation *operation = &world.operations[i];
        uint64_t words[] = {
            operation->word,   operation->listed,          operation->barrier,
            operation->now_ns, (uintptr_t)operation->next, (uintptr_t)operation->previous};
        hash = mix(hash, words, operation->listed ? sizeof words : 2 * sizeof words[0]);
    }
    for (int i = 0; i <= MODEL_PRODUCERS_MAX; i++) {
        const struct model_producer *producer = &world.model.producers[i];
        uint64_t words[] = {producer->is_open | producer->was_aborted << 1 | producer->counts << 2,
                            producer->named,
                            producer->reached,
                            (uint64_t)producer->watermark,
                            producer->word_ns,
                            producer->waits_for};
        hash = mix(hash, words, sizeof words);
    }
    hash = mix(hash, world.model.barriers, sizeof world.model.barriers);
    hash = mix(hash, world.slot_of, sizeof world.slot_of);
    hash ^= world.model.now_ns;
    return hash == 0 ? 1 : hash;
}

/* ---- the coordinator ---- */

static void *allocate(void *context, size_t bytes, size_t alignment)
{
    (void)context;
    assert_true(world.arena_used == 0 && bytes <= ARENA_BYTES);
    assert_true(alignment <= FLETCH_INTERFERENCE_BYTES);
    world.arena_used = bytes;
    return world.arena;
}

static void release(void *context, void *memory, size_t bytes, size_t alignment)
{
    (void)context;
    (void)memory;
    (void)bytes;
    (void)alignment;
    world.arena_used = 0;
}

static void tell_barrier(void *context, uint64_t id, uint32_t slot, bool aborted)
{
    (void)context;
    assert_in_range(id, 1, MODEL_BARRIERS_MAX);
    assert_true(slot < world.model.barrier_limit);
    world.slot_of[id] = slot;
    model_note(&told, aborted ? MODEL_TOLD_ABORTED : MODEL_TOLD_BARRIER, (int64_t)id);
}

static void tell_watermark(void *context, int64_t watermark)
{
    (void)context;
    model_note(&told, MODEL_TOLD_WATERMARK, watermark);
}

static void tell_lost(void *context, uint32_t producer, const char *reason)
{
    (void)context;
    assert_string_equal(reason, producer == 0 ? "zero" : "another");
    model_note(&told, MODEL_TOLD_LOST, producer);
}

static void tell_end(void *context)
{
    (void)context;
    model_note(&told, MODEL_TOLD_END, 0);
}

static void submit(const struct model_move *move)
{
    static const enum fletch_control_kind kinds[] = {
        [MODEL_BARRIER] = FLETCH_CONTROL_BARRIER,
        [MODEL_ABORT_BARRIER] = FLETCH_CONTROL_ABORT_BARRIER,
        [MODEL_WATERMARK] = FLETCH_CONTROL_WATERMARK,
        [MODEL_IDLE] = FLETCH_CONTROL_IDLE,
        [MODEL_END] = FLETCH_CONTROL_END,
        [MODEL_ABORT] = FLETCH_CONTROL_ABORT,
        [MODEL_ADD_PRODUCER] = FLETCH_CONTROL_ADD_PRODUCER,
    };
    struct fletch_control_operation *operation = &world.operations[move->producer];
    operation->kind = kinds[move->kind];
    operation->barrier = move->value;
    operation->watermark = move->value;
    operation->reason = move->producer == 0 ? "zero" : "another";
    operation->now_ns = world.model.now_ns;
    fletch_control_submit(operation);
}

static bool make(const struct model_move *move)
{
    switch (move->kind) {
    case MODEL_GIVE_UP:
        return fletch_control_give_up(&world.operations[move->producer]);
    case MODEL_PASS:
        fletch_coordinator_pass(world.coordinator, world.slot_of[move->value]);
        return true;
    case MODEL_TICK:
        fletch_coordinator_tick(world.coordinator, world.model.now_ns + 1);
        return true;
    case MODEL_LATER:
        return true;
    default:
        submit(move);
        return true;
    }
}

/* ---- comparing ---- */

static bool logs_agree(void)
{
    return told.count == expected.count &&
           memcmp(told.told, expected.told, told.count * sizeof told.told[0]) == 0;
}

static bool answers_agree(const struct model_move *move)
{
    for (uint32_t i = 0; i <= MODEL_PRODUCERS_MAX; i++) {
        const struct model_producer *producer = &world.model.producers[i];
        struct fletch_control_operation *operation = &world.operations[i];
        bool waits = producer->waits_for != 0;
        if (fletch_control_is_free(operation) == waits ||
            fletch_control_is_dropped(operation) == waits ||
            fletch_control_is_done(operation) != producer->is_answered)
            return false;
        if (producer->is_answered && operation->status != producer->status)
            return false;
    }
    const struct fletch_control_operation *asked = &world.operations[move->producer];
    return move->kind != MODEL_ADD_PRODUCER || asked->status != FLETCH_OK ||
           asked->added_producer == world.model.producers[move->producer].added_producer;
}

static bool numbers_agree(void)
{
    const struct coordinator_model *model = &world.model;
    struct fletch_coordinator_statistics found;
    uint32_t open = 0, ended = 0;
    fletch_coordinator_statistics(world.coordinator, &found);
    for (uint32_t i = 0; i < model->producer_count; i++) {
        open += model->producers[i].is_open;
        ended += !model->producers[i].is_open && !model->producers[i].was_aborted;
    }
    return found.producers == model->producer_count && found.producers_open == open &&
           found.producers_ended == ended &&
           found.barriers_in_flight == coordinator_model_in_flight(model) &&
           found.watermarks_clamped == model->clamped && found.watermark == model->watermark;
}

/* Barriers that are on their way have nodes of their own. */
static bool slots_differ(void)
{
    uint32_t used = 0;
    for (uint32_t id = 1; id <= MODEL_BARRIERS_MAX; id++) {
        if (world.model.barriers[id].state != MODEL_ON_ITS_WAY)
            continue;
        if ((used >> world.slot_of[id] & 1) != 0)
            return false;
        used |= UINT32_C(1) << world.slot_of[id];
    }
    return true;
}

static const char *const move_names[] = {
    [MODEL_BARRIER] = "barrier",
    [MODEL_ABORT_BARRIER] = "abort barrier",
    [MODEL_WATERMARK] = "watermark",
    [MODEL_IDLE] = "idle",
    [MODEL_END] = "end",
    [MODEL_ABORT] = "abort",
    [MODEL_ADD_PRODUCER] = "add",
    [MODEL_GIVE_UP] = "give up",
    [MODEL_PASS] = "partition passes",
    [MODEL_TICK] = "tick",
    [MODEL_LATER] = "later",
};

static void print_log(const char *name, const struct model_log *log)
{
    static const char *const names[] = {"barrier", "aborted", "watermark", "lost", "end"};
    print_error("%s:", name);
    for (uint32_t i = 0; i < log->count; i++)
        print_error(" %s %" PRId64, names[log->told[i].kind], log->told[i].value);
    print_error("\n");
}

static void print_move(const struct model_move *move)
{
    print_error("  producer %" PRIu32 ": %s %" PRIu32 "\n", move->producer, move_names[move->kind],
                move->value);
}

static void complain(uint32_t number, const struct model_move *move)
{
    struct model_move path[DEPTH_MAX];
    uint32_t depth = states[number].depth;
    for (uint32_t at = number; states[at].depth > 0; at = states[at].parent)
        path[states[at].depth - 1] = states[at].move;
    for (uint32_t i = 0; i < depth; i++)
        print_move(&path[i]);
    print_move(move);
    print_log("told", &told);
    print_log("expected", &expected);
    fail_msg("the coordinator differs from its model");
}

/* ---- exploring ---- */

struct plan {
    struct fletch_coordinator_options options;
    uint32_t moves; /* bits: kinds */
    uint32_t barriers;
    uint32_t watermarks;
    uint32_t talkers; /* producers that say something; the last may not be there */
    uint32_t depth;
};

static uint32_t list_moves(const struct plan *plan, struct model_move *moves)
{
    uint32_t count = 0;
    for (uint32_t kind = 0; kind < MODEL_MOVE_KINDS; kind++) {
        bool is_anybodys = kind >= MODEL_PASS;
        bool has_id = kind == MODEL_BARRIER || kind == MODEL_ABORT_BARRIER || kind == MODEL_PASS;
        uint32_t most = has_id ? plan->barriers : kind == MODEL_WATERMARK ? plan->watermarks : 1;
        if ((plan->moves >> kind & 1) == 0)
            continue;
        for (uint32_t producer = 0; producer < (is_anybodys ? 1 : plan->talkers); producer++)
            for (uint32_t value = 1; value <= most; value++) {
                assert_true(count < MOVES_MAX);
                moves[count++] = (struct model_move){kind, producer, value};
            }
    }
    return count;
}

static void step(const struct model_move *move)
{
    told.count = expected.count = 0;
    bool is_made = make(move);
    coordinator_model_move(&world.model, move, &expected);
    assert_true(is_made);
}

/* Goes to a state from the first one. */
static void visit(uint32_t number)
{
    struct model_move path[DEPTH_MAX];
    uint32_t depth = states[number].depth;
    for (uint32_t at = number; states[at].depth > 0; at = states[at].parent)
        path[states[at].depth - 1] = states[at].move;
    world = first_world;
    for (uint32_t i = 0; i < depth; i++)
        step(&path[i]);
}

static void enter(uint32_t parent, uint32_t depth, const struct model_move *move)
{
    make_room();
    if (insert(seen, seen_slots, hash_of_world()))
        states[state_count++] = (struct state){parent, depth, *move};
}

static void begin(const struct plan *plan)
{
    static const struct model_move none = {.kind = MODEL_LATER};
    memset(&world, 0, sizeof world);
    coordinator_model_init(&world.model, &plan->options);
    assert_ok(fletch_coordinator_create(&plan->options, &world.coordinator, NULL));
    for (uint32_t i = 0; i <= MODEL_PRODUCERS_MAX; i++)
        fletch_control_init(&world.operations[i], world.coordinator, i, NULL);
    first_world = world;
    free(states);
    free(seen);
    states = NULL;
    seen = NULL;
    state_count = state_room = 0;
    seen_slots = 0;
    enter(0, 0, &none);
}

static void explore(const char *name, struct plan plan)
{
    struct model_move moves[MOVES_MAX];
    uint32_t move_count = list_moves(&plan, moves);
    uint64_t steps = 0;
    plan.depth += (uint32_t)arguments.scale - 1;
    assert_true(plan.depth <= DEPTH_MAX);
    plan.options.allocator = (struct fletch_allocator){.allocate = allocate, .release = release};
    plan.options.outlet = (struct fletch_coordinator_outlet){
        .barrier = tell_barrier, .watermark = tell_watermark, .lost = tell_lost, .end = tell_end};
    begin(&plan);
    for (uint32_t number = 0; number < state_count; number++) {
        uint32_t depth = states[number].depth;
        if (depth == plan.depth)
            break;
        visit(number);
        here = world;
        for (uint32_t i = 0; i < move_count; i++) {
            if (!coordinator_model_allows(&here.model, &moves[i]))
                continue;
            world = here;
            step(&moves[i]);
            steps++;
            if (!logs_agree() || !answers_agree(&moves[i]) || !numbers_agree() || !slots_differ())
                complain(number, &moves[i]);
            enter(number, depth + 1, &moves[i]);
        }
    }
    print_message("%s: %" PRIu32 " states, %" PRIu64 " steps, up to %" PRIu32 " moves\n", name,
                  state_count, steps, plan.depth);
    fletch_coordinator_destroy(world.coordinator);
}

/* ---- what is explored ---- */

#define BIT(kind) (UINT32_C(1) << (kind))

static const uint32_t barrier_moves = BIT(MODEL_BARRIER) | BIT(MODEL_ABORT_BARRIER) |
                                      BIT(MODEL_END) | BIT(MODEL_ABORT) | BIT(MODEL_ADD_PRODUCER) |
                                      BIT(MODEL_GIVE_UP) | BIT(MODEL_PASS);
static const uint32_t time_moves = BIT(MODEL_WATERMARK) | BIT(MODEL_IDLE) | BIT(MODEL_END) |
                                   BIT(MODEL_ABORT) | BIT(MODEL_ADD_PRODUCER) | BIT(MODEL_TICK) |
                                   BIT(MODEL_LATER);

static void barriers_of_two_producers_and_a_late_one(void **state)
{
    (void)state;
    explore("two slots", (struct plan){.options = {.producer_count = 2,
                                                   .producer_limit = 3,
                                                   .barrier_limit = 2,
                                                   .partition_count = 1},
                                       .moves = barrier_moves,
                                       .barriers = 4,
                                       .talkers = 3,
                                       .depth = 5});
}

static void barriers_of_three_producers(void **state)
{
    (void)state;
    explore("three producers", (struct plan){.options = {.producer_count = 3,
                                                         .producer_limit = 3,
                                                         .barrier_limit = 3,
                                                         .partition_count = 1},
                                             .moves = barrier_moves & ~BIT(MODEL_ADD_PRODUCER),
                                             .barriers = 3,
                                             .talkers = 3,
                                             .depth = 6});
}

static void barriers_that_wait_for_one_slot(void **state)
{
    (void)state;
    explore("one slot",
            (struct plan){.options = {.producer_count = 3,
                                      .producer_limit = 3,
                                      .barrier_limit = 1,
                                      .partition_count = 2},
                          .moves = BIT(MODEL_BARRIER) | BIT(MODEL_GIVE_UP) | BIT(MODEL_PASS) |
                                   BIT(MODEL_END) | BIT(MODEL_ABORT_BARRIER),
                          .barriers = 4,
                          .talkers = 3,
                          .depth = 7});
}

static void watermarks_of_two_producers_and_a_late_one(void **state)
{
    (void)state;
    explore("watermarks", (struct plan){.options = {.producer_count = 2,
                                                    .producer_limit = 3,
                                                    .barrier_limit = 1,
                                                    .partition_count = 1},
                                        .moves = time_moves & ~BIT(MODEL_TICK) & ~BIT(MODEL_LATER),
                                        .watermarks = 3,
                                        .talkers = 3,
                                        .depth = 6});
}

static void watermarks_that_become_idle_by_time(void **state)
{
    (void)state;
    explore("idle by time", (struct plan){.options = {.producer_count = 3,
                                                      .producer_limit = 3,
                                                      .barrier_limit = 1,
                                                      .partition_count = 1,
                                                      .watermark_idle_ns = 2,
                                                      .now_ns = 1},
                                          .moves = time_moves,
                                          .watermarks = 2,
                                          .talkers = 3,
                                          .depth = 6});
}

static void everything_at_once(void **state)
{
    (void)state;
    explore("everything", (struct plan){.options = {.producer_count = 2,
                                                    .producer_limit = 3,
                                                    .barrier_limit = 1,
                                                    .partition_count = 1,
                                                    .watermark_idle_ns = 2,
                                                    .now_ns = 1},
                                        .moves = barrier_moves | time_moves,
                                        .barriers = 2,
                                        .watermarks = 2,
                                        .talkers = 4,
                                        .depth = 5});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barriers_of_two_producers_and_a_late_one),
        cmocka_unit_test(barriers_of_three_producers),
        cmocka_unit_test(barriers_that_wait_for_one_slot),
        cmocka_unit_test(watermarks_of_two_producers_and_a_late_one),
        cmocka_unit_test(watermarks_that_become_idle_by_time),
        cmocka_unit_test(everything_at_once),
    };
    arguments = test_arguments_read(argc, argv);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(states);
    free(seen);
    return failed;
}
