#ifndef FLETCH_SHUFFLE_INLET_H
#define FLETCH_SHUFFLE_INLET_H

/* Where what a producer of another process sends comes into a shuffle's replica: what a writer is,
 * without a partition writer. It takes credit of the partitions, pushes frames to them, and submits
 * the producer's control to the coordinator; so readers cannot tell it from a local one.
 *
 * One thread at a time; it can be handed over. Nothing blocks. An inlet holds a reference to its
 * shuffle. */

#include <stdbool.h>
#include <stdint.h>

#include <fletching/answer.h>
#include <fletching/shuffle.h>

#include "shuffle/control_record.h"
#include "shuffle/frame.h"
#include "shuffle/sleeper.h"

struct fletch_inlet;

struct fletch_inlet_options {
    uint32_t producer;
    uint32_t attempt;
    /* Told when credit that was asked for may be there, or an answer of the coordinator, or a
     * partition has failed, or the shuffle was cancelled. A reference is taken. */
    struct fletch_sleeper *sleeper;
    /* Pull: the partitions that were asked for, for which its end is one; several inlets of one
     * producer may be open, for different partitions. Push: 0, all of this process. */
    const uint32_t *partitions;
    uint32_t partition_count;
};

/* OUT_OF_RANGE: no such producer or partition; ALREADY_EXISTS: a local writer or another inlet is
 * or was there, names the attempt; FAILED_PRECONDITION: the producer is one of this process;
 * RESOURCE_EXHAUSTED: no memory; CANCELLED. */
enum fletch_status fletch_inlet_open(struct fletch_shuffle *shuffle,
                                     const struct fletch_inlet_options *options,
                                     struct fletch_inlet **out_inlet, struct fletch_error *error);

/* The account to charge what is decoded for it. */
struct fletch_account *fletch_inlet_account(const struct fletch_inlet *inlet);

/* Credit for one frame, and its node. */
struct fletch_inlet_credit {
    enum fletch_credit_source source;
    uint64_t kept_bytes; /* that it counts */
    struct fletch_frame *frame;
};

struct fletch_inlet_ask {
    uint64_t bytes;   /* of the frame's uncompressed body */
    uint64_t barrier; /* the last one of its producer before it; 0: none */
    bool asks;        /* or only looks */
};

/* Credit for the next frame of a channel. DONE: the caller has it, until it pushes or gives back.
 * EMPTY: there is none just now; if `asks`, it was asked for, the sleeper is told when to look
 * again with the same numbers. FULL: there was no memory; look again later, nobody will tell.
 * CLOSED: the partition takes no more: see fletch_inlet_check. One may be asked for, for each
 * channel, at a time. */
enum fletch_answer fletch_inlet_reserve(struct fletch_inlet *inlet, uint32_t partition,
                                        struct fletch_inlet_ask ask,
                                        struct fletch_inlet_credit *out_credit);

/* Takes back what was asked for a channel and is not there yet. */
void fletch_inlet_forget(struct fletch_inlet *inlet, uint32_t partition);

void fletch_inlet_give_back(struct fletch_inlet *inlet, uint32_t partition,
                            struct fletch_inlet_credit *credit);

struct fletch_inlet_frame {
    uint32_t partition;
    uint64_t sequence; /* of the channel: 1 more than the last one that was pushed */
    uint64_t barrier;
    uint64_t rows; /* as its producer has counted and summed */
    uint64_t bytes;
    uint64_t key_sum;
    uint64_t row_sum;
    struct fletch_batch *batch;
    struct fletch_inlet_credit *credit;
};

/* Gives a frame to its partition: takes the reference to the batch, which is of the shuffle's
 * schema, and the credit, whatever the answer. DONE: it is accepted. CLOSED: it was dropped, since
 * the partition takes no more; see fletch_inlet_check. */
enum fletch_answer fletch_inlet_push(struct fletch_inlet *inlet,
                                     const struct fletch_inlet_frame *frame);

/* The sequence of the last frame of a channel that was accepted; 0: none. */
uint64_t fletch_inlet_mark(const struct fletch_inlet *inlet, uint32_t partition);

/* OK, or what a local writer would be told of the partition: CANCELLED; UNAVAILABLE
 * ("PRODUCER_LOST"), DATA_LOSS. */
enum fletch_status fletch_inlet_check(const struct fletch_inlet *inlet, uint32_t partition,
                                      struct fletch_error *error);

/* Submits control, of which none may be waiting for its answer; the record is the caller's again.
 * INVALID_ARGUMENT: it cannot be of such a producer, names why (not the next sequence, a partition
 * of another process, a kind that the placement rules out); then the other side is broken, and the
 * producer to be aborted. An end whose totals are not what was pushed aborts the producer, and is
 * answered DATA_LOSS. */
enum fletch_status fletch_inlet_control(struct fletch_inlet *inlet,
                                        const struct fletch_control_record *record,
                                        struct fletch_error *error);

/* True: the control that was submitted last has its answer, which is written: what the producer's
 * writer is to be told. Else false: the sleeper is told when to look again. */
bool fletch_inlet_control_poll(struct fletch_inlet *inlet, enum fletch_status *out_status,
                               struct fletch_error *error);

/* Whether control was submitted whose answer was not taken yet; the sequence of the last one that
 * was answered. */
bool fletch_inlet_control_waits(const struct fletch_inlet *inlet);
uint64_t fletch_inlet_control_mark(const struct fletch_inlet *inlet);

/* The producer is lost: readers are told PRODUCER_LOST behind what was pushed. One that has ended
 * cannot be lost any more. Idempotent. */
void fletch_inlet_abort(struct fletch_inlet *inlet, const char *reason);

/* Aborts a producer that has not ended: "its connection was closed without end". What was reserved
 * must have been pushed or given back. NULL allowed. */
void fletch_inlet_close(struct fletch_inlet *inlet);

#endif
