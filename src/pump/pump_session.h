#ifndef FLETCH_PUMP_PUMP_SESSION_H
#define FLETCH_PUMP_PUMP_SESSION_H

/* A session: what one process sends to another for one shuffle, however often its connection is
 * made anew. It belongs to the thread of its pumps (pump/pumps.h), which calls `step`; nothing
 * blocks. Time is given, so that nothing here looks at a clock. docs/PUMP.md. */

#include <fletching/allocator.h>
#include <fletching/shuffle.h>

#include "flight/flight_workers.h"
#include "net/backoff.h"
#include "pump/pump_ends.h"
#include "pump/pump_link.h"
#include "sync/inbox.h"

/* Something for the thread of the pumps; comes through its inbox. */
struct fletch_pump_news {
    struct fletch_inbox_node node; /* first */
    enum { FLETCH_NEWS_SESSION, FLETCH_NEWS_DIALLED, FLETCH_NEWS_VISITOR } kind;
};

enum fletch_session_phase {
    FLETCH_SESSION_WAITING, /* the dialler: to be registered, or for its next attempt; the other: to
                             * be dialled again */
    FLETCH_SESSION_DIALLING,
    FLETCH_SESSION_GREETING, /* HELLO was sent */
    FLETCH_SESSION_RUNNING,
    FLETCH_SESSION_LEAVING, /* all is said; the stream ends */
    FLETCH_SESSION_OVER
};

/* What all sessions of a transport have in common. */
struct fletch_session_rules {
    struct fletch_allocator allocator;
    struct fletch_id incarnation;
    uint64_t connect_ns; /* how long the first connection may take */
    uint64_t grace_ns;   /* and one after a cut */
    uint64_t beat_ns;    /* who has nothing to say says so, after this */
    uint64_t silence_ns; /* who is not heard for so long is cut off */
    uint64_t leave_ns;   /* how long the end of a stream is waited for */
    uint64_t backoff_first_ns;
    uint64_t backoff_most_ns;
    uint64_t eager_bytes; /* 0: none */
    enum fletch_ipc_compression compression;
};

struct fletch_pump_session {
    struct fletch_pump_news news; /* first */
    struct fletch_pump_session *next;
    const struct fletch_session_rules *rules;
    struct fletch_shuffle *shuffle; /* a reference */
    enum fletch_pump_role role;
    bool dials;
    bool has_connected;
    bool has_left; /* a sender that has sent BYE once */
    bool is_refused;
    uint32_t number;
    uint32_t resumes;
    struct fletch_id peer; /* zeros: not known yet */
    char address[FLETCH_ADDRESS_BYTES_MAX + 1];
    enum fletch_session_phase phase;
    uint64_t deadline_ns; /* of the phase */
    uint64_t heard_ns;    /* when the other side was heard, and spoken to, last */
    uint64_t said_ns;
    uint64_t attempt_ns; /* WAITING: not before; RUNNING: when to look for memory again */
    struct fletch_backoff backoff;
    struct fletch_pump_ends ends;
    struct fletch_pump_link link;
    uint32_t *partitions; /* pull: that were asked for */
    uint32_t partition_count;
    uint32_t partitions_told;
    uint64_t eager_bytes; /* a sender's: what the other side takes */
    union {
        struct fletch_pump_sender sender;
        struct fletch_pump_receiver receiver;
    };
    struct fletch_error failure; /* how it ended; OK: well */
    /* For who dials: the pumps' and a worker's. */
    struct fletch_flight_job job;
    void *dialler;
    struct fletch_flight_stream *dialled; /* NULL: it failed */
};

struct fletch_session_options {
    const struct fletch_session_rules *rules;
    struct fletch_shuffle *shuffle;
    enum fletch_pump_role role;
    const char *address; /* NULL: the other side dials */
    uint32_t number;
    const uint32_t *partitions; /* push, sender: of its outlet; pull, receiver: asked for */
    uint32_t partition_count;
    struct fletch_sleeper *sleeper;
};

/* Takes a reference to the shuffle. A sender's outlet is open where `partitions` are told. Errors
 * as fletch_outlet_open; RESOURCE_EXHAUSTED: no memory. Any thread; then the pumps'. */
enum fletch_status fletch_session_create(const struct fletch_session_options *options,
                                         struct fletch_pump_session **out_session,
                                         struct fletch_error *error);

/* Closes outlet, inlets and stream. NULL allowed. */
void fletch_session_destroy(struct fletch_pump_session *session);

/* Does what there is to do. True: something was done. `*deadline_ns` becomes earlier where it must
 * be looked at again by then. */
bool fletch_session_step(struct fletch_pump_session *session, uint64_t now_ns,
                         uint64_t *deadline_ns);

/* The dialler's attempt has a stream, or none (NULL). */
void fletch_session_dialled(struct fletch_pump_session *session,
                            struct fletch_flight_stream *stream, uint64_t now_ns);

/* The other side has dialled, and was found to be who it says: this is its stream from here on, of
 * which this HELLO was read. */
void fletch_session_adopt(struct fletch_pump_session *session,
                          const struct fletch_envelope_hello *hello,
                          struct fletch_flight_stream *stream, uint64_t now_ns);

/* Whether it wants a stream now; then it is DIALLING. */
bool fletch_session_wants_stream(struct fletch_pump_session *session, uint64_t now_ns);

/* Whether the other side's producers have all ended, and only the last words are missing. */
bool fletch_session_is_ending(const struct fletch_pump_session *session);

/* Ends the session from this side. */
void fletch_session_fail(struct fletch_pump_session *session, const struct fletch_error *cause,
                         uint64_t now_ns);

#endif
