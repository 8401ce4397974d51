#include "flight_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output_file.h"

#define SECOND_NS UINT64_C(1000000000)

enum outcome flight_tell(const struct flight_run *run, const struct fletch_error *error)
{
    return outcome_tell_peer(run->words->location, error);
}

enum outcome flight_tell_end(const struct flight_run *run, struct fletch_flight_stream *stream)
{
    struct fletch_flight_end end;
    struct fletch_error error;
    if (fletch_flight_stream_end(stream, FLETCH_NO_TIMEOUT, &end, &error) != FLETCH_DONE)
        return flight_tell(run, &error);
    if (end.status == FLETCH_OK)
        return OUTCOME_DONE;
    error.status = end.status;
    (void)snprintf(error.message, sizeof error.message, "%s", end.text);
    return flight_tell(run, &error);
}

/* ---- what was typed ---- */

static enum outcome tell_no_memory(void)
{
    return outcome_tell(OUTCOME_SYSTEM, "no memory for the words of the command line");
}

/* "a/b": a and b. */
static enum outcome parse_path(struct flight_run *run)
{
    const char *word = run->words->path;
    size_t parts = 1;
    for (const char *at = word; *at != '\0'; at++)
        parts += *at == '/';
    text_append(&run->key, word, strlen(word) + 1);
    run->path = calloc(parts, sizeof *run->path);
    if (run->path == NULL || run->key.failed)
        return tell_no_memory();
    char *at = run->key.bytes;
    for (size_t i = 0; i < parts; i++) {
        char *end = at + strcspn(at, "/");
        *end = '\0';
        if (end == at)
            return options_refuse(run->words->usage,
                                  "--path is '%s': part %zu of %zu is empty, expected a/b/c", word,
                                  i + 1, parts);
        run->path[i] = at;
        at = end + 1;
    }
    run->descriptor.type = FLETCH_FLIGHT_DESCRIPTOR_PATH;
    run->descriptor.path = run->path;
    run->descriptor.path_count = parts;
    return OUTCOME_DONE;
}

static enum outcome parse_key(struct flight_run *run)
{
    const struct flight_words *words = run->words;
    const char *word = words->command != NULL ? words->command : words->ticket;
    if (words->path != NULL)
        return parse_path(run);
    if (word == NULL)
        return OUTCOME_DONE;
    if (!text_bytes_parse(&run->key, word))
        return options_refuse(words->usage, "--%s is '%s', expected pairs of digits behind 0x",
                              words->command != NULL ? "command" : "ticket", word);
    if (run->key.failed)
        return tell_no_memory();
    run->ticket = (struct fletch_flight_bytes){run->key.bytes, run->key.size};
    run->descriptor.type = FLETCH_FLIGHT_DESCRIPTOR_COMMAND;
    run->descriptor.command = run->ticket;
    return OUTCOME_DONE;
}

/* As HTTP/2 and gRPC have it: names that begin with grpc- are its own. */
static bool is_header_value(const char *name, const char *value)
{
    size_t length = strlen(name);
    if (strncmp(name, "grpc-", 5) == 0)
        return false;
    if (length > 4 && strcmp(name + length - 4, "-bin") == 0)
        return true;
    for (; *value != '\0'; value++)
        if (*value < ' ' || *value > '~')
            return false;
    return true;
}

static enum outcome parse_headers(struct flight_run *run)
{
    const struct option_words *headers = &run->words->headers;
    for (size_t i = 0; i < headers->count; i++) {
        const char *word = headers->words[i];
        size_t name = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
        if (name == 0 || word[name] != '=')
            return options_refuse(run->words->usage,
                                  "--header is '%s', expected name=value with a name in lower case",
                                  word);
        char *copy = run->header_texts[i] = strdup(word);
        if (copy == NULL)
            return tell_no_memory();
        copy[name] = '\0';
        if (!is_header_value(copy, copy + name + 1))
            return options_refuse(run->words->usage,
                                  "--header %s: expected printable ASCII and no name of grpc-*",
                                  copy);
        run->headers[i] =
            (struct fletch_flight_header){copy, copy + name + 1, strlen(copy + name + 1)};
    }
    run->call.headers = run->headers;
    run->call.header_count = headers->count;
    return OUTCOME_DONE;
}

static enum outcome parse(struct flight_run *run)
{
    const struct flight_words *words = run->words;
    run->call = (struct fletch_flight_call_options){.struct_size = sizeof run->call,
                                                    .timeout_ns = words->seconds * SECOND_NS};
    if (!output_compression_parse(words->compress, &run->compression))
        return options_refuse(words->usage, "--compress is '%s', expected lz4 or zstd",
                              words->compress);
    if (words->basic != NULL && strchr(words->basic, ':') == NULL)
        return options_refuse(words->usage, "--basic has no colon, expected USER:PASSWORD");
    enum outcome outcome = parse_key(run);
    return outcome == OUTCOME_DONE ? parse_headers(run) : outcome;
}

/* ---- logging in ---- */

static void append_base64(struct text *text, const char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < size; at += 3) {
        size_t here = size - at < 3 ? size - at : 3;
        unsigned group = 0;
        char four[4];
        for (size_t i = 0; i < 3; i++)
            group = group << 8 | (i < here ? (unsigned char)bytes[at + i] : 0);
        for (size_t i = 0; i < 4; i++)
            four[i] = (char)(i <= here ? digits[group >> (18 - 6 * i) & 0x3F] : '=');
        text_append(text, four, sizeof four);
    }
}

/* The header `authorization` of all calls from here on. */
static enum outcome use_authorization(struct flight_run *run)
{
    if (run->authorization.failed)
        return tell_no_memory();
    run->headers[run->words->headers.count] = (struct fletch_flight_header){
        "authorization", run->authorization.bytes, run->authorization.size};
    run->call.header_count = run->words->headers.count + 1;
    return OUTCOME_DONE;
}

/* Takes what the server gives for a name and a password: a token, mostly. */
static enum outcome take_token(struct flight_run *run, struct fletch_flight_stream *stream)
{
    fletch_flight_stream_done_writing(stream);
    enum outcome outcome = flight_tell_end(run, stream);
    if (outcome != OUTCOME_DONE)
        return outcome;
    const struct fletch_flight_header *token = fletch_flight_stream_header(stream, "authorization");
    if (token == NULL)
        return outcome_tell(OUTCOME_SYSTEM,
                            "%s: the answer to --basic has no header authorization, expected a "
                            "token in it",
                            run->words->location);
    run->authorization.size = 0;
    text_append(&run->authorization, token->value, token->value_bytes);
    return use_authorization(run);
}

static enum outcome log_in(struct flight_run *run)
{
    const char *basic = run->words->basic;
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    text_word(&run->authorization, "Basic ");
    append_base64(&run->authorization, basic, strlen(basic));
    enum outcome outcome = use_authorization(run);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (fletch_flight_client_handshake(run->client, &run->call, &stream, &error) != FLETCH_OK)
        return flight_tell(run, &error);
    outcome = take_token(run, stream);
    fletch_flight_stream_close(stream);
    return outcome;
}

/* ---- from begin to end ---- */

static enum outcome connect_client(struct flight_run *run)
{
    const struct fletch_flight_client_options options = {
        .struct_size = sizeof options,
        .location = run->words->location,
        .pool = run->context.pool,
        .validation = FLETCH_VALIDATION_FULL,
    };
    struct fletch_error error;
    if (fletch_flight_client_create(&options, &run->client, &error) == FLETCH_OK)
        return OUTCOME_DONE;
    if (error.status == FLETCH_INVALID_ARGUMENT)
        return options_refuse(run->words->usage, "%s", error.message);
    return flight_tell(run, &error);
}

enum outcome flight_begin(struct flight_run *run, const struct flight_words *words)
{
    *run = (struct flight_run){.words = words};
    enum outcome outcome = parse(run);
    if (outcome == OUTCOME_DONE)
        outcome = input_context_begin(&run->context, FLETCH_VALIDATION_FULL);
    if (outcome == OUTCOME_DONE)
        outcome = connect_client(run);
    if (outcome == OUTCOME_DONE && words->basic != NULL)
        outcome = log_in(run);
    return outcome;
}

void flight_end(struct flight_run *run)
{
    fletch_flight_client_destroy(run->client);
    input_context_end(&run->context);
    for (size_t i = 0; i < run->words->headers.count; i++)
        free(run->header_texts[i]);
    text_end(&run->authorization);
    text_end(&run->key);
    free(run->path);
}
