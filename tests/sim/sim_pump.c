/* Several processes in one, under virtual time: replicas of a shuffle, joined by connections that
 * deliver late, hold back, cut in the middle of anything and refuse to come back for a while. One
 * thread chooses every step from a seed; each event is held against the model of one shuffle
 * (sim_model.h), which does not know of processes: nothing is lost, repeated or out of order,
 * barriers and watermarks overtake nothing, ends come with the right rows. Where a process dies or
 * is cut off for longer than it is waited for, everybody hears of it in bounded time. Afterwards
 * all memory, credit and connections are given back, and at no time nobody moves.
 * Arguments: the first seed, and how many times 400 of them. A failing seed is printed, and
 * `sim_pump <seed> 0` runs it alone. */

#include "sim/sim_process.h"
#include "sim/sim_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#include "support/arguments.h"
#include "support/cmocka_tests.h"

enum {
    SEEDS_OF_A_SCALE = 400,
    FRAME_BYTES = 4096,
    ROUND_STEPS = 24,
    QUIET_ROUNDS = 40,     /* without progress: time goes faster */
    STALLED_ROUNDS = 2000, /* rounds without progress: nothing moves */
    CUT_KEEPS_MOST = 3,
    NOBODY = SIM_PROCESSES_MAX
};

#define MILLISECOND UINT64_C(1000000)
#define ROUND_NS_MOST ((uint32_t)(2 * MILLISECOND))
#define QUIET_NS (10 * MILLISECOND)
#define GRACE_NS (1000 * MILLISECOND)
#define REFUSED_NS_MOST ((uint32_t)(100 * MILLISECOND)) /* far from GRACE_NS */
#define HELD_NS_MOST ((uint32_t)(150 * MILLISECOND))

struct pumped {
    struct sim_world world; /* first; its transport and shuffle are nobody's */
    struct sim_net net;
    enum fletch_placement_mode mode;
    bool has_homes;
    uint32_t cut_percent; /* of rounds */
    uint32_t hold_percent;
    uint32_t cuts_left;
    uint32_t kill_at; /* step; 0: never */
    uint32_t outage_at;
    uint32_t killed; /* a process; NOBODY: none */
    uint32_t homes[SIM_PRODUCERS_MAX];
    uint32_t owners[SIM_PARTITIONS_MAX];
    uint32_t reader_homes[SIM_READERS_MAX];
    bool is_clean; /* all is to end well */
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
    return ((struct sim_net *)context)->weather.now_ns;
}

/* ---- plans ---- */

static void sizes_planned(struct sim_plan *plan, struct fletch_random *random)
{
    static const uint32_t fillings[] = {0, 40, 40, 300, 3000, 9000};
    static const enum fletch_sum_level levels[] = {FLETCH_SUMS_KEYS, FLETCH_SUMS_ROWS,
                                                   FLETCH_SUMS_COUNTS, FLETCH_SUMS_OFF};
    *plan = (struct sim_plan){
        .producer_count = 1 + fletch_random_below(random, 4),
        .partition_count = 1 + fletch_random_below(random, 8),
        .rows_each = fletch_random_below(random, 400),
        .filling_most = fillings[fletch_random_below(random, 6)],
        .reader_pace = 10 + fletch_random_below(random, 90),
        .has_barriers = fletch_random_below(random, 2) == 0,
        .has_watermarks = fletch_random_below(random, 2) == 0,
        .has_puts = fletch_random_below(random, 2) == 0,
        .spills = fletch_random_below(random, 3) == 0,
        .reopens = fletch_random_below(random, 4),
        .sums = levels[fletch_random_below(random, 4)],
    };
    uint64_t least = (uint64_t)FRAME_BYTES * plan->partition_count * (2 + plan->producer_count);
    plan->budget_bytes = least * (2 + fletch_random_below(random, 4)) + 65536;
}

static void faults_planned(struct pumped *pumped, struct fletch_random *random)
{
    static const uint64_t latencies[] = {0, MILLISECOND, 5 * MILLISECOND, 40 * MILLISECOND};
    static const uint64_t windows[] = {0, 4096, 65536, 1024 * 1024};
    struct sim_plan *plan = &pumped->world.plan;
    pumped->net.grace_ns = GRACE_NS;
    pumped->net.eager_bytes = windows[fletch_random_below(random, 4)];
    pumped->net.weather.latency_most_ns = latencies[fletch_random_below(random, 4)];
    pumped->net.weather.room_most = 1 + fletch_random_below(random, 40);
    if (fletch_random_below(random, 3) != 0) {
        pumped->cut_percent = 1 + fletch_random_below(random, 15);
        pumped->cuts_left = 1 + fletch_random_below(random, 60);
    }
    pumped->hold_percent = fletch_random_below(random, 2) * fletch_random_below(random, 20);
    if (fletch_random_below(random, 8) == 0)
        plan->abort_at = 1 + fletch_random_below(random, 1500);
    if (fletch_random_below(random, 10) == 0)
        plan->cancel_at = 1 + fletch_random_below(random, 2500);
    if (fletch_random_below(random, 10) == 0)
        pumped->kill_at = 1 + fletch_random_below(random, 2500);
    if (fletch_random_below(random, 10) == 0)
        pumped->outage_at = 1 + fletch_random_below(random, 2500);
    pumped->killed = NOBODY;
    pumped->is_clean = plan->abort_at == 0 && plan->cancel_at == 0 && pumped->kill_at == 0 &&
                       pumped->outage_at == 0;
}

static bool owns_any(const struct pumped *pumped, uint32_t process)
{
    for (uint32_t p = 0; p < pumped->world.plan.partition_count; p++)
        if (pumped->owners[p] == process)
            return true;
    return false;
}

/* Where everybody is. Each owner reads with one or two readers; by pull anybody reads anything.
 * Who sends barriers does so where partitions are: elsewhere nobody knows which barriers have
 * passed, so that a producer ahead of one may take the credit of those that are not. */
static void places_planned(struct pumped *pumped, struct fletch_random *random)
{
    struct sim_plan *plan = &pumped->world.plan;
    uint32_t count = pumped->net.process_count = 2 + fletch_random_below(random, 3);
    bool is_pull = fletch_random_below(random, 3) == 0;
    pumped->mode = is_pull ? FLETCH_PLACEMENT_PULL : FLETCH_PLACEMENT_PUSH;
    pumped->has_homes = is_pull || fletch_random_below(random, 3) != 0;
    plan->has_barriers &= !is_pull;
    plan->has_watermarks &= !is_pull;
    for (uint32_t i = 0; i < plan->producer_count; i++)
        pumped->homes[i] = fletch_random_below(random, count);
    plan->reader_count = 2 * count;
    for (uint32_t i = 0; i < plan->reader_count; i++)
        pumped->reader_homes[i] = i % count;
    for (uint32_t p = 0; p < plan->partition_count; p++) {
        uint32_t number = fletch_random_below(random, plan->reader_count);
        struct sim_reader *reader = &pumped->world.readers[number];
        pumped->owners[p] = number % count;
        reader->partitions[reader->partition_count++] = p;
    }
    for (uint32_t i = 0; plan->has_barriers && i < plan->producer_count; i++)
        if (!owns_any(pumped, pumped->homes[i]))
            pumped->homes[i] = pumped->owners[0];
}

/* ---- life ---- */

static void replica_made(struct pumped *pumped, struct sim_process *process)
{
    static const uint32_t key = 0;
    static const unsigned char id[FLETCH_SHUFFLE_ID_BYTES] = {7};
    const struct sim_plan *plan = &pumped->world.plan;
    const struct fletch_partitioner_options partitioner = {
        .struct_size = sizeof partitioner,
        .method = FLETCH_PARTITION_HASH,
        .partition_count = plan->partition_count,
        .key_columns = &key,
        .key_column_count = 1,
    };
    const struct fletch_placement placement = {
        .struct_size = sizeof placement,
        .addresses = sim_addresses,
        .address_count = pumped->net.process_count,
        .self = process->number,
        .partition_owners = pumped->mode == FLETCH_PLACEMENT_PUSH ? pumped->owners : NULL,
        .producer_homes = pumped->has_homes ? pumped->homes : NULL,
        .mode = pumped->mode,
    };
    const struct fletch_shuffle_options options = {
        .struct_size = sizeof options,
        .name = "simulated",
        .name_bytes = strlen("simulated"),
        .schema = pumped->world.schema,
        .partitioner = &partitioner,
        .producer_count = plan->producer_count,
        .budget_bytes = plan->budget_bytes,
        .frame_bytes = FRAME_BYTES,
        .sums = plan->sums,
        .spill_directory = plan->spills ? process->disk.path : NULL,
        .id = id,
        .placement = &placement,
    };
    struct fletch_error error;
    if (fletch_shuffle_register(process->transport, &options, &process->shuffle, &error) !=
        FLETCH_OK)
        fail_msg("%s", error.message);
    if (pumped->world.partitioner == NULL)
        assert_ok(fletch_partitioner_create(pumped->world.schema, &partitioner, NULL,
                                            &pumped->world.partitioner, NULL));
}

static void process_started(struct pumped *pumped, uint32_t number)
{
    struct sim_process *process = &pumped->net.processes[number];
    const struct fletch_time_source time = {.now_ns = virtual_now_ns, .context = &pumped->net};
    process->net = &pumped->net;
    process->number = number;
    sim_process_start(process, 4 * pumped->world.plan.budget_bytes + 1024 * 1024, time);
    replica_made(pumped, process);
}

static struct fletch_buffer_cache *cache_opened(const struct sim_process *process)
{
    struct fletch_buffer_cache *cache;
    assert_ok(fletch_buffer_cache_open(process->transport->pool, &cache, NULL));
    return cache;
}

static void world_made(struct pumped *pumped, uint64_t seed)
{
    *pumped = (struct pumped){.world = {.random = fletch_random_from_seed(seed)}};
    struct sim_world *world = &pumped->world;
    sizes_planned(&world->plan, &world->random);
    faults_planned(pumped, &world->random);
    places_planned(pumped, &world->random);
    pumped->net.weather.random = &world->random;
    pumped->net.weather.now_ns = world->now_ns = 1;
    world->schema = sim_schema();
    for (uint32_t i = 0; i < pumped->net.process_count; i++)
        process_started(pumped, i);
    sim_model_init(&world->model, world->plan.producer_count, world->plan.partition_count);
    for (uint32_t i = 0; i < world->plan.producer_count; i++) {
        const struct sim_process *home = &pumped->net.processes[pumped->homes[i]];
        world->writers[i].transport = home->transport;
        world->writers[i].shuffle = home->shuffle;
        world->writers[i].cache = cache_opened(home);
        world->writers[i].rows_left = world->plan.rows_each;
    }
    for (uint32_t i = 0; i < world->plan.reader_count; i++) {
        const struct sim_process *home = &pumped->net.processes[pumped->reader_homes[i]];
        world->readers[i].shuffle = home->shuffle;
        world->readers[i].cache = cache_opened(home);
    }
}

/* Of a process, or of all (NOBODY). */
static void users_ended(struct pumped *pumped, uint32_t number)
{
    struct sim_world *world = &pumped->world;
    for (uint32_t i = 0; i < world->plan.producer_count; i++) {
        if (world->writers[i].cache == NULL || (number != NOBODY && pumped->homes[i] != number))
            continue;
        sim_writer_end(world, &world->writers[i]);
        fletch_buffer_cache_close(world->writers[i].cache);
        world->writers[i].cache = NULL;
    }
    for (uint32_t i = 0; i < world->plan.reader_count; i++) {
        if (world->readers[i].cache == NULL ||
            (number != NOBODY && pumped->reader_homes[i] != number))
            continue;
        sim_reader_end(world, &world->readers[i]);
        fletch_buffer_cache_close(world->readers[i].cache);
        world->readers[i].cache = NULL;
    }
}

/* Everything is given back, or the transport says what is not. */
static bool process_ended(struct pumped *pumped, struct sim_process *process)
{
    struct fletch_error error;
    fletch_shuffle_close(process->shuffle);
    sim_process_cut_off(process);
    fletch_shuffle_release(process->shuffle);
    return sim_process_end(process, &error) ||
           sim_refuse(&pumped->world, "transport_destroy", error.status, &error);
}

static bool world_ended(struct pumped *pumped)
{
    bool is_whole = true;
    users_ended(pumped, NOBODY);
    for (uint32_t i = 0; i < pumped->net.process_count; i++)
        is_whole &= process_ended(pumped, &pumped->net.processes[i]);
    (void)sim_net_tell(&pumped->net);
    if (pumped->net.wires != NULL)
        is_whole = sim_refuse(&pumped->world, "a connection that nobody left", FLETCH_OK, NULL);
    fletch_partitioner_destroy(pumped->world.partitioner);
    fletch_schema_release(pumped->world.schema);
    sim_model_deinit(&pumped->world.model);
    return is_whole;
}

/* ---- faults ---- */

static void wire_spoilt(struct pumped *pumped, bool is_cut)
{
    struct fletch_random *random = &pumped->world.random;
    struct sim_net *net = &pumped->net;
    uint32_t count = 0;
    struct sim_wire *chosen = NULL;
    for (struct sim_wire *wire = net->wires; wire != NULL; wire = wire->next)
        if (!wire->is_cut && fletch_random_below(random, ++count) == 0)
            chosen = wire;
    if (chosen == NULL)
        return;
    if (!is_cut) {
        chosen->ways[fletch_random_below(random, 2)].held_until_ns =
            net->weather.now_ns + fletch_random_below(random, HELD_NS_MOST);
        return;
    }
    const uint32_t kept[2] = {fletch_random_below(random, CUT_KEEPS_MOST + 1),
                              fletch_random_below(random, CUT_KEEPS_MOST + 1)};
    sim_wire_cut(chosen, kept);
    pumped->cuts_left--;
    if (fletch_random_below(random, 2) == 0)
        net->refused_until_ns[chosen->processes[0]][chosen->processes[1]] =
            net->weather.now_ns + fletch_random_below(random, REFUSED_NS_MOST);
}

/* Two processes do not reach each other for longer than they wait. */
static void outage_begun(struct pumped *pumped)
{
    static const uint32_t nothing[2];
    struct sim_net *net = &pumped->net;
    uint32_t a = fletch_random_below(&pumped->world.random, net->process_count);
    uint32_t b = (a + 1) % net->process_count;
    uint64_t until_ns = net->weather.now_ns + 6 * GRACE_NS;
    for (struct sim_wire *wire = net->wires; wire != NULL; wire = wire->next)
        if ((wire->processes[0] == a && wire->processes[1] == b) ||
            (wire->processes[0] == b && wire->processes[1] == a))
            sim_wire_cut(wire, nothing);
    net->refused_until_ns[a][b] = net->refused_until_ns[b][a] = until_ns;
    pumped->outage_at = 0;
    pumped->world.model.may_lose = true;
}

/* A process dies, and comes back as another incarnation that knows nothing. */
static bool process_restarted(struct pumped *pumped)
{
    struct sim_world *world = &pumped->world;
    uint32_t number = fletch_random_below(&world->random, pumped->net.process_count);
    struct sim_process *process = &pumped->net.processes[number];
    pumped->kill_at = 0;
    pumped->killed = number;
    world->model.may_lose = true;
    for (uint32_t i = 0; i < world->plan.producer_count; i++)
        world->model.producers[i].is_aborted |=
            pumped->homes[i] == number && !world->model.producers[i].has_ended;
    sim_process_cut_off(process);
    users_ended(pumped, number);
    if (!process_ended(pumped, process))
        return false;
    process_started(pumped, number);
    /* Whoever had not met the one before it may meet this one, which has nothing to give. */
    world->is_cancelled = true;
    fletch_shuffle_cancel(process->shuffle, "restarted");
    /* By pull, who has not met a reader does not miss it. */
    for (uint32_t i = 0; pumped->mode == FLETCH_PLACEMENT_PULL && i < pumped->net.process_count;
         i++)
        fletch_shuffle_cancel(pumped->net.processes[i].shuffle, "restarted elsewhere");
    world->progress++;
    return true;
}

/* By push, a process of which nothing was heard is not missed: it may not have begun yet. */
static bool all_were_heard(const struct pumped *pumped)
{
    const struct sim_world *world = &pumped->world;
    for (uint32_t b = 0; b < pumped->net.process_count; b++)
        for (uint32_t i = 0; i < world->plan.producer_count; i++) {
            bool is_heard = pumped->mode == FLETCH_PLACEMENT_PULL || pumped->homes[i] == b;
            bool owns = false;
            for (uint32_t p = 0; p < world->plan.partition_count; p++) {
                owns |= pumped->owners[p] == b;
                is_heard |= pumped->owners[p] == b && world->model.partitions[p].has_some_of[i];
            }
            if (owns && !is_heard)
                return false;
        }
    return true;
}

static bool faults_made(struct pumped *pumped)
{
    struct sim_world *world = &pumped->world;
    if (pumped->cuts_left > 0 && sim_chance(world, pumped->cut_percent))
        wire_spoilt(pumped, true);
    if (sim_chance(world, pumped->hold_percent))
        wire_spoilt(pumped, false);
    bool may_cancel = pumped->cut_percent == 0 || all_were_heard(pumped);
    if (world->plan.cancel_at != 0 && world->step >= world->plan.cancel_at && may_cancel) {
        uint32_t number = fletch_random_below(&world->random, pumped->net.process_count);
        world->is_cancelled = true;
        world->model.may_lose = true; /* who is cut off meanwhile only learns that it is over */
        fletch_shuffle_cancel(pumped->net.processes[number].shuffle, "simulated");
        world->plan.cancel_at = 0;
    }
    if (pumped->outage_at != 0 && world->step >= pumped->outage_at && all_were_heard(pumped))
        outage_begun(pumped);
    if (pumped->kill_at != 0 && world->step >= pumped->kill_at && all_were_heard(pumped))
        return process_restarted(pumped);
    return true;
}

/* ---- rounds ---- */

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

/* A step of participant `number`: writers, readers, processes. */
static bool stepped(struct pumped *pumped, uint32_t number)
{
    struct sim_world *world = &pumped->world;
    const struct sim_plan *plan = &world->plan;
    world->step++;
    if (number < plan->producer_count)
        return sim_writer_step(world, number);
    number -= plan->producer_count;
    if (number < plan->reader_count)
        return sim_reader_step(world, number);
    (void)sim_process_step(&pumped->net.processes[number - plan->reader_count]);
    return true;
}

/* A round: some steps of whoever comes, then one of everybody. */
static bool round_run(struct pumped *pumped)
{
    struct sim_world *world = &pumped->world;
    uint32_t count =
        world->plan.producer_count + world->plan.reader_count + pumped->net.process_count;
    if (!faults_made(pumped))
        return false;
    (void)sim_net_tell(&pumped->net);
    for (uint32_t i = 0; i < ROUND_STEPS; i++)
        if (!stepped(pumped, fletch_random_below(&world->random, count)))
            return false;
    for (uint32_t i = 0; i < count; i++)
        if (!stepped(pumped, i))
            return false;
    return true;
}

static void time_passed(struct pumped *pumped, uint64_t stalled)
{
    uint64_t ns = fletch_random_below(&pumped->world.random, ROUND_NS_MOST);
    if (stalled > QUIET_ROUNDS)
        ns += QUIET_NS;
    pumped->net.weather.now_ns += ns;
    pumped->world.now_ns = pumped->net.weather.now_ns;
}

static bool statistics_agree(struct pumped *pumped)
{
    struct sim_world *world = &pumped->world;
    uint64_t written = 0;
    uint64_t read = 0;
    uint64_t rows = 0;
    for (uint32_t i = 0; i < world->plan.producer_count; i++)
        rows += world->model.producers[i].row_count;
    for (uint32_t i = 0; i < pumped->net.process_count; i++) {
        struct fletch_exchange_statistics found = {.struct_size = sizeof found};
        fletch_shuffle_statistics(pumped->net.processes[i].shuffle, &found);
        written += found.rows_written;
        read += found.rows_read;
        if (found.bytes_queued != 0 || found.bytes_charged != 0 || found.bytes_on_disk != 0) {
            snprintf(world->model.complaint, sizeof world->model.complaint,
                     "process %u keeps %" PRIu64 " bytes queued, %" PRIu64 " charged, %" PRIu64
                     " on disk",
                     i, found.bytes_queued, found.bytes_charged, found.bytes_on_disk);
            return false;
        }
    }
    if (written == rows && read == rows)
        return true;
    return sim_refuse(world, "statistics count other rows", FLETCH_OK, NULL);
}

/* Where all producers ended and all was read, each session ends by itself. */
static bool sessions_end(struct pumped *pumped)
{
    users_ended(pumped, NOBODY);
    pumped->cuts_left = 0;
    for (uint64_t i = 0; i < STALLED_ROUNDS; i++) {
        bool is_over = true;
        (void)sim_net_tell(&pumped->net);
        for (uint32_t k = 0; k < pumped->net.process_count; k++) {
            (void)sim_process_step(&pumped->net.processes[k]);
            is_over &= pumped->net.processes[k].sessions == NULL;
        }
        if (is_over)
            return statistics_agree(pumped);
        time_passed(pumped, 0);
    }
    return sim_refuse(&pumped->world, "a session has not ended", FLETCH_OK, NULL);
}

static bool ran(struct pumped *pumped)
{
    struct sim_world *world = &pumped->world;
    uint64_t stalled = 0;
    while (!all_done(world)) {
        uint64_t before = world->progress;
        if (!round_run(pumped))
            return false;
        stalled = world->progress == before ? stalled + 1 : 0;
        if (stalled == STALLED_ROUNDS)
            return sim_refuse(world, "nothing moves", FLETCH_OK, NULL);
        time_passed(pumped, stalled);
    }
    return !pumped->is_clean || !pumped->has_homes || sessions_end(pumped);
}

/* ---- for who looks into a failure ---- */

static void plan_printed(const struct pumped *pumped)
{
    const struct sim_plan *plan = &pumped->world.plan;
    printf("processes %u, %s, homes %d, producers %u, partitions %u, rows %" PRIu64
           ", budget %" PRIu64 ", filling %u, pace %u, barriers %d, watermarks %d, puts %d, "
           "spills %d, sums %d, latency %" PRIu64 ", room %u, eager %" PRIu64
           ", cuts %u%%, holds %u%%, clean %d, "
           "cancelled %d, killed %u, may lose %d, time %" PRIu64 " ms, %" PRIu64 " connections\n",
           pumped->net.process_count, pumped->mode == FLETCH_PLACEMENT_PULL ? "pull" : "push",
           pumped->has_homes, plan->producer_count, plan->partition_count, plan->rows_each,
           plan->budget_bytes, plan->filling_most, plan->reader_pace, plan->has_barriers,
           plan->has_watermarks, plan->has_puts, plan->spills, (int)plan->sums,
           pumped->net.weather.latency_most_ns, pumped->net.weather.room_most,
           pumped->net.eager_bytes, pumped->cut_percent, pumped->hold_percent, pumped->is_clean,
           pumped->world.is_cancelled, pumped->killed, pumped->world.model.may_lose,
           pumped->net.weather.now_ns / MILLISECOND, pumped->net.connections);
}

/* Who waits for whom. */
static void world_printed(const struct pumped *pumped)
{
    const struct sim_world *world = &pumped->world;
    plan_printed(pumped);
    for (uint32_t i = 0; i < world->plan.producer_count; i++)
        printf("writer %u in process %u: %s, action %d, %" PRIu64 " rows left: %s\n", i,
               pumped->homes[i], world->writers[i].is_done ? "done" : "writing",
               (int)world->writers[i].action, world->writers[i].rows_left,
               world->writers[i].answer);
    for (uint32_t i = 0; i < world->plan.reader_count; i++) {
        const struct sim_reader *reader = &world->readers[i];
        printf("reader %u in process %u: %s, keeps %u: %s\n", i, pumped->reader_homes[i],
               reader->is_done ? "done" : "reading", reader->kept_count, reader->answer);
        for (uint32_t k = 0; k < reader->partition_count; k++)
            printf("  partition %u: %" PRIu64 " rows, ended %d, failed %d\n", reader->partitions[k],
                   world->model.partitions[reader->partitions[k]].rows,
                   world->model.partitions[reader->partitions[k]].has_ended,
                   world->model.partitions[reader->partitions[k]].has_failed);
    }
    for (uint32_t i = 0; i < pumped->net.process_count; i++)
        sim_process_print(&pumped->net.processes[i]);
}

static void run_seed(uint64_t seed)
{
    static struct pumped pumped;
    struct sim_model *model = &pumped.world.model;
    char complaint[sizeof model->complaint];
    world_made(&pumped, seed);
    bool is_right = ran(&pumped);
    if (!is_right)
        world_printed(&pumped);
    memcpy(complaint, model->complaint, sizeof complaint);
    bool is_whole = world_ended(&pumped);
    if (!is_right)
        fail_msg("seed %" PRIu64 ", step %" PRIu64 ": %s", seed, pumped.world.step, complaint);
    if (!is_whole)
        fail_msg("seed %" PRIu64 ", at the end: %s", seed, model->complaint);
}

static void test_promises_are_kept_between_processes(void **state)
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
        cmocka_unit_test(test_promises_are_kept_between_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
