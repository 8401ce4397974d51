#ifndef FLETCH_SHUFFLE_SPECIFICATION_BYTES_H
#define FLETCH_SHUFFLE_SPECIFICATION_BYTES_H

/* What all replicas of a shuffle share, as bytes: name, identity, schema, partitioner with its
 * bounds, producers, sums, retention, barriers, idle time, strictness, placement. Little-endian,
 * with a version. What is each process's own is not among them: `self` of the placement, budget,
 * frame size, linger, where to spill and when. */

#include <stddef.h>

#include <fletching/shuffle.h>

/* Bytes of the caller's allocator; given back by fletch_specification_bytes_free. */
struct fletch_specification_bytes {
    unsigned char *bytes;
    size_t count;
};

/* RESOURCE_EXHAUSTED: no memory; UNIMPLEMENTED: a schema that cannot be written. */
enum fletch_status fletch_specification_write(const struct fletch_shuffle *shuffle,
                                              struct fletch_specification_bytes *out_bytes,
                                              struct fletch_error *error);

/* NULL bytes allowed. */
void fletch_specification_bytes_free(struct fletch_specification_bytes *bytes);

/* Options that were read, and what they point to. */
struct fletch_specification_copy;

/* Reads what another process wrote, which is not trusted. INVALID_ARGUMENT: names the field and
 * what is wrong with it; UNIMPLEMENTED: a version that this one does not know, or a schema;
 * RESOURCE_EXHAUSTED: no memory. */
enum fletch_status fletch_specification_read(struct fletch_transport *transport, const void *bytes,
                                             size_t count,
                                             struct fletch_specification_copy **out_copy,
                                             struct fletch_error *error);

/* The options, for fletch_shuffle_register; what is each process's own is zero, and `self` that of
 * a process that owns no partition. */
struct fletch_shuffle_options *fletch_specification_options(struct fletch_specification_copy *copy);

/* Which of the addresses this process is; FLETCH_NO_PROCESS: none. OUT_OF_RANGE: there are fewer.
 * Without a placement any number is as good. */
enum fletch_status fletch_specification_set_self(struct fletch_specification_copy *copy,
                                                 uint32_t self, struct fletch_error *error);

/* NULL allowed. */
void fletch_specification_copy_destroy(struct fletch_specification_copy *copy);

#endif
