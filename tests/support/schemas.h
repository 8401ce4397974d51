#ifndef FLETCH_TESTS_SUPPORT_SCHEMAS_H
#define FLETCH_TESTS_SUPPORT_SCHEMAS_H

#include <fletching/allocator.h>

#include "arrow/schema.h"

/* Schemas in few words. Fields are separated by spaces, each `name=format` with the format of the C
 * data interface, and behind it what it has of this, in this order:
 *   <…>      dictionary values, a format with children: "i<u>"; <<…> for an ordered dictionary
 *   (…)      children
 *   {k:v}    one pair of metadata
 *   !        not null
 * "a=l! b=+l(item=u) c=d:19,10 d=c<u> e=+m(entries=+s(key=u! value=i)!)". Before all fields, {k:v}
 * is metadata of the schema. */
enum fletch_status schema_try(const char *text, const struct fletch_allocator *allocator,
                              struct fletch_schema **out_schema, struct fletch_error *error);

/* The same; what fails ends the program with the message. */
struct fletch_schema *schema_new(const char *text);

/* Writes the schema in those words, without metadata; for messages. */
void schema_print(const struct fletch_schema *schema, char *text, size_t text_bytes);

#endif
