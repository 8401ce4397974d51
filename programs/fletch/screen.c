#include "screen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_UNKNOWN = 80, HEIGHT_UNKNOWN = 24 };

/* All of it, whatever signals come. */
static bool write_all(const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t count = write(STDOUT_FILENO, bytes, size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return false;
        bytes += count;
        size -= (size_t)count;
    }
    return true;
}

static void write_word(const char *word)
{
    (void)write_all(word, strlen(word)); /* a terminal that is gone is noticed by screen_show */
}

bool screen_is_there(void)
{
    const char *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

void screen_open(struct screen *screen)
{
    *screen = (struct screen){.is_open = true};
    screen->has_keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &screen->before) == 0;
    if (screen->has_keys) {
        struct termios keys = screen->before;
        keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        keys.c_cc[VMIN] = 0;
        keys.c_cc[VTIME] = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &keys);
    }
    write_word("\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J");
}

void screen_close(struct screen *screen)
{
    if (!screen->is_open)
        return;
    write_word("\x1b[?25h\x1b[?1049l");
    if (screen->has_keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &screen->before);
    screen->is_open = false;
}

struct screen_size screen_size(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return (struct screen_size){WIDTH_UNKNOWN, HEIGHT_UNKNOWN};
    return (struct screen_size){size.ws_col, size.ws_row};
}

bool screen_show(struct text *lines)
{
    struct text out = {0};
    text_word(&out, "\x1b[H");
    for (size_t at = 0; at < lines->size;) {
        const char *end = memchr(lines->bytes + at, '\n', lines->size - at);
        size_t size = end == NULL ? lines->size - at : (size_t)(end - lines->bytes) - at;
        bool is_last = at + size + 1 >= lines->size;
        text_append(&out, lines->bytes + at, size);
        /* The last line of a full screen has no line feed, which would scroll. */
        text_word(&out, is_last ? "\x1b[K" : "\x1b[K\r\n");
        at += size + 1;
    }
    text_word(&out, "\x1b[J");
    bool is_shown = !out.failed && !lines->failed && write_all(out.bytes, out.size);
    lines->size = 0;
    text_end(&out);
    return is_shown;
}

bool screen_read_key(enum screen_key *out_key)
{
    static const struct {
        const char *typed;
        enum screen_key key;
    } known[] = {{"\x1b[A", SCREEN_UP},   {"\x1bOA", SCREEN_UP}, {"\x1b[B", SCREEN_DOWN},
                 {"\x1bOB", SCREEN_DOWN}, {"k", SCREEN_UP},      {"j", SCREEN_DOWN},
                 {"q", SCREEN_QUIT},      {"Q", SCREEN_QUIT}};
    char typed[64];
    ssize_t count = read(STDIN_FILENO, typed, sizeof typed);
    *out_key = SCREEN_NONE;
    if (count < 0)
        return errno == EINTR || errno == EAGAIN;
    for (size_t at = 0; at < (size_t)count; at++)
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            size_t size = strlen(known[i].typed);
            if ((size_t)count - at >= size && memcmp(typed + at, known[i].typed, size) == 0)
                *out_key = known[i].key;
        }
    return true;
}
