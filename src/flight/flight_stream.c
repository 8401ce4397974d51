#include "flight/flight_stream.h"

#include <string.h>

#include "base/allocator.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/options.h"
#include "base/status.h"
#include "flight/flight_call.h"
#include "flight/flight_stream_facts.h"
#include "memory/batch.h"

/* The user's half of a stream. */

enum { CAUSE_BYTES = 128 };

/* ---- life ---- */

static void free_stream(struct fletch_shared *shared)
{
    struct fletch_flight_stream *stream = (struct fletch_flight_stream *)(void *)shared;
    fletch_flight_headers_free(&stream->user.came);
    fletch_flight_headers_free(&stream->answer);
    fletch_flight_headers_free(&stream->ended.trailers);
    fletch_field_list_deinit(&stream->headers);
    fletch_field_list_deinit(&stream->trailers);
    fletch_eventcount_deinit(&stream->waiting);
    if (stream->user.identity != NULL)
        fletch_block_release(stream->user.identity);
    fletch_block_release(stream);
}

static void init(struct fletch_flight_stream *stream,
                 const struct fletch_flight_stream_options *options)
{
    *stream = (struct fletch_flight_stream){
        .options = *options,
        .allocator = fletch_allocator_or_default(options->allocator),
        .half_closed.kind = FLETCH_FLIGHT_NODE_END,
        .end.kind = FLETCH_FLIGHT_NODE_END,
        .answered.kind = FLETCH_FLIGHT_NODE_HEADERS,
        .wake.kind = FLETCH_FLIGHT_NODE_WAKE,
        .listen.kind = FLETCH_FLIGHT_NODE_LISTEN,
        .cancel.kind = FLETCH_FLIGHT_NODE_CANCEL,
        .close.kind = FLETCH_FLIGHT_NODE_CLOSE,
        .finish.node.kind = FLETCH_FLIGHT_NODE_FINISH,
        .user.deadline_ns = FLETCH_NO_DEADLINE,
    };
    stream->options.allocator = &stream->allocator;
    if (options->write_queue_bytes == 0)
        stream->options.write_queue_bytes = FLETCH_FLIGHT_WRITE_QUEUE_BYTES;
    fletch_shared_init(&stream->shared, free_stream);
    fletch_shared_acquire(&stream->shared);
    store_relaxed(&stream->messages.head, NULL);    /* relaxed: nobody else knows the stream yet */
    store_relaxed(&stream->commands.head, NULL);    /* relaxed: the same */
    fletch_eventcount_start_full(&stream->waiting); /* a call is too short to ask the system */
    fletch_field_list_init(&stream->headers, &stream->allocator);
    fletch_field_list_init(&stream->trailers, &stream->allocator);
    fletch_flight_call_prepare(stream);
}

static void set_cache(struct fletch_flight_stream *stream, struct fletch_buffer_cache *cache)
{
    const struct fletch_flight_memory memory = {cache, stream->options.account};
    stream->user.cache = cache;
    stream->user.reader.memory = memory;
    stream->user.reader.allocator = &stream->allocator;
    stream->user.reader.validation = stream->options.validation;
    stream->user.writer.memory = memory;
    stream->user.writer.allocator = &stream->allocator;
}

enum fletch_status fletch_flight_stream_create(const struct fletch_flight_stream_options *options,
                                               struct fletch_buffer_cache *cache,
                                               struct fletch_flight_stream **out_stream,
                                               struct fletch_error *error)
{
    struct fletch_flight_stream *stream = fletch_block_allocate(options->allocator, sizeof *stream);
    if (stream == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a stream of %zu bytes", sizeof *stream);
    init(stream, options);
    fletch_flight_stream_use(stream, cache);
    *out_stream = stream;
    return FLETCH_OK;
}

void fletch_flight_stream_use(struct fletch_flight_stream *stream,
                              struct fletch_buffer_cache *cache)
{
    fletch_wait_history_copy(&stream->user.history, &stream->options.waits->history);
    set_cache(stream, cache);
}

struct fletch_flight_stream *fletch_flight_stream_acquire(struct fletch_flight_stream *stream)
{
    fletch_shared_acquire(&stream->shared);
    return stream;
}

void fletch_flight_stream_release(struct fletch_flight_stream *stream)
{
    fletch_shared_release(&stream->shared);
}

/* ---- commands ---- */

bool fletch_flight_stream_command(struct fletch_flight_stream *stream,
                                  struct fletch_inbox_node *first)
{
    bool is_one = first->next == NULL;
    bool was_empty = false;
    enum fletch_answer answer = is_one
                                    ? fletch_inbox_push(&stream->commands, first, &was_empty)
                                    : fletch_inbox_push_list(&stream->commands, first, &was_empty);
    if (answer != FLETCH_DONE) {
        /* A node that was refused may lead to one that was in the inbox, which is the loop's. */
        if (is_one)
            first->next = NULL;
        return false;
    }
    if (!was_empty)
        return true;
    /* The acquire half takes the task from the loop, which has emptied the inbox since. */
    (void)fetch_add_acq_rel(&stream->turns, 1);
    fletch_event_loop_post(stream->options.loop, &stream->loop.task);
    return true;
}

static bool command_once(struct fletch_flight_stream *stream, struct fletch_flight_node *node,
                         _Atomic uint32_t *flag)
{
    /* The acquire half takes the node from whoever had it last. */
    if (exchange_acq_rel(flag, 1) != 0)
        return false;
    node->link.next = NULL;
    return fletch_flight_stream_command(stream, &node->link);
}

void fletch_flight_stream_wake(struct fletch_flight_stream *stream)
{
    (void)command_once(stream, &stream->wake, &stream->is_woken);
}

void fletch_flight_stream_listen(struct fletch_flight_stream *stream,
                                 struct fletch_eventcount *listener)
{
    stream->listener = listener;
    stream->listen.link.next = NULL;
    /* Where the call is over, all that it had to tell is here. */
    if (!fletch_flight_stream_command(stream, &stream->listen.link))
        fletch_eventcount_notify(listener, UINT32_MAX);
}

void fletch_flight_stream_cancel(struct fletch_flight_stream *stream)
{
    (void)command_once(stream, &stream->cancel, &stream->is_cancelled);
}

bool fletch_flight_stream_is_over(const struct fletch_flight_stream *stream)
{
    /* relaxed: a hint; what it is about comes by the inbox */
    return load_relaxed(&stream->is_over) != 0;
}

/* ---- messages that came ---- */

/* Messages that were read go back in one list. */
static void give_back_all(struct fletch_flight_stream *stream)
{
    struct fletch_flight_chain *read = &stream->user.read;
    struct fletch_inbox_node *node = read->first;
    *read = (struct fletch_flight_chain){0};
    if (node == NULL || fletch_flight_stream_command(stream, node))
        return;
    while (node != NULL) {
        struct fletch_inbox_node *next = node->next;
        fletch_flight_incoming_free(stream->user.cache,
                                    (struct fletch_flight_incoming *)(void *)node);
        node = next;
    }
}

void fletch_flight_stream_give_back(struct fletch_flight_stream *stream,
                                    struct fletch_flight_incoming *incoming)
{
    struct fletch_flight_chain *read = &stream->user.read;
    struct fletch_inbox_node *node = &incoming->node.link;
    node->next = NULL;
    if (read->first == NULL)
        read->first = node;
    else
        read->last->next = node;
    read->last = node;
    if (stream->user.next == NULL)
        give_back_all(stream);
}

/* Takes what has come, behind what was taken before. */
static void take_all(struct fletch_flight_stream *stream)
{
    struct fletch_inbox_list list;
    struct fletch_inbox_node **end = &stream->user.next;
    if (fletch_inbox_try_take(&stream->messages, &list) != FLETCH_DONE)
        return;
    while (*end != NULL)
        end = &(*end)->next;
    *end = list.first;
}

/* Whether `ended` can be read: its node is here. */
static bool sees_end(struct fletch_flight_stream *stream)
{
    struct fletch_inbox_node *node;
    if (!stream->user.has_end)
        take_all(stream);
    for (node = stream->user.next; node != NULL; node = node->next)
        if (node == &stream->end.link)
            stream->user.has_end = true;
    return stream->user.has_end;
}

/* The next message, behind what else was told. NULL: there is none here. */
static struct fletch_flight_incoming *next_message(struct fletch_flight_stream *stream)
{
    struct fletch_flight_user_half *user = &stream->user;
    if (user->next == NULL)
        take_all(stream);
    while (user->next != NULL) {
        struct fletch_flight_node *node = (struct fletch_flight_node *)(void *)user->next;
        user->next = node->link.next;
        if (node->kind == FLETCH_FLIGHT_NODE_INCOMING)
            return (struct fletch_flight_incoming *)(void *)node;
        if (node->kind == FLETCH_FLIGHT_NODE_HEADERS)
            user->has_answer = true;
        else if (node == &stream->half_closed)
            user->is_half_closed = true;
        else
            user->has_end = user->is_at_end = true;
    }
    return NULL;
}

/* Whether a server has ended well, and owes the client a schema. */
static bool lacks_schema(const struct fletch_flight_stream *stream)
{
    return !stream->options.is_server && fletch_flight_peer_side(stream)->has_schema &&
           fletch_flight_reader_schema(&stream->user.reader) == NULL &&
           stream->ended.status == FLETCH_OK;
}

/* What there is to say where no message will come. */
static enum fletch_answer tell_end(const struct fletch_flight_stream *stream,
                                   struct fletch_error *error)
{
    const struct fletch_flight_user_half *user = &stream->user;
    if (!user->is_half_closed && !user->is_at_end)
        return FLETCH_EMPTY;
    if (!user->is_half_closed && lacks_schema(stream))
        (void)fletch_error_set(error, FLETCH_INTERNAL, "%s ended without a schema",
                               stream->options.method->name);
    else if (user->is_half_closed || stream->ended.status == FLETCH_OK)
        (void)fletch_error_set(error, FLETCH_OK, "%s", "");
    else
        (void)fletch_error_set(error, stream->ended.status, "%s", fletch_flight_ended_text(stream));
    return FLETCH_CLOSED;
}

/* ---- waiting ---- */

struct attempt {
    struct fletch_flight_stream *stream;
    struct fletch_flight_incoming *incoming;
};

static enum fletch_answer attempt_take(void *call)
{
    struct attempt *attempt = call;
    attempt->incoming = next_message(attempt->stream);
    return attempt->incoming != NULL ? FLETCH_DONE : tell_end(attempt->stream, NULL);
}

static enum fletch_answer attempt_room(void *call)
{
    const struct fletch_flight_stream *stream = ((struct attempt *)call)->stream;
    /* relaxed: a number */
    uint64_t unsent = load_relaxed(&stream->unsent);
    /* Not before its end can be read: whoever writes is told how. */
    if (load_acquire(&stream->is_over) == FLETCH_FLIGHT_END_TOLD)
        return FLETCH_CLOSED;
    return fletch_flight_fills(stream, unsent, 1) ? FLETCH_FULL : FLETCH_DONE;
}

static enum fletch_answer attempt_answer(void *call)
{
    struct fletch_flight_stream *stream = ((struct attempt *)call)->stream;
    take_all(stream);
    for (struct fletch_inbox_node *node = stream->user.next; node != NULL; node = node->next)
        if (node == &stream->answered.link || node == &stream->end.link)
            return FLETCH_DONE;
    return stream->user.has_answer || stream->user.has_end ? FLETCH_DONE : FLETCH_EMPTY;
}

static enum fletch_answer wait_for(struct attempt *attempt, fletch_wait_attempt *try,
                                   uint64_t timeout_ns)
{
    const struct fletch_wait wait = {
        .policy = &attempt->stream->options.waits->policy,
        .history = &attempt->stream->user.history,
        .eventcount = &attempt->stream->waiting,
        .attempt = try,
        .call = attempt,
    };
    enum fletch_answer answer = try(attempt);
    if (answer == FLETCH_DONE || answer == FLETCH_CLOSED || timeout_ns == 0)
        return answer;
    return fletch_wait_for(&wait, timeout_ns);
}

enum fletch_answer fletch_flight_stream_take(struct fletch_flight_stream *stream,
                                             uint64_t timeout_ns,
                                             struct fletch_flight_incoming **out_incoming,
                                             struct fletch_error *error)
{
    struct attempt attempt = {.stream = stream};
    enum fletch_answer answer = wait_for(&attempt, attempt_take, timeout_ns);
    if (answer == FLETCH_DONE)
        *out_incoming = attempt.incoming;
    else if (answer == FLETCH_CLOSED)
        (void)tell_end(stream, error);
    return answer;
}

enum fletch_answer fletch_flight_stream_wait_answer(struct fletch_flight_stream *stream,
                                                    uint64_t timeout_ns)
{
    struct attempt attempt = {.stream = stream};
    return wait_for(&attempt, attempt_answer, timeout_ns);
}

enum fletch_status fletch_flight_stream_open_fd(struct fletch_flight_stream *stream, int *out_fd,
                                                struct fletch_error *error)
{
    return fletch_eventcount_open_fd(&stream->waiting, out_fd, error);
}

bool fletch_flight_stream_arm(struct fletch_flight_stream *stream)
{
    struct attempt attempt = {.stream = stream};
    stream->user.armed_key = fletch_eventcount_arm(&stream->waiting);
    take_all(stream);
    /* Who waits for room has found none: that there is some, is news. */
    bool has_room = stream->user.found_full && attempt_room(&attempt) != FLETCH_FULL;
    if (stream->user.next == NULL && !has_room && !fletch_flight_stream_is_over(stream))
        return true;
    fletch_eventcount_disarm(&stream->waiting, stream->user.armed_key);
    return false;
}

void fletch_flight_stream_disarm(struct fletch_flight_stream *stream)
{
    fletch_eventcount_disarm(&stream->waiting, stream->user.armed_key);
}

/* ---- reading ---- */

static enum fletch_answer refuse_side(const struct fletch_flight_stream *stream, const char *what,
                                      struct fletch_error *error)
{
    (void)fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "%s: %s, not here",
                           stream->options.method->name, what);
    return FLETCH_CLOSED;
}

/* Reads on until there is an item (DONE), or `wants_schema` and there is one. */
static enum fletch_answer read_on(struct fletch_flight_stream *stream, uint64_t timeout_ns,
                                  bool wants_schema, struct fletch_error *error)
{
    struct fletch_flight_user_half *user = &stream->user;
    uint64_t deadline_ns = fletch_clock_deadline_ns(timeout_ns);
    while (!user->has_item) {
        struct fletch_flight_incoming *incoming = NULL;
        if (user->failure.status != FLETCH_OK) {
            (void)fletch_error_set(error, user->failure.status, "%s", user->failure.message);
            return FLETCH_CLOSED;
        }
        if (wants_schema && fletch_flight_reader_schema(&user->reader) != NULL)
            return FLETCH_DONE;
        enum fletch_answer answer = fletch_flight_stream_take(stream, timeout_ns, &incoming, error);
        if (answer != FLETCH_DONE)
            return answer;
        (void)fletch_flight_reader_take(&user->reader, incoming, &user->item, &user->failure);
        fletch_flight_stream_give_back(stream, incoming);
        user->has_item = user->failure.status == FLETCH_OK && !user->item.is_nothing;
        timeout_ns = fletch_clock_remaining_ns(deadline_ns);
    }
    return FLETCH_DONE;
}

enum fletch_answer fletch_flight_stream_read(struct fletch_flight_stream *stream,
                                             uint64_t timeout_ns,
                                             struct fletch_flight_data *out_data,
                                             struct fletch_error *error)
{
    if (!fletch_flight_peer_side(stream)->is_data)
        return refuse_side(stream, "no record batches are read", error);
    enum fletch_answer answer = read_on(stream, timeout_ns, false, error);
    if (answer != FLETCH_DONE)
        return answer;
    stream->user.has_item = false;
    *out_data =
        (struct fletch_flight_data){stream->user.item.batch, stream->user.item.app_metadata};
    return FLETCH_DONE;
}

enum fletch_answer fletch_flight_stream_schema(struct fletch_flight_stream *stream,
                                               uint64_t timeout_ns,
                                               struct fletch_schema **out_schema,
                                               struct fletch_error *error)
{
    struct fletch_flight_user_half *user = &stream->user;
    enum fletch_answer answer = FLETCH_DONE;
    if (!fletch_flight_peer_side(stream)->is_data)
        return refuse_side(stream, "no record batches are read", error);
    if (fletch_flight_reader_schema(&user->reader) == NULL)
        answer = read_on(stream, timeout_ns, true, error);
    if (answer != FLETCH_DONE)
        return answer;
    struct fletch_schema *schema = fletch_flight_reader_schema(&user->reader);
    if (schema == NULL) {
        (void)fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                               "app metadata came before the schema, and is to be read first");
        return FLETCH_CLOSED;
    }
    *out_schema = schema;
    return FLETCH_DONE;
}

const struct fletch_flight_descriptor *
fletch_flight_stream_descriptor(const struct fletch_flight_stream *stream)
{
    static const struct fletch_flight_descriptor absent = {0};
    const struct fletch_flight_descriptor *descriptor = stream->user.reader.descriptor;
    return descriptor == NULL ? &absent : descriptor;
}

enum fletch_answer fletch_flight_stream_receive(struct fletch_flight_stream *stream,
                                                enum fletch_flight_message kind,
                                                uint64_t timeout_ns, const void **out_message,
                                                struct fletch_error *error)
{
    const struct fletch_flight_side *side = fletch_flight_peer_side(stream);
    struct fletch_flight_incoming *incoming = NULL;
    if (side->is_data || side->kind != kind)
        return refuse_side(stream, "no such message is received", error);
    enum fletch_answer answer = fletch_flight_stream_take(stream, timeout_ns, &incoming, error);
    if (answer != FLETCH_DONE)
        return answer;
    enum fletch_status status = fletch_flight_decode(
        kind, incoming->heads[FLETCH_FLIGHT_HEAD_HEADER], &stream->allocator, out_message, error);
    fletch_flight_stream_give_back(stream, incoming);
    return status == FLETCH_OK ? FLETCH_DONE : FLETCH_CLOSED;
}

/* ---- writing ---- */

static enum fletch_answer tell_over(struct fletch_flight_stream *stream, struct fletch_error *error)
{
    if (stream->user.is_finished)
        (void)fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                               "this side of the call has ended");
    else if (!sees_end(stream))
        (void)fletch_error_set(error, FLETCH_UNAVAILABLE, "the call has ended");
    else
        (void)fletch_error_set(error, stream->ended.status, "%s", fletch_flight_ended_text(stream));
    return FLETCH_CLOSED;
}

/* Hands the messages over. */
static enum fletch_answer push(struct fletch_flight_stream *stream,
                               struct fletch_flight_chain *chain, struct fletch_error *error)
{
    uint64_t unsent = fletch_flight_unsent(chain->count, chain->bytes);
    /* relaxed: a number; the inbox carries the messages */
    (void)fetch_add_relaxed(&stream->unsent, unsent);
    stream->user.has_written = true;
    if (fletch_flight_stream_command(stream, chain->first))
        return FLETCH_DONE;
    /* relaxed: a number */
    (void)fetch_sub_relaxed(&stream->unsent, unsent);
    fletch_flight_chain_free(stream->user.cache, chain);
    return tell_over(stream, error);
}

static enum fletch_answer wait_room(struct fletch_flight_stream *stream, uint64_t timeout_ns,
                                    struct fletch_error *error)
{
    struct attempt attempt = {.stream = stream};
    if (stream->user.is_finished)
        return tell_over(stream, error);
    enum fletch_answer answer = wait_for(&attempt, attempt_room, timeout_ns);
    stream->user.found_full = answer == FLETCH_FULL;
    return answer == FLETCH_CLOSED ? tell_over(stream, error) : answer;
}

enum fletch_answer fletch_flight_stream_room(struct fletch_flight_stream *stream)
{
    return wait_room(stream, 0, NULL);
}

void fletch_flight_stream_know_peer(struct fletch_flight_stream *stream)
{
    stream->options.peer_reads_deltas = true;
    stream->user.sends_whole = true;
}

static enum fletch_codec codec_of(enum fletch_ipc_compression compression)
{
    return compression == FLETCH_IPC_COMPRESSION_LZ4    ? FLETCH_CODEC_LZ4_FRAME
           : compression == FLETCH_IPC_COMPRESSION_ZSTD ? FLETCH_CODEC_ZSTD
                                                        : FLETCH_CODEC_NONE;
}

/* What the peer takes, as far as it is known, and no more than is good for anybody. */
static size_t message_limit(const struct fletch_flight_stream *stream,
                            const struct fletch_flight_write_options *options)
{
    size_t most =
        stream->user.sends_whole ? INT32_MAX : FLETCH_FLIGHT_SPLIT_BYTES + FLETCH_FLIGHT_HEAD_ROOM;
    size_t limit = options->message_limit_bytes != 0 ? options->message_limit_bytes
                                                     : stream->options.peer_message_bytes;
    return limit < most ? limit : most;
}

static enum fletch_status check_options(const struct fletch_flight_write_options *options,
                                        struct fletch_flight_write_options *known,
                                        struct fletch_error *error)
{
    *known = (struct fletch_flight_write_options){0};
    if (options == NULL)
        return FLETCH_OK;
    enum fletch_status status =
        fletch_options_copy(known, sizeof *known, options, sizeof *known, error);
    if (status == FLETCH_OK && (unsigned)known->compression > FLETCH_IPC_COMPRESSION_ZSTD)
        status = fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                  "option compression is %d, expected 0 to %d",
                                  (int)known->compression, FLETCH_IPC_COMPRESSION_ZSTD);
    return status;
}

enum fletch_status fletch_flight_stream_begin(struct fletch_flight_stream *stream,
                                              struct fletch_schema *schema,
                                              const struct fletch_flight_write_options *options,
                                              struct fletch_error *error)
{
    struct fletch_flight_write_options known;
    struct fletch_flight_chain chain = {0};
    struct fletch_error cause;
    if (!fletch_flight_own_side(stream)->is_data || stream->user.writer.encoder != NULL)
        return fletch_error_set(
            error, FLETCH_FAILED_PRECONDITION, "%s: %s", stream->options.method->name,
            fletch_flight_own_side(stream)->is_data ? "the schema was sent already"
                                                    : "no record batches are written here");
    enum fletch_status status = check_options(options, &known, error);
    if (status != FLETCH_OK)
        return status;
    const struct fletch_flight_writing writing = {
        .schema = schema,
        .descriptor = known.descriptor,
        .codec = codec_of(known.compression),
        .forbids_deltas =
            known.deltas == FLETCH_IPC_DELTAS_OFF || !stream->options.peer_reads_deltas,
        .message_limit_bytes = message_limit(stream, &known),
    };
    if (stream->user.is_finished)
        (void)tell_over(stream, &cause);
    else if (fletch_flight_writer_begin(&stream->user.writer, &writing, &chain, &cause) ==
                 FLETCH_OK &&
             push(stream, &chain, &cause) == FLETCH_DONE) {
        stream->user.has_begun = true;
        return FLETCH_OK;
    }
    return fletch_error_set(error, cause.status == FLETCH_OK ? FLETCH_UNAVAILABLE : cause.status,
                            "%s", cause.message);
}

enum fletch_answer fletch_flight_stream_write(struct fletch_flight_stream *stream,
                                              uint64_t timeout_ns,
                                              const struct fletch_flight_output *output,
                                              struct fletch_error *error)
{
    struct fletch_flight_chain chain = {0};
    if (!fletch_flight_own_side(stream)->is_data)
        return refuse_side(stream, "no record batches are written", error);
    if (fletch_flight_own_side(stream)->has_schema && !stream->user.has_begun) {
        (void)fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                               "%s: data before the stream was begun with its schema",
                               stream->options.method->name);
        return FLETCH_CLOSED;
    }
    enum fletch_answer answer = wait_room(stream, timeout_ns, error);
    if (answer != FLETCH_DONE)
        return answer;
    if (fletch_flight_writer_write(&stream->user.writer, output, &chain, error) != FLETCH_OK)
        return FLETCH_CLOSED;
    return push(stream, &chain, error);
}

enum fletch_answer fletch_flight_stream_send(struct fletch_flight_stream *stream,
                                             enum fletch_flight_message kind, const void *message,
                                             uint64_t timeout_ns, struct fletch_error *error)
{
    const struct fletch_flight_side *side = fletch_flight_own_side(stream);
    const struct fletch_flight_memory memory = {stream->user.cache, stream->options.account};
    struct fletch_flight_outgoing *outgoing = NULL;
    struct fletch_flight_chain chain = {0};
    if (side->is_data || side->kind != kind)
        return refuse_side(stream, "no such message is sent", error);
    if (side->is_one && stream->user.has_written)
        return refuse_side(stream, "a second message is sent", error);
    enum fletch_answer answer = wait_room(stream, timeout_ns, error);
    if (answer != FLETCH_DONE)
        return answer;
    if (fletch_flight_outgoing_message(&memory, fletch_flight_shape_of(kind), message, &outgoing,
                                       error) != FLETCH_OK)
        return FLETCH_CLOSED;
    fletch_flight_chain_add(&chain, outgoing);
    return push(stream, &chain, error);
}

/* ---- ends ---- */

/* The last word in a block of its own; without memory a shorter one that lies in the stream. */
static struct fletch_flight_finish *make_finish(struct fletch_flight_stream *stream,
                                                const struct fletch_flight_end *end)
{
    char text[FLETCH_FLIGHT_TEXT_BYTES];
    struct fletch_buffer *block;
    bool has_detail =
        end->status != FLETCH_OK && end->detail.bytes <= FLETCH_FLIGHT_DETAIL_BYTES_MOST;
    size_t detail_bytes = has_detail ? end->detail.bytes : 0;
    fletch_flight_status_text(end->status, end->text == NULL ? "" : end->text, text);
    size_t text_bytes = strlen(text) + 1;
    size_t bytes = text_bytes + detail_bytes;
    if (detail_bytes != 0)
        bytes += bytes + FLETCH_FLIGHT_DETAIL_COST;
    if (fletch_buffer_allocate(stream->user.cache, sizeof(struct fletch_flight_finish) + bytes,
                               stream->options.account, &block, NULL) != FLETCH_OK) {
        stream->finish.status = end->status;
        stream->finish.text = fletch_status_name(end->status);
        return &stream->finish;
    }
    struct fletch_flight_finish *finish = (void *)fletch_buffer_mutable_data(block);
    uint8_t *to = (uint8_t *)(finish + 1);
    memcpy(to, text, text_bytes);
    if (detail_bytes != 0)
        memcpy(to + text_bytes, end->detail.data, detail_bytes);
    *finish = (struct fletch_flight_finish){
        .node.kind = FLETCH_FLIGHT_NODE_FINISH,
        .block = block,
        .status = end->status,
        .text = (const char *)to,
        .detail = {to + text_bytes, detail_bytes},
    };
    if (detail_bytes == 0)
        return finish;
    uint8_t *status = to + text_bytes + detail_bytes;
    finish->detail_status = (struct fletch_flight_bytes){
        status, fletch_flight_detail_write(end->status, text, &finish->detail, status)};
    return finish;
}

/* What a method owes its client, whatever its handler says; NULL: nothing. */
static const char *owed(const struct fletch_flight_stream *stream)
{
    const struct fletch_flight_side *side = fletch_flight_own_side(stream);
    if (side->has_schema && !stream->user.has_begun)
        return "a schema";
    return side->is_one && !stream->user.has_written ? "an answer" : NULL;
}

enum fletch_status fletch_flight_stream_finish(struct fletch_flight_stream *stream,
                                               const struct fletch_flight_end *end,
                                               struct fletch_error *error)
{
    struct fletch_error lack = {.status = FLETCH_OK};
    struct fletch_flight_end instead = {.status = FLETCH_INTERNAL, .text = lack.message};
    if (!stream->options.is_server || stream->user.is_finished)
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION,
                                "the call was finished already, or is a client's");
    if (end->status == FLETCH_OK && owed(stream) != NULL) {
        (void)fletch_error_set(&lack, FLETCH_INTERNAL, "%s ended without %s",
                               stream->options.method->name, owed(stream));
        end = &instead;
    }
    struct fletch_flight_finish *finish = make_finish(stream, end);
    struct fletch_buffer *block = finish->block;
    finish->node.link.next = NULL;
    stream->user.is_finished = true;
    if (!fletch_flight_stream_command(stream, &finish->node.link)) {
        fletch_buffer_release(stream->user.cache, block);
        return fletch_error_set(error, FLETCH_FAILED_PRECONDITION, "the call has ended");
    }
    if (block == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for a status' text");
    if (lack.status != FLETCH_OK)
        return fletch_error_set(error, lack.status, "%s", lack.message);
    return FLETCH_OK;
}

void fletch_flight_stream_done_writing(struct fletch_flight_stream *stream)
{
    if (stream->options.is_server || stream->user.is_finished)
        return;
    stream->user.is_finished = true;
    stream->finish.node.link.next = NULL;
    (void)fletch_flight_stream_command(stream, &stream->finish.node.link);
}

enum fletch_answer fletch_flight_stream_end(struct fletch_flight_stream *stream,
                                            uint64_t timeout_ns, struct fletch_flight_end *out_end,
                                            struct fletch_error *error)
{
    uint64_t deadline_ns = fletch_clock_deadline_ns(timeout_ns);
    struct fletch_flight_incoming *incoming = NULL;
    if (stream->options.is_server)
        return refuse_side(stream, "a server knows its own status", error);
    enum fletch_answer answer = FLETCH_DONE;
    while (answer == FLETCH_DONE) {
        answer = fletch_flight_stream_take(stream, fletch_clock_remaining_ns(deadline_ns),
                                           &incoming, NULL);
        if (answer == FLETCH_DONE)
            fletch_flight_stream_give_back(stream, incoming);
    }
    if (answer != FLETCH_CLOSED)
        return answer;
    *out_end = (struct fletch_flight_end){stream->ended.status, stream->ended.text, {NULL, 0}};
    fletch_flight_status_read(&stream->ended.trailers, &out_end->status, &out_end->text,
                              &out_end->detail);
    return FLETCH_DONE;
}

static void drop_messages(struct fletch_flight_stream *stream, struct fletch_inbox_node *node)
{
    while (node != NULL) {
        struct fletch_inbox_node *next = node->next;
        if (((struct fletch_flight_node *)(void *)node)->kind == FLETCH_FLIGHT_NODE_INCOMING)
            fletch_flight_stream_give_back(stream, (struct fletch_flight_incoming *)(void *)node);
        node = next;
    }
}

void fletch_flight_stream_leave(struct fletch_flight_stream *stream)
{
    struct fletch_flight_user_half *user = &stream->user;
    struct fletch_inbox_list list;
    struct fletch_inbox_node *next = user->next;
    user->next = NULL;
    fletch_inbox_close(&stream->messages, &list);
    drop_messages(stream, next);
    drop_messages(stream, list.first);
    give_back_all(stream);
    if (user->has_item)
        fletch_batch_release(user->cache, user->item.batch);
    fletch_wait_history_copy(&stream->options.waits->history, &user->history);
    fletch_flight_reader_end(&user->reader);
    fletch_flight_writer_end(&user->writer);
    stream->close.link.next = NULL;
    (void)fletch_flight_stream_command(stream, &stream->close.link);
    if (stream->options.left != NULL)
        stream->options.left(stream->options.context, user->cache);
    fletch_shared_release(&stream->shared);
}

void fletch_flight_stream_close(struct fletch_flight_stream *stream)
{
    if (stream != NULL)
        fletch_flight_stream_leave(stream);
}
