#ifndef FLETCH_PROGRAM_TYPE_NAMES_H
#define FLETCH_PROGRAM_TYPE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* The C data interface's format of a type without children, of a name as `fletch schema` shows it:
 * "int64", "decimal128(15, 2)", "timestamp[us, UTC]"; blanks do not count. False: there is no such
 * name, or it does not fit into `size` bytes. */
bool type_names_parse(const char *name, size_t length, char *out_format, size_t size);

#endif
