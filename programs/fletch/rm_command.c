#include <stdbool.h>
#include <stdio.h>

#include "command.h"
#include "service_run.h"

struct rm_words {
    bool cancels;
    const char *reason;
    uint64_t seconds;
};

static enum outcome remove_one(const struct service_run *run, const struct rm_words *words,
                               const char *word)
{
    struct text name = {0};
    struct fletch_error error;
    enum outcome outcome = service_parse_name(run->usage, word, &name);
    if (outcome == OUTCOME_DONE) {
        const struct fletch_shuffle_address address = service_address(run, &name);
        enum fletch_status status =
            words->cancels
                ? fletch_shuffle_client_cancel(run->client, &address, words->reason,
                                               run->timeout_ns, &error)
                : fletch_shuffle_client_drop(run->client, &address, run->timeout_ns, &error);
        if (status == FLETCH_OK)
            printf("%s %s\n", words->cancels ? "cancelled" : "dropped", word);
        else
            outcome = service_tell(run, &error);
    }
    text_end(&name);
    return outcome;
}

enum outcome rm_command(char **command_line)
{
    struct rm_words words = {.reason = NULL};
    const struct option_entry options[] = {
        {"cancel", OPTION_FLAG, NULL, "end them, and let their names say so", &words.cancels},
        {"reason", OPTION_TEXT, "TEXT", "with --cancel: what the others are told", &words.reason},
        {"timeout", OPTION_COUNT, "N", "seconds for each (default: 60)", &words.seconds}};
    const struct command_usage usage = {
        .name = "rm",
        .synopsis = "LOCATION [--cancel [--reason TEXT]] SHUFFLE...",
        .text = "Drops shuffles of the service at LOCATION, with all that they hold: who still\n"
                "writes or reads is cancelled, and the name is free. With --cancel it stays,\n"
                "and answers CANCELLED, until it is dropped.\n",
        .options = options,
        .option_count = sizeof options / sizeof options[0]};
    struct operands operands;
    struct service_run run;
    enum outcome outcome;
    if (!options_parse(&usage, command_line, &operands, &outcome))
        return outcome;
    if (operands.count < 2)
        return options_refuse(&usage, "a LOCATION and a SHUFFLE were expected");
    if (words.reason != NULL && !words.cancels)
        return options_refuse(&usage, "--reason is of --cancel");
    outcome = service_begin(&run, &usage, operands.words[0], words.seconds);
    for (size_t i = 1; i < operands.count && outcome == OUTCOME_DONE; i++)
        outcome = remove_one(&run, &words, operands.words[i]);
    service_end(&run);
    return outcome;
}
