#ifndef FLETCH_ARROW_SCHEMA_TEXT_H
#define FLETCH_ARROW_SCHEMA_TEXT_H

#include "arrow/schema.h"

/* Writes the whole type of row `row`, children and all, as text that ends with NUL: "struct<a:
 * int64 not null, b: list<utf8>>". What does not fit into `text_bytes` is cut, between characters;
 * 0: nothing is written. Returns the bytes of all of it, without NUL. */
size_t fletch_schema_text(const struct fletch_schema *schema, uint32_t row, char *text,
                          size_t text_bytes);

#endif
