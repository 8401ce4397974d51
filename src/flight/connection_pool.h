#ifndef FLETCH_FLIGHT_CONNECTION_POOL_H
#define FLETCH_FLIGHT_CONNECTION_POOL_H

/* A fixed number of connections, found by address and shared by many users: docs/FLIGHT.md. Here is
 * who has which slot, and nothing of sockets: whoever runs the connections opens one when its first
 * user comes, tells how it stands, and closes what was drained.
 *
 * Origin: a table of slots with generations, claimed as agent_reply's are; multiplexing counts its
 * users in the same word, as Go's net/http does in its pool under a lock.
 *
 * Roles: any number of threads acquire, leave and drain; for each slot one thread at a time, its
 * connection's, says how it stands, gives up and frees it. Progress: try_acquire and drain are
 * lock-free (one that has to start again has been overtaken by another that got on), leave and free
 * are wait-free, acquire blocks. Between claiming a slot and writing its address there is no system
 * call; one who stops there holds up those alone who look for an address with the same tag: HELD.
 *
 * The word of a slot: state, users, tag (16 bits of the address's hash), generation.
 *
 *   FREE --claim--> CLAIMED --address written--> CONNECTING <-> READY <-> PAUSED
 *     ^                                                \          |         / ^ \
 *     +------------------free----------- DRAINING <---- drain, without users |  --asked--> ASKED
 *                                            ^                               +--not given up--+
 *                                            +------------- given up, without users ----------+
 *
 * PAUSED is what nobody could connect to, and is tried again: it makes room before others do, and
 * where all slots have users those who wait for such a one are asked to leave it. Who asks is one:
 * the state says that it has been done, until the connection's thread has answered.
 *
 * A tag says in one load that a slot is worth a look. Who finds one compares the whole address,
 * which others may overwrite meanwhile, and then becomes a user by a compare-and-swap of the word
 * that it saw before: if that succeeds, nobody has.
 *
 * Which slots are looked at first depends on the address alone, so all that come for a new address
 * claim the same one, and those who lose find it by its tag. Only where slots before it become free
 * at that moment two may be claimed for one connection; later ones take the first, and the other
 * idles and is closed.
 *
 * Linearization: join and claim: their compare-and-swap; leave: its subtraction; drain: its
 * compare-and-swap; ask and give up: theirs; free: its store.
 *
 * Edges:
 *   E1: claim store_release(word) to CONNECTING -> look load_acquire(word): the address, and what
 *       E2 brought.
 *   E2: free store_release(word) to FREE -> look load_acquire(word): the users of a slot come after
 *       its last connection was closed.
 *   E3: leave fetch_sub_release(word) -> drain load_acquire(word): the connection is closed after
 *       all that its users did, their comparing included; and the time of the last leaving. The
 *       same for give up.
 *   E4: give up cas_acq_rel(word) -> ask cas_acquire(word): what the last one asked by, a task say,
 *       can be used again.
 *
 * Reclamation: slots live as long as the pool; no user may be left when it ends. ABA: the
 * generation counts how often a slot got its first user, when it was claimed or idle: a drain that
 * saw it idle fails once somebody has been there since, and a late claim fails. It has 29 bits and
 * wraps: a thread would have to stop between a load and its compare-and-swap for 2^29 uses of one
 * slot. */

#include <fletching/allocator.h>
#include <fletching/answer.h>
#include <fletching/status.h>

#include <stdbool.h>
#include <stddef.h>

#include "base/atomic.h"
#include "sync/eventcount.h"
#include "sync/wait.h"

enum {
    FLETCH_POOL_ADDRESS_WORDS = 36,
    FLETCH_POOL_ADDRESS_BYTES = 8 * FLETCH_POOL_ADDRESS_WORDS, /* with a 0 behind it */
    FLETCH_POOL_SLOTS_MOST = 4096,
    FLETCH_POOL_USERS_MOST = 32768 /* of one connection */
};

enum fletch_pool_state {
    FLETCH_POOL_FREE,
    FLETCH_POOL_CLAIMED,
    FLETCH_POOL_CONNECTING,
    FLETCH_POOL_READY,
    FLETCH_POOL_PAUSED, /* the last attempt to connect has failed */
    FLETCH_POOL_ASKED,  /* the same, and another address needs the slot */
    FLETCH_POOL_DRAINING
};

struct fletch_connection_slot {
    FLETCH_ISOLATED _Atomic uint64_t word;
    _Atomic uint64_t idle_since_ns;                      /* when a user left last */
    _Atomic uint64_t address[FLETCH_POOL_ADDRESS_WORDS]; /* and zeros behind it */
};

struct fletch_connection_pool_options {
    uint32_t slot_count;              /* 1 to FLETCH_POOL_SLOTS_MOST */
    uint32_t connections_per_address; /* at least 1; another one is made while all have users */
    uint32_t users_per_connection;    /* 1 to FLETCH_POOL_USERS_MOST */
    const struct fletch_allocator *allocator;
    /* A slot was drained by who found no other one free: its connection is to be closed, and the
     * slot freed. Any thread, in acquire; does not block. */
    void (*evicted)(void *context, uint32_t slot);
    /* Who found no slot that could be drained needs this one: its connection's thread is to end
     * what waits for it to connect, and to answer by give_up. Any thread, in acquire; does not
     * block. */
    void (*asked)(void *context, uint32_t slot);
    void *context;
};

struct fletch_connection_pool {
    struct fletch_connection_pool_options options;
    struct fletch_connection_slot *slots;
    struct fletch_wait_policy policy;
    struct fletch_wait_history history; /* of all who wait */
    struct fletch_eventcount room;      /* a slot is free, idle, named, or has room for a user */
};

/* How many slots are in which state, each counted at another moment. */
struct fletch_connection_pool_counts {
    uint32_t free;
    uint32_t connecting; /* and claimed */
    uint32_t ready;
    uint32_t paused; /* and asked */
    uint32_t draining;
    uint64_t users;
};

/* INVALID_ARGUMENT: a number that is out of bounds; RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_connection_pool_init(struct fletch_connection_pool *pool,
                                               const struct fletch_connection_pool_options *options,
                                               struct fletch_error *error);
/* All slots are free, or their connections closed. */
void fletch_connection_pool_deinit(struct fletch_connection_pool *pool);

/* An address as it is compared: byte by byte. None of them is 0. */
struct fletch_pool_address {
    const char *text;
    size_t bytes; /* at most FLETCH_POOL_ADDRESS_BYTES - 1 */
    /* Who wants it waits for others, also for those that wait for what does not answer. */
    bool is_patient;
};

/* Makes the caller a user of a connection to `address`: of the one with the fewest users, or of a
 * new one. DONE; FULL: none is free, and each of that address has as many users as it may (a slot
 * without users is drained, or one that is paused asked for, so that it will be free soon); HELD:
 * one with this tag is being named. Any thread. */
enum fletch_answer fletch_connection_pool_try_acquire(struct fletch_connection_pool *pool,
                                                      const struct fletch_pool_address *address,
                                                      uint32_t *out_slot);

/* The same, and waits. RESOURCE_EXHAUSTED: not within the timeout, with the pool's state;
 * INVALID_ARGUMENT: an address that is empty or too long. Any thread; blocks. */
enum fletch_status fletch_connection_pool_acquire(struct fletch_connection_pool *pool,
                                                  const struct fletch_pool_address *address,
                                                  uint64_t timeout_ns, uint32_t *out_slot,
                                                  struct fletch_error *error);

/* The caller, a user, is none any more. `now_ns`: of base/clock.h. Any thread. */
void fletch_connection_pool_leave(struct fletch_connection_pool *pool, uint32_t slot,
                                  uint64_t now_ns);

/* For a user, and who has drained it: what it is connected to, ended by 0. */
void fletch_connection_pool_address(const struct fletch_connection_pool *pool, uint32_t slot,
                                    char out_text[FLETCH_POOL_ADDRESS_BYTES]);

/* Whether a connection to the address was ready a moment ago. Any thread. */
bool fletch_connection_pool_is_ready(const struct fletch_connection_pool *pool,
                                     const struct fletch_pool_address *address);

/* It is CONNECTING, READY or PAUSED now. Nothing happens where it has been drained, or is asked
 * for: the answer tells it. Its connection's thread. */
void fletch_connection_pool_set_state(struct fletch_connection_pool *pool, uint32_t slot,
                                      enum fletch_pool_state state);

/* The answer to `asked`. True: nobody uses it, and nobody will: the caller closes and frees it.
 * False: it is in `state` again, and is asked for once more if that is PAUSED. Its connection's
 * thread. */
bool fletch_connection_pool_give_up(struct fletch_connection_pool *pool, uint32_t slot,
                                    enum fletch_pool_state state);

/* True: nobody used it since `idle_before_ns` or longer, and nobody will: the caller is to see that
 * it is closed and freed. Any thread. */
bool fletch_connection_pool_drain(struct fletch_connection_pool *pool, uint32_t slot,
                                  uint64_t idle_before_ns);

/* It is closed, after it was drained. One thread. */
void fletch_connection_pool_free(struct fletch_connection_pool *pool, uint32_t slot);

enum fletch_pool_state fletch_connection_pool_state(const struct fletch_connection_pool *pool,
                                                    uint32_t slot);
uint32_t fletch_connection_pool_users(const struct fletch_connection_pool *pool, uint32_t slot);
void fletch_connection_pool_count(const struct fletch_connection_pool *pool,
                                  struct fletch_connection_pool_counts *out_counts);

#endif
