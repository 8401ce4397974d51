#ifndef FLETCH_PROGRAM_TEXT_H
#define FLETCH_PROGRAM_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Text that grows. All zero is empty. Where there is no memory it stays as it is and says so in
 * `failed`, which its user looks at once, at the end. */
struct text {
    char *bytes;
    size_t size;
    size_t capacity;
    bool failed;
};

void text_append(struct text *text, const char *bytes, size_t size);
void text_word(struct text *text, const char *word);
#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
void text_print(struct text *text, const char *format, ...);

bool text_is_utf8(const void *bytes, size_t size);

/* `bytes` as they are if they are UTF-8 without control characters and do not begin with 0x, else
 * as 0x and hexadecimal digits: text_bytes_parse reads both back. */
void text_bytes(struct text *text, const void *bytes, size_t size);
void text_hex(struct text *text, const void *bytes, size_t size);
/* Appends the bytes that `word` means. False: digits behind 0x are none, or an odd number. */
bool text_bytes_parse(struct text *text, const char *word);

/* `bytes` as a string of JSON. Bytes that are no UTF-8 become U+FFFD. */
void text_json(struct text *text, const char *bytes, size_t size);
/* `,"name":`, without the comma behind an opening bracket. */
void text_json_key(struct text *text, const char *name);
/* A word of text as a string, after its name. */
void text_json_member(struct text *text, const char *name, const char *word);
/* A number, after its name. */
void text_json_number(struct text *text, const char *name, unsigned long long number);

/* `bytes` as a field of CSV: in quotes where a reader would take it for something else. */
void text_csv(struct text *text, const char *bytes, size_t size);

/* Writes it and empties it. False: not all was written, or there had been no memory. */
bool text_write(struct text *text, FILE *file);
void text_end(struct text *text);

#endif
