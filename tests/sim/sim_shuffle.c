/* The exchange under virtual time: one thread chooses every step from a seed, and each event is
 * held against a model (sim_model.h). Invariants: rows are conserved and in order, barriers and
 * watermarks overtake nothing, all memory comes back, and something moves within a bounded number
 * of rounds. Arguments: the first seed, and how many thousands of seeds. A failing seed is printed,
 * and `sim_shuffle <seed> 0` runs it alone. */

#include "sim/sim_world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shuffle/transport.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"

enum {
    SEEDS_OF_A_SCALE = 1000,
    FRAME_BYTES = 4096,
    ROUND_STEPS = 32,      /* steps until everybody makes one */
    STALLED_ROUNDS = 2000, /* rounds without progress: nothing moves */
    ROUND_NS_MOST = 3000000
};

static struct test_arguments arguments;

bool sim_chance(struct sim_world *world, uint32_t percent)
{
    return fletch_random_below(&world->random, 100) < percent;
}

bool sim_refuse(struct sim_world *world, const char *call, enum fletch_status status,
                const struct fletch_error *error)
{
    snprintf(world->model.complaint, sizeof world->model.complaint, "%s answered %s: %.200s", call,
             fletch_status_name(status), error == NULL ? "" : error->message);
    return false;
}

static uint64_t virtual_now_ns(void *context)
{
    return ((struct sim_world *)context)->now_ns;
}

static struct sim_plan plan_made(struct fletch_random *random)
{
    static const uint32_t fillings[] = {0, 40, 40, 300, 3000, 9000};
    static const enum fletch_sum_level levels[] = {FLETCH_SUMS_KEYS, FLETCH_SUMS_ROWS,
                                                   FLETCH_SUMS_COUNTS, FLETCH_SUMS_OFF};
    struct sim_plan plan = {
        .producer_count = 1 + fletch_random_below(random, 4),
        .partition_count = 1 + fletch_random_below(random, 8),
        .rows_each = fletch_random_below(random, 500),
        .filling_most = fillings[fletch_random_below(random, 6)],
        .reader_pace = 5 + fletch_random_below(random, 95),
        .has_barriers = fletch_random_below(random, 2) == 0,
        .has_watermarks = fletch_random_below(random, 2) == 0,
        .has_puts = fletch_random_below(random, 2) == 0,
        .spills = fletch_random_below(random, 3) == 0,
        .retains = fletch_random_below(random, 5) == 0,
        .reopens = fletch_random_below(random, 6),
        .sums = levels[fletch_random_below(random, 4)],
    };
    uint64_t least = (uint64_t)FRAME_BYTES * plan.partition_count * (2 + plan.producer_count);
    plan.reader_count = 1 + fletch_random_below(random, 3);
    if (plan.reader_count > plan.partition_count)
        plan.reader_count = plan.partition_count;
    plan.budget_bytes = least * (2 + fletch_random_below(random, 4)) + 65536;
    plan.reads_late = plan.spills && fletch_random_below(random, 2) == 0;
    if (plan.spills && !plan.reads_late)
        plan.disk = (enum sim_disk)fletch_random_below(random, 3);
    if (plan.reads_late)
        plan.has_barriers = false; /* only so many may be in flight */
    if (plan.retains)
        plan.budget_bytes += 64 * 1024 * 1024;
    if (fletch_random_below(random, 6) == 0)
        plan.abort_at = 1 + fletch_random_below(random, 800);
    if (fletch_random_below(random, 8) == 0)
        plan.cancel_at = 1 + fletch_random_below(random, 1500);
    return plan;
}

static void transport_made(struct sim_world *world)
{
    const struct fletch_transport_options options = {
        .struct_size = sizeof options,
        .budget_bytes = 4 * world->plan.budget_bytes + 1024 * 1024,
    };
    struct fletch_error error;
    if (fletch_transport_create(&options, NULL, &world->transport, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    world->now_ns = 1;
    world->transport->time =
        (struct fletch_time_source){.now_ns = virtual_now_ns, .context = world};
    world->transport->spill_io = &world->disk.io;
}

static void shuffle_made(struct sim_world *world)
{
    static const uint32_t key = 0;
    const struct sim_plan *plan = &world->plan;
    const struct fletch_partitioner_options partitioner = {
        .struct_size = sizeof partitioner,
        .method = FLETCH_PARTITION_HASH,
        .partition_count = plan->partition_count,
        .key_columns = &key,
        .key_column_count = 1,
    };
    const struct fletch_shuffle_options options = {
        .struct_size = sizeof options,
        .name = "simulated",
        .name_bytes = strlen("simulated"),
        .schema = world->schema,
        .partitioner = &partitioner,
        .producer_count = plan->producer_count,
        .budget_bytes = plan->budget_bytes,
        .frame_bytes = FRAME_BYTES,
        .sums = plan->sums,
        .retention = plan->retains ? FLETCH_RETENTION_UNTIL_CLOSE : FLETCH_RETENTION_NONE,
        .spill_directory = plan->spills ? world->disk.path : NULL,
    };
    struct fletch_error error;
    if (fletch_shuffle_register(world->transport, &options, &world->shuffle, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    assert_ok(
        fletch_partitioner_create(world->schema, &partitioner, NULL, &world->partitioner, NULL));
}

/* From here on, so that the shuffle could be registered. */
static void disk_spoilt(struct sim_world *world)
{
    if (world->plan.disk == SIM_DISK_FILLS)
        world->disk.room_bytes = 1 + fletch_random_below(&world->random, 1024 * 1024);
    if (world->plan.disk == SIM_DISK_BREAKS) {
        world->disk.fail_at = world->disk.calls + 1 + fletch_random_below(&world->random, 200);
        world->disk.fail_with = EIO;
    }
}

static struct fletch_buffer_cache *cache_opened(struct sim_world *world)
{
    struct fletch_buffer_cache *cache;
    assert_ok(fletch_buffer_cache_open(fletch_transport_pool(world->transport), &cache, NULL));
    return cache;
}

static void world_made(struct sim_world *world, uint64_t seed)
{
    *world = (struct sim_world){.random = fletch_random_from_seed(seed)};
    world->plan = plan_made(&world->random);
    const struct sim_plan *plan = &world->plan;
    test_disk_make(&world->disk);
    transport_made(world);
    world->schema = sim_schema();
    shuffle_made(world);
    disk_spoilt(world);
    sim_model_init(&world->model, plan->producer_count, plan->partition_count);
    for (uint32_t i = 0; i < plan->producer_count; i++) {
        world->writers[i].transport = world->transport;
        world->writers[i].shuffle = world->shuffle;
        world->writers[i].cache = cache_opened(world);
        world->writers[i].rows_left = plan->rows_each;
    }
    for (uint32_t i = 0; i < plan->reader_count; i++) {
        world->readers[i].shuffle = world->shuffle;
        world->readers[i].cache = cache_opened(world);
        world->readers[i].rounds = plan->retains;
    }
    for (uint32_t p = 0; p < plan->partition_count; p++) {
        struct sim_reader *reader = &world->readers[p % plan->reader_count];
        reader->partitions[reader->partition_count++] = p;
    }
}

/* Everything is given back, or the transport says what is not. */
static bool world_ended(struct sim_world *world)
{
    struct fletch_error error;
    for (uint32_t i = 0; i < world->plan.producer_count; i++) {
        sim_writer_end(world, &world->writers[i]);
        fletch_buffer_cache_close(world->writers[i].cache);
    }
    for (uint32_t i = 0; i < world->plan.reader_count; i++) {
        sim_reader_end(world, &world->readers[i]);
        fletch_buffer_cache_close(world->readers[i].cache);
    }
    fletch_partitioner_destroy(world->partitioner);
    fletch_shuffle_close(world->shuffle);
    fletch_shuffle_release(world->shuffle);
    fletch_schema_release(world->schema);
    enum fletch_status status = fletch_transport_destroy(world->transport, &error);
    sim_model_deinit(&world->model);
    test_disk_end(&world->disk);
    return status == FLETCH_OK || sim_refuse(world, "transport_destroy", status, &error);
}

static bool all_done(const struct sim_world *world)
{
    for (uint32_t i = 0; i < world->plan.producer_count; i++)
        if (!world->writers[i].is_done)
            return false;
    for (uint32_t i = 0; i < world->plan.reader_count; i++)
        if (!world->readers[i].is_done)
            return false;
    return true;
}

/* A step of participant `number`, writers first. */
static bool stepped(struct sim_world *world, uint32_t number)
{
    world->step++;
    if (world->plan.cancel_at != 0 && world->step >= world->plan.cancel_at) {
        world->is_cancelled = true;
        fletch_shuffle_cancel(world->shuffle, "simulated");
        world->plan.cancel_at = 0;
    }
    if (number < world->plan.producer_count)
        return sim_writer_step(world, number);
    return sim_reader_step(world, number - world->plan.producer_count);
}

/* A round: some steps of whoever comes, then one of everybody. */
static bool round_run(struct sim_world *world)
{
    uint32_t count = world->plan.producer_count + world->plan.reader_count;
    for (uint32_t i = 0; i < ROUND_STEPS; i++)
        if (!stepped(world, fletch_random_below(&world->random, count)))
            return false;
    for (uint32_t i = 0; i < count; i++)
        if (!stepped(world, i))
            return false;
    world->now_ns += fletch_random_below(&world->random, ROUND_NS_MOST);
    return true;
}

static bool statistics_agree(struct sim_world *world)
{
    struct fletch_exchange_statistics statistics = {.struct_size = sizeof statistics};
    uint64_t rows = 0;
    if (world->is_cancelled || sim_model_has_abort(&world->model) ||
        world->plan.disk == SIM_DISK_BREAKS)
        return true;
    for (uint32_t i = 0; i < world->plan.producer_count; i++)
        rows += world->model.producers[i].row_count;
    fletch_shuffle_statistics(world->shuffle, &statistics);
    if (statistics.rows_written == rows && statistics.rows_sent == rows &&
        (statistics.rows_read == rows || world->plan.retains))
        return true;
    return sim_refuse(world, "statistics count other rows", FLETCH_OK, NULL);
}

static bool ran(struct sim_world *world)
{
    uint64_t stalled = 0;
    while (!all_done(world)) {
        uint64_t before = world->progress;
        if (!round_run(world))
            return false;
        stalled = world->progress == before ? stalled + 1 : 0;
        if (stalled == STALLED_ROUNDS)
            return sim_refuse(world, "nothing moves", FLETCH_OK, NULL);
    }
    return statistics_agree(world);
}

static void plan_printed(const struct sim_plan *plan)
{
    printf("producers %u, partitions %u, readers %u, rows %" PRIu64 ", budget %" PRIu64
           ", filling %u, pace %u, barriers %d, watermarks %d, puts %d, spills %d, disk %d, "
           "retains %d, "
           "late %d, reopens %u, sums %d\n",
           plan->producer_count, plan->partition_count, plan->reader_count, plan->rows_each,
           plan->budget_bytes, plan->filling_most, plan->reader_pace, plan->has_barriers,
           plan->has_watermarks, plan->has_puts, plan->spills, (int)plan->disk, plan->retains,
           plan->reads_late, plan->reopens, (int)plan->sums);
}

/* What the shuffle says of itself, for who looks into a failure. */
static void world_printed(const struct sim_world *world)
{
    struct fletch_exchange_statistics statistics = {.struct_size = sizeof statistics};
    plan_printed(&world->plan);
    fletch_shuffle_statistics(world->shuffle, &statistics);
    printf("written %" PRIu64 ", sent %" PRIu64 ", read %" PRIu64 " rows; queued %" PRIu64
           ", charged %" PRIu64 " of %" PRIu64 " bytes; %" PRIu64 " spilled; ended %u of %u\n",
           statistics.rows_written, statistics.rows_sent, statistics.rows_read,
           statistics.bytes_queued, statistics.bytes_charged, statistics.budget_bytes,
           statistics.frames_spilled, statistics.producers_ended, world->plan.producer_count);
    for (uint32_t i = 0; i < world->plan.producer_count; i++)
        printf("writer %u: action %d, %" PRIu64 " rows left: %s\n", i,
               (int)world->writers[i].action, world->writers[i].rows_left,
               world->writers[i].answer);
    for (uint32_t i = 0; i < world->plan.reader_count; i++)
        printf("reader %u: %s, keeps %u: %s\n", i, world->readers[i].is_done ? "done" : "reading",
               world->readers[i].kept_count, world->readers[i].answer);
}

static void run_seed(uint64_t seed)
{
    static struct sim_world world;
    world_made(&world, seed);
    bool is_right = ran(&world);
    if (!is_right)
        world_printed(&world);
    char complaint[sizeof world.model.complaint];
    memcpy(complaint, world.model.complaint, sizeof complaint);
    bool is_whole = world_ended(&world);
    if (!is_right)
        fail_msg("seed %" PRIu64 ", step %" PRIu64 ": %s", seed, world.step, complaint);
    if (!is_whole)
        fail_msg("seed %" PRIu64 ", at the end: %s", seed, world.model.complaint);
}

static void test_promises_are_kept_whoever_makes_the_next_step(void **state)
{
    (void)state;
    uint64_t count = arguments.scale == 0 ? 1 : arguments.scale * SEEDS_OF_A_SCALE;
    for (uint64_t i = 0; i < count; i++)
        run_seed(arguments.seed + i);
}

int main(int argc, char **argv)
{
    arguments = test_arguments_read(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_promises_are_kept_whoever_makes_the_next_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
