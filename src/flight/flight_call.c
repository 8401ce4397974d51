#include "flight/flight_call.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

static struct fletch_flight_loop_half *half_of(struct fletch_flight_stream *stream)
{
    return &stream->loop;
}

static void happened(struct fletch_flight_stream *stream)
{
    if (stream->options.happened != NULL)
        stream->options.happened(stream->options.context);
}

static void count(struct fletch_flight_stream *stream, uint64_t received, uint64_t sent)
{
    struct fletch_flight_counters *counters = stream->options.counters;
    if (counters == NULL)
        return;
    /* relaxed: written by this thread only, and read as a number */
    store_relaxed(&counters->received_bytes, load_relaxed(&counters->received_bytes) + received);
    /* relaxed: the same */
    store_relaxed(&counters->sent_bytes, load_relaxed(&counters->sent_bytes) + sent);
}

/* ---- to the user ---- */

static void notify(struct fletch_flight_stream *stream)
{
    fletch_eventcount_notify_inline(&stream->waiting, UINT32_MAX);
    if (half_of(stream)->listener != NULL)
        fletch_eventcount_notify_inline(half_of(stream)->listener, UINT32_MAX);
}

/* False: the user has left, and the node is the caller's. */
static bool tell(struct fletch_flight_stream *stream, struct fletch_flight_node *node)
{
    bool was_empty = false;
    if (fletch_inbox_push(&stream->messages, &node->link, &was_empty) != FLETCH_DONE)
        return false;
    if (was_empty) {
        notify(stream);
        fletch_event_loop_handed_over(stream->options.loop);
    }
    return true;
}

/* ---- the end ---- */

/* The last thing that the loop's half does: the stream may be gone. */
static void let_go(struct fletch_flight_stream *stream)
{
    struct fletch_flight_loop_half *half = half_of(stream);
    if (half->is_ended && half->under_way == 0 && half->depth == 0 && !half->awaits_task)
        fletch_shared_release(&stream->shared);
}

static void leave(struct fletch_flight_stream *stream)
{
    half_of(stream)->depth--;
    let_go(stream);
}

/* A message is sent, or never will be. */
static void forget_outgoing(struct fletch_flight_stream *stream,
                            struct fletch_flight_outgoing *outgoing)
{
    uint64_t done = fletch_flight_unsent(1, outgoing->bytes + FLETCH_FLIGHT_MESSAGE_COST);
    fletch_flight_outgoing_free(stream->options.loop_cache, outgoing);
    /* relaxed: a number; the message's memory is this thread's */
    uint64_t before = fetch_sub_relaxed(&stream->unsent, done);
    if (!fletch_flight_fills(stream, before, 2) || fletch_flight_fills(stream, before - done, 2))
        return;
    notify(stream);
    if (stream->options.happened != NULL)
        fletch_flight_stream_wake(stream);
}

/* Frees a command that nothing will come of. */
static void drop_command(struct fletch_flight_stream *stream, struct fletch_inbox_node *node)
{
    struct fletch_flight_node *command = (struct fletch_flight_node *)(void *)node;
    if (command->kind == FLETCH_FLIGHT_NODE_OUTGOING)
        forget_outgoing(stream, (struct fletch_flight_outgoing *)(void *)node);
    else if (command->kind == FLETCH_FLIGHT_NODE_INCOMING)
        fletch_flight_incoming_free(stream->options.loop_cache,
                                    (struct fletch_flight_incoming *)(void *)node);
    else if (command->kind == FLETCH_FLIGHT_NODE_FINISH)
        fletch_buffer_release(stream->options.loop_cache,
                              ((struct fletch_flight_finish *)(void *)node)->block);
    else if (command->kind == FLETCH_FLIGHT_NODE_LISTEN) /* too late for all but the end */
        fletch_eventcount_notify_inline(stream->listener, UINT32_MAX);
}

static void drop_commands(struct fletch_flight_stream *stream, struct fletch_inbox_node *node)
{
    while (node != NULL) {
        struct fletch_inbox_node *next = node->next;
        drop_command(stream, node);
        node = next;
    }
}

/* From here on commands are refused. One that came before has posted the task, or is about to: the
 * stream stays for it. */
static void close_commands(struct fletch_flight_stream *stream)
{
    struct fletch_flight_loop_half *half = half_of(stream);
    struct fletch_inbox_list list;
    fletch_inbox_close(&stream->commands, &list);
    half->awaits_task = list.count != 0;
    drop_commands(stream, list.first);
    drop_commands(stream, half->held);
    half->held = NULL;
}

/* The call is gone. */
static void end(struct fletch_flight_stream *stream, enum fletch_status status, const char *text)
{
    struct fletch_flight_loop_half *half = half_of(stream);
    half->call = NULL;
    half->is_ended = true;
    fletch_flight_intake_drop(&half->intake);
    stream->ended.status = status;
    (void)snprintf(stream->ended.text, sizeof stream->ended.text, "%s", text);
    store_relaxed(&stream->is_over, 1); /* relaxed: a hint; what it is about comes by the inbox */
    (void)tell(stream, &stream->end);
    store_release(&stream->is_over, FLETCH_FLIGHT_END_TOLD); /* read by attempt_room */
    /* Who waits for room may not have heard of it. relaxed: a number; the fence of the look for
     * sleepers and that of who goes to sleep order it and the flag */
    if (fletch_eventcount_is_awaited(&stream->waiting) && load_relaxed(&stream->unsent) != 0)
        fletch_eventcount_wake(&stream->waiting, UINT32_MAX);
    if (half_of(stream)->listener != NULL)
        fletch_eventcount_notify_inline(half_of(stream)->listener, UINT32_MAX);
    close_commands(stream);
    if (stream->options.counters != NULL)
        /* relaxed: written by this thread only, and read as a number */
        store_relaxed(&stream->options.counters->calls_now,
                      load_relaxed(&stream->options.counters->calls_now) - 1);
    if (stream->options.over != NULL)
        stream->options.over(stream->options.context);
}

/* ---- sending ---- */

static void message_done(struct fletch_grpc_message *message, bool is_sent)
{
    struct fletch_flight_outgoing *outgoing =
        (void *)((char *)message - offsetof(struct fletch_flight_outgoing, grpc));
    struct fletch_flight_stream *stream = outgoing->owner;
    if (is_sent)
        count(stream, 0, outgoing->bytes);
    half_of(stream)->under_way--;
    half_of(stream)->depth++;
    forget_outgoing(stream, outgoing);
    leave(stream);
}

/* Ends a call that cannot go on. */
static void abandon(struct fletch_flight_stream *stream, enum fletch_status status,
                    const char *text)
{
    struct fletch_rpc_call *call = half_of(stream)->call;
    const struct fletch_grpc_ending ending = {.status = status, .text = text};
    half_of(stream)->call = NULL;
    if (!stream->options.is_server ||
        fletch_rpc_call_finish(call, &ending, NULL) == FLETCH_INVALID_ARGUMENT)
        fletch_rpc_call_cancel(call);
    end(stream, status, text);
}

static enum fletch_status respond(struct fletch_flight_stream *stream, struct fletch_error *error)
{
    struct fletch_field_list *list = &stream->headers;
    if (!stream->options.is_server || half_of(stream)->has_responded || list->count == 0)
        return FLETCH_OK;
    const struct fletch_grpc_metadata metadata = {fletch_field_list_fields(list), list->count};
    half_of(stream)->has_responded = true;
    return fletch_rpc_call_respond(half_of(stream)->call, &metadata, error);
}

static void send_message(struct fletch_flight_stream *stream,
                         struct fletch_flight_outgoing *outgoing)
{
    struct fletch_error error;
    outgoing->owner = stream;
    outgoing->grpc.done = message_done;
    enum fletch_status status = respond(stream, &error);
    half_of(stream)->under_way++;
    if (status == FLETCH_OK)
        status = fletch_rpc_call_send(half_of(stream)->call, &outgoing->grpc, &error);
    if (status == FLETCH_OK)
        return;
    half_of(stream)->under_way--;
    forget_outgoing(stream, outgoing);
    /* After its end the call has something to tell, which comes. */
    if (status != FLETCH_FAILED_PRECONDITION)
        abandon(stream, status, error.message);
}

static void finish_server(struct fletch_flight_stream *stream,
                          const struct fletch_flight_finish *finish)
{
    struct fletch_rpc_call *call = half_of(stream)->call;
    struct fletch_field_list *trailers = &stream->trailers;
    struct fletch_error error;
    struct fletch_grpc_ending ending = {.status = finish->status, .text = finish->text};
    /* Without memory for the detail there is none. */
    (void)fletch_flight_detail_add(trailers, &finish->detail, &finish->detail_status);
    ending.metadata =
        (struct fletch_grpc_metadata){fletch_field_list_fields(trailers), trailers->count};
    /* Where headers cannot go, the end cannot either, and says so. */
    (void)respond(stream, &error);
    if (fletch_rpc_call_finish(call, &ending, &error) == FLETCH_INVALID_ARGUMENT) {
        ending = (struct fletch_grpc_ending){.status = FLETCH_INTERNAL, .text = error.message};
        (void)fletch_rpc_call_finish(call, &ending, NULL);
    }
    half_of(stream)->call = NULL;
    end(stream, finish->status, finish->text);
}

/* ---- commands ---- */

static void do_command(struct fletch_flight_stream *stream, struct fletch_inbox_node *node)
{
    struct fletch_flight_node *command = (struct fletch_flight_node *)(void *)node;
    struct fletch_flight_loop_half *half = half_of(stream);
    if (half->call == NULL) {
        drop_command(stream, node);
        return;
    }
    switch (command->kind) {
    case FLETCH_FLIGHT_NODE_OUTGOING:
        send_message(stream, (struct fletch_flight_outgoing *)(void *)node);
        return;
    case FLETCH_FLIGHT_NODE_INCOMING:
        drop_command(stream, node);
        fletch_rpc_call_take(half->call);
        return;
    case FLETCH_FLIGHT_NODE_FINISH:
        if (stream->options.is_server)
            finish_server(stream, (struct fletch_flight_finish *)(void *)node);
        else
            fletch_rpc_call_half_close(half->call);
        drop_command(stream, node);
        return;
    case FLETCH_FLIGHT_NODE_CANCEL:
    case FLETCH_FLIGHT_NODE_CLOSE: {
        struct fletch_rpc_call *call = half->call;
        half->call = NULL;
        fletch_rpc_call_cancel(call);
        end(stream, FLETCH_CANCELLED, "the call was cancelled on this side");
        return;
    }
    default:
        return;
    }
}

/* Before the call is there, all waits for it in its order, but a cancel. */
static void hold(struct fletch_flight_stream *stream, struct fletch_inbox_node *node)
{
    struct fletch_flight_loop_half *half = half_of(stream);
    node->next = NULL;
    if (half->held == NULL)
        half->held = node;
    else
        half->held_last->next = node;
    half->held_last = node;
}

/* Whether somebody wants `happened` to be called. */
static bool take_wake(struct fletch_flight_stream *stream, const struct fletch_inbox_node *node)
{
    if (((const struct fletch_flight_node *)(const void *)node)->kind != FLETCH_FLIGHT_NODE_WAKE)
        return false;
    /* The release half gives the node back to whoever sets the flag next; the acquire half sees
     * what was done before it was set. */
    (void)exchange_acq_rel(&stream->is_woken, 0);
    return true;
}

/* Whether another eventcount is to be told from now on. */
static bool take_listener(struct fletch_flight_stream *stream, const struct fletch_inbox_node *node)
{
    if (((const struct fletch_flight_node *)(const void *)node)->kind != FLETCH_FLIGHT_NODE_LISTEN)
        return false;
    half_of(stream)->listener = stream->listener;
    fletch_eventcount_notify_inline(stream->listener, UINT32_MAX);
    return true;
}

/* What need not wait for the call: it will be none. */
static bool is_cancel(const struct fletch_inbox_node *node)
{
    const struct fletch_flight_node *command = (const void *)node;
    return command->kind == FLETCH_FLIGHT_NODE_CANCEL || command->kind == FLETCH_FLIGHT_NODE_CLOSE;
}

static void do_commands(struct fletch_flight_stream *stream, struct fletch_inbox_node *node)
{
    struct fletch_flight_loop_half *half = half_of(stream);
    bool was_ended = half->is_ended;
    bool is_woken = false;
    half->depth++;
    while (node != NULL) {
        struct fletch_inbox_node *next = node->next;
        if (take_wake(stream, node))
            is_woken = true;
        else if (take_listener(stream, node))
            (void)0;
        else if (!half->is_attached && !half->is_ended && !is_cancel(node))
            hold(stream, node);
        else if (!half->is_attached && !half->is_ended)
            fletch_flight_call_fail(stream, FLETCH_CANCELLED,
                                    "the call was cancelled on this side");
        else
            do_command(stream, node);
        node = next;
    }
    if (is_woken || half->is_ended != was_ended)
        happened(stream);
    leave(stream);
}

static void run(void *context)
{
    struct fletch_flight_stream *stream = context;
    struct fletch_inbox_list list;
    if (half_of(stream)->is_ended) {
        half_of(stream)->awaits_task = false;
        let_go(stream);
        return;
    }
    /* The release half gives the task to who finds the inbox empty after this. */
    (void)fetch_add_acq_rel(&stream->turns, 1);
    if (fletch_inbox_try_take(&stream->commands, &list) == FLETCH_DONE)
        do_commands(stream, list.first);
}

void fletch_flight_call_prepare(struct fletch_flight_stream *stream)
{
    stream->loop.task = (struct fletch_loop_task){.run = run, .context = stream};
    stream->loop.intake = (struct fletch_flight_intake){
        .memory = {stream->options.loop_cache, stream->options.account},
        .step_bytes = FLETCH_FLIGHT_STEP_BYTES,
    };
}

void fletch_flight_call_attach(struct fletch_flight_stream *stream, struct fletch_rpc_call *call)
{
    struct fletch_flight_loop_half *half = half_of(stream);
    struct fletch_flight_counters *counters = stream->options.counters;
    struct fletch_inbox_node *held = half->held;
    half->call = call;
    half->is_attached = true;
    half->held = NULL;
    if (counters != NULL) {
        count_one(&counters->calls); /* relaxed: written by this thread only, read as a number */
        count_one(&counters->calls_now); /* relaxed: the same */
    }
    do_commands(stream, held);
}

void fletch_flight_call_fail(struct fletch_flight_stream *stream, enum fletch_status status,
                             const char *text)
{
    half_of(stream)->depth++;
    if (stream->options.counters != NULL)
        count_one(&stream->options.counters->calls_now); /* relaxed: as in attach; `end` takes it */
    end(stream, status, text);
    happened(stream);
    leave(stream);
}

/* ---- what the call says ---- */

static void on_headers(void *context, struct fletch_rpc_call *call,
                       const struct fletch_grpc_metadata *metadata)
{
    struct fletch_flight_stream *stream = context;
    struct fletch_error error;
    (void)call;
    half_of(stream)->depth++;
    if (fletch_flight_headers_copy(metadata, &stream->allocator, &stream->answer, &error) !=
        FLETCH_OK)
        abandon(stream, error.status, error.message);
    else
        (void)tell(stream, &stream->answered);
    happened(stream);
    leave(stream);
}

static void on_message(void *context, struct fletch_rpc_call *call, struct fletch_buffer *buffer,
                       size_t bytes)
{
    struct fletch_flight_stream *stream = context;
    struct fletch_flight_loop_half *half = half_of(stream);
    struct fletch_flight_incoming *incoming = NULL;
    bool is_data = fletch_flight_peer_side(stream)->is_data;
    struct fletch_error error;
    enum fletch_status status = FLETCH_OK;
    (void)buffer; /* the reader has it */
    half->depth++;
    if (bytes == 0) /* of which the reader was not asked */
        status = fletch_flight_intake_begin(&half->intake, is_data, 0, &error);
    if (status == FLETCH_OK)
        status = fletch_flight_intake_take(&half->intake, is_data, &incoming, &error);
    if (status != FLETCH_OK) {
        fletch_flight_intake_drop(&half->intake);
        abandon(stream, status, error.message);
    } else if (!tell(stream, &incoming->node)) {
        fletch_flight_incoming_free(stream->options.loop_cache, incoming);
        fletch_rpc_call_take(call);
    }
    count(stream, bytes, 0);
    happened(stream);
    leave(stream);
}

static void on_half_closed(void *context, struct fletch_rpc_call *call)
{
    struct fletch_flight_stream *stream = context;
    (void)call;
    half_of(stream)->depth++;
    (void)tell(stream, &stream->half_closed);
    happened(stream);
    leave(stream);
}

static void on_ended(void *context, struct fletch_rpc_call *call, const struct fletch_rpc_end *told)
{
    struct fletch_flight_stream *stream = context;
    (void)call;
    half_of(stream)->depth++;
    /* Without memory for them there are none. */
    if (!stream->options.is_server)
        (void)fletch_flight_headers_copy(&told->metadata, &stream->allocator,
                                         &stream->ended.trailers, NULL);
    end(stream, told->status, told->text);
    happened(stream);
    leave(stream);
}

const struct fletch_rpc_handler fletch_flight_call_handler = {
    .headers = on_headers,
    .message = on_message,
    .half_closed = on_half_closed,
    .ended = on_ended,
};

/* ---- the reader ---- */

static struct fletch_flight_stream *stream_of(const struct fletch_grpc_call *grpc)
{
    return fletch_rpc_call_context(fletch_rpc_call_of(grpc));
}

static enum fletch_status begin_reading(void *context, struct fletch_grpc_call *grpc, size_t bytes,
                                        struct fletch_error *error)
{
    struct fletch_flight_stream *stream = stream_of(grpc);
    (void)context;
    enum fletch_status status = fletch_flight_intake_begin(
        &stream->loop.intake, fletch_flight_peer_side(stream)->is_data, bytes, error);
    if (status != FLETCH_OK)
        fletch_flight_intake_drop(&stream->loop.intake);
    return status;
}

static struct iovec place(void *context, struct fletch_grpc_call *grpc)
{
    (void)context;
    return fletch_flight_intake_place(&stream_of(grpc)->loop.intake);
}

static enum fletch_status filled(void *context, struct fletch_grpc_call *grpc, size_t bytes,
                                 struct fletch_error *error)
{
    (void)context;
    return fletch_flight_intake_filled(&stream_of(grpc)->loop.intake, bytes, error);
}

const struct fletch_grpc_reader fletch_flight_call_reader = {
    .begin = begin_reading, .place = place, .filled = filled};
