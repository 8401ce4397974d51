#ifndef FLETCH_PROGRAM_KEY_COLUMNS_H
#define FLETCH_PROGRAM_KEY_COLUMNS_H

#include <stdint.h>

#include <fletching/partition.h>
#include <fletching/schema.h>

#include "command_line.h"

/* The most columns of a key that a command line names. */
enum { KEY_COLUMNS_MAX = 64 };

struct key_columns {
    uint32_t numbers[KEY_COLUMNS_MAX];
    uint32_t count;
};

/* Finds the columns that `names`, separated by commas, names. What is not there, or there several
 * times, is told with the columns that are. */
enum outcome key_columns_find(const struct command_usage *usage, const struct fletch_schema *schema,
                              const char *names, struct key_columns *out_columns);

/* Reads how ranges order the columns of a key, one word for each: asc or desc, and behind it
 * :nulls-first or :nulls-last. NULL: ascending, nulls last. */
enum outcome key_orders_parse(const struct command_usage *usage, const char *words, uint32_t count,
                              struct fletch_range_order out_orders[KEY_COLUMNS_MAX]);

#endif
