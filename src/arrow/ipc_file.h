#ifndef FLETCH_ARROW_IPC_FILE_H
#define FLETCH_ARROW_IPC_FILE_H

/* Messages that lie in memory, one behind the other or where a file's footer says. */

#include "arrow/ipc_format.h"
#include "base/status.h"

struct fletch_ipc_footer {
    const uint8_t *file;
    size_t start; /* of the footer in it: everything else lies before */
    struct fletch_flatbuffer buffer;
    struct fletch_flatbuffer_table schema;
    struct fletch_flatbuffer_vector dictionaries;
    struct fletch_flatbuffer_vector batches;
    struct fletch_flatbuffer_vector metadata; /* pairs */
};

/* A message found in memory: offsets from its beginning. */
struct fletch_ipc_place {
    size_t metadata;       /* offset of the flatbuffer */
    size_t metadata_bytes; /* 0: the stream's end marker */
    size_t body;           /* offset */
    size_t body_bytes;
};

/* Whether it begins as a file does. */
bool fletch_ipc_is_file(const uint8_t *bytes, size_t size);

/* INVALID_ARGUMENT: not a footer; DATA_LOSS: no end of a file; UNIMPLEMENTED: a version after
 * V5. */
enum fletch_status fletch_ipc_footer_open(struct fletch_ipc_footer *footer, const uint8_t *bytes,
                                          size_t size, struct fletch_error *error);

/* Finds the message of block `index` of the footer. INVALID_ARGUMENT: it does not lie in the
 * file. */
enum fletch_status fletch_ipc_footer_find(const struct fletch_ipc_footer *footer,
                                          const struct fletch_flatbuffer_vector *blocks,
                                          size_t index, struct fletch_ipc_place *out_place,
                                          struct fletch_error *error);

/* Whether every block of the dictionaries lies in the file, and all of them together have no more
 * bytes than it: a delta that is read again and again would make much of little.
 * INVALID_ARGUMENT. */
enum fletch_status fletch_ipc_footer_check_dictionaries(const struct fletch_ipc_footer *footer,
                                                        struct fletch_error *error);

/* Finds the message at `position` of a stream of `size` bytes; its body is all that follows.
 * DATA_LOSS: the stream ends in prefix or metadata. */
enum fletch_status fletch_ipc_stream_find(const uint8_t *bytes, size_t size, size_t position,
                                          struct fletch_ipc_place *out_place,
                                          struct fletch_error *error);

#endif
