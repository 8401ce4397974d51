#ifndef FLETCH_TESTS_SUPPORT_SERVICE_SCENE_H
#define FLETCH_TESTS_SUPPORT_SERVICE_SCENE_H

/* A shuffle server and a client of Flight, over real sockets. All that is charged and counted has
 * come back by the end of the scene, or the test fails. */

#include <fletching/fletching.h>

#include "support/shuffles.h"

struct service_scene {
    struct test_shuffle shuffles; /* its transport is the server's; a shuffle of its own is there */
    struct fletch_shuffle_server *server;
    struct fletch_flight_client *client;
    struct test_pool pool; /* the client's */
};

/* `options`: NULL: all defaults; location and loops are the scene's. */
void service_scene_begin(struct service_scene *scene, const struct shuffle_words *words,
                         const struct fletch_shuffle_server_options *options);
void service_scene_end(struct service_scene *scene);

struct fletch_shuffle_server_counters service_scene_counters(struct service_scene *scene);

/* Waits until nobody puts or gets any more. */
void service_scene_settle(struct service_scene *scene);

/* The name of the scene's own shuffle, as tickets of partition `partition` have it. */
struct fletch_flight_bytes service_scene_ticket(char text[64], uint32_t partition);

struct fletch_flight_stream *service_scene_get(struct service_scene *scene,
                                               struct fletch_flight_bytes ticket,
                                               const char *header);

/* A put to the path [name], whose schema has been sent. */
struct fletch_flight_stream *service_scene_put(struct service_scene *scene, const char *name,
                                               struct fletch_schema *schema);

/* Waits for its end, closes it, and returns how it ended; the text too. */
enum fletch_status service_scene_close(struct fletch_flight_stream *stream,
                                       struct fletch_error *out_end);

#endif
