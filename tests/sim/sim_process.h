#ifndef FLETCH_TESTS_SIM_PROCESS_H
#define FLETCH_TESTS_SIM_PROCESS_H

/* A process of the simulation: a transport with a replica, and the sessions that take it to the
 * others, stepped as the thread of pumps does it (pump/pumps.c), but under virtual time and over
 * simulated connections. It sleeps as that does: when nothing moved, until its sleeper is told or a
 * deadline has come; so who does not tell it is found out. */

#include "pump/pump_session.h"
#include "shuffle/media.h"
#include "shuffle/transport.h"
#include "support/test_disk.h"

#include "sim/sim_link.h"

enum { SIM_VISITORS_MAX = 64 };

struct sim_net;

struct sim_visitor {
    struct fletch_pump_link link;
    uint64_t deadline_ns;
    bool has_hello;
    struct fletch_envelope hello;
    char name[FLETCH_ENVELOPE_NAME_MAX];
    char method[FLETCH_ENVELOPE_METHOD_MAX];
};

struct sim_process {
    struct sim_net *net;
    uint32_t number;
    struct fletch_transport *transport; /* NULL: it does not run */
    struct fletch_shuffle *shuffle;
    struct fletch_buffer_cache *cache;
    struct fletch_sleeper *sleeper;
    struct fletch_media media;
    struct fletch_session_rules rules;
    struct test_disk disk;
    struct fletch_pump_session *sessions;
    uint32_t sessions_made;
    struct sim_visitor *visitors[SIM_VISITORS_MAX];
    uint32_t visitor_count;
    bool is_asleep;
    uint32_t key; /* what the eventcount said when it fell asleep */
    uint64_t deadline_ns;
};

/* All processes, and how they are connected. */
struct sim_net {
    struct sim_process processes[SIM_PROCESSES_MAX];
    uint32_t process_count;
    struct sim_wire *wires;
    struct sim_weather weather;
    /* Who dials whom is refused, or not answered, until then. */
    uint64_t refused_until_ns[SIM_PROCESSES_MAX][SIM_PROCESSES_MAX];
    uint64_t grace_ns;
    uint64_t eager_bytes; /* a receiver's window for frames without an offer */
    uint64_t connections;
};

/* "grpc://0:1" and so on. */
extern const char *const sim_addresses[SIM_PROCESSES_MAX];

/* A transport and its medium; the replica is the caller's to register. */
void sim_process_start(struct sim_process *process, uint64_t budget_bytes,
                       struct fletch_time_source time);

/* As if it were killed: nobody is told. The caller has closed writers and readers, which tell
 * nobody either, since the connections are cut first by sim_process_cut_off. */
void sim_process_cut_off(struct sim_process *process);
bool sim_process_end(struct sim_process *process, struct fletch_error *error);

/* True: something was done. */
bool sim_process_step(struct sim_process *process);

/* What its sessions do, and what they wait for. */
void sim_process_print(const struct sim_process *process);

/* Wires that nobody has any more go; whoever has something to read is told. The next arrival. */
uint64_t sim_net_tell(struct sim_net *net);

#endif
