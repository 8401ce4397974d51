#include "get_streams.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "quantity.h"

enum { BATCHES_IN_TURN = 16, SIGNAL_EXIT = 128 };

struct slot {
    struct fletch_flight_stream *stream; /* NULL: free */
    uint32_t partition;
    bool has_schema;
    uint64_t rows;
};

struct loop {
    struct get_streams *all;
    struct slot *slots;
    struct pollfd *descriptors; /* one for each slot, and the signals' */
    uint32_t next;              /* of the partitions */
    uint32_t open;
    bool has_moved; /* in this turn */
};

static enum outcome tell(const struct loop *loop, const struct slot *slot,
                         const struct fletch_error *error)
{
    char subject[256];
    snprintf(subject, sizeof subject, "%s: partition %" PRIu32, loop->all->run->words->location,
             slot->partition);
    return outcome_tell_peer(subject, error);
}

static enum outcome open_slot(struct loop *loop, size_t number)
{
    struct slot *slot = &loop->slots[number];
    struct flight_run *run = loop->all->run;
    struct text ticket = {0};
    struct fletch_error error;
    *slot = (struct slot){.partition = loop->all->partitions[loop->next++]};
    text_print(&ticket, "%" PRIu32 "@", slot->partition);
    text_append(&ticket, loop->all->shuffle->bytes, loop->all->shuffle->size);
    const struct fletch_flight_bytes bytes = {ticket.bytes, ticket.size};
    enum outcome outcome = OUTCOME_DONE;
    loop->has_moved = true;
    if (ticket.failed)
        outcome = outcome_tell(OUTCOME_SYSTEM, "no memory for a ticket");
    else if (fletch_flight_client_do_get(run->client, &run->call, &bytes, &slot->stream, &error) !=
                 FLETCH_OK ||
             fletch_flight_stream_open_fd(slot->stream, &loop->descriptors[number].fd, &error) !=
                 FLETCH_OK)
        outcome = tell(loop, slot, &error);
    loop->open += slot->stream != NULL;
    text_end(&ticket);
    return outcome;
}

/* What the service says of a good end, compared with what came. */
static enum outcome check_trailers(struct loop *loop, const struct slot *slot)
{
    const struct fletch_flight_header *rows =
        fletch_flight_stream_header(slot->stream, "fletch-rows");
    const struct fletch_flight_header *verified =
        fletch_flight_stream_header(slot->stream, "fletch-verified");
    uint64_t expected;
    loop->all->unverified += verified == NULL || strcmp(verified->value, "off") == 0;
    if (rows == NULL || !quantity_parse_count(rows->value, &expected) || expected == slot->rows)
        return OUTCOME_DONE;
    return outcome_tell(OUTCOME_DIFFERS,
                        "%s: partition %" PRIu32 " has %" PRIu64 " rows, and %" PRIu64 " came",
                        loop->all->run->words->location, slot->partition, expected, slot->rows);
}

static enum outcome close_slot(struct loop *loop, struct slot *slot)
{
    struct fletch_flight_end end;
    struct fletch_error error;
    enum outcome outcome = OUTCOME_DONE;
    if (fletch_flight_stream_end(slot->stream, FLETCH_NO_TIMEOUT, &end, &error) != FLETCH_DONE) {
        outcome = tell(loop, slot, &error);
    } else if (end.status != FLETCH_OK) {
        error.status = end.status;
        (void)snprintf(error.message, sizeof error.message, "%s", end.text);
        outcome = tell(loop, slot, &error);
    } else {
        outcome = check_trailers(loop, slot);
    }
    fletch_flight_stream_close(slot->stream);
    slot->stream = NULL;
    loop->open--;
    loop->has_moved = true;
    if (outcome == OUTCOME_DONE && !slot->has_schema)
        outcome = outcome_tell(OUTCOME_INPUT, "%s: partition %" PRIu32 " has no schema",
                               loop->all->run->words->location, slot->partition);
    return outcome == OUTCOME_DONE ? get_sink_finish(loop->all->sink, slot->partition) : outcome;
}

static enum outcome write_data(struct loop *loop, struct slot *slot,
                               const struct fletch_flight_data *data)
{
    loop->has_moved = true;
    if (data->batch == NULL)
        return OUTCOME_DONE;
    uint64_t rows = (uint64_t)fletch_batch_row_count(data->batch);
    enum outcome outcome = get_sink_write(loop->all->sink, slot->partition, data->batch);
    fletch_batch_release(loop->all->run->context.cache, data->batch);
    slot->rows += rows;
    loop->all->rows += rows;
    loop->all->batches++;
    return outcome;
}

/* Begins the partition when its schema has come. EMPTY: not yet, and batches may come behind it at
 * any moment. Else there is something to read: what follows, or why there is no schema. */
static enum fletch_answer begin_slot(struct loop *loop, struct slot *slot, enum outcome *outcome)
{
    struct fletch_schema *schema;
    struct fletch_error error;
    enum fletch_answer answer = fletch_flight_stream_schema(slot->stream, 0, &schema, &error);
    slot->has_schema = answer == FLETCH_DONE;
    if (slot->has_schema)
        *outcome = get_sink_begin(loop->all->sink, slot->partition, schema);
    return answer;
}

/* What has come of one partition, but not so much that others would starve. */
static enum outcome take_turn(struct loop *loop, struct slot *slot)
{
    struct fletch_flight_data data;
    struct fletch_error error = {.status = FLETCH_OK};
    enum outcome outcome = OUTCOME_DONE;
    for (int i = 0; i < BATCHES_IN_TURN && outcome == OUTCOME_DONE; i++) {
        if (!slot->has_schema && begin_slot(loop, slot, &outcome) == FLETCH_EMPTY)
            return OUTCOME_DONE;
        if (outcome != OUTCOME_DONE)
            return outcome;
        enum fletch_answer answer = fletch_flight_stream_read(slot->stream, 0, &data, &error);
        if (answer == FLETCH_EMPTY)
            return OUTCOME_DONE;
        if (answer == FLETCH_CLOSED)
            return close_slot(loop, slot);
        outcome = write_data(loop, slot, &data);
    }
    return outcome;
}

/* SIGINT or SIGTERM: ends with their code. */
static enum outcome take_signal(const struct loop *loop)
{
    struct signalfd_siginfo about;
    if (loop->all->signal_fd < 0 ||
        read(loop->all->signal_fd, &about, sizeof about) != (ssize_t)sizeof about)
        return OUTCOME_DONE;
    return outcome_tell((enum outcome)(SIGNAL_EXIT + (int)about.ssi_signo), "%s",
                        strsignal((int)about.ssi_signo));
}

/* Until something may go on. */
static void sleep_until_moved(struct loop *loop)
{
    bool sleeps = true;
    uint32_t armed = 0;
    while (armed < loop->all->limit && sleeps) {
        const struct slot *slot = &loop->slots[armed];
        loop->descriptors[armed].events = slot->stream == NULL ? 0 : POLLIN;
        if (slot->stream == NULL)
            loop->descriptors[armed].fd = -1;
        else
            sleeps = fletch_flight_stream_arm(slot->stream);
        armed += sleeps;
    }
    if (sleeps)
        (void)poll(loop->descriptors, loop->all->limit + 1, -1); /* whatever it says, look again */
    for (uint32_t i = 0; i < armed; i++)
        if (loop->slots[i].stream != NULL)
            fletch_flight_stream_disarm(loop->slots[i].stream);
}

static enum outcome run_loop(struct loop *loop)
{
    const struct get_streams *all = loop->all;
    enum outcome outcome = OUTCOME_DONE;
    while (outcome == OUTCOME_DONE && (loop->open > 0 || loop->next < all->count)) {
        loop->has_moved = false;
        for (uint32_t i = 0; i < all->limit && outcome == OUTCOME_DONE; i++) {
            if (loop->slots[i].stream == NULL && loop->next < all->count)
                outcome = open_slot(loop, i);
            else if (loop->slots[i].stream != NULL)
                outcome = take_turn(loop, &loop->slots[i]);
        }
        if (outcome == OUTCOME_DONE)
            outcome = take_signal(loop);
        if (outcome == OUTCOME_DONE && !loop->has_moved)
            sleep_until_moved(loop);
    }
    return outcome;
}

enum outcome get_streams_run(struct get_streams *streams)
{
    struct loop loop = {.all = streams};
    if (streams->limit > streams->count)
        streams->limit = streams->count;
    loop.slots = calloc(streams->limit, sizeof *loop.slots);
    loop.descriptors = calloc((size_t)streams->limit + 1, sizeof *loop.descriptors);
    enum outcome outcome = OUTCOME_DONE;
    if (loop.slots == NULL || loop.descriptors == NULL) {
        outcome = outcome_tell(OUTCOME_SYSTEM, "no memory for %" PRIu32 " streams", streams->limit);
    } else {
        loop.descriptors[streams->limit] =
            (struct pollfd){.fd = streams->signal_fd, .events = POLLIN};
        outcome = run_loop(&loop);
        for (uint32_t i = 0; i < streams->limit; i++)
            fletch_flight_stream_close(loop.slots[i].stream);
    }
    free(loop.slots);
    free(loop.descriptors);
    return outcome;
}
