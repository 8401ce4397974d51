#ifndef FLETCHING_WINDOW_H
#define FLETCHING_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fletching/allocator.h>
#include <fletching/batch.h>
#include <fletching/budget.h>
#include <fletching/buffer_pool.h>
#include <fletching/export.h>
#include <fletching/schema.h>
#include <fletching/status.h>

FLETCH_BEGIN_DECLS

/** Gathers rows into windows of event time, and gives a window out when a watermark has closed it:
 *  tumbling windows, each row in one, or hopping ones, each row in several. Rows that come too late
 *  or have no time are given out apart; nothing is dropped. Belongs to one thread at a time;
 *  nothing blocks. */
struct fletch_windows;

/** Open panes where the options say nothing, and the most. */
#define FLETCH_WINDOW_PANES_DEFAULT 1024u
#define FLETCH_WINDOW_PANES_MAX 65534u

/** Zero means default in every field but `size` and `cache`. Times are counts in the unit of the
 *  time column. A window holds the rows with start <= time < start + size; it starts at
 *  origin + k · slide, k any whole number. */
struct fletch_windows_options {
    size_t struct_size;
    /** The column of event times: int64, date64 or timestamp. */
    uint32_t time_column;
    /** Panes that may be open at a time: parts of windows as wide as the greatest common divisor of
     *  size and slide. At least those of one window. 0: FLETCH_WINDOW_PANES_DEFAULT. */
    uint32_t pane_limit;
    /** Required: 1 and more. */
    int64_t size;
    /** From one window's start to the next one's, 1 to `size`. 0: `size`, tumbling windows. */
    int64_t slide;
    int64_t origin;
    /** A window is closed when the watermark has reached its last time, end - 1, and so much more.
     *  0 and more. */
    int64_t lateness;
    /** Bytes that a batch of a window is to have, 4 KiB to 256 MiB. 0: 64 KiB. */
    size_t frame_bytes;
    /** Where batches take their memory: the thread's, goes with the windows. Not NULL. */
    struct fletch_buffer_cache *cache;
    /** Charged for them; NULL: nobody. Must live as long as they do. */
    struct fletch_account *account;
};

/** Makes windows over batches of `schema`, owned by the caller. INVALID_ARGUMENT: an option, named
 *  with its value and limit, or a time column of another type; UNIMPLEMENTED: a dictionary of
 *  values that cannot be merged; RESOURCE_EXHAUSTED: no memory. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_windows_create(struct fletch_schema *schema, const struct fletch_windows_options *options,
                      const struct fletch_allocator *allocator, struct fletch_windows **out_windows,
                      struct fletch_error *error);

/** Drops the rows that were not given out. NULL allowed. */
FLETCH_EXPORT void fletch_windows_destroy(struct fletch_windows *windows);

/** Takes in the rows of a batch, which is acquired as long as that lasts; each row is copied once.
 *  Whether a row is late is decided now, by the last watermark.
 *
 *  INVALID_ARGUMENT: the batch has another schema, or an index outside its dictionary: nothing is
 *  taken. RESOURCE_EXHAUSTED with `*out_taken` false: nothing is taken, there would be too many
 *  open panes (names the limit and a time) or there is no memory; with `*out_taken` true: the batch
 *  is taken and a part of its rows waits for memory; fletch_windows_resume goes on.
 *  FAILED_PRECONDITION: the last batch waits so; or a window is closed and was not taken to its
 *  last batch, names it: what was closed before a row came is never given out with it.
 *
 *  `*out_taken` is written whatever the answer. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_windows_push(struct fletch_windows *windows, struct fletch_batch *batch, bool *out_taken,
                    struct fletch_error *error);

/** Goes on with a batch that there was no memory for; best after windows were taken and released.
 *  OK: nothing is left of it, or nothing was. RESOURCE_EXHAUSTED: not all; call again. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_windows_resume(struct fletch_windows *windows, struct fletch_error *error);

/** No row of event time up to `watermark` is expected any more, as in a shuffle; INT64_MAX: none at
 *  all, all windows are closed. A lower one than before is ignored and counted. */
FLETCH_EXPORT void fletch_windows_advance(struct fletch_windows *windows, int64_t watermark);

enum fletch_window_kind {
    FLETCH_WINDOW_NONE = 0,     /* nothing more before the next watermark */
    FLETCH_WINDOW_ROWS = 1,     /* rows of a window that is closed */
    FLETCH_WINDOW_LATE = 2,     /* rows that came when all their windows were closed */
    FLETCH_WINDOW_NULL_TIME = 3 /* rows whose time is null */
};

/** What is given out. */
struct fletch_window_rows {
    enum fletch_window_kind kind;
    bool is_last;               /* of the window */
    int64_t start;              /* of the window, clamped to INT64_MIN */
    int64_t end;                /* just behind it, clamped to INT64_MAX, which then belongs to it */
    struct fletch_batch *batch; /* a reference that the caller owns; others may share it */
};

/** The next batch: of a side, of the window that was begun, or of the next closed window in order
 *  of their ends. RESOURCE_EXHAUSTED: no memory to finish it; the next call tries again, nothing is
 *  lost. Windows to which rows of a waiting batch belong are not given out before these are placed,
 *  nor are later ones. */
FLETCH_EXPORT FLETCH_MUST_CHECK enum fletch_status
fletch_windows_next(struct fletch_windows *windows, struct fletch_window_rows *out_rows,
                    struct fletch_error *error);

struct fletch_window_statistics {
    size_t struct_size;
    uint64_t rows;             /* taken in, those of the sides included */
    uint64_t rows_late;        /* of those */
    uint64_t rows_null_time;   /* of those */
    uint64_t windows;          /* given out to their last batch */
    uint64_t watermarks_lower; /* that were ignored */
    int64_t watermark;         /* INT64_MIN: none yet */
    uint32_t panes_open;
};

/** Writes the first `out_statistics->struct_size` bytes of them. */
FLETCH_EXPORT void fletch_windows_statistics(const struct fletch_windows *windows,
                                             struct fletch_window_statistics *out_statistics);

FLETCH_END_DECLS

#endif
