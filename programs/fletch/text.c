#include "text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct text *text, size_t more)
{
    if (text->capacity - text->size >= more)
        return true;
    size_t capacity = text->capacity < 256 ? 256 : text->capacity;
    while (capacity - text->size < more && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    char *bytes = capacity - text->size < more ? NULL : realloc(text->bytes, capacity);
    if (bytes == NULL) {
        text->failed = true;
        return false;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

void text_append(struct text *text, const char *bytes, size_t size)
{
    if (size == 0 || !make_room(text, size))
        return;
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
}

void text_word(struct text *text, const char *word)
{
    text_append(text, word, strlen(word));
}

void text_print(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size < 0 || !make_room(text, (size_t)size + 1))
        return;
    va_start(arguments, format);
    vsnprintf(text->bytes + text->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

/* Bytes of the UTF-8 sequence at `bytes`, 0: none begins there. */
static size_t utf8_length(const unsigned char *bytes, size_t size)
{
    static const struct {
        unsigned char mask, lead;
        size_t length;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 0},
                 {0xE0, 0xC0, 2, 0x80},
                 {0xF0, 0xE0, 3, 0x800},
                 {0xF8, 0xF0, 4, 0x10000}};
    for (size_t form = 0; form < sizeof forms / sizeof forms[0]; form++) {
        if ((bytes[0] & forms[form].mask) != forms[form].lead)
            continue;
        if (forms[form].length > size)
            return 0;
        uint32_t point = bytes[0] & (unsigned char)~forms[form].mask;
        for (size_t i = 1; i < forms[form].length; i++) {
            if ((bytes[i] & 0xC0) != 0x80)
                return 0;
            point = point << 6 | (bytes[i] & 0x3F);
        }
        bool is_surrogate = point >= 0xD800 && point < 0xE000;
        return point < forms[form].least || point > 0x10FFFF || is_surrogate ? 0
                                                                             : forms[form].length;
    }
    return 0;
}

bool text_is_utf8(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t length; size > 0; at += length, size -= length) {
        length = utf8_length(at, size);
        if (length == 0)
            return false;
    }
    return true;
}

void text_hex(struct text *text, const void *bytes, size_t size)
{
    text_word(text, "0x");
    for (size_t i = 0; i < size; i++)
        text_print(text, "%02x", ((const unsigned char *)bytes)[i]);
}

void text_bytes(struct text *text, const void *bytes, size_t size)
{
    const char *characters = bytes;
    bool is_plain =
        text_is_utf8(bytes, size) && (size < 2 || characters[0] != '0' || characters[1] != 'x');
    for (size_t i = 0; i < size && is_plain; i++)
        is_plain = (unsigned char)characters[i] >= 0x20 && characters[i] != 0x7F;
    if (is_plain)
        text_append(text, bytes, size);
    else
        text_hex(text, bytes, size);
}

bool text_bytes_parse(struct text *text, const char *word)
{
    static const char digits[] = "0123456789abcdef";
    if (word[0] != '0' || word[1] != 'x') {
        text_word(text, word);
        return true;
    }
    for (word += 2; word[0] != '\0'; word += 2) {
        const char *high = strchr(digits, tolower((unsigned char)word[0]));
        const char *low = word[1] == '\0' ? NULL : strchr(digits, tolower((unsigned char)word[1]));
        if (high == NULL || low == NULL)
            return false;
        char byte = (char)((high - digits) << 4 | (low - digits));
        text_append(text, &byte, 1);
    }
    return true;
}

static void json_control(struct text *text, unsigned char byte)
{
    static const char names[] = "\bb\tt\nn\ff\rr\"\"\\\\";
    for (const char *name = names; *name != '\0'; name += 2)
        if ((unsigned char)*name == byte) {
            text_print(text, "\\%c", name[1]);
            return;
        }
    text_print(text, "\\u%04x", byte);
}

void text_json(struct text *text, const char *bytes, size_t size)
{
    text_word(text, "\"");
    size_t at = 0;
    while (at < size) {
        size_t plain = at;
        while (plain < size && (unsigned char)bytes[plain] >= 0x20 &&
               (unsigned char)bytes[plain] < 0x7F && bytes[plain] != '"' && bytes[plain] != '\\')
            plain++;
        text_append(text, bytes + at, plain - at);
        at = plain;
        if (at == size)
            break;
        unsigned char byte = (unsigned char)bytes[at];
        size_t length = utf8_length((const unsigned char *)bytes + at, size - at);
        if (byte < 0x80)
            json_control(text, byte);
        else if (length == 0)
            text_word(text, "\xEF\xBF\xBD");
        else
            text_append(text, bytes + at, length);
        at += length == 0 ? 1 : length;
    }
    text_word(text, "\"");
}

void text_json_key(struct text *text, const char *name)
{
    if (text->size > 0 && strchr("{[", text->bytes[text->size - 1]) == NULL)
        text_word(text, ",");
    text_json(text, name, strlen(name));
    text_word(text, ":");
}

void text_json_member(struct text *text, const char *name, const char *word)
{
    text_json_key(text, name);
    text_json(text, word, strlen(word));
}

void text_json_number(struct text *text, const char *name, unsigned long long number)
{
    text_json_key(text, name);
    text_print(text, "%llu", number);
}

void text_csv(struct text *text, const char *bytes, size_t size)
{
    bool is_plain = size > 0;
    for (size_t i = 0; i < size && is_plain; i++)
        is_plain = strchr(",\"\r\n", bytes[i]) == NULL || bytes[i] == '\0';
    if (is_plain) {
        text_append(text, bytes, size);
        return;
    }
    text_word(text, "\"");
    for (size_t i = 0; i < size; i++)
        text_append(text, bytes[i] == '"' ? "\"\"" : bytes + i, bytes[i] == '"' ? 2 : 1);
    text_word(text, "\"");
}

bool text_write(struct text *text, FILE *file)
{
    bool is_written = !text->failed &&
                      (text->size == 0 || fwrite(text->bytes, 1, text->size, file) == text->size);
    text->size = 0;
    return is_written;
}

void text_end(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}
