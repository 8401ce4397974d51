#ifndef FLETCHING_FAN_IN_H
#define FLETCHING_FAN_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/answer.h>
#include <fletching/export.h>
#include <fletching/ring.h>
#include <fletching/spsc_ring.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** Many producers that register, each with a bounded ring of its own, the lane, and one consumer.
 *  FIFO for each producer, no order between them. Both ends are wait-free, and no producer can hold
 *  up another one or the consumer, wherever it stalls or dies.
 *
 *  Fairness: of a lane with more in it, the consumer takes `run_limit` elements, then turns to the
 *  other lanes. Before the oldest element of a lane, at most 2 * run_limit elements of each other
 *  lane are taken from its push on (holding a lane apart).
 *
 *  Threads: each lane, and the consumer's end, belong to one thread at a time; they can be handed
 *  over, never shared. "Producer" and "consumer" below name the end that a call belongs to. */
struct fletch_fan_in;

/** The end of one producer, from its registration until its closing. */
struct fletch_fan_in_lane;

#define FLETCH_FAN_IN_LANES_MAX 4096
#define FLETCH_FAN_IN_LANES_DEFAULT 64
#define FLETCH_FAN_IN_RUN_LIMIT_DEFAULT 256

/** Zero means default in every field but the two marked. */
struct fletch_fan_in_options {
    size_t struct_size;
    /** Required: bytes of one element, FLETCH_ELEMENT_BYTES_MIN to FLETCH_ELEMENT_BYTES_MAX. */
    size_t element_bytes;
    /** Required: elements that always fit into a lane, 1 to FLETCH_CAPACITY_MAX. */
    size_t capacity;
    /** Producers that can be registered at once, at most FLETCH_FAN_IN_LANES_MAX. The memory of all
     *  their lanes is taken at the start. */
    size_t lane_count;
    /** Elements that are taken of a lane in a row, at most UINT32_MAX: above. */
    size_t run_limit;
    /** Of each lane: FLETCH_RING_CURSOR where elements come in batches. */
    enum fletch_ring_form form;
    enum fletch_wait_strategy wait_strategy;
    /** 0: FLETCH_SPIN_BUDGET_NS_DEFAULT; FLETCH_OFF: no spinning. Only for FLETCH_WAIT_ADAPTIVE. */
    uint64_t spin_budget_ns;
};

/** Bytes and alignment of the memory that a fan-in with these options takes: as
 *  fletch_spsc_ring_bytes. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_fan_in_bytes(const struct fletch_fan_in_options *options, size_t *out_bytes,
                    struct fletch_error *error);
FLETCH_EXPORT size_t fletch_fan_in_alignment(void);

/** As fletch_spsc_ring_init, _deinit, _create and _destroy, but for the threads of one process, and
 *  at one address. What is left is dropped lane by lane, the oldest element of each first. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_fan_in_init(void *memory, size_t memory_bytes, const struct fletch_fan_in_options *options,
                   struct fletch_fan_in **out_fan_in, struct fletch_error *error);
FLETCH_EXPORT void fletch_fan_in_deinit(struct fletch_fan_in *fan_in, fletch_drop_function *drop,
                                        void *drop_context);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_fan_in_create(const struct fletch_fan_in_options *options,
                     const struct fletch_allocator *allocator, struct fletch_fan_in **out_fan_in,
                     struct fletch_error *error);
FLETCH_EXPORT void fletch_fan_in_destroy(struct fletch_fan_in *fan_in, fletch_drop_function *drop,
                                         void *drop_context);

/** Registers a producer: a lane for it. DONE; FULL: all lanes are taken, or closed and not drained
 *  yet; CLOSED: closed to new ones, or cancelled. The caller owns the lane until
 *  fletch_fan_in_lane_close. Any thread; lock-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_register(struct fletch_fan_in *fan_in, struct fletch_fan_in_lane **out_lane);

/** No producer registers any more; those that have go on. Once all of them have closed their lanes
 *  and these are drained the consumer gets CLOSED. Idempotent. Any thread; wait-free; wakes the
 *  consumer. */
FLETCH_EXPORT void fletch_fan_in_close(struct fletch_fan_in *fan_in);

/** Producers that are registered, or have closed a lane that is not drained yet. Any thread. */
FLETCH_EXPORT size_t fletch_fan_in_registered(const struct fletch_fan_in *fan_in);

/** Producer: as fletch_spsc_ring_try_push, _push, _try_push_many, _push_many, _try_claim, _claim
 *  and _commit. CLOSED: the consumer has cancelled. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_lane_try_push(struct fletch_fan_in_lane *lane, const void *element);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_lane_push(struct fletch_fan_in_lane *lane, const void *element, uint64_t timeout_ns);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_lane_try_push_many(struct fletch_fan_in_lane *lane, const void *elements,
                                 size_t count, size_t *out_pushed);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_lane_push_many(struct fletch_fan_in_lane *lane, const void *elements, size_t count,
                             uint64_t timeout_ns, size_t *out_pushed);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_lane_try_claim(struct fletch_fan_in_lane *lane, size_t max_count,
                             struct fletch_ring_spans *out_spans);
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_lane_claim(struct fletch_fan_in_lane *lane, size_t max_count, uint64_t timeout_ns,
                         struct fletch_ring_spans *out_spans);
FLETCH_EXPORT void fletch_fan_in_lane_commit(struct fletch_fan_in_lane *lane, size_t count);

/** Producer: leaves; the consumer still gets what was pushed. The lane becomes another producer's
 *  once it is drained: whoever called this must not use it any more. Who takes over the lane of a
 *  dead producer may call it too, after a commit of 0 if a claim was open. Wait-free; wakes the
 *  consumer. */
FLETCH_EXPORT void fletch_fan_in_lane_close(struct fletch_fan_in_lane *lane);

/** The lane's number, from 0 to lane_count - 1: for fletch_fan_in_source and _hold. */
FLETCH_EXPORT uint32_t fletch_fan_in_lane_number(const struct fletch_fan_in_lane *lane);

/** Consumer: copies an element out, the oldest of its lane. DONE, EMPTY (each lane was found empty
 *  during the call, or is held) or CLOSED. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_try_pop(struct fletch_fan_in *fan_in, void *out_element);

/** Consumer: the same, waiting for an element up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_pop(struct fletch_fan_in *fan_in, void *out_element, uint64_t timeout_ns);

/** Consumer: copies up to `max_count` elements out, contiguous: a run of one lane, then one of the
 *  next, as long as there is something. DONE if at least one. `*out_popped` is written whatever the
 *  answer. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_try_pop_many(struct fletch_fan_in *fan_in, void *out_elements, size_t max_count,
                           size_t *out_popped);

/** Consumer: the same, waiting for the first element up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_pop_many(struct fletch_fan_in *fan_in, void *out_elements, size_t max_count,
                       uint64_t timeout_ns, size_t *out_popped);

/** Consumer: up to `max_count`, at least 1, and up to run_limit of the oldest elements of one lane,
 *  to be read in place: as fletch_spsc_ring_try_peek. Until the release a second peek shows the
 *  same lane. Wait-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_try_peek(struct fletch_fan_in *fan_in, size_t max_count,
                       struct fletch_ring_spans *out_spans);

/** Consumer: the same, waiting for the first element up to `timeout_ns`. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_answer
fletch_fan_in_peek(struct fletch_fan_in *fan_in, size_t max_count, uint64_t timeout_ns,
                   struct fletch_ring_spans *out_spans);

/** Consumer: removes `count` elements, at most what the last peek showed. Wait-free. */
FLETCH_EXPORT void fletch_fan_in_release(struct fletch_fan_in *fan_in, size_t count);

/** Consumer: the number of the lane that the last element popped or peeked at came from. */
FLETCH_EXPORT uint32_t fletch_fan_in_source(const struct fletch_fan_in *fan_in);

/** Consumer: takes nothing from a lane until it is resumed, as for the alignment of a barrier. Its
 *  producer goes on until the lane is full; if it closes, the lane stays its own until it is
 *  resumed and drained. Elements peeked at can still be released. Both are idempotent; the time is
 *  that of a look at each lane. */
FLETCH_EXPORT void fletch_fan_in_hold(struct fletch_fan_in *fan_in, uint32_t lane_number);
FLETCH_EXPORT void fletch_fan_in_resume(struct fletch_fan_in *fan_in, uint32_t lane_number);

/** Consumer: wants no more elements. From then on a push and a registration answer CLOSED (one that
 *  is under way may still succeed). Pops go on as before, so that what is there can be drained.
 *  Idempotent; wakes the producers. */
FLETCH_EXPORT void fletch_fan_in_cancel(struct fletch_fan_in *fan_in);

/** The consumer's descriptor for an epoll loop, one for all lanes: as fletch_spsc_ring_open_fd,
 *  _arm and _disarm. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_fan_in_open_fd(struct fletch_fan_in *fan_in, int *out_fd, struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK bool fletch_fan_in_arm(struct fletch_fan_in *fan_in,
                                                       uint32_t *out_key);
FLETCH_EXPORT void fletch_fan_in_disarm(struct fletch_fan_in *fan_in, uint32_t key);

/** The producer's, which waits for room in its lane: likewise. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_fan_in_lane_open_fd(struct fletch_fan_in_lane *lane, int *out_fd,
                           struct fletch_error *error);
FLETCH_EXPORT FLETCH_MUST_CHECK bool fletch_fan_in_lane_arm(struct fletch_fan_in_lane *lane,
                                                            uint32_t *out_key);
FLETCH_EXPORT void fletch_fan_in_lane_disarm(struct fletch_fan_in_lane *lane, uint32_t key);

/** Writes the first `out_statistics->struct_size` bytes of them: of all lanes together, and of one,
 *  which counts for all producers that it has had; `empty` of one counts the consumer's looks. Any
 *  thread; wait-free. */
FLETCH_EXPORT void fletch_fan_in_statistics(const struct fletch_fan_in *fan_in,
                                            struct fletch_ring_statistics *out_statistics);
FLETCH_EXPORT void fletch_fan_in_lane_statistics(const struct fletch_fan_in_lane *lane,
                                                 struct fletch_ring_statistics *out_statistics);

FLETCH_END_DECLS

#endif
