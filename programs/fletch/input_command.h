#ifndef FLETCH_PROGRAM_INPUT_COMMAND_H
#define FLETCH_PROGRAM_INPUT_COMMAND_H

#include "command_line.h"
#include "inputs.h"

/* A subcommand that has inputs for operands, and nothing else. */
struct input_command {
    const struct command_usage *usage;
    enum outcome (*check)(void *state, const struct command_usage *usage); /* options; or NULL */
    enum outcome (*run)(void *state, const struct inputs *inputs);
    void *state;
};

/* Parses the words, finds the inputs, runs. */
enum outcome input_command_run(const struct input_command *command, char **words);

#endif
