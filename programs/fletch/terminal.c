#include "terminal.h"

#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_LEAST = 20, WIDTH_UNKNOWN = 80 };

size_t terminal_width(int fd)
{
    struct winsize size;
    if (!isatty(fd))
        return 0;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return WIDTH_UNKNOWN;
    return size.ws_col < WIDTH_LEAST ? WIDTH_LEAST : size.ws_col;
}

/* Whether a line of its own begins there. */
static bool begins_line(const char *text)
{
    return *text == '\0' || *text == '\n' || *text == ' ';
}

/* One paragraph, up to its line feed; returns what is behind it. */
static const char *print_paragraph(FILE *file, const char *text, size_t width, size_t indent)
{
    size_t used = 0;
    for (; *text == ' '; text++, used++)
        putc(' ', file);
    while (*text != '\0' && !(*text == '\n' && begins_line(text + 1))) {
        size_t blanks = strspn(text, " \n"), size = strcspn(text + blanks, " \n");
        if (used > 0 && blanks > 0 && used + 1 + size > width) {
            fprintf(file, "\n%*s", (int)indent, "");
            used = indent;
        } else if (blanks > 0) {
            putc(' ', file);
            used++;
        }
        fprintf(file, "%.*s", (int)size, text + blanks);
        used += size;
        text += blanks + size;
    }
    putc('\n', file);
    return *text == '\n' ? text + 1 : text;
}

void terminal_print(FILE *file, const char *text, size_t indent)
{
    size_t width = terminal_width(fileno(file));
    if (width == 0 || width >= WIDTH_UNKNOWN) {
        fputs(text, file);
        return;
    }
    while (*text != '\0')
        text = print_paragraph(file, text, width - 1, indent);
}
