#ifndef FLETCH_TESTS_SUPPORT_RINGS_H
#define FLETCH_TESTS_SUPPORT_RINGS_H

#include "sync/broadcast_ring.h"
#include "sync/fan_in.h"
#include "sync/mpsc_queue.h"
#include "sync/spsc_ring.h"

/* Rings as tests want them, in few words. What fails here ends the program with the message. */

struct fletch_spsc_ring_options spsc_options(enum fletch_ring_form form, size_t element_bytes,
                                             size_t capacity);
struct fletch_mpsc_queue_options mpsc_options(size_t element_bytes, size_t capacity);
struct fletch_broadcast_ring_options broadcast_options(size_t element_bytes, size_t capacity,
                                                       size_t consumers_max);

struct fletch_fan_in_options fan_in_options(size_t element_bytes, size_t capacity,
                                            size_t lane_count);

struct fletch_spsc_ring *spsc_new(const struct fletch_spsc_ring_options *options);
struct fletch_mpsc_queue *mpsc_new(const struct fletch_mpsc_queue_options *options);
struct fletch_fan_in *fan_in_new(const struct fletch_fan_in_options *options);
struct fletch_fan_in_lane *fan_in_register(struct fletch_fan_in *fan_in);
struct fletch_broadcast_ring *broadcast_new(const struct fletch_broadcast_ring_options *options);

/* Joins behind the `count` consumers of `behind`. */
struct fletch_broadcast_consumer *broadcast_join(struct fletch_broadcast_ring *ring, bool leads,
                                                 struct fletch_broadcast_consumer *const *behind,
                                                 size_t count);

struct fletch_ring_statistics spsc_statistics(const struct fletch_spsc_ring *ring);
struct fletch_ring_statistics mpsc_statistics(const struct fletch_mpsc_queue *queue);
struct fletch_ring_statistics fan_in_statistics(const struct fletch_fan_in *fan_in);
struct fletch_broadcast_statistics broadcast_statistics(const struct fletch_broadcast_ring *ring);

/* The most that a ring of this capacity may hold. */
size_t ring_most(size_t capacity);

/* "park", "spin", … */
const char *strategy_name(enum fletch_wait_strategy strategy);

/* Both forms, for tables. */
enum { RING_FORMS = 2 };
extern const enum fletch_ring_form ring_forms[RING_FORMS];
enum { WAIT_STRATEGIES = 5 };
extern const enum fletch_wait_strategy wait_strategies[WAIT_STRATEGIES];

#endif
