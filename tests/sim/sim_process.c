#include "sim/sim_process.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/status.h"
#include "pump/pump_greeting.h"
#include "shuffle/shuffle.h"
#include "sync/eventcount.h"

#include "support/cmocka_tests.h"

#define MILLISECOND UINT64_C(1000000)
#define GREETING_NS (10000 * MILLISECOND)

const char *const sim_addresses[SIM_PROCESSES_MAX] = {"grpc://0:1", "grpc://1:1", "grpc://2:1",
                                                      "grpc://3:1"};

/* ---- the medium ---- */

static enum fletch_status session_added(struct sim_process *process,
                                        struct fletch_session_options *options,
                                        struct fletch_error *error)
{
    struct fletch_pump_session *session;
    options->rules = &process->rules;
    options->sleeper = process->sleeper;
    options->number = process->sessions_made++;
    enum fletch_status status = fletch_session_create(options, &session, error);
    if (status != FLETCH_OK)
        return status;
    session->ends.cache = process->cache;
    session->next = process->sessions;
    process->sessions = session;
    fletch_eventcount_notify(&process->sleeper->eventcount, UINT32_MAX);
    return FLETCH_OK;
}

static enum fletch_status attached(void *context, struct fletch_shuffle *shuffle,
                                   struct fletch_error *error)
{
    const struct fletch_placement_plan *plan = &shuffle->specification.placement;
    uint32_t partition_count = shuffle->specification.partitioner.partition_count;
    enum fletch_status status = FLETCH_OK;
    for (uint32_t to = 0; to < plan->address_count && status == FLETCH_OK; to++) {
        uint32_t partitions[64];
        struct fletch_session_options options = {.shuffle = shuffle,
                                                 .role = FLETCH_ROLE_SENDER,
                                                 .address = plan->addresses[to],
                                                 .partitions = partitions};
        for (uint32_t p = 0; p < partition_count && plan->mode == FLETCH_PLACEMENT_PUSH; p++)
            if (plan->owners[p] == to && to != plan->self)
                partitions[options.partition_count++] = p;
        if (options.partition_count != 0)
            status = session_added(context, &options, error);
    }
    return status;
}

static enum fletch_status claimed(void *context, struct fletch_shuffle *shuffle,
                                  const uint32_t *partitions, uint32_t count,
                                  struct fletch_error *error)
{
    const struct fletch_shuffle_specification *known = &shuffle->specification;
    enum fletch_status status = FLETCH_OK;
    for (uint32_t from = 0; from < known->placement.address_count && status == FLETCH_OK; from++) {
        struct fletch_session_options options = {.shuffle = shuffle,
                                                 .role = FLETCH_ROLE_RECEIVER,
                                                 .address = known->placement.addresses[from],
                                                 .partitions = partitions,
                                                 .partition_count = count};
        bool is_home = false;
        for (uint32_t i = 0; i < known->producer_limit; i++)
            is_home |= known->placement.homes[i] == from;
        if (is_home && from != known->placement.self)
            status = session_added(context, &options, error);
    }
    return status;
}

static void looked(void *context, struct fletch_shuffle *shuffle)
{
    struct sim_process *process = context;
    (void)shuffle;
    fletch_eventcount_notify(&process->sleeper->eventcount, UINT32_MAX);
}

/* ---- life ---- */

void sim_process_start(struct sim_process *process, uint64_t budget_bytes,
                       struct fletch_time_source time)
{
    struct sim_net *net = process->net;
    const struct fletch_transport_options options = {.struct_size = sizeof options,
                                                     .budget_bytes = budget_bytes};
    struct fletch_error error;
    if (fletch_transport_create(&options, NULL, &process->transport, &error) != FLETCH_OK)
        fail_msg("%s", error.message);
    test_disk_make(&process->disk);
    process->transport->time = time;
    process->transport->spill_io = &process->disk.io;
    process->sleeper = fletch_sleeper_create(&process->transport->allocator);
    assert_non_null(process->sleeper);
    assert_ok(fletch_buffer_cache_open(process->transport->pool, &process->cache, NULL));
    process->media = (struct fletch_media){.attach = attached,
                                           .begin = looked,
                                           .claim = claimed,
                                           .detach = looked,
                                           .context = process};
    assert_true(fletch_transport_install_media(process->transport, &process->media));
    process->rules = (struct fletch_session_rules){
        .allocator = process->transport->allocator,
        .connect_ns = 4 * net->grace_ns,
        .grace_ns = net->grace_ns,
        .beat_ns = net->grace_ns / 4,
        .silence_ns = net->grace_ns,
        .leave_ns = net->grace_ns,
        .backoff_first_ns = MILLISECOND,
        .backoff_most_ns = 20 * MILLISECOND,
        .eager_bytes = net->eager_bytes,
    };
    for (size_t i = 0; i < FLETCH_ID_BYTES; i++)
        process->rules.incarnation.bytes[i] =
            (unsigned char)(1 + fletch_random_below(net->weather.random, 255));
    process->is_asleep = false;
}

static void visitor_gone(struct sim_process *process, uint32_t at)
{
    fletch_pump_link_drop(&process->visitors[at]->link, process->cache);
    free(process->visitors[at]);
    process->visitors[at] = process->visitors[--process->visitor_count];
}

void sim_process_cut_off(struct sim_process *process)
{
    static const uint32_t nothing[2];
    for (struct sim_wire *wire = process->net->wires; wire != NULL; wire = wire->next)
        if (wire->processes[0] == process->number || wire->processes[1] == process->number)
            sim_wire_cut(wire, nothing);
    while (process->visitor_count > 0)
        visitor_gone(process, 0);
    while (process->sessions != NULL) {
        struct fletch_pump_session *session = process->sessions;
        process->sessions = session->next;
        fletch_session_destroy(session);
    }
    (void)sim_net_tell(process->net);
}

bool sim_process_end(struct sim_process *process, struct fletch_error *error)
{
    if (process->is_asleep)
        fletch_eventcount_cancel(&process->sleeper->eventcount);
    fletch_buffer_cache_close(process->cache);
    fletch_sleeper_release(process->sleeper);
    (void)fletch_transport_install_media(process->transport, NULL);
    enum fletch_status status = fletch_transport_destroy(process->transport, error);
    process->transport = NULL;
    process->shuffle = NULL;
    if (status == FLETCH_OK)
        test_disk_end(&process->disk);
    return status == FLETCH_OK;
}

/* ---- who dials ---- */

static struct sim_wire *wire_between(struct sim_process *process, struct sim_process *to)
{
    struct sim_net *net = process->net;
    struct sim_wire *wire = sim_wire_create(&net->weather);
    wire->next = net->wires;
    net->wires = wire;
    wire->processes[0] = process->number;
    wire->processes[1] = to->number;
    wire->streams[0].transport = process->transport;
    wire->streams[0].cache = process->cache;
    wire->streams[1].transport = to->transport;
    wire->streams[1].cache = to->cache;
    net->connections++;
    return wire;
}

static struct fletch_flight_stream *dialled(struct sim_process *process, const char *address)
{
    struct sim_net *net = process->net;
    struct sim_process *to = &net->processes[address[strlen("grpc://")] - '0'];
    bool is_refused = net->refused_until_ns[process->number][to->number] > net->weather.now_ns;
    if (is_refused || to->transport == NULL || to->visitor_count == SIM_VISITORS_MAX)
        return NULL;
    struct sim_visitor *visitor = calloc(1, sizeof *visitor);
    if (visitor == NULL)
        abort();
    struct sim_wire *wire = wire_between(process, to);
    visitor->link = (struct fletch_pump_link){.stream = sim_stream_of(wire, 1), .is_server = true};
    fletch_pump_link_listen(&visitor->link, &to->sleeper->eventcount);
    visitor->deadline_ns = net->weather.now_ns + GREETING_NS;
    to->visitors[to->visitor_count++] = visitor;
    fletch_eventcount_notify(&to->sleeper->eventcount, UINT32_MAX);
    return sim_stream_of(wire, 0);
}

/* What workers do: it takes its time. */
static bool diallers_stepped(struct sim_process *process)
{
    bool has_moved = false;
    for (struct fletch_pump_session *session = process->sessions; session != NULL;
         session = session->next) {
        if (session->phase != FLETCH_SESSION_DIALLING ||
            fletch_random_below(process->net->weather.random, 2) == 0)
            continue;
        fletch_session_dialled(session, dialled(process, session->address),
                               process->net->weather.now_ns);
        has_moved = true;
    }
    return has_moved;
}

/* ---- who is dialled ---- */

static void visitor_refused(struct sim_process *process, uint32_t at,
                            const struct fletch_error *cause)
{
    struct sim_visitor *visitor = process->visitors[at];
    const struct fletch_envelope refusal = {
        .kind = FLETCH_ENVELOPE_REFUSE,
        .refuse = {.scope = FLETCH_REFUSED_SHUFFLE,
                   .status = (uint8_t)cause->status,
                   .text = fletch_envelope_text(cause->message)}};
    if (cause->status != FLETCH_OK)
        (void)fletch_pump_link_write(&visitor->link, &refusal, NULL, NULL);
    fletch_pump_link_finish(&visitor->link, cause->status, cause->message);
    visitor_gone(process, at);
}

static enum fletch_status session_provided(struct sim_process *process,
                                           struct fletch_shuffle *shuffle,
                                           const struct fletch_envelope_hello *hello,
                                           struct fletch_pump_session **out_session,
                                           struct fletch_error *error)
{
    const struct fletch_session_options options = {
        .rules = &process->rules,
        .shuffle = shuffle,
        .role = hello->role == FLETCH_ROLE_SENDER ? FLETCH_ROLE_RECEIVER : FLETCH_ROLE_SENDER,
        .number = hello->session,
        .sleeper = process->sleeper};
    for (*out_session = process->sessions; *out_session != NULL;
         *out_session = (*out_session)->next)
        if (!(*out_session)->dials && (*out_session)->number == hello->session &&
            (*out_session)->role != hello->role && (*out_session)->phase < FLETCH_SESSION_LEAVING &&
            fletch_id_equal(&(*out_session)->peer, &hello->incarnation))
            return FLETCH_OK;
    if (hello->resumes != 0)
        return fletch_error_set(error, FLETCH_UNAVAILABLE, "LOST: the session is not known here");
    enum fletch_status status = fletch_session_create(&options, out_session, error);
    if (status != FLETCH_OK)
        return status;
    (*out_session)->peer = hello->incarnation;
    (*out_session)->ends.cache = process->cache;
    (*out_session)->next = process->sessions;
    process->sessions = *out_session;
    return FLETCH_OK;
}

static enum fletch_status admitted(struct sim_process *process, struct sim_visitor *visitor,
                                   struct fletch_error *error)
{
    const struct fletch_envelope_hello *hello = &visitor->hello.hello;
    const struct fletch_shuffle_name name = {hello->name.bytes, hello->name.byte_count};
    struct fletch_pump_session *session;
    struct fletch_shuffle *shuffle;
    enum fletch_status status = fletch_greeting_check_peer(&process->rules, hello, error);
    if (status == FLETCH_OK)
        status = fletch_shuffle_find(process->transport, name, 0, &shuffle, error);
    if (status != FLETCH_OK)
        return status;
    status = fletch_greeting_check_shuffle(shuffle, hello, error);
    if (status == FLETCH_OK)
        status = session_provided(process, shuffle, hello, &session, error);
    if (status == FLETCH_OK)
        fletch_session_adopt(session, hello, visitor->link.stream, process->net->weather.now_ns);
    fletch_shuffle_release(shuffle);
    return status;
}

/* The texts of a HELLO are kept while its shuffle is waited for. */
static void hello_kept(struct sim_visitor *visitor)
{
    struct fletch_envelope_hello *hello = &visitor->hello.hello;
    visitor->has_hello = true;
    memcpy(visitor->name, hello->name.bytes, hello->name.byte_count);
    memcpy(visitor->method, hello->method.bytes, hello->method.byte_count);
    hello->name.bytes = visitor->name;
    hello->method.bytes = visitor->method;
}

/* True: the visitor is gone. */
static bool visitor_stepped(struct sim_process *process, uint32_t at)
{
    struct sim_visitor *visitor = process->visitors[at];
    struct fletch_error error = {.status = FLETCH_OK, .message = ""};
    struct fletch_batch *batch;
    if (!visitor->has_hello) {
        enum fletch_answer answer =
            fletch_pump_link_read(&visitor->link, &visitor->hello, &batch, &error);
        if (answer == FLETCH_EMPTY)
            return false;
        if (answer != FLETCH_DONE || visitor->hello.kind != FLETCH_ENVELOPE_HELLO) {
            visitor_refused(process, at, &error);
            return true;
        }
        hello_kept(visitor);
    }
    enum fletch_status status = admitted(process, visitor, &error);
    bool waits = status == FLETCH_NOT_FOUND && !fletch_pump_link_is_over(&visitor->link) &&
                 process->net->weather.now_ns < visitor->deadline_ns;
    if (waits)
        return false;
    if (status != FLETCH_OK) {
        visitor_refused(process, at, &error);
        return true;
    }
    visitor->link.stream = NULL; /* the session's */
    visitor_gone(process, at);
    return true;
}

/* ---- turns ---- */

static bool sessions_stepped(struct sim_process *process)
{
    struct fletch_pump_session **place = &process->sessions;
    uint64_t now_ns = process->net->weather.now_ns;
    bool has_moved = false;
    while (*place != NULL) {
        struct fletch_pump_session *session = *place;
        has_moved |= fletch_session_step(session, now_ns, &process->deadline_ns);
        has_moved |= fletch_session_wants_stream(session, now_ns);
        if (session->phase != FLETCH_SESSION_OVER) {
            place = &session->next;
            continue;
        }
        *place = session->next;
        fletch_session_destroy(session);
        has_moved = true;
    }
    return has_moved;
}

static bool turned(struct sim_process *process)
{
    bool has_moved = false;
    process->deadline_ns = FLETCH_NO_DEADLINE;
    for (uint32_t i = process->visitor_count; i-- > 0;)
        has_moved |= visitor_stepped(process, i);
    has_moved |= sessions_stepped(process);
    for (uint32_t i = 0; i < process->visitor_count; i++)
        if (process->visitors[i]->deadline_ns < process->deadline_ns)
            process->deadline_ns = process->visitors[i]->deadline_ns;
    return has_moved;
}

bool sim_process_step(struct sim_process *process)
{
    struct fletch_eventcount *eventcount = &process->sleeper->eventcount;
    if (process->transport == NULL)
        return false;
    bool has_dialled = diallers_stepped(process);
    if (process->is_asleep) {
        bool is_woken = load_acquire(&eventcount->epoch) != process->key;
        if (!has_dialled && !is_woken && process->net->weather.now_ns < process->deadline_ns)
            return false;
        fletch_eventcount_cancel(eventcount);
        process->is_asleep = false;
    }
    if (turned(process))
        return true;
    /* Announced before the last look, as who sleeps does. */
    process->key = fletch_eventcount_prepare(eventcount);
    process->is_asleep = !turned(process);
    if (!process->is_asleep)
        fletch_eventcount_cancel(eventcount);
    return !process->is_asleep;
}

uint64_t sim_net_tell(struct sim_net *net)
{
    uint64_t next_ns = FLETCH_NO_DEADLINE;
    struct sim_wire **place = &net->wires;
    while (*place != NULL) {
        struct sim_wire *wire = *place;
        if (sim_wire_is_left(wire)) {
            *place = wire->next;
            sim_wire_destroy(wire);
            continue;
        }
        uint64_t due_ns = sim_wire_tell(wire);
        if (due_ns < next_ns)
            next_ns = due_ns;
        place = &wire->next;
    }
    return next_ns;
}

/* ---- for who looks into a failure ---- */

static void session_printed(const struct sim_process *process,
                            const struct fletch_pump_session *session)
{
    static const char *const phases[] = {"waiting", "dialling", "greeting",
                                         "running", "leaving",  "over"};
    printf("  %s session %u %s %s, %u resumes", phases[session->phase], session->number,
           session->dials ? "to" : "of who dialled", session->address, session->resumes);
    if (session->role == FLETCH_ROLE_SENDER) {
        const struct fletch_pump_sender *sender = &session->sender;
        printf(": sender, state %d, holds %" PRIu64 "; offering %d, sending %d, control %d; outlet "
               "%s; %" PRIu64 " frames accepted: %s\n",
               (int)sender->state, sender->held, sender->offering.first != NULL,
               sender->sending.first != NULL, sender->controlling_first != NULL,
               session->ends.outlet == NULL                       ? "none"
               : fletch_outlet_is_done(session->ends.outlet)      ? "done"
               : fletch_outlet_may_have_any(session->ends.outlet) ? "has some"
                                                                  : "empty",
               sender->counters.frames_accepted, session->failure.message);
        return;
    }
    const struct fletch_pump_receiver *receiver = &session->receiver;
    printf(": receiver, state %d; asks for credit %d, tells %d, refuses %d, %u answers due, %u "
           "controls wait, %u of %u producers ended; %" PRIu64 " frames accepted: %s\n",
           (int)receiver->state, receiver->asking.first != NULL, receiver->telling.first != NULL,
           receiver->refusing.first != NULL, receiver->answers_due, receiver->controls_waiting,
           receiver->producers_ended, receiver->producers_known, receiver->counters.frames_accepted,
           session->failure.message);
    (void)process;
}

void sim_process_print(const struct sim_process *process)
{
    printf("process %u: %s, %u visitors\n", process->number,
           process->is_asleep ? "asleep" : "awake", process->visitor_count);
    for (const struct fletch_pump_session *session = process->sessions; session != NULL;
         session = session->next)
        session_printed(process, session);
}
