#ifndef FLETCHING_STATUS_H
#define FLETCHING_STATUS_H

#include <fletching/export.h>

FLETCH_BEGIN_DECLS

/** Result of a call that can fail: the 17 canonical codes of gRPC, with gRPC's numbers. */
enum fletch_status {
    FLETCH_OK = 0,
    FLETCH_CANCELLED = 1,
    FLETCH_UNKNOWN = 2,
    FLETCH_INVALID_ARGUMENT = 3,
    FLETCH_DEADLINE_EXCEEDED = 4,
    FLETCH_NOT_FOUND = 5,
    FLETCH_ALREADY_EXISTS = 6,
    FLETCH_PERMISSION_DENIED = 7,
    FLETCH_RESOURCE_EXHAUSTED = 8,
    FLETCH_FAILED_PRECONDITION = 9,
    FLETCH_ABORTED = 10,
    FLETCH_OUT_OF_RANGE = 11,
    FLETCH_UNIMPLEMENTED = 12,
    FLETCH_INTERNAL = 13,
    FLETCH_UNAVAILABLE = 14,
    FLETCH_DATA_LOSS = 15,
    FLETCH_UNAUTHENTICATED = 16
};

/** Bytes of an error's message, the terminating NUL included. A longer text is cut there. */
#define FLETCH_ERROR_MESSAGE_BYTES 480

/** What went wrong, written by the function that first knew the cause. Lies in the caller's memory
 *  and needs no initialisation: it is written by a call that fails, and only then. Every function
 *  that takes one accepts NULL. */
struct fletch_error {
    enum fletch_status status;
    char message[FLETCH_ERROR_MESSAGE_BYTES];
};

/** Name of a status as gRPC spells it ("INVALID_ARGUMENT"), or "status N is not known" without the
 *  number for a value that is no status. Static storage. Any thread; does not block. */
FLETCH_EXPORT const char *fletch_status_name(enum fletch_status status);

/** Writes `status` and the message, as of printf, into `error`, unless that is NULL, and returns
 *  `status`: a function of the user's that the library calls, such as a handler, can end with
 *  `return fletch_error_set(error, ...)`. What is too long is cut between characters. Any thread;
 *  does not allocate or block. */
FLETCH_EXPORT enum fletch_status fletch_error_set(struct fletch_error *error,
                                                  enum fletch_status status, const char *format,
                                                  ...) FLETCH_PRINTF(3, 4);

FLETCH_END_DECLS

#endif
