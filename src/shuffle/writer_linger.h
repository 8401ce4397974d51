#ifndef FLETCH_SHUFFLE_WRITER_LINGER_H
#define FLETCH_SHUFFLE_WRITER_LINGER_H

/* Rows that have waited for others long enough. */

#include "shuffle/shuffle_writer.h"

/* Rows were written at `now_ns`. */
void fletch_writer_linger_begin(struct fletch_shuffle_writer *writer, uint64_t now_ns);

/* A frame of the partition was taken out at `now_ns`: what lies there is younger. */
void fletch_writer_linger_restart(struct fletch_shuffle_writer *writer, uint32_t partition);

/* Finishes frames whose rows have lain there long enough; they are sent by the next advance. Errors
 * as fletch_partition_writer_flush. */
enum fletch_status fletch_writer_linger_flush(struct fletch_shuffle_writer *writer, uint64_t now_ns,
                                              struct fletch_error *error);

#endif
