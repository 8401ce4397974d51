#ifndef FLETCH_PUMP_PUMP_LINK_H
#define FLETCH_PUMP_PUMP_LINK_H

/* A stream of DoExchange as messages of a pump. One thread; nothing blocks. */

#include <fletching/answer.h>
#include <fletching/batch.h>
#include <fletching/schema.h>

#include "flight/flight_stream.h"
#include "pump/envelope.h"

struct fletch_pump_link {
    struct fletch_flight_stream *stream; /* NULL: there is none */
    struct fletch_schema *schema;        /* of what is sent and of what comes; alive meanwhile */
    enum fletch_ipc_compression compression;
    bool is_server;
    bool has_begun;
    bool has_checked; /* the schema of what comes */
    /* Told when the stream has been let go of, however that came. NULL: nobody. */
    void (*dropped)(void *context);
    void *context;
};

/* `sleeper` is told when there is something to read, room to write or an end. */
void fletch_pump_link_listen(struct fletch_pump_link *link, struct fletch_eventcount *sleeper);

/* The next message. DONE: `*out_batch` has a reference for the caller, or is NULL; texts are valid
 * until the next call. EMPTY: none now. CLOSED: there will be none: OK: the other side has ended;
 * else what went wrong. INVALID_ARGUMENT and UNIMPLEMENTED: it sent what is no message. */
enum fletch_answer fletch_pump_link_read(struct fletch_pump_link *link,
                                         struct fletch_envelope *out_envelope,
                                         struct fletch_batch **out_batch,
                                         struct fletch_error *error);

/* DONE: a message may be written. FULL: not now. CLOSED: no more. */
enum fletch_answer fletch_pump_link_room(const struct fletch_pump_link *link);

/* Writes a message for which there was room. `batch`: the caller keeps its reference; NULL: none.
 * OK; INVALID_ARGUMENT or RESOURCE_EXHAUSTED: this batch cannot be sent; UNAVAILABLE and others:
 * the stream is of no use any more. */
enum fletch_status fletch_pump_link_write(struct fletch_pump_link *link,
                                          const struct fletch_envelope *envelope,
                                          struct fletch_batch *batch, struct fletch_error *error);

/* Nothing more is written. A server's call ends with `status` behind what was; a client waits for
 * the server's end, until fletch_pump_link_read says CLOSED. */
void fletch_pump_link_finish(struct fletch_pump_link *link, enum fletch_status status,
                             const char *text);

/* Whether the stream has ended, whatever came before. */
bool fletch_pump_link_is_over(struct fletch_pump_link *link);

/* Lets go of the stream: a call that is not over is cancelled. */
void fletch_pump_link_drop(struct fletch_pump_link *link, struct fletch_buffer_cache *cache);

#endif
