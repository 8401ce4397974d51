#ifndef FLETCH_FLOW_AGENT_REPLY_H
#define FLETCH_FLOW_AGENT_REPLY_H

/* Where replies go: an entry for each request that may be open, so that a reply always has room and
 * needs no link.
 *
 * Origin: a table of futures with generations, as handles of slot maps have.
 *
 * Roles: one asker for each claimed entry; any thread replies. Progress: all calls are wait-free,
 * but for a claim, which looks at each entry. A replier that dies between two steps keeps the entry
 * until the system ends, and nobody waits for it: the asker gives up at its deadline.
 *
 * The state word: the generation, and what is going on with it.
 *
 *   FREE --claim--> WAITING --replier--> WRITING --replier--> ANSWERED --asker--> FREE, next
 *                      |                    | asker gives up
 *                      | asker gives up     v
 *                      v                 ABANDONED --replier--> FREE, next
 *                   FREE, next
 *
 * Edges:
 *   E1: replier cas_strong_acq_rel(state) to ANSWERED -> asker load_acquire(state): the reply.
 *   E2: store_release(state), cas_strong_release(state) to FREE -> claim cas_strong_acq_rel(state):
 *       who claims an entry writes it after the last one has read it. Where the asker has left that
 *       to the replier, its cas_strong_release(state) to ABANDONED comes before, and is acquired by
 *       the replier's cas_strong_acq_rel(state), which fails.
 * From the claim to the replier the request itself carries what is ordered.
 *
 * Reclamation: entries live as long as the system. ABA: a generation is used once; 61 bits do not
 * wrap. */

#include <fletching/batch_slot.h>
#include <fletching/status.h>

#include <stdbool.h>

#include "base/atomic.h"

struct fletch_eventcount;

struct fletch_agent_entry {
    _Atomic uint64_t state;
    struct fletch_batch_slot slot; /* the reply, whose batch belongs to the entry */
    enum fletch_status status;
    uint64_t deadline_ns;           /* the asker's */
    struct fletch_eventcount *wake; /* fixed: whom a reply wakes */
};

/* False: it is in use. `*out_generation` is what the request carries. */
bool fletch_agent_entry_claim(struct fletch_agent_entry *entry, uint64_t *out_generation);

/* True: the asker will see the reply, and the entry has the reference to its batch. False: nobody
 * waits for it any more, and the caller keeps the reference. Any thread. */
bool fletch_agent_entry_answer(struct fletch_agent_entry *entry, uint64_t generation,
                               const struct fletch_batch_slot *slot, enum fletch_status status);

/* Asker: whether there is a reply. It frees the entry when it is taken. */
bool fletch_agent_entry_take(struct fletch_agent_entry *entry, uint64_t generation,
                             struct fletch_batch_slot *out_slot, enum fletch_status *out_status);

/* Asker: wants no reply any more. False: there is one by now, to be taken. */
bool fletch_agent_entry_give_up(struct fletch_agent_entry *entry, uint64_t generation);

/* The generation that the entry is in use for, or, if it is not, the next one. Its asker. */
uint64_t fletch_agent_entry_generation(const struct fletch_agent_entry *entry);
/* Whether its asker waits for a reply, or has not taken it. Its asker. */
bool fletch_agent_entry_is_open(const struct fletch_agent_entry *entry);

#endif
