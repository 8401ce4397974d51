#include "sim/sim_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arrow/batch_compact.h"
#include "base/clock.h"
#include "base/status.h"
#include "memory/batch.h"
#include "shuffle/transport.h"
#include "sync/eventcount.h"

struct sim_message {
    struct sim_message *next;
    uint64_t due_ns;
    struct fletch_batch *batch; /* of the sender's pool; NULL: none */
    size_t byte_count;
    uint8_t bytes[];
};

/* ---- wires ---- */

static struct sim_stream *stream_of(const struct fletch_pump_link *link)
{
    return (struct sim_stream *)(void *)link->stream;
}

static struct sim_way *way_out(const struct fletch_pump_link *link)
{
    return &stream_of(link)->wire->ways[stream_of(link)->side];
}

static struct sim_way *way_in(const struct fletch_pump_link *link)
{
    return &stream_of(link)->wire->ways[1 - stream_of(link)->side];
}

static void message_dropped(struct sim_wire *wire, uint32_t side)
{
    struct sim_way *way = &wire->ways[side];
    struct sim_message *message = way->first;
    way->first = message->next;
    way->count--;
    if (message->batch != NULL)
        fletch_batch_release(wire->streams[side].cache, message->batch);
    free(message);
}

static void told(struct sim_stream *stream)
{
    if (stream->sleeper != NULL && !stream->has_left)
        fletch_eventcount_notify(stream->sleeper, UINT32_MAX);
}

struct sim_wire *sim_wire_create(struct sim_weather *weather)
{
    struct sim_wire *wire = calloc(1, sizeof *wire);
    if (wire == NULL)
        abort();
    wire->weather = weather;
    for (uint32_t side = 0; side < 2; side++)
        wire->streams[side] = (struct sim_stream){.wire = wire, .side = side};
    return wire;
}

void sim_wire_cut(struct sim_wire *wire, const uint32_t kept[2])
{
    for (uint32_t side = 0; side < 2; side++) {
        struct sim_way kept_way = {.first = NULL};
        struct sim_way *way = &wire->ways[side];
        for (uint32_t i = 0; i < kept[side] && way->first != NULL; i++) {
            struct sim_message *message = way->first;
            way->first = message->next;
            way->count--;
            message->next = NULL;
            *(kept_way.first == NULL ? &kept_way.first : &kept_way.last->next) = message;
            kept_way.last = message;
            kept_way.count++;
        }
        while (way->first != NULL)
            message_dropped(wire, side);
        way->first = kept_way.first;
        way->last = kept_way.last;
        way->count = kept_way.count;
    }
    wire->is_cut = true;
    for (uint32_t side = 0; side < 2; side++)
        told(&wire->streams[side]);
}

bool sim_wire_is_left(const struct sim_wire *wire)
{
    return wire->streams[0].has_left && wire->streams[1].has_left;
}

void sim_wire_destroy(struct sim_wire *wire)
{
    static const uint32_t nothing[2];
    sim_wire_cut(wire, nothing);
    free(wire);
}

uint64_t sim_wire_tell(struct sim_wire *wire)
{
    uint64_t next_ns = FLETCH_NO_DEADLINE;
    for (uint32_t side = 0; side < 2; side++) {
        const struct sim_way *way = &wire->ways[side];
        uint64_t due_ns = way->first == NULL ? way->due_ns : way->first->due_ns;
        if (due_ns < way->held_until_ns)
            due_ns = way->held_until_ns;
        if (way->first == NULL && !way->is_finished)
            continue;
        if (due_ns <= wire->weather->now_ns)
            told(&wire->streams[1 - side]);
        else if (due_ns < next_ns)
            next_ns = due_ns;
    }
    return next_ns;
}

/* ---- links ---- */

void fletch_pump_link_listen(struct fletch_pump_link *link, struct fletch_eventcount *sleeper)
{
    stream_of(link)->sleeper = sleeper;
}

static bool has_arrived(const struct sim_wire *wire, const struct sim_way *way, uint64_t due_ns)
{
    return due_ns <= wire->weather->now_ns && way->held_until_ns <= wire->weather->now_ns;
}

/* What comes when all messages have. */
static enum fletch_answer end_read(const struct fletch_pump_link *link, struct fletch_error *error)
{
    const struct sim_stream *stream = stream_of(link);
    const struct sim_way *way = way_in(link);
    if (way->is_finished && has_arrived(stream->wire, way, way->due_ns)) {
        if (way->status == FLETCH_OK)
            *error = (struct fletch_error){.status = FLETCH_OK};
        else
            (void)fletch_error_set(error, way->status, "%s", way->text);
        return FLETCH_CLOSED;
    }
    if (!stream->wire->is_cut)
        return FLETCH_EMPTY;
    (void)fletch_error_set(error, FLETCH_UNAVAILABLE, "the connection was cut");
    return FLETCH_CLOSED;
}

enum fletch_answer fletch_pump_link_read(struct fletch_pump_link *link,
                                         struct fletch_envelope *out_envelope,
                                         struct fletch_batch **out_batch,
                                         struct fletch_error *error)
{
    /* Texts of an envelope lie there until the next one is read. */
    static uint8_t bytes[FLETCH_ENVELOPE_BYTES_MAX];
    struct sim_stream *stream = stream_of(link);
    struct sim_wire *wire = stream->wire;
    struct sim_way *way = way_in(link);
    const struct fletch_batch_place place = {stream->cache,
                                             fletch_transport_account(stream->transport), error};
    struct sim_message *message = way->first;
    if (message == NULL)
        return end_read(link, error);
    if (!has_arrived(wire, way, message->due_ns))
        return FLETCH_EMPTY;
    *out_batch = NULL;
    memcpy(bytes, message->bytes, message->byte_count);
    enum fletch_status status =
        fletch_envelope_decode(bytes, message->byte_count, out_envelope, error);
    if (status == FLETCH_OK && message->batch != NULL)
        status = fletch_batch_compact(&place, message->batch, out_batch);
    message_dropped(wire, 1 - stream->side);
    wire->weather->delivered++;
    told(&wire->streams[1 - stream->side]);
    return status == FLETCH_OK ? FLETCH_DONE : FLETCH_CLOSED;
}

enum fletch_answer fletch_pump_link_room(const struct fletch_pump_link *link)
{
    const struct sim_wire *wire = stream_of(link)->wire;
    const struct sim_way *way = way_out(link);
    if (wire->is_cut || way->is_finished || (link->is_server ? false : way_in(link)->is_finished))
        return FLETCH_CLOSED;
    return way->count < wire->weather->room_most ? FLETCH_DONE : FLETCH_FULL;
}

static uint64_t due_drawn(struct sim_wire *wire, struct sim_way *way)
{
    struct sim_weather *weather = wire->weather;
    uint64_t due_ns = weather->now_ns;
    if (weather->latency_most_ns != 0)
        due_ns += fletch_random_below(weather->random, (uint32_t)weather->latency_most_ns);
    if (due_ns > way->due_ns)
        way->due_ns = due_ns;
    return way->due_ns;
}

enum fletch_status fletch_pump_link_write(struct fletch_pump_link *link,
                                          const struct fletch_envelope *envelope,
                                          struct fletch_batch *batch, struct fletch_error *error)
{
    uint8_t bytes[FLETCH_ENVELOPE_BYTES_MAX];
    struct sim_stream *stream = stream_of(link);
    struct sim_way *way = way_out(link);
    const struct fletch_batch_place place = {stream->cache, NULL, error};
    if (stream->wire->is_cut || way->is_finished)
        return fletch_error_set(error, FLETCH_UNAVAILABLE, "the connection was cut");
    size_t byte_count = fletch_envelope_encode(envelope, bytes);
    struct sim_message *message = malloc(sizeof *message + byte_count);
    if (message == NULL)
        abort();
    *message =
        (struct sim_message){.due_ns = due_drawn(stream->wire, way), .byte_count = byte_count};
    memcpy(message->bytes, bytes, byte_count);
    if (batch != NULL && fletch_batch_compact(&place, batch, &message->batch) != FLETCH_OK)
        abort();
    *(way->first == NULL ? &way->first : &way->last->next) = message;
    way->last = message;
    way->count++;
    return FLETCH_OK;
}

void fletch_pump_link_finish(struct fletch_pump_link *link, enum fletch_status status,
                             const char *text)
{
    if (link->stream == NULL)
        return;
    struct sim_way *way = way_out(link);
    way->is_finished = true;
    way->status = link->is_server ? status : FLETCH_OK;
    (void)snprintf(way->text, sizeof way->text, "%s", text);
    (void)due_drawn(stream_of(link)->wire, way);
}

bool fletch_pump_link_is_over(struct fletch_pump_link *link)
{
    const struct sim_wire *wire = stream_of(link)->wire;
    const struct sim_way *way = way_in(link);
    return wire->is_cut || (way->is_finished && has_arrived(wire, way, way->due_ns));
}

void fletch_pump_link_drop(struct fletch_pump_link *link, struct fletch_buffer_cache *cache)
{
    static const uint32_t nothing[2];
    (void)cache;
    if (link->stream == NULL)
        return;
    struct sim_stream *stream = stream_of(link);
    struct sim_wire *wire = stream->wire;
    const struct sim_way *ended = &wire->ways[1]; /* by the server */
    if (!ended->is_finished)
        sim_wire_cut(wire, nothing);
    stream->has_left = true;
    link->stream = NULL;
    link->has_begun = link->has_checked = false;
}
