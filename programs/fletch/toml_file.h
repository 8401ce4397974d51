#ifndef FLETCH_PROGRAM_TOML_FILE_H
#define FLETCH_PROGRAM_TOML_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The entries at the top of a text of TOML. The door to toml++, which is C++. */

enum toml_kind { TOML_TEXT, TOML_NUMBER, TOML_FLAG, TOML_OTHER };

struct toml_entry {
    const char *key; /* up to its first NUL, which no key of ours has */
    unsigned line;   /* from 1 */
    enum toml_kind kind;
    const char *kind_word; /* "text", "a whole number", "a table" ..., for messages */
    const char *text;      /* TOML_TEXT: with a NUL behind its bytes, which may have others */
    size_t text_bytes;
    int64_t number; /* TOML_NUMBER */
    bool flag;      /* TOML_FLAG */
};

/* Why a text is none. */
struct toml_trouble {
    unsigned line; /* 0: it is not about the text, but there was no memory */
    unsigned column;
    char text[200];
};

struct toml_file;

/* Reads a text, of which nothing is kept. False: *out_trouble says why. */
bool toml_file_parse(const char *bytes, size_t size, struct toml_file **out_file,
                     struct toml_trouble *out_trouble);

/* In the order of their lines, as long as the file. */
const struct toml_entry *toml_file_entries(const struct toml_file *file, size_t *out_count);

/* NULL allowed. */
void toml_file_close(struct toml_file *file);

#ifdef __cplusplus
}
#endif

#endif
