#ifndef FLETCH_TESTS_UNIT_PUMP_PUMP_PUPPETS_H
#define FLETCH_TESTS_UNIT_PUMP_PUMP_PUPPETS_H

/* A sender and a receiver of a pump without shuffles and sockets: producers that have written all
 * they have, partitions with little credit, and a wire that delays, loses, doubles and is cut, all
 * by a seed. Whoever receives checks what comes against what was written. */

#include "base/random.h"
#include "pump/pump_receiver.h"
#include "pump/pump_sender.h"
#include "support/counting_allocator.h"

enum { PUPPET_PRODUCERS = 4, PUPPET_PARTITIONS = 128, PUPPET_WIRE = 4096 };

/* What a producer has written: a frame, or a control. */
struct puppet_item {
    struct fletch_pump_item item;
    uint32_t done; /* times that the source was told so */
    enum fletch_status answer;
};

struct puppet_inlet {
    struct puppet_scene *scene;
    uint32_t producer;
    uint64_t controls; /* that were submitted */
    uint64_t answer_at; /* the step in which the last one is answered; 0: it was */
    bool is_aborted;
};

struct puppet_wire {
    uint8_t *messages[PUPPET_WIRE];
    size_t sizes[PUPPET_WIRE];
    uint32_t first, last;
};

/* What the seed may do, in chances of 1000 for each message or step. */
struct puppet_faults {
    uint32_t cut;
    uint32_t repeat; /* a message that arrives twice */
};

struct puppet_scene {
    struct counting_allocator counting;
    struct fletch_random random;
    struct puppet_faults faults;
    struct fletch_pump_sender sender;
    struct fletch_pump_receiver receiver;
    struct puppet_wire to_receiver, to_sender;
    /* The source. */
    struct puppet_item *items;
    uint32_t item_count, items_taken, items_failed;
    uint64_t step;
    /* The sink. */
    struct puppet_inlet inlets[PUPPET_PRODUCERS];
    uint64_t room[PUPPET_PARTITIONS]; /* bytes of credit */
    uint64_t reading;                 /* bytes that each partition's reader takes in a step */
    uint32_t stalled;                 /* a partition that nobody reads; UINT32_MAX: none */
    uint64_t held[PUPPET_PARTITIONS]; /* credit that is out */
    uint64_t queued[PUPPET_PARTITIONS];
    uint64_t pushed[PUPPET_PRODUCERS][PUPPET_PARTITIONS]; /* frames */
    uint64_t control_seen[PUPPET_PRODUCERS];
    uint32_t refused_partition; /* whose push is refused; UINT32_MAX: none */
    enum fletch_status opening; /* what opening an inlet answers */
    uint64_t drops;
    uint32_t batches; /* that are alive */
    uint32_t cuts;
};

/* Items of all producers in a random order: frames of up to `bytes`, controls between them, an end
 * for each. Ends with puppet_scene_end. */
struct puppet_scene *puppet_scene_start(uint64_t seed, uint32_t item_count, uint64_t bytes);
void puppet_scene_end(struct puppet_scene *scene);

/* One step of everything. False: the wire is idle and nobody had anything to do. */
bool puppet_scene_step(struct puppet_scene *scene);

/* Steps until both are done, at most `steps`; fails the test otherwise. */
void puppet_scene_run(struct puppet_scene *scene, uint64_t steps);

/* A message as the sender's, straight to the receiver. */
enum fletch_status puppet_tell_receiver(struct puppet_scene *scene,
                                        const struct fletch_envelope *envelope,
                                        struct fletch_error *error);

void puppet_scene_cut(struct puppet_scene *scene);

/* Everything that was written has arrived once, in order, and all credit has come back. */
void puppet_scene_check(struct puppet_scene *scene);

#endif
