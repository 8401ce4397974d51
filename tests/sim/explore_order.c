/* Rows and barriers together, explored: the coordinator tells, the alignment of a partition gives,
 * and in every order of moves each row lies on its side of each barrier. A row that its producer
 * sent before it named barrier n comes before n, one that it sent after n comes after n, if readers
 * hear of n at all. All sequences of moves, each by itself, since what was sent is their history.
 * Arguments: an unused seed, and how many moves more than usual. */

#include "shuffle/alignment.h"

#include <inttypes.h>
#include <string.h>

#include "sim/coordinator_model.h"
#include "support/arguments.h"
#include "support/cmocka_tests.h"

enum { ARENA_BYTES = 8192, FRAMES_MAX = 32, DEPTH_MAX = 10, BARRIERS = 4, PRODUCERS_MAX = 3 };

/* The move that is none of the coordinator's: a producer sends a row. */
static const enum model_move_kind row_move = MODEL_MOVE_KINDS;

struct world {
    _Alignas(FLETCH_INTERFERENCE_BYTES) char arena[ARENA_BYTES];
    size_t arena_used;
    struct fletch_coordinator *coordinator;
    struct fletch_control_operation operations[MODEL_PRODUCERS_MAX];
    struct coordinator_model model;
    struct fletch_shuffle_partition partition;
    struct fletch_frame frames[FRAMES_MAX];
    uint8_t sender[FRAMES_MAX]; /* of rows */
    uint8_t slot[FRAMES_MAX];   /* of barriers */
    uint32_t frame_count;
    uint32_t last_row[PRODUCERS_MAX]; /* given: the frame's number, and one */
    uint64_t given;                   /* the largest barrier */
    uint64_t heard;                   /* the largest that readers are told of */
    bool has_ended;
};

static struct test_arguments arguments;
static struct world world, levels[DEPTH_MAX + 1];
static struct model_move path[DEPTH_MAX];
static uint64_t sequences, rows_given, barriers_given;

static void *allocate(void *context, size_t bytes, size_t alignment)
{
    (void)context;
    (void)alignment;
    assert_true(world.arena_used == 0 && bytes <= ARENA_BYTES);
    world.arena_used = bytes;
    return world.arena;
}

static void release(void *context, void *memory, size_t bytes, size_t alignment)
{
    (void)context;
    (void)memory;
    (void)bytes;
    (void)alignment;
}

/* ---- the partition ---- */

static struct fletch_frame *push(enum fletch_frame_kind kind, uint64_t barrier)
{
    struct fletch_frame *frame = &world.frames[world.frame_count++];
    const struct fletch_inbox_list list = {.first = &frame->node, .count = 1};
    assert_true(world.frame_count <= FRAMES_MAX);
    *frame = (struct fletch_frame){.kind = kind, .barrier = barrier};
    fletch_alignment_take(&world.partition, &list);
    return frame;
}

static void tell_barrier(void *context, uint64_t id, uint32_t slot, bool aborted)
{
    (void)context;
    world.slot[world.frame_count] = (uint8_t)slot;
    push(FLETCH_FRAME_BARRIER, id)->is_aborted = aborted;
}

static void tell_watermark(void *context, int64_t watermark)
{
    (void)context;
    (void)watermark;
}

static void tell_lost(void *context, uint32_t producer, const char *reason)
{
    (void)context;
    (void)producer;
    (void)reason;
}

static void tell_end(void *context)
{
    (void)context;
    push(FLETCH_FRAME_END, 0);
}

static void complain(uint32_t depth, const char *what)
{
    static const char *const names[] = {"barrier", "abort barrier", "watermark", "idle",
                                        "end",     "abort",         "add",       "give up",
                                        "pass",    "tick",          "later",     "row"};
    for (uint32_t i = 0; i < depth; i++)
        print_error("  producer %" PRIu32 ": %s %" PRIu32 "\n", path[i].producer,
                    names[path[i].kind], path[i].value);
    fail_msg("%s", what);
}

/* Whether a barrier up to `id` is still to be given, aborted ones too. */
static bool is_due(uint64_t id)
{
    for (uint64_t b = world.given + 1; b <= id && b <= BARRIERS; b++)
        if (world.model.barriers[b].state != MODEL_UNKNOWN)
            return true;
    return false;
}

static void check_row(uint32_t depth, uint32_t number, const struct fletch_frame *frame)
{
    uint32_t producer = world.sender[number];
    if (world.heard > frame->barrier)
        complain(depth, "a row came behind a barrier that it lies before");
    if (is_due(frame->barrier))
        complain(depth, "a row came before a barrier that it lies behind");
    if (number < world.last_row[producer])
        complain(depth, "a row came out of order");
    world.last_row[producer] = number + 1;
    rows_given++;
}

/* What a reader does: takes what may be given, and passes barriers. */
static void read_all(uint32_t depth)
{
    struct fletch_frame *frame;
    while ((frame = fletch_frame_list_pop(&world.partition.taken)) != NULL) {
        uint32_t number = (uint32_t)(frame - world.frames);
        if (world.has_ended)
            complain(depth, "something came behind the end");
        if (frame->kind == FLETCH_FRAME_DATA)
            check_row(depth, number, frame);
        if (frame->kind == FLETCH_FRAME_END)
            world.has_ended = true;
        if (frame->kind != FLETCH_FRAME_BARRIER)
            continue;
        const struct model_move pass = {.kind = MODEL_PASS, .value = (uint32_t)frame->barrier};
        struct model_log log = {.count = 0};
        if (frame->barrier <= world.given)
            complain(depth, "barriers came out of order");
        world.given = frame->barrier;
        if (!frame->is_aborted)
            world.heard = frame->barrier;
        barriers_given++;
        coordinator_model_move(&world.model, &pass, &log);
        fletch_coordinator_pass(world.coordinator, world.slot[number]);
    }
    if (world.has_ended && world.partition.held.first != NULL)
        complain(depth, "something is held behind the end");
}

/* ---- moves ---- */

static void submit(const struct model_move *move)
{
    struct fletch_control_operation *operation = &world.operations[move->producer];
    struct model_log log = {.count = 0};
    operation->kind = move->kind == MODEL_BARRIER         ? FLETCH_CONTROL_BARRIER
                      : move->kind == MODEL_ABORT_BARRIER ? FLETCH_CONTROL_ABORT_BARRIER
                                                          : FLETCH_CONTROL_END;
    operation->barrier = move->value;
    coordinator_model_move(&world.model, move, &log);
    fletch_control_submit(operation);
}

/* False: it would change nothing. */
static bool make(uint32_t depth, const struct model_move *move)
{
    const struct model_producer *producer = &world.model.producers[move->producer];
    if (!producer->is_open || producer->waits_for != 0 ||
        (move->kind == MODEL_BARRIER && move->value <= producer->named) ||
        (move->kind == MODEL_ABORT_BARRIER &&
         world.model.barriers[move->value].state != MODEL_FLYING))
        return false;
    if (move->kind == row_move) {
        world.sender[world.frame_count] = (uint8_t)move->producer;
        push(FLETCH_FRAME_DATA, producer->named);
    } else {
        submit(move);
    }
    read_all(depth);
    return true;
}

static void explore(uint32_t producers, uint32_t depth, uint32_t most)
{
    if (depth == most) {
        sequences++;
        return;
    }
    levels[depth] = world;
    for (uint32_t producer = 0; producer < producers; producer++) {
        for (uint32_t i = 0; i < 2 + 2 * BARRIERS; i++) {
            /* Who aborts a barrier does not matter. */
            if (i >= 2 + BARRIERS && producer != 0)
                continue;
            path[depth] = (struct model_move){
                .kind = i == 0             ? row_move
                        : i == 1           ? MODEL_END
                        : i < 2 + BARRIERS ? MODEL_BARRIER
                                           : MODEL_ABORT_BARRIER,
                .producer = producer,
                .value = i < 2 ? 0 : 1 + (i - 2) % BARRIERS,
            };
            if (make(depth + 1, &path[depth]))
                explore(producers, depth + 1, most);
            world = levels[depth];
        }
    }
}

static void explore_all(uint32_t producers, uint32_t barrier_limit, uint32_t depth)
{
    const struct fletch_coordinator_options options = {
        .producer_count = producers,
        .producer_limit = producers,
        .barrier_limit = barrier_limit,
        .partition_count = 1,
        .allocator = {.allocate = allocate, .release = release},
        .outlet = {.barrier = tell_barrier,
                   .watermark = tell_watermark,
                   .lost = tell_lost,
                   .end = tell_end},
    };
    depth += (uint32_t)arguments.scale - 1;
    assert_true(depth <= DEPTH_MAX);
    memset(&world, 0, sizeof world);
    sequences = rows_given = barriers_given = 0;
    coordinator_model_init(&world.model, &options);
    assert_ok(fletch_coordinator_create(&options, &world.coordinator, NULL));
    for (uint32_t i = 0; i < producers; i++)
        fletch_control_init(&world.operations[i], world.coordinator, i, NULL);
    explore(producers, 0, depth);
    print_message("%" PRIu64 " sequences of %" PRIu32 " moves, %" PRIu64 " rows and %" PRIu64
                  " barriers were given\n",
                  sequences, depth, rows_given, barriers_given);
    assert_true(rows_given > 0 && barriers_given > 0);
}

static void rows_of_two_producers_lie_on_their_side_of_each_barrier(void **state)
{
    (void)state;
    explore_all(2, 4, 6);
}

static void rows_of_three_producers_lie_on_their_side_of_each_barrier(void **state)
{
    (void)state;
    explore_all(3, 4, 5);
}

/* Barriers go up in larger ones, and producers wait. */
static void rows_lie_on_their_side_of_each_barrier_where_slots_are_few(void **state)
{
    (void)state;
    explore_all(2, 1, 6);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_two_producers_lie_on_their_side_of_each_barrier),
        cmocka_unit_test(rows_of_three_producers_lie_on_their_side_of_each_barrier),
        cmocka_unit_test(rows_lie_on_their_side_of_each_barrier_where_slots_are_few),
    };
    arguments = test_arguments_read(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
