#ifndef FLETCHING_ANSWER_H
#define FLETCHING_ANSWER_H

#include <fletching/export.h>

FLETCH_BEGIN_DECLS

/** What a ring or queue answers. Only FLETCH_DONE means that the call did what it was asked to do;
 *  the others are ordinary answers, not errors, and nothing was changed. A waiting call that
 *  reached its deadline answers what it last saw: FLETCH_FULL, FLETCH_EMPTY or FLETCH_HELD. */
enum fletch_answer {
    /** Done. */
    FLETCH_DONE = 0,
    /** Nothing pushed: as many elements are unread as the capacity promises to hold, or more. */
    FLETCH_FULL = 1,
    /** Nothing popped: every element that was pushed has been popped, and more may come. */
    FLETCH_EMPTY = 2,
    /** Push: the other side wants no more, or the end was closed. Pop: closed and drained; no
     *  element will ever come. Final. */
    FLETCH_CLOSED = 3,
    /** Nothing popped, though the queue is not empty: a producer has claimed the next position and
     *  has not published it yet. If that producer died, the answer stays. */
    FLETCH_HELD = 4
};

/** Name of an answer ("FULL"), or "not an answer". Static storage. Any thread; does not block. */
FLETCH_EXPORT const char *fletch_answer_name(enum fletch_answer answer);

FLETCH_END_DECLS

#endif
