#include "pump/pump_session.h"

#include <stdio.h>
#include <string.h>

#include "base/allocator.h"
#include "base/clock.h"
#include "base/status.h"
#include "memory/batch.h"
#include "pump/pump_greeting.h"
#include "shuffle/registry.h"

/* So many messages each way before others have their turn. */
enum { MESSAGES_MOST = 256 };

/* When to look again for memory that was not there. */
#define SHORT_NS UINT64_C(2000000)

static bool is_sender(const struct fletch_pump_session *session)
{
    return session->role == FLETCH_ROLE_SENDER;
}

static void wait_until(uint64_t *deadline_ns, uint64_t other_ns)
{
    if (other_ns < *deadline_ns)
        *deadline_ns = other_ns;
}

static uint64_t after(uint64_t now_ns, uint64_t time_ns)
{
    return time_ns < UINT64_MAX - now_ns ? now_ns + time_ns : FLETCH_NO_DEADLINE;
}

/* ---- life ---- */

static enum fletch_status open_outlet(struct fletch_pump_session *session,
                                      const uint32_t *partitions, uint32_t count,
                                      struct fletch_error *error)
{
    const struct fletch_outlet_options options = {
        .partitions = partitions, .partition_count = count, .sleeper = session->ends.sleeper};
    return fletch_outlet_open(session->shuffle, &options, &session->ends.outlet, error);
}

static enum fletch_status init_role(struct fletch_pump_session *session,
                                    const struct fletch_session_options *options,
                                    struct fletch_error *error)
{
    const struct fletch_shuffle_specification *known = &session->shuffle->specification;
    const struct fletch_allocator *allocator = &session->rules->allocator;
    struct fletch_pump_source source = fletch_pump_ends_source(&session->ends);
    const struct fletch_pump_receiver_options receiver = {
        .sink = fletch_pump_ends_sink(&session->ends),
        .producer_limit = known->producer_limit,
        .partition_count = known->partitioner.partition_count,
        .eager_bytes = session->rules->eager_bytes,
        .allocator = allocator};
    if (!is_sender(session))
        return fletch_pump_receiver_init(&session->receiver, &receiver, error);
    enum fletch_status status =
        fletch_pump_sender_init(&session->sender, &source, known->producer_limit, allocator, error);
    if (status != FLETCH_OK || options->partition_count == 0)
        return status;
    return open_outlet(session, options->partitions, options->partition_count, error);
}

static bool add_partitions(struct fletch_pump_session *session, const uint32_t *partitions,
                           uint32_t count)
{
    size_t bytes = ((size_t)session->partition_count + count) * sizeof *partitions;
    uint32_t *both = fletch_block_allocate(&session->rules->allocator, bytes);
    if (both == NULL)
        return false;
    if (session->partition_count != 0)
        memcpy(both, session->partitions, session->partition_count * sizeof *partitions);
    memcpy(both + session->partition_count, partitions, count * sizeof *partitions);
    if (session->partitions != NULL)
        fletch_block_release(session->partitions);
    session->partitions = both;
    session->partition_count += count;
    return true;
}

/* Processes that lost the same peer at once do not come back all at once. */
static uint64_t jitter_of(const struct fletch_session_options *options)
{
    uint64_t seed;
    memcpy(&seed, options->rules->incarnation.bytes, sizeof seed);
    return seed ^ options->number;
}

enum fletch_status fletch_session_create(const struct fletch_session_options *options,
                                         struct fletch_pump_session **out_session,
                                         struct fletch_error *error)
{
    struct fletch_pump_session *session =
        fletch_block_allocate(&options->rules->allocator, sizeof *session);
    if (session == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a session of %zu bytes", sizeof *session);
    memset(session, 0, sizeof *session);
    session->news.kind = FLETCH_NEWS_SESSION;
    session->rules = options->rules;
    session->shuffle = fletch_shuffle_acquire(options->shuffle);
    session->role = options->role;
    session->dials = options->address != NULL;
    session->number = options->number;
    session->ends.shuffle = session->shuffle;
    session->ends.sleeper = options->sleeper;
    session->link.schema = session->shuffle->specification.schema;
    session->link.compression = options->rules->compression;
    session->link.is_server = !session->dials;
    if (session->dials)
        (void)snprintf(session->address, sizeof session->address, "%s", options->address);
    fletch_backoff_start(&session->backoff, options->rules->backoff_first_ns,
                         options->rules->backoff_most_ns, jitter_of(options));
    enum fletch_status status = init_role(session, options, error);
    if (status == FLETCH_OK && !is_sender(session) && options->partition_count != 0) {
        if (!add_partitions(session, options->partitions, options->partition_count))
            status = fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                      "no memory for a list of partitions");
        session->ends.partitions = session->partitions;
        session->ends.partition_count = session->partition_count;
    }
    if (status != FLETCH_OK) {
        fletch_session_destroy(session);
        return status;
    }
    *out_session = session;
    return FLETCH_OK;
}

void fletch_session_destroy(struct fletch_pump_session *session)
{
    if (session == NULL)
        return;
    fletch_pump_link_drop(&session->link, session->ends.cache);
    if (is_sender(session)) {
        fletch_pump_sender_deinit(&session->sender);
        fletch_outlet_close(session->ends.outlet);
    } else {
        fletch_pump_receiver_deinit(&session->receiver);
    }
    if (session->partitions != NULL)
        fletch_block_release(session->partitions);
    fletch_shuffle_release(session->shuffle);
    fletch_block_release(session);
}

/* ---- connections that come and go ---- */

static void cut(struct fletch_pump_session *session, uint64_t now_ns)
{
    const struct fletch_session_rules *rules = session->rules;
    fletch_pump_link_drop(&session->link, session->ends.cache);
    if (is_sender(session))
        fletch_pump_sender_cut(&session->sender);
    else
        fletch_pump_receiver_cut(&session->receiver);
    if (is_sender(session) && session->ends.outlet == NULL)
        session->partition_count = 0; /* the other side begins its list anew */
    if (session->phase == FLETCH_SESSION_RUNNING)
        session->deadline_ns = after(now_ns, rules->grace_ns);
    session->phase = FLETCH_SESSION_WAITING;
    session->attempt_ns = after(now_ns, fletch_backoff_next_ns(&session->backoff));
}

/* Everything is said: the stream ends. */
static void leave(struct fletch_pump_session *session, uint64_t now_ns)
{
    fletch_pump_link_finish(&session->link, session->failure.status, session->failure.message);
    session->phase = FLETCH_SESSION_LEAVING;
    session->deadline_ns = after(now_ns, session->rules->leave_ns);
    if (session->dials && session->link.stream != NULL)
        return;
    fletch_pump_link_drop(&session->link, session->ends.cache);
    session->phase = FLETCH_SESSION_OVER;
}

/* Producers of the other side are lost, as far as it is known who they are: by pull those too of
 * which nothing has come. */
static void lose_producers(struct fletch_pump_session *session, const char *reason)
{
    const struct fletch_shuffle_specification *known = &session->shuffle->specification;
    const struct fletch_placement_plan *plan = &known->placement;
    for (uint32_t i = 0; session->dials && i < known->producer_limit; i++)
        if (strcmp(plan->addresses[plan->homes[i]], session->address) == 0)
            fletch_pump_receiver_expect(&session->receiver, i);
    fletch_pump_receiver_lose(&session->receiver, reason);
}

/* What the frames that came will not be followed by. */
static void lose(struct fletch_pump_session *session, const char *reason)
{
    if (is_sender(session))
        fletch_pump_sender_fail(&session->sender, FLETCH_UNAVAILABLE, reason);
    else
        lose_producers(session, reason);
}

void fletch_session_fail(struct fletch_pump_session *session, const struct fletch_error *cause,
                         uint64_t now_ns)
{
    session->failure = *cause;
    if (is_sender(session))
        fletch_pump_sender_fail(&session->sender, cause->status, cause->message);
    else
        lose_producers(session, cause->message);
    leave(session, now_ns);
}

bool fletch_session_wants_stream(struct fletch_pump_session *session, uint64_t now_ns)
{
    bool is_known = fletch_registry_name_state(session->shuffle) == FLETCH_NAME_TAKEN;
    if (!session->dials || session->phase != FLETCH_SESSION_WAITING || !is_known ||
        now_ns < session->attempt_ns)
        return false;
    session->phase = FLETCH_SESSION_DIALLING;
    return true;
}

static void write_or_cut(struct fletch_pump_session *session,
                         const struct fletch_envelope *envelope, uint64_t now_ns)
{
    if (fletch_pump_link_write(&session->link, envelope, NULL, NULL) != FLETCH_OK)
        cut(session, now_ns);
}

void fletch_session_dialled(struct fletch_pump_session *session,
                            struct fletch_flight_stream *stream, uint64_t now_ns)
{
    struct fletch_envelope hello;
    if (stream == NULL) {
        cut(session, now_ns);
        return;
    }
    session->link.stream = stream;
    session->phase = FLETCH_SESSION_GREETING;
    session->attempt_ns =
        session->has_connected ? session->deadline_ns : after(now_ns, session->rules->connect_ns);
    fletch_pump_link_listen(&session->link, &session->ends.sleeper->eventcount);
    fletch_greeting_hello(session, &hello);
    write_or_cut(session, &hello, now_ns);
}

/* Both sides know each other. */
static void resume(struct fletch_pump_session *session, uint64_t now_ns)
{
    session->phase = FLETCH_SESSION_RUNNING;
    session->heard_ns = session->said_ns = now_ns;
    session->has_connected = true;
    session->resumes++;
    session->attempt_ns = 0;
    session->partitions_told = 0;
    fletch_backoff_reset(&session->backoff);
    if (is_sender(session))
        fletch_pump_sender_resume(&session->sender, session->eager_bytes);
    else
        fletch_pump_receiver_resume(&session->receiver);
}

void fletch_session_adopt(struct fletch_pump_session *session,
                          const struct fletch_envelope_hello *hello,
                          struct fletch_flight_stream *stream, uint64_t now_ns)
{
    struct fletch_envelope welcome;
    if (session->link.stream != NULL)
        cut(session, now_ns);
    session->link.stream = stream;
    fletch_greeting_welcome(session, hello, &welcome);
    session->eager_bytes = hello->eager_bytes;
    resume(session, now_ns);
    write_or_cut(session, &welcome, now_ns);
}

/* ---- messages that come ---- */

/* What a call ends with that will not be better the next time. */
static bool is_final(enum fletch_status status)
{
    switch (status) {
    case FLETCH_INVALID_ARGUMENT:
    case FLETCH_UNIMPLEMENTED:
    case FLETCH_FAILED_PRECONDITION:
    case FLETCH_PERMISSION_DENIED:
    case FLETCH_UNAUTHENTICATED:
    case FLETCH_NOT_FOUND:
    case FLETCH_DATA_LOSS:
        return true;
    default:
        return false;
    }
}

static void read_end(struct fletch_pump_session *session, const struct fletch_error *cause,
                     uint64_t now_ns)
{
    if (is_final(cause->status))
        fletch_session_fail(session, cause, now_ns);
    else
        cut(session, now_ns);
}

static void greet(struct fletch_pump_session *session, const struct fletch_envelope *envelope,
                  uint64_t now_ns)
{
    struct fletch_error cause = {.status = FLETCH_OK};
    if (envelope->kind == FLETCH_ENVELOPE_WELCOME)
        (void)fletch_greeting_check_welcome(session, &envelope->welcome, &cause);
    else if (envelope->kind == FLETCH_ENVELOPE_REFUSE)
        (void)fletch_error_set(&cause, (enum fletch_status)envelope->refuse.status, "%.*s",
                               (int)envelope->refuse.text.byte_count, envelope->refuse.text.bytes);
    else
        (void)fletch_error_set(&cause, FLETCH_INVALID_ARGUMENT, "%s in answer to HELLO",
                               fletch_envelope_kind_name(envelope->kind));
    /* It has forgotten a session that was over but for its answer to BYE. */
    if (cause.status != FLETCH_OK && session->has_left) {
        session->sender.state = FLETCH_SENDER_DONE;
        leave(session, now_ns);
        return;
    }
    if (cause.status != FLETCH_OK) {
        fletch_session_fail(session, &cause, now_ns);
        return;
    }
    session->peer = envelope->welcome.incarnation;
    session->eager_bytes = envelope->welcome.eager_bytes;
    resume(session, now_ns);
}

/* Pull: what the receiver wants, until it says that this is all. */
static enum fletch_status take_want(struct fletch_pump_session *session,
                                    const struct fletch_envelope *envelope,
                                    struct fletch_error *error)
{
    if (envelope->kind == FLETCH_ENVELOPE_WANT) {
        /* After a cut it is told again, whatever came of it before. */
        if (session->ends.outlet != NULL && session->sender.state == FLETCH_SENDER_RESUMING &&
            !session->dials)
            return FLETCH_OK;
        if (session->ends.outlet != NULL || session->dials)
            return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                    "WANT is not for this session, or not now");
        if (!add_partitions(session, envelope->want.partitions, envelope->want.count))
            return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                    "no memory for a list of partitions");
        return FLETCH_OK;
    }
    if (envelope->kind == FLETCH_ENVELOPE_UPDATE && envelope->update.is_complete &&
        session->ends.outlet == NULL) {
        enum fletch_status status =
            open_outlet(session, session->partitions, session->partition_count, error);
        if (status != FLETCH_OK)
            return status;
    }
    return fletch_pump_sender_take(&session->sender, envelope, error);
}

static enum fletch_status take_message(struct fletch_pump_session *session,
                                       const struct fletch_envelope *envelope,
                                       struct fletch_batch *batch, struct fletch_error *error)
{
    bool is_short = batch != NULL && envelope->kind == FLETCH_ENVELOPE_DATA &&
                    (uint64_t)batch->row_count != envelope->data.rows;
    if (!is_sender(session) && !is_short)
        return fletch_pump_receiver_take(&session->receiver, envelope, batch, error);
    if (batch != NULL)
        fletch_batch_release(session->ends.cache, batch);
    if (is_sender(session) && batch == NULL)
        return take_want(session, envelope, error);
    return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                            is_short ? "DATA has other rows than its batch"
                                     : "a record batch for a sender");
}

/* Whether nothing that comes matters any more. */
static bool has_heard_all(const struct fletch_pump_session *session)
{
    return is_sender(session) ? session->sender.state >= FLETCH_SENDER_DONE
                              : session->receiver.state >= FLETCH_RECEIVER_DONE;
}

/* True: something came. */
static bool receive(struct fletch_pump_session *session, uint64_t now_ns)
{
    struct fletch_error cause;
    int count = 0;
    while (
        count < MESSAGES_MOST && !has_heard_all(session) &&
        (session->phase == FLETCH_SESSION_GREETING || session->phase == FLETCH_SESSION_RUNNING)) {
        struct fletch_envelope envelope;
        struct fletch_batch *batch = NULL;
        cause = (struct fletch_error){.status = FLETCH_OK};
        enum fletch_answer answer =
            fletch_pump_link_read(&session->link, &envelope, &batch, &cause);
        if (answer == FLETCH_EMPTY)
            break;
        count++;
        if (answer != FLETCH_DONE)
            read_end(session, &cause, now_ns);
        else if (session->phase == FLETCH_SESSION_RUNNING &&
                 take_message(session, &envelope, batch, &cause) != FLETCH_OK)
            fletch_session_fail(session, &cause, now_ns);
        else if (session->phase == FLETCH_SESSION_GREETING)
            greet(session, &envelope, now_ns);
    }
    return count != 0;
}

/* ---- messages that go ---- */

/* False: the stream is of no use any more. */
static bool send_frame(struct fletch_pump_session *session, const struct fletch_envelope *envelope,
                       const struct fletch_frame *frame, uint64_t now_ns)
{
    struct fletch_error cause;
    struct fletch_batch *batch;
    enum fletch_status status =
        fletch_outlet_fetch(session->ends.outlet, frame, session->ends.cache, &batch, &cause);
    if (status == FLETCH_RESOURCE_EXHAUSTED) {
        fletch_pump_sender_put_back(&session->sender, &envelope->data);
        session->attempt_ns = after(now_ns, SHORT_NS);
        return true;
    }
    if (status == FLETCH_OK) {
        status = fletch_pump_link_write(&session->link, envelope, batch, &cause);
        fletch_batch_release(session->ends.cache, batch);
    }
    if (status == FLETCH_OK)
        return true;
    bool is_rows = status == FLETCH_INVALID_ARGUMENT || status == FLETCH_RESOURCE_EXHAUSTED ||
                   status == FLETCH_DATA_LOSS;
    if (!is_rows || fletch_flight_stream_is_over(session->link.stream))
        return false;
    fletch_pump_sender_lose(&session->sender, &envelope->data.channel, &cause);
    return true;
}

/* Nothing, in the words of the role: it is still there. */
static void say_nothing(const struct fletch_pump_session *session, struct fletch_envelope *envelope)
{
    envelope->kind = is_sender(session) ? FLETCH_ENVELOPE_OFFER : FLETCH_ENVELOPE_UPDATE;
    if (is_sender(session)) {
        envelope->offers.count = 0;
        return;
    }
    envelope->update.is_complete = false;
    envelope->update.mark_count = envelope->update.answer_count = 0;
}

/* The next message of the role. */
static bool next(struct fletch_pump_session *session, struct fletch_envelope *envelope,
                 void **out_token)
{
    *out_token = NULL;
    if (is_sender(session))
        return fletch_pump_sender_next(&session->sender, envelope, out_token);
    if (session->partitions_told < session->partition_count) {
        uint32_t left = session->partition_count - session->partitions_told;
        envelope->kind = FLETCH_ENVELOPE_WANT;
        envelope->want.count =
            left < FLETCH_ENVELOPE_ENTRIES_MAX ? left : FLETCH_ENVELOPE_ENTRIES_MAX;
        memcpy(envelope->want.partitions, session->partitions + session->partitions_told,
               envelope->want.count * sizeof session->partitions[0]);
        session->partitions_told += envelope->want.count;
        return true;
    }
    return fletch_pump_receiver_next(&session->receiver, envelope);
}

/* True: something went. */
static bool speak(struct fletch_pump_session *session, uint64_t now_ns)
{
    int count = 0;
    for (; count < MESSAGES_MOST && now_ns >= session->attempt_ns; count++) {
        struct fletch_envelope envelope;
        void *token;
        enum fletch_answer answer = fletch_pump_link_room(&session->link);
        if (answer == FLETCH_CLOSED)
            return count != 0; /* reading tells how it ended */
        if (answer == FLETCH_FULL)
            break;
        bool has_word = next(session, &envelope, &token);
        if (!has_word && now_ns < after(session->said_ns, session->rules->beat_ns))
            break;
        if (!has_word)
            say_nothing(session, &envelope);
        session->said_ns = now_ns;
        session->has_left |= envelope.kind == FLETCH_ENVELOPE_BYE && is_sender(session);
        bool is_sent = token != NULL ? send_frame(session, &envelope, token, now_ns)
                                     : fletch_pump_link_write(&session->link, &envelope, NULL,
                                                              NULL) == FLETCH_OK;
        if (!is_sent && fletch_flight_stream_is_over(session->link.stream))
            return true; /* what came before the end, a refusal say, is to be read first */
        if (!is_sent) {
            cut(session, now_ns);
            return true;
        }
    }
    return count != 0;
}

/* ---- turns ---- */

/* What was cancelled or closed here, the other side is told; but where all that it has to do with
 * this is over, it need not know. */
static void look_at_shuffle(struct fletch_pump_session *session)
{
    struct fletch_error cause;
    struct fletch_pump_receiver *receiver = &session->receiver;
    if (fletch_pump_ends_check(&session->ends, &cause) == FLETCH_OK)
        return;
    if (is_sender(session)) {
        bool is_done = session->sender.held == 0 && session->ends.outlet != NULL &&
                       fletch_outlet_is_done(session->ends.outlet);
        if (!is_done && session->sender.state != FLETCH_SENDER_LEAVING)
            fletch_pump_sender_fail(&session->sender, cause.status, cause.message);
        return;
    }
    if (receiver->producers_known == 0 || receiver->producers_ended < receiver->producers_known)
        fletch_pump_receiver_fail(receiver, &cause);
}

/* The other side has refused everything. */
static void hear_refusal(struct fletch_pump_session *session)
{
    const struct fletch_error *cause = &session->receiver.failure;
    if (cause->status == FLETCH_CANCELLED)
        fletch_shuffle_cancel(session->shuffle, fletch_pump_cancel_reason(cause->message));
    else
        lose_producers(session, cause->message);
}

/* Whether all is said, and how it ended. */
static bool is_at_end(struct fletch_pump_session *session)
{
    if (is_sender(session)) {
        const struct fletch_pump_sender *sender = &session->sender;
        if (sender->state == FLETCH_SENDER_FAILED && !sender->tells_failure)
            session->failure = sender->failure;
        return session->failure.status != FLETCH_OK || sender->state == FLETCH_SENDER_DONE;
    }
    const struct fletch_pump_receiver *receiver = &session->receiver;
    if (receiver->state == FLETCH_RECEIVER_FAILED && !receiver->tells_failure) {
        session->failure = receiver->failure;
        hear_refusal(session);
        return true;
    }
    return receiver->state == FLETCH_RECEIVER_DONE;
}

static bool run(struct fletch_pump_session *session, uint64_t now_ns, uint64_t *deadline_ns)
{
    bool has_moved = receive(session, now_ns);
    if (has_moved)
        session->heard_ns = now_ns;
    if (session->phase == FLETCH_SESSION_RUNNING &&
        now_ns >= after(session->heard_ns, session->rules->silence_ns))
        cut(session, now_ns);
    if (session->phase != FLETCH_SESSION_RUNNING)
        return true;
    if (!is_sender(session))
        fletch_pump_receiver_look(&session->receiver); /* first: an end may have been its last */
    look_at_shuffle(session);
    if (is_sender(session))
        fletch_pump_sender_fill(&session->sender);
    has_moved |= speak(session, now_ns);
    if (session->phase != FLETCH_SESSION_RUNNING)
        return true;
    if (is_at_end(session)) {
        leave(session, now_ns);
        return true;
    }
    wait_until(deadline_ns, after(session->said_ns, session->rules->beat_ns));
    wait_until(deadline_ns, after(session->heard_ns, session->rules->silence_ns));
    if (session->attempt_ns > now_ns)
        wait_until(deadline_ns, session->attempt_ns);
    if (!is_sender(session) && session->receiver.is_short)
        wait_until(deadline_ns, after(now_ns, SHORT_NS));
    return has_moved;
}

static bool wait_for_stream(struct fletch_pump_session *session, uint64_t now_ns,
                            uint64_t *deadline_ns)
{
    uint32_t name = fletch_registry_name_state(session->shuffle);
    char text[FLETCH_ENVELOPE_TEXT_MAX];
    if (session->deadline_ns == 0)
        session->deadline_ns = after(now_ns, session->rules->connect_ns);
    if (name == FLETCH_NAME_REFUSED) {
        session->phase = FLETCH_SESSION_OVER;
        return true;
    }
    wait_until(deadline_ns, session->deadline_ns);
    if (session->dials && name == FLETCH_NAME_TAKEN)
        wait_until(deadline_ns, session->attempt_ns);
    if (now_ns < session->deadline_ns)
        return false;
    (void)snprintf(text, sizeof text, "LOST: %s%s%s for %llu ms",
                   session->dials ? "'" : "the other process", session->address,
                   session->dials ? "' was not reached" : " has not come back",
                   (unsigned long long)((session->has_connected ? session->rules->grace_ns
                                                                : session->rules->connect_ns) /
                                        1000000));
    lose(session, text);
    session->phase = FLETCH_SESSION_OVER;
    return true;
}

/* A stream that ends: what comes is not looked at. */
static bool wait_for_end(struct fletch_pump_session *session, uint64_t now_ns,
                         uint64_t *deadline_ns)
{
    wait_until(deadline_ns, session->deadline_ns);
    if (now_ns < session->deadline_ns && !fletch_pump_link_is_over(&session->link))
        return false;
    fletch_pump_link_drop(&session->link, session->ends.cache);
    session->phase = FLETCH_SESSION_OVER;
    return true;
}

bool fletch_session_is_ending(const struct fletch_pump_session *session)
{
    const struct fletch_pump_receiver *receiver = &session->receiver;
    if (session->phase != FLETCH_SESSION_RUNNING)
        return false;
    if (is_sender(session))
        return session->sender.state == FLETCH_SENDER_LEAVING;
    return receiver->producers_known != 0 &&
           receiver->producers_ended + receiver->controls_waiting >= receiver->producers_known;
}

bool fletch_session_step(struct fletch_pump_session *session, uint64_t now_ns,
                         uint64_t *deadline_ns)
{
    switch (session->phase) {
    case FLETCH_SESSION_WAITING:
        return wait_for_stream(session, now_ns, deadline_ns);
    case FLETCH_SESSION_GREETING: {
        bool has_moved = receive(session, now_ns);
        if (session->phase == FLETCH_SESSION_GREETING && now_ns >= session->attempt_ns)
            cut(session, now_ns);
        else if (session->phase == FLETCH_SESSION_GREETING)
            wait_until(deadline_ns, session->attempt_ns);
        return has_moved || session->phase != FLETCH_SESSION_GREETING;
    }
    case FLETCH_SESSION_RUNNING:
        return run(session, now_ns, deadline_ns);
    case FLETCH_SESSION_LEAVING:
        return wait_for_end(session, now_ns, deadline_ns);
    default:
        return false;
    }
}
