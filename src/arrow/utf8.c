#include "arrow/utf8.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Bytes of ASCII at the start of `bytes`, looked at eight at a time. */
static size_t ascii_prefix(const uint8_t *bytes, size_t byte_count)
{
    size_t done = 0;
    uint64_t words[4];
    for (; byte_count - done >= sizeof words; done += sizeof words) {
        memcpy(words, bytes + done, sizeof words);
        if (((words[0] | words[1] | words[2] | words[3]) & HIGH_BITS) != 0)
            break;
    }
    for (; byte_count - done >= sizeof words[0]; done += sizeof words[0]) {
        memcpy(words, bytes + done, sizeof words[0]);
        if ((words[0] & HIGH_BITS) != 0)
            break;
    }
    while (done < byte_count && bytes[done] < 0x80)
        done++;
    return done;
}

/* A row for each range of first bytes: how many bytes follow, and what the second may be. The rest
 * are 0x80 to 0xBF. (Unicode, table 3-7.) */
struct form {
    uint8_t first_least;
    uint8_t first_most;
    uint8_t second_least;
    uint8_t second_most;
    uint8_t following;
};
static const struct form forms[] = {
    {0xC2, 0xDF, 0x80, 0xBF, 1}, {0xE0, 0xE0, 0xA0, 0xBF, 2}, {0xE1, 0xEC, 0x80, 0xBF, 2},
    {0xED, 0xED, 0x80, 0x9F, 2}, {0xEE, 0xEF, 0x80, 0xBF, 2}, {0xF0, 0xF0, 0x90, 0xBF, 3},
    {0xF1, 0xF3, 0x80, 0xBF, 3}, {0xF4, 0xF4, 0x80, 0x8F, 3},
};

/* Bytes of the character beyond ASCII at `bytes`; 0: it is none, or not whole. */
static size_t character(const uint8_t *bytes, size_t byte_count)
{
    const struct form *form = NULL;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (bytes[0] >= forms[i].first_least && bytes[0] <= forms[i].first_most)
            form = &forms[i];
    if (form == NULL || form->following >= byte_count || bytes[1] < form->second_least ||
        bytes[1] > form->second_most)
        return 0;
    for (size_t i = 2; i <= form->following; i++)
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    return form->following + (size_t)1;
}

bool fletch_utf8_is_ascii(const uint8_t *bytes, size_t byte_count)
{
    return ascii_prefix(bytes, byte_count) == byte_count;
}

bool fletch_utf8_is_valid(const uint8_t *bytes, size_t byte_count)
{
    size_t done = 0;
    for (;;) {
        done += ascii_prefix(bytes + done, byte_count - done);
        while (done < byte_count && bytes[done] >= 0x80) {
            size_t length = character(bytes + done, byte_count - done);
            if (length == 0)
                return false;
            done += length;
        }
        if (done == byte_count)
            return true;
    }
}

size_t fletch_utf8_whole(const char *bytes, size_t byte_count)
{
    size_t start = byte_count;
    while (start > 0 && byte_count - start < 4) {
        start--;
        unsigned char byte = (unsigned char)bytes[start];
        if (byte < 0x80)
            return start + 1;
        if (byte >= 0xC0) {
            size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
            return start + length <= byte_count ? start + length : start;
        }
    }
    return byte_count;
}

int fletch_utf8_cut(const char *text, size_t bytes_max)
{
    size_t bytes = strlen(text);
    return (int)(bytes <= bytes_max ? bytes : fletch_utf8_whole(text, bytes_max));
}
