#ifndef FLETCH_ARROW_IPC_SCHEMA_READER_H
#define FLETCH_ARROW_IPC_SCHEMA_READER_H

#include <fletching/allocator.h>

#include "arrow/flatbuffer_reader.h"
#include "arrow/schema.h"

struct fletch_ipc_schema_options {
    struct fletch_allocator allocator;
    uint32_t fields;   /* in all, children included */
    size_t text_bytes; /* names, zones and metadata in all; several may lie in one place */
};

/* Reads the Schema table of a message or a footer into a schema with one reference.
 * INVALID_ARGUMENT: it breaks the format, a limit, or a rule of arrow/schema_builder.h.
 * UNIMPLEMENTED: a feature or a kind of dictionary that is not known. RESOURCE_EXHAUSTED: no
 * memory. */
enum fletch_status fletch_ipc_schema_read(struct fletch_flatbuffer *buffer,
                                          const struct fletch_flatbuffer_table *table,
                                          const struct fletch_ipc_schema_options *options,
                                          struct fletch_schema **out_schema,
                                          struct fletch_error *error);

/* Whether the data of all bodies is big-endian; for a table that was read. */
bool fletch_ipc_schema_is_big_endian(struct fletch_flatbuffer *buffer,
                                     const struct fletch_flatbuffer_table *table);

#endif
