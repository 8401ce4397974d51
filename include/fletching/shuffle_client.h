#ifndef FLETCHING_SHUFFLE_CLIENT_H
#define FLETCHING_SHUFFLE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/shuffle.h>

FLETCH_BEGIN_DECLS

/** What lets a transport reach the shuffles of other processes, which run a fletch_shuffle_server.
 *
 *  Addresses are locations of Flight: "grpc://host:port", "grpc+unix:///path". Functions that take
 *  a timeout block until the other process has answered; 0: FLETCH_DEADLINE_DEFAULT. Their
 *  errors are those of that process, in its words (docs/SERVICE.md), and UNAVAILABLE: it is not
 *  reached; DEADLINE_EXCEEDED. Any thread. */
struct fletch_shuffle_client;

/** Zero means default in every field. */
struct fletch_shuffle_client_options {
    size_t struct_size;
    /** The address by which placements name this process, if it has a server; NULL: none do. A copy
     *  is kept. */
    const char *location;
    /* ---- as in struct fletch_flight_client_options ---- */
    uint32_t loop_count;
    uint32_t connection_limit;
    uint64_t connect_timeout_ns;
    uint64_t idle_timeout_ns;
    size_t message_limit_bytes;
    size_t write_queue_bytes;
    uint64_t spin_ns;
    const struct fletch_allocator *allocator;
};

/** Makes a client, owned by the caller. The transport must outlive it. Connections belong
 *  to the transport: those who come first, client or server, say how many there are.
 *  INVALID_ARGUMENT: an option; RESOURCE_EXHAUSTED. `options`: NULL: all defaults. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_client_create(struct fletch_transport *transport,
                             const struct fletch_shuffle_client_options *options,
                             struct fletch_shuffle_client **out_client, struct fletch_error *error);

/** Ends a client that nobody uses any more. NULL allowed. */
FLETCH_EXPORT void fletch_shuffle_client_destroy(struct fletch_shuffle_client *client);

/** Which shuffle, where. */
struct fletch_shuffle_address {
    const char *location;
    struct fletch_shuffle_name name;
};

/** Takes part in a shuffle that is registered at another process: asks for its specification,
 *  identity and placement, and registers it in this process's transport, where writers and readers
 *  are opened as for any shuffle. Without a placement all partitions are that process's. One
 *  reference, the caller's. ALREADY_EXISTS: this transport has a shuffle of that name; NOT_FOUND:
 *  "UNKNOWN"; FAILED_PRECONDITION: a set that is held open, whose producers put by Flight. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_client_join(struct fletch_shuffle_client *client,
                           const struct fletch_shuffle_address *address, uint64_t timeout_ns,
                           struct fletch_shuffle **out_shuffle, struct fletch_error *error);

/** Registers a shuffle at another process, and nowhere else: options->name and all else as in
 *  fletch_shuffle_register, but for spill_directory, which is that process's own (the path is not
 *  looked at). */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_client_create_shuffle(struct fletch_shuffle_client *client, const char *location,
                                     const struct fletch_shuffle_options *options,
                                     uint64_t timeout_ns, struct fletch_error *error);

/** No more producers come but those that write now: of an open set the place that is held for more
 *  is given up; of a fixed one, producers that were never opened end without a row. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_client_end(struct fletch_shuffle_client *client,
                          const struct fletch_shuffle_address *address, uint64_t timeout_ns,
                          struct fletch_error *error);

/** fletch_shuffle_cancel there; `reason`: NULL: none. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_client_cancel(struct fletch_shuffle_client *client,
                             const struct fletch_shuffle_address *address, const char *reason,
                             uint64_t timeout_ns, struct fletch_error *error);

/** fletch_shuffle_close there. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_shuffle_client_drop(struct fletch_shuffle_client *client,
                           const struct fletch_shuffle_address *address, uint64_t timeout_ns,
                           struct fletch_error *error);

/** What is known of a partition of another process. */
struct fletch_partition_report {
    enum fletch_partition_state state;
    uint64_t rows; /* sent to it */
    uint64_t bytes;
    uint64_t frames;
    uint64_t bytes_queued;
    uint64_t rows_read;
    bool has_reader;
    uint32_t waiting_producers; /* that wait for credit of it */
};

/** What is known of a shuffle of another process. */
struct fletch_shuffle_report {
    struct fletch_shuffle_name name;
    uint64_t name_hash;
    const char *shown;  /* the name as text */
    const char *state;  /* "OPEN", "COMPLETE", "CANCELLED: reason", "LOST: reason" */
    const char *method; /* of its partitioner: "fletch-hash-1" … */
    const char *const *keys;
    size_t key_count;
    uint32_t partition_count;
    uint32_t producers; /* so far; that of an open set which is nobody's is left out */
    uint32_t producer_limit;
    uint32_t producers_unverified; /* whose rows came without sums */
    bool is_open;                  /* more producers may come */
    enum fletch_retention retention;
    enum fletch_sum_level sums;
    struct fletch_exchange_statistics statistics;
    /** partition_count of them where one shuffle was asked for; NULL: of many. */
    const struct fletch_partition_report *partitions;
};

struct fletch_shuffle_reports {
    const struct fletch_shuffle_report *reports;
    size_t count;
};

/** A report of a shuffle there, or, without a name (no bytes), in short of all of them, in no
 *  order; to be given back by fletch_shuffle_reports_release. Costs that process neither
 *  locks nor waiting. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status fletch_shuffle_client_report(
    struct fletch_shuffle_client *client, const struct fletch_shuffle_address *address,
    uint64_t timeout_ns, struct fletch_shuffle_reports *out_reports, struct fletch_error *error);

/** Any thread. */
FLETCH_EXPORT void fletch_shuffle_reports_release(struct fletch_shuffle_reports reports);

FLETCH_END_DECLS

#endif
