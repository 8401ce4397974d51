#include "shuffle/shuffle_name.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "arrow/utf8.h"

enum { CHARACTER_BYTES_MAX = 4, ESCAPE_BYTES = 4, MARK_BYTES = 3 };

/* Bytes of the character that begins there; 0: none does. */
static size_t character_bytes(const uint8_t *bytes, size_t left)
{
    for (size_t count = 1; count <= CHARACTER_BYTES_MAX && count <= left; count++)
        if (fletch_utf8_is_valid(bytes, count))
            return count;
    return 0;
}

/* Control characters: those of ASCII, and U+0080 to U+009F. */
static bool is_shown(const uint8_t *bytes, size_t count)
{
    if (count == 1)
        return bytes[0] >= 0x20 && bytes[0] != 0x7f && bytes[0] != '\'';
    return count > 1 && !(bytes[0] == 0xc2 && bytes[1] < 0xa0);
}

/* How the next character or byte is shown. Returns how many bytes of the name that are. */
static size_t show_one(const uint8_t *bytes, size_t left, char text[2 * ESCAPE_BYTES])
{
    size_t count = character_bytes(bytes, left);
    if (!is_shown(bytes, count)) {
        snprintf(text, ESCAPE_BYTES + 1, "\\x%02x", bytes[0]);
        return 1;
    }
    memcpy(text, bytes, count);
    text[count] = '\0';
    if (bytes[0] == '\\')
        memcpy(text, "\\\\", 3);
    return count;
}

struct fletch_name_text fletch_name_show(const void *name, size_t name_bytes)
{
    const uint8_t *bytes = name;
    struct fletch_name_text shown;
    size_t used = 0, whole = 0; /* `whole`: what may stay if the rest does not fit */
    for (size_t at = 0; at < name_bytes;) {
        char text[2 * ESCAPE_BYTES] = "";
        at += show_one(bytes + at, name_bytes - at, text);
        size_t more = strlen(text);
        if (used + more >= sizeof shown.text) {
            memcpy(shown.text + whole, "...", MARK_BYTES + 1);
            return shown;
        }
        memcpy(shown.text + used, text, more);
        used += more;
        if (used + MARK_BYTES < sizeof shown.text)
            whole = used;
    }
    shown.text[used] = '\0';
    return shown;
}
