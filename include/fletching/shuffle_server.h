#ifndef FLETCHING_SHUFFLE_SERVER_H
#define FLETCHING_SHUFFLE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/flight_stream.h>
#include <fletching/flight_types.h>
#include <fletching/shuffle.h>
#include <fletching/validation.h>

FLETCH_BEGIN_DECLS

/** Makes the shuffles of a transport reachable by Arrow Flight: for processes that have this
 *  library, and for any other client of Flight, which is a producer or a consumer without it. What
 *  is asked how, docs/SERVICE.md says; here is how it is run.
 *
 *  Calls never hold a thread while they wait: each goes on, on the event loop of its connection,
 *  when there is something to do. So puts that wait for credit and gets that wait for producers
 *  are limited by memory alone. */
struct fletch_shuffle_server;

/** What a ticket, or a command, of a client names. */
struct fletch_shuffle_ticket {
    struct fletch_shuffle_name name; /* within the ticket's bytes; no bytes: `hash` */
    uint64_t hash;                   /* fletch_shuffle_name_hash of the name */
    uint32_t partition;              /* FLETCH_TICKET_WHOLE: none is named */
};

#define FLETCH_TICKET_WHOLE UINT32_MAX

/** Another way to write tickets, asked where one is not in this library's own words,
 *  `<partition>@<name>`. */
struct fletch_ticket_dialect {
    /** Whether it is one of its tickets, which is written then. Any thread; must not block. */
    bool (*read)(void *context, const struct fletch_flight_bytes *ticket,
                 struct fletch_shuffle_ticket *out_ticket);
    void *context;
};

/** The dialect of the text `<hash>:<partition>`, both decimal. A hash that fits two shuffles is
 *  refused as ambiguous. For struct fletch_ticket_dialect; `context` is not looked at. */
FLETCH_EXPORT bool fletch_ticket_read_hash(void *context, const struct fletch_flight_bytes *ticket,
                                           struct fletch_shuffle_ticket *out_ticket);

/** Who may register shuffles from outside. */
enum fletch_shuffle_creation {
    FLETCH_CREATION_BY_ACTION = 0, /* the action "create" */
    FLETCH_CREATION_BY_PUT = 1,    /* also a first put whose headers say how */
    FLETCH_CREATION_OFF = 2        /* nobody: this process registers its own */
};

/** What a server tells of. */
enum fletch_service_notice_kind {
    FLETCH_NOTICE_CREATED = 0,
    FLETCH_NOTICE_DROPPED = 1,
    FLETCH_NOTICE_CANCELLED = 2,
    FLETCH_NOTICE_PUT_BEGUN = 3,
    FLETCH_NOTICE_PUT_ENDED = 4, /* status: OK: the producer has ended; else why it was aborted */
    FLETCH_NOTICE_GET_BEGUN = 5,
    FLETCH_NOTICE_GET_ENDED = 6,
    FLETCH_NOTICE_REFUSED = 7 /* a call that was refused before anything began */
};

/** As long as the call that brings it. */
struct fletch_service_notice {
    enum fletch_service_notice_kind kind;
    const char *shuffle; /* its name, as messages show it; "" where there is none */
    const char *peer;    /* address of the client */
    uint32_t producer;   /* of a put */
    uint32_t partition;  /* FLETCH_TICKET_WHOLE: none was named */
    uint64_t rows;       /* so far */
    enum fletch_status status;
    const char *text; /* of a status that is not OK */
};

#define FLETCH_SHUFFLE_LIMIT_DEFAULT 10000u
#define FLETCH_SERVED_PARTITIONS_DEFAULT 4096u
#define FLETCH_SERVED_PRODUCERS_DEFAULT 1024u

/** Zero means default in every field. */
struct fletch_shuffle_server_options {
    size_t struct_size;
    /** Where to listen: "grpc://host:port" or "grpc+unix:///path"; port 0: one that is free. NULL:
     *  "grpc://127.0.0.1:0". */
    const char *location;
    /** What infos say to those who come from elsewhere; NULL: that of the server. */
    const char *public_location;

    /* ---- of what is registered from outside ---- */
    enum fletch_shuffle_creation creation;
    uint32_t shuffle_limit;   /* registered at a time. 0: FLETCH_SHUFFLE_LIMIT_DEFAULT */
    uint32_t partition_limit; /* of each. 0: FLETCH_SERVED_PARTITIONS_DEFAULT */
    uint32_t producer_limit;  /* of each. 0: FLETCH_SERVED_PRODUCERS_DEFAULT */
    /** Of each: the most, and what those get that do not say. 0: what the transport has for
     *  shuffles, and a quarter of that. */
    uint64_t budget_limit_bytes;
    uint64_t budget_default_bytes;
    /** Where their frames go that memory has no room for, and how; NULL: nowhere, producers
     *  wait. */
    const char *spill_directory;
    enum fletch_spill_codec spill_codec;

    /* ---- of calls ---- */
    /** How long a put may find no credit before it is RESOURCE_EXHAUSTED; a call's own deadline
     *  may be earlier. 0: FLETCH_DEADLINE_DEFAULT, 60 s. */
    uint64_t credit_timeout_ns;
    /** How long a client may take nothing of a get that has something for it. Then it is ended,
     *  and what it holds comes back. 0: 60 s; FLETCH_OFF: for ever. */
    uint64_t stall_timeout_ns;
    /** NULL: fletch_ticket_read_hash alone. Copied. */
    const struct fletch_ticket_dialect *dialects;
    size_t dialect_count;
    /** As in struct fletch_flight_handlers; called on a loop, must not block. NULL: everybody may,
     *  and there is no handshake. */
    enum fletch_status (*authenticate)(void *user, struct fletch_flight_stream *stream,
                                       const char *method, struct fletch_error *error);
    enum fletch_status (*handshake)(void *user, struct fletch_flight_stream *stream,
                                    struct fletch_error *error);
    /** Told of what happens, for a log. On a loop: must not block for long. NULL: nobody. */
    void (*notice)(void *user, const struct fletch_service_notice *notice);
    /** First argument of the functions above. */
    void *user;

    /* ---- as in struct fletch_flight_server_options ---- */
    uint32_t loop_count;
    uint32_t connection_limit;
    uint32_t stream_limit;
    size_t message_limit_bytes;
    size_t write_queue_bytes; /* 0: 2 MiB: what a get may have taken that its client has not */
    size_t peer_message_bytes;
    uint64_t spin_ns;
    enum fletch_validation validation;
    const struct fletch_allocator *allocator;
};

/** Makes a server, which listens and answers from here on. The transport must outlive it.
 *  INVALID_ARGUMENT: an option, named with its value and limit; ALREADY_EXISTS: the address is in
 *  use;
 *  PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAVAILABLE: the system's answer. `options`: NULL: all
 *  defaults. Blocks for a moment. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_server_create(struct fletch_transport *transport,
                             const struct fletch_shuffle_server_options *options,
                             struct fletch_shuffle_server **out_server, struct fletch_error *error);

/** The port of TCP, 0 for a Unix socket; and the URI at which clients reach it, as long as the
 *  server. Any thread. */
FLETCH_EXPORT uint16_t fletch_shuffle_server_port(const struct fletch_shuffle_server *server);
FLETCH_EXPORT const char *
fletch_shuffle_server_location(const struct fletch_shuffle_server *server);

/** Waits until the server has drained, at once if it has. Any thread; blocks. */
FLETCH_EXPORT void fletch_shuffle_server_serve(struct fletch_shuffle_server *server);

/** Refuses new connections and calls, lets those that are under way end until `timeout_ns` have
 *  passed, and ends what is left then, with UNAVAILABLE: producers that had not ended are lost. OK:
 *  all had ended; DEADLINE_EXCEEDED: some had not. Again: waits for the first one. Any thread;
 *  blocks. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_server_drain(struct fletch_shuffle_server *server, uint64_t timeout_ns,
                            struct fletch_error *error);

/** Ends all calls and gives everything back. What clients registered stays registered in the
 *  transport; fletch_shuffle_server_drop_all before it drops that. Nobody may be in another
 *  function of the server. NULL allowed. */
FLETCH_EXPORT void fletch_shuffle_server_destroy(struct fletch_shuffle_server *server);

/** Closes every shuffle of the transport (fletch_shuffle_close). Any thread. RESOURCE_EXHAUSTED: no
 *  memory to look for them. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_server_drop_all(struct fletch_shuffle_server *server, struct fletch_error *error);

/** Counters since it was made; `now`: at this moment. */
struct fletch_shuffle_server_counters {
    size_t struct_size;
    uint64_t calls;
    uint64_t calls_now;
    uint64_t puts;
    uint64_t puts_now;
    uint64_t puts_lost; /* that did not end: their producers were aborted */
    uint64_t gets;
    uint64_t gets_now;
    uint64_t gets_broken; /* that ended before their partition did */
    uint64_t rows_put;
    uint64_t rows_got;
    uint64_t actions;
    uint64_t received_bytes; /* of messages */
    uint64_t sent_bytes;
    uint64_t shuffles_now; /* registered in the transport, by whomever */
};

/** Writes the first `out_counters->struct_size` bytes of them. Any thread; does not block. */
FLETCH_EXPORT void
fletch_shuffle_server_statistics(struct fletch_shuffle_server *server,
                                 struct fletch_shuffle_server_counters *out_counters);

FLETCH_END_DECLS

#endif
