#include "pump/pumps.h"

#include <string.h>

#include "base/allocator.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/status.h"
#include "base/thread.h"
#include "flight/flight_service.h"
#include "pump/pump_greeting.h"
#include "pump/pump_session.h"
#include "shuffle/media.h"
#include "shuffle/shuffle.h"
#include "sync/wait.h"

enum { DIALLERS_MOST = 4 };

/* Of a stream: what small frames and control may have to wait behind. */
#define WRITE_QUEUE_BYTES ((size_t)2 << 20)

#define BACKOFF_FIRST_NS UINT64_C(20000000)
#define BACKOFF_MOST_NS UINT64_C(1000000000)
#define GREETING_NS UINT64_C(10000000000)
#define LOOK_NS UINT64_C(10000000)
#define LEAVE_NS UINT64_C(2000000000)

/* A stream of a server that has not said yet what it is for. */
struct visitor {
    struct fletch_pump_news news; /* first */
    struct visitor *next;
    struct fletch_pump_link link;
    uint64_t deadline_ns; /* 0: not seen yet */
    bool has_hello;
    struct fletch_envelope hello;
};

/* Of struct fletch_pumps_statistics, which has nothing else. */
enum { COUNTERS = sizeof(struct fletch_pumps_statistics) / sizeof(uint64_t) };

struct fletch_pumps {
    struct fletch_shared shared; /* first */
    struct fletch_allocator allocator;
    struct fletch_transport *transport;
    struct fletch_media media;
    struct fletch_session_rules rules;
    struct fletch_sleeper *sleeper;
    struct fletch_flight_client *client;
    struct fletch_flight_workers *diallers;
    struct fletch_buffer_cache *cache; /* the thread's */
    struct fletch_flight_waits waits;
    struct fletch_thread thread;
    bool has_thread;
    FLETCH_ISOLATED struct fletch_inbox news;
    _Atomic uint32_t stops;
    _Atomic uint32_t ends_served; /* no streams of a server any more */
    _Atomic uint32_t served;      /* that are here */
    _Atomic uint32_t numbers;     /* of sessions */
    struct fletch_eventcount all_left;
    /* The thread's. */
    FLETCH_ISOLATED struct fletch_pump_session *sessions;
    struct visitor *visitors;
    uint64_t deadline_ns; /* when to look again, whatever happens */
    uint64_t ends_ns;     /* when streams of a server that stops are ended that would end soon */
    _Atomic uint64_t counters[COUNTERS]; /* for others */
    struct fletch_pumps_statistics gone; /* what sessions that are over have counted */
};

/* Nobody has anything new any more once the inbox is closed. */
static void tell(struct fletch_pumps *pumps, struct fletch_pump_news *news)
{
    enum fletch_answer answer = fletch_inbox_push(&pumps->news, &news->node, NULL);
    FLETCH_ASSERT(answer == FLETCH_DONE);
    (void)answer;
    fletch_eventcount_notify(&pumps->sleeper->eventcount, UINT32_MAX);
}

/* ---- streams of a server ---- */

/* A server's stream is gone: what `served` counted. */
static void count_left(void *context)
{
    struct fletch_pumps *pumps = context;
    (void)fetch_sub_release(&pumps->served, 1); /* E1 release, read by fletch_pumps_end_served */
    fletch_eventcount_notify(&pumps->all_left, UINT32_MAX);
}

static void end_visitor(struct fletch_pumps *pumps, struct visitor *visitor,
                        const struct fletch_error *cause)
{
    struct fletch_envelope refusal = {.kind = FLETCH_ENVELOPE_REFUSE};
    refusal.refuse = (struct fletch_envelope_refuse){.scope = FLETCH_REFUSED_SHUFFLE,
                                                     .status = (uint8_t)cause->status,
                                                     .text = fletch_envelope_text(cause->message)};
    if (cause->status != FLETCH_OK)
        (void)fletch_pump_link_write(&visitor->link, &refusal, NULL, NULL);
    fletch_pump_link_finish(&visitor->link, cause->status, cause->message);
    fletch_pump_link_drop(&visitor->link, pumps->cache);
    fletch_block_release(visitor);
}

static struct fletch_pump_session *find_session(struct fletch_pumps *pumps,
                                                const struct fletch_shuffle *shuffle,
                                                const struct fletch_envelope_hello *hello)
{
    struct fletch_pump_session *session = pumps->sessions;
    for (; session != NULL; session = session->next)
        if (!session->dials && session->shuffle == shuffle && session->number == hello->session &&
            session->role != hello->role && session->phase < FLETCH_SESSION_LEAVING &&
            fletch_id_equal(&session->peer, &hello->incarnation))
            break;
    return session;
}

/* The session of a HELLO that was found right, there already or new. */
static enum fletch_status provide_session(struct fletch_pumps *pumps,
                                          struct fletch_shuffle *shuffle,
                                          const struct fletch_envelope_hello *hello,
                                          struct fletch_pump_session **out_session,
                                          struct fletch_error *error)
{
    const struct fletch_session_options options = {
        .rules = &pumps->rules,
        .shuffle = shuffle,
        .role = hello->role == FLETCH_ROLE_SENDER ? FLETCH_ROLE_RECEIVER : FLETCH_ROLE_SENDER,
        .number = hello->session,
        .sleeper = pumps->sleeper};
    *out_session = find_session(pumps, shuffle, hello);
    if (*out_session != NULL)
        return FLETCH_OK;
    if (hello->resumes != 0)
        return fletch_error_set(error, FLETCH_UNAVAILABLE,
                                "LOST: session %u of incarnation %s is not known here any more",
                                (unsigned)hello->session, fletch_id_text(&hello->incarnation).text);
    enum fletch_status status = fletch_session_create(&options, out_session, error);
    if (status != FLETCH_OK)
        return status;
    (*out_session)->peer = hello->incarnation;
    (*out_session)->ends.cache = pumps->cache;
    (*out_session)->link.dropped = count_left;
    (*out_session)->link.context = pumps;
    (*out_session)->next = pumps->sessions;
    pumps->sessions = *out_session;
    return FLETCH_OK;
}

/* Where the shuffle of a HELLO is there. */
static enum fletch_status admit(struct fletch_pumps *pumps, struct fletch_shuffle *shuffle,
                                struct visitor *visitor, uint64_t now_ns,
                                struct fletch_error *error)
{
    const struct fletch_envelope_hello *hello = &visitor->hello.hello;
    struct fletch_pump_session *session;
    enum fletch_status status = fletch_greeting_check_shuffle(shuffle, hello, error);
    if (status == FLETCH_OK)
        status = provide_session(pumps, shuffle, hello, &session, error);
    if (status != FLETCH_OK)
        return status;
    fletch_session_adopt(session, hello, visitor->link.stream, now_ns);
    fletch_block_release(visitor);
    return FLETCH_OK;
}

/* True: the visitor is gone. */
static bool look_for_shuffle(struct fletch_pumps *pumps, struct visitor *visitor, uint64_t now_ns)
{
    const struct fletch_envelope_hello *hello = &visitor->hello.hello;
    const struct fletch_shuffle_name name = {hello->name.bytes, hello->name.byte_count};
    struct fletch_shuffle *shuffle;
    struct fletch_error error;
    enum fletch_status status = fletch_greeting_check_peer(&pumps->rules, hello, &error);
    if (status == FLETCH_OK)
        status = fletch_shuffle_find(pumps->transport, name, 0, &shuffle, &error);
    if (status == FLETCH_NOT_FOUND && now_ns < visitor->deadline_ns &&
        !fletch_flight_stream_is_over(visitor->link.stream))
        return false;
    if (status == FLETCH_OK) {
        status = admit(pumps, shuffle, visitor, now_ns, &error);
        fletch_shuffle_release(shuffle);
    }
    if (status != FLETCH_OK)
        end_visitor(pumps, visitor, &error);
    return true;
}

/* True: the visitor is gone. */
static bool step_visitor(struct fletch_pumps *pumps, struct visitor *visitor, uint64_t now_ns)
{
    struct fletch_batch *batch = NULL;
    struct fletch_error error = {.status = FLETCH_OK, .message = ""};
    if (visitor->deadline_ns == 0) {
        visitor->deadline_ns = now_ns + GREETING_NS;
        fletch_flight_stream_use(visitor->link.stream, pumps->cache);
        fletch_flight_stream_listen(visitor->link.stream, &pumps->sleeper->eventcount);
    }
    if (load_relaxed(&pumps->ends_served) != 0) { /* relaxed: a flag */
        (void)fletch_error_set(&error, FLETCH_UNAVAILABLE, "the server is stopping");
        end_visitor(pumps, visitor, &error);
        return true;
    }
    if (visitor->has_hello)
        return look_for_shuffle(pumps, visitor, now_ns);
    enum fletch_answer answer =
        fletch_pump_link_read(&visitor->link, &visitor->hello, &batch, &error);
    if (answer == FLETCH_EMPTY && now_ns < visitor->deadline_ns)
        return false;
    if (answer == FLETCH_DONE && visitor->hello.kind == FLETCH_ENVELOPE_HELLO && batch == NULL) {
        visitor->has_hello = true;
        visitor->deadline_ns = now_ns + pumps->rules.connect_ns;
        return look_for_shuffle(pumps, visitor, now_ns);
    }
    if (batch != NULL)
        fletch_batch_release(pumps->cache, batch);
    if (answer == FLETCH_DONE)
        (void)fletch_error_set(&error, FLETCH_INVALID_ARGUMENT, "%s before HELLO",
                               fletch_envelope_kind_name(visitor->hello.kind));
    else if (answer == FLETCH_EMPTY)
        (void)fletch_error_set(&error, FLETCH_DEADLINE_EXCEEDED, "no HELLO for 10 s");
    end_visitor(pumps, visitor, &error);
    return true;
}

/* True: one is gone. */
static bool step_visitors(struct fletch_pumps *pumps, uint64_t now_ns)
{
    struct visitor **place = &pumps->visitors;
    bool has_moved = false;
    while (*place != NULL) {
        struct visitor *visitor = *place;
        struct visitor *next = visitor->next;
        if (step_visitor(pumps, visitor, now_ns)) {
            *place = next;
            has_moved = true;
            continue;
        }
        /* Nobody tells that a shuffle without partitions elsewhere was registered. */
        uint64_t again_ns = visitor->has_hello ? now_ns + LOOK_NS : visitor->deadline_ns;
        if (again_ns < pumps->deadline_ns)
            pumps->deadline_ns = again_ns;
        place = &visitor->next;
    }
    return has_moved;
}

/* ---- sessions ---- */

static void dial(struct fletch_flight_job *job, struct fletch_buffer_cache *cache)
{
    struct fletch_pump_session *session =
        (void *)((char *)job - offsetof(struct fletch_pump_session, job));
    struct fletch_pumps *pumps = session->dialler;
    const struct fletch_flight_descriptor descriptor = {
        .type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND,
        .command = {FLETCH_PUMP_COMMAND, sizeof FLETCH_PUMP_COMMAND - 1}};
    const struct fletch_flight_call_options options = {.struct_size = sizeof options,
                                                       .location = session->address};
    struct fletch_error error;
    (void)cache; /* the stream has one of its own */
    session->dialled = NULL;
    if (fletch_flight_client_do_exchange(pumps->client, &options, &descriptor, &session->dialled,
                                         &error) != FLETCH_OK)
        session->dialled = NULL;
    session->news.kind = FLETCH_NEWS_DIALLED;
    tell(pumps, &session->news);
}

static void add_counters(const struct fletch_pump_session *session,
                         struct fletch_pumps_statistics *sum)
{
    sum->connections_cut += session->resumes > 1 ? session->resumes - 1 : 0;
    if (session->role == FLETCH_ROLE_RECEIVER) {
        sum->frames_accepted += session->receiver.counters.frames_accepted;
        sum->frames_duplicate += session->receiver.counters.frames_duplicate;
        return;
    }
    sum->frames_sent += session->sender.counters.frames_sent;
    sum->bytes_sent += session->sender.counters.bytes_sent;
    sum->frames_sent_again += session->sender.counters.frames_sent_again;
}

static void tell_counters(struct fletch_pumps *pumps)
{
    struct fletch_pumps_statistics sum = pumps->gone;
    uint64_t numbers[COUNTERS];
    for (const struct fletch_pump_session *session = pumps->sessions; session != NULL;
         session = session->next) {
        add_counters(session, &sum);
        sum.sessions_now++;
        sum.sessions_connected_now += session->phase == FLETCH_SESSION_RUNNING ? 1 : 0;
    }
    memcpy(numbers, &sum, sizeof numbers);
    for (size_t i = 0; i < COUNTERS; i++)
        store_relaxed(&pumps->counters[i], numbers[i]); /* relaxed: numbers, each for itself */
}

static void end_session(struct fletch_pumps *pumps, struct fletch_pump_session *session)
{
    add_counters(session, &pumps->gone);
    fletch_session_destroy(session);
}

static bool step_session(struct fletch_pumps *pumps, struct fletch_pump_session *session,
                         uint64_t now_ns)
{
    bool ends = !session->dials && session->link.stream != NULL &&
                load_relaxed(&pumps->ends_served) != 0; /* relaxed: a flag */
    if (ends && pumps->ends_ns == 0)
        pumps->ends_ns = now_ns + LEAVE_NS;
    if (ends && pumps->ends_ns < pumps->deadline_ns)
        pumps->deadline_ns = pumps->ends_ns;
    if (ends && !(fletch_session_is_ending(session) && now_ns < pumps->ends_ns)) {
        struct fletch_error cause;
        (void)fletch_error_set(&cause, FLETCH_UNAVAILABLE, "LOST: the server is stopping");
        fletch_session_fail(session, &cause, now_ns);
    }
    bool has_moved = fletch_session_step(session, now_ns, &pumps->deadline_ns);
    if (fletch_session_wants_stream(session, now_ns)) {
        session->dialler = pumps;
        session->job.run = dial;
        fletch_flight_workers_submit(pumps->diallers, &session->job);
    }
    return has_moved;
}

static bool step_sessions(struct fletch_pumps *pumps, uint64_t now_ns)
{
    struct fletch_pump_session **place = &pumps->sessions;
    bool has_moved = false;
    while (*place != NULL) {
        struct fletch_pump_session *session = *place;
        has_moved |= step_session(pumps, session, now_ns);
        if (session->phase != FLETCH_SESSION_OVER) {
            place = &session->next;
            continue;
        }
        *place = session->next;
        end_session(pumps, session);
        has_moved = true;
    }
    return has_moved;
}

/* ---- the thread ---- */

static void take_one(struct fletch_pumps *pumps, struct fletch_pump_news *news, uint64_t now_ns)
{
    struct fletch_pump_session *session = (struct fletch_pump_session *)(void *)news;
    struct visitor *visitor = (struct visitor *)(void *)news;
    switch (news->kind) {
    case FLETCH_NEWS_SESSION:
        session->ends.cache = pumps->cache;
        session->next = pumps->sessions;
        pumps->sessions = session;
        break;
    case FLETCH_NEWS_DIALLED:
        fletch_session_dialled(session, session->dialled, now_ns);
        break;
    case FLETCH_NEWS_VISITOR:
        visitor->next = pumps->visitors;
        pumps->visitors = visitor;
        break;
    }
}

static bool take_news(struct fletch_pumps *pumps, uint64_t now_ns)
{
    struct fletch_inbox_list list;
    if (fletch_inbox_try_take(&pumps->news, &list) != FLETCH_DONE)
        return false;
    while (list.first != NULL) {
        struct fletch_inbox_node *next = list.first->next;
        take_one(pumps, (struct fletch_pump_news *)(void *)list.first, now_ns);
        list.first = next;
    }
    return true;
}

static enum fletch_answer turn(void *call)
{
    struct fletch_pumps *pumps = call;
    uint64_t now_ns = fletch_clock_now_ns();
    pumps->deadline_ns = FLETCH_NO_DEADLINE;
    if (load_acquire(&pumps->stops) != 0) /* E2 acquire */
        return FLETCH_CLOSED;
    bool has_moved = take_news(pumps, now_ns);
    has_moved |= step_visitors(pumps, now_ns);
    has_moved |= step_sessions(pumps, now_ns);
    if (has_moved)
        tell_counters(pumps);
    return has_moved ? FLETCH_DONE : FLETCH_EMPTY;
}

static void run(void *context)
{
    struct fletch_pumps *pumps = context;
    const struct fletch_wait wait = {
        .policy = &pumps->waits.policy,
        .history = &pumps->waits.history,
        .eventcount = &pumps->sleeper->eventcount,
        .attempt = turn,
        .call = pumps,
    };
    enum fletch_answer answer;
    do {
        answer = turn(pumps);
        if (answer == FLETCH_EMPTY)
            answer = fletch_wait_for(&wait, fletch_clock_remaining_ns(pumps->deadline_ns));
    } while (answer != FLETCH_CLOSED);
}

/* ---- the medium ---- */

static void notify(struct fletch_pumps *pumps)
{
    fletch_eventcount_notify(&pumps->sleeper->eventcount, UINT32_MAX);
}

/* Sessions that were made for one thing: all of them, or none. */
struct batch_of_sessions {
    struct fletch_pump_session *first;
};

static void destroy_sessions(struct batch_of_sessions *made)
{
    while (made->first != NULL) {
        struct fletch_pump_session *session = made->first;
        made->first = session->next;
        fletch_session_destroy(session);
    }
}

static enum fletch_status add_session(struct fletch_pumps *pumps, struct batch_of_sessions *made,
                                      struct fletch_session_options *options,
                                      struct fletch_error *error)
{
    struct fletch_pump_session *session;
    options->rules = &pumps->rules;
    options->sleeper = pumps->sleeper;
    /* relaxed: a number that nobody else has */
    options->number = fetch_add_relaxed(&pumps->numbers, 1);
    enum fletch_status status = fletch_session_create(options, &session, error);
    if (status != FLETCH_OK)
        return status;
    session->next = made->first;
    made->first = session;
    return FLETCH_OK;
}

/* On failure none is left. */
static enum fletch_status hand_over(struct fletch_pumps *pumps, struct batch_of_sessions *made,
                                    enum fletch_status status)
{
    while (status == FLETCH_OK && made->first != NULL) {
        struct fletch_pump_session *session = made->first;
        made->first = session->next;
        session->next = NULL;
        tell(pumps, &session->news);
    }
    destroy_sessions(made);
    return status;
}

/* Push: a session for each process that owns partitions. */
static enum fletch_status attach(void *context, struct fletch_shuffle *shuffle,
                                 struct fletch_error *error)
{
    struct fletch_pumps *pumps = context;
    const struct fletch_placement_plan *plan = &shuffle->specification.placement;
    uint32_t partition_count = shuffle->specification.partitioner.partition_count;
    struct batch_of_sessions made = {NULL};
    enum fletch_status status = FLETCH_OK;
    if (plan->mode != FLETCH_PLACEMENT_PUSH)
        return FLETCH_OK;
    uint32_t *partitions =
        fletch_block_allocate(&pumps->allocator, partition_count * sizeof *partitions);
    if (partitions == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a list of %u partitions", (unsigned)partition_count);
    for (uint32_t process = 0; process < plan->address_count && status == FLETCH_OK; process++) {
        struct fletch_session_options options = {.shuffle = shuffle,
                                                 .role = FLETCH_ROLE_SENDER,
                                                 .address = plan->addresses[process],
                                                 .partitions = partitions};
        for (uint32_t i = 0; i < partition_count && process != plan->self; i++)
            if (plan->owners[i] == process)
                partitions[options.partition_count++] = i;
        if (options.partition_count != 0)
            status = add_session(pumps, &made, &options, error);
    }
    fletch_block_release(partitions);
    return hand_over(pumps, &made, status);
}

/* Whether some producer writes in a process. */
static bool is_home(const struct fletch_shuffle *shuffle, uint32_t process)
{
    const struct fletch_shuffle_specification *known = &shuffle->specification;
    for (uint32_t i = 0; i < known->producer_limit; i++)
        if (known->placement.homes[i] == process)
            return true;
    return false;
}

/* Pull: a session for each process that has producers. */
static enum fletch_status claim(void *context, struct fletch_shuffle *shuffle,
                                const uint32_t *partitions, uint32_t count,
                                struct fletch_error *error)
{
    struct fletch_pumps *pumps = context;
    const struct fletch_placement_plan *plan = &shuffle->specification.placement;
    struct batch_of_sessions made = {NULL};
    enum fletch_status status = FLETCH_OK;
    for (uint32_t process = 0; process < plan->address_count && status == FLETCH_OK; process++) {
        struct fletch_session_options options = {.shuffle = shuffle,
                                                 .role = FLETCH_ROLE_RECEIVER,
                                                 .address = plan->addresses[process],
                                                 .partitions = partitions,
                                                 .partition_count = count};
        if (process != plan->self && is_home(shuffle, process))
            status = add_session(pumps, &made, &options, error);
    }
    return hand_over(pumps, &made, status);
}

/* Sessions see for themselves that a shuffle has its name, or was closed. */
static void look(void *context, struct fletch_shuffle *shuffle)
{
    (void)shuffle;
    notify(context);
}

/* ---- life ---- */

static uint64_t default_of(uint64_t given, uint64_t otherwise)
{
    return given == 0 ? otherwise : given;
}

static void end_pumps(struct fletch_shared *shared);

static enum fletch_status start_client(struct fletch_pumps *pumps,
                                       const struct fletch_pumps_options *options,
                                       struct fletch_error *error)
{
    struct fletch_flight_client_options client = options->client;
    const struct fletch_flight_workers_options diallers = {
        .pool = pumps->transport->pool, .limit = DIALLERS_MOST, .allocator = &pumps->allocator};
    client.struct_size = sizeof client;
    client.pool = pumps->transport->pool;
    client.account = pumps->transport->account;
    client.allocator = &pumps->allocator;
    client.peer_message_bytes = SIZE_MAX;
    /* One that is dead would be dialled through again. */
    if (client.keepalive_ns == 0)
        client.keepalive_ns = pumps->rules.silence_ns / 2;
    if (client.write_queue_bytes == 0)
        client.write_queue_bytes = WRITE_QUEUE_BYTES;
    client.backoff_first_ns = pumps->rules.backoff_first_ns;
    client.backoff_most_ns = pumps->rules.backoff_most_ns;
    enum fletch_status status = fletch_flight_client_create(&client, &pumps->client, error);
    if (status == FLETCH_OK)
        status = fletch_flight_workers_create(&diallers, &pumps->diallers, error);
    return status;
}

static enum fletch_status start(struct fletch_pumps *pumps,
                                const struct fletch_pumps_options *options,
                                struct fletch_error *error)
{
    const struct fletch_thread_options thread = {
        .name = "fletch-pump", .cpu = FLETCH_ANY_CPU, .run = run, .context = pumps};
    pumps->sleeper = fletch_sleeper_create(&pumps->allocator);
    if (pumps->sleeper == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED, "no memory for pumps");
    if (!fletch_entropy_fill(&pumps->rules.incarnation, sizeof pumps->rules.incarnation))
        return fletch_error_set(error, FLETCH_UNAVAILABLE, "the system gives no random bytes");
    fletch_flight_waits_start(&pumps->waits, options->spin_ns);
    enum fletch_status status =
        fletch_buffer_cache_open(pumps->transport->pool, &pumps->cache, error);
    if (status == FLETCH_OK)
        status = start_client(pumps, options, error);
    if (status == FLETCH_OK)
        status = fletch_thread_start(&pumps->thread, &thread, error);
    pumps->has_thread = status == FLETCH_OK;
    return status;
}

static void init(struct fletch_pumps *pumps, struct fletch_transport *transport,
                 const struct fletch_pumps_options *options)
{
    uint64_t grace_ns = default_of(options->reconnect_grace_ns, FLETCH_RECONNECT_GRACE_NS_DEFAULT);
    memset(pumps, 0, sizeof *pumps);
    fletch_shared_init(&pumps->shared, end_pumps);
    pumps->allocator = transport->allocator;
    pumps->transport = transport;
    pumps->media = (struct fletch_media){
        .attach = attach, .begin = look, .claim = claim, .detach = look, .context = pumps};
    pumps->rules = (struct fletch_session_rules){
        .allocator = transport->allocator,
        .connect_ns = default_of(options->connect_ns, FLETCH_PUMP_CONNECT_NS_DEFAULT),
        .grace_ns = grace_ns,
        .beat_ns = grace_ns / 4,
        .silence_ns = grace_ns,
        .leave_ns = LEAVE_NS,
        .backoff_first_ns = default_of(options->backoff_first_ns, BACKOFF_FIRST_NS),
        .backoff_most_ns = default_of(options->backoff_most_ns, BACKOFF_MOST_NS),
        .eager_bytes = options->eager_bytes == FLETCH_OFF
                           ? 0
                           : default_of(options->eager_bytes, FLETCH_EAGER_BYTES_DEFAULT),
        .compression = options->compression};
    store_relaxed(&pumps->news.head, NULL); /* relaxed: nobody else knows the pumps yet */
    fletch_eventcount_start_full(&pumps->all_left);
}

enum fletch_status fletch_pumps_acquire(struct fletch_transport *transport,
                                        const struct fletch_pumps_options *options,
                                        struct fletch_pumps **out_pumps, struct fletch_error *error)
{
    static const struct fletch_pumps_options defaults;
    const struct fletch_media *there = transport->media;
    if (there != NULL && there->attach == attach) {
        struct fletch_pumps *known = there->context;
        fletch_shared_acquire(&known->shared);
        *out_pumps = known;
        return FLETCH_OK;
    }
    struct fletch_pumps *pumps = fletch_block_allocate(&transport->allocator, sizeof *pumps);
    if (pumps == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for pumps of %zu bytes", sizeof *pumps);
    init(pumps, transport, options == NULL ? &defaults : options);
    enum fletch_status status = start(pumps, options == NULL ? &defaults : options, error);
    if (status == FLETCH_OK && !fletch_transport_install_media(transport, &pumps->media))
        status = fletch_error_set(error, FLETCH_ALREADY_EXISTS,
                                  "the transport has another medium already");
    if (status != FLETCH_OK) {
        fletch_shared_release(&pumps->shared);
        return status;
    }
    *out_pumps = pumps;
    return FLETCH_OK;
}

static void destroy_all(struct fletch_pumps *pumps)
{
    struct fletch_error cause;
    (void)fletch_error_set(&cause, FLETCH_UNAVAILABLE, "the pumps were stopped");
    while (pumps->visitors != NULL) {
        struct visitor *visitor = pumps->visitors;
        pumps->visitors = visitor->next;
        end_visitor(pumps, visitor, &cause);
    }
    while (pumps->sessions != NULL) {
        struct fletch_pump_session *session = pumps->sessions;
        pumps->sessions = session->next;
        fletch_session_destroy(session);
    }
}

static void end_pumps(struct fletch_shared *shared)
{
    struct fletch_pumps *pumps = (struct fletch_pumps *)(void *)shared;
    struct fletch_inbox_list list;
    store_release(&pumps->stops, 1); /* E2 release, read by turn */
    if (pumps->sleeper != NULL)
        notify(pumps);
    if (pumps->has_thread)
        fletch_thread_join(&pumps->thread);
    fletch_flight_workers_destroy(pumps->diallers);
    (void)take_news(pumps, fletch_clock_now_ns());
    fletch_inbox_close(&pumps->news, &list);
    destroy_all(pumps);
    if (pumps->transport->media == &pumps->media)
        (void)fletch_transport_install_media(pumps->transport, NULL);
    fletch_flight_client_destroy(pumps->client);
    fletch_buffer_cache_close(pumps->cache);
    fletch_eventcount_deinit(&pumps->all_left);
    fletch_sleeper_release(pumps->sleeper);
    fletch_block_release(pumps);
}

void fletch_pumps_release(struct fletch_pumps *pumps)
{
    if (pumps != NULL)
        fletch_shared_release(&pumps->shared);
}

struct fletch_flight_client *fletch_pumps_client(struct fletch_pumps *pumps)
{
    return pumps->client;
}

/* ---- a server's half ---- */

bool fletch_pumps_is_command(const struct fletch_flight_descriptor *descriptor)
{
    size_t bytes = sizeof FLETCH_PUMP_COMMAND - 1;
    return descriptor->type == FLETCH_FLIGHT_DESCRIPTOR_COMMAND &&
           descriptor->command.bytes == bytes &&
           memcmp(descriptor->command.data, FLETCH_PUMP_COMMAND, bytes) == 0;
}

enum fletch_status fletch_pumps_serve(struct fletch_pumps *pumps,
                                      struct fletch_flight_stream *stream,
                                      struct fletch_error *error)
{
    (void)fetch_add_acq_rel(&pumps->served, 1); /* E1 release */
    struct visitor *visitor = fletch_block_allocate(&pumps->allocator, sizeof *visitor);
    /* E3 release and acquire: who ends it sees the count, or this sees that it has ended. */
    if (visitor == NULL || fetch_add_acq_rel(&pumps->ends_served, 0) != 0) {
        if (visitor != NULL)
            fletch_block_release(visitor);
        count_left(pumps);
        return fletch_error_set(
            error, visitor == NULL ? FLETCH_RESOURCE_EXHAUSTED : FLETCH_UNAVAILABLE,
            visitor == NULL ? "no memory for a stream" : "the server is stopping");
    }
    memset(visitor, 0, sizeof *visitor);
    visitor->news.kind = FLETCH_NEWS_VISITOR;
    visitor->link = (struct fletch_pump_link){
        .stream = stream, .is_server = true, .dropped = count_left, .context = pumps};
    fletch_flight_stream_take_over(stream);
    tell(pumps, &visitor->news);
    return FLETCH_OK;
}

void fletch_pumps_end_served(struct fletch_pumps *pumps)
{
    (void)exchange_acq_rel(&pumps->ends_served, 1); /* E3 acquire and release */
    notify(pumps);
    for (;;) {
        uint32_t key = fletch_eventcount_prepare(&pumps->all_left);
        if (load_acquire(&pumps->served) == 0) { /* E1 acquire */
            fletch_eventcount_cancel(&pumps->all_left);
            return;
        }
        (void)fletch_eventcount_wait(&pumps->all_left, key, FLETCH_NO_TIMEOUT);
    }
}

void fletch_pumps_statistics(const struct fletch_pumps *pumps,
                             struct fletch_pumps_statistics *out_statistics)
{
    uint64_t numbers[COUNTERS];
    for (size_t i = 0; i < COUNTERS; i++)
        numbers[i] = load_relaxed(&pumps->counters[i]); /* relaxed: numbers, each for itself */
    memcpy(out_statistics, numbers, sizeof numbers);
}
