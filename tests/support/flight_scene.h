#ifndef FLETCH_TESTS_SUPPORT_FLIGHT_SCENE_H
#define FLETCH_TESTS_SUPPORT_FLIGHT_SCENE_H

/* A server of Flight whose handlers run on its loop, a channel to it, and streams of a client, all
 * on one loop and one thread, over real sockets. */

#include "flight/flight_service.h"
#include "support/rpc_scene.h"

enum { FLIGHT_SCENE_BATCHES = 64 };

struct flight_scene {
    struct rpc_scene rpc;
    struct fletch_account *account; /* charged by both ends; the pool's unless told otherwise */
    const char *address;            /* NULL: a free port of TCP */
    struct fletch_flight_service service;
    struct fletch_flight_service_loop at;
    struct fletch_flight_service_method contexts[FLETCH_FLIGHT_METHODS];
    struct fletch_rpc_method methods[FLETCH_FLIGHT_METHODS];
    /* What handlers send and have seen. */
    struct fletch_batch *batch; /* what is got, `count` times */
    uint32_t count;
    bool holds;                        /* sources have nothing to do until this is false */
    struct fletch_flight_stream *held; /* the last one of a source, with a reference */
    uint32_t steps;
    uint32_t written; /* batches, by servers */
    uint32_t read;    /* batches, by servers */
    uint32_t sources; /* that were made */
    uint32_t ended;   /* of them */
};

/* Handlers: DoGet sends the batch `count` times, with its number as app metadata; DoPut answers
 * each batch with its app metadata; DoExchange sends all back; DoAction sends its body back, or
 * fails ("fail") with PERMISSION_DENIED, a detail, a header and a trailer; the infos are NOT_FOUND;
 * GetSchema sends the batch's. */
void flight_scene_prepare(struct flight_scene *scene, const struct fletch_allocator *allocator);
void flight_scene_prepare_with(struct flight_scene *scene, const struct fletch_allocator *allocator,
                               const struct fletch_net_io *io);

/* False: there was no memory, or the system refused. */
bool flight_scene_start(struct flight_scene *scene);
void flight_scene_end(struct flight_scene *scene);

/* Begins a call. NULL: there was no memory for it. */
struct fletch_flight_stream *
flight_scene_call(struct flight_scene *scene, enum fletch_flight_method_id id, uint64_t timeout_ns);

/* A turn of the loop, which waits for a moment at most. */
void flight_scene_turn(struct flight_scene *scene);

/* As the functions of the stream, with turns until the answer is neither EMPTY nor FULL. */
enum fletch_answer flight_scene_read(struct flight_scene *scene,
                                     struct fletch_flight_stream *stream,
                                     struct fletch_flight_data *out_data,
                                     struct fletch_error *error);
enum fletch_answer flight_scene_write(struct flight_scene *scene,
                                      struct fletch_flight_stream *stream,
                                      const struct fletch_flight_output *output,
                                      struct fletch_error *error);
enum fletch_answer flight_scene_receive(struct flight_scene *scene,
                                        struct fletch_flight_stream *stream,
                                        enum fletch_flight_message kind, const void **out_message,
                                        struct fletch_error *error);
struct fletch_flight_end flight_scene_wait(struct flight_scene *scene,
                                           struct fletch_flight_stream *stream);

/* Turns until `*value` is at least `least`. */
void flight_scene_until(struct flight_scene *scene, const uint32_t *value, uint32_t least);

#endif
