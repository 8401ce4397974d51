#ifndef FLETCH_SHUFFLE_WRITER_OPEN_H
#define FLETCH_SHUFFLE_WRITER_OPEN_H

/* What a writer is made of. */

#include "shuffle/shuffle_writer.h"

/* Makes everything that a writer needs, which has its shuffle, its producer, and perhaps a cache.
 * Its seat comes last: that cannot be given back. ALREADY_EXISTS: the producer was opened before;
 * RESOURCE_EXHAUSTED, and errors as fletch_spill_segment_create. */
enum fletch_status fletch_writer_equip(struct fletch_shuffle_writer *writer,
                                       struct fletch_error *error);

/* Ends a writer, with as much as there is of it; the seat stays with the shuffle. */
void fletch_writer_dismantle(struct fletch_shuffle_writer *writer);

#endif
