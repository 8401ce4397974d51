#ifndef FLETCH_ARROW_UTF8_H
#define FLETCH_ARROW_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether `bytes` are whole characters of UTF-8: no overlong forms, no surrogates, nothing above
 * U+10FFFF. Reads nothing outside of them. */
bool fletch_utf8_is_valid(const uint8_t *bytes, size_t byte_count);

/* Whether all bytes are ASCII, which is UTF-8 too, wherever it is cut. */
bool fletch_utf8_is_ascii(const uint8_t *bytes, size_t byte_count);

/* The most bytes, not above `byte_count`, that do not end within a character of valid UTF-8. */
size_t fletch_utf8_whole(const char *bytes, size_t byte_count);

/* How much of a text goes into a message, as "%.*s" wants it: at most `bytes_max` bytes, and whole
 * characters. */
int fletch_utf8_cut(const char *text, size_t bytes_max);

#endif
