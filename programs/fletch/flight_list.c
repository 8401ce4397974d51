/* fletch flight ls, and fletch flight do: what a server has, line by line. */

#include <stdio.h>
#include <string.h>

#include "flight_run.h"
#include "quantity.h"

enum { TYPE_BYTES = 4096 };

/* Prints lines as they come: `print` appends one. */
static enum outcome print_all(struct flight_run *run, struct fletch_flight_stream *stream,
                              enum fletch_flight_message kind,
                              void (*print)(struct text *text, const void *message))
{
    struct text text = {0};
    const void *message;
    bool is_written = true;
    while (is_written && fletch_flight_stream_receive(stream, kind, FLETCH_NO_TIMEOUT, &message,
                                                      NULL) == FLETCH_DONE) {
        print(&text, message);
        fletch_flight_release(message);
        is_written = text_write(&text, stdout);
    }
    enum outcome outcome = OUTCOME_DONE;
    if (is_written)
        outcome = flight_tell_end(run, stream);
    else if (text.failed)
        outcome = outcome_tell(OUTCOME_SYSTEM, "no memory for a line of the list");
    text_end(&text); /* what else was not written is told when the output is flushed */
    fletch_flight_stream_close(stream);
    return outcome;
}

/* ---- ls ---- */

static void append_count(struct text *text, int width, int64_t count, struct quantity_text words)
{
    text_print(text, "%*s", width, count < 0 ? "-" : words.text);
}

static void append_descriptor(struct text *text, const struct fletch_flight_descriptor *descriptor)
{
    if (descriptor->type == FLETCH_FLIGHT_DESCRIPTOR_COMMAND) {
        text_word(text, "command ");
        text_bytes(text, descriptor->command.data, descriptor->command.bytes);
    }
    for (size_t i = 0; i < descriptor->path_count; i++) {
        text_word(text, i == 0 ? "" : "/");
        text_bytes(text, descriptor->path[i], strlen(descriptor->path[i]));
    }
}

static void print_info(struct text *text, const void *message)
{
    const struct fletch_flight_info *info = message;
    size_t columns = info->schema == NULL ? 0 : fletch_schema_column_count(info->schema);
    append_count(text, 16, info->total_records, quantity_count((uint64_t)info->total_records));
    text_word(text, " rows ");
    append_count(text, 10, info->total_bytes, quantity_bytes((uint64_t)info->total_bytes));
    text_print(text, " %6zu endpoint%s  ", info->endpoint_count,
               info->endpoint_count == 1 ? " " : "s");
    append_descriptor(text, &info->descriptor);
    for (size_t i = 0; i < columns; i++) {
        char type[TYPE_BYTES];
        (void)fletch_schema_column_type(info->schema, i, type, sizeof type);
        text_print(text, "%s%s: %s", i == 0 ? " (" : ", ",
                   fletch_schema_column_name(info->schema, i, NULL), type);
    }
    text_word(text, columns == 0 ? "\n" : ")\n");
}

static void json_bytes(struct text *text, const char *name, struct fletch_flight_bytes bytes)
{
    struct text word = {0};
    text_bytes(&word, bytes.data, bytes.bytes);
    text_json_key(text, name);
    text_json(text, word.bytes, word.size);
    text->failed |= word.failed;
    text_end(&word);
}

static void json_strings(struct text *text, const char *name, const char *const *strings,
                         size_t count)
{
    text_json_key(text, name);
    text_word(text, "[");
    for (size_t i = 0; i < count; i++) {
        text_word(text, i == 0 ? "" : ",");
        text_json(text, strings[i], strlen(strings[i]));
    }
    text_word(text, "]");
}

static void json_count(struct text *text, const char *name, int64_t count)
{
    if (count >= 0) {
        text_json_number(text, name, (unsigned long long)count);
        return;
    }
    text_json_key(text, name);
    text_word(text, "null");
}

static void json_endpoints(struct text *text, const struct fletch_flight_info *info)
{
    text_json_key(text, "endpoints");
    text_word(text, "[");
    for (size_t i = 0; i < info->endpoint_count; i++) {
        const struct fletch_flight_endpoint *endpoint = &info->endpoints[i];
        text_word(text, i == 0 ? "{" : ",{");
        json_bytes(text, "ticket", endpoint->ticket);
        json_strings(text, "locations", endpoint->locations, endpoint->location_count);
        text_word(text, "}");
    }
    text_word(text, "]");
}

static void json_columns(struct text *text, const struct fletch_schema *schema)
{
    size_t columns = fletch_schema_column_count(schema);
    text_json_key(text, "columns");
    text_word(text, "[");
    for (size_t i = 0; i < columns; i++) {
        char type[TYPE_BYTES];
        (void)fletch_schema_column_type(schema, i, type, sizeof type);
        text_word(text, i == 0 ? "{" : ",{");
        text_json_member(text, "name", fletch_schema_column_name(schema, i, NULL));
        text_json_member(text, "type", type);
        text_word(text, "}");
    }
    text_word(text, "]");
}

static void print_info_json(struct text *text, const void *message)
{
    const struct fletch_flight_info *info = message;
    const struct fletch_flight_descriptor *descriptor = &info->descriptor;
    text_word(text, "{");
    if (descriptor->type == FLETCH_FLIGHT_DESCRIPTOR_PATH)
        json_strings(text, "path", descriptor->path, descriptor->path_count);
    if (descriptor->type == FLETCH_FLIGHT_DESCRIPTOR_COMMAND)
        json_bytes(text, "command", descriptor->command);
    json_count(text, "rows", info->total_records);
    json_count(text, "bytes", info->total_bytes);
    json_endpoints(text, info);
    if (info->schema != NULL)
        json_columns(text, info->schema);
    text_word(text, "}\n");
}

enum outcome flight_ls(struct flight_run *run)
{
    const char *word = run->words->criteria;
    const struct fletch_flight_bytes criteria = {word, word == NULL ? 0 : strlen(word)};
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    if (fletch_flight_client_list_flights(run->client, &run->call, &criteria, &stream, &error) !=
        FLETCH_OK)
        return flight_tell(run, &error);
    return print_all(run, stream, FLETCH_FLIGHT_INFO,
                     run->words->is_json ? print_info_json : print_info);
}

/* ---- do ---- */

static void print_action_type(struct text *text, const void *message)
{
    const struct fletch_flight_action_type *type = message;
    text_print(text, "%s\t%s\n", type->type, type->description);
}

static void print_result(struct text *text, const void *message)
{
    const struct fletch_flight_bytes *result = message;
    if (text_is_utf8(result->data, result->bytes))
        text_append(text, result->data, result->bytes);
    else
        text_hex(text, result->data, result->bytes);
    text_word(text, "\n");
}

static enum outcome run_action(struct flight_run *run, const char *type, const struct text *body)
{
    const struct fletch_flight_action action = {.type = type, .body = {body->bytes, body->size}};
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    if (fletch_flight_client_do_action(run->client, &run->call, &action, &stream, &error) !=
        FLETCH_OK)
        return flight_tell(run, &error);
    return print_all(run, stream, FLETCH_FLIGHT_RESULT, print_result);
}

static enum outcome list_actions(struct flight_run *run)
{
    struct fletch_flight_stream *stream;
    struct fletch_error error;
    if (fletch_flight_client_list_actions(run->client, &run->call, &stream, &error) != FLETCH_OK)
        return flight_tell(run, &error);
    return print_all(run, stream, FLETCH_FLIGHT_ACTION_TYPE, print_action_type);
}

enum outcome flight_do(struct flight_run *run)
{
    const struct flight_words *words = run->words;
    struct text body = {0};
    enum outcome outcome;
    if (words->count == 0)
        return list_actions(run);
    if (words->count > 1 && !text_bytes_parse(&body, words->operands[1]))
        outcome = options_refuse(words->usage, "BODY is '%s', expected pairs of digits behind 0x",
                                 words->operands[1]);
    else if (body.failed)
        outcome = outcome_tell(OUTCOME_SYSTEM, "no memory for the action's body");
    else
        outcome = run_action(run, words->operands[0], &body);
    text_end(&body);
    return outcome;
}
