#ifndef FLETCH_PROGRAM_INPUTS_H
#define FLETCH_PROGRAM_INPUTS_H

#include <stddef.h>

#include "command_line.h"

/* The files that the words of a command line mean: files as they are, folders searched, patterns
 * expanded, "-" for standard input. All zero is empty. */
struct inputs {
    char **paths;
    size_t count;
    size_t capacity;
};

#define INPUTS_STANDARD "-"

/* Refuses what cannot be: standard input twice. */
enum outcome inputs_check(const struct command_usage *usage, char *const *words, size_t word_count);

/* Appends what `words` mean. What matches nothing is told. */
enum outcome inputs_expand(struct inputs *inputs, char *const *words, size_t word_count);
void inputs_end(struct inputs *inputs);

/* The path for messages: "standard input" for "-". */
const char *inputs_name(const char *path);

#endif
