#ifndef FLETCH_SHUFFLE_WRITER_SUMS_H
#define FLETCH_SHUFFLE_WRITER_SUMS_H

#include "shuffle/shuffle_writer.h"

/* Whether the rows that went out are those that came in, as far as the shuffle's level of sums
 * tells. DATA_LOSS: they are not; says what differs. Everything has been sent. */
enum fletch_status fletch_writer_check_sums(const struct fletch_shuffle_writer *writer,
                                            struct fletch_error *error);

#endif
