#ifndef FLETCH_SHUFFLE_SHUFFLE_WRITER_H
#define FLETCH_SHUFFLE_SHUFFLE_WRITER_H

/* One producer's end of a shuffle, as its files share it:
 *   shuffle_writer.c   opening, closing, the public calls that take rows
 *   writer_send.c      frames: from the partition writer to channels, credit, inboxes
 *   writer_wait.c      how a call waits, and when it is told that nothing can move
 *   writer_spill.c     frames that go to disk for want of credit
 *   writer_put.c       batches that go as they are
 *   writer_linger.c    rows that have waited long enough
 *   writer_control.c   barriers, watermarks, ends, aborts
 * Belongs to one thread at a time; others come only to its seat and its channels. */

#include <fletching/partition_writer.h>
#include <fletching/shuffle_writer.h>

#include <stdbool.h>
#include <stdint.h>

#include "shuffle/shuffle.h"
#include "shuffle/shuffle_seat.h"

/* A batch that is put is split where it has more. */
#define FLETCH_PUT_BYTES_MAX (UINT64_C(64) << 20)

enum fletch_writer_state { FLETCH_WRITER_OPEN, FLETCH_WRITER_ENDED, FLETCH_WRITER_ABORTED };

/* What a waiting call has seen, to tell that nothing can move. */
struct fletch_stall_watch {
    uint64_t looked_ns;
    uint64_t moves;
    bool was_still; /* at that look nobody could move */
};

struct fletch_shuffle_writer {
    struct fletch_shuffle *shuffle; /* a reference */
    struct fletch_shuffle_seat *seat;
    struct fletch_buffer_cache *cache;
    bool owns_cache;
    uint32_t producer;
    enum fletch_writer_state state;
    struct fletch_epoch_reader *epoch_reader;
    struct fletch_partitioner *partitioner; /* the partition writer's; used for its hashes */
    struct fletch_partition_writer *partition_writer;
    struct fletch_channel **channels;      /* by partition; NULL: nothing was sent there */
    struct fletch_partition_frame in_hand; /* came out of the partition writer, found no memory */
    uint64_t barrier;                      /* the last one that was sent */
    /* Channels whose frames wait, in the order in which they began to. */
    struct fletch_channel *first_waiting;
    struct fletch_channel *last_waiting;
    bool is_holding; /* counted among those that do */
    bool has_asked;  /* requests of credit are out */
    bool is_armed;
    struct fletch_stall_watch stall;
    struct fletch_spill_segment *segment; /* where it spills; NULL: nowhere */
    bool has_moved;                       /* since moved_ns was set */
    uint64_t moved_ns;                    /* when a frame went last, or the first one had to wait */
    /* Linger: when the oldest row that has not gone was written, at the latest; 0: there is none.
     * For each partition, since when its rows may have lain there. */
    uint64_t oldest_ns;
    uint64_t empty_until_ns;
    uint64_t now_ns; /* of the last call that wrote */
    uint64_t *lying_since_ns;
    uint32_t armed_key;
    /* What came in: compared at the end with what went out. */
    struct fletch_channel_totals taken;
};

/* ---- writer_send.c ---- */

/* Sends what may go now: frames that wait, the rest of a batch that there was no memory for,
 * finished frames. OK also where frames still wait (first_waiting). RESOURCE_EXHAUSTED: no memory
 * for all; CANCELLED. */
enum fletch_status fletch_writer_advance(struct fletch_shuffle_writer *writer,
                                         struct fletch_error *error);

/* The channel to a partition, made where it is not. NULL: no memory. */
struct fletch_channel *fletch_writer_channel(struct fletch_shuffle_writer *writer,
                                             uint32_t partition);

/* Sends a frame, or lets it wait behind those of its channel. */
void fletch_writer_send(struct fletch_shuffle_writer *writer, struct fletch_frame *frame);

/* Asks for credit for the oldest frame of each channel that waits, uses what was granted; takes all
 * requests back, and uses what was granted meanwhile. */
void fletch_writer_ask(struct fletch_shuffle_writer *writer);
void fletch_writer_give_up(struct fletch_shuffle_writer *writer);

/* Sends the oldest frame of a channel that waits, by this credit. */
void fletch_writer_push_oldest(struct fletch_shuffle_writer *writer, struct fletch_channel *channel,
                               enum fletch_credit_source source);

/* Removes channels of which no frame waits any more from the list of those that do. */
void fletch_writer_forget_idle_channels(struct fletch_shuffle_writer *writer);

/* Whether a request was granted that was not used yet. */
bool fletch_writer_has_grant(const struct fletch_shuffle_writer *writer);

/* Tells the others whether this writer has data that it cannot get rid of: frames that wait, or
 * `status`, what advancing said, that there was no memory. */
void fletch_writer_note_holding(struct fletch_shuffle_writer *writer, enum fletch_status status);

/* Drops every frame that has not gone, and its credit. */
void fletch_writer_drop(struct fletch_shuffle_writer *writer);

/* ---- writer_wait.c ---- */

/* Advances, and waits until nothing is left to send, up to `deadline_ns` of the transport's clock.
 * RESOURCE_EXHAUSTED: it passed, or nothing can move; CANCELLED. */
enum fletch_status fletch_writer_settle(struct fletch_shuffle_writer *writer, uint64_t deadline_ns,
                                        struct fletch_error *error);

/* The time at which a call that began at `now_ns` ends. */
uint64_t fletch_writer_deadline(uint64_t now_ns, uint64_t timeout_ns);

/* Looks whether anybody can move, each `spill_after`. True: nobody can, now and at the look before,
 * and nothing moved in between. */
bool fletch_writer_is_stalled(struct fletch_shuffle_writer *writer, uint64_t now_ns);

/* Sends everything that was written, as fletch_writer_settle. */
enum fletch_status fletch_writer_flush_all(struct fletch_shuffle_writer *writer,
                                           uint64_t deadline_ns, struct fletch_error *error);

/* The answer where frames wait and will not: who holds the budget. */
enum fletch_status fletch_writer_refuse(struct fletch_shuffle_writer *writer, const char *why,
                                        struct fletch_error *error);

/* OK, CANCELLED, or FAILED_PRECONDITION: it has ended. */
enum fletch_status fletch_writer_check(const struct fletch_shuffle_writer *writer,
                                       struct fletch_error *error);

/* ---- writer_spill.c ---- */

/* Makes the segment, if the shuffle has a directory for it. Errors as
 * fletch_spill_segment_create. */
enum fletch_status fletch_writer_open_segment(struct fletch_shuffle_writer *writer,
                                              struct fletch_error *error);

/* Whether the disk takes frames. */
bool fletch_writer_can_spill(const struct fletch_shuffle_writer *writer);

/* Spills the frames that wait for a partition without a reader, and all of them where nothing has
 * gone for `spill_after`. Whether anything went that way. May wait for the disk. */
bool fletch_writer_spill(struct fletch_shuffle_writer *writer, uint64_t now_ns);

/* ---- writer_linger.c ---- */

/* Rows were written at `now_ns`. */
void fletch_writer_linger_begin(struct fletch_shuffle_writer *writer, uint64_t now_ns);

/* A frame of the partition was taken out at `now_ns`: what lies there is younger. */
void fletch_writer_linger_restart(struct fletch_shuffle_writer *writer, uint32_t partition);

/* Finishes frames whose rows have lain there long enough; they are sent by the next advance. Errors
 * as fletch_partition_writer_flush. */
enum fletch_status fletch_writer_linger_flush(struct fletch_shuffle_writer *writer, uint64_t now_ns,
                                              struct fletch_error *error);

#endif
