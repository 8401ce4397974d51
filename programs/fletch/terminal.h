#ifndef FLETCH_PROGRAM_TERMINAL_H
#define FLETCH_PROGRAM_TERMINAL_H

#include <stddef.h>
#include <stdio.h>

/* Columns of the terminal that a descriptor is, at least 20; 0: it is none. */
size_t terminal_width(int fd);

/* Prints a text. On a terminal of less than 80 columns its lines are joined, but
 * for empty ones and those that begin with a blank, and broken anew between words; lines after the
 * first are indented. */
void terminal_print(FILE *file, const char *text, size_t indent);

#endif
