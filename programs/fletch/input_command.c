#include "input_command.h"

enum outcome input_command_run(const struct input_command *command, char **words)
{
    struct operands operands;
    struct inputs inputs = {0};
    enum outcome outcome = OUTCOME_DONE;
    if (!options_parse(command->usage, words, &operands, &outcome))
        return outcome;
    if (operands.count == 0)
        return options_refuse(command->usage, "no INPUT");
    outcome = inputs_check(command->usage, operands.words, operands.count);
    if (outcome == OUTCOME_DONE && command->check != NULL)
        outcome = command->check(command->state, command->usage);
    if (outcome == OUTCOME_DONE)
        outcome = inputs_expand(&inputs, operands.words, operands.count);
    if (outcome == OUTCOME_DONE)
        outcome = command->run(command->state, &inputs);
    inputs_end(&inputs);
    return outcome;
}
