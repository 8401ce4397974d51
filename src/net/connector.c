#include "net/connector.h"

#include <errno.h>
#include <string.h>

#include "base/allocator.h"
#include "base/checked.h"
#include "base/clock.h"

enum { NO_FD = -1 };

/* One address. */
struct attempt {
    struct fletch_connector *connector;
    struct fletch_socket_address address;
    struct fletch_event_source source; /* fd NO_FD: not under way */
};

struct fletch_connector {
    struct fletch_event_loop *loop;
    const struct fletch_net_io *io;
    struct fletch_connector_options options;
    struct fletch_backoff backoff;
    struct fletch_timer next;     /* the next address is tried, or all of them again */
    struct fletch_timer deadline; /* at the end of which all is over */
    struct fletch_error failure;  /* of the last one that failed */
    size_t begun;                 /* addresses tried in this round */
    size_t failed;                /* of these */
    struct attempt attempts[FLETCH_CONNECTOR_ADDRESSES_MOST];
};

/* ---- the order of addresses ---- */

static int family_of(const struct fletch_socket_address *address)
{
    return address->as.any.sa_family;
}

/* The next address that is not taken yet: of another family than the last one's, where there is
 * one. */
static size_t choose_next(const struct fletch_connector_options *options, uint32_t taken,
                          int last_family)
{
    size_t chosen = options->address_count;
    for (size_t i = 0; i < options->address_count; i++) {
        if ((taken >> i & 1) != 0)
            continue;
        if (family_of(&options->addresses[i]) != last_family)
            return i;
        if (chosen == options->address_count)
            chosen = i;
    }
    return chosen;
}

static void order_addresses(struct fletch_connector *connector)
{
    uint32_t taken = 0;
    int last_family = AF_UNSPEC;
    for (size_t i = 0; i < connector->options.address_count; i++) {
        size_t next = choose_next(&connector->options, taken, last_family);
        taken |= UINT32_C(1) << next;
        connector->attempts[i].address = connector->options.addresses[next];
        last_family = family_of(&connector->attempts[i].address);
    }
    connector->options.addresses = NULL; /* the caller's */
}

/* ---- attempts ---- */

static void try_next(struct fletch_connector *connector);

static void set_timer(struct fletch_connector *connector, struct fletch_timer *timer,
                      uint64_t delay_ns)
{
    uint64_t now_ns = fletch_event_loop_now_ns(connector->loop);
    fletch_timer_wheel_set(fletch_event_loop_wheel(connector->loop), timer,
                           fletch_saturating_add_u64(now_ns, delay_ns));
}

/* Takes the descriptor out of an attempt. */
static int take_fd(struct attempt *attempt)
{
    int fd = attempt->source.fd;
    fletch_event_loop_unwatch(attempt->connector->loop, &attempt->source);
    attempt->source.fd = NO_FD;
    return fd;
}

static void give_up(struct attempt *attempt)
{
    const struct fletch_net_io *io = attempt->connector->io;
    if (attempt->source.fd != NO_FD)
        io->close(io->context, take_fd(attempt));
}

/* Tells the outcome, and ends. */
static void finish(struct fletch_connector *connector, const struct attempt *winner, int fd)
{
    void (*done)(void *, const struct fletch_connected *) = connector->options.done;
    void *context = connector->options.context;
    struct fletch_error failure = connector->failure;
    struct fletch_socket_address peer = connector->attempts[0].address;
    if (winner != NULL) {
        peer = winner->address;
        fletch_socket_tune(connector->io, fd, &peer);
    }
    fletch_connector_destroy(connector);
    const struct fletch_connected connected = {
        .fd = fd, .peer = &peer, .error = winner != NULL ? NULL : &failure};
    done(context, &connected);
}

/* Whether the attempt that failed was the last one to be waited for. */
static bool note_failure(struct attempt *attempt, int number)
{
    struct fletch_connector *connector = attempt->connector;
    struct fletch_socket_text text = fletch_socket_address_text(&attempt->address);
    give_up(attempt);
    connector->failed++;
    (void)fletch_net_failure(&connector->failure, number, "connecting to", text.text);
    return connector->failed == connector->options.address_count;
}

static void on_failure(struct attempt *attempt, int number)
{
    struct fletch_connector *connector = attempt->connector;
    bool was_last = note_failure(attempt, number);
    if (!was_last) {
        /* Those that are under way go on, beside the next one. */
        if (connector->begun < connector->options.address_count)
            set_timer(connector, &connector->next, 0);
        return;
    }
    if (!connector->options.tries_again) {
        finish(connector, NULL, NO_FD);
        return;
    }
    connector->begun = 0;
    connector->failed = 0;
    set_timer(connector, &connector->next, fletch_backoff_next_ns(&connector->backoff));
}

static void on_ready(void *context, uint32_t events)
{
    struct attempt *attempt = context;
    struct fletch_connector *connector = attempt->connector;
    int number = 0;
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0)
        return;
    if (connector->io->pending_error(connector->io->context, attempt->source.fd, &number) != 0)
        number = errno;
    if (number == 0 && (events & EPOLLHUP) != 0)
        number = ENOTCONN;
    if (number == 0)
        finish(connector, attempt, take_fd(attempt));
    else
        on_failure(attempt, number);
}

/* 0, or the error number. Whether the connection is there is told by an event, even if at once. */
static int begin(struct attempt *attempt)
{
    struct fletch_connector *connector = attempt->connector;
    const struct fletch_net_io *io = connector->io;
    int fd = io->open(io->context, family_of(&attempt->address));
    if (fd < 0)
        return errno;
    int answer = io->connect(io->context, fd, &attempt->address.as.any, attempt->address.bytes);
    int number = answer == 0 ? 0 : errno;
    /* An interrupted call goes on by itself. */
    if (number == EINPROGRESS || number == EINTR)
        number = 0;
    attempt->source = (struct fletch_event_source){.fd = fd, .ready = on_ready, .context = attempt};
    if (number == 0 &&
        fletch_event_loop_watch(connector->loop, &attempt->source, EPOLLOUT, NULL) != FLETCH_OK)
        number = errno;
    if (number != 0) {
        io->close(io->context, fd);
        attempt->source.fd = NO_FD;
    }
    return number;
}

static void try_next(struct fletch_connector *connector)
{
    struct attempt *attempt = &connector->attempts[connector->begun++];
    int number = begin(attempt);
    if (number != 0)
        on_failure(attempt, number);
    else if (connector->begun < connector->options.address_count)
        set_timer(connector, &connector->next, connector->options.stagger_ns);
}

static void on_next(void *context)
{
    try_next(context);
}

static void on_deadline(void *context)
{
    struct fletch_connector *connector = context;
    struct fletch_socket_text text = fletch_socket_address_text(&connector->attempts[0].address);
    struct fletch_error last = connector->failure;
    (void)fletch_error_set(&connector->failure, FLETCH_DEADLINE_EXCEEDED,
                           "connecting to '%s': no answer by the deadline%s%s", text.text,
                           last.message[0] != 0 ? ", the last failure: " : "", last.message);
    finish(connector, NULL, NO_FD);
}

/* ---- beginning and end ---- */

enum fletch_status fletch_connector_create(const struct fletch_connector_options *options,
                                           struct fletch_connector **out_connector,
                                           struct fletch_error *error)
{
    size_t most = FLETCH_CONNECTOR_ADDRESSES_MOST;
    if (options->address_count == 0 || options->address_count > most)
        return fletch_error_set(error, FLETCH_INVALID_ARGUMENT,
                                "1 to %zu addresses to connect to were expected, not %zu", most,
                                options->address_count);
    struct fletch_event_loop *loop = options->loop;
    struct fletch_connector *connector =
        fletch_block_allocate(fletch_event_loop_allocator(loop), sizeof *connector);
    if (connector == NULL)
        return fletch_error_set(error, FLETCH_RESOURCE_EXHAUSTED,
                                "no memory for a connector of %zu bytes", sizeof *connector);
    *connector = (struct fletch_connector){
        .loop = loop, .io = fletch_event_loop_io(loop), .options = *options};
    if (options->stagger_ns == 0)
        connector->options.stagger_ns = FLETCH_CONNECTOR_STAGGER_NS;
    for (size_t i = 0; i < most; i++) {
        connector->attempts[i].connector = connector;
        connector->attempts[i].source.fd = NO_FD;
    }
    order_addresses(connector);
    fletch_backoff_start(&connector->backoff, options->pause_first_ns, options->pause_most_ns,
                         options->seed);
    fletch_timer_start(&connector->next, on_next, connector);
    fletch_timer_start(&connector->deadline, on_deadline, connector);
    set_timer(connector, &connector->next, 0);
    fletch_timer_wheel_set(fletch_event_loop_wheel(loop), &connector->deadline,
                           options->deadline_ns == 0 ? FLETCH_NO_DEADLINE : options->deadline_ns);
    *out_connector = connector;
    return FLETCH_OK;
}

void fletch_connector_destroy(struct fletch_connector *connector)
{
    if (connector == NULL)
        return;
    fletch_timer_wheel_clear(fletch_event_loop_wheel(connector->loop), &connector->next);
    fletch_timer_wheel_clear(fletch_event_loop_wheel(connector->loop), &connector->deadline);
    for (size_t i = 0; i < FLETCH_CONNECTOR_ADDRESSES_MOST; i++)
        give_up(&connector->attempts[i]);
    fletch_block_release(connector);
}
