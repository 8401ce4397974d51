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
enum outcome info_command(char **words);
enum outcome schema_command(char **words);
enum outcome shuffle_command(char **words);
enum outcome verify_command(char **words);
enum outcome where_command(char **words);

/* With FLETCH_PROGRAM_FLIGHT. */
enum outcome flight_command(char **words);

/* With FLETCH_PROGRAM_SERVICE. */
enum outcome get_command(char **words);
enum outcome ls_command(char **words);
enum outcome put_command(char **words);
enum outcome rm_command(char **words);
enum outcome serve_command(char **words);
enum outcome stat_command(char **words);
enum outcome top_command(char **words);

#endif
