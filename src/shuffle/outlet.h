#ifndef FLETCH_SHUFFLE_OUTLET_H
#define FLETCH_SHUFFLE_OUTLET_H

/* Where a shuffle's replica lets out what local producers send to partitions of another process:
 * frames and control, for a medium that takes them there (src/pump).
 *
 * An outlet owns its partitions as a reader does: their mailboxes are on its ready list. It takes
 * frames as they are: not aligned, not summed, not moved to *delivered*. A frame stays charged to
 * the shuffle, and its credit taken, until the other side has accepted it; so whoever writes here
 * waits, or spills, as if the partition were read here. Control comes for the outlet as a whole,
 * once for each producer and not for each partition (shuffle/outlet_table.h).
 *
 * One thread at a time; it can be handed over. Nothing blocks. An outlet holds a reference to its
 * shuffle. */

#include <stdbool.h>
#include <stdint.h>

#include <fletching/shuffle.h>

#include "shuffle/control_record.h"
#include "shuffle/frame.h"
#include "shuffle/sleeper.h"

struct fletch_outlet;

/* For calls that are told of one partition or of all. */
#define FLETCH_ALL_PARTITIONS UINT32_MAX

/* One thing that a local producer says to the process of this outlet. */
struct fletch_outlet_control {
    uint32_t producer;
    uint32_t attempt;
    struct fletch_control_record record;
    bool is_taken;
    struct fletch_outlet_control *next; /* that came later and is not accepted either */
};

enum fletch_outlet_kind { FLETCH_OUTLET_NOTHING, FLETCH_OUTLET_FRAME, FLETCH_OUTLET_CONTROL };

struct fletch_outlet_item {
    enum fletch_outlet_kind kind;
    struct fletch_frame *frame;
    struct fletch_outlet_control *control;
};

/* Opens an outlet for partitions of the shuffle. `sleeper`: told when there may be a frame or
 * control to take, or the shuffle was cancelled, or a producer lost; a reference is taken.
 * Push: the medium opens one for each process that owns partitions when it is attached to the
 * shuffle, before there are writers. Pull: whenever the other side asks for partitions; what was
 * sent before is let out then, ends included. OUT_OF_RANGE: no such partition; ALREADY_EXISTS: one
 * has a reader or an outlet; UNAVAILABLE: one has failed, or was fetched in part by a process that
 * has gone; FAILED_PRECONDITION: "CONSUMED", or partitions of this process (push);
 * RESOURCE_EXHAUSTED: no memory; CANCELLED. */
enum fletch_status fletch_outlet_open(struct fletch_shuffle *shuffle, const uint32_t *partitions,
                                      uint32_t count, struct fletch_sleeper *sleeper,
                                      struct fletch_outlet **out_outlet,
                                      struct fletch_error *error);

/* The next thing that is there: frames, oldest first for each channel, and control, which comes
 * behind every frame that its producer has pushed before, and, a barrier, before every frame that
 * it has pushed behind it. So who sends control when the frames of its producer that came before it
 * have gone never waits for one that waits for that control.
 *
 * What was taken and is not accepted stays linked, for who has to send it again: the frames of a
 * channel from frame->channel->unaccepted.first on by fletch_frame_next, and control from
 * fletch_outlet_first_control on by `next`, as far as `is_taken`. The outlet's links: not to be
 * written. */
void fletch_outlet_take(struct fletch_outlet *outlet, struct fletch_outlet_item *out_item);
struct fletch_outlet_control *fletch_outlet_first_control(const struct fletch_outlet *outlet);

/* Whether a look could find something to take, or something to tell: a few loads. After the
 * sleeper's eventcount was prepared or armed. */
bool fletch_outlet_may_have_any(const struct fletch_outlet *outlet);

/* OK; CANCELLED: the shuffle was cancelled or closed; UNAVAILABLE: "PRODUCER_LOST", a producer was
 * lost, here or by what another process said (control that tells so is still to be taken);
 * RESOURCE_EXHAUSTED: there was no memory for something that had to be let out: the other side has
 * to be told that the producers of this process are lost. Final. */
enum fletch_status fletch_outlet_check(struct fletch_outlet *outlet, struct fletch_error *error);

/* The batch of a frame that was taken and is not accepted, a reference for the caller; one that was
 * spilled is read back, with `cache`, charged to *delivered*. May wait for the disk.
 * RESOURCE_EXHAUSTED: no room just now, try again later; DATA_LOSS: broken on disk: the producer is
 * to be aborted at the other side, and the partition failed here. */
enum fletch_status fletch_outlet_fetch(struct fletch_outlet *outlet,
                                       const struct fletch_frame *frame,
                                       struct fletch_buffer_cache *cache,
                                       struct fletch_batch **out_batch, struct fletch_error *error);

/* The other side has accepted the oldest frame of its channel that it had not: its credit, charge,
 * batch, place on disk and node go back. `cache`: the calling thread's, or NULL. */
void fletch_outlet_accepted(struct fletch_outlet *outlet, struct fletch_frame *frame,
                            struct fletch_buffer_cache *cache);

/* The other side has answered a control, the oldest of its producer that it had not: its writer is
 * woken with that, once all other processes have answered too. The control is gone. `text`: the
 * message of an answer that is not OK; copied. */
void fletch_outlet_control_accepted(struct fletch_outlet *outlet,
                                    struct fletch_outlet_control *control,
                                    enum fletch_status answer, const char *text);

/* The other side refuses for good: a partition, or all of this outlet. What is here for it is
 * dropped, frames that were taken included; writers are told `status` and `text` (copied), final
 * for them, and so is control that is not answered, where all partitions fail. UNAVAILABLE,
 * DATA_LOSS or any other; CANCELLED: the shuffle was cancelled there, and is so here then. */
void fletch_outlet_fail(struct fletch_outlet *outlet, uint32_t partition, enum fletch_status status,
                        const char *text);

/* Whether nothing is left to let out, and nothing will come: each producer of this process has
 * ended or was aborted, and all that they sent was accepted. Where the placement does not say which
 * producers are this process's: each that was ever opened, and at least one. */
bool fletch_outlet_is_done(const struct fletch_outlet *outlet);

/* Lets go of the partitions. Push: one that is not done fails first, as by fletch_outlet_fail with
 * UNAVAILABLE and "LOST". Pull: what was not accepted stays for the next outlet or reader, unless a
 * part of its partition was accepted: that fails. NULL allowed. */
void fletch_outlet_close(struct fletch_outlet *outlet);

#endif
