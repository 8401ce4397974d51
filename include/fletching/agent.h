#ifndef FLETCHING_AGENT_H
#define FLETCHING_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/batch_slot.h>
#include <fletching/buffer_pool.h>
#include <fletching/eventcount.h>
#include <fletching/export.h>
#include <fletching/status.h>
#include <fletching/transport.h>
#include <fletching/wait.h>

FLETCH_BEGIN_DECLS

/** Long-lived agents with mailboxes: each handles one message at a time, and sends batches to the
 *  agents that it is linked to, by reference. docs/AGENTS.md explains how.
 *
 *  What an agent sends while it handles a message leaves when it has handled it, and not at all if
 *  that fails. FIFO for each sender and receiver. All mailboxes are bounded: an agent takes no
 *  batch or request while a link from it is full. */
struct fletch_agent_system;
struct fletch_agent;

/** What a request is answered by. */
struct fletch_agent_request {
    void *entry;
    uint64_t generation;
};

enum fletch_agent_message_kind {
    FLETCH_AGENT_NOTHING = 0,
    FLETCH_AGENT_BATCH = 1,
    FLETCH_AGENT_REQUEST = 2, /* to be answered by fletch_agent_reply, now or later */
    FLETCH_AGENT_REPLY = 3,   /* to what fletch_agent_ask asked; one for each, in time or not */
    FLETCH_AGENT_CONTROL = 4, /* of fletch_agent_tell; before all batches and requests */
    FLETCH_AGENT_BARRIER = 5, /* all that was sent before it has been handled, nothing after it */
    FLETCH_AGENT_END = 6      /* nothing comes any more; the last results can be sent */
};

struct fletch_agent_message {
    enum fletch_agent_message_kind kind;
    enum fletch_status status;     /* of a reply: OK, or why there is none */
    struct fletch_agent *from;     /* of a batch or request; NULL: from outside */
    struct fletch_batch_slot slot; /* of a batch, request or reply; its batch stays the library's */
    uint64_t number;               /* the barrier; the ticket of a reply; the control's code */
    uint64_t value;                /* the control's */
    struct fletch_agent_request request;
};

/** What an agent does. All are called on its thread, one at a time, and must not block. A failure
 *  writes its cause into `error`, and is handled as the agent's supervision says. */
struct fletch_agent_functions {
    /** Makes the agent's state; NULL: it is the argument itself. */
    enum fletch_status (*init)(void *argument, struct fletch_agent *self, void **out_state,
                               struct fletch_error *error);
    /** Handles a message. Batches that are to be kept are acquired. Not NULL. */
    enum fletch_status (*receive)(void *state, struct fletch_agent *self,
                                  const struct fletch_agent_message *message,
                                  struct fletch_error *error);
    /** Ends the state: once for each init that answered OK. NULL: nothing. */
    void (*close)(void *state, struct fletch_agent *self);
    /** Is shown a message that is given up, and why. NULL: such messages are only counted. */
    void (*dead_letter)(void *argument, struct fletch_agent *self,
                        const struct fletch_agent_message *message,
                        const struct fletch_error *error);
};

/** What a failure of an agent leads to. */
enum fletch_agent_supervision {
    FLETCH_AGENT_FAIL_SYSTEM = 0, /* all agents stop; the first failure is the system's */
    FLETCH_AGENT_RESTART = 1      /* its state is closed and made anew, the mailbox stays */
};

/** What becomes of the message that an agent failed at, when that is restarted. A barrier and the
 *  end are always handed out again. A request that is given up is answered with ABORTED. */
enum fletch_agent_failed_message { FLETCH_AGENT_REDELIVER = 0, FLETCH_AGENT_DEAD_LETTER = 1 };

/** Bytes of an agent's name, the terminating NUL included; a longer one is refused. */
#define FLETCH_AGENT_NAME_BYTES 32

/** Zero means default in every field but `name`. */
struct fletch_agent_options {
    size_t struct_size;
    /** Unique in its system. Copied. */
    const char *name;
    /** NULL: the agent is driven by a thread of the user's: fletch_agent_receive. Copied. */
    const struct fletch_agent_functions *functions;
    void *argument;
    /** Batches and requests that fletch_agent_post may leave unread. 0: 64; FLETCH_OFF: nobody
     *  posts to it. */
    uint64_t intake_capacity;
    uint32_t control_capacity; /* 0: 64 */
    uint32_t request_limit;    /* that it has asked and that are open, up to 256. 0: 16 */
    uint32_t emit_limit;       /* sent while it handles one message. 0: 64 */
    enum fletch_agent_supervision supervision;
    enum fletch_agent_failed_message failed_message;
    uint32_t restart_limit;     /* in a period, then the system fails. 0: 3 */
    uint64_t restart_period_ns; /* 0: 60 s */
    /** How long it may wait for room in a link before the system fails. 0: 60 s; FLETCH_OFF: for
     *  ever. */
    uint64_t stall_timeout_ns;
    /** One more than the processor that its thread stays on; where each agent has its own. 0: any.
     */
    uint32_t cpu_plus_one;
};

/** No threads: fletch_agent_step makes every step. */
#define FLETCH_AGENTS_STEPPED UINT32_MAX

/** Zero means default in every field. */
struct fletch_agent_system_options {
    size_t struct_size;
    uint32_t thread_count;  /* 0: one for each agent; FLETCH_AGENTS_STEPPED */
    uint32_t barrier_limit; /* in flight, up to 64. 0: 4 */
    uint32_t request_limit; /* of threads that are no agents, at a time, up to 256. 0: 64 */
};

/** Makes a system without agents. The transport must outlive it. INVALID_ARGUMENT: an option, named
 *  with its value and limit; RESOURCE_EXHAUSTED: no memory. Until start, all calls are of one
 *  thread. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_system_create(struct fletch_transport *transport,
                           const struct fletch_agent_system_options *options,
                           struct fletch_agent_system **out_system, struct fletch_error *error);

/** Adds an agent, which lives as long as the system. INVALID_ARGUMENT: an option; ALREADY_EXISTS:
 *  the name; FAILED_PRECONDITION: started; RESOURCE_EXHAUSTED: no memory. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_spawn(struct fletch_agent_system *system, const struct fletch_agent_options *options,
                   struct fletch_agent **out_agent, struct fletch_error *error);

/** Lets `from` send to `to`, with room for `capacity` batches and requests (0: 64). Replies need no
 *  link: their room is kept free. INVALID_ARGUMENT: the link would close a circle, which is named:
 *  bounded mailboxes in a circle can all be full. ALREADY_EXISTS; FAILED_PRECONDITION: started;
 *  RESOURCE_EXHAUSTED: no memory. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_agent_link(struct fletch_agent *from,
                                                                     struct fletch_agent *to,
                                                                     uint32_t capacity,
                                                                     struct fletch_error *error);

/** Starts the threads. FAILED_PRECONDITION: an agent has neither intake nor link to it, or started
 *  before; INVALID_ARGUMENT: no such processor; RESOURCE_EXHAUSTED: no memory or thread: nothing
 *  runs, and the system can only be destroyed. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_system_start(struct fletch_agent_system *system, struct fletch_error *error);

/** Makes the agent's next step, if there is one: true. For stepped systems, on one thread; never
 *  blocks. */
FLETCH_EXPORT bool fletch_agent_step(struct fletch_agent *agent);

/* ---- from any thread ---- */

/** Sends to an agent's intake from outside, waiting for room up to `timeout_ns`; on success takes
 *  the caller's reference to the batch. RESOURCE_EXHAUSTED (timeout 0) or DEADLINE_EXCEEDED: full;
 *  FAILED_PRECONDITION: it has no intake, or the system drains; else the system's failure. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_post(struct fletch_agent *to, const struct fletch_batch_slot *slot,
                  uint64_t timeout_ns, struct fletch_error *error);

/** Posts a request and waits for the reply, up to `timeout_ns` in all (FLETCH_NO_TIMEOUT is
 *  refused). `slot->batch` is NULL once the request was posted, which takes its reference; on OK
 *  the caller owns one to the reply's batch, if it has one. DEADLINE_EXCEEDED: no room or no reply
 *  in time; RESOURCE_EXHAUSTED: the system's request_limit; ABORTED: the request was given up; else
 *  as fletch_agent_post. Not on an agent's thread. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_call(struct fletch_agent *to, struct fletch_batch_slot *slot, uint64_t timeout_ns,
                  struct fletch_batch_slot *out_reply, struct fletch_error *error);

/** Leaves a control message, which the agent handles before any batch. RESOURCE_EXHAUSTED: too many
 *  are unread; FAILED_PRECONDITION: it has ended; one that ends meanwhile reads it no more.
 *  Lock-free. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_agent_tell(struct fletch_agent *to,
                                                                     uint64_t code, uint64_t value,
                                                                     struct fletch_error *error);

/** Sends a barrier through the whole system: behind what was posted before this call, before what
 *  is posted after it. Each agent is handed it once, when it has come from all who send to it. The
 *  thread that drains, one at a time. INVALID_ARGUMENT: `barrier` is not above the last one;
 *  RESOURCE_EXHAUSTED: as many as may be are in flight, names the agent that has not passed the
 *  oldest. Never blocks. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_system_barrier(struct fletch_agent_system *system, uint64_t barrier,
                            struct fletch_error *error);

/** Waits until all agents have passed the barrier or ended. DEADLINE_EXCEEDED names one that has
 *  not, and what it waits for; else the system's failure. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_system_wait_barrier(struct fletch_agent_system *system, uint64_t barrier,
                                 uint64_t timeout_ns, struct fletch_error *error);

/** Ends the system in order: intakes refuse, what was posted is handled, each agent ends when those
 *  before it have. Waits for that up to `timeout_ns`; can be called again, one thread at a time.
 *  DEADLINE_EXCEEDED names an agent that has not ended, and what it waits for; else the system's
 *  failure: the first one, with the agent's name, what it was handling, and its cause. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_system_drain(struct fletch_agent_system *system, uint64_t timeout_ns,
                          struct fletch_error *error);

/** Ends the system at once: nothing more is handled, all waits end with CANCELLED and `reason`. The
 *  first failure or reason stays. Idempotent. */
FLETCH_EXPORT void fletch_agent_system_cancel(struct fletch_agent_system *system,
                                              const char *reason);

/** Cancels, waits for the threads up to `timeout_ns`, and ends the system with all its agents;
 *  batches that were not handled are released. DEADLINE_EXCEEDED names an agent that is still in
 *  its function; the system stays. NULL allowed. Nobody else may be in a call. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_system_destroy(struct fletch_agent_system *system, uint64_t timeout_ns,
                            struct fletch_error *error);

/* ---- by an agent: in its functions, or on the thread that drives it ---- */

/** Sends a batch; on success takes the caller's reference. Never waits: it leaves when the message
 *  has been handled; in init, with the first one; in dead_letter, behind that. FAILED_PRECONDITION:
 *  no link, in close, or after the end; RESOURCE_EXHAUSTED: emit_limit, or, for a driven agent
 *  between two messages, a full link: receive, and try again. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_emit(struct fletch_agent *self, struct fletch_agent *to,
                  const struct fletch_batch_slot *slot, struct fletch_error *error);

struct fletch_agent_question {
    struct fletch_batch_slot slot;
    uint64_t timeout_ns; /* not FLETCH_NO_TIMEOUT */
};

/** Sends a request over a link, as emit. A REPLY with this ticket comes in any case: with status
 *  DEADLINE_EXCEEDED when the timeout has passed. An agent with
 *  request_limit open requests takes no more batches or requests until one is closed.
 *  RESOURCE_EXHAUSTED: request_limit, emit_limit. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_ask(struct fletch_agent *self, struct fletch_agent *to,
                 const struct fletch_agent_question *question, uint64_t *out_ticket,
                 struct fletch_error *error);

/** Answers a request, which leaves as emit; on success takes the reference to the batch (which may
 *  be NULL). Who asked may have given up: the reply is dropped then. INVALID_ARGUMENT: that of a
 *  message that is no request; RESOURCE_EXHAUSTED: emit_limit. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_reply(struct fletch_agent *self, const struct fletch_agent_request *request,
                   const struct fletch_batch_slot *slot, struct fletch_error *error);

/** Driven agents: has handled the last message, and takes the next one, waiting up to `timeout_ns`.
 *  NOTHING: there was none. END, and again END: it has ended. The message is alive until the next
 *  call. Else the system's failure. One thread at a time. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_agent_receive(struct fletch_agent *self, uint64_t timeout_ns,
                     struct fletch_agent_message *out_message, struct fletch_error *error);

/** Notified when a driven agent may have something to receive, for waits of one's own: announce,
 *  receive with timeout 0, sleep. */
FLETCH_EXPORT struct fletch_eventcount *fletch_agent_eventcount(struct fletch_agent *self);

/** A cache of the transport's pool for the thread that the agent runs on. */
FLETCH_EXPORT struct fletch_buffer_cache *fletch_agent_cache(struct fletch_agent *self);

/** Any thread. */
FLETCH_EXPORT const char *fletch_agent_name(const struct fletch_agent *agent);

FLETCH_END_DECLS

#endif
