#ifndef FLETCH_TESTS_UNIT_PUMP_PUMP_PLACES_H
#define FLETCH_TESTS_UNIT_PUMP_PUMP_PLACES_H

/* A process of a shuffle, as far as this library sees one: a transport with pumps, a Flight server
 * that gives them its exchanges, and a replica. Several in one process are as good as several
 * processes, but for their ends. */

#include <fletching/fletching.h>

#include "pump/pumps.h"
#include "support/shuffles.h"

enum { PLACES_MOST = 4 };

struct place {
    struct test_shuffle test; /* transport, schema, shuffle, cache */
    struct fletch_pumps *pumps;
    struct fletch_flight_server *server;
};

struct place_words {
    uint32_t places;     /* that have servers and own partitions */
    uint32_t partitions; /* of all; p belongs to place p mod places */
    uint32_t producers;
    uint32_t producer_limit;
    const uint32_t *owners; /* NULL: by turns */
    const uint32_t *homes;
    enum fletch_placement_mode mode;
    enum fletch_sum_level sums;
    uint64_t budget_bytes;
    size_t frame_bytes;
    uint64_t grace_ns;
    uint64_t connect_ns;
    uint64_t backoff_most_ns;
    enum fletch_flight_run_mode run_mode;
    const char *spill_directory;
    uint64_t spill_after_ns;
    enum fletch_ipc_compression compression;
    const struct fletch_allocator *allocator; /* of the transport; NULL: the default one */
};

/* A transport with pumps, and no server. On failure it is to be ended all the same. */
enum fletch_status place_try_start(struct place *place, const struct place_words *words,
                                   struct fletch_error *error);

/* The same with a server at a free port. */
void place_start(struct place *place, const struct place_words *words);

/* Its replica: `self` is its number among `places`, or FLETCH_NO_PROCESS. `addresses`: of all who
 * own partitions; NULL: those of the servers. */
enum fletch_status place_try_register(struct place *place, const struct place_words *words,
                                      uint32_t self, const char *const *addresses,
                                      struct fletch_error *error);

/* All of them, registered. */
void places_start(struct place *places, const struct place_words *words);

/* Closes the replica, and gives everything back. */
void place_end(struct place *place);

#endif
