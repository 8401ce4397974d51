#ifndef FLETCH_SHUFFLE_OUTLET_TABLE_H
#define FLETCH_SHUFFLE_OUTLET_TABLE_H

/* The outlets of a shuffle, as the coordinator's serial knows them: who is given what producers
 * announce. Everything here is called in the serial, and none of it blocks; but for what an outlet
 * has, which says whose it is.
 *
 * Why control comes behind the frames that its producer pushed before: the producer pushed them,
 * then submitted; the serial pushes the node; whoever takes the node, and looks into the inboxes of
 * all partitions of the outlet after that, sees those frames by the same chain of edges. */

#include "shuffle/announcement.h"
#include "shuffle/outlet.h"
#include "shuffle/ready_list.h"
#include "shuffle/shuffle.h"

/* One announcement, as one outlet has it. */
struct fletch_outlet_node {
    struct fletch_inbox_node node; /* first: on its way to the outlet */
    struct fletch_outlet_control control;
    struct fletch_outlet_node *previous; /* of those that the outlet has taken */
    struct fletch_outlet_entry *entry;
    struct fletch_announcement *announcement; /* NULL: nobody waits for the answer */
    struct fletch_serial_task answered;
    struct fletch_error failure; /* what it was answered; OK: accepted */
    struct fletch_channel_record channels[];
};

/* An outlet's place in the table. */
struct fletch_outlet_entry {
    struct fletch_mailbox controls; /* first: nodes, pushed by the serial */
    struct fletch_shuffle *shuffle;
    struct fletch_shuffle_partition **partitions;
    uint32_t partition_count;
    _Atomic uint32_t lacks_memory; /* something could not be handed to it */
    struct fletch_eventcount *sleeper;
    struct fletch_serial_task enters;
    struct fletch_serial_task fails;
    struct fletch_serial_task leaves;
    struct fletch_error failing;                    /* set before it fails */
    void (*end)(struct fletch_outlet_entry *entry); /* when it has left */
    /* The serial's. */
    struct fletch_outlet_entry *next;
    bool is_shut; /* it has failed: everything is answered with `failing` */
};

/* Any thread: submits these tasks. An entry that leaves takes nothing any more; what is in its
 * mailbox is answered, with `failing` if that tells a failure, else as if it had been accepted. */
void fletch_outlet_table_enter(struct fletch_outlet_entry *entry);
void fletch_outlet_table_fail(struct fletch_outlet_entry *entry);
void fletch_outlet_table_leave(struct fletch_outlet_entry *entry);

/* Any thread: `node` was answered, `failure` NULL: accepted. It is gone. */
void fletch_outlet_table_answer(struct fletch_outlet_node *node,
                                const struct fletch_error *failure);

/* Hands the announcement to all outlets, or to none where there is no memory. */
void fletch_outlet_table_announce(struct fletch_announcement *announcement);

/* Wakes all of them. */
void fletch_outlet_table_notify(struct fletch_shuffle *shuffle);

#endif
