#ifndef FLETCH_PROGRAM_FLIGHT_RUN_H
#define FLETCH_PROGRAM_FLIGHT_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include <fletching/flight.h>

#include "command_line.h"
#include "input_reader.h"
#include "text.h"

/* `fletch flight` as it was typed. */
struct flight_words {
    const struct command_usage *usage;
    const char *location;
    char **operands; /* behind the location */
    size_t count;
    const char *criteria;
    const char *path;
    const char *command;
    const char *ticket;
    const char *out;
    const char *compress;
    const char *basic;
    struct option_words headers;
    uint64_t seconds;
    uint64_t message_bytes; /* 0: what is known of the server */
    bool replaces;
    bool is_json;
};

/* One run: a client of one server, and what goes with its calls. */
struct flight_run {
    const struct flight_words *words;
    struct fletch_flight_client *client;
    struct fletch_flight_call_options call;
    struct fletch_flight_descriptor descriptor; /* of --path or --command */
    struct fletch_flight_bytes ticket;
    enum fletch_ipc_compression compression;
    struct input_context context;
    /* What the above points to. */
    struct fletch_flight_header headers[OPTION_WORDS_MAX + 1];
    char *header_texts[OPTION_WORDS_MAX];
    struct text authorization;
    struct text key;
    const char **path;
};

/* Reads the words, makes a client and logs in where that is asked for. */
enum outcome flight_begin(struct flight_run *run, const struct flight_words *words);
void flight_end(struct flight_run *run);

/* An error of a call. */
enum outcome flight_tell(const struct flight_run *run, const struct fletch_error *error);

/* Waits for the end of a stream, and tells it if it is none of the good ones. */
enum outcome flight_tell_end(const struct flight_run *run, struct fletch_flight_stream *stream);

/* What is sent, and what came back. */
struct flight_put_counts {
    uint64_t rows;
    uint64_t batches;
    uint64_t acknowledgements;
};

/* What is to be done with the schema of the first input before anything is sent. */
struct flight_put_hook {
    enum outcome (*begin)(void *state, struct fletch_schema *schema);
    void *state;
};

/* Sends the rows of all inputs to the run's descriptor, and waits for the end. NULL for the hook:
 * none. */
enum outcome flight_put_inputs(struct flight_run *run, const struct inputs *inputs,
                               const struct flight_put_hook *hook,
                               struct flight_put_counts *out_counts);

/* What to do: flight_list.c, flight_get.c, flight_put.c. */
enum outcome flight_ls(struct flight_run *run);
enum outcome flight_get(struct flight_run *run);
enum outcome flight_put(struct flight_run *run);
enum outcome flight_do(struct flight_run *run);

#endif
