#include "rpc/rpc_pending.h"

#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/checked.h"
#include "base/status.h"

/* ---- messages ---- */

/* A message of a sender that may have to be sent again. */
struct kept {
    struct fletch_grpc_message message; /* first; the machine's */
    struct fletch_rpc_pending *pending; /* NULL: the call is settled */
    struct fletch_http2_link all;
    struct fletch_grpc_message *origin; /* the sender's; NULL: done, and here is a copy */
    struct fletch_buffer *copy;
    struct fletch_buffer_cache *cache;
    struct fletch_allocator allocator;
    size_t bytes;
    size_t own_bytes;
    bool is_under_way; /* with the machine */
    struct iovec slices[];
};

static void forget_kept(struct kept *kept)
{
    struct fletch_allocator allocator = kept->allocator;
    fletch_buffer_release(kept->cache, kept->copy);
    fletch_release(&allocator, kept, kept->own_bytes, _Alignof(struct kept));
}

/* False: there is no memory, or too much was copied already. */
static bool copy_bytes(struct kept *kept)
{
    struct fletch_rpc_pending *pending = kept->pending;
    const struct fletch_rpc_channel_options *options = pending->queue->options;
    if (pending->copied_bytes + kept->bytes > options->replay_bytes)
        return false;
    if (kept->bytes != 0 &&
        fletch_buffer_allocate(kept->cache, kept->bytes, options->grpc.http2.account, &kept->copy,
                               NULL) != FLETCH_OK)
        return false;
    uint8_t *place = kept->bytes == 0 ? NULL : fletch_buffer_mutable_data(kept->copy);
    size_t copied = 0;
    for (uint32_t i = 1; i < kept->message.slice_count; i++) {
        const struct iovec *slice = &kept->slices[i];
        if (slice->iov_len != 0)
            memcpy(place + copied, slice->iov_base, slice->iov_len);
        copied += slice->iov_len;
    }
    kept->slices[1] = (struct iovec){place, kept->bytes};
    kept->message.slice_count = 2;
    pending->copied_bytes += kept->bytes;
    return true;
}

/* The machine is done with it. What was sent may have to be sent again, but the sender wants its
 * memory back; what was not sent keeps it, and so does the last batch of a call that was refused
 * meanwhile, since it will be sent again. */
static void kept_done(struct fletch_grpc_message *message, bool is_sent)
{
    struct kept *kept = (struct kept *)(void *)message;
    struct fletch_rpc_pending *pending = kept->pending;
    struct fletch_grpc_message *origin = kept->origin;
    kept->is_under_way = false;
    if (pending == NULL) {
        forget_kept(kept);
        if (origin != NULL)
            origin->done(origin, is_sent);
        return;
    }
    pending->under_way--;
    if (!is_sent || origin == NULL || pending->call->grpc == NULL)
        return;
    bool is_copied = copy_bytes(kept);
    kept->origin = NULL;
    if (!is_copied)
        fletch_rpc_pending_settle(pending);
    origin->done(origin, true);
}

static size_t bytes_of(const struct fletch_grpc_message *message)
{
    size_t bytes = 0;
    for (uint32_t i = 1; i < message->slice_count; i++)
        bytes += message->slices[i].iov_len;
    return bytes;
}

static struct kept *make_kept(struct fletch_rpc_pending *pending,
                              struct fletch_grpc_message *origin, struct fletch_error *error)
{
    const struct fletch_rpc_queue *queue = pending->queue;
    uint32_t slices = origin->slice_count < 2 ? 2 : origin->slice_count;
    size_t own_bytes = sizeof(struct kept) + slices * sizeof(struct iovec);
    struct kept *kept = fletch_allocate(&queue->allocator, own_bytes, _Alignof(struct kept));
    if (kept == NULL) {
        (void)fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                               "no memory for a message that waits: %zu bytes", own_bytes);
        return NULL;
    }
    *kept = (struct kept){
        .message = {.slices = kept->slices, .slice_count = origin->slice_count, .done = kept_done},
        .pending = pending,
        .origin = origin,
        .cache = queue->options->grpc.http2.cache,
        .allocator = queue->allocator,
        .bytes = bytes_of(origin),
        .own_bytes = own_bytes,
    };
    memcpy(kept->slices, origin->slices, origin->slice_count * sizeof *origin->slices);
    fletch_http2_link_init(&kept->all);
    return kept;
}

/* What fletch_grpc_call_send would refuse, of a call that has not begun. */
static enum fletch_status check_waiting(struct fletch_rpc_pending *pending, size_t bytes,
                                        struct fletch_error *error)
{
    size_t limit = pending->queue->options->grpc.send_queue_bytes;
    if (pending->is_half_closed)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the call has ended and sends nothing more");
    if (bytes > UINT32_MAX)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "a message of %zu bytes, at most %u", bytes, UINT32_MAX);
    if (pending->queued_bytes == 0 || pending->queued_bytes + bytes <= limit)
        return FLETCH_OK;
    pending->wants_room = true;
    return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                            "%zu bytes of the call are queued, and no more than %zu may be",
                            pending->queued_bytes, limit);
}

enum fletch_status fletch_rpc_pending_send(struct fletch_rpc_pending *pending,
                                           struct fletch_grpc_message *message,
                                           struct fletch_error *error)
{
    struct fletch_grpc_call *grpc = pending->call->grpc;
    enum fletch_status status =
        grpc == NULL ? check_waiting(pending, bytes_of(message), error) : FLETCH_OK;
    if (status != FLETCH_OK)
        return status;
    struct kept *kept = make_kept(pending, message, error);
    if (kept == NULL)
        return FLETCH_RESOURCE_EXHAUSTED;
    if (grpc != NULL) {
        status = fletch_grpc_call_send(grpc, &kept->message, error);
        if (status != FLETCH_OK) {
            forget_kept(kept);
            return status;
        }
        kept->is_under_way = true;
        pending->under_way++;
    } else {
        pending->queued_bytes += kept->bytes;
    }
    fletch_http2_link_append(&pending->messages, &kept->all);
    return FLETCH_OK;
}

void fletch_rpc_pending_half_close(struct fletch_rpc_pending *pending)
{
    pending->is_half_closed = true;
    if (pending->call->grpc != NULL)
        fletch_grpc_call_half_close(pending->call->grpc);
}

/* ---- waiting ---- */

static void leave_queue(struct fletch_rpc_pending *pending)
{
    struct fletch_rpc_queue *queue = pending->queue;
    if (fletch_http2_link_is_alone(&pending->waiting))
        return;
    fletch_http2_link_remove(&pending->waiting);
    fletch_timer_wheel_clear(fletch_event_loop_wheel(queue->loop), &pending->deadline);
    queue->count--;
}

void fletch_rpc_pending_wait(struct fletch_rpc_pending *pending)
{
    struct fletch_rpc_queue *queue = pending->queue;
    struct fletch_http2_link *next = &queue->calls;
    /* New ones go to the end, at once; those that were refused are among the first. */
    if (queue->count != 0 && pending->refusals != 0)
        for (next = queue->calls.next; next != &queue->calls; next = next->next)
            if (FLETCH_HTTP2_OF_LINK(next, struct fletch_rpc_pending, waiting)->number >
                pending->number)
                break;
    fletch_http2_link_append(next, &pending->waiting);
    fletch_timer_wheel_set(fletch_event_loop_wheel(queue->loop), &pending->deadline,
                           pending->deadline_ns);
    queue->count++;
}

static void expired(void *context)
{
    struct fletch_rpc_pending *pending = context;
    pending->queue->expired(pending->queue->context, pending->call);
}

bool fletch_rpc_pending_is_due(const struct fletch_rpc_pending *pending, uint64_t now_ns)
{
    return pending->under_way == 0 && pending->not_before_ns <= now_ns;
}

/* ---- beginning ---- */

static void send_all(struct fletch_rpc_pending *pending)
{
    struct fletch_grpc_call *grpc = pending->call->grpc;
    struct fletch_http2_link *link = pending->messages.next;
    for (; link != &pending->messages; link = link->next) {
        struct kept *kept = FLETCH_HTTP2_OF_LINK(link, struct kept, all);
        /* A call whose connection fails meanwhile says so by its end. */
        if (fletch_grpc_call_send_accepted(grpc, &kept->message, NULL) != FLETCH_OK)
            return;
        kept->is_under_way = true;
        pending->under_way++;
    }
    if (pending->is_half_closed)
        fletch_grpc_call_half_close(grpc);
}

enum fletch_status fletch_rpc_pending_begin(struct fletch_rpc_pending *pending,
                                            struct fletch_rpc_link *link,
                                            struct fletch_error *error)
{
    const struct fletch_rpc_queue *queue = pending->queue;
    const struct fletch_http2_field *fields = fletch_field_list_fields(&pending->fields);
    uint64_t now_ns = fletch_event_loop_now_ns(queue->loop);
    struct fletch_grpc_call *grpc;
    struct fletch_grpc_request request = {
        .path = fields[0].value,
        .authority = queue->options->authority,
        .metadata = {fields + 1, pending->fields.count - 1},
    };
    if (pending->deadline_ns != UINT64_MAX)
        request.timeout_ns = pending->deadline_ns > now_ns ? pending->deadline_ns - now_ns : 1;
    enum fletch_status status = fletch_rpc_link_call(link, &request, &grpc, error);
    if (status != FLETCH_OK)
        return status;
    leave_queue(pending);
    fletch_rpc_call_attach(pending->call, link, grpc);
    fletch_grpc_call_set_reader(grpc, pending->reader);
    send_all(pending);
    pending->queued_bytes = 0;
    if (pending->wants_room)
        fletch_http2_link_append(&link->refused, &pending->call->refused);
    pending->wants_room = false;
    return FLETCH_OK;
}

void fletch_rpc_pending_take_back(struct fletch_rpc_pending *pending)
{
    struct fletch_rpc_call *call = pending->call;
    pending->wants_room = !fletch_http2_link_is_alone(&call->refused);
    fletch_rpc_call_detach(call);
    struct fletch_http2_link *link = pending->messages.next;
    for (; link != &pending->messages; link = link->next)
        pending->queued_bytes += FLETCH_HTTP2_OF_LINK(link, struct kept, all)->bytes;
    if (pending->refusals++ != 0)
        pending->not_before_ns =
            fletch_saturating_add_u64(fletch_event_loop_now_ns(pending->queue->loop),
                                      fletch_backoff_next_ns(&pending->backoff));
    fletch_rpc_pending_wait(pending);
}

/* ---- life ---- */

static bool copy_request(struct fletch_rpc_pending *pending,
                         const struct fletch_rpc_calling *calling)
{
    const struct fletch_http2_field path = fletch_http2_field_of(":path", calling->path);
    bool is_copied = fletch_field_list_add(&pending->fields, &path);
    for (size_t i = 0; i < calling->metadata.count && is_copied; i++)
        is_copied = fletch_field_list_add(&pending->fields, &calling->metadata.fields[i]);
    return is_copied;
}

static struct fletch_rpc_pending *make_pending(struct fletch_rpc_queue *queue,
                                               const struct fletch_rpc_calling *calling)
{
    struct fletch_rpc_pending *pending =
        fletch_allocate(&queue->allocator, sizeof *pending, _Alignof(struct fletch_rpc_pending));
    if (pending == NULL)
        return NULL;
    *pending = (struct fletch_rpc_pending){
        .queue = queue,
        .reader = calling->reader,
        .number = ++queue->numbers,
        .deadline_ns = UINT64_MAX,
    };
    if (calling->timeout_ns != 0)
        pending->deadline_ns =
            fletch_saturating_add_u64(fletch_event_loop_now_ns(queue->loop), calling->timeout_ns);
    fletch_http2_link_init(&pending->waiting);
    fletch_http2_link_init(&pending->messages);
    fletch_field_list_init(&pending->fields, &queue->allocator);
    fletch_timer_start(&pending->deadline, expired, pending);
    fletch_backoff_start(&pending->backoff, queue->options->pause_first_ns,
                         queue->options->pause_most_ns, queue->options->seed ^ pending->number);
    return pending;
}

static void forget(struct fletch_rpc_pending *pending)
{
    struct fletch_rpc_queue *queue = pending->queue;
    fletch_field_list_deinit(&pending->fields);
    fletch_release(&queue->allocator, pending, sizeof *pending,
                   _Alignof(struct fletch_rpc_pending));
}

enum fletch_status fletch_rpc_pending_make(struct fletch_rpc_queue *queue,
                                           const struct fletch_rpc_calling *calling,
                                           struct fletch_rpc_pending **out_pending,
                                           struct fletch_error *error)
{
    struct fletch_rpc_pending *pending = make_pending(queue, calling);
    if (pending != NULL && copy_request(pending, calling))
        pending->call = fletch_rpc_call_make(&queue->allocator, queue->options->grpc.http2.cache,
                                             calling->handler, calling->context);
    if (pending == NULL || pending->call == NULL) {
        if (pending != NULL)
            forget(pending);
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a call");
    }
    pending->call->pending = pending;
    *out_pending = pending;
    return FLETCH_OK;
}

void fletch_rpc_pending_settle(struct fletch_rpc_pending *pending)
{
    pending->call->pending = NULL;
    leave_queue(pending);
    while (!fletch_http2_link_is_alone(&pending->messages)) {
        struct kept *kept = FLETCH_HTTP2_OF_LINK(pending->messages.next, struct kept, all);
        struct fletch_grpc_message *origin = kept->origin;
        fletch_http2_link_remove(&kept->all);
        if (kept->is_under_way) {
            kept->pending = NULL;
            continue;
        }
        forget_kept(kept);
        if (origin != NULL)
            origin->done(origin, false);
    }
    forget(pending);
}
