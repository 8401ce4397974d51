#ifndef FLETCH_SHUFFLE_READER_SOURCE_H
#define FLETCH_SHUFFLE_READER_SOURCE_H

/* A reader of one partition as a source of batches. A reader's end is told once; a source's
 * failures again and again, since a stream that has failed must not look as if it had ended. */

#include <fletching/shuffle_reader.h>

#include <stdbool.h>
#include <stdint.h>

/* What a source is to remember between its calls. */
struct fletch_reader_source {
    uint64_t timeout_ns;
    bool has_ended;
    bool has_failed; /* for good: `error` is told again */
    struct fletch_error error;
};

#endif
