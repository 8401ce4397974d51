#ifndef FLETCH_ARROW_IPC_MESSAGE_H
#define FLETCH_ARROW_IPC_MESSAGE_H

/* The head of a message: what it is and how long its body is. A relay needs no more. */

#include "arrow/codec.h"
#include "arrow/flatbuffer_reader.h"
#include "arrow/ipc_format.h"
#include "arrow/metadata.h"
#include "base/status.h"

struct fletch_ipc_message {
    struct fletch_flatbuffer buffer; /* refers to the caller's bytes */
    struct fletch_flatbuffer_table table;
    struct fletch_flatbuffer_table header;
    enum fletch_ipc_header type;
    enum fletch_ipc_version version;
    uint64_t body_bytes;
};

/* A RecordBatch table, alone or in a DictionaryBatch. */
struct fletch_ipc_batch_header {
    int64_t row_count;
    struct fletch_flatbuffer_vector nodes;
    struct fletch_flatbuffer_vector buffers;
    struct fletch_flatbuffer_vector variadic; /* i64: data buffers of each view field */
    enum fletch_ipc_version version;
    enum fletch_codec codec; /* of each buffer */
};

/* Opens `size` bytes of metadata, without prefix, at any address. INVALID_ARGUMENT: not a message,
 * a version before V4, a body of less than 0 bytes or more than `body_limit`. UNIMPLEMENTED: a
 * version after V5, a tensor. */
enum fletch_status fletch_ipc_message_open(struct fletch_ipc_message *message, const void *bytes,
                                           size_t size, uint64_t body_limit,
                                           struct fletch_error *error);

/* Opens the RecordBatch `table`. INVALID_ARGUMENT: a codec that is none of Arrow's. */
enum fletch_status fletch_ipc_batch_header_open(struct fletch_ipc_message *message,
                                                const struct fletch_flatbuffer_table *table,
                                                struct fletch_ipc_batch_header *out_header,
                                                struct fletch_error *error);

/* The failure of the message's flatbuffer, if there is one. `what`: "record batch". */
enum fletch_status fletch_ipc_message_check(const struct fletch_ipc_message *message,
                                            const char *what, struct fletch_error *error);

/* Custom metadata of a message or a footer: a vector of pairs. */
struct fletch_ipc_pairs {
    struct fletch_flatbuffer *buffer;
    struct fletch_flatbuffer_vector vector;
};

struct fletch_ipc_pairs fletch_ipc_message_pairs(struct fletch_ipc_message *message);

/* Bytes that they take in the form of arrow/metadata.h, 0 where there are none; more than `limit`:
 * INVALID_ARGUMENT. */
enum fletch_status fletch_ipc_pairs_measure(const struct fletch_ipc_pairs *pairs, size_t limit,
                                            size_t *out_bytes, struct fletch_error *error);

/* Writes them into that many bytes at `bytes`, which the metadata then refers to. */
struct fletch_metadata fletch_ipc_pairs_write(const struct fletch_ipc_pairs *pairs, char *bytes,
                                              size_t byte_count);

#endif
