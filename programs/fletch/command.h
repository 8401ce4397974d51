#ifndef FLETCH_PROGRAM_COMMAND_H
#define FLETCH_PROGRAM_COMMAND_H

#include "outcome.h"

/* A subcommand: fletch.c has the table. `run` gets the words behind its name, which it may permute,
 * with a NULL behind them. */
struct command {
    const char *name;
    const char *summary;
    enum outcome (*run)(char **words);
};

enum outcome bench_command(char **words);
enum outcome cat_command(char **words);
enum outcome count_command(char **words);
enum outcome flight_command(char **words); /* with FLETCH_PROGRAM_FLIGHT */
enum outcome info_command(char **words);
enum outcome schema_command(char **words);
enum outcome shuffle_command(char **words);
enum outcome verify_command(char **words);
enum outcome where_command(char **words);

#endif
