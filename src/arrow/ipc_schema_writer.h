#ifndef FLETCH_ARROW_IPC_SCHEMA_WRITER_H
#define FLETCH_ARROW_IPC_SCHEMA_WRITER_H

#include "arrow/flatbuffer_writer.h"
#include "arrow/schema.h"

/* Adds the Schema table, for a message or a footer. Returns its position. */
uint32_t fletch_ipc_schema_write(struct fletch_flatbuffer_writer *writer,
                                 const struct fletch_schema *schema);

/* Adds a vector of KeyValue tables. Returns its position. */
uint32_t fletch_ipc_metadata_write(struct fletch_flatbuffer_writer *writer,
                                   const struct fletch_metadata *metadata);

#endif
