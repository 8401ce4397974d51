#ifndef FLETCH_TESTS_SUPPORT_RPC_SCENE_H
#define FLETCH_TESTS_SUPPORT_RPC_SCENE_H

/* A server with methods to call, a channel to it, and calls that write down what happens; all on
 * one loop and one thread, over real sockets. */

#include "rpc/rpc_channel.h"
#include "rpc/rpc_server.h"
#include "support/pools.h"

struct rpc_scene {
    const struct fletch_allocator *allocator; /* NULL: the default one */
    struct fletch_event_loop *loop;
    struct test_pool pool;
    struct fletch_rpc_server *server;
    struct fletch_rpc_channel *channel;
    struct fletch_rpc_health *health;
    struct fletch_rpc_method *methods;
    /* What methods have seen. */
    uint32_t begun;
    uint32_t ended; /* calls that the server did not end itself */
    enum fletch_status ended_status;
    struct fletch_rpc_call *held; /* the last one of HOLD */
    uint64_t timeout_ns;          /* of the last one of HOLD */
    uint32_t changes;             /* of the channel */
    struct fletch_error change;   /* why it waits */
};

/* Sends each message back, and finishes when the client has half-closed: calls of any kind. */
#define RPC_ECHO "/test.Test/Echo"
/* Takes all messages, answers with their number of bytes (8 bytes, native). */
#define RPC_COLLECT "/test.Test/Collect"
/* The request is struct rpc_expansion: so many messages of so many bytes. */
#define RPC_EXPAND "/test.Test/Expand"
/* Takes messages and does nothing. */
#define RPC_HOLD "/test.Test/Hold"
/* Leaves messages untaken. */
#define RPC_HOARD "/test.Test/Hoard"
/* Refuses with a text. */
#define RPC_REFUSE "/test.Test/Refuse"

struct rpc_expansion {
    uint32_t count;
    uint32_t bytes;
};

/* Byte i of each message is i % 251. */
struct rpc_probe {
    struct rpc_scene *scene;
    struct fletch_rpc_call *call; /* NULL: ended */
    uint32_t to_send;             /* messages, of `bytes` bytes, before it half-closes */
    uint32_t bytes;
    bool waits;       /* for a connection, and for room */
    bool stays_open;  /* no half-close */
    bool takes_none;  /* of the messages */
    uint32_t headers; /* the answer's */
    uint32_t messages;
    uint64_t received;
    uint64_t number; /* the first 8 bytes of the last message */
    uint32_t wrong;
    uint32_t ends;
    enum fletch_status status;
    bool is_untouched;
    char text[FLETCH_ERROR_MESSAGE_BYTES];
};

/* A loop and what servers and channels need, without any. */
void rpc_scene_prepare(struct rpc_scene *scene, const struct fletch_allocator *allocator);
void rpc_scene_prepare_with(struct rpc_scene *scene, const struct fletch_allocator *allocator,
                            const struct fletch_net_io *io);

/* `address`: NULL: a free port of TCP. Options may change what grpc options both sides have. */
void rpc_scene_start(struct rpc_scene *scene, const char *address);
void rpc_scene_start_with(struct rpc_scene *scene, const char *address,
                          const struct fletch_grpc_options *server,
                          const struct fletch_grpc_options *client);
/* Everything has come back: memory, budget and descriptors. */
void rpc_scene_end(struct rpc_scene *scene);

struct fletch_rpc_server_options rpc_scene_server_options(struct rpc_scene *scene,
                                                          const char *address);
struct fletch_rpc_channel_options
rpc_scene_channel_options(struct rpc_scene *scene, const struct fletch_socket_address *address);

/* Turns of the loop until `*value` is at least `least`; fails the test after 20 s. */
void rpc_scene_until(struct rpc_scene *scene, const uint32_t *value, uint32_t least);
void rpc_scene_until_state(struct rpc_scene *scene, enum fletch_rpc_channel_state state);
void rpc_scene_turns_for(struct rpc_scene *scene, uint64_t ns);

/* Begins a call, and sends as the probe says as far as there is room. */
enum fletch_status rpc_probe_begin(struct rpc_probe *probe, const char *path, uint64_t timeout_ns);
void rpc_probe_send(struct rpc_probe *probe, const void *data, size_t bytes);

/* Descriptors of this process. */
uint32_t open_descriptors(void);

#endif
