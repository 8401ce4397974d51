#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "flight_run.h"
#include "inputs.h"

enum { LS = 1, GET = 2, PUT = 4, DO = 8 };

static const struct verb {
    const char *name;
    unsigned bit;
    const char *keys; /* options of which exactly one is there; NULL: there are none */
    size_t least;     /* operands behind the location */
    size_t most;
    enum outcome (*run)(struct flight_run *run);
} verbs[] = {{"ls", LS, NULL, 0, 0, flight_ls},
             {"get", GET, "--path, --command, --ticket", 0, 0, flight_get},
             {"put", PUT, "--path, --command", 1, SIZE_MAX, flight_put},
             {"do", DO, NULL, 0, 2, flight_do}};

/* Options that go with some of them. */
static enum outcome check_options(const struct flight_words *words, const struct verb *verb)
{
    const struct {
        const char *name;
        bool is_there;
        unsigned verbs;
        bool is_key;
    } options[] = {{"path", words->path != NULL, GET | PUT, true},
                   {"command", words->command != NULL, GET | PUT, true},
                   {"ticket", words->ticket != NULL, GET, true},
                   {"criteria", words->criteria != NULL, LS, false},
                   {"json", words->is_json, LS, false},
                   {"out", words->out != NULL, GET, false},
                   {"replace", words->replaces, GET, false},
                   {"message-limit", words->message_bytes != 0, PUT, false},
                   {"compress", words->compress != NULL, GET | PUT, false}};
    size_t keys = 0;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        if (options[i].is_there && (options[i].verbs & verb->bit) == 0)
            return options_refuse(words->usage, "--%s does not go with %s", options[i].name,
                                  verb->name);
        keys += options[i].is_there && options[i].is_key;
    }
    if (verb->keys != NULL && keys != 1)
        return options_refuse(words->usage, "%s has %zu of %s, expected one", verb->name, keys,
                              verb->keys);
    if (words->replaces && words->out == NULL)
        return options_refuse(words->usage, "--replace is of --out");
    return OUTCOME_DONE;
}

static enum outcome check(const struct flight_words *words, const struct verb *verb)
{
    if (words->count > verb->most)
        return options_refuse(words->usage, "'%s' is one word too many",
                              words->operands[verb->most]);
    if (words->count < verb->least)
        return options_refuse(words->usage, "%s has no INPUT", verb->name);
    if (words->seconds > UINT32_MAX)
        return options_refuse(words->usage, "--timeout is %" PRIu64 ", at most %u", words->seconds,
                              UINT32_MAX);
    enum outcome outcome = check_options(words, verb);
    if (outcome != OUTCOME_DONE)
        return outcome;
    if (verb->bit == GET && words->out == NULL && isatty(STDOUT_FILENO))
        return options_refuse(words->usage, "get writes no text: not to a terminal, but to --out");
    return verb->bit == PUT ? inputs_check(words->usage, words->operands, words->count)
                            : OUTCOME_DONE;
}

static enum outcome run_verb(const struct flight_words *words, const struct verb *verb)
{
    struct flight_run run;
    enum outcome outcome = check(words, verb);
    if (outcome != OUTCOME_DONE)
        return outcome;
    outcome = flight_begin(&run, words);
    if (outcome == OUTCOME_DONE)
        outcome = verb->run(&run);
    flight_end(&run);
    return outcome;
}

enum outcome flight_command(char **command_line)
{
    struct flight_words words = {.location = NULL};
    const struct option_entry options[] = {
        {"path", OPTION_TEXT, "A/B", "get, put: the flight with this path", &words.path},
        {"command", OPTION_TEXT, "TEXT", "get, put: the flight of this command", &words.command},
        {"ticket", OPTION_TEXT, "TEXT", "get: what this ticket is for", &words.ticket},
        {"out", OPTION_TEXT, "FILE", "get: to this file (*.arrows: as a stream)", &words.out},
        {"replace", OPTION_FLAG, NULL, "get: over an --out that is there", &words.replaces},
        {"compress", OPTION_TEXT, "CODEC", "get, put: lz4 or zstd", &words.compress},
        {"message-limit", OPTION_BYTES, "BYTES", "put: what the server takes at once",
         &words.message_bytes},
        {"criteria", OPTION_TEXT, "TEXT", "ls: which flights, as the server has it",
         &words.criteria},
        {"json", OPTION_FLAG, NULL, "ls: an object for each flight", &words.is_json},
        {"header", OPTION_WORDS, "NAME=VALUE", "goes with each call; any number", &words.headers},
        {"basic", OPTION_TEXT, "USER:PASSWORD", "logs in first", &words.basic},
        {"timeout", OPTION_COUNT, "N", "seconds for each call", &words.seconds}};
    const struct command_usage usage = {
        .name = "flight",
        .synopsis = "{ls | get | put | do} LOCATION [OPTION...] [WORD...]",
        .text = "Speaks to a server of Arrow Flight at LOCATION: grpc://host:port or\n"
                "grpc+unix:///path.\n"
                "\n"
                "  ls LOCATION                   lists its flights\n"
                "  get LOCATION                  a flight as one Arrow stream or file\n"
                "  put LOCATION INPUT...         sends all rows, of one schema\n"
                "  do LOCATION [ACTION [BODY]]   each result on a line; else lists the actions\n"
                "\n"
                "TEXT and BODY that begin with 0x are bytes in hexadecimal.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    enum outcome outcome;
    if (!options_parse(&usage, command_line, &operands, &outcome))
        return outcome;
    if (operands.count < 2)
        return options_refuse(&usage, "what to do, and a location, were expected");
    words.usage = &usage;
    words.location = operands.words[1];
    words.operands = operands.words + 2;
    words.count = operands.count - 2;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, operands.words[0]) == 0)
            return run_verb(&words, &verbs[i]);
    return options_refuse(&usage, "'%s' is none of ls, get, put, do", operands.words[0]);
}
