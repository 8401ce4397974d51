#include "rpc/rpc_call.h"

#include <stddef.h>
#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/status.h"
#include "rpc/rpc_link.h"

/* ---- life ---- */

struct fletch_rpc_call *fletch_rpc_call_make(struct fletch_rpc_link *link,
                                             struct fletch_grpc_call *grpc,
                                             const struct fletch_rpc_handler *handler,
                                             void *context)
{
    struct fletch_rpc_call *call =
        fletch_allocate(&link->allocator, sizeof *call, _Alignof(struct fletch_rpc_call));
    if (call == NULL)
        return NULL;
    *call = (struct fletch_rpc_call){
        .link = link, .grpc = grpc, .handler = handler, .context = context};
    fletch_http2_link_init(&call->refused);
    fletch_grpc_call_set_context(grpc, call);
    return call;
}

void fletch_rpc_call_forget(struct fletch_rpc_call *call)
{
    struct fletch_rpc_link *link = call->link;
    fletch_http2_link_remove(&call->refused);
    fletch_grpc_call_release(call->grpc);
    fletch_release(&link->allocator, call, sizeof *call, _Alignof(struct fletch_rpc_call));
    fletch_rpc_link_kick(link);
}

void fletch_rpc_call_cancel(struct fletch_rpc_call *call)
{
    FLETCH_ASSERT(!call->is_ended);
    fletch_grpc_call_cancel(call->grpc);
    fletch_rpc_call_forget(call);
}

void fletch_rpc_call_set_context(struct fletch_rpc_call *call, void *context)
{
    call->context = context;
}

void *fletch_rpc_call_context(const struct fletch_rpc_call *call)
{
    return call->context;
}

struct fletch_rpc_call *fletch_rpc_call_of(const struct fletch_grpc_call *grpc)
{
    return fletch_grpc_call_context(grpc);
}

struct fletch_socket_text fletch_rpc_call_peer(const struct fletch_rpc_call *call)
{
    if (call->link->peer.bytes == 0)
        return (struct fletch_socket_text){""};
    return fletch_socket_address_text(&call->link->peer);
}

/* ---- sending ---- */

enum fletch_status fletch_rpc_call_send(struct fletch_rpc_call *call,
                                        struct fletch_grpc_message *message,
                                        struct fletch_error *error)
{
    enum fletch_status status = fletch_grpc_call_send(call->grpc, message, error);
    /* Without memory for headers nothing is queued, and there is nothing to wait for. */
    if (status == FLETCH_RESOURCE_EXHAUSTED && call->handler->writable != NULL &&
        fletch_grpc_call_queued_bytes(call->grpc) != 0)
        fletch_http2_link_append(&call->link->refused, &call->refused);
    fletch_rpc_link_kick(call->link);
    return status;
}

/* A message with what it needs until it is sent. */
struct own_message {
    struct fletch_grpc_message message; /* first */
    struct fletch_allocator allocator;
    struct fletch_buffer_cache *cache;
    struct fletch_buffer *buffer; /* NULL: a copy behind it */
    size_t copied_bytes;
    struct iovec slices[2];
    unsigned char copy[];
};

static void release_own(struct own_message *own)
{
    struct fletch_allocator allocator = own->allocator;
    fletch_release(&allocator, own, sizeof *own + own->copied_bytes, _Alignof(struct own_message));
}

static void own_done(struct fletch_grpc_message *message, bool is_sent)
{
    struct own_message *own = (struct own_message *)(void *)message;
    (void)is_sent;
    fletch_buffer_release(own->cache, own->buffer);
    release_own(own);
}

static struct own_message *make_own(struct fletch_rpc_call *call, size_t copied_bytes,
                                    struct fletch_error *error)
{
    size_t bytes = sizeof(struct own_message) + copied_bytes;
    struct own_message *own = bytes < copied_bytes ? NULL
                                                   : fletch_allocate(&call->link->allocator, bytes,
                                                                     _Alignof(struct own_message));
    if (own == NULL) {
        (void)fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                               "no memory for a message of %zu bytes", bytes);
        return NULL;
    }
    *own = (struct own_message){
        .message = {.slices = own->slices, .slice_count = 2, .done = own_done},
        .allocator = call->link->allocator,
        .copied_bytes = copied_bytes,
    };
    return own;
}

enum fletch_status fletch_rpc_call_send_copy(struct fletch_rpc_call *call, const void *data,
                                             size_t bytes, struct fletch_error *error)
{
    struct own_message *own = make_own(call, bytes, error);
    if (own == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    if (bytes != 0)
        memcpy(own->copy, data, bytes);
    own->slices[1] = (struct iovec){own->copy, bytes};
    enum fletch_status status = fletch_rpc_call_send(call, &own->message, error);
    if (status != FLETCH_OK)
        release_own(own);
    return status;
}

enum fletch_status fletch_rpc_call_send_buffer(struct fletch_rpc_call *call,
                                               struct fletch_buffer *buffer,
                                               struct fletch_error *error)
{
    struct own_message *own = make_own(call, 0, error);
    if (own == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    own->cache = call->link->cache;
    own->buffer = buffer;
    /* The type of slices has no const; what is sent is only read. */
    own->slices[1] =
        (struct iovec){(void *)(uintptr_t)fletch_buffer_data(buffer), fletch_buffer_bytes(buffer)};
    enum fletch_status status = fletch_rpc_call_send(call, &own->message, error);
    if (status != FLETCH_OK)
        release_own(own);
    return status;
}

void fletch_rpc_call_half_close(struct fletch_rpc_call *call)
{
    fletch_grpc_call_half_close(call->grpc);
    fletch_rpc_link_kick(call->link);
}

/* ---- receiving ---- */

void fletch_rpc_call_take(struct fletch_rpc_call *call)
{
    fletch_grpc_call_take(call->grpc);
    fletch_rpc_link_kick(call->link);
}

/* ---- a server's answers ---- */

enum fletch_status fletch_rpc_call_respond(struct fletch_rpc_call *call,
                                           const struct fletch_grpc_metadata *metadata,
                                           struct fletch_error *error)
{
    enum fletch_status status = fletch_grpc_call_respond(call->grpc, metadata, error);
    fletch_rpc_link_kick(call->link);
    return status;
}

enum fletch_status fletch_rpc_call_finish(struct fletch_rpc_call *call,
                                          const struct fletch_grpc_ending *ending,
                                          struct fletch_error *error)
{
    FLETCH_ASSERT(!call->is_ended);
    enum fletch_status status = fletch_grpc_call_finish(call->grpc, ending, error);
    if (status != FLETCH_INVALID_ARGUMENT)
        fletch_rpc_call_forget(call);
    return status;
}
