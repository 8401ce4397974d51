#ifndef FLETCH_PROGRAM_SCREEN_H
#define FLETCH_PROGRAM_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "text.h"

/* The whole of a terminal on standard output, with keys from standard input where that is one too:
 * the other screen is taken, and given back with what was on it. */
struct screen {
    bool is_open;
    bool has_keys;
    struct termios before; /* with has_keys */
};

enum screen_key { SCREEN_NONE, SCREEN_QUIT, SCREEN_UP, SCREEN_DOWN };

/* Whether there is one that can do that. */
bool screen_is_there(void);

void screen_open(struct screen *screen);
/* Again: nothing. */
void screen_close(struct screen *screen);

struct screen_size {
    size_t width;
    size_t height;
};
struct screen_size screen_size(void);

/* Shows lines, which end with line feeds, from the top, and nothing below them; empties the text.
 * False: the terminal is gone. */
bool screen_show(struct text *lines);

/* What was typed: the last key of those that mean something. False: nothing more will be typed. */
bool screen_read_key(enum screen_key *out_key);

#endif
