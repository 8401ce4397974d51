#include "serve_settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fletching/fletching.h>

#include "quantity.h"

enum {
    CONFIG_BYTES_MAX = 1 << 20,
    SECONDS_MAX = 86400,
    MEMORY_LEAST = 1 << 20,
    MESSAGE_LEAST = 1 << 16
};

const char *const serve_creations[3] = {[FLETCH_CREATION_BY_ACTION] = "action",
                                        [FLETCH_CREATION_BY_PUT] = "put",
                                        [FLETCH_CREATION_OFF] = "off"};
const char *const serve_codecs[3] = {
    [FLETCH_SPILL_PLAIN] = "plain", [FLETCH_SPILL_LZ4] = "lz4", [FLETCH_SPILL_ZSTD] = "zstd"};

int serve_word_number(const char *word, const char *const known[3])
{
    int number = 0;
    while (number < 2 && strcmp(word, known[number]) != 0)
        number++;
    return number;
}

void serve_settings_begin(struct serve_settings *settings, const struct command_usage *usage)
{
    *settings = (struct serve_settings){.usage = usage,
                                        .listen = "grpc://127.0.0.1:8815",
                                        .create_word = "action",
                                        .log_word = "text",
                                        .spill_codec_word = "plain",
                                        .memory_bytes = UINT64_C(1) << 30,
                                        .shuffle_limit = FLETCH_SHUFFLE_LIMIT_DEFAULT,
                                        .partition_limit = FLETCH_SERVED_PARTITIONS_DEFAULT,
                                        .producer_limit = FLETCH_SERVED_PRODUCERS_DEFAULT,
                                        .connection_limit = 10000,
                                        .call_limit = 1024,
                                        .message_bytes = INT32_MAX,
                                        .credit_seconds = 60,
                                        .stall_seconds = 60,
                                        .drain_seconds = 30};
}

void serve_settings_end(struct serve_settings *settings)
{
    toml_file_close(settings->file);
}

void serve_settings_options(struct serve_settings *to, struct option_entry out[SERVE_OPTIONS])
{
    const struct option_entry options[SERVE_OPTIONS] = {
        {"listen", OPTION_TEXT, "LOCATION", "grpc://host:port or grpc+unix:///path", &to->listen},
        {"public", OPTION_TEXT, "LOCATION", "where others reach it, if that is another",
         &to->public_location},
        {"insecure", OPTION_FLAG, NULL, "listen where other machines can reach it",
         &to->is_insecure},
        {"memory", OPTION_BYTES, "BYTES", "budget of all shuffles (default: 1GiB)",
         &to->memory_bytes},
        {"shuffle-memory", OPTION_BYTES, "BYTES", "the most of it for one shuffle",
         &to->shuffle_memory_bytes},
        {"spill-dir", OPTION_TEXT, "DIR", "where rows go that there is no room for",
         &to->spill_directory},
        {"compress-spill", OPTION_TEXT, "CODEC", "what is spilled: plain, lz4 or zstd",
         &to->spill_codec_word},
        {"create", OPTION_TEXT, "WORD", "by what clients make shuffles: action, put, off",
         &to->create_word},
        {"shuffles", OPTION_COUNT, "N", "at a time, at most", &to->shuffle_limit},
        {"partitions", OPTION_COUNT, "N", "of one shuffle, at most", &to->partition_limit},
        {"producers", OPTION_COUNT, "N", "of one shuffle, at most", &to->producer_limit},
        {"connections", OPTION_COUNT, "N", "at a time, at most", &to->connection_limit},
        {"calls", OPTION_COUNT, "N", "of one connection at a time, at most", &to->call_limit},
        {"message-limit", OPTION_BYTES, "BYTES", "the largest message that may come",
         &to->message_bytes},
        {"loops", OPTION_COUNT, "N", "threads (default: processors)", &to->loop_count},
        {"credit-timeout", OPTION_COUNT, "SECONDS", "how long a put waits for memory",
         &to->credit_seconds},
        {"stall-timeout", OPTION_COUNT, "SECONDS", "how long a get may take nothing (0: for ever)",
         &to->stall_seconds},
        {"drain", OPTION_COUNT, "SECONDS", "what calls have to end when it is stopped",
         &to->drain_seconds},
        {"log", OPTION_TEXT, "FORM", "text or json", &to->log_word},
        {"ready-file", OPTION_TEXT, "FILE", "is there, with the location, while it listens",
         &to->ready_file},
        {"config", OPTION_TEXT, "FILE", "these settings in TOML; flags go before it",
         &to->config_path},
        {"print-config", OPTION_FLAG, NULL, "what it would run with, as TOML", &to->prints_config}};
    memcpy(out, options, sizeof options);
}

/* ---- the file ---- */

static const char *const kind_words[] = {[OPTION_FLAG] = "true or false",
                                         [OPTION_TEXT] = "text",
                                         [OPTION_COUNT] = "a whole number",
                                         [OPTION_BYTES] = "a number of bytes such as \"512MiB\""};

static enum outcome refuse_value(const struct serve_settings *settings,
                                 const struct toml_entry *entry, const struct option_entry *option)
{
    const char *path = settings->config_path, *wanted = kind_words[option->kind];
    if (entry->kind == TOML_NUMBER)
        return outcome_tell(OUTCOME_USAGE, "%s:%u: %s is %" PRId64 ", expected %s", path,
                            entry->line, entry->key, entry->number, wanted);
    if (entry->kind == TOML_TEXT)
        return outcome_tell(OUTCOME_USAGE, "%s:%u: %s is \"%s\", expected %s", path, entry->line,
                            entry->key, entry->text, wanted);
    return outcome_tell(OUTCOME_USAGE, "%s:%u: %s is %s, expected %s", path, entry->line,
                        entry->key, entry->kind_word, wanted);
}

static bool take_value(const struct toml_entry *entry, const struct option_entry *option)
{
    bool is_text = entry->kind == TOML_TEXT && strlen(entry->text) == entry->text_bytes;
    bool is_count = entry->kind == TOML_NUMBER && entry->number >= 0;
    uint64_t bytes;
    switch (option->kind) {
    case OPTION_FLAG:
        if (entry->kind != TOML_FLAG)
            return false;
        *(bool *)option->target = entry->flag;
        return true;
    case OPTION_TEXT:
        if (!is_text)
            return false;
        *(const char **)option->target = entry->text;
        return true;
    default:
        if (is_count)
            *(uint64_t *)option->target = (uint64_t)entry->number;
        else if (option->kind == OPTION_BYTES && is_text &&
                 quantity_parse_bytes(entry->text, &bytes))
            *(uint64_t *)option->target = bytes;
        else
            return false;
        return true;
    }
}

static enum outcome refuse_key(const struct serve_settings *settings,
                               const struct toml_entry *entry, const struct option_entry *options)
{
    struct text known = {0};
    for (size_t i = 0; i < SERVE_SETTINGS; i++)
        text_print(&known, "%s%s", i == 0 ? "" : ", ", options[i].name);
    enum outcome outcome = outcome_tell(
        OUTCOME_USAGE, "%s:%u: there is no setting '%s'; there are: %.*s", settings->config_path,
        entry->line, entry->key, (int)known.size, known.bytes == NULL ? "" : known.bytes);
    text_end(&known);
    return outcome;
}

static enum outcome take_entries(struct serve_settings *settings)
{
    struct option_entry options[SERVE_OPTIONS];
    size_t count;
    serve_settings_options(settings, options);
    const struct toml_entry *entries = toml_file_entries(settings->file, &count);
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < SERVE_SETTINGS && strcmp(options[at].name, entries[i].key) != 0)
            at++;
        if (at == SERVE_SETTINGS)
            return refuse_key(settings, &entries[i], options);
        if (!take_value(&entries[i], &options[at]))
            return refuse_value(settings, &entries[i], &options[at]);
    }
    return OUTCOME_DONE;
}

static enum outcome parse_text(struct serve_settings *settings, const char *bytes, size_t size)
{
    const char *path = settings->config_path;
    struct toml_trouble trouble;
    if (toml_file_parse(bytes, size, &settings->file, &trouble))
        return take_entries(settings);
    if (trouble.line == 0)
        return outcome_tell(OUTCOME_SYSTEM, "%s: %s", path, trouble.text);
    return outcome_tell(OUTCOME_USAGE, "%s:%u:%u: %s", path, trouble.line, trouble.column,
                        trouble.text);
}

enum outcome serve_settings_read(struct serve_settings *settings)
{
    const char *path = settings->config_path;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return outcome_tell_errno(path, "cannot open");
    enum outcome outcome = OUTCOME_DONE;
    char *bytes = malloc(CONFIG_BYTES_MAX + 1);
    size_t size = bytes == NULL ? 0 : fread(bytes, 1, CONFIG_BYTES_MAX + 1, file);
    if (bytes == NULL)
        outcome = outcome_tell(OUTCOME_SYSTEM, "%s: no memory to read it", path);
    else if (ferror(file))
        outcome = outcome_tell_errno(path, "cannot read");
    else if (size > CONFIG_BYTES_MAX)
        outcome = outcome_tell(OUTCOME_USAGE, "%s: has more than %d bytes, expected settings", path,
                               CONFIG_BYTES_MAX);
    else
        outcome = parse_text(settings, bytes, size);
    free(bytes);
    fclose(file);
    return outcome;
}

/* ---- what can be ---- */

/* The host within "grpc://host:port"; false: there is none, since it is no such location. */
static bool host_of(const char *location, char *host, size_t host_bytes)
{
    static const char *const schemes[] = {"grpc://", "grpc+tcp://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t scheme = strlen(schemes[i]);
        if (strncmp(location, schemes[i], scheme) != 0)
            continue;
        const char *begin = location + scheme, *end = strrchr(begin, ':');
        if (end == NULL || end == begin)
            return false;
        if (*begin == '[' && end[-1] == ']') {
            begin++;
            end--;
        }
        int length = (int)(end - begin);
        return snprintf(host, host_bytes, "%.*s", length, begin) < (int)host_bytes;
    }
    return false;
}

/* Whether other machines cannot reach it. What is no location at all, the server refuses. */
static bool is_local(const char *location)
{
    char host[256];
    struct in_addr four;
    struct in6_addr six;
    if (!host_of(location, host, sizeof host) || strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* One of a few words. */
static enum outcome check_word(const struct serve_settings *settings, const char *name,
                               const char *word, const char *const known[3])
{
    for (size_t i = 0; i < 3; i++)
        if (strcmp(word, known[i]) == 0)
            return OUTCOME_DONE;
    return options_refuse(settings->usage, "%s is '%s', expected %s, %s or %s", name, word,
                          known[0], known[1], known[2]);
}

static enum outcome check_words(const struct serve_settings *settings)
{
    enum outcome outcome = check_word(settings, "create", settings->create_word, serve_creations);
    if (outcome == OUTCOME_DONE)
        outcome = check_word(settings, "compress-spill", settings->spill_codec_word, serve_codecs);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (strcmp(settings->log_word, "text") != 0 && strcmp(settings->log_word, "json") != 0)
        return options_refuse(settings->usage, "log is '%s', expected text or json",
                              settings->log_word);
    if (!settings->is_insecure && !is_local(settings->listen))
        return options_refuse(settings->usage,
                              "listen is '%s', where other machines reach it, expected 127.0.0.1, "
                              "localhost, [::1] or a Unix socket, or --insecure: nothing is "
                              "encrypted, and nobody is asked who he is",
                              settings->listen);
    return OUTCOME_DONE;
}

static enum outcome check_paths(const struct serve_settings *settings)
{
    const struct {
        const char *name;
        const char *path;
    } paths[] = {{"listen", settings->listen},
                 {"public", settings->public_location},
                 {"spill-dir", settings->spill_directory},
                 {"ready-file", settings->ready_file}};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (paths[i].path != NULL && paths[i].path[0] == '\0')
            return options_refuse(settings->usage, "%s is empty, expected a %s", paths[i].name,
                                  i < 2 ? "location" : "path");
    if (settings->spill_directory == NULL)
        return OUTCOME_DONE;
    int fd = open(settings->spill_directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) /* a file system without them */
        fd = open(settings->spill_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return outcome_tell_errno(settings->spill_directory, "spill-dir: cannot write there");
    close(fd);
    return OUTCOME_DONE;
}

enum outcome serve_settings_check(const struct serve_settings *settings)
{
    const struct {
        const char *name;
        uint64_t value, least, most;
    } ranges[] = {{"memory", settings->memory_bytes, MEMORY_LEAST, FLETCH_BUDGET_BYTES_MAX},
                  {"shuffle-memory", settings->shuffle_memory_bytes, 0, settings->memory_bytes},
                  {"shuffles", settings->shuffle_limit, 1, UINT32_MAX},
                  {"partitions", settings->partition_limit, 1, FLETCH_PARTITIONS_MAX},
                  {"producers", settings->producer_limit, 1, FLETCH_PRODUCERS_MAX},
                  {"connections", settings->connection_limit, 1, UINT32_MAX},
                  {"calls", settings->call_limit, 1, INT32_MAX},
                  {"message-limit", settings->message_bytes, MESSAGE_LEAST, INT32_MAX},
                  {"loops", settings->loop_count, 0, 1024},
                  {"credit-timeout", settings->credit_seconds, 1, SECONDS_MAX},
                  {"stall-timeout", settings->stall_seconds, 0, SECONDS_MAX},
                  {"drain", settings->drain_seconds, 0, SECONDS_MAX}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (ranges[i].value < ranges[i].least || ranges[i].value > ranges[i].most)
            return options_refuse(settings->usage,
                                  "%s is %" PRIu64 ", expected %" PRIu64 " to %" PRIu64,
                                  ranges[i].name, ranges[i].value, ranges[i].least, ranges[i].most);
    enum outcome outcome = check_paths(settings);
    return outcome == OUTCOME_DONE ? check_words(settings) : outcome;
}

/* ---- printing ---- */

/* A number of bytes in the largest unit that it is a multiple of. */
static void print_bytes(struct text *text, uint64_t bytes)
{
    static const char *const units[] = {"GiB", "MiB", "KiB"};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        uint64_t unit = UINT64_C(1) << (30 - 10 * i);
        if (bytes > 0 && bytes % unit == 0) {
            text_print(text, "\"%" PRIu64 "%s\"", bytes / unit, units[i]);
            return;
        }
    }
    text_print(text, "%" PRIu64, bytes);
}

/* JSON's strings are TOML's, too. */
static void print_value(struct text *text, const struct option_entry *option)
{
    const char *word;
    switch (option->kind) {
    case OPTION_FLAG:
        text_word(text, *(const bool *)option->target ? "true" : "false");
        return;
    case OPTION_TEXT:
        word = *(const char *const *)option->target;
        text_json(text, word, strlen(word));
        return;
    case OPTION_BYTES:
        print_bytes(text, *(const uint64_t *)option->target);
        return;
    default:
        text_print(text, "%" PRIu64, *(const uint64_t *)option->target);
        return;
    }
}

enum outcome serve_settings_print(struct serve_settings *settings, struct text *text)
{
    struct option_entry options[SERVE_OPTIONS];
    serve_settings_options(settings, options);
    for (size_t i = 0; i < SERVE_SETTINGS; i++) {
        const char *word =
            options[i].kind == OPTION_TEXT ? *(const char *const *)options[i].target : "";
        if (word == NULL) {
            text_print(text, "# %s: %s\n", options[i].name, options[i].help);
            continue;
        }
        if (!text_is_utf8(word, strlen(word)))
            return options_refuse(settings->usage,
                                  "%s has bytes that are no UTF-8, which TOML cannot say",
                                  options[i].name);
        text_print(text, "%s = ", options[i].name);
        print_value(text, &options[i]);
        text_word(text, "\n");
    }
    return OUTCOME_DONE;
}
