#include "sim/sim_world.h"

#include <string.h>

/* Writers of the simulation. */

static bool opened(struct sim_world *world, uint32_t number)
{
    struct sim_writer *writer = &world->writers[number];
    struct fletch_error error;
    enum fletch_status status =
        fletch_shuffle_writer_open(writer->shuffle, number, writer->cache, &writer->writer, &error);
    if (status == FLETCH_OK || status == FLETCH_RESOURCE_EXHAUSTED)
        return true; /* or no room for its scratch yet */
    if (status == FLETCH_UNAVAILABLE &&
        (world->plan.disk == SIM_DISK_BREAKS || world->model.may_lose)) {
        writer->is_done = true;
        return true;
    }
    if (status == FLETCH_CANCELLED && world->is_cancelled) {
        writer->is_done = true;
        return true;
    }
    return sim_refuse(world, "writer_open", status, &error);
}

/* New rows of a producer; where the rows of a put go is the same for all. */
static void rows_made(struct sim_world *world, uint32_t number, bool is_put)
{
    struct sim_writer *writer = &world->writers[number];
    const struct sim_producer *producer = &world->model.producers[number];
    uint32_t most = writer->rows_left < SIM_ROWS_MAX ? (uint32_t)writer->rows_left : SIM_ROWS_MAX;
    uint32_t partition = fletch_random_below(&world->random, world->plan.partition_count);
    int64_t base = producer->watermark == INT64_MIN ? 0 : producer->watermark + 1;
    /* What is put must fit in the budget at once. */
    uint32_t room_bytes = is_put ? (uint32_t)(world->plan.budget_bytes / 4) : UINT32_MAX;
    writer->row_count = fletch_random_below(&world->random, most + 1);
    for (uint32_t i = 0; i < writer->row_count; i++) {
        writer->rows[i] = (struct sim_row){
            .producer = number,
            .partition = is_put ? partition : 0,
            .number = producer->row_count + i,
            .barrier = producer->barrier,
            .time = base + fletch_random_below(&world->random, 100),
            .filling_bytes = fletch_random_below(&world->random, world->plan.filling_most + 1),
            .is_late = producer->was_idle,
        };
        if (writer->rows[i].filling_bytes > room_bytes)
            writer->rows[i].filling_bytes = room_bytes;
        room_bytes -= writer->rows[i].filling_bytes;
    }
}

/* False: there was no room for the batch; another time. */
static bool batch_made(struct sim_world *world, uint32_t number, bool is_put)
{
    struct sim_writer *writer = &world->writers[number];
    uint16_t partitions[SIM_ROWS_MAX];
    struct fletch_account *account =
        sim_chance(world, 50) ? fletch_transport_account(writer->transport) : NULL;
    rows_made(world, number, is_put);
    writer->batch =
        sim_batch(world->schema, writer->cache, account, writer->rows, writer->row_count);
    if (writer->batch == NULL || is_put)
        return writer->batch != NULL;
    const struct fletch_row_range all = {.first = 0, .count = writer->row_count};
    if (fletch_partitioner_assign(world->partitioner, writer->batch, all, partitions, NULL) !=
        FLETCH_OK)
        return false;
    for (uint32_t i = 0; i < writer->row_count; i++)
        writer->rows[i].partition = partitions[i];
    return true;
}

static enum sim_action action_chosen(struct sim_world *world, uint32_t number)
{
    struct sim_writer *writer = &world->writers[number];
    const struct sim_producer *producer = &world->model.producers[number];
    uint32_t draw = fletch_random_below(&world->random, 100);
    if (writer->rows_left == 0)
        return SIM_ACTION_END;
    if (world->plan.has_barriers && draw < 8)
        return producer->barrier + 1 < SIM_BARRIERS_MAX ? SIM_ACTION_BARRIER : SIM_ACTION_NONE;
    if (world->plan.has_watermarks && draw >= 8 && draw < 18) {
        writer->watermark = (producer->watermark == INT64_MIN ? 0 : producer->watermark) + 20 +
                            fletch_random_below(&world->random, 60);
        return SIM_ACTION_WATERMARK;
    }
    if (world->plan.has_watermarks && draw == 18)
        return SIM_ACTION_IDLE;
    if (draw >= 19 && draw < 24)
        return SIM_ACTION_FLUSH;
    bool is_put = world->plan.has_puts && draw >= 24 && draw < 40;
    if (!batch_made(world, number, is_put))
        return SIM_ACTION_NONE;
    return is_put ? SIM_ACTION_PUT : SIM_ACTION_WRITE;
}

/* What readers may be told before the call that asked for it has returned. */
static void asked(struct sim_world *world, uint32_t number)
{
    const struct sim_writer *writer = &world->writers[number];
    struct sim_producer *producer = &world->model.producers[number];
    if (writer->action == SIM_ACTION_BARRIER)
        producer->barrier_asked = producer->barrier + 1;
    else if (writer->action == SIM_ACTION_WATERMARK)
        producer->watermark_asked = writer->watermark;
    else if (writer->action == SIM_ACTION_IDLE)
        producer->was_idle = true;
    else if (writer->action == SIM_ACTION_END)
        producer->asked_for_end = true;
}

static enum fletch_status called(struct sim_world *world, uint32_t number,
                                 struct fletch_error *error)
{
    struct sim_writer *writer = &world->writers[number];
    const struct sim_producer *producer = &world->model.producers[number];
    struct fletch_shuffle_writer *end = writer->writer;
    switch (writer->action) {
    case SIM_ACTION_WRITE:
        return fletch_shuffle_writer_write(end, writer->batch, 0, error);
    case SIM_ACTION_PUT:
        return fletch_shuffle_writer_put(end, writer->rows[0].partition, writer->batch, 0, error);
    case SIM_ACTION_FLUSH:
        return fletch_shuffle_writer_flush(end, 0, error);
    case SIM_ACTION_BARRIER:
        return fletch_shuffle_writer_barrier(end, producer->barrier + 1, 0, error);
    case SIM_ACTION_WATERMARK:
        return fletch_shuffle_writer_watermark(end, writer->watermark, 0, error);
    case SIM_ACTION_IDLE:
        return fletch_shuffle_writer_idle(end, 0, error);
    case SIM_ACTION_END:
        return fletch_shuffle_writer_end(end, 0, error);
    case SIM_ACTION_NONE:
        break;
    }
    return fletch_shuffle_writer_poll(end, world->now_ns, error);
}

/* The model learns what the shuffle has taken. */
static void took(struct sim_world *world, uint32_t number)
{
    struct sim_writer *writer = &world->writers[number];
    struct sim_producer *producer = &world->model.producers[number];
    switch (writer->action) {
    case SIM_ACTION_WRITE:
    case SIM_ACTION_PUT:
        sim_model_accept(&world->model, writer->rows, writer->row_count);
        writer->rows_left -= writer->row_count;
        fletch_batch_release(writer->cache, writer->batch);
        writer->batch = NULL;
        break;
    case SIM_ACTION_BARRIER:
        producer->barrier++;
        break;
    case SIM_ACTION_WATERMARK:
        producer->watermark = writer->watermark;
        break;
    case SIM_ACTION_END:
        producer->has_ended = true;
        writer->is_done = true;
        break;
    case SIM_ACTION_IDLE:
    case SIM_ACTION_FLUSH:
    case SIM_ACTION_NONE:
        break;
    }
    if (writer->action != SIM_ACTION_NONE)
        world->progress++;
    writer->action = SIM_ACTION_NONE;
}

void sim_writer_end(struct sim_world *world, struct sim_writer *writer)
{
    (void)world;
    fletch_batch_release(writer->cache, writer->batch);
    writer->batch = NULL;
    fletch_shuffle_writer_close(writer->writer);
    writer->writer = NULL;
    writer->is_done = true;
}

static void aborted(struct sim_world *world, uint32_t number)
{
    fletch_shuffle_writer_abort(world->writers[number].writer, "simulated");
    world->model.producers[number].is_aborted = true;
    sim_writer_end(world, &world->writers[number]);
    world->plan.abort_at = 0;
    world->progress++;
}

bool sim_writer_step(struct sim_world *world, uint32_t number)
{
    struct sim_writer *writer = &world->writers[number];
    struct fletch_error error;
    if (writer->is_done)
        return true;
    if (writer->writer == NULL)
        return opened(world, number);
    if (world->plan.abort_at != 0 && world->step >= world->plan.abort_at) {
        aborted(world, number);
        return true;
    }
    if (writer->action == SIM_ACTION_NONE && sim_chance(world, 85))
        writer->action = action_chosen(world, number);
    if (writer->action == SIM_ACTION_PUT && writer->row_count == 0)
        writer->rows[0].partition = 0;
    asked(world, number);
    enum fletch_status status = called(world, number, &error);
    if (status == FLETCH_OK) {
        took(world, number);
        return true;
    }
    strcpy(writer->answer, error.message);
    /* No room, or other processes have not answered yet: it is called again. */
    if (status == FLETCH_RESOURCE_EXHAUSTED || status == FLETCH_DEADLINE_EXCEEDED)
        return true;
    bool is_told_of_failure =
        (status == FLETCH_UNAVAILABLE && sim_model_has_abort(&world->model)) ||
        (status == FLETCH_DATA_LOSS && world->plan.disk == SIM_DISK_BREAKS);
    if (is_told_of_failure)
        world->model.producers[number].is_aborted = true;
    if (is_told_of_failure || (status == FLETCH_CANCELLED && world->is_cancelled)) {
        sim_writer_end(world, writer);
        world->progress++;
        return true;
    }
    return sim_refuse(world, "a writer's call", status, &error);
}
