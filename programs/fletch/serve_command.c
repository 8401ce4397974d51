/* fletch serve: the shuffle service, from its settings to its last signal. */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fletching/fletching.h>

#include "command.h"
#include "serve_log.h"
#include "serve_settings.h"

enum { SIGNAL_EXIT = 128 };
#define SECOND_NS UINT64_C(1000000000)

struct serve_run {
    const struct serve_settings *settings;
    struct fletch_transport *transport;
    struct fletch_shuffle_server *server;
    int signal_fd;
    int drained_fd;
    bool is_ready; /* the ready file is there */
};

/* An error of the library, in the form that the log has. */
static enum outcome tell(const struct serve_run *run, const char *subject,
                         const struct fletch_error *error)
{
    if (strcmp(run->settings->log_word, "json") != 0)
        return outcome_tell_error(subject, error);
    const struct log_field fields[] = {{.name = "error", .text = error->message},
                                       {.name = "subject", .text = subject}};
    serve_log(LOG_LEVEL_ERROR, "cannot serve", fields, 2);
    return outcome_of(error->status);
}

/* ---- what happens ---- */

static void take_notice(void *user, const struct fletch_service_notice *notice)
{
    static const char *const messages[] = {
        [FLETCH_NOTICE_CREATED] = "created",     [FLETCH_NOTICE_DROPPED] = "dropped",
        [FLETCH_NOTICE_CANCELLED] = "cancelled", [FLETCH_NOTICE_PUT_BEGUN] = "put begun",
        [FLETCH_NOTICE_PUT_ENDED] = "put ended", [FLETCH_NOTICE_GET_BEGUN] = "get begun",
        [FLETCH_NOTICE_GET_ENDED] = "get ended", [FLETCH_NOTICE_REFUSED] = "refused"};
    enum fletch_service_notice_kind kind = notice->kind;
    bool is_put = kind == FLETCH_NOTICE_PUT_BEGUN || kind == FLETCH_NOTICE_PUT_ENDED;
    bool is_end = kind == FLETCH_NOTICE_PUT_ENDED || kind == FLETCH_NOTICE_GET_ENDED;
    struct log_field fields[8];
    size_t count = 0;
    (void)user;
    if ((size_t)kind >= sizeof messages / sizeof messages[0])
        return;
    if (notice->shuffle[0] != '\0')
        fields[count++] = (struct log_field){.name = "shuffle", .text = notice->shuffle};
    if (is_put)
        fields[count++] = (struct log_field){.name = "producer", .number = notice->producer};
    if (notice->partition != FLETCH_TICKET_WHOLE)
        fields[count++] = (struct log_field){.name = "partition", .number = notice->partition};
    if (is_end)
        fields[count++] = (struct log_field){.name = "rows", .number = notice->rows};
    if (notice->peer[0] != '\0')
        fields[count++] = (struct log_field){.name = "peer", .text = notice->peer};
    if (notice->status != FLETCH_OK)
        fields[count++] = (struct log_field){
            .name = "error",
            .text = notice->text != NULL ? notice->text : fletch_status_name(notice->status)};
    serve_log(notice->status == FLETCH_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, messages[kind],
              fields, count);
}

/* ---- starting ---- */

static enum outcome catch_signals(struct serve_run *run)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    /* Whoever reads the log, or a client, may go: that is told by the call that finds it out. */
    signal(SIGPIPE, SIG_IGN);
    /* Threads that are started later inherit it. */
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    run->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    run->drained_fd = eventfd(0, EFD_CLOEXEC);
    if (run->signal_fd < 0 || run->drained_fd < 0)
        return outcome_tell_errno("signals", "cannot wait for them");
    return OUTCOME_DONE;
}

static enum outcome start(struct serve_run *run)
{
    const struct serve_settings *settings = run->settings;
    const struct fletch_transport_options transport = {.struct_size = sizeof transport,
                                                       .budget_bytes = settings->memory_bytes};
    const struct fletch_shuffle_server_options options = {
        .struct_size = sizeof options,
        .location = settings->listen,
        .public_location = settings->public_location,
        .creation =
            (enum fletch_shuffle_creation)serve_word_number(settings->create_word, serve_creations),
        .shuffle_limit = (uint32_t)settings->shuffle_limit,
        .partition_limit = (uint32_t)settings->partition_limit,
        .producer_limit = (uint32_t)settings->producer_limit,
        .budget_limit_bytes = settings->shuffle_memory_bytes,
        .spill_directory = settings->spill_directory,
        .spill_codec =
            (enum fletch_spill_codec)serve_word_number(settings->spill_codec_word, serve_codecs),
        .credit_timeout_ns = settings->credit_seconds * SECOND_NS,
        .stall_timeout_ns =
            settings->stall_seconds == 0 ? FLETCH_OFF : settings->stall_seconds * SECOND_NS,
        .notice = take_notice,
        .loop_count = (uint32_t)settings->loop_count,
        .connection_limit = (uint32_t)settings->connection_limit,
        .stream_limit = (uint32_t)settings->call_limit,
        .message_limit_bytes = (size_t)settings->message_bytes,
        .validation = FLETCH_VALIDATION_FULL};
    struct fletch_error error;
    if (fletch_transport_create(&transport, NULL, &run->transport, &error) != FLETCH_OK)
        return tell(run, "memory", &error);
    if (fletch_shuffle_server_create(run->transport, &options, &run->server, &error) == FLETCH_OK)
        return OUTCOME_DONE;
    enum outcome outcome = tell(run, settings->listen, &error);
    return error.status == FLETCH_INVALID_ARGUMENT ? OUTCOME_USAGE : outcome;
}

/* Written under another name first: who sees the file sees all of it. */
static enum outcome write_ready_file(struct serve_run *run, const char *location)
{
    const char *path = run->settings->ready_file;
    char partial[PATH_MAX];
    if (path == NULL)
        return OUTCOME_DONE;
    int length = snprintf(partial, sizeof partial, "%s.%ld.partial", path, (long)getpid());
    if (length >= (int)sizeof partial)
        return outcome_tell(OUTCOME_USAGE, "ready-file has %zu bytes, expected a shorter path",
                            strlen(path));
    int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool is_written = fd >= 0 && dprintf(fd, "%s\n", location) > 0;
    if (fd >= 0)
        is_written = close(fd) == 0 && is_written;
    run->is_ready = is_written && rename(partial, path) == 0;
    if (run->is_ready)
        return OUTCOME_DONE;
    enum outcome outcome = outcome_tell_errno(path, "ready-file: cannot write it");
    unlink(partial);
    return outcome;
}

static enum outcome say_ready(struct serve_run *run)
{
    const char *location = fletch_shuffle_server_location(run->server);
    const struct log_field fields[] = {{.name = "location", .text = location},
                                       {.name = "version", .text = fletch_version()},
                                       {.name = "memory", .number = run->settings->memory_bytes},
                                       {.name = "pid", .number = (uint64_t)getpid()}};
    enum outcome outcome = write_ready_file(run, location);
    if (outcome != OUTCOME_DONE)
        return outcome;
    serve_log(LOG_LEVEL_INFO, "listening", fields, sizeof fields / sizeof fields[0]);
    /* Who started it may not care and have closed this: no reason to end. */
    if (dprintf(STDOUT_FILENO, "listening on %s\n", location) < 0) {
    }
    return OUTCOME_DONE;
}

/* ---- stopping ---- */

static void withdraw_ready_file(struct serve_run *run)
{
    if (run->is_ready)
        unlink(run->settings->ready_file);
    run->is_ready = false;
}

static const char *signal_word(int number)
{
    return number == SIGINT ? "SIGINT" : "SIGTERM";
}

static int next_signal(const struct serve_run *run)
{
    struct signalfd_siginfo about;
    while (read(run->signal_fd, &about, sizeof about) != (ssize_t)sizeof about)
        if (errno != EINTR)
            return SIGTERM;
    return (int)about.ssi_signo;
}

static void *drain(void *argument)
{
    struct serve_run *run = argument;
    struct fletch_error error;
    const uint64_t one = 1;
    if (fletch_shuffle_server_drain(run->server, run->settings->drain_seconds * SECOND_NS,
                                    &error) != FLETCH_OK) {
        const struct log_field field = {.name = "error", .text = error.message};
        serve_log(LOG_LEVEL_WARNING, "calls were cut off", &field, 1);
    }
    if (write(run->drained_fd, &one, sizeof one) < 0)
        abort(); /* an eventfd of our own takes a one */
    return NULL;
}

/* Waits until calls have ended. Another signal ends the process as it stands. */
static enum outcome drain_or_die(struct serve_run *run)
{
    pthread_t thread;
    struct pollfd descriptors[] = {{.fd = run->drained_fd, .events = POLLIN},
                                   {.fd = run->signal_fd, .events = POLLIN}};
    if (pthread_create(&thread, NULL, drain, run) != 0)
        return outcome_tell(OUTCOME_SYSTEM, "cannot start a thread to drain");
    while (poll(descriptors, 2, -1) < 0 || descriptors[0].revents == 0)
        if ((descriptors[1].revents & POLLIN) != 0) {
            int number = next_signal(run);
            const struct log_field field = {.name = "signal", .text = signal_word(number)};
            serve_log(LOG_LEVEL_WARNING, "a second signal: not waiting", &field, 1);
            _exit(SIGNAL_EXIT + number);
        }
    pthread_join(thread, NULL);
    return OUTCOME_DONE;
}

static enum outcome wait_and_drain(struct serve_run *run)
{
    int number = next_signal(run);
    const struct log_field fields[] = {{.name = "signal", .text = signal_word(number)},
                                       {.name = "seconds", .number = run->settings->drain_seconds}};
    withdraw_ready_file(run);
    serve_log(LOG_LEVEL_INFO, "draining", fields, 2);
    return drain_or_die(run);
}

static void log_totals(const struct serve_run *run)
{
    struct fletch_shuffle_server_counters all = {.struct_size = sizeof all};
    fletch_shuffle_server_statistics(run->server, &all);
    const struct log_field fields[] = {{.name = "calls", .number = all.calls},
                                       {.name = "puts", .number = all.puts},
                                       {.name = "puts_lost", .number = all.puts_lost},
                                       {.name = "gets", .number = all.gets},
                                       {.name = "gets_broken", .number = all.gets_broken},
                                       {.name = "rows_put", .number = all.rows_put},
                                       {.name = "rows_got", .number = all.rows_got}};
    serve_log(LOG_LEVEL_INFO, "stopped", fields, sizeof fields / sizeof fields[0]);
}

static enum outcome finish(struct serve_run *run, enum outcome outcome)
{
    struct fletch_error error;
    withdraw_ready_file(run);
    if (run->server != NULL) {
        if (fletch_shuffle_server_drop_all(run->server, &error) != FLETCH_OK)
            outcome = tell(run, "shuffles", &error);
        if (outcome == OUTCOME_DONE)
            log_totals(run);
    }
    fletch_shuffle_server_destroy(run->server);
    if (fletch_transport_destroy(run->transport, &error) != FLETCH_OK)
        outcome = tell(run, "memory", &error);
    if (run->signal_fd >= 0)
        close(run->signal_fd);
    if (run->drained_fd >= 0)
        close(run->drained_fd);
    return outcome;
}

static enum outcome serve(const struct serve_settings *settings)
{
    struct serve_run run = {.settings = settings, .signal_fd = -1, .drained_fd = -1};
    serve_log_begin(strcmp(settings->log_word, "json") == 0);
    enum outcome outcome = catch_signals(&run);
    if (outcome == OUTCOME_DONE)
        outcome = start(&run);
    if (outcome == OUTCOME_DONE)
        outcome = say_ready(&run);
    if (outcome == OUTCOME_DONE)
        outcome = wait_and_drain(&run);
    return finish(&run, outcome);
}

/* ---- the command line ---- */

static enum outcome print_config(struct serve_settings *settings)
{
    struct text text = {0};
    enum outcome outcome = serve_settings_print(settings, &text);
    if (outcome == OUTCOME_DONE && text.failed)
        outcome = outcome_tell(OUTCOME_SYSTEM, "no memory for the settings");
    else if (outcome == OUTCOME_DONE)
        text_write(&text, stdout); /* what was not written is told when the output is flushed */
    text_end(&text);
    return outcome;
}

/* Flags go before the file: they are read once to find it, and again over what it says. False:
 * *out_outcome says how the program ends. */
static bool read_settings(struct serve_settings *settings, char **words, enum outcome *out_outcome)
{
    const struct command_usage *usage = settings->usage;
    struct operands operands;
    if (!options_parse(usage, words, &operands, out_outcome))
        return false;
    *out_outcome = OUTCOME_DONE;
    if (operands.count > 0)
        *out_outcome = options_refuse(usage, "'%s' is one word too many", operands.words[0]);
    if (*out_outcome != OUTCOME_DONE || settings->config_path == NULL)
        return *out_outcome == OUTCOME_DONE;
    const char *path = settings->config_path;
    serve_settings_begin(settings, usage);
    settings->config_path = path;
    *out_outcome = serve_settings_read(settings);
    return *out_outcome == OUTCOME_DONE && options_parse(usage, words, &operands, out_outcome);
}

enum outcome serve_command(char **words)
{
    struct serve_settings settings;
    struct option_entry options[SERVE_OPTIONS];
    const struct command_usage usage = {
        .name = "serve",
        .synopsis = "[--config FILE] [OPTION...]",
        .text = "Runs the shuffle service: shuffles that any client of Arrow Flight puts rows to\n"
                "and gets partitions from. SIGTERM and SIGINT let calls end; a second one does\n"
                "not.\n",
        .options = options,
        .option_count = SERVE_OPTIONS};
    enum outcome outcome;
    serve_settings_begin(&settings, &usage);
    serve_settings_options(&settings, options);
    if (read_settings(&settings, words, &outcome)) {
        outcome = serve_settings_check(&settings);
        if (outcome == OUTCOME_DONE)
            outcome = settings.prints_config ? print_config(&settings) : serve(&settings);
    }
    serve_settings_end(&settings);
    return outcome;
}
