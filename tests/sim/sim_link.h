#ifndef FLETCH_TESTS_SIM_LINK_H
#define FLETCH_TESTS_SIM_LINK_H

/* Connections of the simulation, in the place of DoExchange: sim_link.c has the functions of
 * pump/pump_link.h over these. A message travels as the bytes that would be sent, with a copy of
 * its rows; it comes when its time has come, in order, or never, where the connection was cut. */

#include "base/random.h"
#include "pump/pump_link.h"

enum { SIM_PROCESSES_MAX = 4 };

struct sim_weather {
    uint64_t latency_most_ns;
    uint32_t room_most; /* messages that are on their way one way */
    uint64_t now_ns;
    struct fletch_random *random;
    uint64_t delivered; /* messages */
};

struct sim_message;

/* What one side sends. */
struct sim_way {
    struct sim_message *first;
    struct sim_message *last;
    uint32_t count;
    uint64_t due_ns;        /* of the last one */
    uint64_t held_until_ns; /* nothing arrives before */
    bool is_finished;       /* half-closed, or, by the server, ended with `status` */
    enum fletch_status status;
    char text[FLETCH_ENVELOPE_TEXT_MAX];
};

struct sim_wire;

/* What a link has for a stream. */
struct sim_stream {
    struct sim_wire *wire;
    uint32_t side; /* 0: who dialled */
    bool has_left;
    struct fletch_transport *transport;
    struct fletch_buffer_cache *cache;
    struct fletch_eventcount *sleeper; /* NULL: nobody listens */
};

struct sim_wire {
    struct sim_wire *next;
    struct sim_weather *weather;
    struct sim_stream streams[2];
    struct sim_way ways[2]; /* by who sends */
    uint32_t processes[2];
    bool is_cut;
};

struct sim_wire *sim_wire_create(struct sim_weather *weather);

/* What is on its way is lost, but for the first so many messages each way. */
void sim_wire_cut(struct sim_wire *wire, const uint32_t kept[2]);

/* Both have left it. */
bool sim_wire_is_left(const struct sim_wire *wire);
void sim_wire_destroy(struct sim_wire *wire);

/* The time of the next arrival, or FLETCH_NO_DEADLINE; tells sleepers whose time has come. */
uint64_t sim_wire_tell(struct sim_wire *wire);

static inline struct fletch_flight_stream *sim_stream_of(struct sim_wire *wire, uint32_t side)
{
    return (struct fletch_flight_stream *)(void *)&wire->streams[side];
}

#endif
