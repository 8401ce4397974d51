#include "command_line.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "quantity.h"
#include "terminal.h"

enum outcome options_refuse(const struct command_usage *usage, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return outcome_tell(OUTCOME_USAGE, "%s: %s (fletch %s --help)", usage->name, text, usage->name);
}

/* An option and what it does; behind a long name both stand one blank apart. */
static void print_option(const char *name, const char *word, const char *help)
{
    enum { LINE_BYTES = 256, INDENT = 6 };
    char left[40], line[LINE_BYTES];
    snprintf(left, sizeof left, "--%s%s%s", name, word != NULL ? " " : "",
             word != NULL ? word : "");
    snprintf(line, sizeof line, "  %-18s %s\n", left, help);
    terminal_print(stdout, line, INDENT);
}

void options_print_help(const struct command_usage *usage)
{
    char line[512];
    snprintf(line, sizeof line, "usage: fletch %s %s\n", usage->name, usage->synopsis);
    terminal_print(stdout, line, strlen("usage: "));
    terminal_print(stdout, usage->text, 0);
    terminal_print(stdout, "\n", 0);
    for (size_t i = 0; i < usage->option_count; i++)
        print_option(usage->options[i].name, usage->options[i].word, usage->options[i].help);
    print_option("help", NULL, "this text");
}

static const struct option_entry *find(const struct command_usage *usage, const char *name,
                                       size_t length)
{
    for (size_t i = 0; i < usage->option_count; i++)
        if (strlen(usage->options[i].name) == length &&
            memcmp(usage->options[i].name, name, length) == 0)
            return &usage->options[i];
    return NULL;
}

static bool store_word(const struct command_usage *usage, const struct option_entry *entry,
                       const char *word, enum outcome *out_outcome)
{
    struct option_words *words = entry->target;
    if (words->count == OPTION_WORDS_MAX) {
        *out_outcome = options_refuse(usage, "--%s is there more than %d times", entry->name,
                                      OPTION_WORDS_MAX);
        return false;
    }
    words->words[words->count++] = word;
    return true;
}

/* Stores the word of an option that takes one. */
static bool store(const struct command_usage *usage, const struct option_entry *entry,
                  const char *word, enum outcome *out_outcome)
{
    if (entry->kind == OPTION_TEXT) {
        *(const char **)entry->target = word;
        return true;
    }
    if (entry->kind == OPTION_WORDS)
        return store_word(usage, entry, word, out_outcome);
    uint64_t number;
    bool is_number = entry->kind == OPTION_COUNT ? quantity_parse_count(word, &number)
                                                 : quantity_parse_bytes(word, &number);
    if (is_number) {
        *(uint64_t *)entry->target = number;
        return true;
    }
    *out_outcome = options_refuse(usage, "--%s is '%s', expected %s", entry->name, word,
                                  entry->kind == OPTION_COUNT ? "a whole number"
                                                              : "a number of bytes such as 512MiB");
    return false;
}

/* One option, at *position, which moves on to its last word. */
static bool take_option(const struct command_usage *usage, char ***position,
                        enum outcome *out_outcome)
{
    const char *name = **position + 2;
    const char *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct option_entry *entry = find(usage, name, length);
    if (entry == NULL) {
        *out_outcome = options_refuse(usage, "there is no option '%s'", **position);
        return false;
    }
    if (entry->kind == OPTION_FLAG) {
        if (equals != NULL) {
            *out_outcome = options_refuse(usage, "--%s takes no word", entry->name);
            return false;
        }
        *(bool *)entry->target = true;
        return true;
    }
    const char *word = equals != NULL ? equals + 1 : *++*position;
    if (word == NULL) {
        *out_outcome = options_refuse(usage, "--%s wants a word: %s", entry->name, entry->word);
        return false;
    }
    return store(usage, entry, word, out_outcome);
}

bool options_parse(const struct command_usage *usage, char **words, struct operands *out_operands,
                   enum outcome *out_outcome)
{
    struct operands operands = {.words = words};
    for (char **position = words; *position != NULL; position++) {
        char *word = *position;
        bool is_operand = operands.is_separated || word[0] != '-' || word[1] == '\0' ||
                          isdigit((unsigned char)word[1]) || word[1] == '.';
        if (is_operand) {
            operands.words[operands.count++] = word;
        } else if (strcmp(word, "--") == 0) {
            operands.is_separated = true;
            operands.separator = operands.count;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            options_print_help(usage);
            *out_outcome = outcome_flush(OUTCOME_DONE);
            return false;
        } else if (word[1] != '-') {
            *out_outcome = options_refuse(usage, "there is no option '%s'", word);
            return false;
        } else if (!take_option(usage, &position, out_outcome)) {
            return false;
        }
    }
    *out_operands = operands;
    return true;
}
