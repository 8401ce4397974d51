#ifndef FLETCH_PROGRAM_VALUE_PARSE_H
#define FLETCH_PROGRAM_VALUE_PARSE_H

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

#include <fletching/arrow.h>

/* One value of a type without children as an Arrow array of one element. Its buffers lie in it:
 * it must not be moved once it is exported, and lives as long as what imported it. */
struct value_cell {
    char format[80];
    struct ArrowSchema schema;
    struct ArrowArray array;
    const void *buffers[4];
    uint8_t validity;
    alignas(32) uint8_t bytes[32]; /* values, offsets of strings, or a view and its data's size */
    uint8_t *text;                 /* of a string; malloc'd */
};

/* What is wrong with a word. */
enum value_parse_answer {
    VALUE_PARSED,
    VALUE_TYPE_HAS_NO_TEXT, /* nested, half, intervals of days */
    VALUE_NOT_OF_TYPE,      /* not a value, or outside the type's range */
    VALUE_NO_MEMORY
};

/* Reads `word` as a value of the type `format`; NULL: the null. Integers, "true", decimals,
 * ISO 8601 dates and times or their stored counts, text, bytes as 0x and hexadecimal digits. */
enum value_parse_answer value_parse(struct value_cell *cell, const char *format, const char *word);
void value_cell_end(struct value_cell *cell);

/* What `answer` says, for messages. */
const char *value_parse_text(enum value_parse_answer answer);

#endif
