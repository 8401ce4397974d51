#include "grpc/grpc_incoming.h"

#include <stdio.h>

#include "base/checked.h"

/* What has to come of a message, unless that is its end, each time. */
enum { STEP_BYTES = 1024 };

static void set_step(struct fletch_grpc_call *call, uint64_t timeout_ns)
{
    struct fletch_grpc_connection *connection = call->connection;
    call->step_ns = fletch_saturating_add_u64(connection->now_ns, timeout_ns);
    if (call->step_ns < connection->deadline_ns)
        connection->deadline_ns = call->step_ns;
}

static void begin_step(struct fletch_grpc_call *call)
{
    call->step_filled = call->message_filled;
    call->is_late = false;
    set_step(call, call->connection->options.message_timeout_ns);
}

bool fletch_grpc_incoming_begin(struct fletch_grpc_call *call)
{
    struct fletch_grpc_connection *connection = call->connection;
    size_t limit = connection->options.unfinished_bytes;
    char text[FLETCH_GRPC_TEXT_BYTES];
    if (connection->unfinished_bytes != 0 &&
        (connection->unfinished_bytes > limit ||
         call->message_bytes > limit - connection->unfinished_bytes)) {
        (void)snprintf(text, sizeof text,
                       "a message of %zu bytes beside %zu of the connection that are under way, at "
                       "most %zu",
                       call->message_bytes, connection->unfinished_bytes, limit);
        connection->statistics.refused_messages++;
        fletch_grpc_call_fail(call, FLETCH_RESOURCE_EXHAUSTED, text);
        return false;
    }
    connection->unfinished_bytes += call->message_bytes;
    call->is_unfinished = true;
    begin_step(call);
    return true;
}

void fletch_grpc_incoming_end(struct fletch_grpc_call *call)
{
    if (!call->is_unfinished)
        return;
    call->is_unfinished = false;
    call->step_ns = UINT64_MAX;
    call->connection->unfinished_bytes -= call->message_bytes;
}

void fletch_grpc_incoming_check(struct fletch_grpc_call *call)
{
    char text[FLETCH_GRPC_TEXT_BYTES];
    /* While messages wait to be taken the peer may have no window: that is not its doing. */
    if (call->untaken != 0 || call->message_filled - call->step_filled >= STEP_BYTES) {
        begin_step(call);
        return;
    }
    /* A loop that was held up, or a clock that jumped, has perhaps not read what is there. */
    if (!call->is_late) {
        call->is_late = true;
        set_step(call, call->connection->options.message_timeout_ns / 8);
        return;
    }
    (void)snprintf(text, sizeof text, "a message comes too slowly: %zu of %zu bytes are there",
                   call->message_filled, call->message_bytes);
    call->connection->statistics.slow_messages++;
    fletch_grpc_call_fail(call, FLETCH_DEADLINE_EXCEEDED, text);
}
