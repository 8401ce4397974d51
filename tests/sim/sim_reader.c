#include "sim/sim_world.h"

#include <string.h>

/* Readers of the simulation. */

static void released(struct sim_reader *reader, uint32_t index)
{
    fletch_batch_release(reader->cache, reader->kept[index]);
    reader->kept[index] = reader->kept[--reader->kept_count];
}

/* What was read to its end is not opened again, unless all is retained. */
static void ended_left_out(struct sim_world *world, struct sim_reader *reader)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < reader->partition_count; i++) {
        const struct sim_partition *partition = &world->model.partitions[reader->partitions[i]];
        if (!partition->has_ended && !partition->has_failed)
            reader->partitions[count++] = reader->partitions[i];
    }
    reader->partition_count = count;
    reader->is_done = count == 0;
}

static bool opened(struct sim_world *world, struct sim_reader *reader)
{
    if (!world->plan.retains)
        ended_left_out(world, reader);
    if (reader->is_done)
        return true;
    const struct fletch_shuffle_reader_options options = {
        .struct_size = sizeof options,
        .partitions = reader->partitions,
        .partition_count = reader->partition_count,
        .cache = reader->cache,
    };
    struct fletch_error error;
    enum fletch_status status =
        fletch_shuffle_reader_open(reader->shuffle, &options, &reader->reader, &error);
    if (status == FLETCH_OK) {
        for (uint32_t i = 0; world->plan.retains && i < reader->partition_count; i++)
            sim_model_replay(&world->model, reader->partitions[i]);
        world->progress++;
        return true;
    }
    if (status == FLETCH_CANCELLED && world->is_cancelled) {
        reader->is_done = true;
        return true;
    }
    if (status == FLETCH_RESOURCE_EXHAUSTED)
        return true; /* no room for its scratch yet */
    if ((status == FLETCH_UNAVAILABLE || status == FLETCH_DATA_LOSS) &&
        (sim_model_has_abort(&world->model) || world->plan.disk == SIM_DISK_BREAKS)) {
        reader->is_done = true; /* lost, as it was told before */
        return true;
    }
    return sim_refuse(world, "reader_open", status, &error);
}

/* Closes the reader; whether another one opens depends on the rounds that are left. */
static void closed(struct sim_world *world, struct sim_reader *reader)
{
    fletch_shuffle_reader_close(reader->reader);
    reader->reader = NULL;
    world->progress++;
}

static bool finished(struct sim_world *world, struct sim_reader *reader)
{
    for (uint32_t i = 0; i < reader->partition_count; i++) {
        const struct sim_partition *partition = &world->model.partitions[reader->partitions[i]];
        if (!partition->has_ended && !partition->has_failed)
            return sim_refuse(world, "next said that nothing will come any more", FLETCH_OK, NULL);
    }
    closed(world, reader);
    if (reader->rounds == 0)
        reader->is_done = true;
    else
        reader->rounds--;
    return true;
}

static bool given(struct sim_world *world, struct sim_reader *reader,
                  const struct fletch_shuffle_event *event)
{
    world->progress++;
    bool is_right = sim_model_check(&world->model, event);
    if (event->batch == NULL)
        return is_right;
    if (reader->kept_count == SIM_KEPT_MAX)
        released(reader, 0);
    reader->kept[reader->kept_count++] = event->batch;
    return is_right;
}

/* A partition's loss names it: "… partition N …". */
static bool lost(struct sim_world *world, struct sim_reader *reader,
                 const struct fletch_error *error)
{
    const char *found = strstr(error->message, "partition ");
    bool is_aborted = strncmp(error->message, "PRODUCER_LOST", strlen("PRODUCER_LOST")) == 0;
    if ((!is_aborted && world->plan.disk != SIM_DISK_BREAKS) || found == NULL)
        return sim_refuse(world, "next", FLETCH_UNAVAILABLE, error);
    uint32_t partition = 0;
    for (const char *digit = found + strlen("partition "); *digit >= '0' && *digit <= '9'; digit++)
        partition = 10 * partition + (uint32_t)(*digit - '0');
    for (uint32_t i = 0; i < reader->partition_count; i++)
        if (reader->partitions[i] == partition) {
            world->progress++;
            if (is_aborted)
                return sim_model_check_lost(&world->model, partition);
            world->model.partitions[partition].has_failed = true;
            return true;
        }
    return sim_refuse(world, "next, of a partition that is not read", FLETCH_UNAVAILABLE, error);
}

void sim_reader_end(struct sim_world *world, struct sim_reader *reader)
{
    (void)world;
    while (reader->kept_count > 0)
        released(reader, 0);
    fletch_shuffle_reader_close(reader->reader);
    reader->reader = NULL;
    reader->is_done = true;
}

static bool all_written(const struct sim_world *world)
{
    for (uint32_t i = 0; i < world->plan.producer_count; i++)
        if (!world->writers[i].is_done)
            return false;
    return true;
}

static bool read_once(struct sim_world *world, struct sim_reader *reader)
{
    struct fletch_shuffle_event event;
    struct fletch_error error;
    bool has_event;
    enum fletch_status status =
        fletch_shuffle_reader_next(reader->reader, 0, &event, &has_event, &error);
    if (status != FLETCH_OK)
        strcpy(reader->answer, error.message);
    switch (status) {
    case FLETCH_OK:
        return has_event ? given(world, reader, &event) : finished(world, reader);
    case FLETCH_DEADLINE_EXCEEDED:
        return true;
    case FLETCH_RESOURCE_EXHAUSTED:
        while (reader->kept_count > 0)
            released(reader, 0);
        return true;
    case FLETCH_DATA_LOSS:
    case FLETCH_UNAVAILABLE:
        return lost(world, reader, &error);
    case FLETCH_CANCELLED:
        if (!world->is_cancelled)
            break;
        sim_reader_end(world, reader);
        world->progress++;
        return true;
    default:
        break;
    }
    return sim_refuse(world, "next", status, &error);
}

bool sim_reader_step(struct sim_world *world, uint32_t number)
{
    struct sim_reader *reader = &world->readers[number];
    if (reader->is_done)
        return true;
    if (reader->kept_count > 0 && sim_chance(world, 50))
        released(reader, fletch_random_below(&world->random, reader->kept_count));
    if (reader->reader == NULL) {
        if (world->plan.reads_late && !all_written(world))
            return true;
        return opened(world, reader);
    }
    if (world->plan.reopens > 0 && sim_chance(world, 2)) {
        world->plan.reopens--;
        closed(world, reader);
        return true;
    }
    if (!sim_chance(world, world->plan.reader_pace))
        return true;
    return read_once(world, reader);
}
