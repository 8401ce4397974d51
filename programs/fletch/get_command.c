/* fletch get: partitions of a shuffle of a service, to files or standard output. */

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "command.h"
#include "get_streams.h"
#include "quantity.h"
#include "service_run.h"

enum { STREAMS_DEFAULT = 512, STREAMS_MAX = 65536 };

struct get_words {
    struct flight_words flight; /* location, out, compression, timeout */
    const char *partitions;     /* NULL: all */
    const char *folder;
    uint64_t streams;
    bool is_json;
};

struct get_run {
    const struct get_words *words;
    struct text name;
    uint32_t partition_count; /* of the shuffle */
    uint32_t *partitions;     /* that are wanted */
    uint32_t count;
    int signal_fd;
};

/* ---- which partitions ---- */

static enum outcome ask_count(struct get_run *run)
{
    const struct flight_words *words = &run->words->flight;
    struct service_run service;
    struct fletch_shuffle_reports reports;
    struct fletch_error error;
    enum outcome outcome = service_begin(&service, words->usage, words->location, words->seconds);
    if (outcome == OUTCOME_DONE) {
        if (service_report(&service, &run->name, &reports, &error) == FLETCH_OK) {
            run->partition_count = reports.reports[0].partition_count;
            fletch_shuffle_reports_release(reports);
        } else {
            outcome = service_tell(&service, &error);
        }
    }
    service_end(&service);
    return outcome;
}

static enum outcome refuse_partitions(const struct get_run *run)
{
    return options_refuse(run->words->flight.usage,
                          "--partition is '%s', expected numbers up to %" PRIu32
                          " such as 0,2,4-7, each once",
                          run->words->partitions, run->partition_count - 1);
}

/* "4" or "4-7" */
static bool parse_span(const char *word, size_t size, uint64_t *out_first, uint64_t *out_last)
{
    char copy[32];
    if (size == 0 || size >= sizeof copy)
        return false;
    memcpy(copy, word, size);
    copy[size] = '\0';
    char *dash = strchr(copy, '-');
    if (dash != NULL)
        *dash = '\0';
    return quantity_parse_count(copy, out_first) &&
           quantity_parse_count(dash == NULL ? copy : dash + 1, out_last) &&
           *out_first <= *out_last;
}

static enum outcome parse_partitions(struct get_run *run, bool *is_wanted)
{
    for (const char *word = run->words->partitions; word != NULL;) {
        size_t size = strcspn(word, ",");
        uint64_t first, last;
        if (!parse_span(word, size, &first, &last) || last >= run->partition_count)
            return refuse_partitions(run);
        for (uint64_t i = first; i <= last; i++) {
            if (is_wanted[i])
                return refuse_partitions(run);
            is_wanted[i] = true;
            run->partitions[run->count++] = (uint32_t)i;
        }
        word = word[size] == '\0' ? NULL : word + size + 1;
    }
    return OUTCOME_DONE;
}

static enum outcome choose_partitions(struct get_run *run)
{
    bool *is_wanted = calloc(run->partition_count, sizeof *is_wanted);
    enum outcome outcome = OUTCOME_DONE;
    run->partitions = calloc(run->partition_count, sizeof *run->partitions);
    if (is_wanted == NULL || run->partitions == NULL)
        outcome = outcome_tell(OUTCOME_SYSTEM, "no memory for %" PRIu32 " partitions",
                               run->partition_count);
    else if (run->words->partitions != NULL)
        outcome = parse_partitions(run, is_wanted);
    else
        while (run->count < run->partition_count) {
            run->partitions[run->count] = run->count;
            run->count++;
        }
    free(is_wanted);
    return outcome;
}

/* ---- getting them ---- */

/* A folder of parts has no handler of its own that removes what is unfinished. Before there are
 * threads that would take the signals. */
static enum outcome catch_signals(struct get_run *run)
{
    sigset_t signals;
    if (run->words->folder == NULL)
        return OUTCOME_DONE;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    run->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return run->signal_fd >= 0 ? OUTCOME_DONE
                               : outcome_tell_errno("signals", "cannot wait for them");
}

/* Rows may be on standard output: what is said of them is on the other one. */
static void report(const struct get_run *run, const struct get_streams *streams)
{
    const struct get_words *words = run->words;
    bool is_out = words->flight.out != NULL || words->folder != NULL;
    FILE *file = is_out ? stdout : stderr;
    struct text text = {0};
    if (words->is_json) {
        text_word(&text, "{");
        text_json_number(&text, "partitions", streams->count);
        text_json_number(&text, "rows", streams->rows);
        text_json_number(&text, "batches", streams->batches);
        text_json_number(&text, "partitions_unverified", streams->unverified);
        text_word(&text, "}\n");
    } else if (is_out) {
        text_print(&text, "%s rows in %s batches of %" PRIu32 " partition%s got",
                   quantity_count(streams->rows).text, quantity_count(streams->batches).text,
                   streams->count, streams->count == 1 ? "" : "s");
        if (streams->unverified > 0)
            text_print(&text, ", %" PRIu32 " unverified", streams->unverified);
        text_word(&text, "\n");
    }
    text_write(&text, file);
    text_end(&text);
}

static enum outcome get_to(struct get_run *run, struct flight_run *flight)
{
    const struct get_words *words = run->words;
    const struct get_sink_plan plan = {.location = words->flight.location,
                                       .output = {.path = words->flight.out,
                                                  .replaces = words->flight.replaces,
                                                  .compression = flight->compression,
                                                  .cache = flight->context.cache},
                                       .folder = words->folder,
                                       .partition_count = run->partition_count};
    struct get_sink sink;
    struct get_streams streams = {.run = flight,
                                  .sink = &sink,
                                  .shuffle = &run->name,
                                  .partitions = run->partitions,
                                  .count = run->count,
                                  .limit = (uint32_t)words->streams,
                                  .signal_fd = run->signal_fd};
    enum outcome outcome = get_sink_open(&sink, &plan);
    if (outcome == OUTCOME_DONE)
        outcome = get_streams_run(&streams);
    outcome = get_sink_end(&sink, outcome);
    if (outcome == OUTCOME_DONE)
        report(run, &streams);
    return outcome;
}

static enum outcome run_words(struct get_words *words, const char *shuffle)
{
    struct get_run run = {.words = words, .signal_fd = -1};
    struct flight_run flight;
    enum outcome outcome = service_parse_name(words->flight.usage, shuffle, &run.name);
    if (outcome == OUTCOME_DONE)
        outcome = ask_count(&run);
    if (outcome == OUTCOME_DONE)
        outcome = choose_partitions(&run);
    if (outcome == OUTCOME_DONE)
        outcome = catch_signals(&run);
    if (outcome == OUTCOME_DONE) {
        outcome = flight_begin(&flight, &words->flight);
        if (outcome == OUTCOME_DONE)
            outcome = get_to(&run, &flight);
        flight_end(&flight);
    }
    if (run.signal_fd >= 0)
        close(run.signal_fd);
    free(run.partitions);
    text_end(&run.name);
    return outcome;
}

static enum outcome check(const struct get_words *words)
{
    const struct command_usage *usage = words->flight.usage;
    if (words->flight.out != NULL && words->folder != NULL)
        return options_refuse(usage, "--out and --parts do not go together");
    if (words->folder != NULL && words->partitions != NULL)
        return options_refuse(usage, "--parts are all partitions: not with --partition");
    if (words->flight.replaces && words->flight.out == NULL && words->folder == NULL)
        return options_refuse(usage, "--replace is of --out or --parts");
    if (words->streams == 0 || words->streams > STREAMS_MAX)
        return options_refuse(usage, "--streams is %" PRIu64 ", expected 1 to %d", words->streams,
                              STREAMS_MAX);
    if (words->flight.seconds > UINT32_MAX)
        return options_refuse(usage, "--timeout is %" PRIu64 ", at most %u", words->flight.seconds,
                              UINT32_MAX);
    if (words->flight.out == NULL && words->folder == NULL && isatty(STDOUT_FILENO))
        return options_refuse(usage, "writes no text: not to a terminal, but to --out or --parts");
    return OUTCOME_DONE;
}

enum outcome get_command(char **command_line)
{
    struct get_words words = {.streams = STREAMS_DEFAULT};
    const struct option_entry options[] = {
        {"partition", OPTION_TEXT, "LIST", "these alone: 0,2,4-7", &words.partitions},
        {"out", OPTION_TEXT, "FILE", "to this file (*.arrows: as a stream)", &words.flight.out},
        {"parts", OPTION_TEXT, "DIR", "DIR/part-00000.arrow ..., one for each", &words.folder},
        {"replace", OPTION_FLAG, NULL, "over what is there", &words.flight.replaces},
        {"compress", OPTION_TEXT, "CODEC", "what is written: lz4 or zstd", &words.flight.compress},
        {"streams", OPTION_COUNT, "N", "partitions at a time (default: 512)", &words.streams},
        {"timeout", OPTION_COUNT, "N", "seconds for each partition", &words.flight.seconds},
        {"json", OPTION_FLAG, NULL, "the report as one object", &words.is_json}};
    const struct command_usage usage = {
        .name = "get",
        .synopsis = "LOCATION SHUFFLE [--partition LIST] [--out FILE | --parts DIR]",
        .text = "Gets partitions of a shuffle of the service at LOCATION, as soon as there is\n"
                "something in them, until all producers have ended: to standard output as one\n"
                "Arrow IPC stream, or to files. Rows of a partition keep their order.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    enum outcome outcome;
    if (!options_parse(&usage, command_line, &operands, &outcome))
        return outcome;
    if (operands.count != 2)
        return options_refuse(&usage, "a LOCATION and a SHUFFLE were expected");
    words.flight.usage = &usage;
    words.flight.location = operands.words[0];
    outcome = check(&words);
    return outcome == OUTCOME_DONE ? run_words(&words, operands.words[1]) : outcome;
}
