#ifndef FLETCH_PROGRAM_SERVE_SETTINGS_H
#define FLETCH_PROGRAM_SERVE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "command_line.h"
#include "text.h"
#include "toml_file.h"

/* What `fletch serve` is told. One table says it for flags, for the file and for --print-config: a
 * setting has one name in all three. */
struct serve_settings {
    const struct command_usage *usage;
    const char *listen;
    const char *public_location;
    const char *create_word;
    const char *spill_directory;
    const char *spill_codec_word;
    const char *log_word;
    const char *ready_file;
    uint64_t memory_bytes;
    uint64_t shuffle_memory_bytes; /* 0: what there is */
    uint64_t shuffle_limit;
    uint64_t partition_limit;
    uint64_t producer_limit;
    uint64_t connection_limit;
    uint64_t call_limit;
    uint64_t message_bytes;
    uint64_t loop_count; /* 0: one for each processor */
    uint64_t credit_seconds;
    uint64_t stall_seconds;
    uint64_t drain_seconds;
    bool is_insecure;
    /* Of the command line alone. */
    const char *config_path;
    bool prints_config;
    /* What texts of the file lie in. */
    struct toml_file *file;
};

enum { SERVE_SETTINGS = 20, SERVE_OPTIONS = SERVE_SETTINGS + 2 };

/* The words of create and compress-spill, by the library's numbers, and the number of one. */
extern const char *const serve_creations[3];
extern const char *const serve_codecs[3];
int serve_word_number(const char *word, const char *const known[3]);

/* The defaults. */
void serve_settings_begin(struct serve_settings *settings, const struct command_usage *usage);
void serve_settings_end(struct serve_settings *settings);

/* The table, its targets in `to`: settings first, and behind them what has no place in a file. */
void serve_settings_options(struct serve_settings *to, struct option_entry out[SERVE_OPTIONS]);

/* Reads the file of --config into the settings. What is wrong in it is told with its line, with
 * what was expected and what was found. */
enum outcome serve_settings_read(struct serve_settings *settings);

/* Refuses values that cannot be, and addresses that others can reach without --insecure. */
enum outcome serve_settings_check(const struct serve_settings *settings);

/* Appends all settings as TOML, which serve_settings_read reads back to the same. */
enum outcome serve_settings_print(struct serve_settings *settings, struct text *text);

#endif
