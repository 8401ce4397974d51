#ifndef FLETCH_PROGRAM_QUANTITY_H
#define FLETCH_PROGRAM_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers as people write and read them. */

/* A whole number in decimal, nothing before or behind it. */
bool quantity_parse_count(const char *word, uint64_t *out_count);

/* The same with a unit: B, KB MB GB TB (powers of 1000), K M G T KiB MiB GiB TiB (of 1024). */
bool quantity_parse_bytes(const char *word, uint64_t *out_bytes);

struct quantity_text {
    char text[32];
};

/* "6,001,215" */
struct quantity_text quantity_count(uint64_t count);
/* "1.25 GB", powers of 1000, three digits. */
struct quantity_text quantity_bytes(uint64_t bytes);
/* "850 ms", "12.3 s", "4 min 05 s" */
struct quantity_text quantity_duration(double seconds);

#endif
