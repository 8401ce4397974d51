#ifndef FLETCH_PROGRAM_COMMAND_LINE_H
#define FLETCH_PROGRAM_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "outcome.h"

/* What an option's word means, and what its target is. */
enum option_kind {
    OPTION_FLAG,  /* bool: no word */
    OPTION_TEXT,  /* const char * */
    OPTION_WORDS, /* struct option_words: may be given several times */
    OPTION_COUNT, /* uint64_t: a whole number */
    OPTION_BYTES  /* uint64_t: a number, with KB MB GB TB or KiB MiB GiB TiB */
};

#define OPTION_WORDS_MAX 32

struct option_words {
    const char *words[OPTION_WORDS_MAX];
    size_t count;
};

struct option_entry {
    const char *name; /* without the dashes */
    enum option_kind kind;
    const char *word; /* what help calls its word; NULL for flags */
    const char *help;
    void *target;
};

/* What a subcommand takes. Parsing, help and the errors about usage come from this table. */
struct command_usage {
    const char *name;
    const char *synopsis; /* behind "fletch NAME " */
    const char *text;     /* ends with a line feed */
    const struct option_entry *options;
    size_t option_count;
};

/* The words that are no options, in order. `separator`: how many of them stand before "--". */
struct operands {
    char **words;
    size_t count;
    size_t separator;
    bool is_separated;
};

/* Reads the words behind the subcommand's name, which it permutes: `--name word`, `--name=word`.
 * What begins with a dash and a digit is an operand, and so is all behind "--". True: go on. False:
 * *out_outcome says how the program ends, and help or the error was printed. */
bool options_parse(const struct command_usage *usage, char **words, struct operands *out_operands,
                   enum outcome *out_outcome);

void options_print_help(const struct command_usage *usage);

/* "fletch NAME: text (fletch NAME --help)". Returns OUTCOME_USAGE. */
#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
enum outcome
options_refuse(const struct command_usage *usage, const char *format, ...);

#endif
