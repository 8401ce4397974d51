#ifndef FLETCH_ARROW_IPC_FORMAT_H
#define FLETCH_ARROW_IPC_FORMAT_H

/* The numbers of Arrow's IPC format: what its FlatBuffers tables are made of, and how a type is
 * told by them. Reader and writer use the same tables. */

#include "arrow/flatbuffer_reader.h"
#include "arrow/flatbuffer_writer.h"
#include "arrow/type.h"

enum fletch_ipc_version { FLETCH_IPC_V4 = 3, FLETCH_IPC_V5 = 4 };

enum { FLETCH_IPC_LITTLE_ENDIAN = 0, FLETCH_IPC_BIG_ENDIAN = 1 };

/* What a schema may ask of its reader. */
enum {
    FLETCH_IPC_FEATURE_NONE,
    FLETCH_IPC_FEATURE_REPLACEMENT, /* of dictionaries */
    FLETCH_IPC_FEATURE_COMPRESSION  /* of bodies */
};

/* The union MessageHeader. */
enum fletch_ipc_header {
    FLETCH_IPC_HEADER_NONE,
    FLETCH_IPC_HEADER_SCHEMA,
    FLETCH_IPC_HEADER_DICTIONARY,
    FLETCH_IPC_HEADER_BATCH,
    FLETCH_IPC_HEADER_TENSOR,
    FLETCH_IPC_HEADER_SPARSE_TENSOR
};

enum {
    FLETCH_IPC_PREFIX_BYTES = 8,
    FLETCH_IPC_NODE_BYTES = 16,   /* length, null count */
    FLETCH_IPC_BUFFER_BYTES = 16, /* offset, length */
    FLETCH_IPC_BLOCK_BYTES = 24,  /* offset, metadata length (4 bytes), body length */
    FLETCH_IPC_MAGIC_BYTES = 6
};

/* Before the length of a message's metadata, since 0.15; a length of 0 ends a stream. */
#define FLETCH_IPC_CONTINUATION 0xffffffffU

extern const char fletch_ipc_magic[FLETCH_IPC_MAGIC_BYTES + 1];

/* Slots of the tables. */
enum {
    FLETCH_MESSAGE_VERSION = 0, /* i16 */
    FLETCH_MESSAGE_HEADER_TYPE, /* u8 */
    FLETCH_MESSAGE_HEADER,
    FLETCH_MESSAGE_BODY_LENGTH, /* i64 */
    FLETCH_MESSAGE_METADATA,

    FLETCH_SCHEMA_ENDIANNESS = 0, /* i16 */
    FLETCH_SCHEMA_FIELDS,
    FLETCH_SCHEMA_METADATA,
    FLETCH_SCHEMA_FEATURES,

    FLETCH_FIELD_NAME = 0,
    FLETCH_FIELD_NULLABLE,  /* u8 */
    FLETCH_FIELD_TYPE_TYPE, /* u8 */
    FLETCH_FIELD_TYPE,
    FLETCH_FIELD_DICTIONARY,
    FLETCH_FIELD_CHILDREN,
    FLETCH_FIELD_METADATA,

    FLETCH_ENCODING_ID = 0, /* i64 */
    FLETCH_ENCODING_INDEX_TYPE,
    FLETCH_ENCODING_IS_ORDERED, /* u8 */
    FLETCH_ENCODING_KIND,       /* i16 */

    FLETCH_PAIR_KEY = 0,
    FLETCH_PAIR_VALUE,

    FLETCH_BATCH_LENGTH = 0, /* i64 */
    FLETCH_BATCH_NODES,
    FLETCH_BATCH_BUFFERS,
    FLETCH_BATCH_COMPRESSION,
    FLETCH_BATCH_VARIADIC, /* i64 each: data buffers of the view fields */

    FLETCH_COMPRESSION_CODEC = 0, /* u8 */
    FLETCH_COMPRESSION_METHOD,    /* u8; 0: buffer by buffer */

    FLETCH_DICTIONARY_ID = 0, /* i64 */
    FLETCH_DICTIONARY_DATA,
    FLETCH_DICTIONARY_IS_DELTA, /* u8 */

    FLETCH_FOOTER_VERSION = 0, /* i16 */
    FLETCH_FOOTER_SCHEMA,
    FLETCH_FOOTER_DICTIONARIES,
    FLETCH_FOOTER_BATCHES,
    FLETCH_FOOTER_METADATA
};

extern const struct fletch_flatbuffer_layout fletch_ipc_message_layout;
extern const struct fletch_flatbuffer_layout fletch_ipc_schema_layout;
extern const struct fletch_flatbuffer_layout fletch_ipc_field_layout;
extern const struct fletch_flatbuffer_layout fletch_ipc_encoding_layout;
extern const struct fletch_flatbuffer_layout fletch_ipc_pair_layout;
extern const struct fletch_flatbuffer_layout fletch_ipc_batch_layout;
extern const struct fletch_flatbuffer_layout fletch_ipc_compression_layout;
extern const struct fletch_flatbuffer_layout fletch_ipc_dictionary_layout;
extern const struct fletch_flatbuffer_layout fletch_ipc_footer_layout;
extern const struct fletch_flatbuffer_layout fletch_ipc_type_layout; /* any table of the union */

/* A field of a type's table that tells which of our types it is: an int of 64 bits, say. */
struct fletch_ipc_selector {
    uint8_t slot;
    uint8_t bytes; /* 0: there is no such field */
    int16_t fallback;
    int16_t value;
};

enum { FLETCH_IPC_SELECTORS = 2 };

/* How a type is told on the wire. Its parameters are in the slots that
 * fletch_ipc_type_parameters names. */
struct fletch_ipc_type {
    uint8_t union_type;
    struct fletch_ipc_selector selectors[FLETCH_IPC_SELECTORS];
};

extern const struct fletch_ipc_type fletch_ipc_types[FLETCH_TYPE_COUNT];

enum { FLETCH_IPC_TYPE_INT = 2 };

#endif
